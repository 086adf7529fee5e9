//! What must hold for every SDK. Each function is one test with a server of its own.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::judge::{Instance, Instances, Judge, set};
use crate::server::Server;

/// The calls of one round of [`calls_within_a_millisecond`], and how long a round without
/// neighbours is waited for.
const CALLS: u64 = 200;
const CALM_WITHIN: Duration = Duration::from_secs(60);
const CALL_US_P50_MAX: u64 = 1_000;

/// Registered means found, by another client, at once; deregistered means gone.
pub fn registers_and_is_found(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let (first, second) = (Instance::new(1, "first"), Instance::new(2, "second"));

    provider.register("orders", &first);
    assert_eq!(consumer.query("orders"), set(&[&first]));
    assert_eq!(consumer.select("orders"), set(&[&first]));
    consumer.register("payments", &second);
    assert_eq!(provider.query("payments"), set(&[&second]));

    let page = json!({"group": "JUDGED", "page": 1, "size": 10});
    let listed = consumer.must("list_services", page);
    assert_eq!(listed["count"], 2, "{listed}");
    let mut names: Vec<&str> =
        listed["names"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["orders", "payments"]);

    provider.deregister("orders", &first);
    consumer.query_until("orders", &Instances::new());
}

/// A batch is found whole, and the next batch takes its place.
pub fn registers_a_batch_and_replaces_it(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let kept = Instance::new(2, "two");
    let first = set(&[&Instance::new(1, "one"), &kept]);
    let second = set(&[&kept, &Instance::new(3, "three"), &Instance::new(4, "four")]);

    provider.register_batch("orders", &first);
    assert_eq!(consumer.query("orders"), first);
    provider.register_batch("orders", &second);
    consumer.query_until("orders", &second);
}

/// A listener is told of an instance that comes, changes and goes, and of the last one going.
pub fn is_told_of_add_change_and_removal(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let (before, after) = (Instance::new(1, "before"), Instance::new(1, "after"));
    let own = Instance::new(9, "the subscriber's own");

    consumer.subscribe("orders");
    provider.register("orders", &before);
    consumer.told("orders", &set(&[&before]));
    provider.register("orders", &after);
    consumer.told("orders", &set(&[&after]));
    consumer.register("orders", &own);
    consumer.told("orders", &set(&[&after, &own]));
    provider.deregister("orders", &after);
    consumer.told("orders", &set(&[&own]));
    consumer.deregister("orders", &own);
    consumer.told("orders", &Instances::new());
}

/// Who unsubscribed is told nothing more, while another subscriber still is.
pub fn stops_being_told(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut leaver = Judge::connect(sdk, &server);
    let (first, second) = (Instance::new(1, "first"), Instance::new(1, "second"));

    leaver.subscribe("orders");
    provider.subscribe("orders");
    provider.register("orders", &first);
    leaver.told("orders", &set(&[&first]));
    leaver.unsubscribe("orders");
    leaver.told_already("orders");

    // A change of another service, told to the leaver after the one it must not hear of, is the
    // fence that makes silence mean something: one connection keeps one order.
    leaver.subscribe("fence");
    provider.register("orders", &second);
    provider.told("orders", &set(&[&second]));
    provider.register("fence", &first);
    leaver.told("fence", &set(&[&first]));
    let heard = leaver.told_already("orders");
    assert!(heard.is_empty(), "told after it unsubscribed: {heard:?}");
}

/// A client that dies takes its instances with it, and its subscribers are told.
pub fn leaves_with_its_connection(sdk: &str) {
    let server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let instance = Instance::new(1, "mortal");

    consumer.subscribe("orders");
    provider.register("orders", &instance);
    consumer.told("orders", &set(&[&instance]));
    drop(provider);
    consumer.told("orders", &Instances::new());
}

/// After the server was killed and started again at once, the SDK restores by itself what it
/// registered and what it subscribed to.
pub fn redoes_after_restart(sdk: &str) {
    redoes(sdk, |_| ());
}

/// The same where the server stays away until the SDK has noticed. Python 2.0.11 needs it: it
/// takes the 301 that every server gives to the HealthCheck of an unknown connection for health,
/// so a restart between two of its checks, 5 s apart, escapes it until the application's next call.
pub fn redoes_after_an_outage_it_noticed(sdk: &str) {
    redoes(sdk, Judge::notices_the_outage);
}

fn redoes(sdk: &str, while_down: fn(&mut Judge)) {
    let mut server = Server::start();
    let mut survivor = Judge::connect(sdk, &server);
    let single = Instance::new(1, "single");
    let batch = set(&[&Instance::new(2, "one of a batch"), &Instance::new(3, "another")]);
    let newcomer = Instance::new(4, "after the restart");

    survivor.register("orders", &single);
    survivor.register_batch("payments", &batch);
    survivor.subscribe("orders");
    survivor.told("orders", &set(&[&single]));

    server.kill();
    while_down(&mut survivor);
    server.start_again();

    // A client that never saw the server before its death has nothing in any cache.
    let mut witness = Judge::connect(sdk, &server);
    witness.query_until("orders", &set(&[&single]));
    witness.query_until("payments", &batch);
    witness.register("orders", &newcomer);
    survivor.told("orders", &set(&[&single, &newcomer]));
}

/// The Rust SDK writes headers and body of a call apart and leaves Nagle's algorithm on: unless
/// the server acknowledges at once, every call waits 40 ms for a delayed acknowledgement. Such a
/// wait would be in every round, while a round beside other tests may be slow by itself.
pub fn calls_within_a_millisecond(sdk: &str) {
    let server = Server::start();
    let mut caller = Judge::connect(sdk, &server);
    let deadline = Instant::now() + CALM_WITHIN;
    let mut best_us = u64::MAX;
    while Instant::now() < deadline {
        let round = caller.must("timed_unary", json!({"group": "JUDGED", "n": CALLS}));
        best_us = best_us.min(round["p50_us"].as_u64().expect("a p50 in microseconds"));
        if best_us <= CALL_US_P50_MAX {
            return;
        }
    }
    panic!("the median call took {best_us} µs at best, at most {CALL_US_P50_MAX} µs is promised");
}
