//! The names of all formal configs in order: what finds a page of a million without looking at
//! them all.
//!
//! Ordered by namespace, group, dataId, so that a group's configs, and those of it that begin
//! alike, stand together. Names stand in blocks that readers and the writer share; a change copies
//! the blocks it touches and the list of blocks. A config costs 24 bytes here and its share of a
//! block's spare room, 40 in all at most; its text is the entry's.

use crate::key::{ConfigKey, ConfigName};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// Names of one block; a fuller one is split.
const BLOCK_ITEMS_MAX: usize = 256;

/// Two neighbours that fit this together become one.
const BLOCK_ITEMS_JOIN: usize = 128;

/// When more than one in so many names changes at once (a start, an import), all are merged anew.
const MERGE_SHARE: usize = 16;

/// Names in order, immutable for readers. Cheap to clone: some 50 µs for a million.
#[derive(Debug, Default, Clone)]
pub struct Names {
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
struct Block {
    /// Never empty.
    keys: Arc<Vec<ConfigKey>>,
    /// Names in the blocks before it.
    before: usize,
}

/// The order here.
fn order(one: ConfigName<'_>, other: ConfigName<'_>) -> Ordering {
    let namespaces = one.namespace.cmp(other.namespace);
    namespaces.then_with(|| one.group.cmp(other.group)).then_with(|| one.data_id.cmp(other.data_id))
}

impl Names {
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.before + block.keys.len())
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The name at a position.
    pub fn get(&self, at: usize) -> Option<&ConfigKey> {
        self.starting_at(at).next()
    }

    /// The names from a position on.
    pub fn starting_at(&self, at: usize) -> impl Iterator<Item = &ConfigKey> {
        let after = self.blocks.partition_point(|block| block.before <= at);
        let first = after.saturating_sub(1);
        let skipped = self.blocks.get(first).map_or(0, |block| at - block.before);
        self.blocks[first..].iter().flat_map(|block| block.keys.iter()).skip(skipped)
    }

    /// How many names stand before the first of which this is false. Some twenty looks.
    fn position(&self, is_before: impl Fn(ConfigName<'_>) -> bool) -> usize {
        let after = self.blocks.partition_point(|block| is_before(block.keys[0].name()));
        let Some(at) = after.checked_sub(1) else { return 0 };
        let block = &self.blocks[at];
        block.before + block.keys.partition_point(|key| is_before(key.name()))
    }

    /// Where the names of a namespace stand.
    pub fn of_namespace(&self, namespace: &str) -> Range<usize> {
        let start = self.position(|name| name.namespace < namespace);
        start..self.position(|name| name.namespace <= namespace)
    }

    /// Where the names of a group stand.
    pub fn of_group(&self, namespace: &str, group: &str) -> Range<usize> {
        let before = |name: ConfigName<'_>| (name.namespace, name.group).cmp(&(namespace, group));
        let start = self.position(|name| before(name) == Ordering::Less);
        start..self.position(|name| before(name) != Ordering::Greater)
    }

    /// Where those of a group stand that begin so.
    pub fn beginning(&self, namespace: &str, group: &str, prefix: &str) -> Range<usize> {
        let before = |name: ConfigName<'_>| (name.namespace, name.group).cmp(&(namespace, group));
        let start = self.position(|name| match before(name) {
            Ordering::Equal => name.data_id < prefix,
            other => other == Ordering::Less,
        });
        let end = self.position(|name| match before(name) {
            Ordering::Equal => name.data_id < prefix || name.data_id.starts_with(prefix),
            other => other == Ordering::Less,
        });
        start..end
    }

    /// Adds and takes away; of several changes of one name the last counts.
    pub fn change(&mut self, mut changes: Vec<(ConfigKey, bool)>) {
        changes.sort_by(|(one, _), (other, _)| order(one.name(), other.name()));
        if changes.len() * MERGE_SHARE > self.len() {
            self.merge(changes);
        } else {
            for (key, is_there) in changes {
                match is_there {
                    true => self.insert(key),
                    false => self.remove(&key),
                }
            }
        }
        let mut before = 0;
        for block in &mut self.blocks {
            block.before = before;
            before += block.keys.len();
        }
    }

    fn merge(&mut self, changes: Vec<(ConfigKey, bool)>) {
        let mut changes = changes.into_iter().peekable();
        let blocks = std::mem::take(&mut self.blocks);
        let mut old = blocks.iter().flat_map(|block| block.keys.iter()).peekable();
        let mut merged: Vec<ConfigKey> = Vec::new();
        while let Some((key, mut is_there)) = changes.next() {
            while let Some((_, later)) = changes.next_if(|(next, _)| *next == key) {
                is_there = later;
            }
            let before = |known: &&ConfigKey| order(known.name(), key.name()) == Ordering::Less;
            while let Some(known) = old.next_if(before) {
                merged.push(known.clone());
            }
            old.next_if(|known| **known == key);
            if is_there {
                merged.push(key);
            }
        }
        merged.extend(old.cloned());
        // With room to grow in each.
        let blocks = merged.chunks(BLOCK_ITEMS_MAX * 3 / 4);
        self.blocks = blocks.map(|keys| Block::of(keys.to_vec())).collect();
    }

    /// The block where a name is or belongs, and its place there, found or not. Positions are not
    /// looked at: they are stale within a change.
    fn place(&self, name: ConfigName<'_>) -> (usize, Result<usize, usize>) {
        let after = self
            .blocks
            .partition_point(|block| order(block.keys[0].name(), name) != Ordering::Greater);
        let at = after.saturating_sub(1);
        let Some(block) = self.blocks.get(at) else { return (0, Err(0)) };
        (at, block.keys.binary_search_by(|key| order(key.name(), name)))
    }

    fn insert(&mut self, key: ConfigKey) {
        let (at, Err(place)) = self.place(key.name()) else { return };
        let Some(block) = self.blocks.get_mut(at) else {
            return self.blocks.push(Block::of(vec![key]));
        };
        let keys = Arc::make_mut(&mut block.keys);
        keys.insert(place, key);
        if keys.len() > BLOCK_ITEMS_MAX {
            let upper = keys.split_off(BLOCK_ITEMS_MAX / 2);
            self.blocks.insert(at + 1, Block::of(upper));
        }
    }

    fn remove(&mut self, key: &ConfigKey) {
        let (at, Ok(place)) = self.place(key.name()) else { return };
        let keys = Arc::make_mut(&mut self.blocks[at].keys);
        keys.remove(place);
        if keys.is_empty() {
            self.blocks.remove(at);
            return;
        }
        // Removing leaves no long trail of crumbs.
        let len = keys.len();
        let fits = |next: &Block| len + next.keys.len() <= BLOCK_ITEMS_JOIN;
        if self.blocks.get(at + 1).is_some_and(fits) {
            let next = self.blocks.remove(at + 1);
            Arc::make_mut(&mut self.blocks[at].keys).extend(next.keys.iter().cloned());
        }
    }
}

impl Block {
    fn of(keys: Vec<ConfigKey>) -> Self {
        Self { keys: Arc::new(keys), before: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(namespace: &str, group: &str, data_id: &str) -> ConfigKey {
        ConfigKey::new(ConfigName { data_id, group, namespace })
    }

    fn shown(names: &Names, range: Range<usize>) -> Vec<String> {
        let keys = names.starting_at(range.start).take(range.len());
        keys.map(|key| {
            let ConfigName { data_id, group, namespace } = key.name();
            format!("{namespace}/{group}/{data_id}")
        })
        .collect()
    }

    #[test]
    fn ranges_of_an_empty_list_are_empty() {
        let names = Names::default();
        assert!(names.of_namespace("n").is_empty() && names.of_group("n", "g").is_empty());
        assert!(names.beginning("n", "g", "").is_empty() && names.get(0).is_none());
    }

    #[test]
    fn what_begins_alike_stands_together() {
        let mut names = Names::default();
        let mut all = Vec::new();
        for namespace in ["a", "b"] {
            for group in ["g", "g1", "h"] {
                let ids = ["", "app", "app.yml", "apple", "b", "\u{e9}"];
                all.extend(ids.map(|data_id| (key(namespace, group, data_id), true)));
            }
        }
        names.change(all);
        let found = |prefix| shown(&names, names.beginning("a", "g1", prefix));
        assert_eq!(found("app"), ["a/g1/app", "a/g1/app.yml", "a/g1/apple"]);
        assert_eq!(found("app."), ["a/g1/app.yml"]);
        assert_eq!(found("\u{e9}"), ["a/g1/\u{e9}"]);
        assert_eq!(found("c"), [""; 0]);
        assert_eq!(found("").len(), 6);
        assert_eq!(names.of_group("a", "g1"), 6..12);
        assert_eq!(names.of_namespace("b"), 18..36);
        assert_eq!(names.of_namespace("c"), 36..36);
        assert_eq!(names.beginning("a", "x", "app"), 18..18);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// As an ordered set would do it, in batches small and large; who holds an older list sees
        /// nothing of it.
        #[test]
        fn it_is_an_ordered_set(
            batches in proptest::collection::vec(
                proptest::collection::vec((0u16..900, proptest::bool::weighted(0.7)), 1..400),
                1..20,
            ),
            start in 0usize..1_000,
        ) {
            let mut names = Names::default();
            let mut model = BTreeSet::new();
            for batch in batches {
                let (held, before) = (names.clone(), model.clone());
                let of = |number: u16| {
                    (format!("n{}", number % 2), format!("g{}", number % 5), format!("d{number:03}"))
                };
                let changes = batch.iter().map(|(number, is_there)| {
                    let (namespace, group, data_id) = of(*number);
                    (key(&namespace, &group, &data_id), *is_there)
                });
                names.change(changes.collect());
                for (number, is_there) in batch {
                    match is_there {
                        true => model.insert(of(number)),
                        false => model.remove(&of(number)),
                    };
                }
                prop_assert_eq!(held.len(), before.len());
            }
            prop_assert_eq!(names.len(), model.len());
            let wanted = |(n, g, d): &(String, String, String)| format!("{n}/{g}/{d}");
            let all: Vec<_> = model.iter().map(wanted).collect();
            prop_assert_eq!(shown(&names, 0..names.len()), &all[..]);
            let page: Vec<_> = all.iter().skip(start).take(10).cloned().collect();
            prop_assert_eq!(shown(&names, start..start + 10), page);
            let of_group = |(n, g, _): &&(String, String, String)| n == "n1" && g == "g3";
            let group: Vec<_> = model.iter().filter(of_group).map(wanted).collect();
            prop_assert_eq!(shown(&names, names.of_group("n1", "g3")), &group[..]);
            let begins: Vec<_> =
                model.iter().filter(of_group).filter(|it| it.2.starts_with("d1")).map(wanted).collect();
            prop_assert_eq!(shown(&names, names.beginning("n1", "g3", "d1")), begins);
            names.change(model.iter().map(|(n, g, d)| (key(n, g, d), false)).collect());
            prop_assert!(names.is_empty());
        }
    }
}
