//! The loop of the one thread: sessions on sockets, events to a scenario.
//!
//! A turn hands the kernel everything the last one produced, waits once, reads the clock once,
//! and shows every event. Clients are numbered as their sockets are.

use crate::clock;
use crate::engine::{self, Address, Engine};
use crate::session::{Event, Script, Session};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Connections between SYN and the end of set-up at one time: below any listen backlog.
pub(crate) const CONNECTING_MAX: usize = 256;

/// The port range where the kernel does not tell its own (its default).
const PORTS_DEFAULT: (usize, usize) = (32_768, 60_999);

/// How often a long set-up says how far it is.
const PROGRESS_NS: u64 = 5_000_000_000;

/// How long the first set-up, or the next one, may take before we give up.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Different reasons kept for the report.
const REASONS_MAX: usize = 16;

/// What a scenario may do within an event: talk on this connection.
pub struct Turn<'a> {
    pub client: u32,
    /// Nanoseconds since the drive began, when the turn's events were fetched.
    pub now_ns: u64,
    pub session: &'a mut Session,
    pub script: &'a mut Script,
}

impl Turn<'_> {
    /// [`Session::call`] on this connection.
    #[must_use]
    pub fn call(&mut self, message: &[u8], tag: u32, intended_ns: u64) -> bool {
        self.session.call(self.script, message, tag, intended_ns)
    }

    /// [`Session::acknowledge`] on this connection.
    pub fn acknowledge(&mut self, push_kind: &str, request_id: &str) -> bool {
        self.session.acknowledge(self.script, push_kind, request_id)
    }
}

/// What a run does with what comes.
pub trait Scenario {
    /// An event of one client.
    fn event(&mut self, turn: Turn<'_>, event: Event<'_>);
}

/// A connection beside its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Link {
    sending: bool,
    dirty: bool,
    gone: bool,
}

/// Bytes on the wire above TCP, set-up included, since the drive began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

/// All clients of one target.
pub struct Drive {
    engine: Engine,
    script: Script,
    sessions: Vec<Session>,
    links: Vec<Link>,
    dirty: Vec<u32>,
    began: Instant,
    now_ns: u64,
    target: Address,
    sources: Sources,
    asked: usize,
    ready: usize,
    lost: BTreeMap<String, u64>,
    lost_count: u64,
    traffic: Traffic,
}

impl Drive {
    /// Room for so many clients of one module to one gRPC address; nothing is connected yet.
    pub fn new(target: SocketAddr, module: &str, clients: usize) -> io::Result<Self> {
        Ok(Self {
            engine: Engine::new(clients)?,
            script: Script::new(&target.to_string(), module),
            sessions: Vec::with_capacity(clients),
            links: Vec::with_capacity(clients),
            dirty: Vec::new(),
            began: clock::now(),
            now_ns: 0,
            target: target.into(),
            sources: Sources::new(target.ip(), clients),
            asked: 0,
            ready: 0,
            lost: BTreeMap::new(),
            lost_count: 0,
            traffic: Traffic::default(),
        })
    }

    /// Nanoseconds since the drive began, as of the last turn.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Clients that completed their set-up.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// io_uring instances in use.
    pub fn ring_count(&self) -> usize {
        self.engine.ring_count()
    }

    /// Clients that went away without being asked to, and why.
    pub fn lost(&self) -> (u64, &BTreeMap<String, u64>) {
        (self.lost_count, &self.lost)
    }

    /// What has been handed to the kernel and received, in all.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Starts a call on one client; false when it has no room now or is gone.
    #[must_use]
    pub fn call(&mut self, client: u32, message: &[u8], tag: u32, intended_ns: u64) -> bool {
        let at = client as usize;
        if self.links[at].gone || !self.sessions[at].is_ready() {
            return false;
        }
        let begun = self.sessions[at].call(&mut self.script, message, tag, intended_ns);
        if begun {
            mark(&mut self.links, &mut self.dirty, client);
        }
        begun
    }

    /// Connects and sets up clients until there are so many. A connection that fails is lost, not
    /// tried again; when nothing moves for ten seconds the error says what was seen.
    pub fn open(&mut self, until: usize, scenario: &mut impl Scenario) -> io::Result<()> {
        let mut progress = (self.ready, self.lost_count);
        let (mut moved_ns, mut told) = (self.now_ns, (self.now_ns, self.ready));
        loop {
            let settled = self.ready + self.lost_count as usize;
            if settled >= until {
                return Ok(());
            }
            while self.asked < until && self.asked < settled + CONNECTING_MAX {
                self.connect_next();
            }
            self.turn(Duration::from_millis(100), scenario)?;
            if self.now_ns - told.0 > PROGRESS_NS {
                let seconds = (self.now_ns - told.0) as f64 / 1e9;
                let rate = self.ready.saturating_sub(told.1) as f64 / seconds;
                eprintln!("{} of {until} clients set up, {rate:.0}/s", self.ready);
                told = (self.now_ns, self.ready);
            }
            if (self.ready, self.lost_count) != progress {
                progress = (self.ready, self.lost_count);
                moved_ns = self.now_ns;
            } else if self.now_ns - moved_ns > CONNECT_PATIENCE.as_nanos() as u64 {
                let why = format!("{} of {until} clients set up, then silence", self.ready);
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
    }

    fn connect_next(&mut self) {
        let client = self.asked;
        let source = self.sources.of(client);
        self.sessions.push(Session::new(&mut self.script));
        self.links.push(Link::default());
        self.asked += 1;
        self.engine.connect(client as u32, self.target, source);
    }

    /// One turn: send, wait at most so long, read the clock, handle.
    pub fn turn(&mut self, wait: Duration, scenario: &mut impl Scenario) -> io::Result<()> {
        while let Some(client) = self.dirty.pop() {
            let link = &mut self.links[client as usize];
            link.dirty = false;
            let session = &mut self.sessions[client as usize];
            if !link.sending && !link.gone && session.has_output() {
                link.sending = true;
                let output = session.take_output();
                self.traffic.sent_bytes += output.len() as u64;
                self.engine.send(client, output);
            }
        }
        self.engine.wait(wait)?;
        self.now_ns = self.began.elapsed().as_nanos() as u64;
        let Self { engine, script, sessions, links, dirty, lost, traffic, .. } = self;
        let (now_ns, ready, lost_count) = (self.now_ns, &mut self.ready, &mut self.lost_count);
        let mut closing = Vec::new();
        engine.reap(|client, event| {
            let session = &mut sessions[client as usize];
            let why = match event {
                engine::Event::Connected => None,
                engine::Event::Sent(buffer) => {
                    links[client as usize].sending = false;
                    script.give_back(buffer);
                    None
                }
                engine::Event::Received(_) if links[client as usize].gone => return,
                engine::Event::Received(bytes) => {
                    traffic.received_bytes += bytes.len() as u64;
                    let mut each =
                        |session: &mut Session, script: &mut Script, event: Event<'_>| {
                            *ready += usize::from(matches!(event, Event::Ready));
                            scenario.event(Turn { client, now_ns, session, script }, event);
                        };
                    let outcome = session.receive(bytes, script, &mut each);
                    outcome.err().map(|fault| fault.to_string())
                }
                engine::Event::Lost(None) => Some("closed by the server".to_owned()),
                engine::Event::Lost(Some(error)) => Some(error.to_string()),
            };
            if let Some(why) = why {
                if !std::mem::replace(&mut links[client as usize].gone, true) {
                    *ready -= usize::from(session.is_ready());
                    *lost_count += 1;
                    count_reason(lost, why);
                    closing.push(client);
                }
            } else if session.has_output() {
                mark(links, dirty, client);
            }
        });
        for client in closing {
            self.engine.close(client);
        }
        Ok(())
    }

    /// Closes every connection in order; those are not counted as lost.
    pub fn close_all(&mut self) {
        for client in 0..self.links.len() {
            if !std::mem::replace(&mut self.links[client].gone, true) {
                self.engine.close(client as u32);
            }
        }
        self.ready = 0;
    }

    /// Whether a client is connected and set up.
    pub fn is_ready(&self, client: u32) -> bool {
        let at = client as usize;
        at < self.links.len() && !self.links[at].gone && self.sessions[at].is_ready()
    }

    /// Turns until so much time has passed.
    pub fn run_for(&mut self, time: Duration, scenario: &mut impl Scenario) -> io::Result<()> {
        let end_ns = self.now_ns + time.as_nanos() as u64;
        while self.now_ns < end_ns {
            self.turn(Duration::from_nanos(end_ns - self.now_ns), scenario)?;
        }
        Ok(())
    }
}

fn mark(links: &mut [Link], dirty: &mut Vec<u32>, client: u32) {
    let link = &mut links[client as usize];
    if !link.dirty {
        link.dirty = true;
        dirty.push(client);
    }
}

/// Counts a loss under its reason; reasons beyond the bound share one line.
pub(crate) fn count_reason(lost: &mut BTreeMap<String, u64>, why: String) {
    if lost.len() < REASONS_MAX || lost.contains_key(&why) {
        *lost.entry(why).or_default() += 1;
    } else {
        *lost.entry("other".to_owned()).or_default() += 1;
    }
}

/// Source addresses so that ports suffice: on loopback any 127/8 address is ours.
#[derive(Default)]
pub(crate) struct Sources {
    addresses: Vec<Address>,
    clients_each: usize,
}

impl Sources {
    /// None are needed for few clients, and none are known but for loopback.
    pub(crate) fn new(target: IpAddr, clients: usize) -> Self {
        let clients_each = clients_per_source();
        if clients <= clients_each || !matches!(target, IpAddr::V4(ip) if ip.is_loopback()) {
            return Self::default();
        }
        let source = |at: usize| Ipv4Addr::new(127, 1, (at >> 8) as u8, (at & 0xff) as u8);
        let addresses = (1..=clients.div_ceil(clients_each))
            .map(|at| Address::from(SocketAddr::new(source(at).into(), 0)))
            .collect();
        Self { addresses, clients_each }
    }

    /// The source a client binds, if any.
    pub(crate) fn of(&self, client: usize) -> Option<Address> {
        self.addresses.get(client.checked_div(self.clients_each)?).copied()
    }
}

/// The kernel looks for a free port one by one, first among every second port of the range: once
/// that half is full, each connect walks thousands of ports. We stay well inside it.
fn clients_per_source() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let text = text.unwrap_or_default();
    let mut bounds = text.split_whitespace().map(|bound| bound.parse::<usize>().ok());
    let (low, high) = match (bounds.next().flatten(), bounds.next().flatten()) {
        (Some(low), Some(high)) if low < high => (low, high),
        _ => PORTS_DEFAULT,
    };
    ((high - low) / 2 * 2 / 3).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_when_ports_would_not_suffice() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let each = clients_per_source();
        assert!(each > 0 && each < 32_768 / 2, "{each}");
        assert!(Sources::new(loopback, each).of(0).is_none());
        let many = Sources::new(loopback, 10 * each);
        assert_eq!(many.addresses.len(), 10);
        assert!((0..10 * each).all(|client| many.of(client).is_some()));
        assert!(Sources::new(Ipv4Addr::new(192, 0, 2, 1).into(), 10 * each).of(0).is_none());
    }
}
