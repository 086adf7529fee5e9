use super::*;
use crate::config::table::Tables;
use crate::durable::command::Command;
use crate::durable::naming::{Change, ClusterDraft, Named};
use crate::durable::state::State;
use crate::health::checks::Check;
use crate::key::{Core, Map};
use crate::message::{Ask, Purpose};
use crate::naming::host::{Host, Ids};
use crate::naming::open::{Order, register_persistent};
use crate::naming::owner::Room;
use crate::naming::rules::Rules;
use nacre_proto::naming::Instance;
use std::sync::Arc;

const SELF: Core = Core(0);

/// An owner, the log, a clock.
struct Bench {
    owner: OwnerState,
    log: State,
    now: Now,
}

fn key() -> ServiceKey {
    ServiceKey::new("public", "G", "s")
}

impl Bench {
    fn new() -> Self {
        let mut owner = OwnerState::new(SELF, Map { cores: 1 }, 7, Rules::default());
        let tables = Arc::new(Tables::default());
        let mut log = State::new(tables.clone());
        log.loaded();
        tables.set_ready();
        owner.read_from(tables);
        owner.watch_checks();
        Self { owner, log, now: Now { tick_ms: 1_000, unix_ms: 1_700_000_001_000 } }
    }

    fn applied(&mut self, command: &[u8]) {
        self.log.apply(1, command, &mut Vec::new());
        self.log.settle();
        self.owner.catch_up(self.now);
    }

    fn register(&mut self, ip: &str) {
        let ip = Some(ip.to_owned().into());
        let cluster_name = Some("DEFAULT".into());
        let instance = Instance { ip, port: 80, cluster_name, ..Instance::default() };
        let host = Host::new(&instance, &key(), &mut Ids::new(SELF), self.now);
        match register_persistent(key(), &host, Purpose::Open) {
            Order::Approve { approved, .. } => self.applied(&approved.command),
            other => panic!("{other:?}"),
        }
    }

    fn cluster(&mut self, checker: &str) {
        let (name, check_port, metadata) = ("DEFAULT", 8_080, "{}");
        let cluster =
            ClusterDraft { name, check_port, use_instance_port: false, checker, metadata };
        let key = key();
        let change = Change::SetCluster { service: Named::of(&key), cluster };
        self.applied(&Command::Naming(change).encode());
    }

    fn switch(&mut self, entry: &str, value: &str) {
        self.applied(&Command::SetSwitch { entry, value }.encode());
    }

    /// What is asked within the next so many milliseconds, at the first moment anything is.
    fn asked(&mut self, within_ms: u64) -> Vec<Check> {
        let end_ms = self.now.tick_ms + within_ms;
        while self.now.tick_ms < end_ms {
            let due_ms = self.owner.next_judged().unwrap_or(end_ms);
            self.now.tick_ms = due_ms.clamp(self.now.tick_ms + 1, end_ms);
            self.owner.judge(self.now);
            let mut effects = Effects::default();
            self.owner.check(self.now, &mut effects);
            let checks: Vec<Check> = effects
                .list
                .into_iter()
                .map(|effect| match effect {
                    Effect::Check(check) => check,
                    other => panic!("{other:?}"),
                })
                .collect();
            if !checks.is_empty() {
                return checks;
            }
        }
        Vec::new()
    }

    /// Has what was proposed decided. How many commands.
    fn decide(&mut self) -> usize {
        let mut out = Vec::new();
        self.owner.drain(self.now, &mut Room::unbounded(1), &mut out);
        let mut commands = 0;
        for effect in out {
            if let Effect::Ask { ask: Ask::Propose { command, .. }, .. } = effect {
                commands += 1;
                self.applied(&command);
            }
        }
        commands
    }

    /// The health the log has of each instance.
    fn health(&mut self) -> Vec<bool> {
        let entry = self.owner.log.tables.services().get(&key()).expect("the service");
        entry.instances.iter().map(|kept| kept.host.healthy()).collect()
    }
}

#[test]
fn what_probes_find_is_proposed_and_becomes_true_only_by_the_log() {
    let mut bench = Bench::new();
    bench.register("10.0.0.1");
    let check = bench.asked(10_000).remove(0);
    assert_eq!(check.to, "10.0.0.1:80".parse().unwrap());
    bench.owner.probed(bench.now, check.ticket, Outcome::Refused);
    assert_eq!(bench.health(), [true]);
    // The next turn proposes it; whoever is asked then is asked as usual.
    let mut effects = Effects::default();
    assert!(bench.owner.check(bench.now, &mut effects));
    assert_eq!((bench.decide(), bench.health()), (1, vec![false]));
    // It is so already: refused again, nothing is proposed.
    let check = bench.asked(60_000).remove(0);
    bench.owner.probed(bench.now, check.ticket, Outcome::Refused);
    assert!(bench.asked(60_000).len() == 1 && bench.decide() == 0);
}

#[test]
fn flips_found_together_leave_together() {
    let mut bench = Bench::new();
    for last in 1..=50 {
        bench.register(&format!("10.0.0.{last}"));
    }
    let (mut commands, start_ms) = (0, bench.now.tick_ms);
    while bench.health().contains(&true) {
        assert!(bench.now.tick_ms < start_ms + 20_000, "all are asked within 7 s");
        for check in bench.asked(FLIPS_PACE_MS) {
            bench.owner.probed(bench.now, check.ticket, Outcome::Refused);
        }
        commands += bench.decide();
    }
    let took_ms = bench.now.tick_ms - start_ms;
    assert!(commands as u64 <= took_ms / FLIPS_PACE_MS + 2, "{commands} in {took_ms} ms");
}

#[test]
fn a_cluster_says_how_and_whether_its_instances_are_asked() {
    let mut bench = Bench::new();
    bench.register("10.0.0.1");
    assert_eq!(bench.asked(10_000).len(), 1);
    bench.cluster(r#"{"type":"NONE"}"#);
    assert_eq!(bench.asked(60_000), []);
    assert_eq!(bench.owner.check_tally().checked, 0);
    bench.cluster(r#"{"type":"HTTP","path":"/up"}"#);
    let check = bench.asked(10_000).remove(0);
    assert_eq!(check.to, "10.0.0.1:8080".parse().unwrap());
    assert!(matches!(&check.probe, Probe::Get(get) if &*get.path == "/up"));
    bench.cluster(r#"{"type":"MYSQL","cmd":"select 1"}"#);
    bench.owner.probed(bench.now, check.ticket, Outcome::Refused);
    assert_eq!(bench.asked(60_000), []);
    assert_eq!((bench.owner.check_tally().unchecked, bench.decide()), ([0, 0, 1], 0));
    let key = key();
    let change = Change::Deregister { service: Named::of(&key), ip: "10.0.0.1", port: 80 };
    bench.applied(&Command::Naming(change).encode());
    bench.asked(1_000);
    assert_eq!(bench.owner.check_tally().unchecked, [0; 3]);
}

#[test]
fn switched_off_nobody_is_asked() {
    let mut bench = Bench::new();
    bench.register("10.0.0.1");
    bench.switch("check", "false");
    assert_eq!(bench.asked(60_000), []);
    bench.switch("check", "true");
    assert_eq!(bench.asked(10_000).len(), 1);
}

#[test]
fn switches_change_what_rules_say() {
    let mut bench = Bench::new();
    assert_eq!(bench.owner.beat_interval(5_000), 5_000);
    bench.switch("clientBeatInterval", "8000");
    bench.switch("pushCacheMillis", "20000");
    assert_eq!((bench.owner.beat_interval(5_000), bench.owner.beat_interval(900)), (8_000, 900));
    bench.owner.tick(bench.now);
    assert_eq!(bench.owner.rules.cache_ms, 20_000);
}
