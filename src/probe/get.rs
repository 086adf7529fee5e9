//! The smallest HTTP client that can judge: one GET, the first line of its answer.

use super::limits::{ANSWER_BYTES_MAX, READ_BYTES};
use super::peer::{Peer, of_error};
use nacre_shards::health::checks::Outcome;
use nacre_shards::health::probe::Get;
use std::io::{self, Read, Write};
use std::net::SocketAddr;

/// Where a status line has its code: `HTTP/1.1 200 `.
const CODE_AT: usize = 9;
/// How much of an answer has to be there to judge it: the code, and what ends it.
const JUDGED_BYTES: usize = CODE_AT + 4;

/// What is sent.
fn request(to: SocketAddr, get: &Get) -> Vec<u8> {
    let own = to.to_string();
    let host = get.host.as_deref().unwrap_or(&own);
    let Get { path, headers, .. } = get;
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: nacre-health-check\r\n\
         Accept: */*\r\nConnection: close\r\n{headers}\r\n"
    )
    .into_bytes()
}

/// Sends the request, reads the status. Also how many bytes were read.
pub(super) async fn status(
    peer: &Peer,
    to: SocketAddr,
    get: &Get,
) -> Result<(u16, usize), Outcome> {
    send(peer, &request(to, get)).await.map_err(of_error)?;
    let mut start = [0; JUDGED_BYTES];
    let mut filled = 0;
    while filled < JUDGED_BYTES {
        match read(peer, &mut start[filled..]).await.map_err(of_error)? {
            0 => return Err(Outcome::Broken),
            count => filled += count,
        }
        if !could_be_answer(&start[..filled]) {
            return Err(Outcome::Broken);
        }
    }
    let digit = |at: usize| u16::from(start[at] - b'0');
    Ok((digit(CODE_AT) * 100 + digit(CODE_AT + 1) * 10 + digit(CODE_AT + 2), filled))
}

/// Whether an answer of HTTP/1 may start so.
fn could_be_answer(start: &[u8]) -> bool {
    start.iter().enumerate().all(|(at, byte)| match at {
        0..=6 => *byte == b"HTTP/1."[at],
        7 | 9..=11 => byte.is_ascii_digit(),
        8 => *byte == b' ',
        _ => matches!(byte, b' ' | b'\r' | b'\n'),
    })
}

/// Reads the rest, so that the peer is not cut off in the middle: to its end, or to a bound.
pub(super) async fn drain(peer: &Peer, read_before: usize) {
    let mut chunk = [0; READ_BYTES];
    let mut total = read_before;
    while total < ANSWER_BYTES_MAX {
        match read(peer, &mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => total += count,
        }
    }
}

async fn send(peer: &Peer, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match peer.get_ref().write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                peer.writable().await.map_err(io::Error::from)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read(peer: &Peer, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match peer.get_ref().read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                peer.readable().await.map_err(io::Error::from)?;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_shards::health::probe::Probe;

    #[test]
    fn the_request_is_what_a_server_expects() {
        let Ok(Probe::Get(get)) = Probe::get("up?a=b", "X-A:1|Host:me") else { panic!() };
        let to = "10.0.0.1:80".parse().unwrap();
        let expected = "GET /up?a=b HTTP/1.1\r\nHost: me\r\nUser-Agent: nacre-health-check\r\n\
                        Accept: */*\r\nConnection: close\r\nX-A: 1\r\n\r\n";
        assert_eq!(request(to, &get), expected.as_bytes());
    }

    #[test]
    fn what_may_start_an_answer() {
        for good in ["HTTP/1.1 200 ", "HTTP/1.0 503\r", "HTTP/1.1 404\n", "HTTP/1.1 2", "H", ""] {
            assert!(could_be_answer(good.as_bytes()), "{good}");
        }
        for bad in ["x", "HTTP/2", "HTTP/1.1  2", "HTTP/1.1 20x", "HTTP/1.1 2000", "SSH-2.0"] {
            assert!(!could_be_answer(bad.as_bytes()), "{bad}");
        }
    }
}
