//! What configs were before (`config.md` 11): rows on disk, an index of them in memory.
//!
//! Rows live in records alone; memory holds some 40 bytes a row, which is what bounding needs:
//! by age, by number for each config, by bytes in all. Contents have records of their own, which a
//! start does not read, and each content is on the disk once: a config's present one in its own
//! record, a replaced or removed one in a row's. The row of an insert has none ([`Lies::After`]),
//! because what came next says what was there.
//!
//! A queue in the order rows were written is
//! linked through each config's own rows, so that the oldest of all and the oldest of one config
//! are both found at once. Rows dropped from the middle leave holes, closed when half are holes.

use crate::config::entry::Draft;
use crate::config::gray::Rule;
use crate::durable::codec::Unreadable;
use crate::durable::record;
use crate::durable::{Record, Table};
use crate::index::Index;
use crate::key::{ConfigKey, ConfigName};
use ahash::RandomState;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;

/// Rows one sweep drops: a few tenths of a millisecond.
pub const SWEPT_MAX: usize = 1_000;

/// Holes beyond which closing them is considered.
const HOLES_MIN: usize = 1_024;

/// `op_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    Insert = 1,
    Update = 2,
    Delete = 3,
}

impl Operation {
    pub(crate) fn of(number: u8) -> Result<Self, Unreadable> {
        match number {
            1 => Ok(Operation::Insert),
            2 => Ok(Operation::Update),
            3 => Ok(Operation::Delete),
            _ => Err("a history row of an unknown operation"),
        }
    }

    /// As the HTTP API shows it.
    pub const fn letter(self) -> &'static str {
        match self {
            Operation::Insert => "I",
            Operation::Update => "U",
            Operation::Delete => "D",
        }
    }
}

/// One row: of an insert the new content, of an update or delete the old.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub operation: Operation,
    /// When it happened, unix milliseconds.
    pub at_ms: u64,
    pub name: ConfigName<'a>,
    pub source_user: &'a str,
    pub source_ip: &'a str,
    /// Name and rule of a gray variant.
    pub gray: Option<(&'a str, Rule<'a>)>,
    /// `id` is 0 in an insert's row.
    pub draft: Draft<'a>,
}

/// Where the content of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// In the row itself: one of the first form.
    Here,
    /// In the record of [`Table::Past`] of the same number.
    Apart,
    /// In the next row of the same variant, which has what it replaced or removed; without one, in
    /// the variant as it is now. Rows of a config are dropped oldest first, so that while this row
    /// is there, so is that one.
    After,
}

/// What a row counts for, and whether it has two records: one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight(NonZeroU32);

impl Weight {
    const APART: u32 = 1 << 31;

    /// Of a row whose records have so many bytes; 1 at least, half of 4 GiB at most.
    pub fn new(bytes: usize, is_apart: bool) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, Self::APART - 1);
        let bits = bytes | if is_apart { Self::APART } else { 0 };
        Self(NonZeroU32::new(bits).unwrap_or(NonZeroU32::MIN))
    }

    /// Bytes of its records.
    pub fn bytes(self) -> u32 {
        self.0.get() & !Self::APART
    }

    /// Whether its content has a record of its own.
    pub fn is_apart(self) -> bool {
        self.0.get() & Self::APART != 0
    }
}

/// What memory holds of a row.
#[derive(Debug, Clone, Copy)]
struct Item {
    number: u64,
    at_ms: u64,
    /// Place of the config's next row.
    next: u64,
    /// `None`: a hole.
    weight: Option<Weight>,
    config: u32,
}

const _: () = assert!(size_of::<Item>() == 32, "memory of a million rows");

/// The rows of one config.
#[derive(Debug)]
struct Chain {
    key: ConfigKey,
    first: u64,
    last: u64,
    rows: u32,
}

/// The index of all rows. Lives on the Raft core.
#[derive(Debug, Default)]
pub struct History {
    items: VecDeque<Item>,
    /// Place of the first item; places never change but by closing holes.
    base: u64,
    holes: usize,
    chains: crate::slab::Slab<Chain>,
    /// Chains.
    by_key: Index,
    bytes: u64,
}

impl History {
    /// Rows there are.
    pub fn len(&self) -> usize {
        self.items.len() - self.holes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of their records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows of one config.
    pub fn rows_of(&self, key: &ConfigKey) -> u32 {
        self.find(key).map_or(0, |config| self.chains[config].rows)
    }

    /// The number of a config that has rows.
    fn find(&self, key: &ConfigKey) -> Option<u32> {
        self.by_key.find(key, |at| self.chains[at].key == *key)
    }

    /// Numbers of one config's rows, oldest first.
    pub fn numbers_of(&self, key: &ConfigKey) -> Vec<u64> {
        let Some(config) = self.find(key) else { return Vec::new() };
        let chain = &self.chains[config];
        let mut place = chain.first;
        let mut numbers = Vec::with_capacity(chain.rows as usize);
        for _ in 0..chain.rows {
            let item = self.items[(place - self.base) as usize];
            numbers.push(item.number);
            place = item.next;
        }
        numbers
    }

    /// Takes in a row that is newer than all before. The number of its config, good until a row is
    /// dropped.
    pub fn add(&mut self, number: u64, at_ms: u64, weight: Weight, key: &ConfigKey) -> u32 {
        let place = self.base + self.items.len() as u64;
        let config = match self.find(key) {
            Some(config) => {
                let chain = &mut self.chains[config];
                let last = std::mem::replace(&mut chain.last, place);
                chain.rows += 1;
                self.items[(last - self.base) as usize].next = place;
                config
            }
            None => {
                let chain = Chain { key: key.clone(), first: place, last: place, rows: 1 };
                let config = self.chains.insert(chain);
                self.by_key.insert(key, config);
                config
            }
        };
        self.bytes += u64::from(weight.bytes());
        self.items.push_back(Item { number, at_ms, next: place, weight: Some(weight), config });
        config
    }

    /// Drops rows of the config beyond `entries_max`, then the oldest of all beyond `bytes_max`.
    /// The newest row of all always stays.
    pub fn bound(
        &mut self,
        config: u32,
        entries_max: u32,
        bytes_max: u64,
        records: &mut Vec<Record>,
    ) {
        // At least one row stays, so the number stays good.
        while self.chains[config].rows > entries_max.max(1) {
            self.drop_first(config, records);
        }
        while self.bytes > bytes_max && self.len() > 1 {
            self.drop_oldest(records);
        }
    }

    /// Drops rows older than `before_ms`, [`SWEPT_MAX`] at most.
    pub fn sweep(&mut self, before_ms: u64, records: &mut Vec<Record>) {
        for _ in 0..SWEPT_MAX {
            match self.items.front() {
                Some(oldest) if oldest.at_ms < before_ms => self.drop_oldest(records),
                _ => return,
            }
        }
    }

    /// When the oldest row was written.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.items.front().map(|item| item.at_ms)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn drop_oldest(&mut self, records: &mut Vec<Record>) {
        // No hole is ever at the front, and the oldest of all is the first of its config.
        if let Some(oldest) = self.items.front() {
            self.drop_first(oldest.config, records);
        }
    }

    fn drop_first(&mut self, config: u32, records: &mut Vec<Record>) {
        let chain = &mut self.chains[config];
        let item = &mut self.items[(chain.first - self.base) as usize];
        let key = record::history_key(item.number);
        if let Some(weight) = item.weight.take() {
            self.bytes -= u64::from(weight.bytes());
            if weight.is_apart() {
                records.push(record::gone(Table::Past, key.clone()));
            }
        }
        records.push(record::gone(Table::History, key));
        self.holes += 1;
        chain.first = item.next;
        chain.rows -= 1;
        if chain.rows == 0 {
            self.by_key.remove(&chain.key, config);
            self.chains.remove(config);
        }
        while self.items.front().is_some_and(|item| item.weight.is_none()) {
            self.items.pop_front();
            self.base += 1;
            self.holes -= 1;
        }
        if self.holes > HOLES_MIN && self.holes > self.items.len() / 2 {
            self.close_holes();
        }
    }

    /// Costs as much as all rows dropped since the last time.
    fn close_holes(&mut self) {
        let items = std::mem::take(&mut self.items);
        let left: Vec<_> = items.into_iter().filter(|item| item.weight.is_some()).collect();
        let (base, mut seen) = (self.base, HashMap::<u32, u64, RandomState>::default());
        self.items.reserve(left.len());
        self.holes = 0;
        for (at, mut item) in left.into_iter().enumerate() {
            let place = base + at as u64;
            item.next = place;
            let chain = &mut self.chains[item.config];
            match seen.insert(item.config, place) {
                None => chain.first = place,
                Some(before) => self.items[(before - base) as usize].next = place,
            }
            chain.last = place;
            self.items.push_back(item);
        }
    }
}

#[cfg(test)]
mod tests;
