//! The phases of a crowd's run: gather, hold with changes, settle; and what each cost.

use super::{Crowd, Drive, Habits};
use crate::report::Report;
use crate::scenario::{Costs, Target};
use std::io;
use std::time::Duration;

/// How long each phase is.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct Stay {
    /// Clients before the first look at memory: tables and pools have then been made.
    pub(in crate::scenario) warmup_clients: usize,
    /// Rest before each look.
    pub(in crate::scenario) settle: Duration,
    pub(in crate::scenario) hold: Duration,
}

/// A crowd and its connections.
pub(in crate::scenario) struct Gathered {
    pub(in crate::scenario) crowd: Crowd,
    pub(in crate::scenario) drive: Drive,
}

/// Connects everybody and tells what a client costs to set up and to keep.
pub(in crate::scenario) fn gather(
    habits: Habits,
    stay: &Stay,
    target: &Target,
    report: &mut Report,
) -> io::Result<Gathered> {
    let clients = habits.clients;
    let mut drive = target.drive("naming", clients)?;
    let mut crowd = Crowd::new(habits);
    let server = target.server.as_ref();
    let warm = stay.warmup_clients.min(clients);
    crowd.grow(warm, &mut drive)?;
    crowd.hold(stay.settle, &mut drive)?;
    let first = Costs::now(server, &drive)?;
    crowd.grow(clients, &mut drive)?;
    let whole = Costs::now(server, &drive)?;
    crowd.hold(stay.settle, &mut drive)?;
    let held = Costs::now(server, &drive)?;
    let grown = clients - warm;
    if grown > 0 {
        let rate = grown as f64 * 1e9 / (whole.at_ns - first.at_ns).max(1) as f64;
        report.figure("whole_clients_per_s", rate, "whole clients/s", format!("{rate:.0}"));
        whole.report_each(&first, "whole_client", grown as u64, report);
        whole.note_limit(&first, "the set-up rate", report);
    }
    held.report_memory(&first, grown, report);
    Ok(Gathered { crowd, drive })
}

impl Gathered {
    /// The measured part, then the truth: everything that was found goes into the report.
    pub(in crate::scenario) fn hold(
        &mut self,
        stay: &Stay,
        target: &Target,
        report: &mut Report,
    ) -> io::Result<()> {
        let Self { crowd, drive } = self;
        let server = target.server.as_ref();
        crowd.measure(stay.hold, drive);
        let before = Costs::now(server, drive)?;
        let answered = crowd.keepalives_answered;
        crowd.hold(stay.hold, drive)?;
        let after = Costs::now(server, drive)?;
        let answered = crowd.keepalives_answered - answered;
        report.count("clients_held", drive.ready() as u64, "clients held");
        after.report_server(&before, Some(("keepalive", answered)), report);
        after.report_own(&before, report);
        self.finish(report)
    }

    /// Waits for the final state and tells what was found.
    pub(in crate::scenario) fn finish(&mut self, report: &mut Report) -> io::Result<()> {
        let behind = self.crowd.settle(&mut self.drive)?;
        self.crowd.report(behind, &mut self.drive, report);
        Ok(())
    }
}
