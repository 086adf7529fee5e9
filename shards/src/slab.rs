//! Records by a small number that stays theirs until they are removed.
//!
//! Numbers are used again. Whoever may hold one beyond its record's life says at its place why that
//! does no harm; everything that leaves the core carries a generation or a counter besides.

/// Records by number.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    /// The free entry used next, or [`END`].
    free: u32,
    used: u32,
}

/// No entry.
pub const END: u32 = u32::MAX;

#[derive(Debug)]
enum Entry<T> {
    Used(T),
    Free { next: u32 },
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: END, used: 0 }
    }
}

impl<T> Slab<T> {
    /// Bytes of one record as stored.
    pub const ENTRY_BYTES: usize = size_of::<Entry<T>>();

    /// Stores a record; its number is the lowest that was freed last.
    pub fn insert(&mut self, record: T) -> u32 {
        self.used += 1;
        if self.free == END {
            self.entries.push(Entry::Used(record));
            return (self.entries.len() - 1) as u32;
        }
        let index = self.free;
        match std::mem::replace(&mut self.entries[index as usize], Entry::Used(record)) {
            Entry::Free { next } => self.free = next,
            Entry::Used(_) => unreachable!("the free list holds free entries"),
        }
        index
    }

    /// Takes a record out. Its memory is given back once the last one left.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(index as usize)?;
        if matches!(entry, Entry::Free { .. }) {
            return None;
        }
        let Entry::Used(record) = std::mem::replace(entry, Entry::Free { next: self.free }) else {
            unreachable!("looked at above");
        };
        self.free = index;
        self.used -= 1;
        if self.used == 0 {
            *self = Self::default();
        }
        Some(record)
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        match self.entries.get(index as usize) {
            Some(Entry::Used(record)) => Some(record),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.entries.get_mut(index as usize) {
            Some(Entry::Used(record)) => Some(record),
            _ => None,
        }
    }

    /// One beyond the highest number in use.
    pub fn end(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Records held.
    pub fn len(&self) -> usize {
        self.used as usize
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// All records in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match entry {
            Entry::Used(record) => Some((index as u32, record)),
            Entry::Free { .. } => None,
        })
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.get(index).expect("the holder of a number keeps its record")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index).expect("the holder of a number keeps its record")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_memory_returns() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert("a"), slab.insert("b"));
        assert_eq!((a, b, slab.len()), (0, 1, 2));
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.insert("c"), a);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(0, &"c"), (1, &"b")]);
        slab.remove(a);
        slab.remove(b);
        assert_eq!(slab.entries.capacity(), 0);
        assert_eq!(slab.insert("d"), 0);
    }

    #[test]
    fn strangers_numbers_find_nothing() {
        let mut slab: Slab<u8> = Slab::default();
        assert_eq!(slab.remove(7), None);
        assert_eq!(slab.get_mut(END), None);
    }
}
