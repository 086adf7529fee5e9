//! Reads `log.wal` from its first slot that counts to its last commit, and says what is wrong.
//!
//! The last commit may be torn and is dropped then: nobody was told that it is there. Anything
//! else that cannot be read has something behind it that can, and is damage.

use super::layout::{
    BLOCK_BYTES, CommitHead, FileHead, Kind, Record, SECTOR_BYTES, SLOT_HEAD_BYTES, SlotHead,
    take_record,
};
use crate::raft::encoding::{Assembly, Stored, first_key, index_of, take_log_id, take_vote};
use crate::raft::store::book::Broken;
use crate::raft::types::{LogId, Vote, term_of};
use bytes::Bytes;
use openraft::LogIdOptionExt;
use redb::StorageBackend;
use std::collections::VecDeque;

/// Where a row is.
#[derive(Debug, Clone, Copy)]
pub struct RowAt {
    pub key: u64,
    pub slot: u32,
    /// In its slot.
    pub offset: u32,
    pub bytes: u32,
}

const _: () = assert!(size_of::<RowAt>() == 24, "one per log entry that is kept");

/// A slot that holds what is needed, or is written.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Its place in the file.
    pub slot: u32,
    pub number: u64,
    /// Entries in it have lower indexes.
    pub end_index: u64,
}

/// What a file holds, and where it goes on.
#[derive(Debug)]
pub struct Found {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    /// Behind the purged ones, without a hole.
    pub entries: Vec<Stored>,
    pub rows: VecDeque<RowAt>,
    /// In their order; the last one is being written.
    pub slots: VecDeque<Slot>,
    /// Slots the file has room for.
    pub made: u32,
    /// Where the next commit goes in the last slot, and its number.
    pub at: usize,
    pub next_commit: u64,
    /// The first parts of this entry are there, the others are not.
    pub torn_from: Option<u64>,
}

/// Who is told what is wrong: an error ends the reading.
pub type Note<'a> = &'a mut dyn FnMut(String) -> Result<(), Broken>;

/// The file's own head.
///
/// # Errors
/// The disk's; it is none.
pub fn read_head(file: &dyn StorageBackend) -> Result<FileHead, Broken> {
    let mut block = [0; BLOCK_BYTES];
    if file.len()? < BLOCK_BYTES as u64 {
        return Err(Broken::Wrong("it is shorter than its head".to_owned()));
    }
    file.read(0, &mut block)?;
    Ok(FileHead::take(&block)?)
}

/// Everything behind the head.
///
/// # Errors
/// The disk's; what `note` makes of what is wrong.
pub fn read(file: &dyn StorageBackend, head: &FileHead, note: Note<'_>) -> Result<Found, Broken> {
    let made = head.slots_in(file.len()?);
    let slots = live_slots(file, head, made, note)?;
    let Some((_, first)) = slots.first() else {
        return Err(Broken::Wrong("it has no slot that was begun".to_owned()));
    };
    let mut replay = Replay { next_commit: first.first_commit, ..Replay::default() };
    let mut bytes = vec![0; head.slot_bytes];
    let mut at = SLOT_HEAD_BYTES;
    for (slot, begun) in slots {
        if begun.first_commit != replay.next_commit {
            let (from, to) = (replay.next_commit, begun.first_commit.wrapping_sub(1));
            note(format!("commits {from} to {to} are missing"))?;
            replay.skip_to(begun.first_commit);
        }
        replay.vote = begun.vote;
        replay.purge(begun.purged);
        file.read(head.slot_at(slot), &mut bytes)?;
        replay.slots.push_back(Slot { slot, number: begun.number, end_index: 0 });
        at = replay.slot(head, &bytes, note)?;
    }
    replay.end(made, at, note)
}

/// The slots that follow each other up to the newest.
fn live_slots(
    file: &dyn StorageBackend,
    head: &FileHead,
    made: u32,
    note: Note<'_>,
) -> Result<Vec<(u32, SlotHead)>, Broken> {
    let mut begun = Vec::new();
    for slot in 0..made {
        let mut sector = [0; SECTOR_BYTES];
        file.read(head.slot_at(slot), &mut sector)?;
        match SlotHead::take(head, &sector) {
            Ok(Some(found)) => begun.push((slot, found)),
            Ok(None) => {}
            Err(what) => note(format!("slot {slot}: {what}"))?,
        }
    }
    begun.sort_by_key(|(_, found)| found.number);
    let follows =
        |pair: &[(u32, SlotHead)]| pair[0].1.number.checked_add(1) == Some(pair[1].1.number);
    let from = begun.windows(2).rposition(|pair| !follows(pair)).map_or(0, |gap| gap + 1);
    Ok(begun.split_off(from))
}

#[derive(Debug, Default)]
struct Replay {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: Vec<Stored>,
    rows: VecDeque<RowAt>,
    slots: VecDeque<Slot>,
    next_commit: u64,
    assembly: Assembly,
    /// Index the next entry must have, once one was seen, and the least term.
    next_index: Option<u64>,
    term: u64,
    /// An entry of which only the rest is there; it must be one that was purged.
    rest_of: Option<u64>,
    is_closed: bool,
}

impl Replay {
    /// Goes on behind what cannot be read.
    fn skip_to(&mut self, commit: u64) {
        self.next_commit = commit;
        self.assembly = Assembly::default();
        self.next_index = None;
    }

    /// All commits of a slot; where the next one would go.
    fn slot(&mut self, head: &FileHead, bytes: &[u8], note: Note<'_>) -> Result<usize, Broken> {
        let slot = *self.slots.back().expect("pushed before");
        let commit_at = |at: usize| {
            let found = CommitHead::take(head, bytes.get(at..)?)?;
            (found.slot == slot.number).then_some(found)
        };
        let mut at = SLOT_HEAD_BYTES;
        loop {
            let found = commit_at(at).filter(|found| found.number == self.next_commit);
            let body = found.and_then(|found| found.body(head, &bytes[at..]));
            if let (Some(found), Some(body)) = (found, body) {
                self.next_commit += 1;
                self.commit(body, slot.slot, at, bytes, note)?;
                at += found.taken_bytes();
                continue;
            }
            let whole =
                |at: &usize| commit_at(*at).is_some_and(|later| later.number > self.next_commit);
            let Some(later) = (at + BLOCK_BYTES..bytes.len()).step_by(BLOCK_BYTES).find(whole)
            else {
                return Ok(at);
            };
            let number = commit_at(later).map_or(0, |found| found.number);
            note(format!(
                "commits {} to {} at byte {} cannot be read, and {number} behind them can",
                self.next_commit,
                number - 1,
                head.slot_at(slot.slot) + at as u64,
            ))?;
            self.skip_to(number);
            at = later;
        }
    }

    /// The records of one commit, which begins at `at` of its slot's bytes.
    fn commit(
        &mut self,
        mut body: &[u8],
        slot: u32,
        at: usize,
        bytes: &[u8],
        note: Note<'_>,
    ) -> Result<(), Broken> {
        let end = at + super::layout::COMMIT_HEAD_BYTES + body.len();
        while !body.is_empty() {
            let record = match take_record(&mut body) {
                Ok(record) => record,
                Err(what) => return note(format!("commit {}: {what}", self.next_commit - 1)),
            };
            let offset = end - body.len() - record.bytes.len();
            debug_assert!(bytes[offset..].starts_with(record.bytes));
            let row = RowAt {
                key: record.key,
                slot,
                offset: offset as u32,
                bytes: record.bytes.len() as u32,
            };
            if let Err(what) = self.record(&record, row) {
                note(what)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>, row: RowAt) -> Result<(), String> {
        self.is_closed = record.kind == Kind::Closed;
        match record.kind {
            Kind::Row => {
                let index = index_of(row.key);
                let slot = self.slots.back_mut().expect("pushed before");
                slot.end_index = slot.end_index.max(index.saturating_add(1));
                let is_rest = row.key != first_key(index) && self.assembly.pending().is_none();
                if is_rest && self.next_index.is_none() {
                    // Of an entry whose beginning was in a slot that is used for other things.
                    self.rest_of = Some(index);
                    return Ok(());
                }
                self.rows.push_back(row);
                match self.assembly.row(row.key, record.bytes)? {
                    Some(entry) => self.entry(entry),
                    None => Ok(()),
                }
            }
            Kind::Vote => {
                self.vote = Some(take_vote(&mut Bytes::copy_from_slice(record.bytes))?);
                Ok(())
            }
            Kind::Truncate => {
                self.truncate(record.key);
                Ok(())
            }
            Kind::Purge => {
                let upto = take_log_id(&mut Bytes::copy_from_slice(record.bytes))?;
                self.purge(upto);
                Ok(())
            }
            Kind::Closed => Ok(()),
        }
    }

    fn entry(&mut self, entry: Stored) -> Result<(), String> {
        let (index, expected) = (entry.index, self.next_index);
        let is_older = entry.term < self.term;
        self.term = entry.term;
        self.next_index = index.checked_add(1);
        self.entries.push(entry);
        match expected {
            Some(expected) if expected < index => {
                Err(format!("log entries {expected} to {} are missing", index - 1))
            }
            Some(expected) if expected > index => Err(format!("log entry {index} comes twice")),
            _ if is_older => {
                Err(format!("log entry {index} is of an older term than the one before"))
            }
            _ => Ok(()),
        }
    }

    fn truncate(&mut self, from: u64) {
        self.assembly = Assembly::default();
        while self.entries.last().is_some_and(|entry| entry.index >= from) {
            self.entries.pop();
        }
        while self.rows.back().is_some_and(|row| row.key >= first_key(from)) {
            self.rows.pop_back();
        }
        self.term = self.entries.last().map(|entry| entry.term).unwrap_or_default();
        let first = self.purged.next_index();
        self.next_index = self.next_index.map(|next| next.min(from).max(first));
    }

    fn purge(&mut self, upto: Option<LogId>) {
        if upto <= self.purged {
            return;
        }
        self.purged = upto;
        // A snapshot was installed: the log goes on behind it.
        if self.next_index.is_some_and(|next| next < upto.next_index()) {
            self.next_index = Some(upto.next_index());
        }
        self.term = self.term.max(upto.as_ref().map_or(0, term_of));
    }

    fn end(mut self, made: u32, at: usize, note: Note<'_>) -> Result<Found, Broken> {
        let torn_from = self.assembly.pending();
        if let Some(index) = torn_from {
            if self.is_closed {
                note(format!("log entry {index} is not whole"))?;
            }
            self.truncate(index);
        }
        let first = self.purged.next_index();
        if let Some(index) = self.rest_of.filter(|index| *index >= first) {
            note(format!("log entry {index} is not whole"))?;
        }
        self.entries.retain(|entry| entry.index >= first);
        while self.rows.front().is_some_and(|row| index_of(row.key) < first) {
            self.rows.pop_front();
        }
        if let Some(entry) = self.entries.first()
            && entry.index > first
        {
            note(format!("log entries {first} to {} are missing", entry.index - 1))?;
        }
        let Replay { vote, purged, entries, rows, slots, next_commit, .. } = self;
        Ok(Found { vote, purged, entries, rows, slots, made, at, next_commit, torn_from })
    }
}
