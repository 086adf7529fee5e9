//! `unary`: one kind of request, closed loop or open, every answer judged.
//!
//! Closed loop: so many calls are always under way. Open loop: calls begin on a schedule whatever
//! the server does, and latency counts from the scheduled time, so a stall is counted in full.

mod load;

use super::config::wire;
use super::feed::{self, Feed, Register};
use super::{Costs, Target};
use crate::check::Judge;
use crate::drive::{Drive, Traffic};
use crate::report::Report;
use load::{Load, Pacer};
use nacre_proto::client::request::{
    BatchInstanceRequest, HealthCheckRequest, ServerCheckRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::client::response::{
    ConfigQueryResponse, QueryServiceResponse, ServiceListResponse, SubscribeServiceResponse,
};
use std::io;
use std::time::Duration;

/// Instances of a queried service.
const QUERY_INSTANCES: usize = 10;

/// Bytes of a config's content.
const CONTENT_BYTES: usize = 1_024;

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
    ConfigPublish,
    ConfigQuery,
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
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let mut drive = target.drive("naming", plan.connections)?;
    prepare(plan, &mut drive)?;
    let (feed, judge) = feed_of(plan);
    let mut load = Load::new(feed, judge, plan.rate.is_none());
    let begin_ns = drive.now_ns() + plan.warmup.as_nanos() as u64;
    load.window = (begin_ns, begin_ns + plan.duration.as_nanos() as u64);
    load.latency.begin(begin_ns, plan.duration);
    let mut pacer = Pacer::new(plan, drive.now_ns());
    pacer.until(begin_ns, &mut drive, &mut load)?;
    let server = target.server.as_ref();
    let before = Costs::now(server, &drive)?;
    let began = drive.traffic();
    load.done = 0;
    pacer.until(load.window.1, &mut drive, &mut load)?;
    let (done, ended) = (load.done, drive.traffic());
    let after = Costs::now(server, &drive)?;
    let late = pacer.late();
    load.drain(&mut drive)?;
    let mut report = Report::new(&target.name, request_name(plan.request), workload(plan));
    after.report_requests(&before, done, &load.latency, &mut report);
    report_wire(began, ended, done, &mut report);
    load.faults(&drive, late, &mut report);
    Ok(report)
}

/// What a call and its answer weigh on the wire: the sizes `echo` is to be run with.
fn report_wire(began: Traffic, ended: Traffic, done: u64, report: &mut Report) {
    let each = |ended: u64, began: u64| (ended - began) as f64 / done.max(1) as f64;
    let sent = each(ended.sent_bytes, began.sent_bytes);
    let received = each(ended.received_bytes, began.received_bytes);
    let text = format!("{sent:.1} B sent, {received:.1} B received");
    report.figure("request_wire_bytes", sent, "wire/request", text);
    report.silent_figure("answer_wire_bytes", received);
}

/// The request's name on the command line and in reports.
pub fn request_name(request: Request) -> &'static str {
    match request {
        Request::HealthCheck => "health-check",
        Request::ServerCheck => "server-check",
        Request::ServiceQuery => "service-query",
        Request::Register => "register",
        Request::ServiceList => "service-list",
        Request::Subscribe => "subscribe",
        Request::ConfigPublish => "config-publish",
        Request::ConfigQuery => "config-query",
    }
}

fn workload(plan: &Plan) -> String {
    let load = match plan.rate {
        Some(rate) => format!("open loop {rate}/s"),
        None => format!("closed loop, {} in flight", plan.in_flight),
    };
    let (connections, services) = (plan.connections, plan.services);
    let seconds = plan.duration.as_secs_f64();
    format!("{connections} connections, {services} services, {load}, {seconds} s")
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
            // Once each: a second batch of another client would add to the first.
            setup.limit = plan.services as u64;
        }
        Request::Register | Request::ServiceList | Request::Subscribe => {
            setup.feed = register_feed(plan);
        }
        Request::ConfigPublish | Request::ConfigQuery => {
            setup.feed = publish_feed(plan);
            setup.judge = Judge::success("ConfigPublishResponse");
        }
    }
    setup.window = (0, u64::MAX);
    setup.fill(drive, plan.connections, plan.in_flight.max(plan.connections));
    while !setup.is_covered() || setup.finished() < setup.limit {
        drive.turn(Duration::from_millis(100), &mut setup)?;
        setup.refill(drive);
        setup.fail_early(drive)?;
        if drive.is_interrupted() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted while preparing"));
        }
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

fn publish_feed(plan: &Plan) -> Feed {
    let (configs, clients) = (plan.services, plan.connections);
    Feed::Register(Register::publishes(&plan.run, configs, clients, CONTENT_BYTES))
}

fn batch(run: &str, service: usize) -> BatchInstanceRequest {
    BatchInstanceRequest {
        namespace: Some("public".into()),
        service_name: Some(feed::service_name(run, service)),
        group_name: Some("DEFAULT_GROUP".into()),
        operation: "batchRegisterInstance".into(),
        instances: (0..QUERY_INSTANCES).map(|at| feed::instance(at, 0, 0)).collect(),
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
        Request::ConfigPublish => (publish_feed(plan), Judge::success("ConfigPublishResponse")),
        Request::ConfigQuery => {
            let query = |at| wire::query(&plan.run, at, false);
            let feed = Feed::Cycle((0..plan.services).map(query).collect());
            (feed, Judge::new("ConfigQueryResponse", Box::new(has_content)))
        }
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

fn has_content(body: &[u8]) -> Result<(), String> {
    let answer: ConfigQueryResponse = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    match answer.content.map_or(0, |content| content.len()) {
        CONTENT_BYTES => Ok(()),
        other => Err(format!("{other} bytes instead of {CONTENT_BYTES}")),
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
