//! Connections by the slot their transport sits in.
//!
//! The outside numbers the slots (they are its sockets') and uses them again; the generation in
//! each [`ConnKey`] tells the tenants of one slot apart. Records live in pages that come and go
//! with need.

use crate::conns::connection::Connection;
use crate::key::{ConnKey, Home};

/// Records of one page: small enough that a few connections cost little.
const PAGE: usize = 64;

type Page = Box<[Option<Connection>; PAGE]>;

/// The connections of one home core.
#[derive(Debug)]
pub struct Table {
    home: Home,
    pages: Vec<Option<(Page, usize)>>,
    len: usize,
}

impl Table {
    /// Whose connections these are.
    pub fn home(&self) -> Home {
        self.home
    }

    /// An empty table of this home core.
    pub fn new(home: Home) -> Self {
        Self { home, pages: Vec::new(), len: 0 }
    }

    /// Connections held.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One beyond the highest slot ever used.
    pub fn slots(&self) -> u32 {
        (self.pages.len() * PAGE) as u32
    }

    /// Stores a connection in its slot, which must be free.
    pub fn insert(&mut self, key: ConnKey, connection: Connection) {
        let (page, place) = split(key.slot);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let (records, used) =
            self.pages[page].get_or_insert_with(|| (Box::new([const { None }; PAGE]), 0));
        let before = records[place].replace(connection);
        assert!(
            before.is_none(),
            "a slot is used again only after its connection was reported gone"
        );
        *used += 1;
        self.len += 1;
    }

    /// Takes a connection out.
    pub fn remove(&mut self, key: ConnKey) -> Option<Connection> {
        self.get(key)?;
        let (page, place) = split(key.slot);
        let (records, used) = self.pages[page].as_mut()?;
        let connection = records[place].take();
        *used -= 1;
        self.len -= 1;
        if *used == 0 {
            self.pages[page] = None;
        }
        connection
    }

    /// The connection, if it is still this one.
    pub fn get(&self, key: ConnKey) -> Option<&Connection> {
        self.at(key.slot).filter(|connection| connection.generation == key.generation)
    }

    /// The connection, if it is still this one.
    pub fn get_mut(&mut self, key: ConnKey) -> Option<&mut Connection> {
        self.at_mut(key.slot).filter(|connection| connection.generation == key.generation)
    }

    /// Whatever connection is in this slot.
    pub fn at(&self, slot: u32) -> Option<&Connection> {
        let (page, place) = split(slot);
        self.pages.get(page)?.as_ref()?.0[place].as_ref()
    }

    /// Whatever connection is in this slot.
    pub fn at_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        let (page, place) = split(slot);
        self.pages.get_mut(page)?.as_mut()?.0[place].as_mut()
    }

    /// The full key of what is in this slot.
    pub fn key_of(&self, slot: u32, connection: &Connection) -> ConnKey {
        ConnKey { home: self.home, slot, generation: connection.generation }
    }
}

fn split(slot: u32) -> (usize, usize) {
    (slot as usize / PAGE, slot as usize % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Core;

    fn key(slot: u32, generation: u32) -> ConnKey {
        ConnKey { home: Home(Core(0)), slot, generation }
    }

    fn connection(key: ConnKey) -> Connection {
        Connection::new(key, "127.0.0.1:1".parse().unwrap(), 1, 0)
    }

    #[test]
    fn a_key_finds_only_its_own_tenant() {
        let mut table = Table::new(Home(Core(0)));
        table.insert(key(700, 1), connection(key(700, 1)));
        assert!(table.get(key(700, 1)).is_some());
        assert!(table.get(key(700, 2)).is_none());
        assert!(table.get(key(701, 1)).is_none());
        assert!(table.get(key(70_000, 1)).is_none());
        assert!(table.remove(key(700, 2)).is_none());
        assert!(table.remove(key(700, 1)).is_some());
        table.insert(key(700, 2), connection(key(700, 2)));
        assert!(table.get(key(700, 1)).is_none());
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn empty_pages_are_given_back() {
        let mut table = Table::new(Home(Core(0)));
        for slot in 0..200 {
            table.insert(key(slot, 1), connection(key(slot, 1)));
        }
        for slot in 0..200 {
            table.remove(key(slot, 1));
        }
        assert!(table.pages.iter().all(Option::is_none));
        assert!(table.is_empty());
    }
}
