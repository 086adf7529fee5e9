//! Answers that leave later: the reference delays its errorCode 503 by a second, so that a client
//! which repeats at once is slowed down.

use nacre_shards::effect::Body;
use nacre_shards::key::ConnKey;
use std::collections::BTreeMap;

/// Answers that may wait on one core. Beyond it they leave at once: a refusal is never lost.
pub const DELAYED_REPLIES_MAX: usize = 65_536;

/// One answer that waits.
#[derive(Debug)]
pub struct Delayed {
    pub conn: ConnKey,
    pub stream: u32,
    pub body: Body,
}

/// Answers by the tick at which they leave. Lives on the home core.
#[derive(Debug, Default)]
pub struct DelayedReplies {
    by_due: BTreeMap<u64, Vec<Delayed>>,
    waiting: usize,
}

impl DelayedReplies {
    /// Keeps the answer until `due_ms`, or gives it back when too many wait.
    pub fn keep(&mut self, due_ms: u64, reply: Delayed) -> Option<Delayed> {
        if self.waiting == DELAYED_REPLIES_MAX {
            return Some(reply);
        }
        self.waiting += 1;
        self.by_due.entry(due_ms).or_default().push(reply);
        None
    }

    /// All answers due by `now_ms`, in order.
    pub fn due(&mut self, now_ms: u64) -> Vec<Delayed> {
        if self.by_due.first_key_value().is_none_or(|(due, _)| *due > now_ms) {
            return Vec::new();
        }
        let later = self.by_due.split_off(&(now_ms + 1));
        let due = std::mem::replace(&mut self.by_due, later);
        let due: Vec<Delayed> = due.into_values().flatten().collect();
        self.waiting -= due.len();
        due
    }

    /// When the next answer is due, in `tick_ms`.
    pub fn next_due(&self) -> Option<u64> {
        self.by_due.first_key_value().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_shards::key::{Core, Home};
    use nacre_shards::naming::answer;

    fn reply(stream: u32) -> Delayed {
        let conn = ConnKey { home: Home(Core(0)), slot: 1, generation: 1 };
        Delayed { conn, stream, body: answer::health() }
    }

    #[test]
    fn answers_leave_in_order_when_due() {
        let mut replies = DelayedReplies::default();
        for (due, stream) in [(20, 3), (10, 1), (10, 2), (30, 4)] {
            assert!(replies.keep(due, reply(stream)).is_none(), "there is room");
        }
        assert_eq!(replies.next_due(), Some(10));
        assert!(replies.due(9).is_empty());
        let streams: Vec<u32> = replies.due(20).iter().map(|delayed| delayed.stream).collect();
        assert_eq!(streams, [1, 2, 3]);
        assert_eq!(replies.next_due(), Some(30));
        assert_eq!(replies.waiting, 1);
    }

    #[test]
    fn a_full_list_gives_the_answer_back() {
        let mut replies = DelayedReplies { waiting: DELAYED_REPLIES_MAX, ..Default::default() };
        let back = replies.keep(10, reply(7)).expect("full");
        assert_eq!(back.stream, 7);
    }
}
