//! From a change to its subscribers: when each may be told, and how many in one turn.
//!
//! The first change leaves at once. While its push is not acknowledged, later changes are held back
//! until the ack, or for a while at most, and then the latest state goes. With a configured push
//! delay the change waits as a whole instead, as in the reference, and then goes out regardless of
//! acks. A client that does not read is not pushed to; what it missed is one comparison of
//! revisions when it reads again.

use crate::conns::connection::Stage as ConnectionStage;
use crate::effect::Effect;
use crate::health::wheel::{NO_TICK, Tick, Timer};
use crate::home::{HomeState, Phase, Turn, unwrapped};
use crate::key::ServiceKey;
use crate::limits::{FAN_SLICE, STORM_HOLD_MS, STORM_SERVICE_MS, VISITS_PER_TURN_MAX};
use crate::naming::answer;
use crate::naming::view::View;
use crate::push::fuzzy::{Configs, Services};
use crate::push::id;
use crate::push::subscription::{Fan, Stage};
use crate::push::trace::{Happened, Note};
use crate::slab::END;
use std::sync::Arc;

impl HomeState {
    /// An owner tells of a newer state.
    pub(crate) fn changed(&mut self, key: &ServiceKey, view: Arc<View>, turn: &mut Turn<'_>) {
        if self.phase == Phase::Stopping {
            return;
        }
        if let Some(service) = self.subscriptions.service(key) {
            self.newer_view(service, &view, turn);
        }
    }

    /// Takes over a state if it is newer, and starts telling the subscribers.
    pub(crate) fn newer_view(&mut self, index: u32, view: &Arc<View>, turn: &mut Turn<'_>) {
        let service = &mut self.subscriptions.services[index];
        if service.view.as_ref().is_some_and(|known| known.revision >= view.revision) {
            return;
        }
        if service.view.is_none() {
            service.since_ms = turn.lived_ms as u32;
        }
        service.view = Some(view.clone());
        match service.fan {
            Fan::Idle => match self.push_delay_ms(index, turn.lived_ms) {
                None => self.start_fan(index),
                Some(delay) => self.delay_fan(index, turn.lived_ms + u64::from(delay)),
            },
            Fan::Running => service.fan = Fan::Again,
            Fan::Delayed | Fan::Again => {}
        }
    }

    /// For how long a first change waits: as configured, or in a reconnect storm, while the clients
    /// of the service come back.
    pub(crate) fn push_delay_ms(&mut self, service: u32, now_ms: u64) -> Option<u32> {
        let since_ms = self.subscriptions.services[service].since_ms;
        let is_back = (now_ms as u32).wrapping_sub(since_ms) >= STORM_SERVICE_MS;
        if self.settings.push_delay_ms.is_some() || is_back || !self.storm.rages(now_ms) {
            return self.settings.push_delay_ms;
        }
        self.counters.storm_delays += 1;
        Some(STORM_HOLD_MS)
    }

    fn start_fan(&mut self, index: u32) {
        let service = &mut self.subscriptions.services[index];
        service.fan = Fan::Running;
        service.cursor = service.subscribers.len() as u32;
        self.subscriptions.fanning.push_back(index);
    }

    fn delay_fan(&mut self, index: u32, deadline: u64) {
        let service = &mut self.subscriptions.services[index];
        service.fan = Fan::Delayed;
        service.timer = self.wheel.insert(deadline, Timer::Service(index));
    }

    /// The push delay of a service is over.
    pub(crate) fn service_due(&mut self, index: u32, tick: Tick) {
        if let Some(service) = self.subscriptions.services.get_mut(index)
            && service.timer == tick
            && service.fan == Fan::Delayed
        {
            service.timer = NO_TICK;
            self.start_fan(index);
        }
    }

    /// Hands out at most `budget` pushes: single ones first (half of it while services wait), then
    /// services in turn, a slice each.
    pub(crate) fn push_some(&mut self, budget: usize, turn: &mut Turn<'_>) {
        let mut left = budget;
        let mut visits = VISITS_PER_TURN_MAX;
        let others = !self.subscriptions.fanning.is_empty() || self.patterns.has_work();
        let mut single = if others { budget.div_ceil(2) } else { budget };
        while single > 0
            && visits > 0
            && let Some(index) = self.subscriptions.ready.pop_front()
        {
            visits -= 1;
            if let Some(subscription) = self.subscriptions.records.get_mut(index) {
                subscription.queued = false;
                if self.offer(index, turn) {
                    single -= 1;
                    left -= 1;
                }
            }
        }
        self.fuzzy_some::<Services>(&mut left, turn);
        while left > 0
            && visits > 0
            && let Some(index) = self.subscriptions.fanning.pop_front()
        {
            if self.fan_slice(index, &mut left, &mut visits, turn) {
                self.subscriptions.fanning.push_back(index);
            }
        }
    }

    /// Pushes and notifications that wait to be handed out, some of them perhaps in vain. Counted
    /// only until there are more than `enough`.
    pub(crate) fn pushes_waiting(&self, enough: usize) -> usize {
        let (pushes, listeners) = (&self.subscriptions, &self.listeners);
        let services = pushes.fanning.iter().filter_map(|index| pushes.services.get(*index));
        let configs = listeners.fanning.iter().filter_map(|index| listeners.configs.get(*index));
        let round =
            |cursor: u32, again: bool, all: usize| cursor as usize + usize::from(again) * all;
        let rounds = services
            .map(|one| round(one.cursor, one.fan == Fan::Again, one.subscribers.len()))
            .chain(configs.map(|one| round(one.cursor, one.again, one.listeners.len())));
        let mut waiting = pushes.ready.len() + listeners.ready.len();
        for round in rounds {
            if waiting > enough {
                break;
            }
            waiting += round;
        }
        waiting
    }

    /// Offers the state to the next subscribers of a service. True: there is more to do. Half of
    /// what may be pushed is left to others that wait: few subscribers do not wait for many.
    ///
    /// The cursor moves down. A subscriber that leaves is replaced by the last of the list, who was
    /// looked at already or comes to a place still to be looked at: nobody is missed, some are
    /// looked at twice. Newcomers join at the end with a state they were just answered.
    fn fan_slice(
        &mut self,
        index: u32,
        left: &mut usize,
        visits: &mut usize,
        turn: &mut Turn<'_>,
    ) -> bool {
        let others = !self.subscriptions.fanning.is_empty();
        let mut slice = if others { FAN_SLICE.min(left.div_ceil(2)) } else { FAN_SLICE };
        loop {
            let Some(service) = self.subscriptions.services.get_mut(index) else { return false };
            if !matches!(service.fan, Fan::Running | Fan::Again) {
                return false;
            }
            service.cursor = service.cursor.min(service.subscribers.len() as u32);
            if service.cursor == 0 {
                if service.fan == Fan::Running {
                    service.fan = Fan::Idle;
                    return false;
                }
                service.fan = Fan::Running;
                service.cursor = service.subscribers.len() as u32;
            }
            if slice == 0 || *left == 0 || *visits == 0 {
                return true;
            }
            service.cursor -= 1;
            let subscriber = service.subscribers[service.cursor as usize];
            slice -= 1;
            *visits = visits.saturating_sub(1);
            if self.offer(subscriber, turn) {
                *left -= 1;
            }
        }
    }

    /// Pushes the latest state to a subscription, if it is due one and may have it now. True:
    /// pushed.
    pub(crate) fn offer(&mut self, index: u32, turn: &mut Turn<'_>) -> bool {
        if !self.is_behind(index) {
            return false;
        }
        let subscription = &mut self.subscriptions.records[index];
        if self.settings.push_delay_ms.is_none() && subscription.stage == Stage::InFlight {
            self.counters.pushes_coalesced += 1;
            if !subscription.held {
                subscription.held = true;
                let deadline = turn.lived_ms + u64::from(self.settings.push_coalesce_ms);
                self.arm_subscription(index, deadline);
            }
            return false;
        }
        self.push(index, turn)
    }

    /// Whether the client lacks the latest state, or is owed a push of it.
    pub(crate) fn is_behind(&self, index: u32) -> bool {
        let subscription = &self.subscriptions.records[index];
        let service = &self.subscriptions.services[subscription.service];
        !matches!(subscription.stage, Stage::Asked | Stage::Withheld)
            && service
                .view
                .as_ref()
                .is_some_and(|view| subscription.owed || subscription.revision < view.revision)
    }

    /// Pushes the latest state, unless the client does not read, or may not.
    pub(crate) fn push(&mut self, index: u32, turn: &mut Turn<'_>) -> bool {
        if !self.may_be_pushed(index) {
            return false;
        }
        let subscription = &mut self.subscriptions.records[index];
        let service = &mut self.subscriptions.services[subscription.service];
        let slot = subscription.conn;
        let connection = self.table.at_mut(slot).expect("subscriptions go with it");
        let Some(view) = &service.view else { return false };
        if connection.congested || connection.stage != ConnectionStage::Registered {
            subscription.stage = Stage::Idle;
            subscription.held = false;
            return false;
        }
        let number = connection.next_request();
        let note = Note {
            happened: Happened::Sent,
            revision: view.revision,
            unix_ms: turn.now.unix_ms,
            conn_id_ms: connection.id_ms,
            slot,
            number: number as u32,
        };
        self.trace.note(service.topic, note);
        subscription.number = number as u32;
        subscription.stage = Stage::InFlight;
        subscription.owed = false;
        subscription.held = false;
        subscription.revision = view.revision;
        let info = service.bodies.get(view, self.subscriptions.filters.get(subscription.filter));
        self.counters.pushes += 1;
        self.counters.pushes_empty += u64::from(view.is_empty());
        let conn = self.table.key_of(slot, self.table.at(slot).expect("looked at above"));
        let body = answer::notify(id::of_subscription(number, index), info);
        turn.effects.push(Effect::Push { conn, body });
        self.arm_subscription(index, turn.lived_ms + u64::from(self.settings.push_timeout_ms));
        true
    }

    /// Pushes after a while instead of now.
    pub(crate) fn delay(&mut self, index: u32, delay_ms: u32, now_ms: u64) {
        let subscription = &mut self.subscriptions.records[index];
        subscription.stage = Stage::Delayed;
        subscription.held = false;
        self.arm_subscription(index, now_ms + u64::from(delay_ms));
    }

    /// Sets when a subscription's stage ends by itself.
    pub(crate) fn arm_subscription(&mut self, index: u32, deadline: u64) {
        let subscription = &mut self.subscriptions.records[index];
        subscription.deadline = deadline as u32;
        if !self.wheel.covers(subscription.timer, deadline) {
            subscription.timer = self.wheel.insert(deadline, Timer::Subscription(index));
        }
    }

    /// The wheel came round.
    pub(crate) fn subscription_due(&mut self, index: u32, tick: Tick, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(subscription) = self.subscriptions.records.get_mut(index) else { return };
        if subscription.timer != tick {
            return;
        }
        subscription.timer = NO_TICK;
        let waits = matches!(subscription.stage, Stage::InFlight | Stage::Delayed);
        if !waits || self.phase == Phase::Stopping {
            return;
        }
        let deadline = unwrapped(subscription.deadline, now_ms);
        if deadline > now_ms {
            return self.arm_subscription(index, deadline);
        }
        match subscription.stage {
            Stage::InFlight if subscription.held => self.patience_over(index, now_ms),
            Stage::InFlight => self.failed(index, Happened::Unanswered, turn),
            _ => {
                subscription.stage = Stage::Idle;
                self.subscriptions.look_at(index);
            }
        }
    }

    /// A newer state waited for an ack long enough: it goes, and the earlier push is forgotten.
    fn patience_over(&mut self, index: u32, now_ms: u64) {
        let behind = self.is_behind(index);
        let subscription = &mut self.subscriptions.records[index];
        subscription.held = false;
        if behind {
            subscription.stage = Stage::Idle;
            self.subscriptions.look_at(index);
        } else {
            let patience = u64::from(self.settings.push_timeout_ms);
            self.arm_subscription(index, now_ms + patience);
        }
    }

    /// A push got no ack in time, or a negative one: the latest state goes again, later.
    pub(crate) fn failed(&mut self, index: u32, how: Happened, turn: &mut Turn<'_>) {
        self.counters.pushes_failed += 1;
        let subscription = &mut self.subscriptions.records[index];
        subscription.owed = true;
        let revision = subscription.revision;
        self.note(index, how, turn.now.unix_ms, revision);
        self.delay(index, self.settings.push_retry_ms, turn.lived_ms);
    }

    /// A client reads again: what it missed is offered.
    pub(crate) fn resume(&mut self, slot: u32) {
        let Some(connection) = self.table.at(slot) else { return };
        let mut index = connection.subscriptions;
        while index != END {
            if self.is_behind(index) {
                self.subscriptions.look_at(index);
            }
            index = self.subscriptions.records[index].next;
        }
        self.resume_listeners(slot);
        self.resume_fuzzy::<Services>(slot);
        self.resume_fuzzy::<Configs>(slot);
    }
}

#[cfg(test)]
mod tests;
