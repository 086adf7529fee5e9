//! Many honest whole clients: what `fleet`, `churn`, `reconnect` and `mixed` have in common.
//!
//! Each sets up, registers its instances, subscribes to its services, keeps itself alive and
//! acknowledges pushes. Meanwhile single clients change metadata on a fixed schedule: how long
//! until every subscriber has heard, counted from when the change was due. At the end each must
//! know the truth. With [`Redo`] a client that loses its connection comes back as the SDKs do.

pub(super) mod mix;
pub(super) mod redo;
mod shape;
pub(super) mod stay;
mod truth;

use super::feed;
use super::schedule::Schedule;
use super::{report_counts, report_lost, wrong_answers};
use crate::check::Judge;
use crate::drive::{Drive, Scenario, Turn};
use crate::progress::Progress;
use crate::push;
use crate::report::Report;
use crate::series::Series;
use crate::session::{Event, Fault, Script};
use mix::Mix;
use nacre_proto::client::request::HealthCheckRequest;
use redo::Redo;
use shape::Shape;
use std::io;
use std::time::Duration;
use truth::{Glances, Truth, Way};

/// Things of one kind begun per turn at most, so that a stall does not end in one burst of us.
const BEGUN_PER_TURN: usize = 4_096;

/// How long a turn waits at most while clients set up.
const GROW_TURN_NS: u64 = 10_000_000;

/// Clients tried for a change whose services are all still busy with the last one.
const CHANGERS_TRIED: u64 = 8;

/// A turn of ours longer than this may have made the server push again: its acks were late.
const LATE_TURN_NS: u64 = 400_000_000;

/// Kinds of calls: the low byte of a tag; the rest says which of the client's.
const TAG_REGISTER: u32 = 1;
const TAG_SUBSCRIBE: u32 = 2;
const TAG_KEEPALIVE: u32 = 3;
const TAG_CHANGE: u32 = 4;
const TAG_MIX: u32 = 5;

/// What a crowd is and does.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) clients: usize,
    /// Instances and subscriptions of each client.
    pub(super) each: usize,
    /// Instances and subscribers of each service.
    pub(super) per_service: usize,
    /// Bytes of metadata an instance has, about.
    pub(super) metadata_bytes: usize,
    /// HealthCheck period of each client; zero for none.
    pub(super) keepalive: Duration,
    /// How many clients change their metadata, and how often each does.
    pub(super) changers: usize,
    pub(super) change_period: Duration,
    /// How long whole-ness and the final state are waited for after the last progress.
    pub(super) patience: Duration,
    pub(super) run: String,
}

/// What all clients together have done.
pub(super) struct Crowd {
    habits: Habits,
    shape: Shape,
    pub(super) truth: Truth,
    glances: Glances,
    /// Registrations and subscriptions each client has completed.
    steps: Vec<u8>,
    /// Steps of all together: that something moves.
    pub(super) stepped: u64,
    pub(super) whole: usize,
    asked: usize,
    keepalives: Schedule,
    changes: Schedule,
    changer_stride: u64,
    pub(super) redo: Option<Redo>,
    pub(super) mix: Option<Mix>,
    health_check: Vec<u8>,
    pub(super) keepalives_answered: u64,
    pub(super) keepalive: Series,
    change_answer: Series,
    pub(super) change_each: Series,
    change_last: Series,
    judges: [Judge; 3],
    pushes: u64,
    changed: u64,
    skipped: u64,
    unreadable: u64,
    no_room: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl Crowd {
    pub(super) fn new(habits: Habits) -> Self {
        let shape = Shape::new(habits.clients, habits.each, habits.per_service);
        let kinds = ["InstanceResponse", "SubscribeServiceResponse", "HealthCheckResponse"];
        Self {
            truth: Truth::new(shape),
            glances: Glances::default(),
            steps: vec![0; shape.clients],
            stepped: 0,
            whole: 0,
            asked: 0,
            keepalives: Schedule::new(Duration::ZERO, 0, 0),
            changes: Schedule::new(Duration::ZERO, 0, 0),
            changer_stride: stride(habits.changers as u64),
            redo: None,
            mix: None,
            health_check: Script::message(&HealthCheckRequest::default()),
            keepalives_answered: 0,
            keepalive: Series::default(),
            change_answer: Series::default(),
            change_each: Series::default(),
            change_last: Series::default(),
            judges: kinds.map(Judge::success),
            pushes: 0,
            changed: 0,
            skipped: 0,
            unreadable: 0,
            no_room: 0,
            failed: 0,
            first_failure: None,
            shape,
            habits,
        }
    }

    /// Brings the crowd to so many whole clients, which are kept alive from the first one on; an
    /// interrupt ends it early.
    pub(super) fn grow(&mut self, until: usize, drive: &mut Drive) -> io::Result<()> {
        self.asked = until;
        // Each has its time in the period already; those not yet there are passed over.
        self.keepalives = Schedule::new(self.habits.keepalive, until, drive.now_ns());
        let mut progress =
            Progress::new("clients", self.whole as u64, until as u64, drive.now_ns());
        let mut moved = ((0, 0, 0), drive.now_ns());
        while self.whole + drive.lost().0 as usize + (self.failed as usize) < until {
            if drive.is_interrupted() {
                return Ok(());
            }
            drive.connect_more(until);
            self.turn(drive.now_ns() + GROW_TURN_NS, drive)?;
            progress.at(self.whole as u64, drive.now_ns());
            let now = (drive.ready(), drive.lost().0, self.stepped);
            if now != moved.0 {
                moved = (now, drive.now_ns());
            } else if drive.now_ns() - moved.1 > self.habits.patience.as_nanos() as u64 {
                let (ready, whole) = (drive.ready(), self.whole);
                let why = format!("{whole} of {until} clients whole, {ready} set up, then silence");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
        self.keepalives.restart(drive.now_ns());
        Ok(())
    }

    /// Begins the measured part: latencies from here on count, changes come on schedule, and
    /// whoever knew the truth must not forget it.
    pub(super) fn measure(&mut self, time: Duration, drive: &mut Drive) {
        let now_ns = drive.now_ns();
        for series in [
            &mut self.keepalive,
            &mut self.change_answer,
            &mut self.change_each,
            &mut self.change_last,
        ] {
            series.begin(now_ns, time);
        }
        drive.take_longest_turn_ns();
        self.changes = Schedule::new(self.habits.change_period, self.habits.changers, now_ns);
        self.truth.set_steady(self.truth.behind(|_| true) == 0);
    }

    /// No more changes.
    pub(super) fn rest(&mut self) {
        self.changes = Schedule::new(Duration::ZERO, 0, 0);
        self.mix.iter_mut().for_each(Mix::rest);
    }

    /// Everybody does what is due for so long; ends early when nobody is left or on an interrupt.
    pub(super) fn hold(&mut self, time: Duration, drive: &mut Drive) -> io::Result<()> {
        let (begin_ns, seconds) = (drive.now_ns(), time.as_secs());
        let end_ns = begin_ns + time.as_nanos() as u64;
        let mut progress = Progress::new("seconds", 0, seconds, begin_ns);
        while drive.now_ns() < end_ns && self.is_anybody_there(drive) && !drive.is_interrupted() {
            self.turn(end_ns, drive)?;
            progress.at((drive.now_ns() - begin_ns) / 1_000_000_000, drive.now_ns());
        }
        Ok(())
    }

    fn is_anybody_there(&self, drive: &Drive) -> bool {
        drive.ready() > 0 || self.redo.is_some()
    }

    /// One turn: begins what is due, waits at most until then or until the next thing is due.
    pub(super) fn turn(&mut self, until_ns: u64, drive: &mut Drive) -> io::Result<()> {
        let wake_ns = until_ns.min(self.begin_due(drive));
        drive.turn(Duration::from_nanos(wake_ns.saturating_sub(drive.now_ns())), self)
    }

    /// Begins everything that is due, and says when the next thing is.
    pub(super) fn begin_due(&mut self, drive: &mut Drive) -> u64 {
        let mut wake_ns = self.keep_alive(drive).min(self.change(drive));
        if let Some(mut redo) = self.redo.take() {
            wake_ns = wake_ns.min(redo.begin_due(self, drive));
            self.redo = Some(redo);
        }
        if let Some(mut mix) = self.mix.take() {
            wake_ns = wake_ns.min(mix.begin_due(self, drive));
            self.mix = Some(mix);
        }
        wake_ns
    }

    /// Begins the HealthChecks that are due, clients in turn, and says when the next one is.
    fn keep_alive(&mut self, drive: &mut Drive) -> u64 {
        for _ in 0..BEGUN_PER_TURN {
            let Some((number, intended_ns)) = self.keepalives.next(drive.now_ns()) else { break };
            let client = (number % self.asked.max(1) as u64) as u32;
            let begun = drive.call(client, &self.health_check, TAG_KEEPALIVE, intended_ns);
            self.no_room += u64::from(!begun && drive.is_ready(client));
        }
        self.keepalives.due_ns()
    }

    /// Begins the changes that are due, and says when the next one is.
    fn change(&mut self, drive: &mut Drive) -> u64 {
        for _ in 0..BEGUN_PER_TURN {
            let Some((number, intended_ns)) = self.changes.next(drive.now_ns()) else { break };
            let begun =
                (0..CHANGERS_TRIED).any(|at| self.change_one(number + at, intended_ns, drive));
            self.skipped += u64::from(!begun);
        }
        self.changes.due_ns()
    }

    /// Lets one client change one of its instances; false when it cannot now.
    fn change_one(&mut self, number: u64, intended_ns: u64, drive: &mut Drive) -> bool {
        // The stride visits services far apart, and every changer once a round.
        let changers = self.habits.changers.max(1) as u64;
        let changer = (u128::from(number) * u128::from(self.changer_stride)) % u128::from(changers);
        let client = (changer * self.shape.clients as u128 / u128::from(changers)) as usize;
        let at = (number / changers) as usize % self.shape.each;
        let instance = self.shape.instance(client, at);
        let busy = self.truth.is_pending(self.shape.service_of(instance));
        if busy || usize::from(self.steps[client]) < 2 * self.shape.each {
            return false;
        }
        let sequence = self.truth.sequence(instance) + 1;
        let message = self.registration(instance, sequence);
        let begun = drive.call(client as u32, &message, TAG_CHANGE, intended_ns);
        if begun {
            self.changed += 1;
            self.truth.begin(instance, sequence, intended_ns);
        }
        begun
    }

    fn registration(&self, instance: usize, sequence: u64) -> Vec<u8> {
        let service = self.shape.service_of(instance);
        let instance = feed::instance(instance, sequence, self.habits.metadata_bytes);
        Script::message(&feed::register(&self.habits.run, service, instance))
    }

    /// The next registration or subscription of a client on its way to being whole, and its tag.
    fn next_step(&self, client: u32) -> Option<(Vec<u8>, u32)> {
        let (client, step) = (client as usize, usize::from(self.steps[client as usize]));
        let each = self.shape.each;
        if step < each {
            let instance = self.shape.instance(client, step);
            let message = self.registration(instance, self.truth.sequence(instance));
            return Some((message, TAG_REGISTER));
        }
        let service = (step < 2 * each).then(|| self.shape.subscribed(client, step - each))?;
        let message = Script::message(&feed::subscribe(&self.habits.run, service, true));
        Some((message, TAG_SUBSCRIBE))
    }

    /// A step is answered: the next one, or one client more is whole.
    fn stepped(&mut self, turn: &mut Turn<'_>) {
        let client = turn.client;
        self.steps[client as usize] += 1;
        self.stepped += 1;
        match self.next_step(client) {
            Some((message, tag)) => self.begin(turn, &message, tag),
            None => {
                self.whole += 1;
                self.redo.iter_mut().for_each(|redo| redo.whole(client, turn.now_ns));
            }
        }
    }

    fn begin(&mut self, turn: &mut Turn<'_>, message: &[u8], tag: u32) {
        let now_ns = turn.now_ns;
        self.no_room += u64::from(!turn.call(message, tag, now_ns));
    }

    /// A client's connection is gone; whether it had been whole.
    fn lost_one(&mut self, client: u32) -> bool {
        let step = std::mem::take(&mut self.steps[client as usize]);
        let was_whole = usize::from(step) == 2 * self.shape.each;
        self.whole -= usize::from(was_whole);
        self.truth.forget_pushes(client as usize);
        // Others are told of a list without it: that takes nothing back.
        self.truth.set_steady(false);
        was_whole
    }

    /// Waits until everybody knows the truth, and returns how many subscriptions do not.
    pub(super) fn settle(&mut self, drive: &mut Drive) -> io::Result<usize> {
        self.rest();
        let behind = |crowd: &Self, drive: &Drive| crowd.truth.behind(|c| drive.is_ready(c));
        let (mut left, mut moved_ns) = (behind(self, drive), drive.now_ns());
        while left > 0
            && drive.now_ns() - moved_ns < self.habits.patience.as_nanos() as u64
            && !drive.is_interrupted()
        {
            self.hold(Duration::from_millis(100), drive)?;
            let now = behind(self, drive);
            if now < left {
                moved_ns = drive.now_ns();
            }
            left = now;
        }
        Ok(left)
    }

    /// A list, by push or answer, has reached a client.
    fn look(&mut self, client: u32, now_ns: u64, body: &[u8], way: Way) {
        let Some(glance) = self.glances.read(body) else {
            self.unreadable += 1;
            return;
        };
        if let Some(change) = self.truth.look(client as usize, &glance, way) {
            let latency_ns = now_ns.saturating_sub(change.began_ns);
            self.change_each.record(now_ns, latency_ns);
            if change.was_last {
                self.change_last.record(now_ns, latency_ns);
            }
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| fault.to_string());
    }

    /// Everything counted, and every fault. `behind` is what [`Crowd::settle`] found.
    pub(super) fn report(&mut self, behind: usize, drive: &mut Drive, report: &mut Report) {
        report.count("pushes", self.pushes, "pushes");
        report.count("changes", self.changed, "changes");
        report.series("keepalive", "keep-alive", &self.keepalive);
        report.series("change_answer", "change to its answer", &self.change_answer);
        report.series("change_each", "change to each subscriber", &self.change_each);
        report.series("change_last", "change to last subscriber", &self.change_last);
        self.mix.iter().for_each(|mix| mix.report(report));
        report_lost(drive, report);
        let wrongs = self.truth.wrongs();
        let longest_ns = drive.take_longest_turn_ns();
        let interrupted = drive.is_interrupted();
        if interrupted {
            report.note("interrupted: figures are of the part that was run".to_owned());
        }
        let mut counts = vec![
            (wrongs.out_of_order, "lists older than one before them"),
            (wrongs.stale, "stale lists: they took back what had been said"),
            (wrongs.strange, "lists of services not subscribed to"),
            (self.unreadable, "pushes that cannot be read"),
            (self.no_room, "calls or acks found no room"),
            (self.failed, "calls failed"),
        ];
        if !interrupted {
            counts.push((behind as u64, "subscriptions do not know the true list"));
        }
        if longest_ns < LATE_TURN_NS {
            counts.push((wrongs.duplicate, "pushes of what had been pushed before"));
        } else if wrongs.duplicate > 0 {
            let own = crate::report::human_ns(longest_ns);
            let count = wrongs.duplicate;
            report.note(format!("{count} pushes came twice; our own acks were up to {own} late"));
        }
        if self.skipped > 0 {
            let skipped = self.skipped;
            report.note(format!("{skipped} changes left out: the last one was still on its way"));
        }
        report_counts(&counts, report);
        for judge in &self.judges {
            wrong_answers(judge, self.first_failure.as_deref(), report);
        }
    }
}

/// A step with no factor in common with so many things, so that it visits each once a round.
fn stride(of: u64) -> u64 {
    let common = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (7_919..).find(|step| common(*step, of.max(1)) == 1).unwrap_or(1)
}

impl Scenario for Crowd {
    fn event(&mut self, mut turn: Turn<'_>, event: Event<'_>) {
        match event {
            Event::Ready => {
                let client = turn.client;
                if self.redo.as_mut().is_some_and(|redo| redo.is_due_later(client, turn.now_ns)) {
                    return;
                }
                if let Some((message, tag)) = self.next_step(client) {
                    self.begin(&mut turn, &message, tag);
                }
            }
            Event::Answer { tag: TAG_REGISTER, message, .. } => {
                self.judges[0].check(message);
                let at = usize::from(self.steps[turn.client as usize]);
                self.truth.registered(self.shape.instance(turn.client as usize, at));
                self.stepped(&mut turn);
            }
            Event::Answer { tag: TAG_SUBSCRIBE, message, .. } => {
                self.judges[1].check(message);
                match crate::envelope::decode(message) {
                    Ok(payload) => self.look(turn.client, turn.now_ns, payload.body, Way::Answer),
                    Err(_) => self.unreadable += 1,
                }
                self.stepped(&mut turn);
            }
            Event::Answer { tag: TAG_KEEPALIVE, intended_ns, message } => {
                self.judges[2].check(message);
                self.keepalives_answered += 1;
                self.keepalive.record(turn.now_ns, turn.now_ns - intended_ns);
            }
            Event::Answer { tag: TAG_CHANGE, intended_ns, message } => {
                self.judges[0].check(message);
                self.change_answer.record(turn.now_ns, turn.now_ns - intended_ns);
            }
            Event::Answer { tag, intended_ns, message } => {
                if let Some(mut mix) = self.mix.take() {
                    mix.answered(self, &mut turn, tag, intended_ns, message);
                    self.mix = Some(mix);
                }
            }
            Event::Failed { fault, .. } => self.fail(fault),
            Event::Push(push) => {
                self.pushes += 1;
                self.no_room += u64::from(!push::acknowledge(&mut turn, &push));
                match push.kind {
                    "NotifySubscriberRequest" => {
                        self.look(turn.client, turn.now_ns, push.body, Way::Push);
                    }
                    "ConnectResetRequest" => {
                        self.redo.iter_mut().for_each(|redo| redo.asked_to_leave(turn.client));
                    }
                    _ => {}
                }
            }
        }
    }

    fn lost(&mut self, client: u32, now_ns: u64) {
        let was_whole = self.lost_one(client);
        self.redo.iter_mut().for_each(|redo| redo.lost(client, was_whole, now_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_visits_everybody_once_a_round() {
        for of in [1u64, 2, 10, 7_919, 15_838, 150_000] {
            let step = stride(of);
            let visited: std::collections::BTreeSet<_> = (0..of).map(|at| at * step % of).collect();
            assert_eq!(visited.len() as u64, of);
        }
    }
}
