//! Header blocks of a grpc-java client: the first with its literals, every later one a byte a
//! field.

use nacre::http2::hpack::decode::Strings;
use nacre::http2::hpack::{Atoms, Head, Table, decode};
use nacre_bench::gauge::Gauge;
use std::hint::black_box;

/// The first block makes a table of six entries, all of them known atoms.
const FIRST_NS: u64 = 900;

/// A later block is eight look-ups; it comes with every request.
const LATER_NS: u64 = 120;

/// Bytes of header list a request may have, and of client text a core keeps.
const LIST_BYTES: usize = 16_384;
const ATOM_BYTES: usize = 1 << 20;

/// What a client says once.
const LITERALS: [(&str, &str); 6] = [
    (":authority", "127.0.0.1:9848"),
    (":path", "/Request/request"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("user-agent", "grpc-java-netty/1.57.2"),
    ("grpc-accept-encoding", "gzip"),
];

/// `:method: POST` and `:scheme: http` of the static table (RFC 7541, appendix A).
const METHOD_AND_SCHEME: [u8; 2] = [0x80 | 3, 0x80 | 6];

/// The first index of the dynamic table.
const DYNAMIC: u8 = 62;

fn first() -> Vec<u8> {
    let mut block = METHOD_AND_SCHEME.to_vec();
    for (name, value) in LITERALS {
        block.push(0x40);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn later() -> Vec<u8> {
    let mut block = METHOD_AND_SCHEME.to_vec();
    block.extend((0..LITERALS.len() as u8).rev().map(|back| 0x80 | (DYNAMIC + back)));
    block
}

pub fn measure(gauge: &mut Gauge) {
    let (first, later) = (first(), later());
    let mut atoms = Atoms::new(ATOM_BYTES);
    let mut strings = Strings::default();
    let mut head = Head::default();
    // Somebody else has said all this before, as on any server with a second client.
    let mut other = Table::default();
    decode(&first, &mut other, &mut atoms, &mut strings, &mut head).expect("a good block");
    gauge.measure("hpack: a client's first block", FIRST_NS, 10_000, |_| {
        let mut table = Table::default();
        head.clear(LIST_BYTES);
        let done = decode(black_box(&first), &mut table, &mut atoms, &mut strings, &mut head);
        black_box(done).expect("a good block");
        table.release(&mut atoms);
    });
    gauge.measure("hpack: every later block", LATER_NS, 10_000, |_| {
        head.clear(LIST_BYTES);
        let done = decode(black_box(&later), &mut other, &mut atoms, &mut strings, &mut head);
        black_box(done).expect("a good block");
    });
}
