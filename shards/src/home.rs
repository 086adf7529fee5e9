//! The home side of a core: the connections it accepted and what they are to be told.
//!
//! Knows no instance: what connections publish goes to owners as asks, what services hold comes
//! back as answers and changes. Rules it keeps (`architecture.md`, the contract between home and
//! owner):
//!
//! * asks to one owner leave in the order they were decided, also those that waited for room;
//! * what a connection publishes and follows is recorded when the ask leaves, not when it is
//!   answered, so that a connection can go at any moment and everything of it is taken back;
//! * an answer is written before any push of what came after it.

pub mod call;
pub mod counts;
#[cfg(test)]
pub(crate) mod fixture;
pub mod lanes;
mod open;

use crate::auth::standing::Standing;
use crate::config::inquiry::Inquiries;
use crate::config::listen::Listeners;
use crate::config::poll::Polls;
use crate::config::table::Tables;
use crate::config::watch::Scan;
use crate::conns::profile::Profile;
use crate::conns::table::Table;
use crate::effect::{Body, Effect, Effects};
use crate::health::wheel::{Tick, Timer, Wheel};
use crate::home::counts::Counters;
use crate::home::lanes::Lanes;
use crate::intern::Interner;
use crate::key::{ConfigKey, ConnKey, Core, Home, Map, ServiceKey};
use crate::limits::{LATE_PER_TURN_MAX, LOOKS_PER_TURN_MAX, LaneLimits};
use crate::message::{Ask, Message, Now, Tell, Waiter};
use crate::naming::host::Ids;
use crate::naming::open::Answer;
use crate::push::fuzzy::{Configs, Services};
use crate::push::patterns::Patterns;
use crate::push::storm::Storm;
use crate::push::subscription::Subscriptions;
use crate::push::trace::Trace;
use crate::settings::{PlantedBug, Settings};
use ahash::RandomState;
use std::collections::VecDeque;
use std::sync::Arc;

/// How far the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Serving,
    /// Disconnects change no list and nothing is pushed.
    Stopping,
}

/// What one call of the shard has to work with.
pub struct Turn<'a> {
    pub now: Now,
    /// Time as clients experienced it: `tick_ms` without the gaps in which this process did not
    /// run.
    pub lived_ms: u64,
    pub effects: &'a mut Effects,
    /// Asks to the owner on this core, carried out before the call returns.
    pub local: &'a mut VecDeque<Ask>,
}

/// The home side of one core.
pub struct HomeState {
    pub(crate) home: Home,
    pub(crate) map: Map,
    pub(crate) settings: Settings,
    pub(crate) hasher: RandomState,
    pub(crate) phase: Phase,
    pub(crate) table: Table,
    pub(crate) profiles: Interner<Profile>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) patterns: Patterns<ServiceKey>,
    /// Read by every core, written by the Raft core.
    pub(crate) config_tables: Arc<Tables>,
    pub(crate) listeners: Listeners,
    pub(crate) polls: Polls,
    pub(crate) storm: Storm,
    pub(crate) inquiries: Inquiries,
    pub(crate) config_patterns: Patterns<ConfigKey>,
    pub(crate) standing: Standing,
    /// Walks through the tables, each for its slice in turn.
    pub(crate) scans: VecDeque<Scan>,
    pub(crate) wheel: Wheel,
    pub(crate) lanes: Lanes,
    pub(crate) ids: Ids,
    pub(crate) counters: Counters,
    /// Who was told what, for an operator.
    pub(crate) trace: Trace,
    /// The slot from which on connections have to be told that the server stops.
    pub(crate) reset_from: u32,
}

impl HomeState {
    pub fn new(core: Core, map: Map, settings: Settings, hasher: RandomState) -> Self {
        let limits = LaneLimits::for_cores(usize::from(map.cores));
        let limits = settings.lanes.unwrap_or(limits);
        let storm = Storm::new(settings.storm_arrivals);
        let overtakes = settings.has_bug(PlantedBug::WaitingIsOvertaken);
        Self {
            home: Home(core),
            map,
            settings,
            phase: Phase::Starting,
            table: Table::new(Home(core)),
            profiles: Interner::new(hasher.clone()),
            subscriptions: Subscriptions::new(hasher.clone()),
            patterns: Patterns::new(hasher.clone()),
            config_tables: Arc::default(),
            listeners: Listeners::new(hasher.clone()),
            polls: Polls::new(hasher.clone()),
            storm,
            inquiries: Inquiries::default(),
            config_patterns: Patterns::new(hasher.clone()),
            standing: Standing::new(hasher.clone()),
            scans: VecDeque::new(),
            wheel: Wheel::default(),
            lanes: Lanes::new(core, map, limits).overtaking(overtakes),
            ids: Ids::new(core),
            counters: Counters::default(),
            trace: Trace::default(),
            reset_from: 0,
            hasher,
        }
    }

    /// Takes in a message from outside; `Ask` and `Acknowledged` are not for this side.
    pub fn handle(&mut self, message: Message<'_>, turn: &mut Turn<'_>) {
        match message {
            Message::Started => {
                if self.phase == Phase::Starting {
                    self.phase = Phase::Serving;
                    self.storm.node_started(turn.lived_ms);
                }
            }
            Message::Stopping => {
                self.stop();
                self.end_polls(turn);
            }
            Message::Connected { conn, peer, id_ms } => self.connected(conn, peer, id_ms, turn),
            Message::Disconnected { conn } => self.disconnected(conn, turn),
            Message::Setup { conn, client_ip, setup } => {
                self.set_up(conn, client_ip, &setup, turn);
            }
            Message::Call { conn, stream, app: _, tag, request } => {
                self.call(Waiter { conn, stream }, tag, request, turn);
            }
            Message::Denied { conn, stream, kind, denial } => {
                self.denied(Waiter { conn, stream }, kind, denial, turn);
            }
            Message::Known { conn, user } => self.known(conn, user),
            Message::ServerCheck { conn, stream } => {
                self.server_check(Waiter { conn, stream }, turn);
            }
            Message::Ack { conn, request_id, accepted } => {
                self.acknowledged(conn, request_id, accepted, turn);
            }
            Message::Metrics { conn, request_id, json } => {
                self.acknowledged(conn, request_id, true, turn);
                self.metrics_told(conn, request_id, json, turn);
            }
            Message::Congested { conn, congested } => self.congestion(conn, congested, turn),
            Message::Tell { from, tell } => self.told(from, tell, turn),
            Message::Open { ticket, call } => self.open(ticket, call, turn),
            Message::Ask { .. }
            | Message::Acknowledged { .. }
            | Message::Checked { .. }
            | Message::Settled { .. }
            | Message::Proposed { .. }
            | Message::Looked { .. } => {
                unreachable!("the shard gives these to its other sides")
            }
        }
    }

    /// Takes in what an owner or directory core tells, this one included.
    pub fn told(&mut self, from: Core, tell: Tell, turn: &mut Turn<'_>) {
        if tell.is_answer() {
            self.lanes.answered(from);
        }
        match tell {
            Tell::Answer { waiter, body } => self.answer(waiter, body, turn),
            Tell::Queried { waiter, service, revision, body } => {
                self.answer(waiter, body, turn);
                self.has_seen(waiter.conn, &service, revision);
            }
            Tell::Opened { waiter, answer } => self.opened(waiter, answer, turn),
            Tell::Confirmed => {}
            Tell::Subscribed { waiter, service, filter, view } => {
                self.subscribed(waiter, &service, *filter, view, turn);
            }
            Tell::Changed { service, view } => self.changed(&service, view, turn),
            Tell::Watched { waiter, watch, body, differences } => {
                self.answer(waiter, body, turn);
                self.watched::<Services>(waiter.conn, &watch, differences, turn);
            }
            Tell::NameChanged { service, change } => {
                self.name_changed::<Services>(service, change);
            }
            Tell::Proposed { waiter, purpose, outcome } => {
                self.proposed(waiter, purpose, &outcome, turn);
            }
            Tell::ConfigsChanged { changes } => {
                self.rights_changed();
                self.configs_changed(&changes);
            }
            Tell::ServicesChanged => unreachable!("the shard gives it to its owner side"),
        }
    }

    /// Once a turn: what waited for room leaves, and at most `pushes` pushes.
    pub fn drain(&mut self, pushes: usize, turn: &mut Turn<'_>) {
        self.lanes.flush(turn);
        if self.phase == Phase::Stopping {
            self.reset_some(pushes, turn);
        } else {
            self.scan_some(turn);
            // Neither module's pushes can hold up the other's for long.
            let share = if self.naming_has_work() { pushes.div_ceil(2) } else { pushes };
            let notified = self.notify_some(share, turn);
            self.push_some(pushes - notified, turn);
            self.answer_polls(turn);
        }
    }

    /// Looks at what has come due, a bounded number at a time ([`HomeState::is_late`]).
    pub fn tick(&mut self, turn: &mut Turn<'_>) {
        let begin = turn.effects.list.len();
        for _ in 0..LOOKS_PER_TURN_MAX {
            let Some((timer, tick)) = self.wheel.next_due(turn.lived_ms) else { return };
            self.look_at(timer, tick, turn);
            if turn.effects.list.len() - begin >= LATE_PER_TURN_MAX {
                return;
            }
        }
    }

    /// Whether something that has come due was left by [`HomeState::tick`].
    pub fn is_late(&self, lived_ms: u64) -> bool {
        self.wheel.is_due(lived_ms)
    }

    fn look_at(&mut self, timer: Timer, tick: Tick, turn: &mut Turn<'_>) {
        match timer {
            Timer::Connection(slot) => self.connection_due(slot, tick, turn),
            Timer::Subscription(index) => self.subscription_due(index, tick, turn),
            Timer::Service(index) => self.service_due(index, tick),
            Timer::Fuzzy(slot) => self.fuzzy_due::<Services>(slot, tick),
            Timer::Listener(index) => self.listener_due(index, tick, turn),
            Timer::Poll(index) => self.poll_due(index, tick, turn),
            Timer::ConfigFuzzy(slot) => self.fuzzy_due::<Configs>(slot, tick),
            Timer::Inquiries => self.inquiries_due(turn),
            Timer::Beating(_) | Timer::Poller(_) | Timer::Check(_) => {
                debug_assert!(false, "the owner side has its own wheel");
            }
        }
    }

    /// Whether [`HomeState::drain`] can do something now.
    pub fn has_work(&self) -> bool {
        match self.phase {
            Phase::Stopping => self.reset_from < self.table.slots(),
            _ => {
                let configs = self.listeners.has_work() || self.config_patterns.has_work();
                let polls = self.polls.has_work();
                configs || polls || !self.scans.is_empty() || self.naming_has_work()
            }
        }
    }

    fn naming_has_work(&self) -> bool {
        self.subscriptions.has_work() || self.patterns.has_work()
    }

    /// Writes the answer of a call whose connection may be gone by now.
    pub(crate) fn answer(&mut self, waiter: Waiter, body: Body, turn: &mut Turn<'_>) {
        self.answer_late(waiter, body, 0, turn);
    }

    /// [`HomeState::answer`], `delay_ms` from now.
    pub(crate) fn answer_late(
        &mut self,
        Waiter { conn, stream }: Waiter,
        body: Body,
        delay_ms: u32,
        turn: &mut Turn<'_>,
    ) {
        if let Some(ticket) = conn.ticket() {
            return self.answer_open(ticket, Answer::Body(body), turn);
        }
        if self.table.get(conn).is_some() {
            turn.effects.push(Effect::Reply { conn, stream, body, delay_ms });
        }
    }

    /// Hands the answer of a call of the open API to whoever holds the ticket.
    pub(crate) fn answer_open(&mut self, ticket: u32, answer: Answer, turn: &mut Turn<'_>) {
        turn.effects.push(Effect::Answer { ticket, answer });
    }

    /// The record's key, for whoever only has its slot.
    pub(crate) fn key_at(&self, slot: u32) -> Option<ConnKey> {
        self.table.at(slot).map(|connection| self.table.key_of(slot, connection))
    }
}

/// A deadline as records keep it, low bits of milliseconds; `now_ms` is less than 24 days away from
/// it.
pub(crate) fn unwrapped(deadline: u32, now_ms: u64) -> u64 {
    let ahead = deadline.wrapping_sub(now_ms as u32) as i32;
    now_ms.saturating_add_signed(i64::from(ahead))
}

#[cfg(test)]
mod tests {
    use super::unwrapped;

    #[test]
    fn deadlines_survive_the_wrap() {
        for now in [5u64, u64::from(u32::MAX) - 3, 1 << 40] {
            for ahead in [-5i64, 0, 1, 300_000] {
                let deadline = now.saturating_add_signed(ahead);
                assert_eq!(unwrapped(deadline as u32, now), deadline);
            }
        }
    }
}
