//! What an idle connection costs.

use super::support::{END_HEADERS, HEADERS, Noted, frame, last_message};
use nacre::grpc::{Codec, Connection, Kind, Message};
use nacre::http2::hpack::encode;

/// Bytes of one idle connection with an open stream: itself and its heap. Java's is 320; Go's has
/// seven deadlines more in its table.
const IDLE_BYTES_MAX: usize = 352;
/// The same for a Go client after long use, whose table is full of deadlines.
const IDLE_FULL_TABLE_BYTES_MAX: usize = 800;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// Replays the client's side of a capture, answering unary calls and pushing once.
fn replay(capture: &str, codec: &mut Codec) -> Connection {
    let mut connection = Connection::new(0);
    let (mut out, mut service) = (Vec::new(), Noted::default());
    for line in capture.lines().filter_map(|line| line.strip_prefix("C ")) {
        connection.receive(&bytes(line), 0, codec, &mut out, &mut service).unwrap();
        for (stream, method, message) in service.messages.drain(..) {
            let message = Message::whole(&message);
            match method.kind {
                Kind::Unary => connection.reply(stream, message, codec, &mut out),
                Kind::Bidi => connection.push(stream, message, codec, &mut out),
            };
        }
        out.clear();
    }
    connection.settle();
    connection
}

#[test]
fn an_idle_connection_with_an_open_stream() {
    let captures = [
        include_str!("data/java-nacos-client-3.1.1.hex"),
        include_str!("data/java-nacos-client-2.5.1.hex"),
        include_str!("data/go-nacos-sdk-2.3.2.hex"),
    ];
    for capture in captures {
        let mut codec = Codec::new(super::support::limits());
        let mut connection = replay(capture, &mut codec);
        assert_eq!(connection.streams(), 1);
        let total = size_of::<Connection>() + connection.heap_bytes();
        assert!(total <= IDLE_BYTES_MAX, "{total}");
        let atoms = codec.http2.atoms.bytes();
        let mut others: Vec<_> = (0..100).map(|_| replay(capture, &mut codec)).collect();
        assert_eq!(codec.http2.atoms.bytes(), atoms, "the same texts are kept once");
        for other in &mut others {
            other.release(&mut codec);
        }
        connection.release(&mut codec);
        codec.http2.atoms.sweep();
        assert_eq!(codec.http2.atoms.len(), 0);
    }
}

#[test]
fn a_new_deadline_on_every_call_fills_the_table_with_small_entries() {
    let mut wire = super::support::Wire::new();
    let mut out_of_table = 0;
    for number in 0..500u32 {
        let mut block = super::support::block(&super::support::head_fields("/unary"));
        let timeout = format!("{}u", 29_994_383 - number);
        encode::indexed_literal(&mut block, b"grpc-timeout", timeout.as_bytes());
        let stream = 2 * number + 1;
        wire.send(frame(HEADERS, END_HEADERS, stream, &block));
        wire.send(last_message(stream, b"x"));
        wire.reply(stream, b"y");
        out_of_table = wire.codec.http2.atoms.len();
    }
    assert_eq!((wire.service.messages.len(), out_of_table), (500, 0));
    wire.connection.settle();
    let total = size_of::<Connection>() + wire.connection.heap_bytes();
    assert!(total <= IDLE_FULL_TABLE_BYTES_MAX, "{total}");
    // The oldest that is still there: 77 entries of 12 + 9 + 32 bytes fit 4,096.
    let mut block = super::support::block(&super::support::head_fields("/unary"));
    block.push(0x80 | 127);
    block.push(61 + 77 - 127);
    wire.send(frame(HEADERS, END_HEADERS, 2_001, &block));
    block.pop();
    block.push(61 + 78 - 127);
    assert!(wire.try_send(frame(HEADERS, END_HEADERS, 2_003, &block)).is_err());
}

#[test]
fn a_burst_leaves_nothing_behind() {
    let mut wire = super::support::Wire::new();
    wire.send(super::support::call(1, "/bidi"));
    wire.connection.settle();
    let before = wire.connection.heap_bytes();
    for stream in (3..400).step_by(2) {
        wire.send(super::support::unary(stream, &[7; 1_000]));
    }
    for stream in (3..400).step_by(2) {
        wire.reply(stream, b"done");
    }
    wire.connection.settle();
    assert_eq!(wire.connection.heap_bytes(), before);
}
