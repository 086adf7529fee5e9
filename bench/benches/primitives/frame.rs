//! Frame heads of a call: HEADERS and DATA in, a WINDOW_UPDATE between.

use nacre::http2::frame::{END_HEADERS, END_STREAM, Frame, HEAD_BYTES, Kind, write_head};
use nacre_bench::gauge::Gauge;
use std::hint::black_box;

/// Heads are read for every frame of every client: a handful of loads each.
const THREE_HEADS_NS: u64 = 20;

pub fn measure(gauge: &mut Gauge) {
    let mut wire = Vec::new();
    for (bytes, kind, flags) in
        [(8, Kind::Headers, END_HEADERS), (4, Kind::WindowUpdate, 0), (71, Kind::Data, END_STREAM)]
    {
        write_head(&mut wire, bytes, kind, flags, 7);
        wire.resize(wire.len() + bytes, 0);
    }
    gauge.measure("frame: heads of a call", THREE_HEADS_NS, 10_000, |_| {
        let mut rest = black_box(wire.as_slice());
        while let Some(frame) = Frame::parse(rest) {
            rest = &rest[HEAD_BYTES + black_box(frame).bytes..];
        }
    });
}
