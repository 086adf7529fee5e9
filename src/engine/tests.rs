//! The engine against real sockets on loopback. Each test waits on conditions, never on time.

mod closing;
mod flow;
mod slots;

use super::*;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of one connection, as its handler saw it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub peer: Option<SocketAddr>,
    pub bytes: Vec<u8>,
    pub chunks: usize,
    pub closed: Option<CloseWhy>,
    pub backlog: Option<usize>,
}

type Answer = Box<dyn FnMut(&mut Sends, Socket, &[u8])>;

/// Remembers everything, and answers as told.
#[derive(Default)]
pub(super) struct Record {
    pub seen: HashMap<Socket, Seen>,
    pub order: Vec<Socket>,
    pub live: HashMap<u32, Socket>,
    pub answer: Option<Answer>,
}

impl Handler for Record {
    fn accepted(&mut self, _: &mut Sends, socket: Socket, peer: SocketAddr) {
        let former = self.live.insert(socket.slot, socket);
        assert!(former.is_none(), "slot {} given out while {former:?} has it", socket.slot);
        let seen = Seen { peer: Some(peer), ..Seen::default() };
        assert!(self.seen.insert(socket, seen).is_none(), "accepted twice");
        self.order.push(socket);
    }

    fn received(&mut self, sends: &mut Sends, socket: Socket, bytes: &[u8]) {
        let seen = self.seen.get_mut(&socket).expect("accepted before");
        assert!(seen.closed.is_none(), "bytes after the end");
        seen.bytes.extend_from_slice(bytes);
        seen.chunks += 1;
        if let Some(answer) = &mut self.answer {
            answer(sends, socket, bytes);
        }
    }

    fn sent(&mut self, _: &mut Sends, socket: Socket, backlog_bytes: usize) {
        let seen = self.seen.get_mut(&socket).expect("accepted before");
        assert!(seen.closed.is_none(), "sent after the end");
        seen.backlog = Some(backlog_bytes);
    }

    fn closed(&mut self, _: &mut Sends, socket: Socket, why: CloseWhy) {
        assert_eq!(self.live.remove(&socket.slot), Some(socket));
        let seen = self.seen.get_mut(&socket).expect("accepted before");
        assert!(seen.closed.replace(why).is_none(), "closed twice");
    }
}

/// An engine that is driven by hand, with its own clock's start.
pub(super) struct Bed {
    pub engine: Engine,
    pub record: Record,
    pub address: SocketAddr,
    wake: OwnedFd,
    start: Instant,
    /// Added to the clock: time that did not have to pass.
    pub ahead_ms: u64,
}

impl Bed {
    pub fn new(config: &Config) -> Self {
        let wake = event_fd().unwrap();
        let mut engine = Engine::new(config, &wake).unwrap();
        let address = engine.listen(&["127.0.0.1:0".parse().unwrap()]).unwrap()[0];
        let record = Record::default();
        Self { engine, record, address, wake, start: now(), ahead_ms: 0 }
    }

    /// 64 + `usable` slots in one ring.
    pub fn small(usable: u32) -> Self {
        Self::new(&Config {
            connections_max: usable,
            ring_slots: Some(usable + TURN_AWAY_SLOTS),
            ..Config::default()
        })
    }

    pub fn echo() -> Self {
        let mut bed = Self::new(&Config::default());
        bed.record.answer = Some(Box::new(|sends, socket, bytes| {
            sends.send(socket, bytes);
        }));
        bed
    }

    fn now_ms(&self) -> u64 {
        now().duration_since(self.start).as_millis() as u64 + self.ahead_ms
    }

    /// Takes turns, sleeping as a core would, until the condition holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Engine, &mut Record) -> bool) {
        let deadline = now() + PATIENCE;
        loop {
            let events = self.engine.turn(self.now_ms(), &mut self.record);
            if holds(&mut self.engine, &mut self.record) {
                return;
            }
            assert!(now() < deadline, "never: {what}; {:?}", self.engine.sends.counters);
            if events == 0 && self.engine.prepare_sleep(self.now_ms(), None) {
                self.sleep();
            }
        }
    }

    /// Waits for the wake-up descriptor: a wake-up that gets lost shows as a slow, failing test.
    fn sleep(&self) {
        wait_readable(&self.wake, Some(Duration::from_millis(50)));
        let mut count = [0_u8; 8];
        // SAFETY: eight writable bytes; the descriptor does not block.
        unsafe { libc::read(self.wake.as_raw_fd(), count.as_mut_ptr().cast(), 8) };
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection and the socket it became here.
    pub fn pair(&mut self) -> (TcpStream, Socket) {
        let stream = self.connect();
        let local = stream.local_addr().unwrap();
        let mut found = None;
        self.until("accepted", |_, record| {
            found = record.order.iter().copied().rev().find(|s| record.seen[s].peer == Some(local));
            found.is_some()
        });
        (stream, found.unwrap())
    }

    pub fn seen(&self, socket: Socket) -> &Seen {
        &self.record.seen[&socket]
    }

    /// Slots with a tenant, those on their way out included.
    pub fn occupied(&self) -> u32 {
        self.engine.rings.iter().map(|ring| ring.occupied).sum()
    }
}

#[allow(clippy::disallowed_methods)] // The tests' own patience, and the time they hand down.
fn now() -> Instant {
    Instant::now()
}

/// Runs a blocking peer beside the engine.
#[allow(clippy::disallowed_methods)] // A test's peer, joined by the test.
pub(super) fn peer<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(run)
}
