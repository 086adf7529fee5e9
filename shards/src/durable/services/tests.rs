use super::*;
use crate::durable::Table;
use crate::durable::command::Command;
use crate::durable::naming::Flip;
use crate::key::Core;
use crate::message::Now;
use crate::naming::host::Ids;
use bytes::Bytes;
use nacre_proto::naming::Instance;
use proptest::collection::vec;
use proptest::prelude::*;

/// A state with the disk it writes to.
struct Bench {
    state: State,
    disk: BTreeMap<(Table, Bytes), Bytes>,
}

const NAMED: Named<'static> = Named { namespace: "public", group: "G", service: "s" };

const TEXTS: Texts<'static> =
    Texts { protect_threshold_bits: 0x3f00_0000, metadata: "{\"a\":\"b\"}", selector: "{}" };

fn form(ip: &str, port: i64, healthy: bool) -> Vec<u8> {
    let key = NAMED.key();
    let ip = Some(ip.to_owned().into());
    let instance = Instance { ip, port, healthy, ..Instance::default() };
    let now = Now { tick_ms: 0, unix_ms: 0 };
    let mut writer = crate::durable::codec::Writer::default();
    Host::new(&instance, &key, &mut Ids::new(Core(0)), now).write_form(&mut writer);
    writer.finish()
}

impl Bench {
    fn new() -> Self {
        let mut state = State::new(Arc::default());
        state.loaded();
        state.touched_slots();
        Self { state, disk: BTreeMap::new() }
    }

    fn change(&mut self, change: Change<'_>) -> Answer {
        let mut records = Vec::new();
        let answer = self.state.apply(1, &Command::Naming(change).encode(), &mut records);
        for Record { table, key, value } in records {
            match value {
                Some(value) => _ = self.disk.insert((table, key), value),
                None => _ = self.disk.remove(&(table, key)),
            }
        }
        answer
    }

    fn register(&mut self, ip: &str, healthy: bool) -> Answer {
        let form = form(ip, 80, healthy);
        self.change(Change::Register { service: NAMED, instance: Form(&form) })
    }

    fn entry(&mut self) -> Option<Arc<Entry>> {
        self.state.settle();
        self.state.tables().services().get(&NAMED.key())
    }

    fn edit(&mut self, ip: &str, edit: EditDraft<'_>) -> Answer {
        let place = PlaceDraft { ip, port: 80, cluster: "DEFAULT", seen: 0 };
        let places = PlaceDraft::list(std::iter::once(place));
        self.change(Change::Edit { service: NAMED, edit, places: Places::of(&places) })
    }

    fn flip(&mut self, ip: &str, healthy: bool, seen: u64) -> Answer {
        let flip = Flip { service: NAMED, ip, port: 80, healthy, seen };
        let list = Flip::list(std::iter::once(flip));
        self.change(Change::SetHealth { flips: Flips::of(&list) })
    }

    /// Another state, from what is on disk.
    fn restarted(&self) -> State {
        let mut state = State::new(Arc::default());
        for ((table, key), value) in &self.disk {
            let (table, key, value) = (*table, key.clone(), Some(value.clone()));
            state.load(Record { table, key, value }).unwrap();
        }
        state.loaded();
        state
    }

    fn all(state: &State) -> Vec<Arc<Entry>> {
        let services = state.tables().services();
        (0..SLOTS).flat_map(|slot| services.slot(slot).entries.to_vec()).collect()
    }
}

fn refused(answer: Answer) -> Code {
    match answer {
        Answer::Refused(refused) => refused.code,
        done => panic!("{done:?}"),
    }
}

fn patch(weight: Option<f64>, metadata: Option<&str>) -> EditDraft<'_> {
    let weight_bits = weight.map(f64::to_bits);
    EditDraft { mode: Mode::Patch, weight_bits, enabled: None, metadata }
}

#[test]
fn a_batch_appears_whole_and_its_slot_is_told() {
    let mut bench = Bench::new();
    assert_eq!(bench.register("10.0.0.2", true), Answer::Done { revision: 1 });
    assert_eq!(bench.register("10.0.0.1", false), Answer::Done { revision: 2 });
    assert_eq!(bench.register("10.0.0.1", false), Answer::Done { revision: 2 }, "as it was");
    let services = bench.state.tables().services();
    assert_eq!((services.get(&NAMED.key()), services.version()), (None, 0));
    let entry = bench.entry().unwrap();
    let ips: Vec<_> = entry.instances.iter().map(|kept| kept.host.ip()).collect();
    assert_eq!(ips, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(*bench.state.touched_slots(), [NAMED.key().slot()]);
    assert_eq!(bench.state.tables().services().version(), 1);
    bench.state.settle();
    assert_eq!((*bench.state.touched_slots()).len(), 0);
    let gone = |ip| Change::Deregister { service: NAMED, ip, port: 80 };
    bench.change(gone("10.0.0.1"));
    bench.change(gone("10.0.0.1"));
    bench.change(gone("10.0.0.2"));
    assert_eq!((bench.entry(), bench.disk.len()), (None, 1), "the revision stays");
    assert_eq!(bench.state.services_kept(), (0, 0, 0));
}

#[test]
fn flips_count_for_the_registration_that_was_checked() {
    let mut bench = Bench::new();
    bench.register("10.0.0.1", true);
    let healthy = |bench: &mut Bench| bench.entry().unwrap().instances[0].host.healthy();
    assert_eq!(bench.flip("10.0.0.1", false, 1), Answer::Done { revision: 2 });
    assert_eq!(bench.flip("10.0.0.1", false, 1), Answer::Done { revision: 2 }, "so already");
    assert!(!healthy(&mut bench));
    assert_eq!(bench.flip("10.0.0.1", true, 1), Answer::Done { revision: 3 });
    bench.flip("10.0.0.1", false, 1);
    bench.register("10.0.0.1", true);
    let revision = bench.entry().unwrap().instances[0].revision;
    assert_eq!(bench.flip("10.0.0.1", false, 1), Answer::Done { revision }, "of another one");
    assert!(healthy(&mut bench));
    bench.flip("10.0.0.9", false, 1);
}

#[test]
fn services_are_made_once_and_removed_as_seen() {
    let mut bench = Bench::new();
    let create = |seen, ephemeral| Change::Create { service: NAMED, seen, ephemeral, texts: TEXTS };
    assert_eq!(bench.change(create(0, true)), Answer::Done { revision: 1 });
    assert_eq!(refused(bench.change(create(0, true))), Code::ServiceAlreadyExist);
    assert_eq!(refused(bench.register("10.0.0.1", true)), Code::InvalidParam, "of clients");
    assert_eq!(bench.change(create(1, false)), Answer::Done { revision: 2 });
    bench.register("10.0.0.1", true);
    let remove = |seen| Change::Remove { service: NAMED, seen };
    assert_eq!(refused(bench.change(remove(2))), Code::ServiceDeleteFailure);
    bench.change(Change::Deregister { service: NAMED, ip: "10.0.0.1", port: 80 });
    assert_eq!(refused(bench.change(remove(1))), Code::ServiceDeleteFailure, "changed since");
    assert!(matches!(bench.change(remove(2)), Answer::Done { .. }));
    assert!(matches!(bench.change(remove(2)), Answer::Done { .. }), "and again");
    assert_eq!(bench.entry(), None);
    bench.register("10.0.0.1", true);
    bench.change(Change::Update { service: NAMED, texts: TEXTS });
    let explicit = bench.entry().unwrap().explicit.clone().unwrap();
    assert!(!explicit.ephemeral && explicit.settings.protect_threshold == 0.5);
    let cluster = ClusterDraft {
        name: "c",
        check_port: 81,
        use_instance_port: false,
        checker: "{\"type\":\"NONE\"}",
        metadata: "{}",
    };
    bench.change(Change::SetCluster { service: NAMED, cluster });
    bench.change(Change::Update { service: NAMED, texts: TEXTS });
    let entry = bench.entry().unwrap();
    assert_eq!(entry.checker("c"), (kept::Checker::None, Some(81)), "settings leave clusters");
    assert_eq!(entry.checker("other"), (kept::Checker::Tcp, None));
}

#[test]
fn edits_lie_over_each_other() {
    let mut bench = Bench::new();
    let ip = "10.0.0.1";
    bench.edit(ip, patch(Some(2.0), Some("{\"a\":\"1\"}")));
    bench.edit(ip, patch(None, Some("{\"b\":\"2\"}")));
    let merge = EditDraft { mode: Mode::Merge, ..patch(None, Some("{\"c\":\"3\"}")) };
    bench.edit(ip, merge);
    let shown = |bench: &mut Bench| {
        let over = bench.entry().unwrap().overrides[0].clone();
        (over.weight, over.enabled, kept::pairs_json(&over.metadata))
    };
    assert_eq!(shown(&mut bench), (Some(2.0), None, "{\"b\":\"2\",\"c\":\"3\"}".into()));
    let without = EditDraft { mode: Mode::Without, ..patch(None, Some("{\"b\":\"\"}")) };
    bench.edit(ip, without);
    assert_eq!(shown(&mut bench), (Some(2.0), None, "{\"c\":\"3\"}".into()));
    let enabled = Some(false);
    bench.edit(ip, EditDraft { mode: Mode::Replace, enabled, ..patch(None, None) });
    assert_eq!(shown(&mut bench), (None, enabled, "{}".into()));
    assert_eq!(refused(bench.edit(ip, patch(None, Some("[]")))), Code::InvalidParam);
    let many: Vec<_> = (0..=OVERRIDE_KEYS_MAX).map(|key| format!("\"{key}\":\"\"")).collect();
    let many = format!("{{{}}}", many.join(","));
    assert_eq!(refused(bench.edit(ip, patch(None, Some(&many)))), Code::OverThreshold);
    let revision = bench.entry().unwrap().overrides[0].revision;
    for (seen, left) in [(revision - 1, 1), (revision, 0), (revision, 0)] {
        let place = PlaceDraft { ip, port: 80, cluster: "DEFAULT", seen };
        let places = PlaceDraft::list(std::iter::once(place));
        bench.change(Change::Forget { service: NAMED, places: Places::of(&places) });
        assert_eq!(bench.state.services_kept(), (0, 0, left));
    }
}

#[test]
fn bounds_are_answered() {
    let mut bench = Bench::new();
    bench.register("10.0.0.1", true);
    bench.state.services.instances = INSTANCES_MAX;
    assert_eq!(refused(bench.register("10.0.0.2", true)), Code::OverThreshold);
    assert!(matches!(bench.register("10.0.0.1", false), Answer::Done { .. }), "not a new one");
    bench.state.services.explicit = EXPLICIT_MAX;
    let update = Change::Update { service: NAMED, texts: TEXTS };
    assert_eq!(refused(bench.change(update)), Code::OverThreshold);
    bench.state.services.overrides = OVERRIDES_MAX;
    assert_eq!(refused(bench.edit("10.0.0.1", patch(None, None))), Code::OverThreshold);
}

/// What is loaded anew is compared by value: owners are told of nothing.
#[test]
fn a_store_opened_anew_shows_the_same() {
    let mut bench = Bench::new();
    bench.register("10.0.0.1", true);
    bench.edit("10.0.0.1", patch(Some(2.0), None));
    let before = bench.entry();
    bench.state.clear();
    assert_eq!(bench.state.tables().services().get(&NAMED.key()), before, "reads go on");
    for ((table, key), value) in &bench.disk {
        let (table, key, value) = (*table, key.clone(), Some(value.clone()));
        bench.state.load(Record { table, key, value }).unwrap();
    }
    bench.state.loaded();
    assert_eq!(bench.entry(), before);
    assert_eq!(bench.state.services_kept(), (1, 0, 1));
    let twice = bench.disk.iter().find(|((table, _), _)| *table == Table::Instance).unwrap();
    let ((table, key), value) = (twice.0.clone(), Some(twice.1.clone()));
    assert!(bench.state.load(Record { table, key, value }).is_err());
}

/// One step of any history.
#[derive(Debug, Clone)]
enum Step {
    Register(u8, bool),
    Deregister(u8),
    Flip(u8, bool, u64),
    Create(u64, bool),
    Update,
    Remove(u64),
    Cluster(u8),
    Edit(u8, Mode, Option<u8>),
    Forget(u8, u64),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![
        Just(Mode::Replace),
        Just(Mode::Patch),
        Just(Mode::Merge),
        Just(Mode::Without),
    ];
    prop_oneof![
        (0u8..4, any::<bool>()).prop_map(|(ip, healthy)| Step::Register(ip, healthy)),
        (0u8..4).prop_map(Step::Deregister),
        (0u8..4, any::<bool>(), 0u64..12).prop_map(|(ip, on, seen)| Step::Flip(ip, on, seen)),
        (0u64..12, any::<bool>()).prop_map(|(seen, ephemeral)| Step::Create(seen, ephemeral)),
        Just(Step::Update),
        (0u64..12).prop_map(Step::Remove),
        (0u8..3).prop_map(Step::Cluster),
        (0u8..4, mode, proptest::option::of(0u8..3))
            .prop_map(|(ip, mode, key)| Step::Edit(ip, mode, key)),
        (0u8..4, 0u64..12).prop_map(|(ip, seen)| Step::Forget(ip, seen)),
        Just(Step::Settle),
    ]
}

fn take(bench: &mut Bench, step: &Step) -> Answer {
    let ip = |number: u8| format!("10.0.0.{number}");
    match *step {
        Step::Register(number, healthy) => bench.register(&ip(number), healthy),
        Step::Deregister(number) => {
            let ip = ip(number);
            bench.change(Change::Deregister { service: NAMED, ip: &ip, port: 80 })
        }
        Step::Flip(number, healthy, seen) => bench.flip(&ip(number), healthy, seen),
        Step::Create(seen, ephemeral) => {
            bench.change(Change::Create { service: NAMED, seen, ephemeral, texts: TEXTS })
        }
        Step::Update => bench.change(Change::Update { service: NAMED, texts: TEXTS }),
        Step::Remove(seen) => bench.change(Change::Remove { service: NAMED, seen }),
        Step::Cluster(number) => {
            let name = format!("c{number}");
            let cluster = ClusterDraft {
                name: &name,
                check_port: 80,
                use_instance_port: true,
                checker: kept::TCP,
                metadata: "{}",
            };
            bench.change(Change::SetCluster { service: NAMED, cluster })
        }
        Step::Edit(number, mode, key) => {
            let metadata = key.map(|key| format!("{{\"k{key}\":\"{key}\"}}"));
            let enabled = key.map(|key| key == 0);
            let metadata = metadata.as_deref();
            bench.edit(&ip(number), EditDraft { mode, weight_bits: None, enabled, metadata })
        }
        Step::Forget(number, seen) => {
            let ip = ip(number);
            let place = PlaceDraft { ip: &ip, port: 80, cluster: "DEFAULT", seen };
            let places = PlaceDraft::list(std::iter::once(place));
            bench.change(Change::Forget { service: NAMED, places: Places::of(&places) })
        }
        Step::Settle => {
            bench.state.settle();
            Answer::Done { revision: bench.state.revision() }
        }
    }
}

proptest! {
    /// Equal commands give equal state, answers and records, however batches fall and whatever was
    /// restarted in between.
    #[test]
    fn any_history_is_the_same_after_a_restart(
        before in vec(step(), 0..40),
        after in vec(step(), 0..10),
    ) {
        let mut bench = Bench::new();
        before.iter().for_each(|step| _ = take(&mut bench, step));
        bench.state.settle();
        let mut other = Bench { state: bench.restarted(), disk: bench.disk.clone() };
        prop_assert_eq!(Bench::all(&bench.state), Bench::all(&other.state));
        prop_assert_eq!(bench.state.services_kept(), other.state.services_kept());
        for step in &after {
            prop_assert_eq!(take(&mut bench, step), take(&mut other, step), "{:?}", step);
        }
        bench.state.settle();
        other.state.settle();
        prop_assert_eq!(&bench.disk, &other.disk);
        prop_assert_eq!(Bench::all(&bench.state), Bench::all(&other.state));
        let entries = Bench::all(&bench.state);
        let instances: usize = entries.iter().map(|entry| entry.instances.len()).sum();
        let explicit = entries.iter().filter(|entry| entry.explicit.is_some()).count();
        let overrides: usize = entries.iter().map(|entry| entry.overrides.len()).sum();
        prop_assert_eq!((instances, explicit, overrides), bench.state.services_kept());
    }
}
