//! Everything that may come into a shard.
//!
//! The contract between home and owner:
//! * every [`Ask`] is answered by exactly one [`Tell`] (of which [`Tell::is_answer`] is true), so a
//!   home core that keeps its asks under way below a bound can never fill a lane;
//! * from an owner to a home core, answers and changes share one order;
//! * a `Changed` is not an answer: an owner holds it back as a dirty bit until there is room.

use crate::auth::Denial;
use crate::config::inquiry::Inquiry;
use crate::config::open::Of;
use crate::durable::answer::Answer as Decision;
use crate::durable::question::Question;
use crate::durable::state::Change;
use crate::effect::Body;
use crate::health::checks::{Outcome, Ticket};
use crate::health::liveness::Reset;
use crate::key::{ConnKey, Core, Home, ServiceKey};
use crate::look::Look;
use crate::naming::host::Publication;
use crate::naming::open::{self, Call, Order};
use crate::naming::view::{Filter, View};
use bytes::Bytes;
use nacre_proto::link::ConnectionSetupRequest;
use nacre_proto::request::{Kind, Request};
use std::net::SocketAddr;
use std::sync::Arc;

/// The time, read once a turn by whoever drives the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since the process started; never goes back.
    pub tick_ms: u64,
    /// Unix milliseconds; never goes back within a process.
    pub unix_ms: u64,
}

/// What the outside tells a shard. Text borrows from the received bytes.
#[derive(Debug)]
pub enum Message<'a> {
    /// The node finished starting: setups of SDKs are accepted from here on.
    Started,
    /// The node stops: clients are told, their leaving changes no list.
    Stopping,
    /// A transport came up. `id_ms` is the unique milliseconds part of its connection id.
    Connected { conn: ConnKey, peer: SocketAddr, id_ms: u64 },
    /// The transport is gone, whoever ended it.
    Disconnected { conn: ConnKey },
    /// The first message on the bidirectional stream. `client_ip` is the payload's metadata.
    Setup { conn: ConnKey, client_ip: &'a str, setup: ConnectionSetupRequest<'a> },
    /// A unary call whose type has a handler, its body parsed (`grpc-protocol.md` 4, rows 4 and 7
    /// on), or the parser's text (row 5; a `None` request is row 6, parsed to null). `app` is the
    /// payload's `app` header, `tag` its `Vipserver-Tag`.
    Call {
        conn: ConnKey,
        stream: u32,
        app: Option<&'a str>,
        tag: Option<&'a str>,
        request: Result<Option<Request<'a>>, String>,
    },
    /// A unary call whose body was read and that its sender has no right to; in its type's order of
    /// refusals it stands behind rows 1 to 6.
    Denied { conn: ConnKey, stream: u32, kind: Kind, denial: Denial },
    /// What comes next on this connection stands ([`crate::auth::call::stands`]), and its user,
    /// who was let in, is this one.
    Known { conn: ConnKey, user: &'a str },
    /// `ServerCheckRequest`: needs no setup.
    ServerCheck { conn: ConnKey, stream: u32 },
    /// An answer to a push on the stream: only the id and `result_code == 200` count.
    Ack { conn: ConnKey, request_id: u64, accepted: bool },
    /// A client's answer to an [`Ask::Inquire`]: its whole JSON.
    Metrics { conn: ConnKey, request_id: u64, json: &'a [u8] },
    /// The connection's send side is congested (more than a bound waits to be read by the client),
    /// or has room again. While congested, no push is handed out for it: state coalesces instead.
    Congested { conn: ConnKey, congested: bool },
    /// A call of the open API. Its answer is an [`crate::effect::Effect::Answer`] with the same
    /// ticket, this turn or later; there is always one.
    Open { ticket: u32, call: Call },
    /// A poller acknowledged the datagram of this number.
    Acknowledged { from: SocketAddr, number: u64 },
    /// What came of an [`crate::effect::Effect::Check`].
    Checked { ticket: Ticket, outcome: Outcome },
    /// A request from another core. Its answer goes back as [`Tell`] effects.
    Ask { from: Core, ask: Ask },
    /// An answer or a change from another core.
    Tell { from: Core, tell: Tell },
    /// On the Raft core: commands were applied and readers see it. Comes before the answers of
    /// those commands. `slots`: where services changed. Without either: of users, roles or
    /// permissions.
    Settled { changes: Arc<[Change]>, slots: Arc<[u32]> },
    /// On the Raft core: what became of an [`crate::effect::Effect::Propose`], once for each.
    Proposed { to: Core, waiter: Waiter, purpose: Purpose, outcome: Result<Decision, Unready> },
    /// On the Raft core: the answer of an [`crate::effect::Effect::Recall`], once for each.
    Looked { to: Core, waiter: Waiter, answer: open::Answer },
}

/// What a proposal is for: which response it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `ConfigPublishResponse`.
    Publish,
    /// `ConfigRemoveResponse`.
    Remove,
    /// `InstanceResponse` of a persistent registration.
    Register,
    /// `InstanceResponse` of a persistent deregistration.
    Deregister,
    /// Nobody waits: an owner core's cleaner or health checks.
    Care,
    /// The open API's: its handler writes the response.
    Open,
}

/// Why a proposal did not come to be decided. Unless it says otherwise, nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// The node replays its log.
    Starting,
    /// As much waits for the disk as may.
    Full,
    /// One command is larger than any may be.
    TooLarge,
    /// The disk is full, or may not be written.
    ReadOnly,
    /// A write failed in a way that only a restart can clear.
    Latched,
    /// Nobody leads.
    NoLeader,
    /// The node stops.
    Stopping,
    /// It was accepted, and the store stopped before its end was known.
    Unknown,
}

impl Unready {
    /// For the client and whoever reads its log.
    pub const fn sentence(self) -> &'static str {
        match self {
            Unready::Starting => "The server is still reading its log, please try later.",
            Unready::Full => "The server is busy writing, please try again later.",
            Unready::TooLarge => "What is to be written is too large.",
            Unready::Stopping => "The server is stopping, please try another.",
            Unready::ReadOnly => "The server's disk is full, nothing can be written.",
            Unready::Latched => "The server's disk failed, nothing can be written.",
            Unready::NoLeader => "The cluster has no leader, please try again later.",
            Unready::Unknown => "The server stopped writing, it is unknown whether this was done.",
        }
    }
}

/// Who waits for an answer: a stream of a connection on its home core. Stream 0: nobody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiter {
    pub conn: ConnKey,
    pub stream: u32,
}

impl Waiter {
    /// Who waits for the answer of a call of the open API. Any ask takes it: the answer leaves as
    /// [`crate::effect::Effect::Answer`], of a typed body as [`open::Answer::Body`].
    pub const fn of_ticket(home: Home, ticket: u32) -> Self {
        Self { conn: ConnKey::of_ticket(home, ticket), stream: 1 }
    }
}

/// Home core (or owner) to owner core (or directory core). Each is answered by exactly one
/// [`Tell`].
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Replace what this connection publishes for the service. `answer` is sent back when done.
    Publish { waiter: Waiter, service: ServiceKey, publication: Box<Publication> },
    /// Remove what this connection publishes for the service. With stream 0 the client is gone:
    /// never refused.
    Withdraw { waiter: Waiter, service: ServiceKey },
    /// Current state under a filter.
    Query { waiter: Waiter, service: ServiceKey, filter: Box<Filter>, purpose: QueryPurpose },
    /// Current state, and interest of the asking home core recorded in the same `handle`.
    Subscribe { waiter: Waiter, service: ServiceKey, filter: Box<Filter> },
    /// The home core has no subscriber left: never refused.
    Uninterested { service: ServiceKey },
    /// To the directory core: a page of names.
    Names { waiter: Waiter, namespace: Box<str>, group: Box<str>, page_no: i64, page_size: i64 },
    /// To the directory core: start a fuzzy watch.
    Watch { waiter: Waiter, watch: Box<Watch> },
    /// To the directory core: end one. With stream 0 the client is gone: never refused.
    Unwatch { waiter: Waiter, pattern: Box<str> },
    /// Owner to directory core: a service has its first publisher, or was removed by the cleaner.
    /// Never refused. `listed`: whether the name shows in lists; `published`: whether anybody
    /// publishes it now.
    Named { service: ServiceKey, listed: bool, published: bool },
    /// A call of the open API, to whom it concerns.
    Open { waiter: Waiter, order: Box<Order> },
    /// To the Raft core: what its state knows.
    Recall { waiter: Waiter, question: Box<Question> },
    /// To the home side of any core: who listens there.
    Listeners { waiter: Waiter, of: Box<Of> },
    /// To the home side of any core: its config clients of an address are asked for their metrics.
    /// Answered when they have answered, or a second is over.
    Inquire { waiter: Waiter, inquiry: Box<Inquiry> },
    /// To the Raft core: a command to be logged and applied. Its answer comes when that is done.
    Propose { waiter: Waiter, purpose: Purpose, command: Bytes },
    /// To any core: an operator's question, answered `Opened`.
    Look { waiter: Waiter, look: Box<Look> },
    /// To the home side of any core: an operator sends clients elsewhere. Answered `Opened`.
    Reset { waiter: Waiter, reset: Box<Reset> },
}

/// Which response a query answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryPurpose {
    /// `QueryServiceResponse`.
    Query,
    /// `SubscribeServiceResponse` of an unsubscribe.
    Unsubscribe,
}

/// A fuzzy watch as a client asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// `namespace>>groupPattern>>servicePattern`.
    pub pattern: Box<str>,
    /// Service keys the client already knows.
    pub known: Vec<Box<str>>,
    pub initializing: bool,
}

/// Owner core to home core.
#[derive(Debug, Clone, PartialEq)]
pub enum Tell {
    /// The answer of a call, ready to be written.
    Answer { waiter: Waiter, body: Body },
    /// The answer of a `Query` for a service the asking home core follows: to the connection that
    /// gets it, no state older than `revision` may be pushed afterwards.
    Queried { waiter: Waiter, service: ServiceKey, revision: u64, body: Body },
    /// The answer of an `Open`.
    Opened { waiter: Waiter, answer: open::Answer },
    /// An ask nobody waits for was carried out.
    Confirmed,
    /// Answer of `Subscribe`: the home core adds the subscriber before it reads the next entry.
    Subscribed { waiter: Waiter, service: ServiceKey, filter: Box<Filter>, view: Arc<View> },
    /// A service in which this home core is interested changed; latest state wins. Not an answer.
    Changed { service: ServiceKey, view: Arc<View> },
    /// Answer of `Watch`: `body` is the response, `differences` what the client must be told.
    Watched {
        waiter: Waiter,
        watch: Box<Watch>,
        body: Body,
        differences: Vec<(ServiceKey, NameChange)>,
    },
    /// A watched name appeared or vanished; the home core tells its watchers. Not an answer.
    NameChanged { service: ServiceKey, change: NameChange },
    /// Answer of `Propose`.
    Proposed { waiter: Waiter, purpose: Purpose, outcome: Result<Decision, Unready> },
    /// The Raft core applied commands; the tables show it already. Not an answer.
    ConfigsChanged { changes: Arc<[Change]> },
    /// The same of services this core owns: look at the tables ([`crate::naming::shared`]). Not an
    /// answer; one says as much as many.
    ServicesChanged,
}

impl Tell {
    /// Whether it answers an ask. What does not waits at its sender until there is room.
    pub fn is_answer(&self) -> bool {
        !matches!(
            self,
            Tell::Changed { .. }
                | Tell::NameChanged { .. }
                | Tell::ConfigsChanged { .. }
                | Tell::ServicesChanged
        )
    }
}

/// `changedType` of fuzzy watch messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameChange {
    /// `ADD_SERVICE`.
    Added,
    /// `DELETE_SERVICE`.
    Deleted,
}
