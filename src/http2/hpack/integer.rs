//! Integers with an N-bit prefix (RFC 7541, 5.1).

/// Greatest number of bytes after the prefix: four carry 28 bits, far beyond any length or index we
/// admit.
const CONTINUATION_BYTES_MAX: usize = 4;

/// Reads an integer whose first byte is `input[0]` with `prefix_bits` bits of it.
///
/// Returns the value and the number of bytes read; `None` when the input ends early or the number
/// needs more than [`CONTINUATION_BYTES_MAX`] bytes.
pub fn read(input: &[u8], prefix_bits: u8) -> Option<(usize, usize)> {
    let mask = ((1u16 << prefix_bits) - 1) as u8;
    let first = *input.first()? & mask;
    if first < mask {
        return Some((usize::from(first), 1));
    }
    let mut value = usize::from(mask);
    for position in 0..CONTINUATION_BYTES_MAX {
        let byte = *input.get(1 + position)?;
        value += usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, 2 + position));
        }
    }
    None
}

/// Appends `value`; `pattern` holds the bits above the prefix.
pub fn write(out: &mut Vec<u8>, value: usize, prefix_bits: u8, pattern: u8) {
    let mask = (1usize << prefix_bits) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7541, C.1.
        assert_eq!(read(&[0b0000_1010], 5), Some((10, 1)));
        assert_eq!(read(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Some((1337, 3)));
        assert_eq!(read(&[42], 8), Some((42, 1)));
    }

    #[test]
    fn every_value_survives_the_way_there_and_back() {
        for prefix in 4..=8 {
            for value in (0..2_000).chain([16_383, 16_384, (1 << 28) - 1]) {
                let mut bytes = Vec::new();
                write(&mut bytes, value, prefix, 0);
                assert_eq!(read(&bytes, prefix), Some((value, bytes.len())));
                assert_eq!(read(&bytes[..bytes.len() - 1], prefix), None);
            }
        }
    }

    #[test]
    fn endless_continuation_is_refused() {
        assert_eq!(read(&[0xff; 16], 7), None);
        assert_eq!(read(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00], 7), None);
    }
}
