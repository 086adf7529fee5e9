//! Floods and slow peers: each is ended with a GOAWAY, a counter that names it, and little memory.

use super::support::*;
use nacre::grpc::Reason;
use nacre::http2::hpack;

/// Memory of an attacker's connection beside its own size.
const HEAP_BYTES_MAX: usize = 64 * 1024;

fn assert_ended(wire: &mut Wire, reason: Reason) {
    let last = wire.told().pop().unwrap();
    let expected = format!("ENHANCE_YOUR_CALM {}", reason.name());
    assert!(last.starts_with("GOAWAY") && last.ends_with(&expected), "{last}");
    assert_eq!(wire.codec.http2.counters.closed(reason), 1);
    assert!(wire.connection.heap_bytes() < HEAP_BYTES_MAX);
    assert!(wire.codec.http2.atoms.bytes() < HEAP_BYTES_MAX);
}

#[test]
fn rapid_reset() {
    let mut wire = Wire::new();
    let cancel = |stream| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    let (borne, closed) =
        wire.flood(|number| [call(2 * number + 1, "/unary"), cancel(2 * number + 1)].concat());
    assert_eq!((borne, closed.reason), (1_000, Reason::ResetFlood));
    assert_ended(&mut wire, Reason::ResetFlood);
}

#[test]
fn cancelling_is_no_abuse_at_a_human_pace() {
    let mut wire = Wire::new();
    for number in 0..20_000u32 {
        wire.now_ms += 20;
        wire.send(unary(4 * number + 1, b"x"));
        wire.reply(4 * number + 1, b"y");
        wire.send(unary(4 * number + 3, b"x"));
        wire.send(frame(RST_STREAM, 0, 4 * number + 3, &8u32.to_be_bytes()));
        wire.send(window_update(0, 100));
        wire.out.clear();
    }
}

#[test]
fn made_you_reset() {
    let provocations: [fn(u32) -> Vec<u8>; 6] = [
        |stream| [call(stream, "/unary"), window_update(stream, 0)].concat(),
        |stream| [call(stream, "/unary"), window_update(stream, 0x7fff_ffff)].concat(),
        |stream| [unary(stream, b"x"), frame(DATA, 0, stream, b"more")].concat(),
        |stream| [call(stream, "/unary"), frame(PRIORITY, 0, stream, &[0; 4])].concat(),
        |stream| [unary(stream, b"x"), call(stream, "/unary")].concat(),
        |stream| frame(HEADERS, END_HEADERS, stream, &block(&[(":method", "POST")])),
    ];
    for provoke in provocations {
        let mut wire = Wire::new();
        let (borne, closed) = wire.flood(|number| provoke(2 * number + 1));
        assert!(borne <= 1_024, "{borne}");
        assert_eq!(closed.reason, Reason::ProvokedResets);
        let began = wire.noted().iter().filter(|line| line.starts_with("message")).count();
        assert!(began <= 1_024);
        assert_ended(&mut wire, Reason::ProvokedResets);
    }
}

#[test]
fn provoked_resets_cancel_the_work() {
    let mut wire = Wire::new();
    wire.send([unary(1, b"x"), frame(DATA, 0, 1, b"more")].concat());
    assert_eq!(wire.noted(), ["message 1 x", "reset 1"]);
}

#[test]
fn continuation_floods() {
    let mut wire = Wire::new();
    wire.send(frame(HEADERS, 0, 1, b""));
    let (borne, closed) = wire.flood(|_| frame(CONTINUATION, 0, 1, b""));
    assert_eq!((borne, closed.reason), (63, Reason::ContinuationFlood));
    assert_ended(&mut wire, Reason::ContinuationFlood);
    let mut wire = Wire::new();
    wire.send(frame(HEADERS, 0, 1, &[0x82; 16_000]));
    let (borne, closed) = wire.flood(|_| frame(CONTINUATION, 0, 1, &[0x82; 16_000]));
    assert_eq!((borne, closed.reason), (0, Reason::HeaderBlockTooLarge));
    assert_ended(&mut wire, Reason::HeaderBlockTooLarge);
}

#[test]
fn a_header_bomb() {
    let mut wire = Wire::new();
    let mut bomb = block(&head_fields("/unary"));
    hpack::encode::indexed_literal(&mut bomb, b"x", &[b'a'; 4_000]);
    bomb.extend([0xbe; 200]);
    let error = wire.try_send(frame(HEADERS, END_HEADERS, 1, &bomb)).unwrap_err();
    assert_eq!(error.reason, Reason::HeaderBomb);
    assert_ended(&mut wire, Reason::HeaderBomb);
}

#[test]
fn a_bomb_of_long_names_is_not_unfolded() {
    // 4,000 three-byte fields whose name is an entry of 4,000 bytes.
    let mut wire = Wire::new();
    let mut bomb = Vec::new();
    hpack::encode::indexed_literal(&mut bomb, &[b'a'; 4_000], b"");
    for _ in 0..4_000 {
        bomb.extend([0x0f, 0x2f, 0x00]);
    }
    let error = wire.try_send(frame(HEADERS, END_HEADERS, 1, &bomb)).unwrap_err();
    assert_eq!(error.reason, Reason::HeaderBomb);
    assert_ended(&mut wire, Reason::HeaderBomb);
}

#[test]
fn a_window_opened_byte_by_byte() {
    let mut wire = Wire::new();
    wire.send([setting(4, 0), call(1, "/bidi")].concat());
    wire.push(1, &[7; 60_000]);
    let (borne, closed) = wire.flood(|_| window_update(1, 1));
    assert_eq!((borne, closed.reason), (10_000, Reason::IdleFrameFlood));
}

#[test]
fn a_head_over_the_limit_is_answered_431_and_the_connection_goes_on() {
    let mut wire = Wire::new();
    let long = "a".repeat(9_000);
    wire.send(call_with(1, "/unary", &[("x", &long[..7_000])]));
    wire.send(last_message(1, b"fits"));
    let mut block = block(&head_fields("/unary"));
    for _ in 0..2 {
        block.extend(super::support::block(&[("x", &long[..8_100])]));
    }
    let (first, second) = block.split_at(10_000);
    wire.send([frame(HEADERS, 0, 3, first), frame(CONTINUATION, END_HEADERS, 3, second)].concat());
    assert_eq!(wire.told(), ["HEADERS 3 end :status=431", "RST_STREAM 3 NO_ERROR"]);
    wire.send(unary(5, b"goes on"));
    assert_eq!(wire.noted(), ["message 1 fits", "message 5 goes on"]);
    assert_eq!(wire.codec.http2.counters.header_lists_too_large, 1);
}

#[test]
fn size_updates_in_masses() {
    let mut wire = Wire::new();
    let storm = [0x20u8; 1_000];
    let error = wire.try_send(frame(HEADERS, END_HEADERS, 1, &storm)).unwrap_err();
    assert_eq!(error.reason, Reason::Compression);
}

#[test]
fn ping_and_settings_floods() {
    for flood in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[]), setting(4, 1)] {
        let mut wire = Wire::new();
        let (borne, closed) = wire.flood(|_| flood.clone());
        assert!((900..1_100).contains(&borne), "{borne}");
        assert_eq!(closed.reason, Reason::ControlFlood);
        assert!(wire.out.len() < 20_000, "acknowledgements do not pile up");
        assert_ended(&mut wire, Reason::ControlFlood);
    }
}

#[test]
fn a_ping_for_each_push_is_no_abuse() {
    // What the bandwidth estimator of grpc-go does on a busy stream.
    let mut wire = Wire::new();
    wire.send([call(1, "/bidi"), window_update(0, 1 << 30), window_update(1, 1 << 30)].concat());
    for _ in 0..20_000 {
        wire.push(1, b"x");
        wire.send(frame(PING, 0, 0, &[7; 8]));
        wire.out.clear();
    }
}

#[test]
fn a_peer_that_reads_nothing_gets_no_more_acknowledgements() {
    let mut wire = Wire::new();
    let mut reason = None;
    for number in 0..1_000_000u64 {
        // Slow enough for the budget of PING.
        wire.now_ms += 20;
        if let Err(closed) = wire.try_send(frame(PING, 0, 0, &number.to_be_bytes())) {
            reason = Some(closed.reason);
            break;
        }
    }
    assert_eq!(reason, Some(Reason::Unread));
    assert!(wire.out.len() < 400 * 1024);
}

#[test]
fn a_peer_that_reads_nothing_gets_no_more_refusals() {
    let mut wire = Wire::new();
    let fields = block(&head_fields("/nowhere"));
    let request = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields);
    let (borne, closed) = wire.flood(|number| request(2 * number + 1));
    assert_eq!(closed.reason, Reason::Unread);
    assert!(borne > 1_000 && wire.out.len() < 400 * 1024);
    // One who reads may ask for ever.
    let mut wire = Wire::new();
    for number in 0..20_000 {
        wire.send(request(2 * number + 1));
        wire.out.clear();
    }
}

#[test]
fn window_update_priority_and_unknown_floods() {
    let floods = [
        window_update(0, 1),
        window_update(1, 1),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 5, 9]),
        frame(PRIORITY, 0, 99, &[0, 0, 0, 5, 9]),
        frame(0xbb, 0, 0, b""),
        frame(GOAWAY, 0, 0, &[0; 8]),
    ];
    for flood in floods {
        let mut wire = Wire::new();
        wire.send(call(1, "/bidi"));
        let (borne, closed) = wire.flood(|_| flood.clone());
        assert_eq!((borne, closed.reason), (10_000, Reason::IdleFrameFlood));
        assert_ended(&mut wire, Reason::IdleFrameFlood);
    }
}

#[test]
fn empty_data_floods() {
    let padding = frame(DATA, PADDED, 1, &[&[10][..], &[0; 10]].concat());
    for flood in [frame(DATA, 0, 1, b""), padding] {
        let mut wire = Wire::new();
        wire.send(call(1, "/bidi"));
        let (borne, closed) = wire.flood(|_| flood.clone());
        assert_eq!((borne, closed.reason), (1_000, Reason::EmptyDataFlood));
        assert_ended(&mut wire, Reason::EmptyDataFlood);
    }
}

#[test]
fn more_streams_than_allowed_are_refused_and_counted() {
    let mut wire = Wire::new();
    for number in 0..256 {
        wire.send(call(2 * number + 1, "/unary"));
    }
    assert!(wire.told().is_empty());
    wire.send([call(513, "/unary"), last_message(513, b"refused")].concat());
    assert_eq!(wire.told(), ["RST_STREAM 513 REFUSED_STREAM"]);
    wire.send(last_message(1, b"x"));
    wire.reply(1, b"y");
    wire.told();
    wire.send(unary(515, b"room again"));
    assert_eq!(wire.noted(), ["message 1 x", "message 515 room again"]);
    assert_eq!(wire.codec.http2.counters.streams_refused, 1);
    let (borne, closed) = wire.flood(|number| call(517 + 2 * number, "/unary"));
    assert!(borne < 1_000);
    assert_eq!(closed.reason, Reason::ProvokedResets);
}

#[test]
fn texts_of_clients_have_a_bound_per_core_and_known_ones_go_on() {
    let mut limits = limits();
    limits.http2.atom_bytes_max = 3_000;
    let mut wire = Wire::with(limits);
    let indexed = |fields: &[(&str, &str)]| {
        let mut block = Vec::new();
        for (name, value) in fields {
            hpack::encode::indexed_literal(&mut block, name.as_bytes(), value.as_bytes());
        }
        block
    };
    let good = indexed(&head_fields("/unary"));
    wire.send([frame(HEADERS, END_HEADERS, 1, &good), last_message(1, b"x")].concat());
    let long = "a".repeat(3_000);
    let bad = [good.clone(), indexed(&[("x", &long)])].concat();
    let error = wire.try_send(frame(HEADERS, END_HEADERS, 3, &bad)).unwrap_err();
    assert_eq!(error.reason, Reason::AtomsFull);
    let mut other = nacre::grpc::Connection::new(wire.now_ms);
    let hello = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, END_HEADERS, 1, &good),
        &last_message(1, b"known texts cost nothing"),
    ]
    .concat();
    let Wire { codec, out, service, now_ms, .. } = &mut wire;
    other.receive(&hello, *now_ms, codec, out, service).unwrap();
    assert_eq!(service.lines.pop().unwrap(), "message 1 known texts cost nothing");
    other.release(codec);
}

#[test]
fn no_preface_in_time() {
    for sent in [&b""[..], &PREFACE[..10], PREFACE] {
        let mut wire = Wire::fresh(limits());
        wire.send(sent);
        assert_eq!(wire.connection.next_check(&wire.codec), Some(wire.now_ms + 5_000));
        wire.now_ms += 4_999;
        wire.check().unwrap();
        wire.now_ms += 1;
        assert_eq!(wire.check().unwrap_err().reason, Reason::PrefaceTimeout);
    }
}

#[test]
fn settings_never_acknowledged() {
    let mut wire = Wire::fresh(limits());
    wire.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    wire.now_ms += 14_999;
    wire.check().unwrap();
    wire.now_ms += 1;
    assert_eq!(wire.check().unwrap_err().reason, Reason::SettingsTimeout);
    assert_eq!(wire.told().pop().unwrap(), "GOAWAY 0 SETTINGS_TIMEOUT settings_timeout");
}

#[test]
fn frames_and_heads_that_stay_incomplete() {
    let starts = [
        call(1, "/unary")[..20].to_vec(),
        vec![0, 0],
        frame(HEADERS, 0, 1, b"\x82"),
        [call(1, "/unary"), frame(DATA, 0, 1, &[0; 100])[..50].to_vec()].concat(),
    ];
    for start in starts {
        let mut wire = Wire::new();
        wire.send(start);
        assert_eq!(wire.connection.next_check(&wire.codec), Some(wire.now_ms + 10_000));
        wire.now_ms += 10_000;
        assert_eq!(wire.check().unwrap_err().reason, Reason::FrameTimeout);
    }
}

#[test]
fn pieces_of_a_head_do_not_buy_time() {
    let mut wire = Wire::new();
    wire.send(frame(HEADERS, 0, 1, b"\x82"));
    for _ in 0..9 {
        wire.now_ms += 1_000;
        wire.send(frame(CONTINUATION, 0, 1, b"\x86"));
        wire.check().unwrap();
    }
    wire.now_ms += 1_000;
    assert_eq!(wire.check().unwrap_err().reason, Reason::FrameTimeout);
}

#[test]
fn an_upload_that_is_always_inside_a_frame_is_no_stall() {
    let mut wire = Wire::new();
    wire.send(call(1, "/bidi"));
    let bytes = frame(DATA, 0, 1, &message(&[7; 16_000]));
    let stream = bytes.repeat(40);
    wire.send(&stream[..100]);
    for piece in stream[100..].chunks(bytes.len()) {
        wire.now_ms += 3_000;
        wire.send(piece);
        wire.check().unwrap();
    }
}

#[test]
fn silence_is_probed_and_then_ended() {
    let mut wire = Wire::new();
    wire.now_ms = wire.connection.next_check(&wire.codec).unwrap();
    wire.check().unwrap();
    assert_eq!(wire.told(), ["PING nacrekpa"]);
    wire.now_ms = wire.connection.next_check(&wire.codec).unwrap();
    wire.send(frame(PING, ACK, 0, b"nacrekpa"));
    wire.check().unwrap();
    wire.now_ms = wire.connection.next_check(&wire.codec).unwrap();
    wire.check().unwrap();
    wire.now_ms += 20_000;
    assert_eq!(wire.check().unwrap_err().reason, Reason::KeepAlive);
}
