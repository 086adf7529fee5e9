//! What real clients and the reference server were seen to send, read and written by us.

use crate::samples::Sample;
use crate::{judge, samples};
use nacre_proto::client::{self, Named, push, response};
use nacre_proto::link::{Ack, ConnectionSetupRequest};
use nacre_proto::payload::{Payload, PayloadView, encode_head, head_len};
use nacre_proto::request::{Kind, Request};
use prost::Message;
use serde_json::Value;

fn tree(sample: &Sample) -> Value {
    serde_json::from_str(sample.body.get()).expect("recorded JSON")
}

#[test]
fn every_request_of_every_sdk_says_what_its_json_says() {
    let mut seen = 0;
    for sample in samples::requests() {
        let body = sample.body.get().as_bytes();
        // Read as its ephemeral twin, for the shape; this build has no handler for it.
        let twin = sample.kind.replace("PersistentInstance", "Instance");
        match Kind::of(&twin) {
            Kind::ConnectionSetup => {
                let setup = ConnectionSetupRequest::parse(body).unwrap().unwrap();
                judge::same_setup(&setup, &tree(&sample));
            }
            Kind::Response => {
                let ack = Ack::parse(body).unwrap().unwrap();
                judge::same_ack(&ack, &tree(&sample));
                assert!(ack.request_id.is_some(), "{sample:?}");
            }
            Kind::ServerCheck => {}
            kind => {
                let request = Request::parse(kind, body)
                    .unwrap_or_else(|error| panic!("{error}: {sample:?}"))
                    .unwrap();
                assert_eq!(request.kind(), kind);
                judge::same_request(&request, &tree(&sample));
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_sdk_is_there() {
    let mut sources: Vec<_> = samples::requests().into_iter().map(|sample| sample.source).collect();
    sources.dedup();
    assert_eq!(
        sources,
        [
            "go-nacos-sdk-2.3.2",
            "java-nacos-client-2.5.1",
            "java-nacos-client-3.1.1",
            "py-nacos-sdk-2.0.11",
            "py-nacos-sdk-3.2.0",
            "rust-nacos-sdk-0.8.3",
            "rust-nacos_rust_client-0.3.3",
        ]
    );
}

/// The first sample of a source and type whose body holds the text.
fn sample(source: &str, kind: &str, holding: &str) -> Sample {
    samples::requests()
        .into_iter()
        .find(|sample| {
            sample.source == source && sample.kind == kind && sample.body.get().contains(holding)
        })
        .unwrap_or_else(|| panic!("no {kind} of {source} with {holding}"))
}

#[test]
fn a_go_deregistration_keeps_its_explicit_zeroes_and_nulls() {
    let sample = sample("go-nacos-sdk-2.3.2", "InstanceRequest", "deregisterInstance");
    let request = Request::parse(Kind::Instance, sample.body.get().as_bytes()).unwrap().unwrap();
    let Request::Instance(request) = request else { panic!("{request:?}") };
    assert_eq!(request.operation.as_deref(), Some("deregisterInstance"));
    let instance = request.instance.unwrap();
    assert_eq!((instance.weight, instance.healthy, instance.enabled), (0.0, false, false));
    assert_eq!(instance.cluster_name.as_deref(), Some(""));
    assert!(instance.metadata.is_empty());
}

#[test]
fn a_java_registration_without_cluster_has_none() {
    let sample = sample("java-nacos-client-3.1.1", "InstanceRequest", "registerInstance");
    let request = Request::parse(Kind::Instance, sample.body.get().as_bytes()).unwrap().unwrap();
    let Request::Instance(request) = request else { panic!("{request:?}") };
    let instance = request.instance.unwrap();
    assert_eq!((instance.instance_id, instance.cluster_name), (None, None));
    assert_eq!((instance.ip.as_deref(), instance.port), (Some("192.0.2.11"), 8080));
    assert!(!instance.metadata.is_empty());
}

#[test]
fn ability_tables_tell_java_from_go() {
    let setup = |source| sample(source, "ConnectionSetupRequest", "clientVersion");
    let java31 = setup("java-nacos-client-3.1.1");
    let java31 = ConnectionSetupRequest::parse(java31.body.get().as_bytes()).unwrap().unwrap();
    assert!(java31.ability_table.as_ref().is_some_and(|table| table.get("fuzzyWatch")));
    assert_eq!(java31.labels.get("module"), Some("naming"));
    let java25 = setup("java-nacos-client-2.5.1");
    let java25 = ConnectionSetupRequest::parse(java25.body.get().as_bytes()).unwrap().unwrap();
    assert!(java25.ability_table.as_ref().is_some_and(|table| table.is_empty()));
    let go = setup("go-nacos-sdk-2.3.2");
    let go = ConnectionSetupRequest::parse(go.body.get().as_bytes()).unwrap().unwrap();
    assert_eq!(go.ability_table, None);
}

#[test]
fn go_says_success_false_for_an_accepted_detection() {
    let sample = sample("go-nacos-sdk-2.3.2", "ClientDetectionResponse", "\"success\":false");
    let ack = Ack::parse(sample.body.get().as_bytes()).unwrap().unwrap();
    assert_eq!(ack.result_code, 200);
}

#[test]
fn recorded_payloads_are_read_as_prost_reads_them() {
    for (_, kind, bytes) in samples::payloads() {
        let view = PayloadView::decode(&bytes).unwrap();
        assert_eq!(view.kind, kind);
        let owned = Payload::decode(bytes.as_slice()).unwrap();
        assert_eq!(view.body, client::body(&owned));
        let metadata = owned.metadata.unwrap();
        assert_eq!(view.client_ip, metadata.client_ip);
        assert_eq!(view.headers().count(), metadata.headers.len());
        for (key, value) in &metadata.headers {
            assert_eq!(view.header(&key.to_uppercase()), Some(value.as_str()));
        }
    }
}

#[test]
fn our_heads_are_the_reference_servers_bytes() {
    let mut compared = 0;
    for (from_client, kind, bytes) in samples::payloads() {
        let view = PayloadView::decode(&bytes).unwrap();
        if view.headers().count() > 0 {
            continue;
        }
        let mut written = vec![];
        encode_head(&kind, view.client_ip, view.body.len(), &mut written);
        assert_eq!(written.len(), head_len(&kind, view.client_ip, view.body.len()));
        written.extend_from_slice(view.body);
        assert_eq!(written, bytes, "{kind}");
        compared += usize::from(!from_client);
    }
    assert!(compared > 20, "{compared}");
}

/// Reads the recorded JSON into the client's struct and writes it again.
fn again<M: Named>(sample: &Sample) -> Value {
    let message: M = serde_json::from_str(sample.body.get())
        .unwrap_or_else(|error| panic!("{error}: {sample:?}"));
    assert!(sample.kind == M::NAME || M::NAME == "Response", "{}", sample.kind);
    serde_json::to_value(message).unwrap()
}

/// Member by member; a null the reference wrote may be left out by us.
fn assert_same(ours: &Value, recorded: &Value, sample: &Sample) {
    match (ours, recorded) {
        (Value::Object(ours), Value::Object(recorded)) => {
            for key in ours.keys().chain(recorded.keys()) {
                let side = |side: &serde_json::Map<String, Value>| {
                    side.get(key).cloned().unwrap_or(Value::Null)
                };
                assert_same(&side(ours), &side(recorded), sample);
            }
        }
        (Value::Array(ours), Value::Array(recorded)) => {
            assert_eq!(ours.len(), recorded.len(), "{sample:?}");
            ours.iter().zip(recorded).for_each(|(a, b)| assert_same(a, b, sample));
        }
        _ => assert_eq!(ours, recorded, "{sample:?}"),
    }
}

#[test]
fn client_structs_lose_nothing_of_the_reference_servers_answers() {
    use {push::*, response::*};
    for sample in samples::answers() {
        let ours = match sample.kind.as_str() {
            "ServerCheckResponse" => again::<ServerCheckResponse>(&sample),
            "HealthCheckResponse" => again::<HealthCheckResponse>(&sample),
            "ErrorResponse" => again::<ErrorResponse>(&sample),
            "InstanceResponse" => again::<InstanceResponse>(&sample),
            "BatchInstanceResponse" => again::<BatchInstanceResponse>(&sample),
            "QueryServiceResponse" => again::<QueryServiceResponse>(&sample),
            "SubscribeServiceResponse" => again::<SubscribeServiceResponse>(&sample),
            "ServiceListResponse" => again::<ServiceListResponse>(&sample),
            "NamingFuzzyWatchResponse" => again::<NamingFuzzyWatchResponse>(&sample),
            "SetupAckRequest" => again::<SetupAckRequest>(&sample),
            "ClientDetectionRequest" => again::<ClientDetectionRequest>(&sample),
            "NotifySubscriberRequest" => again::<NotifySubscriberRequest>(&sample),
            "NamingFuzzyWatchSyncRequest" => again::<NamingFuzzyWatchSyncRequest>(&sample),
            "NamingFuzzyWatchChangeNotifyRequest" => {
                again::<NamingFuzzyWatchChangeNotifyRequest>(&sample)
            }
            "ConfigPublishResponse" => again::<ConfigPublishResponse>(&sample),
            "ConfigQueryResponse" => again::<ConfigQueryResponse>(&sample),
            "ConfigRemoveResponse" => again::<ConfigRemoveResponse>(&sample),
            "ConfigChangeBatchListenResponse" => again::<ConfigChangeBatchListenResponse>(&sample),
            "ConfigFuzzyWatchResponse" => again::<ConfigFuzzyWatchResponse>(&sample),
            "ConfigChangeNotifyRequest" => again::<ConfigChangeNotifyRequest>(&sample),
            "ConfigFuzzyWatchSyncRequest" => again::<ConfigFuzzyWatchSyncRequest>(&sample),
            "ConfigFuzzyWatchChangeNotifyRequest" => {
                again::<ConfigFuzzyWatchChangeNotifyRequest>(&sample)
            }
            other => panic!("no struct for {other}"),
        };
        assert_same(&ours, &tree(&sample), &sample);
    }
}
