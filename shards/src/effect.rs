//! Everything a shard may ask of the outside. Carried out in order by `src/pump`, or by the
//! simulation.

use crate::durable::question::Question;
use crate::health::checks::Check;
use crate::key::{ConnKey, Core, Home, Owner};
use crate::message::{Ask, Purpose, Tell, Waiter};
use crate::naming::open::Answer;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;

/// A message for a client: its type name and its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// `Metadata.type`.
    pub kind: &'static str,
    pub json: Json,
    /// The JSON's `errorCode`, for the metrics; 0 is a success.
    pub error_code: i32,
}

impl Body {
    /// A message that is no failure.
    pub const fn new(kind: &'static str, json: Json) -> Self {
        Self { kind, json, error_code: 0 }
    }
}

/// JSON in at most three pieces, so that what is encoded once is never copied to be wrapped.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// The same for everybody.
    Static(&'static str),
    /// For one client only.
    Owned(Vec<u8>),
    /// A shared middle (a `ServiceInfo`, a content) in a wrapper of its own.
    Shared { before: Short, shared: Bytes, after: Cow<'static, [u8]> },
}

/// A few bytes without a heap allocation: the part of a push before the shared middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Short {
    len: u8,
    bytes: [u8; Short::BYTES_MAX],
}

impl Short {
    /// Holds `{"headers":{},"requestId":"<20 digits>","serviceInfo":`, 57 bytes.
    pub const BYTES_MAX: usize = 62;

    /// Joins the pieces. Their sum is at most [`Short::BYTES_MAX`].
    pub fn of(pieces: &[&str]) -> Self {
        let mut short = Self { len: 0, bytes: [0; Self::BYTES_MAX] };
        for piece in pieces {
            let start = short.len as usize;
            short.bytes[start..start + piece.len()].copy_from_slice(piece.as_bytes());
            short.len += piece.len() as u8;
        }
        short
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

impl Json {
    /// The three pieces in order; unused ones are empty.
    pub fn pieces(&self) -> [&[u8]; 3] {
        match self {
            Json::Static(text) => [text.as_bytes(), &[], &[]],
            Json::Owned(bytes) => [bytes, &[], &[]],
            Json::Shared { before, shared, after } => [before.as_bytes(), shared, after],
        }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a shard wants a connection closed. Each is a counter in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// No message for the idle time and no answer to the detection.
    Ejected,
    /// Nothing useful and no ConnectionSetup in time.
    NeverSetUp,
    /// An SDK's setup while the server is starting.
    Starting,
    /// Does not read: more is waiting for it than it may cost.
    TooSlow,
    /// An operator told the client to go elsewhere.
    Redirected,
    /// The server stops.
    Stopping,
}

/// One thing to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Home to owner. `to` is another core: a shard serves its own asks itself.
    /// There is always room: at most `limits::LaneLimits::asks_max` are under way per pair.
    Ask { to: Owner, ask: Ask },
    /// Owner to home. `to` is another core. There is always room (see `Shard::drain`).
    Tell { to: Home, tell: Tell },
    /// On the Raft core: have a command logged and applied. Answered by one
    /// [`crate::message::Message::Proposed`] that gives `from` back as `to`.
    Propose { from: Core, waiter: Waiter, purpose: Purpose, command: Bytes },
    /// On the Raft core: have a question answered. Answered by one
    /// [`crate::message::Message::Looked`] that gives `from` back as `to`.
    Recall { from: Core, waiter: Waiter, question: Box<Question> },
    /// Answer of the unary call on this stream of a connection at home here.
    Reply { conn: ConnKey, stream: u32, body: Body, delay_ms: u32 },
    /// A message on the connection's bidirectional stream.
    Push { conn: ConnKey, body: Body },
    /// Answer of the open API's call with this ticket; whoever asked may have gone.
    Answer { ticket: u32, answer: Answer },
    /// Tell a poller of a service's list by datagram. `number` is what its acknowledgement will
    /// carry; datagrams with the same number carry the same list.
    Datagram { to: SocketAddr, number: u64, list: Bytes },
    /// Ask an instance whether it lives. Answered by one [`crate::message::Message::Checked`].
    Check(Check),
    /// Close the connection once what was written before has left.
    Close { conn: ConnKey, reason: CloseReason },
}

/// Effects in the order they must be carried out.
#[derive(Debug, Default)]
pub struct Effects {
    pub list: Vec<Effect>,
}

impl Effects {
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }
}
