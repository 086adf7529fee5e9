//! The fingerprint of config content: clients compare it with their own.

use md5::{Digest, Md5 as Hasher};

/// MD5 of content in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Md5(pub [u8; 16]);

/// The text of an [`Md5`].
pub type Hex = [u8; 32];

impl Md5 {
    /// About 2 µs for a KiB.
    pub fn of(content: &str) -> Self {
        Self(Hasher::digest(content.as_bytes()).into())
    }

    /// As the wire has it: lower-case hex.
    pub fn hex(self) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }

    /// Whether a client's text says the same: compared as text, so upper case differs.
    pub fn is(self, text: &str) -> bool {
        self.hex() == text.as_bytes()
    }

    /// Reads what [`Md5::hex`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let text: &Hex = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wire samples' own content and md5.
    #[test]
    fn hashes_as_the_samples_do() {
        let table = [
            ("a: v1 é\n", "c32ab5951a0460cb3dd1724bdc4f00f2"),
            ("a: v2\n", "3dbe5484f30f9119f04f7bd20bb62434"),
            ("here", "6c92285fa6d3e827b198d120ea3ac674"),
        ];
        for (content, hex) in table {
            let md5 = Md5::of(content);
            assert_eq!(md5.hex(), hex.as_bytes());
            assert!(md5.is(hex) && !md5.is("") && !md5.is(&hex.to_uppercase()));
            assert_eq!(Md5::parse(hex), Some(md5));
        }
        for odd in ["", "c32ab5951a0460cb3dd1724bdc4f00f", "C32AB5951A0460CB3DD1724BDC4F00F2"] {
            assert_eq!(Md5::parse(odd), None);
        }
    }
}
