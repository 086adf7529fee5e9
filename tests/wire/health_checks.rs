//! Health checks of persistent instances, as a subscriber sees them (`naming.md` 10).

use crate::http_client::{ask, must};
use crate::port::{Answering, Port};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, ServiceName};
use nacre_proto::client::ServiceInfo;

const PASSED: &str = r#"nacre_health_probes_total{outcome="passed"}"#;

/// As fast as the switches' bounds allow: every half second, three after a refusal.
fn quick(server: &Server) {
    let pace = "%7B%22max%22:3000,%22min%22:500,%22factor%22:0%7D";
    for kind in ["tcp", "http"] {
        let path = format!("entry={kind}HealthParams&value={pace}");
        must(server, "PUT", &format!("/nacos/v1/ns/operator/switches?{path}"));
    }
}

fn register(server: &Server, name: &ServiceName, ip: &str, port: u16) {
    let query = format!("serviceName={}&ip={ip}&port={port}&ephemeral=false", name.name);
    must(server, "POST", &format!("/nacos/v1/ns/instance?{query}"));
}

fn check(server: &Server, name: &ServiceName, checker: &str, port: u16) {
    let cluster = format!("serviceName={}&clusterName=DEFAULT&checkPort={port}", name.name);
    let how = format!("useInstancePort4Check=false&healthChecker={checker}");
    must(server, "PUT", &format!("/nacos/v1/ns/cluster?{cluster}&{how}"));
}

/// Waits until the subscriber is told this health of the instance at this port.
fn told(subscriber: &Client, port: u16, healthy: bool) {
    let is_so = |info: &ServiceInfo| {
        let mut hosts = info.hosts.iter();
        hosts.any(|host| host.port == i64::from(port) && host.healthy == healthy)
    };
    subscriber.wait_service(WAIT, is_so).unwrap_or_else(|error| panic!("{healthy}: {error}"));
}

#[test]
fn a_closed_port_is_unhealthy_an_open_one_healthy_and_nobody_is_removed() {
    // Open before a server starts: no process but this one may hold it.
    let mut port = Port::open();
    let server = Server::start();
    quick(&server);
    let name = service("checked-tcp");
    register(&server, &name, "127.0.0.1", port.number());
    let subscriber = client(&server);
    assert!(subscriber.subscribe(&name, "").unwrap().hosts[0].healthy);
    until_metric(&server, PASSED, 1.0);
    port.set_open(false);
    told(&subscriber, port.number(), false);
    port.set_open(true);
    told(&subscriber, port.number(), true);
    assert_eq!(metric(&server, "nacre_checked_instances"), 1.0);
}

#[test]
fn an_http_check_asks_for_200_at_the_clusters_port() {
    let server = Server::start();
    quick(&server);
    let name = service("checked-http");
    let peer = Answering::with(500);
    // Its own port is never asked; and another, of another cluster, keeps the service from having
    // nobody healthy, or all would be shown so (`naming.md` 5.2: its cluster was set by hand).
    register(&server, &name, "127.0.0.1", 1);
    let open = Port::open();
    register(&server, &name, "127.0.0.1&clusterName=other", open.number());
    let checker = "%7B%22type%22:%22HTTP%22,%22path%22:%22/up%22%7D";
    check(&server, &name, checker, peer.number());
    let subscriber = client(&server);
    subscriber.subscribe(&name, "").unwrap();
    told(&subscriber, 1, false);
    peer.answer(200);
    told(&subscriber, 1, true);
}

#[test]
fn what_may_not_be_asked_keeps_its_health_and_is_counted() {
    // Loopback is nobody's business where the server does not listen there alone; it does here, so
    // what is left is what is never asked.
    let server = Server::start();
    let name = service("unchecked");
    for ip in ["169.254.169.254", "0.0.0.1", "host.example"] {
        register(&server, &name, ip, 80);
    }
    let unchecked = |why: &str| format!("nacre_unchecked_instances{{why=\"{why}\"}}");
    until_metric(&server, &unchecked("address_forbidden"), 2.0);
    until_metric(&server, &unchecked("name_not_address"), 1.0);
    assert_eq!(metric(&server, "nacre_checked_instances"), 0.0);
    // A cluster whose checks this server lacks, and one whose health is set by hand.
    let mysql = "%7B%22type%22:%22MYSQL%22,%22cmd%22:%22select%201%22%7D";
    check(&server, &name, mysql, 80);
    until_metric(&server, &unchecked("unknown_checker"), 3.0);
    check(&server, &name, "%7B%22type%22:%22NONE%22%7D", 80);
    until("nobody is to be checked", || metric(&server, &unchecked("unknown_checker")) == 0.0);
    let wrong = "%7B%22type%22:%22HTTP%22,%22path%22:%22/a%20b%22%7D";
    let cluster = format!("serviceName={}&clusterName=DEFAULT&checkPort=80", name.name);
    let path = format!("{cluster}&useInstancePort4Check=true&healthChecker={wrong}");
    assert_eq!(ask(&server, "PUT", &format!("/nacos/v1/ns/cluster?{path}")).status, 400);
}
