//! The run itself: turns of cores, what they carry out, what clients do and get.

use crate::effect::{Body, Effect, Effects};
use crate::key::{ConnKey, Core, Map, ServiceKey};
use crate::message::{Message, Now};
use crate::settings::PlantedBug;
use crate::shard::{Room, Shard};
use crate::sim::Summary;
use crate::sim::client::{Online, Op, Wire};
use crate::sim::clock::Clock;
use crate::sim::configs::{Log, Proposal};
use crate::sim::faults::Faults;
use crate::sim::net::{Net, Parcel, Place};
use crate::sim::oracle;
use crate::sim::random::Random;
use crate::sim::reading::Read;
use crate::sim::server::{Input, Server};
use crate::sim::workload::{self, Act};
use std::collections::VecDeque;

/// Unix time of tick 0.
pub(super) const EPOCH_MS: u64 = 1_800_000_000_000;

/// When the cleaner has surely looked (its first scan is at 30 s), and repetitions have come to an
/// end.
const REST_MS: u64 = 36_000;

/// By then a healed world must have come to rest.
const REST_MS_MAX: u64 = 240_000;

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// A core's turn.
    Turn(Core),
    /// Something reaches a core from outside.
    Arrive(Core, Input),
    /// A client acts.
    Act(usize),
    /// A client does this, if it still has the connection.
    Stir(usize, ConnKey, Act),
    /// A client shows life.
    Health(usize, ConnKey),
    /// A client that did nothing wakes up.
    Thaw(usize, ConnKey),
    /// Something reaches a client.
    Deliver(usize, ConnKey, Wire),
    /// The log applies a batch.
    Commit,
    /// The log was replayed, or the store was opened anew.
    Load,
    /// An answer that was held back is written.
    Late(ConnKey, u32, Box<Read>),
}

/// A simulated node with its clients.
pub struct World {
    pub random: Random,
    pub faults: Faults,
    pub clock: Clock<Event>,
    pub net: Net,
    pub log: Log,
    pub servers: Vec<Server>,
    pub clients: Vec<Option<Online>>,
    pub services: Vec<ServiceKey>,
    /// What the probe asked, and the answer it got.
    pub probed: Vec<(Op, Read)>,
    /// What it has still to ask; the first is on its way, on stream `probing`.
    pub probes: VecDeque<Op>,
    pub(super) probing: Option<u32>,
    pub(super) probe: Option<usize>,
    pub trace: Vec<String>,
    pub(super) verbose: bool,
    pub(super) healed: bool,
    pub(super) silent: bool,
    /// Publications when the node began to stop.
    pub stopped: Option<usize>,
    pub(super) ports: u16,
    pub(super) connected: u64,
    pub(super) calls: u64,
    pub(super) stalls: u64,
    pub(super) blocked: u64,
}

impl World {
    pub fn new(seed: u64, bug: Option<PlantedBug>, verbose: bool) -> Self {
        let mut random = Random::new(seed);
        let mut faults = Faults::draw(&mut random);
        faults.plant(bug);
        let map = Map { cores: faults.cores };
        let log = Log::default();
        let server = |core| {
            let core = Core(core);
            let shard = Shard::new(core, map, faults.settings.clone(), seed);
            Server::new(core, shard.with_tables(log.tables.clone()))
        };
        Self {
            servers: (0..faults.cores).map(server).collect(),
            net: Net::new(map, faults.settings.lanes),
            log,
            clients: (0..faults.clients).map(|_| None).collect(),
            services: workload::services(faults.services),
            clock: Clock::default(),
            random,
            faults,
            probed: Vec::new(),
            probes: VecDeque::new(),
            probing: None,
            probe: None,
            trace: Vec::new(),
            verbose,
            healed: false,
            silent: false,
            stopped: None,
            ports: 0,
            connected: 0,
            calls: 0,
            stalls: 0,
            blocked: 0,
        }
    }

    /// Unrest, healing, rest, judgement.
    pub fn run(&mut self) -> Result<(), String> {
        self.note(|world| format!("{:?}", world.faults));
        let start_ms = self.random.below(200);
        for core in 0..self.faults.cores {
            self.clock.at(start_ms, Event::Arrive(Core(core), Input::Started));
        }
        let replayed_ms = start_ms + self.random.below(300);
        self.clock.at(replayed_ms, Event::Load);
        for client in 0..self.clients.len() {
            let first_ms = self.random.below(500);
            self.clock.at(first_ms, Event::Act(client));
        }
        self.run_until(self.faults.unrest_ms)?;
        self.heal();
        self.stir();
        let mut until = self.clock.now_ms.max(REST_MS) + 10_000;
        loop {
            self.run_until(until)?;
            match oracle::unrest(self) {
                None => break,
                Some(text) if until > REST_MS_MAX => {
                    return Err(format!("does not come to rest: {text}"));
                }
                Some(_) => until += 5_000,
            }
        }
        self.send_probes();
        self.run_until(until + 5_000)?;
        // Nobody asks any more, so that every call has its answer; too short a silence to be asked
        // about.
        self.silent = true;
        self.run_until(until + 5_500)?;
        oracle::judge(self)?;
        self.stop();
        self.run_until(until + 10_000)?;
        oracle::judge_stopped(self)
    }

    /// What happened, for whoever wants to know whether it was enough.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            calls: self.calls,
            crossings: self.net.carried,
            stalls: self.stalls,
            blocked_changes: self.blocked,
            commits: self.log.commits,
            ..Summary::default()
        };
        for server in &self.servers {
            let home = server.shard.counts().home;
            summary.pushes += home.pushes;
            summary.fuzzy_pushes += home.fuzzy_pushes;
            summary.failed_pushes += home.pushes_failed;
            summary.coalesced += home.pushes_coalesced;
            summary.notified += home.configs.notified;
            summary.held += home.configs.coalesced;
            summary.unready += home.configs.unready;
            summary.detections += home.detections;
            summary.refused += home.refusals.lane_full;
            summary.closes += home.closes.ejected + home.closes.never_set_up;
            summary.closes += home.closes.too_slow + home.closes.starting;
        }
        summary
    }

    fn run_until(&mut self, until_ms: u64) -> Result<(), String> {
        while let Some(event) = self.clock.next(until_ms) {
            self.happen(event)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Turn(core) => {
                let server = &mut self.servers[usize::from(core.0)];
                if server.turn_ms == Some(self.clock.now_ms) {
                    server.turn_ms = None;
                    return self.turn(core);
                }
                Ok(())
            }
            Event::Arrive(core, input) => {
                self.servers[usize::from(core.0)].inbox.push_back(input);
                self.wake(core, self.clock.now_ms);
                Ok(())
            }
            Event::Act(client) => {
                self.act(client);
                Ok(())
            }
            Event::Stir(client, conn, act) => {
                match act {
                    _ if self.online(client, conn).is_none() => {}
                    Act::Call(op) => self.call(client, op),
                    act => self.behave(client, act),
                }
                Ok(())
            }
            Event::Health(client, conn) => {
                self.show_life(client, conn);
                Ok(())
            }
            Event::Thaw(client, conn) => {
                if let Some(online) = self.online(client, conn) {
                    online.frozen = false;
                }
                self.read_on(client)
            }
            Event::Deliver(client, conn, wire) => self.deliver(client, conn, wire),
            Event::Commit => self.commit(),
            Event::Load => self.load(),
            Event::Late(conn, stream, read) => {
                self.send_to_client(conn, Wire::Reply(stream, *read));
                Ok(())
            }
        }
    }

    /// Adds a line to the trace of a replay.
    pub(super) fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.verbose {
            let line = format!("{:>7} {}", self.clock.now_ms, line(self));
            self.trace.push(line);
        }
    }

    /// Lets a core have a turn at that time, or earlier if that was planned.
    pub(super) fn wake(&mut self, core: Core, at_ms: u64) {
        let server = &mut self.servers[usize::from(core.0)];
        let at_ms = at_ms.max(server.stalled_until_ms).max(self.clock.now_ms);
        if server.turn_ms.is_none_or(|planned| at_ms < planned) {
            server.turn_ms = Some(at_ms);
            self.clock.at(at_ms, Event::Turn(core));
        }
    }

    fn now(&self) -> Now {
        Now { tick_ms: self.clock.now_ms, unix_ms: EPOCH_MS + self.clock.now_ms }
    }

    /// One turn of one core, as the pump does it.
    fn turn(&mut self, core: Core) -> Result<(), String> {
        let at = usize::from(core.0);
        let now = self.now();
        let gap_ms = std::mem::take(&mut self.servers[at].gap_ms);
        if gap_ms > 1_000 {
            self.servers[at].shard.stalled(gap_ms);
        }
        let mut effects = Effects::default();
        for _ in 0..self.random.between(1, self.faults.turn_inputs_max) {
            if !self.take_one(core, &mut effects) {
                break;
            }
            self.carry_out(core, &mut effects)?;
        }
        if self.servers[at].shard.next_wake().is_some_and(|wake_ms| wake_ms <= now.tick_ms) {
            self.servers[at].shard.tick(now, &mut effects);
            self.carry_out(core, &mut effects)?;
        }
        let from = self.servers[at].place;
        let place = |core| Place { node: 0, core: Core(core) };
        let changes: Vec<_> = (0..self.faults.cores)
            .map(|to| if to == core.0 { 0 } else { self.net.room_for_changes(from, place(to)) })
            .collect();
        self.blocked += u64::from(changes.iter().enumerate().any(|(to, n)| to != at && *n == 0));
        let room = Room { changes: &changes, pushes: self.faults.turn_pushes };
        self.servers[at].shard.drain(now, room, &mut effects);
        self.carry_out(core, &mut effects)?;
        self.plan(core);
        Ok(())
    }

    /// When the core's next turn is.
    fn plan(&mut self, core: Core) {
        let now_ms = self.clock.now_ms;
        let server = &mut self.servers[usize::from(core.0)];
        if self.random.below(10_000) < self.faults.stall_per_myriad {
            let gap_ms = self.random.between(1, self.faults.stall_ms_max);
            server.stalled_until_ms = now_ms + gap_ms;
            server.gap_ms = gap_ms;
            self.stalls += 1;
        }
        let busy = !server.inbox.is_empty() || server.shard.has_work();
        let next =
            [busy.then_some(now_ms), server.shard.next_wake(), self.net.next_ms(server.place)];
        if let Some(next_ms) = next.into_iter().flatten().min() {
            self.wake(core, next_ms.max(now_ms + 1));
        }
    }

    /// Hands the shard one message, from outside or from another core.
    fn take_one(&mut self, core: Core, effects: &mut Effects) -> bool {
        let now = self.now();
        let at = usize::from(core.0);
        let outside_first = self.random.percent(50);
        if outside_first && self.take_input(core, effects) {
            return true;
        }
        let place = self.servers[at].place;
        let Some((from, parcel)) = self.net.take(place, now.tick_ms, &mut self.random) else {
            return !outside_first && self.take_input(core, effects);
        };
        self.note(|_| format!("{core:?} takes {parcel:?}"));
        let message = match parcel {
            Parcel::Ask(ask) => Message::Ask { from: from.core, ask },
            Parcel::Tell(tell) => Message::Tell { from: from.core, tell },
        };
        self.servers[at].shard.handle(now, message, effects);
        true
    }

    fn take_input(&mut self, core: Core, effects: &mut Effects) -> bool {
        let now = self.now();
        let server = &mut self.servers[usize::from(core.0)];
        let Some(input) = server.inbox.pop_front() else { return false };
        if input.conn().is_some_and(|conn| server.client_of(conn).is_none()) {
            return true;
        }
        server.shard.handle(now, input.message(), effects);
        if let Input::Disconnected { conn } = input {
            server.forget(conn);
        }
        self.note(|_| format!("{core:?} takes {input:?}"));
        true
    }

    fn carry_out(&mut self, core: Core, effects: &mut Effects) -> Result<(), String> {
        for effect in effects.list.drain(..) {
            match effect {
                Effect::Propose { from, waiter, purpose, command } => {
                    let proposal = Proposal { from, waiter, purpose, command };
                    self.propose(core, proposal)?;
                }
                Effect::Ask { to, ask } => self.cross(core, to.0, Parcel::Ask(ask))?,
                Effect::Tell { to, tell } => self.cross(core, to.0, Parcel::Tell(tell))?,
                Effect::Reply { conn, stream, body, delay_ms } => {
                    self.client_of(conn, &body)?;
                    let read = Box::new(Read::of(&body));
                    if delay_ms == 0 {
                        self.send_to_client(conn, Wire::Reply(stream, *read));
                    } else {
                        let at_ms = self.clock.now_ms + u64::from(delay_ms);
                        self.clock.at(at_ms, Event::Late(conn, stream, read));
                    }
                }
                Effect::Push { conn, body } => {
                    self.client_of(conn, &body)?;
                    if self.stopped.is_some() && body.kind != "ConnectResetRequest" {
                        return Err(format!("{} after the node began to stop", body.kind));
                    }
                    self.send_to_client(conn, Wire::Push(Read::of(&body)));
                }
                Effect::Answer { .. }
                | Effect::Datagram { .. }
                | Effect::Recall { .. }
                | Effect::Check(_) => {
                    return Err("an answer of the open API, which nobody called".to_owned());
                }
                Effect::Close { conn, reason } => {
                    self.note(|_| format!("{core:?} closes {conn:?}: {reason:?}"));
                    self.send_to_client(conn, Wire::Lost);
                    let gone_ms = self.clock.now_ms + self.random.below(50);
                    self.clock.at(gone_ms, Event::Arrive(core, Input::Disconnected { conn }));
                }
            }
        }
        Ok(())
    }

    fn durable_core(&self) -> Core {
        Core(self.faults.cores - 1)
    }

    fn propose(&mut self, core: Core, proposal: Proposal) -> Result<(), String> {
        if core != self.durable_core() {
            return Err(format!("{core:?} proposes {proposal:?}"));
        }
        if self.log.is_idle() {
            let at_ms = self.clock.now_ms + self.random.between(0, self.faults.log_ms_max);
            self.clock.at(at_ms, Event::Commit);
        }
        self.log.propose(proposal);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), String> {
        for input in self.log.commit(self.faults.log_refuses, &mut self.random) {
            self.clock.at(self.clock.now_ms, Event::Arrive(self.durable_core(), input));
        }
        if !self.log.is_idle() {
            let at_ms = self.clock.now_ms + self.random.between(0, self.faults.log_ms_max);
            self.clock.at(at_ms, Event::Commit);
        }
        if self.random.percent(self.faults.log_reopens) {
            self.clock.at(self.clock.now_ms, Event::Load);
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), String> {
        let (changes, slots) = self.log.load()?;
        let input = Input::Settled { changes, slots };
        self.clock.at(self.clock.now_ms, Event::Arrive(self.durable_core(), input));
        Ok(())
    }

    fn cross(&mut self, from: Core, to: Core, parcel: Parcel) -> Result<(), String> {
        let arrives_ms = self.clock.now_ms + self.random.between(0, self.faults.lane_ms_max);
        let place = |core| Place { node: 0, core };
        let arrives_ms = self.net.send(place(from), place(to), parcel, arrives_ms)?;
        self.wake(to, arrives_ms);
        Ok(())
    }

    fn client_of(&self, conn: ConnKey, body: &Body) -> Result<usize, String> {
        let server = &self.servers[usize::from(conn.home.0.0)];
        let client = server.client_of(conn);
        client.ok_or_else(|| format!("{} for {conn:?}, which is gone", body.kind))
    }
}
