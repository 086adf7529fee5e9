//! SIGTERM: clients are told, may leave, and no list changes because of it (issue 4, "The
//! command"; `grpc-protocol.md` 15).

use crate::server::{Server, http_get};
use crate::support::*;
use nacre_loadgen::client::{AckMode, instance};
use nacre_loadgen::http2::frame::kind;
use nacre_loadgen::raw::RawPeer;
use nacre_proto::client::push::ConnectResetRequest;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The drain's own bound, with room for a busy machine.
const STOP_MAX: Duration = Duration::from_secs(13);

#[test]
fn clients_are_told_to_go_and_the_exit_is_0() {
    let mut server = Server::start();
    let clients: Vec<_> = (0..8).map(|_| client(&server)).collect();
    let began = Instant::now();
    server.ask_to_stop();
    for client in &clients {
        let reset = "ConnectResetRequest";
        let push = client.wait_push(WAIT, reset, |push| push.kind == reset).unwrap();
        let body: ConnectResetRequest = push.parse().unwrap();
        assert!(body.server_ip.is_none(), "a lone node has nobody to recommend");
    }
    let ended = server.wait_ended(STOP_MAX).expect("it drains and ends");
    assert_eq!(ended.code(), Some(0), "{}", server.log_tail());
    assert!(began.elapsed() < STOP_MAX);
    for client in &clients {
        client.wait_closed(WAIT).unwrap();
    }
}

#[test]
fn the_transport_says_goaway() {
    let mut server = Server::start();
    let mut peer = RawPeer::greeted(server.grpc_address(), WAIT).unwrap();
    peer.send_setup(1, br#"{"labels":{"source":"sdk","module":"naming"}}"#).unwrap();
    peer.send_unary(3, "HealthCheckRequest", b"{}").unwrap();
    peer.answer(3, WAIT).unwrap();
    server.ask_to_stop();
    let frame = peer.expect(WAIT, |frame| frame.is(kind::GOAWAY, 0)).unwrap();
    assert_eq!(frame.error_code(), Some(0), "NO_ERROR");
    assert_eq!(&frame.payload[8..], b"app_requested");
    peer.expect_close(WAIT).unwrap();
    assert_eq!(server.wait_ended(STOP_MAX).and_then(|ended| ended.code()), Some(0));
}

#[test]
fn clients_that_leave_meanwhile_change_no_list() {
    let mut server = Server::start_with(&["-D", "nacre.stop.drain-ms=4000"]);
    let service = service("stopping");
    let watcher = client(&server);
    // Never answers the reset, so it is there to hear whatever would be pushed.
    watcher.set_ack_mode(AckMode::Manual);
    watcher.subscribe(&service, "").unwrap();
    let publishers: Vec<_> = (1..=20).map(|_| client(&server)).collect();
    for (at, publisher) in publishers.iter().enumerate() {
        let instance = instance(&format!("10.0.0.{}", at + 1), 1, &[]);
        publisher.register(&service, &instance).unwrap();
    }
    until("all are listed", || watcher.query(&service, "", false).unwrap().hosts.len() == 20);
    let reset = "ConnectResetRequest";
    server.ask_to_stop();
    for publisher in publishers {
        publisher.wait_push(WAIT, reset, |push| push.kind == reset).unwrap();
        publisher.kill();
    }
    // Everything that still comes, up to the end of the connection.
    let mut told = false;
    while let Ok(push) = watcher.next_push(WAIT) {
        told |= push.kind == reset;
        if let Ok(notify) = push.parse::<nacre_proto::client::push::NotifySubscriberRequest>() {
            let hosts = notify.service_info.hosts.len();
            assert!(!told, "{hosts} hosts pushed after the stop began");
        }
    }
    assert!(told, "the watcher was told as well");
    assert_eq!(server.wait_ended(STOP_MAX).and_then(|ended| ended.code()), Some(0));
}

#[test]
fn requests_under_way_are_answered_and_new_connections_are_refused() {
    let mut server = Server::start();
    let client = client(&server);
    client.set_ack_mode(AckMode::Manual);
    server.ask_to_stop();
    let reset = "ConnectResetRequest";
    client.wait_push(WAIT, reset, |push| push.kind == reset).unwrap();
    // Told, not yet gone: its calls are still answered.
    let answered = client.query(&service("stopping-query"), "", false);
    assert!(answered.is_ok() || client.is_closed(), "{answered:?}");
    until("the listener is closed", || TcpStream::connect(server.grpc_address()).is_err());
    assert_eq!(server.wait_ended(STOP_MAX).and_then(|ended| ended.code()), Some(0));
}

#[test]
fn readiness_says_no_while_it_stops() {
    let mut server = Server::start();
    let holder = client(&server);
    holder.set_ack_mode(AckMode::Manual);
    server.ask_to_stop();
    let path = "/nacos/v1/console/health/readiness";
    until("not ready any more", || {
        http_get(server.http_port(), path).is_none_or(|answer| !answer.starts_with("HTTP/1.1 200"))
    });
    assert_eq!(server.wait_ended(STOP_MAX).and_then(|ended| ended.code()), Some(0));
}

#[test]
fn a_client_that_never_reads_does_not_hold_the_stop() {
    let mut server = Server::start();
    let stuck = client(&server);
    let service = service("stuck");
    let publisher = client(&server);
    stuck.subscribe(&service, "").unwrap();
    stuck.pause_reading();
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    assert_eq!(server.terminate().code(), Some(0));
}
