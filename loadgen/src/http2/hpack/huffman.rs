//! The Huffman code of RFC 7541, Appendix B, receiving side.
//!
//! The code is canonical: within one length, codes follow the symbols' order, so the lengths
//! alone are the table. Blocks we receive are decoded once per connection and then indexed, so
//! this is written for size, not for speed.

/// Bits of the longest code.
const BITS_MAX: usize = 30;

/// The end-of-string symbol, which may only be seen as padding.
const EOS: usize = 256;

/// Code length in bits of each symbol.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Symbols by code length, then by value, and where each length begins.
struct Table {
    symbols: [u16; 257],
    first_code: [u32; BITS_MAX + 2],
    first_at: [u16; BITS_MAX + 2],
}

const TABLE: Table = build();

const fn build() -> Table {
    let mut table =
        Table { symbols: [0; 257], first_code: [0; BITS_MAX + 2], first_at: [0; BITS_MAX + 2] };
    let (mut bits, mut at, mut code) = (1, 0, 0u32);
    while bits <= BITS_MAX + 1 {
        table.first_code[bits] = code;
        table.first_at[bits] = at as u16;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                table.symbols[at] = symbol as u16;
                at += 1;
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        bits += 1;
    }
    table
}

/// Decodes a string; `None` for EOS inside it or padding that is not up to seven one bits.
pub(super) fn decode(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(packed.len() * 8 / 5);
    let (mut code, mut bits) = (0u32, 0usize);
    for byte in packed {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            bits += 1;
            let count = TABLE.first_at[bits + 1] - TABLE.first_at[bits];
            let offset = code.wrapping_sub(TABLE.first_code[bits]);
            if offset < u32::from(count) {
                let symbol = TABLE.symbols[usize::from(TABLE.first_at[bits]) + offset as usize];
                if usize::from(symbol) == EOS {
                    return None;
                }
                text.push(symbol as u8);
                (code, bits) = (0, 0);
            }
        }
    }
    (bits < 8 && code == (1 << bits) - 1).then_some(text)
}
