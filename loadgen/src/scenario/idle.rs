//! `idle`: clients connect, set up and hold; what each costs the server.

use super::{Costs, Target, report_lost};
use crate::drive::{Scenario, Turn};
use crate::push;
use crate::report::Report;
use crate::session::Event;
use std::io;
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
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let mut idle = Idle::default();
    let mut drive = target.drive("naming", plan.clients)?;
    let workload = format!("{} clients held {} s", plan.clients, plan.hold.as_secs_f64());
    let mut report = Report::new(&target.name, "idle", workload);
    let warm = plan.warmup_clients.min(plan.clients);
    let server = target.server.as_ref();
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

    let grown = plan.clients - warm;
    report.count("clients_held", drive.ready() as u64, "clients held");
    if grown > 0 {
        let rate = grown as f64 * 1e9 / (connected.at_ns - first.at_ns).max(1) as f64;
        report.figure("connects_per_s", rate, "connects/s", format!("{rate:.0}"));
        connected.report_each(&first, "connect", grown as u64, &mut report);
        connected.note_limit(&first, "the connect rate", &mut report);
    }
    report.count("detections", answered, "detections answered");
    before.report_memory(&first, grown, &mut report);
    let each = (answered > 0).then_some(("detection", answered));
    after.report_server(&before, each, &mut report);
    after.report_own(&before, &mut report);
    report_lost(&drive, &mut report);
    if idle.acks_missed > 0 {
        report.fault(format!("{} pushes found no window to be acked", idle.acks_missed));
    }
    if drive.is_interrupted() {
        report.note("interrupted: figures are of the part that was run".to_owned());
    }
    drive.close_all();
    drive.run_for(plan.settle, &mut idle)?;
    Costs::now(server, &drive)?.report_left(&mut report);
    Ok(report)
}
