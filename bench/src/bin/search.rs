//! What finding a page of configs among a million costs the core that was asked, what the order of
//! names costs in memory and in changes, and what finding a page among 100,000 services costs.
//!
//! `cargo run --release -p nacre-bench --bin search`. CPU time of this thread, a page of 100 each;
//! HTTP, JSON and the pauses between steps are not in it. Budgets: exact or prefix p99 ≤ 5 ms, the
//! worst pattern ≤ 300 ms with no step over 2 ms, 34 bytes a config; a page of services ≤ 1 ms.

use ahash::RandomState;
use nacre_bench::alloc::{Counting, live_bytes};
use nacre_shards::config::details::Details;
use nacre_shards::config::entry::{Draft, Entry, Variant};
use nacre_shards::config::md5::Md5;
use nacre_shards::config::names::Names;
use nacre_shards::config::search::{Filter, Pattern, Places, Sieve, Walk};
use nacre_shards::config::table::{Tables, Working};
use nacre_shards::key::{ConfigKey, ConfigName, ServiceKey};
use nacre_shards::naming::directory::{Directory, Page};
use nacre_shards::settings::Settings;
use std::hint::black_box;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONFIGS: usize = 1_000_000;
const GROUPS: usize = 100;
const SERVICES: usize = 100_000;
const SIZE: usize = 100;
/// As the server has them.
const STEP_NAMES: usize = 8_192;
const STEP_GROUPS: usize = 64;
const ROWS_ORDERED_MAX: usize = 4_096;

fn key(at: usize) -> ConfigKey {
    let data_id = format!("app-{:05}.service-{at:07}.properties", at % 20_000);
    let group = format!("GROUP_{:02}", at % GROUPS);
    ConfigKey::new(ConfigName { data_id: &data_id, group: &group, namespace: "public" })
}

fn entry(at: usize, md5: Md5) -> Arc<Entry> {
    let details = Details { config_type: "properties", ..Details::default() };
    let (id, content) = (at as u64 + 1, "some.key=and.its.value");
    let draft = Draft { content, md5, id, created_ms: 1, modified_ms: 1, details };
    Arc::new(Entry { key: key(at), formal: Some(Variant::new(&draft, None)), grays: [].into() })
}

/// Microseconds this thread has run.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ran = stat.split(' ').next().expect("three numbers");
    ran.parse::<f64>().expect("a number") / 1_000.0
}

/// CPU time of each turn of `work`: their mean, half of them, 99 of a hundred, the longest, in
/// microseconds. Where the kernel counts by ticks of 4 ms, of short turns only the mean says much.
fn measure(name: &str, turns: usize, mut work: impl FnMut(usize)) {
    let mut took: Vec<f64> = (0..turns)
        .map(|turn| {
            let before = cpu_us();
            work(turn);
            cpu_us() - before
        })
        .collect();
    let mean = took.iter().sum::<f64>() / turns as f64;
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took[(turns * share / 100).min(turns - 1)];
    let (half, most, longest) = (at(50), at(99), took[turns - 1]);
    println!("{name:<40} mean {mean:>7.0} p50 {half:>7.0} p99 {most:>7.0} max {longest:>7.0} µs");
}

/// One page as the server finds it.
fn page(tables: &Tables, filter: &Filter, from: usize) -> (usize, usize) {
    let mut places = Places::of(filter, tables).expect("names alone decide");
    while !places.step(STEP_GROUPS) {}
    let total = places.total();
    let keys = match total > ROWS_ORDERED_MAX {
        true => places.page(from, SIZE),
        false => places.page(0, total),
    };
    let mut found: Vec<_> = keys.iter().filter_map(|key| tables.get(key.name())).collect();
    found.sort_by_key(|entry| entry.formal.as_ref().map(|formal| formal.id));
    (total, black_box(found).len())
}

fn filter(data_id: &str, group: &str) -> Filter {
    Filter {
        namespace: "public".to_owned(),
        data_id: Pattern::of(data_id),
        group: Pattern::of(group),
        ..Filter::default()
    }
}

/// Bytes and time of a list of so many names.
fn names_cost(what: &str, key: impl Fn(usize) -> ConfigKey) {
    let bytes = live_bytes();
    let all = (0..CONFIGS).map(|at| (key(at), true)).collect();
    let (mut names, before) = (Names::default(), cpu_us());
    // The keys themselves are let go of in here.
    names.change(all);
    let took_ms = (cpu_us() - before) / 1_000.0;
    println!("{what}: {} bytes each; merged in {took_ms:.0} ms", (live_bytes() - bytes) / CONFIGS);
}

/// Pages of 100 by texts that few names hold, or many, or all.
fn services() {
    let joined = |at: usize| format!("com.example.team-{:03}.Service{at:06}-prod", at % 500);
    let texts = ["e012345-", "team-42", "9", "com.", "-prod", "nobody"];
    services_of("services", joined, &texts);
    // Each holds the text where no neighbour does: nothing that names have alike helps.
    let apart = |at: usize| {
        let hex = Md5::of(&at.to_string()).hex();
        let (before, behind) = hex.split_at(8 + at % 9);
        let text = |hex| String::from_utf8_lossy(hex).into_owned();
        format!("{}.Service.{}", text(before), text(&behind[..12]))
    };
    services_of("services unlike each other", apart, &[".Service.", "9", "nobody"]);
}

fn services_of(what: &str, name: impl Fn(usize) -> String, texts: &[&str]) {
    let hasher = RandomState::with_seed(1);
    let mut directory = Directory::new(1, hasher, &Settings::default().naming);
    for at in 0..SERVICES {
        directory.named(ServiceKey::new("public", "DEFAULT_GROUP", &name(at)), true, true);
    }
    let bytes = live_bytes();
    for text in texts {
        let (mut turn, mut count) = (0, 0);
        measure(&format!("{what} with {text}, a page anywhere"), 500, |_| {
            let page = Page { page_no: 1 + turn % 9, page_size: SIZE as i64 };
            (count, _) = black_box(directory.search("public", text, "", page));
            turn += 1;
        });
        println!("{count:>46} services");
    }
    println!("joined names: {} bytes a service", (live_bytes() - bytes) / SERVICES);
}

fn main() {
    services();
    let tables = Tables::default();
    let mut working = Working::default();
    let md5 = Md5::of("some.key=and.its.value");
    (0..CONFIGS).for_each(|at| working.put(entry(at, md5)));
    let before = cpu_us();
    working.publish(&tables);
    println!("{CONFIGS} configs shown for the first time: {:.0} ms", (cpu_us() - before) / 1_000.0);
    names_cost("names that begin alike", key);
    names_cost("names without any order", |at| {
        let data_id = format!("{}.json", String::from_utf8_lossy(&Md5::of(&at.to_string()).hex()));
        ConfigKey::new(ConfigName { data_id: &data_id, group: "GROUP", namespace: "public" })
    });

    let exact = |turn: usize| key(turn * 7_919 % CONFIGS).name().data_id.to_owned();
    measure("exact name, exact group", 2_000, |turn| {
        let key = key(turn * 7_919 % CONFIGS);
        assert_eq!(page(&tables, &filter(key.name().data_id, key.name().group), 0), (1, 1));
    });
    measure("exact name, any of 100 groups", 2_000, |turn| {
        assert_eq!(page(&tables, &filter(&exact(turn), ""), 0), (1, 1));
    });
    measure("prefix of 50", 2_000, |turn| {
        let prefix = format!("app-{:05}.*", turn * 7 % 20_000);
        assert_eq!(page(&tables, &filter(&prefix, ""), 0).0, 50);
    });
    measure("prefix of all, a page anywhere", 2_000, |turn| {
        let from = turn * 7_919 % (CONFIGS - SIZE);
        assert_eq!(page(&tables, &filter("app-*", ""), from), (CONFIGS, SIZE));
    });
    measure("everything, a page anywhere", 2_000, |turn| {
        let from = turn * 7_919 % (CONFIGS - SIZE);
        assert_eq!(page(&tables, &filter("", ""), from), (CONFIGS, SIZE));
    });
    measure("a whole group of 10,000", 2_000, |turn| {
        let group = format!("GROUP_{:02}", turn % GROUPS);
        assert_eq!(page(&tables, &filter("", &group), 900), (CONFIGS / GROUPS, SIZE));
    });
    for (data_id, group) in
        [("*9*9*properties", "*GROUP*"), ("*nothing-like-it*", ""), ("*", "*_7")]
    {
        let filter = filter(data_id, group);
        let longest_us = std::cell::Cell::new(0.0);
        measure(&format!("{data_id} in {group}, every name looked at"), 20, |_| {
            let page = 0..SIZE;
            let sieve = Sieve::of(&filter, &tables, ROWS_ORDERED_MAX, page);
            let mut sieve = sieve.expect("names alone decide");
            loop {
                let before = cpu_us();
                let done = sieve.step(STEP_NAMES);
                longest_us.set(f64::max(longest_us.get(), cpu_us() - before));
                if done {
                    break;
                }
            }
            black_box((sieve.total(), sieve.found()));
        });
        println!("{:<46} {:>13.0} µs", "its longest step", longest_us.get());
    }
    measure("a content, beside the core", 5, |_| {
        let filter = Filter { content: Pattern::part("of-none"), ..filter("", "") };
        let walk = Walk::through(&tables, SIZE, |entry| filter.matches(entry));
        assert_eq!(walk.total(), 0);
    });
    measure("one more name, shown", 500, |turn| {
        working.put(entry(CONFIGS + turn, md5));
        working.publish(&tables);
    });
}
