//! Where a record is, by its key: a hash map whose room follows what it holds.
//!
//! A place whose entry was removed counts as taken until the table is made anew, and a `HashMap`
//! that is full that way mostly grows to twice its size, and keeps it. So where entries come and go
//! it doubles some time, by those that are gone. Here the table is made anew instead.

use ahash::RandomState;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::ops::Deref;

/// Removals too few to be worth a new table.
const REMOVED_MIN: usize = 1_024;

/// Keys and what they stand for. To look at, a map; it changes through methods of its own.
#[derive(Debug)]
pub struct Catalog<K, V> {
    map: HashMap<K, V, RandomState>,
    /// Removed since the table was last made anew.
    removed: usize,
}

impl<K: Hash + Eq, V> Catalog<K, V> {
    /// Nothing is in it.
    pub fn new(hasher: RandomState) -> Self {
        Self { map: HashMap::with_hasher(hasher), removed: 0 }
    }

    /// What the key stood for before, if it did. Now and then, after a quarter of them was removed,
    /// all others move.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let is_full = self.map.len() == self.map.capacity();
        if is_full && self.removed > self.map.len() / 4 {
            self.make_anew();
        }
        self.map.insert(key, value)
    }

    /// What the key stands for.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    /// Forgets a key. Now and then, after half as many as are left, all others move.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let gone = self.map.remove(key)?;
        self.removed += 1;
        if self.removed > self.map.len() / 2 + REMOVED_MIN {
            self.make_anew();
        }
        Some(gone)
    }

    /// No larger than it was, unless it is nearly full.
    fn make_anew(&mut self) {
        self.removed = 0;
        let room = self.map.len() + self.map.len() / 16 + 1;
        let fresh = HashMap::with_capacity_and_hasher(room, self.map.hasher().clone());
        let old = mem::replace(&mut self.map, fresh);
        self.map.extend(old);
    }
}

impl<K, V> Deref for Catalog<K, V> {
    type Target = HashMap<K, V, RandomState>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog<u64, u64> {
        Catalog::new(RandomState::with_seed(7))
    }

    #[test]
    fn what_comes_and_goes_does_not_make_it_grow() {
        let swings = [(900, 1_500, 1_792), (9_000, 12_500, 14_336), (12_000, 12_500, 14_336)];
        for (least, most, room) in swings {
            let mut catalog = catalog();
            let (mut first, mut next) = (0, 0);
            for _ in 0..200 {
                while next - first < most {
                    assert_eq!(catalog.insert(next, next + 1), None);
                    next += 1;
                }
                assert_eq!(catalog.get(&first), Some(&(first + 1)));
                assert!(catalog.capacity() <= room, "{} for {most}", catalog.capacity());
                while next - first > least {
                    assert_eq!(catalog.remove(&first), Some(first + 1));
                    first += 1;
                }
            }
            assert_eq!(catalog.len() as u64, least);
        }
    }

    #[test]
    fn when_all_have_gone_little_room_is_left() {
        let mut catalog = catalog();
        for key in 0..100_000 {
            catalog.insert(key, key);
        }
        for key in 0..100_000 {
            assert_eq!(catalog.remove(&key), Some(key));
            assert_eq!(catalog.remove(&key), None);
        }
        assert!(catalog.is_empty());
        assert!(catalog.capacity() < 4 * REMOVED_MIN, "{}", catalog.capacity());
    }
}
