//! The only place where time is read: once a turn, and precisely where a latency is measured.
#![allow(clippy::disallowed_methods)] // The one place that may; see .clippy.toml.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A turn that comes this much late means that the process did not run, not that clients are gone.
pub const STALL_MS: u64 = 1_000;

/// The time of one process, the same on all its cores.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_unix_ms: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Reads the wall clock, once: what it does later moves nothing here.
    pub fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_unix_ms: unix.as_millis() as u64 }
    }

    /// Microseconds since the start.
    pub fn precise_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Milliseconds since the start; never goes back.
    pub fn tick_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// Unix milliseconds; never goes back within a process.
    pub fn unix_ms(&self) -> u64 {
        self.start_unix_ms + self.tick_ms()
    }
}
