//! Reads JSON the way Jackson reads it for the reference: one pass, no tree, text borrowed from the
//! body, and no recursion, so nesting costs a bit and not a stack frame.
//!
//! Why not a serde derive: it refuses duplicate keys (Jackson: the last wins), has lost the
//! spelling of a number by the time somebody wants it as text (`"ip":1.50`), and copies what it
//! must buffer. The oracle of the tests is serde_json, so the two cannot share a mistake.
//!
//! Not checked: what follows the first value. Jackson stops there too.

use crate::json::plain_end;
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting that is read, in levels: Jackson's own bound (`StreamReadConstraints`).
pub const NESTING_MAX: u32 = 1_000;

/// Longest number that is read, in bytes: Jackson's own bound. Keeps parsing of digits linear.
pub const NUMBER_BYTES_MAX: usize = 1_000;

/// Why a body is not the message its type name promises. Displays as one helpful sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, a clause without a full stop.
    what: &'static str,
    /// The member being read, as the wire spells it; `None` outside of any known one.
    member: Option<&'static str>,
    /// Where, in bytes from the start of the body.
    at: usize,
}

impl ParseError {
    pub(crate) const fn new(what: &'static str, at: usize) -> Self {
        Self { what, member: None, at }
    }

    /// Names the member; the innermost name stays.
    pub(crate) fn within(mut self, member: &'static str) -> Self {
        self.member = self.member.or(Some(member));
        self
    }

    /// What is wrong, without the place.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The member being read, as the wire spells it.
    pub fn member(&self) -> Option<&'static str> {
        self.member
    }

    /// Bytes from the start of the body.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(f, "{} in '{member}', byte {}", self.what, self.at),
            None => write!(f, "{}, byte {}", self.what, self.at),
        }
    }
}

impl std::error::Error for ParseError {}

/// A value that is neither object nor array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// As spelled; follows JSON's grammar for numbers.
    Number(&'a str),
    Text(Cow<'a, str>),
}

/// A place in a JSON text.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

const CUT_SHORT: &str = "the JSON text ends too early";

impl<'a> Scan<'a> {
    /// Starts at the first byte. The one check of UTF-8 for everything borrowed later.
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, ParseError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(e) => Err(ParseError::new("the JSON text is not UTF-8", e.valid_up_to())),
        }
    }

    /// An error at the current place.
    pub(crate) fn error(&self, what: &'static str) -> ParseError {
        ParseError::new(what, self.at)
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.peek().is_err()
    }

    /// The first byte of the next token, not consumed.
    pub(crate) fn peek(&mut self) -> Result<u8, ParseError> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(self.error(CUT_SHORT))
    }

    /// Consumes `null` if it is next.
    pub(crate) fn null(&mut self) -> Result<bool, ParseError> {
        if self.peek()? != b'n' {
            return Ok(false);
        }
        self.word("null")?;
        Ok(true)
    }

    /// Reads `{…}` and hands out each key with the scan standing at its value, which must be
    /// consumed. A key may come twice.
    pub(crate) fn object<F>(&mut self, mut member: F) -> Result<(), ParseError>
    where
        F: FnMut(&mut Self, Cow<'a, str>) -> Result<(), ParseError>,
    {
        if self.peek()? != b'{' {
            return Err(self.error("an object was expected"));
        }
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("',' or '}' was expected")),
            }
        }
    }

    /// Reads `[…]`, the scan standing at each item, which must be consumed.
    pub(crate) fn array<F>(&mut self, mut item: F) -> Result<(), ParseError>
    where
        F: FnMut(&mut Self) -> Result<(), ParseError>,
    {
        if self.peek()? != b'[' {
            return Err(self.error("an array was expected"));
        }
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("',' or ']' was expected")),
            }
        }
    }

    /// Reads a value that must not be an object or an array.
    pub(crate) fn scalar(&mut self) -> Result<Scalar<'a>, ParseError> {
        match self.peek()? {
            b'"' => Ok(Scalar::Text(self.string()?)),
            b'-' | b'0'..=b'9' => Ok(Scalar::Number(self.number()?)),
            b't' => self.word("true").map(|()| Scalar::Bool(true)),
            b'f' => self.word("false").map(|()| Scalar::Bool(false)),
            b'n' => self.word("null").map(|()| Scalar::Null),
            b'{' => Err(self.error("an object stands where none is expected")),
            b'[' => Err(self.error("an array stands where none is expected")),
            _ => Err(self.error("a JSON value was expected")),
        }
    }

    /// Passes over one value of any kind, checking its syntax.
    pub(crate) fn skip(&mut self) -> Result<(), ParseError> {
        let mut nesting = Nesting::default();
        loop {
            let first = self.peek()?;
            if first == b'{' || first == b'[' {
                let in_object = first == b'{';
                if !nesting.open(in_object) {
                    return Err(self.error("the JSON text is nested too deeply"));
                }
                self.at += 1;
                let closer = if in_object { b'}' } else { b']' };
                if self.peek()? != closer {
                    if in_object {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            if self.close(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes every level that ends here. True when the outermost value is complete,
    /// false when the scan stands at the next value.
    fn close(&mut self, nesting: &mut Nesting) -> Result<bool, ParseError> {
        while let Some(in_object) = nesting.top() {
            match (self.peek()?, in_object) {
                (b',', _) => {
                    self.at += 1;
                    if in_object {
                        self.key()?;
                    }
                    return Ok(false);
                }
                (b'}', true) | (b']', false) => {
                    self.at += 1;
                    nesting.close();
                }
                _ => return Err(self.error("',' or a closing bracket was expected")),
            }
        }
        Ok(true)
    }

    fn key(&mut self) -> Result<Cow<'a, str>, ParseError> {
        if self.peek()? != b'"' {
            return Err(self.error("a member name in quotes was expected"));
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(self.error("':' was expected"));
        }
        self.at += 1;
        Ok(key)
    }

    fn word(&mut self, word: &'static str) -> Result<(), ParseError> {
        let rest = &self.text.as_bytes()[self.at..];
        let ends = |byte: Option<&u8>| {
            !byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        if !rest.starts_with(word.as_bytes()) || !ends(rest.get(word.len())) {
            return Err(self.error("a JSON value was expected"));
        }
        self.at += word.len();
        Ok(())
    }

    /// A number by JSON's grammar: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    fn number(&mut self) -> Result<&'a str, ParseError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + usize::from(bytes[start] == b'-');
        let integer = at;
        at = digits(bytes, at);
        let mut well_formed = at > integer && (bytes[integer] != b'0' || at == integer + 1);
        if bytes.get(at) == Some(&b'.') {
            let end = digits(bytes, at + 1);
            well_formed &= end > at + 1;
            at = end;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
            let first = at + 1 + usize::from(sign);
            let end = digits(bytes, first);
            well_formed &= end > first;
            at = end;
        }
        if !well_formed {
            return Err(self.error("a malformed number"));
        }
        if at - start > NUMBER_BYTES_MAX {
            return Err(self.error("a number of too many digits"));
        }
        self.at = at;
        Ok(&self.text[start..at])
    }

    /// A string, the scan standing at its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let start = self.at + 1;
        self.at = plain_end(self.text.as_bytes(), start);
        match self.text.as_bytes().get(self.at) {
            Some(b'"') => {
                let plain = &self.text[start..self.at];
                self.at += 1;
                Ok(Cow::Borrowed(plain))
            }
            Some(b'\\') => self.escaped(start).map(Cow::Owned),
            Some(_) => Err(self.error("an unescaped control character in a string")),
            None => Err(self.error(CUT_SHORT)),
        }
    }

    /// The rare string with escapes: copied.
    #[cold]
    fn escaped(&mut self, start: usize) -> Result<String, ParseError> {
        let bytes = self.text.as_bytes();
        let mut text = String::from(&self.text[start..self.at]);
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(0..0x20) => {
                    return Err(self.error("an unescaped control character in a string"));
                }
                Some(_) => {
                    let end = plain_end(bytes, self.at);
                    text.push_str(&self.text[self.at..end]);
                    self.at = end;
                }
                None => return Err(self.error(CUT_SHORT)),
            }
        }
    }

    /// One escape, the scan standing at the backslash.
    fn escape(&mut self) -> Result<char, ParseError> {
        let Some(letter) = self.text.as_bytes().get(self.at + 1) else {
            return Err(self.error(CUT_SHORT));
        };
        let plain = match letter {
            b'"' | b'\\' | b'/' => *letter as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.error("an unknown escape in a string")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// `\uXXXX`, or two of them that make one character outside the basic plane.
    fn unicode(&mut self) -> Result<char, ParseError> {
        let first = self.hex(self.at)?;
        let Some(character) = char::from_u32(first) else {
            // Java keeps half a surrogate pair in memory and fails when it has to write it; we
            // refuse at the door.
            let lone = self.error("half a surrogate pair in a string");
            let second = self.hex(self.at + 6).map_err(|_| lone)?;
            if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
                return Err(lone);
            }
            self.at += 12;
            let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return char::from_u32(joined).ok_or(lone);
        };
        self.at += 6;
        Ok(character)
    }

    fn hex(&self, at: usize) -> Result<u32, ParseError> {
        let digits = self.text.as_bytes().get(at..at + 6).and_then(|six| six.strip_prefix(b"\\u"));
        let value = digits.and_then(|four| {
            four.iter().try_fold(0, |sum, digit| Some(sum * 16 + (*digit as char).to_digit(16)?))
        });
        value.ok_or_else(|| self.error("a malformed unicode escape in a string"))
    }
}

fn digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// Which levels around the current place are objects, one bit each.
#[derive(Default)]
struct Nesting {
    depth: u32,
    objects: [u64; NESTING_MAX.div_ceil(64) as usize],
}

impl Nesting {
    /// False when there is no room for another level.
    fn open(&mut self, in_object: bool) -> bool {
        if self.depth == NESTING_MAX {
            return false;
        }
        let (word, bit) = (self.depth as usize / 64, self.depth % 64);
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(in_object) << bit;
        self.depth += 1;
        true
    }

    /// Whether the innermost level is an object; `None` outside of all.
    fn top(&self) -> Option<bool> {
        let level = self.depth.checked_sub(1)?;
        Some(self.objects[level as usize / 64] >> (level % 64) & 1 == 1)
    }

    fn close(&mut self) {
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a body and where, or nothing.
    fn fault(json: &str) -> Option<(&'static str, usize)> {
        skip(json.as_bytes()).err().map(|error| (error.what(), error.at()))
    }

    fn skip(json: &[u8]) -> Result<(), ParseError> {
        Scan::new(json)?.skip()
    }

    fn text(json: &str) -> Result<String, &'static str> {
        let mut scan = Scan::new(json.as_bytes()).unwrap();
        match scan.scalar().map_err(|error| error.what())? {
            Scalar::Text(text) => Ok(text.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn well_formed_values_are_passed_over() {
        for json in [
            "null",
            " \t\r\n{ \"a\" : [ 1 , { } , [ ] ] , \"b\" : { \"c\" : null } } ",
            "[[[]],{\"a\":{\"b\":[{}]}}]",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
            "-0.0e-0",
            "10E+5",
            "\u{feff}{}",
            // What follows the first value is nobody's business.
            "{}}",
            "{}garbage",
        ] {
            assert_eq!(fault(json), None, "{json}");
        }
    }

    #[test]
    fn malformed_values_are_refused_with_their_place() {
        let value = "a JSON value was expected";
        let number = "a malformed number";
        for (json, what, at) in [
            ("", CUT_SHORT, 0),
            ("  ", CUT_SHORT, 2),
            ("{", CUT_SHORT, 1),
            ("{\"a\"", CUT_SHORT, 4),
            ("{\"a\":", CUT_SHORT, 5),
            ("{\"a\":1", CUT_SHORT, 6),
            ("[1,", CUT_SHORT, 3),
            ("\"a", CUT_SHORT, 2),
            ("\"a\\", CUT_SHORT, 2),
            ("\"\\n", CUT_SHORT, 3),
            ("{\"a\":1,}", "a member name in quotes was expected", 7),
            ("{,}", "a member name in quotes was expected", 1),
            ("{a:1}", "a member name in quotes was expected", 1),
            ("{\"a\" 1}", "':' was expected", 5),
            ("{\"a\":1]", "',' or a closing bracket was expected", 6),
            ("[1}", "',' or a closing bracket was expected", 2),
            ("[1 2]", "',' or a closing bracket was expected", 3),
            ("[1,]", value, 3),
            ("[,1]", value, 1),
            ("nul", value, 0),
            ("nulll", value, 0),
            ("True", value, 0),
            ("NaN", value, 0),
            ("'a'", value, 0),
            ("// a", value, 0),
            ("-", number, 0),
            ("01", number, 0),
            ("-01", number, 0),
            ("1.", number, 0),
            ("[.5]", value, 1),
            ("1e", number, 0),
            ("1e+", number, 0),
            ("+1", value, 0),
            ("\"\u{1}\"", "an unescaped control character in a string", 1),
            ("\"12345678\n\"", "an unescaped control character in a string", 9),
            ("\"\\n\n\"", "an unescaped control character in a string", 3),
            ("\"\\x41\"", "an unknown escape in a string", 1),
            ("\"\\u12g4\"", "a malformed unicode escape in a string", 1),
            ("\"\\u+123\"", "a malformed unicode escape in a string", 1),
            ("\"\\ud800\"", "half a surrogate pair in a string", 1),
            ("\"\\ud800\\u0041\"", "half a surrogate pair in a string", 1),
            ("\"\\ude00\\ud83d\"", "half a surrogate pair in a string", 1),
        ] {
            assert_eq!(fault(json), Some((what, at)), "{json}");
        }
        let error = skip(b"{\"a\":\"\xff\"}").unwrap_err();
        assert_eq!((error.what(), error.at()), ("the JSON text is not UTF-8", 6));
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack() {
        let arrays = |depth: u32| "[".repeat(depth as usize) + &"]".repeat(depth as usize);
        let objects =
            |depth: u32| "{\"a\":".repeat(depth as usize) + "1" + &"}".repeat(depth as usize);
        assert_eq!(fault(&arrays(NESTING_MAX)), None);
        assert_eq!(fault(&objects(NESTING_MAX)), None);
        let what = "the JSON text is nested too deeply";
        assert_eq!(fault(&arrays(NESTING_MAX + 1)), Some((what, NESTING_MAX as usize)));
        assert_eq!(fault(&objects(NESTING_MAX + 1)), Some((what, 5 * NESTING_MAX as usize)));
        assert_eq!(fault(&"[".repeat(1 << 20)), Some((what, NESTING_MAX as usize)));
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(fault(&"1".repeat(NUMBER_BYTES_MAX)), None);
        let error = Some(("a number of too many digits", 0));
        assert_eq!(fault(&"1".repeat(NUMBER_BYTES_MAX + 1)), error);
    }

    #[test]
    fn escapes_become_their_characters() {
        assert_eq!(
            text(r#""a\"\\\/\b\f\n\r\t\u00e9\u00E9\ud83d\ude00\u0000z""#).as_deref(),
            Ok("a\"\\/\u{8}\u{c}\n\r\téé\u{1F600}\u{0}z")
        );
        // On every place of the eight-byte step.
        for before in 0..20 {
            let plain = "é".repeat(before / 2) + &"x".repeat(before % 2);
            assert_eq!(text(&format!("\"{plain}\\u0041{plain}\"")), Ok(format!("{plain}A{plain}")));
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        let error = ParseError::new("a whole number was expected", 17);
        assert_eq!(error.to_string(), "a whole number was expected, byte 17");
        let error = error.within("port").within("instance");
        assert_eq!(error.to_string(), "a whole number was expected in 'port', byte 17");
    }
}
