//! Bytes going out: one send under way per connection, each with all that waited.

use super::op::{Op, Tag};
use super::sends::Leave;
use super::table::{CloseWhy, NO_OUTBOX, Socket, State};
use super::{Engine, Handler};
use io_uring::opcode::Send;
use io_uring::types::Fixed;

/// Capacity, in sockets, up to which the list of a busy turn is kept for the next.
const LISTED_KEPT: usize = 4_096;

impl Engine {
    /// Starts a send on every socket that has something new and none under way.
    pub(super) fn launch_listed(&mut self) {
        let mut listed = std::mem::take(&mut self.sends.listed);
        for socket in listed.drain(..) {
            if let Some(entry) = self.sends.table.get(socket) {
                entry.listed = false;
                self.launch(socket);
            }
        }
        if listed.capacity() <= LISTED_KEPT {
            self.sends.listed = listed;
        }
    }

    fn launch(&mut self, socket: Socket) {
        let (ring, index) = self.place(socket);
        let sends = &mut *self.sends;
        let Some(entry) = sends.table.get(socket) else { return };
        if entry.sending || entry.outbox == NO_OUTBOX || entry.state > State::DrainingLast {
            return;
        }
        let Some((address, length)) = sends.outboxes.launch(entry.outbox) else { return };
        entry.sending = true;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let send = Send::new(Fixed(index), address, length).flags(flags).build();
        // SAFETY: the bytes are in the outbox's `flying` buffer, which is neither touched nor
        // freed before `on_send` clears `sending`.
        unsafe { self.rings[ring].push(send, Tag::new(Op::Send, index, socket.generation)) };
    }

    pub(super) fn on_send(
        &mut self,
        ring: usize,
        tag: Tag,
        result: i32,
        handler: &mut impl Handler,
    ) {
        let socket = self.socket(ring, tag);
        let Some(entry) = self.sends.table.get(socket) else { return };
        entry.sending = false;
        let (state, outbox) = (entry.state, entry.outbox);
        if state >= State::Cancelling {
            return self.sends.steps.push(socket);
        }
        let Ok(bytes) = usize::try_from(result) else {
            return self.send_failed(socket, -result);
        };
        self.sends.counters.sends += 1;
        self.sends.counters.sent_bytes += bytes as u64;
        let backlog = self.sends.outboxes.landed(outbox, bytes);
        if backlog == 0 {
            self.sends.outboxes.release(outbox);
            self.sends.table.get(socket).expect("seen above").outbox = NO_OUTBOX;
        } else {
            self.list(socket);
        }
        match state {
            State::Open => handler.sent(&mut self.sends, socket, backlog),
            _ => self.sends.steps.push(socket),
        }
    }

    fn list(&mut self, socket: Socket) {
        if let Some(entry) = self.sends.table.get(socket)
            && !entry.listed
        {
            entry.listed = true;
            self.sends.listed.push(socket);
        }
    }

    /// The peer takes nothing more. If it is gone, bytes it sent before may still wait to be
    /// received: the armed receive delivers them and then says that it is over.
    fn send_failed(&mut self, socket: Socket, errno: i32) {
        let Some(entry) = self.sends.table.get(socket) else { return };
        let receiving = entry.receiving;
        if entry.state != State::Open {
            return self.set_state(socket, State::Cancelling);
        }
        if receiving && matches!(errno, libc::EPIPE | libc::ECONNRESET) {
            entry.deaf = true;
            let outbox = std::mem::replace(&mut entry.outbox, NO_OUTBOX);
            self.sends.outboxes.release(outbox);
            return;
        }
        let errno = u16::try_from(errno).unwrap_or(u16::MAX);
        self.sends.end(socket, CloseWhy::SendFailed(errno), Leave::Reset);
    }
}
