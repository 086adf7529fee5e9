//! Decimal digits without a heap allocation, where their count must be known first.

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

    #[test]
    fn every_length_fits() {
        for value in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(Digits::of(value).as_str(), value.to_string());
        }
    }
}
