//! `fanout`: one service, many subscribers; how long a change takes to each of them.

use super::feed::{self, SEQUENCE_KEY};
use super::{Costs, report_lost};
use crate::check::Judge;
use crate::drive::{Drive, Scenario, Turn};
use crate::probe::Probe;
use crate::push;
use crate::report::{self, Report};
use crate::session::{Event, Script};
use hdrhistogram::Histogram;
use nacre_proto::client::push::NotifySubscriberRequest;
use nacre_proto::client::request::SubscribeServiceRequest;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Changes before the measured ones.
const WARMUP_CHANGES: u64 = 3;

/// How long the last subscriber may take before the run goes on, and at the end gives up.
const PATIENCE: Duration = Duration::from_secs(10);

const TAG_REGISTER: u32 = 1;
const TAG_SUBSCRIBE: u32 = 2;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub subscribers: usize,
    pub changes: u64,
    /// From change to change, unless the last one is still on its way.
    pub every: Duration,
    pub run: String,
}

/// Sets up, changes, measures, and reports.
pub fn run(
    plan: &Plan,
    name: &str,
    target: SocketAddr,
    server: Option<&Probe>,
) -> io::Result<Report> {
    let mut fanout = Fanout::new(plan.subscribers);
    let mut drive = Drive::new(target, "naming", plan.subscribers + 1)?;
    drive.open(plan.subscribers + 1, &mut fanout)?;
    let publisher = Publisher { client: plan.subscribers as u32, run: &plan.run };
    publisher.change(0, &mut drive, &mut fanout)?;
    subscribe_all(plan, &mut drive, &mut fanout)?;
    for sequence in 1..=WARMUP_CHANGES {
        publisher.change(sequence, &mut drive, &mut fanout)?;
        fanout.wait_all(&mut drive)?;
    }
    fanout.measured_from = WARMUP_CHANGES + 1;
    let before = Costs::now(server, &drive)?;
    for sequence in fanout.measured_from..fanout.measured_from + plan.changes {
        let next_ns = drive.now_ns() + plan.every.as_nanos() as u64;
        publisher.change(sequence, &mut drive, &mut fanout)?;
        fanout.wait_all(&mut drive)?;
        let left = next_ns.saturating_sub(drive.now_ns());
        drive.run_for(Duration::from_nanos(left), &mut fanout)?;
    }
    let after = Costs::now(server, &drive)?;
    let mut report = Report::new(format!(
        "{name} fanout: {} subscribers, {} changes, one every {} ms",
        plan.subscribers,
        plan.changes,
        plan.every.as_millis()
    ));
    if server.is_some() {
        after.report_server(&before, Some(("push", fanout.pushes_measured)), &mut report);
    }
    after.report_own(&before, &mut report);
    let time = Duration::from_nanos(after.at_ns - before.at_ns);
    report.histogram("first", "change to first subscriber", fanout.first.clone(), time);
    report.histogram("each", "change to each subscriber", fanout.each.clone(), time);
    report.histogram("last", "change to last subscriber", fanout.last.clone(), time);
    fanout.faults(&drive, &mut report);
    Ok(report)
}

/// The one client whose metadata changes.
struct Publisher<'a> {
    client: u32,
    run: &'a str,
}

impl Publisher<'_> {
    fn change(&self, sequence: u64, drive: &mut Drive, fanout: &mut Fanout) -> io::Result<()> {
        let instance = feed::instance(0, sequence);
        let message = Script::message(&feed::register(self.run, 0, instance));
        fanout.begin(sequence, drive.now_ns());
        if !drive.call(self.client, &message, TAG_REGISTER, drive.now_ns()) {
            return Err(io::Error::other("the publisher cannot call"));
        }
        while fanout.registered < sequence + 1 {
            drive.turn(PATIENCE, fanout)?;
            fanout.check_refusals()?;
        }
        Ok(())
    }
}

fn subscribe_all(plan: &Plan, drive: &mut Drive, fanout: &mut Fanout) -> io::Result<()> {
    let message = Script::message(&SubscribeServiceRequest {
        namespace: Some("public".into()),
        service_name: Some(feed::service_name(&plan.run, 0)),
        group_name: Some("DEFAULT_GROUP".into()),
        subscribe: true,
        clusters: Some(String::new()),
        ..SubscribeServiceRequest::default()
    });
    for client in 0..plan.subscribers as u32 {
        if !drive.call(client, &message, TAG_SUBSCRIBE, drive.now_ns()) {
            return Err(io::Error::other(format!("subscriber {client} cannot call")));
        }
    }
    let end_ns = drive.now_ns() + PATIENCE.as_nanos() as u64;
    while fanout.subscribed < plan.subscribers {
        drive.turn(Duration::from_millis(100), fanout)?;
        fanout.check_refusals()?;
        if drive.now_ns() > end_ns {
            return Err(io::Error::other(format!("{} have subscribed", fanout.subscribed)));
        }
    }
    Ok(())
}

/// Who has seen which change, and when.
struct Fanout {
    /// The newest change each subscriber has seen; `u64::MAX` before any.
    seen: Vec<u64>,
    current: u64,
    began_ns: u64,
    waiting: usize,
    measured_from: u64,
    pushes_measured: u64,
    registered: u64,
    subscribed: usize,
    register_judge: Judge,
    subscribe_judge: Judge,
    first: Histogram<u64>,
    each: Histogram<u64>,
    last: Histogram<u64>,
    stale: u64,
    unreadable: u64,
    acks_missed: u64,
    failed: Option<String>,
}

impl Fanout {
    fn new(subscribers: usize) -> Self {
        Self {
            seen: vec![u64::MAX; subscribers],
            current: 0,
            began_ns: 0,
            waiting: 0,
            measured_from: u64::MAX,
            pushes_measured: 0,
            registered: 0,
            subscribed: 0,
            register_judge: Judge::success("InstanceResponse"),
            subscribe_judge: Judge::success("SubscribeServiceResponse"),
            first: report::latencies(),
            each: report::latencies(),
            last: report::latencies(),
            stale: 0,
            unreadable: 0,
            acks_missed: 0,
            failed: None,
        }
    }

    fn begin(&mut self, sequence: u64, now_ns: u64) {
        self.current = sequence;
        self.began_ns = now_ns;
        self.waiting = self.seen.len();
    }

    /// Turns until every subscriber has the current change; subscribers that never get it are
    /// told by [`Fanout::faults`].
    fn wait_all(&mut self, drive: &mut Drive) -> io::Result<()> {
        let end_ns = drive.now_ns() + PATIENCE.as_nanos() as u64;
        while self.waiting > 0 && drive.now_ns() < end_ns {
            drive.turn(Duration::from_millis(100), self)?;
        }
        Ok(())
    }

    fn check_refusals(&self) -> io::Result<()> {
        let wrong = self.register_judge.wrong().1.or(self.subscribe_judge.wrong().1);
        match wrong.or(self.failed.as_deref()) {
            Some(why) => Err(io::Error::other(why.to_owned())),
            None => Ok(()),
        }
    }

    /// A list that carries change `sequence` reached a subscriber.
    fn saw(&mut self, client: u32, sequence: u64, now_ns: u64) -> bool {
        let Some(seen) = self.seen.get_mut(client as usize) else { return false };
        if *seen != u64::MAX && sequence < *seen {
            self.stale += 1;
            return false;
        }
        let news = *seen != sequence && sequence == self.current;
        *seen = sequence;
        if !news {
            return false;
        }
        let latency_ns = now_ns - self.began_ns;
        let first = self.waiting == self.seen.len();
        self.waiting -= 1;
        if sequence >= self.measured_from {
            self.pushes_measured += 1;
            report::record(&mut self.each, latency_ns);
            if first {
                report::record(&mut self.first, latency_ns);
            }
            if self.waiting == 0 {
                report::record(&mut self.last, latency_ns);
            }
        }
        first
    }

    /// Decodes a push whole and compares it with what the publisher sent.
    fn decode(&mut self, body: &[u8], sequence: u64) {
        let parsed = serde_json::from_slice::<NotifySubscriberRequest>(body);
        let good = parsed.is_ok_and(|push| {
            push.service_info.hosts.iter().any(|host| {
                let metadata = host.metadata.as_ref();
                let value = metadata.and_then(|pairs| pairs.get(SEQUENCE_KEY));
                value.is_some_and(|value| *value == feed::sequence_text(sequence))
            })
        });
        self.unreadable += u64::from(!good);
    }

    fn faults(&self, drive: &Drive, report: &mut Report) {
        report_lost(drive, report);
        let behind = self.seen.iter().filter(|seen| **seen != self.current).count();
        for (count, what) in [
            (behind as u64, "subscribers without the final state"),
            (self.stale, "pushes older than one before them"),
            (self.unreadable, "pushes that do not say what was published"),
            (self.acks_missed, "pushes that found no window to be acked"),
        ] {
            if count > 0 {
                report.fault(format!("{count} {what}"));
            }
        }
        if let Err(why) = self.check_refusals() {
            report.fault(why.to_string());
        }
    }
}

impl Scenario for Fanout {
    fn event(&mut self, mut turn: Turn<'_>, event: Event<'_>) {
        match event {
            Event::Ready => {}
            Event::Answer { tag: TAG_REGISTER, message, .. } => {
                self.register_judge.check(message);
                self.registered += 1;
            }
            Event::Answer { message, .. } => {
                self.subscribe_judge.check(message);
                self.subscribed += 1;
                let sequence = push::number_after(message, br#""seq""#);
                if let Some(sequence) = sequence {
                    self.saw(turn.client, sequence, turn.now_ns);
                }
            }
            Event::Failed { fault, .. } => {
                self.failed.get_or_insert_with(|| fault.to_string());
            }
            Event::Push(push) => {
                self.acks_missed += u64::from(!push::acknowledge(&mut turn, &push));
                if push.kind != "NotifySubscriberRequest" {
                    return;
                }
                match push::number_after(push.body, br#""seq""#) {
                    // The first of each change is decoded whole; the others carry the same list.
                    Some(sequence) if self.saw(turn.client, sequence, turn.now_ns) => {
                        self.decode(push.body, sequence);
                    }
                    Some(_) => {}
                    None => self.unreadable += 1,
                }
            }
        }
    }
}
