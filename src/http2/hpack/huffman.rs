//! Huffman coding of header text (RFC 7541, 5.2 and appendix B).
//!
//! The code of the RFC is canonical: code words of one length are consecutive and ordered by
//! symbol, so the lengths alone are the table. Words up to eight bits, which is nearly all that
//! headers use, are found in one look; longer ones by comparing with the first word of each length.

/// Bits of the code word of each byte value; the last one is EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

/// Bits of the longest code word, which is also that of EOS.
const LENGTH_MAX: usize = 30;
/// Bits found by one look into [`Code::short`].
const SHORT_BITS: u32 = 8;
const EOS: u16 = 256;

struct Code {
    /// Symbol and length for every byte a code word of at most eight bits can start; length 0:
    /// longer.
    short: [(u8, u8); 256],
    /// Of each length: its first code word, how many there are, and where their symbols begin.
    first: [u32; LENGTH_MAX + 1],
    count: [u32; LENGTH_MAX + 1],
    offset: [u16; LENGTH_MAX + 1],
    /// Symbols ordered by code word.
    symbols: [u16; 257],
    /// The code word of each symbol.
    words: [u32; 257],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code = Code {
        short: [(0, 0); 256],
        first: [0; LENGTH_MAX + 1],
        count: [0; LENGTH_MAX + 1],
        offset: [0; LENGTH_MAX + 1],
        symbols: [0; 257],
        words: [0; 257],
    };
    let (mut length, mut word, mut placed) = (1, 0u32, 0usize);
    while length <= LENGTH_MAX {
        code.first[length] = word;
        code.offset[length] = placed as u16;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.symbols[placed] = symbol as u16;
                code.words[symbol] = word;
                if length <= SHORT_BITS as usize {
                    fill_short(&mut code.short, symbol as u8, length, word);
                }
                word += 1;
                placed += 1;
            }
            symbol += 1;
        }
        code.count[length] = word - code.first[length];
        word <<= 1;
        length += 1;
    }
    assert!(placed == LENGTHS.len());
    code
}

const fn fill_short(short: &mut [(u8, u8); 256], symbol: u8, length: usize, word: u32) {
    let spare = SHORT_BITS as usize - length;
    let mut tail = 0;
    while tail < 1 << spare {
        short[((word << spare) | tail) as usize] = (symbol, length as u8);
        tail += 1;
    }
}

/// Appends the decoded text of `input` to `out`.
///
/// `None` when the padding is longer than seven bits, is not all ones, or when EOS occurs (RFC
/// 7541, 5.2). A code word has at least five bits, so the text is at most 1.6 times as long as the
/// input.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut bits: u64 = 0;
    let mut held: u32 = 0;
    let mut rest = input.iter();
    loop {
        while held <= 56 {
            match rest.next() {
                Some(&byte) => {
                    bits = (bits << 8) | u64::from(byte);
                    held += 8;
                }
                None => break,
            }
        }
        // The next 32 bits, filled up with ones where the input has ended.
        let ahead = match held {
            0 => return Some(()),
            32.. => (bits >> (held - 32)) as u32,
            _ => ((bits << (32 - held)) as u32) | (u32::MAX >> held),
        };
        let (symbol, length) = CODE.short[(ahead >> 24) as usize];
        let length = u32::from(length);
        if length != 0 && length <= held {
            out.push(symbol);
            held -= length;
            continue;
        }
        let (symbol, length) = if length == 0 { long(ahead)? } else { (EOS, length) };
        if length > held {
            // What is left can only be padding.
            return (held < 8 && ahead == u32::MAX).then_some(());
        }
        if symbol == EOS {
            return None;
        }
        out.push(symbol as u8);
        held -= length;
    }
}

/// The symbol of a code word of more than [`SHORT_BITS`] bits.
fn long(ahead: u32) -> Option<(u16, u32)> {
    for length in SHORT_BITS as usize + 1..=LENGTH_MAX {
        let word = ahead >> (32 - length);
        let position = word.wrapping_sub(CODE.first[length]);
        if position < CODE.count[length] {
            let symbol = CODE.symbols[usize::from(CODE.offset[length]) + position as usize];
            return Some((symbol, length as u32));
        }
    }
    None
}

/// Appends `text` in Huffman code, padded with ones. The server speaks plain; scripted peers need
/// this.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut bits: u64 = 0;
    let mut held = 0;
    for &byte in text {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = (bits << length) | u64::from(CODE.words[usize::from(byte)]);
        held += length;
        while held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    if held > 0 {
        out.push(((bits << (8 - held)) as u8) | (0xff >> held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7541, C.4.1, C.4.3 and C.6.1.
        let host = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&host).as_deref(), Some(&b"www.example.com"[..]));
        let value = [0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf];
        assert_eq!(decoded(&value).as_deref(), Some(&b"custom-value"[..]));
        assert_eq!(decoded(&[0x64, 0x02]).as_deref(), Some(&b"302"[..]));
    }

    #[test]
    fn every_byte_value_survives_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut coded = Vec::new();
        encode(&all, &mut coded);
        assert_eq!(decoded(&coded), Some(all));
        for byte in 0..=255u8 {
            let mut coded = Vec::new();
            encode(&[byte, b'a'], &mut coded);
            assert_eq!(decoded(&coded), Some(vec![byte, b'a']));
        }
    }

    #[test]
    fn bad_padding_and_eos_are_refused() {
        assert_eq!(decoded(&[0xff]), None, "eight bits of padding");
        assert_eq!(decoded(&[0x1f, 0xff]), None, "a full byte of padding after a letter");
        assert_eq!(decoded(&[0x18]), None, "padding of zeros");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None, "EOS");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc]), None, "EOS and two bits");
        assert_eq!(decoded(&[]), Some(Vec::new()));
        assert_eq!(decoded(&[0x1f]), Some(b"a".to_vec()));
    }
}
