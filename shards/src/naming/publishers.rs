//! Who publishes what for one service, in the order they came.

use crate::key::ConnKey;
use crate::naming::host::{Host, Publication};
use ahash::RandomState;
use std::collections::HashMap;

/// Up to this many publishers, one is found by looking at all.
const LINEAR_MAX: usize = 16;

/// The publications of one service by connection, in the order of their first registration. One
/// change costs the same with ten publishers and with ten thousand.
#[derive(Debug, Default)]
pub struct Publishers {
    entries: Vec<Entry>,
    live: usize,
    /// Where each connection's entry stands, kept while there are many.
    index: Option<Box<Index>>,
}

/// Boxed in [`Publishers`], because nearly every service has few of them.
#[derive(Debug)]
struct Index(HashMap<ConnKey, u32, RandomState>);

#[derive(Debug)]
struct Entry {
    conn: ConnKey,
    /// `None` once withdrawn, until the entries are packed.
    publication: Option<Box<Publication>>,
}

// One an instance.
const _: () = assert!(size_of::<Entry>() <= 24);

/// What a publication did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    First,
    /// Carries how many instances it had.
    Replaced(usize),
    /// The same content as before.
    Same,
}

impl Publishers {
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// How many publish.
    pub fn len(&self) -> usize {
        self.live
    }

    /// All instances in order.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        let publications = self.entries.iter().filter_map(|entry| entry.publication.as_deref());
        publications.flat_map(Publication::hosts)
    }

    /// Publications from a place on, each with its place: places stay while nobody withdraws.
    pub fn from(&self, at: u32) -> impl Iterator<Item = (u32, ConnKey, &Publication)> {
        let entries = (at..).zip(self.entries.get(at as usize..).unwrap_or_default());
        entries.filter_map(|(at, entry)| Some((at, entry.conn, entry.publication.as_deref()?)))
    }

    /// What a client publishes.
    pub fn get(&self, conn: ConnKey) -> Option<&Publication> {
        self.entries[self.find(conn)?].publication.as_deref()
    }

    /// What a client publishes.
    pub fn get_mut(&mut self, conn: ConnKey) -> Option<&mut Publication> {
        let at = self.find(conn)?;
        self.entries[at].publication.as_deref_mut()
    }

    fn find(&self, conn: ConnKey) -> Option<usize> {
        match &self.index {
            Some(index) => index.0.get(&conn).map(|at| *at as usize),
            None => self
                .entries
                .iter()
                .position(|entry| entry.conn == conn && entry.publication.is_some()),
        }
    }

    /// Sets what a connection publishes.
    pub fn put(
        &mut self,
        conn: ConnKey,
        publication: Box<Publication>,
        hasher: &RandomState,
    ) -> Put {
        if let Some(at) = self.find(conn) {
            let kept = &mut self.entries[at].publication;
            if kept.as_ref() == Some(&publication) {
                return Put::Same;
            }
            let before = kept.replace(publication);
            return Put::Replaced(before.map_or(0, |before| before.hosts().len()));
        }
        let at = self.entries.len() as u32;
        if self.entries.len() == self.entries.capacity() {
            // By a quarter, not double: a million services of ten must not carry six spare entries
            // each.
            self.entries.reserve_exact((self.entries.len() / 4).max(2));
        }
        self.entries.push(Entry { conn, publication: Some(publication) });
        self.live += 1;
        match &mut self.index {
            Some(index) => {
                index.0.insert(conn, at);
            }
            None if self.live > LINEAR_MAX => self.build_index(hasher),
            None => {}
        }
        Put::First
    }

    /// True if the connection published something.
    pub fn withdraw(&mut self, conn: ConnKey, hasher: &RandomState) -> Option<usize> {
        let at = self.find(conn)?;
        let before = self.entries[at].publication.take();
        self.live -= 1;
        if let Some(index) = &mut self.index {
            index.0.remove(&conn);
        }
        if self.live == 0 {
            *self = Self::default();
        } else if self.entries.len() > 2 * self.live + LINEAR_MAX / 4 {
            self.pack(hasher);
        }
        Some(before.map_or(0, |before| before.hosts().len()))
    }

    /// Drops withdrawn entries. Paid for by as many withdrawals.
    fn pack(&mut self, hasher: &RandomState) {
        self.entries.retain(|entry| entry.publication.is_some());
        self.entries.shrink_to_fit();
        self.index = None;
        if self.live > LINEAR_MAX {
            self.build_index(hasher);
        }
    }

    fn build_index(&mut self, hasher: &RandomState) {
        let mut index = HashMap::with_capacity_and_hasher(self.live, hasher.clone());
        for (at, entry) in self.entries.iter().enumerate() {
            if entry.publication.is_some() {
                index.insert(entry.conn, at as u32);
            }
        }
        self.index = Some(Box::new(Index(index)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Core, Home, ServiceKey};
    use crate::message::Now;
    use crate::naming::host::Ids;
    use nacre_proto::naming::Instance;
    use proptest::prelude::*;

    fn conn(slot: u32) -> ConnKey {
        ConnKey { home: Home(Core(0)), slot, generation: 0 }
    }

    fn publication(port: i64) -> Box<Publication> {
        let instance = Instance { ip: Some("1".into()), port, ..Instance::default() };
        let now = Now { tick_ms: 0, unix_ms: 0 };
        let service = ServiceKey::new("n", "g", "s");
        Box::new(Publication::One(Host::new(&instance, &service, &mut Ids::new(Core(0)), now)))
    }

    proptest! {
        /// As an ordered list would do it; enough connections for the index and for packing.
        #[test]
        fn they_keep_their_order(
            steps in proptest::collection::vec((0u32..60, 0i64..4), 0..600),
        ) {
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            let mut publishers = Publishers::default();
            let mut model: Vec<(u32, i64)> = Vec::new();
            for (slot, port) in steps {
                let at = model.iter().position(|(there, _)| *there == slot);
                if port == 0 {
                    let removed = at.map(|at| model.remove(at)).is_some();
                    prop_assert_eq!(publishers.withdraw(conn(slot), &hasher).is_some(), removed);
                } else {
                    let expected = match at {
                        Some(at) if model[at].1 == port => Put::Same,
                        Some(at) => {
                            model[at].1 = port;
                            Put::Replaced(1)
                        }
                        None => {
                            model.push((slot, port));
                            Put::First
                        }
                    };
                    let put = publishers.put(conn(slot), publication(port), &hasher);
                    prop_assert_eq!(put, expected);
                }
                prop_assert_eq!(publishers.live, model.len());
                prop_assert!(publishers.entries.len() <= 2 * model.len() + 5);
            }
            let shown: Vec<i64> = publishers.hosts().map(|host| i64::from(host.port())).collect();
            let expected: Vec<i64> = model.iter().map(|(_, port)| *port).collect();
            prop_assert_eq!(shown, expected);
        }
    }
}
