//! `fleet`: whole clients with one instance and one subscription each, held and kept alive, one
//! after the other changing; at the end each must know the truth.

use super::Target;
use super::crowd::Habits;
use super::crowd::stay::{self, Stay};
use crate::report::Report;
use std::io;
use std::time::Duration;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub clients: usize,
    /// Clients before the first look at memory.
    pub warmup_clients: usize,
    /// Instances and subscribers of each service.
    pub per_service: usize,
    pub keepalive: Duration,
    pub settle: Duration,
    pub hold: Duration,
    /// From one client's change to the next one's; zero for none.
    pub change_every: Duration,
    /// How long whole-ness and the final state are waited for after the last progress.
    pub patience: Duration,
    pub run: String,
}

impl Plan {
    pub(super) fn habits(&self) -> Habits {
        Habits {
            clients: self.clients,
            each: 1,
            per_service: self.per_service,
            metadata_bytes: 0,
            keepalive: self.keepalive,
            changers: self.clients,
            change_period: self.change_every.saturating_mul(self.clients as u32),
            patience: self.patience,
            run: self.run.clone(),
        }
    }

    pub(super) fn stay(&self) -> Stay {
        Stay { warmup_clients: self.warmup_clients, settle: self.settle, hold: self.hold }
    }

    pub(super) fn workload(&self) -> String {
        format!(
            "{} clients, {} a service, keep-alive {} s, held {} s, a change every {} ms",
            self.clients,
            self.per_service,
            self.keepalive.as_secs_f64(),
            self.hold.as_secs_f64(),
            self.change_every.as_millis()
        )
    }
}

/// Connects, holds, changes, checks, and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let mut report = Report::new(&target.name, "fleet", plan.workload());
    let mut gathered = stay::gather(plan.habits(), &plan.stay(), target, &mut report)?;
    gathered.hold(&plan.stay(), target, &mut report)?;
    Ok(report)
}
