//! The subscribers of the one service: who has seen which change, and when.

use super::{TAG_REGISTER, Turn};
use crate::check::Judge;
use crate::drive::Scenario;
use crate::push;
use crate::report::Report;
use crate::scenario::feed::{self, SEQUENCE_KEY};
use crate::scenario::report_counts;
use crate::series::Series;
use crate::session::Event;
use nacre_proto::client::push::NotifySubscriberRequest;
use std::io;
use std::time::Duration;

/// How long nothing may move before the run goes on, and at the end gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Seen nothing yet.
const NOTHING: u64 = u64::MAX;

/// Everybody who subscribes to the one service.
pub(super) struct Audience {
    /// The number of the first of them among all clients.
    pub(super) base: u32,
    /// The newest change each has seen.
    seen: Vec<u64>,
    current: u64,
    began_ns: u64,
    pub(super) waiting: usize,
    pub(super) measured_from: u64,
    pub(super) pushes_measured: u64,
    pub(super) registered: u64,
    pub(super) subscribed: usize,
    register_judge: Judge,
    subscribe_judge: Judge,
    first: Series,
    each: Series,
    last: Series,
    acked: Series,
    stale: u64,
    unreadable: u64,
    acks_missed: u64,
    failed: Option<String>,
}

impl Audience {
    pub(super) fn new(base: u32, subscribers: usize) -> Self {
        Self {
            base,
            seen: vec![NOTHING; subscribers],
            current: 0,
            began_ns: 0,
            waiting: 0,
            measured_from: u64::MAX,
            pushes_measured: 0,
            registered: 0,
            subscribed: 0,
            register_judge: Judge::success("InstanceResponse"),
            subscribe_judge: Judge::success("SubscribeServiceResponse"),
            first: Series::default(),
            each: Series::default(),
            last: Series::default(),
            acked: Series::default(),
            stale: 0,
            unreadable: 0,
            acks_missed: 0,
            failed: None,
        }
    }

    /// Latencies count from here.
    pub(super) fn begin_series(&mut self, now_ns: u64, time: Duration) {
        for series in [&mut self.first, &mut self.each, &mut self.last, &mut self.acked] {
            series.begin(now_ns, time);
        }
    }

    /// A change is sent now.
    pub(super) fn begin(&mut self, sequence: u64, now_ns: u64) {
        self.current = sequence;
        self.began_ns = now_ns;
        self.waiting = self.seen.len();
    }

    /// The kernel has taken the last acknowledgement.
    pub(super) fn acked(&mut self, now_ns: u64) {
        if self.waiting == 0 && self.current >= self.measured_from {
            self.acked.record(now_ns, now_ns - self.began_ns);
        }
    }

    /// The publisher could not publish.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.failed.get_or_insert_with(|| error.to_string());
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The first refusal or failure of a call.
    pub(super) fn check_refusals(&self) -> io::Result<()> {
        let wrong = self.register_judge.wrong().1.or(self.subscribe_judge.wrong().1);
        match wrong.or(self.failed.as_deref()) {
            Some(why) => Err(io::Error::other(why.to_owned())),
            None => Ok(()),
        }
    }

    /// A list that carries change `sequence` reached a subscriber.
    fn saw(&mut self, client: u32, sequence: u64, now_ns: u64) -> bool {
        let at = client.wrapping_sub(self.base) as usize;
        let Some(seen) = self.seen.get_mut(at) else { return false };
        if *seen != NOTHING && sequence < *seen {
            self.stale += 1;
            return false;
        }
        let news = *seen != sequence && sequence == self.current && self.waiting > 0;
        *seen = sequence;
        if !news {
            return false;
        }
        let latency_ns = now_ns - self.began_ns;
        let first = self.waiting == self.seen.len();
        self.waiting -= 1;
        if sequence >= self.measured_from {
            self.pushes_measured += 1;
            self.each.record(now_ns, latency_ns);
            if first {
                self.first.record(now_ns, latency_ns);
            }
            if self.waiting == 0 {
                self.last.record(now_ns, latency_ns);
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

    /// Latencies and faults.
    pub(super) fn report(&self, report: &mut Report) {
        report.series("first", "change to first subscriber", &self.first);
        report.series("each", "change to each subscriber", &self.each);
        report.series("last", "change to last subscriber", &self.last);
        report.series("acked", "change to last acknowledgement", &self.acked);
        let behind = self.seen.iter().filter(|seen| **seen != self.current).count();
        let counts = [
            (behind as u64, "subscribers without the final state"),
            (self.stale, "pushes older than one before them"),
            (self.unreadable, "pushes that do not say what was published"),
            (self.acks_missed, "pushes that found no window to be acked"),
        ];
        report_counts(&counts, report);
        if let Err(why) = self.check_refusals() {
            report.fault(why.to_string());
        }
    }
}

impl Scenario for Audience {
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
