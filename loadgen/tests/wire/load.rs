//! The load scenarios, small, through the io_uring engine.

use crate::registry::{Lie, Registry};
use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::unary::{self, Plan, Request};
use nacre_loadgen::scenario::{Target, fanout, fleet, idle};
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

/// A registry that pretends its process is ours.
pub fn watched(registry: &Registry) -> Target {
    Target::new("registry", registry.addr).watched(Probe::own())
}

/// Runs until something was measured: a machine that stands still for a whole run is no finding.
fn run(plan: &Plan, registry: &Registry) -> Report {
    for _ in 0..5 {
        let report = unary::run(plan, &watched(registry)).unwrap();
        assert!(report.is_clean(), "{}", report.text());
        if report.get("requests_per_s").unwrap() > 0.0 {
            return report;
        }
        while registry.streams() > 0 {
            std::thread::yield_now();
        }
    }
    panic!("nothing is answered");
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
            // Those of the last run must be gone with what they registered.
            while registry.streams() > 0 {
                std::thread::yield_now();
            }
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
    let duration = Duration::from_secs(1);
    run(
        &Plan { connections: 1, in_flight: 500, duration, ..plan(Request::HealthCheck) },
        &registry,
    );
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
    let report = idle::run(&plan, &watched(&registry)).unwrap();
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
        bystanders: 0,
        bystander_every: Duration::from_millis(5),
        quiet: Duration::from_millis(100),
        run: "fanout".into(),
    };
    let report = fanout::run(&plan, &watched(&registry)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert!(report.text().contains("change to last subscriber"), "{}", report.text());
}

#[test]
fn bystanders_are_measured_before_and_beside_a_broadcast() {
    let registry = Registry::start(true);
    let plan = fanout::Plan {
        subscribers: 30,
        changes: 5,
        every: Duration::from_millis(50),
        bystanders: 20,
        bystander_every: Duration::from_millis(1),
        quiet: Duration::from_millis(200),
        run: "fanout".into(),
    };
    let report = fanout::run(&plan, &watched(&registry)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert!(report.get("beside_quiet_ns_p99").unwrap() > 0.0, "{}", report.text());
    assert!(report.get("acked_ns_max") >= report.get("last_ns_max"), "{}", report.text());
}

pub fn fleet_plan() -> fleet::Plan {
    fleet::Plan {
        clients: 47,
        warmup_clients: 10,
        per_service: 5,
        keepalive: Duration::from_millis(200),
        settle: Duration::from_millis(20),
        hold: Duration::from_millis(500),
        change_every: Duration::from_millis(10),
        patience: Duration::from_secs(15),
        run: "fleet".into(),
    }
}

#[test]
fn a_fleet_knows_the_truth_at_the_end() {
    let registry = Registry::start(false);
    let plan = fleet_plan();
    let report = fleet::run(&plan, &watched(&registry)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(report.get("clients_held"), Some(47.0));
    assert!(report.text().contains("change to last subscriber"), "{}", report.text());
}

fn faults_of_a_fleet(lie: Lie) -> String {
    let registry = Registry::start(true);
    let lying = registry.clone();
    let liar = std::thread::spawn(move || {
        // Once all are whole and know the truth.
        while lying.health_checks() < 2 * 47 {
            std::thread::yield_now();
        }
        lying.lie(lie);
    });
    let hold = Duration::from_millis(1_500);
    let plan = fleet::Plan { hold, patience: Duration::from_millis(500), ..fleet_plan() };
    let report = fleet::run(&plan, &Target::new("liar", registry.addr)).unwrap();
    liar.join().unwrap();
    assert!(!report.is_clean(), "{lie:?}: {}", report.text());
    report.text()
}

#[test]
fn old_lists_and_wrong_answers_are_noticed() {
    let text = faults_of_a_fleet(Lie::OldPush);
    assert!(text.contains("older than one before"), "{text}");
    let text = faults_of_a_fleet(Lie::TwicePushed);
    assert!(text.contains("had been pushed before") || text.contains("came twice"), "{text}");
    let text = faults_of_a_fleet(Lie::TakenBack);
    assert!(text.contains("took back"), "{text}");
    let text = faults_of_a_fleet(Lie::WrongType);
    assert!(text.contains("wrong answers"), "{text}");
    let registry = Registry::start(true);
    registry.lie(Lie::WrongType);
    let plan = plan(Request::HealthCheck);
    let report = unary::run(&plan, &Target::new("liar", registry.addr)).unwrap();
    assert!(report.text().contains("wrong answers"), "{}", report.text());
}

#[test]
fn a_lost_push_is_noticed() {
    let registry = Registry::start(true);
    let plan = fleet::Plan { patience: Duration::from_millis(300), ..fleet_plan() };
    registry.lie(Lie::LostPush);
    let report = fleet::run(&plan, &Target::new("liar", registry.addr)).unwrap();
    assert!(report.text().contains("do not know the true list"), "{}", report.text());
}

#[test]
fn a_server_that_goes_away_ends_in_a_report() {
    let registry = Registry::start(true);
    let plan = Plan { duration: Duration::from_secs(60), ..plan(Request::HealthCheck) };
    let gone = registry.clone();
    let killer = std::thread::spawn(move || {
        while gone.streams() < 3 {
            std::thread::yield_now();
        }
        gone.hang_up();
    });
    let report = unary::run(&plan, &Target::new("gone", registry.addr));
    killer.join().unwrap();
    // Whether the last client was ready or just becoming so, it is told.
    match report {
        Ok(report) => assert!(report.text().contains("3 connections lost"), "{}", report.text()),
        Err(error) => assert!(error.to_string().contains("no client could set up"), "{error}"),
    }
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    // Bound, so that nobody else takes the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let error = unary::run(&plan(Request::HealthCheck), &Target::new("nobody", addr)).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}
