//! A home side with configs to read: core 0 of two; the Raft core is core 1, and the state it
//! applies commands to is here, so a test publishes by hand.

use crate::config::table::Tables;
use crate::durable::answer::Answer;
use crate::durable::state::State;
use crate::effect::{Body, Effect};
use crate::home::fixture::{Bench, OWNER, asks, setup};
use crate::key::ConnKey;
use crate::message::{Ask, Message, Tell};
use crate::settings::Settings;
use nacre_proto::request::{Kind, Request};
use serde_json::Value;
use std::sync::Arc;

pub struct Centre {
    pub bench: Bench,
    pub state: State,
}

impl Centre {
    /// A node that has replayed its (empty) log.
    pub fn new(settings: Settings) -> Self {
        let mut centre = Self::starting(settings);
        centre.serve();
        centre
    }

    pub fn starting(settings: Settings) -> Self {
        let tables = Arc::new(Tables::default());
        let mut bench = Bench::new(settings);
        bench.home.config_tables = tables.clone();
        Self { bench, state: State::new(tables) }
    }

    /// The log was replayed.
    pub fn serve(&mut self) {
        self.state.loaded();
        self.state.tables().set_ready();
    }

    /// A config client, set up.
    pub fn client(&mut self, slot: u32) -> ConnKey {
        self.client_with(slot, "192.0.2.2", &[])
    }

    pub fn client_with(
        &mut self,
        slot: u32,
        client_ip: &str,
        labels: &[(&'static str, &'static str)],
    ) -> ConnKey {
        let conn = self.bench.connect(slot);
        let mut setup = setup("sdk", "config", false);
        setup.labels.0.extend(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        assert_eq!(self.bench.handle(Message::Setup { conn, client_ip, setup }), []);
        conn
    }

    pub fn call(&mut self, conn: ConnKey, kind: Kind, json: &str) -> Vec<Effect> {
        self.call_tagged(conn, kind, None, json)
    }

    pub fn call_tagged(
        &mut self,
        conn: ConnKey,
        kind: Kind,
        tag: Option<&str>,
        json: &str,
    ) -> Vec<Effect> {
        let request = Ok(Request::parse(kind, json.as_bytes()).unwrap());
        self.bench.handle(Message::Call { conn, stream: 5, app: None, tag, request })
    }

    /// The one answer of a call.
    pub fn answer(&mut self, conn: ConnKey, kind: Kind, json: &str) -> Value {
        one_reply(&self.call(conn, kind, json))
    }

    /// Has the proposals among the effects applied, and everybody told: what the home side does
    /// then.
    pub fn carry_out(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let mut answers = Vec::new();
        for ask in asks(effects) {
            let Ask::Propose { waiter, purpose, command } = ask else { panic!("{ask:?}") };
            let outcome = Ok(self.state.apply(1, command, &mut Vec::new()));
            answers.push(Tell::Proposed { waiter: *waiter, purpose: *purpose, outcome });
        }
        let changes = self.state.settle();
        let mut all = self
            .bench
            .handle(Message::Tell { from: OWNER, tell: Tell::ConfigsChanged { changes } });
        for tell in answers {
            all.extend(self.bench.tell(tell));
        }
        all.extend(self.bench.drain());
        all
    }

    /// Publishes content for everybody, from nowhere: what the home side does.
    pub fn publish(&mut self, data_id: &str, content: &str) -> Vec<Effect> {
        self.publish_with(data_id, content, "")
    }

    pub fn publish_with(&mut self, data_id: &str, content: &str, members: &str) -> Vec<Effect> {
        let json = format!(
            r#"{{"dataId":"{data_id}","group":"g","content":"{content}","additionMap":{{{members}}}}}"#
        );
        self.propose(Kind::ConfigPublish, &json)
    }

    pub fn publish_in(&mut self, group: &str, data_id: &str, content: &str) -> Vec<Effect> {
        let json = format!(r#"{{"dataId":"{data_id}","group":"{group}","content":"{content}"}}"#);
        self.propose(Kind::ConfigPublish, &json)
    }

    pub fn remove(&mut self, data_id: &str) -> Vec<Effect> {
        let json = format!(r#"{{"dataId":"{data_id}","group":"g"}}"#);
        self.propose(Kind::ConfigRemove, &json)
    }

    fn propose(&mut self, kind: Kind, json: &str) -> Vec<Effect> {
        use crate::config::accept::{self, Asker};
        use crate::message::Now;
        let now = Now { tick_ms: 1, unix_ms: 1_795_264_950_755 };
        let asker = Asker { client_ip: "192.0.2.9", user: "", now };
        let rules = &self.bench.home.settings.config;
        let command = match Request::parse(kind, json.as_bytes()).unwrap().unwrap() {
            Request::ConfigPublish(request) => accept::publish(&request, rules, asker),
            Request::ConfigRemove(request) => accept::remove(&request, rules, asker),
            other => panic!("{other:?}"),
        };
        let answer = self.state.apply(1, &command.unwrap(), &mut Vec::new());
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
        self.carry_out(&[])
    }

    /// Listens to a config with content; the answer.
    pub fn listen(&mut self, conn: ConnKey, data_id: &str, tenant: &str, md5: &str) -> Value {
        let json = format!(
            r#"{{"configListenContexts":[{{"dataId":"{data_id}","group":"g","tenant":{tenant},
            "md5":"{md5}"}}]}}"#
        );
        self.answer(conn, Kind::ConfigBatchListen, &json)
    }
}

fn value(body: &Body) -> Value {
    serde_json::from_slice(&body.json.pieces().concat()).unwrap()
}

/// The one answer among the effects.
pub fn one_reply(effects: &[Effect]) -> Value {
    let mut replies = effects.iter().filter_map(|effect| match effect {
        Effect::Reply { body, .. } => Some(value(body)),
        _ => None,
    });
    let reply = replies.next().unwrap_or_else(|| panic!("no answer in {effects:?}"));
    assert!(replies.next().is_none());
    reply
}

/// The pushes among the effects: connection, type, JSON.
pub fn pushes(effects: &[Effect]) -> Vec<(ConnKey, &'static str, Value)> {
    let push = |effect: &Effect| match effect {
        Effect::Push { conn, body } => Some((*conn, body.kind, value(body))),
        _ => None,
    };
    effects.iter().filter_map(push).collect()
}

/// `requestId` of a push.
pub fn id(push: &(ConnKey, &'static str, Value)) -> u64 {
    push.2["requestId"].as_str().unwrap().parse().unwrap()
}
