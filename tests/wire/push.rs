//! Subscriptions and pushes (`naming.md` 6, 15, 17; `grpc-protocol.md` 5; the contract between home
//! and owner in the architecture notes).

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{AckMode, Client, ClientError, addresses, instance};
use nacre_proto::client::push::NotifySubscriberRequest;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// A push is held to have failed after 5 s and is repeated a second later.
const RETRY_AFTER: Duration = Duration::from_secs(6);

#[test]
fn a_first_subscription_is_answered_and_pushed_once() {
    let server = shared_server();
    let (publisher, subscriber) = (client(&server), client(&server));
    let service = service("push-first");
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let answer = subscriber.subscribe(&service, "").unwrap();
    assert_eq!(addresses(&answer), ["10.0.0.1:1"]);
    subscriber.wait_service(WAIT, |info| addresses(info) == ["10.0.0.1:1"]).unwrap();
    subscriber.subscribe(&service, "").unwrap();
    let more = subscriber.next_push(QUIET);
    assert!(more.is_err(), "a repeated subscription owes no push: {more:?}");
}

#[test]
fn an_unsubscribed_client_hears_no_more() {
    let server = shared_server();
    let (publisher, subscriber) = (client(&server), client(&server));
    let (service, marker) = (service("push-unsubscribe"), service("push-unsubscribe-marker"));
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    subscriber.subscribe(&service, "").unwrap();
    subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    let left = subscriber.unsubscribe(&service, "").unwrap();
    assert_eq!(addresses(&left), ["10.0.0.1:1"], "an unsubscribe is answered with the list too");
    subscriber.drain_pushes();
    publisher.register(&service, &instance("10.0.0.2", 2, &[])).unwrap();
    subscriber.subscribe(&marker, "").unwrap();
    let (_, first) = subscriber.wait_service(WAIT, |_| true).unwrap();
    assert_eq!(first.name, marker.name);
    assert!(subscriber.next_push(QUIET).is_err());
}

#[test]
fn the_last_clusters_win_and_filter_pushes() {
    let server = shared_server();
    let (publisher, subscriber) = (client(&server), client(&server));
    let service = service("push-clusters");
    subscriber.subscribe(&service, "").unwrap();
    subscriber.subscribe(&service, "blue").unwrap();
    let mut both = [instance("10.0.0.1", 1, &[]), instance("10.0.0.2", 2, &[])];
    both[1].cluster_name = Some("blue".into());
    publisher.batch(&service, &both).unwrap();
    let (_, info) = subscriber.wait_service(WAIT, |info| !info.hosts.is_empty()).unwrap();
    assert_eq!(addresses(&info), ["10.0.0.2:2"]);
    assert_eq!(info.clusters.as_deref(), Some("blue"));
}

#[test]
fn ids_of_pushes_are_unique_and_increase_on_a_connection() {
    let server = shared_server();
    let (publisher, subscriber) = (client(&server), client(&server));
    let services: Vec<_> = (0..20).map(|number| service(&format!("push-ids-{number}"))).collect();
    for service in &services {
        subscriber.subscribe(service, "").unwrap();
        publisher.register(service, &instance("10.0.0.1", 1, &[])).unwrap();
    }
    let mut ids: Vec<u64> = Vec::new();
    let mut seen = HashSet::new();
    subscriber
        .wait_service(WAIT, |info| {
            if !info.hosts.is_empty() {
                seen.insert(info.name.clone());
            }
            seen.len() == services.len()
        })
        .unwrap();
    // Those above went by inside the wait; these are looked at one by one.
    for service in &services {
        publisher.register(service, &instance("10.0.0.2", 2, &[])).unwrap();
        let push = subscriber.next_push(WAIT).unwrap();
        ids.push(push.request_id.unwrap().parse().expect("a number in a string"));
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

#[test]
fn an_ack_counts_for_its_connection_and_id_alone() {
    let server = Server::start_with(&[
        "-D",
        "nacos.naming.push.pushTaskTimeout=400",
        "-D",
        "nacos.naming.push.pushTaskRetryDelay=100",
    ]);
    let (publisher, subscriber, other) = (client(&server), client(&server), client(&server));
    subscriber.set_ack_mode(AckMode::Manual);
    let service = service("acks");
    subscriber.subscribe(&service, "").unwrap();
    let first = subscriber.next_push(WAIT).unwrap();
    subscriber.ack(&first).unwrap();
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let (push, _) = subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    // The right id from the wrong connection, a wrong id from the right one: repeated.
    other.ack(&push).unwrap();
    subscriber.ack(&first).unwrap();
    let (again, info) = subscriber.wait_service(WAIT, |_| true).unwrap();
    assert_eq!(addresses(&info), ["10.0.0.1:1"]);
    assert_ne!(again.request_id, push.request_id, "each attempt has an id of its own");
    // A refusal is a failure as well; then the ack ends it.
    subscriber.refuse(&again).unwrap();
    let (third, _) = subscriber.wait_service(WAIT, |_| true).unwrap();
    subscriber.ack(&third).unwrap();
    let more = subscriber.next_push(Duration::from_secs(1));
    assert!(matches!(more, Err(ClientError::Timeout { .. })), "{more:?}");
}

#[test]
fn a_subscriber_that_does_not_ack_gets_a_retry_after_six_seconds_others_none() {
    let server = shared_server();
    let (publisher, silent, polite) = (client(&server), client(&server), client(&server));
    silent.set_ack_mode(AckMode::Manual);
    let service = service("push-retry");
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    silent.subscribe(&service, "").unwrap();
    polite.subscribe(&service, "").unwrap();
    polite.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    let (first, _) = silent.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    let (second, info) = silent.wait_service(2 * WAIT, |_| true).unwrap();
    let after = second.at.duration_since(first.at);
    let late = RETRY_AFTER + Duration::from_secs(4);
    assert!(after >= RETRY_AFTER - Duration::from_millis(100) && after < late, "{after:?}");
    assert_eq!(addresses(&info), ["10.0.0.1:1"]);
    assert!(polite.drain_pushes().is_empty(), "who acknowledged hears nothing again");
    assert!(!silent.is_closed(), "until it disconnects");
}

#[test]
fn a_hundred_registers_to_a_late_acker_are_at_most_five_pushes_the_last_final() {
    let server = shared_server();
    // On a busy machine the registers may take longer than they should: then it is no trial.
    for number in 0.. {
        let (publisher, subscriber) = (client(&server), client(&server));
        subscriber.set_ack_mode(AckMode::Delay(Duration::from_millis(100)));
        let service = service(&format!("push-coalesce-{number}"));
        subscriber.subscribe(&service, "").unwrap();
        subscriber.next_push(WAIT).unwrap();
        std::thread::sleep(Duration::from_millis(150)); // Its late ack is on the way.
        let began = Instant::now();
        let answers: Vec<_> = (1..=100)
            .map(|port| {
                let body = serde_json::json!({
                    "namespace": "public", "serviceName": service.name,
                    "groupName": "DEFAULT_GROUP", "type": "registerInstance",
                    "instance": {"ip": "10.0.0.1", "port": port},
                });
                let body = body.to_string();
                publisher.call_later("InstanceRequest", body.as_bytes()).unwrap()
            })
            .collect();
        for answer in answers {
            assert_eq!(outcome(&answer.recv_timeout(WAIT).unwrap().unwrap()).1, 200);
        }
        let took = began.elapsed();
        let mut pushes = 0;
        let count = |info: &nacre_proto::client::ServiceInfo| {
            pushes += 1;
            info.hosts.first().is_some_and(|host| host.port == 100)
        };
        subscriber.wait_service(WAIT, count).unwrap();
        if took <= Duration::from_millis(300) || number == 4 {
            assert!(pushes <= 5, "{pushes} pushes for registers within {took:?}");
            assert!(subscriber.next_push(QUIET).is_err(), "the last one is final");
            return;
        }
    }
}

#[test]
fn states_never_go_back_and_time_stamps_never_fall() {
    let server = shared_server();
    let publisher = client(&server);
    let subscribers: Vec<Client> = (0..8).map(|_| client(&server)).collect();
    let service = service("push-order");
    for subscriber in &subscribers {
        subscriber.subscribe(&service, "").unwrap();
    }
    for port in 1..=200 {
        publisher.register(&service, &instance("10.0.0.1", port, &[])).unwrap();
    }
    for subscriber in &subscribers {
        let (mut last_port, mut last_time) = (0, 0);
        subscriber
            .wait_service(WAIT, |info| {
                let port = info.hosts.first().map_or(0, |host| host.port);
                assert!(port >= last_port, "{port} after {last_port}");
                assert!(info.last_ref_time >= last_time);
                (last_port, last_time) = (port, info.last_ref_time);
                port == 200
            })
            .unwrap();
    }
}

#[test]
fn a_set_push_delay_delays_the_first_push_too() {
    let server = Server::start_with(&["-D", "nacos.naming.push.pushTaskDelay=600"]);
    let (publisher, subscriber) = (client(&server), client(&server));
    let service = service("delayed");
    subscriber.subscribe(&service, "").unwrap();
    subscriber.wait_push(WAIT, "first push", |_| true).unwrap();
    let began = Instant::now();
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let (push, _) = subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    assert_lasted(push.at.duration_since(began), Duration::from_millis(600));
}

#[test]
fn what_was_answered_is_no_newer_than_what_is_pushed_next() {
    let server = shared_server();
    let (publisher, subscriber) = (client(&server), client(&server));
    // A subscribe in the middle of changes: the answer is written before newer pushes, and an
    // older push never follows it.
    for round in 0..20 {
        let service = service(&format!("push-race-{round}"));
        for port in 1..=5 {
            publisher.register(&service, &instance("10.0.0.1", port, &[])).unwrap();
        }
        let body = serde_json::json!({
            "namespace": "public", "serviceName": service.name, "groupName": "DEFAULT_GROUP",
            "type": "registerInstance", "instance": {"ip": "10.0.0.1", "port": 6},
        });
        let last = publisher.call_later("InstanceRequest", body.to_string().as_bytes()).unwrap();
        let answered = subscriber.subscribe(&service, "").unwrap().hosts[0].port;
        last.recv_timeout(WAIT).unwrap().unwrap();
        let mut newest = answered;
        while newest < 6 {
            let push = subscriber.next_push(WAIT).unwrap();
            let Ok(notify) = push.parse::<NotifySubscriberRequest>() else { continue };
            if notify.service_info.name == service.name {
                let port = notify.service_info.hosts[0].port;
                assert!(port >= newest, "{port} pushed after {newest} was answered");
                newest = port;
            }
        }
    }
}

/// Clients of the churn, services they publish, and rounds of it.
const CHURN_CLIENTS: usize = 24;
const CHURN_SERVICES: usize = 8;
const CHURN_ROUNDS: usize = 12;

#[test]
fn after_churn_every_subscriber_has_the_live_set() {
    let server = shared_server();
    let services: Vec<_> =
        (0..CHURN_SERVICES).map(|number| service(&format!("push-churn-{number}"))).collect();
    let watchers: Vec<Client> = (0..6).map(|_| client(&server)).collect();
    for (at, watcher) in watchers.iter().enumerate() {
        watcher.set_ack_mode(AckMode::Delay(Duration::from_millis(20 * at as u64)));
        for service in &services {
            watcher.subscribe(service, "").unwrap();
        }
    }
    // A fixed sequence: what fails once fails again.
    let mut seed = 0x9e37_79b9_u32;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    let mut publishers: Vec<Option<Client>> = (0..CHURN_CLIENTS).map(|_| None).collect();
    for round in 0..CHURN_ROUNDS {
        for (at, place) in publishers.iter_mut().enumerate() {
            let own = instance(&format!("10.{round}.0.{at}"), 1 + at as u16, &[]);
            let service = &services[random(CHURN_SERVICES)];
            match (place.take(), random(5)) {
                (None, _) => {
                    let publisher = client(&server);
                    publisher.register(service, &own).unwrap();
                    *place = Some(publisher);
                }
                (Some(publisher), 0) => publisher.kill(),
                (Some(publisher), 1) => publisher.close().unwrap(),
                (Some(publisher), 2) => {
                    publisher.deregister(service, &own).unwrap();
                    *place = Some(publisher);
                }
                (Some(publisher), 3) => {
                    let second = instance("10.99.0.1", 2, &[]);
                    publisher.batch(service, &[own, second]).unwrap();
                    *place = Some(publisher);
                }
                (Some(publisher), _) => {
                    publisher.register(service, &own).unwrap();
                    *place = Some(publisher);
                }
            }
        }
    }
    settle(&services, &watchers);
}

/// Waits until the last list each watcher was pushed of each service is what a query finds.
fn settle(services: &[nacre_loadgen::client::ServiceName], watchers: &[Client]) {
    let mut last: Vec<std::collections::HashMap<String, Vec<String>>> =
        vec![Default::default(); watchers.len()];
    until("all have the live set", || {
        for (watcher, last) in watchers.iter().zip(&mut last) {
            for push in watcher.drain_pushes() {
                let Ok(notify) = push.parse::<NotifySubscriberRequest>() else { continue };
                let info = notify.service_info;
                last.insert(info.name.clone(), addresses(&info));
            }
        }
        services.iter().all(|service| {
            let live = addresses(&watchers[0].query(service, "", false).unwrap());
            last.iter().all(|last| last.get(&service.name) == Some(&live))
        })
    });
}
