//! What fuzzy watchers are told: the first synchronisation in batches, then names that come and go
//! (`naming.md` 8.3, 8.4, `config.md` 7).
//!
//! Which names match is another's business (the directory core's, or a walk through the tables of
//! configs); here is who watches, and what each of them has not acknowledged yet (`delivery`). The
//! two modules differ in names, texts and pace, which is what [`Watches`] says of each.

use crate::auth::Kind;
use crate::conns::connection::Links;
use crate::effect::{Body, CloseReason, Effect};
use crate::health::wheel::{NO_TICK, Tick, Timer};
use crate::home::call::over_limit;
use crate::home::{HomeState, Phase, Turn};
use crate::key::{ConnKey, ServiceKey};
use crate::limits::{
    FUZZY_BATCH_NAMES, FUZZY_DELIVERIES_PER_CONNECTION_MAX, FUZZY_WATCHES_PER_CONNECTION_MAX,
};
use crate::message::{Ask, NameChange, Waiter, Watch};
use crate::naming::accept::Refusal;
use crate::naming::answer::{self, FuzzySync};
use crate::naming::fuzzy::{Name, Pattern};
use crate::push::delivery::{Fuzzy, Pace, Watching, What};
use crate::push::id;
use crate::push::patterns::Patterns;
use crate::settings::Settings;

/// A module with fuzzy watches.
pub(crate) trait Watches {
    type Name: Name;
    /// Of what its names are, as rights say it.
    const KIND: Kind;

    fn pace(settings: &Settings) -> Pace;
    /// What a connection has of it.
    fn of(links: &mut Links) -> &mut Option<Box<Fuzzy<Self::Name>>>;
    /// What the home core has of it.
    fn patterns(home: &mut HomeState) -> &mut Patterns<Self::Name>;
    fn timer(slot: u32) -> Timer;
    /// A watch was ended from this side.
    fn ended(home: &mut HomeState, conn: ConnKey, pattern: Box<str>, turn: &mut Turn<'_>);
    fn sync(request_id: u64, sync: &FuzzySync<'_, Self::Name>) -> Body;
    fn change(request_id: u64, name: &Self::Name, change: NameChange) -> Body;
}

/// Fuzzy watches of services.
pub(crate) struct Services;

/// Fuzzy watches of configs.
pub(crate) struct Configs;

impl Watches for Services {
    type Name = ServiceKey;
    const KIND: Kind = Kind::Naming;

    fn pace(settings: &Settings) -> Pace {
        Pace {
            batch: FUZZY_BATCH_NAMES,
            first_ms: 1_000,
            finish_ms: 500,
            finish_batches: 1,
            timeout_ms: u64::from(settings.push_timeout_ms),
            // The reference's next round.
            repeat_ms: 100,
            step_ms: 0,
            tries_max: None,
        }
    }

    fn of(links: &mut Links) -> &mut Option<Box<Fuzzy<ServiceKey>>> {
        &mut links.fuzzy
    }

    fn patterns(home: &mut HomeState) -> &mut Patterns<ServiceKey> {
        &mut home.patterns
    }

    fn timer(slot: u32) -> Timer {
        Timer::Fuzzy(slot)
    }

    fn ended(home: &mut HomeState, conn: ConnKey, pattern: Box<str>, turn: &mut Turn<'_>) {
        let Some(parsed) = Pattern::parse(&pattern) else { return };
        let directory = home.map.directory(parsed.namespace());
        let waiter = Waiter { conn, stream: 0 };
        home.lanes.send_surely(directory, Ask::Unwatch { waiter, pattern }, turn);
    }

    fn sync(request_id: u64, sync: &FuzzySync<'_, ServiceKey>) -> Body {
        answer::fuzzy_sync(request_id, sync)
    }

    fn change(request_id: u64, service: &ServiceKey, change: NameChange) -> Body {
        answer::fuzzy_change(request_id, service, change)
    }
}

impl HomeState {
    /// Records that a connection watches a pattern, before the directory is asked.
    pub(crate) fn watch<M: Watches>(
        &mut self,
        conn: ConnKey,
        pattern: &str,
    ) -> Result<(), Refusal> {
        let connection = self.table.get_mut(conn).expect("looked at by the caller");
        let links = connection.links.get_or_insert_default();
        let fuzzy = M::of(links).get_or_insert_default();
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
    pub(crate) fn unwatch<M: Watches>(&mut self, conn: ConnKey, pattern: &str) {
        let Some(fuzzy) = self.fuzzy_of::<M>(conn.slot) else { return };
        let Some(at) = fuzzy.position(pattern) else { return };
        let was_active = fuzzy.forget(at);
        if was_active {
            M::patterns(self).leave(pattern, conn.slot);
        }
    }

    /// A connection goes: all its watches, each with its namespace.
    pub(crate) fn leave_patterns<M: Watches>(
        &mut self,
        slot: u32,
        fuzzy: Fuzzy<M::Name>,
    ) -> Vec<(Box<str>, Box<str>)> {
        let mut left = Vec::with_capacity(fuzzy.watches.len());
        for watching in fuzzy.watches {
            if watching.active {
                M::patterns(self).leave(&watching.pattern, slot);
            }
            if let Some(pattern) = Pattern::parse(&watching.pattern) {
                left.push((pattern.namespace().into(), watching.pattern));
            }
        }
        left
    }

    /// The directory's answer to a Watch: what the client has to be told.
    pub(crate) fn watched<M: Watches>(
        &mut self,
        conn: ConnKey,
        watch: &Watch,
        differences: Vec<(M::Name, NameChange)>,
        turn: &mut Turn<'_>,
    ) {
        if self.phase == Phase::Stopping || self.table.get(conn).is_none() {
            return;
        }
        let pace = M::pace(&self.settings);
        let Some(fuzzy) = self.fuzzy_of::<M>(conn.slot) else { return };
        if fuzzy.position(&watch.pattern).is_none() {
            return;
        }
        fuzzy.synchronise(watch, differences, &pace, turn.lived_ms);
        self.activate::<M>(conn, &watch.pattern);
        self.within_bound_or_close::<M>(conn.slot, turn);
        self.arm_fuzzy::<M>(conn.slot, turn.lived_ms);
    }

    /// What comes and goes is told from here on.
    pub(crate) fn activate<M: Watches>(&mut self, conn: ConnKey, pattern: &str) {
        let Some(fuzzy) = self.fuzzy_of::<M>(conn.slot) else { return };
        if let Some(at) = fuzzy.position(pattern)
            && !std::mem::replace(&mut fuzzy.watches[at].active, true)
        {
            M::patterns(self).join(pattern, conn.slot);
        }
    }

    /// What is told of these names is told once more, as it is now.
    pub(crate) fn refresh<M: Watches>(
        &mut self,
        conn: ConnKey,
        truth: impl Fn(&M::Name) -> Option<NameChange>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(fuzzy) = self.fuzzy_of::<M>(conn.slot) {
            fuzzy.refresh(truth, turn.lived_ms);
        }
    }

    /// A watched name came or went.
    pub(crate) fn name_changed<M: Watches>(&mut self, name: M::Name, change: NameChange) {
        if self.phase != Phase::Stopping {
            M::patterns(self).announce(name, change);
        }
    }

    /// Hands out what is due, `left` messages at most.
    pub(crate) fn fuzzy_some<M: Watches>(&mut self, left: &mut usize, turn: &mut Turn<'_>) {
        while *left > 0
            && let Some((slot, name, change)) = M::patterns(self).next_told()
        {
            *left -= 1;
            if let Some(fuzzy) = self.fuzzy_of::<M>(slot) {
                fuzzy.change(&name, change, turn.lived_ms);
                self.within_bound_or_close::<M>(slot, turn);
                self.deliver::<M>(slot, left, turn);
            }
        }
        while *left > 0
            && let Some(slot) = M::patterns(self).next_ready()
        {
            if let Some(fuzzy) = self.fuzzy_of::<M>(slot) {
                fuzzy.queued = false;
                self.deliver::<M>(slot, left, turn);
            }
        }
    }

    /// Sends what is due for one connection, unless it does not read.
    fn deliver<M: Watches>(&mut self, slot: u32, left: &mut usize, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(conn) = self.key_at(slot) else { return };
        self.end_forbidden::<M>(conn, turn);
        let connection = self.table.at_mut(slot).expect("looked at above");
        if connection.congested {
            return;
        }
        let mut requests = connection.requests;
        let Some(fuzzy) = connection.links.as_mut().and_then(|links| M::of(links).as_mut()) else {
            return;
        };
        let pace = M::pace(&self.settings);
        let mut given_up = false;
        for delivery in &mut fuzzy.deliveries {
            if *left == 0 {
                break;
            }
            if delivery.due_ms <= now_ms && delivery.number != 0 {
                delivery.failed(&pace, now_ms);
            }
            given_up |= delivery.is_hopeless(&pace);
            if delivery.due_ms > now_ms {
                continue;
            }
            *left -= 1;
            requests += 1;
            delivery.number = requests;
            delivery.due_ms = now_ms + pace.timeout_ms;
            self.counters.fuzzy_pushes += 1;
            let request_id = id::of_connection(requests);
            let body = match &delivery.what {
                What::Change { name, change } => M::change(request_id, name, *change),
                What::Sync(sync) => M::sync(request_id, &sync.message()),
            };
            turn.effects.push(Effect::Push { conn, body });
        }
        connection.requests = requests;
        if given_up {
            return self.close(conn, CloseReason::TooSlow, turn);
        }
        self.arm_fuzzy::<M>(slot, now_ms);
    }

    /// The wheel came round.
    pub(crate) fn fuzzy_due<M: Watches>(&mut self, slot: u32, tick: Tick) {
        let Some(fuzzy) = self.fuzzy_of::<M>(slot) else { return };
        if fuzzy.timer == tick {
            fuzzy.timer = NO_TICK;
            self.resume_fuzzy::<M>(slot);
        }
    }

    /// Has a connection looked at in the next round.
    pub(crate) fn resume_fuzzy<M: Watches>(&mut self, slot: u32) {
        if self.phase == Phase::Stopping {
            return;
        }
        let Some(fuzzy) = self.fuzzy_of::<M>(slot) else { return };
        if !std::mem::replace(&mut fuzzy.queued, true) {
            M::patterns(self).look_at(slot);
        }
    }

    /// An answer to a fuzzy watch message.
    pub(crate) fn fuzzy_acknowledged<M: Watches>(
        &mut self,
        conn: ConnKey,
        number: u64,
        accepted: bool,
        turn: &mut Turn<'_>,
    ) {
        let pace = M::pace(&self.settings);
        if let Some(fuzzy) = self.fuzzy_of::<M>(conn.slot) {
            fuzzy.acknowledged(number, accepted, &pace, turn.lived_ms);
            self.arm_fuzzy::<M>(conn.slot, turn.lived_ms);
        }
    }

    /// Makes sure a connection's messages are looked at in time: in this turn, or by the wheel.
    fn arm_fuzzy<M: Watches>(&mut self, slot: u32, now_ms: u64) {
        let Some(fuzzy) = self.fuzzy_of::<M>(slot) else { return };
        let Some(due) = fuzzy.next_ms() else { return };
        if due <= now_ms {
            return self.resume_fuzzy::<M>(slot);
        }
        let timer = fuzzy.timer;
        if !self.wheel.covers(timer, due) {
            let tick = self.wheel.insert(due, M::timer(slot));
            self.fuzzy_of::<M>(slot).expect("looked at above").timer = tick;
        }
    }

    fn within_bound_or_close<M: Watches>(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(fuzzy) = self.fuzzy_of::<M>(slot) else { return };
        if fuzzy.deliveries.len() > FUZZY_DELIVERIES_PER_CONNECTION_MAX
            && let Some(conn) = self.key_at(slot)
        {
            self.close(conn, CloseReason::TooSlow, turn);
        }
    }

    fn fuzzy_of<M: Watches>(&mut self, slot: u32) -> Option<&mut Fuzzy<M::Name>> {
        M::of(self.table.at_mut(slot)?.links.as_mut()?).as_deref_mut()
    }
}

#[cfg(test)]
mod tests;
