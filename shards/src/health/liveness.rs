//! Whether clients still live (`grpc-protocol.md` 8), and their leave-taking when the server stops.
//!
//! Time here is time the process lived through: a gap in which it did not run moves every deadline
//! by itself (`architecture.md`, contract 6). Activity only stores a time; the wheel comes round
//! and looks.

use crate::conns::connection::{Connection, Stage, Waiting};
use crate::effect::{CloseReason, Effect};
use crate::health::wheel::{NO_TICK, Tick, Timer};
use crate::home::{HomeState, Phase, Turn, unwrapped};
use crate::key::ConnKey;
use crate::limits::LOOK_ROWS_MAX;
use crate::naming::answer;
use crate::push::id;

/// An operator's word to some connections of one home core: go elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Reset {
    pub conns: Vec<ConnKey>,
    /// Where to; the next server of the client's own list if nothing is said.
    pub to: Option<Place>,
}

/// A server clients are sent to.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub ip: Box<str>,
    pub port: Box<str>,
}

/// Deadlines of connections are rounded up to this, so that a quiet core wakes four times a second.
const ROUND_MS: u64 = 256;

impl HomeState {
    /// When the connection has to be looked at, by its record.
    fn connection_deadline(&self, connection: &Connection, now_ms: u64) -> Option<u64> {
        let waiting_until = unwrapped(connection.waiting_until, now_ms);
        let alive = match (connection.stage, connection.waiting) {
            (Stage::Closing, _) => return None,
            (Stage::Accepted, _) => connection.last_active_ms + u64::from(self.settings.setup_ms),
            (Stage::Registered, Waiting::Nothing) => {
                connection.last_active_ms + u64::from(self.settings.idle_ms)
            }
            (Stage::Registered, _) => waiting_until,
        };
        let congested = u64::from(self.settings.congested_ms);
        let reading =
            connection.congested.then(|| unwrapped(connection.congested_since, now_ms) + congested);
        Some(reading.map_or(alive, |reading| reading.min(alive)))
    }

    /// Makes sure the wheel looks at the connection in time.
    pub(crate) fn arm_connection(&mut self, slot: u32, now_ms: u64) {
        let Some(connection) = self.table.at(slot) else { return };
        let Some(deadline) = self.connection_deadline(connection, now_ms) else { return };
        let deadline = deadline.next_multiple_of(ROUND_MS);
        if !self.wheel.covers(connection.timer, deadline) {
            let tick = self.wheel.insert(deadline, Timer::Connection(slot));
            self.table.at_mut(slot).expect("looked at above").timer = tick;
        }
    }

    /// The wheel came round.
    pub(crate) fn connection_due(&mut self, slot: u32, tick: Tick, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(connection) = self.table.at_mut(slot) else { return };
        if connection.timer != tick {
            return;
        }
        connection.timer = NO_TICK;
        let connection = self.table.at(slot).expect("looked at above");
        let conn = self.table.key_of(slot, connection);
        match self.connection_deadline(connection, now_ms) {
            None => {}
            Some(deadline) if deadline > now_ms => self.arm_connection(slot, now_ms),
            Some(_) => self.connection_late(conn, turn),
        }
    }

    fn connection_late(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(connection) = self.table.get_mut(conn) else { return };
        let congested_ms = u64::from(self.settings.congested_ms);
        let reason = match (connection.stage, connection.waiting) {
            (Stage::Accepted, _) => CloseReason::NeverSetUp,
            (_, Waiting::Reset) => self.reset_reason(),
            (_, Waiting::Detection) if unwrapped(connection.waiting_until, now_ms) <= now_ms => {
                CloseReason::Ejected
            }
            _ if connection.congested
                && unwrapped(connection.congested_since, now_ms) + congested_ms <= now_ms =>
            {
                CloseReason::TooSlow
            }
            _ => return self.detect(conn, turn),
        };
        self.close(conn, reason, turn);
    }

    /// Asks a silent client whether it lives. One that does not read is not written to either, but
    /// has the same time to show life.
    fn detect(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(connection) = self.table.get_mut(conn) else { return };
        let number = connection.next_request();
        connection.waiting = Waiting::Detection;
        connection.waiting_number = number as u32;
        connection.waiting_until = (now_ms as u32).wrapping_add(self.settings.detection_ms);
        self.counters.detections += 1;
        if !connection.congested {
            let body = answer::client_detection(id::of_connection(number));
            turn.effects.push(Effect::Push { conn, body });
        }
        self.arm_connection(conn.slot, now_ms);
    }

    /// An answer to a request that was for the connection itself. False: it was not.
    pub(crate) fn connection_acknowledged(
        &mut self,
        conn: ConnKey,
        number: u64,
        accepted: bool,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(connection) = self.table.get_mut(conn) else { return false };
        if connection.waiting_number != number as u32 {
            return false;
        }
        match connection.waiting {
            Waiting::Nothing => return false,
            Waiting::Reset => self.close(conn, self.reset_reason(), turn),
            Waiting::Detection if accepted => connection.active(turn.lived_ms),
            Waiting::Detection => self.close(conn, CloseReason::Ejected, turn),
        }
        true
    }

    /// The client stopped reading, or reads again.
    pub(crate) fn congestion(&mut self, conn: ConnKey, congested: bool, turn: &mut Turn<'_>) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        if connection.congested == congested || connection.stage == Stage::Closing {
            return;
        }
        connection.congested = congested;
        if congested {
            connection.congested_since = turn.lived_ms as u32;
            self.arm_connection(conn.slot, turn.lived_ms);
        } else if self.phase != Phase::Stopping {
            self.resume(conn.slot);
        }
    }

    /// From here on nothing is pushed and leaving changes nothing; everybody is told to go
    /// elsewhere.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.reset_from = 0;
        self.subscriptions.stop();
        self.patterns.stop();
        self.listeners.stop();
        self.config_patterns.stop();
        self.scans.clear();
    }

    /// Tells the next of them.
    pub(crate) fn reset_some(&mut self, budget: usize, turn: &mut Turn<'_>) {
        let mut left = budget;
        while left > 0 && self.reset_from < self.table.slots() {
            let slot = self.reset_from;
            self.reset_from += 1;
            if let Some(conn) = self.key_at(slot) {
                self.send_reset(conn, turn);
                left -= 1;
            }
        }
    }

    /// Why a connection that was told to go elsewhere is closed.
    fn reset_reason(&self) -> CloseReason {
        match self.phase {
            Phase::Stopping => CloseReason::Stopping,
            Phase::Starting | Phase::Serving => CloseReason::Redirected,
        }
    }

    /// Tells some clients to go elsewhere; those that do not go are closed.
    pub(crate) fn reset(&mut self, reset: &Reset, turn: &mut Turn<'_>) {
        for conn in reset.conns.iter().take(LOOK_ROWS_MAX) {
            let registered = |connection: &Connection| connection.stage == Stage::Registered;
            if self.table.get(*conn).is_some_and(registered) {
                self.send_reset_to(*conn, reset.to.as_ref(), turn);
            }
        }
    }

    /// Tells one registered client to go elsewhere; closes one that never set up.
    pub(crate) fn send_reset(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        self.send_reset_to(conn, None, turn);
    }

    fn send_reset_to(&mut self, conn: ConnKey, to: Option<&Place>, turn: &mut Turn<'_>) {
        let now_ms = turn.lived_ms;
        let Some(connection) = self.table.get_mut(conn) else { return };
        match (connection.stage, connection.waiting) {
            (Stage::Closing, _) | (_, Waiting::Reset) => return,
            (Stage::Accepted, _) => return self.close(conn, CloseReason::Stopping, turn),
            (Stage::Registered, _) => {}
        }
        let number = connection.next_request();
        connection.waiting = Waiting::Reset;
        connection.waiting_number = number as u32;
        connection.waiting_until = (now_ms as u32).wrapping_add(self.settings.stop_ms);
        if !connection.congested {
            let to = to.map(|to| answer::Redirect { ip: &to.ip, port: &to.port });
            let body = answer::connect_reset(id::of_connection(number), to, None);
            turn.effects.push(Effect::Push { conn, body });
        }
        self.arm_connection(conn.slot, now_ms);
    }
}

#[cfg(test)]
mod tests;
