use super::*;
use proptest::prelude::*;
use serde_json::Value;

const CORES: usize = 3;

fn directory(patterns: usize, matches: usize) -> Directory {
    let rules =
        Rules { fuzzy_patterns_max: patterns, fuzzy_matches_max: matches, ..Rules::default() };
    Directory::new(CORES, RandomState::with_seeds(1, 2, 3, 4), &rules)
}

fn now(tick_ms: u64) -> Now {
    Now { tick_ms, unix_ms: 0 }
}

fn key(text: &str) -> ServiceKey {
    parse_key(text).unwrap()
}

fn publish(directory: &mut Directory, text: &str) {
    directory.named(key(text), true, true);
}

fn json(body: &Body) -> Value {
    serde_json::from_slice(&body.json.pieces().concat()).unwrap()
}

fn listed(directory: &Directory, ns: &str, group: &str, no: i64, size: i64) -> (u64, Vec<String>) {
    let json = json(&directory.list(ns, group, Page { page_no: no, page_size: size }));
    let names = json["serviceNames"].as_array().unwrap();
    let names = names.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    (json["count"].as_u64().unwrap(), names)
}

fn conn(home: u16, slot: u32) -> ConnKey {
    ConnKey { home: Home(Core(home)), slot, generation: 0 }
}

/// The answer's errorCode and the differences, as `+key` and `-key`.
fn watch(
    directory: &mut Directory,
    watcher: (u16, u32),
    pattern: &str,
    known: &[&str],
) -> (i64, Vec<String>) {
    let (home, slot) = watcher;
    let waiter = Waiter { conn: conn(home, slot), stream: 1 };
    let known = known.iter().map(|key| (*key).into()).collect();
    let asked = Box::new(Watch { pattern: pattern.into(), known, initializing: true });
    match directory.watch(now(0), Core(home), waiter, asked.clone()) {
        Tell::Watched { watch, body, differences, .. } => {
            assert_eq!(watch, asked);
            let code = json(&body)["errorCode"].as_i64().unwrap();
            (code, differences.iter().map(signed).collect())
        }
        Tell::Answer { body, .. } => {
            assert_eq!(body.kind, "NamingFuzzyWatchResponse");
            (json(&body)["errorCode"].as_i64().unwrap(), vec![])
        }
        other => panic!("{other:?}"),
    }
}

fn signed((key, change): &(ServiceKey, NameChange)) -> String {
    let sign = if *change == NameChange::Added { '+' } else { '-' };
    format!("{sign}{}", key.text())
}

/// What goes out, as (core, change).
fn drained(directory: &mut Directory) -> Vec<(u16, String)> {
    let mut out = vec![];
    assert!(!directory.drain(&mut [usize::MAX; CORES], &mut out));
    assert!(!directory.pending());
    out.into_iter().map(told).collect()
}

fn told(effect: Effect) -> (u16, String) {
    match effect {
        Effect::Tell { to, tell: Tell::NameChanged { service, change } } => {
            (to.0.0, signed(&(service, change)))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_are_paged_by_exact_group() {
    let mut directory = directory(20, 500);
    for name in ["n@@g@@b", "n@@g@@a", "n@@g@@c", "n@@G@@x", "m@@g@@y", "n@@g@@a"] {
        publish(&mut directory, name);
    }
    assert_eq!(directory.names(), 5);
    let all = vec!["a".to_owned(), "b".into(), "c".into()];
    let table: &[(i64, i64, &[String])] = &[
        (1, 10, &all),
        (1, 2, &all[..2]),
        (2, 2, &all[2..]),
        (3, 2, &[]),
        (0, 2, &all[..2]),
        (-5, 2, &all[..2]),
        (1, 0, &[]),
        (1, -1, &[]),
        (i64::MAX, i64::MAX, &[]),
        (i64::MIN, i64::MAX, &all),
    ];
    for (no, size, names) in table {
        assert_eq!(listed(&directory, "n", "g", *no, *size), (3, names.to_vec()), "{no} {size}");
    }
    assert_eq!(listed(&directory, "n", "other", 1, 10), (0, vec![]));
    assert_eq!(listed(&directory, "other", "g", 1, 10), (0, vec![]));
}

#[test]
fn a_name_stays_listed_until_the_cleaner_said_so() {
    let mut directory = directory(20, 500);
    publish(&mut directory, "n@@g@@a");
    directory.named(key("n@@g@@a"), true, false);
    assert_eq!(listed(&directory, "n", "g", 1, 10).0, 1);
    directory.named(key("n@@g@@a"), false, false);
    assert_eq!(listed(&directory, "n", "g", 1, 10).0, 0);
    directory.named(key("n@@g@@a"), false, false);
    assert_eq!(directory.names(), 0);
    assert!(directory.namespaces.is_empty(), "no empty shelves are kept");
}

#[test]
fn a_watch_is_told_what_it_does_not_know() {
    let mut directory = directory(20, 500);
    for name in ["n@@g@@a1", "n@@g@@a2", "n@@h@@a3", "m@@g@@a4", "n@@g@@b"] {
        publish(&mut directory, name);
    }
    directory.named(key("n@@g@@a2"), true, false);
    let table: &[(&str, &[&str], &[&str])] = &[
        // Empty ones count as well (naming.md 8.4).
        ("n>>g>>a*", &[], &["+n@@g@@a1", "+n@@g@@a2"]),
        ("n>>g>>a*", &["n@@g@@a1", "n@@g@@a2"], &[]),
        ("n>>g>>a*", &["n@@g@@a1", "n@@g@@old", "nonsense"], &["+n@@g@@a2", "-n@@g@@old"]),
        ("n>>*>>*a*", &[], &["+n@@g@@a1", "+n@@g@@a2", "+n@@h@@a3"]),
        ("n>>*>>*", &["n@@g@@b"], &["+n@@g@@a1", "+n@@g@@a2", "+n@@h@@a3"]),
        ("n>>g>>b", &[], &["+n@@g@@b"]),
        ("n>>g>>bb", &[], &[]),
        ("n>>g>>*1", &[], &["+n@@g@@a1"]),
        ("n>>g>>a*1", &[], &[]),
        ("x>>*>>*", &["x@@g@@gone"], &["-x@@g@@gone"]),
    ];
    for (pattern, known, expected) in table {
        let (code, differences) = watch(&mut directory, (1, 1), pattern, known);
        assert_eq!((code, differences), (0, expected.iter().map(|d| d.to_string()).collect()));
    }
}

#[test]
fn watchers_cores_hear_of_names_that_come_and_go() {
    let mut directory = directory(20, 500);
    watch(&mut directory, (1, 1), "n>>g>>a*", &[]);
    watch(&mut directory, (1, 2), "n>>g>>a*", &[]);
    watch(&mut directory, (2, 1), "n>>*>>*", &[]);
    publish(&mut directory, "n@@g@@a");
    assert_eq!(drained(&mut directory), [(1, "+n@@g@@a".into()), (2, "+n@@g@@a".into())]);
    publish(&mut directory, "n@@g@@a");
    publish(&mut directory, "m@@g@@a");
    assert_eq!(drained(&mut directory), [], "no news");
    directory.named(key("n@@g@@a"), true, false);
    assert_eq!(drained(&mut directory), [(1, "-n@@g@@a".into()), (2, "-n@@g@@a".into())]);
    directory.named(key("n@@g@@a"), false, false);
    assert_eq!(drained(&mut directory), []);

    directory.unwatch(now(1), conn(1, 1), "n>>g>>a*");
    directory.unwatch(now(1), conn(1, 9), "n>>g>>a*");
    directory.unwatch(now(1), conn(2, 1), "n>>*>>*");
    directory.unwatch(now(1), conn(2, 1), "n>>*>>*");
    publish(&mut directory, "n@@g@@a");
    assert_eq!(drained(&mut directory), [(1, "+n@@g@@a".into())], "one watcher is left");
}

#[test]
fn without_room_the_latest_change_waits() {
    let mut directory = directory(20, 500);
    watch(&mut directory, (1, 1), "n>>g>>*", &[]);
    watch(&mut directory, (2, 1), "n>>g>>*", &[]);
    publish(&mut directory, "n@@g@@a");
    publish(&mut directory, "n@@g@@b");
    let mut out = vec![];
    assert!(directory.drain(&mut [9, 1, 0], &mut out));
    assert_eq!(out.drain(..).map(told).collect::<Vec<_>>(), [(1, "+n@@g@@a".into())]);
    directory.named(key("n@@g@@b"), true, false);
    directory.named(key("n@@g@@a"), true, false);
    let expected: Vec<(u16, String)> = vec![
        (1, "-n@@g@@b".into()),
        (1, "-n@@g@@a".into()),
        (2, "-n@@g@@a".into()),
        (2, "-n@@g@@b".into()),
    ];
    assert_eq!(drained(&mut directory), expected);
}

/// `naming.md` 8.2: distinct patterns, 50310.
#[test]
fn patterns_are_limited() {
    let mut directory = directory(2, 500);
    assert_eq!(watch(&mut directory, (1, 1), "n>>g>>a", &[]).0, 0);
    assert_eq!(watch(&mut directory, (1, 1), "n>>g>>b", &[]).0, 0);
    assert_eq!(watch(&mut directory, (1, 1), "m>>g>>c", &[]).0, 50310);
    assert_eq!(watch(&mut directory, (2, 1), "n>>g>>b", &[]).0, 0, "one that is there");
    // One without watchers makes room.
    directory.unwatch(now(1), conn(1, 1), "n>>g>>a");
    assert_eq!(watch(&mut directory, (1, 1), "m>>g>>c", &[]).0, 0);
    assert_eq!(watch(&mut directory, (1, 1), "n>>g>>a", &[]).0, 50310);
}

#[test]
fn patterns_nobody_watches_are_dropped_after_a_while() {
    let mut directory = directory(20, 500);
    watch(&mut directory, (1, 1), "n>>g>>a", &[]);
    watch(&mut directory, (1, 1), "n>>g>>b", &[]);
    directory.unwatch(now(1_000), conn(1, 1), "n>>g>>a");
    directory.tick(now(30_999));
    assert_eq!(directory.patterns(), 2);
    directory.tick(now(31_000));
    assert_eq!(directory.patterns(), 1);
    directory.tick(now(900_000));
    assert_eq!(directory.patterns(), 1, "one is watched");
}

/// `naming.md` 8.2 to 8.4: 50311, nothing declared gone, new names ignored, free places filled.
#[test]
fn matches_are_limited() {
    let mut directory = directory(20, 3);
    for name in ["a", "b", "c", "d"] {
        publish(&mut directory, &format!("n@@g@@{name}"));
    }
    let expected = vec!["+n@@g@@a".to_owned(), "+n@@g@@b".into(), "+n@@g@@c".into()];
    let known = ["n@@g@@gone"];
    assert_eq!(watch(&mut directory, (1, 1), "n>>g>>*", &known), (50311, expected));
    publish(&mut directory, "n@@g@@e");
    assert_eq!(drained(&mut directory), [], "full: ignored");
    directory.named(key("n@@g@@b"), true, false);
    assert_eq!(drained(&mut directory), [(1, "-n@@g@@b".into())], "refilled silently");
    let matched: Vec<_> = directory.patterns[0].matched.iter().map(ServiceKey::service).collect();
    assert_eq!(matched, ["a", "c", "d"]);
    directory.named(key("n@@g@@e"), true, false);
    assert_eq!(drained(&mut directory), [], "it was not in the set");
}

/// The directory as told naively.
#[derive(Default)]
struct Model {
    listed: BTreeSet<String>,
    matched: BTreeSet<String>,
}

proptest! {
    /// Below the limit, a watcher that applies what it is told ends with the set of published
    /// names, plus listed ones it saw at the start; and lists hold what is listed. Room comes and
    /// goes.
    #[test]
    fn watchers_and_lists_agree_with_the_names(
        steps in proptest::collection::vec((0u8..12, 0u8..3, 0usize..3), 1..200),
        pattern in proptest::sample::select(&["n>>g>>s*", "n>>*>>*1*", "n>>g>>*", "n>>g>>s3"]),
        watch_at in 0usize..100,
    ) {
        let mut directory = directory(20, 500);
        let parsed = Pattern::parse(pattern).unwrap();
        let mut model = Model::default();
        let mut client: Option<BTreeSet<String>> = None;
        let apply = |client: &mut BTreeSet<String>, change: &str| {
            match change.split_at(1) {
                ("+", key) => client.insert(key.to_owned()),
                (_, key) => client.remove(key),
            }
        };
        for (at, (number, state, room)) in steps.iter().enumerate() {
            if at == watch_at {
                let (code, differences) = watch(&mut directory, (1, 1), pattern, &[]);
                prop_assert_eq!(code, 0);
                let mut seen = BTreeSet::new();
                differences.iter().for_each(|change| { apply(&mut seen, change); });
                client = Some(seen);
                model.matched = model.listed.iter()
                    .filter(|name| parsed.matches(&key(name))).cloned().collect();
            }
            let name = format!("n@@g@@s{number}");
            let (listed, published) = (*state < 2, *state < 1);
            directory.named(key(&name), listed, published);
            if listed { model.listed.insert(name.clone()); } else { model.listed.remove(&name); }
            if published && parsed.matches(&key(&name)) {
                model.matched.insert(name);
            } else {
                model.matched.remove(&name);
            }
            let mut out = vec![];
            directory.drain(&mut [0, *room, 0], &mut out);
            for (core, change) in out.into_iter().map(told) {
                prop_assert_eq!(core, 1);
                apply(client.as_mut().unwrap(), &change);
            }
        }
        let rest = drained(&mut directory);
        if let Some(client) = &mut client {
            rest.iter().for_each(|(_, change)| { apply(client, change); });
            prop_assert_eq!(&*client, &model.matched);
        }
        let (count, mut shown) = super::tests::listed(&directory, "n", "g", 1, 100);
        shown.sort();
        let names = model.listed.iter().map(|name| key(name).service().to_owned());
        let mut expected: Vec<String> = names.collect();
        expected.sort();
        prop_assert_eq!(count as usize, expected.len());
        prop_assert_eq!(shown, expected);
    }
}
