//! One push of a list that is encoded already: what each further subscriber costs.

use bytes::Bytes;
use nacre_bench::gauge::Gauge;
use nacre_shards::naming::answer;
use nacre_shards::push::trace::{Happened, Note, Trace};
use std::hint::black_box;

/// An id's digits, two short pieces and a shared middle: no copy of the list, no allocation.
const PUSH_NS: u64 = 60;

/// What the trace adds to a push, and as much to its acknowledgement: forty bytes written in order.
const NOTE_NS: u64 = 15;

/// Topics of a busy core: every ring of the trace is in use.
const TOPICS: usize = 4_096;

/// A list of ten instances is about so long.
const LIST_BYTES: usize = 4_096;

pub fn measure(gauge: &mut Gauge) {
    let list = Bytes::from(vec![b'x'; LIST_BYTES]);
    gauge.measure("push: encode for one subscriber", PUSH_NS, 10_000, |at| {
        black_box(answer::notify(at as u64, black_box(&list).clone()));
    });
    let mut trace = Trace::default();
    gauge.measure("push: note one event for the trace", NOTE_NS, TOPICS, |at| {
        let note = Note {
            happened: Happened::Sent,
            revision: at as u64,
            unix_ms: 1_700_000_000_000,
            conn_id_ms: at as u64,
            slot: at as u32,
            number: at as u32,
        };
        trace.note((at % TOPICS) as u64 * 0x9e37_79b9, black_box(note));
    });
}
