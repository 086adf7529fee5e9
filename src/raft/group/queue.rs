//! Commands on their way into the log: a bounded queue, and the task that makes entries of it.

use super::{Inner, State};
use crate::raft::encoding::pack;
use crate::raft::limits::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, COMMAND_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_ITEMS_MAX,
};
use crate::raft::machine::Machine;
use crate::raft::runtime::Sleepers;
use crate::raft::types::{Reply, Types};
use bytes::Bytes;
use openraft::errors::{ClientWriteError, RaftError};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// Why a command did not become true, as a sentence; except for [`Interrupted`] it is certain
/// that it did not and will not.
///
/// [`Interrupted`]: ProposeError::Interrupted
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposeError {
    /// Too many commands wait: the disk is slower than they come. Try again later.
    Full,
    /// The command has more bytes than any may have.
    TooLarge(usize),
    /// The disk has no room. Reads go on; writes come back by themselves.
    ReadOnly(Arc<str>),
    /// The disk lost something or may have; an operator must look and restart.
    Latched(Arc<str>),
    /// The log is being replayed.
    Starting,
    /// Another member leads, or none; its id if known.
    NoLeader(Option<u64>),
    /// Storage or leadership was lost on the way: the command may or may not become true.
    Interrupted(Arc<str>),
    /// The node is stopping.
    Stopped,
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many writes are waiting for the disk; try again later"),
            Self::TooLarge(bytes) => {
                write!(f, "a write of {bytes} bytes; at most {COMMAND_BYTES_MAX} are taken")
            }
            Self::ReadOnly(why) => write!(f, "writes are refused until there is space: {why}"),
            Self::Latched(why) => write!(f, "writes are refused until a restart: {why}"),
            Self::Starting => f.write_str("the node is starting; try again in a moment"),
            Self::NoLeader(Some(node)) => write!(f, "member {node:016x} leads, not this one"),
            Self::NoLeader(None) => f.write_str("the group has no leader at the moment"),
            Self::Interrupted(why) => {
                write!(f, "interrupted, the write may or may not become true: {why}")
            }
            Self::Stopped => f.write_str("the node is stopping"),
        }
    }
}

impl std::error::Error for ProposeError {}

/// Who waits for a command.
type Answer<M> = Box<dyn FnOnce(Result<<M as Machine>::Answer, ProposeError>)>;

struct Proposal<M: Machine> {
    command: Bytes,
    answer: Answer<M>,
}

/// What waits for its turn.
pub(super) struct Queue<M: Machine> {
    items: RefCell<VecDeque<Proposal<M>>>,
    bytes: Cell<usize>,
    driver: RefCell<Sleepers>,
}

impl<M: Machine> Default for Queue<M> {
    fn default() -> Self {
        Self { items: RefCell::default(), bytes: Cell::new(0), driver: RefCell::default() }
    }
}

impl<M: Machine> Queue<M> {
    fn has_room(&self, bytes: usize) -> bool {
        self.items.borrow().len() < QUEUE_ITEMS_MAX && self.bytes.get() + bytes <= QUEUE_BYTES_MAX
    }

    fn push(&self, proposal: Proposal<M>) {
        self.bytes.set(self.bytes.get() + proposal.command.len());
        self.items.borrow_mut().push_back(proposal);
        self.wake();
    }

    /// Has the driver look.
    pub fn wake(&self) {
        self.driver.borrow_mut().wake();
    }

    /// Takes what makes one entry: as many as wait, within the bounds, but at least one.
    fn take_batch(&self) -> (Vec<Bytes>, Vec<Answer<M>>) {
        let mut items = self.items.borrow_mut();
        let (mut commands, mut answers) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while let Some(next) = items.front() {
            bytes += next.command.len();
            let is_full = commands.len() >= BATCH_COMMANDS_MAX || bytes > BATCH_BYTES_MAX;
            if is_full && !commands.is_empty() {
                break;
            }
            let Some(Proposal { command, answer }) = items.pop_front() else { break };
            self.bytes.set(self.bytes.get() - command.len());
            commands.push(command);
            answers.push(answer);
        }
        (commands, answers)
    }

    fn take_all(&self) -> VecDeque<Proposal<M>> {
        self.bytes.set(0);
        std::mem::take(&mut *self.items.borrow_mut())
    }
}

impl<M: Machine> Inner<M> {
    pub(super) fn propose(&self, command: Bytes, answer: Answer<M>) {
        let counters = &self.store.shared.counters;
        counters.proposals.add(1);
        let refused = if command.len() > COMMAND_BYTES_MAX {
            counters.refused_too_large.add(1);
            Some(ProposeError::TooLarge(command.len()))
        } else if let Some(refusal) = self.refusal() {
            Some(refusal)
        } else if !self.queue.has_room(command.len()) {
            counters.refused_full.add(1);
            Some(ProposeError::Full)
        } else {
            None
        };
        match refused {
            Some(why) => answer(Err(why)),
            None => {
                self.queue.push(Proposal { command, answer });
                self.show_queue();
            }
        }
    }

    /// Why nothing is taken at the moment, counted; `None` when it is.
    fn refusal(&self) -> Option<ProposeError> {
        let counters = &self.store.shared.counters;
        let (counter, why) = match &*self.state.borrow() {
            State::Ok => return None,
            State::Starting => (&counters.refused_starting, ProposeError::Starting),
            State::ReadOnly(why) => {
                (&counters.refused_read_only, ProposeError::ReadOnly(why.clone()))
            }
            State::Latched(why) => (&counters.refused_latched, ProposeError::Latched(why.clone())),
            State::Stopped => (&counters.refused_starting, ProposeError::Stopped),
        };
        counter.add(1);
        Some(why)
    }

    fn show_queue(&self) {
        let counters = &self.store.shared.counters;
        counters.queue_items.set(self.queue.items.borrow().len() as u64);
        counters.queue_bytes.set(self.queue.bytes.get() as u64);
    }

    /// Makes entries of what waits, one after the other, until the group stops.
    pub(super) async fn drive(self: Rc<Self>) {
        loop {
            let stopped = poll_fn(|cx| {
                if !self.queue.items.borrow().is_empty() {
                    return Poll::Ready(false);
                }
                if *self.state.borrow() == State::Stopped {
                    return Poll::Ready(true);
                }
                self.queue.driver.borrow_mut().add(cx);
                Poll::Pending
            })
            .await;
            if stopped {
                return;
            }
            // What was handed in before a stop is still done.
            let stopping = *self.state.borrow() == State::Stopped;
            if !stopping && self.refuse_waiting() {
                continue;
            }
            self.write_batch().await;
        }
    }

    /// Refuses what waits if nothing is taken any more.
    fn refuse_waiting(&self) -> bool {
        let Some(why) = self.refusal() else { return false };
        for proposal in self.queue.take_all() {
            (proposal.answer)(Err(why.clone()));
        }
        self.show_queue();
        true
    }

    async fn write_batch(&self) {
        let (commands, answers) = self.queue.take_batch();
        self.show_queue();
        let raft = self.raft.borrow().clone();
        let written = match raft {
            Some(raft) => raft.client_write(pack(&commands)).await,
            None => return fail::<M>(answers, &ProposeError::Starting),
        };
        match written {
            Ok(written) => self.answer(answers, written.data),
            Err(error) => {
                self.judge();
                let why = self.explain(error, answers.len() as u64);
                fail::<M>(answers, &why);
            }
        }
    }

    fn answer(&self, waiting: Vec<Answer<M>>, reply: Reply) {
        let answers = reply.0.and_then(|reply| reply.downcast::<Vec<M::Answer>>().ok());
        let answers = answers.expect("an entry of ours answers with our machine's answers");
        assert_eq!(answers.len(), waiting.len(), "one answer per command");
        for (answer, value) in waiting.into_iter().zip(*answers) {
            answer(Ok(value));
        }
    }

    fn explain(
        &self,
        error: RaftError<Types, ClientWriteError<Types>>,
        commands: u64,
    ) -> ProposeError {
        let counters = &self.store.shared.counters;
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
                counters.refused_no_leader.add(commands);
                ProposeError::NoLeader(to.leader_id)
            }
            error => {
                counters.interrupted.add(commands);
                let told = match self.store.trouble() {
                    Some(fault) => fault.text().into(),
                    None => error.to_string().into(),
                };
                ProposeError::Interrupted(told)
            }
        }
    }
}

fn fail<M: Machine>(answers: Vec<Answer<M>>, why: &ProposeError) {
    for answer in answers {
        answer(Err(why.clone()));
    }
}
