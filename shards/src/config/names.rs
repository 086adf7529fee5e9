//! The names of all formal configs in order: what finds a page of a million without looking at
//! them all, and looks at all of them in a few hundredths of a second where it must.
//!
//! Ordered by namespace, group, dataId, so that a group's configs, and those of it that begin
//! alike, stand together. Names stand packed in blocks that readers and the writer share; a change
//! writes the blocks it touches anew, and the list of blocks. A config costs what its name does not
//! share with the one before it, and two bytes or three; a block 48 more.

use crate::key::{ConfigKey, ConfigName};
use crate::packed::{Cursor, Packed, Packer};
use std::cmp::Ordering;
use std::ops::Range;

/// Names of one block; more are split evenly.
const BLOCK_ITEMS_MAX: usize = 256;

/// Names of a new block among several: room to grow.
const BLOCK_ITEMS: usize = 192;

/// Fewer than these join the next block. Only the last block may have fewer.
const BLOCK_ITEMS_MIN: usize = 64;

/// Stands between the parts of a packed name: before every character there is. No name has it
/// ([`ConfigName::fits`]).
const BETWEEN: u8 = 0;

/// Behind every text that begins like the one before it: UTF-8 has no such byte.
const BEHIND: u8 = 0xff;

/// Names in order, immutable for readers. Cheap to clone: some 50 µs for a million.
#[derive(Debug, Default, Clone)]
pub struct Names {
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
struct Block {
    /// Never empty.
    names: Packed,
    items: usize,
    /// Names in the blocks before it.
    before: usize,
}

/// The order here.
fn order(one: ConfigName<'_>, other: ConfigName<'_>) -> Ordering {
    let namespaces = one.namespace.cmp(other.namespace);
    namespaces.then_with(|| one.group.cmp(other.group)).then_with(|| one.data_id.cmp(other.data_id))
}

/// Parts as they stand in a block, in place of what was in `out`.
fn join(out: &mut Vec<u8>, parts: &[&str]) {
    out.clear();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push(BETWEEN);
        }
        out.extend_from_slice(part.as_bytes());
    }
}

fn join_name(out: &mut Vec<u8>, name: ConfigName<'_>) {
    join(out, &[name.namespace, name.group, name.data_id]);
}

impl Names {
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.before + block.items)
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The name at a position.
    pub fn get(&self, at: usize) -> Option<ConfigKey> {
        self.scan(at).step().map(Name::key)
    }

    /// The names from a position on. To get there costs at most a block, some 2 µs.
    pub fn scan(&self, at: usize) -> Scan<'_> {
        let after = self.blocks.partition_point(|block| block.before <= at);
        let (first, blocks) = match self.blocks[after.saturating_sub(1)..].split_first() {
            Some((first, blocks)) => (Some(first), blocks),
            None => (None, &[][..]),
        };
        let cursor = first.map(|block| block.names.cursor());
        let mut scan = Scan { cursor, blocks, group_at: 0, data_id_at: 0, is_split: false };
        for _ in 0..first.map_or(0, |block| at - block.before) {
            if !scan.skip() {
                break;
            }
        }
        scan
    }

    /// How many names stand before this text.
    fn position(&self, text: &[u8]) -> usize {
        let after = self.blocks.partition_point(|block| block.names.first() < text);
        let Some(at) = after.checked_sub(1) else { return 0 };
        self.blocks[at].before + self.blocks[at].names.below(text)
    }

    /// Where those stand whose joined parts begin like these.
    fn beginning_with(&self, parts: &[&str]) -> Range<usize> {
        let mut text = Vec::new();
        join(&mut text, parts);
        let start = self.position(&text);
        text.push(BEHIND);
        start..self.position(&text)
    }

    /// Where the names of a namespace stand.
    pub fn of_namespace(&self, namespace: &str) -> Range<usize> {
        self.beginning_with(&[namespace, ""])
    }

    /// Where the names of a group stand.
    pub fn of_group(&self, namespace: &str, group: &str) -> Range<usize> {
        self.beginning_with(&[namespace, group, ""])
    }

    /// Where those of a group stand that begin so.
    pub fn beginning(&self, namespace: &str, group: &str, prefix: &str) -> Range<usize> {
        self.beginning_with(&[namespace, group, prefix])
    }

    /// Adds and takes away; of several changes of one name the last counts. A touched block costs
    /// some microseconds, however many of its names change.
    pub fn change(&mut self, mut changes: Vec<(ConfigKey, bool)>) {
        changes.sort_by(|(one, _), (other, _)| order(one.name(), other.name()));
        let mut changes = &changes[..];
        let mut old = std::mem::take(&mut self.blocks).into_iter();
        let mut writer = Writer::default();
        let mut text = Vec::new();
        while !changes.is_empty() || (writer.is_open() && !old.as_slice().is_empty()) {
            if let (Some((key, _)), false) = (changes.first(), writer.is_open()) {
                join_name(&mut text, key.name());
                let is_before = |block: &Block| block.names.first() <= &text[..];
                let untouched = old.as_slice().partition_point(is_before).saturating_sub(1);
                writer.blocks.extend(old.by_ref().take(untouched));
            }
            let block = old.next();
            let here = match old.as_slice().first() {
                None => changes.len(),
                Some(next) => changes.partition_point(|(key, _)| {
                    join_name(&mut text, key.name());
                    text[..] < *next.names.first()
                }),
            };
            let (here, later) = changes.split_at(here);
            writer.merge(block.as_ref(), here);
            changes = later;
        }
        self.blocks = writer.finish(old);
    }
}

/// Writes blocks, one after the other.
#[derive(Debug, Default)]
struct Writer {
    blocks: Vec<Block>,
    open: Packer,
    /// As many make a block.
    items: usize,
}

impl Writer {
    /// Whether there are too few for a block of their own, which join the next.
    fn is_open(&self) -> bool {
        self.open.items() > 0
    }

    /// A block with its changes, in order.
    fn merge(&mut self, block: Option<&Block>, changes: &[(ConfigKey, bool)]) {
        let items = self.open.items() + block.map_or(0, |block| block.items) + changes.len();
        let blocks = if items > BLOCK_ITEMS_MAX { items.div_ceil(BLOCK_ITEMS) } else { 1 };
        self.items = items.div_ceil(blocks);
        let mut known = ahead(block.map(|block| block.names.cursor()));
        let mut text = Vec::new();
        for (at, (key, is_there)) in changes.iter().enumerate() {
            if changes.get(at + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            join_name(&mut text, key.name());
            while let Some(cursor) = &known
                && cursor.text() < &text[..]
            {
                self.push(cursor.text());
                known = ahead(known);
            }
            if known.as_ref().is_some_and(|cursor| cursor.text() == text) {
                known = ahead(known);
            }
            if *is_there {
                self.push(&text);
            }
        }
        while let Some(cursor) = &known {
            self.push(cursor.text());
            known = ahead(known);
        }
        if self.open.items() >= BLOCK_ITEMS_MIN {
            self.close();
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.open.push(text);
        if self.open.items() >= self.items {
            self.close();
        }
    }

    fn close(&mut self) {
        let items = self.open.items();
        self.blocks.push(Block { names: self.open.close(), items, before: 0 });
    }

    /// All blocks, those of `rest` behind them.
    fn finish(mut self, rest: impl Iterator<Item = Block>) -> Vec<Block> {
        if self.is_open() {
            self.close();
        }
        self.blocks.extend(rest);
        let mut before = 0;
        for block in &mut self.blocks {
            block.before = before;
            before += block.items;
        }
        self.blocks
    }
}

/// At the next text, if there is one.
fn ahead(cursor: Option<Cursor<'_>>) -> Option<Cursor<'_>> {
    cursor.and_then(|mut cursor| cursor.step().then_some(cursor))
}

/// A walk along the names.
#[derive(Debug)]
pub struct Scan<'a> {
    cursor: Option<Cursor<'a>>,
    /// Behind the one the cursor is in.
    blocks: &'a [Block],
    group_at: usize,
    data_id_at: usize,
    /// Whether these two are known: not before the first name.
    is_split: bool,
}

impl Scan<'_> {
    fn skip(&mut self) -> bool {
        loop {
            if self.cursor.as_mut().is_some_and(Cursor::step) {
                return true;
            }
            let Some((next, blocks)) = self.blocks.split_first() else { return false };
            self.cursor = Some(next.names.cursor());
            self.blocks = blocks;
        }
    }

    /// The next name, some 10 ns.
    pub fn step(&mut self) -> Option<Name<'_>> {
        if !self.skip() {
            return None;
        }
        let cursor = self.cursor.as_ref()?;
        let text = cursor.text();
        let is_alike = self.is_split && cursor.shared() >= self.data_id_at;
        if !is_alike {
            let behind = |from: usize| {
                let between = text[from..].iter().position(|byte| *byte == BETWEEN);
                between.map_or(text.len(), |at| from + at + 1)
            };
            self.group_at = behind(0);
            self.data_id_at = behind(self.group_at);
            self.is_split = true;
        }
        Some(Name { text, group_at: self.group_at, data_id_at: self.data_id_at, is_alike })
    }
}

/// A name as it stands in a block.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    text: &'a [u8],
    group_at: usize,
    data_id_at: usize,
    is_alike: bool,
}

impl Name<'_> {
    /// Whether namespace and group are those of the name before it in the walk.
    pub fn is_alike(&self) -> bool {
        self.is_alike
    }

    pub fn group(&self) -> &[u8] {
        &self.text[self.group_at..self.data_id_at - 1]
    }

    pub fn data_id(&self) -> &[u8] {
        &self.text[self.data_id_at..]
    }

    pub fn key(self) -> ConfigKey {
        let part = |bytes| str::from_utf8(bytes).expect("joined of texts");
        ConfigKey::new(ConfigName {
            data_id: part(self.data_id()),
            group: part(self.group()),
            namespace: part(&self.text[..self.group_at - 1]),
        })
    }
}

#[cfg(test)]
mod tests;
