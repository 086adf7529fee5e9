//! The command line, and a run for each target.

use clap::{Args, Parser, Subcommand};
use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::unary::{self, Request};
use nacre_loadgen::scenario::{echo, fanout, fleet, idle};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// The gRPC port is so much above the HTTP port (`grpc-protocol.md` 1.2).
const GRPC_OFFSET: u16 = 1_000;

/// Offers load to a Nacos-compatible server, checks every answer, and reports.
///
/// Exits with 0 when nothing was wrong, 1 when the server was (lost, wrong or stale answers),
/// 2 when the run could not be made. Pin server and generator to different cores (taskset) when
/// you compare CPU figures.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// One kind of unary request, closed loop or open
    Unary(UnaryArguments),
    /// Clients that connect, set up and hold: what each costs
    Idle(IdleArguments),
    /// One service, many subscribers: from a change to each of them
    Fanout(FanoutArguments),
    /// Whole clients: one instance, one subscription, keep-alive; the truth at the end
    Fleet(FleetArguments),
    /// Bytes for bytes without a protocol: what the carriage alone costs (bare_engine_echo)
    Echo(EchoArguments),
}

#[derive(Args)]
struct Common {
    /// NAME=HOST:PORT with the HTTP port (gRPC is +1000); may be given several times
    #[arg(long = "target", default_value = "nacre=127.0.0.1:8848", value_parser = parse_target)]
    targets: Vec<Target>,
    /// Process id of each target's server, in order: adds its CPU and memory to the report
    #[arg(long = "server-pid")]
    pids: Vec<u32>,
    /// Folder for JSON and histogram files
    #[arg(long)]
    out: Option<PathBuf>,
    /// How often to run, targets in turn
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

#[derive(Clone)]
struct Target {
    name: String,
    addr: SocketAddr,
}

fn parse_target(text: &str) -> Result<Target, String> {
    let (name, addr) = text.split_once('=').unwrap_or(("server", text));
    let mut addrs = addr.to_socket_addrs().map_err(|error| format!("{addr}: {error}"))?;
    let mut addr = addrs.next().ok_or_else(|| format!("{addr}: no address"))?;
    let port = addr.port().checked_add(GRPC_OFFSET);
    addr.set_port(port.ok_or_else(|| format!("port {} leaves no room for +1000", addr.port()))?);
    Ok(Target { name: name.to_owned(), addr })
}

/// `5s`, `250ms`, `2m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("{text}: want a number and a unit"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("{text}: unit is ms, s or m")),
    }
}

#[derive(Args)]
struct UnaryArguments {
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

#[derive(Args)]
struct IdleArguments {
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

#[derive(Args)]
struct FanoutArguments {
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
}

#[derive(Args)]
struct FleetArguments {
    #[command(flatten)]
    common: Common,
    /// Clients, each with one instance and one subscription
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
    /// From one client's change of metadata to the next one's; 0s for none
    #[arg(long, default_value = "100ms", value_parser = parse_duration)]
    change_every: Duration,
    /// How long to wait for the final state after the last progress
    #[arg(long, default_value = "15s", value_parser = parse_duration)]
    patience: Duration,
}

#[derive(Args)]
struct EchoArguments {
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
    /// Process id of the server: adds its CPU and memory to the report
    #[arg(long = "server-pid")]
    pid: Option<u32>,
    /// Folder for JSON and histogram files
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Arguments {
    /// Runs; true when no fault was found.
    pub fn run(self) -> io::Result<bool> {
        match self.scenario {
            Scenario::Unary(arguments) => arguments.run(),
            Scenario::Idle(arguments) => arguments.run(),
            Scenario::Fanout(arguments) => arguments.run(),
            Scenario::Fleet(arguments) => arguments.run(),
            Scenario::Echo(arguments) => arguments.run(),
        }
    }
}

impl Common {
    /// Runs a scenario against each target, as often as asked; prints and keeps the reports.
    fn each(
        &self,
        scenario: &str,
        mut run: impl FnMut(&str, SocketAddr, Option<&Probe>, usize) -> io::Result<Report>,
    ) -> io::Result<bool> {
        let mut clean = true;
        for round in 0..self.rounds {
            for (at, target) in self.targets.iter().enumerate() {
                let probe = self.pids.get(at).map(|pid| Probe::of(*pid)).transpose()?;
                let report = run(&target.name, target.addr, probe.as_ref(), round)?;
                print!("{}", report.text());
                clean &= report.is_clean();
                if let Some(folder) = &self.out {
                    report.write(folder, &format!("{}-{scenario}-{round}", target.name))?;
                }
            }
        }
        Ok(clean)
    }
}

impl UnaryArguments {
    fn run(self) -> io::Result<bool> {
        let many = matches!(self.request, Request::Register | Request::ServiceList);
        let value = clap::ValueEnum::to_possible_value(&self.request);
        let request = value.as_ref().map_or("unary", |value| value.get_name()).to_owned();
        self.common.each(&request, |name, target, probe, round| {
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
            unary::run(&plan, name, target, probe)
        })
    }
}

impl IdleArguments {
    fn run(self) -> io::Result<bool> {
        let plan = idle::Plan {
            clients: self.clients.max(1),
            warmup_clients: self.warmup_clients.max(1),
            settle: self.settle,
            hold: self.hold,
        };
        self.common.each("idle", |name, target, probe, _| idle::run(&plan, name, target, probe))
    }
}

impl FanoutArguments {
    fn run(self) -> io::Result<bool> {
        self.common.each("fanout", |name, target, probe, round| {
            let plan = fanout::Plan {
                subscribers: self.subscribers.max(1),
                changes: self.changes.max(1),
                every: self.every,
                run: run_name("fanout", round),
            };
            fanout::run(&plan, name, target, probe)
        })
    }
}

impl FleetArguments {
    fn run(self) -> io::Result<bool> {
        self.common.each("fleet", |name, target, probe, round| {
            let plan = fleet::Plan {
                clients: self.clients.max(1),
                warmup_clients: self.warmup_clients.max(1),
                per_service: self.per_service.max(1),
                keepalive: self.keepalive,
                settle: self.settle,
                hold: self.hold,
                change_every: self.change_every,
                patience: self.patience,
                run: run_name("fleet", round),
            };
            fleet::run(&plan, name, target, probe)
        })
    }
}

impl EchoArguments {
    fn run(self) -> io::Result<bool> {
        let plan = echo::Plan {
            connections: self.connections.max(1),
            in_flight: self.in_flight.max(1),
            request_bytes: self.request_bytes.max(1),
            answer_bytes: self.answer_bytes.max(1),
            warmup: self.warmup,
            duration: self.duration,
        };
        let target = Target { name: "engine".to_owned(), addr: self.address };
        let pids = self.pid.into_iter().collect();
        let common = Common { targets: vec![target], pids, out: self.out, rounds: 1 };
        common.each("echo", |name, target, probe, _| echo::run(&plan, name, target, probe))
    }
}

/// Service names of one run, apart from those of any other.
fn run_name(scenario: &str, round: usize) -> String {
    format!("{scenario}-{}-{round}", std::process::id())
}
