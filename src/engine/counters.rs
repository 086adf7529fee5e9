//! What one engine counted since it started. Plain numbers: one core writes, the same core reads.

/// What one engine counted since it started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Connections handed to the handler.
    pub accepted: u64,
    /// Connections accepted and closed at once because every slot was taken.
    pub turned_away: u64,
    /// Accepts the kernel refused (out of files, memory, or the peer gave up).
    pub accept_errors: u64,
    /// Connections ended, each once; the sum over [`CloseWhy`](crate::engine::CloseWhy).
    pub closed: u64,
    /// Of these, because the client let too much wait.
    pub closed_backlog_full: u64,
    /// Of these, with a reset by the peer.
    pub closed_reset: u64,
    /// Lingering closes that ran out of time.
    pub linger_timeouts: u64,
    /// Chunks received, and their bytes.
    pub receives: u64,
    pub received_bytes: u64,
    /// Receives that found no free buffer and were armed again.
    pub receive_buffers_short: u64,
    /// Sends finished, and their bytes.
    pub sends: u64,
    pub sent_bytes: u64,
    /// Immediate acknowledgements asked for, and those the kernel refused.
    pub quick_acks: u64,
    pub quick_acks_refused: u64,
    /// System calls made, and completions they brought.
    pub enters: u64,
    pub completions: u64,
    /// Rings the kernel would not give when the others were full.
    pub rings_refused: u64,
}
