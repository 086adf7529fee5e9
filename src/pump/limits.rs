//! Bounds of the loop, with their units and how they were chosen.

/// Bytes waiting to be read by one client above which nothing more is pushed to it: the
/// reference's stream counts as not ready above 32 KiB.
pub const CONGESTED_BYTES: usize = 32 * 1024;

/// Bytes below which it gets pushes again.
pub const RELIEVED_BYTES: usize = 8 * 1024;

/// Bytes queued for all clients of a core above which the hand-out of pushes pauses: what the
/// kernel has not taken is our memory.
pub const OUTSTANDING_BYTES_PAUSE: usize = 64 * 1024 * 1024;

/// Longest such pause, in milliseconds: clients that do not read must not stop the others.
pub const OUTSTANDING_PAUSE_MS: u64 = 20;

/// Messages of other cores taken in one turn, so that sockets get their turn too.
pub const MESH_PER_TURN_MAX: usize = 4_096;

/// Turns without work before the core sleeps: a message that is about to come is cheaper to wait
/// for than a sleep and a wake-up (40 µs).
pub const IDLE_TURNS_BEFORE_SLEEP: u32 = 2;

/// Milliseconds clients get to leave after they were told that the node stops.
pub const DRAIN_MS: u64 = 10_000;

/// Milliseconds between two looks at what the metrics show of a shard.
pub const GAUGES_MS: u64 = 100;

const _: () = assert!(RELIEVED_BYTES < CONGESTED_BYTES, "or congestion would flap");
