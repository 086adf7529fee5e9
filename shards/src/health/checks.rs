//! Active checks of persistent instances (`naming.md` 10): one record per instance, on the core
//! that owns its service.
//!
//! The wheel says when an instance is due; what is due waits in line until a probe is free. A probe
//! is made outside ([`Check`]), its [`Outcome`] comes back, and what it leads to waits as a
//! [`HealthFlip`] until it is proposed. Health itself is replicated: it changes here only by
//! [`Checks::put`], when the proposal was applied; a flip that got lost is asked for again by the
//! next result. Nothing is ever removed for being unhealthy.
//!
//! Time here is time the process lived through, and a probe that ran out of time while the process
//! stood still says nothing about whom it asked.

use crate::health::policy::Policy;
use crate::health::probe::Probe;
use crate::health::wheel::{NO_TICK, Tick, Timer, Wheel};
use crate::index::Index;
use crate::intern::Interner;
use crate::key::ServiceKey;
use crate::limits::{
    CHECKED_PER_CORE_MAX, CHECKS_PER_HOST_MAX, CHECKS_STARTED_MAX, CHECKS_UNDER_WAY_MAX,
};
use crate::naming::owner::checks::HealthFlip;
use crate::naming::switches::{Pace, Switches};
use crate::slab::Slab;
use ahash::RandomState;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// The reference's least wait before the first check.
const FIRST_MS: u32 = 2_000;

/// How soon an instance is looked at again whose host has [`CHECKS_PER_HOST_MAX`] probes under way;
/// up to as much again by chance.
const POSTPONED_MS: u64 = 128;

/// What is to be known of an instance. A service has one at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    pub service: &'a ServiceKey,
    /// As it was registered: an address, or a name that is never looked up.
    pub ip: &'a str,
    pub port: i32,
    /// Where it is asked.
    pub check_port: i32,
    /// How; `None`: its cluster has a checker this server lacks.
    pub probe: Option<Probe>,
    /// As replicated.
    pub healthy: bool,
    /// Of the state `healthy` was read from; goes with every flip.
    pub revision: u64,
}

/// What everything here needs.
pub struct Means<'a> {
    /// Lived milliseconds.
    pub now_ms: u64,
    /// How long the process has not run in all, ms.
    pub stalled_ms: u64,
    pub switches: &'a Switches,
    pub policy: &'a Policy,
    pub wheel: &'a mut Wheel,
}

/// Which probe under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub slot: u32,
    pub generation: u32,
}

/// A probe to be made now; answered by one [`Outcome`], whatever happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub ticket: Ticket,
    pub to: SocketAddr,
    pub probe: Probe,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Connected; answered with 200.
    Passed,
    /// No connection, or no answer, in time.
    TimedOut,
    /// Answered 503 or 302.
    Busy,
    /// Answered with another code.
    Wrong,
    /// Nobody listens.
    Refused,
    /// Any other error.
    Broken,
    /// This node could not ask: it says nothing about the instance.
    Unable,
}

/// Why an instance keeps its health unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Unchecked {
    /// Its address may not be probed.
    Forbidden,
    /// It has a name in place of an address: whoever answers for names could aim probes anywhere.
    Name,
    /// A checker this server does not have.
    Checker,
}

/// Counts for the metrics. The first five are of now, the rest since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub checked: usize,
    /// By [`Unchecked`].
    pub unchecked: [usize; 3],
    pub under_way: usize,
    /// Due, and no probe free.
    pub waiting: usize,
    /// Begun, by how: a connection, a request.
    pub connects: u64,
    pub requests: u64,
    pub passed: u64,
    pub failed: u64,
    pub unable: u64,
    /// Put off because their host had as many probes as it may.
    pub postponed: u64,
    pub became_healthy: u64,
    pub became_unhealthy: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The wheel has it.
    Idle,
    /// Stands in line.
    Due,
    /// Is being probed.
    UnderWay,
    Unchecked(Unchecked),
}

/// One instance.
#[derive(Debug)]
struct Record {
    service: ServiceKey,
    ip: Box<str>,
    due_ms: u64,
    revision: u64,
    /// To the next check: the reference's "normalized round trip".
    interval_ms: u32,
    generation: u32,
    tick: Tick,
    port: i32,
    /// Of [`Checks::probes`].
    probe: u32,
    check_port: u16,
    /// Results in a row that speak against `healthy`.
    streak: u16,
    state: State,
    healthy: bool,
    /// In [`Checks::flips`].
    flipping: bool,
}

// A hundred thousand of them are the point; the address is some 16 bytes more.
const _: () = assert!(size_of::<Record>() <= 96);

/// A probe under way.
#[derive(Debug)]
struct UnderWay {
    record: u32,
    record_generation: u32,
    generation: u32,
    host: IpAddr,
    began_ms: u64,
    stalled_ms: u64,
}

impl Record {
    fn key(&self) -> (&ServiceKey, &str, i32) {
        (&self.service, &self.ip, self.port)
    }
}

/// All checked instances of one owner core.
#[derive(Debug)]
pub struct Checks {
    records: Slab<Record>,
    /// By (service, ip, port).
    index: Index,
    /// How instances are asked; nearly all of them alike.
    probes: Interner<Option<Probe>>,
    /// Due, in order; each record at most once, beside leftovers of removed ones.
    line: VecDeque<(u32, u32)>,
    under_way: Slab<UnderWay>,
    /// Probes under way by host.
    hosts: HashMap<IpAddr, usize, RandomState>,
    /// Records whose health is to change, with their generations.
    flips: VecDeque<(u32, u32)>,
    generation: u32,
    /// Of the chances taken.
    chance: u64,
    stopped: bool,
    tally: Tally,
}

impl Checks {
    /// The same seed and the same calls give the same chances.
    pub fn new(hasher: RandomState, seed: u64) -> Self {
        Self {
            records: Slab::default(),
            index: Index::new(hasher.clone()),
            line: VecDeque::new(),
            under_way: Slab::default(),
            hosts: HashMap::with_hasher(hasher.clone()),
            probes: Interner::new(hasher),
            flips: VecDeque::new(),
            generation: 0,
            chance: seed,
            stopped: false,
            tally: Tally::default(),
        }
    }

    /// For the metrics.
    pub fn tally(&self) -> Tally {
        let unchecked: usize = self.tally.unchecked.iter().sum();
        Tally {
            checked: self.records.len() - unchecked,
            under_way: self.under_way.len(),
            waiting: self.line.len(),
            ..self.tally
        }
    }

    fn find(&self, key: (&ServiceKey, &str, i32)) -> Option<u32> {
        self.index.find(&key, |at| self.records[at].key() == key)
    }

    /// An instance is there, or changed: how it is asked, its health, its revision. False: there
    /// are [`CHECKED_PER_CORE_MAX`] already, it keeps its health.
    pub fn put(&mut self, subject: &Subject<'_>, means: &mut Means<'_>) -> bool {
        let Subject { service, ip, port, .. } = *subject;
        if let Some(at) = self.find((service, ip, port)) {
            self.change(at, subject, means);
            return true;
        }
        if self.records.len() >= CHECKED_PER_CORE_MAX {
            return false;
        }
        self.generation = self.generation.wrapping_add(1);
        let interval_ms = self.first_interval(means.switches);
        let (probe, check_port) = self.way(subject);
        let at = self.records.insert(Record {
            service: service.clone(),
            ip: ip.into(),
            due_ms: 0,
            revision: subject.revision,
            interval_ms,
            generation: self.generation,
            tick: NO_TICK,
            port,
            probe,
            check_port,
            streak: 0,
            state: State::Idle,
            healthy: subject.healthy,
            flipping: false,
        });
        self.index.insert(&(service, ip, port), at);
        self.judge_checkable(at, means.policy);
        self.arm(at, means.now_ms + u64::from(interval_ms), means.wheel);
        true
    }

    /// The number of how a subject is asked, taken once, and where.
    fn way(&mut self, subject: &Subject<'_>) -> (u32, u16) {
        let port = u16::try_from(subject.check_port).ok();
        let probe = subject.probe.clone().filter(|_| port.is_some());
        (self.probes.take(probe), port.unwrap_or(0))
    }

    /// After 2 to 7 s, skewed low, as the reference spreads what starts together.
    fn first_interval(&mut self, switches: &Switches) -> u32 {
        let bound = self.chance_below(switches.tcp.max_ms);
        FIRST_MS + self.chance_below(bound)
    }

    /// A number below the bound; 0 for 0. (SplitMix64.)
    fn chance_below(&mut self, bound: u32) -> u32 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = (mixed ^ (mixed >> 31)) >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }

    fn change(&mut self, at: u32, subject: &Subject<'_>, means: &mut Means<'_>) {
        let (probe, check_port) = self.way(subject);
        let record = &mut self.records[at];
        record.revision = subject.revision;
        if record.healthy != subject.healthy {
            record.healthy = subject.healthy;
            record.streak = 0;
            record.flipping = false;
        }
        let old = std::mem::replace(&mut record.probe, probe);
        let old_port = std::mem::replace(&mut record.check_port, check_port);
        self.probes.give_back(old);
        if (old, old_port) == (probe, check_port) {
            return;
        }
        record.streak = 0;
        record.flipping = false;
        let was_unchecked = matches!(record.state, State::Unchecked(_));
        self.judge_checkable(at, means.policy);
        if was_unchecked && self.records[at].state == State::Idle {
            let interval_ms = self.first_interval(means.switches);
            self.records[at].interval_ms = interval_ms;
            self.arm(at, means.now_ms + u64::from(interval_ms), means.wheel);
        }
    }

    /// Whether it can be checked at all, as it is asked and its address is now.
    fn judge_checkable(&mut self, at: u32, policy: &Policy) {
        let record = &mut self.records[at];
        let why = match (self.probes.get(record.probe), record.ip.parse::<IpAddr>()) {
            (None, _) => Some(Unchecked::Checker),
            (_, Err(_)) => Some(Unchecked::Name),
            (_, Ok(ip)) if !policy.allows(ip) => Some(Unchecked::Forbidden),
            _ => None,
        };
        if let State::Unchecked(before) = record.state {
            self.tally.unchecked[before as usize] -= 1;
            record.state = State::Idle;
        }
        if let Some(why) = why {
            self.tally.unchecked[why as usize] += 1;
            record.state = State::Unchecked(why);
            record.tick = NO_TICK;
            record.flipping = false;
        }
    }

    /// The instance is gone, or not to be checked any more. A probe under way ends by itself, and
    /// nobody minds what it says.
    pub fn remove(&mut self, service: &ServiceKey, ip: &str, port: i32) {
        let Some(at) = self.find((service, ip, port)) else { return };
        let Some(record) = self.records.remove(at) else { return };
        self.probes.give_back(record.probe);
        if let State::Unchecked(why) = record.state {
            self.tally.unchecked[why as usize] -= 1;
        }
        self.index.remove(&record.key(), at);
    }

    fn arm(&mut self, at: u32, due_ms: u64, wheel: &mut Wheel) {
        let record = &mut self.records[at];
        record.due_ms = due_ms;
        if record.state == State::Idle && !wheel.covers(record.tick, due_ms) {
            record.tick = wheel.insert(due_ms, Timer::Check(at));
        }
    }

    /// The wheel came round: who is due stands in line for [`Checks::start`].
    pub fn look(&mut self, at: u32, tick: Tick, means: &mut Means<'_>) {
        let Some(record) = self.records.get_mut(at).filter(|record| record.tick == tick) else {
            return;
        };
        record.tick = NO_TICK;
        if record.state != State::Idle {
            return;
        }
        if record.due_ms > means.now_ms {
            let due_ms = record.due_ms;
            return self.arm(at, due_ms, means.wheel);
        }
        if !means.switches.health_check_enabled || self.stopped {
            let due_ms = means.now_ms + u64::from(record.interval_ms);
            return self.arm(at, due_ms, means.wheel);
        }
        record.state = State::Due;
        self.line.push_back((at, record.generation));
    }

    /// Whether [`Checks::start`] would start something.
    pub fn can_start(&self) -> bool {
        !self.line.is_empty() && self.under_way.len() < CHECKS_UNDER_WAY_MAX
    }

    /// Starts probes for who stands in line: at most [`CHECKS_STARTED_MAX`] a call, at most
    /// [`CHECKS_UNDER_WAY_MAX`] under way.
    pub fn start(&mut self, means: &mut Means<'_>, out: &mut Vec<Check>) {
        for _ in 0..CHECKS_STARTED_MAX {
            if self.under_way.len() >= CHECKS_UNDER_WAY_MAX {
                return;
            }
            let Some((at, generation)) = self.line.pop_front() else { return };
            let fits =
                |record: &&Record| record.generation == generation && record.state == State::Due;
            let Some(record) = self.records.get(at).filter(fits) else { continue };
            let host = record.ip.parse().expect("judged when it was put");
            let to = SocketAddr::new(host, record.check_port);
            let Some(probe) = self.probes.get(record.probe).clone() else { continue };
            let probes = self.hosts.entry(host).or_insert(0);
            if *probes >= CHECKS_PER_HOST_MAX {
                self.postpone(at, means);
                continue;
            }
            *probes += 1;
            match &probe {
                Probe::Get(_) => self.tally.requests += 1,
                _ => self.tally.connects += 1,
            }
            self.records[at].state = State::UnderWay;
            self.generation = self.generation.wrapping_add(1);
            let ticket = Ticket {
                slot: self.under_way.insert(UnderWay {
                    record: at,
                    record_generation: generation,
                    generation: self.generation,
                    host,
                    began_ms: means.now_ms,
                    stalled_ms: means.stalled_ms,
                }),
                generation: self.generation,
            };
            out.push(Check { ticket, to, probe });
        }
    }

    fn postpone(&mut self, at: u32, means: &mut Means<'_>) {
        self.tally.postponed += 1;
        let more = u64::from(self.chance_below(POSTPONED_MS as u32));
        self.records[at].state = State::Idle;
        self.arm(at, means.now_ms + POSTPONED_MS + more, means.wheel);
    }

    /// A probe ended.
    pub fn done(&mut self, ticket: Ticket, outcome: Outcome, means: &mut Means<'_>) {
        let mine = |probe: &&UnderWay| probe.generation == ticket.generation;
        if self.under_way.get(ticket.slot).filter(mine).is_none() {
            return;
        }
        let Some(probe) = self.under_way.remove(ticket.slot) else { return };
        if let Some(probes) = self.hosts.get_mut(&probe.host) {
            *probes -= 1;
            if *probes == 0 {
                self.hosts.remove(&probe.host);
            }
        }
        let stood_still = means.stalled_ms != probe.stalled_ms;
        let outcome = match outcome {
            Outcome::TimedOut | Outcome::Broken if stood_still => Outcome::Unable,
            outcome => outcome,
        };
        match outcome {
            Outcome::Passed => self.tally.passed += 1,
            Outcome::Unable => self.tally.unable += 1,
            _ => self.tally.failed += 1,
        }
        let at = probe.record;
        let same = |record: &&mut Record| record.generation == probe.record_generation;
        let Some(record) = self.records.get_mut(at).filter(same) else { return };
        if record.state != State::UnderWay {
            return;
        }
        record.state = State::Idle;
        let pace = match self.probes.get(record.probe) {
            Some(Probe::Get(_)) => means.switches.http,
            _ => means.switches.tcp,
        };
        let took_ms = means.now_ms.saturating_sub(probe.began_ms);
        record.interval_ms = next_interval(pace, record.interval_ms, outcome, took_ms);
        let due_ms = (probe.began_ms + u64::from(record.interval_ms)).max(means.now_ms + 1);
        self.arm(at, due_ms, means.wheel);
        self.judge(at, outcome, means.switches);
    }

    /// The reference's thresholds: so many equal results against what is replicated, or one that
    /// leaves no doubt.
    fn judge(&mut self, at: u32, outcome: Outcome, switches: &Switches) {
        if outcome == Outcome::Unable || !switches.health_check_enabled || self.stopped {
            return;
        }
        let record = &mut self.records[at];
        let passed = outcome == Outcome::Passed;
        if passed == record.healthy {
            record.streak = 0;
            record.flipping = false;
            return;
        }
        record.streak = record.streak.saturating_add(1);
        let beyond_doubt = matches!(outcome, Outcome::Refused | Outcome::Wrong);
        if (beyond_doubt || record.streak >= switches.check_times) && !record.flipping {
            record.flipping = true;
            self.flips.push_back((at, record.generation));
        }
    }

    /// Whether [`Checks::take_flips`] may have something.
    pub fn has_flips(&self) -> bool {
        !self.flips.is_empty()
    }

    /// Takes out what is to be replicated, at most so many. Whatever comes of it: an instance that
    /// stays as it was is asked again, and the next result leads here again.
    pub fn take_flips(&mut self, flips_max: usize) -> Vec<HealthFlip> {
        let mut flips = Vec::with_capacity(flips_max.min(self.flips.len()));
        while flips.len() < flips_max
            && let Some((at, generation)) = self.flips.pop_front()
        {
            let fits = |record: &&mut Record| record.generation == generation && record.flipping;
            let Some(record) = self.records.get_mut(at).filter(fits) else { continue };
            record.flipping = false;
            let healthy = !record.healthy;
            match healthy {
                true => self.tally.became_healthy += 1,
                false => self.tally.became_unhealthy += 1,
            }
            flips.push(HealthFlip {
                service: record.service.clone(),
                ip: record.ip.clone(),
                port: record.port,
                healthy,
                revision: record.revision,
            });
        }
        flips
    }

    /// The node stops: nobody is asked or judged any more.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.line.clear();
        self.flips.clear();
    }
}

/// The reference's: what it took moves the interval, failures towards the longest.
fn next_interval(pace: Pace, interval_ms: u32, outcome: Outcome, took_ms: u64) -> u32 {
    let old = f64::from(interval_ms);
    let taken = match outcome {
        Outcome::Unable => return interval_ms,
        Outcome::Passed => took_ms as f64,
        Outcome::TimedOut | Outcome::Busy => old * 2.0,
        Outcome::Refused | Outcome::Wrong | Outcome::Broken => f64::from(pace.max_ms),
    };
    let next = pace.factor * old + (1.0 - pace.factor) * taken;
    (next as u32).clamp(pace.min_ms, pace.max_ms)
}

#[cfg(test)]
mod tests;
