//! Time-budgeted fuzzing of the two parsers of this room: recorded messages, mutated.
//!
//! `NACRE_FUZZ_SECONDS` (default 2) is the time for each target. A failure is shrunk, and prints
//! the `NACRE_FUZZ_SEED` that finds it again at once.

use crate::{judge, samples};
use nacre_proto::link::{Ack, ConnectionSetupRequest};
use nacre_proto::open_api::{self, Beat, DatagramAck, Selector};
use nacre_proto::payload::PayloadView;
use nacre_proto::request::{Kind, ParseError, Request};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::de::{Deserialize, IgnoredAny};
use serde_json::Value;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

#[test]
fn fuzz_payload() {
    let corpus = samples::payloads().into_iter().map(|(_, _, bytes)| bytes).collect();
    fuzz(corpus, &["\u{12}", "\u{1a}", "\u{3a}", "\u{0}", "\u{13}", "\u{14}"], payload);
}

#[test]
fn fuzz_forms() {
    let deep = "[".repeat(1_200);
    let tokens = [
        "null",
        "{}",
        "[]",
        "\"\"",
        "true",
        "-1",
        "1e999",
        "0.5",
        "{\"a\":",
        "[{",
        "}",
        "]",
        ",",
        ":",
        "\"",
        "\\u0000",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\x",
        " ",
        "\n",
        "\u{feff}",
        &deep,
        "\"port\":\"80\",",
        "\"metadata\":null,",
        "\"instance\":{},",
        "\"ip\":7,",
        "é",
    ];
    let corpus = samples::requests().into_iter().map(|sample| sample.body.get().into()).collect();
    fuzz(corpus, &tokens, forms);
}

/// Whatever prost accepts must read the same here; nothing may panic.
fn payload(bytes: &[u8]) {
    if let Ok(view) = PayloadView::decode(bytes) {
        view.headers().for_each(|(key, _)| assert!(view.header(key).is_some()));
    }
    judge::same_bytes(bytes);
}

/// What we accept, serde_json calls JSON and reads the same; what it calls JSON, we do not call
/// malformed.
fn forms(body: &[u8]) {
    let tree = serde_json::from_slice::<Value>(body);
    for kind in Kind::ALL {
        match (Request::parse(kind, body), &tree) {
            (Ok(Some(request)), Ok(tree)) => judge::same_request(&request, tree),
            (Ok(Some(_)), Err(_)) => assert_starts_with_json(body),
            (Ok(None), Ok(tree)) => assert!(tree.is_null()),
            (Ok(None), Err(_)) => assert!(starts_with_null(body)),
            (Err(error), Ok(tree)) => {
                assert!(kind != Kind::HealthCheck || is_ours_alone(&error, tree), "{error}");
            }
            (Err(error), Err(_)) => assert!(error.at() <= body.len()),
        }
    }
    parameters(body);
    if let (Ok(Some(setup)), Ok(tree)) = (ConnectionSetupRequest::parse(body), &tree) {
        judge::same_setup(&setup, tree);
    }
    if let (Ok(Some(ack)), Ok(tree)) = (Ack::parse(body), &tree) {
        judge::same_ack(&ack, tree);
    }
}

/// What stands in HTTP parameters and datagrams: nothing panics, and metadata that reads as JSON
/// is what serde_json reads.
fn parameters(body: &[u8]) {
    if let Ok(Some(ack)) = DatagramAck::parse(body) {
        assert!(ack.number().is_none() || ack.kind.is_some());
    }
    let Ok(text) = std::str::from_utf8(body) else { return };
    let _ = (Beat::parse(text), Selector::parse(text));
    let tree = serde_json::from_str::<Value>(text);
    if let (Some(pairs), Ok(Value::Object(object))) = (open_api::metadata(text), &tree) {
        for (key, value) in pairs.iter().filter(|(key, _)| object[*key].is_string()) {
            assert_eq!(object[key], value);
        }
    }
}

/// A well-formed body is refused by a request without members only for not being an object.
fn is_ours_alone(error: &ParseError, tree: &Value) -> bool {
    !tree.is_object() && !tree.is_null() && error.what() == "an object was expected"
}

/// Like Jackson we stop after the first value, and take a byte order mark and any size of number.
fn assert_starts_with_json(body: &[u8]) {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let mut reader = serde_json::Deserializer::from_slice(body);
    IgnoredAny::deserialize(&mut reader).expect("we accept it");
}

fn starts_with_null(body: &[u8]) -> bool {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    body.trim_ascii_start().starts_with(b"null")
}

/// One change to a message; places are taken modulo its length.
#[derive(Debug, Clone)]
enum Change {
    Put(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
    Insert(usize, usize),
    /// Turns one bracket, comma or colon into another.
    Mark(usize, usize),
    /// Replaces everything from a place on by the end of another message.
    Cross(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    use Change::*;
    let at = any::<usize>;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(place, byte)| Put(place, byte)),
        2 => (at(), 1..20usize).prop_map(|(place, length)| Remove(place, length)),
        2 => (at(), 1..200usize).prop_map(|(place, length)| Repeat(place, length)),
        1 => at().prop_map(Cut),
        4 => (at(), at()).prop_map(|(place, token)| Insert(place, token)),
        3 => (at(), at()).prop_map(|(place, mark)| Mark(place, mark)),
        1 => (at(), at(), at()).prop_map(|(place, other, from)| Cross(place, other, from)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change, corpus: &[Vec<u8>], tokens: &[&str]) {
    let length = bytes.len();
    let within = |place: usize| place % (length + 1);
    match *change {
        Change::Put(place, byte) if length > 0 => bytes[place % length] = byte,
        Change::Put(..) => {}
        Change::Remove(place, count) => {
            let place = within(place);
            bytes.drain(place..length.min(place + count));
        }
        Change::Repeat(place, count) => {
            let place = within(place);
            bytes.extend_from_within(place..length.min(place + count));
        }
        Change::Cut(place) => bytes.truncate(within(place)),
        Change::Insert(place, token) => {
            let token = tokens[token % tokens.len()].bytes();
            let place = within(place);
            bytes.splice(place..place, token);
        }
        Change::Mark(place, mark) => {
            const MARKS: &[u8] = b"{}[],:";
            let marks: Vec<_> = (0..length).filter(|at| MARKS.contains(&bytes[*at])).collect();
            if !marks.is_empty() {
                bytes[marks[place % marks.len()]] = MARKS[mark % MARKS.len()];
            }
        }
        Change::Cross(place, other, from) => {
            let other = &corpus[other % corpus.len()];
            bytes.truncate(within(place));
            bytes.extend_from_slice(&other[from % (other.len() + 1)..]);
        }
    }
}

/// Runs the target on changed messages until the time is over.
fn fuzz(corpus: Vec<Vec<u8>>, tokens: &[&str], target: fn(&[u8])) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let replay = number("NACRE_FUZZ_SEED");
    let budget = Duration::from_secs(number("NACRE_FUZZ_SECONDS").unwrap_or(2));
    #[expect(clippy::disallowed_methods, reason = "the budget of a test is real time")]
    let now = std::time::Instant::now;
    let start = now();
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change(), 0..8));
    let mut rounds = 0;
    while rounds == 0 || replay.is_none() && start.elapsed() < budget {
        let seed = replay.unwrap_or_else(|| RandomState::new().hash_one(rounds));
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |(index, changes)| {
            let mut message = corpus[index.index(corpus.len())].clone();
            for change in &changes {
                apply(&mut message, change, &corpus, tokens);
            }
            target(&message);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("run again with NACRE_FUZZ_SEED={seed}\n{error}");
        }
        rounds += 1;
    }
    println!("{} messages", rounds * 200);
}
