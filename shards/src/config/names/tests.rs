use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn key(namespace: &str, group: &str, data_id: &str) -> ConfigKey {
    ConfigKey::new(ConfigName { data_id, group, namespace })
}

fn shown(names: &Names, range: Range<usize>) -> Vec<String> {
    let mut scan = names.scan(range.start);
    let mut shown = Vec::new();
    while shown.len() < range.len()
        && let Some(name) = scan.step()
    {
        assert!(!(name.is_alike() && shown.is_empty()));
        let key = name.key();
        let ConfigName { data_id, group, namespace } = key.name();
        shown.push(format!("{namespace}/{group}/{data_id}"));
    }
    shown
}

#[test]
fn ranges_of_an_empty_list_are_empty() {
    let names = Names::default();
    assert!(names.of_namespace("n").is_empty() && names.of_group("n", "g").is_empty());
    assert!(names.beginning("n", "g", "").is_empty() && names.get(0).is_none());
}

#[test]
fn what_begins_alike_stands_together() {
    let mut names = Names::default();
    let mut all = Vec::new();
    for namespace in ["a", "b"] {
        for group in ["g", "g1", "h"] {
            let ids = ["", "app", "app.yml", "apple", "b", "\u{e9}"];
            all.extend(ids.map(|data_id| (key(namespace, group, data_id), true)));
        }
    }
    names.change(all);
    let found = |prefix| shown(&names, names.beginning("a", "g1", prefix));
    assert_eq!(found("app"), ["a/g1/app", "a/g1/app.yml", "a/g1/apple"]);
    assert_eq!(found("app."), ["a/g1/app.yml"]);
    assert_eq!(found("\u{e9}"), ["a/g1/\u{e9}"]);
    assert_eq!(found("c"), [""; 0]);
    assert_eq!(found("").len(), 6);
    assert_eq!(names.of_group("a", "g1"), 6..12);
    assert_eq!(names.of_namespace("b"), 18..36);
    assert_eq!(names.of_namespace("c"), 36..36);
    assert_eq!(names.beginning("a", "x", "app"), 18..18);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// As an ordered set would do it, in batches small and large; who holds an older list sees
    /// nothing of it.
    #[test]
    fn it_is_an_ordered_set(
        batches in proptest::collection::vec(
            proptest::collection::vec((0u16..900, proptest::bool::weighted(0.7)), 1..400),
            1..20,
        ),
        start in 0usize..1_000,
    ) {
        let mut names = Names::default();
        let mut model = BTreeSet::new();
        for batch in batches {
            let (held, before) = (names.clone(), model.clone());
            let of = |number: u16| {
                (format!("n{}", number % 2), format!("g{}", number % 5), format!("d{number:03}"))
            };
            let changes = batch.iter().map(|(number, is_there)| {
                let (namespace, group, data_id) = of(*number);
                (key(&namespace, &group, &data_id), *is_there)
            });
            names.change(changes.collect());
            for (number, is_there) in batch {
                match is_there {
                    true => model.insert(of(number)),
                    false => model.remove(&of(number)),
                };
            }
            prop_assert_eq!(held.len(), before.len());
        }
        prop_assert_eq!(names.len(), model.len());
        let wanted = |(n, g, d): &(String, String, String)| format!("{n}/{g}/{d}");
        let all: Vec<_> = model.iter().map(wanted).collect();
        prop_assert_eq!(shown(&names, 0..names.len()), &all[..]);
        let page: Vec<_> = all.iter().skip(start).take(10).cloned().collect();
        prop_assert_eq!(shown(&names, start..start + 10), page);
        let of_group = |(n, g, _): &&(String, String, String)| n == "n1" && g == "g3";
        let group: Vec<_> = model.iter().filter(of_group).map(wanted).collect();
        prop_assert_eq!(shown(&names, names.of_group("n1", "g3")), &group[..]);
        let begins: Vec<_> =
            model.iter().filter(of_group).filter(|it| it.2.starts_with("d1")).map(wanted).collect();
        prop_assert_eq!(shown(&names, names.beginning("n1", "g3", "d1")), begins);
        names.change(model.iter().map(|(n, g, d)| (key(n, g, d), false)).collect());
        prop_assert!(names.is_empty());
    }
}
