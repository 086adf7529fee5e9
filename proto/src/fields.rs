//! Walks the fields of a protobuf message without copying.

use crate::payload::PayloadError;

/// Deepest nesting of protobuf groups that is passed over: the bound of Java and prost.
const GROUPS_MAX: u32 = 100;

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    /// `None` when it is not length-delimited: nothing this wire has.
    pub(crate) bytes: Option<&'a [u8]>,
}

/// What is left of a protobuf message.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field; values that are not length-delimited are passed over.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, PayloadError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        if wire_type == 2 {
            return Ok(Some(Field { number, bytes: Some(self.delimited()?) }));
        }
        self.skip(number, wire_type, GROUPS_MAX)?;
        Ok(Some(Field { number, bytes: None }))
    }

    fn tag(&mut self) -> Result<(u32, u8), PayloadError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| PayloadError::Malformed)?;
        if tag < 8 {
            return Err(PayloadError::Malformed);
        }
        Ok((tag >> 3, (tag & 7) as u8))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, PayloadError> {
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, PayloadError> {
        let mut value = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                return Err(PayloadError::Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.0.len() < 10 { PayloadError::CutShort } else { PayloadError::Malformed })
    }

    #[inline]
    fn delimited(&mut self) -> Result<&'a [u8], PayloadError> {
        let length = usize::try_from(self.varint()?).map_err(|_| PayloadError::CutShort)?;
        self.take(length)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], PayloadError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(PayloadError::CutShort)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Passes over the value of a field whose tag was read. Recurses at most `depth` times.
    fn skip(&mut self, number: u32, wire_type: u8, depth: u32) -> Result<(), PayloadError> {
        match wire_type {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.delimited().map(drop),
            3 => self.skip_group(number, depth),
            5 => self.take(4).map(drop),
            _ => Err(PayloadError::Malformed),
        }
    }

    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), PayloadError> {
        let depth = depth.checked_sub(1).ok_or(PayloadError::TooDeep)?;
        loop {
            if self.0.is_empty() {
                return Err(PayloadError::CutShort);
            }
            match self.tag()? {
                (end, 4) if end == number => return Ok(()),
                (_, 4) => return Err(PayloadError::Malformed),
                (inner, wire_type) => self.skip(inner, wire_type, depth)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number and bytes of a field.
    type Seen<'a> = (u32, Option<&'a [u8]>);

    fn walk(bytes: &[u8]) -> Result<Vec<Seen<'_>>, PayloadError> {
        let mut fields = Fields(bytes);
        let mut seen = vec![];
        while let Some(field) = fields.next()? {
            seen.push((field.number, field.bytes));
        }
        Ok(seen)
    }

    #[test]
    fn every_wire_type_is_passed_over() {
        let table: [(&[u8], &[Seen<'_>]); 8] = [
            (b"", &[]),
            (b"\x12\x02ab", &[(2, Some(b"ab"))]),
            (b"\x12\x00", &[(2, Some(b""))]),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &[(1, None)]),
            (b"\x0912345678\x12\x01a", &[(1, None), (2, Some(b"a"))]),
            (b"\x0d1234\x12\x01a", &[(1, None), (2, Some(b"a"))]),
            (b"\x0b\x12\x01a\x13\x14\x0c\x12\x01b", &[(1, None), (2, Some(b"b"))]),
            // An overlong but legal varint for the tag and the length.
            (b"\x92\x00\x81\x00a", &[(2, Some(b"a"))]),
        ];
        for (bytes, expected) in table {
            assert_eq!(walk(bytes).as_deref(), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        use PayloadError::{CutShort, Malformed, TooDeep};
        let nested = |depth| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        assert_eq!(walk(&nested(GROUPS_MAX as usize)), Ok(vec![(1, None)]));
        assert_eq!(walk(&nested(GROUPS_MAX as usize + 1)), Err(TooDeep));
        assert_eq!(walk(&vec![0x0b; 1 << 20]), Err(TooDeep));
        let table: [(&[u8], PayloadError); 14] = [
            (b"\x12", CutShort),
            (b"\x12\x02a", CutShort),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", CutShort),
            (b"\x08", CutShort),
            (b"\x08\x80", CutShort),
            (b"\x091234567", CutShort),
            (b"\x0d123", CutShort),
            (b"\x0b\x12\x01a", CutShort),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Malformed),
            (b"\x02\x01a", Malformed),
            (b"\x0e", Malformed),
            (b"\x0c", Malformed),
            (b"\x0b\x14", Malformed),
            // A field number of more than 29 bits.
            (b"\x82\x80\x80\x80\x10\x00", Malformed),
        ];
        for (bytes, expected) in table {
            assert_eq!(walk(bytes), Err(expected), "{bytes:?}");
        }
    }
}
