//! Scenarios of single requests, pushes and configurations.

use super::{Address, Common, parse_duration, run_name};
use clap::Args;
use nacre_loadgen::scenario::unary::{self, Request};
use nacre_loadgen::scenario::{config, echo, fanout, idle};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long bystanders are measured alone unless told otherwise.
const QUIET: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct Unary {
    #[command(flatten)]
    common: Common,
    /// What to ask for
    #[arg(long, value_enum)]
    request: Request,
    /// Connections, each set up as a naming client
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Closed loop: calls under way, in all
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Open loop: calls per second; latency counts from the scheduled time
    #[arg(long)]
    rate: Option<u64>,
    /// Measured time
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    duration: Duration,
    /// Time before it, not measured
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    warmup: Duration,
    /// Services registered before, and asked for in turn [default: 64000 for register and
    /// service-list, else 1]
    #[arg(long)]
    services: Option<usize>,
}

impl Unary {
    pub(super) fn run(self) -> io::Result<bool> {
        let many = matches!(
            self.request,
            Request::Register | Request::ServiceList | Request::ConfigPublish
        );
        self.common.each(unary::request_name(self.request), |target, round| {
            let plan = unary::Plan {
                request: self.request,
                connections: self.connections.max(1),
                in_flight: self.in_flight.max(1),
                rate: self.rate.filter(|rate| *rate > 0),
                warmup: self.warmup,
                duration: self.duration,
                services: self.services.unwrap_or(if many { 64_000 } else { 1 }).max(1),
                run: run_name("unary", round),
            };
            unary::run(&plan, target)
        })
    }
}

#[derive(Args)]
pub(super) struct Idle {
    #[command(flatten)]
    common: Common,
    /// Clients to hold
    #[arg(long, default_value_t = 15_000)]
    clients: usize,
    /// Clients before the first look at the server's memory
    #[arg(long, default_value_t = 1_000)]
    warmup_clients: usize,
    /// Rest before each look
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    settle: Duration,
    /// Time held; detections begin after 20 s
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    hold: Duration,
}

impl Idle {
    pub(super) fn run(self) -> io::Result<bool> {
        let plan = idle::Plan {
            clients: self.clients.max(1),
            warmup_clients: self.warmup_clients.max(1),
            settle: self.settle,
            hold: self.hold,
        };
        self.common.each("idle", |target, _| idle::run(&plan, target))
    }
}

#[derive(Args)]
pub(super) struct Fanout {
    #[command(flatten)]
    common: Common,
    /// Subscribers of the one service
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Measured changes
    #[arg(long, default_value_t = 50)]
    changes: u64,
    /// From change to change
    #[arg(long, default_value = "200ms", value_parser = parse_duration)]
    every: Duration,
    /// Clients of other services, which change meanwhile: what a broadcast costs them
    #[arg(long, default_value_t = 0)]
    bystanders: usize,
    /// From one bystander's change to the next one's
    #[arg(long, default_value = "5ms", value_parser = parse_duration)]
    bystander_every: Duration,
    /// How long nothing is broadcast once everybody has subscribed; bystanders are measured alone
    /// then [default: 5s with bystanders, else none]
    #[arg(long, value_parser = parse_duration)]
    quiet: Option<Duration>,
}

impl Fanout {
    pub(super) fn run(self) -> io::Result<bool> {
        self.common.each("fanout", |target, round| {
            let plan = fanout::Plan {
                subscribers: self.subscribers.max(1),
                changes: self.changes.max(1),
                every: self.every,
                bystanders: self.bystanders,
                bystander_every: self.bystander_every,
                quiet: self.quiet.unwrap_or(if self.bystanders > 0 {
                    QUIET
                } else {
                    Duration::ZERO
                }),
                run: run_name("fanout", round),
            };
            fanout::run(&plan, target)
        })
    }
}

#[derive(Args)]
pub(super) struct Config {
    #[command(flatten)]
    common: Common,
    /// Clients, each a listener; the first ones publish too
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// Configs, made at the beginning and removed at the end
    #[arg(long, default_value_t = 1_000)]
    configs: usize,
    /// Configs each client listens to
    #[arg(long, default_value_t = 5)]
    listens: usize,
    /// Bytes of a content
    #[arg(long, default_value_t = 1_024)]
    content_bytes: usize,
    /// Publishes per second
    #[arg(long, default_value_t = 100)]
    publish_rate: usize,
    /// Queries per second beside those that notifications cause
    #[arg(long, default_value_t = 1_000)]
    query_rate: usize,
    /// HealthCheck period of each client; 0s for none
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    keepalive: Duration,
    /// Measured time
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    hold: Duration,
    /// How long to wait for the last content after the last progress
    #[arg(long, default_value = "15s", value_parser = parse_duration)]
    patience: Duration,
}

impl Config {
    pub(super) fn run(self) -> io::Result<bool> {
        let configs = self.configs.clamp(1, config::CONFIGS_MAX);
        self.common.each("config", |target, round| {
            let plan = config::Plan {
                clients: self.clients.max(1),
                configs,
                each: self.listens.clamp(1, configs.min(config::EACH_MAX)),
                content_bytes: self.content_bytes,
                publish_rate: self.publish_rate,
                query_rate: self.query_rate,
                keepalive: self.keepalive,
                hold: self.hold,
                patience: self.patience,
                run: run_name("config", round),
            };
            config::run(&plan, target)
        })
    }
}

#[derive(Args)]
pub(super) struct Echo {
    /// HOST:PORT exactly
    address: SocketAddr,
    /// Bytes of a request [default: a HealthCheck's]
    #[arg(long, default_value_t = echo::REQUEST_BYTES, hide_default_value = true)]
    request_bytes: usize,
    /// Bytes of an answer [default: those of nacre's answer to it]
    #[arg(long, default_value_t = echo::ANSWER_BYTES, hide_default_value = true)]
    answer_bytes: usize,
    /// Connections
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// Requests under way, in all
    #[arg(long, default_value_t = 1_000)]
    in_flight: usize,
    /// Measured time
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    duration: Duration,
    /// Time before it, not measured
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    warmup: Duration,
    /// Process of the server, a number or @FILE: adds its CPU and memory to the report
    #[arg(long = "server-pid")]
    pid: Option<String>,
    /// Folder for the result file
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Echo {
    pub(super) fn run(self) -> io::Result<bool> {
        let plan = echo::Plan {
            connections: self.connections.max(1),
            in_flight: self.in_flight.max(1),
            request_bytes: self.request_bytes.max(1),
            answer_bytes: self.answer_bytes.max(1),
            warmup: self.warmup,
            duration: self.duration,
        };
        let targets = vec![Address { name: "engine".to_owned(), grpc: self.address }];
        let pids = self.pid.into_iter().collect();
        let common = Common { targets, pids, bind: Vec::new(), out: self.out, rounds: 1 };
        common.each("echo", |target, _| echo::run(&plan, target))
    }
}
