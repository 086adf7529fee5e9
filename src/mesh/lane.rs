//! One direction between two cores: a bounded queue with one sender and one receiver.

use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// The sender's end. Cost of a message: one compare-and-swap on a line only these two cores use.
pub(super) struct LaneIn<M>(Arc<ArrayQueue<M>>);

/// The receiver's end.
pub(super) struct LaneOut<M>(Arc<ArrayQueue<M>>);

/// A lane of so many messages; all of its memory is taken now.
pub(super) fn lane<M>(messages_max: usize) -> (LaneIn<M>, LaneOut<M>) {
    let queue = Arc::new(ArrayQueue::new(messages_max));
    (LaneIn(queue.clone()), LaneOut(queue))
}

impl<M> LaneIn<M> {
    /// Hands the message back when the lane is full.
    pub fn put(&self, message: M) -> Result<(), M> {
        self.0.push(message)
    }

    /// Messages that surely fit: only this end puts, so the room can only grow meanwhile.
    pub fn room(&self) -> usize {
        self.0.capacity() - self.0.len()
    }
}

impl<M> LaneOut<M> {
    pub fn take(&self) -> Option<M> {
        self.0.pop()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
