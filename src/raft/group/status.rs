//! How the group and its disk are, for health checks, metrics and operators.

use super::Inner;
use crate::raft::counters::Counted;
use crate::raft::machine::Machine;
use openraft::async_runtime::WatchReceiver;
use openraft::{LogIdOptionExt, ServerState};
use std::sync::Arc;

/// Whether writes are taken, and why not. Reads are served in all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The log is being replayed.
    Starting,
    /// Writes are taken (by the leader).
    Ok,
    /// The disk has no room; comes back by itself.
    ReadOnly(Arc<str>),
    /// The disk lost something or may have; an operator must look and restart.
    Latched(Arc<str>),
    /// Stopped, or stopping.
    Stopped,
}

/// What this member is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Leader,
    Follower,
    Candidate,
    Learner,
    /// Not taking part: stopped, or storage has failed.
    None,
}

/// A look at the group.
#[derive(Debug, Clone)]
pub struct Status {
    pub state: State,
    pub role: Role,
    /// This node's id in the group.
    pub node: u64,
    pub cluster: u128,
    pub term: u64,
    pub leader: Option<u64>,
    /// Ids, addresses, and whether they vote.
    pub members: Vec<(u64, String, bool)>,
    /// Index of the last entry in the log.
    pub last_log: Option<u64>,
    /// Index of the last entry that was applied.
    pub applied: Option<u64>,
    /// Index of the last entry in the durable checkpoint.
    pub checkpointed: Option<u64>,
    /// Index of the last entry that is not in the log any more.
    pub purged: Option<u64>,
    pub counters: Counted,
}

impl<M: Machine> Inner<M> {
    pub(super) fn status(&self) -> Status {
        let (last, purged, vote) = self.log.ends();
        let mut status = Status {
            state: self.state.borrow().clone(),
            role: Role::None,
            node: self.identity.node,
            cluster: self.identity.cluster,
            term: vote.map_or(0, |vote| vote.leader_id.term),
            leader: None,
            members: Vec::new(),
            last_log: last.index(),
            applied: self.applied.last().index(),
            checkpointed: self.applied.checkpointed().index(),
            purged: purged.index(),
            counters: self.store.shared.counters.read(),
        };
        if let Some(raft) = &*self.raft.borrow() {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            status.role = match metrics.state {
                ServerState::Leader => Role::Leader,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Learner => Role::Learner,
                ServerState::Shutdown => Role::None,
            };
            status.leader = metrics.current_leader;
            let membership = metrics.membership_config.membership();
            let votes = |id: u64| membership.voter_ids().any(|voter| voter == id);
            let member = |(id, node): (&u64, &openraft::impls::BasicNode)| {
                (*id, node.addr.clone(), votes(*id))
            };
            status.members = membership.nodes().map(member).collect();
        }
        status
    }
}
