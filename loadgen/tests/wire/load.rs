//! The load scenarios, small, through the io_uring engine.

use crate::registry::Registry;
use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::unary::{self, Plan, Request};
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
