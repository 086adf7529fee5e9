//! Every bound of an HTTP/2 connection: its unit, how it was chosen, what happens beyond it.

use super::frame::FRAME_BYTES_MAX;

/// Stream window we grant, as the reference does: half of it is credited back at a time.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Connection window we grant. As the reference; bodies are bounded by the layer above, not by
/// this.
pub const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// The window both ends start with (RFC 9113, 6.9.2).
pub const WINDOW_BYTES_INITIAL: u32 = 65_535;
/// The largest window (RFC 9113, 6.9.1).
pub const WINDOW_BYTES_MAX: i64 = (1 << 31) - 1;
/// Streams a client may have open. gRPC clients queue what is above; a stream costs about 60 bytes.
pub const STREAMS_MAX: u32 = 256;
/// Header list we announce, as the reference does.
pub const HEADER_LIST_BYTES: u32 = 8_192;
/// Header list we bear. Above: 431, nothing kept.
pub const HEADER_LIST_BYTES_MAX: usize = 16_384;
/// Header list at which a block is an attack: 16 KiB of one-byte references to a large entry.
pub const HEADER_BOMB_BYTES: usize = 256 * 1024;
/// Encoded header block we gather. Above: GOAWAY.
pub const HEADER_BLOCK_BYTES_MAX: usize = 16_384;
/// Pieces of one header block. A client that fills its frames needs two.
pub const HEADER_BLOCK_FRAMES_MAX: u16 = 64;
/// Text of clients' header fields kept on a core. Known fields cost nothing more, and 64 MiB are
/// 6,000 connections that fill their tables with the shortest texts of their own. Above: such a
/// connection is ended.
pub const ATOM_BYTES_MAX: usize = 64 << 20;
/// Output written ahead of the socket. Above, DATA is held back as shared slices.
pub const OUT_BYTES_MAX: usize = 256 * 1024;
/// What frames outside flow control may add to that. Above: the connection is ended.
pub const OUT_CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Output held back by windows or a slow socket. Above: the connection is ended. Above the largest
/// message.
pub const HELD_BYTES_MAX: usize = 16 << 20;
/// Output held back on a core. Above: the connection that would hold more is ended.
pub const CORE_HELD_BYTES_MAX: usize = 512 << 20;
/// Time for preface and first SETTINGS.
pub const PREFACE_MS: u32 = 5_000;
/// Time for a frame or header block to become complete; at 16 KiB a frame that is 1.6 KB/s.
pub const FRAME_MS: u32 = 10_000;
/// Time to acknowledge our SETTINGS.
pub const SETTINGS_ACK_MS: u32 = 10_000;
/// Time without progress that held output, or a full socket, is borne.
pub const HELD_MS: u32 = 30_000;
/// Silence after which we PING; 0 is never. The reference says two hours.
pub const KEEP_ALIVE_MS: u32 = 7_200_000;
/// Time to answer that PING.
pub const KEEP_ALIVE_ANSWER_MS: u32 = 20_000;

const _: () = assert!(HEADER_LIST_BYTES as usize <= HEADER_LIST_BYTES_MAX);
const _: () = assert!(HEADER_LIST_BYTES_MAX < HEADER_BOMB_BYTES);
const _: () = assert!(HEADER_BLOCK_BYTES_MAX >= FRAME_BYTES_MAX);
const _: () = assert!(OUT_BYTES_MAX >= 2 * FRAME_BYTES_MAX);

/// The bounds an operator may set; the rest are constants.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// See [`STREAMS_MAX`].
    pub streams_max: u32,
    /// See [`ATOM_BYTES_MAX`].
    pub atom_bytes_max: usize,
    /// See [`HELD_BYTES_MAX`].
    pub held_bytes_max: usize,
    /// See [`CORE_HELD_BYTES_MAX`].
    pub core_held_bytes_max: usize,
    /// See [`HELD_MS`].
    pub held_ms: u32,
    /// See [`PREFACE_MS`].
    pub preface_ms: u32,
    /// See [`FRAME_MS`].
    pub frame_ms: u32,
    /// See [`SETTINGS_ACK_MS`].
    pub settings_ack_ms: u32,
    /// See [`KEEP_ALIVE_MS`].
    pub keep_alive_ms: u32,
    /// See [`KEEP_ALIVE_ANSWER_MS`].
    pub keep_alive_answer_ms: u32,
}

/// Most streams a connection can count.
const STREAMS_CEILING: u32 = 65_535;
/// Longest time told apart from the past on a 32-bit clock of milliseconds: 12 days.
const TIME_MS_CEILING: u32 = 1 << 30;

impl Limits {
    /// These limits, with values beyond what a connection record can hold lowered.
    pub fn within_bounds(self) -> Self {
        Self {
            streams_max: self.streams_max.min(STREAMS_CEILING),
            held_ms: self.held_ms.min(TIME_MS_CEILING),
            preface_ms: self.preface_ms.min(TIME_MS_CEILING / 2),
            frame_ms: self.frame_ms.min(TIME_MS_CEILING),
            settings_ack_ms: self.settings_ack_ms.min(TIME_MS_CEILING / 2),
            keep_alive_ms: self.keep_alive_ms.min(TIME_MS_CEILING),
            keep_alive_answer_ms: self.keep_alive_answer_ms.min(TIME_MS_CEILING / 2),
            held_bytes_max: self.held_bytes_max.min(1 << 31),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_max: STREAMS_MAX,
            atom_bytes_max: ATOM_BYTES_MAX,
            held_bytes_max: HELD_BYTES_MAX,
            core_held_bytes_max: CORE_HELD_BYTES_MAX,
            held_ms: HELD_MS,
            preface_ms: PREFACE_MS,
            frame_ms: FRAME_MS,
            settings_ack_ms: SETTINGS_ACK_MS,
            keep_alive_ms: KEEP_ALIVE_MS,
            keep_alive_answer_ms: KEEP_ALIVE_ANSWER_MS,
        }
    }
}
