//! From the checkpoint into memory: at the start, and when another member's snapshot has come.

use super::{Applied, Machine};
use crate::boot::memory;
use crate::raft::encoding::Totals;
use crate::raft::fault::Fault;
use crate::raft::snapshot::{Parcel, Reading};
use crate::raft::store::Store;
use crate::raft::types::{SnapshotMeta, Types};
use futures_lite::future::zip;
use nacre_shards::durable::Record;
use openraft::type_config::alias::SnapshotOf;
use openraft::{Snapshot, storage};

/// Loads the checkpoint into a machine, piece by piece: the next is read while this is taken in.
///
/// # Errors
/// The disk's; a record that makes no sense; more or fewer than the checkpoint says.
pub async fn load<M: Machine>(store: &Store, machine: &mut M) -> Result<(), Fault> {
    let mut piece = store.state(|file| file.load(None, Totals::default())).await?;
    loop {
        let (records, cursor, found) = piece;
        let Some(cursor) = cursor else {
            take_in(machine, records)?;
            break;
        };
        let next = store.state(move |file| file.load(Some(cursor), found));
        // Asked for first, so that both threads have something to do.
        let (next, taken) = zip(next, async { take_in(machine, records) }).await;
        taken?;
        piece = next?;
    }
    machine.loaded();
    // Pieces came and went between two threads.
    memory::give_back();
    Ok(())
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
