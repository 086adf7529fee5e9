//! Silent clients (`grpc-protocol.md` 8): asked whether they live, kept when they answer, removed
//! with all they published when they do not.

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, instance};
use nacre_loadgen::raw::RawPeer;
use std::time::{Duration, Instant};

/// The idle time of most tests here; the default one is twenty times as long.
const IDLE_MS: u64 = 1_000;
/// How long a client may take to answer the question.
const DETECTION: Duration = Duration::from_secs(5);
/// From a dead client's last message to its removal, at most: idle time, question, ejector rounds.
const GONE_MAX: Duration = Duration::from_secs(28);

fn quick_server() -> Server {
    Server::start_with(&["-D", &format!("nacre.connection.idle-ms={IDLE_MS}")])
}

fn asked(client: &Client) -> Instant {
    let kind = "ClientDetectionRequest";
    let push = client.wait_push(2 * WAIT, kind, |push| push.kind == kind).unwrap();
    assert!(push.request_id.is_some());
    push.at
}

#[test]
fn a_silent_client_is_asked_and_its_answer_keeps_it() {
    let server = quick_server();
    let client = client(&server);
    let service = service("kept");
    let began = Instant::now();
    client.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let at = asked(&client);
    // Not before it is silent.
    assert_lasted(at.duration_since(began), Duration::from_millis(IDLE_MS));
    // Each answer buys one more idle time; outlives the time a dead client would have.
    while began.elapsed() < DETECTION + Duration::from_secs(3) {
        asked(&client);
    }
    assert_eq!(client.query(&service, "", false).unwrap().hosts.len(), 1);
    until_metric(&server, "nacre_client_detections_total", 2.0);
}

#[test]
fn a_client_that_does_not_answer_is_removed_and_its_instances_are_pushed_as_gone() {
    let server = quick_server();
    let (dead, watcher) = (client(&server), client(&server));
    let service = service("dead");
    dead.set_answer_detection(false);
    watcher.subscribe(&service, "").unwrap();
    dead.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let last = Instant::now();
    watcher.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    let (push, _) = watcher.wait_service(GONE_MAX, |info| info.hosts.is_empty()).unwrap();
    let after = push.at.duration_since(last);
    assert!(after >= DETECTION, "it had its time to answer: {after:?}");
    assert!(after <= Duration::from_millis(IDLE_MS) + Duration::from_secs(8), "{after:?}");
    dead.wait_closed(WAIT).unwrap();
    until_metric(&server, r#"nacre_connections_closed_total{reason="ejected"}"#, 1.0);
}

#[test]
fn any_request_and_any_ack_keep_a_client_but_pings_and_server_checks_do_not() {
    let server = quick_server();
    let service = service("activity");
    let (calls, checks) = (client(&server), client(&server));
    checks.set_answer_detection(false);
    checks.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let watcher = client(&server);
    let began = Instant::now();
    // One that calls is never asked; one that only asks ServerCheck is silent (8).
    until("the silent one is gone", || {
        calls.health_check().unwrap();
        let _ = checks.call_raw("ServerCheckRequest", b"{}", &[]);
        watcher.query(&service, "", false).unwrap().hosts.is_empty()
    });
    assert_lasted(began.elapsed(), DETECTION);
    let asked = calls.drain_pushes();
    assert!(asked.iter().all(|push| push.kind != "ClientDetectionRequest"), "{asked:?}");
}

#[test]
fn by_default_a_client_is_asked_after_twenty_seconds() {
    let server = shared_server();
    let client = client(&server);
    client.health_check().unwrap();
    let last = Instant::now();
    let after = asked(&client).duration_since(last);
    assert!(after >= Duration::from_millis(19_900), "{after:?}");
    assert!(after <= Duration::from_secs(24), "{after:?}");
    client.health_check().unwrap();
}

#[test]
fn a_connection_without_setup_is_closed_after_twenty_seconds() {
    let server = shared_server();
    let mut peer = RawPeer::greeted(server.grpc_address(), WAIT).unwrap();
    let began = Instant::now();
    peer.expect_goaway(2 * WAIT).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(19), "{:?}", began.elapsed());
    peer.expect_close(WAIT).unwrap();
    until_metric(&server, r#"nacre_connections_closed_total{reason="never_set_up"}"#, 1.0);
}

#[test]
fn a_frozen_client_comes_back_within_its_time_and_keeps_its_instances() {
    let server = quick_server();
    let (frozen, watcher) = (client(&server), client(&server));
    let service = service("frozen");
    frozen.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    watcher.subscribe(&service, "").unwrap();
    frozen.pause_reading();
    until_metric(&server, "nacre_client_detections_total", 2.0);
    frozen.resume_reading();
    frozen.health_check().unwrap();
    let gone = watcher.wait_service(DETECTION, |info| info.hosts.is_empty());
    assert!(gone.is_err(), "nothing was pushed as gone: {gone:?}");
}
