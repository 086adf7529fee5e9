//! One probe of one address.

use super::get;
use super::limits::{ANSWER_MS, CONNECT_MS};
use futures_lite::future;
use glommio::io::PollableFd;
use nacre_shards::health::checks::Outcome;
use nacre_shards::health::probe::Probe;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that waits for nothing by itself.
pub(super) type Peer = PollableFd<TcpStream>;

/// Asks, and says what came of it. Takes [`CONNECT_MS`] and [`ANSWER_MS`] at most.
pub(super) async fn ask(to: SocketAddr, probe: &Probe) -> Outcome {
    let peer = match within(CONNECT_MS, reach(to)).await {
        Some(Ok(peer)) => peer,
        Some(Err(outcome)) => return outcome,
        None => return Outcome::TimedOut,
    };
    let Probe::Get(get) = probe else { return Outcome::Passed };
    match within(ANSWER_MS, get::status(&peer, to, get)).await {
        Some(Ok((status, read))) => {
            // What it said counts however long the rest of it takes.
            let _ = within(ANSWER_MS, get::drain(&peer, read)).await;
            judge(status)
        }
        Some(Err(outcome)) => outcome,
        None => Outcome::TimedOut,
    }
}

/// `None`: the time was over first.
async fn within<T>(limit_ms: u64, work: impl Future<Output = T>) -> Option<T> {
    let over = async {
        glommio::timer::sleep(Duration::from_millis(limit_ms)).await;
        None
    };
    future::or(async { Some(work.await) }, over).await
}

/// As the reference reads them; a redirect is not followed.
fn judge(status: u16) -> Outcome {
    match status {
        200 => Outcome::Passed,
        302 | 503 => Outcome::Busy,
        _ => Outcome::Wrong,
    }
}

async fn reach(to: SocketAddr) -> Result<Peer, Outcome> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP));
    let socket = socket.map_err(|_| Outcome::Unable)?;
    let is_there = match connect(&socket, &to) {
        Ok(()) => true,
        Err(Errno::INPROGRESS) => false,
        Err(error) => return Err(of_error(error.into())),
    };
    let peer = Peer::new(TcpStream::from(socket)).map_err(|_| Outcome::Unable)?;
    if !is_there {
        peer.writable().await.map_err(|_| Outcome::Unable)?;
        match peer.get_ref().take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Err(of_error(error)),
        }
    }
    Ok(peer)
}

/// Whose fault an error is: a node without descriptors or ports must not take others for dead.
pub(super) fn of_error(error: io::Error) -> Outcome {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => Outcome::Refused,
        Some(Errno::TIMEDOUT) => Outcome::TimedOut,
        Some(
            Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::ADDRNOTAVAIL
            | Errno::AGAIN
            | Errno::AFNOSUPPORT
            | Errno::ACCESS
            | Errno::PERM,
        ) => Outcome::Unable,
        _ => Outcome::Broken,
    }
}
