//! The Java properties format, as `java.util.Properties.load` reads it.
//!
//! An existing `application.properties` must work unchanged, so the whole format is here: `=`, `:` or
//! blanks between key and value, `#` and `!` comments, continuation lines, `\t \n \r \f` and `\uXXXX`.
//! Spring's `#---` separators are comments and need no care: in one file the later line wins anyway.

use std::fmt;

/// Bytes of one file. The reference's own is 15 KiB; this stops a start from reading a disk image.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// One `key = value`, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The first natural line of the entry, counted from 1.
    pub number: usize,
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved; trailing blanks are kept, as Java keeps them.
    pub value: String,
}

/// A text that is not in the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadProperties {
    /// Counted from 1.
    pub number: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl fmt::Display for BadProperties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.number, self.why)
    }
}

/// Bytes to text: UTF-8 where it is UTF-8, otherwise ISO-8859-1, which old files are written in.
pub fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Reads all entries in order.
///
/// # Errors
/// Only a malformed `\uXXXX`, which Java refuses as well.
pub fn parse(text: &str) -> Result<Vec<Line>, BadProperties> {
    let mut lines = Vec::new();
    let mut rest = NaturalLines { text, number: 0 };
    while let Some((number, line)) = rest.next() {
        let start = line.trim_start_matches(is_blank);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, more)) = rest.next() else { break };
            logical.push_str(more.trim_start_matches(is_blank));
        }
        if logical.is_empty() {
            continue;
        }
        let (key, value) = split(&logical);
        let bad = |why| BadProperties { number, why };
        lines.push(Line {
            number,
            key: unescape(key).map_err(bad)?,
            value: unescape(value).map_err(bad)?,
        });
    }
    Ok(lines)
}

/// Lines by `\n`, `\r` or `\r\n`.
struct NaturalLines<'a> {
    text: &'a str,
    number: usize,
}

impl<'a> NaturalLines<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        if self.text.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.text.find(['\n', '\r']).unwrap_or(self.text.len());
        let line = &self.text[..end];
        let ending = if self.text[end..].starts_with("\r\n") { 2 } else { 1 };
        self.text = self.text.get(end + ending..).unwrap_or("");
        Some((self.number, line))
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0C')
}

/// An odd number of backslashes at the end; an even one is escaped backslashes.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value, both still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, character)| {
            if escaped {
                escaped = false;
                return false;
            }
            escaped = *character == '\\';
            is_blank(*character) || matches!(*character, '=' | ':')
        })
        .map_or(line.len(), |(at, _)| at);
    let value = line[end..].trim_start_matches(is_blank);
    let value = value.strip_prefix(['=', ':']).unwrap_or(value);
    (&line[..end], value.trim_start_matches(is_blank))
}

/// Resolves escapes. A lone half of a surrogate pair becomes U+FFFD: Rust text cannot hold it.
fn unescape(text: &str) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == '\\' && rest.starts_with('u') {
            let digits = rest.get(1..5).ok_or(MALFORMED)?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MALFORMED);
            }
            units.push(u16::from_str_radix(digits, 16).map_err(|_| MALFORMED)?);
            rest = &rest[5..];
            continue;
        }
        flush(&mut units, &mut out);
        if character != '\\' {
            out.push(character);
            continue;
        }
        let Some(escaped) = rest.chars().next() else { break };
        rest = &rest[escaped.len_utf8()..];
        out.push(match escaped {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\x0C',
            other => other,
        });
    }
    flush(&mut units, &mut out);
    Ok(out)
}

const MALFORMED: &str = "\\u must be followed by four hexadecimal digits";

fn flush(units: &mut Vec<u16>, out: &mut String) {
    if !units.is_empty() {
        out.push_str(&String::from_utf16_lossy(units));
        units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|line| (line.key, line.value)).collect()
    }

    #[test]
    fn every_rule_of_the_format() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("a=1", &[("a", "1")]),
            ("a = 1 \n", &[("a", "1 ")]),
            ("a:1\nb 2\nc\t3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            ("a==1", &[("a", "=1")]),
            ("a : = 1", &[("a", "= 1")]),
            ("a", &[("a", "")]),
            ("=x", &[("", "x")]),
            ("# c\n! c\n  # c\n\n \t\na=1", &[("a", "1")]),
            ("a=1 # no comment", &[("a", "1 # no comment")]),
            ("a=1\\\n   2\\\n3", &[("a", "123")]),
            ("a=1\\\n# not a comment", &[("a", "1# not a comment")]),
            ("a=1\\\n\nb=2", &[("a", "1"), ("b", "2")]),
            ("a=1\\\\\nb=2", &[("a", "1\\"), ("b", "2")]),
            ("a=1\\", &[("a", "1")]),
            ("a\\ b\\=c\\:d=e", &[("a b=c:d", "e")]),
            ("a=\\t\\n\\r\\f\\q\\\"", &[("a", "\t\n\r\x0Cq\"")]),
            ("a=\\u4f60\\u597D", &[("a", "你好")]),
            ("a=\\uD83D\\uDE00", &[("a", "😀")]),
            ("a=\\uD83Dx", &[("a", "\u{FFFD}x")]),
            ("a=1\rb=2\r\nc=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            ("\\\n\na=1", &[("a", "1")]),
            ("a=1\na=2", &[("a", "1"), ("a", "2")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_unicode_names_the_line() {
        for bad in ["\\u12", "\\u12G4", "\\u", "\\u+123", "\\u你好吗啊"] {
            let text = format!("a=1\n\nb={bad}");
            assert_eq!(parse(&text), Err(BadProperties { number: 3, why: MALFORMED }), "{bad}");
        }
    }

    #[test]
    fn line_numbers_are_those_of_an_editor() {
        let lines = parse("# c\na=1\\\n2\nb=3").unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn utf8_latin1_and_a_byte_order_mark() {
        assert_eq!(decode("a=é".as_bytes()), "a=é");
        assert_eq!(decode(b"a=\xE9"), "a=é");
        assert_eq!(decode(b"\xEF\xBB\xBFa=1"), "a=1");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&decode(&bytes));
        }

        #[test]
        fn nothing_of_its_own_alphabet_panics(text in "[a\\\\u0-9 =:#!\n\r\t你]{0,60}") {
            let _ = parse(&text);
        }
    }
}
