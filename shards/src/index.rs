//! Numbers of records by a key that stands in the record alone: nine bytes a place, however long
//! the key.
//!
//! A table of keys would hold each of them twice, 33 bytes a place for a service's. Of the hash a
//! half is kept, so that a table that grows does not ask its records for their keys.
//!
//! A place whose number was removed counts as taken until the table is made anew, and a table that
//! is full that way mostly grows to twice its size, and keeps it. So where records come and go it
//! doubles some time, by those that are gone. Here it is made anew instead.

use ahash::RandomState;
use hashbrown::HashTable;
use std::hash::Hash;
use std::mem;

/// Removals too few to be worth a new table.
const REMOVED_MIN: usize = 1_024;

/// Numbers found by the keys of their records. Never iterated, so the same calls have the same
/// effect, whatever the hasher.
#[derive(Debug, Default)]
pub struct Index {
    places: HashTable<Place>,
    /// Removed since the table was last made anew.
    removed: usize,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    number: u32,
}

const _: () = assert!(size_of::<Place>() == 8, "one for each of a million subscriptions");

impl Place {
    /// The table takes the place from the low bits and tells neighbours apart by the high ones, so
    /// each of them has to depend on the hash.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn spread_own(&self) -> u64 {
        Self::spread(self.hash)
    }
}

impl Index {
    /// Nothing is in it.
    pub fn new(hasher: RandomState) -> Self {
        Self { places: HashTable::new(), removed: 0, hasher }
    }

    /// What keys are hashed with.
    pub fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of this key. `has_it` says whether the record of a number has the key; it is
    /// asked for numbers of equal hash.
    pub fn find<K>(&self, key: &K, has_it: impl Fn(u32) -> bool) -> Option<u32>
    where
        K: Hash + ?Sized,
    {
        let hash = self.hash(key);
        let is_it = |place: &Place| place.hash == hash && has_it(place.number);
        self.places.find(Place::spread(hash), is_it).map(|place| place.number)
    }

    /// Takes in the number of a key that was not found. Now and then, after a quarter of them was
    /// removed, all others move.
    pub fn insert<K: Hash + ?Sized>(&mut self, key: &K, number: u32) {
        let is_full = self.places.len() == self.places.capacity();
        if is_full && self.removed > self.places.len() / 4 {
            self.make_anew();
        }
        let place = Place { hash: self.hash(key), number };
        self.places.insert_unique(place.spread_own(), place, Place::spread_own);
    }

    /// Forgets the number of a key, if it is there. Now and then, after half as many as are left,
    /// all others move.
    pub fn remove<K: Hash + ?Sized>(&mut self, key: &K, number: u32) {
        let spread = Place::spread(self.hash(key));
        let Ok(place) = self.places.find_entry(spread, |place| place.number == number) else {
            return;
        };
        place.remove();
        self.removed += 1;
        if self.removed > self.places.len() / 2 + REMOVED_MIN {
            self.make_anew();
        }
    }

    fn hash<K: Hash + ?Sized>(&self, key: &K) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    /// No larger than it was, unless it is nearly full.
    fn make_anew(&mut self) {
        self.removed = 0;
        let room = self.places.len() + self.places.len() / 16 + 1;
        let old = mem::replace(&mut self.places, HashTable::with_capacity(room));
        for place in old {
            self.places.insert_unique(place.spread_own(), place, Place::spread_own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    /// The record of number `n` has the key `7 * n`.
    fn key(number: u32) -> u64 {
        7 * u64::from(number)
    }

    fn find(index: &Index, number: u32) -> Option<u32> {
        index.find(&key(number), |found| key(found) == key(number))
    }

    fn index() -> Index {
        Index::new(RandomState::with_seed(7))
    }

    #[test]
    fn what_comes_and_goes_does_not_make_it_grow() {
        let swings = [(900, 1_500, 1_792), (9_000, 12_500, 14_336), (12_000, 12_500, 14_336)];
        for (least, most, room) in swings {
            let mut index = index();
            let (mut first, mut next) = (0, 0);
            for _ in 0..200 {
                while next - first < most {
                    assert_eq!(find(&index, next), None);
                    index.insert(&key(next), next);
                    next += 1;
                }
                assert_eq!(find(&index, first), Some(first));
                let capacity = index.places.capacity();
                assert!(capacity <= room, "{capacity} for {most}");
                while next - first > least {
                    index.remove(&key(first), first);
                    assert_eq!(find(&index, first), None);
                    first += 1;
                }
            }
            assert_eq!(index.len() as u32, least);
            assert!((first..next).all(|number| find(&index, number) == Some(number)));
        }
    }

    #[test]
    fn when_all_have_gone_little_room_is_left() {
        let mut index = index();
        for number in 0..100_000 {
            index.insert(&key(number), number);
        }
        for number in 0..100_000 {
            index.remove(&key(number), number);
            index.remove(&key(number), number);
        }
        assert!(index.is_empty());
        let capacity = index.places.capacity();
        assert!(capacity < 4 * REMOVED_MIN, "{capacity}");
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        struct Alike(u32);
        impl Hash for Alike {
            fn hash<H: Hasher>(&self, hasher: &mut H) {
                hasher.write_u32(1);
            }
        }
        let mut index = index();
        for number in 0..100 {
            index.insert(&Alike(number), number);
        }
        for gone in [50, 0, 99] {
            index.remove(&Alike(gone), gone);
        }
        for number in 0..100 {
            let left = ![50, 0, 99].contains(&number);
            let key = Alike(number);
            assert_eq!(index.find(&key, |found| found == key.0), left.then_some(number));
        }
    }
}
