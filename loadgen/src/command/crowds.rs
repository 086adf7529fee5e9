//! Scenarios of many whole clients.

use super::{Common, parse_duration, run_name};
use clap::Args;
use nacre_loadgen::scenario::{churn, fleet, mixed, reconnect};
use std::io;
use std::time::Duration;

/// What all of them are told.
#[derive(Args)]
struct Crowd {
    #[command(flatten)]
    common: Common,
    /// Clients
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Clients before the first look at the server's memory
    #[arg(long, default_value_t = 1_000)]
    warmup_clients: usize,
    /// Instances and subscribers of each service
    #[arg(long, default_value_t = 10)]
    per_service: usize,
    /// HealthCheck period of each client; 0s for none
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    keepalive: Duration,
    /// Rest before each look
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    settle: Duration,
    /// Time held, with changes
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    hold: Duration,
    /// How long to wait for whole clients and the final state after the last progress
    #[arg(long, default_value = "15s", value_parser = parse_duration)]
    patience: Duration,
}

impl Crowd {
    fn plan(&self, change_every: Duration, scenario: &str, round: usize) -> fleet::Plan {
        fleet::Plan {
            clients: self.clients.max(1),
            warmup_clients: self.warmup_clients.max(1),
            per_service: self.per_service.max(1),
            keepalive: self.keepalive,
            settle: self.settle,
            hold: self.hold,
            change_every,
            patience: self.patience,
            run: run_name(scenario, round),
        }
    }
}

#[derive(Args)]
pub(super) struct Fleet {
    #[command(flatten)]
    crowd: Crowd,
    /// From one client's change of metadata to the next one's; 0s for none
    #[arg(long, default_value = "100ms", value_parser = parse_duration)]
    change_every: Duration,
}

impl Fleet {
    pub(super) fn run(self) -> io::Result<bool> {
        self.crowd.common.each("fleet", |target, round| {
            fleet::run(&self.crowd.plan(self.change_every, "fleet", round), target)
        })
    }
}

#[derive(Args)]
pub(super) struct Churn {
    #[command(flatten)]
    crowd: Crowd,
    /// Registrations, and as many subscriptions, of each client
    #[arg(long, default_value_t = 5)]
    each: usize,
    /// Bytes of metadata of each instance
    #[arg(long, default_value_t = 128)]
    metadata_bytes: usize,
    /// Of a hundred clients so many change one of their instances each period
    #[arg(long, default_value_t = 15)]
    changers_percent: usize,
    /// The period of changes
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    change_period: Duration,
}

impl Churn {
    pub(super) fn run(self) -> io::Result<bool> {
        let crowd = &self.crowd;
        crowd.common.each("churn", |target, round| {
            let plan = churn::Plan {
                clients: crowd.clients.max(1),
                warmup_clients: crowd.warmup_clients.max(1),
                each: self.each.clamp(1, churn::EACH_MAX),
                per_service: crowd.per_service.max(1),
                metadata_bytes: self.metadata_bytes,
                changers_percent: self.changers_percent.min(100),
                change_period: self.change_period,
                keepalive: crowd.keepalive,
                settle: crowd.settle,
                hold: crowd.hold,
                patience: crowd.patience,
                run: run_name("churn", round),
            };
            churn::run(&plan, target)
        })
    }
}

#[derive(Args)]
pub(super) struct Reconnect {
    #[command(flatten)]
    crowd: Crowd,
    /// Shell command that stops the server and starts it again [default: wait for somebody to]
    #[arg(long)]
    restart_command: Option<String>,
    /// How long to wait for the server to go
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    wait: Duration,
    /// Period of each client's task that registers and subscribes again
    #[arg(long, default_value = "3s", value_parser = parse_duration)]
    redo: Duration,
}

impl Reconnect {
    pub(super) fn run(self) -> io::Result<bool> {
        self.crowd.common.each("reconnect", |target, round| {
            let plan = reconnect::Plan {
                fleet: self.crowd.plan(Duration::ZERO, "reconnect", round),
                restart: self.restart_command.clone(),
                wait: self.wait,
                redo: self.redo,
            };
            reconnect::run(&plan, target)
        })
    }
}

#[derive(Args)]
pub(super) struct Mixed {
    #[command(flatten)]
    crowd: Crowd,
    /// From one client's change of metadata to the next one's; 0s for none
    #[arg(long, default_value = "100ms", value_parser = parse_duration)]
    change_every: Duration,
    /// Queries, lists and short registrations per second
    #[arg(long, default_value_t = 1_000)]
    rate: usize,
}

impl Mixed {
    pub(super) fn run(self) -> io::Result<bool> {
        self.crowd.common.each("mixed", |target, round| {
            let fleet = self.crowd.plan(self.change_every, "mixed", round);
            mixed::run(&mixed::Plan { fleet, rate: self.rate }, target)
        })
    }
}
