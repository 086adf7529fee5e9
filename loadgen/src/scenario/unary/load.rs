//! Begins calls, judges answers, and keeps the load at what was asked for.

use super::Plan;
use crate::check::Judge;
use crate::drive::{Drive, Scenario, Turn};
use crate::push;
use crate::report::Report;
use crate::scenario::feed::Feed;
use crate::scenario::report_lost;
use crate::series::Series;
use crate::session::Event;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// How long unanswered calls are waited for after the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Scheduled calls that may wait for room on a connection.
const BACKLOG_MAX: usize = 1 << 20;

/// When calls are due.
struct Schedule {
    from_ns: u64,
    rate: u64,
    begun: u64,
}

impl Schedule {
    /// The time of the next call.
    fn due_ns(&self) -> u64 {
        self.from_ns + (u128::from(self.begun) * 1_000_000_000 / u128::from(self.rate)) as u64
    }
}

/// Keeps the load at what was asked for.
pub(super) struct Pacer<'a> {
    plan: &'a Plan,
    schedule: Option<Schedule>,
    next_client: usize,
    backlog: VecDeque<u64>,
}

impl<'a> Pacer<'a> {
    /// The plan's load, its schedule beginning now.
    pub(super) fn new(plan: &'a Plan, now_ns: u64) -> Self {
        let schedule = plan.rate.map(|rate| Schedule { from_ns: now_ns, rate, begun: 0 });
        Self { plan, schedule, next_client: 0, backlog: VecDeque::new() }
    }

    /// Scheduled calls that have not begun.
    pub(super) fn late(&self) -> u64 {
        self.backlog.len() as u64
    }

    /// Turns until then, calls beginning as planned; ends early when every client is gone.
    pub(super) fn until(
        &mut self,
        end_ns: u64,
        drive: &mut Drive,
        load: &mut Load,
    ) -> io::Result<()> {
        if self.schedule.is_none() && load.begun == 0 {
            load.fill(drive, self.plan.connections, self.plan.in_flight);
        }
        while drive.now_ns() < end_ns && drive.ready() > 0 && !drive.is_interrupted() {
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

/// Begins calls and judges answers.
pub(super) struct Load {
    pub(super) feed: Feed,
    pub(super) judge: Judge,
    closed_loop: bool,
    stopping: bool,
    /// Calls to begin in all.
    pub(super) limit: u64,
    begun: u64,
    answered: u64,
    failed: u64,
    first_failure: Option<String>,
    /// Calls of the closed loop that found no room on their connection.
    owed: VecDeque<u32>,
    acks_missed: u64,
    /// Latencies count from here to there.
    pub(super) window: (u64, u64),
    /// Good answers since it was last set to zero.
    pub(super) done: u64,
    pub(super) latency: Series,
}

impl Load {
    /// Calls from this feed; in a closed loop each answer begins the next.
    pub(super) fn new(feed: Feed, judge: Judge, closed_loop: bool) -> Self {
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
            latency: Series::default(),
        }
    }

    /// Whether everything the feed holds was asked for once; from then on nothing more is begun.
    pub(super) fn is_covered(&mut self) -> bool {
        let covered = self.feed.is_covered(self.begun);
        if covered {
            self.limit = self.limit.min(self.begun);
        }
        covered
    }

    /// Calls that ended, well or not.
    pub(super) fn finished(&self) -> u64 {
        self.answered + self.failed
    }

    /// Begins the closed loop's calls, spread over the connections.
    pub(super) fn fill(&mut self, drive: &mut Drive, connections: usize, in_flight: usize) {
        for at in 0..in_flight {
            let client = (at % connections) as u32;
            if self.begun < self.limit && !self.begin(drive, client, drive.now_ns()) {
                self.owed.push_back(client);
            }
        }
    }

    /// Begins what found no room before.
    pub(super) fn refill(&mut self, drive: &mut Drive) {
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

    /// Begins nothing more and waits for what is under way.
    pub(super) fn drain(&mut self, drive: &mut Drive) -> io::Result<()> {
        self.stopping = true;
        let end_ns = drive.now_ns() + DRAIN.as_nanos() as u64;
        while self.finished() < self.begun && drive.now_ns() < end_ns && drive.ready() > 0 {
            drive.turn(Duration::from_millis(10), self)?;
        }
        Ok(())
    }

    /// While preparing, any loss is the end.
    pub(super) fn fail_early(&self, drive: &Drive) -> io::Result<()> {
        let (lost, reasons) = drive.lost();
        if lost > 0 || self.failed > 0 {
            let why = self.first_failure.as_deref().unwrap_or_default();
            return Err(io::Error::other(format!("preparing failed: {reasons:?} {why}")));
        }
        Ok(())
    }

    /// Tells what must not be.
    pub(super) fn faults(&self, drive: &Drive, late: u64, report: &mut Report) {
        report_lost(drive, report);
        if drive.is_interrupted() {
            report.note("interrupted: figures are of the part that was run".to_owned());
        }
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
                    self.latency.record(turn.now_ns, turn.now_ns - intended_ns);
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
