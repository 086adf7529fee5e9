//! `fanout`: one service, many subscribers; how long a change takes to each of them.
//!
//! With bystanders, a fleet of its own services changes on a schedule beside it: what others pay
//! while a broadcast is on its way.

mod audience;

use super::crowd::{Crowd, Habits};
use super::feed;
use super::{Costs, Target, report_lost};
use crate::drive::{Drive, Scenario, Turn};
use crate::report::{Report, human_ns};
use crate::series::Series;
use crate::session::{Event, Script};
use audience::{Audience, PATIENCE};
use std::io;
use std::time::Duration;

/// Changes before the measured ones.
const WARMUP_CHANGES: u64 = 3;

/// Acknowledgements sent before the next look at what has arrived: a thousand at once would make
/// every later push look ten milliseconds late.
const ACKS_PER_LOOK: usize = 8;

/// Bystanders' services have so many instances and subscribers.
const PER_SERVICE: usize = 10;

const TAG_REGISTER: u32 = 1;
const TAG_SUBSCRIBE: u32 = 2;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub subscribers: usize,
    pub changes: u64,
    /// From change to change, unless the last one is still on its way.
    pub every: Duration,
    /// Clients of other services.
    pub bystanders: usize,
    /// From one bystander's change to the next one's.
    pub bystander_every: Duration,
    /// How long nothing is broadcast before; bystanders are measured alone then.
    pub quiet: Duration,
    pub run: String,
}

/// Sets up, changes, measures, and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let mut workload = format!(
        "{} subscribers, {} changes, one every {} ms",
        plan.subscribers,
        plan.changes,
        plan.every.as_millis()
    );
    if plan.bystanders > 0 {
        let every = plan.bystander_every.as_secs_f64() * 1e3;
        workload += &format!(", {} bystanders, a change every {every} ms", plan.bystanders);
    }
    let mut report = Report::new(&target.name, "fanout", workload);
    let mut drive = target.drive("naming", plan.bystanders + plan.subscribers + 1)?;
    let mut hall = Hall::open(plan, &mut drive)?;
    hall.subscribe(&mut drive)?;
    for sequence in 1..=WARMUP_CHANGES {
        hall.broadcast(sequence, &mut drive)?;
    }
    let quiet = hall.quiet(&mut drive)?;
    hall.audience.measured_from = WARMUP_CHANGES + 1;
    hall.audience.begin_series(drive.now_ns(), plan.every.saturating_mul(plan.changes as u32));
    let server = target.server.as_ref();
    let before = Costs::now(server, &drive)?;
    for sequence in WARMUP_CHANGES + 1..=WARMUP_CHANGES + plan.changes {
        if drive.is_interrupted() || drive.ready() == 0 || hall.audience.has_failed() {
            break;
        }
        let next_ns = drive.now_ns() + plan.every.as_nanos() as u64;
        hall.broadcast(sequence, &mut drive)?;
        while drive.now_ns() < next_ns && !drive.is_interrupted() && drive.ready() > 0 {
            hall.turn(next_ns, &mut drive)?;
        }
    }
    let after = Costs::now(server, &drive)?;
    after.report_server(&before, Some(("push", hall.audience.pushes_measured)), &mut report);
    after.report_own(&before, &mut report);
    hall.report(quiet, &mut drive, &mut report)?;
    Ok(report)
}

/// Everybody: bystanders first, then the audience, then the one whose metadata changes.
struct Hall<'a> {
    plan: &'a Plan,
    crowd: Option<Crowd>,
    audience: Audience,
    /// Latencies of bystanders' changes while a broadcast was on its way.
    beside: Series,
}

impl<'a> Hall<'a> {
    fn open(plan: &'a Plan, drive: &mut Drive) -> io::Result<Self> {
        let mut crowd = (plan.bystanders > 0).then(|| {
            Crowd::new(Habits {
                clients: plan.bystanders,
                each: 1,
                per_service: PER_SERVICE,
                metadata_bytes: 0,
                keepalive: Duration::from_secs(5),
                changers: plan.bystanders,
                change_period: plan.bystander_every.saturating_mul(plan.bystanders as u32),
                patience: PATIENCE,
                run: format!("{}-beside", plan.run),
            })
        });
        if let Some(crowd) = &mut crowd {
            crowd.grow(plan.bystanders, drive)?;
        }
        let audience = Audience::new(plan.bystanders as u32, plan.subscribers);
        let mut hall = Self { plan, crowd, audience, beside: Series::default() };
        drive.open(plan.bystanders + plan.subscribers + 1, &mut hall)?;
        drive.look_after(ACKS_PER_LOOK);
        Ok(hall)
    }

    fn turn(&mut self, until_ns: u64, drive: &mut Drive) -> io::Result<()> {
        let due_ns = self.crowd.as_mut().map_or(u64::MAX, |crowd| crowd.begin_due(drive));
        let wait = until_ns.min(due_ns).saturating_sub(drive.now_ns());
        drive.turn(Duration::from_nanos(wait), self)
    }

    /// Publishes for the first time, and lets everybody subscribe.
    fn subscribe(&mut self, drive: &mut Drive) -> io::Result<()> {
        self.publish(0, drive)?;
        let message = Script::message(&feed::subscribe(&self.plan.run, 0, true));
        for at in 0..self.plan.subscribers {
            let client = (self.plan.bystanders + at) as u32;
            if !drive.call(client, &message, TAG_SUBSCRIBE, drive.now_ns()) {
                return Err(io::Error::other(format!("subscriber {at} cannot call")));
            }
        }
        let mut moved = (0, drive.now_ns());
        while self.audience.subscribed < self.plan.subscribers && !drive.is_interrupted() {
            self.turn(drive.now_ns() + 100_000_000, drive)?;
            self.audience.check_refusals()?;
            if self.audience.subscribed != moved.0 {
                moved = (self.audience.subscribed, drive.now_ns());
            } else if drive.now_ns() - moved.1 > PATIENCE.as_nanos() as u64 {
                return Err(io::Error::other(format!("{} have subscribed", moved.0)));
            }
        }
        Ok(())
    }

    /// Sends a change and waits for its answer.
    fn publish(&mut self, sequence: u64, drive: &mut Drive) -> io::Result<()> {
        let publisher = (self.plan.bystanders + self.plan.subscribers) as u32;
        let instance = feed::instance(0, sequence, 0);
        let message = Script::message(&feed::register(&self.plan.run, 0, instance));
        self.audience.begin(sequence, drive.now_ns());
        if !drive.call(publisher, &message, TAG_REGISTER, drive.now_ns()) {
            return Err(io::Error::other("the publisher cannot call"));
        }
        let end_ns = drive.now_ns() + PATIENCE.as_nanos() as u64;
        while self.audience.registered < sequence + 1 && !drive.is_interrupted() {
            self.turn(end_ns, drive)?;
            self.audience.check_refusals()?;
            if drive.now_ns() >= end_ns || !drive.is_ready(publisher) {
                return Err(io::Error::other("the publisher got no answer"));
            }
        }
        Ok(())
    }

    /// A change, until every subscriber has it and has acknowledged it, or nothing moves; those
    /// that never get it are told at the end.
    fn broadcast(&mut self, sequence: u64, drive: &mut Drive) -> io::Result<()> {
        self.swap_beside();
        let published = self.publish(sequence, drive);
        let mut moved = (usize::MAX, drive.now_ns());
        while self.audience.waiting > 0 && drive.ready() > 0 && !drive.is_interrupted() {
            self.turn(drive.now_ns() + 100_000_000, drive)?;
            if self.audience.waiting != moved.0 {
                moved = (self.audience.waiting, drive.now_ns());
            } else if drive.now_ns() - moved.1 > PATIENCE.as_nanos() as u64 {
                break;
            }
        }
        while !drive.is_flushed() && self.audience.waiting == 0 && !drive.is_interrupted() {
            self.turn(drive.now_ns(), drive)?;
        }
        self.audience.acked(drive.now_ns());
        self.swap_beside();
        match published {
            // From the measured part on a failure is a finding.
            Err(error) if self.audience.measured_from != u64::MAX => self.audience.fail(&error),
            other => other?,
        }
        Ok(())
    }

    /// Bystanders' latencies go to the other series from here on.
    fn swap_beside(&mut self) {
        if let Some(crowd) = &mut self.crowd {
            std::mem::swap(&mut crowd.change_each, &mut self.beside);
        }
    }

    /// Nothing is broadcast; bystanders alone.
    fn quiet(&mut self, drive: &mut Drive) -> io::Result<Series> {
        if let Some(crowd) = &mut self.crowd {
            crowd.measure(self.plan.quiet, drive);
        }
        let end_ns = drive.now_ns() + self.plan.quiet.as_nanos() as u64;
        while drive.now_ns() < end_ns && !drive.is_interrupted() && drive.ready() > 0 {
            self.turn(end_ns, drive)?;
        }
        let Some(crowd) = &mut self.crowd else { return Ok(Series::default()) };
        let time = self.plan.every.saturating_mul(self.plan.changes as u32);
        self.beside.begin(drive.now_ns(), time);
        let mut between = Series::default();
        between.begin(drive.now_ns(), time);
        Ok(std::mem::replace(&mut crowd.change_each, between))
    }

    fn report(&mut self, quiet: Series, drive: &mut Drive, report: &mut Report) -> io::Result<()> {
        self.audience.report(report);
        if self.crowd.is_some() {
            report.series("beside_quiet", "bystanders, before", &quiet);
            report.series("beside", "bystanders, meanwhile", &self.beside);
            let p99 = |series: &Series| series.total().value_at_quantile(0.99);
            if !quiet.is_empty() && !self.beside.is_empty() {
                let ratio = p99(&self.beside) as f64 / p99(&quiet).max(1) as f64;
                let (was, is) = (human_ns(p99(&quiet)), human_ns(p99(&self.beside)));
                let text = format!("{ratio:.2} times ({was} to {is})");
                report.figure("beside_p99_ratio", ratio, "bystanders' p99", text);
            }
            if let Some(mut crowd) = self.crowd.take() {
                self.settle(&mut crowd, drive)?;
                let behind = crowd.truth.behind(|client| drive.is_ready(client));
                crowd.report(behind, drive, report);
            }
        } else {
            report_lost(drive, report);
        }
        Ok(())
    }

    /// Lets the bystanders come to rest.
    fn settle(&mut self, crowd: &mut Crowd, drive: &mut Drive) -> io::Result<()> {
        crowd.rest();
        let end_ns = drive.now_ns() + PATIENCE.as_nanos() as u64;
        while crowd.truth.behind(|client| drive.is_ready(client)) > 0
            && drive.now_ns() < end_ns
            && !drive.is_interrupted()
        {
            let mut both = Both { base: self.audience.base, crowd, audience: &mut self.audience };
            drive.turn(Duration::from_millis(100), &mut both)?;
        }
        Ok(())
    }
}

/// Sends each event to whom it belongs.
struct Both<'a> {
    base: u32,
    crowd: &'a mut Crowd,
    audience: &'a mut Audience,
}

impl Scenario for Both<'_> {
    fn event(&mut self, turn: Turn<'_>, event: Event<'_>) {
        if turn.client < self.base {
            self.crowd.event(turn, event);
        } else {
            self.audience.event(turn, event);
        }
    }
}

impl Scenario for Hall<'_> {
    fn event(&mut self, turn: Turn<'_>, event: Event<'_>) {
        match &mut self.crowd {
            Some(crowd) if turn.client < self.audience.base => crowd.event(turn, event),
            _ => self.audience.event(turn, event),
        }
    }

    fn lost(&mut self, client: u32, now_ns: u64) {
        if let Some(crowd) = self.crowd.as_mut().filter(|_| client < self.audience.base) {
            crowd.lost(client, now_ns);
        }
    }
}
