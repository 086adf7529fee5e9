//! JSON written as the reference's Jackson writes it, appended to a byte vector, no tree between.

use std::borrow::Cow;

/// Appends a JSON string with its quotes. Escaped are quote, backslash and control characters,
/// nothing else: neither `/` nor anything outside of ASCII.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends the inside of a JSON string, for texts that are made of pieces.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let end = plain_end(bytes, start);
        out.extend_from_slice(&bytes[start..end]);
        let Some(byte) = bytes.get(end) else { return };
        write_escape(out, *byte);
        start = end + 1;
    }
}

/// Reads back what [`write_escaped`] wrote; borrows when nothing was escaped. Of other input it
/// makes some text, without panic.
pub fn unescaped(escaped: &str) -> Cow<'_, str> {
    let Some(first) = escaped.find('\\') else { return Cow::Borrowed(escaped) };
    let mut out = String::with_capacity(escaped.len());
    out.push_str(&escaped[..first]);
    let mut rest = &escaped[first..];
    while let Some(code) = rest.strip_prefix('\\') {
        let (text, used) = match code.as_bytes().first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b't') => ('\t', 1),
            Some(b'n') => ('\n', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'r') => ('\r', 1),
            Some(b'u') => {
                let digits = code.get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                (digits.and_then(char::from_u32).unwrap_or('\u{fffd}'), code.len().min(5))
            }
            Some(b'"') => ('"', 1),
            _ => ('\\', code.len().min(1)),
        };
        out.push(text);
        let plain = code.get(used..).unwrap_or_default();
        let next = plain.find('\\').unwrap_or(plain.len());
        out.push_str(&plain[..next]);
        rest = &plain[next..];
    }
    Cow::Owned(out)
}

#[cold]
fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Appends `true` or `false`.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a whole number.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(out, value.unsigned_abs());
}

/// Appends a whole number, two digits a step from the right.
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Appends a double in the spelling of Java's `Double.toString`: `1.0`, `0.5`, `1.0E10`, the
/// shortest digits that read back as the same number. What JSON has no number for is quoted, as
/// Jackson does: `"NaN"`, `"Infinity"`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    /// From here on Java writes an exponent.
    const PLAIN_MAX: f64 = 1e7;
    /// Below this Java writes an exponent.
    const PLAIN_MIN: f64 = 1e-3;
    if !value.is_finite() {
        let text = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return write_string(out, text);
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let size = value.abs();
    if size < PLAIN_MAX && size.trunc() == size {
        write_u64(out, size as u64);
        out.extend_from_slice(b".0");
    } else if (PLAIN_MIN..PLAIN_MAX).contains(&size) {
        write_formatted(out, format_args!("{size}"));
    } else {
        write_scientific(out, size);
    }
}

fn write_scientific(out: &mut Vec<u8>, size: f64) {
    let start = out.len();
    write_formatted(out, format_args!("{size:e}"));
    let exponent = start + out[start..].iter().position(|byte| *byte == b'e').unwrap_or(0);
    out[exponent] = b'E';
    if exponent == start + 1 {
        // Java never writes `1E10`.
        out.splice(exponent..exponent, *b".0");
    }
}

fn write_formatted(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    out.write_fmt(text).expect("a vector takes every write");
}

/// Index of the first quote, backslash or control character from `at` on, or the length. Eight
/// bytes a step.
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Its lowest mark is at the first byte below `limit`; marks above that one may be carries.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    while let Some(Ok(eight)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(eight);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | backslash | below(word, 0x20);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = vec![];
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        for (text, json) in [
            ("", r#""""#),
            ("plain / é \u{1F600} \u{7f} \u{2028}", "\"plain / é \u{1F600} \u{7f} \u{2028}\""),
            ("\"\\", r#""\"\\""#),
            ("\u{8}\u{9}\u{a}\u{c}\u{d}", r#""\b\t\n\f\r""#),
            ("\u{0}\u{b}\u{1f}", r#""\u0000\u000B\u001F""#),
            ("1234567\"", r#""1234567\"""#),
            ("12345678\"9", r#""12345678\"9""#),
        ] {
            assert_eq!(written(|out| write_string(out, text)), json);
        }
    }

    #[test]
    fn what_was_escaped_reads_back() {
        let all: String = (0..0x180).filter_map(char::from_u32).collect();
        for text in ["", "plain é", "a: b\nc: \"d\"\n", "\\", "\\\\n", "\u{0}\u{1f}x", &all] {
            let escaped = written(|out| write_escaped(out, text));
            assert_eq!(unescaped(&escaped), text);
        }
        for odd in ["\\", "\\u", "\\u00", "\\uzzzz", "\\é", "\\u00é0", "a\\q"] {
            let _ = unescaped(odd);
        }
    }

    #[test]
    fn doubles_are_spelled_as_java_does() {
        for (number, json) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (100.0, "100.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (1e-5, "1.0E-5"),
            (9_999_999.0, "9999999.0"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (-1e10, "-1.0E10"),
            (12_345_678.9, "1.23456789E7"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(written(|out| write_f64(out, number)), json);
        }
    }

    #[test]
    fn whole_numbers_of_every_length() {
        for number in [0, 9, 10, 99, 100, 999, 1_000, 12_345, u64::MAX] {
            assert_eq!(written(|out| write_u64(out, number)), number.to_string());
        }
        for number in [i64::MIN, -100, -1, 0, 7, i64::MAX] {
            assert_eq!(written(|out| write_i64(out, number)), number.to_string());
        }
        assert_eq!(written(|out| write_bool(out, true)), "true");
        assert_eq!(written(|out| write_bool(out, false)), "false");
    }
}
