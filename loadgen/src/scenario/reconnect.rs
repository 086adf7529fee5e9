//! `reconnect`: the server goes and comes back; how long until the last client is whole again.
//!
//! Somebody else restarts it, or a command given here does. Clients come back as Java's do
//! (`crowd/redo.rs`), and say what they were shown meanwhile: an empty list is what an outage of
//! every caller looks like.

use super::crowd::Crowd;
use super::crowd::redo::Redo;
use super::crowd::stay::{self, Gathered};
use super::{Costs, Target, fleet};
use crate::progress::Progress;
use crate::report::Report;
use std::io;
use std::process::{Child, Command};
use std::time::Duration;

/// The settings of a run. Of the fleet's, `hold` is the time before the server goes.
#[derive(Debug, Clone)]
pub struct Plan {
    pub fleet: fleet::Plan,
    /// A shell command that stops the server and starts it again; without one it is waited for.
    pub restart: Option<String>,
    /// How long to wait for the server to go.
    pub wait: Duration,
    /// Period of the task that registers and subscribes again (Java's is 3 s).
    pub redo: Duration,
}

/// Connects, sees the server go, comes back, checks, and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let redo = plan.redo.as_secs_f64();
    let workload = format!("{}, redo every {redo} s", plan.fleet.workload());
    let mut report = Report::new(&target.name, "reconnect", workload);
    let stay = plan.fleet.stay();
    let mut gathered = stay::gather(plan.fleet.habits(), &stay, target, &mut report)?;
    gathered.crowd.redo = Some(Redo::new(plan.fleet.clients, plan.redo));
    gathered.stand(plan, &mut report)?;
    let mut command = plan.restart.as_deref().map(shell).transpose()?;
    let outcome = gathered.come_back(plan, target, &mut report);
    if let Some(command) = &mut command {
        report_command(command, &mut report)?;
    }
    outcome?;
    gathered.finish(&mut report)?;
    Ok(report)
}

fn shell(command: &str) -> io::Result<Child> {
    let tell = |error| io::Error::other(format!("{command}: {error}"));
    Command::new("sh").args(["-c", command]).spawn().map_err(tell)
}

/// A command that failed is told; one that still runs is left alone.
fn report_command(command: &mut Child, report: &mut Report) -> io::Result<()> {
    if let Some(status) = command.try_wait()?.filter(|status| !status.success()) {
        report.fault(format!("the restart command ended with {status}"));
    }
    Ok(())
}

impl Gathered {
    /// Holds everybody, unless the server is quicker, and sees that each knows the truth.
    fn stand(&mut self, plan: &Plan, report: &mut Report) -> io::Result<()> {
        let Self { crowd, drive } = self;
        crowd.measure(plan.fleet.hold, drive);
        let end_ns = drive.now_ns() + plan.fleet.hold.as_nanos() as u64;
        let has_gone = |crowd: &Crowd| crowd.redo.as_ref().is_some_and(Redo::has_lost);
        while drive.now_ns() < end_ns && !has_gone(crowd) && !drive.is_interrupted() {
            crowd.turn(end_ns, drive)?;
        }
        let unknown = if has_gone(crowd) { 0 } else { crowd.settle(drive)? };
        if unknown > 0 && !has_gone(crowd) {
            report.fault(format!("{unknown} subscriptions do not know the true list beforehand"));
        }
        crowd.truth.set_steady(false);
        Ok(())
    }

    /// Waits until the server has gone and every client is whole again, or nothing moves.
    fn come_back(&mut self, plan: &Plan, target: &Target, report: &mut Report) -> io::Result<()> {
        let clients = plan.fleet.clients;
        let before = Costs::now(target.server.as_ref(), &self.drive)?;
        let wait_ns = self.drive.now_ns() + plan.wait.as_nanos() as u64;
        while self.first_lost_ns().is_none() {
            if self.drive.now_ns() > wait_ns || self.drive.is_interrupted() {
                report.fault("the server did not go away".to_owned());
                return Ok(());
            }
            self.crowd.turn(wait_ns, &mut self.drive)?;
        }
        let gone_ns = self.first_lost_ns().unwrap_or_default();
        let mut progress = Progress::new("clients again", 0, clients as u64, gone_ns);
        let mut moved = (self.crowd.stepped, self.drive.now_ns());
        while self.crowd.whole < clients || self.drive.connecting() > 0 {
            let now_ns = self.drive.now_ns();
            let patience_ns = plan.fleet.patience.as_nanos() as u64;
            if now_ns - moved.1 > patience_ns || self.drive.is_interrupted() {
                let left = clients - self.crowd.whole.min(clients);
                report.fault(format!("{left} clients are not whole again"));
                break;
            }
            self.crowd.turn(now_ns + 100_000_000, &mut self.drive)?;
            progress.at(self.crowd.whole as u64, self.drive.now_ns());
            if self.crowd.stepped != moved.0 {
                moved = (self.crowd.stepped, self.drive.now_ns());
            }
        }
        drop(progress);
        let after = Costs::now(target.server.as_ref(), &self.drive)?;
        self.report_return(gone_ns, report);
        after.report_own(&before, report);
        Ok(())
    }

    fn first_lost_ns(&self) -> Option<u64> {
        self.crowd.redo.as_ref().and_then(|redo| redo.first_lost_ns)
    }

    fn report_return(&mut self, gone_ns: u64, report: &mut Report) {
        let (_, reasons) = self.drive.forgive_losses();
        let Some(redo) = &self.crowd.redo else { return };
        let seconds = redo.last_whole_ns.saturating_sub(gone_ns) as f64 / 1e9;
        let text = format!("{seconds:.2} s");
        report.figure("whole_again_s", seconds, "first loss to last whole", text);
        report.count("clients_lost", redo.lost, "clients lost");
        report.count("asked_to_leave", redo.asked_to_leave, "clients asked to go");
        report.series("outage", "loss to whole, each client", &redo.outage);
        let wrongs = self.crowd.truth.wrongs();
        report.count("empty_lists", wrongs.emptied, "empty lists shown meanwhile");
        report.count("shrunk_lists", wrongs.shrunk, "partial lists shown meanwhile");
        if !reasons.is_empty() {
            report.note(Redo::note(&reasons));
        }
    }
}
