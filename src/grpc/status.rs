//! Status codes and their way over the wire.

use super::limits::STATUS_TEXT_BYTES_MAX;
use crate::http2::hpack::encode;

/// gRPC status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// None of the others.
    Unknown = 2,
    /// The request makes no sense.
    InvalidArgument = 3,
    /// The time was over.
    DeadlineExceeded = 4,
    /// No such thing.
    NotFound = 5,
    /// There is one already.
    AlreadyExists = 6,
    /// Not allowed.
    PermissionDenied = 7,
    /// A limit was reached.
    ResourceExhausted = 8,
    /// Not in this state.
    FailedPrecondition = 9,
    /// Stopped by a conflict.
    Aborted = 10,
    /// Beyond the valid range.
    OutOfRange = 11,
    /// No such method, or no such encoding.
    Unimplemented = 12,
    /// Something is broken, often the framing.
    Internal = 13,
    /// Try again later.
    Unavailable = 14,
    /// Data is lost.
    DataLoss = 15,
    /// Who are you?
    Unauthenticated = 16,
}

impl Status {
    /// The code as text.
    pub const fn text(self) -> &'static str {
        const TEXTS: [&str; 17] = [
            "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
            "16",
        ];
        TEXTS[self as usize]
    }
}

/// Appends `grpc-status` and, unless empty, `grpc-message` to a header block.
pub fn write(block: &mut Vec<u8>, status: Status, text: &str) {
    encode::literal(block, b"grpc-status", status.text().as_bytes());
    if !text.is_empty() {
        encode::literal(block, b"grpc-message", &percent_encoded(text));
    }
}

/// Text as `grpc-message` wants it: printable ASCII but `%` as it is, the rest as `%XX`.
fn percent_encoded(text: &str) -> Vec<u8> {
    let mut end = text.len().min(STATUS_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut coded = Vec::with_capacity(end);
    for (position, &byte) in text.as_bytes()[..end].iter().enumerate() {
        // A field may not begin or end with a space (RFC 9113, 8.2.1).
        let edge = byte == b' ' && (position == 0 || position + 1 == end);
        if matches!(byte, b' '..=b'~') && byte != b'%' && !edge {
            coded.push(byte);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            coded.push(b'%');
            coded.push(HEX[usize::from(byte >> 4)]);
            coded.push(HEX[usize::from(byte & 15)]);
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("plain: 1 < 2"), b"plain: 1 < 2");
        assert_eq!(percent_encoded("50%\n"), b"50%25%0A");
        assert_eq!(percent_encoded("é"), b"%C3%A9");
        assert_eq!(percent_encoded(" x "), b"%20x%20");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let text = "x".repeat(STATUS_TEXT_BYTES_MAX - 1) + "éé";
        assert_eq!(percent_encoded(&text).len(), STATUS_TEXT_BYTES_MAX - 1);
    }
}
