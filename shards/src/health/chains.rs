//! Records of a [`Slab`] found by their address, without keeping the address twice: by its hash the
//! number of the first record, by the record the number of the next of that hash.

use crate::catalog::Catalog;
use crate::slab::{END, Slab};
use ahash::RandomState;

/// A record in a chain.
pub(super) trait Chained {
    /// The next record with the same hash, or [`END`].
    fn next(&mut self) -> &mut u32;
}

/// The first record of each hash.
#[derive(Debug)]
pub(super) struct Chains(Catalog<u64, u32>);

impl Chains {
    pub fn new(hasher: RandomState) -> Self {
        Self(Catalog::new(hasher))
    }

    /// The first record of a hash, or [`END`].
    pub fn first(&self, hash: u64) -> u32 {
        self.0.get(&hash).copied().unwrap_or(END)
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A record becomes the first of its hash.
    pub fn put<R: Chained>(&mut self, hash: u64, at: u32, records: &mut Slab<R>) {
        *records[at].next() = self.first(hash);
        self.0.insert(hash, at);
    }

    /// A record that was taken out of the slab leaves its chain.
    pub fn remove<R: Chained>(&mut self, hash: u64, at: u32, gone: &mut R, rest: &mut Slab<R>) {
        let next = *gone.next();
        let mut before = self.first(hash);
        if before == at && next == END {
            self.0.remove(&hash);
        } else if before == at {
            self.0.insert(hash, next);
        } else {
            while before != END && *rest[before].next() != at {
                before = *rest[before].next();
            }
            if before != END {
                *rest[before].next() = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Link(u32);

    impl Chained for Link {
        fn next(&mut self) -> &mut u32 {
            &mut self.0
        }
    }

    fn chain(chains: &Chains, records: &mut Slab<Link>, hash: u64) -> Vec<u32> {
        let mut at = chains.first(hash);
        let mut all = Vec::new();
        while at != END {
            all.push(at);
            at = *records[at].next();
        }
        all
    }

    #[test]
    fn records_of_one_hash_leave_from_any_place() {
        for gone in 0..3 {
            let mut records = Slab::default();
            let mut chains = Chains::new(RandomState::with_seed(1));
            for _ in 0..3 {
                let at = records.insert(Link(END));
                chains.put(7, at, &mut records);
            }
            let mut left = vec![2, 1, 0];
            assert_eq!(chain(&chains, &mut records, 7), left);
            let mut link = records.remove(gone).unwrap();
            chains.remove(7, gone, &mut link, &mut records);
            left.retain(|at| *at != gone);
            assert_eq!(chain(&chains, &mut records, 7), left);
            for at in left {
                let mut link = records.remove(at).unwrap();
                chains.remove(7, at, &mut link, &mut records);
            }
            assert_eq!(chains.first(7), END);
            assert!(chains.is_empty(), "nothing is left behind");
        }
    }
}
