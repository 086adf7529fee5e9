//! The one place that reads a clock, once a turn. Everybody else is told the time.

use nacre_shards::message::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A turn that comes this long after the one before it was stalled by ourselves: deadlines move by
/// the gap, because those who should have met them were not heard meanwhile.
pub const STALL_MS: u64 = 1_000;

/// When the process started, on both clocks; the same for all cores.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    start: Instant,
    start_unix_ms: u64,
}

impl Epoch {
    /// Reads both clocks. Once per process.
    #[allow(clippy::disallowed_methods)] // This file is the place.
    pub fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { start: Instant::now(), start_unix_ms: wall.as_millis() as u64 }
    }
}

impl Epoch {
    /// Microseconds since the start, read now: where a latency is measured.
    pub fn elapsed_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// The wall clock now, for a tool that has no core, Unix ms.
pub fn unix_ms() -> u64 {
    Epoch::now().start_unix_ms
}

/// One core's clock. A wall clock that is set while we run changes nothing here: Unix time is the
/// wall's at the start plus what has passed since.
#[derive(Debug)]
pub struct Clock {
    epoch: Epoch,
    last_ms: u64,
}

/// What a look at the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    pub now: Now,
    /// Milliseconds since the turn before, when they exceed [`STALL_MS`]; else 0. A sleep counts
    /// only by what it lasted beyond its end ([`Clock::rested`]).
    pub stall_ms: u64,
}

impl Clock {
    pub fn new(epoch: Epoch) -> Self {
        let mut clock = Self { epoch, last_ms: 0 };
        clock.last_ms = clock.elapsed_ms();
        clock
    }

    /// Reads the clock for a turn.
    pub fn tick(&mut self) -> Tick {
        let elapsed_ms = self.elapsed_ms();
        self.pass(elapsed_ms)
    }

    /// To be called after a sleep that was meant to last until `until_ms` at most (`None`: until
    /// woken): that time was rest, not a stall.
    pub fn rested(&mut self, until_ms: Option<u64>) {
        let now = self.elapsed_ms();
        self.last_ms = self.last_ms.max(until_ms.map_or(now, |until| until.min(now)));
    }

    /// Microseconds since the start, read now: where a latency is measured, not once a turn.
    pub fn precise_us(&self) -> u64 {
        self.epoch.elapsed_us()
    }

    fn pass(&mut self, elapsed_ms: u64) -> Tick {
        // Instant does not go back; max() says so where it is relied on.
        let tick_ms = elapsed_ms.max(self.last_ms);
        let gap_ms = tick_ms - self.last_ms;
        self.last_ms = tick_ms;
        Tick {
            now: Now { tick_ms, unix_ms: self.epoch.start_unix_ms + tick_ms },
            stall_ms: if gap_ms > STALL_MS { gap_ms } else { 0 },
        }
    }

    fn elapsed_ms(&self) -> u64 {
        self.epoch.start.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gap_of_more_than_a_second_is_a_stall() {
        let mut clock = Clock::new(Epoch::now());
        clock.last_ms = 10_000;
        let unix_ms = clock.epoch.start_unix_ms;
        let at = |tick_ms| Now { tick_ms, unix_ms: unix_ms + tick_ms };
        assert_eq!(clock.pass(11_000), Tick { now: at(11_000), stall_ms: 0 });
        assert_eq!(clock.pass(12_001), Tick { now: at(12_001), stall_ms: 1_001 });
        assert_eq!(clock.pass(12_002), Tick { now: at(12_002), stall_ms: 0 });
        assert_eq!(clock.pass(12_000), Tick { now: at(12_002), stall_ms: 0 }, "never back");
    }

    #[test]
    fn a_sleep_is_no_stall_but_what_exceeds_it_is() {
        let mut clock = Clock::new(Epoch::now());
        clock.epoch.start = clock.epoch.start.checked_sub(Duration::from_secs(100)).unwrap();
        clock.last_ms = 10_000;
        clock.rested(None);
        assert_eq!(clock.tick().stall_ms, 0);
        clock.last_ms = 10_000;
        clock.rested(Some(90_000));
        assert!(clock.tick().stall_ms >= 10_000, "woken ten seconds late");
    }
}
