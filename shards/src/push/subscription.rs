//! Who follows what: subscriptions of this home core's connections, grouped by service.
//!
//! The owner of a service knows only that this core is interested. Interest begins with the first
//! `Ask::Subscribe` and ends with `Ask::Uninterested`, sent when the last subscriber leaves; both
//! go the same ordered way, so a service is in this table exactly while its owner has this core on
//! its list (or will have, once the asks sent so far were carried out).

use crate::effect::Body;
use crate::health::wheel::{NO_TICK, Tick};
use crate::home::call::over_limit;
use crate::home::{HomeState, Phase, Turn};
use crate::index::Index;
use crate::intern::Interner;
use crate::key::{ConnKey, ServiceKey};
use crate::limits::{SUBSCRIPTIONS_PER_CONNECTION_MAX, SUBSCRIPTIONS_PER_CORE_MAX};
use crate::message::{Ask, Waiter};
use crate::naming::accept::Refusal;
use crate::naming::answer;
use crate::naming::view::{Bodies, Filter, View};
use crate::push::trace::{Happened, Note};
use crate::settings::PlantedBug;
use crate::slab::{END, Slab};
use ahash::RandomState;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a subscription is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The owner's answer to the first Subscribe; nothing is pushed before.
    Asked,
    /// The next change.
    Idle,
    /// The ack of a push, or while a newer state is held back: the ack or the end of the patience.
    InFlight,
    /// The time of a push: a repetition, or a first one that is delayed.
    Delayed,
    /// The right its user had ([`crate::auth::standing`]).
    Withheld,
}

/// One connection follows one service.
#[derive(Debug)]
pub struct Subscription {
    /// Latest state the client was given, by answer or push.
    pub revision: u64,
    /// Slot of the connection.
    pub conn: u32,
    /// Number of the service.
    pub service: u32,
    /// Place in the service's list.
    pub place: u32,
    /// The connection's other subscriptions.
    pub previous: u32,
    pub next: u32,
    /// Low bits of the number of the last push, 0 before the first.
    pub number: u32,
    /// Tick of its live entry in the wheel.
    pub timer: Tick,
    /// When `stage` ends by itself; wraps.
    pub deadline: u32,
    /// What it wants to see; number of an interned filter.
    pub filter: u32,
    pub stage: Stage,
    /// A push is owed even if the state is not newer: the first one, or one that failed.
    pub owed: bool,
    /// A newer state waits for the ack.
    pub held: bool,
    /// Is in the list of those to look at.
    pub queued: bool,
}

const _: () = assert!(Slab::<Subscription>::ENTRY_BYTES <= 48, "one per client and service");

impl Subscription {
    /// Whose it is, and of what.
    fn pair(&self) -> (u32, u32) {
        (self.conn, self.service)
    }
}

/// A service somebody here follows.
#[derive(Debug)]
pub struct Followed {
    pub key: ServiceKey,
    /// Its hash, for the trace.
    pub topic: u64,
    /// Latest known state; `None` until the first answer.
    pub view: Option<Arc<View>>,
    pub bodies: Bodies,
    pub subscribers: Vec<u32>,
    pub fan: Fan,
    /// Subscribers before this place have not been looked at in this round.
    pub cursor: u32,
    /// Tick of its live entry in the wheel.
    pub timer: Tick,
    /// When its first state came; wraps.
    pub since_ms: u32,
}

/// How far a change has got to the subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fan {
    Idle,
    /// Waits for the configured delay, or in a reconnect storm.
    Delayed,
    /// Is in the list of those handed out.
    Running,
    /// As `Running`; the state changed meanwhile, so another round follows.
    Again,
}

/// All subscriptions of one home core.
#[derive(Debug)]
pub struct Subscriptions {
    pub records: Slab<Subscription>,
    pub services: Slab<Followed>,
    pub filters: Interner<Filter>,
    /// By slot and service.
    pairs: Index,
    /// Services.
    by_key: Index,
    /// Single subscriptions to look at. May name some that are gone, or others of the same number:
    /// looking does no harm.
    pub ready: VecDeque<u32>,
    /// Services with changes to hand out, in turn; as harmless.
    pub fanning: VecDeque<u32>,
}

impl Subscriptions {
    pub fn new(hasher: RandomState) -> Self {
        Self {
            records: Slab::default(),
            services: Slab::default(),
            filters: Interner::new(hasher.clone()),
            pairs: Index::new(hasher.clone()),
            by_key: Index::new(hasher),
            ready: VecDeque::new(),
            fanning: VecDeque::new(),
        }
    }

    /// Whether something can be handed out now.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.fanning.is_empty()
    }

    /// Forgets what was to be handed out.
    pub fn stop(&mut self) {
        self.ready = VecDeque::new();
        self.fanning = VecDeque::new();
    }

    /// The subscription of a connection to a service.
    pub fn find(&self, slot: u32, service: &ServiceKey) -> Option<u32> {
        let pair = (slot, self.service(service)?);
        self.pairs.find(&pair, |at| self.records[at].pair() == pair)
    }

    /// The number of a followed service.
    pub fn service(&self, key: &ServiceKey) -> Option<u32> {
        self.by_key.find(key, |at| self.services[at].key == *key)
    }

    fn service_or_new(&mut self, key: &ServiceKey) -> u32 {
        if let Some(service) = self.service(key) {
            return service;
        }
        let service = self.services.insert(Followed {
            key: key.clone(),
            topic: self.by_key.hasher().hash_one(key),
            view: None,
            bodies: Bodies::default(),
            subscribers: Vec::new(),
            fan: Fan::Idle,
            cursor: 0,
            timer: NO_TICK,
            since_ms: 0,
        });
        self.by_key.insert(key, service);
        service
    }

    /// Adds a subscription that waits for its answer, as the first of its connection's list.
    fn add(&mut self, slot: u32, first: u32, key: &ServiceKey, filter: &Filter) -> u32 {
        let service = self.service_or_new(key);
        let filter = self.filters.take(filter.clone());
        let subscribers = &mut self.services[service].subscribers;
        let index = self.records.insert(Subscription {
            revision: 0,
            conn: slot,
            service,
            place: subscribers.len() as u32,
            previous: END,
            next: first,
            number: 0,
            timer: NO_TICK,
            deadline: 0,
            filter,
            stage: Stage::Asked,
            owed: false,
            held: false,
            queued: false,
        });
        subscribers.push(index);
        self.pairs.insert(&(slot, service), index);
        if let Some(next) = self.records.get_mut(first) {
            next.previous = index;
        }
        index
    }

    /// Takes a subscription out of everything but its connection's count and list head. Returns it,
    /// and the service if this was its last subscriber.
    fn remove(&mut self, index: u32, bug: bool) -> (Subscription, Option<ServiceKey>) {
        let gone = self.records.remove(index).expect("its holder knows it exists");
        self.pairs.remove(&gone.pair(), index);
        self.filters.give_back(gone.filter);
        if let Some(previous) = self.records.get_mut(gone.previous) {
            previous.next = gone.next;
        }
        if let Some(next) = self.records.get_mut(gone.next) {
            next.previous = gone.previous;
        }
        let service = &mut self.services[gone.service];
        service.subscribers.swap_remove(gone.place as usize);
        if let Some(moved) = service.subscribers.get(gone.place as usize) {
            self.records[*moved].place = gone.place;
        }
        if bug {
            service.cursor = service.cursor.saturating_sub(1);
        }
        if !service.subscribers.is_empty() {
            return (gone, None);
        }
        let service = self.services.remove(gone.service).expect("looked at above");
        self.by_key.remove(&service.key, gone.service);
        (gone, Some(service.key))
    }

    /// Replaces what a subscription wants to see.
    fn set_filter(&mut self, index: u32, filter: Filter) {
        let filter = self.filters.take(filter);
        let old = std::mem::replace(&mut self.records[index].filter, filter);
        self.filters.give_back(old);
    }

    /// Puts a subscription on the list of those to look at.
    pub fn look_at(&mut self, index: u32) {
        let subscription = &mut self.records[index];
        if !subscription.queued {
            subscription.queued = true;
            self.ready.push_back(index);
        }
    }
}

impl HomeState {
    /// Records that a connection follows a service, before its owner is asked.
    pub(crate) fn follow(
        &mut self,
        conn: ConnKey,
        service: &ServiceKey,
        filter: &Filter,
    ) -> Result<(), Refusal> {
        if self.subscriptions.find(conn.slot, service).is_some() {
            return Ok(());
        }
        let connection = self.table.get_mut(conn).expect("looked at by the caller");
        if connection.subscription_count >= SUBSCRIPTIONS_PER_CONNECTION_MAX
            || self.subscriptions.records.len() >= SUBSCRIPTIONS_PER_CORE_MAX
        {
            self.counters.refusals.subscriptions += 1;
            return Err(over_limit("Too many subscriptions on this connection."));
        }
        let first = connection.subscriptions;
        connection.subscriptions = self.subscriptions.add(conn.slot, first, service, filter);
        connection.subscription_count += 1;
        Ok(())
    }

    /// Ends a subscription, if there is one.
    pub(crate) fn unfollow(&mut self, conn: ConnKey, service: &ServiceKey, turn: &mut Turn<'_>) {
        if let Some(index) = self.subscriptions.find(conn.slot, service) {
            self.remove_subscription(index, turn);
        }
    }

    /// Ends all subscriptions of a connection.
    pub(crate) fn unfollow_all(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        while let Some(connection) = self.table.get(conn)
            && connection.subscriptions != END
        {
            self.remove_subscription(connection.subscriptions, turn);
        }
    }

    fn remove_subscription(&mut self, index: u32, turn: &mut Turn<'_>) {
        let bug = self.settings.has_bug(PlantedBug::LeavingMovesCursor);
        let (gone, lonely) = self.subscriptions.remove(index, bug);
        let connection = self.table.at_mut(gone.conn).expect("subscriptions go with it");
        connection.subscription_count -= 1;
        if connection.subscriptions == index {
            connection.subscriptions = gone.next;
        }
        if let Some(service) = lonely
            && self.phase != Phase::Stopping
        {
            let owner = self.map.owner(&service);
            self.lanes.send_surely(owner, Ask::Uninterested { service }, turn);
        }
    }

    /// The owner's answer to a Subscribe: it is written first, then the subscription counts.
    pub(crate) fn subscribed(
        &mut self,
        waiter: Waiter,
        key: &ServiceKey,
        filter: Filter,
        view: Arc<View>,
        turn: &mut Turn<'_>,
    ) {
        let service = self.subscriptions.service(key);
        let body = self.subscribe_answer(service, &view, &filter);
        self.answer(waiter, body, turn);
        let (Some(service), true) = (service, self.phase != Phase::Stopping) else { return };
        self.newer_view(service, &view, turn);
        if self.table.get(waiter.conn).is_none() {
            return;
        }
        if self.settings.has_bug(PlantedBug::LateAnswerSubscribes) {
            let _ = self.follow(waiter.conn, key, &filter);
        }
        let Some(index) = self.subscriptions.find(waiter.conn.slot, key) else { return };
        self.subscriptions.set_filter(index, filter);
        self.note(index, Happened::Answered, turn.now.unix_ms, view.revision);
        let subscription = &mut self.subscriptions.records[index];
        subscription.revision = subscription.revision.max(view.revision);
        match subscription.stage {
            Stage::Asked => {
                subscription.stage = Stage::Idle;
                subscription.owed = true;
                match self.push_delay_ms(service, turn.lived_ms) {
                    None => _ = self.offer(index, turn),
                    Some(delay) => self.delay(index, delay, turn.lived_ms),
                }
            }
            // The answer brought what a repetition would. A first push stays owed.
            Stage::Delayed | Stage::Idle if subscription.number != 0 => {
                subscription.stage = Stage::Idle;
                subscription.owed = false;
            }
            // It was let in anew.
            Stage::Withheld => {
                subscription.stage = Stage::Idle;
                subscription.owed = subscription.number == 0;
                self.subscriptions.look_at(index);
            }
            Stage::Delayed | Stage::Idle | Stage::InFlight => {}
        }
    }

    /// A connection that follows the service was answered with a state of this revision. An older
    /// one is not pushed any more; the `Changed` of this one is under way and will be. (A query may
    /// show less than the subscription does, so it does not replace the push of its own revision.)
    pub(crate) fn has_seen(&mut self, conn: ConnKey, service: &ServiceKey, revision: u64) {
        if self.table.get(conn).is_none() {
            return;
        }
        let Some(index) = self.subscriptions.find(conn.slot, service) else { return };
        let subscription = &mut self.subscriptions.records[index];
        let known = &self.subscriptions.services[subscription.service].view;
        if known.as_ref().is_none_or(|view| view.revision < revision) {
            subscription.revision = subscription.revision.max(revision - 1);
            subscription.owed = false;
        }
    }

    /// Notes for an operator what happened to a subscription's last push, or to its answer.
    pub(crate) fn note(&mut self, index: u32, happened: Happened, unix_ms: u64, revision: u64) {
        let subscription = &self.subscriptions.records[index];
        let Some(connection) = self.table.at(subscription.conn) else { return };
        let topic = self.subscriptions.services[subscription.service].topic;
        let (slot, number) = (subscription.conn, subscription.number);
        let conn_id_ms = connection.id_ms;
        let note = Note { happened, revision, unix_ms, conn_id_ms, slot, number };
        self.trace.note(topic, note);
    }

    fn subscribe_answer(&mut self, service: Option<u32>, view: &View, filter: &Filter) -> Body {
        answer::subscribe(match service {
            Some(service) => self.subscriptions.services[service].bodies.get(view, filter),
            None => view.body(filter),
        })
    }
}

#[cfg(test)]
mod tests;
