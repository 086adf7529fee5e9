//! Answers to pushes. Only the id and `resultCode == 200` count (`grpc-protocol.md` 15).

use crate::conns::connection::Stage as ConnectionStage;
use crate::home::{HomeState, Phase, Turn, unwrapped};
use crate::key::ConnKey;
use crate::push::fuzzy::{Configs, Services};
use crate::push::id::{self, Target};
use crate::push::subscription::{Fan, Stage};
use crate::push::trace::Happened;
use crate::settings::PlantedBug;

impl HomeState {
    /// Any response on the stream. It shows life, whatever it answers; one that answers no push
    /// under way changes nothing else.
    pub(crate) fn acknowledged(
        &mut self,
        conn: ConnKey,
        request_id: u64,
        accepted: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        if connection.stage != ConnectionStage::Registered {
            return;
        }
        let (number, target) = id::parse(request_id);
        match target {
            Target::Connection => {
                if !self.connection_acknowledged(conn, number, accepted, turn) {
                    // Numbers are the connection's: only one of them knows this one.
                    self.fuzzy_acknowledged::<Services>(conn, number, accepted, turn);
                    self.fuzzy_acknowledged::<Configs>(conn, number, accepted, turn);
                }
            }
            Target::Listener(index) => {
                self.listener_acknowledged(conn, index, number, accepted, turn);
            }
            Target::Subscription(index) => {
                self.subscription_acknowledged(conn, index, number, accepted, turn);
            }
        }
        if let Some(connection) = self.table.get_mut(conn) {
            connection.active(turn.lived_ms);
        }
    }

    fn subscription_acknowledged(
        &mut self,
        conn: ConnKey,
        index: u32,
        number: u64,
        accepted: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(subscription) = self.subscriptions.records.get_mut(index) else { return };
        if subscription.conn != conn.slot
            || subscription.stage != Stage::InFlight
            || subscription.number != number as u32
            || self.phase == Phase::Stopping
        {
            return;
        }
        if !accepted {
            return self.failed(index, Happened::Refused, turn);
        }
        self.counters.pushes_acknowledged += 1;
        if !subscription.held {
            let sent = unwrapped(subscription.deadline, turn.lived_ms)
                .saturating_sub(u64::from(self.settings.push_timeout_ms));
            let took = turn.lived_ms.saturating_sub(sent);
            self.counters.push_ack_ms_sum += took;
            self.counters.push_ack_ms_max = self.counters.push_ack_ms_max.max(took);
        }
        subscription.stage = Stage::Idle;
        let held = std::mem::replace(&mut subscription.held, false);
        let revision = subscription.revision;
        self.note(index, Happened::Acknowledged, turn.now.unix_ms, revision);
        if held && self.settings.has_bug(PlantedBug::AckForgetsHeld) {
            return;
        }
        // With a delay nothing is held back for an ack; what is newer waits for its own time.
        let fan = self.subscriptions.services[self.subscriptions.records[index].service].fan;
        if self.settings.push_delay_ms.is_none() && fan != Fan::Delayed {
            self.offer(index, turn);
        }
    }
}
