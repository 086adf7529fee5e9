use super::*;
use crate::effect::Effect;
use crate::key::{Core, Map};
use crate::message::{Ask, Tell, Waiter};
use crate::naming::host::Ids;
use crate::naming::owner::Room;
use crate::naming::rules::Rules;
use nacre_proto::naming::Instance;
use nacre_proto::text::Pairs;
use serde_json::Value;

struct Bench {
    state: OwnerState,
    now: Now,
}

const A: &str = "10.0.0.1";
const SELF: Core = Core(0);

fn key() -> ServiceKey {
    ServiceKey::new("public", "G", "s")
}

fn place(ip: &str) -> Place {
    Place { ip: ip.into(), port: 80, cluster: "DEFAULT".into() }
}

fn host(ip: &str, metadata: &[(&'static str, &'static str)], healthy: bool) -> (Host, Beats) {
    let metadata: Pairs<'static> = metadata.iter().copied().collect();
    let beats = Beats::of(&metadata);
    let cluster_name = Some("DEFAULT".into());
    let ip = Some(ip.to_owned().into());
    let instance =
        Instance { ip, port: 80, metadata, healthy, cluster_name, ..Instance::default() };
    let now = Now { tick_ms: 0, unix_ms: 0 };
    (Host::new(&instance, &key(), &mut Ids::new(SELF), now), beats)
}

impl Bench {
    fn new() -> Self {
        Self::with(Rules::default())
    }

    fn with(rules: Rules) -> Self {
        let state = OwnerState::new(SELF, Map { cores: 1 }, 7, rules);
        Self { state, now: Now { tick_ms: 1_000, unix_ms: 1_700_000_001_000 } }
    }

    fn open(&mut self, order: Order) -> Answer {
        let waiter = Waiter::of_ticket(crate::key::Home(SELF), 3);
        match self.state.handle(self.now, SELF, Ask::Open { waiter, order: Box::new(order) }) {
            Tell::Opened { waiter: back, answer } => {
                assert_eq!(back, waiter);
                answer
            }
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, order: Order) -> (u16, Code) {
        match self.open(order) {
            Answer::Refused(refused) => (refused.status, refused.code),
            other => panic!("{other:?}"),
        }
    }

    fn register(&mut self, ip: &str, metadata: &[(&'static str, &'static str)]) -> Answer {
        let (host, beats) = host(ip, metadata, true);
        self.open(Order::Register { service: key(), host, beats })
    }

    fn beat(&mut self, ip: &str) -> Answer {
        self.open(Order::Beat { service: key(), address: place(ip), register: None })
    }

    fn deregister(&mut self, ip: &str) {
        let order = Order::Deregister { service: key(), address: place(ip) };
        assert_eq!(self.open(order), Answer::Done);
    }

    fn list(&mut self, poller: Option<&str>) -> Value {
        let poller = poller.map(|to| Poller { to: to.parse().unwrap(), user: None });
        let (filter, shape) = (Filter::all(), Shape::Info);
        match self.open(Order::List { service: key(), filter, shape, poller }) {
            Answer::Json(json) => serde_json::from_slice(&json).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Addresses listed, the unhealthy ones marked.
    fn hosts(&mut self) -> Vec<String> {
        let list = self.list(None);
        let show = |host: &Value| {
            let mark = if host["healthy"] == true { "" } else { "!" };
            format!("{mark}{}", host["ip"].as_str().unwrap())
        };
        list["hosts"].as_array().unwrap().iter().map(show).collect()
    }

    /// Time passes in steps of a tick.
    fn pass(&mut self, ms: u64) {
        let end = self.now.tick_ms + ms;
        while self.now.tick_ms < end {
            let step = 100.min(end - self.now.tick_ms);
            self.now.tick_ms += step;
            self.now.unix_ms += step;
            self.state.judge(self.now);
            self.state.tick(self.now);
        }
    }

    /// What leaves now: datagrams as (to, number, hosts).
    fn drain(&mut self) -> Vec<(String, u64, usize)> {
        let mut out = Vec::new();
        self.state.drain(self.now, &mut Room::unbounded(1), &mut out);
        let mut datagrams = Vec::new();
        for effect in out {
            match effect {
                Effect::Datagram { to, number, list } => {
                    let list: Value = serde_json::from_slice(&list).unwrap();
                    assert_eq!(list["name"], "G@@s");
                    let hosts = list["hosts"].as_array().unwrap().len();
                    datagrams.push((to.to_string(), number, hosts));
                }
                Effect::Ask { ask, .. } => {
                    self.state.handle(self.now, SELF, ask);
                }
                other => panic!("{other:?}"),
            }
        }
        datagrams
    }

    fn ack(&mut self, from: &str, number: u64) {
        self.state.acknowledged(self.now, from.parse().unwrap(), number);
    }
}

#[test]
fn an_instance_lives_by_beats() {
    let mut bench = Bench::new();
    assert_eq!(bench.register(A, &[]), Answer::Done);
    for _ in 0..10 {
        bench.pass(5_000);
        assert_eq!(bench.beat(A), Answer::Beaten { interval_ms: 5_000 });
        assert_eq!(bench.hosts(), [A]);
    }
    bench.pass(15_000);
    assert_eq!(bench.hosts(), [A]);
    bench.pass(400);
    assert_eq!(bench.hosts(), ["!10.0.0.1"]);
    assert_eq!(bench.beat(A), Answer::Beaten { interval_ms: 5_000 });
    assert_eq!(bench.hosts(), [A]);
    bench.pass(30_400);
    assert_eq!(bench.hosts(), [""; 0]);
    assert_eq!(bench.beat(A), Answer::UnknownInstance);
    let census = bench.state.census();
    assert_eq!((census.beating, census.publications, census.instances), (0, 0, 0));
    assert_eq!((census.silent, census.expired), (2, 1));
}

#[test]
fn a_beat_that_describes_an_unknown_instance_registers_it() {
    let mut bench = Bench::new();
    let register = Some(host(A, &[("preserved.heart.beat.interval", "7000")], true));
    let order = Order::Beat { service: key(), address: place(A), register };
    assert_eq!(bench.open(order), Answer::Beaten { interval_ms: 7_000 });
    assert_eq!(bench.hosts(), [A]);
    // One of a known instance changes nothing of it: Python sends them with empty metadata.
    let before = bench.list(None);
    let order =
        Order::Beat { service: key(), address: place(A), register: Some(host(A, &[], true)) };
    assert_eq!(bench.open(order), Answer::Beaten { interval_ms: 7_000 });
    assert_eq!(bench.list(None), before);
}

#[test]
fn one_client_holds_one_instance_of_a_service() {
    let mut bench = Bench::new();
    bench.register(A, &[("v", "1")]);
    bench.register("10.0.0.2", &[]);
    bench.register(A, &[("v", "2")]);
    assert_eq!(bench.hosts(), [A, "10.0.0.2"]);
    assert_eq!(bench.list(None)["hosts"][0]["metadata"]["v"], "2");
    bench.deregister(A);
    bench.deregister(A);
    assert_eq!(bench.hosts(), ["10.0.0.2"]);
    assert_eq!(bench.state.census().beating, 1);
}

#[test]
fn one_registered_unhealthy_is_healed_by_its_first_beat() {
    let mut bench = Bench::new();
    let (host, beats) = host(A, &[], false);
    bench.open(Order::Register { service: key(), host, beats });
    assert_eq!(bench.hosts(), ["!10.0.0.1"]);
    bench.beat(A);
    assert_eq!(bench.hosts(), [A]);
}

#[test]
fn silence_of_the_server_is_not_theirs() {
    let mut bench = Bench::new();
    bench.register(A, &[]);
    bench.now.tick_ms += 60_000;
    bench.state.stalled_ms = 60_000;
    bench.pass(1_000);
    assert_eq!(bench.hosts(), [A]);
    bench.state.stop();
    bench.pass(60_000);
    assert_eq!(bench.hosts(), [A], "nobody can beat while the node stops");
}

#[test]
fn settings_may_keep_instances_until_their_client_is_gone() {
    let kept = Rules { expire_instance: false, ..Rules::default() };
    let soon = Rules { client_expired_ms: 20_000, ..Rules::default() };
    for (rules, gone_ms) in [(kept, 180_000), (soon, 20_000)] {
        let mut bench = Bench::with(rules);
        bench.register(A, &[("preserved.ip.delete.timeout", "600000")]);
        bench.pass(gone_ms);
        assert_eq!(bench.hosts(), ["!10.0.0.1"]);
        bench.pass(400);
        assert_eq!(bench.hosts(), [""; 0]);
    }
}

#[test]
fn an_administrator_edits_what_is_published() {
    let mut bench = Bench::new();
    let edit = |metadata: &[(&'static str, &'static str)]| Edit {
        weight: Some(3.0),
        enabled: Some(true),
        metadata: Some(metadata.iter().copied().collect()),
    };
    let order = |edit| Order::Edit { service: key(), address: place(A), edit };
    assert_eq!(bench.refused(order(edit(&[]))), (400, Code::InstanceError));
    bench.register("10.0.0.2", &[]);
    assert_eq!(bench.refused(order(edit(&[]))), (404, Code::ResourceNotFound));
    bench.register(A, &[]);
    assert_eq!(bench.open(order(edit(&[("preserved.heart.beat.interval", "1000")]))), Answer::Done);
    let shown = bench.list(None);
    let changed = shown["hosts"].as_array().unwrap().iter().find(|host| host["ip"] == A).unwrap();
    assert_eq!(
        (&changed["weight"], &changed["instanceHeartBeatInterval"]),
        (&3.0.into(), &1_000.into())
    );
    assert_eq!(bench.beat(A), Answer::Beaten { interval_ms: 1_000 });
    let hidden = Edit { enabled: Some(false), ..Edit::default() };
    bench.open(order(hidden));
    assert_eq!(bench.hosts(), ["10.0.0.2"]);
}

#[test]
fn details_of_one_instance() {
    let mut bench = Bench::new();
    let order = |ip| Order::Detail { service: key(), address: place(ip), service_key: "service" };
    assert_eq!(bench.refused(order(A)), (404, Code::ResourceNotFound));
    bench.register(A, &[]);
    let Answer::Json(json) = bench.open(order(A)) else { panic!("there") };
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["service"], "G@@s");
    assert_eq!(bench.refused(order("10.0.0.9")), (404, Code::ResourceNotFound));
}

fn settings(protect_threshold: f32) -> ServiceSettings {
    let selector = crate::naming::open::NO_SELECTOR.into();
    ServiceSettings { protect_threshold, metadata: "{\"a\":\"b\"}".into(), selector }
}

#[test]
fn services_made_by_hand() {
    let mut bench = Bench::new();
    let create = |persistent| Order::Create { service: key(), settings: settings(0.8), persistent };
    let delete = || Order::Delete { service: key() };
    assert_eq!(bench.refused(delete()), (400, Code::ServiceNotExist));
    assert_eq!(bench.open(create(true)), Answer::Done);
    assert_eq!(bench.refused(create(true)), (400, Code::ServiceAlreadyExist));
    bench.drain();
    let Answer::Names { count, .. } = bench.open(Order::Names {
        namespace: "public".into(),
        group: "G".into(),
        page_no: 1,
        page_size: 10,
    }) else {
        panic!("names")
    };
    assert_eq!(count, 1);
    let Answer::Refused(refused) = bench.register(A, &[]) else { panic!("of the other kind") };
    assert!(refused.text.contains("is persistent service"), "{}", refused.text);
    assert_eq!(bench.state.census().beating, 0);
    assert_eq!(bench.open(delete()), Answer::Done);
    assert_eq!(bench.open(create(false)), Answer::Done);
    assert_eq!(bench.register(A, &[]), Answer::Done);
    assert_eq!(bench.refused(delete()), (400, Code::ServiceDeleteFailure));
}

#[test]
fn a_service_made_by_hand_and_not_used_is_cleaned() {
    let mut bench = Bench::new();
    bench.open(Order::Create { service: key(), settings: settings(0.0), persistent: true });
    bench.drain();
    bench.pass(130_000);
    bench.drain();
    assert_eq!((bench.state.created, bench.state.census().services), (0, 0));
}

/// `naming.md` 5.2: only a service with settings of its own is protected.
#[test]
fn settings_protect() {
    let mut bench = Bench::new();
    bench.register(A, &[]);
    bench.pass(15_400);
    assert_eq!(bench.hosts(), ["!10.0.0.1"]);
    assert_eq!(bench.open(Order::Change { service: key(), settings: settings(0.5) }), Answer::Done);
    let list = bench.list(None);
    assert_eq!(list["reachProtectionThreshold"], true);
    assert_eq!(list["hosts"][0]["healthy"], true);
    let Answer::Json(json) = bench.open(Order::Service { service: key(), detail: Detail::Map })
    else {
        panic!("there")
    };
    let shown: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&shown["protectThreshold"], &shown["metadata"]["a"]), (&0.5.into(), &"b".into()));
    assert_eq!(shown["clusterMap"]["DEFAULT"]["clusterName"], "DEFAULT");
}

const P: &str = "192.0.2.7:4000";
const Q: &str = "192.0.2.8:4000";

#[test]
fn pollers_are_told_of_changes() {
    let mut bench = Bench::new();
    assert_eq!(bench.list(Some(P))["hosts"], Value::Array(vec![]));
    bench.list(Some(Q));
    let first = bench.drain();
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].1, first[1].1, "one list, one number");
    for (to, number, hosts) in first {
        assert_eq!(hosts, 0);
        bench.ack(&to, number);
    }
    bench.register(A, &[]);
    let told: Vec<_> = bench.drain().into_iter().map(|(to, _, hosts)| (to, hosts)).collect();
    assert_eq!(told, [(P.to_owned(), 1), (Q.to_owned(), 1)]);
    assert_eq!(bench.state.census().pollers, 2);
    bench.pass(31_000);
    assert_eq!(bench.state.census().pollers, 0, "they polled no more");
    bench.deregister(A);
    assert_eq!(bench.drain(), []);
    bench.pass(130_000);
    bench.drain();
    assert_eq!(bench.state.census().services, 0);
}
