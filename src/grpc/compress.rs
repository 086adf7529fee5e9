//! gzip requests. Answers are never compressed, as in the reference.

use std::io::Read;

use flate2::read::GzDecoder;

/// How the messages of a request may be compressed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    /// Those whose flag says so, with gzip.
    Gzip,
}

impl Encoding {
    /// The encoding of a `grpc-encoding` value; `None` when we do not know it.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"identity" => Some(Self::Identity),
            b"gzip" => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// Why a message was not inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflateError {
    /// Not gzip, or damaged.
    Damaged,
    /// More than the message limit: stopped there, however much there would be.
    TooLarge,
}

/// Inflates `input` into `out`, which is cleared first. Never holds more than `bytes_max` + 1
/// bytes.
pub fn inflate(input: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    out.clear();
    let mut reader = GzDecoder::new(input).take(bytes_max as u64 + 1);
    match reader.read_to_end(out) {
        Err(_) => Err(InflateError::Damaged),
        Ok(_) if out.len() > bytes_max => Err(InflateError::TooLarge),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_message_up_to_the_limit_and_not_a_byte_more() {
        let mut out = Vec::new();
        assert_eq!(inflate(&gzip(&[7; 1_000]), 1_000, &mut out), Ok(()));
        assert_eq!(out, [7; 1_000]);
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(inflate(&bomb, 1_000, &mut out), Err(InflateError::TooLarge));
        assert_eq!(out.len(), 1_001);
    }

    #[test]
    fn damage_is_an_error() {
        let mut out = Vec::new();
        let good = gzip(b"hello hello hello");
        for cut in 0..good.len() {
            assert_eq!(inflate(&good[..cut], 100, &mut out), Err(InflateError::Damaged), "{cut}");
        }
        assert_eq!(inflate(b"no gzip at all", 100, &mut out), Err(InflateError::Damaged));
    }
}
