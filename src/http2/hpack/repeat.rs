//! The block that was decoded last, in case the next one says the same.
//!
//! In the steady state a client's head is some eight indices, and clients of one SDK all send the
//! same. When block and referred entries are equal, the head of the last request is the head of this
//! one, and comparing them costs a tenth of decoding.

use super::static_table;
use super::table::Table;

/// Longest block that is remembered.
const BLOCK_BYTES_MAX: usize = 16;

/// What [`Head`](super::Head) shows now, if it came of indices alone.
#[derive(Debug, Default)]
pub struct Repeat {
    block: [u8; BLOCK_BYTES_MAX],
    /// The dynamic entry of each index, 0 for static ones. Entries of live tables are atoms that
    /// nobody has freed, so equal entries are equal texts.
    slots: [u32; BLOCK_BYTES_MAX],
    bytes: usize,
}

/// The dynamic index of a one-byte reference.
fn dynamic_index(byte: u8) -> Option<usize> {
    let index = usize::from(byte & 0x7f);
    (index > static_table::LEN).then_some(index)
}

impl Repeat {
    /// Forgets the block: the head is about to change.
    pub fn clear(&mut self) {
        self.bytes = 0;
    }

    /// Whether `block` would be decoded with `table` to what the head shows.
    pub fn is(&self, block: &[u8], table: &Table) -> bool {
        if self.bytes == 0 || self.block[..self.bytes] != *block {
            return false;
        }
        block.iter().zip(&self.slots).all(|(byte, slot)| match dynamic_index(*byte) {
            Some(index) => table.slot(index) == Some(*slot),
            None => true,
        })
    }

    /// Remembers a block just decoded, if it is short and nothing but one-byte indices.
    pub fn note(&mut self, block: &[u8], table: &Table) {
        self.bytes = 0;
        let indices = block.iter().all(|byte| (0x81..=0xfe).contains(byte));
        if block.len() > BLOCK_BYTES_MAX || !indices {
            return;
        }
        for (position, byte) in block.iter().enumerate() {
            self.block[position] = *byte;
            self.slots[position] =
                dynamic_index(*byte).and_then(|index| table.slot(index)).unwrap_or(0);
        }
        self.bytes = block.len();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Atoms, Head, decode, decode::Strings, encode};
    use super::*;

    /// A table that knows one field, and its head's value when it is referred to.
    fn table_of(value: &[u8], atoms: &mut Atoms, head: &mut Head, repeat: &mut Repeat) -> Table {
        let mut table = Table::default();
        let mut block = Vec::new();
        encode::indexed_literal(&mut block, b"x", value);
        repeat.clear();
        head.clear(1_000);
        decode(&block, &mut table, atoms, &mut Strings::default(), head).unwrap();
        repeat.note(&block, &table);
        assert!(!repeat.is(&block, &table), "a block that changes the table never repeats");
        table
    }

    #[test]
    fn equal_blocks_repeat_only_where_the_entries_are_equal() {
        let (mut atoms, mut head) = (Atoms::new(10_000), Head::default());
        let mut repeat = Repeat::default();
        let mut one = table_of(b"one", &mut atoms, &mut head, &mut repeat);
        let mut same = table_of(b"one", &mut atoms, &mut head, &mut repeat);
        let mut two = table_of(b"two", &mut atoms, &mut head, &mut repeat);
        let block = [0x83, 0xbe];
        head.clear(1_000);
        decode(&block, &mut one, &mut atoms, &mut Strings::default(), &mut head).unwrap();
        repeat.note(&block, &one);
        assert!(repeat.is(&block, &one) && repeat.is(&block, &same));
        assert!(!repeat.is(&block, &two) && !repeat.is(&block, &Table::default()));
        assert!(!repeat.is(&block[..1], &one) && !repeat.is(&[0x82, 0xbe], &one));
        for table in [&mut one, &mut same, &mut two] {
            table.release(&mut atoms);
        }
    }
}
