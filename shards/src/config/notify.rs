//! From a change of a config to its listeners (`config.md` 6): when each is told, and how often.
//!
//! A notification says only which config; the client then compares and asks. The first change
//! leaves at once. While it is not acknowledged, a later one is held back until the ack, or for a
//! while at most: the client may have looked before it happened. Without an ack it is repeated
//! after 2 s, 4 s, 6 s, …; after fifty repetitions the connection is given up. A client that does
//! not read is not written to; what it missed stays owed.

use crate::config::listen::Stage;
use crate::conns::connection::Stage as ConnectionStage;
use crate::durable::state::Change;
use crate::effect::{CloseReason, Effect};
use crate::health::wheel::{NO_TICK, Tick, Timer};
use crate::home::{HomeState, Phase, Turn, unwrapped};
use crate::key::ConnKey;
use crate::limits::{FAN_SLICE, VISITS_PER_TURN_MAX};
use crate::message::NameChange;
use crate::push::fuzzy::Configs;
use crate::push::id;
use crate::push::trace::{Happened, Note};
use crate::settings::PlantedBug;
use crate::slab::END;

/// The n-th repetition comes n times this after the failure.
const RETRY_STEP_MS: u64 = 2_000;

impl HomeState {
    /// The Raft core tells of changed configs; the tables show them already.
    pub(crate) fn configs_changed(&mut self, changes: &[Change]) {
        if self.phase == Phase::Stopping {
            return;
        }
        for change in changes {
            if change.told {
                self.polls.config_changed(&change.key);
            }
            if change.told
                && let Some(config) = self.listeners.config(&change.key)
            {
                let listened = &mut self.listeners.configs[config];
                // Those of the round under way who were told already must look once more.
                if std::mem::replace(&mut listened.fanning, true) {
                    listened.again = true;
                } else {
                    listened.cursor = listened.listeners.len() as u32;
                    self.listeners.fanning.push_back(config);
                }
            }
            if let Some(presence) = change.presence {
                if presence == NameChange::Added {
                    self.scans_find(&change.key);
                }
                self.name_changed::<Configs>(change.key.clone(), presence);
            }
        }
    }

    /// Hands out at most `budget` notifications. How many were.
    pub(crate) fn notify_some(&mut self, budget: usize, turn: &mut Turn<'_>) -> usize {
        let (mut left, mut visits) = (budget, VISITS_PER_TURN_MAX);
        let fanning = !self.listeners.fanning.is_empty();
        let mut single = if fanning { budget.div_ceil(2) } else { budget };
        while single > 0
            && visits > 0
            && let Some(index) = self.listeners.ready.pop_front()
        {
            visits -= 1;
            if let Some(listener) = self.listeners.records.get_mut(index) {
                listener.queued = false;
                if self.offer_change(index, turn) {
                    single -= 1;
                    left -= 1;
                }
            }
        }
        self.fuzzy_some::<Configs>(&mut left, turn);
        while left > 0
            && visits > 0
            && let Some(config) = self.listeners.fanning.pop_front()
        {
            if self.notify_slice(config, &mut left, &mut visits, turn) {
                self.listeners.fanning.push_back(config);
            }
        }
        budget - left
    }

    /// Tells the next listeners of a config. True: there is more to do.
    ///
    /// The cursor moves down, as in the fan-out of services: a listener that leaves is replaced by
    /// the last of the list, so nobody is missed. Newcomers join at the end, with what they were
    /// just answered.
    fn notify_slice(
        &mut self,
        config: u32,
        left: &mut usize,
        visits: &mut usize,
        turn: &mut Turn<'_>,
    ) -> bool {
        let others = !self.listeners.fanning.is_empty();
        let mut slice = if others { FAN_SLICE.min(left.div_ceil(2)) } else { FAN_SLICE };
        loop {
            let Some(listened) = self.listeners.configs.get_mut(config) else { return false };
            if !listened.fanning {
                return false;
            }
            listened.cursor = listened.cursor.min(listened.listeners.len() as u32);
            if listened.cursor == 0 {
                listened.fanning = std::mem::take(&mut listened.again);
                if !listened.fanning {
                    return false;
                }
                listened.cursor = listened.listeners.len() as u32;
            }
            if slice == 0 || *left == 0 || *visits == 0 {
                return true;
            }
            listened.cursor -= 1;
            let index = listened.listeners[listened.cursor as usize];
            slice -= 1;
            *visits -= 1;
            self.listeners.records[index].owed = true;
            if self.offer_change(index, turn) {
                *left -= 1;
            }
        }
    }

    /// Notifies a listener, if it is owed that and may have it now. True: notified.
    fn offer_change(&mut self, index: u32, turn: &mut Turn<'_>) -> bool {
        let listener = &mut self.listeners.records[index];
        if !listener.owed || listener.stage == Stage::Withheld {
            return false;
        }
        if listener.stage == Stage::InFlight {
            self.counters.configs.coalesced += 1;
            if self.settings.has_bug(PlantedBug::NotifyInFlightCovers) {
                listener.owed = false;
            } else if !std::mem::replace(&mut listener.held, true) {
                let patience = u64::from(self.settings.push_coalesce_ms);
                self.arm_listener(index, turn.lived_ms + patience);
            }
            return false;
        }
        self.notify(index, turn)
    }

    fn notify(&mut self, index: u32, turn: &mut Turn<'_>) -> bool {
        if !self.may_be_notified(index) {
            return false;
        }
        let listener = &mut self.listeners.records[index];
        let slot = listener.conn;
        listener.held = false;
        let connection = self.table.at_mut(slot).expect("listeners go with it");
        let home = self.home;
        if connection.congested || connection.stage != ConnectionStage::Registered {
            listener.stage = Stage::Idle;
            return false;
        }
        let number = connection.next_request();
        let conn = ConnKey { home, slot, generation: connection.generation };
        let note = Note {
            happened: Happened::Sent,
            revision: 0,
            unix_ms: turn.now.unix_ms,
            conn_id_ms: connection.id_ms,
            slot,
            number: number as u32,
        };
        self.trace.note(self.listeners.configs[listener.config].topic, note);
        listener.number = number as u32;
        listener.stage = Stage::InFlight;
        listener.owed = false;
        self.counters.configs.notified += 1;
        let key = &self.listeners.configs[listener.config].key;
        let request_id = id::of_listener(number, index);
        let body = crate::config::answer::notify(request_id, key, !listener.blank_tenant);
        turn.effects.push(Effect::Push { conn, body });
        let timeout = u64::from(self.settings.config.push_timeout_ms);
        self.arm_listener(index, turn.lived_ms + timeout);
        true
    }

    /// Sets when a listener's stage ends by itself.
    fn arm_listener(&mut self, index: u32, deadline: u64) {
        let listener = &mut self.listeners.records[index];
        listener.deadline = deadline as u32;
        if !self.wheel.covers(listener.timer, deadline) {
            listener.timer = self.wheel.insert(deadline, Timer::Listener(index));
        }
    }

    /// The wheel came round.
    pub(crate) fn listener_due(&mut self, index: u32, tick: Tick, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(listener) = self.listeners.records.get_mut(index) else { return };
        if listener.timer != tick {
            return;
        }
        listener.timer = NO_TICK;
        let waits = matches!(listener.stage, Stage::InFlight | Stage::Delayed);
        if !waits || self.phase == Phase::Stopping {
            return;
        }
        let deadline = unwrapped(listener.deadline, now_ms);
        if deadline > now_ms {
            return self.arm_listener(index, deadline);
        }
        match listener.stage {
            // Patience is over: the earlier notification is forgotten.
            Stage::InFlight if listener.held => {
                listener.held = false;
                listener.stage = Stage::Idle;
                self.listeners.look_at(index);
            }
            Stage::InFlight => self.notify_failed(index, Happened::Unanswered, turn),
            _ => {
                listener.stage = Stage::Idle;
                self.listeners.look_at(index);
            }
        }
    }

    /// An answer to a notification.
    pub(crate) fn listener_acknowledged(
        &mut self,
        conn: ConnKey,
        index: u32,
        number: u64,
        accepted: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(listener) = self.listeners.records.get_mut(index) else { return };
        if listener.conn != conn.slot
            || listener.stage != Stage::InFlight
            || listener.number != number as u32
            || self.phase == Phase::Stopping
        {
            return;
        }
        if !accepted {
            return self.notify_failed(index, Happened::Refused, turn);
        }
        self.counters.configs.acknowledged += 1;
        listener.stage = Stage::Idle;
        listener.held = false;
        listener.tries = 0;
        if listener.owed {
            self.listeners.look_at(index);
        }
        self.note_notified(index, Happened::Acknowledged, turn);
    }

    /// Notes for an operator what came of a listener's last notification.
    fn note_notified(&mut self, index: u32, happened: Happened, turn: &Turn<'_>) {
        let listener = &self.listeners.records[index];
        let Some(connection) = self.table.at(listener.conn) else { return };
        let (slot, number) = (listener.conn, listener.number);
        let (unix_ms, conn_id_ms) = (turn.now.unix_ms, connection.id_ms);
        let note = Note { happened, revision: 0, unix_ms, conn_id_ms, slot, number };
        self.trace.note(self.listeners.configs[listener.config].topic, note);
    }

    /// No ack in time, or a negative one.
    fn notify_failed(&mut self, index: u32, how: Happened, turn: &mut Turn<'_>) {
        self.counters.configs.failed += 1;
        self.note_notified(index, how, turn);
        let listener = &mut self.listeners.records[index];
        listener.tries = listener.tries.saturating_add(1);
        listener.owed = true;
        listener.held = false;
        if listener.tries > self.settings.config.push_tries_max {
            self.counters.configs.given_up += 1;
            let slot = listener.conn;
            if let Some(conn) = self.key_at(slot) {
                self.close(conn, CloseReason::TooSlow, turn);
            }
            return;
        }
        listener.stage = Stage::Delayed;
        let pause = RETRY_STEP_MS * u64::from(listener.tries);
        self.arm_listener(index, turn.lived_ms + pause);
    }

    /// A client reads again: what it missed is offered.
    pub(crate) fn resume_listeners(&mut self, slot: u32) {
        let links = self.table.at(slot).and_then(|connection| connection.links.as_ref());
        let Some(mut index) = links.map(|links| links.listeners.first) else { return };
        while index != END {
            let listener = &self.listeners.records[index];
            let next = listener.next;
            if listener.owed && listener.stage == Stage::Idle {
                self.listeners.look_at(index);
            }
            index = next;
        }
    }
}

#[cfg(test)]
mod tests;
