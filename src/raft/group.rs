//! The group as the rest of the process sees it: commands go in, answers come out when they are
//! on the disk of a majority and applied here.
//!
//! Commands that wait while an entry is under way become one entry: its fsync and openraft's work
//! are shared by all of them.

mod care;
mod queue;
mod status;

pub use queue::ProposeError;
pub use status::{Role, State, Status};

use super::counters::Counters;
use super::fault::Fault;
use super::limits::{
    ELECTION_MS, HEARTBEAT_MS, LOG_KEEP_ENTRIES, RAFT_CHANNEL_ITEMS, RESERVE_BYTES,
};
use super::log::Log;
use super::machine::{self, Applied, Applier, Machine};
use super::network::Peers;
use super::place::random;
use super::runtime::{Spawned, spawn};
use super::snapshot::{Copied, Parcel};
use super::store::book::Identity;
use super::store::{Disk, Store};
use super::types::{LogId, Membership, Payload, Types, term_of};
use bytes::Bytes;
use nacre_shards::durable::Table;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::BasicNode;
use openraft::storage::RaftStateMachine;
use openraft::{Config, LogIdOptionExt, Raft, ServerState, SnapshotPolicy};
use queue::Queue;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where other members reach this one.
    pub address: String,
    /// `nacre.store.reserve-bytes`: free space below which writes are refused.
    pub reserve_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { address: "127.0.0.1:0".to_owned(), reserve_bytes: RESERVE_BYTES }
    }
}

/// One member of the group. Clones are the same member. Lives on the Raft core.
pub struct Group<M: Machine>(Rc<Inner<M>>);

impl<M: Machine> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

type OpenRaft<M> = Raft<Types, Applier<M>>;

struct Inner<M: Machine> {
    store: Rc<Store>,
    log: Log,
    applied: Rc<Applied<M>>,
    identity: Identity,
    settings: Settings,
    raft: RefCell<Option<OpenRaft<M>>>,
    queue: Queue<M>,
    state: RefCell<State>,
    /// A write has met a full disk: the files must be opened again.
    must_reopen: Cell<bool>,
    driver: RefCell<Option<Spawned<()>>>,
    /// Up to where openraft was told of checkpoints, and whether it is being told now.
    told: Cell<Option<LogId>>,
    trimming: Cell<bool>,
}

impl<M: Machine> Group<M> {
    /// Opens the files, loads the checkpoint into the machine, replays the log behind it, and
    /// takes part. In a group of one everything that was acknowledged is applied when this returns,
    /// and this node leads, unless its disk is full: then it is read-only until it can. On the Raft
    /// core, once.
    ///
    /// # Errors
    /// The disk's; contents that cannot be right or are not ours. Nothing was changed then.
    pub async fn open(disk: Disk, settings: Settings, machine: M) -> Result<Self, Fault> {
        let store = Store::new(disk).map_err(lacking)?;
        match Self::open_on(&store, settings, machine).await {
            Ok(group) => Ok(group),
            Err(fault) => {
                // Closed in order, so that what was wrong stays all that is.
                let _ = store.log(|file| file.close()).await;
                let _ = store.state(|file| file.close()).await;
                store.close();
                Err(fault)
            }
        }
    }

    async fn open_on(store: &Rc<Store>, settings: Settings, mut machine: M) -> Result<Self, Fault> {
        let fresh = fresh_identity().map_err(lacking)?;
        let has_state = store.state(|file| file.exists()).await?;
        let opened = store.log(move |file| file.open(fresh, has_state)).await?;
        let identity = opened.identity;
        let may_make = opened.purged.is_none();
        let state = machine::open(store, &mut machine, identity, may_make).await?;
        let machine::Opened { identity: owner, head, is_read } = state;
        if owner != identity {
            return Err(Fault::Damaged(format!(
                "log.wal is of node {:016x} and state.redb of node {:016x}: they are not from \
                 one data directory; put back the two that belong together",
                identity.node, owner.node
            )));
        }
        check_ends(&opened, head.applied)?;
        if is_read {
            machine::finish(&mut machine);
        } else {
            machine::load(store, &mut machine).await?;
        }
        let log = Log::new(store.clone(), opened, head.applied)?;
        let applied =
            Applied::new(store.clone(), log.clone(), machine, head.applied, head.membership);
        let inner = Rc::new(Inner {
            store: store.clone(),
            log,
            applied: applied.map_err(lacking)?,
            identity,
            settings,
            raft: RefCell::default(),
            queue: Queue::default(),
            state: RefCell::new(State::Starting),
            must_reopen: Cell::new(false),
            driver: RefCell::default(),
            told: Cell::new(None),
            trimming: Cell::new(false),
        });
        let replayed = inner.replay_alone().await?;
        match inner.start_raft().await {
            Ok(()) => inner.set_state(State::Ok),
            // A term cannot begin without a byte to write it in. Reads go on all the same.
            Err(Fault::Full(_)) if replayed => {}
            Err(fault) => return Err(fault),
        }
        inner.judge();
        let weak = Rc::downgrade(&inner);
        inner.applied.after_checkpoints(move || {
            if let Some(inner) = weak.upgrade() {
                spawn(async move { inner.trim().await });
            }
        });
        *inner.driver.borrow_mut() = Some(spawn(inner.clone().drive()));
        spawn(inner.clone().care());
        Ok(Self(inner))
    }

    /// Hands a command in; `answer` is called exactly once, on this core, possibly before this
    /// returns. Cheap: the work is done by the group's own tasks.
    pub fn propose(
        &self,
        command: Bytes,
        answer: impl FnOnce(Result<M::Answer, ProposeError>) + 'static,
    ) {
        self.0.propose(command, Box::new(answer));
    }

    /// The same for who can wait.
    ///
    /// # Errors
    /// Why the command did not become true, or may not have.
    pub async fn put(&self, command: Bytes) -> Result<M::Answer, ProposeError> {
        let (done, outcome) = super::runtime::once();
        self.propose(command, move |result| {
            // Who asked may have stopped waiting.
            let _ = done.put(result);
        });
        outcome.await.unwrap_or(Err(ProposeError::Stopped))
    }

    /// Looks at the machine, as of the last applied command (settled or not).
    pub fn with<T>(&self, look: impl FnOnce(&mut M) -> T) -> T {
        self.0.applied.with(look)
    }

    /// Records of one family as of the last applied command, in order; `read` makes of each what is
    /// wanted, here or on the storage thread.
    ///
    /// # Errors
    /// The disk's, or what `read` says.
    pub async fn records<T: Send + 'static>(
        &self,
        family: Table,
        keys: Vec<Bytes>,
        read: impl Fn(usize, Option<&[u8]>) -> Result<T, String> + Send + 'static,
    ) -> Result<Vec<T>, Fault> {
        self.0.applied.records(family, keys, read).await
    }

    /// How the group and its disk are.
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// What the metrics read, on any core.
    pub fn counters(&self) -> Arc<Counters> {
        self.0.store.shared.counters.clone()
    }

    /// Writes a checkpoint of everything applied so far and waits for it.
    ///
    /// # Errors
    /// The disk's.
    pub async fn checkpoint(&self) -> Result<(), Fault> {
        self.0.applied.checkpoint_now().await
    }

    /// A copy of everything that was applied when this was called, or later: a checkpoint is
    /// written unless there is one, then read piece by piece while others follow.
    ///
    /// # Errors
    /// The disk's, which has to hold the checkpoint; too many copies are being read.
    pub async fn copy(&self) -> Result<Copied, Fault> {
        if self.0.applied.is_ahead() {
            self.checkpoint().await?;
        }
        let snapshot = self.0.applied.open_snapshot().await?;
        let nothing = || Fault::Refused("nothing was ever applied here".to_owned());
        let last = snapshot.meta.last_log_id.ok_or_else(nothing)?;
        let Parcel { totals, pieces } = snapshot.snapshot;
        let totals = totals.unwrap_or_default();
        Ok(Copied { term: term_of(&last), index: last.index(), totals, pieces })
    }

    /// Stops in order: what was handed in before is answered, the state is written, the files are
    /// closed. What is handed in from now on is refused.
    pub async fn stop(&self) {
        self.0.stop().await;
    }
}

#[cfg(test)]
impl<M: Machine> Group<M> {
    /// Purges all that is in the checkpoint, as if nothing had to be kept for others.
    pub async fn purge_behind_the_checkpoint(&self) {
        let raft = self.0.raft.borrow().clone();
        let Some((raft, upto)) = raft.zip(self.0.applied.checkpointed().index()) else { return };
        let told = raft.trigger().snapshot().await;
        let wait = raft.wait(None);
        let known = wait.metrics(
            |metrics| metrics.snapshot.index() >= Some(upto) || metrics.running_state.is_err(),
            "know the checkpoint",
        );
        if told.is_ok() && known.await.is_ok() {
            let _ = raft.trigger().purge_log(upto).await;
        }
    }
}

fn lacking(error: std::io::Error) -> Fault {
    Fault::Refused(format!("the store cannot be opened: {error}"))
}

/// Ids nobody else has.
pub(super) fn fresh_identity() -> std::io::Result<Identity> {
    let bytes: [u8; 24] = random()?;
    let (node, cluster) = bytes.split_at(8);
    let node = u64::from_le_bytes(node.try_into().expect("eight bytes"));
    let cluster = u128::from_le_bytes(cluster.try_into().expect("sixteen bytes"));
    Ok(Identity { node: node.max(1), cluster })
}

/// That log and checkpoint meet.
fn check_ends(
    opened: &super::store::log_file::Opened,
    applied: Option<LogId>,
) -> Result<(), Fault> {
    let reaches = applied.index();
    if opened.purged.index() > reaches {
        return Err(Fault::Damaged(format!(
            "log.wal begins behind entry {} but the checkpoint in state.redb ends at {}: the \
             entries between are missing; restore both files from one backup",
            opened.purged.index().unwrap_or(0),
            reaches.map_or("none".to_owned(), |index| index.to_string()),
        )));
    }
    let same = |id: &LogId| {
        opened.entries.iter().find(|entry| entry.index == id.index()).map(|entry| entry.term)
    };
    match applied.as_ref().and_then(|id| Some((term_of(id), same(id)?))) {
        Some((said, found)) if said != found => Err(Fault::Damaged(format!(
            "the checkpoint in state.redb ends in term {said}, log.wal has that entry in term \
             {found}: they are not from one history; restore both files from one backup"
        ))),
        _ => Ok(()),
    }
}

impl<M: Machine> Inner<M> {
    fn config(&self) -> Arc<Config> {
        Arc::new(Config {
            cluster_name: format!("{:032x}", self.identity.cluster),
            heartbeat_interval: HEARTBEAT_MS,
            election_timeout_min: ELECTION_MS.0,
            election_timeout_max: ELECTION_MS.1,
            // Checkpoints are written when we see fit, and told to openraft afterwards.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: LOG_KEEP_ENTRIES,
            api_channel_size: Some(RAFT_CHANNEL_ITEMS),
            notification_channel_size: Some(RAFT_CHANNEL_ITEMS),
            // A leader that comes back stands for election, so that everything in its log is
            // committed in a term of its own.
            enable_leader_restore: Some(false),
            ..Config::default()
        })
    }

    /// In a group of one, applies everything in the log: what only this node votes on is true when
    /// it is on its disk, so nothing has to be written before it is. Says whether it was one.
    async fn replay_alone(&self) -> Result<bool, Fault> {
        let entries = self.log.behind(self.applied.last()).await?;
        let is_mine = |membership: &Membership| is_alone(membership, self.identity.node);
        let last = entries.iter().rev().find_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some(is_mine(membership)),
            _ => None,
        });
        let alone = last.unwrap_or_else(|| is_mine(self.applied.membership().membership()));
        if alone {
            let mut applier = self.applied.applier().await;
            let entries = entries.into_iter().map(|entry| Ok((entry, None)));
            let applied = applier.apply(futures_lite::stream::iter(entries)).await;
            applied.map_err(|error| self.why(&error))?;
        }
        Ok(alone)
    }

    /// Starts openraft on what is in the files. In a group of one, returns when it leads and has
    /// applied everything.
    async fn start_raft(&self) -> Result<(), Fault> {
        let (last, _, vote) = self.log.ends();
        let is_pristine = last.is_none() && vote.is_none() && self.applied.last().is_none();
        let node = self.identity.node;
        let applier = self.applied.applier().await;
        let config = self.config();
        let raft = Raft::new(node, config, Peers, self.log.clone(), applier).await;
        let raft: OpenRaft<M> = raft.map_err(|fatal| self.why(&fatal))?;
        *self.raft.borrow_mut() = Some(raft.clone());
        if is_pristine {
            let me = BasicNode { addr: self.settings.address.clone() };
            let members = BTreeMap::from([(node, me)]);
            let begun = raft.initialize(members).await;
            begun.map_err(|error| self.why(&error))?;
        }
        let alone = |raft: &OpenRaft<M>| {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            is_alone(metrics.membership_config.membership(), node)
        };
        if !is_pristine && !alone(&raft) {
            return Ok(());
        }
        if !is_pristine {
            raft.trigger().elect(false).await.map_err(|fatal| self.why(&fatal))?;
        }
        let leads = raft.wait(None).state(ServerState::Leader, "lead a group of one").await;
        leads.map_err(|error| self.why(&error))?;
        let (last, ..) = self.log.ends();
        let applied = raft.wait(None).applied_index_at_least(last.index(), "replay the log").await;
        applied.map_err(|error| self.why(&error))?;
        Ok(())
    }

    /// What the disk said, if it did; else what openraft says.
    fn why(&self, error: &dyn std::fmt::Display) -> Fault {
        let told = || Fault::Latched(format!("the replicated log has stopped: {error}"));
        self.store.trouble().unwrap_or_else(told)
    }

    fn set_state(&self, state: State) {
        let counters = &self.store.shared.counters;
        counters.read_only.set(u64::from(matches!(state, State::ReadOnly(_))));
        counters.latched.set(u64::from(matches!(state, State::Latched(_))));
        let old = self.state.replace(state.clone());
        if old == state {
            return;
        }
        match &state {
            State::Ok if old != State::Starting => tracing::info!("writes are taken again"),
            State::ReadOnly(why) => tracing::error!("writes are refused: {why}"),
            State::Latched(why) => tracing::error!("writes are refused until a restart: {why}"),
            _ => {}
        }
    }

    async fn stop(&self) {
        let was_fine = matches!(*self.state.borrow(), State::Ok | State::ReadOnly(_));
        self.set_state(State::Stopped);
        self.queue.wake();
        let driver = self.driver.borrow_mut().take();
        if let Some(driver) = driver {
            let _ = driver.await;
        }
        if was_fine && self.applied.is_ahead() {
            // What cannot be written is in the log.
            let _ = self.applied.checkpoint_now().await;
        }
        let raft = self.raft.borrow_mut().take();
        if let Some(raft) = raft {
            let _ = raft.shutdown().await;
        }
        let _ = self.store.log(|file| file.close()).await;
        let _ = self.store.state(|file| file.close()).await;
        self.store.close();
    }
}

/// Whether a node is the only voter.
fn is_alone(membership: &Membership, node: u64) -> bool {
    membership.voter_ids().eq([node])
}
