//! Many sockets on few io_uring instances: bytes in and out by socket number. No protocol.
//!
//! One thread, one [`Engine`]. Sockets are direct descriptors, whose table may hold as many as
//! RLIMIT_NOFILE per ring, so several rings hold more connections than the process may have files.
//! An idle socket pins no user buffer: receives take one from a ring of provided buffers.
//! The only room of this crate with `unsafe`.

#![allow(unsafe_code, reason = "rings, buffer rings and socket options need raw memory")]

mod address;
mod buffers;
pub mod interrupt;
mod ring;

pub use address::Address;

use ring::Ring;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Sockets per ring when one ring does not suffice: below the usual nofile of 20,000, with room
/// for the files of the process itself.
const RING_SOCKETS: usize = 19_000;

/// A direct-descriptor table cannot be larger (kernel: IORING_MAX_FIXED_FILES).
const RING_SOCKETS_MAX: usize = 1 << 20;

/// What the process's own files may take of nofile beside a ring's sockets.
const OWN_FILES: usize = 256;

/// What happened to a socket.
#[derive(Debug)]
pub enum Event<'a> {
    /// The handshake is done; receiving has begun.
    Connected,
    /// Bytes arrived; they are gone after the call.
    Received(&'a [u8]),
    /// Everything given to [`Engine::send`] is with the kernel; here is the buffer back.
    Sent(Vec<u8>),
    /// The socket is gone: `None` is an orderly end by the peer.
    Lost(Option<io::Error>),
}

/// All rings of this thread.
pub struct Engine {
    rings: Vec<Ring>,
    ring_sockets: usize,
    /// Signalled by every ring when there are several; one ring is waited on directly.
    bell: Option<OwnedFd>,
}

impl Engine {
    /// Rings enough for so many sockets, all of them free.
    pub fn new(sockets: usize) -> io::Result<Self> {
        let nofile = nofile()?;
        let ring_sockets = if nofile >= sockets + OWN_FILES {
            sockets.clamp(1, RING_SOCKETS_MAX)
        } else {
            RING_SOCKETS.min(nofile.saturating_sub(OWN_FILES)).max(1)
        };
        Self::with_rings_of(ring_sockets, sockets)
    }

    fn with_rings_of(ring_sockets: usize, sockets: usize) -> io::Result<Self> {
        let count = sockets.max(1).div_ceil(ring_sockets);
        let mut rings = Vec::with_capacity(count);
        for at in 0..count {
            let left = sockets.max(1) - at * ring_sockets;
            rings.push(Ring::new(left.min(ring_sockets))?);
        }
        let bell = if count > 1 { Some(bell()?) } else { None };
        if let Some(bell) = &bell {
            for ring in &rings {
                ring.register_bell(bell.as_raw_fd())?;
            }
        }
        Ok(Self { rings, ring_sockets, bell })
    }

    /// How many rings there are.
    pub fn ring_count(&self) -> usize {
        self.rings.len()
    }

    /// Begins to connect a free or closed socket, from a given source address if any. After a close
    /// it waits by itself until the kernel has let go of the last use. Ends in
    /// [`Event::Connected`] or [`Event::Lost`]. The engine keeps its own copy of the addresses.
    pub fn connect(&mut self, socket: u32, to: Address, from: Option<Address>) {
        let (ring, slot) = self.place(socket);
        self.rings[ring].connect(slot, to, from);
    }

    /// Sends a buffer whole. At most one is under way per socket: wait for [`Event::Sent`].
    pub fn send(&mut self, socket: u32, bytes: Vec<u8>) {
        let (ring, slot) = self.place(socket);
        self.rings[ring].send(slot, bytes);
    }

    /// Closes a socket (FIN). No further event comes for it but a late [`Event::Lost`].
    pub fn close(&mut self, socket: u32) {
        let (ring, slot) = self.place(socket);
        self.rings[ring].close(slot);
    }

    /// Hands the kernel what is queued and waits for events, at most so long; then
    /// [`Engine::reap`] shows them. Zero does not wait.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let Some(bell) = &self.bell else { return self.rings[0].submit_and_wait(timeout) };
        let mut busy = false;
        for ring in &mut self.rings {
            busy |= ring.submit()?;
        }
        if !busy && !timeout.is_zero() {
            wait_bell(bell, timeout)?;
            for ring in &mut self.rings {
                ring.submit()?;
            }
        }
        Ok(())
    }

    /// Shows every event that has arrived. Buffers of [`Event::Received`] are reused after.
    pub fn reap(&mut self, mut each: impl FnMut(u32, Event<'_>)) {
        for (at, ring) in self.rings.iter_mut().enumerate() {
            let base = (at * self.ring_sockets) as u32;
            ring.reap(|slot, event| each(base + slot, event));
        }
    }

    fn place(&self, socket: u32) -> (usize, u32) {
        let socket = socket as usize;
        (socket / self.ring_sockets, (socket % self.ring_sockets) as u32)
    }
}

/// The soft limit of open files.
fn nofile() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit that the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

fn bell() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a new descriptor or -1.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until the bell rings or the time is over, and silences it.
fn wait_bell(bell: &OwnedFd, timeout: Duration) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: bell.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: i64::from(timeout.subsec_nanos()) as _,
    };
    // SAFETY: one live pollfd, one live timespec, no signal mask.
    let ready = unsafe { libc::ppoll(&mut poll, 1, &timeout, std::ptr::null()) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
    }
    if ready > 0 {
        let mut count = 0u64;
        // SAFETY: reads eight bytes into a live u64, as eventfd(2) asks. An empty bell is fine.
        unsafe { libc::read(bell.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::net::TcpListener;

    /// Long past what a handful of connects takes.
    const LONG: Duration = Duration::from_secs(20);

    /// A connect is five steps, of which the kernel does some in an enter; for those left no bell
    /// rings.
    #[test]
    fn several_rings_do_not_sleep_over_connects() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Address::from(listener.local_addr().unwrap());
        let from = Address::from("127.1.0.1:0".parse::<std::net::SocketAddr>().unwrap());
        let mut engine = Engine::with_rings_of(64, 128).unwrap();
        assert_eq!(engine.ring_count(), 2);
        for socket in 0..128 {
            engine.connect(socket, to, Some(from));
        }
        let mut connected = 0;
        while connected < 128 {
            let began = clock::now();
            engine.wait(LONG).unwrap();
            assert!(began.elapsed() < LONG, "slept with {connected} of 128 connected");
            engine.reap(|_, event| match event {
                Event::Connected => connected += 1,
                other => panic!("{other:?}"),
            });
        }
    }
}
