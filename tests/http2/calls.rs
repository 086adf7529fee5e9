//! gRPC calls as they look on the wire.

use super::support::*;
use nacre::grpc::{Outcome, Status};

const OK_HEAD: &str = ":status=200 content-type=application/grpc grpc-encoding=identity \
                       grpc-accept-encoding=gzip";

#[test]
fn we_speak_first_and_acknowledge_settings() {
    let mut wire = Wire::fresh(limits());
    assert_eq!(wire.told(), ["SETTINGS", "WINDOW_UPDATE 0 983041"]);
    wire.send([PREFACE, &setting(4, 100)].concat());
    assert_eq!(wire.told(), ["SETTINGS ack"]);
}

#[test]
fn a_unary_call() {
    let mut wire = Wire::new();
    wire.send(unary(1, b"hello"));
    assert_eq!(wire.noted(), ["message 1 hello"]);
    assert_eq!(wire.reply(1, b"good day"), Outcome::Out);
    let answer = wire.told();
    assert_eq!(
        answer,
        [
            format!("HEADERS 1 {OK_HEAD}"),
            "DATA 1 .....good day".to_owned(),
            "HEADERS 1 end grpc-status=0".to_owned(),
        ]
    );
    assert_eq!(wire.reply(1, b"again"), Outcome::Gone);
    assert_eq!(wire.connection.streams(), 0);
}

#[test]
fn later_answers_have_heads_of_four_bytes_and_trailers_of_one() {
    let mut wire = Wire::new();
    for stream in [1, 3, 5] {
        wire.send(unary(stream, b""));
        wire.reply(stream, b"");
    }
    let sizes: Vec<usize> = {
        let (mut rest, mut sizes) = (&wire.out[..], Vec::new());
        while !rest.is_empty() {
            let length = usize::from(rest[2]);
            sizes.push(length);
            rest = &rest[9 + length..];
        }
        sizes
    };
    assert_eq!(sizes, [70, 5, 15, 4, 5, 1, 4, 5, 1]);
}

#[test]
fn a_small_peer_table_is_not_used() {
    let mut wire = Wire::new();
    wire.send(setting(1, 100));
    for stream in [1, 3] {
        wire.send(unary(stream, b"x"));
        wire.reply(stream, b"y");
        let told = wire.told();
        assert!(told.contains(&format!("HEADERS {stream} {OK_HEAD}")));
        assert!(told.contains(&format!("HEADERS {stream} end grpc-status=0")));
    }
}

#[test]
fn end_of_request_in_an_empty_frame() {
    let mut wire = Wire::new();
    wire.send([call(1, "/unary"), frame(DATA, 0, 1, &message(b"hello"))].concat());
    assert!(wire.noted().is_empty());
    let progress = wire.send([]);
    assert!(progress.incomplete);
    let progress = wire.send(frame(DATA, END_STREAM, 1, b""));
    assert!(!progress.incomplete);
    assert_eq!(wire.noted(), ["message 1 hello"]);
}

#[test]
fn a_request_that_trickles_in_byte_by_byte() {
    let mut wire = Wire::new();
    let parts = [unary(1, b"slow"), call(3, "/bidi"), frame(DATA, 0, 3, &message(b"too"))];
    for (number, part) in parts.iter().enumerate() {
        for (position, byte) in part.iter().enumerate() {
            // The head of the stream is part 1; its first message is still to come then.
            let whole = position + 1 == part.len() && number != 1;
            assert_eq!(wire.send([*byte]).incomplete, !whole);
        }
    }
    assert_eq!(wire.noted(), ["message 1 slow", "message 3 too"]);
}

#[test]
fn an_open_stream_takes_and_gives_messages_until_both_end() {
    let mut wire = Wire::new();
    wire.send(call(1, "/bidi"));
    assert_eq!(wire.told(), [""; 0], "the head of the response waits for the first message");
    let (one, two) = (message(b"one"), message(b"two"));
    wire.send(frame(DATA, 0, 1, &[&one[..], &two[..3]].concat()));
    assert_eq!(wire.noted(), ["message 1 one"]);
    wire.send(frame(DATA, 0, 1, &two[3..]));
    assert_eq!(wire.noted(), ["message 1 two"]);
    wire.push(1, b"a");
    wire.push(1, b"b");
    assert_eq!(
        wire.told(),
        [format!("HEADERS 1 {OK_HEAD}"), "DATA 1 .....a".into(), "DATA 1 .....b".into()]
    );
    assert!(!wire.send(frame(DATA, END_STREAM, 1, b"")).incomplete);
    assert_eq!(wire.noted(), ["half-closed 1"]);
    wire.connection.finish(1, &mut wire.codec, &mut wire.out);
    assert_eq!(wire.told(), ["HEADERS 1 end grpc-status=0"]);
    assert_eq!(wire.push(1, b"late"), Outcome::Gone);
}

#[test]
fn the_first_message_of_a_stream_is_waited_for() {
    // A client without TCP_NODELAY sends it only when our kernel has acknowledged the head.
    let mut wire = Wire::new();
    assert!(wire.send(call(1, "/bidi")).incomplete);
    assert!(!wire.send(frame(DATA, 0, 1, &message(b"setup"))).incomplete);
    assert!(wire.send(call(3, "/bidi")).incomplete);
    assert!(!wire.send(frame(RST_STREAM, 0, 3, &8u32.to_be_bytes())).incomplete);
    assert!(!wire.send(frame(RST_STREAM, 0, 1, &8u32.to_be_bytes())).incomplete);
    assert!(wire.send(call(5, "/unary")).incomplete);
}

#[test]
fn a_stream_without_answers_ends_with_trailers_alone() {
    let mut wire = Wire::new();
    wire.send([call(1, "/bidi"), frame(DATA, END_STREAM, 1, b"")].concat());
    wire.connection.finish(1, &mut wire.codec, &mut wire.out);
    let expected = "HEADERS 1 end :status=200 content-type=application/grpc grpc-status=0";
    assert_eq!(wire.told(), [expected]);
}

#[test]
fn an_unknown_method_is_unimplemented_and_the_connection_goes_on() {
    let mut wire = Wire::new();
    wire.send([call(1, "/a/b"), last_message(1, b"x"), unary(3, b"y")].concat());
    assert_eq!(wire.noted(), ["message 3 y"]);
    assert_eq!(
        wire.told(),
        ["HEADERS 1 end :status=200 content-type=application/grpc \
          grpc-accept-encoding=identity,gzip grpc-status=12 grpc-message=no such method: /a/b"]
    );
    assert_eq!(wire.codec.counters.unknown_methods, 1);
    assert_eq!(wire.connection.streams(), 1);
}

#[test]
fn what_is_not_grpc() {
    let mut wire = Wire::new();
    let request = |stream, method, path, content_type| {
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            ("content-type", content_type),
        ];
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
    };
    wire.send(request(1, "POST", "/unary", "application/json"));
    wire.send(request(3, "PUT", "/unary", "application/grpc"));
    wire.send(request(5, "GET", "/nothing", ""));
    wire.send(request(7, "GET", "/health", ""));
    wire.send(request(9, "HEAD", "/health", ""));
    assert_eq!(
        wire.told(),
        [
            "HEADERS 1 end :status=415 content-length=0",
            "HEADERS 3 end :status=405 allow=POST content-length=0",
            "HEADERS 5 end :status=404 content-length=0",
            "HEADERS 7 :status=200 content-type=text/plain content-length=2",
            "DATA 7 end UP",
            "HEADERS 9 end :status=200 content-type=text/plain content-length=2",
        ]
    );
    assert_eq!((wire.codec.counters.not_grpc, wire.codec.counters.plain), (3, 2));
    assert!(wire.noted().is_empty());
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_prefix() {
    let mut wire = Wire::new();
    let size: u32 = 12_487_978;
    let prefix = [&[0][..], &size.to_be_bytes()].concat();
    wire.send([call(1, "/unary"), frame(DATA, 0, 1, &prefix)].concat());
    assert_eq!(
        wire.told(),
        ["HEADERS 1 end :status=200 content-type=application/grpc grpc-status=8 \
          grpc-message=gRPC message exceeds maximum size 10485760: 12487978"]
    );
    // The client goes on sending; it gets credit and no reset, and nothing is kept.
    let piece = frame(DATA, 0, 1, &[0; 16_384]);
    for _ in 0..762 {
        wire.send(&piece);
    }
    wire.send(frame(DATA, END_STREAM, 1, &[]));
    let credits = wire.told();
    assert!(credits.iter().all(|line| line.starts_with("WINDOW_UPDATE")), "{credits:?}");
    assert!(credits.len() >= 2 * 762 * 16_384 / (1 << 20) - 2);
    wire.send(unary(3, b"still here"));
    assert_eq!(wire.noted(), ["message 3 still here"]);
    assert_eq!(wire.codec.counters.messages_too_large, 1);
    assert_eq!(wire.connection.streams(), 1);
}

#[test]
fn the_largest_message_arrives() {
    let mut wire = Wire::new();
    let body = message(&vec![7; 10_485_760]);
    wire.send(call(1, "/unary"));
    for piece in body.chunks(16_384) {
        wire.send(frame(DATA, 0, 1, piece));
    }
    assert!(wire.codec.body_bytes() == body.len());
    wire.send(frame(DATA, END_STREAM, 1, &[]));
    assert_eq!(wire.noted(), ["message 1 (10485760 bytes)"]);
    assert_eq!(wire.codec.body_bytes(), 0);
}

#[test]
fn buffered_requests_have_a_budget_of_connection_and_core() {
    for connection in [true, false] {
        let mut limits = limits();
        let budget = match connection {
            true => &mut limits.connection_body_bytes_max,
            false => &mut limits.core_body_bytes_max,
        };
        *budget = 1_000;
        let mut wire = Wire::with(limits);
        let half = [&[0, 0, 0, 2, 88][..], &[7; 595]].concat();
        wire.send([call(1, "/unary"), frame(DATA, 0, 1, &half)].concat());
        assert!(wire.told().is_empty());
        wire.send([call(3, "/unary"), frame(DATA, 0, 3, &half)].concat());
        let told = wire.told();
        assert!(told[0].contains("grpc-status=8"), "{told:?}");
        assert_eq!(wire.codec.counters.bodies_refused, 1);
        wire.send(frame(DATA, END_STREAM, 1, &[7; 5]));
        assert_eq!(wire.noted(), ["message 1 (600 bytes)"]);
    }
}

#[test]
fn requests_with_wrong_framing_are_internal() {
    let bad_flag = [&[2][..], &message(b"x")[1..]].concat();
    let compressed = [&[1][..], &message(b"x")[1..]].concat();
    let two = [message(b"x"), message(b"y")].concat();
    let cases: [(&str, &[u8]); 5] = [
        ("flag", &bad_flag),
        ("no grpc-encoding", &compressed),
        ("more than one message", &two),
        ("no message", &[]),
        ("ends inside", &message(b"xyz")[..7]),
    ];
    for (expected, body) in cases {
        let mut wire = Wire::new();
        wire.send([call(1, "/unary"), frame(DATA, END_STREAM, 1, body)].concat());
        let told = wire.told();
        assert!(told[0].contains("grpc-status=13") && told[0].contains(expected), "{told:?}");
        assert_eq!((wire.codec.counters.requests_malformed, wire.connection.streams()), (1, 0));
        assert!(wire.noted().is_empty());
        // The same in pieces.
        wire.send(call(3, "/unary"));
        for byte in body {
            wire.send(frame(DATA, 0, 3, &[*byte]));
        }
        wire.send(frame(DATA, END_STREAM, 3, &[]));
        assert_eq!(wire.told()[0], told[0].replace("HEADERS 1", "HEADERS 3"));
    }
}

#[test]
fn a_broken_stream_is_taken_from_the_service() {
    let mut wire = Wire::new();
    let open = frame(DATA, 0, 1, &message(b"a"));
    wire.send([call(1, "/bidi"), open, frame(DATA, 0, 1, &[9, 0, 0, 0, 0])].concat());
    assert_eq!(wire.noted(), ["message 1 a", "reset 1"]);
    assert!(wire.told()[0].contains("grpc-status=13"));
}

fn gzip(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    encoder.write_all(data).unwrap();
    let data = encoder.finish().unwrap();
    [&[1][..], &(data.len() as u32).to_be_bytes(), &data].concat()
}

#[test]
fn gzip_requests_are_inflated_within_the_message_limit() {
    let mut wire = Wire::new();
    let encoded = |stream| call_with(stream, "/unary", &[("grpc-encoding", "gzip")]);
    wire.send([encoded(1), frame(DATA, END_STREAM, 1, &gzip(b"squeezed"))].concat());
    wire.send([encoded(3), frame(DATA, END_STREAM, 3, &message(b"not squeezed"))].concat());
    wire.send([encoded(5), frame(DATA, 0, 5, &gzip(b"late end"))].concat());
    wire.send(frame(DATA, END_STREAM, 5, &[]));
    let expected = ["message 1 squeezed", "message 3 not squeezed", "message 5 late end"];
    assert_eq!(wire.noted(), expected);
    let bomb = gzip(&vec![0; 10_485_761]);
    wire.send([encoded(7), frame(DATA, END_STREAM, 7, &bomb)].concat());
    wire.send([encoded(9), frame(DATA, END_STREAM, 9, &[1, 0, 0, 0, 2, 1, 2])].concat());
    let told = wire.told();
    assert!(told[0].contains("grpc-status=8"), "{told:?}");
    assert!(told[1].contains("grpc-status=13"), "{told:?}");
}

#[test]
fn other_encodings_are_unimplemented() {
    let mut wire = Wire::new();
    wire.send(call_with(1, "/unary", &[("grpc-encoding", "zstd")]));
    let told = wire.told();
    assert!(told[0].contains("grpc-accept-encoding=identity,gzip grpc-status=12"), "{told:?}");
    assert_eq!(wire.codec.counters.encodings_unknown, 1);
}

#[test]
fn a_call_out_of_time_ends_with_deadline_exceeded() {
    let mut wire = Wire::new();
    wire.send(call_with(1, "/unary", &[("grpc-timeout", "500m")]));
    wire.send(last_message(1, b"x"));
    wire.send(call_with(3, "/unary", &[("grpc-timeout", "1S")]));
    wire.told();
    let due = wire.connection.next_check(&wire.codec).unwrap();
    assert_eq!(due, wire.now_ms + 500);
    wire.now_ms = due - 1;
    wire.check().unwrap();
    assert!(wire.told().is_empty());
    wire.now_ms = due;
    wire.check().unwrap();
    let told = wire.told();
    assert!(told[0].starts_with("HEADERS 1 end") && told[0].contains("grpc-status=4"), "{told:?}");
    assert_eq!(told.len(), 1, "a request that has ended needs no reset");
    assert_eq!(wire.noted(), ["message 1 x", "reset 1"]);
    assert_eq!(wire.reply(1, b"late"), Outcome::Gone);
    wire.now_ms = wire.connection.next_check(&wire.codec).unwrap();
    assert_eq!(wire.now_ms, due + 500);
    wire.check().unwrap();
    let told = wire.told();
    assert!(told[0].contains("grpc-status=4") && told[1] == "RST_STREAM 3 CANCEL", "{told:?}");
    assert_eq!(wire.codec.counters.deadlines_exceeded, 2);
}

#[test]
fn a_request_that_does_not_end_is_given_up() {
    let mut wire = Wire::new();
    wire.send(unary(1, b"x"));
    wire.reply(1, b"y");
    wire.send([call(3, "/unary"), frame(DATA, 0, 3, &message(b"x"))].concat());
    wire.send(call(5, "/nowhere"));
    wire.send(call(7, "/bidi"));
    wire.told();
    wire.now_ms += 60_000;
    assert!(wire.connection.next_check(&wire.codec).unwrap() <= wire.now_ms);
    wire.check().unwrap();
    let told = wire.told();
    assert!(told[0].starts_with("HEADERS 3 end") && told[0].contains("grpc-status=4"));
    assert_eq!(told[1..], ["RST_STREAM 3 CANCEL", "RST_STREAM 5 CANCEL"]);
    assert_eq!(wire.connection.streams(), 1, "an open stream may be silent");
}

#[test]
fn a_cancelled_call_is_taken_from_the_service() {
    let mut wire = Wire::new();
    wire.send([call(1, "/unary"), frame(DATA, 0, 1, &message(b"abc")[..6])].concat());
    wire.send(unary(3, b"x"));
    for stream in [1, 3] {
        wire.send(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    assert_eq!(wire.noted(), ["message 3 x", "reset 1", "reset 3"]);
    assert_eq!(wire.reply(3, b"y"), Outcome::Gone);
    assert_eq!(wire.codec.body_bytes(), 0);
}

#[test]
fn graceful_end() {
    let mut wire = Wire::new();
    wire.send([call(1, "/bidi"), unary(3, b"x"), call(5, "/unary")].concat());
    wire.connection.go_away("app_requested", &mut wire.out);
    wire.send(unary(7, b"too late"));
    assert_eq!(wire.reply(3, b"y"), Outcome::Out);
    wire.send(last_message(5, b"z"));
    wire.reply(5, b"w");
    wire.connection.reset_bidi(&mut wire.codec, &mut wire.out);
    let told = wire.told();
    assert_eq!(told[0], "GOAWAY 5 NO_ERROR app_requested");
    assert_eq!(told[1], "RST_STREAM 7 REFUSED_STREAM");
    assert_eq!(told[2..5].iter().filter(|line| line.contains(" 3 ")).count(), 3);
    assert_eq!(told.last().unwrap(), "RST_STREAM 1 CANCEL");
    assert_eq!(wire.noted(), ["message 3 x", "message 5 z"]);
    assert_eq!((wire.connection.streams(), wire.codec.http2.counters.streams_refused), (0, 1));
}

#[test]
fn failing_an_open_stream_sends_trailers_behind_what_was_pushed() {
    let mut wire = Wire::new();
    wire.send(call(1, "/bidi"));
    wire.push(1, b"a");
    wire.connection.fail(1, Status::Unavailable, "going 50%", &mut wire.codec, &mut wire.out);
    let told = wire.told();
    assert_eq!(told[2], "HEADERS 1 end grpc-status=14 grpc-message=going 50%25");
}
