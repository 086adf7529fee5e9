//! Frame heads and the few frames a client writes (RFC 9113, 4 and 6).

/// What a client says first (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame head.
pub const HEAD_BYTES: usize = 9;

/// The largest frame we accept; we never offer more than the protocol's initial 16,384.
pub const FRAME_BYTES_MAX: usize = 16_384;

/// Frame types (RFC 9113, 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags; which frame knows which is in the RFC.
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings (RFC 9113, 6.5.2).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// The nine bytes before each frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Payload bytes, at most 2^24 - 1.
    pub len: usize,
    pub kind: u8,
    pub flags: u8,
    /// Without the reserved bit.
    pub stream: u32,
}

impl Head {
    /// Reads a head.
    pub fn parse(bytes: &[u8; HEAD_BYTES]) -> Self {
        let len = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]) & 0x7fff_ffff;
        Self { len, kind: bytes[3], flags: bytes[4], stream }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame head.
pub fn put_head(len: usize, kind: u8, flags: u8, stream: u32, out: &mut Vec<u8>) {
    debug_assert!(len < 1 << 24);
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags, d, e, f, g]);
}

/// Appends a whole frame.
pub fn put_frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    put_head(payload.len(), kind, flags, stream, out);
    out.extend_from_slice(payload);
}

/// Appends a SETTINGS frame.
pub fn put_settings(settings: &[(u16, u32)], out: &mut Vec<u8>) {
    put_head(settings.len() * 6, kind::SETTINGS, 0, 0, out);
    for (id, value) in settings {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends a WINDOW_UPDATE for a stream, or for the connection (stream 0).
pub fn put_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    put_frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes(), out);
}

/// Takes padding and priority off a DATA or HEADERS payload. `None` when the padding is longer
/// than the frame (RFC 9113, 6.1).
pub fn unpadded<'a>(head: &Head, payload: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = payload;
    let mut padding = 0;
    if head.has(flag::PADDED) {
        let (first, tail) = rest.split_first()?;
        padding = usize::from(*first);
        rest = tail;
    }
    if head.kind == kind::HEADERS && head.has(flag::PRIORITY) {
        rest = rest.get(5..)?;
    }
    rest.get(..rest.len().checked_sub(padding)?)
}

/// The pairs of a SETTINGS payload.
pub fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    payload.chunks_exact(6).map(|pair| {
        let id = u16::from_be_bytes([pair[0], pair[1]]);
        (id, u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]))
    })
}

/// The 31-bit number at the start of a payload: a window increment or a last stream id.
pub fn number(payload: &[u8]) -> Option<u32> {
    let bytes = payload.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes) & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_survives_the_round() {
        let mut out = Vec::new();
        put_head(0x12_3456, kind::DATA, flag::END_STREAM, 0x7fff_ffff, &mut out);
        let head = Head::parse(out.first_chunk().unwrap());
        assert_eq!(head, Head { len: 0x12_3456, kind: kind::DATA, flags: 1, stream: 0x7fff_ffff });
    }

    #[test]
    fn writes_settings_as_java_does() {
        let mut out = Vec::new();
        put_settings(
            &[
                (setting::ENABLE_PUSH, 0),
                (setting::MAX_CONCURRENT_STREAMS, 0),
                (setting::INITIAL_WINDOW_SIZE, 1 << 20),
                (setting::MAX_HEADER_LIST_SIZE, 8192),
            ],
            &mut out,
        );
        // wire-samples/http2/java-nacos-client-3.1.1.jsonl, first client frame
        let wire = "000018040000000000000200000000000300000000000400100000000600002000";
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, wire);
    }

    #[test]
    fn padding_longer_than_the_frame_is_refused() {
        let head = |kind, flags| Head { len: 0, kind, flags, stream: 1 };
        let padded = head(kind::DATA, flag::PADDED);
        assert_eq!(unpadded(&padded, &[2, b'x', 0, 0]), Some(&b"x"[..]));
        assert_eq!(unpadded(&padded, &[2, 0]), None);
        assert_eq!(unpadded(&padded, &[]), None);
        let both = head(kind::HEADERS, flag::PADDED | flag::PRIORITY);
        assert_eq!(unpadded(&both, &[1, 0, 0, 0, 0, 9, b'x', 0]), Some(&b"x"[..]));
        assert_eq!(unpadded(&both, &[1, 0, 0, 0]), None);
    }
}
