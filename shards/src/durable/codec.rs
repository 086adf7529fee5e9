//! How commands and records are written: whole numbers in groups of seven bits, text and bytes
//! behind their length. Reading never panics and never takes more memory than the input has.

/// Why bytes are not what they should be; a sentence for logs.
pub type Unreadable = &'static str;

/// Bytes of a whole number at most.
const NUMBER_BYTES_MAX: u32 = 10;

/// Writes one command or record.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// With room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A fixed number of bytes, without their length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads one command or record.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn u8(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.0.split_first().ok_or("ends too early")?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn u64(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0u64;
        for group in 0..NUMBER_BYTES_MAX {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if group == NUMBER_BYTES_MAX - 1 && bits > 1 {
                return Err("a number beyond 64 bits");
            }
            value |= bits << (7 * group);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number beyond 64 bits")
    }

    pub fn u32(&mut self) -> Result<u32, Unreadable> {
        u32::try_from(self.u64()?).map_err(|_| "a number beyond 32 bits")
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::try_from(self.u64()?).map_err(|_| "a length beyond memory")?;
        self.raw(length)
    }

    pub fn text(&mut self) -> Result<&'a str, Unreadable> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "text that is not UTF-8")
    }

    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let bytes = self.raw(N)?;
        bytes.try_into().map_err(|_| "ends too early")
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err("more bytes than expected") }
    }

    /// What is left, all of it.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut writer = Writer::default();
        for number in numbers {
            writer.u64(number);
        }
        writer.text("é");
        writer.raw(&[1, 2]);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        for number in numbers {
            assert_eq!(reader.u64(), Ok(number));
        }
        assert_eq!(reader.text(), Ok("é"));
        assert_eq!(reader.array(), Ok([1, 2]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn what_is_cut_or_wrong_is_an_error() {
        assert_eq!(Reader::new(&[]).u64(), Err("ends too early"));
        assert_eq!(Reader::new(&[0x80]).u64(), Err("ends too early"));
        assert_eq!(Reader::new(&[0xff; 11]).u64(), Err("a number beyond 64 bits"));
        let nine = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::new(&nine).u64(), Err("a number beyond 64 bits"));
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).u32(),
            Err("a number beyond 32 bits")
        );
        assert_eq!(Reader::new(&[5, b'a']).text(), Err("ends too early"));
        assert_eq!(Reader::new(&[1, 0xff]).text(), Err("text that is not UTF-8"));
        assert_eq!(Reader::new(&[1]).finish(), Err("more bytes than expected"));
    }
}
