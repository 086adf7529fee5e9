//! Bounds of the HTTP/1 side of one core, and what happens when one is reached.

/// Connections of one core; over it a connection is closed as soon as it is accepted, counted. A
/// 1.x client holds one or two; the million-connection path is the other port.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Bytes of one request's head; over it 431, connection closed. The reference allows as much, since
/// its clients put long lists into the query. (A target alone may have 65,534 bytes: the `http`
/// crate ends there, with 414.)
pub const HEAD_BYTES_MAX: usize = 512 * 1024;

/// Bytes of all unfinished heads of one core; the connection that would exceed it is closed,
/// counted. Room for 32 of the longest heads, or 16,384 of 1 KiB.
pub const HEAD_BYTES_CORE_MAX: usize = 16 * 1024 * 1024;

/// Seconds from a connection's or a head's first moment to the head's end; then it is closed,
/// counted. A head sent a byte a second holds its place no longer than this.
pub const HEAD_SECONDS: u16 = 10;

/// Seconds a connection may be idle after an answer, and the time to read that answer in.
pub const IDLE_SECONDS: u16 = 60;

/// Seconds from a request's head to its answer, its body included.
pub const ANSWER_SECONDS: u16 = 60;

/// Bytes read from a socket at a time, into one page of the core: an idle connection holds none.
pub const READ_BYTES: usize = 8 * 1024;

/// Connections taken from the listener before the core's other tasks have their turn.
pub const ACCEPTS_AT_ONCE: usize = 64;

/// Connections whose news is taken at a time; more of them wait for the next look.
pub const EVENTS_PER_LOOK: usize = 256;

/// Milliseconds to wait after the kernel refused an accept for want of files or memory.
pub const ACCEPT_RETRY_MS: u64 = 100;

/// Seconds a stop waits for answers under way.
pub const DRAIN_SECONDS: u16 = 5;

const _: () = assert!(HEAD_BYTES_MAX <= HEAD_BYTES_CORE_MAX);
// Every connection may have a usual head under way at once.
const _: () = assert!(CONNECTIONS_MAX * USUAL_HEAD_BYTES <= HEAD_BYTES_CORE_MAX);

/// Bytes of the heads of real 1.x clients, at most.
const USUAL_HEAD_BYTES: usize = 1_024;

/// Bytes of bodies of one core that are being read; the request that would exceed it is answered
/// 503, counted. Twenty of the longest configs at once.
pub const BODY_BYTES_CORE_MAX: usize = 256 * 1024 * 1024;

/// Bytes from which an answer is compressed for those who take it: see `reply::compressed`.
pub const GZIP_BYTES_MIN: usize = 16 * 1024;

/// Nice value of the thread beside a core: a tenth of the core's own weight.
pub const BESIDE_NICE: i32 = 10;
