//! `unary`: one kind of request, closed loop or open, every answer judged.
//!
//! Closed loop: so many calls are always under way. Open loop: calls begin on a schedule whatever
//! the server does, and latency counts from the scheduled time, so a stall is counted in full.

use super::feed::{self, Feed, Register};
use super::{Costs, report_lost};
use crate::check::Judge;
use crate::drive::{Drive, Scenario, Turn};
use crate::probe::Probe;
use crate::push;
use crate::report::{self, Report};
use crate::session::Event;
use hdrhistogram::Histogram;
use nacre_proto::client::request::{
    BatchInstanceRequest, HealthCheckRequest, ServerCheckRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::client::response::{
    QueryServiceResponse, ServiceListResponse, SubscribeServiceResponse,
};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long unanswered calls are waited for after the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Scheduled calls that may wait for room on a connection.
const BACKLOG_MAX: usize = 1 << 20;

/// Instances of a queried service.
const QUERY_INSTANCES: usize = 10;

/// Names on a page of the list.
const PAGE_SIZE: usize = 10;

/// Different list pages in rotation.
const PAGES: usize = 64;

/// Which request is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Request {
    HealthCheck,
    ServerCheck,
    ServiceQuery,
    Register,
    ServiceList,
    Subscribe,
}

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub request: Request,
    pub connections: usize,
    /// Calls under way in all; closed loop.
    pub in_flight: usize,
    /// Calls per second; open loop.
    pub rate: Option<u64>,
    pub warmup: Duration,
    pub duration: Duration,
    pub services: usize,
    /// Prefix of this run's service names.
    pub run: String,
}

/// Prepares, drives and reports.
pub fn run(
    plan: &Plan,
    name: &str,
    target: SocketAddr,
    server: Option<&Probe>,
) -> io::Result<Report> {
    let mut drive = Drive::new(target, "naming", plan.connections)?;
    prepare(plan, &mut drive)?;
    let (feed, judge) = feed_of(plan);
    let mut load = Load::new(feed, judge, plan.rate.is_none());
    let begin_ns = drive.now_ns() + plan.warmup.as_nanos() as u64;
    load.window = (begin_ns, begin_ns + plan.duration.as_nanos() as u64);
    let schedule = plan.rate.map(|rate| Schedule::new(rate, drive.now_ns()));
    let mut pacer = Pacer { plan, schedule, next_client: 0, backlog: VecDeque::new() };
    pacer.until(begin_ns, &mut drive, &mut load)?;
    let before = Costs::now(server, &drive)?;
    load.done = 0;
    pacer.until(load.window.1, &mut drive, &mut load)?;
    let measured_ns = drive.now_ns() - before.at_ns;
    let done = load.done;
    let after = Costs::now(server, &drive)?;
    let late = pacer.backlog.len() as u64;
    load.drain(&mut drive)?;
    let mut report = Report::new(title(plan, name));
    let rate = done as f64 * 1e9 / measured_ns as f64;
    report.figure("requests_per_s", rate, "requests/s", format!("{rate:.0}"));
    if server.is_some() {
        after.report_server(&before, Some(("request", done)), &mut report);
    }
    after.report_own(&before, &mut report);
    let time = Duration::from_nanos(measured_ns);
    report.histogram("latency", "latency", std::mem::replace(&mut load.latency, empty()), time);
    load.faults(&drive, late, &mut report);
    Ok(report)
}

fn title(plan: &Plan, name: &str) -> String {
    let request = clap::ValueEnum::to_possible_value(&plan.request);
    let request = request.as_ref().map_or("", |value| value.get_name());
    let load = match plan.rate {
        Some(rate) => format!("open loop {rate}/s"),
        None => format!("closed loop, {} in flight", plan.in_flight),
    };
    let seconds = plan.duration.as_secs_f64();
    format!("{name} unary {request}: {} connections, {load}, {seconds} s", plan.connections)
}

/// Connects everyone and registers what the requests will find.
fn prepare(plan: &Plan, drive: &mut Drive) -> io::Result<()> {
    let quiet = Feed::Cycle(Vec::new());
    let mut setup = Load::new(quiet, Judge::success("InstanceResponse"), true);
    drive.open(plan.connections, &mut setup)?;
    if drive.ready() == 0 {
        let (_, reasons) = drive.lost();
        return Err(io::Error::other(format!("no client could set up: {reasons:?}")));
    }
    match plan.request {
        Request::HealthCheck | Request::ServerCheck => return Ok(()),
        Request::ServiceQuery => {
            setup.feed = Feed::cycle((0..plan.services).map(|at| batch(&plan.run, at)));
            setup.judge = Judge::success("BatchInstanceResponse");
        }
        Request::Register | Request::ServiceList | Request::Subscribe => {
            setup.feed = register_feed(plan);
        }
    }
    setup.limit = match plan.request {
        Request::ServiceQuery => plan.services as u64,
        // Every connection's share is rounded up, so that each service is there.
        _ => (plan.services.div_ceil(plan.connections) * plan.connections) as u64,
    };
    setup.window = (0, u64::MAX);
    setup.fill(drive, plan.connections, plan.in_flight.max(plan.connections));
    while setup.finished() < setup.limit {
        drive.turn(Duration::from_millis(100), &mut setup)?;
        setup.refill(drive);
        setup.fail_early(drive)?;
    }
    match setup.judge.wrong() {
        (0, _) => Ok(()),
        (count, why) => {
            let why = why.unwrap_or_default();
            Err(io::Error::other(format!("{count} wrong answers while preparing, first: {why}")))
        }
    }
}

fn register_feed(plan: &Plan) -> Feed {
    Feed::Register(Register::new(&plan.run, plan.services, plan.connections))
}

fn batch(run: &str, service: usize) -> BatchInstanceRequest {
    BatchInstanceRequest {
        namespace: Some("public".into()),
        service_name: Some(feed::service_name(run, service)),
        group_name: Some("DEFAULT_GROUP".into()),
        operation: "batchRegisterInstance".into(),
        instances: (0..QUERY_INSTANCES).map(|at| feed::instance(at, 0)).collect(),
        ..BatchInstanceRequest::default()
    }
}

/// What is sent in the measured part, and what must come back.
fn feed_of(plan: &Plan) -> (Feed, Judge) {
    let service = |at| Some(feed::service_name(&plan.run, at));
    let (public, group) = (Some("public".to_owned()), Some("DEFAULT_GROUP".to_owned()));
    match plan.request {
        Request::HealthCheck => {
            (Feed::cycle([HealthCheckRequest::default()]), Judge::success("HealthCheckResponse"))
        }
        Request::ServerCheck => {
            (Feed::cycle([ServerCheckRequest::default()]), Judge::success("ServerCheckResponse"))
        }
        Request::Register => (register_feed(plan), Judge::success("InstanceResponse")),
        Request::ServiceQuery => {
            let requests = (0..plan.services).map(|at| ServiceQueryRequest {
                namespace: public.clone(),
                service_name: service(at),
                group_name: group.clone(),
                cluster: Some(String::new()),
                ..ServiceQueryRequest::default()
            });
            (Feed::cycle(requests), Judge::new("QueryServiceResponse", Box::new(has_instances)))
        }
        Request::ServiceList => {
            let pages = plan.services.div_ceil(PAGE_SIZE).clamp(1, PAGES);
            let step = (plan.services / PAGE_SIZE / pages).max(1);
            let requests = (0..pages).map(|page| ServiceListRequest {
                namespace: public.clone(),
                service_name: Some(String::new()),
                group_name: group.clone(),
                page_no: (page * step + 1) as i64,
                page_size: PAGE_SIZE as i64,
                ..ServiceListRequest::default()
            });
            let least = plan.services;
            let test = move |body: &[u8]| has_page(body, least);
            (Feed::cycle(requests), Judge::new("ServiceListResponse", Box::new(test)))
        }
        Request::Subscribe => {
            let requests = (0..plan.services * 2).map(|at| SubscribeServiceRequest {
                namespace: public.clone(),
                service_name: service(at % plan.services),
                group_name: group.clone(),
                subscribe: at < plan.services,
                clusters: Some(String::new()),
                ..SubscribeServiceRequest::default()
            });
            (Feed::cycle(requests), Judge::new("SubscribeServiceResponse", Box::new(has_info)))
        }
    }
}

fn has_instances(body: &[u8]) -> Result<(), String> {
    let answer: QueryServiceResponse = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    match answer.service_info.map_or(0, |info| info.hosts.len()) {
        QUERY_INSTANCES => Ok(()),
        other => Err(format!("{other} instances instead of {QUERY_INSTANCES}")),
    }
}

fn has_page(body: &[u8], services: usize) -> Result<(), String> {
    let answer: ServiceListResponse = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let names = answer.service_names.map_or(0, |names| names.len());
    if answer.count < services as i64 || names != PAGE_SIZE.min(services) {
        return Err(format!("{names} names of {}", answer.count));
    }
    Ok(())
}

fn has_info(body: &[u8]) -> Result<(), String> {
    let answer: SubscribeServiceResponse =
        serde_json::from_slice(body).map_err(|e| e.to_string())?;
    answer.service_info.map(drop).ok_or_else(|| "no serviceInfo".to_owned())
}

/// When calls are due.
struct Schedule {
    from_ns: u64,
    rate: u64,
    begun: u64,
}

impl Schedule {
    fn new(rate: u64, from_ns: u64) -> Self {
        Self { from_ns, rate, begun: 0 }
    }

    /// The time of the next call.
    fn due_ns(&self) -> u64 {
        self.from_ns + (u128::from(self.begun) * 1_000_000_000 / u128::from(self.rate)) as u64
    }
}

/// Keeps the load at what was asked for.
struct Pacer<'a> {
    plan: &'a Plan,
    schedule: Option<Schedule>,
    next_client: usize,
    backlog: VecDeque<u64>,
}

impl Pacer<'_> {
    fn until(&mut self, end_ns: u64, drive: &mut Drive, load: &mut Load) -> io::Result<()> {
        if self.schedule.is_none() && load.begun == 0 {
            load.fill(drive, self.plan.connections, self.plan.in_flight);
        }
        while drive.now_ns() < end_ns && drive.ready() > 0 {
            let now_ns = drive.now_ns();
            let mut wake_ns = end_ns;
            if let Some(schedule) = &mut self.schedule {
                while schedule.due_ns() <= now_ns && self.backlog.len() < BACKLOG_MAX {
                    self.backlog.push_back(schedule.due_ns());
                    schedule.begun += 1;
                }
                wake_ns = wake_ns.min(schedule.due_ns());
                self.begin_due(drive, load);
            } else {
                load.refill(drive);
            }
            let wait = Duration::from_nanos(wake_ns.saturating_sub(now_ns));
            drive.turn(wait, load)?;
        }
        Ok(())
    }

    /// Begins what is due; a connection without room is passed over.
    fn begin_due(&mut self, drive: &mut Drive, load: &mut Load) {
        let mut full = 0;
        while let Some(&intended_ns) = self.backlog.front() {
            let client = self.next_client as u32;
            self.next_client = (self.next_client + 1) % self.plan.connections;
            if load.begin(drive, client, intended_ns) {
                self.backlog.pop_front();
                full = 0;
            } else {
                full += 1;
                if full == self.plan.connections {
                    return;
                }
            }
        }
    }
}

fn empty() -> Histogram<u64> {
    report::latencies()
}

/// Begins calls and judges answers.
struct Load {
    feed: Feed,
    judge: Judge,
    closed_loop: bool,
    stopping: bool,
    limit: u64,
    begun: u64,
    answered: u64,
    failed: u64,
    first_failure: Option<String>,
    /// Calls of the closed loop that found no room on their connection.
    owed: VecDeque<u32>,
    acks_missed: u64,
    window: (u64, u64),
    /// Good answers since it was last set to zero.
    done: u64,
    latency: Histogram<u64>,
}

impl Load {
    fn new(feed: Feed, judge: Judge, closed_loop: bool) -> Self {
        Self {
            feed,
            judge,
            closed_loop,
            stopping: false,
            limit: u64::MAX,
            begun: 0,
            answered: 0,
            failed: 0,
            first_failure: None,
            owed: VecDeque::new(),
            acks_missed: 0,
            window: (u64::MAX, u64::MAX),
            done: 0,
            latency: empty(),
        }
    }

    fn finished(&self) -> u64 {
        self.answered + self.failed
    }

    /// Begins the closed loop's calls, spread over the connections.
    fn fill(&mut self, drive: &mut Drive, connections: usize, in_flight: usize) {
        for at in 0..in_flight {
            let client = (at % connections) as u32;
            if self.begun < self.limit && !self.begin(drive, client, drive.now_ns()) {
                self.owed.push_back(client);
            }
        }
    }

    fn refill(&mut self, drive: &mut Drive) {
        for _ in 0..self.owed.len() {
            let Some(client) = self.owed.pop_front() else { return };
            if self.begun < self.limit && !self.begin(drive, client, drive.now_ns()) {
                self.owed.push_back(client);
            }
        }
    }

    fn begin(&mut self, drive: &mut Drive, client: u32, intended_ns: u64) -> bool {
        let begun = drive.call(client, self.feed.next(client, self.begun), 0, intended_ns);
        self.begun += u64::from(begun);
        begun
    }

    /// The next call of the closed loop, on the connection that has just been answered.
    fn next(&mut self, turn: &mut Turn<'_>) {
        if !self.closed_loop || self.stopping || self.begun >= self.limit {
            return;
        }
        let message = self.feed.next(turn.client, self.begun);
        if turn.call(message, 0, turn.now_ns) {
            self.begun += 1;
        } else {
            self.owed.push_back(turn.client);
        }
    }

    fn drain(&mut self, drive: &mut Drive) -> io::Result<()> {
        self.stopping = true;
        let end_ns = drive.now_ns() + DRAIN.as_nanos() as u64;
        while self.finished() < self.begun && drive.now_ns() < end_ns && drive.ready() > 0 {
            drive.turn(Duration::from_millis(10), self)?;
        }
        Ok(())
    }

    fn fail_early(&self, drive: &Drive) -> io::Result<()> {
        let (lost, reasons) = drive.lost();
        if lost > 0 || self.failed > 0 {
            let why = self.first_failure.as_deref().unwrap_or_default();
            return Err(io::Error::other(format!("preparing failed: {reasons:?} {why}")));
        }
        Ok(())
    }

    fn faults(&self, drive: &Drive, late: u64, report: &mut Report) {
        report_lost(drive, report);
        if let (count @ 1.., why) = self.judge.wrong() {
            report.fault(format!("{count} wrong answers, first: {}", why.unwrap_or_default()));
        }
        if self.failed > 0 {
            let why = self.first_failure.as_deref().unwrap_or_default();
            report.fault(format!("{} calls failed, first: {why}", self.failed));
        }
        if self.finished() < self.begun {
            let count = self.begun - self.finished();
            report.fault(format!("{count} calls unanswered {} s after the end", DRAIN.as_secs()));
        }
        if late > 0 {
            report.fault(format!("{late} scheduled calls could not begin: no room"));
        }
        if self.acks_missed > 0 {
            report.fault(format!("{} pushes found no window to be acked", self.acks_missed));
        }
    }
}

impl Scenario for Load {
    fn event(&mut self, mut turn: Turn<'_>, event: Event<'_>) {
        match event {
            Event::Ready => {}
            Event::Push(push) => {
                let acked = push::acknowledge(&mut turn, &push);
                self.acks_missed += u64::from(!acked);
            }
            Event::Answer { intended_ns, message, .. } => {
                self.answered += 1;
                if self.judge.check(message) {
                    self.done += 1;
                }
                // The open loop counts what was meant for the window, the closed loop, which
                // means nothing, what ended in it.
                let counted = if self.closed_loop { turn.now_ns } else { intended_ns };
                if (self.window.0..self.window.1).contains(&counted) {
                    report::record(&mut self.latency, turn.now_ns - intended_ns);
                }
                self.next(&mut turn);
            }
            Event::Failed { fault, .. } => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| fault.to_string());
                self.next(&mut turn);
            }
        }
    }
}
