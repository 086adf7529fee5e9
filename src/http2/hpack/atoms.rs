//! Header fields that connections remember, kept once per core.
//!
//! SDKs repeat the same few fields on every connection: path, user-agent, content-type, authority.
//! A dynamic-table entry is therefore an id into this table. Ids are counted: an atom lives as long
//! as a table, or the head being read, refers to it, so nobody can evict another connection's
//! fields. What is new is bounded per core by `atom_bytes_max`; a connection that would go beyond
//! it is told to calm down, while connections whose fields are known already go on.

use ahash::RandomState;

use super::fields::{FieldKind, classify};

/// Identity of an atom on this core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtomId(pub(super) u32);

const NONE: u32 = u32::MAX;
/// Reference count of a slot on the free list.
const FREE: u32 = u32::MAX;
/// Ids leave a bit to dynamic tables. Two thousand million atoms are no bound anyone meets.
const ATOMS_MAX: usize = (1 << 31) - 1;
/// Buckets of an empty table; doubled when there are as many atoms.
const BUCKETS_MIN: usize = 64;
/// What an atom costs beside its text: the record, its share of buckets, the allocator's rounding.
const ATOM_OVERHEAD_BYTES: usize = 56;

struct Atom {
    text: Box<[u8]>,
    name_bytes: u16,
    kind: FieldKind,
    references: u32,
    hash: u32,
    /// Next atom of the bucket, or of the free list.
    next: u32,
}

/// The atoms of one core.
pub struct Atoms {
    atoms: Vec<Atom>,
    buckets: Vec<u32>,
    free: u32,
    live: usize,
    bytes: usize,
    bytes_max: usize,
    /// Atoms nobody refers to any more, but which the head last read may still show.
    leaving: Vec<u32>,
    hasher: RandomState,
}

impl Atoms {
    /// An empty table that will hold at most `bytes_max` bytes of text and records.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            atoms: Vec::new(),
            buckets: vec![NONE; BUCKETS_MIN],
            free: NONE,
            live: 0,
            bytes: 0,
            bytes_max,
            leaving: Vec::new(),
            hasher: RandomState::new(),
        }
    }

    /// Fields known now.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no field is known.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of text and records now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The atom of this field, one reference more; `None` when it is new and there is no room.
    pub fn intern(&mut self, name: &[u8], value: &[u8]) -> Option<AtomId> {
        let hash = self.hasher.hash_one((name, value)) as u32;
        let mut at = self.buckets[self.bucket(hash)];
        while at != NONE {
            let atom = &mut self.atoms[at as usize];
            if atom.hash == hash
                && usize::from(atom.name_bytes) == name.len()
                && atom.text[..name.len()] == *name
                && atom.text[name.len()..] == *value
            {
                atom.references += 1;
                return Some(AtomId(at));
            }
            at = atom.next;
        }
        self.insert(name, value, hash)
    }

    fn insert(&mut self, name: &[u8], value: &[u8], hash: u32) -> Option<AtomId> {
        let cost = name.len() + value.len() + ATOM_OVERHEAD_BYTES;
        let name_bytes = u16::try_from(name.len()).ok()?;
        if self.bytes + cost > self.bytes_max || self.atoms.len() >= ATOMS_MAX {
            return None;
        }
        if self.live == self.buckets.len() {
            self.rehash();
        }
        let bucket = self.bucket(hash);
        let atom = Atom {
            text: [name, value].concat().into_boxed_slice(),
            name_bytes,
            kind: classify(name, value),
            references: 1,
            hash,
            next: self.buckets[bucket],
        };
        let at = if self.free == NONE {
            self.atoms.push(atom);
            (self.atoms.len() - 1) as u32
        } else {
            let at = self.free;
            self.free = self.atoms[at as usize].next;
            self.atoms[at as usize] = atom;
            at
        };
        self.buckets[bucket] = at;
        self.live += 1;
        self.bytes += cost;
        Some(AtomId(at))
    }

    /// Gives a reference back. The text stays readable until [`Atoms::sweep`].
    pub fn release(&mut self, id: AtomId) {
        let atom = &mut self.atoms[id.0 as usize];
        debug_assert!(atom.references != 0 && atom.references != FREE);
        atom.references -= 1;
        if atom.references == 0 {
            self.leaving.push(id.0);
        }
    }

    /// Forgets what nobody refers to. Called before a block is decoded, when no head shows the old
    /// ones.
    pub fn sweep(&mut self) {
        while let Some(at) = self.leaving.pop() {
            // An atom may have been revived, or stand here twice and be free already.
            if self.atoms[at as usize].references == 0 {
                self.remove(at);
            }
        }
    }

    fn remove(&mut self, at: u32) {
        let atom = &mut self.atoms[at as usize];
        let (hash, next) = (atom.hash, atom.next);
        self.bytes -= atom.text.len() + ATOM_OVERHEAD_BYTES;
        self.live -= 1;
        atom.text = Box::default();
        atom.name_bytes = 0;
        atom.references = FREE;
        atom.next = self.free;
        self.free = at;
        let bucket = self.bucket(hash);
        if self.buckets[bucket] == at {
            self.buckets[bucket] = next;
            return;
        }
        let mut before = self.buckets[bucket];
        while self.atoms[before as usize].next != at {
            before = self.atoms[before as usize].next;
        }
        self.atoms[before as usize].next = next;
    }

    fn rehash(&mut self) {
        self.buckets = vec![NONE; self.buckets.len() * 2];
        for at in 0..self.atoms.len() {
            if self.atoms[at].references == FREE {
                continue;
            }
            let bucket = self.bucket(self.atoms[at].hash);
            self.atoms[at].next = self.buckets[bucket];
            self.buckets[bucket] = at as u32;
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// Name, value and kind of an atom.
    pub fn get(&self, id: AtomId) -> (&[u8], &[u8], FieldKind) {
        let atom = &self.atoms[id.0 as usize];
        let (name, value) = atom.text.split_at(usize::from(atom.name_bytes));
        (name, value, atom.kind)
    }

    /// What an atom is, and how long its name and value are together.
    pub fn kind_and_bytes(&self, id: AtomId) -> (FieldKind, usize) {
        let atom = &self.atoms[id.0 as usize];
        (atom.kind, atom.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_fields_share_one_atom_and_the_last_reference_frees_it() {
        let mut atoms = Atoms::new(10_000);
        let one = atoms.intern(b"te", b"trailers").unwrap();
        let two = atoms.intern(b"te", b"trailers").unwrap();
        assert_eq!(one, two);
        assert_ne!(atoms.intern(b"tet", b"railers").unwrap(), one, "name and value are kept apart");
        atoms.release(one);
        atoms.sweep();
        assert_eq!(atoms.get(two).1, b"trailers");
        atoms.release(two);
        assert_eq!(atoms.get(two).1, b"trailers", "readable until the sweep");
        atoms.sweep();
        assert_eq!(atoms.len(), 1);
    }

    #[test]
    fn revived_and_released_again_before_a_sweep_is_freed_once() {
        let mut atoms = Atoms::new(10_000);
        let id = atoms.intern(b"a", b"b").unwrap();
        atoms.release(id);
        assert_eq!(atoms.intern(b"a", b"b"), Some(id));
        atoms.release(id);
        atoms.sweep();
        assert_eq!((atoms.len(), atoms.bytes()), (0, 0));
        let next = atoms.intern(b"c", b"d").unwrap();
        assert_ne!(Some(next), atoms.intern(b"e", b"f"), "one slot was freed once");
    }

    #[test]
    fn a_full_table_refuses_the_new_and_keeps_the_old() {
        let mut atoms = Atoms::new(200);
        let mut known = Vec::new();
        for number in 0.. {
            match atoms.intern(b"x", format!("{number}").as_bytes()) {
                Some(id) => known.push(id),
                None => break,
            }
        }
        assert!(known.len() >= 2);
        assert_eq!(atoms.intern(b"x", b"0"), Some(known[0]));
        atoms.release(known[0]);
        atoms.release(known[0]);
        atoms.sweep();
        assert!(atoms.intern(b"y", b"0").is_some());
    }

    #[test]
    fn thousands_of_atoms_are_found_again_after_rehashing() {
        let mut atoms = Atoms::new(10_000_000);
        let ids: Vec<_> = (0..5_000)
            .map(|number: u32| atoms.intern(b"n", &number.to_be_bytes()).unwrap())
            .collect();
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(atoms.intern(b"n", &(number as u32).to_be_bytes()), Some(*id));
            atoms.release(*id);
            atoms.release(*id);
        }
        atoms.sweep();
        assert_eq!((atoms.len(), atoms.bytes()), (0, 0));
    }
}
