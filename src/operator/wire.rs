//! The words of the socket: one question a connection, one JSON line; then lines of answer, the
//! last of which is `done` or `refused`. Ours alone: both ends are the same program, and an older
//! one refuses what it does not know.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::io;

/// Bytes of a question: names and a hash. Longer: refused.
pub const REQUEST_BYTES_MAX: usize = 64 * 1_024;

/// Bytes of one line of an answer: [`LOOK_ROWS_MAX`](nacre_shards::limits::LOOK_ROWS_MAX) rows with
/// names of full length.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// Bytes of one piece of a backup: one record alone may be 12 MiB.
pub const PIECE_BYTES_MAX: usize = 16 << 20;

/// Rows of a list unless more are asked for.
pub const ROWS: usize = 50;

/// Rows of a list, at most; a longer one goes on where the answer says.
pub const ROWS_MAX: usize = 10_000;

/// Exit code and kind of a refusal: the node, or what it found, says no.
pub const NO: u8 = 1;

/// It could not be asked or looked at.
pub const UNSEEN: u8 = 2;

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    Status,
    /// The log, the checkpoint, the members.
    Store,
    Services(Listing),
    Clients(Listing),
    Configs(Listing),
    Users,
    User(UserChange),
    Backup,
    Trace(Traced),
}

/// Which rows of a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    pub namespace: Option<String>,
    /// A part of the name; blank for all.
    pub name: String,
    pub limit: usize,
    /// Where the last list ended.
    pub from: Option<String>,
}

/// A change of users. Passwords are hashed by whoever asks: none travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserChange {
    /// The first administrator.
    Admin {
        hash: Hash,
    },
    Add {
        name: String,
        hash: Hash,
    },
    Password {
        name: String,
        hash: Hash,
    },
    Remove {
        name: String,
    },
}

/// The hash of a password, which nobody reads in a log.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Hash(pub String);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// Whose pushes to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traced {
    Service { namespace: String, group: String, name: String },
    Config { namespace: String, group: String, data_id: String },
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    Part(Value),
    /// So many raw bytes follow the line.
    Bytes(usize),
    Done(Value),
    Refused(Refusal),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// [`NO`] or [`UNSEEN`].
    pub exit: u8,
    /// A sentence, with what to do.
    pub text: String,
}

impl Refusal {
    pub fn no(text: impl Into<String>) -> Self {
        Self { exit: NO, text: text.into() }
    }

    pub fn unseen(text: impl Into<String>) -> Self {
        Self { exit: UNSEEN, text: text.into() }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::unseen(format!("the answer was cut off: {error}"))
    }
}

/// What came of a question.
pub type Answered = Result<Value, Refusal>;

/// Where an answer's parts go: to a socket, or, on a stopped directory, straight to the [`Sink`].
pub trait Out {
    /// A piece of JSON.
    fn part(&mut self, part: Value) -> impl Future<Output = io::Result<()>>;
    /// Raw bytes.
    fn bytes(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>>;
}

/// What the tool does with an answer's parts.
pub trait Sink {
    /// A piece of JSON.
    ///
    /// # Errors
    /// It cannot be kept; the answer is given up.
    fn part(&mut self, part: Value) -> io::Result<()>;
    /// Raw bytes.
    ///
    /// # Errors
    /// As [`Sink::part`].
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Keeps parts for when all are there.
impl Sink for Vec<Value> {
    fn part(&mut self, part: Value) -> io::Result<()> {
        self.push(part);
        Ok(())
    }

    fn bytes(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("bytes where none are wanted"))
    }
}

/// Without a socket between.
pub struct Here<'a>(pub &'a mut dyn Sink);

impl Out for Here<'_> {
    async fn part(&mut self, part: Value) -> io::Result<()> {
        self.0.part(part)
    }

    async fn bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_survive_the_way_and_strangers_are_refused() {
        let hash = Hash("$2a$10$x".to_owned());
        for request in [
            Request::Status,
            Request::Services(Listing { limit: 7, ..Listing::default() }),
            Request::User(UserChange::Add { name: "n".to_owned(), hash: hash.clone() }),
        ] {
            let line = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request, "{line}");
        }
        for line in ["", "{}", "\"dance\"", "{\"user\":{\"add\":{\"name\":\"n\"}}}", "[1]"] {
            assert!(serde_json::from_str::<Request>(line).is_err(), "{line}");
        }
        let told = format!("{:?}", Request::User(UserChange::Admin { hash }));
        assert!(!told.contains("$2a"), "{told}");
    }
}
