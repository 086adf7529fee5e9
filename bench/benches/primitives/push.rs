//! One push of a list that is encoded already: what each further subscriber costs.

use bytes::Bytes;
use nacre_bench::gauge::Gauge;
use nacre_shards::naming::answer;
use std::hint::black_box;

/// An id's digits, two short pieces and a shared middle: no copy of the list, no allocation.
const PUSH_NS: u64 = 60;

/// A list of ten instances is about so long.
const LIST_BYTES: usize = 4_096;

pub fn measure(gauge: &mut Gauge) {
    let list = Bytes::from(vec![b'x'; LIST_BYTES]);
    gauge.measure("push: encode for one subscriber", PUSH_NS, 10_000, |at| {
        black_box(answer::notify(at as u64, black_box(&list).clone()));
    });
}
