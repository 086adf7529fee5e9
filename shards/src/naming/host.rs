//! One published instance.

use crate::key::Core;
use crate::message::Now;

/// What one client publishes for one service. Replaces whatever it published before.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    pub hosts: Box<[Host]>,
}

/// One instance, compact: its free text in one allocation, the rest as numbers and flags.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    text: Box<str>,
}

/// Source of snowflake instance ids of one core.
#[derive(Debug, Clone)]
pub struct Ids {
    core: Core,
    last: u64,
}

impl Ids {
    pub fn new(core: Core) -> Self {
        Self { core, last: 0 }
    }

    /// The next id.
    pub fn next(&mut self, now: Now) -> u64 {
        self.last = (self.last + 1).max(now.unix_ms) | u64::from(self.core.0);
        self.last
    }
}
