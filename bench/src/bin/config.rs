//! What a publish and a query cost the core that carries them out, and what a config costs in
//! memory.
//!
//! `cargo run --release -p nacre-bench --bin config`. CPU time of this thread; the log, the hop
//! between cores and gRPC are not in it. Budgets: a publish ≤ 8 µs of the 25 aimed at, a query ≤
//! 1 µs of 2.5, memory ≤ 1.6 × content of the 2 that the whole process may have.

use nacre_bench::alloc::{Counting, live_bytes};
use nacre_proto::request::{Kind, Request};
use nacre_shards::config::accept::{self, Asker};
use nacre_shards::config::rules::Rules;
use nacre_shards::config::table::Tables;
use nacre_shards::durable::state::State;
use nacre_shards::effect::{Effect, Effects};
use nacre_shards::key::{ConnKey, Core, Home, Map};
use nacre_shards::message::{Message, Now};
use nacre_shards::settings::Settings;
use nacre_shards::shard::Shard;
use std::hint::black_box;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONFIGS: usize = 100_000;
/// Commands between two looks of the readers, as one log entry holds.
const BATCH: usize = 64;
const NOW: Now = Now { tick_ms: 1, unix_ms: 1_795_264_929_711 };

fn publish_json(at: usize, version: usize) -> String {
    // 1 KiB of lines, as properties are.
    let line = format!("some.key.of.{version:08}=and.its.value.1234567\\n");
    let content = line.repeat(1_024 / (line.len() - 1));
    format!(
        r#"{{"headers":{{}},"dataId":"config-{at:06}.properties","group":"DEFAULT_GROUP",
        "tenant":"public","content":"{content}","additionMap":{{"type":"properties"}}}}"#
    )
}

fn command(at: usize, version: usize) -> bytes::Bytes {
    let json = publish_json(at, version);
    let request = Request::parse(Kind::ConfigPublish, json.as_bytes());
    let Ok(Some(Request::ConfigPublish(request))) = request else { panic!("{request:?}") };
    let asker = Asker { client_ip: "10.0.0.1", user: "", now: NOW };
    accept::publish(&request, &Rules::default(), asker).expect("a good publish")
}

/// Microseconds this thread has run.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ran = stat.split(' ').next().expect("three numbers");
    ran.parse::<f64>().expect("a number") / 1_000.0
}

/// CPU time of one turn of `work`, in microseconds, best of three rounds over all configs.
fn measure(name: &str, mut work: impl FnMut(usize)) {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let before = cpu_us();
        (0..CONFIGS).for_each(&mut work);
        best = best.min((cpu_us() - before) / CONFIGS as f64);
    }
    println!("{name:<44} {best:>8.2} µs");
}

fn main() {
    let before = live_bytes();
    let tables = Arc::new(Tables::default());
    let mut state = State::new(tables.clone());
    state.loaded();
    tables.set_ready();
    let mut records = Vec::new();
    let mut content = 0;
    for at in 0..CONFIGS {
        let command = command(at, 0);
        content += command.len();
        black_box(state.apply(at as u64, &command, &mut records));
        records.clear();
        if at % BATCH == 0 {
            black_box(state.settle());
        }
    }
    state.settle();
    drop(std::mem::take(&mut records));
    let bytes = live_bytes() - before;
    let ratio = bytes as f64 / content as f64;
    println!("{CONFIGS} configs: {} bytes each, {ratio:.2} × the command", bytes / CONFIGS);

    let version = std::cell::Cell::new(0);
    measure("parse, check, md5, encode (home core)", |at| {
        version.set(version.get() + 1);
        black_box(command(at, version.get()));
    });
    let commands: Vec<_> = (0..BATCH).map(|at| command(at * 1_009 % CONFIGS, 7)).collect();
    let others: Vec<_> = (0..BATCH).map(|at| command(at * 1_009 % CONFIGS, 8)).collect();
    measure("apply, settle a 64th (Raft core)", |at| {
        let commands = if (at / BATCH).is_multiple_of(2) { &commands } else { &others };
        black_box(state.apply(at as u64, &commands[at % BATCH], &mut records));
        if at % BATCH == BATCH - 1 {
            black_box(state.settle());
            records.clear();
        }
    });
    queries(&tables);
}

/// A query through the shard, its body parsed: all but gRPC.
fn queries(tables: &Arc<Tables>) {
    let map = Map { cores: 1 };
    let mut shard = Shard::new(Core(0), map, Settings::default(), 7).with_tables(tables.clone());
    let mut effects = Effects::default();
    let conn = ConnKey { home: Home(Core(0)), slot: 0, generation: 1 };
    let peer = "10.0.0.1:5000".parse().expect("an address");
    for message in [
        Message::Started,
        Message::Connected { conn, peer, id_ms: 1 },
        Message::Setup { conn, client_ip: "10.0.0.1", setup: Default::default() },
    ] {
        shard.handle(NOW, message, &mut effects);
    }
    let bodies: Vec<_> = (0..CONFIGS)
        .map(|at| {
            format!(
                r#"{{"headers":{{}},"dataId":"config-{at:06}.properties","group":"DEFAULT_GROUP",
                "tenant":"public","notify":false,"module":"config"}}"#
            )
        })
        .collect();
    measure("query: parse, find, answer", |at| {
        effects.list.clear();
        let body = bodies[at * 7_919 % CONFIGS].as_bytes();
        let request = Request::parse(Kind::ConfigQuery, body).map_err(|error| error.to_string());
        let call = Message::Call { conn, stream: 1, app: None, tag: None, request };
        shard.handle(NOW, call, &mut effects);
        let found =
            matches!(&effects.list[..], [Effect::Reply { body, .. }] if body.error_code == 0);
        assert!(found);
    });
}
