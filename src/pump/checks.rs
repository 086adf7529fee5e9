//! When a connection's protocol state must be looked at again: a preface that never came, a header
//! block that never ended, a call whose deadline passes. Idle connections have no entry.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// (due tick, slot, generation) of links with a deadline; at most one entry each, so at most as
/// many as connections. Lives on the home core.
#[derive(Debug, Default)]
pub struct Checks {
    heap: BinaryHeap<Reverse<(u64, u32, u32)>>,
}

impl Checks {
    /// Asks for a look at `due_ms`. The link remembers that it has an entry.
    pub fn add(&mut self, due_ms: u64, slot: u32, generation: u32) {
        self.heap.push(Reverse((due_ms, slot, generation)));
    }

    /// The next link whose look is due.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(u32, u32)> {
        let Reverse((due, slot, generation)) = *self.heap.peek()?;
        if due > now_ms {
            return None;
        }
        self.heap.pop();
        Some((slot, generation))
    }

    /// When the next look is due, in `tick_ms`.
    pub fn next_due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, ..))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_in_order_of_time() {
        let mut checks = Checks::default();
        checks.add(30, 3, 1);
        checks.add(10, 1, 1);
        checks.add(20, 2, 9);
        assert_eq!(checks.next_due(), Some(10));
        assert_eq!(checks.pop_due(9), None);
        assert_eq!(checks.pop_due(20), Some((1, 1)));
        assert_eq!(checks.pop_due(20), Some((2, 9)));
        assert_eq!(checks.pop_due(20), None);
    }
}
