//! 1.x clients that poll a service's list and are told of changes by datagram between polls
//! (`naming.md` 14). Kept where the service is owned: a client's polls come in on any core.
//!
//! A datagram may be lost and its sender cannot be sure who listens, so everything is bounded: an
//! acknowledgement is waited for, the latest state waits with it for half a second, a lost one is
//! repeated after ten, and after [`DATAGRAMS_UNACKNOWLEDGED_MAX`] without an answer the poller is
//! forgotten until its client asks again. What is never told is polled.

use crate::health::wheel::{NO_TICK, Tick, Timer, Wheel};
use crate::index::Index;
use crate::limits::{DATAGRAMS_UNACKNOWLEDGED_MAX, POLLERS_PER_CORE_MAX};
use crate::naming::open::Poller;
use crate::naming::services::ServiceId;
use crate::naming::view::Filter;
use crate::slab::Slab;
use ahash::RandomState;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Longest wait for an acknowledgement while a newer state waits, ms: as on the other wire.
const COALESCE_MS: u64 = 500;

/// From a datagram without an acknowledgement to its repetition, ms: the reference's.
const REPEAT_MS: u64 = 10_000;

/// From a poll to the end of its subscription, ms: three polls missed.
const SILENT_MS: u64 = 30_000;

/// One client's subscription of one service.
#[derive(Debug)]
struct Record {
    service: ServiceId,
    to: SocketAddr,
    filter: Filter,
    /// Who polls; nobody where nobody has to log in.
    user: Option<Box<str>>,
    /// How it names its software.
    agent: Box<str>,
    /// Lived milliseconds of its last poll.
    seen_ms: u64,
    /// Of its last datagram.
    sent_ms: u64,
    /// Of the datagram whose acknowledgement is waited for; 0 for none.
    number: u64,
    tick: Tick,
    unacknowledged: u8,
    /// A newer state waits for the acknowledgement.
    held: bool,
    /// The queue holds it.
    ready: bool,
}

/// Where somebody polls from.
#[derive(Debug)]
struct Address {
    to: SocketAddr,
    /// Numbers of its subscriptions; never empty.
    pollers: Vec<u32>,
}

/// All pollers of the services of one owner core.
#[derive(Debug)]
pub struct Pollers {
    records: Slab<Record>,
    addresses: Slab<Address>,
    by_address: Index,
    /// To be told now; one that left since is passed over.
    ready: VecDeque<u32>,
    last_number: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub given_up: u64,
}

/// Who is to be told, and what.
#[derive(Debug)]
pub struct Ready<'a> {
    pub at: u32,
    pub service: ServiceId,
    pub to: SocketAddr,
    pub filter: &'a Filter,
    pub user: Option<&'a str>,
}

/// What there is to see of one subscription.
#[derive(Debug, Clone, Copy)]
pub struct Polling<'a> {
    pub service: ServiceId,
    pub to: SocketAddr,
    pub clusters: &'a str,
    pub agent: &'a str,
    /// Lived milliseconds of its last poll.
    pub seen_ms: u64,
}

/// What a poll did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// A new subscription of this number: its service must list it.
    New(u32),
    Known,
    /// There are [`POLLERS_PER_CORE_MAX`].
    Full,
}

impl Pollers {
    pub fn new(hasher: RandomState) -> Self {
        Self {
            records: Slab::default(),
            addresses: Slab::default(),
            by_address: Index::new(hasher),
            ready: VecDeque::new(),
            last_number: 0,
            sent: 0,
            acknowledged: 0,
            given_up: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether somebody is to be told now.
    pub fn pending(&self) -> bool {
        !self.ready.is_empty()
    }

    /// One beyond the highest record.
    pub fn end(&self) -> u32 {
        self.records.end()
    }

    /// A record, to look at.
    pub fn at(&self, at: u32) -> Option<Polling<'_>> {
        let record = self.records.get(at)?;
        let Record { service, to, seen_ms, ref filter, ref agent, .. } = *record;
        let clusters = filter.clusters.as_deref().unwrap_or("");
        Some(Polling { service, to, clusters, agent, seen_ms })
    }

    /// A client polled with a port for datagrams. A new subscription, or one with another filter,
    /// is owed a datagram, as in the reference.
    pub fn follow(
        &mut self,
        service: ServiceId,
        Poller { to, user, agent }: Poller,
        filter: &Filter,
        now_ms: u64,
        wheel: &mut Wheel,
    ) -> Followed {
        let address = self.address(to);
        let known = self.at_address(address).find(|at| self.records[*at].service == service);
        if let Some(at) = known {
            let record = &mut self.records[at];
            record.seen_ms = now_ms;
            record.user = user;
            if record.filter.clusters != filter.clusters {
                record.filter.clusters.clone_from(&filter.clusters);
                self.want(at, now_ms, wheel);
            }
            return Followed::Known;
        }
        if self.records.len() >= POLLERS_PER_CORE_MAX {
            return Followed::Full;
        }
        let at = self.records.insert(Record {
            service,
            to,
            filter: Filter { clusters: filter.clusters.clone(), healthy_only: false },
            user,
            agent,
            seen_ms: now_ms,
            sent_ms: 0,
            number: 0,
            tick: NO_TICK,
            unacknowledged: 0,
            held: false,
            ready: false,
        });
        match address {
            Some(address) => self.addresses[address].pollers.push(at),
            None => {
                let address = self.addresses.insert(Address { to, pollers: vec![at] });
                self.by_address.insert(&to, address);
            }
        }
        self.want(at, now_ms, wheel);
        self.arm(at, wheel);
        Followed::New(at)
    }

    /// There is a newer state for a poller.
    pub fn want(&mut self, at: u32, now_ms: u64, wheel: &mut Wheel) {
        let record = &mut self.records[at];
        let last = record.unacknowledged >= DATAGRAMS_UNACKNOWLEDGED_MAX;
        if record.number != 0 && (last || now_ms < record.sent_ms + COALESCE_MS) {
            record.held = true;
            return self.arm(at, wheel);
        }
        if !std::mem::replace(&mut record.ready, true) {
            self.ready.push_back(at);
        }
    }

    /// The next one to be told.
    pub fn next_ready(&mut self) -> Option<Ready<'_>> {
        loop {
            let at = self.ready.pop_front()?;
            let is_ready = |record: &mut Record| std::mem::replace(&mut record.ready, false);
            if self.records.get_mut(at).is_some_and(is_ready) {
                let record = &self.records[at];
                let Record { service, to, ref filter, ref user, .. } = *record;
                return Some(Ready { at, service, to, filter, user: user.as_deref() });
            }
        }
    }

    /// Puts back the one [`Pollers::next_ready`] gave out; it stays first.
    pub fn put_back(&mut self, at: u32) {
        self.records[at].ready = true;
        self.ready.push_front(at);
    }

    /// The number of a datagram with a list no other one carried. Below 2^53, since clients read it
    /// as a double; rises with time, like the reference's clock.
    pub fn number(&mut self, unix_ms: u64) -> u64 {
        self.last_number = (self.last_number + 1).max(unix_ms << 10);
        self.last_number
    }

    /// A datagram of this number leaves.
    pub fn sent(&mut self, at: u32, number: u64, now_ms: u64, wheel: &mut Wheel) {
        self.sent += 1;
        let record = &mut self.records[at];
        record.number = number;
        record.sent_ms = now_ms;
        record.held = false;
        record.unacknowledged += 1;
        self.arm(at, wheel);
    }

    /// An acknowledgement came from an address.
    pub fn acknowledged(&mut self, from: SocketAddr, number: u64, now_ms: u64, wheel: &mut Wheel) {
        let theirs = self.at_address(self.address(from));
        let theirs: Vec<u32> = theirs.filter(|at| self.records[*at].number == number).collect();
        for at in theirs {
            self.acknowledged += 1;
            let record = &mut self.records[at];
            record.number = 0;
            record.unacknowledged = 0;
            if std::mem::take(&mut record.held) {
                self.want(at, now_ms, wheel);
            }
        }
    }

    /// The wheel came round. `Some`: the subscription has ended; its service must forget it.
    pub fn due(
        &mut self,
        at: u32,
        tick: Tick,
        now_ms: u64,
        wheel: &mut Wheel,
    ) -> Option<ServiceId> {
        let record = self.records.get_mut(at).filter(|record| record.tick == tick)?;
        record.tick = NO_TICK;
        let waits = record.number != 0;
        let late = waits && now_ms >= record.sent_ms + REPEAT_MS;
        let newer = waits && record.held && now_ms >= record.sent_ms + COALESCE_MS;
        let given_up = (late || newer) && record.unacknowledged >= DATAGRAMS_UNACKNOWLEDGED_MAX;
        if given_up || now_ms >= record.seen_ms + SILENT_MS {
            self.given_up += u64::from(given_up);
            return self.remove(at);
        }
        if late || newer {
            record.number = 0;
            self.want(at, now_ms, wheel);
        }
        self.arm(at, wheel);
        None
    }

    fn remove(&mut self, at: u32) -> Option<ServiceId> {
        let record = self.records.remove(at)?;
        let address = self.address(record.to).expect("it lists this subscription");
        let pollers = &mut self.addresses[address].pollers;
        pollers.retain(|other| *other != at);
        if pollers.is_empty() {
            self.addresses.remove(address);
            self.by_address.remove(&record.to, address);
        }
        Some(record.service)
    }

    fn address(&self, of: SocketAddr) -> Option<u32> {
        self.by_address.find(&of, |at| self.addresses[at].to == of)
    }

    /// The subscriptions of an address.
    fn at_address(&self, address: Option<u32>) -> impl Iterator<Item = u32> {
        let address = address.and_then(|at| self.addresses.get(at));
        address.into_iter().flat_map(|address| address.pollers.iter().copied())
    }

    fn arm(&mut self, at: u32, wheel: &mut Wheel) {
        let record = &mut self.records[at];
        let mut deadline = record.seen_ms + SILENT_MS;
        if record.number != 0 {
            let wait = if record.held { COALESCE_MS } else { REPEAT_MS };
            deadline = deadline.min(record.sent_ms + wait);
        }
        if !wheel.covers(record.tick, deadline) {
            record.tick = wheel.insert(deadline, Timer::Poller(at));
        }
    }
}

#[cfg(test)]
mod tests;
