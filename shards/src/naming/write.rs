//! Writing JSON text without a tree: the few shapes naming needs, byte for byte as Jackson would.

/// Appends `text` as a JSON string, quotes included. Escapes what Jackson escapes by default:
/// quote, backslash and control characters; everything else stays UTF-8.
pub fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        escape(out, byte);
    }
    out.extend_from_slice(&bytes[copied..]);
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends a whole number.
pub fn number(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let digits = Digits::of(value.unsigned_abs());
    out.extend_from_slice(digits.as_str().as_bytes());
}

/// Appends a double as Java's `1.0`; what JSON cannot say becomes text, as Jackson does.
pub fn double(out: &mut Vec<u8>, value: f64) {
    use std::io::Write;
    if value == 1.0 {
        out.extend_from_slice(b"1.0");
    } else if value.is_finite() {
        write!(out, "{value:?}").expect("a Vec takes every write");
    } else {
        let name = if value.is_nan() {
            "\"NaN\""
        } else if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        };
        out.extend_from_slice(name.as_bytes());
    }
}

/// Appends `true` or `false`.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// The decimal digits of a number, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct Digits {
    bytes: [u8; 20],
    start: u8,
}

impl Digits {
    /// The digits of `value`.
    pub fn of(mut value: u64) -> Self {
        let mut digits = Self { bytes: [b'0'; 20], start: 20 };
        loop {
            digits.start -= 1;
            digits.bytes[usize::from(digits.start)] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return digits;
            }
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[usize::from(self.start)..]).expect("digits are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped_as_jackson_does() {
        let table = [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#),
            ("\u{1}\u{1f}\u{7f}", "\"\\u0001\\u001F\u{7f}\""),
            ("服务/é", "\"服务/é\""),
        ];
        for (text, expected) in table {
            assert_eq!(written(|out| quoted(out, text)), expected);
        }
    }

    #[test]
    fn numbers_are_written_as_java_does() {
        for (value, expected) in
            [(0, "0"), (-1, "-1"), (i64::MAX, "9223372036854775807"), (i64::MIN, "-9223372036854775808")]
        {
            assert_eq!(written(|out| number(out, value)), expected);
        }
        for (value, expected) in
            [(1.0, "1.0"), (0.0, "0.0"), (2.5, "2.5"), (100.0, "100.0"), (f64::NAN, "\"NaN\"")]
        {
            assert_eq!(written(|out| double(out, value)), expected);
        }
        assert_eq!(Digits::of(u64::MAX).as_str(), "18446744073709551615");
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let json = written(|out| quoted(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_finite_double_reads_back(value in proptest::num::f64::NORMAL) {
            let json = written(|out| double(out, value));
            prop_assert_eq!(json.parse::<f64>().unwrap(), value);
        }
    }
}
