//! The five bytes before each message, and messages to send.

use bytes::Bytes;

/// Flag and length.
pub const PREFIX_BYTES: usize = 5;

/// The prefix of a message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The message is compressed. Any flag but 0 and 1 is an error.
    pub compressed: bool,
    /// Bytes that follow.
    pub bytes: usize,
}

/// Why a prefix cannot stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixError {
    /// Neither 0 nor 1.
    BadFlag,
}

impl Prefix {
    /// Reads a prefix.
    pub fn parse(bytes: &[u8; PREFIX_BYTES]) -> Result<Self, PrefixError> {
        let compressed = match bytes[0] {
            0 => false,
            1 => true,
            _ => return Err(PrefixError::BadFlag),
        };
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        Ok(Self { compressed, bytes: length as usize })
    }

    /// The prefix of an uncompressed message of `bytes` bytes.
    pub fn write(bytes: usize) -> [u8; PREFIX_BYTES] {
        let length = (bytes as u32).to_be_bytes();
        [0, length[0], length[1], length[2], length[3]]
    }
}

/// A message to send: its parts, concatenated. The shared part is encoded once and goes to many
/// connections; where it must wait it is held by reference.
#[derive(Debug, Default, Clone, Copy)]
pub struct Message<'a> {
    /// Before the shared part.
    pub head: &'a [u8],
    /// The part that others get, too.
    pub shared: Option<&'a Bytes>,
    /// Behind the shared part.
    pub tail: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message of one piece.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { head: bytes, shared: None, tail: &[] }
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.head.len() + self.shared.map_or(0, Bytes::len) + self.tail.len()
    }

    /// Whether the message has no bytes, which is a valid message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_survives_the_way_there_and_back() {
        for bytes in [0, 1, 255, 256, 10_485_760, u32::MAX as usize] {
            let prefix = Prefix::parse(&Prefix::write(bytes));
            assert_eq!(prefix, Ok(Prefix { compressed: false, bytes }));
        }
        assert_eq!(Prefix::parse(&[1, 0, 0, 0, 9]), Ok(Prefix { compressed: true, bytes: 9 }));
        assert_eq!(Prefix::parse(&[2, 0, 0, 0, 9]), Err(PrefixError::BadFlag));
    }
}
