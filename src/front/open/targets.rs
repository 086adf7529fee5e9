//! What Prometheus' `http_sd_configs` asks: every instance as a target (`http-api.md` 10.1).
//!
//! Instances are taken from the owner cores in looks small enough to be part of a turn. What the
//! asker has no right to read is left out; if nothing is left for that reason, it is refused.

use super::input::Input;
use super::{Api, Outcome, Refused, identity, unexpected};
use crate::admin::health::State;
use crate::http1::StatusCode;
use crate::http1::reply;
use nacre_proto::json;
use nacre_shards::auth::{Action, Denial, Kind, Resource};
use nacre_shards::key::{Core, ServiceKey};
use nacre_shards::look::{Look, Seen, TargetsOf};
use nacre_shards::naming::host::Host;
use nacre_shards::naming::open::{Answer, Call};
use std::collections::BTreeMap;

/// Bytes of one list: some 400,000 instances with a few labels each. A longer one is refused with
/// the advice to ask by namespace; Prometheus keeps what it had.
const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Exactly what Prometheus takes: `application/json`, and no other character set.
const CONTENT_TYPE: &str = "application/json; charset=UTF-8";

/// The label for an instance's cluster. Metadata cannot take its place.
const CLUSTER: &str = "__meta_clusterName";

/// Whose instances a row is about; the path names the namespace and the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Everybody,
    Namespace,
    Service,
}

/// All instances, of everybody or of what the path names.
pub(super) async fn list(api: &Api, whose: Whose, input: &Input<'_>) -> Outcome {
    // To say "none" while the log is read would take everybody's targets away.
    if api.facts.readiness.get() != State::Up {
        return Err(Refused::busy("server is STARTING now, please try again later!"));
    }
    let _searching = api.searches.enter()?;
    // What the path names stands before any parameter of that name.
    let named = |name| Some(input.form.get(name).unwrap_or_default().to_owned());
    let of = match whose {
        Whose::Everybody => TargetsOf::default(),
        Whose::Namespace => TargetsOf { namespace: named("namespaceId"), service: None },
        Whose::Service => {
            TargetsOf { namespace: named("namespaceId"), service: named("serviceName") }
        }
    };
    let (mut list, mut is_denied) = (b"[".to_vec(), false);
    for core in 0..api.facts.cores {
        let mut from = Some((0, 0));
        while let Some(place) = from {
            let look = Box::new(Look::Targets { from: place, of: of.clone() });
            let seen = match api.ask(Call::Look { core: Core(core), look }).await? {
                Answer::Seen(seen) => *seen,
                other => return Err(unexpected(&other)),
            };
            let Seen::Targets { rows, next } = seen else {
                return Err(unexpected(&Answer::Seen(Box::new(seen))));
            };
            for (service, hosts) in rows {
                match may_read(api, input, &service) {
                    true => hosts.iter().for_each(|host| write_target(&mut list, host)),
                    false => is_denied = true,
                }
            }
            if list.len() > LIST_BYTES_MAX {
                let text = "too many instances for one list; ask by namespace or service";
                return Err(Refused::busy(text));
            }
            from = next;
        }
    }
    if is_denied && list.len() == 1 {
        return Ok(identity::denied(Denial::Forbidden, input.path));
    }
    list.push(b']');
    Ok(reply::with_type(StatusCode::OK, CONTENT_TYPE, list))
}

fn may_read(api: &Api, input: &Input<'_>, service: &ServiceKey) -> bool {
    let Some(who) = &input.who else { return true };
    let resource = Resource::Of {
        namespace: service.namespace(),
        group: service.group(),
        kind: Kind::Naming,
        name: service.service(),
    };
    api.door.decide(&who.user, Action::Read, &resource).is_ok()
}

/// Appends one group of one target. An instance without an address is none.
fn write_target(out: &mut Vec<u8>, host: &Host) {
    if host.ip().is_empty() {
        return;
    }
    if out.len() > 1 {
        out.push(b',');
    }
    // Prometheus takes host:port; an address of IPv6 needs its brackets.
    let target = match host.ip().contains(':') && !host.ip().starts_with('[') {
        true => format!("[{}]:{}", host.ip(), host.port()),
        false => format!("{}:{}", host.ip(), host.port()),
    };
    out.extend_from_slice(b"{\"targets\":[");
    json::write_string(out, &target);
    out.extend_from_slice(b"],\"labels\":{");
    json::write_string(out, CLUSTER);
    out.push(b':');
    json::write_string(out, host.cluster());
    for (name, value) in labels(host.metadata()) {
        out.push(b',');
        json::write_string(out, &name);
        out.push(b':');
        json::write_string(out, &value);
    }
    out.extend_from_slice(b"}}");
}

/// Metadata as labels, each name once: of keys that become the same name the last counts.
fn labels(metadata: &str) -> BTreeMap<String, String> {
    // It was written by us from texts; an instance without any has nothing here.
    let metadata: BTreeMap<String, String> = serde_json::from_str(metadata).unwrap_or_default();
    let named = metadata.into_iter().map(|(key, value)| (label(&key), value));
    named.filter(|(name, _)| name != CLUSTER).collect()
}

/// A key as Prometheus can name a label. One invalid name would cost it the whole list.
fn label(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    // A digit cannot stand in front.
    if key.is_empty() || key.starts_with(|first: char| first.is_ascii_digit()) {
        name.push('_');
    }
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.extend(key.chars().map(|character| if fits(character) { character } else { '_' }));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_proto::naming::Instance;
    use nacre_proto::text::Pairs;
    use nacre_shards::message::Now;
    use nacre_shards::naming::host::Ids;
    use serde_json::{Value, json};

    fn written(ip: Option<&'static str>, cluster: Option<&'static str>, metadata: Value) -> Value {
        let pairs = metadata.as_object().into_iter().flatten();
        let pairs = pairs.map(|(key, value)| {
            (key.clone().into(), value.as_str().expect("text").to_owned().into())
        });
        let instance = Instance {
            ip: ip.map(Into::into),
            port: 8_080,
            cluster_name: cluster.map(Into::into),
            metadata: Pairs(pairs.collect()),
            ..Instance::default()
        };
        let key = ServiceKey::new("n", "g", "s");
        let now = Now { tick_ms: 0, unix_ms: 0 };
        let host = Host::new(&instance, &key, &mut Ids::new(Core(0)), now);
        let mut list = b"[".to_vec();
        write_target(&mut list, &host);
        list.push(b']');
        serde_json::from_slice(&list).expect("JSON")
    }

    #[test]
    fn an_instance_is_a_group_of_one() {
        let group = |target: &str, cluster: &str| json!([{"targets": [target], "labels": {"__meta_clusterName": cluster}}]);
        let none = json!({});
        let shown = written(Some("10.0.0.1"), None, none.clone());
        assert_eq!(shown, group("10.0.0.1:8080", "DEFAULT"));
        let shown = written(Some("fe80::1"), Some("c\"1"), none.clone());
        assert_eq!(shown, group("[fe80::1]:8080", "c\"1"));
        let shown = written(Some("shop.example"), None, none.clone());
        assert_eq!(shown, group("shop.example:8080", "DEFAULT"));
        assert_eq!(written(None, None, none), json!([]));
    }

    #[test]
    fn metadata_becomes_labels_prometheus_takes() {
        let metadata = json!({
            "app.kubernetes.io/name": "shop", "a-b": "1", "a.b": "2", "1st": "x", "": "y",
            "\u{e9}t\u{e9}": "z", "__meta_clusterName": "mine", "plain_1": "\u{4f60}\"",
        });
        let shown = written(Some("10.0.0.1"), None, metadata);
        let labels = shown[0]["labels"].as_object().expect("an object");
        let expected = json!({
            "__meta_clusterName": "DEFAULT", "app_kubernetes_io_name": "shop", "a_b": "2",
            "_1st": "x", "_": "y", "_t_": "z", "plain_1": "\u{4f60}\"",
        });
        assert_eq!(labels, expected.as_object().expect("an object"));
    }
}
