//! The log as openraft sees it: what is recent is in memory, all of it on the log's thread.
//!
//! Invariants: an entry is readable from the moment `append` returns; its flush is reported after
//! the fsync, in order; vote and entries go to the disk in the order openraft asked for them,
//! because one thread does one job after the other.

use super::encoding::Stored;
use super::fault::Fault;
use super::limits::LOG_CACHE_BYTES;
use super::store::{Store, log_file};
use super::types::{Entry, LogId, Types, Vote};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{LogIdOptionExt, OptionalSend};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

/// One member's log. Clones are the same log. Lives on the Raft core.
#[derive(Clone)]
pub struct Log(Rc<Inner>);

struct Inner {
    store: Rc<Store>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    vote: Option<Vote>,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// The newest entries, without a hole, up to `last`.
    recent: VecDeque<Entry>,
    /// Index of the first entry that is not purged, and bytes of each from there on.
    first: u64,
    sizes: VecDeque<u32>,
    /// Bytes of the entries in `recent`.
    recent_bytes: usize,
    applied: u64,
}

impl State {
    fn size_of(&self, index: u64) -> usize {
        let at = index.checked_sub(self.first).map(|at| at as usize);
        at.and_then(|at| self.sizes.get(at)).map_or(0, |bytes| *bytes as usize)
    }

    fn push(&mut self, entry: Entry, bytes: usize) {
        if self.sizes.is_empty() {
            self.first = entry.log_id.index();
        }
        self.last = Some(entry.log_id);
        self.sizes.push_back(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.recent_bytes += bytes;
        self.recent.push_back(entry);
        self.forget();
    }

    /// Drops what was applied and is more than [`LOG_CACHE_BYTES`].
    fn forget(&mut self) {
        while self.recent_bytes > LOG_CACHE_BYTES {
            match self.recent.front().map(|entry| entry.log_id.index()) {
                Some(index) if index <= self.applied => {
                    self.recent_bytes -= self.size_of(index);
                    self.recent.pop_front();
                }
                _ => return,
            }
        }
    }
}

impl Log {
    /// What the file held when it was opened; of its entries, those behind `applied` stay in
    /// memory.
    ///
    /// # Errors
    /// An entry a newer program wrote.
    pub fn new(
        store: Rc<Store>,
        opened: log_file::Opened,
        applied: Option<LogId>,
    ) -> Result<Self, Fault> {
        let log = Self(Rc::new(Inner { store, state: RefCell::default() }));
        log.reload(opened, applied)?;
        Ok(log)
    }

    /// The same after the file was opened again; openraft has been stopped before.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn reload(&self, opened: log_file::Opened, applied: Option<LogId>) -> Result<(), Fault> {
        let mut state = State {
            vote: opened.vote,
            purged: opened.purged,
            last: opened.purged,
            first: opened.purged.next_index(),
            applied: applied.index().unwrap_or(0),
            ..State::default()
        };
        for stored in &opened.entries {
            state.last = Some(stored.id());
            state.sizes.push_back(stored.len() as u32);
            if stored.index >= applied.next_index() {
                let payload = stored.payload().map_err(Fault::Damaged)?;
                state.recent_bytes += stored.len();
                state.recent.push_back(Entry { log_id: stored.id(), payload });
            }
        }
        *self.0.state.borrow_mut() = state;
        Ok(())
    }

    /// Entries up to this one are applied: they may leave memory.
    pub fn applied(&self, index: u64) {
        let mut state = self.0.state.borrow_mut();
        state.applied = index;
        state.forget();
    }

    /// All entries behind this one.
    ///
    /// # Errors
    /// The disk's; an entry a newer program wrote.
    pub async fn behind(&self, applied: Option<LogId>) -> Result<Vec<Entry>, Fault> {
        let read = self.clone().try_get_log_entries(applied.next_index()..).await;
        read.map_err(|error| Fault::Damaged(error.to_string()))
    }

    /// The last entry, purge point and vote now.
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>, Option<Vote>) {
        let state = self.0.state.borrow();
        (state.last, state.purged, state.vote)
    }

    /// The highest index that may be purged so that at most so many bytes of entries are left.
    pub fn purge_for_bytes(&self, keep_bytes: u64) -> Option<u64> {
        let state = self.0.state.borrow();
        let mut left: u64 = state.sizes.iter().map(|bytes| u64::from(*bytes)).sum();
        let mut upto = None;
        for (index, bytes) in (state.first..).zip(&state.sizes) {
            if left <= keep_bytes {
                break;
            }
            left -= u64::from(*bytes);
            upto = Some(index);
        }
        upto
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (from, to) = self.clamp(&range);
        let mut entries = Vec::new();
        let mut at = from;
        // What is not in memory comes from the disk, some at a time.
        while at < to {
            let recent_from = {
                let state = self.0.state.borrow();
                state.recent.front().map_or(to, |entry| entry.log_id.index())
            };
            if at >= recent_from {
                let state = self.0.state.borrow();
                let skip = (at - recent_from) as usize;
                let take = (to - at) as usize;
                entries.extend(state.recent.iter().skip(skip).take(take).cloned());
                break;
            }
            let read = self.read_disk(at, to.min(recent_from)).await?;
            let Some(last) = read.last() else { break };
            at = last.log_id.index() + 1;
            entries.extend(read);
        }
        Ok(entries)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let end = {
            let state = self.0.state.borrow();
            let mut bytes = 0;
            let fits = |index: &u64| {
                bytes += state.size_of(*index);
                *index == start || bytes <= super::limits::LOG_READ_BYTES_MAX
            };
            start + (start..end).take_while(fits).count() as u64
        };
        self.try_get_log_entries(start..end).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.0.state.borrow().vote)
    }
}

impl Log {
    /// A range of indexes that are there: from the first, up to before the second.
    fn clamp(&self, range: &impl RangeBounds<u64>) -> (u64, u64) {
        let state = self.0.state.borrow();
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        (from.max(state.first), to.min(state.last.next_index()))
    }

    async fn read_disk(&self, from: u64, to: u64) -> Result<Vec<Entry>, io::Error> {
        let stored = self.0.store.log(move |file| file.read(from, to)).await?;
        let entry = |stored: &Stored| {
            let payload = stored.payload().map_err(io::Error::other)?;
            Ok(Entry { log_id: stored.id(), payload })
        };
        stored.iter().map(entry).collect()
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let state = self.0.state.borrow();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let kept = *vote;
        self.0.store.log(move |file| file.save_vote(&kept)).await?;
        self.0.state.borrow_mut().vote = Some(kept);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut stored = Vec::new();
        {
            let mut state = self.0.state.borrow_mut();
            for entry in entries {
                let one = Stored::new(&entry.log_id, &entry.payload);
                state.push(entry, one.len());
                stored.push(one);
            }
        }
        let append = move |file: &mut log_file::LogFile| file.append(&stored);
        let then = |done: Result<(), Fault>| flushed.io_completed(done.map_err(io::Error::from));
        self.0.store.log_then(append, then).await;
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let from = last.next_index();
        {
            let mut state = self.0.state.borrow_mut();
            while state.recent.back().is_some_and(|entry| entry.log_id.index() >= from) {
                let index = state.recent.pop_back().map_or(0, |entry| entry.log_id.index());
                state.recent_bytes -= state.size_of(index);
            }
            let kept = from.saturating_sub(state.first) as usize;
            state.sizes.truncate(kept);
            state.last = last.min(state.last).max(state.purged);
        }
        Ok(self.0.store.log(move |file| file.truncate(from)).await?)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let leaves_a_hole = {
            let mut state = self.0.state.borrow_mut();
            if Some(upto) <= state.purged {
                return Ok(());
            }
            while state.recent.front().is_some_and(|e| e.log_id.index() <= upto.index()) {
                let index = state.recent.pop_front().map_or(0, |entry| entry.log_id.index());
                state.recent_bytes -= state.size_of(index);
            }
            let gone = (upto.index() + 1).saturating_sub(state.first) as usize;
            let gone = gone.min(state.sizes.len());
            state.sizes.drain(..gone);
            state.first = upto.index() + 1;
            state.purged = Some(upto);
            let beyond = state.last < Some(upto);
            state.last = state.last.max(Some(upto));
            beyond
        };
        if leaves_a_hole {
            return Ok(self.0.store.log(move |file| file.purge_now(upto)).await?);
        }
        let purge = move |file: &mut log_file::LogFile| {
            file.purge(upto);
            Ok(())
        };
        Ok(self.0.store.log(purge).await?)
    }
}
