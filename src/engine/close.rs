//! Connections going away, after the handler has let go: drain, FIN, the peer's FIN, cancel, close.
//!
//! The slot is closed last, when nothing of the connection is under way. Closing it earlier would
//! neither send FIN (requests hold the socket) nor keep its completions apart from the next
//! tenant's.

use super::Engine;
use super::op::{Op, Tag};
use super::table::{NO_OUTBOX, Socket, State};
use io_uring::opcode::{Close, FixedFdInstall, SetSockOpt};
use io_uring::types::Fixed;
use std::mem::size_of;

/// Close with a reset, at once.
static RESET: libc::linger = libc::linger { l_onoff: 1, l_linger: 0 };

/// `IORING_FIXED_FD_NO_CLOEXEC` is not wanted: the descriptor lives for a moment, close-on-exec.
const INSTALL_FLAGS: u32 = 0;

impl Engine {
    pub(super) fn set_state(&mut self, socket: Socket, state: State) {
        if let Some(entry) = self.sends.table.get(socket) {
            entry.state = state;
            self.sends.steps.push(socket);
        }
    }

    /// Gives up on lingering connections whose time is over.
    pub(super) fn expire_lingering(&mut self) {
        while let Some(&(at, socket)) = self.sends.lingering.front() {
            if at > self.sends.now_ms {
                return;
            }
            self.sends.lingering.pop_front();
            let Some(entry) = self.sends.table.get(socket) else { continue };
            if entry.state < State::Cancelling {
                entry.reset = entry.state <= State::DrainingLast;
                self.sends.counters.linger_timeouts += 1;
                self.set_state(socket, State::Cancelling);
            }
        }
    }

    /// Takes each socket that is on its way out one step further, if nothing holds it.
    pub(super) fn take_steps(&mut self) {
        let mut steps = std::mem::take(&mut self.sends.steps);
        for socket in steps.drain(..) {
            self.step(socket);
        }
        debug_assert!(self.sends.steps.is_empty(), "a step makes no steps");
        self.sends.steps = steps;
    }

    fn step(&mut self, socket: Socket) {
        let (ring, index) = self.place(socket);
        let Some(entry) = self.sends.table.get(socket) else { return };
        let drained = !entry.sending && entry.outbox == NO_OUTBOX;
        match entry.state {
            State::Draining if drained => {
                entry.state = State::Finishing;
                let install = FixedFdInstall::new(Fixed(index), INSTALL_FLAGS).build();
                let tag = Tag::new(Op::Install, index, socket.generation);
                // SAFETY: the request points to nothing.
                unsafe { self.rings[ring].push(install, tag) };
            }
            State::DrainingLast if drained => {
                entry.state = State::Cancelling;
                self.close_or_cancel(socket);
            }
            State::Cancelling => self.close_or_cancel(socket),
            _ => {}
        }
    }

    fn close_or_cancel(&mut self, socket: Socket) {
        let (ring, index) = self.place(socket);
        let Some(entry) = self.sends.table.get(socket) else { return };
        let ring = &mut self.rings[ring];
        let tag = |op| Tag::new(op, index, socket.generation);
        if entry.receiving || entry.sending {
            // By tag, not by socket: the kernel finds a tag in a hash table, but a socket only by
            // walking every request of the ring.
            if entry.receiving {
                ring.cancel(tag(Op::Receive));
            }
            if entry.sending {
                ring.cancel(tag(Op::Send));
            }
            return;
        }
        entry.state = State::Closing;
        let outbox = std::mem::replace(&mut entry.outbox, NO_OUTBOX);
        if entry.reset {
            let value = (&raw const RESET).cast();
            let (level, name) = (libc::SOL_SOCKET as u32, libc::SO_LINGER as u32);
            let bytes = size_of::<libc::linger>() as u32;
            let option = SetSockOpt::new(Fixed(index), level, name, value, bytes).build();
            // SAFETY: the value is static.
            unsafe { ring.push_silent(option, tag(Op::Ignored)) };
        }
        // SAFETY: the request points to nothing.
        unsafe { ring.push(Close::new(Fixed(index)).build(), tag(Op::Close)) };
        if outbox != NO_OUTBOX {
            self.sends.outboxes.release(outbox);
        }
    }

    /// A cancel found nothing: its target finished by itself, or is just being worked on. In the
    /// second case it has to be cancelled again.
    pub(super) fn on_cancel_failed(&mut self, ring: usize, tag: Tag) {
        let socket = self.socket(ring, tag);
        if let Some(entry) = self.sends.table.get(socket)
            && entry.state == State::Cancelling
            && (entry.receiving || entry.sending)
        {
            self.sends.steps.push(socket);
        }
    }

    pub(super) fn on_install(&mut self, ring: usize, tag: Tag, result: i32) {
        let socket = self.socket(ring, tag);
        let installed = super::sys::own(result);
        let Some(entry) = self.sends.table.get(socket) else { return };
        if entry.state != State::Finishing {
            return;
        }
        match installed {
            Ok(fd) if entry.receiving => {
                super::sys::finish_sending(fd);
                entry.state = State::Finished;
            }
            // The peer finished first, or no descriptor is to be had: the close sends FIN.
            _ => self.set_state(socket, State::Cancelling),
        }
    }

    pub(super) fn on_close(&mut self, ring: usize, tag: Tag) {
        let socket = self.socket(ring, tag);
        self.sends.table.free(socket);
        self.rings[ring].occupied -= 1;
        self.accepts_due = !self.listeners.is_empty();
    }
}
