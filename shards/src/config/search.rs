//! Finding configs by what is known of them (`http-api.md` 2.1, 7.2): a filter; where names alone
//! decide, on any core, the places of those that stand together and a sieve for the others; for all
//! else a walk through the tables, which is work for a thread beside the cores.

use crate::config::entry::Entry;
use crate::config::table::Tables;
use crate::key::SLOTS;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

mod pattern;
mod places;
mod sieve;

pub use pattern::Pattern;
pub use places::Places;
pub use sieve::{Sieve, Sieved};

/// What a config has to be like. Empty parts are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Spelled out.
    pub namespace: String,
    pub data_id: Pattern,
    pub group: Pattern,
    pub app_name: String,
    /// One of them.
    pub tags: Vec<Pattern>,
    /// One of them.
    pub types: Vec<String>,
    pub content: Pattern,
    /// One of these rows; empty is any.
    pub ids: Vec<u64>,
}

impl Filter {
    /// Whether nothing but the parts of a name decides.
    fn is_of_names(&self) -> bool {
        let Self { app_name, tags, types, content, ids, .. } = self;
        let by_details = !app_name.is_empty() || !tags.is_empty() || !types.is_empty();
        !by_details && content.is_any() && ids.is_empty()
    }

    /// Whether a formal config is meant. The content is looked at last.
    pub fn matches(&self, entry: &Entry) -> bool {
        let Some(formal) = &entry.formal else { return false };
        let name = entry.key.name();
        let named = name.namespace == self.namespace
            && self.data_id.matches(name.data_id)
            && self.group.matches(name.group);
        if !named || !(self.ids.is_empty() || self.ids.contains(&formal.id)) {
            return false;
        }
        let details = formal.details();
        let tagged = |tag: &Pattern| details.tags.split(',').any(|known| tag.matches(known.trim()));
        (self.app_name.is_empty() || self.app_name == details.app_name)
            && (self.types.is_empty() || self.types.iter().any(|of| of == details.config_type))
            && (self.tags.is_empty() || self.tags.iter().any(tagged))
            && (self.content.is_any() || self.content.matches(&formal.content()))
    }
}

/// What a walk through all configs found.
#[derive(Debug)]
pub struct Walk {
    keep: usize,
    total: usize,
    /// The first rows, the last of them on top.
    found: BinaryHeap<Row>,
}

/// An entry by its row.
#[derive(Debug)]
struct Row(u64, Arc<Entry>);

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Row {}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Walk {
    /// Looks at every config, and keeps so many of those that are meant, the first by their rows:
    /// what a page needs, however many there are. Some 0.7 µs each among a million, and where
    /// contents are compared another for each KiB: work for a thread beside the cores.
    pub fn through(tables: &Tables, keep: usize, matches: impl Fn(&Entry) -> bool) -> Self {
        let mut walk = Self { keep, total: 0, found: BinaryHeap::new() };
        for slot in 0..SLOTS {
            // Held for one slot: the writer puts another in its place meanwhile.
            let slot = tables.slot(slot);
            slot.entries().iter().filter(|entry| matches(entry)).for_each(|entry| walk.add(entry));
        }
        walk
    }

    fn add(&mut self, entry: &Arc<Entry>) {
        self.total += 1;
        let row = entry.formal.as_ref().map_or(0, |formal| formal.id);
        if self.found.len() < self.keep {
            self.found.push(Row(row, entry.clone()));
        } else if let Some(mut last) = self.found.peek_mut()
            && row < last.0
        {
            *last = Row(row, entry.clone());
        }
    }

    /// How many were found, kept or not.
    pub fn total(&self) -> usize {
        self.total
    }

    /// What was found and kept, in the order it was first published.
    pub fn found(self) -> Vec<Arc<Entry>> {
        self.found.into_sorted_vec().into_iter().map(|Row(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests;
