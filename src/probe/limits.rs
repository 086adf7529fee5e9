//! Bounds of probes, with their units and how they were chosen.

/// Milliseconds until a connection must be there: the reference's.
pub const CONNECT_MS: u64 = 500;

/// Milliseconds from there until a GET must be answered, whole: the reference's. Dripping bytes do
/// not lengthen it.
pub const ANSWER_MS: u64 = 500;

/// Bytes of an answer that are read at most. What it says stands in its first line; the rest is
/// read only so that the peer's write does not fail.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes read at once.
pub const READ_BYTES: usize = 1_024;
