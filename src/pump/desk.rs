//! Where HTTP tasks of a core hand in calls for its shard and wait for the answers.
//!
//! Both sides run on one thread, one after the other: nothing is locked, nothing is shared with
//! other cores. A call is taken in the pump's next turn; if the pump sleeps, its bell is rung.

use super::limits::{CALLS_UNDER_WAY_MAX, DATAGRAMS_RECEIVED_MAX};
use crate::mesh::Bell;
use nacre_shards::naming::open::{Answer, Call, Refused};
use nacre_shards::slab::Slab;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Bits of a ticket that say which place; the rest tell apart who had it one after the other.
const PLACE_BITS: u32 = 16;

const _: () = assert!(CALLS_UNDER_WAY_MAX <= 1 << PLACE_BITS);

/// One core's desk; cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    bell: Arc<Bell>,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    calls: VecDeque<(u32, Call)>,
    acks: VecDeque<(SocketAddr, u64)>,
    waiting: Slab<Waiting>,
    /// How many of these were answered and have not taken it.
    answered: usize,
    turns: u32,
}

#[derive(Debug)]
struct Waiting {
    ticket: u32,
    answer: Option<Answer>,
    waker: Option<Waker>,
}

impl Desk {
    /// The desk of the core this bell wakes.
    pub fn new(bell: Arc<Bell>) -> Self {
        Self(Rc::new(Shared { bell, inner: RefCell::default() }))
    }

    /// Hands in a call and waits for its answer. Dropped while it waits, the answer is dropped,
    /// too; the call is carried out. Refused at once when [`CALLS_UNDER_WAY_MAX`] wait already.
    ///
    /// It is handed in now, so that nobody who waits keeps it.
    pub fn ask(&self, call: Call) -> Asked<'_> {
        self.asked(call, None)
    }

    /// [`Desk::ask`] for what is held for long: dropped while it waits, the shard is told by
    /// `leave`, so that nothing of the call is kept.
    pub fn ask_held(&self, call: Call, leave: Call) -> Asked<'_> {
        self.asked(call, Some(Box::new(leave)))
    }

    fn asked(&self, call: Call, leave: Option<Box<Call>>) -> Asked<'_> {
        let ticket = self.enter();
        if let Some(ticket) = ticket {
            self.hand_in(ticket, call);
        }
        Asked { desk: self, ticket, leave }
    }

    fn hand_in(&self, ticket: u32, call: Call) {
        self.0.inner.borrow_mut().calls.push_back((ticket, call));
        self.0.bell.ring_if_asleep();
    }

    fn enter(&self) -> Option<u32> {
        let mut inner = self.0.inner.borrow_mut();
        if inner.waiting.len() >= CALLS_UNDER_WAY_MAX {
            return None;
        }
        inner.turns = inner.turns.wrapping_add(1);
        let turn = inner.turns << PLACE_BITS;
        let place = inner.waiting.insert(Waiting { ticket: 0, answer: None, waker: None });
        inner.waiting[place].ticket = turn | place;
        Some(turn | place)
    }

    /// An acknowledgement of a datagram came in. What is beyond the bound is lost, as datagrams may
    /// be.
    pub fn acknowledged(&self, from: SocketAddr, number: u64) {
        let mut inner = self.0.inner.borrow_mut();
        if inner.acks.len() < DATAGRAMS_RECEIVED_MAX {
            inner.acks.push_back((from, number));
            drop(inner);
            self.0.bell.ring_if_asleep();
        }
    }

    /// The next call, for the pump.
    pub fn take_call(&self) -> Option<(u32, Call)> {
        self.0.inner.borrow_mut().calls.pop_front()
    }

    /// The next acknowledgement, for the pump.
    pub fn take_ack(&self) -> Option<(SocketAddr, u64)> {
        self.0.inner.borrow_mut().acks.pop_front()
    }

    /// Whether nothing waits for the pump.
    pub fn is_quiet(&self) -> bool {
        let inner = self.0.inner.borrow();
        inner.calls.is_empty() && inner.acks.is_empty()
    }

    /// Calls that wait for their answer.
    pub fn under_way(&self) -> usize {
        self.0.inner.borrow().waiting.len()
    }

    /// Whether somebody was answered and has not seen it: that takes a look of the executor.
    pub fn has_answers(&self) -> bool {
        self.0.inner.borrow().answered > 0
    }

    /// The answer of a call, from the pump.
    pub fn answer(&self, ticket: u32, answer: Answer) {
        let mut inner = self.0.inner.borrow_mut();
        let Inner { waiting, answered, .. } = &mut *inner;
        let waiting = waiting.get_mut(place_of(ticket)).filter(|waiting| waiting.ticket == ticket);
        let Some(waiting) = waiting else { return };
        *answered += usize::from(waiting.answer.replace(answer).is_none());
        if let Some(waker) = waiting.waker.take() {
            drop(inner);
            waker.wake();
        }
    }
}

/// A call that waits.
#[derive(Debug)]
pub struct Asked<'a> {
    desk: &'a Desk,
    /// `None`: there was no room for it.
    ticket: Option<u32>,
    /// To be handed in when nobody waits any more and no answer came.
    leave: Option<Box<Call>>,
}

fn place_of(ticket: u32) -> u32 {
    ticket & ((1 << PLACE_BITS) - 1)
}

impl Future for Asked<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let desk = self.desk;
        let Some(ticket) = self.ticket else {
            let busy = Refused::busy("Server is busy, please try again later.");
            return Poll::Ready(Answer::Refused(busy));
        };
        let mut inner = desk.0.inner.borrow_mut();
        let Inner { waiting, answered, .. } = &mut *inner;
        let waiting = &mut waiting[place_of(ticket)];
        if let Some(answer) = waiting.answer.take() {
            *answered -= 1;
            self.leave = None;
            return Poll::Ready(answer);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut inner = self.desk.0.inner.borrow_mut();
        let unseen = inner.waiting.remove(place_of(ticket)).and_then(|gone| gone.answer);
        inner.answered -= usize::from(unseen.is_some());
        drop(inner);
        if let Some(leave) = self.leave.take().filter(|_| unseen.is_none()) {
            self.desk.hand_in(ticket, *leave);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event_fd;
    use futures_lite::future::{block_on, poll_once};
    use nacre_shards::naming::open::Name;

    fn desk() -> Desk {
        Desk::new(Arc::new(Bell::new(event_fd().unwrap())))
    }

    fn call() -> Call {
        Call::Delete { name: Name::default() }
    }

    #[test]
    fn a_call_is_taken_answered_and_its_place_used_again() {
        let desk = desk();
        let mut asked = Box::pin(desk.ask(call()));
        assert!(block_on(poll_once(&mut asked)).is_none());
        let (ticket, _) = desk.take_call().expect("handed in");
        assert!(desk.take_call().is_none() && desk.is_quiet());
        assert!(!desk.has_answers());
        desk.answer(ticket, Answer::Done);
        assert!(desk.has_answers());
        assert_eq!(block_on(asked), Answer::Done);
        assert_eq!((desk.under_way(), desk.has_answers()), (0, false));
        // A late second answer meets nobody, not even the next in that place.
        let mut next = Box::pin(desk.ask(call()));
        assert!(block_on(poll_once(&mut next)).is_none());
        desk.answer(ticket, Answer::UnknownInstance);
        assert!(block_on(poll_once(&mut next)).is_none());
    }

    #[test]
    fn who_leaves_gives_his_place_back() {
        let desk = desk();
        let mut asked = Box::pin(desk.ask(call()));
        assert!(block_on(poll_once(&mut asked)).is_none());
        drop(asked);
        assert_eq!(desk.under_way(), 0);
        let (ticket, _) = desk.take_call().expect("it is carried out");
        desk.answer(ticket, Answer::Done);
    }

    #[test]
    fn who_leaves_what_is_held_says_so_once() {
        let desk = desk();
        let mut asked = Box::pin(desk.ask_held(call(), call()));
        assert!(block_on(poll_once(&mut asked)).is_none());
        let (ticket, _) = desk.take_call().expect("handed in");
        drop(asked);
        assert_eq!(desk.take_call(), Some((ticket, call())), "nobody waits any more");
        // Answered before it left, or read to the end: nothing is held.
        for read in [false, true] {
            let mut asked = Box::pin(desk.ask_held(call(), call()));
            assert!(block_on(poll_once(&mut asked)).is_none());
            let (ticket, _) = desk.take_call().expect("handed in");
            desk.answer(ticket, Answer::Done);
            if read {
                assert_eq!(block_on(&mut asked), Answer::Done);
            }
            drop(asked);
            assert_eq!((desk.take_call(), desk.has_answers()), (None, false));
        }
    }

    #[test]
    fn a_full_desk_refuses() {
        let desk = desk();
        let mut all: Vec<_> =
            (0..CALLS_UNDER_WAY_MAX).map(|_| Box::pin(desk.ask(call()))).collect();
        for asked in &mut all {
            assert!(block_on(poll_once(asked)).is_none());
        }
        match block_on(desk.ask(call())) {
            Answer::Refused(refused) => assert_eq!(refused.status, 503),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn acknowledgements_are_bounded() {
        let desk = desk();
        for number in 0..=DATAGRAMS_RECEIVED_MAX as u64 {
            desk.acknowledged("127.0.0.1:1".parse().unwrap(), number);
        }
        let taken = std::iter::from_fn(|| desk.take_ack()).count();
        assert_eq!(taken, DATAGRAMS_RECEIVED_MAX);
    }
}
