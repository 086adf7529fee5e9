//! `nacre inspect`: what a stopped node has on the disk.

use crate::admin::verify::{FINE, UNSEEN, WRONG};
use crate::raft::Folder;
use crate::raft::check::{Care, LogLook, Look, StateLook, look};
use crate::raft::encoding::table;
use crate::raft::types::{LogId, Membership, term_of};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Describes the files in a folder, for people or for programs; text and an exit code.
pub fn inspect(folder: &Path, as_json: bool) -> (String, u8) {
    let seen = match look(&Folder::existing(folder), Care::Quick) {
        Ok(seen) => seen,
        Err(error) => return (format!("{}: {error}\n", folder.display()), UNSEEN),
    };
    let code = if seen.findings.is_empty() { FINE } else { WRONG };
    let told = describe(&seen);
    if as_json {
        return (format!("{told:#}\n"), code);
    }
    (plain(&told), code)
}

/// What was found out, for a person: one line a member, indented.
pub fn plain(told: &Value) -> String {
    let mut text = String::new();
    write_plain(&mut text, told, 0);
    text
}

fn describe(seen: &Look) -> Value {
    let findings: Vec<_> = seen.findings.iter().map(ToString::to_string).collect();
    let identity = seen.log.as_ref().and_then(|log| log.identity);
    json!({
        "node": identity.map(|identity| format!("{:016x}", identity.node)),
        "cluster": identity.map(|identity| format!("{:032x}", identity.cluster)),
        "log": seen.log.as_ref().map(describe_log),
        "state": seen.state.as_ref().map(describe_state),
        "wrong": findings,
    })
}

fn describe_log(log: &LogLook) -> Value {
    json!({
        "file_bytes": log.bytes,
        "vote": log.vote.map(|vote| json!({
            "term": vote.leader_id.term,
            "for": format!("{:016x}", vote.leader_id.voted_for),
            "granted": vote.committed,
        })),
        "purged": describe_id(log.purged),
        "first": describe_id(log.first),
        "last": describe_id(log.last),
        "entries": log.entries,
        "commands": log.commands,
        "entry_bytes": log.entry_bytes,
        "membership": log.membership.as_ref().map(|(id, members)| json!({
            "since": describe_id(Some(*id)),
            "members": describe_members(members),
        })),
    })
}

fn describe_state(state: &StateLook) -> Value {
    let families = state.found.0.iter().map(|(family, total)| {
        let name = table(*family).map_or("unknown".to_owned(), |table| format!("{table:?}"));
        let digest = format!("{:016x}", total.digest);
        (name.to_lowercase(), json!({ "records": total.count, "digest": digest }))
    });
    json!({
        "file_bytes": state.bytes,
        "applied": describe_id(state.head.applied),
        "membership": {
            "since": describe_id(*state.head.membership.log_id()),
            "members": describe_members(state.head.membership.membership()),
        },
        "families": families.collect::<serde_json::Map<_, _>>(),
    })
}

fn describe_id(id: Option<LogId>) -> Option<Value> {
    id.map(|id| json!({ "index": id.index(), "term": term_of(&id) }))
}

fn describe_members(membership: &Membership) -> Value {
    let votes = |id: u64| membership.voter_ids().any(|voter| voter == id);
    membership
        .nodes()
        .map(|(id, node)| {
            let node_id = format!("{id:016x}");
            json!({ "node": node_id, "address": node.addr, "votes": votes(*id) })
        })
        .collect()
}

/// The same as indented lines.
fn write_plain(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let lines: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        _ => return,
    };
    for (name, value) in lines {
        let shown = match value {
            Value::Object(_) | Value::Array(_) => String::new(),
            Value::Null => " none".to_owned(),
            Value::String(string) => format!(" {string}"),
            other => format!(" {other}"),
        };
        let _ = writeln!(text, "{indent}{name}:{shown}");
        write_plain(text, value, depth + 1);
    }
}
