//! Response header blocks: a few that repeat on every call, and plain ones.
//!
//! The peer's dynamic table holds at most what two [`Preset`]s put there, in a known order, so the
//! state of the encoder is one byte and every block is a copy of bytes built once. This is also
//! what the reference sends: 70 bytes of head and 15 of trailers on the first call, 4 and 1 on
//! later ones.

use super::{integer, static_table};

/// Dynamic table entries behind the static ones start here.
const DYNAMIC_BASE: usize = static_table::LEN + 1;
/// Size with which both ends start (RFC 9113, 6.5.2).
const TABLE_BYTES_INITIAL: u32 = 4_096;

/// A block to send.
#[derive(Debug, Clone, Copy)]
pub enum Block<'a> {
    /// The first preset: the head of every good answer.
    Head,
    /// The second preset: the trailers of every good answer.
    Done,
    /// A finished block that neither uses nor changes the dynamic table.
    Plain(&'a [u8]),
}

/// One repeated block in all its forms.
pub struct Preset {
    /// Without any table.
    plain: Vec<u8>,
    /// Adds its fields to the table.
    first: Vec<u8>,
    /// Refers to them when nothing was added since.
    newest: Vec<u8>,
    /// Refers to them when the other preset was added since.
    older: Vec<u8>,
    /// What the fields take of the peer's table.
    table_bytes: u32,
}

/// The two presets of a server.
pub struct Presets {
    head: Preset,
    done: Preset,
}

impl Presets {
    /// Builds both from their fields.
    pub fn new(head: &[(&str, &str)], done: &[(&str, &str)]) -> Self {
        Self { head: Preset::new(head, dynamic(done)), done: Preset::new(done, 0) }
    }
}

/// How many of `fields` need an entry of the dynamic table.
fn dynamic(fields: &[(&str, &str)]) -> usize {
    fields.iter().filter(|field| static_index(field).is_none()).count()
}

fn static_index(field: &(&str, &str)) -> Option<usize> {
    static_table::ENTRIES.iter().position(|entry| entry == field).map(|at| at + 1)
}

impl Preset {
    fn new(fields: &[(&str, &str)], added_later: usize) -> Self {
        let mut preset = Self {
            plain: Vec::new(),
            first: Vec::new(),
            newest: Vec::new(),
            older: Vec::new(),
            table_bytes: 0,
        };
        let mut left = dynamic(fields);
        for field in fields {
            let (name, value) = (field.0.as_bytes(), field.1.as_bytes());
            if let Some(index) = static_index(field) {
                for form in
                    [&mut preset.plain, &mut preset.first, &mut preset.newest, &mut preset.older]
                {
                    integer::write(form, index, 7, 0x80);
                }
                continue;
            }
            left -= 1;
            literal(&mut preset.plain, name, value);
            indexed_literal(&mut preset.first, name, value);
            integer::write(&mut preset.newest, DYNAMIC_BASE + left, 7, 0x80);
            integer::write(&mut preset.older, DYNAMIC_BASE + left + added_later, 7, 0x80);
            preset.table_bytes += (name.len() + value.len()) as u32 + 32;
        }
        preset
    }
}

/// Index of the first static entry with this name.
fn name_index(name: &[u8]) -> usize {
    static_table::ENTRIES.iter().position(|entry| entry.0.as_bytes() == name).map_or(0, |at| at + 1)
}

fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    integer::write(out, text.len(), 7, 0);
    out.extend_from_slice(text);
}

fn literal_with(out: &mut Vec<u8>, name: &[u8], value: &[u8], prefix_bits: u8, pattern: u8) {
    let index = name_index(name);
    integer::write(out, index, prefix_bits, pattern);
    if index == 0 {
        write_string(out, name);
    }
    write_string(out, value);
}

/// Appends a field that leaves the table alone (RFC 7541, 6.2.2).
pub fn literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    literal_with(out, name, value, 4, 0x00);
}

/// Appends a field that enters the table (RFC 7541, 6.2.1).
pub fn indexed_literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    literal_with(out, name, value, 6, 0x40);
}

/// Appends `:status`, by index where the static table has it.
pub fn status(out: &mut Vec<u8>, code: &str) {
    match static_index(&(":status", code)) {
        Some(index) => integer::write(out, index, 7, 0x80),
        None => literal(out, b":status", code.as_bytes()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing is in the peer's table.
    Nothing,
    /// The head is.
    Head,
    /// Both are.
    Both,
    /// The peer's table is too small: everything goes plain.
    Never,
}

/// What we have put into the peer's table. Six bytes a connection.
#[derive(Debug, Clone, Copy)]
pub struct Encoder {
    known: Known,
    /// A smaller size the next block must announce first (RFC 7541, 4.2).
    announce: Option<u16>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { known: Known::Nothing, announce: None }
    }
}

impl Encoder {
    /// The peer's SETTINGS_HEADER_TABLE_SIZE. We never use more than the initial size.
    pub fn set_peer_table(&mut self, bytes: u32, presets: &Presets) {
        let needed = presets.head.table_bytes + presets.done.table_bytes;
        if bytes < needed {
            self.known = Known::Never;
            self.announce = Some(0);
        } else if bytes < TABLE_BYTES_INITIAL {
            // The least of several changes is what the next block must say.
            let bytes = bytes as u16;
            self.announce = Some(self.announce.map_or(bytes, |before| before.min(bytes)));
        }
    }

    /// Appends a block.
    pub fn write(&mut self, block: Block<'_>, presets: &Presets, out: &mut Vec<u8>) {
        if let Some(bytes) = self.announce.take() {
            integer::write(out, usize::from(bytes), 5, 0x20);
        }
        let bytes = match (block, self.known) {
            (Block::Plain(bytes), _) => bytes,
            (Block::Head, Known::Nothing) => {
                self.known = Known::Head;
                &presets.head.first
            }
            (Block::Head, Known::Head) => &presets.head.newest,
            (Block::Head, Known::Both) => &presets.head.older,
            (Block::Head, Known::Never) => &presets.head.plain,
            (Block::Done, Known::Head) => {
                self.known = Known::Both;
                &presets.done.first
            }
            (Block::Done, Known::Both) => &presets.done.newest,
            (Block::Done, Known::Nothing | Known::Never) => &presets.done.plain,
        };
        out.extend_from_slice(bytes);
    }
}
