//! The load scenarios, small, through the io_uring engine.

use crate::registry::{Lie, Registry};
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
    assert!(report.get("requests_per_s").unwrap() > 0.0, "{}", report.text());
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
        patience: Duration::from_secs(15),
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

fn faults_of_a_fleet(lie: Lie) -> String {
    let registry = Registry::start(true);
    registry.lie(lie);
    let plan = fleet_plan();
    let report = fleet::run(&plan, "liar", registry.addr, None).unwrap();
    assert!(!report.is_clean(), "{lie:?}: {}", report.text());
    report.text()
}

#[test]
fn old_lists_and_wrong_answers_are_noticed() {
    let text = faults_of_a_fleet(Lie::OldPush);
    assert!(text.contains("older than one before"), "{text}");
    let text = faults_of_a_fleet(Lie::WrongType);
    assert!(text.contains("wrong answers"), "{text}");
    let registry = Registry::start(true);
    registry.lie(Lie::WrongType);
    let plan = plan(Request::HealthCheck);
    let report = unary::run(&plan, "liar", registry.addr, None).unwrap();
    assert!(report.text().contains("wrong answers"), "{}", report.text());
}

#[test]
fn a_lost_push_is_noticed() {
    let registry = Registry::start(true);
    let plan = fleet::Plan { patience: Duration::from_millis(300), ..fleet_plan() };
    registry.lie(Lie::LostPush);
    let report = fleet::run(&plan, "liar", registry.addr, None).unwrap();
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
    let report = unary::run(&plan, "gone", registry.addr, None);
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
    let error = unary::run(&plan(Request::HealthCheck), "nobody", addr, None).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

/// The command itself, where a ring may hold 44 sockets: three rings for 100 clients.
#[test]
fn the_command_spreads_clients_over_rings_and_keeps_files() {
    let registry = Registry::start(true);
    let out = std::env::temp_dir().join(format!("nacre-loadgen-{}", std::process::id()));
    let port = registry.addr.port() - 1_000;
    let command = format!(
        "ulimit -n 300 && exec {} fleet --target reg=127.0.0.1:{port} --clients 100 --out {} \
         --warmup-clients 10 --settle 10ms --hold 200ms --server-pid {}",
        env!("CARGO_BIN_EXE_nacre-loadgen"),
        out.display(),
        std::process::id()
    );
    let done = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("reg-fleet-0.json")).unwrap()).unwrap();
    assert_eq!(json["figures"]["clients_held"], 100.0);
    assert!(json["context"]["command"].as_str().unwrap().contains("fleet"));
    let log = std::fs::read_to_string(out.join("reg-fleet-0.hlog")).unwrap();
    assert!(log.contains("Tag=keepalive"), "{log}");
    std::fs::remove_dir_all(out).unwrap();
}
