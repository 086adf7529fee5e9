//! Deadlines of all connections of one core, kept by one timer: each connection holds the seconds
//! it has left, and a sweep once a second takes one away.

use crate::http1::ears::{EventFlags, Heard};
use crate::http1::limits;
use crate::http1::server::Counters;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;

/// What a connection is doing; each has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before or within a head.
    Head,
    /// A handler has the request.
    Answering,
    /// The answer is on its way, or the next request is waited for.
    Idle,
}

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// Finish the answer under way, then close.
    Finish,
    /// Close now.
    Expired,
}

/// One connection's place in the watch.
#[derive(Debug)]
pub(super) struct Watch {
    phase: Cell<Phase>,
    seconds_left: Cell<u16>,
    /// Bytes of the unfinished head, also counted in [`Watches::head_bytes`].
    head_bytes: Cell<usize>,
    verdict: Cell<Verdict>,
    waker: RefCell<Option<Waker>>,
    /// What is known of its socket.
    pub(super) heard: Heard,
    all: Rc<Watches>,
    id: u64,
}

/// All connections of one core.
#[derive(Debug)]
pub(super) struct Watches {
    connections_max: usize,
    live: RefCell<HashMap<u64, Rc<Watch>, ahash::RandomState>>,
    next: Cell<u64>,
    head_bytes: Cell<usize>,
    /// Where what was received is put until hyper takes it, one connection at a time: made once, so
    /// that no read begins by clearing a buffer.
    page: RefCell<Box<[u8]>>,
    pub(super) counters: Counters,
}

impl Default for Watches {
    fn default() -> Self {
        Self::new(limits::CONNECTIONS_MAX)
    }
}

impl Watches {
    /// For so many connections.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            live: RefCell::default(),
            next: Cell::default(),
            head_bytes: Cell::default(),
            page: RefCell::new(vec![0; limits::READ_BYTES].into()),
            counters: Counters::default(),
        }
    }

    /// A place for one more connection, or `None` when all are taken.
    pub(super) fn enter(self: &Rc<Self>) -> Option<Place> {
        let mut live = self.live.borrow_mut();
        if live.len() >= self.connections_max {
            return None;
        }
        let id = self.next.get();
        self.next.set(id + 1);
        let watch = Rc::new(Watch {
            phase: Cell::new(Phase::Head),
            seconds_left: Cell::new(limits::HEAD_SECONDS),
            head_bytes: Cell::new(0),
            verdict: Cell::new(Verdict::GoOn),
            waker: RefCell::new(None),
            heard: Heard::default(),
            all: Rc::clone(self),
            id,
        });
        live.insert(id, Rc::clone(&watch));
        Some(Place(watch))
    }

    pub(super) fn len(&self) -> usize {
        self.live.borrow().len()
    }

    pub(super) fn head_bytes(&self) -> usize {
        self.head_bytes.get()
    }

    /// A socket has news. One that was closed meanwhile has no watch any more, and no other has
    /// its id.
    pub(super) fn heard(&self, id: u64, flags: EventFlags) {
        let live = self.live.borrow();
        let Some(watch) = live.get(&id).filter(|watch| watch.heard.take(flags)) else { return };
        if let Some(waker) = &*watch.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// A second has passed.
    pub(super) fn sweep(&self) {
        for watch in self.live.borrow().values() {
            let left = watch.seconds_left.get();
            watch.seconds_left.set(left.saturating_sub(1));
            if left == 0 && watch.verdict.get() != Verdict::Expired {
                let counter = match watch.phase.get() {
                    Phase::Head => &self.counters.slow_heads,
                    Phase::Answering => &self.counters.slow_answers,
                    Phase::Idle => &self.counters.idle_closed,
                };
                counter.set(counter.get() + 1);
                watch.end(Verdict::Expired);
            }
        }
    }

    /// Every connection ends after the answer it is waiting for, or with `Expired` at once.
    pub(super) fn end_all(&self, verdict: Verdict) {
        for watch in self.live.borrow().values() {
            watch.end(verdict);
        }
    }
}

impl Watch {
    fn end(&self, verdict: Verdict) {
        self.verdict.set(verdict);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Tells apart who has or had a place on this core.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// What to do now; `waker` is woken when that changes, or when the socket has the news that is
    /// waited for.
    pub(super) fn verdict(&self, waker: &Waker) -> Verdict {
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
        self.verdict.get()
    }

    /// Bytes came in. `false`: the core has no room for so many unfinished heads.
    pub(super) fn received(&self, bytes: usize) -> bool {
        match self.phase.get() {
            Phase::Answering => return true,
            Phase::Idle => self.turn(Phase::Head, limits::HEAD_SECONDS),
            Phase::Head => {}
        }
        let total = self.all.head_bytes.get() + bytes;
        if total > limits::HEAD_BYTES_CORE_MAX {
            let counter = &self.all.counters.heads_refused;
            counter.set(counter.get() + 1);
            return false;
        }
        self.all.head_bytes.set(total);
        self.head_bytes.set(self.head_bytes.get() + bytes);
        true
    }

    /// Lends the core's page for received bytes.
    pub(super) fn with_page<T>(&self, read: impl FnOnce(&mut [u8]) -> T) -> T {
        read(&mut self.all.page.borrow_mut())
    }

    /// A head is complete and handed over.
    pub(super) fn answering(&self) {
        self.forget_head();
        self.turn(Phase::Answering, limits::ANSWER_SECONDS);
    }

    /// A handler's say in the deadline.
    pub(super) fn patience(self: &Rc<Self>) -> Patience {
        Patience(Rc::clone(self))
    }

    /// The handler has answered.
    pub(super) fn answered(&self) {
        self.turn(Phase::Idle, limits::IDLE_SECONDS);
    }

    fn turn(&self, phase: Phase, seconds: u16) {
        self.phase.set(phase);
        self.seconds_left.set(seconds);
    }

    fn forget_head(&self) {
        let bytes = self.head_bytes.take();
        self.all.head_bytes.set(self.all.head_bytes.get() - bytes);
    }
}

/// A handler's say in the deadline of the answer it is making.
#[derive(Debug, Clone)]
pub struct Patience(Rc<Watch>);

impl Patience {
    /// The answer may take so many seconds from now, if that is longer than it may anyway.
    pub fn lasts(&self, seconds: u16) {
        if self.0.phase.get() == Phase::Answering {
            let left = self.0.seconds_left.get();
            self.0.seconds_left.set(left.max(seconds));
        }
    }

    /// One more piece of the answer is on its way: there is as much time to read it as the first.
    pub fn goes_on(&self) {
        if self.0.phase.get() == Phase::Idle {
            self.0.seconds_left.set(limits::IDLE_SECONDS);
        }
    }
}

/// Held by a connection's task; gives the place back when dropped.
#[derive(Debug)]
pub(super) struct Place(Rc<Watch>);

impl Place {
    pub(super) fn watch(&self) -> &Rc<Watch> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.forget_head();
        self.0.all.live.borrow_mut().remove(&self.0.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(place: &Place) -> Verdict {
        place.watch().verdict(Waker::noop())
    }

    fn sweep(all: &Watches, seconds: u16) {
        (0..seconds).for_each(|_| all.sweep());
    }

    #[test]
    fn each_phase_has_its_deadline() {
        let all = Rc::new(Watches::default());
        let head = all.enter().unwrap();
        let answering = all.enter().unwrap();
        let idle = all.enter().unwrap();
        answering.watch().answering();
        idle.watch().answering();
        idle.watch().answered();
        sweep(&all, limits::HEAD_SECONDS);
        assert_eq!(verdict(&head), Verdict::GoOn);
        sweep(&all, 1);
        assert_eq!(verdict(&head), Verdict::Expired);
        sweep(&all, limits::ANSWER_SECONDS - limits::HEAD_SECONDS);
        assert_eq!((verdict(&answering), verdict(&idle)), (Verdict::Expired, Verdict::Expired));
        let counters = &all.counters;
        let counted = [&counters.slow_heads, &counters.slow_answers, &counters.idle_closed];
        assert_eq!(counted.map(Cell::get), [1, 1, 1]);
    }

    #[test]
    fn a_handler_may_ask_for_more_time_and_only_for_its_answer() {
        let all = Rc::new(Watches::default());
        let place = all.enter().unwrap();
        let patience = place.watch().patience();
        patience.lasts(1_000);
        place.watch().answering();
        patience.lasts(limits::ANSWER_SECONDS + 10);
        patience.lasts(1);
        sweep(&all, limits::ANSWER_SECONDS + 10);
        assert_eq!(verdict(&place), Verdict::GoOn);
        place.watch().answered();
        patience.lasts(1_000);
        sweep(&all, limits::IDLE_SECONDS + 1);
        assert_eq!(verdict(&place), Verdict::Expired);
    }

    #[test]
    fn single_bytes_do_not_lengthen_a_head() {
        let all = Rc::new(Watches::default());
        let place = all.enter().unwrap();
        for _ in 0..=limits::HEAD_SECONDS {
            assert!(place.watch().received(1));
            all.sweep();
        }
        assert_eq!(verdict(&place), Verdict::Expired);
    }

    #[test]
    fn heads_share_a_budget_and_give_it_back() {
        let all = Rc::new(Watches::default());
        let first = all.enter().unwrap();
        let second = all.enter().unwrap();
        assert!(first.watch().received(limits::HEAD_BYTES_CORE_MAX));
        assert!(!second.watch().received(1));
        assert_eq!(all.counters.heads_refused.get(), 1);
        first.watch().answering();
        assert!(second.watch().received(1));
        // A body is not a head.
        assert!(first.watch().received(limits::HEAD_BYTES_CORE_MAX));
        drop(second);
        assert_eq!(all.head_bytes.get(), 0);
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let all = Rc::new(Watches::new(3));
        let mut places: Vec<_> = (0..3).map(|_| all.enter().unwrap()).collect();
        assert!(all.enter().is_none());
        places.pop();
        assert!(all.enter().is_some());
    }
}
