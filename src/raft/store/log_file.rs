//! `log.wal`: vote, log entries, and up to where they were purged. Lives on the log's thread.
//!
//! A file that is only ever written at its end: one write and one sync a commit. Its slots are
//! used again when nothing in them is needed, so that the disk has no new place to remember.

mod layout;
pub mod older;
pub mod replay;

use super::Shared;
use super::blame::Blame;
use super::book::{Broken, Identity};
use super::worker::Keeper;
use crate::boot::memory;
use crate::raft::counters::Counters;
use crate::raft::encoding::{Assembly, Stored, first_key, index_of, put_log_id, put_vote};
use crate::raft::fault::Fault;
use crate::raft::limits::{
    GIVE_BACK_LOG_BYTES, LOG_BUFFER_BYTES, LOG_FREE_SLOTS_MAX, LOG_READ_BYTES_MAX,
};
use crate::raft::place::{Guard, random};
use crate::raft::types::{LogId, Vote};
use layout::{
    BLOCK_BYTES, COMMIT_HEAD_BYTES, CommitHead, FileHead, Kind, RECORD_HEAD_BYTES, SLOT_BYTES_MIN,
    SLOT_HEAD_BYTES, SlotHead, put_record, slot_bytes_for,
};
use openraft::LogIdOptionExt;
use redb::StorageBackend;
use replay::{Found, RowAt, Slot};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

/// The file's name.
pub const NAME: &str = "log.wal";

/// Its name until it is whole.
const DRAFT: &str = "log.wal.new";

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

/// The file, on its thread.
#[derive(Debug)]
pub struct LogFile {
    shared: Shared,
    blame: Blame,
    /// Not after a write has failed: where the file ends is not known then.
    open: Option<Open>,
    /// Bytes read or appended since memory was last given back.
    handled_bytes: usize,
}

impl LogFile {
    /// Not open yet.
    pub fn new(shared: &Shared) -> Self {
        let blame = Blame::new(shared, NAME);
        Self { shared: shared.clone(), blame, open: None, handled_bytes: 0 }
    }

    /// Whether a log is there, of this or an earlier version.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn exists(place: &dyn crate::raft::Place) -> io::Result<bool> {
        Ok(place.exists(NAME)? || place.exists(older::NAME)?)
    }

    /// Opens the file, or makes it with this identity where there is none, unless there is a
    /// checkpoint: then it has been lost.
    ///
    /// # Errors
    /// The disk's; another format; a hole between entries; a wrong checksum.
    pub fn open(&mut self, fresh: Identity, has_state: bool) -> Result<Opened, Fault> {
        self.blame.forget();
        self.open = None;
        let place = self.shared.place.clone();
        let there = |name| place.exists(name);
        let (is_there, is_older) =
            match there(NAME).and_then(|ours| Ok((ours, there(older::NAME)?))) {
                Ok(found) => found,
                Err(error) => return Err(self.blame.io("look for", &error)),
            };
        if !is_there && !is_older && has_state {
            return Err(Fault::Damaged(format!(
                "there is a state.redb but no {NAME}: vote and log are missing; restore the data \
                 directory from a backup"
            )));
        }
        let older = if is_older && !is_there { Some(older::read(&self.shared)?) } else { None };
        let made = match (is_there, &older) {
            (true, _) => Ok(()),
            (false, Some(older)) => self.create(older.identity, Some(older)),
            (false, None) => self.create(fresh, None),
        };
        let opened = made.and_then(|()| self.open_there(!is_there && older.is_none()));
        let opened = opened.map_err(|broken| self.blame.note("open", broken))?;
        if is_older {
            // Whole under its new name: what is left of the old one is only room.
            self.shared
                .place
                .remove(older::NAME)
                .map_err(|error| self.blame.io("clear", &error))?;
        }
        // What it was read with, at once; what it held, when others have let go of it.
        memory::give_back();
        self.handled_bytes = GIVE_BACK_LOG_BYTES;
        Ok(opened)
    }

    fn guard(&self, file: Box<dyn StorageBackend>) -> Guard {
        let Shared { health, counters, .. } = self.shared.clone();
        Guard::new(file, health, counters, |counters| &counters.log_file_bytes)
    }

    fn open_there(&mut self, is_new: bool) -> Result<Opened, Broken> {
        let file = self.guard(self.shared.place.open(NAME)?);
        let head = replay::read_head(&file)?;
        let mut found = replay::read(&file, &head, &mut |what| Err(Broken::Wrong(what)))?;
        let end = head.slot_at(found.made);
        if file.len()? > end {
            // A slot whose making was interrupted; what is left of it must not come back with the
            // next one.
            file.set_len(end)?;
            file.sync_data()?;
        }
        let Found { vote, purged, .. } = found;
        let entries = std::mem::take(&mut found.entries);
        let identity = head.identity;
        self.open = Some(Open::new(file, head, self.shared.counters.clone(), found));
        Ok(Opened { identity, is_new, vote, purged, entries })
    }

    /// Makes the file under another name, with what an older one held, and gives it its name: it
    /// is there whole or not at all.
    fn create(&mut self, identity: Identity, older: Option<&older::Older>) -> Result<(), Broken> {
        let place = self.shared.place.clone();
        let file = self.guard(place.create(DRAFT)?);
        let slot_bytes = slot_bytes_for(place.free_bytes()?);
        let head = FileHead { identity, salt: u64::from_le_bytes(random()?), slot_bytes };
        file.set_len(BLOCK_BYTES as u64)?;
        file.write(0, &head.put())?;
        let mut open = Open::empty(file, head, self.shared.counters.clone());
        if let Some(older) = older {
            open.vote = older.vote;
            open.purged = older.purged;
        }
        open.next_slot()?;
        if let Some(older) = older {
            open.append(&older.entries)?;
        }
        place.publish(DRAFT, NAME)?;
        Ok(())
    }

    /// Closes the file and opens it again, after it had met a full disk. Its last entry may be one
    /// that was not confirmed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&mut self) -> Result<Opened, Fault> {
        self.open = None;
        let is_there = self.shared.place.exists(NAME);
        if !is_there.map_err(|error| self.blame.io("look for", &error))? {
            return Err(Fault::Damaged(format!("{NAME} has been removed while nacre ran")));
        }
        self.open(Identity { node: 0, cluster: 0 }, true)
    }

    /// Appends entries; they are on the disk when this returns.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, entries: &[Stored]) -> Result<(), Fault> {
        self.handled_bytes += entries.iter().map(Stored::len).sum::<usize>();
        self.write("append", |open| open.append(entries))
    }

    /// Keeps a vote; it is on the disk when this returns.
    ///
    /// # Errors
    /// The disk's.
    pub fn save_vote(&mut self, vote: &Vote) -> Result<(), Fault> {
        self.write("vote", |open| {
            open.begin()?;
            open.record(Kind::Vote, 0, &put_vote(vote))?;
            open.commit()?;
            open.vote = Some(*vote);
            Ok(())
        })
    }

    /// Removes the entries from this index on.
    ///
    /// # Errors
    /// The disk's.
    pub fn truncate(&mut self, from: u64) -> Result<(), Fault> {
        self.write("truncate", |open| {
            while open.rows.back().is_some_and(|row| row.key >= first_key(from)) {
                open.rows.pop_back();
            }
            open.begin()?;
            open.record(Kind::Truncate, from, &[])?;
            open.commit()
        })
    }

    /// Entries up to this one are not needed any more. Their slots are used again; a crash before
    /// the next append only leaves them a while longer.
    pub fn purge(&mut self, upto: LogId) {
        if let Some(open) = &mut self.open {
            open.purge(upto);
        }
    }

    /// The log ended before this entry and goes on behind it (a snapshot was installed): the mark
    /// must be on the disk before anything is appended.
    ///
    /// # Errors
    /// The disk's.
    pub fn purge_now(&mut self, upto: LogId) -> Result<(), Fault> {
        self.write("purge", |open| {
            open.purge(upto);
            open.begin()?;
            open.commit()
        })
    }

    /// Entries of a range, at most [`LOG_READ_BYTES_MAX`] of them unless the first alone is more.
    ///
    /// # Errors
    /// The disk's; a wrong checksum.
    pub fn read(&mut self, from: u64, to: u64) -> Result<Vec<Stored>, Fault> {
        let read = match &self.open {
            Some(open) => open.read(from, to),
            None => Err(Broken::Redb(redb::Error::DatabaseClosed)),
        };
        read.map_err(|broken| self.blame.note("read", broken))
    }

    /// Closes the file in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&mut self) -> Result<(), Fault> {
        if self.open.is_none() {
            return Ok(());
        }
        let closed = self.write("close", |open| {
            // Apart, so that a mark that cannot be read takes nothing with it.
            open.begin()?;
            open.commit()?;
            open.record(Kind::Closed, 0, &[])?;
            open.commit()
        });
        self.open = None;
        closed
    }

    fn write(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Open) -> Result<(), Broken>,
    ) -> Result<(), Fault> {
        let done = match &mut self.open {
            Some(open) => work(open),
            None => Err(Broken::Redb(redb::Error::DatabaseClosed)),
        };
        done.map_err(|broken| {
            self.open = None;
            self.blame.note(what, broken)
        })
    }
}

impl Keeper for LogFile {
    fn look_around(&mut self, is_idle: bool) {
        if !is_idle {
            return;
        }
        if self.open.is_some() {
            // An error is remembered and told to whoever writes next.
            let _ = self.write("purge", Open::give_back);
        }
        if self.handled_bytes >= GIVE_BACK_LOG_BYTES {
            self.handled_bytes = 0;
            memory::give_back();
        }
    }
}

/// The file, open.
#[derive(Debug)]
struct Open {
    file: Guard,
    head: FileHead,
    counters: Arc<Counters>,
    vote: Option<Vote>,
    purged: Option<LogId>,
    /// Not on the disk yet.
    purge_unsaved: bool,
    /// The disk has the beginning of this entry, and must forget it before there is another.
    torn_from: Option<u64>,
    rows: VecDeque<RowAt>,
    slots: VecDeque<Slot>,
    /// Slots of the file that hold nothing that is needed, and how many there are in all.
    free: BTreeSet<u32>,
    made: u32,
    /// Where the next commit goes in the last slot, and its number.
    at: usize,
    next_commit: u64,
    /// The commit that is being put together, with room for its head.
    whole: Vec<u8>,
}

impl Open {
    fn empty(file: Guard, head: FileHead, counters: Arc<Counters>) -> Self {
        Self {
            file,
            head,
            counters,
            vote: None,
            purged: None,
            purge_unsaved: false,
            torn_from: None,
            rows: VecDeque::new(),
            slots: VecDeque::new(),
            free: BTreeSet::new(),
            made: 0,
            at: head.slot_bytes,
            next_commit: 0,
            whole: vec![0; COMMIT_HEAD_BYTES],
        }
    }

    fn new(file: Guard, head: FileHead, counters: Arc<Counters>, found: Found) -> Self {
        let live: BTreeSet<u32> = found.slots.iter().map(|slot| slot.slot).collect();
        Self {
            vote: found.vote,
            purged: found.purged,
            torn_from: found.torn_from,
            rows: found.rows,
            slots: found.slots,
            free: (0..found.made).filter(|slot| !live.contains(slot)).collect(),
            made: found.made,
            at: found.at,
            next_commit: found.next_commit,
            ..Self::empty(file, head, counters)
        }
    }

    fn append(&mut self, entries: &[Stored]) -> Result<(), Broken> {
        self.begin()?;
        for entry in entries {
            entry.write(|key, bytes, fill| {
                self.room_for(bytes)?;
                let slot = self.slots.back_mut().expect("there is always one");
                slot.end_index = slot.end_index.max(index_of(key) + 1);
                let offset = self.at + self.whole.len() + RECORD_HEAD_BYTES;
                self.rows.push_back(RowAt {
                    key,
                    slot: slot.slot,
                    offset: offset as u32,
                    bytes: bytes as u32,
                });
                fill(put_record(&mut self.whole, Kind::Row, key, bytes));
                Ok::<_, Broken>(())
            })?;
        }
        self.commit()
    }

    fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        self.purge_unsaved = true;
        while self.rows.front().is_some_and(|row| index_of(row.key) <= upto.index()) {
            self.rows.pop_front();
        }
    }

    /// What has to be said before anything else.
    fn begin(&mut self) -> Result<(), Broken> {
        if let Some(from) = self.torn_from.take() {
            self.record(Kind::Truncate, from, &[])?;
        }
        if self.purge_unsaved {
            let mut bytes = Vec::new();
            put_log_id(&mut bytes, self.purged.as_ref());
            self.record(Kind::Purge, 0, &bytes)?;
            self.purge_unsaved = false;
        }
        Ok(())
    }

    fn record(&mut self, kind: Kind, key: u64, bytes: &[u8]) -> Result<(), Broken> {
        self.room_for(bytes.len())?;
        put_record(&mut self.whole, kind, key, bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    /// Sees to it that a record of so many bytes fits into the commit.
    fn room_for(&mut self, bytes: usize) -> Result<(), Broken> {
        let needed = self.whole.len() + RECORD_HEAD_BYTES + bytes;
        if needed > self.head.slot_bytes - self.at {
            self.commit()?;
            self.next_slot()?;
        }
        Ok(())
    }

    /// Writes what was put together, if anything; it is on the disk when this returns.
    fn commit(&mut self) -> Result<(), Broken> {
        if self.whole.len() == COMMIT_HEAD_BYTES {
            return Ok(());
        }
        let slot = self.slots.back().expect("there is always one");
        CommitHead::put(&self.head, slot.number, self.next_commit, &mut self.whole);
        self.whole.resize(self.whole.len().next_multiple_of(BLOCK_BYTES), 0);
        self.file.write(self.head.slot_at(slot.slot) + self.at as u64, &self.whole)?;
        self.file.sync_data()?;
        self.counters.commits.add(1);
        self.at += self.whole.len();
        self.next_commit += 1;
        self.whole.truncate(COMMIT_HEAD_BYTES);
        self.whole.shrink_to(LOG_BUFFER_BYTES);
        Ok(())
    }

    /// Goes on in a slot that holds nothing that is needed. Its head is on the disk before
    /// anything in it is: until then it is what it was.
    fn next_slot(&mut self) -> Result<(), Broken> {
        self.free_purged();
        let slot = match self.free.pop_first() {
            Some(slot) => slot,
            None => self.make_slot()?,
        };
        let number = self.slots.back().map_or(1, |last| last.number + 1);
        let head = SlotHead {
            number,
            first_commit: self.next_commit,
            vote: self.vote,
            purged: self.purged,
        };
        self.file.write(self.head.slot_at(slot), &head.put(&self.head))?;
        self.file.sync_data()?;
        self.slots.push_back(Slot { slot, number, end_index: 0 });
        self.at = SLOT_HEAD_BYTES;
        Ok(())
    }

    /// One slot more at the end of the file. Written, and not only made long: a commit must not be
    /// the first to find that the disk has no room for it, nor wait until the disk has found some.
    fn make_slot(&mut self) -> Result<u32, Broken> {
        let slot = self.made;
        let (begin, end) = (self.head.slot_at(slot), self.head.slot_at(slot + 1));
        self.file.set_len(end)?;
        let zeros = vec![0; SLOT_BYTES_MIN];
        for at in (begin..end).step_by(zeros.len()) {
            let left = (end - at).min(zeros.len() as u64) as usize;
            self.file.write(at, &zeros[..left])?;
        }
        self.made += 1;
        Ok(slot)
    }

    fn free_purged(&mut self) {
        while self.slots.len() > 1 && self.slots[0].end_index <= self.purged.next_index() {
            let freed = self.slots.pop_front().expect("more than one");
            self.free.insert(freed.slot);
        }
    }

    /// Lets go of slots at the end of the file that a burst has left. What was in them must be
    /// known as purged first: without them nothing else says that it was there.
    fn give_back(&mut self) -> Result<(), Broken> {
        self.free_purged();
        let mut made = self.made;
        while self.free.len() > LOG_FREE_SLOTS_MAX && self.free.last() == Some(&(made - 1)) {
            self.free.pop_last();
            made -= 1;
        }
        if made < self.made {
            self.begin()?;
            self.commit()?;
            self.made = made;
            self.file.set_len(self.head.slot_at(made))?;
        }
        Ok(())
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<Stored>, Broken> {
        let mut entries: Vec<Stored> = Vec::new();
        let mut bytes = 0;
        let mut assembly = Assembly::default();
        let mut part = Vec::new();
        let first = self.rows.partition_point(|row| row.key < first_key(from));
        for row in self.rows.range(first..).take_while(|row| row.key < first_key(to)) {
            part.resize(row.bytes as usize, 0);
            self.file.read(self.head.slot_at(row.slot) + u64::from(row.offset), &mut part)?;
            if let Some(entry) = assembly.row(row.key, &part)? {
                bytes += entry.len();
                entries.push(entry);
                if bytes >= LOG_READ_BYTES_MAX {
                    return Ok(entries);
                }
            }
        }
        assembly.ended()?;
        Ok(entries)
    }
}

#[cfg(test)]
mod tests;
