//! Calls of the open API: whoever calls has no connection here, only a ticket for his answer.

use crate::home::{HomeState, Phase, Turn};
use crate::key::Owner;
use crate::limits::REFUSED_DELAY_MS;
use crate::message::{Ask, Waiter};
use crate::naming::answer;
use crate::naming::open::{self, Answer, Approved, Call, Means, Order, Refused};
use nacre_proto::request::Kind;

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
        // An operator looks at a node that starts or stops, too.
        if let Call::Look { core, look } = call {
            let (waiter, to) = (Waiter::of_ticket(self.table.home(), ticket), Owner(core));
            if core.0 >= self.map.cores || !self.lanes.has_room(to, turn) {
                return Err(Refused::busy("Server is busy, please try again later."));
            }
            self.lanes.send(to, Ask::Look { waiter, look }, turn);
            return Ok(());
        }
        if let Call::Reset { core, reset } = call {
            let (waiter, to) = (Waiter::of_ticket(self.table.home(), ticket), Owner(core));
            if core.0 >= self.map.cores || !self.lanes.has_room(to, turn) {
                return Err(Refused::busy("Server is busy, please try again later."));
            }
            self.lanes.send(to, Ask::Reset { waiter, reset }, turn);
            return Ok(());
        }
        if self.phase == Phase::Starting {
            return Err(Refused::busy("server is STARTING now, please try again later!"));
        }
        let call = match call {
            Call::Propose(command) => return self.propose_open(ticket, command, turn),
            Call::Recall(question) => {
                let durable = self.map.durable();
                if !self.lanes.has_room(durable, turn) {
                    return Err(Refused::busy("Server is busy, please try again later."));
                }
                let waiter = Waiter::of_ticket(self.table.home(), ticket);
                self.lanes.send(durable, Ask::Recall { waiter, question }, turn);
                return Ok(());
            }
            Call::Config(call) => return self.config_open(ticket, call, turn),
            call => call,
        };
        let waiter = Waiter::of_ticket(self.table.home(), ticket);
        let mut means = Means { rules: &self.settings.naming, now: turn.now, ids: &mut self.ids };
        let order = open::accept(call, &mut means)?;
        let to = match &order {
            Order::Names { namespace, .. } | Order::Search { namespace, .. } => {
                self.map.directory(namespace)
            }
            about => self.map.owner(about.service().expect("only names are of a directory")),
        };
        if !self.lanes.has_room(to, turn) {
            return Err(Refused::busy("Server is busy, please try again later."));
        }
        self.lanes.send(to, Ask::Open { waiter, order: Box::new(order) }, turn);
        Ok(())
    }

    /// What an owner answered: to whoever waits, or on to the Raft core.
    pub(crate) fn opened(&mut self, waiter: Waiter, answer: Answer, turn: &mut Turn<'_>) {
        let answer = match answer {
            Answer::Approved(approved) => match self.approved(waiter, approved, turn) {
                Ok(()) => return,
                Err(refused) => Answer::Refused(refused),
            },
            answer => answer,
        };
        if let Some(ticket) = waiter.conn.ticket() {
            return self.answer_open(ticket, answer, turn);
        }
        match answer {
            Answer::Refused(refused) if refused.status == 503 => {
                let body = answer::typed_error(Kind::PersistentInstance, 503, &refused.text);
                self.answer_late(waiter, body, REFUSED_DELAY_MS, turn);
            }
            Answer::Refused(refused) => {
                self.counters.refusals.invalid += 1;
                let body = answer::thrown(i32::from(refused.status), &refused.text);
                self.answer(waiter, body, turn);
            }
            other => debug_assert!(false, "{other:?} answers no call of a connection"),
        }
    }

    fn approved(
        &mut self,
        waiter: Waiter,
        Approved { purpose, command }: Approved,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let durable = self.map.durable();
        if !self.lanes.has_room(durable, turn) {
            self.counters.refusals.lane_full += 1;
            return Err(Refused::busy("Server is busy, please try again later."));
        }
        self.lanes.send(durable, Ask::Propose { waiter, purpose, command }, turn);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::effect::Effect;
    use crate::home::fixture::{Bench, OWNER};
    use crate::key::{Core, Home, Map, ServiceKey};
    use crate::limits::LaneLimits;
    use crate::message::{Ask, Message, Tell, Waiter};
    use crate::naming::answer;
    use crate::naming::open::{Answer, Call, Name};
    use crate::settings::Settings;

    /// About a service that the bench's other core owns.
    fn delete() -> Call {
        let names = (0..).map(|number| format!("s{number}"));
        let others = |name: &String| {
            let key = ServiceKey::new("public", "DEFAULT_GROUP", name);
            Map { cores: 2 }.owner(&key).0 == OWNER
        };
        let service = names.into_iter().find(others).expect("there is no end of names");
        Call::Delete { name: Name { service, ..Name::default() } }
    }

    fn call(bench: &mut Bench, ticket: u32, call: Call) -> Vec<Effect> {
        bench.handle(Message::Open { ticket, call })
    }

    fn status(effects: &[Effect]) -> (u32, u16) {
        match effects {
            [Effect::Answer { ticket, answer: Answer::Refused(refused) }] => {
                (*ticket, refused.status)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_goes_to_the_owner_and_its_answer_to_the_ticket() {
        let mut bench = Bench::new(Settings::default());
        let effects = call(&mut bench, 7, delete());
        let [Effect::Ask { to, ask: Ask::Open { waiter, .. } }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(to.0, OWNER);
        let effects = bench.tell(Tell::Opened { waiter: *waiter, answer: Answer::Done });
        assert_eq!(effects, [Effect::Answer { ticket: 7, answer: Answer::Done }]);
        // Any other ask takes a ticket, too.
        call(&mut bench, 9, delete());
        let waiter = Waiter::of_ticket(Home(Core(0)), 9);
        let effects = bench.tell(Tell::Answer { waiter, body: answer::health() });
        let answer = Answer::Body(answer::health());
        assert_eq!(effects, [Effect::Answer { ticket: 9, answer }]);
    }

    #[test]
    fn what_is_refused_is_answered_at_once() {
        let mut bench = Bench::new(Settings::default());
        let nameless = Call::Delete { name: Name::default() };
        assert_eq!(status(&call(&mut bench, 1, nameless)), (1, 400));
        let mut starting = Bench::starting(Settings::default());
        assert_eq!(status(&call(&mut starting, 2, delete())), (2, 503));
    }

    #[test]
    fn a_full_lane_refuses_and_takes_again_when_answered() {
        let lanes = LaneLimits { asks_max: 4, asks_reserved: 1, changes_max: 1 };
        let settings = Settings { lanes: Some(lanes), ..Settings::default() };
        let mut bench = Bench::new(settings);
        for ticket in 0..3 {
            assert!(matches!(call(&mut bench, ticket, delete())[..], [Effect::Ask { .. }]));
        }
        for ticket in 3..6 {
            assert!(call(&mut bench, ticket, delete()).is_empty(), "it waits");
        }
        assert_eq!(status(&call(&mut bench, 6, delete())), (6, 503));
        assert_eq!(bench.home.counters.refusals.lane_full, 1);
        let waiter = Waiter::of_ticket(Home(Core(0)), 0);
        bench.tell(Tell::Opened { waiter, answer: Answer::Done });
        assert!(matches!(call(&mut bench, 7, delete())[..], [Effect::Ask { .. }]));
    }
}
