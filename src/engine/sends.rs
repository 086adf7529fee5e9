//! What a handler may do with its sockets: write, close, hurry an acknowledgement. None of it makes
//! a system call; the engine carries it out when it next flushes.

use super::counters::Counters;
use super::limits::LINGER_MS;
use super::outbox::Outboxes;
use super::table::{CloseWhy, NO_OUTBOX, Socket, State, Table};
use std::collections::VecDeque;

/// How to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// After what was queued has left: then FIN, then the peer's FIN is awaited, so that the last
    /// answer is not torn up by a reset. All of it within [`LINGER_MS`].
    AfterQueued,
    /// At once. What is still queued is dropped; if the peer was not reading, with a reset.
    AtOnce,
}

/// The write side of an engine, as handed to its handler. Lives on the engine's core.
pub struct Sends {
    pub(super) table: Table,
    pub(super) outboxes: Outboxes,
    /// Sockets with something new to send, each once.
    pub(super) listed: Vec<Socket>,
    /// Sockets on their way out that can take a step.
    pub(super) steps: Vec<Socket>,
    /// Sockets whose peer should have its acknowledgement now.
    pub(super) hurried: Vec<Socket>,
    /// What the handler is to be told.
    pub(super) ended: Vec<(Socket, CloseWhy)>,
    /// Sockets that must be gone at a time, in order.
    pub(super) lingering: VecDeque<(u64, Socket)>,
    pub(super) now_ms: u64,
    pub(super) counters: Counters,
    backlog_bytes_max: usize,
}

impl Sends {
    pub(super) fn new(backlog_bytes_max: usize) -> Self {
        Self {
            table: Table::new(),
            outboxes: Outboxes::new(),
            listed: Vec::new(),
            steps: Vec::new(),
            hurried: Vec::new(),
            ended: Vec::new(),
            lingering: VecDeque::new(),
            now_ms: 0,
            counters: Counters::default(),
            backlog_bytes_max,
        }
    }

    /// Queues bytes. All that is queued for a socket until the next flush leaves as one send.
    ///
    /// Returns the bytes that wait for the peer's kernel, these included; `None` when the socket
    /// has ended (its `closed` was or will be called). Over `backlog_bytes_max` it ends, with
    /// [`CloseWhy::BacklogFull`].
    pub fn send(&mut self, socket: Socket, bytes: &[u8]) -> Option<usize> {
        self.send_with(socket, |out| out.extend_from_slice(bytes))
    }

    /// As [`Self::send`], but `write` appends straight to the send buffer, which saves a copy.
    /// It must only append.
    pub fn send_with(&mut self, socket: Socket, write: impl FnOnce(&mut Vec<u8>)) -> Option<usize> {
        let entry = self.table.open_entry(socket).filter(|entry| !entry.deaf)?;
        if entry.outbox == NO_OUTBOX {
            entry.outbox = self.outboxes.take();
        }
        let backlog = self.outboxes.write(entry.outbox, write);
        if backlog == 0 {
            // Nothing was written and nothing is under way: an idle connection keeps no buffer.
            self.outboxes.release(entry.outbox);
            entry.outbox = NO_OUTBOX;
            return Some(0);
        }
        if backlog > self.backlog_bytes_max {
            self.end(socket, CloseWhy::BacklogFull, Leave::Reset);
            return None;
        }
        if !entry.listed {
            entry.listed = true;
            self.listed.push(socket);
        }
        Some(backlog)
    }

    /// Bytes queued for a socket that its peer's kernel has not taken; 0 when it has ended.
    pub fn backlog(&mut self, socket: Socket) -> usize {
        match self.table.open_entry(socket) {
            Some(entry) if entry.outbox != NO_OUTBOX => self.outboxes.backlog(entry.outbox),
            _ => 0,
        }
    }

    /// Ends a connection. [`Handler::closed`](crate::engine::Handler::closed) follows, with
    /// [`CloseWhy::Requested`]; nothing is received or sent for it any more. Without effect when
    /// it has ended already.
    pub fn close(&mut self, socket: Socket, closing: Closing) {
        let leave = match closing {
            Closing::AfterQueued => Leave::Politely,
            Closing::AtOnce => Leave::Now,
        };
        self.end(socket, CloseWhy::Requested, leave);
    }

    /// Has the kernel acknowledge at once what was received. For requests that arrived in part: a
    /// peer without TCP_NODELAY holds the rest back until then, up to 40 ms.
    pub fn quick_ack(&mut self, socket: Socket) {
        if self.table.open_entry(socket).is_some() && self.hurried.last() != Some(&socket) {
            self.hurried.push(socket);
        }
    }

    /// Bytes queued for all sockets of this core that the kernel has not taken. Who hands out many
    /// messages stops above a bound of his own and goes on when `sent` has brought it down.
    pub fn outstanding_bytes(&self) -> usize {
        self.outboxes.outstanding()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a socket from the handler. The rest of its way is the engine's.
    pub(super) fn end(&mut self, socket: Socket, why: CloseWhy, leave: Leave) {
        let Some(entry) = self.table.open_entry(socket) else { return };
        entry.reset = leave == Leave::Reset || (leave == Leave::Now && entry.sending);
        entry.state = match leave {
            Leave::Politely => State::Draining,
            Leave::WhenDrained => State::DrainingLast,
            Leave::Now | Leave::Reset => State::Cancelling,
        };
        if entry.state < State::Cancelling {
            self.lingering.push_back((self.now_ms + LINGER_MS, socket));
        } else if entry.outbox != NO_OUTBOX {
            self.outboxes.discard_waiting(entry.outbox);
        }
        self.steps.push(socket);
        self.ended.push((socket, why));
        self.counters.closed += 1;
        match why {
            CloseWhy::BacklogFull => self.counters.closed_backlog_full += 1,
            CloseWhy::Reset => self.counters.closed_reset += 1,
            _ => {}
        }
    }

    /// Whether a flush would do something.
    pub(super) fn has_work(&self) -> bool {
        !(self.listed.is_empty()
            && self.steps.is_empty()
            && self.hurried.is_empty()
            && self.ended.is_empty())
    }
}

/// How an ended connection leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Queued bytes, FIN, the peer's FIN.
    Politely,
    /// Queued bytes, FIN: the peer's FIN is in already.
    WhenDrained,
    /// FIN, or a reset if the peer was not reading.
    Now,
    /// A reset.
    Reset,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handler looks after each send whether more can go out, and mostly there is nothing.
    #[test]
    fn who_writes_nothing_keeps_no_buffer() {
        let mut sends = Sends::new(1_000);
        for slot in 0..2_000 {
            let socket = sends.table.open(slot);
            assert_eq!(sends.send_with(socket, |_| {}), Some(0));
            assert_eq!(sends.table.get(socket).map(|entry| entry.outbox), Some(NO_OUTBOX));
        }
        assert!(!sends.has_work(), "nothing is to be sent");
        assert!(sends.outboxes.held_bytes() < 2_000, "{}", sends.outboxes.held_bytes());
        let socket = sends.table.open(7_000);
        assert_eq!(sends.send(socket, b"some"), Some(4));
        assert_eq!(sends.send_with(socket, |_| {}), Some(4), "what waits still waits");
        assert!(sends.has_work());
    }
}
