//! `config`: publish, query, listen, be notified.
//!
//! Each client listens to several configs as Java's does: told of a change it asks with the sum
//! it has, queries what changed, and asks again with the new sum until the server sees no
//! difference. Publishing and queries run on fixed schedules, and latency counts from when each
//! was due. Every content is compared byte by byte; at the end each listener must have the last.

mod content;
mod listener;
pub(super) mod wire;

use super::schedule::Schedule;
use super::{Costs, Target, report_counts, report_lost, wrong_answers};
use crate::check::Judge;
use crate::drive::{Drive, Scenario, Turn};
use crate::progress::Progress;
use crate::push;
use crate::report::Report;
use crate::series::Series;
use crate::session::{Event, Script};
use content::Contents;
use listener::{Listeners, Step};
use nacre_proto::client::request::HealthCheckRequest;
use serde::Deserialize;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Sends, and listeners' next questions, between two looks at what has arrived. Everybody is told
/// at once and would then be asked for at once: at some 10 µs each the first hundred questions
/// would make every later notification look a millisecond late.
const WORK_PER_LOOK: usize = 8;

/// Notifications that may have lain unseen for more than this share of their latency say something
/// about us.
const BLIND_MAX: f64 = 0.1;

/// Things of one kind begun per turn at most.
const BEGUN_PER_TURN: usize = 1_024;

/// Seeding and removing keep so many calls under way.
const IN_FLIGHT: usize = 64;

/// Configs at most: a number has 24 bits in a tag.
pub const CONFIGS_MAX: usize = 1 << 24;

/// Configs a client listens to at most: which one has 8 bits in a tag.
pub const EACH_MAX: usize = 255;

/// Kinds of calls: the low byte of a tag. The rest is a config or a client's subscription.
const TAG_PUBLISH: u32 = 1;
const TAG_LISTEN: u32 = 2;
const TAG_QUERY: u32 = 3;
const TAG_LOOK: u32 = 4;
const TAG_KEEPALIVE: u32 = 5;
const TAG_REMOVE: u32 = 6;
const TAG_LISTEN_ALL: u32 = 7;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub clients: usize,
    pub configs: usize,
    /// Configs each client listens to.
    pub each: usize,
    pub content_bytes: usize,
    /// Publishes and queries per second.
    pub publish_rate: usize,
    pub query_rate: usize,
    pub keepalive: Duration,
    pub hold: Duration,
    pub patience: Duration,
    pub run: String,
}

/// Seeds, listens, publishes and queries, checks, removes, and reports.
pub fn run(plan: &Plan, target: &Target) -> io::Result<Report> {
    let workload = format!(
        "{} clients, {} configs of {} B, {} listened to each, {} publishes/s, {} queries/s, {} s",
        plan.clients,
        plan.configs,
        plan.content_bytes,
        plan.each,
        plan.publish_rate,
        plan.query_rate,
        plan.hold.as_secs_f64()
    );
    let mut report = Report::new(&target.name, "config", workload);
    let mut drive = target.drive("config", plan.clients)?;
    let mut readers = Readers::new(plan);
    drive.open(plan.clients, &mut readers)?;
    readers.all("configs published", TAG_PUBLISH, &mut drive)?;
    if let (1.., why) = readers.judges[0].wrong() {
        let why = why.unwrap_or_default();
        return Err(io::Error::other(format!("the configs cannot be published: {why}")));
    }
    readers.listen(&mut drive)?;
    drive.look_after(WORK_PER_LOOK);
    let server = target.server.as_ref();
    readers.measure(&mut drive);
    let before = Costs::now(server, &drive)?;
    readers.hold(plan.hold, &mut drive)?;
    let after = Costs::now(server, &drive)?;
    let behind = readers.settle(&mut drive)?;
    report.count("clients_held", drive.ready() as u64, "clients held");
    after.report_server(&before, Some(("publish", readers.published)), &mut report);
    after.report_own(&before, &mut report);
    readers.report(behind, &drive, &mut report);
    readers.all("configs removed", TAG_REMOVE, &mut drive)?;
    Ok(report)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notified {
    data_id: String,
}

/// All clients, and what they have seen.
struct Readers<'a> {
    plan: &'a Plan,
    contents: Contents,
    listeners: Listeners,
    publishes: Schedule,
    looks: Schedule,
    keepalives: Schedule,
    /// Calls of [`Readers::all`] that ended, and which those are: a publish from before may be
    /// answered among its removals.
    ended: usize,
    counted: u32,
    published: u64,
    health_check: Vec<u8>,
    judges: [Judge; 5],
    publish: Series,
    query: Series,
    keepalive: Series,
    notify: Series,
    notify_last: Series,
    /// For how long, before each notification was seen, we may have overlooked it.
    blind: Series,
    /// What listeners do next, once what has arrived was looked at.
    steps: VecDeque<(u32, u8, Step)>,
    known: Series,
    known_last: Series,
    notifications: u64,
    skipped: u64,
    strange: u64,
    older: u64,
    wrong: u64,
    first_wrong: Option<String>,
    no_room: u64,
    failed: u64,
}

impl<'a> Readers<'a> {
    fn new(plan: &'a Plan) -> Self {
        let never = Schedule::new(Duration::ZERO, 0, 0);
        let kinds = [
            "ConfigPublishResponse",
            "ConfigChangeBatchListenResponse",
            "ConfigQueryResponse",
            "HealthCheckResponse",
            "ConfigRemoveResponse",
        ];
        Self {
            plan,
            contents: Contents::new(plan.content_bytes),
            listeners: Listeners::new(plan.clients, plan.each, plan.configs),
            publishes: never,
            looks: never,
            keepalives: never,
            ended: 0,
            counted: 0,
            published: 0,
            health_check: Script::message(&HealthCheckRequest::default()),
            judges: kinds.map(Judge::success),
            publish: Series::default(),
            query: Series::default(),
            keepalive: Series::default(),
            notify: Series::default(),
            notify_last: Series::default(),
            blind: Series::default(),
            steps: VecDeque::new(),
            known: Series::default(),
            known_last: Series::default(),
            notifications: 0,
            skipped: 0,
            strange: 0,
            older: 0,
            wrong: 0,
            first_wrong: None,
            no_room: 0,
            failed: 0,
        }
    }

    /// Publishes or removes every config, so many at a time.
    fn all(&mut self, what: &'static str, tag: u32, drive: &mut Drive) -> io::Result<()> {
        let (total, mut begun) = (self.plan.configs, 0);
        (self.ended, self.counted) = (0, tag);
        let mut progress = Progress::new(what, 0, total as u64, drive.now_ns());
        let mut moved = (0, drive.now_ns());
        while self.ended < total && drive.ready() > 0 && !drive.is_interrupted() {
            while begun < total && begun < self.ended + IN_FLIGHT {
                let message = match tag {
                    TAG_REMOVE => wire::remove(&self.plan.run, begun),
                    _ => wire::publish(&self.plan.run, begun, self.contents.text(begun, 0)),
                };
                let client = (begun % self.plan.clients) as u32;
                if !drive.call(client, &message, tag | (begun as u32) << 8, drive.now_ns()) {
                    break;
                }
                begun += 1;
            }
            drive.turn(Duration::from_millis(100), self)?;
            progress.at(self.ended as u64, drive.now_ns());
            if self.ended != moved.0 {
                moved = (self.ended, drive.now_ns());
            } else if drive.now_ns() - moved.1 > self.plan.patience.as_nanos() as u64 {
                let why = format!("{} of {total} {what}, then silence", self.ended);
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
        Ok(())
    }

    /// Lets every client listen to its configs, and waits until each has them all.
    fn listen(&mut self, drive: &mut Drive) -> io::Result<()> {
        let run = &self.plan.run;
        for client in 0..self.plan.clients {
            let configs = (0..self.plan.each).map(|at| self.listeners.config(client, at));
            let message = wire::listen(run, configs.map(|config| (config, String::new())));
            let begun = drive.call(client as u32, &message, TAG_LISTEN_ALL, drive.now_ns());
            self.no_room += u64::from(!begun && drive.is_ready(client as u32));
            if client % BEGUN_PER_TURN == 0 {
                drive.turn(Duration::ZERO, self)?;
            }
        }
        let behind = self.settle(drive)?;
        if behind > 0 {
            let why =
                format!("{behind} listeners have not got their config: {:?}", self.first_wrong);
            return Err(io::Error::other(why));
        }
        Ok(())
    }

    fn measure(&mut self, drive: &mut Drive) {
        let (now_ns, plan) = (drive.now_ns(), self.plan);
        let second = Duration::from_secs(1);
        self.publishes = Schedule::new(second, plan.publish_rate, now_ns);
        self.looks = Schedule::new(second, plan.query_rate, now_ns);
        self.keepalives = Schedule::new(plan.keepalive, plan.clients, now_ns);
        (self.published, self.notifications) = (0, 0);
        for series in [
            &mut self.publish,
            &mut self.query,
            &mut self.keepalive,
            &mut self.notify,
            &mut self.notify_last,
            &mut self.blind,
            &mut self.known,
            &mut self.known_last,
        ] {
            series.begin(now_ns, plan.hold);
        }
    }

    fn hold(&mut self, time: Duration, drive: &mut Drive) -> io::Result<()> {
        let (begin_ns, seconds) = (drive.now_ns(), time.as_secs());
        let end_ns = begin_ns + time.as_nanos() as u64;
        let mut progress = Progress::new("seconds", 0, seconds, begin_ns);
        while drive.now_ns() < end_ns && drive.ready() > 0 && !drive.is_interrupted() {
            let wake_ns = self.begin_due(drive).min(end_ns);
            let wait = Duration::from_nanos(wake_ns.saturating_sub(drive.now_ns()));
            drive.turn(wait, self)?;
            progress.at((drive.now_ns() - begin_ns) / 1_000_000_000, drive.now_ns());
        }
        Ok(())
    }

    /// Begins what is due, and says when the next thing is.
    fn begin_due(&mut self, drive: &mut Drive) -> u64 {
        let now_ns = drive.now_ns();
        for _ in 0..BEGUN_PER_TURN {
            let Some((number, intended_ns)) = self.publishes.next(now_ns) else { break };
            self.publish_one(number as usize % self.plan.configs, intended_ns, drive);
        }
        for _ in 0..BEGUN_PER_TURN {
            let Some((number, intended_ns)) = self.looks.next(now_ns) else { break };
            let (client, at) =
                (number as usize % self.plan.clients, number as usize % self.plan.each);
            let message = wire::query(&self.plan.run, self.listeners.config(client, at), false);
            let had = u32::from(self.listeners.had(client, at));
            let tag = TAG_LOOK | (at as u32) << 8 | had << 16;
            self.call(client as u32, &message, tag, intended_ns, drive);
        }
        for _ in 0..BEGUN_PER_TURN {
            let Some((number, intended_ns)) = self.keepalives.next(now_ns) else { break };
            let client = (number % self.plan.clients as u64) as u32;
            let message = std::mem::take(&mut self.health_check);
            self.call(client, &message, TAG_KEEPALIVE, intended_ns, drive);
            self.health_check = message;
        }
        self.take_steps(drive);
        if !self.steps.is_empty() {
            return now_ns;
        }
        self.publishes.due_ns().min(self.looks.due_ns()).min(self.keepalives.due_ns())
    }

    fn call(&mut self, client: u32, message: &[u8], tag: u32, intended_ns: u64, drive: &mut Drive) {
        let begun = drive.call(client, message, tag, intended_ns);
        self.no_room += u64::from(!begun && drive.is_ready(client));
    }

    /// Publishes a config anew, unless the last change of it is still on its way.
    fn publish_one(&mut self, config: usize, intended_ns: u64, drive: &mut Drive) {
        let Some(sequence) = self.listeners.next_sequence(config) else {
            self.skipped += 1;
            return;
        };
        let text = self.contents.text(config, sequence);
        let message = wire::publish(&self.plan.run, config, text);
        let client = (config % self.plan.clients) as u32;
        if drive.call(client, &message, TAG_PUBLISH | (config as u32) << 8, intended_ns) {
            self.listeners.begin(config, sequence, intended_ns);
        } else {
            self.skipped += 1;
        }
    }

    /// No more publishing; waits until each listener has the last content, and returns how many
    /// have not.
    fn settle(&mut self, drive: &mut Drive) -> io::Result<usize> {
        self.publishes = Schedule::new(Duration::ZERO, 0, 0);
        self.looks = self.publishes;
        let (mut left, mut moved_ns) = (usize::MAX, drive.now_ns());
        loop {
            let now = self.listeners.behind(|client| drive.is_ready(client));
            if now < left {
                (left, moved_ns) = (now, drive.now_ns());
            }
            let waited_ns = drive.now_ns() - moved_ns;
            let over = waited_ns > self.plan.patience.as_nanos() as u64 || drive.is_interrupted();
            if left == 0 || over {
                return Ok(left);
            }
            self.hold(Duration::from_millis(50), drive)?;
        }
    }

    /// What a listener does next, as its own machine says.
    fn step(&mut self, client: u32, at: usize, step: Step) {
        if step != Step::Rest {
            self.steps.push_back((client, at as u8, step));
        }
    }

    /// Carries out some of those.
    fn take_steps(&mut self, drive: &mut Drive) {
        for _ in 0..WORK_PER_LOOK {
            let Some((client, at, step)) = self.steps.pop_front() else { return };
            let run = &self.plan.run;
            let config = self.listeners.config(client as usize, usize::from(at));
            let (message, tag) = match step {
                Step::Rest => continue,
                Step::Listen(have) => {
                    let sum = have.map_or_else(String::new, |have| self.contents.sum(config, have));
                    (wire::listen(run, [(config, sum)]), TAG_LISTEN)
                }
                Step::Query => (wire::query(run, config, true), TAG_QUERY),
            };
            self.call(client, &message, tag | u32::from(at) << 8, drive.now_ns(), drive);
        }
    }

    /// An answer to one of a listener's own calls, or to a query on the schedule.
    fn answered(&mut self, turn: &mut Turn<'_>, kind: u32, at: usize, message: &[u8]) {
        let client = turn.client as usize;
        let is_listen = matches!(kind, TAG_LISTEN | TAG_LISTEN_ALL);
        let good = self.judges[if is_listen { 1 } else { 2 }].check(message);
        let body = crate::envelope::decode(message).map(|payload| payload.body).unwrap_or_default();
        match kind {
            TAG_LISTEN | TAG_LISTEN_ALL => {
                let read = serde_json::from_slice::<wire::Listened>(body).unwrap_or_default();
                let changed: Vec<usize> = read
                    .changed_configs
                    .iter()
                    .filter_map(|key| wire::number(&key.data_id))
                    .collect();
                let places = if kind == TAG_LISTEN { at..at + 1 } else { 0..self.plan.each };
                for at in places {
                    let differs = changed.contains(&self.listeners.config(client, at));
                    let step = self.listeners.listened(client, at, differs);
                    self.step(turn.client, at, step);
                }
            }
            _ => {
                // A query of the schedule says what was had when it went: a newer content may have
                // come by another since.
                let had = if kind == TAG_LOOK {
                    (at >> 8) as u16
                } else {
                    self.listeners.had(client, at)
                };
                let at = at & 0xff;
                let sequence = self.read(self.listeners.config(client, at), good, body);
                self.older += u64::from(sequence.is_some_and(|now| is_before(now, had)));
                if kind == TAG_QUERY {
                    let (step, heard) = self.listeners.queried(client, at, sequence);
                    if let Some(heard) = heard {
                        let latency_ns = turn.now_ns.saturating_sub(heard.began_ns);
                        self.known.record(turn.now_ns, latency_ns);
                        if heard.was_last {
                            self.known_last.record(turn.now_ns, latency_ns);
                        }
                    }
                    self.step(turn.client, at, step);
                }
            }
        }
    }

    /// The sequence of a queried content, if all of it is right.
    fn read(&mut self, config: usize, good: bool, body: &[u8]) -> Option<u64> {
        if !good {
            return None;
        }
        let answer = serde_json::from_slice::<wire::Queried>(body).map_err(|e| e.to_string());
        let read =
            answer.and_then(|answer| self.contents.read(config, &answer.content, &answer.md5));
        read.map_err(|why| {
            self.wrong += 1;
            self.first_wrong.get_or_insert(why);
        })
        .ok()
    }

    fn notified(&mut self, turn: &mut Turn<'_>, body: &[u8]) {
        self.notifications += 1;
        let notified = serde_json::from_slice::<Notified>(body).ok();
        let config = notified.and_then(|notified| wire::number(&notified.data_id));
        let client = turn.client as usize;
        let Some(at) = config.and_then(|config| self.listeners.find(client, config)) else {
            self.strange += 1;
            return;
        };
        let (step, heard) = self.listeners.notified(client, at);
        if let Some(heard) = heard {
            let latency_ns = turn.now_ns.saturating_sub(heard.began_ns);
            self.notify.record(turn.now_ns, latency_ns);
            self.blind.record(turn.now_ns, turn.blind_ns);
            if heard.was_last {
                self.notify_last.record(turn.now_ns, latency_ns);
            }
        }
        self.step(turn.client, at, step);
    }

    /// Says how much of a notification's latency may be ours.
    fn report_blind(&self, report: &mut Report) {
        if self.blind.is_empty() {
            return;
        }
        let median = |series: &Series| series.total().value_at_quantile(0.5) as f64;
        let (blind, notify) = (median(&self.blind), median(&self.notify));
        report.series("notify_blind", "of which unseen by us, at most", &self.blind);
        if blind > notify * BLIND_MAX {
            let percent = blind / notify * 100.0;
            report.note(format!(
                "THE GENERATOR WAS THE BOTTLENECK of notifications: up to {percent:.0} % of p50"
            ));
        }
    }

    fn report(&self, behind: usize, drive: &Drive, report: &mut Report) {
        report.count("published", self.published, "published");
        report.count("notifications", self.notifications, "notifications");
        report.series("publish", "publish", &self.publish);
        report.series("query", "query", &self.query);
        report.series("keepalive", "keep-alive", &self.keepalive);
        report.series("notify", "publish to each notification", &self.notify);
        report.series("notify_last", "publish to last notification", &self.notify_last);
        self.report_blind(report);
        report.series("known", "publish to content, each listener", &self.known);
        report.series("known_last", "publish to content, last listener", &self.known_last);
        report_lost(drive, report);
        if self.skipped > 0 {
            let skipped = self.skipped;
            report.note(format!("{skipped} publishes left out: the last was still on its way"));
        }
        if drive.is_interrupted() {
            report.note("interrupted: figures are of the part that was run".to_owned());
        } else {
            report_counts(&[(behind as u64, "listeners without the last content")], report);
        }
        let counts = [
            (self.wrong, "contents that are not as published"),
            (self.older, "contents older than one before them"),
            (self.strange, "notifications of what was not listened to"),
            (self.no_room, "calls found no room"),
            (self.failed, "calls failed"),
        ];
        report_counts(&counts, report);
        if let Some(why) = &self.first_wrong {
            report.note(format!("first: {why}"));
        }
        self.judges.iter().for_each(|judge| wrong_answers(judge, None, report));
    }
}

/// Whether a sequence is before another, of which the low 16 bits are known.
fn is_before(sequence: u64, other: u16) -> bool {
    ((sequence as u16).wrapping_sub(other) as i16) < 0
}

impl Scenario for Readers<'_> {
    fn event(&mut self, mut turn: Turn<'_>, event: Event<'_>) {
        match event {
            Event::Ready => {}
            Event::Answer { tag, intended_ns, message } => {
                let (kind, rest) = (tag & 0xff, (tag >> 8) as usize);
                let latency_ns = turn.now_ns - intended_ns;
                self.ended += usize::from(kind == self.counted);
                match kind {
                    TAG_PUBLISH => {
                        self.judges[0].check(message);
                        self.listeners.answered(rest);
                        self.publish.record(turn.now_ns, latency_ns);
                        self.published += 1;
                    }
                    TAG_REMOVE => {
                        self.judges[4].check(message);
                    }
                    TAG_KEEPALIVE => {
                        self.judges[3].check(message);
                        self.keepalive.record(turn.now_ns, latency_ns);
                    }
                    _ => {
                        if kind == TAG_LOOK {
                            self.query.record(turn.now_ns, latency_ns);
                        }
                        self.answered(&mut turn, kind, rest, message);
                    }
                }
            }
            Event::Failed { fault, .. } => {
                self.failed += 1;
                self.first_wrong.get_or_insert_with(|| fault.to_string());
            }
            Event::Push(push) => {
                self.no_room += u64::from(!push::acknowledge(&mut turn, &push));
                if push.kind == "ConfigChangeNotifyRequest" {
                    self.notified(&mut turn, push.body);
                }
            }
        }
    }
}
