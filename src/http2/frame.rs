//! Frames on the wire (RFC 9113, 4 and 6): the nine-byte head, and the frames a server writes.

use super::error::ErrorCode;

/// What a client sends before its first frame.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame head.
pub const HEAD_BYTES: usize = 9;
/// Payload we accept and send; the protocol's initial value, never raised.
pub const FRAME_BYTES_MAX: usize = 16_384;

/// The stream or the list of the frame ends here.
pub const END_STREAM: u8 = 0x1;
/// SETTINGS or PING answers one of ours.
pub const ACK: u8 = 0x1;
/// The header block ends here.
pub const END_HEADERS: u8 = 0x4;
/// A padding length comes first.
pub const PADDED: u8 = 0x8;
/// Five bytes of priority come first.
pub const PRIORITY_FLAG: u8 = 0x20;

/// Frame types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Body bytes, flow-controlled.
    Data = 0x0,
    /// Opens a stream or ends it with trailers.
    Headers = 0x1,
    /// Deprecated, still sent.
    Priority = 0x2,
    /// Ends a stream at once.
    RstStream = 0x3,
    /// What the sender allows.
    Settings = 0x4,
    /// Servers only; from a client an error.
    PushPromise = 0x5,
    /// Round trips and liveness.
    Ping = 0x6,
    /// No new streams.
    GoAway = 0x7,
    /// Credit for DATA.
    WindowUpdate = 0x8,
    /// More of a header block.
    Continuation = 0x9,
    /// Anything else, ignored.
    Unknown = 0xff,
}

impl Kind {
    fn from_wire(byte: u8) -> Self {
        match byte {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::RstStream,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of payload.
    pub bytes: usize,
    /// Type.
    pub kind: Kind,
    /// Flags.
    pub flags: u8,
    /// Stream, 0 for the connection.
    pub stream: u32,
}

impl Frame {
    /// Reads a frame head; `None` while fewer than [`HEAD_BYTES`] are there.
    pub fn parse(input: &[u8]) -> Option<Self> {
        let head = input.first_chunk::<HEAD_BYTES>()?;
        Some(Self {
            bytes: u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize,
            kind: Kind::from_wire(head[3]),
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
        })
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A frame head.
pub fn head(bytes: usize, kind: Kind, flags: u8, stream: u32) -> [u8; HEAD_BYTES] {
    debug_assert!(bytes <= FRAME_BYTES_MAX);
    let [_, length @ ..] = (bytes as u32).to_be_bytes();
    let id = stream.to_be_bytes();
    [length[0], length[1], length[2], kind as u8, flags, id[0], id[1], id[2], id[3]]
}

/// Appends a frame head.
pub fn write_head(out: &mut Vec<u8>, bytes: usize, kind: Kind, flags: u8, stream: u32) {
    out.extend_from_slice(&head(bytes, kind, flags, stream));
}

/// Appends a WINDOW_UPDATE.
pub fn write_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    write_head(out, 4, Kind::WindowUpdate, 0, stream);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends a RST_STREAM.
pub fn write_reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    write_head(out, 4, Kind::RstStream, 0, stream);
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends a PING.
pub fn write_ping(out: &mut Vec<u8>, flags: u8, opaque: &[u8]) {
    write_head(out, opaque.len(), Kind::Ping, flags, 0);
    out.extend_from_slice(opaque);
}

/// Appends a GOAWAY. Debug text beyond a frame is cut.
pub fn write_go_away(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode, debug: &str) {
    let debug = &debug.as_bytes()[..debug.len().min(FRAME_BYTES_MAX - 8)];
    write_head(out, 8 + debug.len(), Kind::GoAway, 0, 0);
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
    out.extend_from_slice(debug);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_the_way_there_and_back() {
        let bytes = head(16_384, Kind::Data, END_STREAM | PADDED, 0x7fff_ffff);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.bytes, frame.kind, frame.stream), (16_384, Kind::Data, 0x7fff_ffff));
        assert!(frame.has(PADDED) && !frame.has(END_HEADERS));
        assert_eq!(Frame::parse(&bytes[..8]), None);
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let frame = Frame::parse(&[0, 0, 0, 6, 0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        assert_eq!(frame.stream, 0x7fff_ffff);
    }
}
