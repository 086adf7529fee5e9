//! A loopback port that opens and closes as a test likes, and never becomes anybody else's.

// Each test binary uses its own part of it.
#![allow(dead_code)]

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, listen, socket_with, sockopt};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The port. Closed, who connects is refused: a socket that does not listen holds it.
pub struct Port {
    held: OwnedFd,
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl Port {
    /// One that is closed.
    pub fn closed() -> Self {
        let held = shared_socket();
        bind(&held, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = getsockname(&held).expect("its address");
        let address = SocketAddr::try_from(address).expect("an address of IPv4");
        Self { held, address, listener: None }
    }

    /// One that is open.
    pub fn open() -> Self {
        let mut port = Self::closed();
        port.set_open(true);
        port
    }

    pub fn number(&self) -> u16 {
        self.address.port()
    }

    pub fn set_open(&mut self, open: bool) {
        self.listener = open.then(|| {
            let listener = shared_socket();
            bind(&listener, &self.address).expect("the port is ours");
            listen(&listener, 1_024).expect("listen");
            TcpListener::from(listener)
        });
    }
}

fn shared_socket() -> OwnedFd {
    // A server that another test starts meanwhile must not inherit it: the port would stay open.
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("share the address");
    sockopt::set_socket_reuseport(&socket, true).expect("share the port");
    socket
}

/// An HTTP server that answers everything with one status, until the test ends.
pub struct Answering {
    address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Answering {
    pub fn with(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(AtomicU16::new(status));
        let answering = Self { address, status: shared.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                let status = shared.load(Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        answering
    }

    pub fn number(&self) -> u16 {
        self.address.port()
    }

    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}
