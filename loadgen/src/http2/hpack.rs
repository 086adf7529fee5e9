//! Header blocks (RFC 7541): a full decoder, and an encoder for the handful a client sends.

mod huffman;
mod table;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// What an entry costs beside its text (RFC 7541, 4.1).
const ENTRY_OVERHEAD_BYTES: usize = 32;

/// The table both sides start with (RFC 9113, 6.5.2). We never offer another.
pub const TABLE_BYTES: usize = 4_096;

/// Different fields kept for sharing among connections. A server repeats a handful; one that
/// does not (an id in a header) still works, its entries are then held per connection.
const POOL_FIELDS_MAX: usize = 4_096;

/// Longest integer in bytes after its prefix: enough for 2^28, beyond any header we accept.
const INTEGER_BYTES_MAX: u32 = 4;

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// Dynamic-table entries shared among all connections to a server: an idle connection then costs
/// a pointer per entry.
#[derive(Debug, Default)]
pub struct Pool(HashSet<Arc<Field>>);

impl Pool {
    fn share(&mut self, field: Field) -> Arc<Field> {
        if let Some(known) = self.0.get(&field) {
            return known.clone();
        }
        let field = Arc::new(field);
        if self.0.len() < POOL_FIELDS_MAX {
            self.0.insert(field.clone());
        }
        field
    }
}

/// A malformed header block: the connection is lost (COMPRESSION_ERROR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HpackError(&'static str);

impl fmt::Display for HpackError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "header block: {}", self.0)
    }
}

impl std::error::Error for HpackError {}

/// One connection's receiving side. Entries are oldest first.
#[derive(Debug)]
pub struct Decoder {
    entries: Vec<Arc<Field>>,
    bytes: u32,
    bytes_max: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: Vec::new(), bytes: 0, bytes_max: TABLE_BYTES as u32 }
    }
}

impl Decoder {
    /// Decodes a whole block and shows each field in order.
    pub fn decode(
        &mut self,
        block: &[u8],
        pool: &mut Pool,
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), HpackError> {
        let mut input = Input(block);
        while let Some(&first) = input.0.first() {
            if first & 0x80 != 0 {
                let index = input.integer(7)?;
                self.field(index, |name, value| each(name, value))?;
            } else if first & 0xe0 == 0x20 {
                let size = input.integer(5)?;
                if size > TABLE_BYTES {
                    return Err(HpackError("table size over the one offered"));
                }
                self.bytes_max = size as u32;
                self.evict(0);
            } else {
                let indexed = first & 0xc0 == 0x40;
                let field = self.literal(&mut input, if indexed { 6 } else { 4 })?;
                each(&field.name, &field.value);
                if indexed {
                    self.insert(field, pool);
                }
            }
        }
        Ok(())
    }

    fn literal(&self, input: &mut Input<'_>, prefix: u8) -> Result<Field, HpackError> {
        let index = input.integer(prefix)?;
        let name = match index {
            0 => input.string()?,
            _ => {
                let mut name = Vec::new();
                self.field(index, |known, _| name.extend_from_slice(known))?;
                name
            }
        };
        Ok(Field { name, value: input.string()? })
    }

    fn field(&self, index: usize, each: impl FnOnce(&[u8], &[u8])) -> Result<(), HpackError> {
        if let Some((name, value)) = index.checked_sub(1).and_then(|at| table::STATIC.get(at)) {
            each(name.as_bytes(), value.as_bytes());
            return Ok(());
        }
        let back = index.checked_sub(table::STATIC.len()).filter(|back| *back > 0);
        let at = back.and_then(|back| self.entries.len().checked_sub(back));
        let entry = at.map(|at| &self.entries[at]).ok_or(HpackError("no such index"))?;
        each(&entry.name, &entry.value);
        Ok(())
    }

    fn insert(&mut self, field: Field, pool: &mut Pool) {
        let bytes = field_bytes(&field) as u32;
        self.evict(bytes);
        if bytes <= self.bytes_max {
            self.bytes += bytes;
            self.entries.push(pool.share(field));
        }
    }

    /// Makes room for so many bytes, oldest entries first.
    fn evict(&mut self, room: u32) {
        let mut gone = 0;
        while self.bytes + room > self.bytes_max && gone < self.entries.len() {
            self.bytes -= field_bytes(&self.entries[gone]) as u32;
            gone += 1;
        }
        self.entries.drain(..gone);
    }
}

fn field_bytes(field: &Field) -> usize {
    field.name.len() + field.value.len() + ENTRY_OVERHEAD_BYTES
}

/// What is left of a block.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, HpackError> {
        let (first, rest) = self.0.split_first().ok_or(HpackError("ends inside a field"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn integer(&mut self, prefix: u8) -> Result<usize, HpackError> {
        let limit = (1usize << prefix) - 1;
        let mut value = usize::from(self.byte()?) & limit;
        if value < limit {
            return Ok(value);
        }
        for at in 0..INTEGER_BYTES_MAX {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(HpackError("integer too long"))
    }

    fn string(&mut self) -> Result<Vec<u8>, HpackError> {
        let packed = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let len = self.integer(7)?;
        let (text, rest) =
            self.0.split_at_checked(len).ok_or(HpackError("ends inside a string"))?;
        self.0 = rest;
        if packed {
            return huffman::decode(text).ok_or(HpackError("bad Huffman code"));
        }
        Ok(text.to_vec())
    }
}

/// How the peer may keep a field we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Literal with incremental indexing: enters the dynamic table.
    Index,
    /// Literal without indexing.
    Forget,
}

/// Appends a field as a literal with its name spelled out or, when the static table has the
/// name, as an index; no Huffman, as Java. A full static match is one byte.
pub fn put_field(name: &str, value: &str, keep: Keep, out: &mut Vec<u8>) {
    let named = |(known, _): &(&str, &str)| *known == name;
    if let Some(at) = table::STATIC.iter().position(|known| *known == (name, value)) {
        put_integer(at + 1, 7, 0x80, out);
        return;
    }
    let index = table::STATIC.iter().position(named).map_or(0, |at| at + 1);
    match keep {
        Keep::Index => put_integer(index, 6, 0x40, out),
        Keep::Forget => put_integer(index, 4, 0, out),
    }
    if index == 0 {
        put_string(name, out);
    }
    put_string(value, out);
}

/// Appends the index of a dynamic-table entry; 0 is the newest.
pub fn put_dynamic(age: usize, out: &mut Vec<u8>) {
    put_integer(table::STATIC.len() + 1 + age, 7, 0x80, out);
}

/// Appends a table size update (RFC 7541, 6.3).
pub fn put_size_update(bytes: usize, out: &mut Vec<u8>) {
    put_integer(bytes, 5, 0x20, out);
}

/// What a field takes of the peer's dynamic table.
pub fn entry_bytes(name: &str, value: &str) -> usize {
    name.len() + value.len() + ENTRY_OVERHEAD_BYTES
}

fn put_string(text: &str, out: &mut Vec<u8>) {
    put_integer(text.len(), 7, 0, out);
    out.extend_from_slice(text.as_bytes());
}

fn put_integer(value: usize, prefix: u8, pattern: u8, out: &mut Vec<u8>) {
    let limit = (1usize << prefix) - 1;
    if value < limit {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | limit as u8);
    let mut rest = value - limit;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, HpackError> {
        let mut fields = Vec::new();
        decoder.decode(block, &mut Pool::default(), |name, value| {
            fields.push((
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ));
        })?;
        Ok(fields)
    }

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn decodes_the_examples_of_rfc_7541_c_6() {
        let mut decoder = Decoder { bytes_max: 256, ..Decoder::default() };
        let first = [
            0x48, 0x82, 0x64, 0x02, 0x58, 0x85, 0xae, 0xc3, 0x77, 0x1a, 0x4b, 0x61, 0x96, 0xd0,
            0x7a, 0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81,
            0x66, 0xe0, 0x82, 0xa6, 0x2d, 0x1b, 0xff, 0x6e, 0x91, 0x9d, 0x29, 0xad, 0x17, 0x18,
            0x63, 0xc7, 0x8f, 0x0b, 0x97, 0xc8, 0xe9, 0xae, 0x82, 0xae, 0x43, 0xd3,
        ];
        let date = "Mon, 21 Oct 2013 20:13:21 GMT";
        let location = "https://www.example.com";
        let common = [("cache-control", "private"), ("date", date), ("location", location)];
        let mut wanted = vec![(":status", "302")];
        wanted.extend(common);
        assert_eq!(all(&mut decoder, &first), Ok(pairs(&wanted)));
        assert_eq!(decoder.bytes, 222);
        // C.6.2: 307 evicts 302, everything else by index.
        let second = [0x48, 0x83, 0x64, 0x0e, 0xff, 0xc1, 0xc0, 0xbf];
        wanted[0] = (":status", "307");
        assert_eq!(all(&mut decoder, &second), Ok(pairs(&wanted)));
        assert_eq!(decoder.bytes, 222);
    }

    #[test]
    fn reads_back_what_it_writes() {
        let mut block = Vec::new();
        put_field(":method", "POST", Keep::Index, &mut block);
        put_field(":path", "/Request/request", Keep::Index, &mut block);
        put_field("te", "trailers", Keep::Index, &mut block);
        put_field("x-once", &"v".repeat(300), Keep::Forget, &mut block);
        put_dynamic(0, &mut block);
        put_dynamic(1, &mut block);
        let mut decoder = Decoder::default();
        let long = "v".repeat(300);
        let wanted = [
            (":method", "POST"),
            (":path", "/Request/request"),
            ("te", "trailers"),
            ("x-once", long.as_str()),
            ("te", "trailers"),
            (":path", "/Request/request"),
        ];
        assert_eq!(all(&mut decoder, &block), Ok(pairs(&wanted)));
    }

    #[test]
    fn refuses_what_is_malformed() {
        let mut decoder = Decoder::default();
        for block in [
            &[0x80][..],                              // index 0
            &[0xbe],                                  // empty dynamic table
            &[0x40],                                  // no name
            &[0x40, 0x05, b'a'],                      // string cut short
            &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff],    // endless integer
            &[0x3f, 0xe2, 0x1f],                      // size update to 4,097
            &[0x40, 0x81, 0x00, 0x00],                // Huffman padding of zeros
            &[0x40, 0x84, 0xff, 0xff, 0xff, 0xff, 0], // EOS in a string
        ] {
            assert!(all(&mut decoder, block).is_err(), "{block:02x?}");
        }
    }

    #[test]
    fn a_size_update_to_zero_empties_the_table() {
        let mut block = Vec::new();
        put_field("a", "b", Keep::Index, &mut block);
        put_size_update(0, &mut block);
        let mut decoder = Decoder::default();
        assert!(all(&mut decoder, &block).is_ok());
        assert!(decoder.entries.is_empty() && decoder.bytes == 0);
        let mut again = Vec::new();
        put_field("a", "b", Keep::Index, &mut again);
        put_dynamic(0, &mut again);
        assert!(all(&mut decoder, &again).is_err(), "an entry over the size is not kept");
    }

    #[test]
    fn the_pool_shares_equal_fields() {
        let mut pool = Pool::default();
        let mut block = Vec::new();
        put_field("grpc-status", "0", Keep::Index, &mut block);
        let (mut one, mut two) = (Decoder::default(), Decoder::default());
        one.decode(&block, &mut pool, |_, _| {}).unwrap();
        two.decode(&block, &mut pool, |_, _| {}).unwrap();
        assert!(Arc::ptr_eq(&one.entries[0], &two.entries[0]));
    }
}
