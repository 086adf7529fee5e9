//! Replays of naming connections of real SDKs against the reference (`data/*.hex`, one frame a
//! line).
//!
//! The clients' bytes go in; the reference's messages go out through `reply` and `push`. Every
//! HEADERS frame must then be the reference's, byte for byte, and every DATA payload too.

use super::support::Noted;
use nacre::grpc::{Codec, Connection, Message, Outcome};

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Kind, flags, stream and payload.
type Frame = (u8, u8, u32, Vec<u8>);

fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
        let payload = bytes[9..9 + length].to_vec();
        let (kind, flags) = (bytes[3], bytes[4]);
        bytes = &bytes[9 + length..];
        match frames.last_mut() {
            // Two pushes may share a DATA frame.
            Some(last) if kind == 0 && (last.0, last.2) == (0, stream) => last.3.extend(payload),
            _ if kind > 1 => {}
            _ => frames.push((kind, flags, stream, payload)),
        }
    }
    frames
}

fn messages(mut payload: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while !payload.is_empty() {
        let length = u32::from_be_bytes(payload[1..5].try_into().unwrap()) as usize;
        messages.push(&payload[5..5 + length]);
        payload = &payload[5 + length..];
    }
    messages
}

/// Replays a capture, the client's bytes in pieces of `piece` bytes.
fn replay(capture: &str, piece: usize) {
    let lines: Vec<(&str, Vec<u8>)> =
        capture.lines().map(|line| (&line[..1], bytes(&line[2..]))).collect();
    let mut codec = Codec::new(super::support::limits());
    let mut connection = Connection::new(0);
    let (mut out, mut service, mut expected) = (Vec::new(), Noted::default(), Vec::new());
    let mut asked = 0;
    connection.greet(&mut codec, &mut out);
    for (position, (side, frame)) in lines.iter().enumerate() {
        if *side == "C" {
            for part in frame.chunks(piece) {
                connection.receive(part, 0, &mut codec, &mut out, &mut service).unwrap();
            }
            asked += usize::from(frame[3] == 0 && frame[..3] != [0, 0, 0]);
            continue;
        }
        expected.extend_from_slice(frame);
        if frame[3] != 0 {
            continue;
        }
        let stream = u32::from_be_bytes(frame[5..9].try_into().unwrap());
        let trailers = |next: &(&str, Vec<u8>)| next.0 == "S" && next.1[3..5] == [1, 5];
        let last = lines.get(position + 1).is_some_and(trailers);
        for message in messages(&frame[9..]) {
            let message = Message::whole(message);
            let outcome = match last {
                true => connection.reply(stream, message, &mut codec, &mut out),
                false => connection.push(stream, message, &mut codec, &mut out),
            };
            assert_eq!(outcome, Outcome::Out);
        }
    }
    assert!(asked > 10);
    assert_eq!(service.messages.len(), asked, "every message of the client arrived");
    assert_eq!(frames(&out), frames(&expected));
    connection.release(&mut codec);
}

fn replay_whole_and_in_pieces(capture: &str) {
    for piece in [usize::MAX, 1, 2, 7, 9, 10, 100] {
        replay(capture, piece);
    }
}

#[test]
fn java_3_1_1() {
    replay_whole_and_in_pieces(include_str!("data/java-nacos-client-3.1.1.hex"));
}

#[test]
fn java_2_5_1() {
    replay_whole_and_in_pieces(include_str!("data/java-nacos-client-2.5.1.hex"));
}

#[test]
fn go_2_3_2() {
    replay_whole_and_in_pieces(include_str!("data/go-nacos-sdk-2.3.2.hex"));
}
