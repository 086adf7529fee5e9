//! A scripted peer: frames built by hand, answers told as lines of a capture.

use std::fmt::Write;

use nacre::grpc::{
    Closed, Codec, Connection, Kind, Limits, Message, Method, PlainPath, Progress, Service,
};
use nacre::http2::hpack::{self, Atoms, Head, Table, decode::Strings};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals without indexing.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            hpack::integer::write(&mut block, text.len(), 7, 0);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub fn head_fields(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
}

/// HEADERS of a call.
pub fn call(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&head_fields(path)))
}

/// HEADERS of a call with more fields.
pub fn call_with(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = head_fields(path);
    fields.extend_from_slice(more);
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

/// A message with its prefix.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// DATA with one message that ends the request.
pub fn last_message(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, &message(bytes))
}

/// A whole unary call.
pub fn unary(stream: u32, bytes: &[u8]) -> Vec<u8> {
    [call(stream, "/unary"), last_message(stream, bytes)].concat()
}

pub fn setting(id: u16, value: u32) -> Vec<u8> {
    let payload = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &payload)
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// Notes what it is told.
#[derive(Default)]
pub struct Noted {
    pub lines: Vec<String>,
    pub messages: Vec<(u32, Method, Vec<u8>)>,
}

impl Service for Noted {
    fn route(&mut self, path: &[u8]) -> Option<Method> {
        match path {
            b"/unary" | b"/Request/request" => Some(Method { id: 1, kind: Kind::Unary }),
            b"/bidi" | b"/BiRequestStream/requestBiStream" => {
                Some(Method { id: 2, kind: Kind::Bidi })
            }
            _ => None,
        }
    }

    fn message(&mut self, stream: u32, method: Method, message: &[u8]) {
        let text = match message.len() {
            0..=64 => String::from_utf8_lossy(message).into_owned(),
            bytes => format!("({bytes} bytes)"),
        };
        self.lines.push(format!("message {stream} {text}"));
        self.messages.push((stream, method, message.to_vec()));
    }

    fn half_closed(&mut self, stream: u32, _: Method) {
        self.lines.push(format!("half-closed {stream}"));
    }

    fn reset(&mut self, stream: u32, _: Method) {
        self.lines.push(format!("reset {stream}"));
    }
}

/// A connection under test, with a clock the test moves.
pub struct Wire {
    pub codec: Codec,
    pub connection: Connection,
    pub service: Noted,
    pub out: Vec<u8>,
    pub now_ms: u64,
    decoder: Decoder,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.release(&mut self.codec);
        if !std::thread::panicking() {
            assert_eq!(self.codec.body_bytes(), 0, "every buffered byte is given back");
            assert_eq!(self.codec.http2.held_bytes(), 0, "every held byte is given back");
            self.codec.http2.atoms.sweep();
            assert_eq!(self.codec.http2.atoms.len(), 0, "every atom is given back");
        }
    }
}

pub fn limits() -> Limits {
    let health = PlainPath { path: b"/health".into(), body: bytes::Bytes::from_static(b"UP") };
    Limits { plain_paths: vec![health], ..Limits::default() }
}

impl Wire {
    /// Before the preface.
    pub fn fresh(limits: Limits) -> Self {
        let mut codec = Codec::new(limits);
        let mut out = Vec::new();
        let now_ms = 1_000_000;
        let mut connection = Connection::new(now_ms);
        connection.greet(&mut codec, &mut out);
        let (service, decoder) = (Noted::default(), Decoder::new());
        Self { codec, connection, service, out, now_ms, decoder }
    }

    /// After preface and settings of both sides.
    pub fn with(limits: Limits) -> Self {
        let mut wire = Self::fresh(limits);
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(SETTINGS, ACK, 0, &[])].concat();
        wire.send(hello);
        wire.told();
        wire
    }

    pub fn new() -> Self {
        Self::with(limits())
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<Progress, Closed> {
        self.connection.receive(
            bytes.as_ref(),
            self.now_ms,
            &mut self.codec,
            &mut self.out,
            &mut self.service,
        )
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Progress {
        self.try_send(bytes).expect("the connection goes on")
    }

    /// Sends until the connection is ended; panics when it never is.
    pub fn flood(&mut self, mut next: impl FnMut(u32) -> Vec<u8>) -> (u32, Closed) {
        for number in 0..200_000 {
            if let Err(closed) = self.try_send(next(number)) {
                return (number, closed);
            }
        }
        panic!("200,000 frames were borne");
    }

    pub fn check(&mut self) -> Result<(), Closed> {
        let Self { connection, codec, out, service, now_ms, .. } = self;
        connection.check(*now_ms, codec, out, service)
    }

    pub fn reply(&mut self, stream: u32, text: &[u8]) -> nacre::grpc::Outcome {
        let message = Message::whole(text);
        self.connection.reply(stream, message, &mut self.codec, &mut self.out)
    }

    pub fn push(&mut self, stream: u32, text: &[u8]) -> nacre::grpc::Outcome {
        let message = Message::whole(text);
        self.connection.push(stream, message, &mut self.codec, &mut self.out)
    }

    /// What the service was told since.
    pub fn noted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.service.lines)
    }

    /// What was answered since, one line a frame.
    pub fn told(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        self.decoder.lines(&out)
    }
}

/// A client's side of HPACK, and words for frames.
pub struct Decoder {
    table: Table,
    atoms: Atoms,
}

impl Decoder {
    pub fn new() -> Self {
        Self { table: Table::default(), atoms: Atoms::new(1 << 20) }
    }

    pub fn lines(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            lines.push(self.line(&bytes[..9], &bytes[9..9 + length]));
            bytes = &bytes[9 + length..];
        }
        lines
    }

    fn line(&mut self, head: &[u8], payload: &[u8]) -> String {
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let end = if head[4] & END_STREAM != 0 { " end" } else { "" };
        let ack = if head[4] & ACK != 0 { " ack" } else { "" };
        match head[3] {
            DATA => format!("DATA {stream}{end} {}", shown(payload)),
            HEADERS => format!("HEADERS {stream}{end}{}", self.fields(payload)),
            RST_STREAM => format!("RST_STREAM {stream} {}", code(number(0))),
            SETTINGS => format!("SETTINGS{ack}"),
            PING => format!("PING{ack} {}", shown(payload)),
            GOAWAY => {
                format!("GOAWAY {} {} {}", number(0), code(number(4)), shown(&payload[8..]))
            }
            WINDOW_UPDATE => format!("WINDOW_UPDATE {stream} {}", number(0)),
            kind => format!("frame type {kind}"),
        }
    }

    fn fields(&mut self, block: &[u8]) -> String {
        let mut head = Head::default();
        head.clear(1 << 20);
        let mut strings = Strings::default();
        hpack::decode(block, &mut self.table, &mut self.atoms, &mut strings, &mut head)
            .expect("our own blocks decode");
        let mut line = String::new();
        for (name, value) in head.fields(&self.atoms) {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            write!(line, " {name}={value}").unwrap();
        }
        line
    }
}

/// Printable text as it is, the rest as dots; long payloads as their size.
fn shown(payload: &[u8]) -> String {
    if payload.len() > 64 {
        return format!("({} bytes)", payload.len());
    }
    payload
        .iter()
        .map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' })
        .collect()
}

fn code(number: u32) -> &'static str {
    const CODES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    CODES[number as usize]
}
