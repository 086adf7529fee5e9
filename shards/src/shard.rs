//! One core's share of the registry: what its connections want (home) and what its services hold
//! (owner).
//!
//! State changes only in [`Shard::handle`], [`Shard::drain`] and [`Shard::tick`]. They take the
//! time as an argument, never suspend, and leave what is to be done in [`Effects`], to be carried
//! out in order. Asks to the own core never leave it: they are carried out, in order, before the
//! call returns.

use crate::config::publisher::Publisher;
use crate::config::table::Tables;
use crate::effect::{Effect, Effects};
use crate::health::checks::Tally;
use crate::home::counts::Counters;
use crate::home::{HomeState, Phase, Turn};
use crate::key::{ConnKey, Core, Home, Map};
use crate::limits::{ENTRIES_KEPT, PUSHES_PER_TURN_MAX};
use crate::look::{Clock, Look, Seen, clients};
use crate::message::{Ask, Message, Now, Tell, Waiter};
use crate::naming::open::Answer;
use crate::naming::owner::{self, Census, OwnerState};
use crate::settings::Settings;
use ahash::RandomState;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// How often the owner side looks for services to clean up.
const OWNER_TICK_MS: u64 = 1_000;

/// How soon changes that found no room are tried again: the core that has to make room need not say
/// so.
const BLOCKED_MS: u64 = 1;

/// What the outside takes at the start of a turn.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    /// Per core: how many changes ([`crate::message::Tell::Changed`], `NameChanged`) its tell lane
    /// takes now, beside the answers of asks under way. The entry of the own core is not looked at.
    pub changes: &'a [usize],
    /// Pushes wanted this turn; [`PUSHES_PER_TURN_MAX`] unless too much waits to be written
    /// already.
    pub pushes: usize,
}

/// What the metrics show of one shard; read about ten times a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transports, set up or not.
    pub connections: usize,
    /// Distinct setups.
    pub profiles: usize,
    /// Subscriptions of connections at home here.
    pub subscriptions: usize,
    /// Services they follow.
    pub followed: usize,
    /// Fuzzy patterns they watch.
    pub patterns: usize,
    /// Contexts connections listen with, and the configs they are about.
    pub listeners: usize,
    pub listened: usize,
    /// Long polls held.
    pub polls: usize,
    /// Fuzzy patterns of configs they watch.
    pub config_patterns: usize,
    /// Notifications that are due and wait for their turn: single ones, and configs being handed
    /// out.
    pub notifications_waiting: usize,
    /// Pushes that are due and wait for their turn: single ones, and services being handed out.
    pub pushes_waiting: usize,
    /// Events of the trace that were overwritten since the start.
    pub trace_lost: u64,
    /// Asks to other cores without an answer yet.
    pub asks_under_way: usize,
    /// Asks that may not be refused and wait for room.
    pub asks_waiting: usize,
    /// Counters since the start, and connections by module.
    pub home: Counters,
    /// What this core owns.
    pub owner: Census,
    pub checks: Tally,
}

/// One core's share of the registry. Lives on its core.
pub struct Shard {
    core: Core,
    home: HomeState,
    owner: OwnerState,
    /// Says what only the Raft core has to say.
    publisher: Publisher,
    local: VecDeque<Ask>,
    /// Changes found no room at the last drain.
    blocked_at: Option<u64>,
    owner_tick: u64,
    stalled_ms: u64,
    room: owner::Room,
    sent: Vec<Effect>,
}

impl Shard {
    /// An empty shard. `seed` keys its hash tables: random in the server, chosen in the simulation.
    pub fn new(core: Core, map: Map, settings: Settings, seed: u64) -> Self {
        let owner = OwnerState::new(core, map, seed, settings.naming.clone());
        let hasher = RandomState::with_seeds(seed, 1, 2, 3);
        Self {
            core,
            home: HomeState::new(core, map, settings, hasher),
            owner,
            publisher: Publisher::new(usize::from(map.cores)),
            local: VecDeque::new(),
            blocked_at: None,
            owner_tick: 0,
            stalled_ms: 0,
            room: owner::Room::default(),
            sent: Vec::new(),
        }
    }

    /// Lets the shard read configs and what the log holds of services from these tables, which all
    /// cores share. Without it there are none, ever.
    pub fn with_tables(mut self, tables: Arc<Tables>) -> Self {
        self.owner.read_from(tables.clone());
        self.owner.watch_checks();
        self.home.config_tables = tables;
        self
    }

    /// Takes in one message. What it leads to is added to `effects`.
    pub fn handle(&mut self, now: Now, message: Message<'_>, effects: &mut Effects) {
        match message {
            Message::Ask { from, ask: Ask::Propose { waiter, purpose, command } } => {
                effects.push(Effect::Propose { from, waiter, purpose, command });
            }
            Message::Ask { from, ask: Ask::Look { waiter, look } } => {
                let tell = self.look(now, waiter, &look);
                effects.push(Effect::Tell { to: Home(from), tell });
            }
            Message::Ask { from, ask: Ask::Reset { waiter, reset } } => {
                self.turn(now, effects, |home, turn| home.reset(&reset, turn));
                let tell = Tell::Opened { waiter, answer: Answer::Done };
                effects.push(Effect::Tell { to: Home(from), tell });
            }
            Message::Ask { from, ask: Ask::Recall { waiter, question } } => {
                effects.push(Effect::Recall { from, waiter, question });
            }
            Message::Ask { from, ask: Ask::Listeners { waiter, of } } => {
                let answer = self.home.listeners_of(&of);
                effects
                    .push(Effect::Tell { to: Home(from), tell: Tell::Opened { waiter, answer } });
            }
            Message::Ask { from, ask: Ask::Inquire { waiter, inquiry } } => {
                self.turn(now, effects, |home, turn| home.inquire(from, waiter, &inquiry, turn));
            }
            Message::Ask { from, ask } => {
                let tell = self.owner.handle(now, from, ask);
                self.blocked_at = None;
                debug_assert_ne!(from, self.core, "own asks do not leave the shard");
                effects.push(Effect::Tell { to: Home(from), tell });
            }
            Message::Settled { changes, slots } => {
                let epoch = self.home.config_tables.identities().now().epoch();
                self.publisher.settled(&changes, epoch);
                self.publisher.services_settled(self.home.map, self.core, &slots);
                self.owner.catch_up(now);
                self.blocked_at = None;
            }
            Message::Proposed { to, waiter, purpose, outcome } => {
                let tell = Tell::Proposed { waiter, purpose, outcome };
                self.publisher.answered(to, tell);
                self.blocked_at = None;
            }
            Message::Checked { ticket, outcome } => self.owner.probed(now, ticket, outcome),
            Message::Tell { tell: Tell::ServicesChanged, .. } => {
                self.owner.catch_up(now);
                self.blocked_at = None;
            }
            Message::Looked { to, waiter, answer } => {
                self.publisher.answered(to, Tell::Opened { waiter, answer });
                self.blocked_at = None;
            }
            Message::Acknowledged { from, number } => {
                self.blocked_at = None;
                self.owner.acknowledged(now, from, number);
            }
            message => {
                if matches!(message, Message::Stopping) {
                    self.owner.stop();
                }
                self.turn(now, effects, |home, turn| home.handle(message, turn));
            }
        }
    }

    /// Once a turn, after pending input: hands out waiting pushes (at most
    /// [`crate::limits::PUSHES_PER_TURN_MAX`]), changes for which lanes have room, and what waited
    /// for room.
    pub fn drain(&mut self, now: Now, room: Room<'_>, effects: &mut Effects) {
        if self.sender_pending() {
            self.drain_owner(now, room.changes, effects);
        }
        let pushes = room.pushes.min(PUSHES_PER_TURN_MAX);
        self.turn(now, effects, |home, turn| home.drain(pushes, turn));
    }

    /// Carries out what time has made due, a bounded part of it ([`Shard::is_late`]). Call it when
    /// [`Shard::next_wake`] has come, or every turn.
    pub fn tick(&mut self, now: Now, effects: &mut Effects) {
        if now.tick_ms >= self.owner_tick {
            self.owner_tick = now.tick_ms + OWNER_TICK_MS;
            self.owner.tick(now);
        }
        if self.owner.judge(now) {
            self.blocked_at = None;
        }
        if self.owner.check(now, effects) {
            self.blocked_at = None;
        }
        self.turn(now, effects, |home, turn| home.tick(turn));
    }

    /// Whether more has come due than [`Shard::tick`] carried out in its turn.
    pub fn is_late(&self, now: Now) -> bool {
        let lived_ms = now.tick_ms.saturating_sub(self.stalled_ms);
        self.home.is_late(lived_ms) || self.owner.is_late(now)
    }

    /// The process did not run for `gap_ms`: moves every deadline of clients by it. Call it before
    /// the input that waited is handled.
    pub fn stalled(&mut self, gap_ms: u64) {
        self.stalled_ms += gap_ms;
        self.owner.stalled_ms = self.stalled_ms;
    }

    /// When [`Shard::tick`] and [`Shard::drain`] have something to do, in `tick_ms`.
    pub fn next_wake(&self) -> Option<u64> {
        let home = self.home.wheel.next_ms().map(|lived_ms| lived_ms + self.stalled_ms);
        let blocked = self.blocked_at.map(|tick_ms| tick_ms + BLOCKED_MS);
        let judged = self.owner.next_judged();
        [home, blocked, judged, Some(self.owner_tick)].into_iter().flatten().min()
    }

    /// Whether [`Shard::drain`] can do something now without further input.
    pub fn has_work(&self) -> bool {
        self.home.has_work() || (self.sender_pending() && self.blocked_at.is_none())
    }

    /// Whether more than so many pushes and notifications wait to be handed out.
    pub fn has_more_pushes_than(&self, count: usize) -> bool {
        self.home.pushes_waiting(count) > count
    }

    fn sender_pending(&self) -> bool {
        self.owner.pending() || self.publisher.pending()
    }

    /// Whether the node finished starting. Until then every unary call is answered errorCode 300
    /// (`grpc-protocol.md` 4, row 1), also those that never reach the shard.
    pub fn started(&self) -> bool {
        self.home.phase != Phase::Starting
    }

    /// Whose connection this is, by its transport.
    pub fn peer_ip(&self, conn: ConnKey) -> Option<IpAddr> {
        self.home.table.get(conn).map(|connection| connection.peer_ip())
    }

    /// What the metrics show.
    pub fn counts(&self) -> Counts {
        counts_of(&self.home, &self.owner)
    }

    /// How many (service, home core) pairs of interest the owner side keeps: for audits.
    #[cfg(any(test, feature = "sim"))]
    pub fn interests(&self) -> usize {
        self.owner.interests()
    }

    /// Sends changes and names for which there is room, to the own core without bound.
    fn drain_owner(&mut self, now: Now, changes: &[usize], effects: &mut Effects) {
        let own = usize::from(self.core.0);
        self.room.tells.clear();
        self.room.tells.extend_from_slice(changes);
        self.room.tells[own] = usize::MAX;
        self.room.asks.clear();
        self.room.asks.extend(self.home.lanes.room());
        self.room.asks[own] = usize::MAX;
        let mut left = self.publisher.drain(&mut self.room.tells, &mut self.sent);
        left |= self.owner.pending() && self.owner.drain(now, &mut self.room, &mut self.sent);
        self.blocked_at = left.then_some(now.tick_ms);
        let core = self.core;
        let mut sent = std::mem::take(&mut self.sent);
        self.turn(now, effects, |home, turn| {
            for effect in sent.drain(..) {
                match effect {
                    Effect::Tell { to, tell } if to.0 == core => home.told(core, tell, turn),
                    Effect::Ask { to, ask } if to.0 == core => turn.local.push_back(ask),
                    Effect::Ask { to, ask } => {
                        home.lanes.sent_by_owner(to);
                        turn.effects.push(Effect::Ask { to, ask });
                    }
                    other => turn.effects.push(other),
                }
            }
        });
        sent.shrink_to(ENTRIES_KEPT);
        self.sent = sent;
        self.local.shrink_to(ENTRIES_KEPT);
    }

    /// Lets the home side act, then carries out what it asked of this core's own owner side.
    fn turn(
        &mut self,
        now: Now,
        effects: &mut Effects,
        act: impl FnOnce(&mut HomeState, &mut Turn<'_>),
    ) {
        let lived_ms = now.tick_ms.saturating_sub(self.stalled_ms);
        let mut turn = Turn { now, lived_ms, effects, local: &mut self.local };
        act(&mut self.home, &mut turn);
        while let Some(ask) = turn.local.pop_front() {
            if let Ask::Propose { waiter, purpose, command } = ask {
                let from = self.core;
                turn.effects.push(Effect::Propose { from, waiter, purpose, command });
                continue;
            }
            if let Ask::Look { waiter, look } = ask {
                let tell = look_at(&self.home, &self.owner, (now, lived_ms), waiter, &look);
                self.home.told(self.core, tell, &mut turn);
                continue;
            }
            if let Ask::Reset { waiter, reset } = ask {
                self.home.reset(&reset, &mut turn);
                let tell = Tell::Opened { waiter, answer: Answer::Done };
                self.home.told(self.core, tell, &mut turn);
                continue;
            }
            if let Ask::Recall { waiter, question } = ask {
                let from = self.core;
                turn.effects.push(Effect::Recall { from, waiter, question });
                continue;
            }
            if let Ask::Listeners { waiter, of } = ask {
                let answer = self.home.listeners_of(&of);
                self.home.told(self.core, Tell::Opened { waiter, answer }, &mut turn);
                continue;
            }
            if let Ask::Inquire { waiter, inquiry } = ask {
                self.home.inquire(self.core, waiter, &inquiry, &mut turn);
                continue;
            }
            let tell = self.owner.handle(now, self.core, ask);
            self.blocked_at = None;
            self.home.told(self.core, tell, &mut turn);
        }
    }

    /// An operator's question, from another core.
    fn look(&self, now: Now, waiter: Waiter, look: &Look) -> Tell {
        let lived_ms = now.tick_ms.saturating_sub(self.stalled_ms);
        look_at(&self.home, &self.owner, (now, lived_ms), waiter, look)
    }
}

/// What the metrics show.
fn counts_of(home: &HomeState, owner: &OwnerState) -> Counts {
    Counts {
        connections: home.table.len(),
        profiles: home.profiles.len(),
        subscriptions: home.subscriptions.records.len(),
        followed: home.subscriptions.services.len(),
        patterns: home.patterns.len(),
        listeners: home.listeners.records.len(),
        listened: home.listeners.configs.len(),
        polls: home.polls.len(),
        config_patterns: home.config_patterns.len(),
        notifications_waiting: home.listeners.ready.len() + home.listeners.fanning.len(),
        pushes_waiting: home.subscriptions.ready.len() + home.subscriptions.fanning.len(),
        trace_lost: home.trace.lost,
        asks_under_way: home.lanes.under_way(),
        asks_waiting: home.lanes.waiting(),
        home: home.counters,
        owner: owner.census(),
        checks: owner.check_tally(),
    }
}

/// Answers an operator's question, from whichever side knows.
fn look_at(
    home: &HomeState,
    owner: &OwnerState,
    (now, lived_ms): (Now, u64),
    waiter: Waiter,
    look: &Look,
) -> Tell {
    let clock = Clock { now, lived_ms };
    let seen = match look {
        Look::Counts => Seen::Counts(Box::new(counts_of(home, owner))),
        Look::Service { service } => owner.look_at_service(service),
        Look::Services { from, wanted } => owner.look_at_services(*from, wanted),
        Look::Targets { from, of } => owner.look_at_targets(*from, of),
        Look::Clients { from, wanted } => home.look_at_clients(lived_ms, *from, wanted),
        Look::Subscribers { services } => home.count_subscribers(services),
        Look::Listeners { configs } => home.count_listeners(configs),
        Look::Told { topic, from } => home.look_at_told(clock, topic, *from),
        Look::Connections { id, from } => home.look_at_connections(clock, id.as_deref(), *from),
        Look::Ids { conns } => home.look_at_ids(conns),
        Look::Published { conn, from } => home.look_at_published(*conn, *from),
        Look::Subscribed { conn, from } => home.look_at_subscribed(*conn, *from),
        Look::Publications { conn, services, at } => {
            owner.look_at_publications(*conn, services, *at)
        }
        Look::Publishers { service, at } => owner.look_at_publishers(service, *at),
        Look::Addresses { of, at } => owner.look_at_addresses(clock, of.as_ref(), *at),
        Look::Followers { which, at, rows } => clients::followers(home, owner, which, *at, *rows),
        Look::CountFollowers { which, at } => clients::count(home, owner, which, *at),
    };
    Tell::Opened { waiter, answer: Answer::Seen(Box::new(seen)) }
}

#[cfg(test)]
mod tests;
