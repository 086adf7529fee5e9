//! Latencies over time: whole histograms, one for each stretch of a run.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use std::time::Duration;

/// The longest latency a histogram tells apart: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Significant digits kept.
const DIGITS: u8 = 3;

/// Stretches a long run is cut into at most, about.
const STRETCHES_MAX: u64 = 120;

/// The shortest stretch.
const STRETCH_NS_MIN: u64 = 1_000_000_000;

/// A histogram of nanoseconds.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("constant bounds")
}

/// Records a latency; beyond a minute counts as a minute.
pub fn record(histogram: &mut Histogram<u64>, ns: u64) {
    histogram.saturating_record(ns.max(1));
}

/// One stretch of a run: where it begins, how long it is, and its latencies.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Since the measured part began.
    pub start: Duration,
    pub length: Duration,
    /// Encoded, since a histogram in memory takes a quarter of a mebibyte.
    bytes: Vec<u8>,
}

impl Stretch {
    /// Keeps a histogram.
    pub fn new(start: Duration, length: Duration, histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        let done = V2Serializer::new().serialize(histogram, &mut bytes);
        done.expect("memory takes what is written");
        Self { start, length, bytes }
    }

    /// The histogram.
    pub fn histogram(&self) -> Histogram<u64> {
        Deserializer::new().deserialize(&mut self.bytes.as_slice()).expect("encoded in `new`")
    }
}

/// Latencies of one kind, in all and by stretch.
#[derive(Debug)]
pub struct Series {
    total: Histogram<u64>,
    live: Histogram<u64>,
    kept: Vec<Stretch>,
    begin_ns: u64,
    live_from_ns: u64,
    every_ns: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            total: latencies(),
            live: latencies(),
            kept: Vec::new(),
            begin_ns: 0,
            live_from_ns: 0,
            every_ns: STRETCH_NS_MIN,
        }
    }
}

impl Series {
    /// Forgets what was recorded; from now on stretches fit a run of about this time.
    pub fn begin(&mut self, now_ns: u64, time: Duration) {
        self.total.reset();
        self.live.reset();
        self.kept.clear();
        (self.begin_ns, self.live_from_ns) = (now_ns, now_ns);
        self.every_ns = (time.as_nanos() as u64 / STRETCHES_MAX).max(STRETCH_NS_MIN);
    }

    /// A latency that ended now.
    pub fn record(&mut self, now_ns: u64, latency_ns: u64) {
        if now_ns >= self.live_from_ns + self.every_ns {
            self.rotate(now_ns);
        }
        record(&mut self.live, latency_ns);
        record(&mut self.total, latency_ns);
    }

    fn rotate(&mut self, now_ns: u64) {
        let passed = (now_ns - self.live_from_ns) / self.every_ns * self.every_ns;
        if !self.live.is_empty() {
            let start = Duration::from_nanos(self.live_from_ns - self.begin_ns);
            self.kept.push(Stretch::new(start, Duration::from_nanos(self.every_ns), &self.live));
            self.live.reset();
        }
        self.live_from_ns += passed;
    }

    /// All latencies.
    pub fn total(&self) -> &Histogram<u64> {
        &self.total
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.total.is_empty()
    }

    /// Every stretch that has latencies, in order; together they are the total.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut all = self.kept.clone();
        if !self.live.is_empty() {
            let start = Duration::from_nanos(self.live_from_ns - self.begin_ns);
            all.push(Stretch::new(start, Duration::from_nanos(self.every_ns), &self.live));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_the_total_and_gaps_are_none() {
        let mut series = Series::default();
        series.begin(5_000_000_000, Duration::from_secs(10));
        for (now_ms, ms) in [(5_100, 1), (5_900, 2), (6_000, 3), (9_500, 4)] {
            series.record(now_ms * 1_000_000, ms * 1_000_000);
        }
        let stretches = series.stretches();
        let starts: Vec<_> = stretches.iter().map(|stretch| stretch.start.as_secs()).collect();
        assert_eq!(starts, [0, 1, 4]);
        let mut sum = latencies();
        for stretch in &stretches {
            sum.add(stretch.histogram()).unwrap();
        }
        assert_eq!(&sum, series.total());
        series.begin(20_000_000_000, Duration::from_secs(1_200));
        assert!(series.is_empty() && series.stretches().is_empty());
        assert_eq!(series.every_ns, 10_000_000_000);
    }
}
