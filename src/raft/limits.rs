//! Every bound of this room, with its unit, how it was chosen, and what happens when it is reached.

use std::time::Duration;

/// Proposals that wait for their turn. 16,384 are what all lanes of one core may carry; beyond it
/// a proposal is refused [`ProposeError::Full`](super::ProposeError::Full).
pub const QUEUE_ITEMS_MAX: usize = 16_384;

/// Bytes of commands that wait for their turn: half a second of a disk that writes 128 MiB/s.
/// Refused likewise.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Commands in one log entry. Openraft's cost of an entry, some 20 µs, is nothing when shared by
/// this many; more would only make the slowest answer of a batch later.
pub const BATCH_COMMANDS_MAX: usize = 1 << POSITION_BITS;

/// Bits of a command's position that say its place in its entry.
pub const POSITION_BITS: u32 = 10;

/// Bytes of commands in one log entry, unless one command alone is larger.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Bytes of one command: the largest config the wire can carry (10 MiB) and what surrounds it.
/// More is refused [`ProposeError::TooLarge`](super::ProposeError::TooLarge).
pub const COMMAND_BYTES_MAX: usize = 12 << 20;

/// Commands applied in a row before the core's other tasks have their turn: at 2 µs each, an
/// eighth of a millisecond.
pub const APPLY_SLICE: usize = 64;

/// Commands applied before readers are shown the result and answers leave, while catching up.
pub const SETTLE_COMMANDS_MAX: usize = 1_024;

/// A checkpoint is written when so many commands were applied since the last,
pub const CHECKPOINT_COMMANDS: u64 = 4_096;

/// or when their records have so many bytes,
pub const CHECKPOINT_BYTES: usize = 8 << 20;

/// or after so long, when there is anything to write.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// Bytes of records that may wait for the next checkpoint while one is being written. Beyond it
/// applying waits, so that a slow disk turns into a full queue and not into memory.
pub const CHECKPOINT_WAITING_BYTES_MAX: usize = 32 << 20;

/// Log entries kept behind the checkpoint for members that fell behind.
pub const LOG_KEEP_ENTRIES: u64 = 10_000;

/// Bytes of them, whichever is less.
pub const LOG_KEEP_BYTES: u64 = 32 << 20;

/// The same in a group of one, where nobody falls behind: what a start may look at once more.
pub const LOG_KEEP_ALONE_BYTES: u64 = 1 << 20;

/// Bytes of applied log entries kept in memory for members that are a little behind.
pub const LOG_CACHE_BYTES: usize = 4 << 20;

/// Bytes of entries handed to a member in one message, unless one entry alone is larger.
pub const LOG_READ_BYTES_MAX: usize = 4 << 20;

/// Bytes the log's thread keeps to put the next commit together in: a usual batch of 64 contents
/// of 1 KiB, twice.
pub const LOG_BUFFER_BYTES: usize = 128 << 10;

/// Slots of the log's file that hold nothing and stay: what comes between two checkpoints. Few in
/// tests, so that there, too, slots are let go of.
pub const LOG_FREE_SLOTS_MAX: usize = if cfg!(test) { 1 } else { 8 };

/// How long a storage thread waits for work before it looks after itself.
pub const STORAGE_IDLE: Duration = Duration::from_millis(100);

/// Jobs handed to one storage thread and not finished. Who has one more waits.
pub const STORAGE_JOBS_MAX: usize = 64;

/// Memory redb may use for pages of one file, in bytes. Its default is 1 GiB; the state is in
/// memory already, so this only has to hold the upper pages of its trees (1 MiB at 64,000 configs)
/// and what of a checkpoint is being written: records are written in the order of their keys, so
/// that no page is needed again that was written.
pub const STORE_CACHE_BYTES: usize = 4 << 20;

/// Commands after which memory is given back once nothing waits for a checkpoint: a burst as large
/// as a quarter of a checkpoint's leaves free blocks the allocator would keep.
pub const GIVE_BACK_COMMANDS: u64 = CHECKPOINT_COMMANDS / 4;

/// Bytes appended to the log after which its thread gives memory back once it is idle.
pub const GIVE_BACK_LOG_BYTES: usize = 1 << 20;

/// Bytes of records in one piece of a snapshot, unless one record alone is larger.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Snapshots being read at a time: one per member of a large group. One more is refused.
pub const READERS_MAX: usize = 16;

/// Free space below which writes are refused, in bytes, unless `nacre.store.reserve-bytes` says
/// otherwise: room for two checkpoints and the log between them.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// Writes are taken again when free space is the reserve and a quarter of it, so that the state
/// does not flicker; and at least this many bytes, after a write has met a full disk.
pub const REOPEN_FREE_BYTES_MIN: u64 = 8 << 20;

/// How often free space is asked for and a node that ran out of it looks whether it may go on.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The leader's sign of life to members that have nothing else to be told, in milliseconds.
pub const HEARTBEAT_MS: u64 = 500;

/// Least and most time a member waits for a sign of life before it stands for election, in
/// milliseconds. One member alone never waits.
pub const ELECTION_MS: (u64, u64) = (1_500, 3_000);

/// Messages between openraft's own tasks; who has one more waits.
pub const RAFT_CHANNEL_ITEMS: u64 = 1_024;

/// Bytes of text kept of a member's address.
pub const ADDRESS_BYTES_MAX: usize = 512;

const _: () = assert!(BATCH_BYTES_MAX <= COMMAND_BYTES_MAX && COMMAND_BYTES_MAX <= QUEUE_BYTES_MAX);
const _: () = assert!(CHECKPOINT_BYTES < CHECKPOINT_WAITING_BYTES_MAX, "or applying always waits");
const _: () = assert!(HEARTBEAT_MS * 2 < ELECTION_MS.0, "or one lost heartbeat is an election");
