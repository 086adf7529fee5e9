//! `mixed`: a fleet as in `fleet`, and on the same connections, on a schedule, everything else
//! clients ask for: queries, pages of the list, short-lived registrations.

use super::Target;
use super::crowd::mix::Mix;
use super::crowd::stay;
use super::fleet;
use crate::report::Report;
use std::io;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub fleet: fleet::Plan,
    /// Calls beside the fleet's own, per second.
    pub rate: usize,
}

/// Connects, holds under mixed load, checks, and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let workload = format!("{}, {} mixed calls/s", plan.fleet.workload(), plan.rate);
    let mut report = Report::new(&target.name, "mixed", workload);
    let stay = plan.fleet.stay();
    let mut gathered = stay::gather(plan.fleet.habits(), &stay, target, &mut report)?;
    let mut mix = Mix::new(plan.rate, &plan.fleet.run);
    mix.measure(stay.hold, gathered.drive.now_ns());
    gathered.crowd.mix = Some(mix);
    gathered.hold(&stay, target, &mut report)?;
    Ok(report)
}
