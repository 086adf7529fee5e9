//! When a connection's protocol state must be looked at again: a preface that never came, a header
//! block that never ended, a call whose deadline passes, a long silence.

use super::link::Links;
use crate::engine::Socket;
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
    /// Asks for a look at a link at `due_ms`, unless it has an earlier one before it.
    pub fn schedule(&mut self, links: &mut Links, socket: Socket, due_ms: u64) {
        let Some(link) = links.get(socket.slot, socket.generation) else { return };
        if link.check_due.is_some_and(|known| known <= due_ms) {
            return;
        }
        let later = link.check_due.replace(due_ms);
        self.heap.push(Reverse((due_ms, socket.slot, socket.generation)));
        if later.is_some() {
            self.forgotten(links);
        }
    }

    /// The next link whose look is due; it has none before it now.
    pub fn take_due(&mut self, links: &mut Links, now_ms: u64) -> Option<Socket> {
        while self.next_due()? <= now_ms {
            let Reverse((due_ms, slot, generation)) = self.heap.pop()?;
            let link = links.get(slot, generation);
            if let Some(link) = link.filter(|link| link.check_due == Some(due_ms)) {
                link.check_due = None;
                return Some(Socket { slot, generation });
            }
            self.void = self.void.saturating_sub(1);
        }
        None
    }

    /// When the next look is due, in `tick_ms`.
    pub fn next_due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, ..))| *due)
    }

    /// A link with a look before it is gone, or has an earlier one: one more entry is void.
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
}

#[cfg(test)]
mod tests {
    use super::super::link::Link;
    use super::*;

    const HOURS_MS: u64 = 7_200_000;

    fn open(links: &mut Links, slot: u32, generation: u32) -> Socket {
        let socket = Socket { slot, generation };
        links.insert(Link::new(socket, 0));
        socket
    }

    #[test]
    fn looks_come_in_order_of_time() {
        let (mut checks, mut links) = (Checks::default(), Links::default());
        let sockets = [1, 2, 3].map(|slot| open(&mut links, slot, 9));
        for (socket, due_ms) in sockets.into_iter().zip([10, 20, 30]).rev() {
            checks.schedule(&mut links, socket, due_ms);
        }
        assert_eq!(checks.next_due(), Some(10));
        assert_eq!(checks.take_due(&mut links, 9), None);
        assert_eq!(checks.take_due(&mut links, 20), Some(sockets[0]));
        assert_eq!(checks.take_due(&mut links, 20), Some(sockets[1]));
        assert_eq!(checks.take_due(&mut links, 20), None);
    }

    #[test]
    fn an_earlier_look_replaces_a_later_one() {
        let (mut checks, mut links) = (Checks::default(), Links::default());
        let socket = open(&mut links, 1, 1);
        checks.schedule(&mut links, socket, 100);
        checks.schedule(&mut links, socket, 40);
        checks.schedule(&mut links, socket, 60);
        assert_eq!(checks.take_due(&mut links, 50), Some(socket));
        checks.schedule(&mut links, socket, 90);
        assert_eq!(checks.take_due(&mut links, 95), Some(socket));
        assert_eq!(checks.take_due(&mut links, 200), None, "the first one is void");
    }

    #[test]
    fn connections_that_come_and_go_leave_nothing_that_grows() {
        let (mut checks, mut links) = (Checks::default(), Links::default());
        let stays = open(&mut links, 0, 1);
        checks.schedule(&mut links, stays, HOURS_MS);
        for generation in 1..100_000 {
            let socket = open(&mut links, 1, generation);
            checks.schedule(&mut links, socket, HOURS_MS + u64::from(generation));
            links.remove(socket);
            checks.forgotten(&mut links);
            assert!(checks.heap.len() <= 2 * VOID_MIN);
        }
        assert!(checks.heap.capacity() <= 4 * VOID_MIN);
        assert_eq!(checks.take_due(&mut links, HOURS_MS), Some(stays));
    }

    /// As the Go SDK's: a HealthCheck every five seconds, each with a deadline of three, on a
    /// connection that would else be looked at after two hours of silence.
    #[test]
    fn calls_with_deadlines_leave_nothing_that_grows() {
        let (mut checks, mut links) = (Checks::default(), Links::default());
        let sockets: Vec<_> = (0..100).map(|slot| open(&mut links, slot, 1)).collect();
        for now_ms in (0..20 * HOURS_MS).step_by(5_000) {
            for socket in &sockets {
                checks.schedule(&mut links, *socket, now_ms + 3_000);
            }
            while let Some(socket) = checks.take_due(&mut links, now_ms + 3_000) {
                checks.schedule(&mut links, socket, now_ms + HOURS_MS);
            }
            assert!(checks.heap.len() <= 2 * VOID_MIN + sockets.len());
        }
    }
}
