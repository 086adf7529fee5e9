//! The dynamic table of one connection (RFC 7541, 2.3.2 and 4): four bytes an entry.

use super::atoms::{AtomId, Atoms};
use super::packed::Packed;
use super::static_table;

/// What the RFC adds to the text of an entry (4.1).
pub const ENTRY_OVERHEAD_BYTES: usize = 32;
/// The size every decoder starts with (RFC 9113, 6.5.2).
pub const TABLE_BYTES_INITIAL: u16 = 4_096;

/// Marks a packed entry.
const PACKED: u32 = 1 << 31;

/// An entry as it is kept: an atom's id, or a packed value.
#[derive(Debug, Clone, Copy)]
struct Slot(u32);

/// An entry of the dynamic table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A text that connections share.
    Atom(AtomId),
    /// A number with a unit.
    Packed(Packed),
}

impl Slot {
    fn entry(self) -> Entry {
        match self.0 & PACKED {
            0 => Entry::Atom(AtomId(self.0)),
            _ => Entry::Packed(Packed(self.0 & !PACKED)),
        }
    }
}

/// A dynamic table. Holds references to atoms: give them back with [`Table::release`].
pub struct Table {
    /// Oldest first. At most 128 entries fit the initial size, so moving them down is cheap.
    entries: Vec<Slot>,
    bytes: u16,
    /// Set by the peer's size updates. We leave SETTINGS_HEADER_TABLE_SIZE at its initial value.
    bytes_max: u16,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: Vec::new(), bytes: 0, bytes_max: TABLE_BYTES_INITIAL }
    }
}

impl Table {
    /// The entry of an HPACK index behind the static table.
    pub fn get(&self, index: usize) -> Option<Entry> {
        self.slot(index).map(|slot| Slot(slot).entry())
    }

    /// The same as it is kept: equal in two tables of a core where the fields are equal.
    pub(super) fn slot(&self, index: usize) -> Option<u32> {
        let from_newest = index.checked_sub(static_table::LEN + 1)?;
        let position = self.entries.len().checked_sub(from_newest + 1)?;
        Some(self.entries[position].0)
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
        let slot = match Packed::new(name, value) {
            Some(packed) => Slot(packed.0 | PACKED),
            None => match atoms.intern(name, value) {
                Some(id) => Slot(id.0),
                None => return false,
            },
        };
        self.entries.push(slot);
        self.bytes += bytes as u16;
        true
    }

    /// A size update of the peer; `false` when it is above what we allow.
    pub fn resize(&mut self, bytes_max: usize, atoms: &mut Atoms) -> bool {
        if bytes_max > usize::from(TABLE_BYTES_INITIAL) {
            return false;
        }
        self.bytes_max = bytes_max as u16;
        self.shrink_to(self.bytes_max, atoms);
        true
    }

    fn shrink_to(&mut self, bytes: u16, atoms: &mut Atoms) {
        let mut gone = 0;
        while self.bytes > bytes {
            let text_bytes = match self.entries[gone].entry() {
                Entry::Atom(id) => {
                    atoms.release(id);
                    atoms.kind_and_bytes(id).1
                }
                Entry::Packed(packed) => packed.bytes(),
            };
            self.bytes -= (text_bytes + ENTRY_OVERHEAD_BYTES) as u16;
            gone += 1;
        }
        self.entries.drain(..gone);
    }

    /// Gives every reference back; the table is then empty and owns no memory.
    pub fn release(&mut self, atoms: &mut Atoms) {
        for slot in std::mem::take(&mut self.entries) {
            if let Entry::Atom(id) = slot.entry() {
                atoms.release(id);
            }
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
        self.entries.capacity() * size_of::<Slot>()
    }
}
