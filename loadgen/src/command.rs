//! The command line, and a run for each target.

mod crowds;
mod loads;
mod results;

use clap::{Args, Parser, Subcommand};
use nacre_loadgen::engine::interrupt;
use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::Target;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// The gRPC port is so much above the HTTP port (`grpc-protocol.md` 1.2).
const GRPC_OFFSET: u16 = 1_000;

/// Offers load to a Nacos-compatible server, checks every answer, and reports.
///
/// Exits with 0 when nothing was wrong, 1 when the server was (lost, wrong, repeated, stale or
/// out-of-order answers) or a comparison found it worse, 2 when the run could not be made. Pin
/// server and generator to different cores (taskset) when you compare CPU figures. Ctrl-C ends a
/// run with the report so far; a second one ends at once.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// One kind of unary request, closed loop or open
    Unary(loads::Unary),
    /// Clients that connect, set up and hold: what each costs
    Idle(loads::Idle),
    /// One service, many subscribers: from a change to each of them
    Fanout(loads::Fanout),
    /// Whole clients: one instance, one subscription, keep-alive; the truth at the end
    Fleet(crowds::Fleet),
    /// Several registrations and subscriptions a client, and metadata that changes
    Churn(crowds::Churn),
    /// The server goes and comes back: until the last client is whole again
    Reconnect(crowds::Reconnect),
    /// A fleet, and on the same connections queries, lists and short registrations
    Mixed(crowds::Mixed),
    /// Configurations: publish, query, listen, be notified
    Config(loads::Config),
    /// Bytes for bytes without a protocol: what the carriage alone costs (bare_engine_echo)
    Echo(loads::Echo),
    /// Prints results and draws their curves
    Report(results::ReportFiles),
    /// Sets new results beside old ones; 1 when they are worse by more than allowed
    Compare(results::CompareFiles),
}

#[derive(Args)]
struct Common {
    /// NAME=HOST:PORT with the HTTP port (gRPC is +1000); several take turns, round by round
    #[arg(long = "target", default_value = "nacre=127.0.0.1:8848", value_parser = parse_target)]
    targets: Vec<Address>,
    /// Process of each target's server, in order, as a number or @FILE: adds its CPU and memory
    #[arg(long = "server-pid")]
    pids: Vec<String>,
    /// Addresses to connect from, clients evenly over them [default: 127.1.0.x for many clients
    /// on loopback, else the system's choice]
    #[arg(long, value_delimiter = ',')]
    bind: Vec<IpAddr>,
    /// Folder for the result files, one a run
    #[arg(long)]
    out: Option<PathBuf>,
    /// How often to run
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

#[derive(Clone)]
struct Address {
    name: String,
    grpc: SocketAddr,
}

fn parse_target(text: &str) -> Result<Address, String> {
    let (name, addr) = text.split_once('=').unwrap_or(("server", text));
    let mut addrs = addr.to_socket_addrs().map_err(|error| format!("{addr}: {error}"))?;
    let mut grpc = addrs.next().ok_or_else(|| format!("{addr}: no address"))?;
    let port = grpc.port().checked_add(GRPC_OFFSET);
    grpc.set_port(port.ok_or_else(|| format!("port {} leaves no room for +1000", grpc.port()))?);
    Ok(Address { name: name.to_owned(), grpc })
}

/// `5s`, `250ms`, `1.5s`, `2m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let digits = text.len() - text.trim_start_matches(is_number).len();
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| format!("{text}: want a number and a unit"))?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" | "" => number,
        "m" => number * 60.0,
        _ => return Err(format!("{text}: unit is us, ms, s or m")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{text}: {error}"))
}

impl Arguments {
    /// Runs; true when no fault was found.
    pub fn run(self) -> io::Result<bool> {
        interrupt::watch()?;
        match self.task {
            Task::Unary(arguments) => arguments.run(),
            Task::Idle(arguments) => arguments.run(),
            Task::Fanout(arguments) => arguments.run(),
            Task::Fleet(arguments) => arguments.run(),
            Task::Churn(arguments) => arguments.run(),
            Task::Reconnect(arguments) => arguments.run(),
            Task::Mixed(arguments) => arguments.run(),
            Task::Config(arguments) => arguments.run(),
            Task::Echo(arguments) => arguments.run(),
            Task::Report(arguments) => arguments.run(),
            Task::Compare(arguments) => arguments.run(),
        }
    }
}

/// Prints. Nobody reads on: the rest of a run is not worth less for that, so it is no error.
fn say(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl Common {
    /// Runs a scenario against each target, as often as asked; prints and keeps the reports. Every
    /// second round takes the targets backwards, so that none is always the warm one.
    fn each(
        &self,
        scenario: &str,
        mut run: impl FnMut(&Target, usize) -> io::Result<Report>,
    ) -> io::Result<bool> {
        let mut clean = true;
        let mut reports: Vec<Vec<Report>> = self.targets.iter().map(|_| Vec::new()).collect();
        for round in 0..self.rounds {
            let mut order: Vec<usize> = (0..self.targets.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                if interrupt::is_asked() && reports.iter().any(|of| !of.is_empty()) {
                    break;
                }
                let report = run(&self.target(at)?, round)?;
                say(&report.text())?;
                clean &= report.is_clean();
                if let Some(folder) = &self.out {
                    let name = format!("{}-{scenario}-{round}", self.targets[at].name);
                    report.write(folder, &name)?;
                }
                reports[at].push(report);
            }
        }
        if self.targets.len() > 1 {
            say(&results::side_by_side(&reports))?;
        }
        Ok(clean)
    }

    fn target(&self, at: usize) -> io::Result<Target> {
        let address = &self.targets[at];
        let server = self.pids.get(at).map(|pid| Probe::parse(pid)).transpose()?;
        let target = Target::new(&address.name, address.grpc);
        Ok(Target { bind: self.bind.clone(), server, ..target })
    }
}

/// Service names of one run, apart from those of any other.
fn run_name(scenario: &str, round: usize) -> String {
    format!("{scenario}-{}-{round}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn durations_and_targets() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("67us"), Ok(Duration::from_micros(67)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "5h", "-1s", "1.2.3s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        let target = parse_target("a=127.0.0.1:8848").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((target.name.as_str(), target.grpc.port()), ("a", 9_848));
        assert!(parse_target("127.0.0.1:65000").is_err());
        Arguments::command().debug_assert();
    }
}
