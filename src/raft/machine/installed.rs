//! From the checkpoint into memory: at the start, and when another member's snapshot has come.

use super::{Applied, Machine};
use crate::boot::memory;
use crate::raft::encoding::Totals;
use crate::raft::fault::Fault;
use crate::raft::snapshot::{Parcel, Reading};
use crate::raft::store::Store;
use crate::raft::store::book::Identity;
use crate::raft::store::early::{Hears, Verified};
use crate::raft::store::state_file::{Cursor, Head, Piece};
use crate::raft::types::{SnapshotMeta, Types};
use futures_lite::future::zip;
use nacre_shards::durable::Record;
use openraft::type_config::alias::SnapshotOf;
use openraft::{Snapshot, storage};

/// Loads the checkpoint into a machine.
///
/// # Errors
/// The disk's; a record that makes no sense; more or fewer than the checkpoint says.
pub async fn load<M: Machine>(store: &Store, machine: &mut M) -> Result<(), Fault> {
    let read = |cursor, found| store.state(move |file| file.load(cursor, found));
    take_all(read, machine).await?;
    finish(machine);
    Ok(())
}

/// `state.redb`, open.
#[derive(Debug)]
pub struct Opened {
    pub identity: Identity,
    pub head: Head,
    /// Its records are in the machine already.
    pub is_read: bool,
}

/// Opens `state.redb`, and reads it into an empty machine meanwhile where that can be. What was
/// read counts only if the file, once open, says of itself what was read; else the machine is empty
/// again.
///
/// # Errors
/// As [`StateFile::open`](crate::raft::store::StateFile::open).
pub async fn open<M: Machine>(
    store: &Store,
    machine: &mut M,
    fresh: Identity,
    may_make: bool,
) -> Result<Opened, Fault> {
    if !store.has_early() {
        let opened = store.state(move |file| file.open(fresh, may_make, None)).await;
        return opened.map(|(identity, head)| Opened { identity, head, is_read: false });
    }
    let (verified, hears) = Verified::new();
    let opening = store.state(move |file| file.open(fresh, may_make, Some(verified)));
    let (opened, read) = zip(opening, read_early(store, machine, hears)).await;
    // Before anything is written.
    store.end_early().await;
    let (identity, head) = opened?;
    let is_read = read.is_ok_and(|early| early == head);
    if is_read {
        store.shared.counters.loaded_early.add(1);
    } else {
        machine.clear();
    }
    Ok(Opened { identity, head, is_read })
}

/// Loads while the file is being opened. What the file said of itself.
async fn read_early<M: Machine>(
    store: &Store,
    machine: &mut M,
    hears: Hears,
) -> Result<Head, Fault> {
    let head = store.early(move |file| file.open(hears)).await?;
    take_all(|cursor, found| store.early(move |file| file.load(cursor, found)), machine).await?;
    Ok(head)
}

/// All of the checkpoint was read.
pub fn finish(machine: &mut impl Machine) {
    machine.loaded();
    // Pieces came and went between two threads.
    memory::give_back();
}

/// Takes in all records piece by piece: the next is read while this is taken in.
async fn take_all<M: Machine, F: Future<Output = Result<Piece, Fault>>>(
    read: impl Fn(Option<Cursor>, Totals) -> F,
    machine: &mut M,
) -> Result<(), Fault> {
    let mut piece = read(None, Totals::default()).await?;
    loop {
        let (records, cursor, found) = piece;
        let Some(cursor) = cursor else { return take_in(machine, records) };
        let next = read(Some(cursor), found);
        // Asked for first, so that both threads have something to do.
        let (next, taken) = zip(next, async { take_in(machine, records) }).await;
        taken?;
        piece = next?;
    }
}

fn take_in<M: Machine>(machine: &mut M, records: Vec<Record>) -> Result<(), Fault> {
    for record in records {
        let table = record.table;
        let key = record.key.clone();
        machine.load(record).map_err(|why| {
            let key = key.escape_ascii();
            Fault::Damaged(format!(
                "state.redb: record {key} of {table:?} makes no sense: {why}; run `nacre verify`"
            ))
        })?;
    }
    Ok(())
}

impl<M: Machine> Applied<M> {
    /// Replaces everything by a snapshot: first on the disk, all or nothing, then in memory. Vote
    /// and log are not touched.
    ///
    /// # Errors
    /// The disk's; a bad piece. Then everything is as it was before.
    pub(super) async fn install(&self, meta: &SnapshotMeta, parcel: Parcel) -> Result<(), Fault> {
        self.hold().await;
        let done = self.install_held(meta, parcel).await;
        self.let_go();
        done
    }

    async fn install_held(&self, meta: &SnapshotMeta, mut parcel: Parcel) -> Result<(), Fault> {
        self.store.state(|file| file.begin_install()).await?;
        while let Some(piece) = parcel.pieces.next().await? {
            self.store.state(move |file| file.install_piece(piece)).await?;
        }
        let (last, membership) = (meta.last_log_id, meta.last_membership.clone());
        let kept = membership.clone();
        let said = parcel.totals.take();
        self.store.state(move |file| file.end_install(last, kept, said)).await?;
        self.waiting.borrow_mut().clear();
        self.checkpointed.set(last);
        self.last.set(last);
        *self.membership.borrow_mut() = membership;
        self.load_again().await
    }

    /// Nobody else uses the machine meanwhile: openraft installs and applies in one task.
    #[allow(clippy::await_holding_refcell_ref)]
    async fn load_again(&self) -> Result<(), Fault> {
        let mut machine = self.machine.borrow_mut();
        machine.clear();
        load(&self.store, &mut *machine).await
    }

    /// A snapshot of the checkpoint as it is on the disk now.
    ///
    /// # Errors
    /// The disk's; too many are being read.
    pub(in crate::raft) async fn open_snapshot(&self) -> Result<SnapshotOf<Types, Parcel>, Fault> {
        let (reader, head) = self.store.state(|file| file.open_reader()).await?;
        let pieces = Box::new(Reading::new(self.store.clone(), reader));
        let meta =
            storage::SnapshotMeta { last_log_id: head.applied, last_membership: head.membership };
        Ok(Snapshot { meta, snapshot: Parcel { totals: Some(head.totals), pieces } })
    }
}
