use super::*;
use crate::config::fixture::Centre;
use crate::key::{ConfigKey, ConfigName};
use crate::settings::Settings;

#[test]
fn stars_stand_for_anything() {
    for (pattern, text, expected) in [
        ("", "anything", true),
        ("*", "", true),
        ("a*", "abc", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*b*", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*a", "a", false),
        ("a*b", "acb", true),
        ("ab", "abc", false),
        ("a**c", "abc", true),
        ("*\u{e9}*", "caf\u{e9}s", true),
    ] {
        assert_eq!(Pattern::of(pattern).matches(text), expected, "{pattern} {text}");
    }
    assert!(!Pattern::exact("a*").matches("ab") && Pattern::exact("a*").matches("a*"));
    assert!(Pattern::part("b").matches("abc") && !Pattern::part("b*").matches("abc"));
}

#[test]
fn a_walk_finds_what_is_meant() {
    let mut centre = Centre::new(Settings::default());
    for number in 0..20 {
        let members = format!(r#""type":"yaml","config_tags":"x,t{number}","appName":"shop""#);
        centre.publish_with(&format!("d{number}"), &format!("c {number}"), &members);
    }
    centre.publish_with("gray-only", "g", r#""betaIps":"::1""#);
    centre.publish("plain", "c 3");
    let found = |filter: Filter| {
        let filter = Filter { namespace: "public".into(), ..filter };
        let tables = centre.state.tables();
        let walk = |keep| Walk::through(tables, keep, |entry| filter.matches(entry));
        let (names, first) = (walk(usize::MAX).found(), walk(3));
        assert_eq!(first.total(), names.len());
        assert_eq!(first.found(), names[..names.len().min(3)], "a page is the first of all");
        names.iter().map(|entry| entry.key.name().data_id.to_owned()).collect::<Vec<_>>()
    };
    let any = Filter::default;
    assert_eq!(found(any()).len(), 21, "no gray variants");
    assert_eq!(found(any())[0], "d0", "in the order of their rows");
    assert_eq!(found(Filter { data_id: Pattern::of("d1*"), ..any() }).len(), 11);
    assert_eq!(found(Filter { data_id: Pattern::exact("d1"), ..any() }), ["d1"]);
    assert_eq!(found(Filter { content: Pattern::part("3"), ..any() }), ["d3", "d13", "plain"]);
    assert_eq!(found(Filter { tags: vec![Pattern::exact("t7")], ..any() }), ["d7"]);
    assert_eq!(found(Filter { types: vec!["text".into()], ..any() }), ["plain"]);
    assert_eq!(found(Filter { app_name: "shop".into(), ..any() }).len(), 20);
    assert_eq!(found(Filter { group: Pattern::of("h*"), ..any() }), [""; 0]);
    assert_eq!(found(Filter { ids: vec![2, 3, 999], ..any() }), ["d1", "d2"]);
}

/// What is meant, by group and dataId.
fn walked(tables: &Tables, filter: &Filter) -> Vec<ConfigKey> {
    let walk = Walk::through(tables, usize::MAX, |entry| filter.matches(entry));
    let mut keys: Vec<_> = walk.found().iter().map(|entry| entry.key.clone()).collect();
    keys.sort_by_key(|key| {
        let ConfigName { data_id, group, .. } = key.name();
        (group.to_owned(), data_id.to_owned())
    });
    keys
}

/// A sieve holds what is meant, all or a page.
fn sieved(tables: &Tables, filter: &Filter, wanted: &[ConfigKey]) {
    for (all_max, slice) in [(usize::MAX, usize::MAX), (wanted.len(), 7), (7, 100)] {
        let mut sieve = Sieve::of(filter, tables, all_max, 7..12).expect("names alone decide");
        while !sieve.step(slice) {}
        assert_eq!(sieve.total(), wanted.len(), "{filter:?}");
        let expected = match wanted.len() <= all_max {
            true => Sieved::All(wanted.to_vec()),
            false => Sieved::Page(wanted.iter().skip(7).take(5).cloned().collect()),
        };
        assert_eq!(sieve.found(), expected, "{filter:?}");
    }
}

#[test]
fn names_that_do_not_stand_together_are_sieved() {
    let mut centre = Centre::new(Settings::default());
    for number in 0..600 {
        let data_id = format!("app-{}.d{number:03}", number % 7);
        centre.publish_in(&format!("g{}", number % 30), &data_id, "x");
    }
    let tables = centre.state.tables();
    for (data_id, group) in ["*3", "*1*d*0*", "app-2*9", "*", "*x*", "app-3.d003"]
        .iter()
        .flat_map(|id| ["", "g3", "*3", "*1*"].map(|group| (id, group)))
    {
        let (data_id, group) = (Pattern::of(data_id), Pattern::of(group));
        let filter = Filter { namespace: "public".into(), data_id, group, ..Filter::default() };
        let wanted = walked(tables, &filter);
        sieved(tables, &filter, &wanted);
    }
    let content = Filter { content: Pattern::part("x"), ..Filter::default() };
    assert!(Sieve::of(&content, tables, 1, 0..1).is_none());
}

/// Whatever names decide, their places hold what a walk finds.
#[test]
fn places_are_of_what_a_walk_finds() {
    let mut centre = Centre::new(Settings::default());
    for number in 0..600 {
        let data_id = format!("app-{}.d{number:03}", number % 7);
        centre.publish_in(&format!("g{}", number % 30), &data_id, "x");
    }
    centre.publish_with("gray-only", "g", r#""betaIps":"::1""#);
    let tables = centre.state.tables();
    let pattern = |text: &str, exact| match exact {
        true => Pattern::exact(text),
        false => Pattern::of(text),
    };
    let ids = ["", "*", "app*", "app-3*", "app-3.d003", "app-3.d003*", "x", "app-**", "b*"];
    let groups = ["", "g3", "g3*", "*", "g*", "*3", "x"];
    for (data_id, group) in ids.iter().flat_map(|id| groups.map(|group| (id, group))) {
        for exact in [false, true] {
            let filter = Filter {
                namespace: "public".into(),
                data_id: pattern(data_id, exact),
                group: pattern(group, exact),
                ..Filter::default()
            };
            let wanted = walked(tables, &filter);
            sieved(tables, &filter, &wanted);
            let mut places = Places::of(&filter, tables).expect("names alone decide");
            let mut steps = 1;
            while !places.step(4) {
                steps += 1;
            }
            assert!(steps < 10);
            assert_eq!(places.total(), wanted.len(), "{filter:?}");
            assert_eq!(places.page(0, usize::MAX), wanted, "{filter:?}");
            let page: Vec<_> = wanted.iter().skip(7).take(5).cloned().collect();
            assert_eq!(places.page(7, 5), page, "{filter:?}");
        }
    }
    let of = |filter: Filter| Places::of(&filter, tables).is_some();
    assert!(!of(Filter { data_id: Pattern::of("*x"), ..Filter::default() }));
    assert!(!of(Filter { app_name: "x".into(), ..Filter::default() }));
    assert!(!of(Filter { content: Pattern::part("x"), ..Filter::default() }));
}
