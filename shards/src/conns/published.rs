//! The services one connection publishes.
//!
//! The set as it will be once every ask sent so far was carried out. It is what must be withdrawn
//! when the connection goes; asks to one owner keep their order, so it needs no answer to be right.

use crate::key::ServiceKey;
use ahash::RandomState;
use std::collections::HashMap;

/// Up to here a list is searched; most clients publish one service, gateways thousands.
const LISTED_MAX: usize = 16;

/// A set of services that keeps the order of its making, but for removals.
#[derive(Debug, Default)]
pub struct Published {
    list: Vec<ServiceKey>,
    index: Option<HashMap<ServiceKey, u32, RandomState>>,
}

impl Published {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn contains(&self, service: &ServiceKey) -> bool {
        self.position(service).is_some()
    }

    /// Adds a service; one already there stays where it is.
    pub fn insert(&mut self, service: &ServiceKey, hasher: &RandomState) {
        if self.contains(service) {
            return;
        }
        self.list.push(service.clone());
        if let Some(index) = &mut self.index {
            index.insert(service.clone(), (self.list.len() - 1) as u32);
        } else if self.list.len() > LISTED_MAX {
            let mut index = HashMap::with_hasher(hasher.clone());
            index.extend((0u32..).zip(&self.list).map(|(at, service)| (service.clone(), at)));
            self.index = Some(index);
        }
    }

    /// Takes a service out, if it is there.
    pub fn remove(&mut self, service: &ServiceKey) {
        let Some(at) = self.position(service) else { return };
        self.list.swap_remove(at);
        if let Some(index) = &mut self.index {
            index.remove(service);
            if let Some(moved) = self.list.get(at) {
                index.insert(moved.clone(), at as u32);
            }
        }
    }

    /// All of them.
    pub fn into_list(self) -> Vec<ServiceKey> {
        self.list
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ServiceKey> {
        self.list.iter()
    }

    /// Some of them, from a place on.
    pub fn slice(&self, from: usize, len: usize) -> &[ServiceKey] {
        let from = from.min(self.list.len());
        &self.list[from..(from + len).min(self.list.len())]
    }

    fn position(&self, service: &ServiceKey) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(service).map(|at| *at as usize),
            None => self.list.iter().position(|listed| listed == service),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_a_set_beyond_the_searched_list() {
        let hasher = RandomState::with_seed(1);
        let key = |n: usize| ServiceKey::new("public", "G", &format!("s{n}"));
        let mut published = Published::default();
        for round in 0..2 {
            for n in 0..100 {
                published.insert(&key(n), &hasher);
            }
            assert_eq!(published.len(), 100, "round {round}");
        }
        for n in (0..100).step_by(3) {
            published.remove(&key(n));
            published.remove(&key(n));
        }
        let mut left: Vec<_> = published.iter().cloned().collect();
        left.sort();
        let mut expected: Vec<_> = (0..100).filter(|n| n % 3 != 0).map(key).collect();
        expected.sort();
        assert_eq!(left, expected);
        assert!(!published.contains(&key(0)) && published.contains(&key(1)));
    }
}
