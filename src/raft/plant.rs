//! A store that begins with somebody else's state: what a restore makes.
//!
//! The new member is the only one of a new group. Its log begins behind the position of the copy,
//! and its vote is of that position's term, so that everything it will ever write comes after what
//! it was given.

use super::counters::Counters;
use super::encoding::Totals;
use super::fault::Fault;
use super::group::fresh_identity;
use super::place::Place;
use super::store::book::Identity;
use super::store::{LogFile, Shared, StateFile};
use super::types::{Membership, StoredMembership, Vote, log_id};
use bytes::Bytes;
use openraft::impls::{BasicNode, leader_id_std};
use openraft::vote::RaftVote;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is to be planted, but for its pieces.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Term and index of the last entry the copy holds.
    pub term: u64,
    pub index: u64,
    /// Compared with what the pieces hold before anything of it counts.
    pub totals: Totals,
    /// Where other members will reach this one.
    pub address: String,
}

/// Makes both files in an empty place. Blocks; for a process that serves nobody.
///
/// # Errors
/// The disk's; a piece that cannot be read or is not whole; other contents than the seed says. The
/// place may hold unfinished files then.
pub fn plant(
    place: Arc<dyn Place>,
    seed: Seed,
    pieces: impl Iterator<Item = std::io::Result<Bytes>>,
) -> Result<Identity, Fault> {
    let lacking = |error: std::io::Error| Fault::Refused(error.to_string());
    let identity = fresh_identity().map_err(lacking)?;
    let shared = Shared { place, health: Arc::default(), counters: Arc::new(Counters::default()) };
    let last = log_id(seed.term, seed.index);
    let leader = leader_id_std::LeaderId { term: seed.term, voted_for: identity.node };
    let mut log = LogFile::new(&shared);
    log.open(identity, false)?;
    log.save_vote(&Vote::from_leader_id(leader, false))?;
    log.purge_now(last)?;
    log.close()?;
    let me = BTreeMap::from([(identity.node, BasicNode { addr: seed.address })]);
    let membership = Membership::new(vec![BTreeSet::from([identity.node])], me)
        .map_err(|error| Fault::Refused(error.to_string()))?;
    let membership = StoredMembership::new(Some(last), membership);
    let mut state = StateFile::new(&shared);
    state.open(identity, true, None)?;
    state.begin_install()?;
    for piece in pieces {
        state.install_piece(piece.map_err(lacking)?)?;
    }
    state.end_install(Some(last), membership, Some(seed.totals))?;
    state.close()?;
    Ok(identity)
}
