//! `grpc-timeout`: up to eight digits and a unit.

use super::limits::TIMEOUT_MS_MAX;

/// Digits the protocol allows.
const DIGITS_MAX: usize = 8;

/// The text is no timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATimeout;

/// The time a call may take, in milliseconds, rounded up.
///
/// `Err` when it is not a timeout; `Ok(None)` when it is so long that it is none.
pub fn parse(value: &[u8]) -> Result<Option<u32>, NotATimeout> {
    let Some((unit, digits)) = value.split_last() else { return Err(NotATimeout) };
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NotATimeout);
    }
    let number = digits.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let ms = match unit {
        b'H' => number * 3_600_000,
        b'M' => number * 60_000,
        b'S' => number * 1_000,
        b'm' => number,
        b'u' => number.div_ceil(1_000),
        b'n' => number.div_ceil(1_000_000),
        _ => return Err(NotATimeout),
    };
    Ok((ms <= TIMEOUT_MS_MAX).then_some(ms as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit() {
        let cases: [(&[u8], Option<u32>); 8] = [
            (b"2H", Some(7_200_000)),
            (b"3M", Some(180_000)),
            (b"4S", Some(4_000)),
            (b"5m", Some(5)),
            (b"2994383u", Some(2_995)),
            (b"1n", Some(1)),
            (b"0m", Some(0)),
            (b"99999999H", None),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), Ok(ms), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_is_no_timeout() {
        for text in [&b""[..], b"S", b"12", b"123456789S", b"-1S", b"1s", b"1 S", b" 1S"] {
            assert_eq!(parse(text), Err(NotATimeout), "{}", String::from_utf8_lossy(text));
        }
    }
}
