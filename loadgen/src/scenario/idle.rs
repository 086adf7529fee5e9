//! `idle`: clients connect, set up and hold; what each costs the server.

use super::{Costs, report_lost};
use crate::drive::{Drive, Scenario, Turn};
use crate::probe::Probe;
use crate::push;
use crate::report::{Report, human_bytes};
use crate::session::Event;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub clients: usize,
    /// Clients before the first look at memory: tables and pools have then been made.
    pub warmup_clients: usize,
    /// Time for the server to come to rest before each look.
    pub settle: Duration,
    pub hold: Duration,
}

/// Acknowledges, and counts, whatever the server asks of an idle client.
#[derive(Debug, Default)]
struct Idle {
    pushes: u64,
    acks_missed: u64,
}

impl Scenario for Idle {
    fn event(&mut self, mut turn: Turn<'_>, event: Event<'_>) {
        if let Event::Push(push) = event {
            self.pushes += 1;
            self.acks_missed += u64::from(!push::acknowledge(&mut turn, &push));
        }
    }
}

/// Connects, holds, leaves, and reports.
pub fn run(
    plan: &Plan,
    name: &str,
    target: SocketAddr,
    server: Option<&Probe>,
) -> io::Result<Report> {
    let mut idle = Idle::default();
    let mut drive = Drive::new(target, "naming", plan.clients)?;
    let mut report = Report::new(format!(
        "{name} idle: {} clients held {} s",
        plan.clients,
        plan.hold.as_secs_f64()
    ));
    let warm = plan.warmup_clients.min(plan.clients);
    drive.open(warm, &mut idle)?;
    drive.run_for(plan.settle, &mut idle)?;
    let first = Costs::now(server, &drive)?;
    drive.open(plan.clients, &mut idle)?;
    let connected = Costs::now(server, &drive)?;
    drive.run_for(plan.settle, &mut idle)?;
    let pushes = idle.pushes;
    let before = Costs::now(server, &drive)?;
    drive.run_for(plan.hold, &mut idle)?;
    let after = Costs::now(server, &drive)?;
    let answered = idle.pushes - pushes;

    let grown = (plan.clients - warm) as f64;
    let rate = grown * 1e9 / (connected.at_ns - first.at_ns).max(1) as f64;
    report.figure("clients_held", drive.ready() as f64, "clients held", drive.ready().to_string());
    report.figure("connects_per_s", rate, "connects/s", format!("{rate:.0}"));
    report.figure("detections", answered as f64, "detections answered", answered.to_string());
    before.report_memory(&first, plan.clients - warm, server.is_some(), &mut report);
    if server.is_some() {
        after.report_server(
            &before,
            (answered > 0).then_some(("detection", answered)),
            &mut report,
        );
    }
    after.report_own(&before, &mut report);
    report_lost(&drive, &mut report);
    if idle.acks_missed > 0 {
        report.fault(format!("{} pushes found no window to be acked", idle.acks_missed));
    }
    drive.close_all();
    drive.run_for(plan.settle, &mut idle)?;
    if server.is_some() {
        let left = Costs::now(server, &drive)?.server_resident as f64;
        report.figure("server_bytes_after", left, "resident after they left", human_bytes(left));
    }
    Ok(report)
}
