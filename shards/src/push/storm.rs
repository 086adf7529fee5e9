//! Whether clients come back after a restart of ours: many, and for a while.
//!
//! The clients of a service come back one by one, registrations of Java's with the next turn of a
//! redo task (3 s), and each changes a list that those before it would be told at once. That is
//! five pushes a client instead of one, and each list but the last is a part of the true one, which
//! the client had before. So while it lasts, changes of services that were not there before wait
//! for [`STORM_HOLD_MS`](crate::limits::STORM_HOLD_MS) to be told together.

use crate::limits::{STORM_AFTER_START_MS, STORM_WINDOW_MS, STORM_WINDOWS};

/// Set-ups of one core, counted by windows of time.
#[derive(Debug)]
pub(crate) struct Storm {
    /// What a full window has; 0 for a storm that never ends.
    arrivals_min: u64,
    /// When the node has run for so long that who comes does not come back.
    ends_ms: u64,
    window_began_ms: u64,
    arrived: u64,
    /// Windows in a row that were full of arrivals.
    windows: u64,
}

impl Storm {
    /// Nobody has come yet.
    pub fn new(arrivals_min: u64) -> Self {
        Self { arrivals_min, ends_ms: 0, window_began_ms: 0, arrived: 0, windows: 0 }
    }

    /// The node serves from now on.
    pub fn node_started(&mut self, now_ms: u64) {
        self.ends_ms = now_ms + STORM_AFTER_START_MS;
    }

    /// A client was set up.
    pub fn arrival(&mut self, now_ms: u64) {
        self.close_window(now_ms);
        self.arrived += 1;
    }

    /// Whether changes wait to be told together.
    pub fn rages(&mut self, now_ms: u64) -> bool {
        self.close_window(now_ms);
        let may_be = now_ms < self.ends_ms && self.windows >= STORM_WINDOWS;
        may_be || self.arrivals_min == 0
    }

    /// Judges the window that is over. Who arrives closes it as well, so if it was left open for
    /// longer nobody has come since.
    fn close_window(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.window_began_ms);
        if passed_ms < STORM_WINDOW_MS {
            return;
        }
        let full = passed_ms < 2 * STORM_WINDOW_MS && self.arrived >= self.arrivals_min;
        self.windows = if full { self.windows + 1 } else { 0 };
        self.window_began_ms = now_ms;
        self.arrived = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: u64 = 125;
    const START_MS: u64 = 1_000_000;

    fn after_start() -> Storm {
        let mut storm = Storm::new(ENOUGH);
        storm.node_started(START_MS);
        storm
    }

    /// Lets so many arrive each window; how many windows raged.
    fn windows(storm: &mut Storm, from_ms: u64, windows: u64, arrivals: u64) -> u64 {
        let mut raging = 0;
        for window in 0..windows {
            let now_ms = from_ms + window * STORM_WINDOW_MS;
            raging += u64::from(storm.rages(now_ms));
            for _ in 0..arrivals {
                storm.arrival(now_ms);
            }
        }
        raging
    }

    #[test]
    fn only_a_crowd_that_lasts_is_a_storm_and_it_ends_at_once() {
        let mut storm = after_start();
        let start = START_MS;
        assert_eq!(windows(&mut storm, start, 1_000, ENOUGH - 1), 0, "too few");
        let start = start + 1_000 * STORM_WINDOW_MS;
        assert_eq!(windows(&mut storm, start, STORM_WINDOWS, ENOUGH), 0, "not for long yet");
        let start = start + STORM_WINDOWS * STORM_WINDOW_MS;
        assert_eq!(windows(&mut storm, start, 100, ENOUGH), 100);
        let start = start + 100 * STORM_WINDOW_MS;
        assert!(storm.rages(start));
        let start = start + STORM_WINDOW_MS;
        assert!(!storm.rages(start), "nobody came any more");
        assert_eq!(windows(&mut storm, start, STORM_WINDOWS, ENOUGH), 0);
    }

    #[test]
    fn a_large_crowd_at_once_is_none() {
        let mut storm = after_start();
        assert_eq!(windows(&mut storm, START_MS, 2, 100_000), 0);
        assert!(!storm.rages(START_MS + 60_000));
    }

    #[test]
    fn a_node_that_has_run_for_long_has_none() {
        let mut storm = after_start();
        let late_ms = START_MS + STORM_AFTER_START_MS - 50 * STORM_WINDOW_MS;
        assert_eq!(windows(&mut storm, late_ms, 100, ENOUGH), 50 - STORM_WINDOWS);
    }
}
