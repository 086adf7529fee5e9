//! The service names of one group in order, with pages by position.
//!
//! A page starts at a position, so the list must find its k-th name fast: names stand in blocks of
//! at most 256, and finding a place walks the blocks' lengths. With 64,000 names that is about 375
//! of them, and a page costs well under 2 µs; at a million names it is still less than 10 µs.
//!
//! Whoever looks for a text looks at all names. A block that was searched keeps its names joined:
//! the next search reads memory from front to back: some 45 bytes a service, gone when the
//! block changes.

use crate::key::ServiceKey;
use memchr::memmem::Finder;

/// Names of one block; a full one is split.
const BLOCK_ITEMS_MAX: usize = 256;

/// Two neighbours that fit this together become one.
const BLOCK_ITEMS_JOIN: usize = 128;

/// The names of one group, ordered by service name. Lives on the directory core.
#[derive(Debug, Default)]
pub struct Names {
    /// No block is empty; the last name of one is before the first of the next.
    blocks: Vec<Block>,
    count: usize,
}

#[derive(Debug, Default)]
struct Block {
    keys: Vec<ServiceKey>,
    /// Of these keys, or absent.
    joined: Option<Joined>,
}

impl Block {
    fn of(keys: Vec<ServiceKey>) -> Self {
        Self { keys, joined: None }
    }

    /// The keys, to be changed.
    fn change(&mut self) -> &mut Vec<ServiceKey> {
        self.joined = None;
        &mut self.keys
    }
}

/// Names one behind the other.
#[derive(Debug)]
struct Joined {
    text: Box<[u8]>,
    names: Box<[Joint]>,
}

/// One of them beside the one before it.
#[derive(Debug, Clone, Copy)]
struct Joint {
    /// Where it ends.
    end: u32,
    /// How many bytes both begin with.
    before: u16,
    /// How many bytes both end with.
    behind: u16,
}

// What a block costs while it is joined: the names and as much again for four of ours.
const _: () = assert!(size_of::<Joint>() == 8);

impl Joined {
    fn of(keys: &[ServiceKey]) -> Self {
        let (mut text, mut last) = (Vec::new(), &[][..]);
        let name = |key| {
            let name = ServiceKey::service(key).as_bytes();
            let alike = |(left, right): &(&u8, &u8)| left == right;
            let before = last.iter().zip(name).take_while(alike).count();
            let behind = last.iter().rev().zip(name.iter().rev()).take_while(alike).count();
            last = name;
            text.extend_from_slice(name);
            // Fewer than there are is as true.
            let count = |bytes| u16::try_from(bytes).unwrap_or(u16::MAX);
            Joint { end: text.len() as u32, before: count(before), behind: count(behind) }
        };
        let names = keys.iter().map(name).collect();
        Self { text: text.into(), names }
    }

    /// Tells the places of the names that hold a text.
    fn holding(&self, text: &Finder<'_>, mut found: impl FnMut(usize)) {
        let (len, mut at, mut start) = (text.needle().len(), 0, 0);
        while let Some(place) = text.find(&self.text[start..]).map(|place| start + place) {
            while self.names[at].end as usize <= place {
                start = self.names[at].end as usize;
                at += 1;
            }
            let end = self.names[at].end as usize;
            if place + len > end {
                // Across two names is in neither.
                (at, start) = (at + 1, end);
                continue;
            }
            // All that follow and begin alike so far hold it, too, and so do all that end alike.
            let (first, last) = (place + len - start, end - place);
            let (mut begins, mut ends) = (true, true);
            while begins || ends {
                found(at);
                start = self.names[at].end as usize;
                at += 1;
                let Some(next) = self.names.get(at) else { break };
                begins &= usize::from(next.before) >= first;
                ends &= usize::from(next.behind) >= last;
            }
        }
    }
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The block where a name is or belongs, and its place there, found or not.
    fn place(&self, service: &str) -> (usize, Result<usize, usize>) {
        let after = self.blocks.partition_point(|block| block.keys[0].service() <= service);
        let at = after.saturating_sub(1);
        let Some(block) = self.blocks.get(at) else { return (0, Err(0)) };
        (at, block.keys.binary_search_by(|key| key.service().cmp(service)))
    }

    /// True if it was not there before.
    pub fn insert(&mut self, key: ServiceKey) -> bool {
        let (at, place) = self.place(key.service());
        let Err(place) = place else { return false };
        self.count += 1;
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block::of(vec![key]));
            return true;
        };
        let keys = block.change();
        keys.insert(place, key);
        if keys.len() > BLOCK_ITEMS_MAX {
            let upper = keys.split_off(BLOCK_ITEMS_MAX / 2);
            self.blocks.insert(at + 1, Block::of(upper));
        }
        true
    }

    /// True if it was there.
    pub fn remove(&mut self, service: &str) -> bool {
        let (at, Ok(place)) = self.place(service) else { return false };
        self.count -= 1;
        self.blocks[at].change().remove(place);
        if self.blocks[at].keys.is_empty() {
            self.blocks.remove(at);
        } else {
            self.join(at);
        }
        true
    }

    /// Joins a small block with a small neighbour, so that deleting leaves no long trail of crumbs.
    fn join(&mut self, at: usize) {
        let fits =
            |left: &Block, right: &Block| left.keys.len() + right.keys.len() <= BLOCK_ITEMS_JOIN;
        let left = match self.blocks.get(at + 1) {
            Some(right) if fits(&self.blocks[at], right) => at,
            _ if at > 0 && fits(&self.blocks[at - 1], &self.blocks[at]) => at - 1,
            _ => return,
        };
        let mut right = self.blocks.remove(left + 1);
        self.blocks[left].change().append(right.change());
    }

    /// The names from a position on.
    pub fn skipping(&self, start: usize) -> impl Iterator<Item = &ServiceKey> {
        let mut left = start;
        let mut at = 0;
        while self.blocks.get(at).is_some_and(|block| block.keys.len() <= left) {
            left -= self.blocks[at].keys.len();
            at += 1;
        }
        self.blocks[at..].iter().flat_map(|block| &block.keys).skip(left)
    }

    /// The names not before this text.
    pub fn starting_at<'a>(
        &'a self,
        service: &str,
    ) -> impl Iterator<Item = &'a ServiceKey> + use<'a> {
        let (at, place) = self.place(service);
        let (Ok(skip) | Err(skip)) = place;
        let blocks = &self.blocks[at.min(self.blocks.len())..];
        blocks.iter().flat_map(|block| &block.keys).skip(skip)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ServiceKey> {
        self.blocks.iter().flat_map(|block| &block.keys)
    }

    /// Tells the names that hold a text, in order. Some 12 ns for each that does, 2 or 3 where it
    /// is in what neighbours begin or end with alike, and 2 to 4 for the others. `joins` is how
    /// many blocks may be joined that are not yet, 10 µs or 20 each.
    pub fn holding<'a>(
        &'a mut self,
        text: &Finder<'_>,
        joins: &mut usize,
        mut found: impl FnMut(&'a ServiceKey),
    ) {
        for Block { keys, joined } in &mut self.blocks {
            if joined.is_none() && *joins > 0 {
                *joins -= 1;
                *joined = Some(Joined::of(keys));
            }
            match joined {
                Some(joined) => joined.holding(text, |at| found(&keys[at])),
                None => {
                    let holds = |key: &&ServiceKey| text.find(key.service().as_bytes()).is_some();
                    keys.iter().filter(holds).for_each(&mut found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("n", "g", name)
    }

    fn names<'a>(keys: impl Iterator<Item = &'a ServiceKey>) -> Vec<&'a str> {
        keys.map(ServiceKey::service).collect()
    }

    #[test]
    fn an_empty_list_has_empty_pages() {
        let names = Names::default();
        assert_eq!(names.skipping(0).count(), 0);
        assert_eq!(names.skipping(9).count(), 0);
        assert_eq!(names.starting_at("x").count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// As an ordered set would do it, with enough names for splits and joins.
        #[test]
        fn it_is_an_ordered_set(
            steps in proptest::collection::vec((0u16..1_200, 0u8..5), 1..6_000),
            start in 0usize..1_300,
        ) {
            let mut list = Names::default();
            let mut model = BTreeSet::new();
            for (number, step) in steps {
                let name = format!("s{number:04}");
                // More inserts at first, and later everything below a number goes.
                if step < 4 {
                    prop_assert_eq!(list.insert(key(&name)), model.insert(name.clone()));
                } else {
                    prop_assert_eq!(list.remove(&name), model.remove(&name));
                }
            }
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(names(list.iter()), model.iter().collect::<Vec<_>>());
            let page: Vec<_> = model.iter().skip(start).take(10).collect();
            prop_assert_eq!(names(list.skipping(start).take(10)), page);
            let from = format!("s{start:04}");
            let after: Vec<_> = model.range(from.clone()..).collect();
            prop_assert_eq!(names(list.starting_at(&from)), after);
            // Nothing joined, a part, all; and joined before, where changes did not touch it.
            for (text, joins) in [("7", 0), ("7", 1), ("s00", 9), ("07", 9), ("70s", 9), (&from, 0)] {
                let (mut holding, mut joins) = (Vec::new(), joins);
                list.holding(&Finder::new(text), &mut joins, |key| holding.push(key.service()));
                let expected: Vec<_> = model.iter().filter(|name| name.contains(text)).collect();
                prop_assert_eq!(holding, expected, "{}", text);
            }
            let gone: Vec<_> = model.iter().step_by(300).cloned().collect();
            for name in gone {
                prop_assert!(list.remove(&name) && model.remove(&name));
            }
            let mut holding = Vec::new();
            list.holding(&Finder::new("0"), &mut 0, |key| holding.push(key.service()));
            let expected: Vec<_> = model.iter().filter(|name| name.contains('0')).collect();
            prop_assert_eq!(holding, expected);
            for name in &model {
                prop_assert!(list.remove(name));
            }
            prop_assert!(list.is_empty() && list.blocks.is_empty());
        }

        /// Names that begin and end alike in all ways, by any text.
        #[test]
        fn what_is_alike_is_found_as_what_is_not(
            all in proptest::collection::btree_set("[ab]{0,3}-?[ab]{1,3}", 1..300),
            text in "[ab-]{1,3}",
        ) {
            let mut list = Names::default();
            all.iter().for_each(|name| assert!(list.insert(key(name))));
            let mut holding = Vec::new();
            list.holding(&Finder::new(&text), &mut 9, |key| holding.push(key.service()));
            let expected: Vec<_> = all.iter().filter(|name| name.contains(&*text)).collect();
            prop_assert_eq!(holding, expected, "{}", text);
        }

        #[test]
        fn removing_leaves_no_crumbs(keep in 1usize..40) {
            let mut list = Names::default();
            for number in 0..10_000 {
                list.insert(key(&format!("s{number:05}")));
            }
            for number in (0..10_000).filter(|number| number % (keep * 50) != 0) {
                list.remove(&format!("s{number:05}"));
            }
            prop_assert!(list.blocks.len() <= 1 + 2 * list.len() / BLOCK_ITEMS_JOIN + 1);
        }
    }
}
