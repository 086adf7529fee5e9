//! One core's UDP socket: lists go out to pollers, acknowledgements come in (`http-api.md` 3.5).
//!
//! Sending is a system call of the pump; receiving is a task of the core's executor, which looks
//! only when the kernel says that something is there.

use super::desk::Desk;
use super::limits::DATAGRAM_BYTES_MAX;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use glommio::io::PollableFd;
use nacre_proto::json;
use nacre_proto::open_api::DatagramAck;
use std::cell::Cell;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Bytes from which a datagram is compressed: the reference's.
const PLAIN_BYTES_MAX: usize = 1_024;

/// Bytes of an acknowledgement; real ones have 70. Longer ones are cut and do not parse.
const ACK_BYTES_MAX: usize = 512;

/// Acknowledgements taken between two looks at the executor's other tasks.
const ACKS_IN_A_ROW_MAX: usize = 64;

/// One core's socket. Its port is the kernel's choice: acknowledgements go back to where the
/// datagram came from.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    is_v4: bool,
    /// The list sent last, as it was put on the wire.
    last: (u64, Bytes),
    refused: Rc<Cell<u64>>,
}

impl Datagrams {
    /// Binds to an address of this node.
    ///
    /// # Errors
    /// As `bind(2)`.
    pub fn open(ip: IpAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
        socket.set_nonblocking(true)?;
        let refused = Rc::default();
        Ok(Self { socket, is_v4: ip.is_ipv4(), last: (0, Bytes::new()), refused })
    }

    /// Datagrams the kernel did not take, or that would have been too long.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Sends a list. What cannot be sent is lost, as a datagram may be: its poller asks again.
    pub fn send(&mut self, to: SocketAddr, number: u64, list: &Bytes) {
        if self.last.0 != number {
            self.last = (number, encode(number, list));
        }
        let bytes = &self.last.1;
        let fits = to.is_ipv4() == self.is_v4 && bytes.len() <= DATAGRAM_BYTES_MAX;
        if !fits || self.socket.send_to(bytes, to).is_err() {
            self.refused.set(self.refused.get() + 1);
        }
    }

    /// A task that takes acknowledgements, for ever. Must be made on the core's executor.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn receive(&self, desk: Desk) -> io::Result<impl Future<Output = ()> + use<>> {
        let socket = self.socket.try_clone()?;
        let ear: OwnedFd = self.socket.as_fd().try_clone_to_owned()?;
        let ear = PollableFd::new(ear).map_err(io::Error::from)?;
        Ok(async move {
            while ear.readable().await.is_ok() {
                take(&socket, &desk);
            }
        })
    }
}

fn take(socket: &UdpSocket, desk: &Desk) {
    let mut bytes = [0; ACK_BYTES_MAX];
    for _ in 0..ACKS_IN_A_ROW_MAX {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { return };
        let Ok(Some(ack)) = DatagramAck::parse(&bytes[..length]) else { continue };
        if let Some(number) = ack.number() {
            desk.acknowledged(from, number);
        }
    }
}

/// `{"type":"dom","data":"<list as text>","lastRefTime":<number>}`, compressed when it is long.
fn encode(number: u64, list: &Bytes) -> Bytes {
    let mut out = Vec::with_capacity(list.len() + list.len() / 4 + 64);
    out.extend_from_slice(b"{\"type\":\"dom\",\"data\":");
    json::write_string(&mut out, &String::from_utf8_lossy(list));
    out.extend_from_slice(b",\"lastRefTime\":");
    json::write_u64(&mut out, number);
    out.push(b'}');
    if out.len() < PLAIN_BYTES_MAX {
        return Bytes::from(out);
    }
    let mut gzip = GzEncoder::new(Vec::with_capacity(out.len() / 4), Compression::fast());
    match gzip.write_all(&out).and_then(|()| gzip.finish()) {
        Ok(compressed) => Bytes::from(compressed),
        // Writing to memory does not fail; plain is right as well.
        Err(_) => Bytes::from(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use serde_json::Value;
    use std::io::Read;

    fn read(bytes: &[u8]) -> Value {
        let mut text = Vec::new();
        match bytes.starts_with(&[0x1f, 0x8b]) {
            true => _ = GzDecoder::new(bytes).read_to_end(&mut text).unwrap(),
            false => text = bytes.to_vec(),
        }
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn short_ones_are_plain_and_long_ones_compressed() {
        for (bytes, compressed) in [(10, false), (900, false), (1_100, true), (40_000, true)] {
            let list = format!("{{\"name\":\"{}\"}}", "n".repeat(bytes));
            let datagram = encode(7, &Bytes::from(list.clone()));
            assert_eq!(datagram.starts_with(&[0x1f, 0x8b]), compressed, "{bytes}");
            let datagram = read(&datagram);
            assert_eq!((&datagram["type"], &datagram["lastRefTime"]), (&"dom".into(), &7.into()));
            assert_eq!(datagram["data"], list);
        }
    }

    #[test]
    fn lists_leave_and_what_cannot_is_counted() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = peer.local_addr().unwrap();
        let mut datagrams = Datagrams::open("127.0.0.1".parse().unwrap()).unwrap();
        datagrams.send(to, 7, &Bytes::from_static(b"{}"));
        let mut bytes = [0; 100];
        let length = peer.recv(&mut bytes).unwrap();
        assert_eq!(read(&bytes[..length])["data"], "{}");
        datagrams.send("[::1]:9".parse().unwrap(), 7, &Bytes::from_static(b"{}"));
        assert_eq!(datagrams.refused(), 1);
    }
}
