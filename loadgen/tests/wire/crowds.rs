//! The scenarios of whole clients, and configs: right, and wrong in each way they must notice.

use crate::load::{fleet_plan, watched};
use crate::registry::{Lie, Registry};
use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::{Target, churn, config, fleet, mixed, reconnect};
use std::time::Duration;

fn churn_plan() -> churn::Plan {
    churn::Plan {
        clients: 40,
        warmup_clients: 10,
        each: 5,
        per_service: 10,
        metadata_bytes: 128,
        changers_percent: 15,
        change_period: Duration::from_millis(100),
        keepalive: Duration::from_millis(200),
        settle: Duration::from_millis(20),
        hold: Duration::from_millis(500),
        patience: Duration::from_secs(15),
        run: "churn".into(),
    }
}

#[test]
fn churn_ends_with_the_truth() {
    let registry = Registry::start(true);
    let report = churn::run(&churn_plan(), &watched(&registry)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert!(report.get("changes").unwrap() >= 10.0, "{}", report.text());
    assert!(report.get("change_each_ns_p99").is_some(), "{}", report.text());
}

#[test]
fn a_lost_push_is_noticed_among_many_subscriptions() {
    let registry = Registry::start(true);
    registry.lie(Lie::LostPush);
    let plan = churn::Plan { patience: Duration::from_secs(1), ..churn_plan() };
    let report = churn::run(&plan, &watched(&registry)).unwrap();
    assert!(report.text().contains("do not know the true list"), "{}", report.text());
}

#[test]
fn mixed_calls_are_answered_beside_a_fleet() {
    let registry = Registry::start(true);
    let plan = mixed::Plan { fleet: fleet_plan(), rate: 400 };
    let report = mixed::run(&plan, &watched(&registry)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    for name in ["query_ns_p99", "list_ns_p99", "register_ns_p99", "deregister_ns_p99"] {
        assert!(report.get(name).unwrap() > 0.0, "{name}: {}", report.text());
    }
}

fn reconnect_plan() -> reconnect::Plan {
    reconnect::Plan {
        fleet: fleet::Plan { change_every: Duration::ZERO, ..fleet_plan() },
        restart: None,
        wait: Duration::from_secs(20),
        redo: Duration::from_millis(100),
    }
}

#[test]
fn clients_come_back_whole_and_know_the_truth() {
    let registry = Registry::start(true);
    let plan = reconnect_plan();
    let restarting = registry.clone();
    let restarter = std::thread::spawn(move || {
        // Once all are there and have been held: an outage in the middle of nothing.
        while restarting.health_checks() < 2 * 47 {
            std::thread::yield_now();
        }
        restarting.hang_up();
    });
    let report = reconnect::run(&plan, &watched(&registry)).unwrap();
    restarter.join().unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(report.get("clients_lost"), Some(47.0), "{}", report.text());
    assert!(report.get("outage_ns_max").unwrap() > 0.0, "{}", report.text());
    // The registry tells those who are back of a list that is still filling.
    assert!(report.get("shrunk_lists").unwrap() > 0.0, "{}", report.text());
}

#[test]
fn clients_that_are_told_to_go_do() {
    let registry = Registry::start(true);
    let asking = registry.clone();
    let asker = std::thread::spawn(move || {
        while asking.health_checks() < 2 * 47 {
            std::thread::yield_now();
        }
        asking.broadcast("ConnectResetRequest", &serde_json::json!({"requestId": "9"}));
    });
    let report = reconnect::run(&reconnect_plan(), &watched(&registry)).unwrap();
    asker.join().unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(report.get("asked_to_leave"), Some(47.0), "{}", report.text());
    assert_eq!(report.get("clients_lost"), Some(47.0), "{}", report.text());
}

#[test]
fn a_server_that_stays_is_told() {
    let registry = Registry::start(true);
    let plan = reconnect::Plan {
        wait: Duration::from_millis(50),
        restart: Some("exit 3".into()),
        ..reconnect_plan()
    };
    let report = reconnect::run(&plan, &watched(&registry)).unwrap();
    let text = report.text();
    assert!(text.contains("did not go away"), "{text}");
}

/// The watched process and the server end in mid-run: whatever the figures are, there is a report.
#[test]
fn a_server_killed_in_mid_run_ends_in_a_report() {
    let registry = Registry::start(true);
    let mut process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let server = Probe::of(process.id()).unwrap();
    let dying = registry.clone();
    let killer = std::thread::spawn(move || {
        while dying.health_checks() < 2 * 47 {
            std::thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        dying.hang_up();
    });
    let plan = fleet::Plan { hold: Duration::from_secs(60), ..fleet_plan() };
    let target = Target::new("killed", registry.addr).watched(server);
    let report = fleet::run(&plan, &target).unwrap();
    killer.join().unwrap();
    let text = report.text();
    assert!(text.contains("47 connections lost"), "{text}");
    assert!(text.contains("the watched server is gone"), "{text}");
}

fn config_plan() -> config::Plan {
    config::Plan {
        clients: 20,
        configs: 15,
        each: 3,
        content_bytes: 300,
        publish_rate: 200,
        query_rate: 200,
        keepalive: Duration::from_millis(200),
        hold: Duration::from_millis(500),
        patience: Duration::from_secs(15),
        run: "config".into(),
    }
}

#[test]
fn every_listener_has_the_last_content() {
    let registry = Registry::start(true);
    let report = config::run(&config_plan(), &watched(&registry)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert!(report.get("published").unwrap() > 10.0, "{}", report.text());
    for name in
        ["publish_ns_p99", "query_ns_p99", "notify_ns_p99", "notify_blind_ns_p99", "known_ns_p99"]
    {
        assert!(report.get(name).unwrap() > 0.0, "{name}: {}", report.text());
    }
    assert_eq!(registry.configs(), 0, "what was made is removed");
}

fn faults_of_configs(lie: Lie) -> Report {
    let registry = Registry::start(true);
    registry.lie(lie);
    let plan = config::Plan { patience: Duration::from_secs(1), ..config_plan() };
    let report = config::run(&plan, &watched(&registry)).unwrap();
    assert!(!report.is_clean(), "{lie:?}: {}", report.text());
    report
}

#[test]
fn lost_notices_are_noticed() {
    let text = faults_of_configs(Lie::LostNotice).text();
    assert!(text.contains("without the last content"), "{text}");
}

#[test]
fn old_contents_are_noticed() {
    let text = faults_of_configs(Lie::OldContent).text();
    assert!(text.contains("older than one before"), "{text}");
}

#[test]
fn one_wrong_byte_is_noticed() {
    let registry = Registry::start(true);
    registry.lie(Lie::WrongContent);
    let plan = config::Plan { patience: Duration::from_secs(1), ..config_plan() };
    let error = config::run(&plan, &watched(&registry)).unwrap_err().to_string();
    assert!(error.contains("is not as published"), "{error}");
}
