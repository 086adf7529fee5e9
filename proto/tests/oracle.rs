//! Our reading and writing against prost and serde_json, on generated messages.

use crate::{judge, samples};
use nacre_proto::client::{self, request};
use nacre_proto::json;
use nacre_proto::link::ConnectionSetupRequest;
use nacre_proto::payload::{Any, HEADERS_MAX, Metadata, Payload, PayloadError, PayloadView};
use nacre_proto::payload::{encode_head, head_len};
use nacre_proto::request::{Kind, Request};
use proptest::collection::{btree_map, hash_map, vec};
use proptest::prelude::*;
use prost::Message;
use serde_json::Value;

fn payload() -> impl Strategy<Value = Payload> {
    let headers = hash_map(".{0,8}", ".{0,8}", 0..5);
    let metadata = (".{0,30}", ".{0,20}", headers)
        .prop_map(|(kind, client_ip, headers)| Metadata { kind, client_ip, headers });
    let any =
        (".{0,5}", vec(any::<u8>(), 0..300)).prop_map(|(type_url, value)| Any { type_url, value });
    (prop::option::of(metadata), prop::option::of(any))
        .prop_map(|(metadata, body)| Payload { metadata, body })
}

proptest! {
    #[test]
    fn the_view_reads_what_prost_wrote(owned in payload()) {
        judge::same_payload(&owned.encode_to_vec(), &owned);
    }

    /// Concatenated messages are one merged message, in protobuf.
    #[test]
    fn repeated_parts_merge_as_with_prost(parts in vec(payload(), 1..4)) {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.encode_to_vec()).collect();
        let owned = Payload::decode(bytes.as_slice()).unwrap();
        judge::same_payload(&bytes, &owned);
    }

    #[test]
    fn prost_reads_what_we_wrote(
        kind in ".{0,40}",
        ip in ".{0,40}",
        body in prop_oneof![vec(any::<u8>(), 0..3), vec(any::<u8>(), 100..20_000)],
    ) {
        let mut bytes = vec![];
        encode_head(&kind, &ip, body.len(), &mut bytes);
        prop_assert_eq!(bytes.len(), head_len(&kind, &ip, body.len()));
        bytes.extend_from_slice(&body);
        let owned = Payload::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(client::body(&owned), &body);
        let metadata = owned.metadata.unwrap();
        prop_assert_eq!((metadata.kind, metadata.client_ip), (kind, ip));
    }

    /// Whatever prost accepts, we accept and read alike.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = PayloadView::decode(&bytes);
        judge::same_bytes(&bytes);
        for kind in Kind::ALL {
            let _ = Request::parse(kind, &bytes);
        }
        let _ = ConnectionSetupRequest::parse(&bytes);
    }

    #[test]
    fn strings_are_written_as_json(text in any::<String>()) {
        let mut bytes = vec![];
        json::write_string(&mut bytes, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
    }

    #[test]
    fn whole_numbers_are_written_as_json(number: i64) {
        let mut bytes = vec![];
        json::write_i64(&mut bytes, number);
        prop_assert_eq!(std::str::from_utf8(&bytes).unwrap(), number.to_string());
    }

    #[test]
    fn doubles_read_back_exactly(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let mut bytes = vec![];
        json::write_f64(&mut bytes, number);
        let text = std::str::from_utf8(&bytes).unwrap();
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
        prop_assert!(text.contains('.'), "{}", text);
    }
}

/// A JSON tree with the keys and values that matter to the forms.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e12..1e12).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["", "1", " 80 ", "-0.5", "True", "false", "null", "NaN", "x"])
            .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "namespace",
        "serviceName",
        "groupName",
        "type",
        "instance",
        "instances",
        "metadata",
        "ip",
        "port",
        "weight",
        "healthy",
        "ephemeral",
        "labels",
        "abilityTable",
        "pageNo",
        "healthyOnly",
        "subscribe",
        "receivedGroupKeys",
        "initializing",
        "other",
        "",
        "\u{1F600}\"\\",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(key.clone(), inner, 0..8).prop_map(|map| {
                Value::Object(map.into_iter().map(|(key, value)| (key.into(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn forms_say_what_the_tree_says(tree in tree(), pretty: bool) {
        let body = if pretty {
            serde_json::to_vec_pretty(&tree)
        } else {
            serde_json::to_vec(&tree)
        }.unwrap();
        for kind in Kind::ALL {
            match Request::parse(kind, &body) {
                Ok(Some(request)) => judge::same_request(&request, &tree),
                Ok(None) => prop_assert!(tree.is_null()),
                // Well-formed, so only a type can be wrong.
                Err(error) => prop_assert!(
                    kind != Kind::HealthCheck || !(tree.is_object() || tree.is_null()),
                    "{}", error
                ),
            }
        }
        if let Ok(Some(setup)) = ConnectionSetupRequest::parse(&body) {
            judge::same_setup(&setup, &tree);
        }
    }

    /// What a client builds is what the server reads.
    #[test]
    fn requests_of_the_client_side_are_read(
        name in any::<String>(),
        cluster in prop::option::of(any::<String>()),
        port: u16,
        weight in prop::num::f64::NORMAL,
        healthy: bool,
        metadata in btree_map(any::<String>(), any::<String>(), 0..20),
    ) {
        let instance = client::Instance {
            cluster_name: cluster,
            weight,
            healthy,
            metadata: Some(metadata),
            ..client::Instance::new(&name, port)
        };
        let message = request::BatchInstanceRequest {
            service_name: Some(name),
            instances: vec![instance.clone(), instance],
            ..Default::default()
        };
        let payload = client::payload(&message, "::1", &[("app", "a")]).encode_to_vec();
        let view = PayloadView::decode(&payload).unwrap();
        prop_assert_eq!(view.header("APP"), Some("a"));
        let kind = Kind::of(view.kind);
        prop_assert_eq!(kind, Kind::BatchInstance);
        let read = Request::parse(kind, view.body).unwrap().unwrap();
        judge::same_request(&read, &serde_json::to_value(&message).unwrap());
        let Request::BatchInstance(read) = read else { panic!("{read:?}") };
        prop_assert_eq!(read.instances.unwrap()[0].weight, weight);
    }
}

#[test]
fn every_recorded_message_survives_the_envelope() {
    for sample in samples::requests() {
        let owned = Payload {
            metadata: Some(Metadata {
                kind: sample.kind,
                client_ip: sample.client_ip,
                headers: sample.headers.into_iter().collect(),
            }),
            body: Some(Any {
                type_url: sample.type_url,
                value: sample.body.get().as_bytes().to_vec(),
            }),
        };
        judge::same_payload(&owned.encode_to_vec(), &owned);
    }
}

#[test]
fn headers_are_bounded() {
    let with = |count: usize| {
        let headers = (0..count).map(|index| (index.to_string(), String::new())).collect();
        let metadata = Metadata { headers, ..Default::default() };
        Payload { metadata: Some(metadata), body: None }.encode_to_vec()
    };
    assert_eq!(PayloadView::decode(&with(HEADERS_MAX)).unwrap().headers().count(), HEADERS_MAX);
    assert_eq!(PayloadView::decode(&with(HEADERS_MAX + 1)), Err(PayloadError::TooManyHeaders));
}
