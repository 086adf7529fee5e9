//! A snapshot of another member takes the place of the checkpoint: in one transaction, so that a
//! crash or a bad piece leaves what was there before.

use super::{Head, META, RECORDS, StateFile, same_totals, write_head, write_record};
use crate::raft::encoding::{Totals, take_chunk};
use crate::raft::fault::Fault;
use crate::raft::store::book::Broken;
use crate::raft::types::{LogId, StoredMembership};
use bytes::Bytes;
use nacre_shards::durable::Record;
use redb::WriteTransaction;
use std::fmt;

/// A snapshot of which some pieces are in.
pub struct Install {
    txn: WriteTransaction,
    totals: Totals,
}

impl fmt::Debug for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Install").field("totals", &self.totals).finish_non_exhaustive()
    }
}

impl StateFile {
    /// Forgets a snapshot that was begun, and begins one.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin_install(&mut self) -> Result<(), Fault> {
        self.install = None;
        let mut txn = self.book.begin("install a snapshot")?;
        txn.set_quick_repair(true);
        let emptied = (|| {
            txn.delete_table(RECORDS)?;
            txn.open_table(RECORDS)?;
            Ok(())
        })();
        emptied.map_err(|broken| self.book.note("install a snapshot", broken))?;
        self.install = Some(Install { txn, totals: Totals::default() });
        Ok(())
    }

    /// Takes one more piece in.
    ///
    /// # Errors
    /// The disk's; a wrong checksum. Then nothing of the snapshot remains.
    pub fn install_piece(&mut self, piece: Bytes) -> Result<(), Fault> {
        let Some(mut install) = self.install.take() else {
            return Err(Fault::Refused("the installation has been given up".to_owned()));
        };
        let records = take_chunk(piece).map_err(Fault::Refused)?;
        let taken = install.take(&records);
        taken.map_err(|broken| self.book.note("install a snapshot", broken))?;
        self.install = Some(install);
        Ok(())
    }

    /// All pieces are in: the snapshot becomes the checkpoint, durably.
    ///
    /// # Errors
    /// The disk's; it is not what its sender said. Then nothing of it remains.
    pub fn end_install(
        &mut self,
        applied: Option<LogId>,
        membership: StoredMembership,
        said: Option<Totals>,
    ) -> Result<(), Fault> {
        let Some(Install { txn, totals }) = self.install.take() else {
            return Err(Fault::Refused("the installation has been given up".to_owned()));
        };
        if let Some(said) = said {
            same_totals(&said, &totals).map_err(Fault::Refused)?;
        }
        let ended = (|| {
            write_head(&mut txn.open_table(META)?, &Head { applied, membership, totals })?;
            txn.commit()?;
            Ok(())
        })();
        ended.map_err(|broken: Broken| self.book.note("install a snapshot", broken))
    }
}

impl Install {
    fn take(&mut self, records: &[Record]) -> Result<(), Broken> {
        let mut table = self.txn.open_table(RECORDS)?;
        let mut key = Vec::new();
        for record in records {
            write_record(&mut table, &mut self.totals, &mut key, record)?;
        }
        Ok(())
    }
}
