//! Simulated time: what happens next.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Things that will happen, in the order of their time, and of their making within one millisecond.
#[derive(Debug)]
pub struct Clock<E> {
    pub now_ms: u64,
    made: u64,
    heap: BinaryHeap<Entry<E>>,
}

#[derive(Debug)]
struct Entry<E> {
    at_ms: u64,
    made: u64,
    event: E,
}

impl<E> Default for Clock<E> {
    fn default() -> Self {
        Self { now_ms: 0, made: 0, heap: BinaryHeap::new() }
    }
}

impl<E> Clock<E> {
    /// Lets something happen at `at_ms`, or now if that is past.
    pub fn at(&mut self, at_ms: u64, event: E) {
        self.made += 1;
        self.heap.push(Entry { at_ms: at_ms.max(self.now_ms), made: self.made, event });
    }

    /// The next thing, if it happens by `until_ms`; time moves to it.
    pub fn next(&mut self, until_ms: u64) -> Option<E> {
        if self.heap.peek()?.at_ms > until_ms {
            self.now_ms = until_ms;
            return None;
        }
        let entry = self.heap.pop()?;
        self.now_ms = entry.at_ms;
        Some(entry.event)
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.made).cmp(&(self.at_ms, self.made))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}
