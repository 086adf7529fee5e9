//! A home side on a bench: core 0 of two, every service owned by core 1, whose part the test plays.

use crate::effect::{Body, Effect, Effects};
use crate::home::{HomeState, Turn};
use crate::key::{ConnKey, Core, Home, Map, Owner, ServiceKey};
use crate::message::{Ask, Message, Now, Tell, Waiter};
use crate::naming::view::{Filter, Frame, View};
use crate::settings::Settings;
use ahash::RandomState;
use nacre_proto::link::ConnectionSetupRequest;
use nacre_proto::naming::{Instance, InstanceRequest, SubscribeServiceRequest};
use nacre_proto::request::Request;
use nacre_proto::text::{Flags, Pairs};
use std::collections::VecDeque;
use std::sync::Arc;

pub const OWNER: Core = Core(1);

pub struct Bench {
    pub home: HomeState,
    pub now_ms: u64,
    pub stalled_ms: u64,
}

impl Bench {
    /// A started node.
    pub fn new(settings: Settings) -> Self {
        let mut bench = Self::starting(settings);
        assert_eq!(bench.handle(Message::Started), []);
        bench
    }

    pub fn starting(settings: Settings) -> Self {
        let hasher = RandomState::with_seed(7);
        let home = HomeState::new(Core(0), Map { cores: 2 }, settings, hasher);
        Self { home, now_ms: 1_000, stalled_ms: 0 }
    }

    pub fn turn(&mut self, act: impl FnOnce(&mut HomeState, &mut Turn<'_>)) -> Vec<Effect> {
        let mut effects = Effects::default();
        let mut local = VecDeque::new();
        let now = Now { tick_ms: self.now_ms, unix_ms: 1_700_000_000_000 + self.now_ms };
        let lived_ms = self.now_ms - self.stalled_ms;
        act(&mut self.home, &mut Turn { now, lived_ms, effects: &mut effects, local: &mut local });
        assert!(local.is_empty(), "services of the bench are owned by core 1");
        effects.list
    }

    pub fn handle(&mut self, message: Message<'_>) -> Vec<Effect> {
        self.turn(|home, turn| home.handle(message, turn))
    }

    pub fn drain(&mut self) -> Vec<Effect> {
        self.turn(|home, turn| home.drain(usize::MAX, turn))
    }

    /// Lets time pass in steps of a wheel's bucket, each with its tick and drain.
    pub fn pass(&mut self, ms: u64) -> Vec<Effect> {
        let mut all = Vec::new();
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms = (self.now_ms + 16).min(end);
            all.extend(self.turn(|home, turn| home.tick(turn)));
            all.extend(self.drain());
        }
        all
    }

    pub fn connect(&mut self, slot: u32) -> ConnKey {
        let conn = key(slot);
        let peer = "10.0.0.7:5000".parse().unwrap();
        assert_eq!(self.handle(Message::Connected { conn, peer, id_ms: 42 }), []);
        conn
    }

    pub fn set_up(&mut self, conn: ConnKey, module: &str, abilities: bool) -> Vec<Effect> {
        let setup = setup("sdk", module, abilities);
        self.handle(Message::Setup { conn, client_ip: "192.0.2.2", setup })
    }

    /// A naming client, set up.
    pub fn client(&mut self, slot: u32) -> ConnKey {
        let conn = self.connect(slot);
        assert_eq!(self.set_up(conn, "naming", false), []);
        conn
    }

    pub fn call(&mut self, conn: ConnKey, stream: u32, request: Request<'_>) -> Vec<Effect> {
        let request = Ok(Some(request));
        self.handle(Message::Call { conn, stream, app: None, tag: None, request })
    }

    pub fn subscribe(&mut self, conn: ConnKey, service: &ServiceKey, on: bool) -> Vec<Effect> {
        self.call(conn, 9, subscribe(service, on, ""))
    }

    pub fn register(&mut self, conn: ConnKey, service: &ServiceKey, kind: &str) -> Vec<Effect> {
        self.call(conn, 7, register(service, kind))
    }

    pub fn ack(&mut self, conn: ConnKey, request_id: u64, accepted: bool) -> Vec<Effect> {
        self.handle(Message::Ack { conn, request_id, accepted })
    }

    pub fn tell(&mut self, tell: Tell) -> Vec<Effect> {
        self.handle(Message::Tell { from: OWNER, tell })
    }

    /// The owner's answer to a Subscribe.
    pub fn subscribed(&mut self, conn: ConnKey, key: &ServiceKey, revision: u64) -> Vec<Effect> {
        let waiter = Waiter { conn, stream: 9 };
        let (service, filter) = (key.clone(), Box::new(Filter::all()));
        let view = view(key, revision);
        self.tell(Tell::Subscribed { waiter, service, filter, view })
    }

    pub fn changed(&mut self, key: &ServiceKey, revision: u64) -> Vec<Effect> {
        self.tell(Tell::Changed { service: key.clone(), view: view(key, revision) })
    }

    /// A naming client that follows the service, has seen revision 1 and acknowledged the first
    /// push.
    pub fn follower(&mut self, slot: u32, service: &ServiceKey) -> ConnKey {
        let conn = self.client(slot);
        self.subscribe(conn, service, true);
        let effects = self.subscribed(conn, service, 1);
        let id = pushes(&effects).last().expect("a first subscriber is owed a push").0;
        assert_eq!(self.ack(conn, id, true), []);
        conn
    }
}

pub fn key(slot: u32) -> ConnKey {
    ConnKey { home: Home(Core(0)), slot, generation: 1 }
}

pub fn setup(source: &str, module: &str, abilities: bool) -> ConnectionSetupRequest<'static> {
    let label = |key: &'static str, value: &str| (key.into(), value.to_owned().into());
    ConnectionSetupRequest {
        client_version: Some("Nacos-Java-Client:v3.1.1".into()),
        tenant: None,
        labels: Pairs(vec![label("source", source), label("module", module)]),
        ability_table: abilities.then(Flags::default),
    }
}

/// The n-th service owned by core 1.
pub fn service(n: usize) -> ServiceKey {
    let map = Map { cores: 2 };
    (0..)
        .map(|n| ServiceKey::new("public", "DEFAULT_GROUP", &format!("orders-{n}")))
        .filter(|key| map.owner(key) == Owner(OWNER))
        .nth(n)
        .expect("half of all names")
}

pub fn register(service: &ServiceKey, kind: &str) -> Request<'static> {
    Request::Instance(InstanceRequest {
        namespace: Some(service.namespace().to_owned().into()),
        service_name: Some(service.service().to_owned().into()),
        group_name: Some(service.group().to_owned().into()),
        operation: Some(kind.to_owned().into()),
        instance: Some(Instance {
            ip: Some("192.0.2.10".into()),
            port: 8080,
            ..Default::default()
        }),
    })
}

pub fn subscribe(service: &ServiceKey, on: bool, clusters: &str) -> Request<'static> {
    Request::SubscribeService(SubscribeServiceRequest {
        namespace: Some(service.namespace().to_owned().into()),
        service_name: Some(service.service().to_owned().into()),
        group_name: Some(service.group().to_owned().into()),
        subscribe: on,
        clusters: Some(clusters.to_owned().into()),
    })
}

pub fn view(service: &ServiceKey, revision: u64) -> Arc<View> {
    let hasher = RandomState::with_seed(7);
    let frame = Frame { service, revision, cache_ms: 10_000, metadata: None, hasher: &hasher };
    Arc::new(View::build(&frame, std::iter::empty()))
}

pub fn text(body: &Body) -> String {
    String::from_utf8(body.json.pieces().concat()).unwrap()
}

/// The pushes among the effects: id, connection, `lastRefTime` (0 if it has none).
pub fn pushes(effects: &[Effect]) -> Vec<(u64, ConnKey, u64)> {
    let push = |effect: &Effect| match effect {
        Effect::Push { conn, body } => {
            let text = text(body);
            Some((number(&text, "\"requestId\":\""), *conn, number(&text, "\"lastRefTime\":")))
        }
        _ => None,
    };
    effects.iter().filter_map(push).collect()
}

fn number(text: &str, before: &str) -> u64 {
    let Some(at) = text.find(before) else { return 0 };
    let digits: String =
        text[at + before.len()..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The asks among the effects.
pub fn asks(effects: &[Effect]) -> Vec<&Ask> {
    let ask = |effect| match effect {
        &Effect::Ask { to, ref ask } => {
            assert_eq!(to, Owner(OWNER));
            Some(ask)
        }
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}

/// The one answer among the effects: its kind, text and delay.
pub fn reply(effects: &[Effect]) -> (&'static str, String, u32) {
    match effects {
        [Effect::Reply { body, delay_ms, .. }] => (body.kind, text(body), *delay_ms),
        other => panic!("one answer, not {other:?}"),
    }
}
