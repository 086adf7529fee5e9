//! The types openraft is used with, in one place.

use super::runtime::Glommio;
use bytes::Bytes;
use openraft::impls::{BasicNode, leader_id_std};
use std::any::Any;
use std::fmt;

openraft::declare_raft_types!(
    /// One group, replicated bytes, members known by a number and an address.
    pub Types:
        D = Batch,
        R = Reply,
        NodeId = u64,
        Node = BasicNode,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Glommio,
);

/// What one log entry carries: some commands, packed ([`encoding`](super::encoding)).
#[derive(Clone, PartialEq, Eq)]
pub struct Batch(pub Bytes);

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} bytes)", self.0.len())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry answers: a `Vec` of the machine's answers, one per command, in order.
/// Its type is forgotten on the way through openraft, so that only the group depends on it.
#[derive(Debug, Default)]
pub struct Reply(pub Option<Box<dyn Any>>);

/// Where an entry stands in the log, and in which term it was written.
pub type LogId = openraft::type_config::alias::LogIdOf<Types>;
/// Who leads, or was voted for.
pub type Vote = openraft::type_config::alias::VoteOf<Types>;
/// One log entry.
pub type Entry = openraft::type_config::alias::EntryOf<Types>;
/// What a log entry holds.
pub type Payload = openraft::EntryPayload<Batch, u64, BasicNode>;
/// Who belongs to the group.
pub type Membership = openraft::Membership<u64, BasicNode>;
/// Who belongs to the group, and since which entry.
pub type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
/// What is known of a snapshot without reading it.
pub type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;

/// A log id from what the disk holds.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(openraft::vote::leader_id_std::CommittedLeaderId::new(term), index)
}

/// The term an entry was written in.
pub fn term_of(id: &LogId) -> u64 {
    id.committed_leader_id().term
}
