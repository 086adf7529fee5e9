//! The naming checklist (`naming.md` 17), with registration, selection and lists behind it
//! (3 to 5, 12, 15, 18).

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile, ServiceName, addresses, instance};
use nacre_proto::client::ServiceInfo;
use serde_json::json;
use std::time::{Duration, Instant};

/// The checklist's bound on a push after a change and after an orderly leave.
const PUSH_MAX: Duration = Duration::from_millis(700);
/// How often a bound on latency is tried before a busy machine is no excuse any more.
const TRIES: usize = 5;

#[test]
fn a_subscriber_is_pushed_within_700_ms_of_a_register() {
    let server = shared_server();
    let mut after = Vec::new();
    for number in 0..TRIES {
        let service = service(&format!("naming-register-{number}"));
        let (publisher, subscriber) = (client(&server), client(&server));
        assert!(subscriber.subscribe(&service, "").unwrap().hosts.is_empty());
        let began = Instant::now();
        publisher.register(&service, &instance("10.0.0.1", 8080, &[("zone", "a")])).unwrap();
        let (push, info) = subscriber.wait_service(WAIT, |info| !info.hosts.is_empty()).unwrap();
        after.push(push.at.duration_since(began));
        assert_eq!(addresses(&info), ["10.0.0.1:8080"]);
        assert!(push.request_id.is_some(), "a push wants an answer");
        assert_push_shape(&info, &service);
    }
    assert!(after.iter().min().unwrap() <= &PUSH_MAX, "{after:?}");
}

/// `naming.md` 4.4 and `grpc-protocol.md` 12, item 8.
fn assert_push_shape(info: &ServiceInfo, service: &ServiceName) {
    assert_eq!((info.name.as_str(), info.group_name.as_str()), (&*service.name, "DEFAULT_GROUP"));
    assert_eq!((info.cache_millis, info.checksum.as_str()), (10_000, ""));
    assert!(info.last_ref_time > 1_600_000_000_000 && info.valid && !info.all_ips);
    let host = &info.hosts[0];
    let grouped = format!("DEFAULT_GROUP@@{}", service.name);
    assert_eq!(host.service_name.as_deref(), Some(grouped.as_str()));
    assert_eq!(host.cluster_name.as_deref(), Some("DEFAULT"));
    let id = format!("10.0.0.1#8080#null#{grouped}");
    assert_eq!(host.instance_id.as_deref(), Some(id.as_str()), "as on the wire (18)");
    assert_eq!(host.metadata.as_ref().unwrap()["zone"], "a");
    assert_eq!(host.instance_heart_beat_interval, Some(5_000));
    assert!(host.healthy && host.enabled && host.ephemeral);
}

#[test]
fn an_orderly_leave_is_pushed_within_700_ms() {
    let server = shared_server();
    // As Java leaves (half-close, GOAWAY), and as Go does (FIN alone).
    for (way, leave) in [("java", leave as fn(Client)), ("go", drop), ("crash", Client::kill)] {
        let after: Vec<_> = (0..TRIES)
            .map(|number| {
                let service = service(&format!("naming-leave-{way}-{number}"));
                let (publisher, subscriber) = (client(&server), client(&server));
                publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
                assert_eq!(subscriber.subscribe(&service, "").unwrap().hosts.len(), 1);
                subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
                let began = Instant::now();
                leave(publisher);
                let (push, _) = subscriber.wait_service(WAIT, |i| i.hosts.is_empty()).unwrap();
                push.at.duration_since(began)
            })
            .collect();
        assert!(after.iter().min().unwrap() <= &PUSH_MAX, "{way}: {after:?}");
    }
}

fn leave(client: Client) {
    client.close().expect("an orderly leave");
}

#[test]
fn the_second_register_of_a_connection_replaces_the_first() {
    let server = shared_server();
    let client = client(&server);
    let service = service("naming-replace");
    client.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    client.register(&service, &instance("10.0.0.2", 2, &[])).unwrap();
    assert_eq!(found(&client, &service), ["10.0.0.2:2"]);
    // Metadata does not stick to an address.
    client.register(&service, &instance("10.0.0.2", 2, &[("v", "2")])).unwrap();
    let info = client.query(&service, "", false).unwrap();
    assert_eq!(info.hosts[0].metadata.as_ref().unwrap()["v"], "2");
}

#[test]
fn a_batch_of_three_is_found_and_a_second_of_two_replaces_it() {
    let server = shared_server();
    let client = client(&server);
    let service = service("naming-batch");
    let batch: Vec<_> = (1..=3).map(|n| instance(&format!("10.0.0.{n}"), n, &[])).collect();
    client.batch(&service, &batch).unwrap();
    assert_eq!(found(&client, &service), ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]);
    client.batch(&service, &batch[1..]).unwrap();
    assert_eq!(found(&client, &service), ["10.0.0.2:2", "10.0.0.3:3"]);
    // A single register replaces the whole batch: one entry per client and service.
    client.register(&service, &instance("10.0.0.9", 9, &[])).unwrap();
    assert_eq!(found(&client, &service), ["10.0.0.9:9"]);
}

#[test]
fn deregister_removes_whatever_address_it_names_and_unknown_is_success() {
    let server = shared_server();
    let (mine, other) = (client(&server), client(&server));
    let service = service("naming-deregister");
    mine.deregister(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    mine.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    other.register(&service, &instance("10.0.0.2", 2, &[])).unwrap();
    mine.deregister(&service, &instance("10.9.9.9", 9, &[])).unwrap();
    assert_eq!(found(&mine, &service), ["10.0.0.2:2"], "only one's own goes");
}

#[test]
fn identical_instances_of_two_clients_appear_once_different_ones_twice() {
    let server = shared_server();
    let clients = [client(&server), client(&server)];
    let service = service("naming-twins");
    for client in &clients {
        client.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    }
    assert_eq!(found(&clients[0], &service).len(), 1);
    clients[0].register(&service, &instance("10.0.0.1", 1, &[("v", "2")])).unwrap();
    assert_eq!(found(&clients[0], &service).len(), 2);
    clients[0].deregister(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    assert_eq!(found(&clients[0], &service), ["10.0.0.1:1"], "the other's stays");
}

#[test]
fn selection_by_cluster_health_and_enabled() {
    let server = shared_server();
    let client = client(&server);
    let service = service("naming-selection");
    let mut all: Vec<_> = (1..=4).map(|n| instance(&format!("10.0.0.{n}"), n, &[])).collect();
    all[1].cluster_name = Some("blue".into());
    all[2].healthy = false;
    all[3].enabled = false;
    client.batch(&service, &all).unwrap();
    let ask = |clusters: &str, healthy_only| {
        let info = client.query(&service, clusters, healthy_only).unwrap();
        assert!(!info.reach_protection_threshold, "no protection without metadata (5.2)");
        assert_eq!(info.clusters.as_deref(), Some(clusters));
        info.hosts.iter().map(|host| host.port).collect::<std::collections::BTreeSet<_>>()
    };
    let set = |ports: &[i64]| ports.iter().copied().collect();
    assert_eq!(ask("", false), set(&[1, 2, 3]), "disabled ones never show");
    assert_eq!(ask("", true), set(&[1, 2]));
    assert_eq!(ask("blue", false), set(&[2]));
    assert_eq!(ask("DEFAULT", false), set(&[1, 3]));
    assert_eq!(ask("DEFAULT,blue", false), set(&[1, 2, 3]));
    assert_eq!(ask("none", false), set(&[]));
    let unhealthy = client.query(&service, "", false).unwrap();
    assert!(!unhealthy.hosts.iter().find(|host| host.port == 3).unwrap().healthy);
}

#[test]
fn a_service_nobody_knows_is_an_empty_list() {
    let server = shared_server();
    let client = client(&server);
    let unknown = service("naming-unknown");
    for info in [
        client.query(&unknown, "", false).unwrap(),
        client.subscribe(&unknown, "").unwrap(),
        client.unsubscribe(&unknown, "").unwrap(),
    ] {
        assert!(info.hosts.is_empty() && info.valid);
        assert_eq!(info.name, "naming-unknown");
    }
    let elsewhere = client.list("naming-no-namespace", "DEFAULT_GROUP", 1, 10).unwrap();
    assert_eq!(elsewhere, (0, vec![]));
}

#[test]
fn blank_absent_and_public_are_one_namespace() {
    let server = shared_server();
    let client = client(&server);
    let service = service("naming-namespaces");
    client.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    for namespace in [json!(null), json!(""), json!("public")] {
        let body = json!({
            "namespace": namespace, "serviceName": service.name, "groupName": "DEFAULT_GROUP",
        });
        let answer = call(&client, "ServiceQueryRequest", &body).json().unwrap();
        assert_eq!(answer["serviceInfo"]["hosts"].as_array().unwrap().len(), 1, "{namespace}");
        let body = json!({
            "namespace": namespace, "groupName": "DEFAULT_GROUP", "pageNo": 1, "pageSize": 10_000,
        });
        let answer = call(&client, "ServiceListRequest", &body).json().unwrap();
        let names = answer["serviceNames"].as_array().unwrap();
        assert!(names.contains(&json!("naming-namespaces")), "{namespace}: {answer}");
    }
    let other = ServiceName { namespace: "other".into(), ..service };
    assert!(client.query(&other, "", false).unwrap().hosts.is_empty(), "namespaces are apart");
}

#[test]
fn lists_are_pages_of_plain_names_of_one_group() {
    let server = shared_server();
    let client = client(&server);
    let named = |group: &str, name: String| ServiceName {
        namespace: "naming-pages".into(),
        group: group.into(),
        name,
    };
    for number in 0..23 {
        let service = named("pages", format!("s{number:02}"));
        client.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    }
    client.register(&named("other", "x".into()), &instance("10.0.0.1", 1, &[])).unwrap();
    let mut seen = Vec::new();
    for (page, len) in [(1, 10), (2, 10), (3, 3), (4, 0)] {
        let (count, names) = client.list("naming-pages", "pages", page, 10).unwrap();
        assert_eq!((count, names.len()), (23, len), "page {page}");
        seen.extend(names);
    }
    seen.sort();
    assert_eq!(seen, (0..23).map(|number| format!("s{number:02}")).collect::<Vec<_>>());
    let (_, clamped) = client.list("naming-pages", "pages", 0, 10).unwrap();
    assert_eq!(clamped.len(), 10, "a page before the first is the first");
}

#[test]
fn cluster_names_with_underscore_and_short_beats_are_400() {
    let server = shared_server();
    let client = client(&server);
    let service = service("naming-extra-checks");
    let mut odd = instance("10.0.0.1", 1, &[]);
    odd.cluster_name = Some("a_b".into());
    let error = client.register(&service, &odd).unwrap_err();
    assert_eq!(error.error_code(), Some(400), "{error}");
    for key in ["preserved.heart.beat.timeout", "preserved.ip.delete.timeout"] {
        let error = client.register(&service, &instance("10.0.0.1", 1, &[(key, "4999")]));
        assert_eq!(error.unwrap_err().error_code(), Some(400), "{key}");
    }
    assert!(found(&client, &service).is_empty());
    // A batch runs none of these checks (9.5).
    client.batch(&service, &[odd]).unwrap();
    assert_eq!(found(&client, &service).len(), 1);
}

#[test]
fn an_empty_service_leaves_lists_after_its_time_though_subscribed() {
    let server = Server::start_with(&[
        "-D",
        "nacos.naming.clean.empty-service.interval=200",
        "-D",
        "nacos.naming.clean.empty-service.expired-time=2000",
    ]);
    let (publisher, subscriber) = (client(&server), client(&server));
    let (kept, emptied) = (service("kept"), service("emptied"));
    publisher.register(&kept, &instance("10.0.0.1", 1, &[])).unwrap();
    publisher.register(&emptied, &instance("10.0.0.1", 1, &[])).unwrap();
    subscriber.subscribe(&emptied, "").unwrap();
    let began = Instant::now();
    publisher.deregister(&emptied, &instance("10.0.0.1", 1, &[])).unwrap();
    let listed = || subscriber.list("public", "DEFAULT_GROUP", 1, 10).unwrap().1;
    if began.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(listed().len(), 2, "an empty service stays for its time");
    }
    until("the empty service is gone", || listed() == ["kept"]);
    assert_lasted(began.elapsed(), Duration::from_secs(2));
    // It comes back with its first publisher, and the subscriber is still told.
    publisher.register(&emptied, &instance("10.0.0.2", 2, &[])).unwrap();
    subscriber.wait_service(WAIT, |info| addresses(info) == ["10.0.0.2:2"]).unwrap();
    assert_eq!(listed().len(), 2);
}

#[test]
fn what_a_client_of_another_module_registers_goes_with_it() {
    let server = shared_server();
    let service = service("naming-modules");
    let watcher = client(&server);
    let config = client_as(&server, Profile::module("ai"));
    config.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    assert_eq!(found(&watcher, &service).len(), 1);
    config.kill();
    until("its instance is gone", || found(&watcher, &service).is_empty());
}

fn found(client: &Client, service: &ServiceName) -> Vec<String> {
    addresses(&client.query(service, "", false).unwrap())
}
