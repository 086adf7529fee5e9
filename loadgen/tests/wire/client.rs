//! The blocking test client and the scripted peer.

use crate::registry::Registry;
use nacre_loadgen::client::{
    AckMode, Client, ClientError, Profile, ServiceName, addresses, instance,
};
use nacre_loadgen::http2::frame::kind;
use nacre_loadgen::raw::{RawError, RawPeer};
use nacre_proto::client::push::NotifySubscriberRequest;
use serde_json::json;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);

/// Polls a condition that no channel tells.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} within {WAIT:?}");
        std::thread::yield_now();
    }
}

#[test]
fn sets_up_with_and_without_negotiation() {
    let modern = Registry::start(true);
    let client = Client::connect(modern.addr, Profile::default()).unwrap();
    assert!(client.server_abilities().unwrap()["fuzzyWatch"]);
    let id = client.connection_id().unwrap();
    assert!(id.ends_with(&format!("_127.0.0.1_{}", client.local_addr().port())), "{id}");
    let old = Client::connect(modern.addr, Profile::default().without_abilities()).unwrap();
    assert!(old.server_abilities().is_none());
    let legacy = Registry::start(false);
    let client = Client::connect(legacy.addr, Profile::default()).unwrap();
    assert!(client.server_abilities().is_none());
    client.health_check().unwrap();
}

#[test]
fn registers_queries_lists_and_is_pushed_to() {
    let registry = Registry::start(true);
    let publisher = Client::connect(registry.addr, Profile::default()).unwrap();
    let subscriber = Client::connect(registry.addr, Profile::default()).unwrap();
    let service = ServiceName::public("orders");
    let instance = instance("10.0.0.1", 8080, &[("zone", "a")]);
    assert!(subscriber.subscribe(&service, "").unwrap().hosts.is_empty());
    publisher.register(&service, &instance).unwrap();
    let (push, info) = subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    assert_eq!(addresses(&info), ["10.0.0.1:8080"]);
    assert_eq!(info.hosts[0].metadata.as_ref().unwrap()["zone"], "a");
    let ack = format!("NotifySubscriberResponse {}", push.request_id.unwrap());
    until("the ack", || registry.acks().contains(&ack));
    assert_eq!(subscriber.query(&service, "", false).unwrap().hosts.len(), 1);
    let (count, names) = subscriber.list("public", "DEFAULT_GROUP", 1, 10).unwrap();
    assert_eq!((count, names), (1, vec!["orders".to_owned()]));
    publisher.kill();
    subscriber.wait_service(WAIT, |info| info.hosts.is_empty()).unwrap();
}

#[test]
fn acknowledges_as_told() {
    let registry = Registry::start(true);
    let client = Client::connect(registry.addr, Profile::default()).unwrap();
    client.set_ack_mode(AckMode::Manual);
    registry.broadcast("NotifySubscriberRequest", &json!({"requestId": "1", "serviceInfo": {}}));
    let push = client.next_push(WAIT).unwrap();
    assert_eq!(push.parse::<NotifySubscriberRequest>().unwrap().request_id.as_deref(), Some("1"));
    client.set_answer_detection(false);
    registry.broadcast("ClientDetectionRequest", &json!({"requestId": "2"}));
    client.next_push(WAIT).unwrap();
    client.set_ack_mode(AckMode::Delay(Duration::from_millis(30)));
    client.set_answer_detection(true);
    let sent = Instant::now();
    registry.broadcast("ConnectResetRequest", &json!({"requestId": "3"}));
    until("the late ack", || !registry.acks().is_empty());
    assert!(sent.elapsed() >= Duration::from_millis(30));
    client.refuse(&push).unwrap();
    registry.broadcast("ClientDetectionRequest", &json!({"requestId": "4"}));
    until("all acks", || registry.acks().len() == 3);
    let mut acks = registry.acks();
    acks.sort();
    let wanted =
        ["ClientDetectionResponse 4", "ConnectResetResponse 3", "NotifySubscriberResponse 1"];
    assert_eq!(acks, wanted);
    assert_eq!(client.pushes_lost(), 0);
}

#[test]
fn tells_refusals_apart() {
    let registry = Registry::start(true);
    let stranger = Profile { setup: false, ..Profile::default() };
    let client = Client::connect(registry.addr, stranger).unwrap();
    assert_eq!(client.health_check().unwrap_err().error_code(), Some(301));
    let error = client.call_bytes("/No/method", Vec::new()).unwrap_err();
    assert!(matches!(error, ClientError::Grpc { status: 12, .. }), "{error}");
    let answer = client.call_raw("ServerCheckRequest", b"{}", &[]).unwrap();
    assert_eq!(answer.outcome().unwrap().result_code, 200);
    let error = client.next_push(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}

#[test]
fn a_paused_client_reads_later() {
    let registry = Registry::start(true);
    let client = Client::connect(registry.addr, Profile::default()).unwrap();
    client.pause_reading();
    registry.broadcast("NotifySubscriberRequest", &json!({"requestId": "1", "serviceInfo": {}}));
    // A pause takes hold with the next read at the latest; one read may already be under way.
    let early = client.next_push(Duration::from_millis(100)).is_ok();
    registry.broadcast("NotifySubscriberRequest", &json!({"requestId": "2", "serviceInfo": {}}));
    assert!(client.next_push(Duration::from_millis(100)).is_err());
    client.resume_reading();
    for _ in usize::from(early)..2 {
        client.next_push(WAIT).unwrap();
    }
}

#[test]
fn leaves_in_order_or_by_reset() {
    let registry = Registry::start(true);
    let client = Client::connect(registry.addr, Profile::default()).unwrap();
    until("the stream", || registry.streams() == 1);
    drop(client);
    until("the end after FIN", || registry.streams() == 0);
    let client = Client::connect(registry.addr, Profile::default()).unwrap();
    client.kill();
    until("the end after RST", || registry.streams() == 0);
    let client = Client::connect(registry.addr, Profile::default()).unwrap();
    client.close().unwrap();
    until("the end after GOAWAY", || registry.streams() == 0);
    let mut peer = RawPeer::greeted(registry.addr, WAIT).unwrap();
    peer.send_setup(1, b"{}").unwrap();
    until("the raw stream", || registry.streams() == 1);
    peer.reset().unwrap();
    until("the end of the raw stream", || registry.streams() == 0);
}

#[test]
fn the_scripted_peer_speaks_and_reads_frames() {
    let registry = Registry::start(true);
    let mut peer = RawPeer::greeted(registry.addr, WAIT).unwrap();
    peer.send_unary(1, "ServerCheckRequest", b"{}").unwrap();
    let answer = peer.answer(1, WAIT).unwrap();
    assert_eq!(answer.header(":status"), Some("200"));
    assert_eq!(answer.header("grpc-status"), Some("0"));
    assert!(String::from_utf8_lossy(&answer.data).contains("connectionId"));
    peer.send_unary(3, "HealthCheckRequest", b"{}").unwrap();
    let answer = peer.answer(3, WAIT).unwrap();
    assert!(String::from_utf8_lossy(&answer.data).contains("301"));
    // DATA on stream 0 is a connection error (RFC 9113, 6.1): PROTOCOL_ERROR.
    peer.send_frame(kind::DATA, 0, 0, b"x").unwrap();
    assert_eq!(peer.expect_goaway(WAIT).unwrap(), 1);
    peer.expect_close(WAIT).unwrap();
    assert!(matches!(peer.next_frame(WAIT), Err(RawError::Closed | RawError::Reset)));
}
