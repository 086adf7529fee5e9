//! The replicated state: entries are applied to memory in log order, and what they changed follows
//! to the disk in checkpoints.

mod checkpoint;
mod installed;

pub use installed::{Opened, finish, load, open};

use super::breath::Breath;
use super::encoding::unpack;
use super::fault::Fault;
use super::limits::{APPLY_SLICE, POSITION_BITS, SETTLE_COMMANDS_MAX};
use super::log::Log;
use super::runtime::{LocalGuard, LocalMutex, Sleepers};
use super::snapshot::Parcel;
use super::store::{StateFile, Store};
use super::types::{Batch, Entry, LogId, Payload, Reply, SnapshotMeta, StoredMembership, Types};
use bytes::Bytes;
use checkpoint::Waiting;
use futures_lite::{Stream, StreamExt};
use nacre_shards::durable::{Record, Table};
use openraft::OptionalSend;
use openraft::async_runtime::Mutex;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::io;
use std::rc::Rc;

/// The replicated state, as the Raft core sees it.
pub trait Machine: 'static {
    /// What a command answers. A command that cannot be carried out answers that; applying never
    /// fails.
    type Answer: Clone + Debug + 'static;

    /// Applies one command. `at` is its position: the entry's index times 1,024 plus its place in
    /// it, the same on every member, growing. Changed records are pushed to `records`, as they are
    /// afterwards. The command is a slice of its entry: what is kept for long must be copied.
    fn apply(&mut self, at: u64, command: &Bytes, records: &mut Vec<Record>) -> Self::Answer;

    /// Some commands were applied: show readers the result, tell the cores. Then come answers.
    fn settle(&mut self);

    /// Forgets everything: a snapshot comes.
    fn clear(&mut self);

    /// Takes in one record of a checkpoint or snapshot: a slice, to be copied where it is kept.
    ///
    /// # Errors
    /// It makes no sense; then the node does not start.
    fn load(&mut self, record: Record) -> Result<(), String>;

    /// The last record was loaded.
    fn loaded(&mut self);
}

/// Position of a command ([`Machine::apply`]).
pub fn position(index: u64, place: usize) -> u64 {
    (index << POSITION_BITS) | place as u64
}

/// The machine and what is known of its way to the disk. Lives on the Raft core.
pub struct Applied<M> {
    store: Rc<Store>,
    log: Log,
    breath: Breath,
    machine: RefCell<M>,
    last: Cell<Option<LogId>>,
    membership: RefCell<StoredMembership>,
    waiting: RefCell<Waiting>,
    /// Up to where the durable checkpoint reaches.
    checkpointed: Cell<Option<LogId>>,
    /// A checkpoint or an installation is being written.
    writing: Cell<bool>,
    written: RefCell<Sleepers>,
    /// Called after each checkpoint that was started by what was applied.
    then: RefCell<Option<Box<dyn Fn()>>>,
    /// Held while entries are applied or a snapshot is installed, by the openraft of this number.
    turn: LocalMutex<u64>,
}

impl<M: Machine> Applied<M> {
    /// After the machine has been loaded from the checkpoint that `checkpointed` ends.
    ///
    /// # Errors
    /// The file limit.
    pub fn new(
        store: Rc<Store>,
        log: Log,
        machine: M,
        checkpointed: Option<LogId>,
        membership: StoredMembership,
    ) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            store,
            log,
            breath: Breath::new()?,
            machine: RefCell::new(machine),
            last: Cell::new(checkpointed),
            membership: RefCell::new(membership),
            waiting: RefCell::default(),
            checkpointed: Cell::new(checkpointed),
            writing: Cell::new(false),
            written: RefCell::default(),
            then: RefCell::default(),
            turn: LocalMutex::new(0),
        }))
    }

    /// A hand for a new openraft; those given before do nothing any more, and have done what they
    /// were doing.
    pub async fn applier(self: &Rc<Self>) -> Applier<M> {
        let mut turn = self.turn.lock().await;
        *turn += 1;
        Applier { applied: self.clone(), number: *turn }
    }

    /// Has something done after each checkpoint that was started by what was applied.
    pub fn after_checkpoints(&self, then: impl Fn() + 'static) {
        *self.then.borrow_mut() = Some(Box::new(then));
    }

    /// What is durable after the files were opened again. What waits is written again.
    pub fn reopened(&self, checkpointed: Option<LogId>) {
        self.checkpointed.set(checkpointed);
    }

    /// The last entry that was applied.
    pub fn last(&self) -> Option<LogId> {
        self.last.get()
    }

    /// Who took part as of the last entry that was applied.
    pub fn membership(&self) -> StoredMembership {
        self.membership.borrow().clone()
    }

    /// The last entry that is in the durable checkpoint.
    pub fn checkpointed(&self) -> Option<LogId> {
        self.checkpointed.get()
    }

    /// Looks at the machine.
    pub fn with<T>(&self, look: impl FnOnce(&mut M) -> T) -> T {
        look(&mut self.machine.borrow_mut())
    }

    /// Records of one family as they are now, in order: what waits for the next checkpoint, else
    /// what is in the file. `read` runs here or on the storage thread.
    ///
    /// # Errors
    /// The disk's, or what `read` says.
    pub async fn records<T: Send + 'static>(
        &self,
        family: Table,
        keys: Vec<Bytes>,
        read: impl Fn(usize, Option<&[u8]>) -> Result<T, String> + Send + 'static,
    ) -> Result<Vec<T>, Fault> {
        let waiting: Vec<Option<Option<Bytes>>> = {
            let waiting = self.waiting.borrow();
            keys.iter().map(|key| waiting.get(family, key)).collect()
        };
        // What is being written now is in the file by the time the thread takes this job.
        let job = move |file: &mut StateFile| {
            let mut all = Vec::with_capacity(keys.len());
            for (at, waiting) in waiting.iter().enumerate() {
                match waiting {
                    Some(value) => all.push(read(at, value.as_deref()).map_err(Fault::Refused)?),
                    None => {
                        let key = &keys[at..=at];
                        all.extend(file.records(family, key, |_, value| read(at, value))?);
                    }
                }
            }
            Ok(all)
        };
        self.store.state(job).await
    }

    /// Applies one entry's commands in slices, letting the core's other tasks run between them.
    async fn apply_batch(
        &self,
        index: u64,
        batch: &Batch,
        answers: &mut Option<Vec<M::Answer>>,
    ) -> io::Result<usize> {
        let commands = unpack(batch).map_err(|why| {
            io::Error::other(format!("log entry {index} cannot be applied: {why}"))
        })?;
        let mut records = Vec::new();
        for (slice_at, slice) in commands.chunks(APPLY_SLICE).enumerate() {
            if slice_at > 0 {
                self.breath.take().await;
            }
            let mut machine = self.machine.borrow_mut();
            for (at, command) in slice.iter().enumerate() {
                let place = slice_at * APPLY_SLICE + at;
                let answer = machine.apply(position(index, place), command, &mut records);
                if let Some(answers) = answers {
                    answers.push(answer);
                }
            }
            drop(machine);
            self.waiting.borrow_mut().add(&mut records);
        }
        let counters = &self.store.shared.counters;
        counters.commands.add(commands.len() as u64);
        counters.command_bytes.add(commands.iter().map(|c| c.len() as u64).sum());
        self.waiting.borrow_mut().commands += commands.len() as u64;
        Ok(commands.len())
    }

    async fn apply_entry(&self, entry: &Entry, answered: bool) -> io::Result<(usize, Reply)> {
        let mut answers = answered.then(Vec::new);
        let index = entry.log_id.index();
        let mut commands = 0;
        match &entry.payload {
            Payload::Blank => {}
            Payload::Normal(batch) => {
                commands = self.apply_batch(index, batch, &mut answers).await?;
            }
            Payload::Membership(membership) => {
                let stored = StoredMembership::new(Some(entry.log_id), membership.clone());
                *self.membership.borrow_mut() = stored;
            }
        }
        self.last.set(Some(entry.log_id));
        self.store.shared.counters.entries.add(1);
        Ok((commands, Reply(answers.map(|answers| Box::new(answers) as _))))
    }

    /// Shows what was applied, then answers.
    fn settle(&self, replies: &mut Vec<(ApplyResponder<Types>, Reply)>) {
        self.machine.borrow_mut().settle();
        for (responder, reply) in replies.drain(..) {
            responder.send(reply);
        }
        if let Some(last) = self.last.get() {
            self.log.applied(last.index());
        }
    }
}

/// What openraft applies entries to: a hand on [`Applied`].
pub struct Applier<M> {
    applied: Rc<Applied<M>>,
    number: u64,
}

impl<M: Machine> Applier<M> {
    /// The right to change the state, unless another openraft has it now.
    async fn turn(&self) -> io::Result<LocalGuard<'_, u64>> {
        let turn = self.applied.turn.lock().await;
        if *turn == self.number {
            Ok(turn)
        } else {
            Err(io::Error::other("the store has been opened again"))
        }
    }
}

impl<M: Machine> RaftStateMachine<Types> for Applier<M> {
    type SnapshotData = Parcel;
    type SnapshotBuilder = Builder<M>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied.last.get(), self.applied.membership.borrow().clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let _turn = self.turn().await?;
        let mut replies = Vec::new();
        let mut unsettled = 0;
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let (commands, reply) = self.applied.apply_entry(&entry, responder.is_some()).await?;
            if let Some(responder) = responder {
                replies.push((responder, reply));
            }
            unsettled += commands;
            if unsettled >= SETTLE_COMMANDS_MAX {
                self.applied.settle(&mut replies);
                unsettled = 0;
                self.applied.breath.take().await;
            }
            if self.applied.is_due() {
                self.applied.settle(&mut replies);
                unsettled = 0;
                Applied::checkpoint_or_wait(&self.applied).await;
            }
        }
        self.applied.settle(&mut replies);
        Ok(())
    }

    /// Asked by our own [`trim`](super::group) (not forced), the checkpoint as it is will do.
    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder<M>> {
        Some(Builder { applied: self.applied.clone(), fresh: force })
    }

    async fn get_snapshot_builder(&mut self) -> Builder<M> {
        Builder { applied: self.applied.clone(), fresh: true }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Parcel,
    ) -> Result<(), io::Error> {
        let _turn = self.turn().await?;
        Ok(self.applied.install(meta, snapshot).await?)
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<Types, Parcel>>, io::Error> {
        if self.applied.checkpointed.get().is_none() {
            return Ok(None);
        }
        Ok(Some(self.applied.open_snapshot().await?))
    }
}

/// Makes a snapshot of the last checkpoint.
pub struct Builder<M> {
    applied: Rc<Applied<M>>,
    /// Write a checkpoint of all that was applied first.
    fresh: bool,
}

impl<M: Machine> RaftSnapshotBuilder<Types> for Builder<M> {
    type SnapshotData = Parcel;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, Parcel>, io::Error> {
        if self.fresh || self.applied.checkpointed.get().is_none() {
            self.applied.checkpoint_now().await?;
        }
        Ok(self.applied.open_snapshot().await?)
    }
}
