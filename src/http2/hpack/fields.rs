//! The fields of one request, as the decoder leaves them, and the rules they must obey (RFC 9113,
//! 8).

use super::atoms::{AtomId, Atoms};
use super::static_table;

/// What a field is, as far as HTTP/2 itself must know. Kept with each atom, so it is found out
/// once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// `:method`
    Method,
    /// `:scheme`
    Scheme,
    /// `:path`, not empty
    Path,
    /// `:authority`
    Authority,
    /// `content-length`
    ContentLength,
    /// Any other allowed field.
    Regular,
    /// May not occur in a request.
    Malformed,
}

/// What a field is: unknown pseudo-fields, connection-specific fields, upper case, control
/// characters, and `te` other than `trailers` are malformed (RFC 9113, 8.2 and 8.3).
pub fn classify(name: &[u8], value: &[u8]) -> FieldKind {
    if !value_is_valid(value) {
        return FieldKind::Malformed;
    }
    match name {
        b":method" => FieldKind::Method,
        b":scheme" => FieldKind::Scheme,
        b":path" if !value.is_empty() => FieldKind::Path,
        b":authority" => FieldKind::Authority,
        b"content-length" => FieldKind::ContentLength,
        b"te" if value != b"trailers" => FieldKind::Malformed,
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            FieldKind::Malformed
        }
        _ if name_is_valid(name) => FieldKind::Regular,
        _ => FieldKind::Malformed,
    }
}

/// [`classify`] for a field of the static table, known beforehand.
fn static_kind(index: usize) -> FieldKind {
    match index {
        1 => FieldKind::Authority,
        2 | 3 => FieldKind::Method,
        4 | 5 => FieldKind::Path,
        6 | 7 => FieldKind::Scheme,
        28 => FieldKind::ContentLength,
        // `:status` and `transfer-encoding`.
        8..=14 | 57 => FieldKind::Malformed,
        _ => FieldKind::Regular,
    }
}

fn name_is_valid(name: &[u8]) -> bool {
    let token = |&byte: &u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => true,
        _ => b"!#$%&'*+-.^_`|~".contains(&byte),
    };
    !name.is_empty() && name.iter().all(token)
}

fn value_is_valid(value: &[u8]) -> bool {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !edge(value.first())
        && !edge(value.last())
        && !value.iter().any(|byte| matches!(byte, b'\0' | b'\r' | b'\n'))
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Static(u8),
    Atom(AtomId),
    Scratch { start: u32, name_bytes: u16, value_bytes: u16 },
}

/// Why a head cannot become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Breaks a rule of RFC 9113, 8: the stream is reset.
    Malformed,
    /// Larger than the hard limit of a header list: answered 431.
    TooLarge,
}

/// The fields of the head or trailers last decoded on this core. Reused, so it costs no allocation.
#[derive(Default)]
pub struct Head {
    fields: Vec<Source>,
    scratch: Vec<u8>,
    list_bytes: usize,
    list_bytes_max: usize,
    malformed: bool,
    regular_seen: bool,
    method: Option<Source>,
    path: Option<Source>,
    scheme: bool,
    authority: bool,
    content_length: Option<u64>,
}

impl Head {
    /// Empties the head for the next block, of which at most `list_bytes_max` bytes are kept.
    pub fn clear(&mut self, list_bytes_max: usize) {
        self.fields.clear();
        self.scratch.clear();
        self.list_bytes = 0;
        self.list_bytes_max = list_bytes_max;
        self.malformed = false;
        self.regular_seen = false;
        self.method = None;
        self.path = None;
        self.scheme = false;
        self.authority = false;
        self.content_length = None;
    }

    /// Size of the list as RFC 9113, 6.5.2 counts it, kept or not.
    pub fn list_bytes(&self) -> usize {
        self.list_bytes
    }

    /// Counts a field; `false` when the list is over its limit and the field is to be dropped.
    fn admit(&mut self, bytes: usize) -> bool {
        self.list_bytes += bytes + super::table::ENTRY_OVERHEAD_BYTES;
        self.list_bytes <= self.list_bytes_max
    }

    /// A field of the static table; `index` is 1 to 61.
    pub fn push_static(&mut self, index: usize) {
        let (name, value) = static_table::ENTRIES[index - 1];
        if self.admit(name.len() + value.len()) {
            let kind = static_kind(index);
            self.note(kind, Source::Static(index as u8 - 1));
            if kind == FieldKind::ContentLength {
                self.note_content_length(value.as_bytes());
            }
        }
    }

    /// A field of the dynamic table.
    pub fn push_atom(&mut self, id: AtomId, atoms: &Atoms) {
        let (kind, bytes) = atoms.kind_and_bytes(id);
        if self.admit(bytes) {
            self.note(kind, Source::Atom(id));
            if kind == FieldKind::ContentLength {
                self.note_content_length(atoms.get(id).1);
            }
        }
    }

    /// A literal field.
    pub fn push_literal(&mut self, name: &[u8], value: &[u8]) {
        if !self.admit(name.len() + value.len()) {
            return;
        }
        let (Ok(name_bytes), Ok(value_bytes)) =
            (u16::try_from(name.len()), u16::try_from(value.len()))
        else {
            self.malformed = true;
            return;
        };
        let start = self.scratch.len() as u32;
        self.scratch.extend_from_slice(name);
        self.scratch.extend_from_slice(value);
        let source = Source::Scratch { start, name_bytes, value_bytes };
        let kind = classify(name, value);
        self.note(kind, source);
        if kind == FieldKind::ContentLength {
            self.note_content_length(value);
        }
    }

    fn note(&mut self, kind: FieldKind, source: Source) {
        let fresh = match kind {
            FieldKind::Method => self.method.replace(source).is_none(),
            FieldKind::Path => self.path.replace(source).is_none(),
            FieldKind::Scheme => !std::mem::replace(&mut self.scheme, true),
            FieldKind::Authority => !std::mem::replace(&mut self.authority, true),
            FieldKind::Regular | FieldKind::ContentLength => {
                self.regular_seen = true;
                self.fields.push(source);
                return;
            }
            FieldKind::Malformed => {
                self.fields.push(source);
                false
            }
        };
        // Pseudo-fields stand first and once (RFC 9113, 8.3).
        self.malformed |= !fresh || self.regular_seen;
    }

    fn note_content_length(&mut self, value: &[u8]) {
        let digits = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
        let number = value.iter().fold(0u64, |sum, digit| {
            sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')))
        });
        self.malformed |= !digits || self.content_length.is_some_and(|known| known != number);
        self.content_length = Some(number);
    }

    /// Judges a request head.
    pub fn check_request(&self, atoms: &Atoms) -> Result<(), Fault> {
        if self.list_bytes > self.list_bytes_max {
            return Err(Fault::TooLarge);
        }
        let connect = self.method(atoms) == b"CONNECT";
        let complete = match connect {
            true => self.authority && !self.scheme && self.path.is_none(),
            false => self.method.is_some() && self.scheme && self.path.is_some(),
        };
        if self.malformed || !complete { Err(Fault::Malformed) } else { Ok(()) }
    }

    /// Judges trailers, which have no pseudo-fields.
    pub fn check_trailers(&self) -> Result<(), Fault> {
        if self.list_bytes > self.list_bytes_max {
            return Err(Fault::TooLarge);
        }
        let pseudo = self.method.is_some() || self.path.is_some() || self.scheme || self.authority;
        if self.malformed || pseudo { Err(Fault::Malformed) } else { Ok(()) }
    }

    /// The method; empty when there is none.
    pub fn method<'a>(&'a self, atoms: &'a Atoms) -> &'a [u8] {
        self.method.map_or(&[], |source| self.resolve(source, atoms).1)
    }

    /// The path; empty when there is none.
    pub fn path<'a>(&'a self, atoms: &'a Atoms) -> &'a [u8] {
        self.path.map_or(&[], |source| self.resolve(source, atoms).1)
    }

    /// `content-length`, when the client sent it.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The other fields in order, as (name, value); those that may not occur, too.
    pub fn fields<'a>(&'a self, atoms: &'a Atoms) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.fields.iter().map(|source| self.resolve(*source, atoms))
    }

    fn resolve<'a>(&'a self, source: Source, atoms: &'a Atoms) -> (&'a [u8], &'a [u8]) {
        match source {
            Source::Static(at) => {
                let (name, value) = static_table::ENTRIES[usize::from(at)];
                (name.as_bytes(), value.as_bytes())
            }
            Source::Atom(id) => {
                let (name, value, _) = atoms.get(id);
                (name, value)
            }
            Source::Scratch { start, name_bytes, value_bytes } => {
                let text = &self.scratch[start as usize..];
                let (name, rest) = text.split_at(usize::from(name_bytes));
                (name, &rest[..usize::from(value_bytes)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_fields_are_what_classify_says() {
        for (at, (name, value)) in static_table::ENTRIES.iter().enumerate() {
            let kind = classify(name.as_bytes(), value.as_bytes());
            assert_eq!(static_kind(at + 1), kind, "{name}");
        }
    }
}
