use super::*;
use crate::config::details::Details;
use crate::config::gray::{Labels, Rule, RuleKind};
use crate::config::md5::Md5;
use crate::durable::answer::Refused;
use crate::durable::command::*;
use crate::durable::history::{Lies, Operation};
use crate::durable::question::Past;
use crate::key::ConfigName;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits =
    Limits { grays_max: 2, history_entries_max: 1_000, history_bytes_max: 1 << 30, quotas: None };

/// A state with the disk it writes to.
struct Bench {
    state: State,
    disk: BTreeMap<(Table, Bytes), Bytes>,
    now_ms: u64,
}

impl Bench {
    fn new() -> Self {
        let mut state = State::new(Arc::default());
        assert_eq!(*state.loaded(), []);
        state.tables().set_ready();
        Self { state, disk: BTreeMap::new(), now_ms: 1_000 }
    }

    fn apply(&mut self, command: Command<'_>) -> Answer {
        self.apply_bytes(&command.encode())
    }

    fn apply_bytes(&mut self, command: &[u8]) -> Answer {
        let mut records = Vec::new();
        let answer = self.state.apply(1, command, &mut records);
        for Record { table, key, value } in records {
            match value {
                Some(value) => _ = self.disk.insert((table, key), value),
                None => _ = self.disk.remove(&(table, key)),
            }
        }
        answer
    }

    fn draft<'a>(&mut self, data_id: &'a str, content: &'a str) -> Publish<'a> {
        self.now_ms += 1;
        Publish {
            at_ms: self.now_ms,
            limits: LIMITS,
            name: name(data_id),
            gray: None,
            cas_md5: "",
            md5: Md5::of(content),
            details: Details { config_type: "text", ..Details::default() },
            content,
        }
    }

    fn publish(&mut self, data_id: &str, content: &str) -> Answer {
        let draft = self.draft(data_id, content);
        self.apply(Command::Publish(draft))
    }

    fn publish_tag(&mut self, data_id: &str, tag: &str, content: &str) -> Answer {
        let gray_name = format!("tag_{tag}");
        let rule = Rule { kind: RuleKind::Tag, expression: tag, priority: 1 };
        let draft = self.draft(data_id, content);
        let gray = Some(GrayDraft { name: &gray_name, rule });
        self.apply(Command::Publish(Publish { gray, ..draft }))
    }

    fn remove(&mut self, data_id: &str, gray: &str) -> Answer {
        self.now_ms += 1;
        self.apply(Command::Remove(Remove {
            at_ms: self.now_ms,
            limits: LIMITS,
            name: name(data_id),
            gray,
            source_user: "u",
            source_ip: "i",
        }))
    }

    fn content(&self, data_id: &str) -> Option<String> {
        let entry = self.state.tables().get(name(data_id))?;
        entry.formal.as_ref().map(|formal| formal.content().into_owned())
    }

    fn tagged(&self, data_id: &str, tag: &str) -> Option<String> {
        let entry = self.state.tables().get(name(data_id))?;
        let gray = entry.gray_for(Labels { client_ip: "", tag: Some(tag) })?;
        Some(gray.variant.content().into_owned())
    }

    /// Rows on disk, oldest first: operation, content, number of the config.
    fn rows(&self) -> Vec<(Operation, String, u64)> {
        let of_history = self.disk.iter().filter(|((table, _), _)| *table == Table::History);
        let row = |((_, key), value): (&(Table, Bytes), &Bytes)| {
            let number = record::read_history_key(key).unwrap();
            let past = Past::read(number, value, true).unwrap();
            (past.operation, self.content_of(&past), past.id)
        };
        of_history.map(row).collect()
    }

    /// The content of a row, wherever it is.
    fn content_of(&self, past: &Past) -> String {
        match past.lies {
            Lies::Here => past.content.clone().unwrap(),
            Lies::Apart => {
                let value = &self.disk[&(Table::Past, Past::key(past.number))];
                Past::read_content(value).unwrap()
            }
            Lies::After => {
                let all = self.disk.iter().filter(|((table, _), _)| *table == Table::History);
                let rows = all.map(|((_, key), value)| {
                    Past::read(record::read_history_key(key).unwrap(), value, true).unwrap()
                });
                let newer = |row: &Past| row.number > past.number && row.key == past.key;
                let next = rows.filter(newer).find(|row| past.is_of_variant(row));
                match next {
                    Some(next) => {
                        assert_eq!((next.md5, next.lies), (past.md5, Lies::Apart));
                        self.content_of(&next)
                    }
                    None => {
                        let entry = self.state.configs.get(past.key.name()).unwrap();
                        past.content_in(entry).unwrap()
                    }
                }
            }
        }
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
}

fn name(data_id: &str) -> ConfigName<'_> {
    ConfigName { data_id, group: "g", namespace: "public" }
}

fn told(changes: &[Change]) -> Vec<(&str, bool, Option<NameChange>)> {
    let change = |change: &Change| (change.told, change.presence);
    changes.iter().map(|it| (it.key.name().data_id, change(it).0, change(it).1)).collect()
}

fn refused(answer: Answer) -> (Code, String) {
    match answer {
        Answer::Refused(Refused { code, text }) => (code, text.into_owned()),
        done => panic!("{done:?}"),
    }
}

#[test]
fn a_batch_appears_whole_and_each_config_is_told_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.publish("a", "1"), Answer::Done { revision: 1 });
    bench.publish("a", "2");
    bench.publish("b", "1");
    bench.publish("c", "1");
    bench.remove("c", "");
    assert_eq!(bench.content("a"), None, "readers see nothing before the batch is settled");
    let changes = bench.state.settle();
    let added = Some(NameChange::Added);
    assert_eq!(told(&changes), [("a", true, added), ("b", true, added), ("c", true, None)]);
    assert_eq!((bench.content("a").as_deref(), bench.content("c")), (Some("2"), None));
    bench.remove("a", "");
    assert_eq!(told(&bench.state.settle()), [("a", true, Some(NameChange::Deleted))]);
    assert_eq!(told(&bench.state.settle()), []);
    assert_eq!(bench.state.tables().configs(), 1);
}

/// `config.md` 9: a change of fields around the content is stored, and nobody is told.
#[test]
fn listeners_are_told_only_of_content() {
    let mut bench = Bench::new();
    bench.publish("a", "1");
    bench.state.settle();
    let draft = bench.draft("a", "1");
    let details = Details { config_type: "yaml", ..draft.details };
    bench.apply(Command::Publish(Publish { details, ..draft }));
    assert_eq!(told(&bench.state.settle()), []);
    let entry = bench.state.tables().get(name("a")).unwrap();
    let formal = entry.formal.as_ref().unwrap();
    assert_eq!(formal.details().config_type, "yaml");
    assert_eq!((formal.created_ms, formal.modified_ms), (1_001, 1_002));
    assert_eq!(bench.rows().len(), 2, "it is history all the same");
    // The rule of a gray variant is content, too.
    bench.publish_tag("a", "t", "x");
    assert_eq!(told(&bench.state.settle()), [("a", true, None)]);
    bench.publish_tag("a", "t", "x");
    assert_eq!(told(&bench.state.settle()), []);
    let draft = bench.draft("a", "x");
    let rule = Rule { kind: RuleKind::Tag, expression: "other", priority: 1 };
    let gray = Some(GrayDraft { name: "tag_t", rule });
    bench.apply(Command::Publish(Publish { gray, ..draft }));
    assert_eq!(told(&bench.state.settle()), [("a", true, None)]);
}

#[test]
fn a_publish_over_something_else_is_refused() {
    let mut bench = Bench::new();
    let hex = |content: &str| String::from_utf8(Md5::of(content).hex().to_vec()).unwrap();
    let mut cas = |data_id: &str, md5: &str, content: &str| {
        let draft = bench.draft(data_id, content);
        bench.apply(Command::Publish(Publish { cas_md5: md5, ..draft }))
    };
    assert!(matches!(cas("a", &hex("never"), "1"), Answer::Done { .. }), "nothing there: inserts");
    assert!(matches!(cas("a", &hex("1"), "2"), Answer::Done { .. }));
    let (code, text) = refused(cas("a", &hex("1"), "3"));
    assert_eq!(text, "Cas publish fail, server md5 may have changed.");
    assert_eq!(code, Code::ResourceConflict);
    assert!(matches!(cas("a", " ", "4"), Answer::Done { .. }), "blank is no condition");
    bench.state.settle();
    assert_eq!(bench.content("a").as_deref(), Some("4"));
    bench.publish_tag("a", "t", "g1");
    let rule = Rule { kind: RuleKind::Tag, expression: "t", priority: 1 };
    let gray = Some(GrayDraft { name: "tag_t", rule });
    let draft = bench.draft("a", "g2");
    let stale = hex("4");
    let (_, text) =
        refused(bench.apply(Command::Publish(Publish { gray, cas_md5: &stale, ..draft })));
    assert_eq!(text, "Cas publish gray config fail, server md5 may have changed.");
    let good = hex("g1");
    let done = bench.apply(Command::Publish(Publish { gray, cas_md5: &good, ..draft }));
    assert!(matches!(done, Answer::Done { .. }));
}

#[test]
fn gray_variants_are_counted_and_outlive_the_formal_config() {
    let mut bench = Bench::new();
    bench.publish("a", "formal");
    bench.publish_tag("a", "x", "gx");
    bench.publish_tag("a", "y", "gy");
    let (code, text) = refused(bench.publish_tag("a", "z", "gz"));
    assert_eq!(text, "gray config version is over max count :2");
    assert_eq!(code, Code::GrayOverMaxVersion);
    assert!(matches!(bench.publish_tag("a", "y", "gy2"), Answer::Done { .. }), "known ones may");
    bench.remove("a", "");
    assert_eq!(told(&bench.state.settle()), [("a", true, None)], "came and went in one batch");
    assert_eq!(bench.content("a"), None);
    assert_eq!(bench.tagged("a", "y").as_deref(), Some("gy2"));
    // By the tag, by the variant's own name, and once more: success each time.
    for gray in ["y", "tag_x", "x"] {
        assert!(matches!(bench.remove("a", gray), Answer::Done { .. }));
    }
    bench.state.settle();
    assert_eq!(bench.state.tables().get(name("a")), None);
    assert!(!bench.disk.keys().any(|(table, _)| matches!(table, Table::Gray | Table::Config)));
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.remove("a", ""), Answer::Done { revision: 0 });
    assert_eq!(bench.remove("a", "beta"), Answer::Done { revision: 0 });
    assert_eq!((told(&bench.state.settle()), bench.disk.len()), (vec![], 0));
}

/// `config.md` 11: an insert's row has the new content, the others' the old.
#[test]
fn history_says_what_was() {
    let mut bench = Bench::new();
    bench.publish("a", "one\n");
    bench.publish("a", "two");
    bench.remove("a", "");
    bench.publish("a", "three");
    bench.publish_tag("a", "t", "gray");
    use Operation::{Delete, Insert, Update};
    let row = |operation, content: &str, id| (operation, content.to_owned(), id);
    assert_eq!(
        bench.rows(),
        [
            row(Insert, "one\n", 0),
            row(Update, "one\n", 1),
            row(Delete, "two", 1),
            row(Insert, "three", 0),
            row(Insert, "gray", 0),
        ]
    );
    let of_delete = bench.disk.iter().filter(|((table, _), _)| *table == Table::History).nth(2);
    let (row, ..) = record::read_history(of_delete.unwrap().1).unwrap();
    assert_eq!((row.source_user, row.source_ip, row.gray), ("u", "i", None));
}

#[test]
fn history_is_bounded_by_number_bytes_and_age() {
    let mut bench = Bench::new();
    let write = |bench: &mut Bench, entries_max, bytes_max| {
        let content = format!("{}", bench.now_ms);
        let draft = bench.draft("a", &content);
        let limits =
            Limits { history_entries_max: entries_max, history_bytes_max: bytes_max, ..LIMITS };
        bench.apply(Command::Publish(Publish { limits, ..draft }));
    };
    (0..9).for_each(|_| write(&mut bench, 5, u64::MAX));
    assert_eq!(bench.rows().len(), 5);
    write(&mut bench, 5, 1);
    assert_eq!(bench.rows().len(), 1);
    (0..4).for_each(|_| write(&mut bench, 5, u64::MAX));
    let before_ms = bench.now_ms - 1;
    bench.apply(Command::SweepHistory { before_ms });
    assert_eq!(bench.rows().len(), 2);
    assert_eq!(bench.state.history().len(), 2);
}

/// `config.md` 12, and the order of its checks.
#[test]
fn capacity_is_enforced_where_it_is_asked_for() {
    let mut bench = Bench::new();
    let quotas = Quotas { cluster: 4, namespace: 2, content_bytes: 10 };
    let mut publish = |namespace, data_id, content| {
        let draft = bench.draft(data_id, content);
        let name = ConfigName { data_id, group: "g", namespace };
        let limits = Limits { quotas: Some(quotas), ..LIMITS };
        bench.apply(Command::Publish(Publish { name, limits, ..draft }))
    };
    assert!(matches!(publish("public", "a", "1234567890"), Answer::Done { .. }));
    let (code, text) = refused(publish("public", "b", "12345678901"));
    assert_eq!(code, Code::ContentTooLarge);
    let place = "[group=g, namespaceId=public].";
    assert_eq!(text, format!("Configuration content size limit exceeded {place}"));
    assert_eq!(refused(publish("public", "a", "12345678901")).0, Code::ContentTooLarge);
    publish("public", "b", "1");
    let (code, text) = refused(publish("public", "c", "1"));
    assert_eq!(code, Code::TenantQuotaReached);
    assert_eq!(text, format!("Configuration limit exceeded {place}"));
    assert!(matches!(publish("public", "b", "2"), Answer::Done { .. }), "an update is no more");
    publish("dev", "a", "1");
    publish("dev", "b", "1");
    assert_eq!(refused(publish("new", "a", "12345678901")).0, Code::ClusterQuotaReached);
    // A quota of its own comes before the settings'.
    let sizes = Sizes { quota: 3, content_bytes: 20, ..Sizes::default() };
    let draft = CapacityDraft { at_ms: 9, scope: Scope::Namespace, id: "public", sizes };
    bench.apply(Command::SetCapacity(draft));
    bench.remove("a", "");
    let draft = bench.draft("c", "12345678901");
    let limits = Limits { quotas: Some(quotas), ..LIMITS };
    let done = bench.apply(Command::Publish(Publish { limits, ..draft }));
    assert!(matches!(done, Answer::Done { .. }), "{done:?}");
}

#[test]
fn namespaces_come_and_go() {
    let mut bench = Bench::new();
    let draft = |id, name| NamespaceDraft { at_ms: 5, id, name, description: "d" };
    let create = |bench: &mut Bench, id| bench.apply(Command::CreateNamespace(draft(id, "n")));
    assert!(matches!(create(&mut bench, "dev"), Answer::Done { .. }));
    assert_eq!(refused(create(&mut bench, "dev")).0, Code::NamespaceAlreadyExist);
    assert_eq!(refused(create(&mut bench, "public")).0, Code::NamespaceAlreadyExist);
    let unknown = bench.apply(Command::UpdateNamespace(draft("test", "n")));
    assert_eq!(refused(unknown).0, Code::NamespaceNotExist);
    bench.apply(Command::UpdateNamespace(draft("dev", "Dev")));
    assert_eq!(&*bench.state.namespaces().get("dev").unwrap().name, "Dev");
    assert_eq!(bench.restarted().namespaces(), bench.state.namespaces());
    for _ in 0..2 {
        let done = bench.apply(Command::DeleteNamespace { id: "dev" });
        assert!(matches!(done, Answer::Done { .. }));
    }
    assert!(bench.state.namespaces().is_empty());
}

#[test]
fn what_cannot_be_understood_is_answered_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.publish("a", "1");
    let disk = bench.disk.clone();
    for bytes in [&b""[..], b"\x01", b"\x02\x01", b"\x01\xff", b"\x01\x01garbage"] {
        assert_eq!(refused(bench.apply_bytes(bytes)).0, Code::ServerError);
    }
    assert_eq!((bench.disk, bench.state.revision()), (disk, 1));
}

#[test]
fn records_that_cannot_be_understood_are_named() {
    let mut state = State::new(Arc::default());
    let mut load = |table, key: &'static [u8], value: &'static [u8]| {
        let (key, value) = (Bytes::from_static(key), Some(Bytes::from_static(value)));
        state.load(Record { table, key, value }).unwrap_err()
    };
    assert_eq!(load(Table::Config, b"", b""), "a record of Config: ends too early");
    assert_eq!(
        load(Table::Config, b"\x01a\x01g\x01n", b"\x07"),
        "a record of Config: a record of a version this build does not know"
    );
    assert_eq!(
        load(Table::History, b"x", b""),
        "a record of History: a history key that is no number"
    );
    assert_eq!(
        load(Table::Global, b"x", b""),
        "a record of Global: a global record this build does not know"
    );
    assert_eq!(load(Table::Instance, b"", b""), "a record of Instance: ends too early");
    assert_eq!(
        load(Table::Metadata, b"\x07\0\0\0", b"\x01\0"),
        "a record of Metadata: neither of a service nor of an instance"
    );
}

/// While a store is opened anew or a snapshot comes, readers see what they saw, then what is new.
#[test]
fn loading_anew_shows_nothing_half() {
    let mut bench = Bench::new();
    bench.publish("a", "1");
    bench.publish("b", "1");
    bench.state.settle();
    let old = std::mem::take(&mut bench.disk);
    let mut other = Bench::new();
    other.publish("b", "2");
    other.publish("c", "1");
    bench.state.clear();
    assert_eq!(bench.content("a").as_deref(), Some("1"));
    for ((table, key), value) in other.disk {
        bench.state.load(Record { table, key, value: Some(value) }).unwrap();
    }
    assert_eq!(bench.content("a").as_deref(), Some("1"));
    let changes = bench.state.loaded();
    assert_eq!(
        told(&changes),
        [
            ("a", true, Some(NameChange::Deleted)),
            ("b", true, None),
            ("c", true, Some(NameChange::Added)),
        ]
    );
    assert_eq!((bench.content("a"), bench.content("b").as_deref()), (None, Some("2")));
    assert!(!old.is_empty());
}

#[derive(Debug, Clone)]
enum Act {
    Publish(u8, String, bool),
    Tag(u8, u8, String),
    Remove(u8),
    RemoveTag(u8, u8),
    Namespace(u8, bool),
    Sweep(u64),
    Settle,
    Garbage(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let content = || "[a-z\n\"é]{1,20}";
    prop_oneof![
        6 => (0u8..5, content(), any::<bool>())
            .prop_map(|(at, text, cas)| Act::Publish(at, text, cas)),
        3 => (0u8..5, 0u8..4, content()).prop_map(|(at, tag, text)| Act::Tag(at, tag, text)),
        2 => (0u8..5).prop_map(Act::Remove),
        1 => (0u8..5, 0u8..4).prop_map(|(at, tag)| Act::RemoveTag(at, tag)),
        1 => (0u8..3, any::<bool>()).prop_map(|(at, there)| Act::Namespace(at, there)),
        1 => (0u64..50).prop_map(Act::Sweep),
        2 => Just(Act::Settle),
        1 => vec(any::<u8>(), 0..40).prop_map(Act::Garbage),
    ]
}

fn run(bench: &mut Bench, act: &Act) -> Option<Answer> {
    let data_id = |at: &u8| format!("c{at}");
    Some(match act {
        Act::Publish(at, content, cas) => {
            let data_id = data_id(at);
            let draft = bench.draft(&data_id, content);
            let cas_md5 = if *cas { "00000000000000000000000000000000" } else { "" };
            let limits = Limits { history_entries_max: 3, history_bytes_max: 900, ..LIMITS };
            bench.apply(Command::Publish(Publish { cas_md5, limits, ..draft }))
        }
        Act::Tag(at, tag, content) => bench.publish_tag(&data_id(at), &format!("t{tag}"), content),
        Act::Remove(at) => bench.remove(&data_id(at), ""),
        Act::RemoveTag(at, tag) => bench.remove(&data_id(at), &format!("t{tag}")),
        Act::Namespace(at, true) => {
            let (at_ms, id) = (bench.now_ms, format!("n{at}"));
            let draft = NamespaceDraft { at_ms, id: &id, name: "n", description: "" };
            bench.apply(Command::CreateNamespace(draft))
        }
        Act::Namespace(at, false) => {
            bench.apply(Command::DeleteNamespace { id: &format!("n{at}") })
        }
        Act::Sweep(back) => {
            let before_ms = bench.now_ms.saturating_sub(*back);
            bench.apply(Command::SweepHistory { before_ms })
        }
        Act::Settle => {
            bench.state.settle();
            return None;
        }
        Act::Garbage(bytes) => bench.apply_bytes(bytes),
    })
}

fn same(a: &State, b: &State) {
    assert!(a.configs.iter().eq(b.configs.iter()));
    assert_eq!((a.revision, &a.census), (b.revision, &b.census));
    assert_eq!((&a.namespaces, &a.capacities), (&b.namespaces, &b.capacities));
    assert_eq!((a.history.len(), a.history.bytes()), (b.history.len(), b.history.bytes()));
    for entry in a.configs.iter() {
        assert_eq!(a.history.numbers_of(&entry.key), b.history.numbers_of(&entry.key));
        assert_eq!(a.tables.get(entry.key.name()), b.tables.get(entry.key.name()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The same commands give the same state, answers and records; what is on disk gives the state.
    #[test]
    fn every_node_comes_to_the_same(acts in vec(act(), 0..60)) {
        let (mut one, mut other) = (Bench::new(), Bench::new());
        for act in &acts {
            prop_assert_eq!(run(&mut one, act), run(&mut other, act));
            prop_assert_eq!(&one.disk, &other.disk);
        }
        one.state.settle();
        other.state.settle();
        same(&one.state, &other.state);
        let mut restarted = one.restarted();
        same(&one.state, &restarted);
        // And it goes on the same.
        std::mem::swap(&mut other.state, &mut restarted);
        for act in &acts {
            prop_assert_eq!(run(&mut one, act), run(&mut other, act));
            prop_assert_eq!(&one.disk, &other.disk);
        }
    }
}
