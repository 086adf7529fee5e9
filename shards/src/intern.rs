//! Values many records share, kept once per core and counted.
//!
//! They go with their last user, so texts a stranger makes up cost no longer than he stays.

use crate::catalog::Catalog;
use crate::slab::Slab;
use ahash::RandomState;
use std::hash::Hash;
use std::sync::Arc;

/// Distinct values and their numbers.
#[derive(Debug)]
pub struct Interner<T> {
    records: Slab<(Arc<T>, u32)>,
    numbers: Catalog<Arc<T>, u32>,
}

impl<T: Hash + Eq> Interner<T> {
    pub fn new(hasher: RandomState) -> Self {
        Self { records: Slab::default(), numbers: Catalog::new(hasher) }
    }

    /// The number of this value, counted once more.
    pub fn take(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            self.records[*number].1 += 1;
            return *number;
        }
        let value = Arc::new(value);
        let number = self.records.insert((value.clone(), 1));
        self.numbers.insert(value, number);
        number
    }

    /// Counts a number that was taken once less.
    pub fn give_back(&mut self, number: u32) {
        let (value, users) = &mut self.records[number];
        *users -= 1;
        if *users == 0 {
            let value = value.clone();
            self.numbers.remove(&value);
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
