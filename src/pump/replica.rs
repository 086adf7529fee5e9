//! Between the Raft group and the shard of its core: commands go one way, what they came to the
//! other.
//!
//! Group and pump are tasks of one executor. What the group's tasks find out waits in an outbox
//! until the pump's next turn takes it, in order: a batch's changes before its answers.

use super::limits::LOOKS_UNDER_WAY_MAX;
use super::past;
use crate::mesh::Bell;
use crate::raft::{Group, Machine, ProposeError};
use bytes::Bytes;
use nacre_shards::config::table::Tables;
use nacre_shards::durable::Record;
use nacre_shards::durable::answer::Answer as Decision;
use nacre_shards::durable::question::{Look, Question};
use nacre_shards::durable::state::{Change, State};
use nacre_shards::key::Core;
use nacre_shards::message::{Message, Purpose, Unready, Waiter};
use nacre_shards::naming::open::{Answer, Refused};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// A proposal on its way from a shard to the group.
#[derive(Debug)]
pub struct Proposal {
    /// Who asked, to be given back with the answer.
    pub from: Core,
    pub waiter: Waiter,
    pub purpose: Purpose,
    pub command: Bytes,
}

/// A question on its way from a shard to the group's state.
#[derive(Debug)]
pub struct Inquiry {
    /// Who asked, to be given back with the answer.
    pub from: Core,
    pub waiter: Waiter,
    pub question: Question,
}

/// What waits for the pump. Bounded by what the group takes in: an answer for each proposal, and at
/// most one batch of changes for each of those.
struct Outbox {
    letters: RefCell<VecDeque<Message<'static>>>,
    bell: Arc<Bell>,
}

impl Outbox {
    fn put(&self, letter: Message<'static>) {
        self.letters.borrow_mut().push_back(letter);
        self.bell.ring_if_asleep();
    }

    /// `slots`: where services changed.
    fn put_changes(&self, changes: Arc<[Change]>, slots: Arc<[u32]>) {
        self.put(Message::Settled { changes, slots });
    }
}

/// The replicated state in the group's hands.
pub struct Replica {
    state: State,
    outbox: Rc<Outbox>,
}

impl Replica {
    /// What is replicated.
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl Machine for Replica {
    type Answer = Decision;

    fn apply(&mut self, position: u64, command: &Bytes, records: &mut Vec<Record>) -> Decision {
        self.state.apply(position, command, records)
    }

    fn settle(&mut self) {
        let changes = self.state.settle();
        self.outbox.put_changes(changes, self.state.touched_slots());
    }

    fn clear(&mut self) {
        self.state.clear();
    }

    fn load(&mut self, record: Record) -> Result<(), String> {
        self.state.load(record)
    }

    fn loaded(&mut self) {
        let changes = self.state.loaded();
        self.outbox.put_changes(changes, self.state.touched_slots());
    }
}

/// The Raft core's way to its group, which comes when the log was replayed.
pub struct Durable {
    /// What all cores read.
    pub tables: Arc<Tables>,
    outbox: Rc<Outbox>,
    group: RefCell<Option<Group<Replica>>>,
    /// Proposals that wait for the group.
    proposals: Rc<Cell<usize>>,
    /// Questions that wait for the disk.
    looks: Rc<Cell<usize>>,
}

impl Durable {
    /// `bell` wakes the core's pump.
    pub fn new(bell: Arc<Bell>, tables: Arc<Tables>) -> Rc<Self> {
        let outbox = Rc::new(Outbox { letters: RefCell::default(), bell });
        let (proposals, looks) = (Rc::default(), Rc::default());
        Rc::new(Self { tables, outbox, group: RefCell::default(), proposals, looks })
    }

    /// The machine for [`Group::open`].
    pub fn replica(&self) -> Replica {
        let state = State::new(self.tables.clone());
        Replica { state, outbox: self.outbox.clone() }
    }

    /// The group is open.
    pub fn serve(&self, group: Group<Replica>) {
        *self.group.borrow_mut() = Some(group);
    }

    /// The group, once it is open.
    pub fn group(&self) -> Option<Group<Replica>> {
        self.group.borrow().clone()
    }

    /// Hands a command in. Its answer comes through [`Durable::take`].
    pub fn propose(&self, proposal: Proposal) {
        let Proposal { from, waiter, purpose, command } = proposal;
        let (outbox, proposals) = (self.outbox.clone(), self.proposals.clone());
        proposals.set(proposals.get() + 1);
        let answer = move |outcome: Result<Decision, ProposeError>| {
            proposals.set(proposals.get() - 1);
            let outcome = outcome.map_err(unready);
            outbox.put(Message::Proposed { to: from, waiter, purpose, outcome });
        };
        match &*self.group.borrow() {
            Some(group) => group.propose(command, answer),
            None => answer(Err(ProposeError::Starting)),
        }
    }

    /// Has a question answered, from memory or from the disk. The answer comes through
    /// [`Durable::take`].
    pub fn look(&self, inquiry: Inquiry) {
        let Inquiry { from, waiter, question } = inquiry;
        let (outbox, looks) = (self.outbox.clone(), self.looks.clone());
        let answer = move |answer| outbox.put(Message::Looked { to: from, waiter, answer });
        let Some(group) = self.group() else {
            return answer(Answer::Refused(Refused::busy(Unready::Starting.sentence())));
        };
        let rows = match group.with(|replica| replica.state.look(&question)) {
            Look::Known(known) => return answer(Answer::Known(Box::new(known))),
            Look::Rows(rows) => rows,
        };
        if looks.get() >= LOOKS_UNDER_WAY_MAX {
            return answer(Answer::Refused(Refused::busy("Too much history is being read.")));
        }
        looks.set(looks.get() + 1);
        glommio::spawn_local(async move {
            let known = past::read(&group, &question, rows).await;
            looks.set(looks.get() - 1);
            answer(Answer::Known(Box::new(known)));
        })
        .detach();
    }

    /// The next message for the shard.
    pub fn take(&self) -> Option<Message<'static>> {
        self.outbox.letters.borrow_mut().pop_front()
    }

    /// Proposals and questions whose answer is not there yet.
    pub fn under_way(&self) -> usize {
        self.proposals.get() + self.looks.get()
    }

    /// Whether nothing waits to be taken.
    pub fn is_quiet(&self) -> bool {
        self.outbox.letters.borrow().is_empty()
    }
}

/// As the shards and clients know it.
fn unready(error: ProposeError) -> Unready {
    match error {
        ProposeError::Full => Unready::Full,
        ProposeError::TooLarge(_) => Unready::TooLarge,
        ProposeError::ReadOnly(_) => Unready::ReadOnly,
        ProposeError::Latched(_) => Unready::Latched,
        ProposeError::Starting => Unready::Starting,
        ProposeError::NoLeader(_) => Unready::NoLeader,
        ProposeError::Interrupted(_) => Unready::Unknown,
        ProposeError::Stopped => Unready::Stopping,
    }
}
