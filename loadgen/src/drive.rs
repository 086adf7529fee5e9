//! The loop of the one thread: sessions on sockets, events to a scenario.
//!
//! A turn hands the kernel everything the last one produced, waits once, reads the clock once,
//! and shows every event. Clients are numbered as their sockets are.

pub(crate) mod sources;

use crate::clock;
use crate::engine::{self, Address, Engine, interrupt};
use crate::progress::Progress;
use crate::session::{Event, Script, Session};
use sources::Sources;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Connections between SYN and the end of set-up at one time: below any listen backlog.
pub(crate) const CONNECTING_MAX: usize = 256;

/// How long the first set-up, or the next one, may take before we give up.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Different reasons kept for the report.
const REASONS_MAX: usize = 16;

/// What a scenario may do within an event: talk on this connection.
pub struct Turn<'a> {
    pub client: u32,
    /// Nanoseconds since the drive began, when the turn's events were fetched.
    pub now_ns: u64,
    /// For how long before that nobody looked: what came may have waited so long at most.
    pub blind_ns: u64,
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

    /// A client's connection has ended, or never came to be. It may be opened again from outside
    /// the turn ([`Drive::reopen`]).
    fn lost(&mut self, client: u32, now_ns: u64) {
        let _ = (client, now_ns);
    }
}

/// A connection beside its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Link {
    connected: bool,
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
    connecting: usize,
    ready: usize,
    sending: usize,
    lost: BTreeMap<String, u64>,
    lost_count: u64,
    traffic: Traffic,
    longest_turn_ns: u64,
    blind_ns: u64,
    sends_per_look: usize,
}

impl Drive {
    /// Room for so many clients of one module to one gRPC address, from the addresses `bind` if
    /// any; nothing is connected yet.
    pub fn new(
        target: SocketAddr,
        module: &str,
        clients: usize,
        bind: &[IpAddr],
    ) -> io::Result<Self> {
        Ok(Self {
            engine: Engine::new(clients)?,
            script: Script::new(&target.to_string(), module),
            sessions: Vec::with_capacity(clients),
            links: Vec::with_capacity(clients),
            dirty: Vec::new(),
            began: clock::now(),
            now_ns: 0,
            target: target.into(),
            sources: Sources::new(target.ip(), clients, bind),
            asked: 0,
            connecting: 0,
            ready: 0,
            sending: 0,
            lost: BTreeMap::new(),
            lost_count: 0,
            traffic: Traffic::default(),
            longest_turn_ns: 0,
            blind_ns: 0,
            sends_per_look: usize::MAX,
        })
    }

    /// From now on the sockets are looked at after so many sends. What arrives while we send is
    /// seen late by the time that takes (some 10 µs each: the kernel delivers on loopback), which
    /// matters where many answer at once; smaller handfuls are less work for the server at a time.
    pub fn look_after(&mut self, sends: usize) {
        self.sends_per_look = sends.max(1);
    }

    /// Nanoseconds since the drive began, as of the last turn.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Clients that completed their set-up.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Connections between SYN and the end of set-up.
    pub fn connecting(&self) -> usize {
        self.connecting
    }

    /// io_uring instances in use.
    pub fn ring_count(&self) -> usize {
        self.engine.ring_count()
    }

    /// Clients that went away without being asked to, and why.
    pub fn lost(&self) -> (u64, &BTreeMap<String, u64>) {
        (self.lost_count, &self.lost)
    }

    /// Losses so far, which from now on count no longer: they were expected.
    pub fn forgive_losses(&mut self) -> (u64, BTreeMap<String, u64>) {
        (std::mem::take(&mut self.lost_count), std::mem::take(&mut self.lost))
    }

    /// What has been handed to the kernel and received, in all.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether the kernel has taken everything every client had to say.
    pub fn is_flushed(&self) -> bool {
        self.dirty.is_empty() && self.sending == 0
    }

    /// The longest time our own work kept us from looking at the sockets, since the last call:
    /// answers and acknowledgements may have been so late by our fault.
    pub fn take_longest_turn_ns(&mut self) -> u64 {
        std::mem::take(&mut self.longest_turn_ns)
    }

    /// Whether the run shall end with what it has (Ctrl-C).
    pub fn is_interrupted(&self) -> bool {
        interrupt::is_asked()
    }

    /// Starts a call on one client; false when it has no room now or is gone.
    #[must_use]
    pub fn call(&mut self, client: u32, message: &[u8], tag: u32, intended_ns: u64) -> bool {
        if !self.is_ready(client) {
            return false;
        }
        let session = &mut self.sessions[client as usize];
        let begun = session.call(&mut self.script, message, tag, intended_ns);
        if begun {
            mark(&mut self.links, &mut self.dirty, client);
        }
        begun
    }

    /// Connects and sets up clients until there are so many. A connection that fails is lost, not
    /// tried again; when nothing moves for ten seconds the error says what was seen. An interrupt
    /// ends it early.
    pub fn open(&mut self, until: usize, scenario: &mut impl Scenario) -> io::Result<()> {
        let mut progress = Progress::new("clients", self.ready as u64, until as u64, self.now_ns);
        let mut moved = (self.ready, self.lost_count, self.now_ns);
        loop {
            let settled = self.ready + self.lost_count as usize;
            if settled >= until || self.is_interrupted() {
                return Ok(());
            }
            self.connect_more(until);
            self.turn(Duration::from_millis(100), scenario)?;
            progress.at(self.ready as u64, self.now_ns);
            if (self.ready, self.lost_count) != (moved.0, moved.1) {
                moved = (self.ready, self.lost_count, self.now_ns);
            } else if self.now_ns - moved.2 > CONNECT_PATIENCE.as_nanos() as u64 {
                let why = format!("{} of {until} clients set up, then silence", self.ready);
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
    }

    /// Begins to connect new clients, so many in all and not too many at a time.
    pub fn connect_more(&mut self, until: usize) {
        while self.asked < until && self.connecting < CONNECTING_MAX {
            self.sessions.push(Session::new(&mut self.script));
            self.links.push(Link::default());
            self.asked += 1;
            self.connect(self.asked - 1);
        }
    }

    /// Connects a client that was lost once more; the session begins anew.
    pub fn reopen(&mut self, client: u32) {
        let at = client as usize;
        assert!(self.links[at].gone, "only what is lost is opened again");
        self.sessions[at] = Session::new(&mut self.script);
        // It may still stand in the list of those with something to say.
        self.links[at] = Link { dirty: self.links[at].dirty, ..Link::default() };
        self.connect(at);
    }

    fn connect(&mut self, at: usize) {
        self.connecting += 1;
        self.engine.connect(at as u32, self.target, self.sources.of(at));
    }

    /// One turn: send, wait at most so long, read the clock, handle.
    pub fn turn(&mut self, wait: Duration, scenario: &mut impl Scenario) -> io::Result<()> {
        let sends = self.send();
        let wait = if self.dirty.is_empty() { wait } else { Duration::ZERO };
        let own_ns = self.began.elapsed().as_nanos() as u64 - self.now_ns;
        self.longest_turn_ns = self.longest_turn_ns.max(own_ns);
        let looked_ns = self.now_ns;
        self.engine.wait(wait)?;
        self.now_ns = self.began.elapsed().as_nanos() as u64;
        // A send completes at once and ends the wait: all of it was work.
        let slept = sends == 0 && !wait.is_zero();
        self.blind_ns = if slept { own_ns } else { self.now_ns - looked_ns };
        let mut closing = Vec::new();
        self.reap(scenario, &mut closing);
        for client in closing {
            self.engine.close(client);
            scenario.lost(client, self.now_ns);
        }
        Ok(())
    }

    /// Hands over what clients have to say, one send each: of all, or of as many as may be before
    /// the next look. How many were handed over.
    fn send(&mut self) -> usize {
        let mut sends = 0;
        for _ in 0..self.sends_per_look {
            let Some(client) = self.dirty.pop() else { break };
            let link = &mut self.links[client as usize];
            link.dirty = false;
            let session = &mut self.sessions[client as usize];
            if link.connected && !link.sending && !link.gone && session.has_output() {
                link.sending = true;
                self.sending += 1;
                sends += 1;
                let output = session.take_output();
                self.traffic.sent_bytes += output.len() as u64;
                self.engine.send(client, output);
            }
        }
        sends
    }

    fn reap(&mut self, scenario: &mut impl Scenario, closing: &mut Vec<u32>) {
        let Self { engine, script, sessions, links, dirty, lost, traffic, now_ns, .. } = self;
        let (now_ns, ready, connecting) = (*now_ns, &mut self.ready, &mut self.connecting);
        let blind_ns = self.blind_ns;
        let (sending, lost_count) = (&mut self.sending, &mut self.lost_count);
        engine.reap(|client, event| {
            let session = &mut sessions[client as usize];
            let link = &mut links[client as usize];
            let why = match event {
                engine::Event::Connected => {
                    link.connected = true;
                    None
                }
                engine::Event::Sent(buffer) => {
                    *sending -= usize::from(std::mem::take(&mut link.sending));
                    script.give_back(buffer);
                    None
                }
                engine::Event::Received(_) if link.gone => return,
                engine::Event::Received(bytes) => {
                    traffic.received_bytes += bytes.len() as u64;
                    let mut each =
                        |session: &mut Session, script: &mut Script, event: Event<'_>| {
                            if matches!(event, Event::Ready) {
                                *ready += 1;
                                *connecting -= 1;
                            }
                            let turn = Turn { client, now_ns, blind_ns, session, script };
                            scenario.event(turn, event);
                        };
                    let outcome = session.receive(bytes, script, &mut each);
                    outcome.err().map(|fault| fault.to_string())
                }
                engine::Event::Lost(None) => Some("closed by the server".to_owned()),
                engine::Event::Lost(Some(error)) => Some(error.to_string()),
            };
            if let Some(why) = why {
                if !std::mem::replace(&mut link.gone, true) {
                    let counted = if session.is_ready() { &mut *ready } else { &mut *connecting };
                    *counted -= 1;
                    // A send under way is not told of any more.
                    *sending -= usize::from(std::mem::take(&mut link.sending));
                    *lost_count += 1;
                    count_reason(lost, why);
                    closing.push(client);
                }
            } else if session.has_output() {
                mark(links, dirty, client);
            }
        });
    }

    /// Closes every connection in order; those are not counted as lost.
    pub fn close_all(&mut self) {
        for client in 0..self.links.len() {
            if !std::mem::replace(&mut self.links[client].gone, true) {
                self.engine.close(client as u32);
            }
        }
        (self.ready, self.connecting) = (0, 0);
    }

    /// Closes one connection in order; it is not counted as lost and may be opened again. False
    /// when it was gone already.
    pub fn leave(&mut self, client: u32) -> bool {
        let at = client as usize;
        if std::mem::replace(&mut self.links[at].gone, true) {
            return false;
        }
        let is_ready = self.sessions[at].is_ready();
        let counted = if is_ready { &mut self.ready } else { &mut self.connecting };
        *counted -= 1;
        self.sending -= usize::from(std::mem::take(&mut self.links[at].sending));
        self.engine.close(client);
        true
    }

    /// Whether a client is connected and set up.
    pub fn is_ready(&self, client: u32) -> bool {
        let at = client as usize;
        at < self.links.len() && !self.links[at].gone && self.sessions[at].is_ready()
    }

    /// Turns until so much time has passed, or an interrupt.
    pub fn run_for(&mut self, time: Duration, scenario: &mut impl Scenario) -> io::Result<()> {
        let end_ns = self.now_ns + time.as_nanos() as u64;
        while self.now_ns < end_ns && !self.is_interrupted() {
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
