//! The tag of a request: what it was, which slot it was for, and which tenant of that slot.

use super::limits::RING_SLOTS_MAX;

/// What a completion answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    /// `index` is the seat that holds the peer's address.
    Accept = 1,
    Receive = 2,
    Send = 3,
    Close = 4,
    /// A descriptor made for a moment, to send FIN through.
    Install = 5,
    /// A cancel that found nothing; successes are not reported.
    Cancel = 6,
    /// A socket option that could not be set; successes are not reported.
    Option = 7,
    /// `generation` is the low half of the millisecond it was meant for.
    Timer = 8,
    /// Its outcome changes nothing.
    Ignored = 9,
}

/// `op` in bits 56–59, `index` in bits 32–51, `generation` in bits 0–31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub op: Op,
    pub index: u32,
    pub generation: u32,
}

const INDEX_MASK: u64 = (1 << 20) - 1;
const _: () = assert!((RING_SLOTS_MAX - 1) as u64 <= INDEX_MASK);

impl Tag {
    pub fn new(op: Op, index: u32, generation: u32) -> Self {
        Self { op, index, generation }
    }

    pub fn pack(self) -> u64 {
        (self.op as u64) << 56
            | (u64::from(self.index) & INDEX_MASK) << 32
            | u64::from(self.generation)
    }

    pub fn unpack(bits: u64) -> Self {
        let op = match (bits >> 56) as u8 {
            1 => Op::Accept,
            2 => Op::Receive,
            3 => Op::Send,
            4 => Op::Close,
            5 => Op::Install,
            6 => Op::Cancel,
            7 => Op::Option,
            8 => Op::Timer,
            _ => Op::Ignored,
        };
        Self { op, index: (bits >> 32 & INDEX_MASK) as u32, generation: bits as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_kernel() {
        for op in [Op::Accept, Op::Receive, Op::Send, Op::Close, Op::Install, Op::Cancel, Op::Timer]
        {
            for (index, generation) in [(0, 0), (RING_SLOTS_MAX - 1, u32::MAX), (77, 1 << 31)] {
                let tag = Tag::new(op, index, generation);
                assert_eq!(Tag::unpack(tag.pack()), tag);
            }
        }
    }
}
