//! A second opinion on what bytes say: a payload by prost, the members of a request in serde_json's
//! tree.

use nacre_proto::client;
use nacre_proto::config::{
    ConfigBatchListenRequest, ConfigFuzzyWatchRequest, ConfigPublishRequest, ListenContext,
};
use nacre_proto::link::{Ack, ConnectionSetupRequest};
use nacre_proto::naming::{
    BatchInstanceRequest, FuzzyWatchRequest, Instance, InstanceRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::payload::{Payload, PayloadView};
use nacre_proto::request::Request;
use nacre_proto::text::{Flags, Pairs, Text};
use prost::Message;
use serde_json::Value;
use std::collections::HashMap;

/// Panics unless the view reads whatever prost accepts, and reads it alike.
pub fn same_bytes(bytes: &[u8]) {
    let Ok(owned) = Payload::decode(bytes) else { return };
    // prost takes a header entry (field 7) of any wire type for a length-delimited one. Java and
    // the view pass over it, so where one may be hidden there is nothing to compare.
    let tag_of_odd_header = |byte: &u8| matches!(byte & 0x7f, 0x38 | 0x39 | 0x3b..=0x3f);
    let headers = owned.metadata.as_ref().map_or(0, |metadata| metadata.headers.len());
    if headers == 0 || !bytes.iter().any(tag_of_odd_header) {
        same_payload(bytes, &owned);
    }
}

/// Panics unless the bytes are the payload.
pub fn same_payload(bytes: &[u8], owned: &Payload) {
    let view = PayloadView::decode(bytes).expect("prost accepts it");
    let metadata = owned.metadata.clone().unwrap_or_default();
    assert_eq!((view.kind, view.client_ip), (&*metadata.kind, &*metadata.client_ip));
    assert_eq!(view.body, client::body(owned));
    let headers: HashMap<_, _> =
        view.headers().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    assert_eq!(headers, metadata.headers);
}

/// Panics unless the request says what the tree says.
pub fn same_request(request: &Request<'_>, tree: &Value) {
    assert!(tree.is_object(), "{tree}");
    match request {
        Request::HealthCheck => {}
        Request::Instance(request) | Request::PersistentInstance(request) => {
            instance_request(request, tree);
        }
        Request::BatchInstance(request) => batch(request, tree),
        Request::ServiceQuery(request) => query(request, tree),
        Request::SubscribeService(request) => subscribe(request, tree),
        Request::ServiceList(request) => list(request, tree),
        Request::NamingFuzzyWatch(request) => fuzzy(request, tree),
        Request::ConfigPublish(request) => publish(request, tree),
        Request::ConfigQuery(request) => {
            config_name([&request.data_id, &request.group, &request.tenant], tree);
            text(&request.tag, &tree["tag"]);
        }
        Request::ConfigRemove(request) => {
            config_name([&request.data_id, &request.group, &request.tenant], tree);
            text(&request.tag, &tree["tag"]);
        }
        Request::ConfigBatchListen(request) => listen(request, tree),
        Request::ConfigFuzzyWatch(request) => config_fuzzy(request, tree),
    }
}

pub fn same_setup(setup: &ConnectionSetupRequest<'_>, tree: &Value) {
    text(&setup.client_version, &tree["clientVersion"]);
    text(&setup.tenant, &tree["tenant"]);
    pairs(&setup.labels, &tree["labels"]);
    flags(&setup.ability_table, &tree["abilityTable"]);
}

pub fn same_ack(ack: &Ack<'_>, tree: &Value) {
    text(&ack.request_id, &tree["requestId"]);
    integer(ack.result_code, &tree["resultCode"], tree.get("resultCode").map_or(200, |_| 0));
    integer(ack.error_code, &tree["errorCode"], 0);
    text(&ack.message, &tree["message"]);
}

fn instance_request(request: &InstanceRequest<'_>, tree: &Value) {
    text(&request.namespace, &tree["namespace"]);
    text(&request.service_name, &tree["serviceName"]);
    text(&request.group_name, &tree["groupName"]);
    text(&request.operation, &tree["type"]);
    match (&request.instance, &tree["instance"]) {
        (None, Value::Null) => {}
        (Some(found), tree) => instance(found, tree),
        (None, tree) => panic!("no instance, but {tree}"),
    }
}

fn batch(request: &BatchInstanceRequest<'_>, tree: &Value) {
    text(&request.namespace, &tree["namespace"]);
    text(&request.service_name, &tree["serviceName"]);
    text(&request.group_name, &tree["groupName"]);
    text(&request.operation, &tree["type"]);
    match (&request.instances, &tree["instances"]) {
        (None, Value::Null) => {}
        (Some(found), Value::Array(trees)) => {
            assert_eq!(found.len(), trees.len());
            found.iter().zip(trees).for_each(|(found, tree)| instance(found, tree));
        }
        (found, tree) => panic!("{found:?}, but {tree}"),
    }
}

fn instance(found: &Instance<'_>, tree: &Value) {
    assert!(tree.is_object(), "{tree}");
    text(&found.instance_id, &tree["instanceId"]);
    text(&found.ip, &tree["ip"]);
    integer(found.port, &tree["port"], 0);
    double(found.weight, &tree["weight"], if tree.get("weight").is_some() { 0.0 } else { 1.0 });
    for (found, name) in
        [(found.healthy, "healthy"), (found.enabled, "enabled"), (found.ephemeral, "ephemeral")]
    {
        boolean(found, &tree[name], tree.get(name).is_none());
    }
    text(&found.cluster_name, &tree["clusterName"]);
    text(&found.service_name, &tree["serviceName"]);
    pairs(&found.metadata, &tree["metadata"]);
}

fn query(request: &ServiceQueryRequest<'_>, tree: &Value) {
    text(&request.namespace, &tree["namespace"]);
    text(&request.service_name, &tree["serviceName"]);
    text(&request.group_name, &tree["groupName"]);
    text(&request.cluster, &tree["cluster"]);
    boolean(request.healthy_only, &tree["healthyOnly"], false);
    integer(request.udp_port, &tree["udpPort"], 0);
}

fn subscribe(request: &SubscribeServiceRequest<'_>, tree: &Value) {
    text(&request.namespace, &tree["namespace"]);
    text(&request.service_name, &tree["serviceName"]);
    text(&request.group_name, &tree["groupName"]);
    text(&request.clusters, &tree["clusters"]);
    boolean(request.subscribe, &tree["subscribe"], false);
}

fn list(request: &ServiceListRequest<'_>, tree: &Value) {
    text(&request.namespace, &tree["namespace"]);
    text(&request.service_name, &tree["serviceName"]);
    text(&request.group_name, &tree["groupName"]);
    text(&request.selector, &tree["selector"]);
    integer(request.page_no, &tree["pageNo"], 0);
    integer(request.page_size, &tree["pageSize"], 0);
}

fn config_name(names: [&Option<Text<'_>>; 3], tree: &Value) {
    for (found, member) in names.into_iter().zip(["dataId", "group", "tenant"]) {
        text(found, &tree[member]);
    }
}

fn publish(request: &ConfigPublishRequest<'_>, tree: &Value) {
    config_name([&request.data_id, &request.group, &request.tenant], tree);
    text(&request.content, &tree["content"]);
    text(&request.cas_md5, &tree["casMd5"]);
    pairs(&request.addition, &tree["additionMap"]);
}

fn listen(request: &ConfigBatchListenRequest<'_>, tree: &Value) {
    boolean(request.listen, &tree["listen"], tree.get("listen").is_none());
    match (&request.contexts, &tree["configListenContexts"]) {
        (None, Value::Null) => {}
        (Some(found), Value::Array(trees)) => {
            assert_eq!(found.len(), trees.len());
            found.iter().zip(trees).for_each(|(found, tree)| context(found, tree));
        }
        (found, tree) => panic!("{found:?}, but {tree}"),
    }
}

fn context(found: &ListenContext<'_>, tree: &Value) {
    assert!(tree.is_object(), "{tree}");
    config_name([&found.data_id, &found.group, &found.tenant], tree);
    text(&found.md5, &tree["md5"]);
}

fn config_fuzzy(request: &ConfigFuzzyWatchRequest<'_>, tree: &Value) {
    text(&request.group_key_pattern, &tree["groupKeyPattern"]);
    text(&request.watch_type, &tree["watchType"]);
    boolean(request.initializing, &tree["initializing"], false);
    received_keys(&request.received_group_keys, &tree["receivedGroupKeys"]);
}

fn fuzzy(request: &FuzzyWatchRequest<'_>, tree: &Value) {
    text(&request.namespace, &tree["namespace"]);
    text(&request.group_key_pattern, &tree["groupKeyPattern"]);
    text(&request.watch_type, &tree["watchType"]);
    boolean(request.initializing, &tree["initializing"], false);
    received_keys(&request.received_group_keys, &tree["receivedGroupKeys"]);
}

fn received_keys(found: &Option<Vec<Text<'_>>>, tree: &Value) {
    match (found, tree) {
        (None, Value::Null) => {}
        (Some(found), Value::Array(trees)) => {
            let trees: Vec<_> = trees.iter().filter(|tree| !tree.is_null()).collect();
            assert_eq!(found.len(), trees.len());
            for (found, tree) in found.iter().zip(trees) {
                text(&Some(found.clone()), tree);
            }
        }
        (found, tree) => panic!("{found:?}, but {tree}"),
    }
}

fn text(found: &Option<Text<'_>>, tree: &Value) {
    match (found, tree) {
        (None, Value::Null) => {}
        (Some(found), Value::String(text)) => assert_eq!(found.as_str(), text),
        (Some(found), Value::Bool(value)) => assert_eq!(found.as_str(), value.to_string()),
        // The tree has lost how the number was spelled.
        (Some(found), Value::Number(number)) => {
            assert_eq!(found.parse::<f64>().ok(), number.as_f64());
        }
        _ => panic!("{found:?}, but {tree}"),
    }
}

fn boolean(found: bool, tree: &Value, initial: bool) {
    match tree {
        Value::Null => assert_eq!(found, initial),
        Value::Bool(value) => assert_eq!(found, *value),
        Value::Number(number) => assert_eq!(found, number.to_string() != "0"),
        Value::String(text) => assert_eq!(found, text.trim().eq_ignore_ascii_case("true")),
        _ => panic!("{found}, but {tree}"),
    }
}

fn integer(found: i64, tree: &Value, initial: i64) {
    match tree {
        Value::Null => assert_eq!(found, initial),
        Value::Number(number) => {
            let expected = number.as_i64().or(number.as_f64().map(|float| float as i64));
            assert_eq!(Some(found), expected);
        }
        Value::String(text) => assert_eq!(found, text.trim().parse().unwrap_or(0)),
        _ => panic!("{found}, but {tree}"),
    }
}

fn double(found: f64, tree: &Value, initial: f64) {
    match tree {
        Value::Null => assert_eq!(found, initial),
        Value::Number(number) => close(found, number.as_f64().expect("a double")),
        Value::String(text) => {
            close(found, text.trim().replace("INF", "inf").parse().unwrap_or(0.0));
        }
        _ => panic!("{found}, but {tree}"),
    }
}

/// serde_json's own parsing of doubles may be one step off without its `float_roundtrip`.
fn close(found: f64, expected: f64) {
    let near = (found - expected).abs() <= expected.abs() * 1e-15;
    assert!(found == expected || near || found.is_nan() && expected.is_nan(), "{found} {expected}");
}

fn pairs(found: &Pairs<'_>, tree: &Value) {
    let empty = serde_json::Map::new();
    let tree = if tree.is_null() { &empty } else { tree.as_object().expect("an object") };
    assert_eq!(found.len(), tree.values().filter(|value| !value.is_null()).count(), "{tree:?}");
    for (key, value) in &found.0 {
        text(&Some(value.clone()), &tree[key.as_str()]);
    }
}

fn flags(found: &Option<Flags<'_>>, tree: &Value) {
    let Some(found) = found else { return assert!(tree.is_null()) };
    let tree = tree.as_object().expect("an object");
    for (key, value) in found.iter() {
        boolean(value, &tree[key], false);
    }
    for key in tree.iter().filter(|(_, value)| value.as_bool() == Some(true)).map(|(key, _)| key) {
        assert!(found.get(key), "{key}");
    }
}
