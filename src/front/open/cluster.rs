//! The nodes of the cluster (`http-api.md` 4.2, 5, 7.1, `cluster.md` 3): this one, alone.

use super::input::Input;
use super::route::Version;
use super::{Api, Outcome, Refused, shape};
use crate::admin::health::State;
use crate::http1::reply::Reply;
use nacre_proto::code::Code;
use serde_json::{Value, json};

/// Below the port of HTTP, as every Nacos server says its members' Raft is.
const RAFT_PORT_OFFSET: u16 = 1_000;

/// What the reference calls its Raft groups; here they are one.
const GROUPS: [&str; 4] = [
    "naming_persistent_service_v2",
    "naming_persistent_service",
    "naming_service_metadata",
    "naming_instance_metadata",
];

/// Longest list of members a request may bring: more nodes than any cluster has.
const MEMBERS_MAX: usize = 1_000;

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Own,
    Health,
    /// Members whose address begins with a text, in a state.
    List,
    /// Addresses alone.
    Addresses,
    /// News of members.
    Update,
    /// Where members are looked up.
    Lookup,
    /// A member is to leave: in the reference never allowed.
    Leave,
}

pub(super) fn answer(api: &Api, op: Op, input: &Input<'_>) -> Outcome {
    Ok(match op {
        Op::Own => enveloped(input, &own(api, input)),
        Op::Health => enveloped(input, &state(api).into()),
        Op::List => list(api, input)?,
        Op::Addresses => enveloped(input, &json!([input.local.to_string()])),
        Op::Update => update(input)?,
        Op::Lookup => lookup(input)?,
        Op::Leave => shape::rest_failure(405, leaving(input)),
    })
}

/// v1 has `RestResult`.
fn enveloped(input: &Input<'_>, data: &Value) -> Reply {
    let data = data.to_string();
    match input.version {
        Version::V1 => shape::rest_result(data.as_bytes()),
        Version::V2 | Version::V3 => shape::result(data.as_bytes()),
    }
}

fn leaving(input: &Input<'_>) -> &'static str {
    match input.version {
        Version::V1 => "not allow to use temporarily",
        _ => "DELETE /v2/core/cluster/nodes API not allow to use temporarily.",
    }
}

fn state(api: &Api) -> &'static str {
    match api.facts.readiness.get() {
        State::Up => "UP",
        State::Starting => "STARTING",
        State::Stopping => "DOWN",
    }
}

/// This node as it shows itself, at the address the asker reached it.
fn own(api: &Api, input: &Input<'_>) -> Value {
    let raft_port = input.local.port().saturating_sub(RAFT_PORT_OFFSET);
    let raft = format!("{}:{raft_port}", input.local.ip());
    let group = json!({ "leader": raft, "raftGroupMember": [raft] });
    let groups: serde_json::Map<String, Value> =
        GROUPS.iter().map(|name| ((*name).to_owned(), group.clone())).collect();
    json!({
        "ip": input.local.ip().to_string(),
        "port": input.local.port(),
        "state": state(api),
        "extendInfo": {
            "raftMetaData": { "metaDataMap": groups },
            "raftPort": raft_port.to_string(),
            "readyToUpgrade": true,
            "supportGrayModel": true,
            "version": env!("CARGO_PKG_VERSION"),
        },
        "address": input.local.to_string(),
        "failAccessCnt": 0,
        "abilities": {
            "remoteAbility": { "supportRemoteConnection": true, "grpcReportEnabled": true },
            "configAbility": { "supportRemoteMetrics": false },
            "namingAbility": { "supportJraft": true },
        },
        "grpcReportEnabled": true,
    })
}

fn list(api: &Api, input: &Input<'_>) -> Outcome {
    const STATES: [&str; 5] = ["STARTING", "UP", "SUSPICIOUS", "DOWN", "ISOLATION"];
    let wanted = input.get("state").map(str::to_ascii_uppercase);
    if let Some(wanted) = &wanted
        && !STATES.contains(&wanted.as_str())
    {
        let text = format!("Illegal state: {}", shape::echoed(wanted));
        return Err(Refused::new(400, Code::IllegalState, text));
    }
    let start = input.either("address", "keyword").unwrap_or_default().trim();
    let is_wanted = input.local.to_string().starts_with(start)
        && wanted.is_none_or(|wanted| wanted == state(api));
    let members: Vec<Value> = is_wanted.then(|| own(api, input)).into_iter().collect();
    Ok(enveloped(input, &members.into()))
}

/// Nodes nobody knows are passed over, as in the reference, and this one knows itself.
fn update(input: &Input<'_>) -> Outcome {
    let nodes: Vec<Value> = serde_json::from_slice(input.body)
        .map_err(|_| Refused::new(400, Code::ParameterMissing, "the body is no list of members"))?;
    if nodes.is_empty() || nodes.len() > MEMBERS_MAX {
        let text = "required parameter 'nodes' is missing";
        return Err(Refused::new(400, Code::ParameterMissing, text));
    }
    Ok(enveloped(input, &true.into()))
}

fn lookup(input: &Input<'_>) -> Outcome {
    const ALONE: &str = "this node runs alone and looks up no members";
    let kind = input.get("type").ok_or_else(|| {
        Refused::new(400, Code::ParameterMissing, "required parameter 'type' is missing")
    })?;
    let refused = if ["file", "address-server"].contains(&kind) {
        Refused::new(501, Code::ApiFunctionDisabled, ALONE)
    } else {
        let kind = shape::echoed(kind);
        let text =
            format!("The addressing mode exists : {kind}, just support : [file, address-server]");
        Refused::invalid(text)
    };
    match input.version {
        Version::V1 => Ok(shape::rest_failure(500, &refused.text)),
        Version::V2 | Version::V3 => Err(refused),
    }
}
