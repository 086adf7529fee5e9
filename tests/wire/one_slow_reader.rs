//! One subscriber among a thousand that does not read: nobody else notices (issue 4, "Seen to
//! hold").

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile, connect_many, instance};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SUBSCRIBERS: usize = 1_000;
/// Changes pushed beside the one that does not read.
const CHANGES: u16 = 60;
const WARM_CHANGES: u16 = 40;
const GROWTH_BYTES_MAX: u64 = 1 << 20;
/// Debug build, two cores shared with everything else: this only ends a test that hangs.
const ALL_TOLD: Duration = Duration::from_secs(60);

#[test]
fn a_thousand_subscribers_are_told_beside_one_that_does_not_read() {
    let server = Server::start();
    let publisher = client(&server);
    let service = service("thousand");
    let all = connect_many(server.grpc_address(), &Profile::default(), SUBSCRIBERS).unwrap();
    for subscriber in &all {
        subscriber.subscribe(&service, "").unwrap();
    }
    let padding = "x".repeat(900);
    let change = |port: u16| {
        let instance = instance("10.0.0.1", port, &[("p", &padding)]);
        publisher.register(&service, &instance).unwrap();
    };
    let (slow, others) = all.split_last().unwrap();
    (1..=WARM_CHANGES).for_each(change);
    told(others, WARM_CHANGES);
    told(std::slice::from_ref(slow), WARM_CHANGES);
    let before = server.rss_bytes();
    slow.pause_reading();
    let paused = Instant::now();
    for port in WARM_CHANGES + 1..=WARM_CHANGES + CHANGES {
        change(port);
    }
    let began = Instant::now();
    told(others, WARM_CHANGES + CHANGES);
    let growth = server.rss_bytes().saturating_sub(before);
    println!("{SUBSCRIBERS} told {:?} after the last change, {growth} bytes", began.elapsed());
    assert!(growth <= GROWTH_BYTES_MAX, "{growth} bytes");
    final_state_or_ejected(slow, paused, i64::from(WARM_CHANGES + CHANGES));
}

/// Waits until each has the state with this port.
fn told(subscribers: &[Arc<Client>], port: u16) {
    for subscriber in subscribers {
        let is_it = |info: &nacre_proto::client::ServiceInfo| {
            info.hosts.first().is_some_and(|host| host.port == i64::from(port))
        };
        subscriber.wait_service(ALL_TOLD, is_it).unwrap();
    }
}
