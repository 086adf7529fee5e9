use super::*;
use crate::config::table::Tables;
use crate::durable::answer::Answer as Decision;
use crate::durable::command::Command;
use crate::durable::naming::{Change, Mode, Named};
use crate::durable::state::State;
use crate::effect::Effect;
use crate::key::{Core, Map};
use crate::limits::LOOKS_PER_TURN_MAX;
use crate::message::{Ask, Purpose, Tell, Waiter};
use crate::naming::host::{Edit, Ids};
use crate::naming::open::{Approved, Check, Detail, register_persistent, texts};
use crate::naming::owner::Room;
use crate::naming::owner::checks::{CheckChange, HealthFlip};
use crate::naming::rules::Rules;
use crate::naming::services::ServiceSettings;
use nacre_proto::naming::Instance;
use nacre_proto::text::Pairs;
use serde_json::Value;

/// An owner and the log.
struct Bench {
    state: OwnerState,
    log: State,
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
        let mut state = OwnerState::new(SELF, Map { cores: 1 }, 7, rules);
        let tables = std::sync::Arc::new(Tables::default());
        let mut log = State::new(tables.clone());
        log.loaded();
        tables.set_ready();
        state.read_from(tables);
        Self { state, log, now: Now { tick_ms: 1_000, unix_ms: 1_700_000_001_000 } }
    }

    fn open(&mut self, order: Order) -> Answer {
        let waiter = Waiter::of_ticket(crate::key::Home(SELF), 3);
        match self.state.handle(self.now, SELF, Ask::Open { waiter, order: Box::new(order) }) {
            Tell::Opened { waiter: back, answer } => {
                assert_eq!(back, waiter);
                match answer {
                    Answer::Approved(approved) => self.decided(&approved.command),
                    answer => answer,
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the log makes of a command.
    fn decided(&mut self, command: &[u8]) -> Answer {
        let decision = self.log.apply(1, command, &mut Vec::new());
        self.log.settle();
        match decision {
            Decision::Done { .. } => Answer::Done,
            Decision::Refused(refused) => {
                Answer::Refused(Refused::new(400, refused.code, refused.text))
            }
        }
    }

    /// Registers a persistent instance.
    fn persist(&mut self, ip: &str, healthy: bool) -> Answer {
        let (host, _) = host(ip, &[], healthy);
        self.open(register_persistent(key(), &host, Purpose::Open))
    }

    fn change(&mut self, settings: &ServiceSettings) -> Answer {
        let key = key();
        let change = Change::Update { service: Named::of(&key), texts: texts(settings) };
        let command = Command::Naming(change).encode();
        let approved = Approved { purpose: Purpose::Open, command };
        self.open(Order::Approve { service: key, check: Check::Known, approved })
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
        let poller = poller.map(|to| Poller {
            to: to.parse().unwrap(),
            user: None,
            agent: "Nacos-Java-Client:v1.4.8".into(),
        });
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
                Effect::Ask { ask: Ask::Propose { command, .. }, .. } => _ = self.decided(&command),
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
fn a_crowd_that_fell_silent_is_judged_a_part_at_a_time() {
    let crowd = 2 * LOOKS_PER_TURN_MAX as u64 + 1;
    let mut bench = Bench::new();
    for number in 0..crowd {
        bench.register(&format!("10.0.{}.{}", number / 250, number % 250), &[]);
    }
    bench.now.tick_ms += 20_000;
    let mut turns = 0;
    while bench.state.is_late(bench.now) {
        let before = bench.state.census().silent;
        bench.state.judge(bench.now);
        assert!(bench.state.census().silent - before <= LOOKS_PER_TURN_MAX as u64);
        turns += 1;
    }
    assert_eq!((turns, bench.state.census().silent), (3, crowd));
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
    let order = |edit| Order::Edit { service: key(), address: place(A), edit, mode: Mode::Replace };
    let patch = |edit| Order::Edit { service: key(), address: place(A), edit, mode: Mode::Patch };
    assert_eq!(bench.refused(order(edit(&[]))), (400, Code::InstanceError));
    bench.register("10.0.0.2", &[]);
    assert_eq!(bench.refused(patch(edit(&[]))), (404, Code::ResourceNotFound));
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
    bench.open(patch(hidden));
    assert_eq!(bench.hosts(), ["10.0.0.2"]);
    bench.deregister(A);
    bench.register(A, &[]);
    assert_eq!(bench.hosts(), ["10.0.0.2"], "whoever registers it how often");
    let shown = Edit { enabled: Some(true), ..Edit::default() };
    bench.open(patch(shown));
    assert_eq!(bench.beat(A), Answer::Beaten { interval_ms: 1_000 });
}

#[test]
fn details_of_one_instance() {
    let mut bench = Bench::new();
    let order =
        |ip| Order::Detail { service: key(), address: place(ip), service_key: Some("service") };
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
    assert_eq!(bench.log.services_kept(), (0, 1, 0));
    for _ in 0..4 {
        bench.pass(60_000);
        bench.drain();
    }
    assert_eq!((bench.log.services_kept(), bench.state.census().services), ((0, 0, 0), 0));
}

/// `naming.md` 5.2: only a service with settings of its own is protected.
#[test]
fn settings_protect() {
    let mut bench = Bench::new();
    bench.register(A, &[]);
    bench.pass(15_400);
    assert_eq!(bench.hosts(), ["!10.0.0.1"]);
    assert_eq!(bench.change(&settings(0.5)), Answer::Done);
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

#[test]
fn a_persistent_instance_is_shown_until_it_is_deregistered() {
    let mut bench = Bench::new();
    assert_eq!(bench.persist(A, true), Answer::Done);
    let list = bench.list(None);
    assert_eq!(list["hosts"][0]["ephemeral"], false);
    assert_eq!(bench.hosts(), [A]);
    bench.pass(300_000);
    assert_eq!(bench.hosts(), [A], "nobody has to beat");
    assert_eq!(bench.state.census().persistent, 1);
    let revision = list["lastRefTime"].as_u64().unwrap();
    assert_eq!(bench.persist(A, false), Answer::Done);
    let list = bench.list(None);
    assert!(list["lastRefTime"].as_u64().unwrap() > revision);
    assert_eq!(bench.hosts(), ["!10.0.0.1"]);
    let gone = open_deregister_persistent(A);
    assert_eq!(bench.open(gone.clone()), Answer::Done);
    assert_eq!(bench.open(gone), Answer::Done, "and again");
    assert_eq!((bench.hosts(), bench.log.services_kept()), (vec![], (0, 0, 0)));
    for _ in 0..3 {
        bench.pass(60_000);
        bench.drain();
    }
    assert_eq!(bench.state.census().services, 0);
}

fn open_deregister_persistent(ip: &str) -> Order {
    crate::naming::open::deregister_persistent(key(), ip, 80, Purpose::Open)
}

#[test]
fn a_service_is_of_one_kind() {
    let mut bench = Bench::new();
    bench.persist(A, true);
    let Answer::Refused(refused) = bench.register(A, &[]) else { panic!("of the other kind") };
    let text = "Current service G@@s is persistent service, can't register ephemeral instance.";
    assert_eq!((refused.status, &*refused.text), (400, text));
    let mut bench = Bench::new();
    bench.register(A, &[]);
    let Answer::Refused(refused) = bench.persist(A, true) else { panic!("of the other kind") };
    let text = "Current service G@@s is ephemeral service, can't register persistent instance.";
    assert_eq!((refused.status, &*refused.text), (400, text));
    bench.deregister(A);
    assert!(matches!(bench.persist(A, true), Answer::Refused(_)), "until the cleaner came");
    for _ in 0..2 {
        bench.pass(65_000);
        bench.drain();
    }
    assert_eq!(bench.persist(A, true), Answer::Done);
}

/// Between the owner's look and the log's decision no client slips in; if the log never decides,
/// clients are let in again.
#[test]
fn no_client_slips_in_while_the_log_decides() {
    let mut bench = Bench::new();
    let (host, _) = host(A, &[], true);
    let order = Box::new(register_persistent(key(), &host, Purpose::Open));
    let waiter = Waiter::of_ticket(crate::key::Home(SELF), 3);
    let tell = bench.state.handle(bench.now, SELF, Ask::Open { waiter, order });
    assert!(matches!(tell, Tell::Opened { answer: Answer::Approved(_), .. }), "{tell:?}");
    assert!(matches!(bench.register(A, &[]), Answer::Refused(_)));
    bench.pass(5_000);
    assert_eq!(bench.register(A, &[]), Answer::Done);
    assert_eq!(bench.hosts(), [A]);
}

#[test]
fn what_administrators_want_is_forgotten_with_the_instance() {
    let mut bench = Bench::new();
    bench.persist(A, true);
    let edit = Edit { weight: Some(2.0), ..Edit::default() };
    let mode = Mode::Replace;
    let order = Order::Edit { service: key(), address: place(A), edit: edit.clone(), mode };
    assert_eq!(bench.open(order), Answer::Done);
    assert_eq!(bench.list(None)["hosts"][0]["weight"], 2.0);
    bench.pass(100_000);
    bench.drain();
    assert_eq!(bench.log.services_kept(), (1, 0, 1));
    bench.open(open_deregister_persistent(A));
    bench.pass(59_000);
    bench.drain();
    assert_eq!(bench.log.services_kept(), (0, 0, 1));
    bench.pass(10_000);
    bench.drain();
    assert_eq!(bench.log.services_kept(), (0, 0, 0));
}

/// A log that holds things already, as after a start.
#[test]
fn a_new_owner_finds_what_the_log_holds() {
    let mut bench = Bench::new();
    bench.persist(A, true);
    bench.open(Order::Edit {
        service: key(),
        address: place(A),
        edit: Edit { weight: Some(2.0), ..Edit::default() },
        mode: Mode::Replace,
    });
    let mut other = Bench::new();
    other.state.read_from(bench.log.tables().clone());
    assert_eq!(other.hosts(), [A]);
    assert_eq!(other.list(None)["hosts"][0]["weight"], 2.0);
    assert!(matches!(other.register(A, &[]), Answer::Refused(_)));
    other.drain();
    assert_eq!(other.state.census().names, 1);
}

#[test]
fn clusters_and_health_by_hand() {
    let mut bench = Bench::new();
    bench.persist(A, true);
    let health = |healthy| Order::SetHealth { service: key(), address: place(A), healthy };
    assert_eq!(bench.refused(health(false)), (400, Code::HealthCheckRunning));
    let set = |bench: &mut Bench, checker| {
        let key = key();
        let cluster = crate::durable::naming::ClusterDraft {
            name: "DEFAULT",
            check_port: 81,
            use_instance_port: false,
            checker,
            metadata: "{}",
        };
        let change = Change::SetCluster { service: Named::of(&key), cluster };
        let command = Command::Naming(change).encode();
        let approved = Approved { purpose: Purpose::Open, command };
        bench.open(Order::Approve { service: key, check: Check::Known, approved })
    };
    assert_eq!(set(&mut bench, r#"{"type":"NONE"}"#), Answer::Done);
    assert_eq!(bench.open(health(false)), Answer::Done);
    assert_eq!(bench.list(None)["reachProtectionThreshold"], true, "settings protect");
    let Answer::Json(json) = bench.open(Order::Service { service: key(), detail: Detail::Map })
    else {
        panic!("there")
    };
    let shown: Value = serde_json::from_slice(&json).unwrap();
    let cluster = &shown["clusterMap"]["DEFAULT"];
    assert_eq!((&cluster["healthyCheckPort"], &shown["ephemeral"]), (&81.into(), &false.into()));
    assert_eq!(cluster["healthChecker"]["type"], "NONE");
}

/// What a checker hears: (address, healthy, port to check), `None` health for what is gone.
fn heard(bench: &mut Bench) -> Vec<(String, Option<bool>, i32)> {
    bench.state.catch_up(bench.now);
    let mut heard = Vec::new();
    while let Some((service, changes)) = bench.state.take_checks() {
        assert_eq!(service, key());
        heard.extend(changes.into_iter().map(|change| match change {
            CheckChange::Put(checked) => {
                (checked.ip.into(), Some(checked.healthy), checked.check_port)
            }
            CheckChange::Gone { ip, port } => (ip.into(), None, port),
        }));
    }
    heard
}

#[test]
fn a_checker_hears_of_what_there_is_and_its_flips_are_logged() {
    let mut bench = Bench::new();
    bench.persist(A, true);
    assert_eq!(heard(&mut bench), [], "nobody checks yet");
    bench.state.watch_checks();
    let put = |ip: &str, healthy, port| (ip.to_owned(), Some(healthy), port);
    assert_eq!(heard(&mut bench), [put(A, true, 80)]);
    bench.persist("10.0.0.2", true);
    assert_eq!(heard(&mut bench), [put("10.0.0.2", true, 80)]);
    let flip = |ip: &str, healthy, revision| HealthFlip {
        service: key(),
        ip: ip.into(),
        port: 80,
        healthy,
        revision,
    };
    assert!(bench.state.propose_health(&[flip(A, false, 1), flip("10.0.0.2", false, 1)]));
    bench.drain();
    assert_eq!(heard(&mut bench), [put(A, false, 80)], "the other was of another registration");
    assert_eq!(bench.hosts(), ["!10.0.0.1", "10.0.0.2"]);
    bench.open(open_deregister_persistent(A));
    assert_eq!(heard(&mut bench), [(A.to_owned(), None, 80)]);
    bench.open(open_deregister_persistent("10.0.0.2"));
    assert_eq!(heard(&mut bench), [("10.0.0.2".to_owned(), None, 80)]);
    assert_eq!(heard(&mut bench), []);
    let many = vec![flip(A, true, 1); crate::limits::FLIPS_PER_COMMAND_MAX + 1];
    let fits = (0..).take_while(|_| bench.state.propose_health(&many)).count();
    assert_eq!(fits, crate::limits::PROPOSALS_WAITING_MAX / 2);
}
