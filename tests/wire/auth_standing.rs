//! A change of rights counts when it was answered, also for what stands: subscriptions, listens,
//! fuzzy watches, polls with a port for datagrams. Several connections each, so that both cores
//! have some.

use crate::auth::{Town, grpc};
use crate::http_client::Http;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile, Push};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Connections of each kind.
const MANY: usize = 4;
const PUSH: &str = "NotifySubscriberRequest";
const NOTIFY: &str = "ConfigChangeNotifyRequest";
const NAMING_CHANGE: &str = "NamingFuzzyWatchChangeNotifyRequest";
const CONFIG_CHANGE: &str = "ConfigFuzzyWatchChangeNotifyRequest";

fn about(service: &str) -> Value {
    json!({"namespace": "dev", "groupName": "G", "serviceName": service, "subscribe": true})
}

fn register(writer: &Client, token: &str, service: &str, port: u16) {
    let mut body = about(service);
    body["type"] = "registerInstance".into();
    body["instance"] = json!({"ip": "192.0.2.1", "port": port, "ephemeral": true});
    let done = grpc(writer, "InstanceRequest", &body, &[("accessToken", token)]);
    assert_eq!(done["resultCode"], 200, "{done}");
}

fn publish(writer: &Client, token: &str, data_id: &str, content: &str) {
    let body = json!({"tenant": "dev", "group": "G", "dataId": data_id, "content": content});
    let done = grpc(writer, "ConfigPublishRequest", &body, &[("accessToken", token)]);
    assert_eq!(done["resultCode"], 200, "{done}");
}

fn listen(client: &Client, token: &str, data_id: &str, md5: &str) -> Value {
    let context = json!({"tenant": "dev", "group": "G", "dataId": data_id, "md5": md5});
    let body = json!({"listen": true, "configListenContexts": [context]});
    grpc(client, "ConfigBatchListenRequest", &body, &[("accessToken", token)])
}

fn port_of(push: &Push) -> Option<i64> {
    let body: Value = serde_json::from_slice(&push.body).ok()?;
    body["serviceInfo"]["hosts"][0]["port"].as_i64()
}

fn told_port(client: &Client, port: i64) {
    let is_it = |push: &Push| push.kind == PUSH && port_of(push) == Some(port);
    client.wait_push(WAIT, PUSH, is_it).unwrap_or_else(|error| panic!("port {port}: {error}"));
}

fn told(client: &Client, kind: &'static str) {
    client.wait_push(WAIT, kind, |push| push.kind == kind).unwrap();
}

/// Nothing of these kinds comes, though others are told meanwhile.
fn silent(clients: &[Client], kinds: &[&str]) {
    let until = Instant::now() + QUIET;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::sleep(left.min(Duration::from_millis(20)));
        for client in clients {
            let heard = client.drain_pushes();
            let heard: Vec<_> = heard.iter().filter(|push| kinds.contains(&&*push.kind)).collect();
            assert!(heard.is_empty(), "told without a right: {heard:?}");
        }
    }
}

fn clients(town: &Town, module: &str) -> Vec<Client> {
    (0..MANY).map(|_| client_as(&town.server, Profile::module(module))).collect()
}

/// A town with a reader whose right comes and goes, and a writer.
struct Stage {
    town: Town,
    reader: String,
    writer: String,
}

impl Stage {
    fn set() -> Self {
        let town = Town::guarded();
        let reader = town.user("reader", "dev:*:*", "r");
        let writer = town.user("writer", "dev:*:*", "rw");
        Self { town, reader, writer }
    }

    fn may_read(&self, may: bool) {
        let method = if may { "POST" } else { "DELETE" };
        let target = "/nacos/v3/auth/permission?role=of-reader&resource=dev:*:*&action=r";
        let done = self.town.send(method, target, "", &self.town.admin);
        assert_eq!(done.status, 200, "{}", done.text());
    }
}

#[test]
fn subscribers_are_told_while_they_may() {
    let stage = Stage::set();
    let writer = client(&stage.town.server);
    let own = client(&stage.town.server);
    let readers = clients(&stage.town, "naming");
    register(&writer, &stage.writer, "s", 1);
    let subscribe = |client: &Client, token: &str| {
        let done = grpc(client, "SubscribeServiceRequest", &about("s"), &[("accessToken", token)]);
        assert_eq!(done["resultCode"], 200, "{done}");
        told_port(client, 1);
    };
    readers.iter().for_each(|reader| subscribe(reader, &stage.reader));
    subscribe(&own, &stage.writer);

    stage.may_read(false);
    register(&writer, &stage.writer, "s", 2);
    told_port(&own, 2);
    silent(&readers, &[PUSH]);
    let refused = grpc(
        &readers[0],
        "SubscribeServiceRequest",
        &about("s"),
        &[("accessToken", &stage.reader)],
    );
    assert_eq!(refused["errorCode"], 403, "{refused}");

    // The right comes back: so does what was missed, by itself.
    stage.may_read(true);
    readers.iter().for_each(|reader| told_port(reader, 2));
    register(&writer, &stage.writer, "s", 3);
    readers.iter().for_each(|reader| told_port(reader, 3));

    // A user who is deleted has no right either.
    let gone =
        stage.town.send("DELETE", "/nacos/v3/auth/user?username=reader", "", &stage.town.admin);
    assert_eq!(gone.status, 200, "{}", gone.text());
    register(&writer, &stage.writer, "s", 4);
    told_port(&own, 4);
    silent(&readers, &[PUSH]);
    until_metric(&stage.town.server, "nacre_standing_withheld_total", 2.0 * MANY as f64);
}

#[test]
fn listeners_are_told_while_they_may() {
    let stage = Stage::set();
    let writer = client_as(&stage.town.server, Profile::module("config"));
    let own = client_as(&stage.town.server, Profile::module("config"));
    let readers = clients(&stage.town, "config");
    let everybody = || readers.iter().map(|reader| (reader, &stage.reader));
    for (client, token) in everybody().chain([(&own, &stage.writer)]) {
        assert_eq!(listen(client, token, "d", "")["resultCode"], 200);
    }
    publish(&writer, &stage.writer, "d", "one");
    readers.iter().for_each(|reader| told(reader, NOTIFY));
    told(&own, NOTIFY);

    stage.may_read(false);
    publish(&writer, &stage.writer, "d", "two");
    told(&own, NOTIFY);
    silent(&readers, &[NOTIFY]);
    assert_eq!(listen(&readers[0], &stage.reader, "d", "")["errorCode"], 403);

    stage.may_read(true);
    readers.iter().for_each(|reader| told(reader, NOTIFY));
    publish(&writer, &stage.writer, "d", "three");
    readers.iter().for_each(|reader| told(reader, NOTIFY));
}

/// A poll that is held when the right goes tells nothing of what changes then; the next is refused.
#[test]
fn long_polls_are_told_while_they_may() {
    let stage = Stage::set();
    let writer = client_as(&stage.town.server, Profile::module("config"));
    publish(&writer, &stage.writer, "d", "one");
    let md5 = "f97c5d29941bfb1b2fdab0874906ab82";
    let body = format!("Listening-Configs=d%02G%02{md5}%02dev%01");
    let server = &stage.town.server;
    let poll = |token: &str| {
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let lines = format!("{form}long-pulling-timeout: 30000\r\naccessToken: {token}\r\n");
        let target = "/nacos/v1/cs/configs/listener";
        Http::connect(server).ask_with("POST", target, &lines, body.as_bytes())
    };
    std::thread::scope(|scope| {
        let held: Vec<_> = [&stage.reader, &stage.reader, &stage.writer]
            .map(|token| scope.spawn(|| poll(token)))
            .into_iter()
            .collect();
        until_metric(server, "nacre_config_long_polls", held.len() as f64);
        stage.may_read(false);
        publish(&writer, &stage.writer, "d", "two");
        let told: Vec<_> = held.into_iter().map(|poll| poll.join().expect("an answer")).collect();
        let texts: Vec<_> = told.iter().map(|answer| (answer.status, answer.text())).collect();
        assert_eq!(texts[..2], [(200, ""), (200, "")]);
        assert!(texts[2].0 == 200 && texts[2].1.contains("d%02G"), "{texts:?}");
    });
    assert_eq!(poll(&stage.reader).status, 403);
}

#[test]
fn fuzzy_watches_end_with_the_right() {
    let stage = Stage::set();
    let watch = json!({
        "groupKeyPattern": "dev>>G>>*", "watchType": "WATCH", "initializing": true,
        "namespace": "dev",
    });
    for (module, kind, sync, change) in [
        ("naming", "NamingFuzzyWatchRequest", "NamingFuzzyWatchSyncRequest", NAMING_CHANGE),
        ("config", "ConfigFuzzyWatchRequest", "ConfigFuzzyWatchSyncRequest", CONFIG_CHANGE),
    ] {
        let writer = client_as(&stage.town.server, Profile::module(module));
        let own = client_as(&stage.town.server, Profile::module(module));
        let readers = clients(&stage.town, module);
        let begin = |client: &Client, token: &str| {
            let done = grpc(client, kind, &watch, &[("accessToken", token)]);
            assert_eq!(done["resultCode"], 200, "{done}");
            told(client, sync);
        };
        let make = |name: &str| match module {
            "naming" => register(&writer, &stage.writer, name, 1),
            _ => publish(&writer, &stage.writer, name, "x"),
        };
        readers.iter().for_each(|reader| begin(reader, &stage.reader));
        begin(&own, &stage.writer);
        make("first");
        readers.iter().for_each(|reader| told(reader, change));
        told(&own, change);

        stage.may_read(false);
        make("second");
        told(&own, change);
        silent(&readers, &[sync, change]);

        // Ended: asked for anew once there is a right.
        stage.may_read(true);
        make("third");
        told(&own, change);
        silent(&readers, &[sync, change]);
        readers.iter().for_each(|reader| begin(reader, &stage.reader));
        make("fourth");
        readers.iter().for_each(|reader| told(reader, change));
    }
}

#[test]
fn polls_with_a_port_are_told_while_they_may() {
    let stage = Stage::set();
    let writer = client(&stage.town.server);
    register(&writer, &stage.writer, "s", 1);
    let sockets = [&stage.reader, &stage.writer].map(|token| {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        socket.set_read_timeout(Some(WAIT)).expect("set a timeout");
        let port = socket.local_addr().expect("its address").port();
        let target =
            format!("/nacos/v1/ns/instance/list?serviceName=G@@s&namespaceId=dev&udpPort={port}");
        let lines = format!("user-agent: Nacos-Java-Client:v1.4.8\r\naccessToken: {token}\r\n");
        let list = Http::connect(&stage.town.server).ask_with("GET", &target, &lines, b"");
        assert_eq!(list.status, 200, "{}", list.text());
        assert!(hears(&socket), "one after the poll");
        socket
    });
    let [reader, own] = &sockets;
    stage.may_read(false);
    register(&writer, &stage.writer, "s", 2);
    assert!(hears(own));
    reader.set_read_timeout(Some(QUIET)).expect("set a timeout");
    assert!(!hears(reader), "told without a right");
}

/// Whether a datagram comes.
fn hears(socket: &UdpSocket) -> bool {
    let mut bytes = [0; 65_536];
    socket.recv_from(&mut bytes).is_ok()
}
