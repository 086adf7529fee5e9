//! `nacre status`: what a person wants to know first.

use super::office::Office;
use super::shown;
use crate::admin::counter::Gauge;
use crate::admin::health;
use crate::admin::process::Process;
use crate::raft;
use crate::raft::limits::{QUEUE_BYTES_MAX, QUEUE_ITEMS_MAX};
use nacre_shards::limits::{
    BEATING_PER_CORE_MAX, LANE_ASKS_PER_CORE, LISTENERS_PER_CORE_MAX, POLLERS_PER_CORE_MAX,
    SUBSCRIPTIONS_PER_CORE_MAX,
};
use nacre_shards::look::{Look, Seen};
use nacre_shards::shard::Counts;
use serde_json::{Value, json};
use std::fmt::Write;

/// Share of a bound from which on it is worth a line, in percent.
const NEAR_PERCENT: u64 = 80;

/// Everything about a running node, with `fine`: whether nobody has to look.
pub async fn of(office: &Office) -> Value {
    let parts = &office.parts;
    let mut cores = Vec::new();
    for core in office.cores() {
        let counts = match office.look(core, Look::Counts).await {
            Some(Seen::Counts(counts)) => Some(*counts),
            _ => None,
        };
        cores.push(counts);
    }
    let known = || cores.iter().flatten();
    let sum = |of: fn(&Counts) -> usize| known().map(of).sum::<usize>();
    let process = Process::read();
    let group = parts.durable.group().map(|group| group.status());
    let state = match parts.readiness.get() {
        health::State::Starting => "starting",
        health::State::Up => "up",
        health::State::Stopping => "stopping",
    };
    let store = group.as_ref().map(of_store);
    let limits = limits(office, &cores, &process, group.as_ref());
    let writes = matches!(group.as_ref().map(|status| &status.state), Some(raft::State::Ok));
    let settings = &parts.settings;
    json!({
        "fine": state == "up" && writes && cores.iter().all(Option::is_some),
        "version": env!("CARGO_PKG_VERSION"),
        "state": state,
        "pid": std::process::id(),
        "uptime_s": process.uptime_seconds as u64,
        "data": settings.data.display().to_string(),
        "http": settings.http,
        "grpc": settings.grpc,
        "auth": if settings.auth.clients { "on" } else { "off" },
        "memory_bytes": process.resident_bytes,
        "clients": parts.node.connections(),
        "http_connections": parts.metrics.gauge(Gauge::HttpConnections),
        "services": sum(|counts| counts.owner.names),
        "instances": sum(|counts| counts.owner.instances),
        "beating": sum(|counts| counts.owner.beating),
        "subscriptions": sum(|counts| counts.subscriptions),
        "pollers": sum(|counts| counts.owner.pollers),
        "configs": parts.durable.tables.configs(),
        "listeners": sum(|counts| counts.listeners),
        "pushes_waiting": sum(|counts| counts.pushes_waiting + counts.notifications_waiting),
        "cores": (0..).zip(&cores).map(|(core, counts)| of_core(core, counts.as_ref()))
            .collect::<Vec<_>>(),
        "store": store,
        "limits": limits,
    })
}

fn of_core(core: usize, counts: Option<&Counts>) -> Value {
    let Some(counts) = counts else { return json!({ "core": core, "answers": false }) };
    json!({
        "core": core,
        "answers": true,
        "clients": counts.connections,
        "services": counts.owner.services,
        "instances": counts.owner.instances,
        "subscriptions": counts.subscriptions,
        "listeners": counts.listeners,
        "pushes_waiting": counts.pushes_waiting + counts.notifications_waiting,
        "asks_waiting": counts.asks_waiting,
    })
}

/// The group and its disk.
pub fn of_store(status: &raft::Status) -> Value {
    let (state, why) = match &status.state {
        raft::State::Starting => ("starting", None),
        raft::State::Ok => ("ok", None),
        raft::State::ReadOnly(why) => ("read-only", Some(why)),
        raft::State::Latched(why) => ("latched", Some(why)),
        raft::State::Stopped => ("stopping", None),
    };
    let members = status.members.iter().map(|(id, address, votes)| {
        json!({ "node": format!("{id:016x}"), "address": address, "votes": votes })
    });
    let behind = |of: Option<u64>, what: Option<u64>| {
        of.map_or(0, |of| of.saturating_sub(what.unwrap_or(0)))
    };
    json!({
        "state": state,
        "why": why.map(|why| why.to_string()),
        "role": format!("{:?}", status.role).to_lowercase(),
        "term": status.term,
        "leader": status.leader.map(|leader| format!("{leader:016x}")),
        "node": format!("{:016x}", status.node),
        "cluster": format!("{:032x}", status.cluster),
        "members": members.collect::<Vec<_>>(),
        "log_last": status.last_log,
        "log_purged": status.purged,
        "applied": status.applied,
        "lag": behind(status.last_log, status.applied),
        "checkpointed": status.checkpointed,
        "checkpoint_lag": behind(status.applied, status.checkpointed),
        "free_bytes": status.counters.free_bytes,
        "log_bytes": status.counters.log_file_bytes,
        "state_bytes": status.counters.state_file_bytes,
    })
}

fn limits(
    office: &Office,
    cores: &[Option<Counts>],
    process: &Process,
    group: Option<&raft::Status>,
) -> Vec<Value> {
    let (parts, settings) = (&office.parts, &office.parts.settings);
    let fullest = |of: fn(&Counts) -> usize| cores.iter().flatten().map(of).max().unwrap_or(0);
    let http = parts.metrics.gauge(Gauge::HttpConnections);
    let http_max = u64::from(settings.open.connections_max) * u64::from(parts.node.cores);
    let mut limits = vec![
        limit("clients", parts.node.connections(), parts.node.connections_max),
        limit("HTTP connections", http, http_max),
        limit("open files", process.open_files, process.open_files_max),
    ];
    for (name, used, max) in [
        ("subscriptions of a core", fullest(|c| c.subscriptions), SUBSCRIPTIONS_PER_CORE_MAX),
        ("listeners of a core", fullest(|c| c.listeners), LISTENERS_PER_CORE_MAX),
        ("beating instances of a core", fullest(|c| c.owner.beating), BEATING_PER_CORE_MAX),
        ("pollers of a core", fullest(|c| c.owner.pollers), POLLERS_PER_CORE_MAX),
        ("asks under way of a core", fullest(|c| c.asks_under_way), LANE_ASKS_PER_CORE),
    ] {
        limits.push(limit(name, used as u64, max as u64));
    }
    if let Some(status) = group {
        let counters = &status.counters;
        limits.push(limit("commands waiting", counters.queue_items, QUEUE_ITEMS_MAX as u64));
        let bytes_max = QUEUE_BYTES_MAX as u64;
        limits.push(limit("bytes of commands waiting", counters.queue_bytes, bytes_max));
        // Of the free space, as much as may not be touched is in use.
        let reserve = settings.config.reserve_bytes;
        limits.push(limit("reserve of free bytes", reserve, counters.free_bytes));
    }
    limits
}

fn limit(name: &str, used: u64, max: u64) -> Value {
    let is_near = used.saturating_mul(100) >= max.saturating_mul(NEAR_PERCENT);
    json!({ "name": name, "used": used, "max": max, "near": is_near && used > 0 })
}

/// The same for a person.
pub fn text(status: &Value) -> String {
    let field = |name: &str| shown::plain(&status[name]);
    let store = &status["store"];
    let mut text = String::new();
    let uptime = shown::duration(status["uptime_s"].as_u64().unwrap_or(0));
    let _ = writeln!(
        text,
        "nacre {}: {}, {uptime}, process {}, {}",
        field("version"),
        field("state"),
        field("pid"),
        shown::bytes(&status["memory_bytes"]),
    );
    let joined = |name: &str| {
        let all = status[name].as_array().into_iter().flatten();
        all.map(shown::plain).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![
        vec!["data".to_owned(), field("data")],
        vec!["listens".to_owned(), format!("http {}, grpc {}", joined("http"), joined("grpc"))],
        vec!["logins".to_owned(), field("auth")],
        vec!["clients".to_owned(), clients_line(status)],
        vec!["services".to_owned(), services_line(status)],
        vec![
            "configs".to_owned(),
            format!("{}, {} listeners", field("configs"), field("listeners")),
        ],
        vec!["pushes waiting".to_owned(), field("pushes_waiting")],
    ];
    lines.push(vec!["store".to_owned(), store_line(store)]);
    if let Some(why) = store["why"].as_str() {
        lines.push(vec![String::new(), shown::safe(why)]);
    }
    for core in status["cores"].as_array().into_iter().flatten() {
        lines.push(vec![format!("core {}", core["core"]), core_line(core)]);
    }
    text.push_str(&shown::columns(&lines));
    let near: Vec<&Value> = status["limits"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|limit| limit["near"] == true)
        .collect();
    if near.is_empty() {
        let _ = writeln!(text, "no limit is near ({NEAR_PERCENT} %)");
    }
    for limit in near {
        let _ = writeln!(
            text,
            "NEAR ITS LIMIT {}: {} of {}",
            shown::plain(&limit["name"]),
            limit["used"],
            limit["max"]
        );
    }
    text
}

fn clients_line(status: &Value) -> String {
    let field = |name: &str| shown::plain(&status[name]);
    let (clients, http) = (field("clients"), field("http_connections"));
    format!("{clients} over gRPC, {http} HTTP connections")
}

fn services_line(status: &Value) -> String {
    let field = |name: &str| shown::plain(&status[name]);
    format!(
        "{}, {} instances ({} live by beats), {} subscriptions, {} pollers",
        field("services"),
        field("instances"),
        field("beating"),
        field("subscriptions"),
        field("pollers")
    )
}

fn store_line(store: &Value) -> String {
    if store.is_null() {
        return "is reading its log".to_owned();
    }
    format!(
        "{}, {} of term {}, applied {} ({} behind the log), {} not in the checkpoint, {} free",
        shown::plain(&store["state"]),
        shown::plain(&store["role"]),
        store["term"],
        shown::plain(&store["applied"]),
        store["lag"],
        store["checkpoint_lag"],
        shown::bytes(&store["free_bytes"])
    )
}

fn core_line(core: &Value) -> String {
    if core["answers"] != true {
        return "DOES NOT ANSWER".to_owned();
    }
    format!(
        "{} clients, {} services, {} instances, {} subscriptions, {} listeners",
        core["clients"],
        core["services"],
        core["instances"],
        core["subscriptions"],
        core["listeners"]
    )
}
