//! Configs whose every part follows from key and number: what is read tells whether it was ever
//! written, and whether all of it is of one write.

use crate::random::mix;
use crate::server::{Server, http_get};
use nacre_loadgen::client::{Client, ClientError, Profile};
use nacre_loadgen::md5::Md5;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const GROUP: &str = "CRASH";
/// How keys begin whose values may be large: so much is written that checkpoints and the purge of
/// the log are under way when the server is killed.
pub const HEAVY: &str = "new";
const TYPES: [&str; 4] = ["text", "yaml", "properties", "xml"];

/// Ends a wait for what must come; generous, since the machine is busy with other tests.
pub const WAIT: Duration = Duration::from_secs(30);
/// Between two looks at something no channel tells.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The refusals that are certain, in the server's words.
pub const FULL: &str = "The server's disk is full, nothing can be written.";
pub const FAILED: &str = "The server's disk failed, nothing can be written.";
pub const STOPPING: &str = "The server is stopping, please try another.";
const LOST: &str = "Cas publish fail, server md5 may have changed.";
/// What a write is told that was on its way when the store stopped.
pub const UNKNOWN: &str = "The server stopped writing, it is unknown whether this was done.";

/// How a write ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The condition did not hold; nothing was written.
    Lost,
    /// Nothing was written, for the reason given.
    Refused(String),
    /// No answer, or one that says nobody knows.
    Unknown(String),
}

/// One config as a query shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub number: u64,
    pub md5: String,
}

/// A config client.
pub fn connect(address: SocketAddr) -> Result<Client, ClientError> {
    let mut client = Client::connect(address, Profile::module("config"))?;
    client.set_call_timeout(WAIT);
    Ok(client)
}

/// Mostly small ones, some of many pages; new keys may be of more, since they are read seldom.
fn content(key: &str, number: u64) -> String {
    let drawn = mix(number ^ mix(key.len() as u64));
    let bytes = match drawn % 32 {
        0 if key.starts_with(HEAVY) => 800_000,
        1..=7 if key.starts_with(HEAVY) => 250_000,
        0 => 60_000,
        1..=4 => 9_000,
        _ => 40 + drawn as usize % 400,
    };
    sized(key, number, bytes)
}

fn sized(key: &str, number: u64, bytes: usize) -> String {
    let line = format!("{key}#{number}\n");
    line.repeat(bytes.div_ceil(line.len()))
}

fn kind(number: u64) -> &'static str {
    TYPES[(number % 4) as usize]
}

fn data_key(number: u64) -> String {
    format!("key of {number}")
}

/// Publishes a key's value of this number, on the condition that what is there has this md5.
pub fn publish(client: &Client, key: &str, number: u64, condition: Option<&str>) -> Outcome {
    publish_content(client, key, number, &content(key, number), condition)
}

/// The same with content of so many bytes.
pub fn publish_sized(client: &Client, key: &str, number: u64, bytes: usize) -> Outcome {
    publish_content(client, key, number, &sized(key, number, bytes), None)
}

fn publish_content(
    client: &Client,
    key: &str,
    number: u64,
    content: &str,
    condition: Option<&str>,
) -> Outcome {
    let more = json!({"type": kind(number), "encryptedDataKey": data_key(number)});
    let mut body = json!({"dataId": key, "group": GROUP, "tenant": "", "content": content,
        "additionMap": more});
    if let Some(md5) = condition {
        body["casMd5"] = md5.into();
    }
    outcome(client, "ConfigPublishRequest", &body)
}

/// Removes a key.
pub fn remove(client: &Client, key: &str) -> Outcome {
    let body = json!({"dataId": key, "group": GROUP, "tenant": "", "tag": null});
    outcome(client, "ConfigRemoveRequest", &body)
}

fn outcome(client: &Client, kind: &str, body: &Value) -> Outcome {
    let answer = match client.call_raw(kind, body.to_string().as_bytes(), &[]) {
        Ok(answer) => answer.json().expect("answers are JSON"),
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    let message = answer["message"].as_str().unwrap_or_default();
    match (answer["resultCode"].as_i64(), message) {
        (Some(200), _) => Outcome::Done,
        (_, LOST) => Outcome::Lost,
        (_, UNKNOWN) => Outcome::Unknown(message.to_owned()),
        (_, FULL | FAILED | STOPPING) => {
            assert_eq!(answer["errorCode"], 503, "{answer}");
            Outcome::Refused(message.to_owned())
        }
        _ => panic!("a write is answered {answer}"),
    }
}

/// What is there. `Err` when nobody answers.
///
/// # Panics
/// What is found is not one write's, all of it.
pub fn query(client: &Client, key: &str) -> Result<Option<Found>, ClientError> {
    let body = json!({"dataId": key, "group": GROUP, "tenant": ""});
    let body = body.to_string();
    let answer = client.call_raw("ConfigQueryRequest", body.as_bytes(), &[])?.json()?;
    if answer["errorCode"] == 300 && answer["message"] == "config data not exist" {
        return Ok(None);
    }
    Ok(Some(whole(key, &answer).unwrap_or_else(|| panic!("{key} is half visible: {answer}"))))
}

/// The write that all parts of an answer are of.
fn whole(key: &str, answer: &Value) -> Option<Found> {
    let found = answer["content"].as_str()?;
    let number = found.lines().next()?.strip_prefix(key)?.strip_prefix('#')?.parse().ok()?;
    let sum = Md5::default().hex(found.as_bytes());
    let same = sized(key, number, found.len()) == found
        && answer["md5"] == sum.as_str()
        && answer["contentType"] == kind(number)
        && answer["encryptedDataKey"] == data_key(number).as_str();
    same.then_some(Found { number, md5: sum })
}

/// Polls a condition until it holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A gauge or counter by its name.
///
/// # Panics
/// There is none of this name.
pub fn metric(server: &Server, name: &str) -> f64 {
    let page = http_get(server.http_port(), "/nacos/actuator/prometheus").expect("metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
}

#[test]
fn a_value_of_two_writes_is_seen() {
    let md5 = |text: &str| Md5::default().hex(text.as_bytes());
    let answer = |content: &str, number: u64| {
        json!({"content": content, "md5": md5(content), "contentType": kind(number),
            "encryptedDataKey": data_key(number)})
    };
    let (old, new) = (content("k", 1), content("k", 2));
    let found = whole("k", &answer(&old, 1)).map(|found| found.number);
    assert_eq!(found, Some(1));
    assert_eq!(whole("k", &answer(&old, 2)), None, "the type of another write");
    assert_eq!(whole("other", &answer(&old, 1)), None);
    let torn = format!("{}{}", &old[..12], &new[12..]);
    assert_eq!(whole("k", &answer(&torn, 1)), None);
    let mut sum = answer(&old, 1);
    sum["md5"] = md5(&new).into();
    assert_eq!(whole("k", &sum), None);
}
