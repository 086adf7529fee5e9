//! What fuzzy watchers of one connection have not acknowledged yet, and when it goes (again).
//!
//! One message waits per name or per (pattern, batch): a newer change replaces an older one, also
//! inside a batch that was not acknowledged, so that no repetition can bring an old state after a
//! new one.

use crate::health::wheel::{NO_TICK, Tick};
use crate::message::{NameChange, Watch};
use crate::naming::answer::{FuzzySync, SyncKind};
use crate::naming::fuzzy::{Name, Pattern};

/// How a module paces its messages, as the reference does.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Names in one batch of a synchronisation.
    pub batch: usize,
    /// From a fuzzy watch's request to its first batch, ms.
    pub first_ms: u64,
    /// From the ack of the last batch to the message that says so, ms.
    pub finish_ms: u64,
    /// `totalBatch` and `currentBatch` of that message.
    pub finish_batches: usize,
    /// A message without an ack for so long has failed.
    pub timeout_ms: u64,
    /// From a negative ack to the repetition, ms.
    pub repeat_ms: u64,
    /// From the n-th failure to the repetition n times this, ms; 0 for at once.
    pub step_ms: u64,
    /// Failures of one message after which the connection is given up; `None` for never.
    pub tries_max: Option<u8>,
}

/// The fuzzy watches of one connection. Only connections that watch have one.
#[derive(Debug)]
pub struct Fuzzy<N> {
    pub(super) watches: Vec<Watching>,
    pub(super) deliveries: Vec<Delivery<N>>,
    pub(super) timer: Tick,
    /// Is in the list of connections to look at.
    pub(super) queued: bool,
}

impl<N> Default for Fuzzy<N> {
    fn default() -> Self {
        Self { watches: Vec::new(), deliveries: Vec::new(), timer: NO_TICK, queued: false }
    }
}

#[derive(Debug)]
pub(super) struct Watching {
    pub pattern: Box<str>,
    /// It is in the table of patterns: the directory answered, where there is one.
    pub active: bool,
}

/// One message that was not acknowledged yet.
#[derive(Debug)]
pub(super) struct Delivery<N> {
    pub what: What<N>,
    /// When to send it, or if it is in flight, when it has failed.
    pub due_ms: u64,
    /// Number of the request it went out with; 0 while it is not in flight.
    pub number: u64,
    /// Times it has failed.
    pub tries: u8,
}

#[derive(Debug)]
pub(super) enum What<N> {
    Sync(Box<Sync<N>>),
    Change { name: N, change: NameChange },
}

/// One batch of a synchronisation.
#[derive(Debug)]
pub(super) struct Sync<N> {
    kind: SyncKind,
    pub pattern: Box<str>,
    contexts: Vec<(N, NameChange)>,
    total: usize,
    current: usize,
}

impl<N> Delivery<N> {
    fn new(what: What<N>, due_ms: u64) -> Self {
        Self { what, due_ms, number: 0, tries: 0 }
    }

    fn is(&self, kind: SyncKind, pattern: &str) -> bool {
        matches!(&self.what, What::Sync(sync) if sync.kind == kind && *sync.pattern == *pattern)
    }

    /// Takes note that it was not acknowledged, or not in time.
    pub fn failed(&mut self, pace: &Pace, now: u64) {
        self.tries = self.tries.saturating_add(1);
        self.number = 0;
        self.due_ms = now + pace.step_ms * u64::from(self.tries);
    }

    /// It failed too often.
    pub fn is_hopeless(&self, pace: &Pace) -> bool {
        pace.tries_max.is_some_and(|max| self.tries > max)
    }
}

impl<N: Name> Fuzzy<N> {
    /// What it watches.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.watches.iter().map(|watching| &*watching.pattern)
    }

    pub(super) fn position(&self, pattern: &str) -> Option<usize> {
        self.watches.iter().position(|watching| *watching.pattern == *pattern)
    }

    /// Ends a watch. With it go its batches, and changes that are nobody's business any more: no
    /// later change would correct them, so repeated they would be lies. True: it was active.
    pub(super) fn forget(&mut self, at: usize) -> bool {
        let gone = self.watches.swap_remove(at);
        let left: Vec<_> =
            self.watches.iter().filter_map(|left| Pattern::parse(&left.pattern)).collect();
        self.deliveries.retain(|delivery| match &delivery.what {
            What::Sync(sync) => *sync.pattern != *gone.pattern,
            What::Change { name, .. } => left.iter().any(|pattern| pattern.matches(name)),
        });
        gone.active
    }

    /// Cuts a synchronisation into batches; one of the same kind and pattern gives way.
    pub(super) fn synchronise(
        &mut self,
        watch: &Watch,
        differences: Vec<(N, NameChange)>,
        pace: &Pace,
        now: u64,
    ) {
        let kind = if watch.initializing { SyncKind::Init } else { SyncKind::Diff };
        let outdated = |delivery: &Delivery<N>| {
            delivery.is(kind, &watch.pattern)
                || watch.initializing && delivery.is(SyncKind::Finish, &watch.pattern)
        };
        self.deliveries.retain(|delivery| !outdated(delivery));
        let total = differences.len().div_ceil(pace.batch);
        for (at, contexts) in differences.chunks(pace.batch).enumerate() {
            let contexts = contexts.to_vec();
            self.sync(kind, &watch.pattern, contexts, (total, at + 1), now + pace.first_ms);
        }
        if total == 0 && watch.initializing {
            self.finish(&watch.pattern, pace, now + pace.first_ms);
        }
    }

    fn sync(
        &mut self,
        kind: SyncKind,
        pattern: &str,
        contexts: Vec<(N, NameChange)>,
        (total, current): (usize, usize),
        due_ms: u64,
    ) {
        let sync = Sync { kind, pattern: pattern.into(), contexts, total, current };
        self.deliveries.push(Delivery::new(What::Sync(Box::new(sync)), due_ms));
    }

    /// The message that says that all was told.
    fn finish(&mut self, pattern: &str, pace: &Pace, due_ms: u64) {
        let batches = (pace.finish_batches, pace.finish_batches);
        self.sync(SyncKind::Finish, pattern, Vec::new(), batches, due_ms);
    }

    /// A name came or went: the message about it is replaced or added, and older batches agree.
    pub(super) fn change(&mut self, name: &N, change: NameChange, now: u64) {
        let mut told = false;
        for delivery in &mut self.deliveries {
            match &mut delivery.what {
                What::Sync(sync) => {
                    for (_, old) in sync.contexts.iter_mut().filter(|(old, _)| old == name) {
                        *old = change;
                    }
                }
                What::Change { name: told_of, change: old } if told_of == name => {
                    told = true;
                    if *old != change {
                        *old = change;
                        delivery.number = 0;
                        delivery.tries = 0;
                        delivery.due_ms = now;
                    }
                }
                What::Change { .. } => {}
            }
        }
        if !told {
            let what = What::Change { name: name.clone(), change };
            self.deliveries.push(Delivery::new(what, now));
        }
    }

    /// Makes changes that wait or are in flight true again and sends them anew, behind the answer
    /// of a watch. `truth` is `None` for names it is not about.
    pub(super) fn refresh(&mut self, truth: impl Fn(&N) -> Option<NameChange>, now: u64) {
        for delivery in &mut self.deliveries {
            if let What::Change { name, change } = &mut delivery.what
                && let Some(truth) = truth(name)
            {
                *change = truth;
                (delivery.number, delivery.tries, delivery.due_ms) = (0, 0, now);
            }
        }
    }

    /// Takes note of an ack. The last batch of a first synchronisation is followed by the message
    /// that says so.
    pub(super) fn acknowledged(&mut self, number: u64, accepted: bool, pace: &Pace, now: u64) {
        let found = self.deliveries.iter().position(|delivery| delivery.number == number);
        let Some(at) = found.filter(|_| number != 0) else { return };
        if !accepted {
            let delivery = &mut self.deliveries[at];
            delivery.failed(pace, now);
            delivery.due_ms = delivery.due_ms.max(now + pace.repeat_ms);
            return;
        }
        let What::Sync(sync) = self.deliveries.swap_remove(at).what else { return };
        if sync.kind == SyncKind::Init
            && !self.deliveries.iter().any(|other| other.is(SyncKind::Init, &sync.pattern))
        {
            self.finish(&sync.pattern, pace, now + pace.finish_ms);
        }
    }

    pub(super) fn next_ms(&self) -> Option<u64> {
        self.deliveries.iter().map(|delivery| delivery.due_ms).min()
    }
}

impl<N> Sync<N> {
    pub fn message(&self) -> FuzzySync<'_, N> {
        FuzzySync {
            kind: self.kind,
            pattern: &self.pattern,
            contexts: &self.contexts,
            total_batch: self.total,
            current_batch: self.current,
        }
    }
}
