//! When a connection's protocol state must be looked at again: a preface that never came, a header
//! block that never ended, a call whose deadline passes, a long silence.

use super::link::Links;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Entries below which nobody looks for those that are void.
const VOID_MIN: usize = 1_024;

/// (due tick, slot, generation) of links with a deadline. The one entry that counts is the one its
/// link remembers (`Link::check_due`); a link that is gone, or that asked for an earlier look,
/// leaves a void one behind, due in up to hours. They are swept out once they are the most, so
/// there are at most twice as many entries as connections, and some. Lives on the home core.
#[derive(Debug, Default)]
pub struct Checks {
    heap: BinaryHeap<Reverse<(u64, u32, u32)>>,
    void: usize,
}

impl Checks {
    /// Asks for a look at `due_ms`. The link remembers that it has an entry.
    pub fn add(&mut self, due_ms: u64, slot: u32, generation: u32) {
        self.heap.push(Reverse((due_ms, slot, generation)));
    }

    /// A link no longer remembers its entry.
    pub fn forgotten(&mut self, links: &mut Links) {
        self.void += 1;
        if self.void < VOID_MIN || self.void < self.heap.len() / 2 {
            return;
        }
        self.void = 0;
        self.heap.retain(|Reverse((due_ms, slot, generation))| {
            links.get(*slot, *generation).is_some_and(|link| link.check_due == Some(*due_ms))
        });
        self.heap.shrink_to(2 * self.heap.len());
    }

    /// The next link whose look is due, and when it was.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(u64, u32, u32)> {
        let Reverse(next) = *self.heap.peek()?;
        if next.0 > now_ms {
            return None;
        }
        self.heap.pop();
        Some(next)
    }

    /// A popped entry was a void one.
    pub fn was_void(&mut self) {
        self.void = self.void.saturating_sub(1);
    }

    /// When the next look is due, in `tick_ms`.
    pub fn next_due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, ..))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::Link;
    use super::*;
    use crate::engine::Socket;

    #[test]
    fn looks_come_in_order_of_time() {
        let mut checks = Checks::default();
        checks.add(30, 3, 1);
        checks.add(10, 1, 1);
        checks.add(20, 2, 9);
        assert_eq!(checks.next_due(), Some(10));
        assert_eq!(checks.pop_due(9), None);
        assert_eq!(checks.pop_due(20), Some((10, 1, 1)));
        assert_eq!(checks.pop_due(20), Some((20, 2, 9)));
        assert_eq!(checks.pop_due(20), None);
    }

    #[test]
    fn connections_that_come_and_go_leave_nothing_that_grows() {
        let (mut checks, mut links) = (Checks::default(), Links::default());
        let open = |links: &mut Links, slot: u32, generation: u32, due_ms: u64| {
            let mut link = Link::new(Socket { slot, generation }, 0);
            link.check_due = Some(due_ms);
            links.insert(link);
        };
        open(&mut links, 0, 1, 7_200_000);
        checks.add(7_200_000, 0, 1);
        for generation in 1..100_000 {
            let due_ms = 7_200_000 + u64::from(generation);
            open(&mut links, 1, generation, due_ms);
            checks.add(due_ms, 1, generation);
            links.remove(Socket { slot: 1, generation });
            checks.forgotten(&mut links);
            assert!(checks.heap.len() <= 2 * VOID_MIN);
        }
        assert!(checks.heap.capacity() <= 4 * VOID_MIN);
        assert_eq!(checks.pop_due(7_200_000), Some((7_200_000, 0, 1)), "the one that stayed");
    }
}
