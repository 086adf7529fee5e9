//! The basic encoding rules (X.690), as far as LDAP needs them: definite lengths, short tags.

/// Tags of LDAP v3 (RFC 4511, 4.2 to 4.5).
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const OCTETS: u8 = 0x04;
    pub const ENUMERATED: u8 = 0x0a;
    pub const SEQUENCE: u8 = 0x30;
    /// A password, in a bind.
    pub const SIMPLE: u8 = 0x80;
    /// "Is equal", in a filter.
    pub const EQUALITY: u8 = 0xa3;
    pub const BIND: u8 = 0x60;
    pub const BOUND: u8 = 0x61;
    pub const UNBIND: u8 = 0x42;
    pub const SEARCH: u8 = 0x63;
    pub const ENTRY: u8 = 0x64;
    pub const FOUND: u8 = 0x65;
}

/// What is written.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn written(&self) -> &[u8] {
        &self.0
    }

    pub fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        match bytes.len() {
            short @ 0..0x80 => self.0.push(short as u8),
            long => {
                let length = (long as u32).to_be_bytes();
                self.0.push(0x80 | length.len() as u8);
                self.0.extend_from_slice(&length);
            }
        }
        self.0.extend_from_slice(bytes);
    }

    /// In as few bytes as it takes.
    pub fn integer(&mut self, tag: u8, value: i64) {
        let bytes = value.to_be_bytes();
        let sign = if value < 0 { 0xff } else { 0 };
        let fits = |skip: usize| {
            bytes[..skip].iter().all(|byte| *byte == sign) && (bytes[skip] ^ sign) & 0x80 == 0
        };
        let skip = (0..bytes.len()).rev().find(|skip| fits(*skip)).unwrap_or(0);
        self.bytes(tag, &bytes[skip..]);
    }

    pub fn nested(&mut self, tag: u8, write: impl FnOnce(&mut Writer)) {
        let mut inside = Writer::default();
        write(&mut inside);
        self.bytes(tag, &inside.0);
    }
}

/// Bytes that are no such encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// What is read, from its start.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next value: its tag and its bytes.
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let [tag, short, rest @ ..] = self.0 else { return Err(Malformed) };
        let (length, rest) = match *short {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let (length, rest) =
                    rest.split_at_checked(usize::from(long & 0x7f)).ok_or(Malformed)?;
                if length.is_empty() || length.len() > 4 {
                    return Err(Malformed);
                }
                let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((*tag, value))
    }

    /// The next value, which has this tag.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (found, value) = self.any()?;
        if found == tag { Ok(value) } else { Err(Malformed) }
    }

    pub fn integer(&mut self, tag: u8) -> Result<i64, Malformed> {
        let bytes = self.expect(tag)?;
        let [first, ..] = bytes else { return Err(Malformed) };
        if bytes.len() > 8 {
            return Err(Malformed);
        }
        let start = if first & 0x80 == 0 { 0 } else { -1 };
        Ok(bytes.iter().fold(start, |sum, byte| sum << 8 | i64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_can() {
        for (number, bytes) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (-1, &[2, 1, 255]),
            (-128, &[2, 1, 128]),
            (-129, &[2, 2, 255, 127]),
            (65_536, &[2, 3, 1, 0, 0]),
        ] {
            let mut writer = Writer::default();
            writer.integer(tag::INTEGER, number);
            assert_eq!(writer.written(), bytes, "{number}");
        }
    }

    #[test]
    fn what_is_no_encoding() {
        for bytes in [
            &[][..],
            &[2],
            &[2, 1],
            &[2, 0],
            &[2, 0x80, 1],
            &[2, 0x85, 0, 0, 0, 0, 1, 1],
            &[2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[2, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
            &[4, 1, 1],
        ] {
            assert_eq!(Reader::new(bytes).integer(tag::INTEGER), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number: i64,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut writer = Writer::default();
            writer.nested(tag::SEQUENCE, |inside| {
                inside.integer(tag::INTEGER, number);
                inside.bytes(tag::OCTETS, &bytes);
            });
            let mut outside = Reader::new(writer.written());
            let mut inside = Reader::new(outside.expect(tag::SEQUENCE).unwrap());
            prop_assert_eq!(inside.integer(tag::INTEGER), Ok(number));
            prop_assert_eq!(inside.expect(tag::OCTETS), Ok(&bytes[..]));
            prop_assert!(inside.any().is_err() && outside.any().is_err());
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.any().is_ok() {}
            let _ = Reader::new(&bytes).integer(tag::INTEGER);
        }
    }
}
