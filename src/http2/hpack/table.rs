//! The dynamic table of one connection (RFC 7541, 2.3.2 and 4): a list of atom ids.

use super::atoms::{AtomId, Atoms};
use super::static_table;

/// What the RFC adds to the text of an entry (4.1).
pub const ENTRY_OVERHEAD_BYTES: usize = 32;
/// The size every decoder starts with (RFC 9113, 6.5.2).
pub const TABLE_BYTES_INITIAL: u16 = 4_096;

/// A dynamic table. Holds references to atoms: give them back with [`Table::release`].
pub struct Table {
    /// Oldest first. At most 128 entries fit the initial size, so moving them down is cheap.
    entries: Vec<AtomId>,
    bytes: u16,
    /// Set by the peer's size updates, never above `limit`.
    bytes_max: u16,
    /// What our SETTINGS allow the peer to set.
    limit: u16,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            bytes: 0,
            bytes_max: TABLE_BYTES_INITIAL,
            limit: TABLE_BYTES_INITIAL,
        }
    }
}

impl Table {
    /// The entry of an HPACK index behind the static table.
    pub fn get(&self, index: usize) -> Option<AtomId> {
        let from_newest = index.checked_sub(static_table::LEN + 1)?;
        let position = self.entries.len().checked_sub(from_newest + 1)?;
        Some(self.entries[position])
    }

    /// Adds a field; `false` when the core has no room for a new atom.
    ///
    /// An entry larger than the table empties it, which is not an error (RFC 7541, 4.4).
    pub fn insert(&mut self, name: &[u8], value: &[u8], atoms: &mut Atoms) -> bool {
        let bytes = name.len() + value.len() + ENTRY_OVERHEAD_BYTES;
        if bytes > usize::from(self.bytes_max) {
            self.shrink_to(0, atoms);
            return true;
        }
        self.shrink_to(self.bytes_max - bytes as u16, atoms);
        let Some(id) = atoms.intern(name, value) else { return false };
        self.entries.push(id);
        self.bytes += bytes as u16;
        true
    }

    /// A size update of the peer; `false` when it is above what we allow.
    pub fn resize(&mut self, bytes_max: usize, atoms: &mut Atoms) -> bool {
        if bytes_max > usize::from(self.limit) {
            return false;
        }
        self.bytes_max = bytes_max as u16;
        self.shrink_to(self.bytes_max, atoms);
        true
    }

    /// The peer has acknowledged SETTINGS that allow `limit` bytes.
    ///
    /// Its next block should begin with a size update. Where it does not, the peer has not used the
    /// setting, and the table goes on at the old size rather than losing step with its encoder.
    pub fn set_limit(&mut self, limit: u16) {
        self.limit = limit;
    }

    fn shrink_to(&mut self, bytes: u16, atoms: &mut Atoms) {
        let mut gone = 0;
        while self.bytes > bytes {
            let id = self.entries[gone];
            self.bytes -= (atoms.kind_and_bytes(id).1 + ENTRY_OVERHEAD_BYTES) as u16;
            atoms.release(id);
            gone += 1;
        }
        self.entries.drain(..gone);
    }

    /// Gives every reference back; the table is then empty and owns no memory.
    pub fn release(&mut self, atoms: &mut Atoms) {
        for id in std::mem::take(&mut self.entries) {
            atoms.release(id);
        }
        self.bytes = 0;
    }

    /// Entries now.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no entry is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of heap this table holds.
    pub fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<AtomId>()
    }
}
