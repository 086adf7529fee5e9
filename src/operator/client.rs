//! The tool's end of the socket: asks one question and takes the answer in. Blocks; it is a process
//! of its own.

use super::socket;
use super::wire::{Answered, LINE_BYTES_MAX, Line, PIECE_BYTES_MAX, Refusal, Request, Sink};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a node may take for the next line of an answer: one that is only busy needs less.
const LINE_WITHIN: Duration = Duration::from_secs(60);

/// The node that runs on a data directory; `None`: nobody listens there.
///
/// # Errors
/// Somebody may, but we may not ask.
pub fn connect(data: &Path) -> io::Result<Option<UnixStream>> {
    let (path, _folder) = socket::address(data)?;
    match UnixStream::connect(path) {
        // A ring outlives its killed process by a moment, and the socket in it: nobody will answer.
        Ok(stream) => match rustix::process::test_kill_process(socket_peercred(&stream)?.pid) {
            Err(Errno::SRCH) => Ok(None),
            _ => Ok(Some(stream)),
        },
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

/// Asks, and hands the answer's parts to the sink.
///
/// # Errors
/// The node's refusal; an answer that does not come or cannot be kept.
pub fn ask(stream: UnixStream, request: &Request, sink: &mut dyn Sink) -> Answered {
    let lost = |error: io::Error| {
        let what = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("nothing within {} s", LINE_WITHIN.as_secs())
            }
            _ => error.to_string(),
        };
        Refusal::unseen(format!("the node does not answer: {what}; see its log"))
    };
    stream.set_read_timeout(Some(LINE_WITHIN)).map_err(lost)?;
    stream.set_write_timeout(Some(LINE_WITHIN)).map_err(lost)?;
    let mut question = serde_json::to_vec(request).map_err(|error| lost(error.into()))?;
    question.push(b'\n');
    match (&stream).write_all(&question) {
        // Who was turned away unheard is told why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(lost)?,
    }
    let mut answer = BufReader::new(stream);
    let mut text = Vec::new();
    let mut piece = Vec::new();
    loop {
        text.clear();
        let mut bounded = answer.by_ref().take(LINE_BYTES_MAX as u64);
        bounded.read_until(b'\n', &mut text).map_err(lost)?;
        if text.last() != Some(&b'\n') {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let kept = match serde_json::from_slice(&text).map_err(|error| lost(error.into()))? {
            Line::Part(part) => sink.part(part),
            Line::Bytes(bytes) if bytes <= PIECE_BYTES_MAX => {
                piece.resize(bytes, 0);
                answer.read_exact(&mut piece).map_err(lost)?;
                sink.bytes(&piece)
            }
            Line::Bytes(_) => return Err(lost(io::ErrorKind::InvalidData.into())),
            Line::Done(value) => return Ok(value),
            Line::Refused(refusal) => return Err(refusal),
        };
        kept.map_err(|error| Refusal::unseen(error.to_string()))?;
    }
}
