//! What operators do to a node besides switches: levels of the log, the Raft group, pushes counted,
//! what only a store of the reference has (`http-api.md` 2.4, 3.2, 4.2, 4.3, 7, `ops.md` 7).

use super::input::Input;
use super::route::Version;
use super::{Api, Outcome, Refused, Reply, shape};
use crate::admin::counter::Counter;
use crate::admin::log;
use crate::http1::StatusCode;
use crate::http1::reply;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The level of a part of the log.
    Log,
    /// A command for the Raft group.
    Raft,
    /// Generators of ids.
    Ids,
    /// Pushes that succeeded and failed.
    PushState,
    /// A query of the reference's embedded database.
    Derby,
    /// An import into it.
    DerbyImport,
    Announcement,
    Guide,
    /// A label of an address, which only a CMDB knows.
    Label,
}

pub(super) async fn answer(api: &Api, op: Op, input: &Input<'_>) -> Outcome {
    match op {
        Op::Log => set_level(input),
        Op::Raft => raft(input),
        Op::Ids => Ok(match input.version {
            Version::V1 => shape::rest_result(b"{}"),
            Version::V2 => shape::rest_result(b"[]"),
            Version::V3 => shape::result(b"[]"),
        }),
        Op::PushState => push_state(api, input),
        Op::Derby => {
            input.required("sql")?;
            Ok(shape::said(input.version, "The current storage mode is not Derby"))
        }
        Op::DerbyImport => Ok(shape::said(input.version, "Limited to embedded storage mode")),
        Op::Announcement => {
            let language = input.get("language").unwrap_or("zh-CN");
            if language.contains(['/', '\\']) || language.contains("..") {
                return Err(Refused::invalid("Invalid filename"));
            }
            Ok(nothing(input))
        }
        Op::Guide => Ok(nothing(input)),
        Op::Label => {
            input.required("entry")?;
            input.required("label")?;
            Ok(reply::text(StatusCode::OK, ""))
        }
    }
}

/// Success without data: here nobody wrote an announcement.
fn nothing(input: &Input<'_>) -> Reply {
    match input.version {
        Version::V1 => shape::rest_result(b"null"),
        Version::V2 | Version::V3 => shape::result(b"null"),
    }
}

/// What v2 and v3 have in the body of the core's log call.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Level {
    log_name: Option<String>,
    log_level: Option<String>,
}

fn set_level(input: &Input<'_>) -> Outcome {
    let of_core = input.path.contains("/core/");
    // nacos-maintainer-client 3.1 sends a form where the reference reads JSON.
    let is_form = input.get("logName").is_some();
    let body: Level = match (of_core, input.version) {
        (true, Version::V2 | Version::V3) if !is_form => input.object()?,
        _ => Level::default(),
    };
    let given = |name, given: Option<String>| {
        let given = given.or_else(|| input.get(name).map(str::to_owned));
        given.ok_or_else(|| super::input::missing(name, input.version))
    };
    let (name, level) = (given("logName", body.log_name)?, given("logLevel", body.log_level)?);
    log::set_level(name.trim(), level.trim()).map_err(Refused::invalid)?;
    let who = input.who.as_ref().map_or("somebody", |claims| &claims.user);
    tracing::info!(target: "nacre::switches", name, level, who, from = %input.source, "log level");
    Ok(match (input.path.contains("/ns/"), input.version) {
        (true, version) => shape::done(version),
        (false, Version::V1) => reply::text(StatusCode::OK, "200"),
        (false, Version::V2) => shape::rest_result(b"null"),
        (false, Version::V3) => shape::result(b"null"),
    })
}

/// A command for the group (`ops.md` 7).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Command {
    group_id: Option<String>,
    command: Option<String>,
    value: Option<String>,
}

fn raft(input: &Input<'_>) -> Outcome {
    const GROUPS: [&str; 6] = [
        "naming_persistent_service_v2",
        "naming_persistent_service",
        "naming_service_metadata",
        "naming_instance_metadata",
        "lock_acquire_service_v2",
        "nacos_config",
    ];
    let given = |name: &str| input.get(name).map(str::to_owned);
    // Likewise.
    let asked = match given("command") {
        Some(command) => {
            let (group_id, value) = (given("groupId"), given("value"));
            Command { group_id, command: Some(command), value }
        }
        None => input.object()?,
    };
    let failed = |text: &str| match input.version {
        Version::V3 => shape::said(Version::V3, text),
        // v2 kept v1's envelope here.
        Version::V1 | Version::V2 => shape::rest_failure(500, text),
    };
    if let Some(group) = asked.group_id.as_deref()
        && !GROUPS.contains(&group)
    {
        return Ok(failed(&format!("not this raft group : {}", shape::echoed(group))));
    }
    let value = asked.value.as_deref().unwrap_or_default().trim();
    let command = asked.command.as_deref().unwrap_or_default();
    match command {
        "transferLeader" if is_own_peer(input, value) => {
            let data = b"null";
            Ok(match input.version {
                Version::V3 => shape::result(data),
                Version::V1 | Version::V2 => shape::rest_result(data),
            })
        }
        "transferLeader" | "restRaftCluster" | "resetRaftCluster" | "resetPeers"
        | "changePeers" | "removePeer" | "removePeers" => {
            Ok(failed("this node runs alone: its group has one member, which leads"))
        }
        "doSnapshot" => {
            Ok(failed("checkpoints are written by themselves; `nacre backup` makes a copy of one"))
        }
        other => Ok(failed(&format!("Not support command : {}", shape::echoed(other)))),
    }
}

fn is_own_peer(input: &Input<'_>, peer: &str) -> bool {
    let raft_port = input.local.port().saturating_sub(1_000);
    peer == format!("{}:{raft_port}", input.local.ip())
}

/// What had been counted when somebody began to count anew.
#[derive(Debug, Default)]
pub struct PushBase {
    total: AtomicU64,
    failed: AtomicU64,
}

fn push_state(api: &Api, input: &Input<'_>) -> Outcome {
    let (detail, reset) = (input.flag("detail")?, input.flag("reset")?.unwrap_or(false));
    let (metrics, base) = (&api.facts.metrics, &api.facts.push_base);
    let (sent, lost) = (metrics.counter(Counter::PushSent), metrics.counter(Counter::PushFailed));
    let total = sent.saturating_sub(base.total.load(Ordering::Relaxed));
    let failed = lost.saturating_sub(base.failed.load(Ordering::Relaxed)).min(total);
    let ratio = if total == 0 { 0.0 } else { (total - failed) as f64 / total as f64 };
    let mut state = json!({ "succeed": total - failed, "total": total, "ratio": ratio });
    if detail.unwrap_or(false) {
        let (count, sum_us, max_us) = metrics.push_costs();
        let average_us = sum_us.checked_div(count);
        state["detail"] = json!({
            "avgPushCost": average_us.map_or(-1, |us| us as i64 / 1_000),
            "maxPushCost": if count == 0 { -1 } else { max_us as i64 / 1_000 },
        });
    }
    if reset {
        base.total.store(sent, Ordering::Relaxed);
        base.failed.store(lost, Ordering::Relaxed);
    }
    state["reset"] = Value::Bool(reset);
    Ok(reply::json(StatusCode::OK, state.to_string()))
}
