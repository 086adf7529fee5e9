//! What must hold for SDKs of the HTTP generation. Each function is one test with a server of its
//! own. Times are the reference's: unhealthy after 15 s without a beat, gone after 30. Lists here
//! never become empty: npm hides an empty list from its users.

use std::time::{Duration, Instant};

use nacre_loadgen::client::{Client, Profile};
use serde_json::{Value, json};

use crate::judge::{GROUP, Instance, Instances, Judge, set};
use crate::server::{Server, http_get};

/// Twice the time after which silence shows, and a little.
const BEATING_FOR: Duration = Duration::from_secs(35);
/// The reference's times, and how late it may be: it looks every 5 s.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(15);
const GONE_AFTER: Duration = Duration::from_secs(30);
const LATE_MAX: Duration = Duration::from_secs(5);

/// Registered means found, by another client, at once; deregistered means gone.
pub fn registers_and_is_found(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let (first, second) = (Instance::new(1, "first"), Instance::new(2, "second"));

    provider.register("orders", &first);
    assert_eq!(consumer.query("orders"), set(&[&first]));
    assert_eq!(consumer.select("orders"), set(&[&first]));
    provider.register("orders", &second);
    assert_eq!(consumer.query("orders"), set(&[&first, &second]));
    provider.deregister("orders", &first);
    consumer.query_until("orders", &set(&[&second]));
}

/// A listener is told of an instance that comes, changes and goes.
pub fn is_told_of_add_change_and_removal(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let (before, after) = (Instance::new(1, "before"), Instance::new(1, "after"));
    let lasting = Instance::new(9, "lasting");

    consumer.subscribe("orders");
    provider.register("orders", &lasting);
    consumer.told("orders", &set(&[&lasting]));
    provider.register("orders", &before);
    consumer.told("orders", &set(&[&lasting, &before]));
    provider.register("orders", &after);
    consumer.told("orders", &set(&[&lasting, &after]));
    provider.deregister("orders", &after);
    consumer.told("orders", &set(&[&lasting]));
}

/// Between two polls, 10 s apart: by the datagram that the SDK asked for and acknowledges.
pub fn is_told_by_datagram(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let first = Instance::new(1, "first");

    consumer.subscribe("orders");
    provider.register("orders", &first);
    consumer.told("orders", &set(&[&first]));
    let acknowledged = || {
        let page = http_get(server.http_port(), "/nacos/metrics").unwrap_or_default();
        let series = r#"nacre_datagrams_total{outcome="acknowledged"} "#;
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.parse::<f64>().expect("a number"))
    };
    let deadline = Instant::now() + BEATING_FOR;
    while acknowledged() < 1.0 {
        assert!(Instant::now() < deadline, "{sdk} acknowledged no datagram");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Beats keep an instance for longer than silence would let it live, healthy all the time.
pub fn stays_while_it_beats(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let instance = Instance::new(1, "beating");

    provider.register("orders", &instance);
    let registered = Instant::now();
    let mut consumer = Judge::connect(sdk, &server);
    while registered.elapsed() < BEATING_FOR {
        assert_eq!(consumer.select("orders"), set(&[&instance]));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A client that dies stops beating: its instance is unhealthy, then gone, in the reference's
/// times.
pub fn leaves_when_it_falls_silent(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let (instance, lasting) = (Instance::new(1, "mortal"), Instance::new(2, "lasting"));

    consumer.register("orders", &lasting);
    let registered = Instant::now();
    provider.register("orders", &instance);
    assert_eq!(consumer.select("orders"), set(&[&instance, &lasting]));
    drop(provider);
    let killed = Instant::now();
    let until = |consumer: &mut Judge, wanted: &Instances, healthy: bool| {
        let deadline = Instant::now() + GONE_AFTER + LATE_MAX;
        loop {
            let found = if healthy { consumer.select("orders") } else { consumer.query("orders") };
            if found == *wanted {
                return (registered.elapsed(), killed.elapsed());
            }
            assert!(Instant::now() < deadline, "{sdk} still finds {found:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let unhealthy = until(&mut consumer, &set(&[&lasting]), true);
    assert_eq!(consumer.query("orders"), set(&[&instance, &lasting]), "unhealthy, not gone");
    let gone = until(&mut consumer, &set(&[&lasting]), false);
    // It beat for the last time after the one moment and before the other.
    for (seen, after) in [(unhealthy, UNHEALTHY_AFTER), (gone, GONE_AFTER)] {
        let (registered, killed) = seen;
        assert!(registered >= after && killed < after + LATE_MAX, "{seen:?}, {after:?}");
    }
}

/// Publish, get, listen and be told, remove, by long polls; and the other wire's clients are of
/// the same config centre.
pub fn config_lives(sdk: &str) {
    let server = Server::start();
    let mut writer = Judge::connect_config(sdk, &server);
    let mut listener = Judge::connect_config(sdk, &server);
    let other = Client::connect(server.grpc_address(), Profile::module("config"));
    let other = other.expect("connect");

    assert_eq!(writer.get("lived"), None);
    writer.publish("lived", "one \u{e9}\n");
    assert_eq!(writer.get("lived").as_deref(), Some("one \u{e9}\n"));
    writer.finds("lived");
    listener.listen("lived");
    until_held(&server);
    writer.publish("lived", "two");
    listener.told_content("lived", Some("two"));
    assert_eq!(listener.get("lived").as_deref(), Some("two"));

    until_held(&server);
    let mut body = json!({"dataId": "lived", "group": GROUP, "tenant": ""});
    let ask = |kind: &str, body: &Value| {
        let answer = other.call_raw(kind, body.to_string().as_bytes(), &[]).expect("an answer");
        answer.json().expect("answers are JSON")
    };
    assert_eq!(ask("ConfigQueryRequest", &body)["content"], "two");
    body["content"] = "three".into();
    assert_eq!(ask("ConfigPublishRequest", &body)["resultCode"], 200);
    listener.told_content("lived", Some("three"));

    until_held(&server);
    writer.remove("lived");
    listener.told_content("lived", None);
    assert_eq!(writer.get("lived"), None);
    assert_eq!(ask("ConfigQueryRequest", &body)["errorCode"], 300);
}

/// Waits until the server holds the listener's poll.
fn until_held(server: &Server) {
    let deadline = Instant::now() + BEATING_FOR;
    let held = || {
        let page = http_get(server.http_port(), "/nacos/metrics").unwrap_or_default();
        page.lines().any(|line| line == "nacre_config_long_polls 1")
    };
    while !held() {
        assert!(Instant::now() < deadline, "nobody polls");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// After the server was killed and started again, beats bring back what was registered.
pub fn redoes_after_restart(sdk: &str) {
    let mut server = Server::start();
    let mut survivor = Judge::connect(sdk, &server);
    let instance = Instance::new(1, "survivor");

    survivor.register("orders", &instance);
    server.kill();
    server.start_again();
    // A client that never saw the server before its death has nothing in any cache.
    let mut witness = Judge::connect(sdk, &server);
    witness.query_until("orders", &set(&[&instance]));
}
