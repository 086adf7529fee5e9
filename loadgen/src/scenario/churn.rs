//! `churn`: the public large profile. Each client has several registrations and as many
//! subscriptions to others' services; a part of them change the metadata of one of their
//! instances again and again. How long until every subscriber of that service has heard?

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
    /// Registrations and subscriptions of each client; at most 100.
    pub each: usize,
    /// Instances and subscribers of each service.
    pub per_service: usize,
    pub metadata_bytes: usize,
    /// Of a hundred clients so many change, each once a period.
    pub changers_percent: usize,
    pub change_period: Duration,
    pub keepalive: Duration,
    pub settle: Duration,
    pub hold: Duration,
    pub patience: Duration,
    pub run: String,
}

/// A client's steps to being whole, two for each, are counted in a byte.
pub const EACH_MAX: usize = 100;

/// Connects, changes, checks, and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let workload = format!(
        "{} clients, {} registrations and {} subscriptions each, {} a service, {} B metadata, \
         {} % change every {} s, keep-alive {} s, held {} s",
        plan.clients,
        plan.each,
        plan.each,
        plan.per_service,
        plan.metadata_bytes,
        plan.changers_percent,
        plan.change_period.as_secs_f64(),
        plan.keepalive.as_secs_f64(),
        plan.hold.as_secs_f64()
    );
    let mut report = Report::new(&target.name, "churn", workload);
    let habits = Habits {
        clients: plan.clients,
        each: plan.each.clamp(1, EACH_MAX),
        per_service: plan.per_service,
        metadata_bytes: plan.metadata_bytes,
        keepalive: plan.keepalive,
        changers: (plan.clients * plan.changers_percent.min(100)).div_ceil(100),
        change_period: plan.change_period,
        patience: plan.patience,
        run: plan.run.clone(),
    };
    let stay = Stay { warmup_clients: plan.warmup_clients, settle: plan.settle, hold: plan.hold };
    let mut gathered = stay::gather(habits, &stay, target, &mut report)?;
    gathered.hold(&stay, target, &mut report)?;
    Ok(report)
}
