//! Dynamic-table entries that are a number with a unit, in 30 bits.
//!
//! Go's gRPC puts a new `grpc-timeout` into the table on every call, so the table of an idle Go
//! client is some 70 of them. As texts they would be a few kilobytes a connection and an allocation
//! a call.

/// The field that is packed.
pub const NAME: &[u8] = b"grpc-timeout";

/// Digits that always fit.
const DIGITS_MAX: usize = 8;
const UNITS: &[u8; 6] = b"HMSmun";

/// A packed value: number and unit. Fewer than 2^30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed(pub u32);

impl Packed {
    /// Packs a field; `None` when its text could not be given back exactly.
    pub fn new(name: &[u8], value: &[u8]) -> Option<Self> {
        let (unit, digits) = value.split_last()?;
        let unit = UNITS.iter().position(|known| known == unit)?;
        let canonical = digits == b"0" || digits.first().is_some_and(|digit| *digit != b'0');
        let numeric = digits.len() <= DIGITS_MAX && digits.iter().all(u8::is_ascii_digit);
        if name != NAME || !canonical || !numeric {
            return None;
        }
        let number = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        Some(Self(number << 3 | unit as u32))
    }

    /// The value's text, at the end of the array.
    fn render(self) -> ([u8; DIGITS_MAX + 1], usize) {
        let mut text = [0; DIGITS_MAX + 1];
        text[DIGITS_MAX] = UNITS[(self.0 & 7) as usize];
        let (mut number, mut start) = (self.0 >> 3, DIGITS_MAX);
        loop {
            start -= 1;
            text[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return (text, start);
            }
        }
    }

    /// Calls `show` with the value's text.
    pub fn show<R>(self, show: impl FnOnce(&[u8]) -> R) -> R {
        let (text, start) = self.render();
        show(&text[start..])
    }

    /// Bytes of name and value.
    pub fn bytes(self) -> usize {
        NAME.len() + self.show(<[u8]>::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_exactly() {
        for text in ["0S", "1n", "2994383u", "99999999H", "10M", "29994m"] {
            let packed = Packed::new(NAME, text.as_bytes()).unwrap();
            assert!(packed.0 < 1 << 30);
            packed.show(|value| assert_eq!(value, text.as_bytes()));
            assert_eq!(packed.bytes(), 12 + text.len());
        }
    }

    #[test]
    fn what_would_not_is_left_alone() {
        for text in ["", "S", "01S", "00S", "123456789S", "5", "5s", "-5S", "5 S"] {
            assert_eq!(Packed::new(NAME, text.as_bytes()), None, "{text}");
        }
        assert_eq!(Packed::new(b"grpc-timeou", b"5S"), None);
    }
}
