//! One Nacos client as a state machine: bytes in, events and bytes out. No I/O, no clock.
//!
//! The sequence is Java 3.1.1's: preface, SETTINGS, WINDOW_UPDATE and ServerCheck at once; then
//! the stream with ConnectionSetup; then, when both negotiate, SetupAck, else HealthCheck until
//! the server knows the connection. Header blocks are Java's too: literals once, then one byte a
//! field. Invariants: at most one message of a call is kept, nothing is sent beyond the peer's
//! windows, an idle session holds no buffer.

mod receive;
mod script;
#[cfg(test)]
mod tests;

pub use script::Script;

use crate::envelope::Envelope;
use crate::http2::frame::{self, flag, kind, setting};
use crate::http2::hpack::Decoder;
use std::fmt;

/// What we offer per stream and per connection, as Java does.
const WINDOW_BYTES: u32 = 1 << 20;

/// The window every connection starts with (RFC 9113, 6.9.2).
const WINDOW_BYTES_INITIAL: u32 = 65_535;

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

/// The connection's state; no buffer while nothing is under way.
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

/// A million of them are held; with socket, belief and table a client stays below a kibibyte.
const _: () = assert!(size_of::<Session>() <= 232 && size_of::<Call>() <= 48);

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
        if self.calls.capacity() == 0 {
            // Most clients have one call under way at most; a first push would make room for four.
            self.calls.reserve_exact(1);
        }
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
}
