//! One subscriber among a thousand that does not read: nobody else notices (issue 4, "Seen to
//! hold").

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile, connect_many, instance};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SUBSCRIBERS: usize = 1_000;
/// Changes of each of three rounds: to warm up, with all reading, with one that does not.
const CHANGES: u16 = 40;
/// What the one that does not read may cost beyond a round without it: what is kept for it is less
/// than 1 MiB, and equal rounds differ by 1.6 MiB of what the allocator keeps.
const GROWTH_BYTES_MAX: u64 = 3 << 20;
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
    let (slow, others) = all.split_last().unwrap();
    let round = |number: u16, subscribers: &[Arc<Client>]| {
        let before = server.rss_bytes();
        let last = number * CHANGES;
        for port in last - CHANGES + 1..=last {
            let instance = instance("10.0.0.1", port, &[("p", &padding)]);
            publisher.register(&service, &instance).unwrap();
        }
        let began = Instant::now();
        told(subscribers, last);
        let growth = server.rss_bytes().saturating_sub(before);
        println!("{SUBSCRIBERS}: {:?} after the last change, {growth} bytes", began.elapsed());
        growth
    };
    round(1, &all);
    let without = round(2, &all);
    slow.pause_reading();
    let paused = Instant::now();
    let with = round(3, others);
    assert!(with <= without + GROWTH_BYTES_MAX, "{with} bytes, {without} without it");
    final_state_or_ejected(slow, paused, i64::from(3 * CHANGES));
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
