//! Listening sockets for the HTTP side: one per address and core, sharing the port.
//!
//! The standard library's do not share it. All have SO_REUSEADDR: without it connections of the
//! last run, in TIME_WAIT, keep a restart from its port for a minute.

use crate::engine::listen::{bind, set, socket};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Connections waiting to be accepted on one core; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 1_024;

/// Opens this core's listener; call it on the core that will accept.
///
/// # Errors
/// As `bind(2)`.
pub fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let fd = socket(address)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    bind(&fd, address)?;
    // SAFETY: `fd` is an open socket; no pointer is passed.
    if unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd.into())
}

/// Takes an address for this process alone, before there is a core: where a second listener would
/// not help, and its clients must not be shared with a stranger. Waits while the address is taken,
/// for `patience` at most.
///
/// # Errors
/// As `bind(2)`.
pub fn take(address: SocketAddr, patience: Duration) -> io::Result<TcpListener> {
    let fd = retry(patience, || {
        let fd = socket(address)?;
        bind(&fd, address)?;
        // SAFETY: `fd` is an open socket; no pointer is passed.
        match unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) } {
            0 => Ok(fd),
            // Of two that were bound at once, one may listen.
            _ => Err(io::Error::last_os_error()),
        }
    })?;
    Ok(fd.into())
}

/// How long an address may seem taken: the kernel takes the rings of a process apart after it has
/// ended, and an accept under way in one keeps its listener alive until then. Seen to last
/// milliseconds.
pub const RELEASE: Duration = Duration::from_millis(2_000);

/// The same after a node that was killed: with a million connections it takes the kernel many
/// seconds to close them, the listeners last.
const RELEASE_OF_KILLED: Duration = Duration::from_secs(60);

/// How often it is tried meanwhile.
const RELEASE_TRY: Duration = Duration::from_millis(20);

/// Fails when somebody listens on the address. All cores share a port by SO_REUSEPORT, and with it
/// a second process of the same user would get half of the first one's clients without an error;
/// so the address is first taken without it. Blocks for [`RELEASE`] at most, or says so and waits
/// for [`RELEASE_OF_KILLED`] where the last node on this data was killed.
///
/// # Errors
/// As `bind(2)`.
pub fn check_free(address: SocketAddr, after_kill: bool) -> io::Result<()> {
    let try_once = || bind(&socket(address)?, address);
    match retry(RELEASE, try_once) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && after_kill => {
            tracing::warn!(
                target: "nacre::start",
                "{address} is in use; the last node on this data was killed, so the kernel may \
                 still be closing its connections: waiting {} s at most",
                RELEASE_OF_KILLED.as_secs()
            );
            retry(RELEASE_OF_KILLED, try_once)
        }
        done => done,
    }
}

fn retry<T>(patience: Duration, mut take: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut waited = Duration::ZERO;
    loop {
        match take() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && waited < patience => {
                std::thread::sleep(RELEASE_TRY);
                waited += RELEASE_TRY;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpStream;

    #[test]
    fn cores_share_a_port_and_strangers_are_kept_off() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let first = open(any.parse().unwrap()).unwrap();
            let address = first.local_addr().unwrap();
            let second = open(address).unwrap();
            assert_eq!(second.local_addr().unwrap(), address);
            let error = check_free(address, false).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
            drop((first, second));
            check_free(address, false).unwrap();
        }
    }

    #[test]
    fn what_is_taken_is_nobody_elses() {
        let listener = take("127.0.0.1:0".parse().unwrap(), Duration::ZERO).unwrap();
        let address = listener.local_addr().unwrap();
        for error in [
            take(address, RELEASE_TRY).unwrap_err(),
            open(address).map(drop).unwrap_err(),
            check_free(address, false).unwrap_err(),
        ] {
            assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        }
        drop(listener);
        drop(take(address, RELEASE).unwrap());
    }

    /// The side that closes first keeps the connection in TIME_WAIT; that must not bar a restart.
    #[test]
    fn a_restart_finds_its_port() {
        let listener = open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut peer = TcpStream::connect(address).unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        drop((listener, peer));
        check_free(address, false).unwrap();
    }
}
