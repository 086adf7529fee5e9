//! The envelope and its JSON: what reading a request costs.

use nacre_bench::gauge::Gauge;
use nacre_proto::payload::{PayloadView, encode_head};
use nacre_proto::request::{Kind, Request};
use std::hint::black_box;

/// Protobuf around a HealthCheck; the budget is `PayloadView`'s own.
const ENVELOPE_NS: u64 = 100;

/// A query's five members, borrowed.
const QUERY_NS: u64 = 500;

/// A registration with two pairs of metadata.
const REGISTER_NS: u64 = 1_200;

const QUERY: &str = r#"{"headers":{},"namespace":"public","serviceName":"orders-0000017",
"groupName":"DEFAULT_GROUP","module":"naming","cluster":"","healthyOnly":false,"udpPort":0}"#;

const REGISTER: &str = r#"{"headers":{},"namespace":"public","serviceName":"orders-0000017",
"groupName":"DEFAULT_GROUP","module":"naming","type":"registerInstance","instance":{
"ip":"10.0.0.17","port":8080,"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,
"clusterName":"DEFAULT","serviceName":"orders-0000017","metadata":{"version":"1.2.3","zone":"a"},
"instanceHeartBeatInterval":5000,"instanceIdGenerator":"simple",
"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}}"#;

fn payload(kind: &str, body: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_head(kind, "127.0.0.1", body.len(), &mut bytes);
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

pub fn measure(gauge: &mut Gauge) {
    let check = payload("HealthCheckRequest", r#"{"headers":{},"module":"internal"}"#);
    gauge.measure("payload: envelope of a check", ENVELOPE_NS, 10_000, |_| {
        black_box(PayloadView::decode(black_box(&check)).expect("a payload"));
    });
    for (what, budget_ns, kind, body) in [
        ("payload: query", QUERY_NS, "ServiceQueryRequest", QUERY),
        ("payload: register", REGISTER_NS, "InstanceRequest", REGISTER),
    ] {
        let bytes = payload(kind, body);
        gauge.measure(what, budget_ns, 10_000, |_| {
            let view = PayloadView::decode(black_box(&bytes)).expect("a payload");
            let request = Request::parse(Kind::of(view.kind), view.body);
            black_box(request.expect("a request"));
        });
    }
}
