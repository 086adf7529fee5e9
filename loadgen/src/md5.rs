//! MD5 (RFC 1321), written here: what a client says it has must not be the server's own sum.

/// Shifts of each round, four steps in turn (RFC 1321, 3.4).
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// Bytes of a block, and of what must fit behind the text in the last one.
const BLOCK_BYTES: usize = 64;
const LENGTH_BYTES: usize = 8;

/// Computes sums; holds the table of sines.
#[derive(Debug, Clone)]
pub struct Md5([u32; BLOCK_BYTES]);

impl Default for Md5 {
    fn default() -> Self {
        Self(std::array::from_fn(|at| ((at as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32))
    }
}

impl Md5 {
    /// The sum in lower-case hexadecimal, as Nacos writes it.
    pub fn hex(&self, text: &[u8]) -> String {
        let mut state = START;
        let whole = text.len() / BLOCK_BYTES * BLOCK_BYTES;
        for block in text[..whole].chunks_exact(BLOCK_BYTES) {
            self.block(&mut state, block);
        }
        let mut tail = text[whole..].to_vec();
        tail.push(0x80);
        while tail.len() % BLOCK_BYTES != BLOCK_BYTES - LENGTH_BYTES {
            tail.push(0);
        }
        tail.extend_from_slice(&(text.len() as u64 * 8).to_le_bytes());
        for block in tail.chunks_exact(BLOCK_BYTES) {
            self.block(&mut state, block);
        }
        let bytes = state.iter().flat_map(|word| word.to_le_bytes());
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    fn block(&self, state: &mut [u32; 4], block: &[u8]) {
        let word = |at: usize| {
            let bytes = &block[4 * at..4 * at + 4];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        let [mut a, mut b, mut c, mut d] = *state;
        for (at, sine) in self.0.iter().enumerate() {
            let (mix, from) = match at / 16 {
                0 => ((b & c) | (!b & d), at),
                1 => ((d & b) | (!d & c), (5 * at + 1) % 16),
                2 => (b ^ c ^ d, (3 * at + 5) % 16),
                _ => (c ^ (b | !d), (7 * at) % 16),
            };
            let sum = a.wrapping_add(mix).wrapping_add(*sine).wrapping_add(word(from));
            let turned = sum.rotate_left(SHIFTS[at / 16][at % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (word, add) in state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_rfc_and_of_java() {
        let md5 = Md5::default();
        let digits = "1234567890".repeat(8);
        for (text, sum) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (digits.as_str(), "57edf4a22be3c955ac49da2e2107b67a"),
            // wire-samples/java-nacos-client-3.1.1.jsonl
            ("a: v1 é\n", "c32ab5951a0460cb3dd1724bdc4f00f2"),
        ] {
            assert_eq!(md5.hex(text.as_bytes()), sum, "{text}");
        }
        for length in 50..70 {
            let text = vec![b'a'; length];
            assert_eq!(md5.hex(&text).len(), 32);
        }
        assert_eq!(md5.hex(&[b'a'; 56]), "3b0c8ac703f828b04c6c197006d17218");
        assert_eq!(md5.hex(&[b'a'; 64]), "014842d480b571495a4a0363793f7367");
    }
}
