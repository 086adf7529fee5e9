//! `log.redb`, the log of earlier versions: read once, and kept as `log.wal` from then on.

use crate::raft::encoding::{Assembly, Stored, first_key, take_log_id, take_vote};
use crate::raft::fault::Fault;
use crate::raft::store::Shared;
use crate::raft::store::book::{Book, Identity, META, get_meta};
use crate::raft::types::{LogId, Vote};
use openraft::LogIdOptionExt;
use redb::TableDefinition;

/// Rows of entries: index and part, to bytes.
pub const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");

/// The file's name.
pub const NAME: &str = "log.redb";

/// What it holds.
#[derive(Debug)]
pub struct Older {
    pub identity: Identity,
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    pub entries: Vec<Stored>,
}

/// Reads it. That no entry is missing is seen when what it becomes is read.
///
/// # Errors
/// As [`Book::open`]; a wrong checksum.
pub fn read(shared: &Shared) -> Result<Older, Fault> {
    let mut book = Book::new(shared, NAME, |counters| &counters.log_file_bytes);
    let identity = book.open(None)?;
    let older = book.read("read", |txn| {
        let meta = txn.open_table(META)?;
        let vote = get_meta(&meta, "vote")?;
        let vote = vote.map(|mut bytes| take_vote(&mut bytes)).transpose()?;
        let purged = match get_meta(&meta, "purged")? {
            Some(mut bytes) => take_log_id(&mut bytes)?,
            None => None,
        };
        let mut entries = Vec::new();
        let mut assembly = Assembly::default();
        for row in txn.open_table(LOG)?.range(first_key(purged.next_index())..)? {
            let (key, bytes) = row?;
            entries.extend(assembly.row(key.value(), bytes.value())?);
        }
        assembly.ended()?;
        Ok(Older { identity, vote, purged, entries })
    })?;
    book.close()?;
    Ok(older)
}
