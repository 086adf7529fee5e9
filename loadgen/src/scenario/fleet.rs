//! `fleet`: honest whole clients. Each sets up, registers one instance, subscribes to its
//! service, keeps itself alive, acknowledges pushes; at the end each must know the truth.
//!
//! Meanwhile single clients change their metadata: how long until every subscriber has heard.

mod truth;

use super::feed;
use super::{Costs, report_lost};
use crate::check::Judge;
use crate::drive::{Drive, Scenario, Turn};
use crate::probe::Probe;
use crate::push;
use crate::report::{self, Report};
use crate::session::{Event, Script};
use hdrhistogram::Histogram;
use nacre_proto::client::request::{HealthCheckRequest, SubscribeServiceRequest};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use truth::{Glances, Truth};

/// Keep-alives begun per turn at most, so that a stall does not end in one burst of us.
const KEEPALIVES_PER_TURN: u64 = 4_096;

const TAG_REGISTER: u32 = 1;
const TAG_SUBSCRIBE: u32 = 2;
const TAG_KEEPALIVE: u32 = 3;
const TAG_CHANGE: u32 = 4;

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
    /// From one client's change to the next one's.
    pub change_every: Duration,
    /// How long whole-ness and the final state are waited for after the last progress.
    pub patience: Duration,
    pub run: String,
}

/// Connects, holds, changes, checks, and reports.
pub fn run(
    plan: &Plan,
    name: &str,
    target: SocketAddr,
    server: Option<&Probe>,
) -> io::Result<Report> {
    let mut drive = Drive::new(target, "naming", plan.clients)?;
    let mut fleet = Fleet::new(plan);
    let mut report = Report::new(format!(
        "{name} fleet: {} clients, {} a service, keep-alive {} s, held {} s",
        plan.clients,
        plan.per_service,
        plan.keepalive.as_secs_f64(),
        plan.hold.as_secs_f64()
    ));
    let warm = plan.warmup_clients.min(plan.clients);
    fleet.grow(warm, &mut drive)?;
    fleet.hold(plan.settle, false, &mut drive)?;
    let first = Costs::now(server, &drive)?;
    fleet.grow(plan.clients, &mut drive)?;
    let whole = Costs::now(server, &drive)?;
    fleet.hold(plan.settle, false, &mut drive)?;
    fleet.latency.reset();
    let before = Costs::now(server, &drive)?;
    let answered = fleet.keepalives;
    fleet.hold(plan.hold, true, &mut drive)?;
    let after = Costs::now(server, &drive)?;
    let behind = fleet.settle(&mut drive)?;

    let grown = (plan.clients - warm) as f64;
    let rate = grown * 1e9 / (whole.at_ns - first.at_ns).max(1) as f64;
    let held = drive.ready();
    report.figure("clients_held", held as f64, "clients held", held.to_string());
    report.figure("whole_clients_per_s", rate, "whole clients/s", format!("{rate:.0}"));
    before.report_memory(&first, plan.clients - warm, server.is_some(), &mut report);
    if server.is_some() {
        let answered = fleet.keepalives - answered;
        after.report_server(&before, Some(("keepalive", answered)), &mut report);
    }
    after.report_own(&before, &mut report);
    fleet.figures(behind, &drive, Duration::from_nanos(after.at_ns - before.at_ns), &mut report);
    Ok(report)
}

/// What all clients together have done.
struct Fleet<'a> {
    plan: &'a Plan,
    truth: Truth,
    glances: Glances,
    asked: usize,
    whole: usize,
    keepalives: u64,
    keepalives_begun: u64,
    keepalive_from_ns: u64,
    health_check: Vec<u8>,
    next_change_ns: u64,
    next_changer: usize,
    latency: Histogram<u64>,
    change_each: Histogram<u64>,
    change_last: Histogram<u64>,
    register_judge: Judge,
    subscribe_judge: Judge,
    health_judge: Judge,
    pushes: u64,
    unreadable: u64,
    no_room: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl<'a> Fleet<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            truth: Truth::new(plan.clients, plan.per_service),
            glances: Glances::default(),
            asked: 0,
            whole: 0,
            keepalives: 0,
            keepalives_begun: 0,
            keepalive_from_ns: 0,
            health_check: Script::message(&HealthCheckRequest::default()),
            next_change_ns: 0,
            next_changer: 0,
            latency: report::latencies(),
            change_each: report::latencies(),
            change_last: report::latencies(),
            register_judge: Judge::success("InstanceResponse"),
            subscribe_judge: Judge::success("SubscribeServiceResponse"),
            health_judge: Judge::success("HealthCheckResponse"),
            pushes: 0,
            unreadable: 0,
            no_room: 0,
            failed: 0,
            first_failure: None,
        }
    }

    /// Brings the fleet to so many whole clients.
    fn grow(&mut self, until: usize, drive: &mut Drive) -> io::Result<()> {
        drive.open(until, self)?;
        self.asked = until;
        let (mut whole, mut moved_ns) = (self.whole, drive.now_ns());
        while self.whole + drive.lost().0 as usize + (self.failed as usize) < until {
            self.keep_alive(drive);
            drive.turn(Duration::from_millis(10), self)?;
            if self.whole != whole {
                (whole, moved_ns) = (self.whole, drive.now_ns());
            } else if drive.now_ns() - moved_ns > self.plan.patience.as_nanos() as u64 {
                let why = format!("{whole} of {until} clients whole, then silence");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
        // From here on the keep-alives are spread over all of them.
        self.keepalive_from_ns = drive.now_ns();
        self.keepalives_begun = 0;
        Ok(())
    }

    /// Keeps everyone alive for so long, with or without changes.
    fn hold(&mut self, time: Duration, changes: bool, drive: &mut Drive) -> io::Result<()> {
        let end_ns = drive.now_ns() + time.as_nanos() as u64;
        self.next_change_ns = drive.now_ns();
        while drive.now_ns() < end_ns && drive.ready() > 0 {
            let mut wake_ns = end_ns.min(self.keep_alive(drive));
            if changes {
                self.change(drive);
                wake_ns = wake_ns.min(self.next_change_ns);
            }
            let wait = wake_ns.saturating_sub(drive.now_ns());
            drive.turn(Duration::from_nanos(wait), self)?;
        }
        Ok(())
    }

    /// Begins the HealthChecks that are due, clients in turn, and says when the next one is.
    fn keep_alive(&mut self, drive: &mut Drive) -> u64 {
        if self.asked == 0 || self.plan.keepalive.is_zero() {
            return u64::MAX;
        }
        let period_ns = self.plan.keepalive.as_nanos();
        let due = |count: u64| {
            let offset = u128::from(count) * period_ns / self.asked as u128;
            self.keepalive_from_ns + offset as u64
        };
        let last = self.keepalives_begun + KEEPALIVES_PER_TURN;
        while due(self.keepalives_begun) <= drive.now_ns() && self.keepalives_begun < last {
            let client = (self.keepalives_begun % self.asked as u64) as u32;
            let intended_ns = due(self.keepalives_begun);
            let begun = drive.call(client, &self.health_check, TAG_KEEPALIVE, intended_ns);
            self.no_room += u64::from(!begun && drive.is_ready(client));
            self.keepalives_begun += 1;
        }
        due(self.keepalives_begun)
    }

    /// Lets the next client change its metadata, when it is time.
    fn change(&mut self, drive: &mut Drive) {
        if self.plan.change_every.is_zero() {
            self.next_change_ns = u64::MAX;
            return;
        }
        if drive.now_ns() < self.next_change_ns {
            return;
        }
        self.next_change_ns += self.plan.change_every.as_nanos() as u64;
        // A stride without a common factor with most counts visits services far apart.
        self.next_changer = (self.next_changer + 7_919) % self.asked;
        let client = self.next_changer;
        if !drive.is_ready(client as u32) || self.truth.is_pending(client) {
            return;
        }
        let sequence = self.truth.next_sequence(client);
        let message = self.registration(client, sequence);
        if drive.call(client as u32, &message, TAG_CHANGE, drive.now_ns()) {
            self.truth.begin(client, sequence, drive.now_ns());
        }
    }

    fn registration(&self, client: usize, sequence: u64) -> Vec<u8> {
        let instance = feed::instance(client, sequence);
        let service = client / self.plan.per_service;
        Script::message(&feed::register(&self.plan.run, service, instance))
    }

    fn subscription(&self, client: usize) -> Vec<u8> {
        let service = client / self.plan.per_service;
        Script::message(&SubscribeServiceRequest {
            namespace: Some("public".into()),
            service_name: Some(feed::service_name(&self.plan.run, service)),
            group_name: Some("DEFAULT_GROUP".into()),
            subscribe: true,
            clusters: Some(String::new()),
            ..SubscribeServiceRequest::default()
        })
    }

    /// Waits until everybody knows the truth, and returns how many do not.
    fn settle(&mut self, drive: &mut Drive) -> io::Result<usize> {
        let mut behind = self.truth.behind(|client| drive.is_ready(client));
        let mut moved_ns = drive.now_ns();
        while behind > 0 && drive.now_ns() - moved_ns < self.plan.patience.as_nanos() as u64 {
            self.hold(Duration::from_millis(100), false, drive)?;
            let now = self.truth.behind(|client| drive.is_ready(client));
            if now < behind {
                moved_ns = drive.now_ns();
            }
            behind = now;
        }
        Ok(behind)
    }

    fn begin(&mut self, turn: &mut Turn<'_>, message: &[u8], tag: u32) {
        let now_ns = turn.now_ns;
        self.no_room += u64::from(!turn.call(message, tag, now_ns));
    }

    /// A list, by push or answer, has reached a client.
    fn look(&mut self, client: u32, now_ns: u64, body: &[u8]) {
        let Some(glance) = self.glances.read(body) else {
            self.unreadable += 1;
            return;
        };
        let change = self.truth.look(client as usize, &glance);
        if let Some(change) = change {
            let latency_ns = now_ns - change.began_ns;
            report::record(&mut self.change_each, latency_ns);
            if change.was_last {
                report::record(&mut self.change_last, latency_ns);
            }
        }
    }

    fn figures(&mut self, behind: usize, drive: &Drive, time: Duration, report: &mut Report) {
        report.figure("pushes", self.pushes as f64, "pushes", self.pushes.to_string());
        report.histogram("keepalive", "keep-alive", self.latency.clone(), time);
        if !self.change_each.is_empty() {
            let (each, last) = (self.change_each.clone(), self.change_last.clone());
            report.histogram("change_each", "change to each subscriber", each, time);
            report.histogram("change_last", "change to last subscriber", last, time);
        }
        report_lost(drive, report);
        for (count, what) in [
            (behind as u64, "clients do not know the true list"),
            (self.truth.out_of_order(), "lists older than one before them"),
            (self.unreadable, "pushes that cannot be read"),
            (self.no_room, "calls or acks found no room"),
            (self.failed, "calls failed"),
        ] {
            if count > 0 {
                report.fault(format!("{count} {what}"));
            }
        }
        let judges = [&self.register_judge, &self.subscribe_judge, &self.health_judge];
        for (count, why) in judges.map(Judge::wrong) {
            if count > 0 {
                let why = why.or(self.first_failure.as_deref()).unwrap_or_default();
                report.fault(format!("{count} wrong answers, first: {why}"));
            }
        }
    }
}

impl Scenario for Fleet<'_> {
    fn event(&mut self, mut turn: Turn<'_>, event: Event<'_>) {
        let client = turn.client as usize;
        match event {
            Event::Ready => {
                let message = self.registration(client, 0);
                self.begin(&mut turn, &message, TAG_REGISTER);
            }
            Event::Answer { tag: TAG_REGISTER, message, .. } => {
                self.register_judge.check(message);
                self.truth.registered(client, 0);
                let message = self.subscription(client);
                self.begin(&mut turn, &message, TAG_SUBSCRIBE);
            }
            Event::Answer { tag: TAG_SUBSCRIBE, message, .. } => {
                self.subscribe_judge.check(message);
                self.whole += 1;
                match crate::envelope::decode(message) {
                    Ok(payload) => self.look(turn.client, turn.now_ns, payload.body),
                    Err(_) => self.unreadable += 1,
                }
            }
            Event::Answer { tag: TAG_KEEPALIVE, intended_ns, message } => {
                self.health_judge.check(message);
                self.keepalives += 1;
                report::record(&mut self.latency, turn.now_ns - intended_ns);
            }
            Event::Answer { message, .. } => {
                self.register_judge.check(message);
            }
            Event::Failed { fault, .. } => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| fault.to_string());
            }
            Event::Push(push) => {
                self.pushes += 1;
                self.no_room += u64::from(!push::acknowledge(&mut turn, &push));
                if push.kind == "NotifySubscriberRequest" {
                    self.look(turn.client, turn.now_ns, push.body);
                }
            }
        }
    }
}
