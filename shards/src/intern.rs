//! Values many records share, kept once per core and counted.
//!
//! They go with their last user, so texts a stranger makes up cost no longer than he stays.

use crate::index::Index;
use crate::slab::Slab;
use ahash::RandomState;
use std::hash::Hash;

/// Distinct values and their numbers.
#[derive(Debug)]
pub struct Interner<T> {
    /// With how many use it.
    records: Slab<(T, u32)>,
    numbers: Index,
}

impl<T: Hash + Eq> Interner<T> {
    pub fn new(hasher: RandomState) -> Self {
        Self { records: Slab::default(), numbers: Index::new(hasher) }
    }

    /// The number of this value, counted once more.
    pub fn take(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.find(&value, |at| self.records[at].0 == value) {
            self.records[number].1 += 1;
            return number;
        }
        let number = self.records.insert((value, 1));
        self.numbers.insert(&self.records[number].0, number);
        number
    }

    /// Counts a number that was taken once less.
    pub fn give_back(&mut self, number: u32) {
        let (value, users) = &mut self.records[number];
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(value, number);
            self.records.remove(number);
        }
    }

    /// The value of a number that was taken.
    pub fn get(&self, number: u32) -> &T {
        &self.records[number].0
    }

    /// Distinct values.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_with_their_last_user() {
        let mut interner = Interner::new(RandomState::with_seed(1));
        let number = interner.take("a".to_owned());
        assert_eq!(interner.take("a".to_owned()), number);
        let other = interner.take("b".to_owned());
        assert_ne!(number, other);
        interner.give_back(number);
        assert_eq!(interner.get(number), "a");
        interner.give_back(number);
        assert_eq!(interner.len(), 1);
        assert_eq!(interner.take("c".to_owned()), number);
        interner.give_back(number);
        interner.give_back(other);
        assert!(interner.is_empty() && interner.numbers.is_empty());
    }
}
