//! Counting a request's latency: the server's own buckets, and the generator's whole histogram.

use hdrhistogram::Histogram;
use nacre::admin::metrics::Metrics;
use nacre_bench::gauge::Gauge;
use nacre_proto::request::Kind;
use std::hint::black_box;

/// Four plain stores a request.
const METRICS_NS: u64 = 20;

/// Finding and adding to one of 27,000 counters.
const HDR_NS: u64 = 30;

/// A minute in nanoseconds, and digits kept: as `loadgen` has it.
const NS_MAX: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

pub fn measure(gauge: &mut Gauge) {
    let metrics = Metrics::new(1, &[]);
    let core = metrics.core(0);
    gauge.measure("histogram: server's metrics", METRICS_NS, 10_000, |at| {
        core.request(Kind::HealthCheck, 0, black_box(at as u64 & 0xfff));
    });
    let mut histogram = Histogram::<u64>::new_with_bounds(1, NS_MAX, DIGITS).expect("bounds");
    gauge.measure("histogram: generator's record", HDR_NS, 10_000, |at| {
        histogram.saturating_record(black_box(50_000 + ((at as u64 * 7_919) & 0xffff)));
    });
}
