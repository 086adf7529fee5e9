//! One Nacos client over gRPC, for tests: blocking calls, pushes in a queue, manners adjustable.
//!
//! The socket and HTTP/2 live on one background thread that all clients of the process share; a
//! test thread only ever waits on bounded channels with a deadline, so a silent server is a
//! [`ClientError::Timeout`], never a hang. HTTP/2 is the `h2` crate: independent of the server's.

mod calls;
mod error;
mod session;
mod socket;
mod stream;

pub use calls::{ServiceName, addresses, instance};
pub use error::ClientError;

use crate::clock;
use crate::envelope;
use nacre_proto::client::push::SetupAckRequest;
use nacre_proto::client::request::{ConnectionSetupRequest, ServerCheckRequest};
use nacre_proto::client::response::{Response, ServerCheckResponse};
use nacre_proto::client::{Map, Named};
use session::{Command, Session};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Pushes kept until the test looks; more than any test leaves unread. Beyond it a push is not
/// queued, and [`Client::pushes_lost`] counts it.
pub const PUSHES_MAX: usize = 65_536;

/// How long a call waits for its answer. SDKs wait 3 s; a busy test machine is not a bug.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long set-up and an orderly close may take. Java waits 5 s for a `SetupAckRequest`.
pub const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// How a client introduces itself (`grpc-protocol.md` 7).
#[derive(Debug, Clone)]
pub struct Profile {
    /// `clientVersion`.
    pub version: String,
    /// `tenant`; `None` leaves it out, as Java's naming client does.
    pub tenant: Option<String>,
    /// Labels, `source` and `module` among them.
    pub labels: Map,
    /// `None` leaves it out: then no `SetupAckRequest` is due.
    pub ability_table: Option<BTreeMap<String, bool>>,
    /// `Metadata.clientIp` of every request.
    pub client_ip: String,
    /// Metadata headers of every unary call (a call may add its own).
    pub headers: Vec<(String, String)>,
    /// Whether a `ServerCheckRequest` comes first. Without it the connection id is unknown.
    pub server_check: bool,
    /// Whether the stream is opened and set up. Without it only unary calls work.
    pub setup: bool,
}

impl Default for Profile {
    /// A naming client as Java 3.1.1 has it.
    fn default() -> Self {
        Self::module("naming")
    }
}

impl Profile {
    /// A Java 3.1.1 client of one module (`naming`, `config`, `lock`, `ai`).
    pub fn module(module: &str) -> Self {
        let labels = [
            ("source", "sdk"),
            ("module", module),
            ("AppName", "unknown"),
            ("tls.enable", "false"),
        ];
        let abilities = ["agent", "fuzzyWatch", "lock", "mcp"];
        Self {
            version: "Nacos-Java-Client:v3.1.1".into(),
            tenant: None,
            labels: labels.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            ability_table: Some(abilities.into_iter().map(|key| (key.into(), true)).collect()),
            client_ip: "127.0.0.1".into(),
            headers: vec![("app".into(), "unknown".into())],
            server_check: true,
            setup: true,
        }
    }

    /// The same without an ability table, as Go 2.3.2 and old clients.
    pub fn without_abilities(mut self) -> Self {
        self.ability_table = None;
        self
    }

    fn setup_request(&self) -> ConnectionSetupRequest {
        ConnectionSetupRequest {
            client_version: self.version.clone(),
            tenant: self.tenant.clone(),
            labels: self.labels.clone(),
            ability_table: self.ability_table.clone(),
            ..ConnectionSetupRequest::default()
        }
    }
}

/// What happens to a push, except `ClientDetectionRequest`
/// (see [`Client::set_answer_detection`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckMode {
    /// Acknowledged as soon as it is read.
    #[default]
    Auto,
    /// Acknowledged after so long.
    Delay(Duration),
    /// Left to the test ([`Client::ack`]), which may also never do it.
    Manual,
}

/// A request the server sent on the stream.
#[derive(Debug, Clone)]
pub struct Push {
    /// `Metadata.type`.
    pub kind: String,
    /// The JSON text.
    pub body: Vec<u8>,
    /// `requestId` of the body; `None` on a `SetupAckRequest`.
    pub request_id: Option<String>,
    /// When it was read from the socket.
    pub at: Instant,
}

impl Push {
    /// The body as `M`, when it is one.
    pub fn parse<M: Named>(&self) -> Result<M, ClientError> {
        if self.kind != M::NAME {
            return Err(ClientError::WrongKind { wanted: M::NAME, got: self.kind.clone() });
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// A unary answer, success or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `Metadata.type`.
    pub kind: String,
    /// The JSON text.
    pub body: Vec<u8>,
}

impl Answer {
    /// The members every answer has.
    pub fn outcome(&self) -> Result<Response, ClientError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, ClientError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The body as `R` when `resultCode` is 200, else [`ClientError::Refused`].
    pub fn success<R: Named>(&self) -> Result<R, ClientError> {
        let outcome = self.outcome()?;
        if outcome.result_code != 200 {
            return Err(ClientError::Refused {
                kind: self.kind.clone(),
                result_code: outcome.result_code,
                error_code: outcome.error_code,
                message: outcome.message.unwrap_or_default(),
            });
        }
        if self.kind != R::NAME {
            return Err(ClientError::WrongKind { wanted: R::NAME, got: self.kind.clone() });
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// One connection to a server. Dropping it closes the socket (FIN), as a Go client does.
pub struct Client {
    session: Session,
    profile: Profile,
    pushes: Receiver<Push>,
    server_check: Option<ServerCheckResponse>,
    setup_ack: Option<SetupAckRequest>,
    call_timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Client({:?})", self.connection_id())
    }
}

impl Client {
    /// Connects to a gRPC port and goes through the SDKs' sequence: ServerCheck, stream,
    /// ConnectionSetup, and then either SetupAck (when both sides negotiate) or HealthCheck until
    /// the server knows the connection.
    pub fn connect(addr: SocketAddr, profile: Profile) -> Result<Self, ClientError> {
        let (push_sender, pushes) = mpsc::sync_channel(PUSHES_MAX);
        let session = Session::connect(addr, profile.client_ip.clone(), push_sender)?;
        let mut client = Self {
            session,
            profile,
            pushes,
            server_check: None,
            setup_ack: None,
            call_timeout: CALL_TIMEOUT,
        };
        if client.profile.server_check {
            client.server_check = Some(client.call(&ServerCheckRequest::default())?);
        }
        if client.profile.setup {
            client.set_up()?;
        }
        Ok(client)
    }

    fn set_up(&mut self) -> Result<(), ClientError> {
        self.session.open_stream()?;
        let setup = serde_json::to_vec(&self.profile.setup_request())?;
        self.send_on_stream(ConnectionSetupRequest::NAME, &setup)?;
        let negotiates =
            self.server_check.as_ref().is_some_and(|check| check.support_ability_negotiation);
        if negotiates && self.profile.ability_table.is_some() {
            let name = SetupAckRequest::NAME;
            let ack = self.wait_push(SETUP_TIMEOUT, name, |push| push.kind == name)?;
            self.setup_ack = Some(ack.parse()?);
            return Ok(());
        }
        let deadline = clock::now() + SETUP_TIMEOUT;
        loop {
            match self.health_check() {
                Err(ClientError::Refused { error_code: 301, .. }) if clock::now() < deadline => {}
                done => return done,
            }
        }
    }

    /// The id `ServerCheckResponse` named.
    pub fn connection_id(&self) -> Option<&str> {
        self.server_check.as_ref().map(|check| check.connection_id.as_str())
    }

    /// The whole `ServerCheckResponse`.
    pub fn server_check(&self) -> Option<&ServerCheckResponse> {
        self.server_check.as_ref()
    }

    /// The server's abilities, when it sent a `SetupAckRequest`.
    pub fn server_abilities(&self) -> Option<&BTreeMap<String, bool>> {
        self.setup_ack.as_ref().map(|ack| &ack.ability_table)
    }

    /// Our own end of the socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.session.local_addr()
    }

    /// How long calls wait from now on ([`CALL_TIMEOUT`] at first).
    pub fn set_call_timeout(&mut self, timeout: Duration) {
        self.call_timeout = timeout;
    }

    /// One unary call with exactly this type and body. Any answer is `Ok`, a refusal too.
    /// `headers` go beside the profile's in the payload's metadata.
    pub fn call_raw(
        &self,
        kind: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Answer, ClientError> {
        let own = self.profile.headers.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let all: Vec<_> = own.chain(headers.iter().copied()).collect();
        let mut message = Vec::new();
        envelope::encode_message(kind, &self.profile.client_ip, &all, body, &mut message);
        self.call_bytes("/Request/request", message)
    }

    /// One unary call with a message of the test's own making, gRPC prefix included, to any path.
    pub fn call_bytes(&self, path: &str, message: Vec<u8>) -> Result<Answer, ClientError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.session.command(Command::Call { path: path.into(), message, reply })?;
        match answer.recv_timeout(self.call_timeout) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(self.timeout("answer")),
            Err(RecvTimeoutError::Disconnected) => Err(self.session.closed_error()),
        }
    }

    /// Starts a unary call and returns at once; the answer comes on the receiver.
    pub fn call_later(
        &self,
        kind: &str,
        body: &[u8],
    ) -> Result<Receiver<Result<Answer, ClientError>>, ClientError> {
        let headers: Vec<_> =
            self.profile.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut message = Vec::new();
        envelope::encode_message(kind, &self.profile.client_ip, &headers, body, &mut message);
        let (reply, answer) = mpsc::sync_channel(1);
        self.session.command(Command::Call { path: "/Request/request".into(), message, reply })?;
        Ok(answer)
    }

    /// One typed unary call; anything but an `R` with `resultCode` 200 is an error.
    pub fn call<R: Named, Q: Named>(&self, request: &Q) -> Result<R, ClientError> {
        self.call_raw(Q::NAME, &serde_json::to_vec(request)?, &[])?.success()
    }

    /// Sends a message on the stream: a second setup, an odd ack, anything.
    pub fn send_on_stream(&self, kind: &str, body: &[u8]) -> Result<(), ClientError> {
        let mut message = Vec::new();
        envelope::encode_message(kind, &self.profile.client_ip, &[], body, &mut message);
        self.session.command(Command::StreamSend(message))
    }

    /// How pushes are answered from now on.
    pub fn set_ack_mode(&self, mode: AckMode) {
        self.session.manners().set_ack_mode(mode);
    }

    /// Whether `ClientDetectionRequest` is answered (at first: yes).
    pub fn set_answer_detection(&self, answer: bool) {
        self.session.manners().set_answer_detection(answer);
    }

    /// Acknowledges a push as successful.
    pub fn ack(&self, push: &Push) -> Result<(), ClientError> {
        let id = push.request_id.as_deref().unwrap_or_default();
        self.send_on_stream(&stream::ack_kind(&push.kind), &stream::ack_body(id, 200))
    }

    /// Acknowledges a push as failed: `resultCode` 500.
    pub fn refuse(&self, push: &Push) -> Result<(), ClientError> {
        let id = push.request_id.as_deref().unwrap_or_default();
        self.send_on_stream(&stream::ack_kind(&push.kind), &stream::ack_body(id, 500))
    }

    /// The next push in order of arrival, `ClientDetectionRequest` included.
    pub fn next_push(&self, timeout: Duration) -> Result<Push, ClientError> {
        self.pushes.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                ClientError::Timeout { waiting_for: "push", after: timeout }
            }
            RecvTimeoutError::Disconnected => self.session.closed_error(),
        })
    }

    /// Takes pushes until one satisfies `wanted`; the others are dropped.
    pub fn wait_push(
        &self,
        timeout: Duration,
        waiting_for: &'static str,
        mut wanted: impl FnMut(&Push) -> bool,
    ) -> Result<Push, ClientError> {
        let deadline = clock::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            match self.next_push(left) {
                Ok(push) if wanted(&push) => return Ok(push),
                Ok(_) => {}
                Err(ClientError::Timeout { .. }) => {
                    return Err(ClientError::Timeout { waiting_for, after: timeout });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Every push that has arrived by now.
    pub fn drain_pushes(&self) -> Vec<Push> {
        self.pushes.try_iter().collect()
    }

    /// Pushes that found the queue full. Zero in an honest test.
    pub fn pushes_lost(&self) -> u64 {
        self.session.manners().pushes_lost()
    }

    /// Stops taking bytes from the socket until [`Client::resume_reading`].
    pub fn pause_reading(&self) {
        self.session.socket().set_reading(false);
    }

    /// Reads again.
    pub fn resume_reading(&self) {
        self.session.socket().set_reading(true);
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.session.closed_text().is_some()
    }

    /// Waits until the connection is gone and says how it went.
    pub fn wait_closed(&self, timeout: Duration) -> Result<String, ClientError> {
        self.session
            .wait_closed(timeout)
            .ok_or(ClientError::Timeout { waiting_for: "close", after: timeout })
    }

    /// Half-closes the stream, says GOAWAY and closes: as a Java client leaves.
    pub fn close(self) -> Result<(), ClientError> {
        self.session.close(SETUP_TIMEOUT)
    }

    /// Leaves with RST, everything unsent dropped: as a crashed host behind a NAT leaves.
    pub fn kill(self) {
        self.session.kill();
    }

    fn timeout(&self, waiting_for: &'static str) -> ClientError {
        ClientError::Timeout { waiting_for, after: self.call_timeout }
    }
}

/// Connects many clients of one profile, `how_many` of them, one after the other.
pub fn connect_many(
    addr: SocketAddr,
    profile: &Profile,
    how_many: usize,
) -> Result<Vec<Arc<Client>>, ClientError> {
    (0..how_many).map(|_| Client::connect(addr, profile.clone()).map(Arc::new)).collect()
}
