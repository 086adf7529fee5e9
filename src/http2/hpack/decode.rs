//! A header block becomes fields (RFC 7541, 3 and 6).

use super::atoms::Atoms;
use super::fields::Head;
use super::packed::{self, Packed};
use super::static_table;
use super::table::{Entry, Table};
use super::{huffman, integer};
use crate::http2::limits::HEADER_BOMB_BYTES;

/// Why a block cannot be decoded. The connection ends with COMPRESSION_ERROR where nothing else is
/// said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HpackError {
    /// The block ends inside a field, or an integer is longer than any we admit.
    Truncated,
    /// No table has this index.
    BadIndex,
    /// Bad padding, or EOS inside a string.
    BadHuffman,
    /// A size update above the initial size, or behind a field.
    BadSizeUpdate,
    /// The core has no room for another client text: ENHANCE_YOUR_CALM.
    NoRoom,
    /// The block unfolds to more than [`HEADER_BOMB_BYTES`]: ENHANCE_YOUR_CALM.
    Bomb,
}

/// Buffers for Huffman text and names, one pair a core.
#[derive(Default)]
pub struct Strings {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Size updates allowed at the start of a block: the least and the final size (RFC 7541, 4.2).
const SIZE_UPDATES_MAX: usize = 2;

/// Decodes a whole block into `head`, which the caller has cleared.
///
/// The table is changed even where `head` keeps nothing, so that both ends stay in step. Work is
/// bounded by the bytes of the block and what it unfolds to, memory by the table and the limit of
/// `head`.
pub fn decode(
    block: &[u8],
    table: &mut Table,
    atoms: &mut Atoms,
    strings: &mut Strings,
    head: &mut Head,
) -> Result<(), HpackError> {
    atoms.sweep();
    let mut rest = block;
    let mut size_updates = 0;
    let mut fields = 0;
    while let Some(&first) = rest.first() {
        if first & 0x80 != 0 {
            indexed(take_integer(&mut rest, 7)?, table, atoms, head)?;
        } else if first & 0x40 != 0 {
            literal(&mut rest, 6, table, atoms, strings)?;
            let (name, value) = (&strings.name, &strings.value);
            head.push_literal(name, value);
            if !table.insert(name, value, atoms) {
                return Err(HpackError::NoRoom);
            }
        } else if first & 0x20 != 0 {
            size_updates += 1;
            let bytes = take_integer(&mut rest, 5)?;
            let early = fields == 0 && size_updates <= SIZE_UPDATES_MAX;
            if !early || !table.resize(bytes, atoms) {
                return Err(HpackError::BadSizeUpdate);
            }
            continue;
        } else {
            literal(&mut rest, 4, table, atoms, strings)?;
            head.push_literal(&strings.name, &strings.value);
        }
        fields += 1;
        if head.list_bytes() > HEADER_BOMB_BYTES {
            return Err(HpackError::Bomb);
        }
    }
    Ok(())
}

fn indexed(index: usize, table: &Table, atoms: &Atoms, head: &mut Head) -> Result<(), HpackError> {
    match index {
        0 => Err(HpackError::BadIndex),
        1..=static_table::LEN => {
            head.push_static(index);
            Ok(())
        }
        _ => {
            match table.get(index).ok_or(HpackError::BadIndex)? {
                Entry::Atom(id) => head.push_atom(id, atoms),
                Entry::Packed(packed) => {
                    packed.show(|value| head.push_literal(packed::NAME, value))
                }
            }
            Ok(())
        }
    }
}

/// Reads a literal's name and value into `strings`.
fn literal(
    rest: &mut &[u8],
    prefix_bits: u8,
    table: &Table,
    atoms: &Atoms,
    strings: &mut Strings,
) -> Result<(), HpackError> {
    let index = take_integer(rest, prefix_bits)?;
    strings.name.clear();
    strings.value.clear();
    match index {
        0 => take_string(rest, &mut strings.name)?,
        1..=static_table::LEN => {
            strings.name.extend_from_slice(static_table::ENTRIES[index - 1].0.as_bytes());
        }
        _ => {
            let name = match table.get(index).ok_or(HpackError::BadIndex)? {
                Entry::Atom(id) => atoms.get(id).0,
                Entry::Packed(Packed(_)) => packed::NAME,
            };
            strings.name.extend_from_slice(name);
        }
    }
    take_string(rest, &mut strings.value)
}

fn take_integer(rest: &mut &[u8], prefix_bits: u8) -> Result<usize, HpackError> {
    let (value, used) = integer::read(rest, prefix_bits).ok_or(HpackError::Truncated)?;
    *rest = &rest[used..];
    Ok(value)
}

fn take_string(rest: &mut &[u8], into: &mut Vec<u8>) -> Result<(), HpackError> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let bytes = take_integer(rest, 7)?;
    if bytes > rest.len() {
        return Err(HpackError::Truncated);
    }
    let (text, behind) = rest.split_at(bytes);
    *rest = behind;
    if coded {
        huffman::decode(text, into).ok_or(HpackError::BadHuffman)?;
    } else {
        into.extend_from_slice(text);
    }
    Ok(())
}
