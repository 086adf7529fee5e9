//! Strings: borrowed as they stand, or copied when they hold escapes.

use super::{CUT_SHORT, Scan};
use crate::fault::ParseError;
use crate::json::plain_end;
use std::borrow::Cow;

impl<'a> Scan<'a> {
    /// A string, the scan standing at its opening quote.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
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
            let lone = || self.error("half a surrogate pair in a string");
            let second = self.hex(self.at + 6).map_err(|_| lone())?;
            if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
                return Err(lone());
            }
            let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            let character = char::from_u32(joined).ok_or_else(lone)?;
            self.at += 12;
            return Ok(character);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Scalar;

    fn text(json: &str) -> Result<String, &'static str> {
        let mut scan = Scan::new(json.as_bytes()).unwrap();
        match scan.scalar().map_err(|error| error.what())? {
            Scalar::Text(text) => Ok(text.into_owned()),
            other => panic!("{other:?}"),
        }
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
}
