//! Send buffers: only a connection with something to send has any.
//!
//! What a turn writes to a connection gathers in `waiting`; when no send is under way it becomes
//! `flying`, which belongs to the kernel until the completion. A `Vec`'s memory does not move with
//! the `Vec`, so the pool itself may grow meanwhile.

use super::limits::{SEND_BUFFER_BYTES, SPARE_BUFFER_BYTES_MAX, SPARE_BYTES_MAX};

/// The buffers of one connection.
#[derive(Default)]
pub(super) struct Outbox {
    /// Under way; not to be touched before its completion.
    pub flying: Vec<u8>,
    /// How much of it has left.
    pub flown: usize,
    /// Written since.
    pub waiting: Vec<u8>,
}

impl Outbox {
    /// Bytes the peer's kernel has not taken yet.
    pub fn backlog(&self) -> usize {
        self.flying.len() - self.flown + self.waiting.len()
    }
}

/// All send buffers of one core.
pub(super) struct Outboxes {
    boxes: Vec<Outbox>,
    free: Vec<u32>,
    spare: Vec<Vec<u8>>,
    /// Capacity of the spare buffers together, in bytes.
    spare_bytes: usize,
    /// Sum of all backlogs, in bytes.
    outstanding: usize,
}

/// Below this many entries the pool's own table is kept when all are free.
const BOXES_KEPT: usize = 1_024;

impl Outboxes {
    pub fn new() -> Self {
        Self {
            boxes: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            spare_bytes: 0,
            outstanding: 0,
        }
    }

    /// Bytes of all connections that the kernel has not taken yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// A pair of buffers for a connection that had none.
    pub fn take(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        let index = u32::try_from(self.boxes.len()).expect("at most one per slot");
        self.boxes.push(Outbox::default());
        index
    }

    pub fn backlog(&self, index: u32) -> usize {
        self.boxes[index as usize].backlog()
    }

    /// Lets `write` append to what waits; returns the backlog afterwards.
    pub fn write(&mut self, index: u32, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let outbox = &mut self.boxes[index as usize];
        if outbox.waiting.capacity() == 0 {
            outbox.waiting =
                self.spare.pop().unwrap_or_else(|| Vec::with_capacity(SEND_BUFFER_BYTES));
            self.spare_bytes = self.spare_bytes.saturating_sub(outbox.waiting.capacity());
        }
        let before = outbox.waiting.len();
        write(&mut outbox.waiting);
        debug_assert!(outbox.waiting.len() >= before, "what is queued is only appended to");
        self.outstanding += outbox.waiting.len().saturating_sub(before);
        outbox.backlog()
    }

    /// The bytes to send next, owned by the kernel from here to [`Self::landed`]; `None` when there
    /// are none. Must not be called while a send is under way.
    pub fn launch(&mut self, index: u32) -> Option<(*const u8, usize)> {
        let outbox = &mut self.boxes[index as usize];
        if outbox.flown == outbox.flying.len() {
            let empty = std::mem::take(&mut outbox.flying);
            outbox.flying = std::mem::take(&mut outbox.waiting);
            outbox.flown = 0;
            self.keep(empty);
        }
        let rest = &self.boxes[index as usize].flying[self.boxes[index as usize].flown..];
        (!rest.is_empty()).then_some((rest.as_ptr(), rest.len()))
    }

    /// The kernel took `bytes`; returns the backlog that remains.
    pub fn landed(&mut self, index: u32, bytes: usize) -> usize {
        let outbox = &mut self.boxes[index as usize];
        let bytes = bytes.min(outbox.flying.len() - outbox.flown);
        outbox.flown += bytes;
        self.outstanding -= bytes;
        outbox.backlog()
    }

    /// Forgets what is queued. With a send under way, its buffer stays until [`Self::release`].
    pub fn discard_waiting(&mut self, index: u32) {
        let waiting = std::mem::take(&mut self.boxes[index as usize].waiting);
        self.outstanding -= waiting.len();
        self.keep(waiting);
    }

    /// Takes the buffers back. No send may be under way.
    pub fn release(&mut self, index: u32) {
        let outbox = std::mem::take(&mut self.boxes[index as usize]);
        self.outstanding -= outbox.backlog();
        self.keep(outbox.flying);
        self.keep(outbox.waiting);
        self.free.push(index);
        if self.free.len() == self.boxes.len() && self.boxes.len() > BOXES_KEPT {
            self.boxes = Vec::new();
            self.free = Vec::new();
        }
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0
            && capacity <= SPARE_BUFFER_BYTES_MAX
            && self.spare_bytes + capacity <= SPARE_BYTES_MAX
        {
            buffer.clear();
            self.spare_bytes += capacity;
            self.spare.push(buffer);
        }
    }

    /// Memory the pool holds while nothing is queued, in bytes.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        let spare: usize = self.spare.iter().map(Vec::capacity).sum();
        let queued: usize =
            self.boxes.iter().map(|b| b.flying.capacity() + b.waiting.capacity()).sum();
        spare + queued + self.boxes.capacity() * size_of::<Outbox>() + self.free.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_while_a_send_is_under_way_leaves_with_the_next() {
        let mut pool = Outboxes::new();
        let index = pool.take();
        assert_eq!(pool.write(index, |b| b.extend_from_slice(b"one")), 3);
        let (first, length) = pool.launch(index).unwrap();
        assert_eq!(length, 3);
        assert_eq!(pool.write(index, |b| b.extend_from_slice(b"four")), 7);
        assert_eq!(pool.landed(index, 1), 6);
        // A short send goes on where it stopped, in the same buffer.
        let (second, length) = pool.launch(index).unwrap();
        assert_eq!((second as usize, length), (first as usize + 1, 2));
        assert_eq!(pool.landed(index, 2), 4);
        assert_eq!(pool.launch(index).unwrap().1, 4);
        assert_eq!(pool.landed(index, 4), 0);
        assert!(pool.launch(index).is_none());
        assert_eq!(pool.outstanding(), 0);
        pool.release(index);
    }

    #[test]
    fn memory_is_given_back_after_a_burst() {
        let mut pool = Outboxes::new();
        let taken: Vec<u32> = (0..20_000).map(|_| pool.take()).collect();
        for &index in &taken {
            pool.write(index, |b| b.extend_from_slice(&[7; 1_000]));
        }
        assert_eq!(pool.outstanding(), 20_000_000);
        for &index in &taken {
            pool.release(index);
        }
        assert_eq!(pool.outstanding(), 0);
        assert!(pool.held_bytes() < 600_000, "{}", pool.held_bytes());
    }
}
