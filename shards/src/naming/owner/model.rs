//! The owner against a naive model: random asks, room that comes and goes, a clock that stands
//! still, jumps and is cleaned by. What every home core was last told must be what is published.

use super::*;
use crate::key::ConnKey;
use crate::naming::host::{Host, Ids};
use nacre_proto::naming::Instance;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

const CORES: u16 = 3;
const MAP: Map = Map { cores: CORES };

#[derive(Debug, Clone)]
enum Step {
    /// (home, slot) publishes these ports of a service: one, or a batch.
    Publish(u16, u32, usize, Vec<i64>),
    Withdraw(u16, u32, usize),
    Subscribe(u16, usize),
    Uninterested(u16, usize),
    Query(usize),
    /// Time passes, ms.
    Wait(u64),
    /// Room for so many messages per core.
    Drain([usize; 3]),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let home = 0..CORES;
    let service = 0usize..4;
    let ports = proptest::collection::vec(1i64..5, 1..4);
    let step = prop_oneof![
        6 => (home.clone(), 0u32..3, service.clone(), ports)
            .prop_map(|(home, slot, service, ports)| Step::Publish(home, slot, service, ports)),
        4 => (home.clone(), 0u32..3, service.clone())
            .prop_map(|(home, slot, service)| Step::Withdraw(home, slot, service)),
        3 => (home.clone(), service.clone())
            .prop_map(|(home, service)| Step::Subscribe(home, service)),
        2 => (home, service.clone())
            .prop_map(|(home, service)| Step::Uninterested(home, service)),
        1 => service.prop_map(Step::Query),
        1 => prop_oneof![Just(0), Just(5), Just(61_000), Just(400_000)].prop_map(Step::Wait),
        4 => (0usize..3, 0usize..3, 0usize..3).prop_map(|(a, b, c)| Step::Drain([a, b, c])),
    ];
    proptest::collection::vec(step, 1..150)
}

/// What the world outside of the owner knows.
struct World {
    state: OwnerState,
    now: Now,
    keys: Vec<ServiceKey>,
    /// By service, in order of first registration: (connection, ports).
    published: Vec<Vec<(ConnKey, Vec<i64>)>>,
    /// By (home, service): the newest revision and ports it was told.
    told: BTreeMap<(u16, usize), (u64, Vec<i64>)>,
    /// By service: the highest revision anybody saw.
    highest: Vec<u64>,
    /// By name: what the directory was told.
    named: BTreeMap<usize, (bool, bool)>,
}

fn ports(info: &Value) -> Vec<i64> {
    let hosts = info["hosts"].as_array().unwrap();
    hosts.iter().map(|host| host["port"].as_i64().unwrap()).collect()
}

fn view_ports(view: &View) -> Vec<i64> {
    ports(&serde_json::from_slice(&view.body(&Filter::all())).unwrap())
}

impl World {
    fn new() -> Self {
        let owned = |key: &ServiceKey| MAP.owner(key).0 == Core(0);
        let names = (0..).map(|name| ServiceKey::new("public", "G", &format!("s{name}")));
        Self {
            state: OwnerState::new(Core(0), MAP, 3, Rules::default()),
            now: Now { tick_ms: 0, unix_ms: 1_000_000 },
            keys: names.filter(owned).take(4).collect(),
            published: vec![vec![]; 4],
            told: BTreeMap::new(),
            highest: vec![0; 4],
            named: BTreeMap::new(),
        }
    }

    fn number(&self, key: &ServiceKey) -> usize {
        self.keys.iter().position(|known| known == key).unwrap()
    }

    fn publication(&self, service: usize, ports: &[i64]) -> Box<Publication> {
        let host = |port: &i64| {
            let instance = Instance { ip: Some("1".into()), port: *port, ..Instance::default() };
            Host::new(&instance, &self.keys[service], &mut Ids::new(Core(0)), self.now)
        };
        match ports {
            [port] => Box::new(Publication::One(host(port))),
            _ => Box::new(Publication::Batch(ports.iter().map(host).collect())),
        }
    }

    /// Equal instances are shown once, the first one.
    fn expected(&self, service: usize) -> Vec<i64> {
        let mut shown = vec![];
        for port in self.published[service].iter().flat_map(|(_, ports)| ports) {
            if !shown.contains(port) {
                shown.push(*port);
            }
        }
        shown
    }

    fn ask(&mut self, home: u16, ask: Ask) -> Tell {
        self.state.handle(self.now, Core(home), ask)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(home, slot, service, ports) => {
                let conn = ConnKey { home: Home(Core(home)), slot, generation: 0 };
                let publication = self.publication(service, &ports);
                let key = self.keys[service].clone();
                let waiter = Waiter { conn, stream: 1 };
                self.ask(home, Ask::Publish { waiter, service: key, publication });
                let entries = &mut self.published[service];
                match entries.iter_mut().find(|(there, _)| *there == conn) {
                    Some(entry) => entry.1 = ports,
                    None => entries.push((conn, ports)),
                }
            }
            Step::Withdraw(home, slot, service) => {
                let conn = ConnKey { home: Home(Core(home)), slot, generation: 0 };
                let waiter = Waiter { conn, stream: 0 };
                let key = self.keys[service].clone();
                self.ask(home, Ask::Withdraw { waiter, service: key });
                self.published[service].retain(|(there, _)| *there != conn);
            }
            Step::Subscribe(home, service) => self.subscribe(home, service),
            Step::Uninterested(home, service) => {
                let key = self.keys[service].clone();
                self.ask(home, Ask::Uninterested { service: key });
                self.told.remove(&(home, service));
            }
            Step::Query(service) => self.query(service),
            Step::Wait(ms) => {
                self.now.tick_ms += ms;
                self.now.unix_ms += ms;
                self.state.tick(self.now);
            }
            Step::Drain(room) => self.drain(room),
        }
    }

    fn subscribe(&mut self, home: u16, service: usize) {
        let conn = ConnKey { home: Home(Core(home)), slot: 9, generation: 0 };
        let (waiter, key) = (Waiter { conn, stream: 1 }, self.keys[service].clone());
        let filter = Box::new(Filter::all());
        match self.ask(home, Ask::Subscribe { waiter, service: key, filter }) {
            Tell::Subscribed { view, .. } => {
                assert_eq!(view_ports(&view), self.expected(service), "read your writes");
                self.tell(home, service, &view);
            }
            other => panic!("{other:?}"),
        }
    }

    fn query(&mut self, service: usize) {
        let conn = ConnKey { home: Home(Core(1)), slot: 8, generation: 0 };
        let ask = Ask::Query {
            waiter: Waiter { conn, stream: 1 },
            service: self.keys[service].clone(),
            filter: Box::new(Filter::all()),
            purpose: QueryPurpose::Query,
        };
        let (Tell::Answer { body, .. } | Tell::Queried { body, .. }) = self.ask(1, ask) else {
            panic!("an answer is owed")
        };
        let json: Value = serde_json::from_slice(&body.json.pieces().concat()).unwrap();
        let info = &json["serviceInfo"];
        assert_eq!(ports(info), self.expected(service));
        self.saw(service, info["lastRefTime"].as_u64().unwrap());
    }

    /// Revisions of one service never go back, whoever looks.
    fn saw(&mut self, service: usize, revision: u64) {
        assert!(revision >= self.highest[service]);
        self.highest[service] = revision;
    }

    fn tell(&mut self, home: u16, service: usize, view: &View) {
        self.saw(service, view.revision);
        let ports = view_ports(view);
        if let Some((revision, known)) = self.told.get(&(home, service)) {
            assert!(view.revision >= *revision);
            assert!(view.revision > *revision || *known == ports, "one revision, one list");
        }
        self.told.insert((home, service), (view.revision, ports));
    }

    fn drain(&mut self, room: [usize; 3]) {
        let mut given = Room { tells: room.to_vec(), asks: room.to_vec() };
        let mut out = vec![];
        self.state.drain(self.now, &mut given, &mut out);
        for (core, room) in room.into_iter().enumerate() {
            let to = |effect: &&Effect| match effect {
                Effect::Tell { to, .. } => usize::from(to.0.0) == core,
                _ => false,
            };
            assert!(out.iter().filter(to).count() <= room, "never more than there is room for");
        }
        for effect in out {
            match effect {
                Effect::Tell { to, tell: Tell::Changed { service, view } } => {
                    let service = self.number(&service);
                    self.tell(to.0.0, service, &view);
                }
                Effect::Ask { ask: Ask::Named { service, listed, published }, .. } => {
                    let service = self.number(&service);
                    self.named.insert(service, (listed, published));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// With room enough everybody knows the last state.
    fn settle(&mut self) {
        while self.state.pending() {
            self.drain([1, 2, 3]);
        }
        for ((home, service), (_, ports)) in &self.told {
            assert_eq!(*ports, self.expected(*service), "core {home}, service {service}");
        }
        for service in 0..self.keys.len() {
            let published = !self.published[service].is_empty();
            let named = self.named.get(&service).copied().unwrap_or_default();
            assert_eq!(named.1, published);
            assert!(named.0 || !published, "what is published is listed");
        }
        let publications: usize = self.published.iter().map(Vec::len).sum();
        assert_eq!(self.state.census().publications, publications);
    }

    /// Everybody leaves; after two scans nothing is left.
    fn leave(&mut self) {
        for service in 0..self.keys.len() {
            for (conn, _) in self.published[service].clone() {
                self.step(Step::Withdraw(conn.home.0.0, conn.slot, service));
            }
            for home in 0..CORES {
                self.step(Step::Uninterested(home, service));
            }
        }
        self.step(Step::Wait(100_000));
        self.step(Step::Wait(100_000));
        self.settle();
        assert!(self.named.values().all(|named| *named == (false, false)));
        assert_eq!(self.state.census(), Census::default());
    }
}

proptest! {
    #[test]
    fn whoever_listens_ends_with_what_is_published(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.leave();
    }
}
