//! A scripted HTTP/2 peer: sends exactly the bytes it is told, reads frames one by one.
//!
//! For what no honest client does: floods, torn frames, requests without END_STREAM, silence.
//! Blocking, one socket, no state beside the HPACK decoder; every wait has a deadline.

use crate::clock;
use crate::envelope;
use crate::http2::frame::{self, HEAD_BYTES, Head, flag, kind};
use crate::http2::hpack::{self, Decoder, Keep, Pool};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Bytes read from the socket at a time.
const READ_BYTES: usize = 64 << 10;

/// One frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub head: Head,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of a RST_STREAM or GOAWAY.
    pub fn error_code(&self) -> Option<u32> {
        let at = if self.head.kind == kind::GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Whether it is of this kind and on this stream.
    pub fn is(&self, kind: u8, stream: u32) -> bool {
        self.head.kind == kind && self.head.stream == stream
    }
}

/// How a wait for frames ended without one.
#[derive(Debug)]
pub enum RawError {
    /// The peer sent FIN; nothing is left to read.
    Closed,
    /// The peer sent RST.
    Reset,
    /// The deadline passed.
    Timeout,
    /// Anything else the socket said.
    Io(io::Error),
}

impl std::fmt::Display for RawError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => out.write_str("closed by the peer"),
            Self::Reset => out.write_str("reset by the peer"),
            Self::Timeout => out.write_str("nothing within the deadline"),
            Self::Io(error) => write!(out, "{error}"),
        }
    }
}

impl std::error::Error for RawError {}

impl From<io::Error> for RawError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Io(error),
        }
    }
}

/// One answer to a unary request, gathered from its frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawAnswer {
    /// Fields of the response head, then of the trailers.
    pub headers: Vec<(String, String)>,
    /// All DATA bytes.
    pub data: Vec<u8>,
    /// The code of a RST_STREAM that ended it.
    pub reset: Option<u32>,
}

impl RawAnswer {
    /// The last value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(known, _)| known == name).map(|(_, v)| v.as_str())
    }
}

/// The socket and what was read beyond the last frame.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
    unread: Vec<u8>,
    decoder: Decoder,
    pool: Pool,
}

impl RawPeer {
    /// Opens a TCP connection and says nothing.
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        let (decoder, pool) = (Decoder::default(), Pool::default());
        Ok(Self { stream, unread: Vec::new(), decoder, pool })
    }

    /// Opens a connection, sends preface and empty SETTINGS, and acknowledges the server's.
    pub fn greeted(addr: SocketAddr, timeout: Duration) -> Result<Self, RawError> {
        let mut peer = Self::connect(addr)?;
        peer.greet(&[])?;
        let server = peer.expect(timeout, |f| f.is(kind::SETTINGS, 0) && !f.head.has(flag::ACK))?;
        debug_assert_eq!(server.head.len % 6, 0);
        peer.send_frame(kind::SETTINGS, flag::ACK, 0, &[])?;
        Ok(peer)
    }

    /// The socket, for options and addresses.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), RawError> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends preface and SETTINGS.
    pub fn greet(&mut self, settings: &[(u16, u32)]) -> Result<(), RawError> {
        let mut bytes = frame::PREFACE.to_vec();
        frame::put_settings(settings, &mut bytes);
        self.send(&bytes)
    }

    /// Sends one frame.
    pub fn send_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Result<(), RawError> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
        frame::put_frame(kind, flags, stream, payload, &mut bytes);
        self.send(&bytes)
    }

    /// Sends a whole unary request in one write.
    pub fn send_unary(&mut self, stream: u32, kind: &str, body: &[u8]) -> Result<(), RawError> {
        self.send(&unary_frames(stream, kind, body))
    }

    /// Opens the bidirectional stream and sends a ConnectionSetupRequest on it.
    pub fn send_setup(&mut self, stream: u32, body: &[u8]) -> Result<(), RawError> {
        let mut bytes = Vec::new();
        let block = header_block("/BiRequestStream/requestBiStream");
        frame::put_frame(kind::HEADERS, flag::END_HEADERS, stream, &block, &mut bytes);
        let mut message = Vec::new();
        envelope::encode_message("ConnectionSetupRequest", "127.0.0.1", &[], body, &mut message);
        frame::put_frame(kind::DATA, 0, stream, &message, &mut bytes);
        self.send(&bytes)
    }

    /// The next frame.
    pub fn next_frame(&mut self, timeout: Duration) -> Result<Frame, RawError> {
        let deadline = clock::now() + timeout;
        loop {
            if let Some(bytes) = self.unread.first_chunk::<HEAD_BYTES>() {
                let head = Head::parse(bytes);
                if self.unread.len() >= HEAD_BYTES + head.len {
                    let rest = self.unread.split_off(HEAD_BYTES + head.len);
                    let payload = self.unread.split_off(HEAD_BYTES);
                    self.unread = rest;
                    return Ok(Frame { head, payload });
                }
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Err(RawError::Timeout);
            }
            self.stream.set_read_timeout(Some(left))?;
            let len = self.unread.len();
            self.unread.resize(len + READ_BYTES, 0);
            let read = self.stream.read(&mut self.unread[len..]);
            self.unread.truncate(len + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Err(RawError::Closed);
            }
        }
    }

    /// Reads frames until one satisfies `wanted`; answers PINGs on the way, drops the rest.
    pub fn expect(
        &mut self,
        timeout: Duration,
        mut wanted: impl FnMut(&Frame) -> bool,
    ) -> Result<Frame, RawError> {
        let deadline = clock::now() + timeout;
        loop {
            let frame = self.next_frame(deadline.saturating_duration_since(clock::now()))?;
            if wanted(&frame) {
                return Ok(frame);
            }
            if frame.is(kind::PING, 0) && !frame.head.has(flag::ACK) {
                self.send_frame(kind::PING, flag::ACK, 0, &frame.payload)?;
            }
        }
    }

    /// Reads frames until GOAWAY and returns its error code.
    pub fn expect_goaway(&mut self, timeout: Duration) -> Result<u32, RawError> {
        let frame = self.expect(timeout, |frame| frame.is(kind::GOAWAY, 0))?;
        Ok(frame.error_code().unwrap_or(u32::MAX))
    }

    /// Reads frames until the peer is gone, by FIN or RST.
    pub fn expect_close(&mut self, timeout: Duration) -> Result<(), RawError> {
        match self.expect(timeout, |_| false) {
            Err(RawError::Closed | RawError::Reset) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => unreachable!("no frame is wanted"),
        }
    }

    /// Reads until a stream has ended and gathers what came on it. Keeps the HPACK table right
    /// only if every HEADERS frame since the connection began was read through this.
    pub fn answer(&mut self, stream: u32, timeout: Duration) -> Result<RawAnswer, RawError> {
        let deadline = clock::now() + timeout;
        let mut answer = RawAnswer::default();
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let Frame { head, payload } = self.expect(left, |frame| {
                frame.head.stream == stream || frame.head.kind == kind::HEADERS
            })?;
            match head.kind {
                kind::HEADERS => self.take_headers(&head, &payload, stream, &mut answer)?,
                kind::DATA => {
                    answer.data.extend_from_slice(frame::unpadded(&head, &payload).unwrap_or(&[]));
                }
                kind::RST_STREAM => {
                    answer.reset = frame::number(&payload);
                    return Ok(answer);
                }
                _ => continue,
            }
            if head.stream == stream && head.has(flag::END_STREAM) {
                return Ok(answer);
            }
        }
    }

    fn take_headers(
        &mut self,
        head: &Head,
        payload: &[u8],
        stream: u32,
        answer: &mut RawAnswer,
    ) -> Result<(), RawError> {
        let block = frame::unpadded(head, payload).unwrap_or(&[]);
        let mut fields = Vec::new();
        self.decoder
            .decode(block, &mut self.pool, |name, value| {
                fields.push((
                    String::from_utf8_lossy(name).into_owned(),
                    String::from_utf8_lossy(value).into_owned(),
                ));
            })
            .map_err(|error| RawError::Io(io::Error::other(error)))?;
        if head.stream == stream {
            answer.headers.append(&mut fields);
        }
        Ok(())
    }

    /// Leaves with RST, everything unsent dropped.
    pub fn reset(self) -> Result<(), RawError> {
        // Closing happens when the socket drops, right after.
        Ok(tokio::net::TcpSocket::from_std_stream(self.stream).set_zero_linger()?)
    }

    /// Sends FIN and keeps reading.
    pub fn half_close(&self) -> Result<(), RawError> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }
}

/// The header block of a gRPC request, all literals, nothing for the dynamic table.
pub fn header_block(path: &str) -> Vec<u8> {
    header_block_with(path, &[])
}

/// The same with further fields at the end.
pub fn header_block_with(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "127.0.0.1"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in fields.iter().chain(more) {
        hpack::put_field(name, value, Keep::Forget, &mut block);
    }
    block
}

/// HEADERS and DATA of one unary request.
pub fn unary_frames(stream: u32, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let block = header_block("/Request/request");
    frame::put_frame(kind::HEADERS, flag::END_HEADERS, stream, &block, &mut bytes);
    let mut message = Vec::new();
    envelope::encode_message(kind, "127.0.0.1", &[], body, &mut message);
    let mut chunks = message.chunks(frame::FRAME_BYTES_MAX).peekable();
    while let Some(chunk) = chunks.next() {
        let flags = if chunks.peek().is_none() { flag::END_STREAM } else { 0 };
        frame::put_frame(kind::DATA, flags, stream, chunk, &mut bytes);
    }
    bytes
}
