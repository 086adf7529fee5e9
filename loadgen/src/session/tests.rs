//! Scripts of what a server may say, read like captures.

use super::*;
use crate::envelope;
use crate::http2::frame::{HEAD_BYTES, Head, setting};
use crate::http2::hpack::{self, Keep, Pool};
use nacre_proto::client::request::HealthCheckRequest;
use serde_json::{Value, json};

/// A server's side of one connection: writes frames, reads ours.
struct Peer {
    session: Session,
    script: Script,
    decoder: Decoder,
    pool: Pool,
    events: Vec<String>,
}

/// A request as the peer read it.
#[derive(Debug, PartialEq)]
struct Seen {
    stream: u32,
    path: String,
    kind: String,
    body: Value,
}

impl Peer {
    fn new() -> Self {
        let mut script = Script::new("127.0.0.1:9848", "naming");
        let session = Session::new(&mut script);
        let (decoder, pool, events) = (Decoder::default(), Pool::default(), Vec::new());
        Self { session, script, decoder, pool, events }
    }

    /// A connection that is set up with SetupAck.
    fn ready() -> Self {
        let mut peer = Self::new();
        let check = peer.seen().remove(0);
        assert_eq!((check.kind.as_str(), check.stream), ("ServerCheckRequest", 1));
        peer.answer(1, "ServerCheckResponse", &json!({"supportAbilityNegotiation": true}));
        let setup = peer.seen().remove(0);
        assert_eq!((setup.kind.as_str(), setup.stream), ("ConnectionSetupRequest", 3));
        assert_eq!(setup.path, "/BiRequestStream/requestBiStream");
        let mut bytes = Vec::new();
        put_response_head(3, &mut bytes);
        put_message(3, "SetupAckRequest", &json!({"abilityTable": {}}), &mut bytes);
        peer.say(&bytes).unwrap();
        assert_eq!(peer.events, ["ready"]);
        peer.events.clear();
        peer
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let events = &mut self.events;
        self.session.receive(bytes, &mut self.script, &mut |_, _, event| {
            events.push(match event {
                Event::Ready => "ready".to_owned(),
                Event::Answer { tag, message, .. } => {
                    let payload = envelope::decode(message).unwrap_or_default();
                    format!("answer {tag} {} {}", payload.kind, payload.body.len())
                }
                Event::Failed { tag, fault, .. } => format!("failed {tag} {fault}"),
                Event::Push(push) => format!("push {}", push.kind),
            });
        })
    }

    fn answer(&mut self, stream: u32, kind: &str, body: &Value) {
        self.say(&answer_frames(stream, kind, body)).unwrap();
    }

    fn call(&mut self, tag: u32) -> bool {
        let message = Script::message(&HealthCheckRequest::default());
        self.session.call(&mut self.script, &message, tag, 0)
    }

    /// Requests and messages the session has written since the last look.
    fn seen(&mut self) -> Vec<Seen> {
        let out = self.session.take_output();
        let mut rest = out.strip_prefix(frame::PREFACE).unwrap_or(&out);
        let (mut seen, mut path) = (Vec::new(), String::new());
        while let Some(head) = rest.first_chunk::<HEAD_BYTES>() {
            let head = Head::parse(head);
            let payload = &rest[HEAD_BYTES..HEAD_BYTES + head.len];
            rest = &rest[HEAD_BYTES + head.len..];
            match head.kind {
                kind::HEADERS => {
                    let fields = |name: &[u8], value: &[u8]| {
                        if name == b":path" {
                            path = String::from_utf8(value.to_vec()).unwrap();
                        }
                    };
                    self.decoder.decode(payload, &mut self.pool, fields).unwrap();
                }
                kind::DATA => {
                    let (message, _) = envelope::split_message(payload).unwrap().unwrap();
                    let message = envelope::decode(message).unwrap();
                    let body = serde_json::from_slice(message.body).unwrap();
                    let kind = message.kind.to_owned();
                    seen.push(Seen { stream: head.stream, path: path.clone(), kind, body });
                }
                _ => {}
            }
        }
        seen
    }
}

fn put_response_head(stream: u32, out: &mut Vec<u8>) {
    let mut block = Vec::new();
    hpack::put_field(":status", "200", Keep::Index, &mut block);
    hpack::put_field("content-type", "application/grpc", Keep::Forget, &mut block);
    frame::put_frame(kind::HEADERS, flag::END_HEADERS, stream, &block, out);
}

fn put_message(stream: u32, message_kind: &str, body: &Value, out: &mut Vec<u8>) {
    let mut message = Vec::new();
    envelope::encode_message(message_kind, "", &[], body.to_string().as_bytes(), &mut message);
    for chunk in message.chunks(frame::FRAME_BYTES_MAX) {
        frame::put_frame(kind::DATA, 0, stream, chunk, out);
    }
}

fn put_trailers(stream: u32, status: &str, out: &mut Vec<u8>) {
    let mut block = Vec::new();
    hpack::put_field("grpc-status", status, Keep::Forget, &mut block);
    let flags = flag::END_HEADERS | flag::END_STREAM;
    frame::put_frame(kind::HEADERS, flags, stream, &block, out);
}

fn answer_frames(stream: u32, kind: &str, body: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_response_head(stream, &mut bytes);
    put_message(stream, kind, body, &mut bytes);
    put_trailers(stream, "0", &mut bytes);
    bytes
}

#[test]
fn without_negotiation_health_checks_probe_until_known() {
    let mut peer = Peer::new();
    peer.answer(1, "ServerCheckResponse", &json!({}));
    let kinds: Vec<_> = peer.seen().into_iter().map(|seen| seen.kind).collect();
    assert_eq!(kinds, ["ServerCheckRequest", "ConnectionSetupRequest", "HealthCheckRequest"]);
    peer.answer(5, "ErrorResponse", &json!({"resultCode": 500, "errorCode": 301}));
    assert_eq!(peer.seen()[0].stream, 7);
    assert!(peer.events.is_empty());
    peer.answer(7, "HealthCheckResponse", &json!({}));
    assert_eq!(peer.events, ["ready"]);
}

#[test]
fn a_server_that_is_starting_is_no_server() {
    let mut peer = Peer::new();
    let refusal = json!({"resultCode": 500, "errorCode": 300});
    let outcome = peer.say(&answer_frames(1, "ErrorResponse", &refusal));
    assert_eq!(outcome, Err(Fault::Refused(300)));
}

#[test]
fn answers_are_told_however_they_are_cut() {
    let whole = {
        let mut bytes = answer_frames(5, "HealthCheckResponse", &json!({"message": "m"}));
        put_message(3, "NotifySubscriberRequest", &json!({"requestId": "9"}), &mut bytes);
        bytes
    };
    for step in [1, 2, 7, 9, 64, whole.len()] {
        let mut peer = Peer::ready();
        assert!(peer.call(4));
        for chunk in whole.chunks(step) {
            peer.say(chunk).unwrap();
        }
        let wanted = ["answer 4 HealthCheckResponse 15", "push NotifySubscriberRequest"];
        assert_eq!(peer.events, wanted, "in steps of {step}");
        assert!(peer.session.partial.is_empty() && peer.session.pushed.is_empty());
    }
}

#[test]
fn long_messages_are_joined_and_their_window_returned() {
    let mut peer = Peer::ready();
    assert!(peer.call(0));
    let text = "x".repeat(600 << 10);
    peer.seen();
    peer.answer(5, "HealthCheckResponse", &json!({"message": text}));
    let out = peer.session.take_output();
    let mut returned = [0u32; 2];
    let mut rest = &out[..];
    while let Some(head) = rest.first_chunk::<HEAD_BYTES>() {
        let head = Head::parse(head);
        if head.kind == kind::WINDOW_UPDATE {
            let increment = frame::number(&rest[HEAD_BYTES..]).unwrap();
            returned[usize::from(head.stream == 5)] += increment;
        }
        rest = &rest[HEAD_BYTES + head.len..];
    }
    assert!(returned[0] > 512 << 10, "{returned:?}");
    assert!(returned[1] > 256 << 10, "{returned:?}");
    assert_eq!(peer.events, [format!("answer 0 HealthCheckResponse {}", text.len() + 14)]);
}

#[test]
fn failures_of_a_call_are_its_own() {
    let mut peer = Peer::ready();
    for tag in 0..4 {
        assert!(peer.call(tag));
    }
    let mut bytes = Vec::new();
    frame::put_frame(kind::RST_STREAM, 0, 5, &8u32.to_be_bytes(), &mut bytes);
    put_response_head(7, &mut bytes);
    put_trailers(7, "12", &mut bytes);
    put_trailers(9, "0", &mut bytes);
    bytes.extend_from_slice(&answer_frames(11, "HealthCheckResponse", &json!({})));
    peer.say(&bytes).unwrap();
    let wanted = [
        "failed 0 RST_STREAM 8",
        "failed 1 grpc-status 12",
        "failed 2 malformed: answer is not one message",
        "answer 3 HealthCheckResponse 2",
    ];
    assert_eq!(peer.events, wanted);
    assert_eq!(peer.session.calls(), 0);
}

#[test]
fn calls_wait_for_windows_and_streams() {
    let mut peer = Peer::ready();
    let mut bytes = Vec::new();
    frame::put_settings(&[(setting::MAX_CONCURRENT_STREAMS, 2)], &mut bytes);
    peer.say(&bytes).unwrap();
    assert!(peer.call(0));
    assert!(!peer.call(1), "one call beside the stream");
    peer.answer(5, "HealthCheckResponse", &json!({}));
    let mut begun = 0;
    while peer.call(2) {
        begun += 1;
        let stream = peer.session.next_stream - 2;
        peer.answer(stream, "HealthCheckResponse", &json!({}));
        peer.seen();
        assert!(begun < 10_000, "the connection's window ends");
    }
    let mut bytes = Vec::new();
    frame::put_window_update(0, 1_000, &mut bytes);
    peer.say(&bytes).unwrap();
    assert!(peer.call(3));
    let mut bytes = Vec::new();
    frame::put_settings(&[(setting::INITIAL_WINDOW_SIZE, 3)], &mut bytes);
    frame::put_window_update(0, 100_000, &mut bytes);
    peer.say(&bytes).unwrap();
    peer.answer(peer.session.next_stream - 2, "HealthCheckResponse", &json!({}));
    assert!(!peer.call(4), "a stream's window is too small for the message");
}

#[test]
fn a_server_without_a_table_gets_literals() {
    for size in [0, 300, 2_000] {
        let mut peer = Peer::ready();
        let mut bytes = Vec::new();
        frame::put_settings(&[(setting::HEADER_TABLE_SIZE, size)], &mut bytes);
        peer.say(&bytes).unwrap();
        for tag in 0..3 {
            assert!(peer.call(tag));
        }
        let paths: Vec<_> = peer.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths, vec!["/Request/request"; 3], "with a table of {size}");
        assert_eq!(peer.session.plain, size < 1_000);
    }
}

#[test]
fn a_health_check_weighs_what_echo_sends() {
    let mut peer = Peer::ready();
    for tag in 0..3 {
        assert!(peer.call(tag));
        let bytes = peer.session.take_output().len();
        assert_eq!(bytes, crate::scenario::echo::REQUEST_BYTES, "call {tag}");
    }
}

#[test]
fn acknowledgements_name_the_push() {
    let mut peer = Peer::ready();
    assert!(peer.session.acknowledge(&mut peer.script, "NotifySubscriberRequest", "17"));
    let ack = peer.seen().remove(0);
    assert_eq!((ack.stream, ack.kind.as_str()), (3, "NotifySubscriberResponse"));
    assert_eq!(ack.body["requestId"], "17");
    assert_eq!(ack.body["resultCode"], 200);
}

#[test]
fn pings_are_answered_and_the_end_is_told() {
    let mut peer = Peer::ready();
    let mut bytes = Vec::new();
    frame::put_frame(kind::PING, 0, 0, b"12345678", &mut bytes);
    peer.say(&bytes).unwrap();
    let mut wanted = Vec::new();
    frame::put_frame(kind::PING, flag::ACK, 0, b"12345678", &mut wanted);
    assert_eq!(peer.session.take_output(), wanted);
    let mut bytes = Vec::new();
    frame::put_frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11], &mut bytes);
    assert_eq!(peer.say(&bytes), Err(Fault::GoAway(11)));
}

#[test]
fn what_is_no_http2_ends_the_session() {
    for (what, bytes) in [
        ("long frame", [&[0x00, 0x40, 0x01, 0, 0, 0, 0, 0, 5][..], &[0; 20]].concat()),
        ("data nowhere", vec![0, 0, 1, kind::DATA, 0, 0, 0, 0, 99, 0]),
        ("continuation of nothing", vec![0, 0, 0, kind::CONTINUATION, 4, 0, 0, 0, 3]),
        ("push promise", vec![0, 0, 0, kind::PUSH_PROMISE, 4, 0, 0, 0, 3]),
        ("header block", vec![0, 0, 1, kind::HEADERS, 4, 0, 0, 0, 3, 0x80]),
        ("stream ended", vec![0, 0, 0, kind::DATA, 1, 0, 0, 0, 3]),
        ("stream reset", vec![0, 0, 4, kind::RST_STREAM, 0, 0, 0, 0, 3, 0, 0, 0, 8]),
    ] {
        let mut peer = Peer::ready();
        assert!(peer.say(&bytes).is_err(), "{what}");
    }
}

#[test]
fn header_blocks_may_be_continued() {
    let mut peer = Peer::ready();
    assert!(peer.call(0));
    let mut block = Vec::new();
    hpack::put_field(":status", "200", Keep::Index, &mut block);
    hpack::put_field("x", "y", Keep::Index, &mut block);
    let mut bytes = Vec::new();
    frame::put_frame(kind::HEADERS, 0, 5, &block[..2], &mut bytes);
    frame::put_frame(kind::CONTINUATION, 0, 5, &block[2..3], &mut bytes);
    frame::put_frame(kind::CONTINUATION, flag::END_HEADERS, 5, &block[3..], &mut bytes);
    put_message(5, "HealthCheckResponse", &json!({}), &mut bytes);
    put_trailers(5, "0", &mut bytes);
    peer.say(&bytes).unwrap();
    assert_eq!(peer.events, ["answer 0 HealthCheckResponse 2"]);
}

#[test]
fn a_held_connection_is_small() {
    // With its link, socket slot and table entries a client stays below 1 KiB.
    assert!(size_of::<Session>() <= 320, "{}", size_of::<Session>());
    let mut peer = Peer::ready();
    peer.seen();
    let session = &peer.session;
    assert_eq!(session.out.capacity() + session.partial.capacity(), 0);
    assert_eq!(session.calls.capacity() + session.pushed.capacity(), 0);
}

#[test]
fn damaged_bytes_end_a_session_but_never_the_process() {
    let mut whole = answer_frames(5, "HealthCheckResponse", &json!({"message": "m"}));
    put_message(3, "NotifySubscriberRequest", &json!({"requestId": "9"}), &mut whole);
    frame::put_settings(&[(setting::INITIAL_WINDOW_SIZE, u32::MAX)], &mut whole);
    frame::put_window_update(0, u32::MAX, &mut whole);
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut refused = 0;
    for _ in 0..3_000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = random as usize % bytes.len();
            bytes[at] = (random >> 32) as u8;
        }
        let mut peer = Peer::ready();
        assert!(peer.call(0));
        refused += usize::from(peer.say(&bytes).is_err());
        assert!(peer.session.partial.len() <= bytes.len());
    }
    assert!(refused > 1_000, "{refused}");
}
