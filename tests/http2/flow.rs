//! Flow control both ways, and what waits for a slow peer.

use super::support::*;
use bytes::Bytes;
use nacre::grpc::{Message, Outcome, Reason};

fn shared(wire: &mut Wire, stream: u32, body: &Bytes, last: bool) -> Outcome {
    let message = Message { head: b"<", shared: Some(body), tail: b">" };
    let Wire { connection, codec, out, .. } = wire;
    match last {
        true => connection.reply(stream, message, codec, out),
        false => connection.push(stream, message, codec, out),
    }
}

fn data_bytes(lines: &[String], stream: u32) -> Vec<String> {
    let wanted = format!("DATA {stream} ");
    lines.iter().filter_map(|line| line.strip_prefix(&wanted)).map(str::to_owned).collect()
}

#[test]
fn a_large_answer_goes_out_in_frames_and_waits_for_the_window() {
    let mut wire = Wire::new();
    wire.send(unary(1, b"x"));
    let body = Bytes::from(vec![b'b'; 100_000]);
    assert_eq!(shared(&mut wire, 1, &body, true), Outcome::Held);
    // 65,535 bytes of window: three full frames and a rest.
    let told = wire.told();
    assert_eq!(
        data_bytes(&told, 1),
        ["(16384 bytes)"; 3].into_iter().chain(["(16383 bytes)"]).collect::<Vec<_>>()
    );
    assert_eq!(wire.connection.pending_bytes(), 100_007 - 65_535);
    assert!(!body.is_unique(), "what waits is shared, not copied");
    wire.send(window_update(1, 40_000));
    assert!(wire.told().is_empty(), "the connection has no window yet");
    wire.send(window_update(0, 10));
    assert_eq!(wire.told(), ["DATA 1 bbbbbbbbbb"]);
    wire.send(window_update(0, 1 << 20));
    let told = wire.told();
    assert_eq!(told.last().unwrap(), "HEADERS 1 end grpc-status=0");
    assert_eq!((wire.connection.pending_bytes(), wire.connection.streams()), (0, 0));
    assert!(body.is_unique());
}

#[test]
fn held_streams_take_turns() {
    let mut wire = Wire::new();
    let body = Bytes::from(vec![b'b'; 200_000]);
    for stream in [1, 3, 5] {
        wire.send(unary(stream, b"x"));
        shared(&mut wire, stream, &body, true);
    }
    wire.told();
    wire.send([window_update(1, 1 << 20), window_update(0, 48 * 1024)].concat());
    let told = wire.told();
    let streams: Vec<&str> = told.iter().map(|line| &line[5..6]).collect();
    assert_eq!(streams, ["1", "3", "5"], "a frame of each");
}

#[test]
fn a_later_window_setting_moves_open_streams_below_zero_and_back() {
    let mut wire = Wire::new();
    wire.send([call(1, "/bidi"), window_update(0, 1 << 20)].concat());
    let body = Bytes::from(vec![b'b'; 993]);
    assert_eq!(shared(&mut wire, 1, &body, false), Outcome::Out);
    wire.told();
    wire.send(setting(4, 500));
    assert_eq!(shared(&mut wire, 1, &body, false), Outcome::Held);
    assert_eq!(wire.told(), ["SETTINGS ack"]);
    wire.send(window_update(1, 500));
    assert!(wire.told().is_empty(), "from -500 to 0");
    wire.send(setting(4, 600));
    assert_eq!(wire.told(), ["SETTINGS ack", "DATA 1 (100 bytes)"]);
    wire.send(setting(4, 5_000));
    assert_eq!(wire.told(), ["SETTINGS ack", "DATA 1 (900 bytes)"]);
    assert_eq!(wire.connection.pending_bytes(), 0);
}

#[test]
fn pushes_behind_held_ones_keep_their_order() {
    let mut wire = Wire::new();
    wire.send([setting(4, 8), call(1, "/bidi")].concat());
    assert_eq!(wire.push(1, b"first"), Outcome::Held);
    assert_eq!(wire.push(1, b"second"), Outcome::Held);
    wire.connection.finish(1, &mut wire.codec, &mut wire.out);
    assert_eq!(wire.push(1, b"third"), Outcome::Gone, "the end is decided");
    wire.told();
    wire.send(window_update(1, 100));
    let told = wire.told();
    assert_eq!(told, ["DATA 1 st.....second", "HEADERS 1 end grpc-status=0"]);
}

#[test]
fn a_full_socket_holds_data_back_whatever_the_windows_say() {
    let mut wire = Wire::new();
    wire.send([setting(4, 1 << 30), window_update(0, 1 << 30), call(1, "/bidi")].concat());
    wire.told();
    let body = Bytes::from(vec![b'b'; 1 << 20]);
    assert_eq!(shared(&mut wire, 1, &body, false), Outcome::Held);
    let first = wire.out.len();
    assert!((256 * 1024 - 16_384..=256 * 1024 + 1_024).contains(&first), "{first}");
    let mut sent = wire.told();
    let Wire { connection, codec, out, .. } = &mut wire;
    connection.set_backlog(first, codec, out);
    assert!(out.is_empty());
    connection.set_backlog(first / 2, codec, out);
    assert!(!out.is_empty(), "what the socket took makes room");
    while connection.pending_bytes() > 0 {
        sent.extend(Decoder::new().lines(&std::mem::take(out)));
        connection.set_backlog(0, codec, out);
    }
    sent.extend(Decoder::new().lines(&std::mem::take(out)));
    assert!(sent.iter().filter(|line| line.starts_with("DATA")).count() >= 64);
}

#[test]
fn more_than_a_connection_or_its_core_may_hold_ends_it() {
    for connection in [true, false] {
        let mut limits = limits();
        match connection {
            true => limits.http2.held_bytes_max = 10_000,
            false => limits.http2.core_held_bytes_max = 10_000,
        }
        assert_ended_by_holding_10_000_bytes(limits);
    }
}

fn assert_ended_by_holding_10_000_bytes(limits: nacre::grpc::Limits) {
    let mut wire = Wire::with(limits);
    wire.send([setting(4, 0), call(1, "/bidi")].concat());
    let body = Bytes::from(vec![b'b'; 4_000]);
    assert_eq!(shared(&mut wire, 1, &body, false), Outcome::Held);
    assert_eq!(shared(&mut wire, 1, &body, false), Outcome::Held);
    wire.told();
    let Outcome::Closed(closed) = shared(&mut wire, 1, &body, false) else { panic!() };
    assert_eq!(closed.reason, Reason::HeldTooMuch);
    assert_eq!(wire.told(), ["GOAWAY 1 ENHANCE_YOUR_CALM held_too_much"]);
    assert_eq!(wire.codec.http2.counters.closed(Reason::HeldTooMuch), 1);
    assert!(wire.try_send(window_update(1, 10)).is_err(), "over is over");
}

#[test]
fn output_without_progress_ends_the_connection_and_progress_does_not() {
    let mut wire = Wire::new();
    wire.send([setting(4, 0), call(1, "/bidi")].concat());
    wire.push(1, b"never read");
    for _ in 0..3 {
        wire.now_ms += 29_999;
        wire.check().unwrap();
        wire.send(window_update(1, 1));
    }
    wire.told();
    let due = wire.connection.next_check(&wire.codec).unwrap();
    assert_eq!(due, wire.now_ms + 30_000);
    wire.now_ms = due;
    assert_eq!(wire.check().unwrap_err().reason, Reason::TooSlow);
    assert_eq!(wire.told(), ["GOAWAY 1 ENHANCE_YOUR_CALM too_slow"]);
}

#[test]
fn a_socket_that_takes_nothing_is_too_slow() {
    let mut wire = Wire::new();
    wire.codec.set_now(wire.now_ms);
    wire.connection.set_backlog(1_000, &mut wire.codec, &mut wire.out);
    wire.now_ms += 29_999;
    wire.check().unwrap();
    wire.codec.set_now(wire.now_ms);
    wire.connection.set_backlog(999, &mut wire.codec, &mut wire.out);
    wire.now_ms += 29_999;
    wire.check().unwrap();
    wire.now_ms += 1;
    assert_eq!(wire.check().unwrap_err().reason, Reason::TooSlow);
}

#[test]
fn a_reset_stream_gives_up_what_it_held() {
    let mut wire = Wire::new();
    wire.send([setting(4, 0), unary(1, b"x"), unary(3, b"y")].concat());
    let body = Bytes::from(vec![b'b'; 4_000]);
    shared(&mut wire, 1, &body, true);
    shared(&mut wire, 3, &body, true);
    assert_eq!(wire.connection.pending_bytes(), 2 * 4_007);
    wire.send(frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()));
    assert_eq!(wire.connection.pending_bytes(), 4_007);
    wire.send(frame(RST_STREAM, 0, 3, &8u32.to_be_bytes()));
    assert_eq!(wire.connection.pending_bytes(), 0);
    assert!(body.is_unique());
}

#[test]
fn credit_comes_at_half_of_the_window() {
    let mut wire = Wire::new();
    wire.send(call(1, "/bidi"));
    let piece = frame(DATA, 0, 1, &message(&[7; 16_379]));
    for _ in 0..31 {
        wire.send(&piece);
    }
    assert!(wire.told().is_empty());
    wire.send(&piece);
    assert_eq!(wire.told(), ["WINDOW_UPDATE 0 524288", "WINDOW_UPDATE 1 524288"]);
}

#[test]
fn padding_counts_for_flow_control_and_is_no_data() {
    let mut wire = Wire::new();
    wire.send(call(1, "/unary"));
    let body = [&[200][..], &message(b"padded"), &[0; 200]].concat();
    let bytes = frame(DATA, PADDED | END_STREAM, 1, &body);
    for byte in &bytes {
        wire.send([*byte]);
    }
    assert_eq!(wire.noted(), ["message 1 padded"]);
    wire.send(call(3, "/bidi"));
    let padding_only = frame(DATA, PADDED, 3, &[&[255][..], &[0; 255]].concat());
    for _ in 0..2_000 {
        wire.now_ms += 100;
        wire.send(&padding_only);
    }
    let credited: usize = wire
        .told()
        .iter()
        .filter_map(|line| line.strip_prefix("WINDOW_UPDATE 3 "))
        .map(|bytes| bytes.parse::<usize>().unwrap())
        .sum();
    assert!(credited + 524_288 > 2_000 * 256, "{credited}");
}
