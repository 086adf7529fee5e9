//! When things are due: a fixed schedule that does not wait for anybody.

use std::time::Duration;

/// So many things each period, evenly, from a moment on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    from_ns: u64,
    period_ns: u64,
    per_period: u64,
    begun: u64,
}

impl Schedule {
    /// `per_period` things each `period`, from now on; a zero of either is never.
    pub(super) fn new(period: Duration, per_period: usize, now_ns: u64) -> Self {
        let period_ns = period.as_nanos() as u64;
        Self { from_ns: now_ns, period_ns, per_period: per_period as u64, begun: 0 }
    }

    /// When the next one is due; `u64::MAX` for never.
    pub(super) fn due_ns(&self) -> u64 {
        if self.period_ns == 0 || self.per_period == 0 {
            return u64::MAX;
        }
        let offset = u128::from(self.begun) * u128::from(self.period_ns);
        self.from_ns + (offset / u128::from(self.per_period)) as u64
    }

    /// The number of what is due by now and the time it was meant for.
    pub(super) fn next(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let due_ns = self.due_ns();
        (due_ns <= now_ns).then(|| {
            self.begun += 1;
            (self.begun - 1, due_ns)
        })
    }

    /// The same pace, from now on.
    pub(super) fn restart(&mut self, now_ns: u64) {
        (self.from_ns, self.begun) = (now_ns, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_keeps_its_time() {
        let mut schedule = Schedule::new(Duration::from_nanos(10), 3, 100);
        assert_eq!(schedule.next(99), None);
        let times: Vec<_> = std::iter::from_fn(|| schedule.next(112)).collect();
        assert_eq!(times, [(0, 100), (1, 103), (2, 106), (3, 110)]);
        schedule.restart(500);
        assert_eq!(schedule.next(500), Some((0, 500)));
        assert_eq!(Schedule::new(Duration::ZERO, 3, 0).next(u64::MAX - 1), None);
        assert_eq!(Schedule::new(Duration::from_secs(1), 0, 0).due_ns(), u64::MAX);
    }
}
