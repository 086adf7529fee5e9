//! `log.redb`: vote, log entries, and up to where they were purged. Lives on the log's thread.

use super::Shared;
use super::book::{Book, Broken, Identity, META, get_meta, put_meta};
use super::worker::Keeper;
use crate::boot::memory;
use crate::raft::encoding::{
    Assembly, Stored, first_key, index_of, put_log_id, put_vote, take_log_id, take_vote,
};
use crate::raft::fault::Fault;
use crate::raft::limits::{GIVE_BACK_LOG_BYTES, LOG_READ_BYTES_MAX, SWEEP_IDLE, SWEEP_PER_ROW};
use crate::raft::types::{LogId, Vote, log_id, term_of};
use openraft::LogIdOptionExt;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

/// Rows of entries: index and part ([`first_key`]), to bytes.
pub const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");

/// The file's name.
pub const NAME: &str = "log.redb";

const VOTE: &str = "vote";
const PURGED: &str = "purged";

/// What the log held when it was opened.
#[derive(Debug)]
pub struct Opened {
    pub identity: Identity,
    /// Made just now.
    pub is_new: bool,
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    /// All entries behind the purged ones, without a hole.
    pub entries: Vec<Stored>,
}

/// What a log says of itself besides its entries.
#[derive(Debug)]
pub struct Head {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
}

/// The file, on its thread.
#[derive(Debug)]
pub struct LogFile {
    book: Book,
    purged: Option<LogId>,
    /// Purged entries may still be in the file; they are removed bit by bit.
    to_sweep: bool,
    purge_unsaved: bool,
    /// Bytes read or appended since memory was last given back.
    handled_bytes: usize,
}

impl LogFile {
    /// Not open yet.
    pub fn new(shared: &Shared) -> Self {
        Self {
            book: Book::new(shared, NAME, |counters| &counters.log_file_bytes),
            purged: None,
            to_sweep: false,
            purge_unsaved: false,
            handled_bytes: 0,
        }
    }

    /// Opens the file, or makes it with this identity where there is none, unless there is a
    /// checkpoint: then it has been lost.
    ///
    /// # Errors
    /// As [`Book::open`]; a hole between entries; a wrong checksum.
    pub fn open(&mut self, fresh: Identity, has_state: bool) -> Result<Opened, Fault> {
        let is_new = !self.book.exists()?;
        if is_new && has_state {
            return Err(Fault::Damaged(
                "there is a state.redb but no log.redb: vote and log are missing; restore the \
                 data directory from a backup"
                    .to_owned(),
            ));
        }
        if is_new {
            self.book.create(fresh, |txn| {
                txn.open_table(LOG)?;
                Ok(())
            })?;
            return Ok(Opened {
                identity: fresh,
                is_new,
                vote: None,
                purged: None,
                entries: Vec::new(),
            });
        }
        let identity = self.book.open(None)?;
        let (head, entries) = self.book.read("read", |txn| {
            let head = read_head(&txn.open_table(META)?)?;
            let mut entries = Vec::new();
            let mut walk = Walk::new(&head);
            let mut assembly = Assembly::default();
            for row in txn.open_table(LOG)?.range(first_key(head.purged.next_index())..)? {
                let (key, bytes) = row?;
                if let Some(entry) = assembly.row(key.value(), bytes.value())? {
                    walk.step(&entry)?;
                    entries.push(entry);
                }
            }
            assembly.ended()?;
            Ok((head, entries))
        })?;
        self.purged = head.purged;
        self.to_sweep = head.purged.is_some();
        self.handled_bytes = GIVE_BACK_LOG_BYTES;
        Ok(Opened { identity, is_new, vote: head.vote, purged: head.purged, entries })
    }

    /// Closes the file and opens it again, after it had met a full disk. Its last entry may be one
    /// that was not confirmed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&mut self) -> Result<Opened, Fault> {
        // What it says at its end was said before.
        let _ = self.book.close();
        if !self.book.exists()? {
            return Err(Fault::Damaged("log.redb has been removed while nacre ran".to_owned()));
        }
        self.open(Identity { node: 0, cluster: 0 }, true)
    }

    /// Appends entries; they are on the disk when this returns.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, entries: &[Stored]) -> Result<(), Fault> {
        let rows: usize = entries.iter().map(Stored::rows).sum();
        self.handled_bytes += entries.iter().map(Stored::len).sum::<usize>();
        let sweep = self.to_sweep.then_some(rows * SWEEP_PER_ROW);
        self.write("append", sweep, |txn| {
            let mut log = txn.open_table(LOG)?;
            for entry in entries {
                entry.write(|key, bytes, fill| {
                    fill(log.insert_reserve(key, bytes)?.as_mut());
                    Ok::<_, Broken>(())
                })?;
            }
            Ok(())
        })
    }

    /// Keeps a vote; it is on the disk when this returns.
    ///
    /// # Errors
    /// The disk's.
    pub fn save_vote(&mut self, vote: &Vote) -> Result<(), Fault> {
        let bytes = put_vote(vote);
        self.write("vote", None, |txn| put_meta(&mut txn.open_table(META)?, VOTE, &bytes))
    }

    /// Removes the entries from this index on.
    ///
    /// # Errors
    /// The disk's.
    pub fn truncate(&mut self, from: u64) -> Result<(), Fault> {
        self.write("truncate", None, |txn| {
            let mut log = txn.open_table(LOG)?;
            while log.last()?.is_some_and(|(key, _)| key.value() >= first_key(from)) {
                log.pop_last()?;
            }
            Ok(())
        })
    }

    /// Entries up to this one are not needed any more. They go with later appends, or when
    /// nothing else is to be done; a crash before that only leaves them a while longer.
    pub fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        self.purge_unsaved = true;
        self.to_sweep = true;
    }

    /// The log ended before this entry and goes on behind it (a snapshot was installed): the mark
    /// must be on the disk before anything is appended.
    ///
    /// # Errors
    /// The disk's.
    pub fn purge_now(&mut self, upto: LogId) -> Result<(), Fault> {
        self.purge(upto);
        self.write("purge", Some(SWEEP_IDLE), |_| Ok(()))
    }

    /// Entries of a range, at most [`LOG_READ_BYTES_MAX`] of them unless the first alone is more.
    ///
    /// # Errors
    /// The disk's; a wrong checksum.
    pub fn read(&mut self, from: u64, to: u64) -> Result<Vec<Stored>, Fault> {
        self.book.read("read", |txn| {
            let mut entries: Vec<Stored> = Vec::new();
            let mut bytes = 0;
            let mut assembly = Assembly::default();
            for row in txn.open_table(LOG)?.range(first_key(from)..first_key(to))? {
                let (key, part) = row?;
                if let Some(entry) = assembly.row(key.value(), part.value())? {
                    bytes += entry.len();
                    entries.push(entry);
                    if bytes >= LOG_READ_BYTES_MAX {
                        return Ok(entries);
                    }
                }
            }
            assembly.ended()?;
            Ok(entries)
        })
    }

    /// Closes the file in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&mut self) -> Result<(), Fault> {
        let saved = if self.purge_unsaved {
            self.write("purge", Some(SWEEP_IDLE), |_| Ok(()))
        } else {
            Ok(())
        };
        self.book.close().and(saved)
    }

    fn write(
        &mut self,
        what: &str,
        sweep: Option<usize>,
        work: impl FnOnce(&WriteTransaction) -> Result<(), Broken>,
    ) -> Result<(), Fault> {
        let purged = self.purged;
        let unsaved = self.purge_unsaved;
        let more = self.book.write(what, false, |txn| {
            work(txn)?;
            if unsaved {
                let mut bytes = Vec::new();
                put_log_id(&mut bytes, purged.as_ref());
                put_meta(&mut txn.open_table(META)?, PURGED, &bytes)?;
            }
            match (sweep, purged) {
                (Some(rows_max), Some(upto)) => {
                    swept(&mut txn.open_table(LOG)?, upto.index(), rows_max)
                }
                _ => Ok(true),
            }
        })?;
        self.book.counters().commits.add(1);
        self.purge_unsaved = false;
        if sweep.is_some() {
            self.to_sweep = more;
        }
        Ok(())
    }
}

impl Keeper for LogFile {
    fn look_around(&mut self, is_idle: bool) {
        if is_idle && self.to_sweep {
            // An error is remembered by the file and told to whoever writes next.
            let _ = self.write("purge", Some(SWEEP_IDLE), |_| Ok(()));
        }
        if is_idle && !self.to_sweep && self.handled_bytes >= GIVE_BACK_LOG_BYTES {
            self.handled_bytes = 0;
            memory::give_back();
        }
    }
}

/// Removes some rows of entries up to an index; true when more are left.
fn swept(log: &mut Table<'_, u64, &[u8]>, upto: u64, rows_max: usize) -> Result<bool, Broken> {
    for _ in 0..rows_max {
        if log.first()?.is_none_or(|(key, _)| index_of(key.value()) > upto) {
            return Ok(false);
        }
        log.pop_first()?;
    }
    Ok(true)
}

/// Vote and purge point.
pub fn read_head(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Head, Broken> {
    let vote = match get_meta(meta, VOTE)? {
        Some(mut bytes) => Some(take_vote(&mut bytes)?),
        None => None,
    };
    let purged = match get_meta(meta, PURGED)? {
        Some(mut bytes) => take_log_id(&mut bytes)?,
        None => None,
    };
    Ok(Head { vote, purged })
}

/// Goes from entry to entry and finds holes.
#[derive(Debug)]
pub struct Walk {
    last: Option<LogId>,
}

impl Walk {
    /// Behind what was purged.
    pub fn new(head: &Head) -> Self {
        Self { last: head.purged }
    }

    /// Goes on behind an entry that could not be read.
    pub fn skip_to(&mut self, index: u64) {
        let term = self.last.as_ref().map_or(0, term_of);
        self.last = Some(log_id(term, index));
    }

    /// The next entry.
    ///
    /// # Errors
    /// Entries are missing before it, or its term lies before the last.
    pub fn step(&mut self, entry: &Stored) -> Result<(), String> {
        let expected = self.last.next_index();
        let index = entry.index;
        if index != expected {
            return Err(format!("log entries {expected} to {} are missing", index.wrapping_sub(1)));
        }
        if self.last.is_some_and(|last| term_of(&last) > entry.term) {
            return Err(format!("log entry {index} is of an older term than the one before"));
        }
        self.last = Some(entry.id());
        Ok(())
    }
}
