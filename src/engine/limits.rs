//! Every bound of the socket engine, with its unit and how it was chosen.

/// Accepts under way at once per ring. One-shot accepts carry the peer's address, which multishot
/// ones do not; 64 of them took 100,000 connections in 3.8 s, as fast as multishot.
pub const ACCEPTS_IN_FLIGHT: usize = 64;

/// Slots of each ring that never hold a client for long: with all others taken, a connection is
/// accepted into one of these and closed at once, so that nobody hangs in the listen backlog.
pub const TURN_AWAY_SLOTS: u32 = 64;

/// Most slots of one ring. The kernel's table of cancellable requests has 256 buckets a ring, so a
/// cancel in a ring of 65,536 armed receives walks 256 entries; with a million it would walk 4,096.
pub const RING_SLOTS_MAX: u32 = 65_536;

/// Most rings of one engine: 64 rings of the smallest usual `nofile` (20,000) exceed a million.
pub const RINGS_MAX: usize = 64;

/// Slots of a ring that may lie free below a tenant before the kernel is sent back to the lowest: a
/// burst of clients that leave at once is no reason yet.
pub const SPARE_SLOTS_MAX: u32 = 512;

/// Submission queue entries of a ring. A fuller turn submits in between; nothing is dropped.
pub const SUBMISSIONS_MAX: u32 = 512;

/// Completion queue entries of a ring. Beyond it the kernel keeps completions and we fetch them.
pub const COMPLETIONS_MAX: u32 = 2_048;

/// Completions copied out of a ring at a time (16 bytes each, on the stack).
pub const COMPLETION_BATCH: usize = 64;

/// Completions handled in one turn: a flood on the sockets must not starve other cores' messages.
pub const EVENTS_PER_TURN_MAX: usize = 1_024;

/// Receive buffers of a ring, a power of two. They are given back within the batch that used them;
/// when none is left the kernel ends the receive with ENOBUFS and it is armed again.
pub const RECEIVE_BUFFERS: u16 = 256;

/// Bytes of one receive buffer. Small requests touch only the first lines of it; a 16 KiB HTTP/2
/// frame takes four. 256 × 4 KiB is 1 MiB a ring, resident only once used.
pub const RECEIVE_BUFFER_BYTES: u32 = 4_096;

/// Bytes that may wait to be read by one client before it is disconnected ([`BacklogFull`]).
/// Above the largest message (10 MiB) and its framing.
///
/// [`BacklogFull`]: crate::engine::CloseWhy::BacklogFull
pub const BACKLOG_BYTES_MAX: usize = 12 * 1_024 * 1_024;

/// Bytes of empty send buffers kept for reuse per core; more is given back to the allocator.
pub const SPARE_BYTES_MAX: usize = 512 * 1_024;

/// A buffer that grew beyond this many bytes is given back, not kept. The answers of a turn to one
/// busy connection fit: a handful of lists of ten instances is 20 KiB.
pub const SPARE_BUFFER_BYTES_MAX: usize = 64 * 1_024;

/// First capacity of a send buffer, in bytes: most answers of a turn fit without growing.
pub const SEND_BUFFER_BYTES: usize = 512;

/// A lingering close gives up after this many milliseconds: time for the last answer to be read.
pub const LINGER_MS: u64 = 2_000;

/// After the kernel refused an accept for want of memory or files, try again this much later.
pub const ACCEPT_RETRY_MS: u64 = 100;

/// Connections waiting in a listener's backlog; the kernel cuts it to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4_096;

/// Milliseconds an engine waits for the kernel to give its buffers back when it is dropped; after
/// that the memory is leaked, because the kernel may still write to it.
pub const DROP_WAIT_MS: u64 = 2_000;

const _: () = assert!(RECEIVE_BUFFERS.is_power_of_two());
const _: () = assert!(ACCEPTS_IN_FLIGHT <= TURN_AWAY_SLOTS as usize, "all may be turned away");
const _: () = assert!(RING_SLOTS_MAX <= 1 << 20, "a completion's tag has 20 bits for the slot");
const _: () = assert!((RINGS_MAX as u64) * (RING_SLOTS_MAX as u64) < u32::MAX as u64);
