//! Texts in order, packed: each says how many of its first bytes are those of the text before it,
//! and brings the others.
//!
//! Texts that follow each other begin alike, so a list costs a fraction of its texts; and whoever
//! looks at all of them reads memory from front to back, with no pointer to follow. What has to be
//! looked at in the middle is found by reading the list up to there, some nanoseconds a text.

use std::sync::Arc;

/// Writes a list, text by text, in order.
#[derive(Debug, Default)]
pub struct Packer {
    packed: Vec<u8>,
    last: Vec<u8>,
    items: usize,
}

impl Packer {
    /// Texts since the last [`Packer::close`].
    pub fn items(&self) -> usize {
        self.items
    }

    /// Adds one that is not before the last.
    pub fn push(&mut self, text: &[u8]) {
        let shared = alike(&self.last, text);
        let rest = &text[shared..];
        put_number(&mut self.packed, shared);
        put_number(&mut self.packed, rest.len());
        self.packed.extend_from_slice(rest);
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.items += 1;
    }

    /// The list, exactly as long as it must be. What comes next begins another.
    pub fn close(&mut self) -> Packed {
        let packed = Arc::from(&self.packed[..]);
        self.packed.clear();
        self.last.clear();
        self.items = 0;
        Packed(packed)
    }
}

/// A list. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Packed(Arc<[u8]>);

impl Packed {
    /// The first text.
    pub fn first(&self) -> &[u8] {
        let mut rest = &self.0[..];
        let _shared = take_number(&mut rest);
        let len = take_number(&mut rest);
        &rest[..len]
    }

    /// All texts.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { rest: &self.0, text: Vec::new(), shared: 0 }
    }

    /// How many texts are before this one. No text is put together: what was alike so far says
    /// enough.
    pub fn below(&self, text: &[u8]) -> usize {
        let (mut rest, mut count, mut same) = (&self.0[..], 0, 0);
        while !rest.is_empty() {
            let shared = take_number(&mut rest);
            let len = take_number(&mut rest);
            let (own, after) = rest.split_at(len);
            rest = after;
            if shared < same {
                // The one before agreed further, and this one is behind it.
                return count;
            }
            if shared == same {
                let more = alike(own, &text[same..]);
                same += more;
                let is_below = match (own.get(more), text.get(same)) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(its), Some(ours)) => its < ours,
                };
                if !is_below {
                    return count;
                }
            }
            count += 1;
        }
        count
    }
}

/// A walk along a list.
#[derive(Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    text: Vec<u8>,
    shared: usize,
}

impl Cursor<'_> {
    /// Goes to the next text; at first, to the first. False: there is none, and the last one stays.
    pub fn step(&mut self) -> bool {
        if self.rest.is_empty() {
            return false;
        }
        self.shared = take_number(&mut self.rest);
        let len = take_number(&mut self.rest);
        let (own, after) = self.rest.split_at(len);
        self.rest = after;
        self.text.truncate(self.shared);
        self.text.extend_from_slice(own);
        true
    }

    /// Where it stands.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// So many bytes are those of the text before it.
    pub fn shared(&self) -> usize {
        self.shared
    }
}

/// Bytes at the beginning that are the same.
fn alike(one: &[u8], other: &[u8]) -> usize {
    const WORD: usize = size_of::<u64>();
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let mut at = 0;
    for (left, right) in one.chunks_exact(WORD).zip(other.chunks_exact(WORD)) {
        let difference = word(left) ^ word(right);
        if difference != 0 {
            return at + difference.trailing_zeros() as usize / 8;
        }
        at += WORD;
    }
    at + one[at..].iter().zip(&other[at..]).take_while(|(left, right)| left == right).count()
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> usize {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_of_any_length_come_back() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, 3 * 65_537] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            let mut rest = &out[..];
            assert_eq!((take_number(&mut rest), rest), (number, &[][..]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What was put in comes out, and places are those of an ordered set.
        #[test]
        fn it_is_an_ordered_list(
            texts in proptest::collection::btree_set("[ab]{0,20}", 1..60),
            looked_for in proptest::collection::vec("[abc]{0,21}", 20),
        ) {
            let mut packer = Packer::default();
            texts.iter().for_each(|text| packer.push(text.as_bytes()));
            prop_assert_eq!(packer.items(), texts.len());
            let packed = packer.close();
            prop_assert_eq!(packer.items(), 0);
            let (mut cursor, mut all) = (packed.cursor(), BTreeSet::new());
            while cursor.step() {
                all.insert(String::from_utf8(cursor.text().to_vec()).unwrap());
            }
            prop_assert_eq!(Some(packed.first()), texts.first().map(String::as_bytes));
            for text in looked_for.iter().chain(&texts) {
                let expected = texts.range(..text.clone()).count();
                prop_assert_eq!(packed.below(text.as_bytes()), expected, "{}", text);
            }
            prop_assert_eq!(all, texts);
        }
    }
}
