//! Fuzzy watch (`naming.md` 8, 17, 18).

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{AckMode, Client, Push, ServiceName, instance};
use nacre_proto::client::Named;
use nacre_proto::client::push::{NamingFuzzyWatchChangeNotifyRequest, NamingFuzzyWatchSyncRequest};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const SYNC: &str = NamingFuzzyWatchSyncRequest::NAME;
const CHANGE: &str = NamingFuzzyWatchChangeNotifyRequest::NAME;
/// Nothing of a first synchronisation comes earlier, and the last message not earlier than that
/// after the batches (18).
const SYNC_AFTER: Duration = Duration::from_millis(1_000);
const FINISH_AFTER: Duration = Duration::from_millis(500);

/// A namespace of its own for each test: patterns and names meet nobody else's.
fn named(namespace: &str, name: &str) -> ServiceName {
    let (namespace, group) = (namespace.to_owned(), "DEFAULT_GROUP".to_owned());
    ServiceName { namespace, group, name: name.to_owned() }
}

/// Waits until the directory knows so many names of the group: it hears of one a moment after its
/// first publisher was answered.
fn until_listed(client: &Client, namespace: &str, count: usize) {
    let listed = || client.list(namespace, "DEFAULT_GROUP", 1, 1).unwrap().0;
    until("all are listed", || usize::try_from(listed()) == Ok(count));
}

fn publish(client: &Client, namespace: &str, name: &str) {
    client.register(&named(namespace, name), &instance("10.0.0.1", 1, &[])).unwrap();
}

fn next_sync(client: &Client) -> NamingFuzzyWatchSyncRequest {
    client.wait_push(WAIT, SYNC, |push| push.kind == SYNC).unwrap().parse().unwrap()
}

/// The next change, as `changedType serviceKey`.
fn next_change(client: &Client) -> String {
    let push = client.wait_push(WAIT, CHANGE, |push| push.kind == CHANGE).unwrap();
    let change: NamingFuzzyWatchChangeNotifyRequest = push.parse().unwrap();
    assert_eq!(change.sync_type, "FUZZY_WATCH_RESOURCE_CHANGED");
    format!("{} {}", change.changed_type, change.service_key)
}

fn finish(client: &Client, pattern: &str) {
    let sync = next_sync(client);
    assert_eq!(sync.sync_type, "FINISH_FUZZY_WATCH_INIT_NOTIFY");
    assert_eq!((sync.total_batch, sync.current_batch, sync.contexts.len()), (1, 1, 0));
    assert_eq!(sync.group_key_pattern, pattern);
}

#[test]
fn twenty_three_services_are_three_batches_and_a_finish() {
    let server = shared_server();
    let (publisher, watcher) = (client(&server), client(&server));
    for number in 0..23 {
        publish(&publisher, "fw-init", &format!("order-{number}"));
    }
    publish(&publisher, "fw-init", "payment");
    until_listed(&publisher, "fw-init", 24);
    let pattern = "fw-init>>DEFAULT_GROUP>>order*";
    let began = Instant::now();
    watcher.fuzzy_watch(pattern, &[], true).unwrap();
    let (mut batches, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..3 {
        let sync = next_sync(&watcher);
        assert_eq!(sync.sync_type, "FUZZY_WATCH_INIT_NOTIFY");
        assert_eq!((sync.total_batch, sync.group_key_pattern.as_str()), (3, pattern));
        assert!(sync.contexts.len() <= 10);
        assert!(sync.contexts.iter().all(|context| context.changed_type == "ADD_SERVICE"));
        batches.insert(sync.current_batch);
        keys.extend(sync.contexts.into_iter().map(|context| context.service_key));
    }
    let batched = Instant::now();
    assert_lasted(began.elapsed(), SYNC_AFTER);
    assert_eq!(batches, BTreeSet::from([1, 2, 3]));
    let wanted = (0..23).map(|number| format!("fw-init@@DEFAULT_GROUP@@order-{number}"));
    assert_eq!(keys, wanted.collect());
    finish(&watcher, pattern);
    assert!(batched.elapsed() >= FINISH_AFTER - Duration::from_millis(100));
    assert!(watcher.next_push(QUIET).is_err());
}

#[test]
fn a_watch_that_matches_nothing_is_finished_at_once() {
    let server = shared_server();
    let watcher = client(&server);
    let pattern = "fw-empty>>*>>*";
    watcher.fuzzy_watch(pattern, &[], true).unwrap();
    finish(&watcher, pattern);
}

#[test]
fn names_that_come_and_go_are_told_and_instances_are_not() {
    let server = shared_server();
    let (publisher, watcher) = (client(&server), client(&server));
    let pattern = "fw-change>>*>>a*";
    watcher.fuzzy_watch(pattern, &[], true).unwrap();
    finish(&watcher, pattern);
    publish(&publisher, "fw-change", "abc");
    assert_eq!(next_change(&watcher), "ADD_SERVICE fw-change@@DEFAULT_GROUP@@abc");
    let other = client(&server);
    publish(&other, "fw-change", "abc");
    publish(&publisher, "fw-change", "xyz");
    publisher.register(&named("fw-change", "abc"), &instance("10.0.0.3", 3, &[])).unwrap();
    publisher.deregister(&named("fw-change", "abc"), &instance("10.0.0.3", 3, &[])).unwrap();
    assert!(watcher.next_push(QUIET).is_err(), "only first and last publishers are news");
    other.kill();
    assert_eq!(next_change(&watcher), "DELETE_SERVICE fw-change@@DEFAULT_GROUP@@abc");
}

#[test]
fn a_watch_after_a_reconnect_is_told_the_difference() {
    let server = shared_server();
    let (publisher, watcher) = (client(&server), client(&server));
    publish(&publisher, "fw-diff", "kept");
    publish(&publisher, "fw-diff", "new");
    let key = |name: &str| format!("fw-diff@@DEFAULT_GROUP@@{name}");
    watcher.fuzzy_watch("fw-diff>>*>>*", &[key("kept"), key("gone")], false).unwrap();
    let sync = next_sync(&watcher);
    assert_eq!(sync.sync_type, "FUZZY_WATCH_DIFF_SYNC_NOTIFY");
    let mut told: Vec<_> = sync
        .contexts
        .iter()
        .map(|context| format!("{} {}", context.changed_type, context.service_key))
        .collect();
    told.sort();
    let wanted = [format!("ADD_SERVICE {}", key("new")), format!("DELETE_SERVICE {}", key("gone"))];
    assert_eq!(told, wanted);
    assert!(watcher.next_push(QUIET).is_err(), "a difference has no finish");
    // Nothing differs: nothing is sent.
    let calm = client(&server);
    calm.fuzzy_watch("fw-diff>>*>>*", &[key("kept"), key("new")], false).unwrap();
    assert!(calm.next_push(SYNC_AFTER + QUIET).is_err());
}

#[test]
fn a_cancelled_watch_hears_no_more() {
    let server = shared_server();
    let (publisher, watcher) = (client(&server), client(&server));
    let pattern = "fw-cancel>>*>>*";
    watcher.fuzzy_watch(pattern, &[], true).unwrap();
    finish(&watcher, pattern);
    watcher.fuzzy_cancel(pattern).unwrap();
    publish(&publisher, "fw-cancel", "unheard");
    assert!(watcher.next_push(QUIET).is_err());
}

#[test]
fn an_unacknowledged_batch_is_sent_again() {
    let server = Server::start_with(&["-D", "nacos.naming.push.pushTaskTimeout=500"]);
    let (publisher, watcher) = (client(&server), client(&server));
    publish(&publisher, "public", "again");
    watcher.set_ack_mode(AckMode::Manual);
    watcher.fuzzy_watch("public>>*>>*", &[], true).unwrap();
    let is_sync = |push: &Push| push.kind == SYNC;
    let first = watcher.wait_push(WAIT, SYNC, is_sync).unwrap();
    let second = watcher.wait_push(WAIT, SYNC, is_sync).unwrap();
    let told = |push: &Push| {
        let sync: NamingFuzzyWatchSyncRequest = push.parse().unwrap();
        (sync.sync_type, sync.contexts)
    };
    assert_eq!(told(&first), told(&second));
    watcher.set_ack_mode(AckMode::Auto);
    watcher.ack(&second).unwrap();
    finish(&watcher, "public>>*>>*");
}

#[test]
fn a_pattern_of_fewer_parts_is_400() {
    let server = shared_server();
    let client = client(&server);
    for pattern in ["", "public", "public>>*", "public>>*>>"] {
        let error = client.fuzzy_watch(pattern, &[], true).unwrap_err();
        assert_eq!(error.error_code(), Some(400), "{pattern:?}: {error}");
    }
}

#[test]
fn the_twenty_first_pattern_is_50310() {
    let server = Server::start();
    let client = client(&server);
    for number in 0..20 {
        client.fuzzy_watch(&format!("public>>*>>p{number}*"), &[], true).unwrap();
    }
    let error = client.fuzzy_watch("public>>*>>p20*", &[], true).unwrap_err();
    assert_eq!(error.error_code(), Some(50_310), "{error}");
    until_metric(&server, r#"nacre_limit_reached_total{limit="fuzzy_patterns"}"#, 1.0);
    // A known pattern is no new one, whoever watches it.
    crate::support::client(&server).fuzzy_watch("public>>*>>p0*", &[], true).unwrap();
}

#[test]
fn matches_beyond_the_limit_are_50311_and_those_within_are_told() {
    let server =
        Server::start_with(&["-D", "nacos.naming.fuzzy.watch.max.pattern.match.service.count=5"]);
    let (publisher, watcher) = (client(&server), client(&server));
    for number in 0..8 {
        publish(&publisher, "public", &format!("s{number}"));
    }
    until_listed(&publisher, "public", 8);
    let error = watcher.fuzzy_watch("public>>*>>*", &[], true).unwrap_err();
    assert_eq!(error.error_code(), Some(50_311), "{error}");
    let sync = next_sync(&watcher);
    assert_eq!(sync.contexts.len(), 5);
    until_metric(&server, r#"nacre_limit_reached_total{limit="fuzzy_matches"}"#, 1.0);
}

#[test]
fn up_to_499_matches_are_told_and_from_500_on_it_is_50311() {
    let server = Server::start();
    let (publisher, watcher) = (client(&server), client(&server));
    for number in 0..499 {
        publish(&publisher, "public", &format!("s{number}"));
    }
    until_listed(&publisher, "public", 499);
    watcher.fuzzy_watch("public>>*>>s*", &[], true).unwrap();
    let mut keys = BTreeSet::new();
    while keys.len() < 499 {
        let sync = next_sync(&watcher);
        assert_eq!(sync.total_batch, 50);
        keys.extend(sync.contexts.into_iter().map(|context| context.service_key));
    }
    finish(&watcher, "public>>*>>s*");
    publish(&publisher, "public", "s499");
    assert_eq!(next_change(&watcher), "ADD_SERVICE public@@DEFAULT_GROUP@@s499");
    // A set that is full may be incomplete: the watch is refused by its code, and still served.
    let late = client(&server);
    let error = late.fuzzy_watch("public>>*>>s*", &[], true).unwrap_err();
    assert_eq!(error.error_code(), Some(50_311), "{error}");
    assert_eq!(next_sync(&late).total_batch, 50);
}
