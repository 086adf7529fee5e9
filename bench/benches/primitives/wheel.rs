//! A timer's life: put into the wheel, come round, handed out.

use nacre_bench::gauge::Gauge;
use nacre_shards::health::wheel::{BUCKET_MS, Timer, Wheel};
use std::hint::black_box;

/// Insert and hand out; a million keep-alives in 5 s are 200,000 of these a second.
const TIMER_NS: u64 = 40;

/// Timers that are in the wheel at the same time.
const WAITING: u64 = 100_000;

/// How far ahead each is set.
const AHEAD_MS: u64 = 5_000;

pub fn measure(gauge: &mut Gauge) {
    let mut wheel = Wheel::default();
    let per_bucket = WAITING * BUCKET_MS / AHEAD_MS;
    let mut now_ms = 0;
    gauge.measure("wheel: a timer, in and out", TIMER_NS, 10_000, |at| {
        wheel.insert(now_ms + AHEAD_MS, Timer::Connection(at as u32));
        if (at as u64).is_multiple_of(per_bucket) {
            now_ms += BUCKET_MS;
            while let Some(due) = wheel.next_due(now_ms) {
                black_box(due);
            }
        }
    });
}
