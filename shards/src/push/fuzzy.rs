//! What fuzzy watchers are told: the first synchronisation in batches, then names that come and go
//! (`naming.md` 8.3, 8.4).
//!
//! Which names match is the directory core's business; here is who watches, and what each of them
//! has not acknowledged yet. One message waits per (connection, name) or (connection, pattern,
//! batch): a newer change replaces an older one, also inside a batch that was not acknowledged, so
//! that no repetition can bring an old state after a new one.

use crate::effect::{CloseReason, Effect};
use crate::health::wheel::{NO_TICK, Tick, Timer};
use crate::home::call::over_limit;
use crate::home::{HomeState, Phase, Turn};
use crate::key::{ConnKey, ServiceKey};
use crate::limits::{
    FUZZY_BATCH_NAMES, FUZZY_DELIVERIES_PER_CONNECTION_MAX, FUZZY_WATCHES_PER_CONNECTION_MAX,
};
use crate::message::{NameChange, Watch};
use crate::naming::accept::Refusal;
use crate::naming::answer::{self, FuzzySync, SyncKind};
use crate::naming::fuzzy::Pattern;
use crate::push::id;

/// From a fuzzy watch's request to its first batch.
const FIRST_BATCH_MS: u64 = 1_000;

/// From the ack of the last batch to the message that says so.
const FINISH_MS: u64 = 500;

/// From a negative ack to the repetition: the reference's next round.
const REPEAT_MS: u64 = 100;

/// The fuzzy watches of one connection. Only connections that watch have one.
#[derive(Debug)]
pub struct Fuzzy {
    watches: Vec<Watching>,
    deliveries: Vec<Delivery>,
    timer: Tick,
    /// Is in the list of connections to look at.
    queued: bool,
}

impl Default for Fuzzy {
    fn default() -> Self {
        Self { watches: Vec::new(), deliveries: Vec::new(), timer: NO_TICK, queued: false }
    }
}

#[derive(Debug)]
struct Watching {
    pattern: Box<str>,
    /// The directory answered that it is watched.
    active: bool,
}

/// One message that was not acknowledged yet.
#[derive(Debug)]
struct Delivery {
    what: What,
    /// When to send it, or if it is in flight, when to send it again.
    due_ms: u64,
    /// Number of the request it went out with; 0 while it is not in flight.
    number: u64,
}

#[derive(Debug)]
enum What {
    Sync(Box<Sync>),
    Change { service: ServiceKey, change: NameChange },
}

/// One batch of a synchronisation.
#[derive(Debug)]
struct Sync {
    kind: SyncKind,
    pattern: Box<str>,
    contexts: Vec<(ServiceKey, NameChange)>,
    total: usize,
    current: usize,
}

impl Delivery {
    fn is(&self, kind: SyncKind, pattern: &str) -> bool {
        matches!(&self.what, What::Sync(sync) if sync.kind == kind && *sync.pattern == *pattern)
    }
}

impl Fuzzy {
    fn position(&self, pattern: &str) -> Option<usize> {
        self.watches.iter().position(|watching| *watching.pattern == *pattern)
    }

    /// Cuts a synchronisation into batches; one of the same kind and pattern gives way.
    fn synchronise(&mut self, watch: &Watch, differences: Vec<(ServiceKey, NameChange)>, now: u64) {
        let kind = if watch.initializing { SyncKind::Init } else { SyncKind::Diff };
        let outdated = |delivery: &Delivery| {
            delivery.is(kind, &watch.pattern)
                || watch.initializing && delivery.is(SyncKind::Finish, &watch.pattern)
        };
        self.deliveries.retain(|delivery| !outdated(delivery));
        let total = differences.len().div_ceil(FUZZY_BATCH_NAMES);
        for (at, contexts) in differences.chunks(FUZZY_BATCH_NAMES).enumerate() {
            let contexts = contexts.to_vec();
            self.sync(kind, &watch.pattern, contexts, (total, at + 1), now + FIRST_BATCH_MS);
        }
        if total == 0 && watch.initializing {
            self.sync(SyncKind::Finish, &watch.pattern, Vec::new(), (1, 1), now + FIRST_BATCH_MS);
        }
    }

    fn sync(
        &mut self,
        kind: SyncKind,
        pattern: &str,
        contexts: Vec<(ServiceKey, NameChange)>,
        (total, current): (usize, usize),
        due_ms: u64,
    ) {
        let sync = Sync { kind, pattern: pattern.into(), contexts, total, current };
        self.deliveries.push(Delivery { what: What::Sync(Box::new(sync)), due_ms, number: 0 });
    }

    /// A name came or went: the message about it is replaced or added, and older batches agree.
    fn change(&mut self, service: &ServiceKey, change: NameChange, now: u64) {
        let mut told = false;
        for delivery in &mut self.deliveries {
            match &mut delivery.what {
                What::Sync(sync) => {
                    for (_, old) in sync.contexts.iter_mut().filter(|(name, _)| name == service) {
                        *old = change;
                    }
                }
                What::Change { service: name, change: old } if name == service => {
                    told = true;
                    if *old != change {
                        *old = change;
                        delivery.number = 0;
                        delivery.due_ms = now;
                    }
                }
                What::Change { .. } => {}
            }
        }
        if !told {
            let what = What::Change { service: service.clone(), change };
            self.deliveries.push(Delivery { what, due_ms: now, number: 0 });
        }
    }

    /// Takes note of an ack. The last batch of a first synchronisation is followed by the message
    /// that says so.
    fn acknowledged(&mut self, number: u64, accepted: bool, now: u64) {
        let found = self.deliveries.iter().position(|delivery| delivery.number == number);
        let Some(at) = found.filter(|_| number != 0) else { return };
        if !accepted {
            self.deliveries[at].number = 0;
            self.deliveries[at].due_ms = now + REPEAT_MS;
            return;
        }
        let What::Sync(sync) = self.deliveries.swap_remove(at).what else { return };
        if sync.kind == SyncKind::Init
            && !self.deliveries.iter().any(|other| other.is(SyncKind::Init, &sync.pattern))
        {
            self.sync(SyncKind::Finish, &sync.pattern, Vec::new(), (1, 1), now + FINISH_MS);
        }
    }

    fn next_ms(&self) -> Option<u64> {
        self.deliveries.iter().map(|delivery| delivery.due_ms).min()
    }
}

impl HomeState {
    /// Records that a connection watches a pattern, before the directory is asked.
    pub(crate) fn watch(&mut self, conn: ConnKey, pattern: &str) -> Result<(), Refusal> {
        let connection = self.table.get_mut(conn).expect("looked at by the caller");
        let fuzzy = connection.links.get_or_insert_default().fuzzy.get_or_insert_default();
        if fuzzy.position(pattern).is_some() {
            return Ok(());
        }
        if fuzzy.watches.len() >= FUZZY_WATCHES_PER_CONNECTION_MAX {
            self.counters.refusals.fuzzy_watches += 1;
            return Err(over_limit("Too many fuzzy watches on this connection."));
        }
        fuzzy.watches.push(Watching { pattern: pattern.into(), active: false });
        Ok(())
    }

    /// Ends a watch, if there is one; what waited for it is forgotten.
    pub(crate) fn unwatch(&mut self, conn: ConnKey, pattern: &str) {
        let Some(fuzzy) = self.fuzzy_of(conn.slot) else { return };
        let Some(at) = fuzzy.position(pattern) else { return };
        fuzzy.deliveries.retain(
            |delivery| !matches!(&delivery.what, What::Sync(sync) if *sync.pattern == *pattern),
        );
        if fuzzy.watches.swap_remove(at).active {
            self.patterns.leave(pattern, conn.slot);
        }
    }

    /// A connection goes: all its watches, each with its namespace.
    pub(crate) fn leave_patterns(&mut self, slot: u32, fuzzy: Fuzzy) -> Vec<(Box<str>, Box<str>)> {
        let mut left = Vec::with_capacity(fuzzy.watches.len());
        for watching in fuzzy.watches {
            if watching.active {
                self.patterns.leave(&watching.pattern, slot);
            }
            if let Some(pattern) = Pattern::parse(&watching.pattern) {
                left.push((pattern.namespace().into(), watching.pattern));
            }
        }
        left
    }

    /// The directory's answer to a Watch: what the client has to be told.
    pub(crate) fn watched(
        &mut self,
        conn: ConnKey,
        watch: &Watch,
        differences: Vec<(ServiceKey, NameChange)>,
        turn: &mut Turn<'_>,
    ) {
        if self.phase == Phase::Stopping || self.table.get(conn).is_none() {
            return;
        }
        let Some(fuzzy) = self.fuzzy_of(conn.slot) else { return };
        let Some(at) = fuzzy.position(&watch.pattern) else { return };
        let joins = !std::mem::replace(&mut fuzzy.watches[at].active, true);
        fuzzy.synchronise(watch, differences, turn.lived_ms);
        if joins {
            self.patterns.join(&watch.pattern, conn.slot);
        }
        self.within_bound_or_close(conn.slot, turn);
        self.arm_fuzzy(conn.slot);
    }

    /// A watched name came or went.
    pub(crate) fn name_changed(&mut self, service: ServiceKey, change: NameChange) {
        if self.phase != Phase::Stopping {
            self.patterns.announce(service, change);
        }
    }

    /// Hands out what is due, `left` messages at most.
    pub(crate) fn fuzzy_some(&mut self, left: &mut usize, turn: &mut Turn<'_>) {
        while *left > 0
            && let Some((slot, service, change)) = self.patterns.next_told()
        {
            *left -= 1;
            if let Some(fuzzy) = self.fuzzy_of(slot) {
                fuzzy.change(&service, change, turn.lived_ms);
                self.within_bound_or_close(slot, turn);
                self.deliver(slot, left, turn);
            }
        }
        while *left > 0
            && let Some(slot) = self.patterns.next_ready()
        {
            if let Some(fuzzy) = self.fuzzy_of(slot) {
                fuzzy.queued = false;
                self.deliver(slot, left, turn);
            }
        }
    }

    /// Sends what is due for one connection, unless it does not read.
    fn deliver(&mut self, slot: u32, left: &mut usize, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(conn) = self.key_at(slot) else { return };
        let connection = self.table.at_mut(slot).expect("looked at above");
        if connection.congested {
            return;
        }
        let mut requests = connection.requests;
        let Some(fuzzy) = connection.links.as_mut().and_then(|links| links.fuzzy.as_mut()) else {
            return;
        };
        for delivery in fuzzy.deliveries.iter_mut().filter(|delivery| delivery.due_ms <= now_ms) {
            if *left == 0 {
                break;
            }
            *left -= 1;
            requests += 1;
            delivery.number = requests;
            delivery.due_ms = now_ms + u64::from(self.settings.push_timeout_ms);
            self.counters.fuzzy_pushes += 1;
            let request_id = id::of_connection(requests);
            let body = match &delivery.what {
                What::Change { service, change } => {
                    answer::fuzzy_change(request_id, service, *change)
                }
                What::Sync(sync) => answer::fuzzy_sync(request_id, sync.message()),
            };
            turn.effects.push(Effect::Push { conn, body });
        }
        connection.requests = requests;
        self.arm_fuzzy(slot);
    }

    /// The wheel came round.
    pub(crate) fn fuzzy_due(&mut self, slot: u32, tick: Tick) {
        let Some(fuzzy) = self.fuzzy_of(slot) else { return };
        if fuzzy.timer == tick {
            fuzzy.timer = NO_TICK;
            self.resume_fuzzy(slot);
        }
    }

    /// Has a connection looked at in the next round.
    pub(crate) fn resume_fuzzy(&mut self, slot: u32) {
        if self.phase == Phase::Stopping {
            return;
        }
        let Some(fuzzy) = self.fuzzy_of(slot) else { return };
        if !std::mem::replace(&mut fuzzy.queued, true) {
            self.patterns.look_at(slot);
        }
    }

    /// An answer to a fuzzy watch message.
    pub(crate) fn fuzzy_acknowledged(
        &mut self,
        conn: ConnKey,
        number: u64,
        accepted: bool,
        turn: &mut Turn<'_>,
    ) {
        if let Some(fuzzy) = self.fuzzy_of(conn.slot) {
            fuzzy.acknowledged(number, accepted, turn.lived_ms);
            self.arm_fuzzy(conn.slot);
        }
    }

    /// Makes sure the wheel looks at a connection's messages in time.
    fn arm_fuzzy(&mut self, slot: u32) {
        let Some(connection) = self.table.at_mut(slot) else { return };
        let Some(fuzzy) = connection.links.as_mut().and_then(|links| links.fuzzy.as_mut()) else {
            return;
        };
        if let Some(due) = fuzzy.next_ms()
            && !self.wheel.covers(fuzzy.timer, due)
        {
            fuzzy.timer = self.wheel.insert(due, Timer::Fuzzy(slot));
        }
    }

    fn within_bound_or_close(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(fuzzy) = self.fuzzy_of(slot) else { return };
        if fuzzy.deliveries.len() > FUZZY_DELIVERIES_PER_CONNECTION_MAX
            && let Some(conn) = self.key_at(slot)
        {
            self.close(conn, CloseReason::TooSlow, turn);
        }
    }

    fn fuzzy_of(&mut self, slot: u32) -> Option<&mut Fuzzy> {
        self.table.at_mut(slot)?.links.as_mut()?.fuzzy.as_deref_mut()
    }
}

impl Sync {
    fn message(&self) -> FuzzySync<'_> {
        FuzzySync {
            kind: self.kind,
            pattern: &self.pattern,
            contexts: &self.contexts,
            total_batch: self.total,
            current_batch: self.current,
        }
    }
}

#[cfg(test)]
mod tests;
