//! Calls of the open API: whoever calls has no connection here, only a ticket for his answer.

use crate::home::{HomeState, Phase, Turn};
use crate::message::{Ask, Purpose, Waiter};
use crate::naming::open::{self, Answer, Call, Means, Order, Refused};

impl HomeState {
    /// One call; its answer leaves as [`crate::effect::Effect::Answer`].
    pub(crate) fn open(&mut self, ticket: u32, call: Call, turn: &mut Turn<'_>) {
        if let Err(refused) = self.open_ask(ticket, call, turn) {
            match refused.status {
                503 => self.counters.refusals.lane_full += 1,
                _ => self.counters.refusals.invalid += 1,
            }
            self.answer_open(ticket, Answer::Refused(refused), turn);
        }
    }

    fn open_ask(&mut self, ticket: u32, call: Call, turn: &mut Turn<'_>) -> Result<(), Refused> {
        if self.phase == Phase::Starting {
            return Err(Refused::busy("server is STARTING now, please try again later!"));
        }
        let waiter = Waiter::of_ticket(self.table.home(), ticket);
        if let Call::Propose(command) = call {
            let durable = self.map.durable();
            if !self.lanes.has_room(durable, turn) {
                return Err(Refused::busy("Server is busy, please try again later."));
            }
            let ask = Ask::Propose { waiter, purpose: Purpose::Open, command };
            self.lanes.send(durable, ask, turn);
            return Ok(());
        }
        let mut means = Means { rules: &self.settings.naming, now: turn.now, ids: &mut self.ids };
        let order = open::accept(call, &mut means)?;
        let to = match &order {
            Order::Names { namespace, .. } => self.map.directory(namespace),
            about => self.map.owner(about.service().expect("only names are of a directory")),
        };
        if !self.lanes.has_room(to, turn) {
            return Err(Refused::busy("Server is busy, please try again later."));
        }
        self.lanes.send(to, Ask::Open { waiter, order: Box::new(order) }, turn);
        Ok(())
    }
}
