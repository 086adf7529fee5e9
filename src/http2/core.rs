//! What the connections of one core share: bounds, counters, header texts, scratch.

use super::counters::Counters;
use super::hpack::encode::Presets;
use super::hpack::{Atoms, Head, decode::Strings, repeat::Repeat};
use super::limits::Limits;

/// What the connections of one core share.
pub struct Core {
    /// Bounds.
    pub limits: Limits,
    /// What happened.
    pub counters: Counters,
    /// Header texts, kept once.
    pub atoms: Atoms,
    /// The head or trailers of the event last returned.
    pub head: Head,
    /// Now, in milliseconds of the caller's clock; only differences count. Set before each call.
    pub now_ms: u32,
    /// Response bytes held back on all connections.
    pub(super) held_bytes: usize,
    pub(super) repeat: Repeat,
    pub(super) strings: Strings,
    pub(super) presets: Presets,
}

impl Core {
    /// A core whose good answers begin with the fields `head` and end with the fields `done`.
    pub fn new(limits: Limits, head: &[(&str, &str)], done: &[(&str, &str)]) -> Self {
        Self {
            limits: limits.within_bounds(),
            counters: Counters::default(),
            atoms: Atoms::new(limits.atom_bytes_max),
            head: Head::default(),
            now_ms: 0,
            held_bytes: 0,
            repeat: Repeat::default(),
            strings: Strings::default(),
            presets: Presets::new(head, done),
        }
    }
    /// Response bytes held back on all connections of the core.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}
