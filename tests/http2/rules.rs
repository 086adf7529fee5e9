//! What RFC 9113 demands, as pairs of what a client sends and the last thing it is told.

use super::support::*;
use nacre::grpc::Reason;

fn literal_head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

/// The last line told after `bytes` on a connection with an open bidirectional stream 1 and a unary
/// request 3 that has ended.
fn answer_to(bytes: &[u8]) -> String {
    let mut wire = Wire::new();
    wire.send([call(1, "/bidi"), unary(3, b"x")].concat());
    let _ = wire.try_send(bytes);
    wire.told().pop().unwrap_or_default()
}

#[test]
fn connection_errors() {
    let word = |number: u32| number.to_be_bytes();
    let big = frame(DATA, 0, 1, &[0; 16_385]);
    let padded = |pad: u8| [&[pad][..], &[0; 4]].concat();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), "PROTOCOL_ERROR"),
        ("DATA on an idle stream", frame(DATA, 0, 5, b"x"), "PROTOCOL_ERROR"),
        ("DATA over the frame size", big, "FRAME_SIZE_ERROR"),
        ("padding over the payload", frame(DATA, PADDED, 1, &padded(5)), "PROTOCOL_ERROR"),
        ("padded without padding length", frame(DATA, PADDED, 1, b""), "FRAME_SIZE_ERROR"),
        ("HEADERS on stream 0", frame(HEADERS, END_HEADERS, 0, b""), "PROTOCOL_ERROR"),
        ("HEADERS on an even stream", call(6, "/unary"), "PROTOCOL_ERROR"),
        ("HEADERS with a large padding", frame(HEADERS, 0xc, 5, &padded(5)), "PROTOCOL_ERROR"),
        ("HEADERS too short for priority", frame(HEADERS, 0x24, 5, &[0; 4]), "FRAME_SIZE_ERROR"),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5]), "PROTOCOL_ERROR"),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &word(8)), "PROTOCOL_ERROR"),
        ("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 5, &word(8)), "PROTOCOL_ERROR"),
        ("RST_STREAM of 3 bytes", frame(RST_STREAM, 0, 1, &[0; 3]), "FRAME_SIZE_ERROR"),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), "PROTOCOL_ERROR"),
        ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5]), "FRAME_SIZE_ERROR"),
        ("SETTINGS ack with payload", frame(SETTINGS, ACK, 0, &[0; 6]), "FRAME_SIZE_ERROR"),
        ("a window setting over 2^31-1", setting(4, 1 << 31), "FLOW_CONTROL_ERROR"),
        ("a small frame size", setting(5, 16_383), "PROTOCOL_ERROR"),
        ("ENABLE_PUSH 2", setting(2, 2), "PROTOCOL_ERROR"),
        ("PUSH_PROMISE", frame(5, END_HEADERS, 1, &word(2)), "PROTOCOL_ERROR"),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), "PROTOCOL_ERROR"),
        ("PING of 7 bytes", frame(PING, 0, 0, &[0; 7]), "FRAME_SIZE_ERROR"),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), "PROTOCOL_ERROR"),
        ("GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, &[0; 7]), "FRAME_SIZE_ERROR"),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), "FRAME_SIZE_ERROR"),
        ("WINDOW_UPDATE 0", window_update(0, 0), "PROTOCOL_ERROR"),
        ("WINDOW_UPDATE over 2^31-1", window_update(0, (1 << 31) - 1), "FLOW_CONTROL_ERROR"),
        ("WINDOW_UPDATE on an idle stream", window_update(5, 1), "PROTOCOL_ERROR"),
        ("CONTINUATION alone", frame(CONTINUATION, END_HEADERS, 1, b""), "PROTOCOL_ERROR"),
        (
            "a frame inside a header block",
            [frame(HEADERS, 0, 5, b"\x82"), frame(PING, 0, 0, &[0; 8])].concat(),
            "PROTOCOL_ERROR",
        ),
        (
            "CONTINUATION of another stream",
            [frame(HEADERS, 0, 5, b"\x82"), frame(CONTINUATION, 4, 7, b"")].concat(),
            "PROTOCOL_ERROR",
        ),
        (
            "a stream id below the last",
            [call(7, "/bidi"), call(5, "/bidi")].concat(),
            "PROTOCOL_ERROR",
        ),
        ("index 0", frame(HEADERS, END_HEADERS, 5, b"\x80"), "COMPRESSION_ERROR"),
        ("an index of no table", frame(HEADERS, END_HEADERS, 5, b"\xbe"), "COMPRESSION_ERROR"),
        ("a cut literal", frame(HEADERS, END_HEADERS, 5, b"\x40\x05ab"), "COMPRESSION_ERROR"),
        ("a table over 4096", frame(HEADERS, END_HEADERS, 5, b"\x3f\xe2\x1f"), "COMPRESSION_ERROR"),
        ("a late size update", frame(HEADERS, END_HEADERS, 5, b"\x82\x20"), "COMPRESSION_ERROR"),
    ];
    for (name, bytes, code) in cases {
        let line = answer_to(bytes);
        assert!(line.starts_with("GOAWAY") && line.contains(code), "{name}: {line}");
    }
}

#[test]
fn stream_errors_leave_the_connection_alone() {
    let full = (1u32 << 31) - 1;
    let itself = |stream: u32| [&stream.to_be_bytes()[..], &[7]].concat();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("DATA behind END_STREAM", frame(DATA, 0, 3, b"x"), "RST_STREAM 3 STREAM_CLOSED"),
        ("HEADERS behind END_STREAM", call(3, "/unary"), "RST_STREAM 3 STREAM_CLOSED"),
        ("WINDOW_UPDATE 0", window_update(1, 0), "RST_STREAM 1 PROTOCOL_ERROR"),
        ("WINDOW_UPDATE over 2^31-1", window_update(1, full), "RST_STREAM 1 FLOW_CONTROL_ERROR"),
        ("PRIORITY of 4 bytes", frame(PRIORITY, 0, 1, &[0; 4]), "RST_STREAM 1 FRAME_SIZE_ERROR"),
        ("a stream on itself", frame(PRIORITY, 0, 1, &itself(1)), "RST_STREAM 1 PROTOCOL_ERROR"),
        ("trailers without END_STREAM", call(1, "/bidi"), "RST_STREAM 1 PROTOCOL_ERROR"),
        (
            "pseudo-fields in trailers",
            literal_head(1, &[(":path", "/")]),
            "RST_STREAM 1 PROTOCOL_ERROR",
        ),
    ];
    for (name, bytes, expected) in cases {
        let after = [&bytes[..], &unary(9, b"y")].concat();
        assert_eq!(answer_to(&after), *expected, "{name}");
    }
}

#[test]
fn malformed_heads_are_reset() {
    let good = [(":method", "POST"), (":scheme", "http"), (":path", "/unary")];
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("no method", &[good[1], good[2]]),
        ("no scheme", &[good[0], good[2]]),
        ("no path", &[good[0], good[1]]),
        ("an empty path", &[good[0], good[1], (":path", "")]),
        ("two methods", &[good[0], good[0], good[1], good[2]]),
        ("a status", &[good[0], good[1], good[2], (":status", "200")]),
        ("an unknown pseudo-field", &[good[0], good[1], good[2], (":x", "y")]),
        ("a pseudo-field late", &[good[0], good[1], ("a", "b"), good[2]]),
        ("upper case", &[good[0], good[1], good[2], ("Te", "trailers")]),
        ("connection", &[good[0], good[1], good[2], ("connection", "close")]),
        ("transfer-encoding", &[good[0], good[1], good[2], ("transfer-encoding", "chunked")]),
        ("te", &[good[0], good[1], good[2], ("te", "gzip")]),
        ("a line break", &[good[0], good[1], good[2], ("a", "b\r\nc: d")]),
        ("a space at the end", &[good[0], good[1], good[2], ("a", "b ")]),
        ("an empty name", &[good[0], good[1], good[2], ("", "b")]),
        ("a space in a name", &[good[0], good[1], good[2], ("a b", "c")]),
        ("a length that is none", &[good[0], good[1], good[2], ("content-length", "-1")]),
        (
            "two lengths",
            &[good[0], good[1], good[2], ("content-length", "0"), ("content-length", "1")],
        ),
        ("a length without body", &[good[0], good[1], good[2], ("content-length", "5")]),
    ];
    for (name, fields) in cases {
        assert_eq!(answer_to(&literal_head(5, fields)), "RST_STREAM 5 PROTOCOL_ERROR", "{name}");
    }
}

#[test]
fn content_length_must_be_the_length() {
    let head = call_with(5, "/unary", &[("content-length", "8")]);
    let body = message(b"abc");
    let good = [&head[..], &frame(DATA, 0, 5, &body[..4]), &frame(DATA, 1, 5, &body[4..])].concat();
    let mut wire = Wire::new();
    wire.send(&good);
    assert_eq!(wire.noted(), ["message 5 abc"]);
    for bytes in [b"123456789", &b"1234567"[..]] {
        let bad = [&head[..], &frame(DATA, END_STREAM, 5, bytes)].concat();
        assert_eq!(answer_to(&bad), "RST_STREAM 5 PROTOCOL_ERROR");
    }
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 5, &block(&[("a", "b")]));
    assert_eq!(answer_to(&[&head[..], &trailers].concat()), "RST_STREAM 5 PROTOCOL_ERROR");
}

#[test]
fn trailers_of_the_client_end_the_request() {
    let mut wire = Wire::new();
    wire.send([call(1, "/unary"), frame(DATA, 0, 1, &message(b"x"))].concat());
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("a", "b")])));
    assert_eq!(wire.noted(), ["message 1 x"]);
}

#[test]
fn frames_behind_the_end_of_a_stream() {
    let gone = |after: &[u8]| {
        let mut wire = Wire::new();
        wire.send(unary(1, b"x"));
        wire.reply(1, b"y");
        wire.told();
        let _ = wire.try_send(after);
        wire.told().pop().unwrap_or_default()
    };
    assert!(gone(&frame(DATA, 0, 1, b"x")).contains("STREAM_CLOSED"));
    assert!(gone(&call(1, "/unary")).contains("STREAM_CLOSED"));
    assert_eq!(gone(&window_update(1, 5)), "");
    assert_eq!(gone(&frame(RST_STREAM, 0, 1, &[0; 4])), "");
    assert_eq!(gone(&frame(PRIORITY, 0, 1, &[0; 5])), "");
}

#[test]
fn what_was_under_way_to_a_stream_we_reset_is_dropped() {
    let mut wire = Wire::new();
    wire.send(call(1, "/unary"));
    wire.send(window_update(1, 0));
    assert_eq!(wire.told(), ["RST_STREAM 1 PROTOCOL_ERROR"]);
    assert_eq!(wire.noted(), ["reset 1"]);
    wire.send(frame(DATA, 0, 1, &message(b"x")));
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("a", "b")])));
    assert!(wire.told().is_empty() && wire.noted().is_empty());
    assert_eq!(wire.codec.http2.counters.frames_late, 2);
}

#[test]
fn unknown_frames_and_flags_are_ignored() {
    let mut wire = Wire::new();
    wire.send([frame(0xfe, 0xff, 77, b"whatever"), frame(PING, 0xfe, 0, b"12345678")].concat());
    assert_eq!(wire.told(), ["PING ack 12345678"]);
}

#[test]
fn a_head_in_pieces() {
    let mut wire = Wire::new();
    let block = block(&head_fields("/unary"));
    let mut bytes = frame(HEADERS, 0, 1, &block[..10]);
    for piece in block[10..].chunks(7) {
        bytes.extend(frame(CONTINUATION, 0, 1, piece));
    }
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, b""));
    bytes.extend(last_message(1, b"pieces"));
    for piece in bytes.chunks(5) {
        wire.send(piece);
    }
    assert_eq!(wire.noted(), ["message 1 pieces"]);
}

#[test]
fn the_first_bytes_must_be_the_preface_and_settings() {
    let first = |bytes: &[u8]| {
        let mut wire = Wire::fresh(limits());
        wire.told();
        let reason = wire.try_send(bytes).unwrap_err().reason;
        assert!(wire.told()[0].starts_with("GOAWAY 0 PROTOCOL_ERROR"));
        reason
    };
    assert_eq!(first(b"GET / HTTP/1.1\r\n"), Reason::BadPreface);
    assert_eq!(first(b"PRI * HTTP/2.0\r\n\r\nXX"), Reason::BadPreface);
    assert_eq!(first(&[PREFACE, &frame(PING, 0, 0, &[0; 8])].concat()), Reason::Protocol);
    assert_eq!(first(&[PREFACE, &frame(SETTINGS, ACK, 0, &[])].concat()), Reason::Protocol);
}
