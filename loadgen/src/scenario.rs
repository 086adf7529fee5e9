//! What may be asked of a server, one file each.

pub mod churn;
pub mod config;
mod costs;
mod crowd;
pub mod echo;
pub mod fanout;
pub mod feed;
pub mod fleet;
pub mod idle;
pub mod mixed;
pub mod reconnect;
mod schedule;
pub mod unary;

use crate::check::Judge;
use crate::drive::Drive;
use crate::probe::Probe;
use crate::report::Report;
use costs::Costs;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Whom a run is against, and from where.
#[derive(Debug)]
pub struct Target {
    /// What reports call it.
    pub name: String,
    /// The gRPC address.
    pub address: SocketAddr,
    /// Source addresses to use; none leaves the choice to us.
    pub bind: Vec<IpAddr>,
    /// The server's process, when it is watched.
    pub server: Option<Probe>,
}

impl Target {
    /// A server nobody watches.
    pub fn new(name: &str, address: SocketAddr) -> Self {
        Self { name: name.to_owned(), address, bind: Vec::new(), server: None }
    }

    /// The same, watched.
    #[must_use]
    pub fn watched(self, server: Probe) -> Self {
        Self { server: Some(server), ..self }
    }

    /// A drive for so many clients of a module.
    fn drive(&self, module: &str, clients: usize) -> io::Result<Drive> {
        Drive::new(self.address, module, clients, &self.bind)
    }
}

/// Lost connections are a fault in every scenario.
fn report_lost(drive: &Drive, report: &mut Report) {
    let (lost, reasons) = drive.lost();
    report_losses(lost, reasons, report);
}

/// The same, counted by whoever has connections.
fn report_losses(lost: u64, reasons: &BTreeMap<String, u64>, report: &mut Report) {
    if lost > 0 {
        report.fault(format!("{lost} connections lost: {reasons:?}"));
    }
}

/// Each count that is not zero is a fault.
fn report_counts(counts: &[(u64, &str)], report: &mut Report) {
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        report.fault(format!("{count} {what}"));
    }
}

/// Wrong answers are a fault; the first of them is told, or else what failed first.
fn wrong_answers(judge: &Judge, failure: Option<&str>, report: &mut Report) {
    if let (count @ 1.., why) = judge.wrong() {
        let why = why.or(failure).unwrap_or_default();
        report.fault(format!("{count} wrong answers, first: {why}"));
    }
}
