//! The load scenarios, small, through the io_uring engine.

use crate::registry::Registry;
use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::unary::{self, Plan, Request};
use nacre_loadgen::scenario::{fanout, fleet, idle};
use std::time::Duration;

fn plan(request: Request) -> Plan {
    Plan {
        request,
        connections: 3,
        in_flight: 7,
        rate: None,
        warmup: Duration::from_millis(20),
        duration: Duration::from_millis(100),
        services: 25,
        run: "test".into(),
    }
}

fn run(plan: &Plan, registry: &Registry) -> Report {
    let own = Probe::own();
    let report = unary::run(plan, "registry", registry.addr, Some(&own)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert!(report.get("requests_per_s").unwrap() > 100.0, "{}", report.text());
    report
}

#[test]
fn every_request_kind_is_answered_and_judged() {
    for negotiates in [true, false] {
        let registry = Registry::start(negotiates);
        for request in [
            Request::HealthCheck,
            Request::ServerCheck,
            Request::ServiceQuery,
            Request::Register,
            Request::ServiceList,
            Request::Subscribe,
        ] {
            run(&plan(request), &registry);
        }
    }
}

#[test]
fn the_open_loop_keeps_its_rate() {
    let registry = Registry::start(true);
    let plan =
        Plan { rate: Some(500), duration: Duration::from_secs(1), ..plan(Request::HealthCheck) };
    let rate = run(&plan, &registry).get("requests_per_s").unwrap();
    assert!((450.0..550.0).contains(&rate), "{rate}");
}

#[test]
fn more_in_flight_than_streams_is_no_fault() {
    let registry = Registry::start(true);
    run(&Plan { connections: 1, in_flight: 500, ..plan(Request::HealthCheck) }, &registry);
}

#[test]
fn idle_clients_are_held_and_answer() {
    let registry = Registry::start(true);
    let plan = idle::Plan {
        clients: 40,
        warmup_clients: 10,
        settle: Duration::from_millis(20),
        hold: Duration::from_millis(300),
    };
    let asking = registry.clone();
    let asker = std::thread::spawn(move || {
        while asking.streams() < 40 {
            std::thread::yield_now();
        }
        asking.broadcast("ClientDetectionRequest", &serde_json::json!({"requestId": "7"}));
    });
    let report = idle::run(&plan, "registry", registry.addr, Some(&Probe::own())).unwrap();
    asker.join().unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(report.get("clients_held"), Some(40.0));
    assert_eq!(registry.acks(), vec!["ClientDetectionResponse 7"; 40]);
    while registry.streams() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_change_reaches_every_subscriber() {
    let registry = Registry::start(true);
    let plan = fanout::Plan {
        subscribers: 30,
        changes: 5,
        every: Duration::from_millis(10),
        run: "fanout".into(),
    };
    let report = fanout::run(&plan, "registry", registry.addr, Some(&Probe::own())).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert!(report.text().contains("change to last subscriber"), "{}", report.text());
}

fn fleet_plan() -> fleet::Plan {
    fleet::Plan {
        clients: 47,
        warmup_clients: 10,
        per_service: 5,
        keepalive: Duration::from_millis(200),
        settle: Duration::from_millis(20),
        hold: Duration::from_millis(500),
        change_every: Duration::from_millis(10),
        run: "fleet".into(),
    }
}

#[test]
fn a_fleet_knows_the_truth_at_the_end() {
    let registry = Registry::start(false);
    let plan = fleet_plan();
    let report = fleet::run(&plan, "registry", registry.addr, Some(&Probe::own())).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(report.get("clients_held"), Some(47.0));
    assert!(report.text().contains("change to last subscriber"), "{}", report.text());
}
