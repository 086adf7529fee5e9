//! Bounds of the loop, with their units and how they were chosen.

use crate::engine::limits::EVENTS_PER_TURN_MAX;
use nacre_shards::limits::PUSHES_PER_TURN_MAX;

/// Bytes waiting to be read by one client above which nothing more is pushed to it: the
/// reference's stream counts as not ready above 32 KiB.
pub const CONGESTED_BYTES: usize = 32 * 1024;

/// Bytes below which it gets pushes again.
pub const RELIEVED_BYTES: usize = 8 * 1024;

/// Bytes queued for all clients of a core above which pushes are handed out in small numbers only:
/// what the kernel has not taken is our memory.
pub const OUTSTANDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Pushes per turn while it is crowded.
pub const CROWDED_PUSHES_PER_TURN: usize = 8;

/// Pushes per turn while more completions wait than a turn handles. Each push leads to two of them
/// (sent, acknowledged): with these a backlog shrinks.
pub const PUSHES_BESIDE_INPUT: usize = EVENTS_PER_TURN_MAX / 16;

/// Pushes in a row without a look at what has arrived: some 8 ms, so that the last of a thousand
/// subscribers does not wait for the first ones' acknowledgements. Where more wait there is no row:
/// those who ask in between would wait for it, and the last of them is not near anyway.
pub const PUSHES_IN_A_ROW: usize = PUSHES_PER_TURN_MAX;

/// Pushes a turn beyond those, until nothing waits: with their acknowledgements a tenth of a
/// millisecond, so that the requests of others in between wait no longer.
pub const PUSHES_BESIDE_CROWD: usize = 8;

/// Pushes written before the kernel gets them: of 1,000 pushes at 1.4 µs each the first would
/// otherwise wait for the last.
pub const PUSHES_PER_SUBMIT: usize = 64;

/// Messages of other cores taken in one turn, so that sockets get their turn too.
pub const MESH_PER_TURN_MAX: usize = 4_096;

/// Milliseconds between two looks at what the metrics show of a shard.
pub const GAUGES_MS: u64 = 100;

/// Milliseconds more when nothing happened since the last one.
pub const QUIET_MS: u64 = 900;

/// Connections that must have come and gone before freed memory is given back: below that it is
/// not worth the milliseconds.
pub const CROWD_MIN: u64 = 4_096;

/// Milliseconds until memory is given back once more after a crowd has settled: the allocator holds
/// what was just freed for a second.
pub const GIVE_BACK_AGAIN_MS: u64 = 3_000;

/// Calls of the open API of one core that wait for their answer: each is held by an HTTP
/// connection. One more is refused with 503.
pub const CALLS_UNDER_WAY_MAX: usize = 16_384;

/// Calls taken in one turn, so that sockets get their turn too.
pub const CALLS_PER_TURN_MAX: usize = 1_024;

/// Acknowledgements of datagrams that wait for the pump; more are dropped, and their datagrams
/// repeated.
pub const DATAGRAMS_RECEIVED_MAX: usize = 1_024;

/// Bytes of one UDP payload over IPv4.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Questions about history that wait for the disk: its thread has checkpoints to write as well. One
/// more is answered 503.
pub const LOOKS_UNDER_WAY_MAX: usize = 64;

/// Rows of history read in one job of the storage thread, whatever their size: at most 160 MiB are
/// looked at before it can do something else.
pub const PAST_ROWS_PER_JOB: usize = 16;

/// Calls of one core that wait until a password was compared, and the bytes they may have
/// together: SDKs send tokens, so these are few. One more is answered 503.
pub const HELD_CALLS_MAX: usize = 64;
pub const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(RELIEVED_BYTES < CONGESTED_BYTES, "or congestion would flap");
