//! What happened on the connections of one core. Plain numbers: one core, no atomics.

use super::error::Reason;

/// Counters since start. Only grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Connections ended by us, by [`Reason`]; read with [`Counters::closed`].
    closed: [u64; Reason::ALL.len()],
    /// Streams opened by clients and accepted.
    pub streams_opened: u64,
    /// Streams refused: too many at once, or the connection is going away.
    pub streams_refused: u64,
    /// Streams reset by clients.
    pub streams_reset_by_peer: u64,
    /// Streams reset by us because of the client's fault.
    pub streams_reset_by_us: u64,
    /// Heads answered 431.
    pub header_lists_too_large: u64,
    /// Frames that came for streams already gone, and were dropped.
    pub frames_late: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            closed: [0; Reason::ALL.len()],
            streams_opened: 0,
            streams_refused: 0,
            streams_reset_by_peer: 0,
            streams_reset_by_us: 0,
            header_lists_too_large: 0,
            frames_late: 0,
        }
    }
}

impl Counters {
    /// Connections ended for this reason.
    pub fn closed(&self, reason: Reason) -> u64 {
        self.closed[reason as usize]
    }

    /// Notes the end of a connection.
    pub fn note_closed(&mut self, reason: Reason) {
        self.closed[reason as usize] += 1;
    }

    /// Every reason with its count, for the metrics page.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL.iter().map(|reason| (reason.name(), self.closed(*reason)))
    }
}
