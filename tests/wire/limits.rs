//! Every bound that can be reached from outside: its answer and its counter on the metrics page
//! (issue 4, "Limits and bad input").

use crate::server::{Server, http_get};
use crate::support::*;
use nacre_loadgen::client::{Client, ClientError, Profile, instance};
use nacre_loadgen::envelope;
use nacre_loadgen::http2::frame::{self, flag, kind, setting};
use nacre_loadgen::raw::{RawPeer, header_block, header_block_with, unary_frames};
use serde_json::json;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Streams a client may have open (`src/http2/limits.rs`).
const STREAMS_MAX: u32 = 256;
/// Subscriptions and publications of one connection (`shards/src/limits.rs`).
const PER_CONNECTION_MAX: usize = 50_000;
/// Fuzzy watches of one connection.
const FUZZY_WATCHES_MAX: usize = 64;
const REFUSED_STREAM: u32 = 7;

fn limit(name: &str) -> String {
    format!("nacre_limit_reached_total{{limit=\"{name}\"}}")
}

#[test]
fn connections_over_the_limit_are_closed_and_counted() {
    let server = Server::start_with(&["-D", "nacre.connection.max=3"]);
    let mut clients: Vec<Client> = Vec::new();
    // The probe that saw the server start may still be leaving.
    until("three connect", || {
        clients.extend(Client::connect(server.grpc_address(), Profile::default()).ok());
        clients.len() == 3
    });
    // The node's own count refuses, or the table of a core that has all three already.
    let refusals = || {
        let full = r#"nacre_connections_refused_total{reason="table_full"}"#;
        metric(&server, &limit("connections")) + metric(&server, full)
    };
    let before = refusals();
    let refused = Client::connect(server.grpc_address(), Profile::default());
    assert!(refused.is_err(), "{refused:?}");
    until("the refusal is counted", || refusals() > before);
    for client in &clients {
        client.health_check().unwrap();
    }
    clients.pop();
    until("the place is free again", || {
        Client::connect(server.grpc_address(), Profile::default()).is_ok()
    });
}

#[test]
fn streams_over_the_limit_are_refused_and_counted() {
    let server = Server::start();
    let mut peer = RawPeer::greeted(server.grpc_address(), WAIT).unwrap();
    let block = header_block("/Request/request");
    for number in 0..=STREAMS_MAX {
        peer.send_frame(kind::HEADERS, flag::END_HEADERS, 2 * number + 1, &block).unwrap();
    }
    let over = 2 * STREAMS_MAX + 1;
    let reset = peer.expect(WAIT, |frame| frame.head.kind == kind::RST_STREAM).unwrap();
    assert_eq!((reset.head.stream, reset.error_code()), (over, Some(REFUSED_STREAM)));
    until_metric(&server, &limit("streams"), 1.0);
    // The connection lives, and a stream that ends makes room.
    let mut message = Vec::new();
    envelope::encode_message("ServerCheckRequest", "", &[], b"{}", &mut message);
    peer.send_frame(kind::DATA, flag::END_STREAM, 1, &message).unwrap();
    let answer = peer.answer(1, WAIT).unwrap();
    assert_eq!(answer.header("grpc-status"), Some("0"));
    peer.send_unary(over + 2, "ServerCheckRequest", b"{}").unwrap();
    assert_eq!(peer.answer(over + 2, WAIT).unwrap().header("grpc-status"), Some("0"));
}

#[test]
fn a_message_over_the_set_limit_is_resource_exhausted() {
    let key = "nacos.remote.server.grpc.sdk.max-inbound-message-size=2048";
    let server = Server::start_with(&["-D", key]);
    let client = client(&server);
    let error = client.call_raw("HealthCheckRequest", &[b' '; 2_048], &[]).unwrap_err();
    assert!(matches!(error, ClientError::Grpc { status: 8, .. }), "{error}");
    until_metric(&server, &limit("message_bytes"), 1.0);
    client.health_check().unwrap();
}

#[test]
fn a_header_list_over_the_limit_is_431_and_the_connection_goes_on() {
    let server = Server::start();
    let mut peer = RawPeer::greeted(server.grpc_address(), WAIT).unwrap();
    let value = "v".repeat(50);
    let block = header_block_with("/Request/request", &[("x", value.as_str()); 220]);
    assert!(block.len() <= frame::FRAME_BYTES_MAX);
    peer.send_frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block).unwrap();
    assert_eq!(peer.answer(1, WAIT).unwrap().header(":status"), Some("431"));
    until_metric(&server, &limit("header_list"), 1.0);
    peer.send_unary(3, "ServerCheckRequest", b"{}").unwrap();
    assert_eq!(peer.answer(3, WAIT).unwrap().header("grpc-status"), Some("0"));
}

#[test]
fn metadata_over_the_set_limit_is_400() {
    let server = Server::start_with(&["-D", "nacos.naming.service.metadata.length=10"]);
    let client = client(&server);
    let service = service("metadata");
    client.register(&service, &instance("10.0.0.1", 1, &[("12345", "12345")])).unwrap();
    let error = client.register(&service, &instance("10.0.0.1", 1, &[("12345", "123456")]));
    assert_eq!(error.unwrap_err().error_code(), Some(400));
    until_metric(&server, r#"nacre_refusals_total{class="parameter"}"#, 1.0);
}

#[test]
fn subscriptions_of_one_connection_are_bounded() {
    let server = Server::start();
    let mut caller = Caller::new(&server);
    let subscribe = |number: usize| {
        let body = json!({
            "serviceName": format!("s{number}"), "groupName": "G", "subscribe": true,
            "clusters": "",
        });
        body.to_string()
    };
    let last = caller.call_all("SubscribeServiceRequest", PER_CONNECTION_MAX, subscribe);
    assert_eq!(code(&last), (200, 0));
    let over = caller.call_all("SubscribeServiceRequest", 1, |_| subscribe(PER_CONNECTION_MAX));
    assert_eq!(code(&over), (500, 503), "{over}");
    until_metric(&server, &limit("subscriptions_per_connection"), 1.0);
    let known = caller.call_all("SubscribeServiceRequest", 1, subscribe);
    assert_eq!(code(&known), (200, 0), "a known one is no new one");
}

#[test]
fn publications_of_one_connection_are_bounded() {
    let server = Server::start();
    let mut caller = Caller::new(&server);
    let register = |number: usize| {
        let body = json!({
            "serviceName": format!("s{number}"), "groupName": "G", "type": "registerInstance",
            "instance": {"ip": "10.0.0.1", "port": 1},
        });
        body.to_string()
    };
    let last = caller.call_all("InstanceRequest", PER_CONNECTION_MAX, register);
    assert_eq!(code(&last), (200, 0));
    let over = caller.call_all("InstanceRequest", 1, |_| register(PER_CONNECTION_MAX));
    assert_eq!(code(&over), (500, 503), "{over}");
    until_metric(&server, &limit("publications_per_connection"), 1.0);
    let gauge = settled(&server, r#"nacos_monitor{module="naming",name="serviceCount"}"#);
    assert_eq!(gauge, PER_CONNECTION_MAX as f64, "the gauge shows what is there");
}

fn code(answer: &serde_json::Value) -> (i64, i64) {
    (answer["resultCode"].as_i64().unwrap(), answer["errorCode"].as_i64().unwrap())
}

/// One connection that makes very many calls, many at a time.
struct Caller {
    peer: RawPeer,
    next_stream: u32,
}

impl Caller {
    /// Calls under way at a time.
    const BATCH: usize = 200;

    fn new(server: &Server) -> Self {
        let mut peer = RawPeer::connect(server.grpc_address()).unwrap();
        peer.greet(&[(setting::INITIAL_WINDOW_SIZE, 1 << 30)]).unwrap();
        let mut window = Vec::new();
        frame::put_window_update(0, (1 << 30) - 1, &mut window);
        peer.send(&window).unwrap();
        peer.send_frame(kind::SETTINGS, flag::ACK, 0, &[]).unwrap();
        peer.send_setup(1, br#"{"labels":{"module":"naming"}}"#).unwrap();
        peer.send_unary(3, "HealthCheckRequest", b"{}").unwrap();
        peer.answer(3, WAIT).unwrap();
        Self { peer, next_stream: 5 }
    }

    /// The last call's answer.
    fn call_all(
        &mut self,
        what: &str,
        calls: usize,
        body: impl Fn(usize) -> String,
    ) -> serde_json::Value {
        let mut last = Vec::new();
        let mut made = 0;
        while made < calls {
            let batch = Self::BATCH.min(calls - made);
            let mut bytes = Vec::new();
            for number in made..made + batch {
                bytes.extend(unary_frames(self.next_stream, what, body(number).as_bytes()));
                self.next_stream += 2;
            }
            let last_stream = self.next_stream - 2;
            self.peer.send(&bytes).unwrap();
            let mut ended = 0;
            while ended < batch {
                let frame = self.peer.expect(2 * WAIT, |frame| frame.head.stream > 1).unwrap();
                let ends = frame.head.has(flag::END_STREAM) && frame.head.kind == kind::HEADERS;
                ended += usize::from(ends);
                assert_ne!(frame.head.kind, kind::RST_STREAM, "after {made}: {frame:?}");
                if frame.is(kind::DATA, last_stream) {
                    last.clear();
                    last.extend_from_slice(&frame.payload);
                }
            }
            made += batch;
        }
        let (message, _) = envelope::split_message(&last).unwrap().expect("one whole message");
        serde_json::from_slice(envelope::decode(message).unwrap().body).unwrap()
    }
}

#[test]
fn fuzzy_watches_of_one_connection_are_bounded() {
    let key = "nacos.naming.fuzzy.watch.max.pattern.count=100";
    let server = Server::start_with(&["-D", key]);
    let client = client(&server);
    for number in 0..FUZZY_WATCHES_MAX {
        client.fuzzy_watch(&format!("public>>*>>p{number}"), &[], true).unwrap();
    }
    let error = client.fuzzy_watch("public>>*>>one-more", &[], true).unwrap_err();
    assert_eq!(error.error_code(), Some(503), "{error}");
    until_metric(&server, &limit("fuzzy_watches_per_connection"), 1.0);
    client.fuzzy_cancel("public>>*>>p0").unwrap();
    client.fuzzy_watch("public>>*>>one-more", &[], true).unwrap();
}

#[test]
fn a_refusal_for_want_of_room_comes_a_second_late() {
    let key = "nacos.naming.fuzzy.watch.max.pattern.count=100";
    let server = Server::start_with(&["-D", key]);
    let client = client(&server);
    for number in 0..FUZZY_WATCHES_MAX {
        client.fuzzy_watch(&format!("public>>*>>p{number}"), &[], true).unwrap();
    }
    let began = std::time::Instant::now();
    let error = client.fuzzy_watch("public>>*>>one-more", &[], true).unwrap_err();
    assert_eq!(error.error_code(), Some(503), "{error}");
    // Back-pressure (4, after row 8).
    assert_lasted(began.elapsed(), Duration::from_secs(1));
}

#[test]
fn long_texts_are_refused_or_left_out() {
    let server = shared_server();
    let client = client(&server);
    let clusters = vec!["cluster"; 2_000].join(",");
    let service = service("limits-clusters");
    let error = client.subscribe(&service, &clusters).unwrap_err();
    assert_eq!(error.error_code(), Some(400), "clusters: {error}");
    let pattern = format!("public>>*>>{}*", "p".repeat(5_000));
    let error = client.fuzzy_watch(&pattern, &[], true).unwrap_err();
    assert_eq!(error.error_code(), Some(400), "pattern: {error}");
    // A setup is never refused for its size: what exceeds the bound is left out.
    let mut profile = Profile { client_ip: "1".repeat(500), ..Profile::default() };
    profile.labels.insert("app_x".into(), "y".repeat(100_000));
    let talkative = client_as(&server, profile);
    talkative.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
}

#[test]
fn an_http_head_over_the_limit_is_refused() {
    let server = shared_server();
    let long = format!("/{}", "a".repeat(60_000));
    let answer = http_get(server.http_port(), &long).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "long, yet within the bound: {answer}");
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port())).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "v".repeat(600 * 1_024));
    // It may hang up before it has read everything.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let page = metrics(&server);
    assert!(page.contains("nacre_http_connections_closed_total"), "{page}");
}

#[test]
fn an_http_head_sent_too_slowly_is_closed_and_counted() {
    let server = Server::start();
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port())).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    stream.set_read_timeout(Some(2 * WAIT)).unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    assert!(ended.is_ok(), "closed within its ten seconds: {ended:?}");
    until_metric(&server, r#"nacre_http_connections_closed_total{reason="slow_head"}"#, 1.0);
}

/// More HTTP connections than the server is started for.
const HTTP_CONNECTIONS: usize = 1_100;

#[test]
fn http_connections_over_the_limit_are_closed_and_counted() {
    let server = Server::start_with(&["--cores", "0", "-D", "nacre.http.connection.max=1000"]);
    let mut many: Vec<_> = (0..HTTP_CONNECTIONS)
        .map(|_| TcpStream::connect(("127.0.0.1", server.http_port())).unwrap())
        .collect();
    // All places are held until the last that connected was turned away.
    let mut last = many.pop().unwrap();
    last.set_read_timeout(Some(WAIT)).unwrap();
    let ended = last.read(&mut [0]);
    let refused = |error: &Error| error.kind() == ErrorKind::ConnectionReset;
    assert!(ended.as_ref().map_or_else(refused, |bytes| *bytes == 0), "{ended:?}");
    drop(many);
    let series = r#"nacre_http_connections_closed_total{reason="limit"}"#;
    until("the page is served again, and counts", || {
        let page = http_get(server.http_port(), "/nacos/metrics").unwrap_or_default();
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.is_some_and(|value| value.trim().parse::<f64>().unwrap() >= 1.0)
    });
}

/// More names than one client may have messages of a watch waiting for: 4,096 batches of ten.
const NAMES_BEYOND_DELIVERIES: usize = 42_000;

#[test]
fn a_watch_of_more_than_a_client_takes_closes_it_as_too_slow() {
    let server = Server::start_with(&[
        "-D",
        "nacos.naming.fuzzy.watch.max.pattern.match.service.count=100000",
    ]);
    let mut caller = Caller::new(&server);
    let register = |number: usize| {
        let body = json!({
            "serviceName": format!("s{number}"), "groupName": "G", "type": "registerInstance",
            "instance": {"ip": "10.0.0.1", "port": 1},
        });
        body.to_string()
    };
    let last = caller.call_all("InstanceRequest", NAMES_BEYOND_DELIVERIES, register);
    assert_eq!(code(&last), (200, 0));
    let watcher = client(&server);
    // Whether it hears the answer before the end does not matter.
    let _ = watcher.fuzzy_watch("public>>*>>*", &[], true);
    watcher.wait_closed(WAIT).unwrap();
    until_metric(&server, r#"nacre_connections_closed_total{reason="too_slow"}"#, 1.0);
}
