//! Switches, and what they do to the API itself (`ops.md` 8, `naming.md` 13).
//!
//! A status an operator pretends (`overriddenServerStatus`) and `limitedUrlMap` hold for v1 alone,
//! as in the reference, but never for the switches themselves: there, `DOWN` could not be taken
//! back that way.

use super::input::Input;
use super::shape;
use super::{Api, Outcome, Refused};
use crate::http1::reply::{self, Reply};
use crate::http1::{Method, StatusCode};
use nacre_proto::code::Code;
use nacre_shards::durable::answer;
use nacre_shards::durable::command::Command;
use nacre_shards::naming::open::{Answer, Call};
use nacre_shards::naming::switches::{Pace, Switches};
use serde_json::{Value, json};

/// Peers of the reference say so in their agent.
const PEER_AGENT: &str = "Nacos-Server";

/// What clients read when no cache time was set: the settings' default.
const PUSH_CACHE_MS: i64 = 10_000;

/// All switches as they are on this node.
pub(super) fn switches(api: &Api, input: &Input<'_>) -> Outcome {
    let all = domain(&api.tables.switches().now());
    Ok(shape::json_of(input.version, all.to_string().into()))
}

/// Sets one: for all nodes, or with `debug` on this one until it ends.
pub(super) async fn set_switch(api: &Api, input: &Input<'_>) -> Outcome {
    let entry = input.required("entry")?;
    // Blank clears some of them.
    let value =
        input.form.get("value").ok_or_else(|| super::input::missing("value", input.version))?;
    if input.flag("debug")?.unwrap_or(false) {
        api.tables.switches().set_here(entry, value).map_err(Refused::invalid)?;
    } else {
        propose(api, entry, value).await?;
    }
    let who = input.who.as_ref().map_or("somebody", |claims| &claims.user);
    tracing::info!(target: "nacre::switches", entry, value, who, from = %input.source, "switched");
    Ok(shape::done(input.version))
}

async fn propose(api: &Api, entry: &str, value: &str) -> Result<(), Refused> {
    // What can be refused here need not reach the log.
    Switches::default().set(entry, value).map_err(Refused::invalid)?;
    let command = Command::SetSwitch { entry, value }.encode();
    match api.ask(Call::Propose(command)).await? {
        Answer::Proposed(Ok(answer::Answer::Done { .. })) => Ok(()),
        Answer::Proposed(Ok(answer::Answer::Refused(refused))) => {
            Err(Refused::new(400, Code::ParameterValidateError, refused.text))
        }
        Answer::Proposed(Err(unready)) => Err(Refused::busy(unready.sentence())),
        other => Err(super::unexpected(&other)),
    }
}

/// As the reference writes its `SwitchDomain`.
fn domain(now: &Switches) -> Value {
    let pace =
        |pace: Pace| json!({ "max": pace.max_ms, "min": pace.min_ms, "factor": pace.factor });
    let limited: serde_json::Map<String, Value> =
        now.limited_urls.iter().map(|(url, code)| (url.to_string(), json!(code))).collect();
    let masters = now.masters.as_ref().map(|masters| masters.split(',').collect::<Vec<_>>());
    let mut all = json!({
        "name": "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00",
        "masters": masters,
        "adWeightMap": {},
        "defaultPushCacheMillis": now.push_cache_ms.unwrap_or(PUSH_CACHE_MS),
        "clientBeatInterval": now.client_beat_interval_ms,
        "defaultCacheMillis": now.default_cache_ms,
        "healthCheckEnabled": now.health_check_enabled,
        "autoChangeHealthCheckEnabled": now.auto_change_health_check_enabled,
        "distroEnabled": now.distro_enabled,
        "enableStandalone": now.enable_standalone,
        "pushEnabled": now.push_enabled,
        "checkTimes": now.check_times,
        "httpHealthParams": pace(now.http),
        "tcpHealthParams": pace(now.tcp),
        "mysqlHealthParams": pace(now.mysql),
        "incrementalList": [],
        "serverStatusSynchronizationPeriodMillis": now.server_status_period_ms,
        "serviceStatusSynchronizationPeriodMillis": now.service_status_period_ms,
        "disableAddIP": now.disable_add_ip,
        "sendBeatOnly": now.send_beat_only,
        "lightBeatEnabled": now.light_beat_enabled,
        "limitedUrlMap": limited,
        "distroServerExpiredMillis": now.distro_server_expired_ms,
        "enableAuthentication": false,
        "overriddenServerStatus": now.overridden_status,
        "defaultInstanceEphemeral": now.default_instance_ephemeral,
        "healthCheckWhiteList": [],
        "checksum": null,
    });
    // A float: 0.7 is not to become 0.699999988.
    all["distroThreshold"] =
        serde_json::from_str(&now.distro_threshold.to_string()).unwrap_or(Value::Null);
    // Under both names: the field's and the getter's.
    let names =
        [("Go", "Go"), ("Java", "Java"), ("Python", "Python"), ("C", "C"), ("Csharp", "CSharp")];
    for ((field, getter), version) in names.into_iter().zip(&now.push_versions) {
        all[format!("pushVersionOf{field}")] = json!(version);
        all[format!("push{getter}Version")] = json!(version);
    }
    all
}

/// What stands before every naming call of v1: paths an operator limits, and a server status he
/// pretends. `None`: it goes on. Switches themselves are always reachable, or nobody could undo it.
pub(super) fn revised(
    now: &Switches,
    (method, path, query): (&Method, &str, Option<&str>),
    agent: &str,
) -> Option<Reply> {
    if path.ends_with("/operator/switches") || path.ends_with("/ops/switches") {
        return None;
    }
    if !now.limited_urls.is_empty() {
        let url = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let limited = now.limited_urls.iter().find(|(start, _)| url.starts_with(&**start));
        if let Some((_, code)) = limited {
            let status = StatusCode::from_u16(*code).unwrap_or(StatusCode::FORBIDDEN);
            return Some(reply::text(status, ""));
        }
    }
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let passes = match now.overridden_status {
        None | Some("UP") => true,
        _ if agent.starts_with(PEER_AGENT) => true,
        Some("READ_ONLY") => is_read,
        Some("WRITE_ONLY") => !is_read,
        Some(_) => false,
    };
    if passes {
        return None;
    }
    let status = now.overridden_status.unwrap_or_default();
    let text = format!("server is {status}now, please try again later!");
    Some(reply::text(StatusCode::SERVICE_UNAVAILABLE, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switched(sets: &[(&str, &str)]) -> Switches {
        let mut switches = Switches::default();
        for (entry, value) in sets {
            switches.set(entry, value).unwrap();
        }
        switches
    }

    #[test]
    fn the_domain_has_the_fields_of_the_reference() {
        let all = domain(&switched(&[("masters", "a,b"), ("pushVersion", "csharp:1.2.3")]));
        assert_eq!(all["distroThreshold"].to_string(), "0.7");
        assert_eq!(
            (&all["defaultPushCacheMillis"], &all["checkTimes"]),
            (&json!(10_000), &json!(3))
        );
        assert_eq!(all["masters"], json!(["a", "b"]));
        assert_eq!(all["tcpHealthParams"], json!({"max": 5000, "min": 1000, "factor": 0.75}));
        assert_eq!(
            (&all["pushVersionOfCsharp"], &all["pushCSharpVersion"]),
            (&json!("1.2.3"), &json!("1.2.3"))
        );
        assert_eq!(all["overriddenServerStatus"], Value::Null);
        assert_eq!(all["name"], "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00");
    }

    #[test]
    fn a_pretended_status_stops_what_it_stops() {
        let get = (&Method::GET, "/nacos/v1/ns/instance/list", Some("serviceName=a"));
        let post = (&Method::POST, "/nacos/v1/ns/instance", None);
        // Status, whether reads pass, whether writes pass.
        for (status, reads, writes) in [
            ("null", true, true),
            ("UP", true, true),
            ("READ_ONLY", true, false),
            ("WRITE_ONLY", false, true),
            ("DOWN", false, false),
            ("STARTING", false, false),
            ("PAUSED", false, false),
        ] {
            let now = switched(&[("overriddenServerStatus", status)]);
            assert_eq!(revised(&now, get, "").is_none(), reads, "{status}");
            assert_eq!(revised(&now, post, "").is_none(), writes, "{status}");
            assert!(revised(&now, post, "Nacos-Server:v2").is_none());
            let undo = (&Method::PUT, "/nacos/v1/ns/operator/switches", None);
            assert!(revised(&now, undo, "").is_none());
        }
        let now = switched(&[("overriddenServerStatus", "DOWN")]);
        let reply = revised(&now, get, "").unwrap();
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.body().bytes(), b"server is DOWNnow, please try again later!");
    }

    #[test]
    fn limited_paths_get_their_status_and_no_word() {
        let now = switched(&[("limitedUrlMap", "/nacos/v1/ns/instance/list?serviceName=a:404")]);
        let at = |query| (&Method::GET, "/nacos/v1/ns/instance/list", query);
        let reply = revised(&now, at(Some("serviceName=abc")), "").unwrap();
        assert_eq!((reply.status().as_u16(), reply.body().bytes()), (404, &b""[..]));
        assert!(revised(&now, at(Some("serviceName=b")), "").is_none());
        assert!(revised(&now, at(None), "").is_none());
    }
}
