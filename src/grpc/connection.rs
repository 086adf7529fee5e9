//! One client connection: bytes in, calls out; answers and pushes in, bytes out. Home core.
//!
//! [`Connection::receive`] hands complete messages to a [`Service`], which only notes them; the
//! caller answers afterwards with [`Connection::reply`] and its siblings, so nothing is re-entered.
//! A call that is wrong is answered here and never reaches the service. [`Connection::release`]
//! must be the last call: header texts and buffered bytes are counted per core.

mod answer;
mod deadline;
mod intake;

use super::call::{self, Asked, Call, Kind, Method, Stage};
use super::codec::Codec;
use super::status::Status;
use crate::http2::hpack::{Block, encode};
use crate::http2::{self, Body, Closed, End, ErrorCode, Event};

pub use crate::http2::Sent as Outcome;

/// What calls are made to. The methods note what came; answers are given after `receive`.
pub trait Service {
    /// The method of a path; `None` is answered UNIMPLEMENTED.
    fn route(&mut self, path: &[u8]) -> Option<Method>;
    /// A complete message, inflated. Of a unary call it is the only one and the request has ended.
    fn message(&mut self, stream: u32, method: Method, message: &[u8]);
    /// The client will send no more on a bidirectional stream; finish it.
    fn half_closed(&mut self, stream: u32, method: Method);
    /// A call is gone without an answer: cancelled, broken, or out of time. Drop what works on it.
    /// May name a call of which no message has come yet.
    fn reset(&mut self, stream: u32, method: Method);
}

/// How far `receive` came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// A frame or a unary request is incomplete: acknowledge at once (TCP_QUICKACK), for some
    /// clients send head and body as two small writes and wait for our kernel between them.
    pub incomplete: bool,
}

/// One connection.
pub struct Connection {
    http2: http2::Connection<Call>,
    /// Request bytes buffered.
    body_bytes: u32,
    /// A time before which no call is overdue.
    calls_due: Option<u32>,
    /// Open streams that rest: see [`Call::is_resting`].
    resting: u16,
}

/// An idle connection must fit: this, two streams and nine table entries (see `heap_bytes`).
pub const CONNECTION_BYTES_MAX: usize = 176;
const _: () = assert!(size_of::<Connection>() <= CONNECTION_BYTES_MAX);

/// What a head leads to, without its borrowed texts.
enum Verdict {
    Call { method: Method, encoding: super::compress::Encoding, timeout_ms: u32 },
    Fail(Status, String),
    Plain { path: usize, body: bool },
    Http(&'static str),
}

impl Connection {
    /// A connection accepted at `now_ms`.
    pub fn new(now_ms: u64) -> Self {
        Self {
            http2: http2::Connection::new(now_ms as u32),
            body_bytes: 0,
            calls_due: None,
            resting: 0,
        }
    }

    /// Speaks first: SETTINGS and the connection's window.
    pub fn greet(&mut self, codec: &mut Codec, out: &mut Vec<u8>) {
        self.http2.greet(&codec.http2, out);
    }

    /// Takes what the socket gave, at most one receive buffer, and hands complete messages on.
    ///
    /// `out` holds what of this connection the socket has not been given yet; replies to control
    /// frames and refusals are appended. After an error, flush `out`, close, and `release`.
    pub fn receive(
        &mut self,
        input: &[u8],
        now_ms: u64,
        codec: &mut Codec,
        out: &mut Vec<u8>,
        service: &mut impl Service,
    ) -> Result<Progress, Closed> {
        codec.set_now(now_ms);
        let mut rest = input;
        while let Some(event) = self.http2.next(&mut rest, &mut codec.http2, out)? {
            match event {
                Event::Head { stream, end } => self.begin(stream, end, codec, out, service),
                Event::Data { stream, bytes, end } => {
                    self.feed(stream, bytes, end, codec, out, service);
                }
                Event::Reset { stream, call } => self.cancelled(stream, call, codec, service),
            }
        }
        let unfinished = self.http2.unfinished() > usize::from(self.resting);
        if unfinished {
            self.note_due(codec.http2.now_ms.wrapping_add(codec.limits.request_ms));
        }
        Ok(Progress { incomplete: unfinished || self.http2.is_waiting() })
    }

    fn begin(
        &mut self,
        stream: u32,
        end: bool,
        codec: &mut Codec,
        out: &mut Vec<u8>,
        service: &mut impl Service,
    ) {
        let begun_ms = codec.http2.now_ms;
        if let Some(stream) = self.http2.streams_mut().get_mut(stream) {
            stream.call.begun_ms = begun_ms;
        }
        match verdict(codec, service) {
            Verdict::Call { method, encoding, timeout_ms } => {
                if let Some(stream) = self.http2.streams_mut().get_mut(stream) {
                    let stage = Stage::Reading;
                    let begun = Call { begun_ms, timeout_ms, method, stage, ..Call::default() };
                    stream.call = Call { encoding, ..begun };
                }
                if timeout_ms > 0 {
                    self.note_due(begun_ms.wrapping_add(timeout_ms));
                }
                if end {
                    self.feed(stream, &[], true, codec, out, service);
                }
            }
            Verdict::Fail(status, text) => {
                self.fail(stream, status, &text, codec, out);
            }
            Verdict::Plain { path, body } => self.answer_plain(stream, path, body, codec, out),
            Verdict::Http(code) => self.answer_http(stream, code, codec, out),
        }
    }

    /// A stream ended without our doing: its buffer and what the service does for it.
    fn cancelled(
        &mut self,
        stream: u32,
        mut call: Call,
        codec: &mut Codec,
        service: &mut impl Service,
    ) {
        self.drop_gather(&mut call, codec);
        if call.is_resting() {
            self.resting -= 1;
        }
        if call.stage != Stage::Over {
            service.reset(stream, call.method);
        }
    }

    fn drop_gather(&mut self, call: &mut Call, codec: &mut Codec) {
        if let Some(gather) = call.gather.take() {
            self.body_bytes -= gather.bytes.len() as u32;
            codec.body_bytes -= gather.bytes.len();
            codec.give_buffer(gather);
        }
    }

    fn note_due(&mut self, due_ms: u32) {
        let sooner = |known: u32| (due_ms.wrapping_sub(known) as i32) < 0;
        if self.calls_due.is_none_or(sooner) {
            self.calls_due = Some(due_ms);
        }
    }

    /// Tells new calls to go elsewhere; open ones go on.
    pub fn go_away(&mut self, debug: &str, out: &mut Vec<u8>) {
        self.http2.go_away(debug, out);
    }

    /// Ends every bidirectional stream with CANCEL, as the reference does when it stops.
    pub fn reset_bidi(&mut self, codec: &mut Codec, out: &mut Vec<u8>) {
        let bidi = |stream: &&http2::stream::Stream<Call>| {
            stream.call.method.kind == Kind::Bidi && stream.call.stage != Stage::Over
        };
        let ids: Vec<u32> =
            self.http2.streams().iter().filter(bidi).map(|stream| stream.id).collect();
        for id in ids {
            self.abandon(id, ErrorCode::Cancel, codec, out);
        }
    }

    /// Resets a stream from our side. Returns the method whose call was open.
    fn abandon(
        &mut self,
        stream: u32,
        code: ErrorCode,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Option<Method> {
        let mut call = self.http2.reset(stream, code, &mut codec.http2, out)?;
        self.drop_gather(&mut call, codec);
        if call.is_resting() {
            self.resting -= 1;
        }
        (call.stage != Stage::Over).then_some(call.method)
    }

    /// Response bytes held back by flow control or a slow socket. Push less when this grows.
    pub fn pending_bytes(&self) -> usize {
        self.http2.held_bytes()
    }

    /// The bytes given to the socket that it has not sent yet. Held output follows in `out` as far
    /// as there is room again, so call it after each hand-over of `out` while
    /// [`Self::pending_bytes`] > 0.
    pub fn set_backlog(&mut self, bytes: usize, codec: &mut Codec, out: &mut Vec<u8>) {
        self.http2.set_backlog(bytes, &mut codec.http2, out);
    }

    /// Streams open now.
    pub fn streams(&self) -> usize {
        self.http2.streams().len()
    }

    /// Heap this connection owns beside its own size.
    pub fn heap_bytes(&self) -> usize {
        self.http2.heap_bytes() + self.body_bytes as usize
    }

    /// Gives back room that only a burst needed. Cheap; meant for the caller's idle timer.
    pub fn settle(&mut self) {
        self.http2.streams_mut().settle();
    }

    /// Gives back what is counted per core. The last call on a connection, however it ended.
    pub fn release(&mut self, codec: &mut Codec) {
        for (_, mut call) in self.http2.release(&mut codec.http2) {
            self.drop_gather(&mut call, codec);
        }
        self.resting = 0;
    }
}

/// What the head last decoded leads to.
fn verdict(codec: &mut Codec, service: &mut impl Service) -> Verdict {
    match call::read_head(&codec.http2.head, &codec.http2.atoms) {
        Asked::Call { path, encoding, timeout_ms } => match service.route(path) {
            Some(method) => Verdict::Call { method, encoding, timeout_ms },
            None => {
                let path = String::from_utf8_lossy(path);
                codec.counters.unknown_methods += 1;
                Verdict::Fail(Status::Unimplemented, format!("no such method: {path}"))
            }
        },
        Asked::Plain { method, path } => {
            let body = method == b"GET";
            let known = codec.limits.plain_paths.iter().position(|plain| plain.path == path);
            match known {
                Some(path) if body || method == b"HEAD" => {
                    codec.counters.plain += 1;
                    Verdict::Plain { path, body }
                }
                _ => {
                    codec.counters.not_grpc += 1;
                    let missing = known.is_none() && (body || method == b"HEAD");
                    Verdict::Http(if missing { "404" } else { "405" })
                }
            }
        }
        Asked::NotGrpc => {
            codec.counters.not_grpc += 1;
            Verdict::Http("415")
        }
        Asked::BadEncoding => {
            codec.counters.encodings_unknown += 1;
            Verdict::Fail(Status::Unimplemented, "grpc-encoding must be identity or gzip".into())
        }
        Asked::BadTimeout => {
            codec.counters.requests_malformed += 1;
            Verdict::Fail(Status::Internal, "grpc-timeout is malformed".into())
        }
    }
}
