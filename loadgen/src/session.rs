//! One Nacos client as a state machine: bytes in, events and bytes out. No I/O, no clock.
//!
//! The sequence is Java 3.1.1's: preface, SETTINGS, WINDOW_UPDATE and ServerCheck at once; then
//! the stream with ConnectionSetup; then, when both negotiate, SetupAck, else HealthCheck until
//! the server knows the connection. Header blocks are Java's too: literals once, then one byte a
//! field. Invariants: at most one message of a call is kept, nothing is sent beyond the peer's
//! windows, an idle session holds no buffer.

mod script;
#[cfg(test)]
mod tests;

pub use script::Script;

use crate::envelope::{self, Envelope};
use crate::http2::frame::{self, HEAD_BYTES, Head, flag, kind, setting};
use crate::http2::hpack::Decoder;
use nacre_proto::client::response::{Response, ServerCheckResponse};
use std::fmt;

/// What we offer per stream and per connection, as Java does.
const WINDOW_BYTES: u32 = 1 << 20;

/// The window every connection starts with (RFC 9113, 6.9.2).
const WINDOW_BYTES_INITIAL: u32 = 65_535;

/// Header blocks longer than this are an attack on us, not an answer.
const BLOCK_BYTES_MAX: usize = 64 << 10;

/// An answer or push longer than the reference's own limit is refused.
const MESSAGE_BYTES_MAX: usize = 10 << 20;

/// Unsent bytes per connection; beyond it a call waits.
const OUT_BYTES_MAX: usize = 256 << 10;

/// Tags from here on are the session's own calls.
const TAG_OWN: u32 = u32::MAX - 2;
const TAG_SERVER_CHECK: u32 = TAG_OWN + 1;
const TAG_PROBE: u32 = TAG_OWN + 2;

/// The highest stream id a client may use.
const STREAM_MAX: u32 = 0x7fff_ffff;

/// What a session tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// Set up: calls may begin.
    Ready,
    /// A call ended well for gRPC; its `Payload` is for the caller to judge.
    Answer { tag: u32, intended_ns: u64, message: &'a [u8] },
    /// A call ended without an answer.
    Failed { tag: u32, intended_ns: u64, fault: Fault },
    /// A message on the stream, to be acknowledged by [`Session::acknowledge`].
    Push(Envelope<'a>),
}

/// Why a call or a session failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `grpc-status` other than 0, or none (-1).
    Grpc(i32),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code.
    GoAway(u32),
    /// Bytes that are no HTTP/2, gRPC or Payload.
    Malformed(&'static str),
    /// The server answered the set-up with a refusal.
    Refused(i32),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(status) => write!(out, "grpc-status {status}"),
            Self::Reset(code) => write!(out, "RST_STREAM {code}"),
            Self::GoAway(code) => write!(out, "GOAWAY {code}"),
            Self::Malformed(what) => write!(out, "malformed: {what}"),
            Self::Refused(code) => write!(out, "refused: errorCode {code}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// ServerCheck is under way.
    Checking,
    /// ConnectionSetup is sent, SetupAck must come.
    Negotiating,
    /// ConnectionSetup is sent, HealthCheck asks until it is known.
    Probing,
    Ready,
}

/// One unary call under way.
#[derive(Debug)]
struct Call {
    stream: u32,
    tag: u32,
    intended_ns: u64,
    status: i32,
    body: Vec<u8>,
}

/// A header block that has not ended.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
}

/// The connection's state; 300 bytes, no heap while nothing is under way.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    /// Whether the first unary block (with its literals) is out.
    introduced: bool,
    /// Blocks without the dynamic table: the peer has none.
    plain: bool,
    /// A table size to announce in the next block.
    table_update: Option<u32>,
    next_stream: u32,
    push_stream: u32,
    streams_max: u32,
    window: i64,
    stream_window: i64,
    push_window: i64,
    unreturned: u32,
    push_unreturned: u32,
    decoder: Decoder,
    calls: Vec<Call>,
    partial: Vec<u8>,
    pushed: Vec<u8>,
    block: Option<Box<Block>>,
    out: Vec<u8>,
}

impl Session {
    /// A new connection; its first bytes are ready to be taken.
    pub fn new(script: &mut Script) -> Self {
        let mut session = Self {
            phase: Phase::Checking,
            introduced: false,
            plain: false,
            table_update: None,
            next_stream: 1,
            push_stream: 0,
            streams_max: u32::MAX,
            window: i64::from(WINDOW_BYTES_INITIAL),
            stream_window: i64::from(WINDOW_BYTES_INITIAL),
            push_window: 0,
            unreturned: 0,
            push_unreturned: 0,
            decoder: Decoder::default(),
            calls: Vec::new(),
            partial: Vec::new(),
            pushed: Vec::new(),
            block: None,
            out: script.buffer(),
        };
        session.out.extend_from_slice(frame::PREFACE);
        let settings = [
            (setting::ENABLE_PUSH, 0),
            (setting::MAX_CONCURRENT_STREAMS, 0),
            (setting::INITIAL_WINDOW_SIZE, WINDOW_BYTES),
        ];
        frame::put_settings(&settings, &mut session.out);
        frame::put_window_update(0, WINDOW_BYTES - WINDOW_BYTES_INITIAL, &mut session.out);
        let check = std::mem::take(&mut script.server_check);
        session.start_call(script, &check, TAG_SERVER_CHECK, 0);
        script.server_check = check;
        session
    }

    /// Whether set-up is complete.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is something to send.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes what is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Starts a call with a whole gRPC message. False when the windows, the peer's stream limit
    /// or our own buffer leave no room now; nothing has happened then.
    #[must_use]
    pub fn call(&mut self, script: &mut Script, message: &[u8], tag: u32, intended: u64) -> bool {
        debug_assert!(tag < TAG_OWN);
        let len = message.len() as i64;
        let room = self.window.min(self.stream_window) >= len
            && self.calls.len() + 1 < self.streams_max as usize
            && self.out.len() < OUT_BYTES_MAX
            && self.next_stream < STREAM_MAX;
        if room {
            self.start_call(script, message, tag, intended);
        }
        room
    }

    fn start_call(&mut self, script: &mut Script, message: &[u8], tag: u32, intended_ns: u64) {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.reserve_output(script);
        let block = script.unary_block(self.plain, self.introduced);
        self.introduced = true;
        self.put_headers(stream, block);
        self.put_data(stream, flag::END_STREAM, message);
        let body = script.buffer();
        self.calls.push(Call { stream, tag, intended_ns, status: -1, body });
    }

    fn open_stream(&mut self, script: &mut Script) {
        self.push_stream = self.next_stream;
        self.next_stream += 2;
        self.push_window = self.stream_window;
        self.reserve_output(script);
        let block = script.stream_block(self.plain);
        self.put_headers(self.push_stream, block);
        self.push_window -= script.setup.len() as i64;
        self.put_data(self.push_stream, 0, &script.setup);
    }

    fn reserve_output(&mut self, script: &mut Script) {
        if self.out.capacity() == 0 {
            self.out = script.buffer();
        }
    }

    fn put_headers(&mut self, stream: u32, block: &[u8]) {
        let mut update = Vec::new();
        if let Some(size) = self.table_update.take() {
            crate::http2::hpack::put_size_update(size as usize, &mut update);
        }
        let len = update.len() + block.len();
        frame::put_head(len, kind::HEADERS, flag::END_HEADERS, stream, &mut self.out);
        self.out.extend_from_slice(&update);
        self.out.extend_from_slice(block);
    }

    /// Appends DATA frames. The windows may go below zero only by the set-up's few bytes, which
    /// every server grants.
    fn put_data(&mut self, stream: u32, flags: u8, message: &[u8]) {
        self.window -= message.len() as i64;
        let mut chunks = message.chunks(frame::FRAME_BYTES_MAX).peekable();
        while let Some(chunk) = chunks.next() {
            let flags = if chunks.peek().is_none() { flags } else { 0 };
            frame::put_frame(kind::DATA, flags, stream, chunk, &mut self.out);
        }
    }

    /// Answers a push as Java does: the type's `Response`, with its `requestId`. False when the
    /// stream's window leaves no room, which an honest server never does.
    pub fn acknowledge(&mut self, script: &mut Script, push_kind: &str, request_id: &str) -> bool {
        self.reserve_output(script);
        let message = script.ack(push_kind, request_id);
        let len = message.len() as i64;
        let room = self.window.min(self.push_window) >= len && self.out.len() < OUT_BYTES_MAX;
        if room {
            self.push_window -= len;
            self.put_data(self.push_stream, 0, &message);
        }
        script.give_back(message);
        room
    }

    /// Takes received bytes and tells what they meant. After an error the session is over.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        if self.partial.is_empty() {
            let used = self.frames(bytes, script, each)?;
            if used < bytes.len() {
                self.partial = script.buffer();
                self.partial.extend_from_slice(&bytes[used..]);
            }
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let used = self.frames(&joined, script, each)?;
        joined.drain(..used);
        if joined.is_empty() {
            script.give_back(joined);
        } else {
            self.partial = joined;
        }
        Ok(())
    }

    /// Handles every whole frame and returns how many bytes they were.
    fn frames(
        &mut self,
        bytes: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<usize, Fault> {
        let mut used = 0;
        while let Some(head) = bytes[used..].first_chunk::<HEAD_BYTES>() {
            let head = Head::parse(head);
            if head.len > frame::FRAME_BYTES_MAX {
                return Err(Fault::Malformed("frame over 16,384 bytes"));
            }
            let start = used + HEAD_BYTES;
            let Some(payload) = bytes.get(start..start + head.len) else { break };
            self.frame(&head, payload, script, each)?;
            used = start + head.len;
        }
        Ok(used)
    }

    fn frame(
        &mut self,
        head: &Head,
        payload: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        if self.block.is_some() != (head.kind == kind::CONTINUATION) {
            return Err(Fault::Malformed("header block interrupted"));
        }
        match head.kind {
            kind::DATA => self.data(head, payload, script, each),
            kind::HEADERS | kind::CONTINUATION => self.headers(head, payload, script, each),
            kind::RST_STREAM => {
                let code = frame::number(payload).unwrap_or(0);
                self.reset(head.stream, code, script, each)
            }
            kind::SETTINGS => self.settings(head, payload, script),
            kind::PING if !head.has(flag::ACK) => {
                self.reserve_output(script);
                frame::put_frame(kind::PING, flag::ACK, 0, payload, &mut self.out);
                Ok(())
            }
            kind::GOAWAY => {
                let code = payload.get(4..).and_then(frame::number).unwrap_or(0);
                Err(Fault::GoAway(code))
            }
            kind::WINDOW_UPDATE => {
                let increment = i64::from(frame::number(payload).unwrap_or(0));
                match head.stream {
                    0 => self.window += increment,
                    stream if stream == self.push_stream => self.push_window += increment,
                    _ => {}
                }
                Ok(())
            }
            kind::PUSH_PROMISE => Err(Fault::Malformed("PUSH_PROMISE though disabled")),
            _ => Ok(()),
        }
    }

    fn settings(&mut self, head: &Head, payload: &[u8], script: &mut Script) -> Result<(), Fault> {
        if head.has(flag::ACK) {
            return Ok(());
        }
        for (id, value) in frame::settings(payload) {
            match id {
                setting::HEADER_TABLE_SIZE if value < crate::http2::hpack::TABLE_BYTES as u32 => {
                    self.plain = (value as usize) < script.table_bytes();
                    self.table_update = Some(if self.plain { 0 } else { value });
                }
                setting::MAX_CONCURRENT_STREAMS => self.streams_max = value,
                setting::INITIAL_WINDOW_SIZE => {
                    let delta = i64::from(value) - self.stream_window;
                    self.stream_window = i64::from(value);
                    self.push_window += delta;
                }
                _ => {}
            }
        }
        self.reserve_output(script);
        frame::put_frame(kind::SETTINGS, flag::ACK, 0, &[], &mut self.out);
        Ok(())
    }

    fn data(
        &mut self,
        head: &Head,
        payload: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        self.return_window(head, script);
        let bytes = frame::unpadded(head, payload).ok_or(Fault::Malformed("padding"))?;
        if head.stream == self.push_stream {
            self.push_data(bytes, script, each)?;
            if head.has(flag::END_STREAM) {
                return Err(Fault::Grpc(-1));
            }
            return Ok(());
        }
        let Some(at) = self.calls.iter().position(|call| call.stream == head.stream) else {
            return Err(Fault::Malformed("DATA on a stream that is not open"));
        };
        let call = &mut self.calls[at];
        if call.body.len() + bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::Malformed("answer over 10 MiB"));
        }
        call.body.extend_from_slice(bytes);
        if head.has(flag::END_STREAM) {
            self.end_call(at, script, each)?;
        }
        Ok(())
    }

    /// Gives back flow-control window when half of it is used.
    fn return_window(&mut self, head: &Head, script: &mut Script) {
        let len = head.len as u32;
        self.unreturned += len;
        if self.unreturned > WINDOW_BYTES / 2 {
            self.reserve_output(script);
            frame::put_window_update(0, std::mem::take(&mut self.unreturned), &mut self.out);
        }
        if head.stream == self.push_stream {
            self.push_unreturned += len;
            if self.push_unreturned > WINDOW_BYTES / 2 {
                let bytes = std::mem::take(&mut self.push_unreturned);
                frame::put_window_update(head.stream, bytes, &mut self.out);
            }
        } else if self.calls.iter().any(|c| c.stream == head.stream && c.body.len() > 1 << 18) {
            // A long answer: each frame's bytes are returned at once.
            self.reserve_output(script);
            frame::put_window_update(head.stream, len.max(1), &mut self.out);
        }
    }

    fn push_data(
        &mut self,
        bytes: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        let mut pushed = std::mem::take(&mut self.pushed);
        let whole = pushed.is_empty();
        let mut rest = bytes;
        if !whole {
            pushed.extend_from_slice(bytes);
            rest = &pushed;
        }
        while let Some((message, used)) = split(rest)? {
            let push = envelope::decode(message)
                .map_err(|_| Fault::Malformed("message on the stream is no Payload"))?;
            rest = &rest[used..];
            if push.kind == "SetupAckRequest" {
                self.become_ready(script, each);
            } else {
                each(self, script, Event::Push(push));
            }
        }
        if rest.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::Malformed("push over 10 MiB"));
        }
        if rest.is_empty() {
            script.give_back(pushed);
        } else {
            let mut kept = script.buffer();
            kept.extend_from_slice(rest);
            script.give_back(pushed);
            self.pushed = kept;
        }
        Ok(())
    }

    fn become_ready(
        &mut self,
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) {
        if self.phase != Phase::Ready {
            self.phase = Phase::Ready;
            each(self, script, Event::Ready);
        }
    }

    fn headers(
        &mut self,
        head: &Head,
        payload: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        let mut ends_stream = head.has(flag::END_STREAM);
        if head.kind == kind::HEADERS {
            let bytes = frame::unpadded(head, payload).ok_or(Fault::Malformed("padding"))?;
            if head.has(flag::END_HEADERS) {
                return self.block(head.stream, ends_stream, bytes, script, each);
            }
            let bytes = bytes.to_vec();
            self.block = Some(Box::new(Block { stream: head.stream, ends_stream, bytes }));
            return Ok(());
        }
        let Some(mut block) = self.block.take() else {
            return Err(Fault::Malformed("CONTINUATION of nothing"));
        };
        if block.stream != head.stream || block.bytes.len() > BLOCK_BYTES_MAX {
            return Err(Fault::Malformed("CONTINUATION of another stream, or too long"));
        }
        block.bytes.extend_from_slice(payload);
        if !head.has(flag::END_HEADERS) {
            self.block = Some(block);
            return Ok(());
        }
        ends_stream = block.ends_stream;
        self.block(head.stream, ends_stream, &block.bytes, script, each)
    }

    fn block(
        &mut self,
        stream: u32,
        ends_stream: bool,
        bytes: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        let mut grpc_status = None;
        let mut http_status = 200;
        self.decoder
            .decode(bytes, &mut script.pool, |name, value| match name {
                b"grpc-status" => grpc_status = Some(decimal(value)),
                b":status" => http_status = decimal(value),
                _ => {}
            })
            .map_err(|_| Fault::Malformed("header block"))?;
        if stream == self.push_stream {
            let broken = ends_stream || http_status != 200;
            return if broken { Err(Fault::Grpc(grpc_status.unwrap_or(-1))) } else { Ok(()) };
        }
        let Some(at) = self.calls.iter().position(|call| call.stream == stream) else {
            return Err(Fault::Malformed("HEADERS on a stream that is not open"));
        };
        if let Some(status) = grpc_status {
            self.calls[at].status = status;
        }
        if ends_stream || http_status != 200 {
            self.end_call(at, script, each)?;
        }
        Ok(())
    }

    fn reset(
        &mut self,
        stream: u32,
        code: u32,
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        if stream == self.push_stream {
            return Err(Fault::Reset(code));
        }
        if let Some(at) = self.calls.iter().position(|call| call.stream == stream) {
            let call = self.calls.remove(at);
            let Call { tag, intended_ns, body, .. } = call;
            script.give_back(body);
            if tag > TAG_OWN {
                return Err(Fault::Reset(code));
            }
            let fault = Fault::Reset(code);
            each(self, script, Event::Failed { tag, intended_ns, fault });
        }
        Ok(())
    }

    fn end_call(
        &mut self,
        at: usize,
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        let Call { tag, intended_ns, status, body, .. } = self.calls.remove(at);
        if self.calls.is_empty() && self.phase != Phase::Ready {
            self.calls = Vec::new();
        }
        let outcome = match split(&body) {
            _ if status != 0 => Err(Fault::Grpc(status)),
            Ok(Some((message, used))) if used == body.len() => Ok(message),
            _ => Err(Fault::Malformed("answer is not one message")),
        };
        if tag > TAG_OWN {
            self.own_answer(tag, outcome?, script, each)?;
        } else {
            let event = match outcome {
                Ok(message) => Event::Answer { tag, intended_ns, message },
                Err(fault) => Event::Failed { tag, intended_ns, fault },
            };
            each(self, script, event);
        }
        script.give_back(body);
        Ok(())
    }

    /// ServerCheck and the probes of a server that does not negotiate.
    fn own_answer(
        &mut self,
        tag: u32,
        message: &[u8],
        script: &mut Script,
        each: &mut dyn FnMut(&mut Self, &mut Script, Event<'_>),
    ) -> Result<(), Fault> {
        let malformed = Fault::Malformed("answer to the set-up");
        let payload = envelope::decode(message).map_err(|_| malformed)?;
        let outcome: Response = serde_json::from_slice(payload.body).map_err(|_| malformed)?;
        if tag == TAG_SERVER_CHECK {
            if outcome.result_code != 200 {
                return Err(Fault::Refused(outcome.error_code));
            }
            let check: ServerCheckResponse =
                serde_json::from_slice(payload.body).map_err(|_| malformed)?;
            self.open_stream(script);
            if check.support_ability_negotiation {
                self.phase = Phase::Negotiating;
                return Ok(());
            }
            self.phase = Phase::Probing;
        } else if outcome.result_code == 200 {
            self.become_ready(script, each);
            return Ok(());
        } else if outcome.error_code != 301 {
            return Err(Fault::Refused(outcome.error_code));
        }
        let probe = std::mem::take(&mut script.health_check);
        self.start_call(script, &probe, TAG_PROBE, 0);
        script.health_check = probe;
        Ok(())
    }
}

fn split(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Fault> {
    envelope::split_message(bytes).map_err(|_| Fault::Malformed("compressed message"))
}

fn decimal(text: &[u8]) -> i32 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(-1)
}
