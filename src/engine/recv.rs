//! Bytes coming in: one multishot receive per connection, into buffers shared by the ring.

use super::buffers::GROUP;
use super::op::{Op, Tag};
use super::sends::Leave;
use super::table::{CloseWhy, Socket, State};
use super::{Engine, Handler};
use io_uring::cqueue;
use io_uring::opcode::{RecvMulti, SetSockOpt};
use io_uring::types::Fixed;
use std::mem::size_of;

/// The value of a switched-on socket option, where the kernel can read it at any time.
static ON: i32 = 1;

impl Engine {
    pub(super) fn arm_receive(&mut self, socket: Socket) {
        let (ring, index) = self.place(socket);
        let Some(entry) = self.sends.table.get(socket) else { return };
        entry.receiving = true;
        let receive = RecvMulti::new(Fixed(index), GROUP).build();
        // SAFETY: the request points to nothing; its buffers belong to the ring.
        unsafe { self.rings[ring].push(receive, Tag::new(Op::Receive, index, socket.generation)) };
    }

    pub(super) fn on_receive(
        &mut self,
        ring: usize,
        tag: Tag,
        result: i32,
        flags: u32,
        handler: &mut impl Handler,
    ) {
        let socket = self.socket(ring, tag);
        if let Some(buffer) = cqueue::buffer_select(flags) {
            let length = usize::try_from(result).unwrap_or(0);
            self.sends.counters.receives += 1;
            self.sends.counters.received_bytes += length as u64;
            // Bytes that come in after the handler let go are read and forgotten.
            if length > 0 && self.sends.table.open_entry(socket).is_some() {
                let bytes = self.rings[ring].buffers.bytes(buffer, length);
                handler.received(&mut self.sends, socket, bytes);
            }
            self.rings[ring].buffers.give_back(buffer);
        }
        if !cqueue::more(flags) {
            self.receive_ended(socket, result);
        }
    }

    /// The multishot receive came to an end: for want of buffers, or with the connection.
    fn receive_ended(&mut self, socket: Socket, result: i32) {
        let Some(entry) = self.sends.table.get(socket) else { return };
        entry.receiving = false;
        let (state, deaf) = (entry.state, entry.deaf);
        if state >= State::Cancelling {
            return self.sends.steps.push(socket);
        }
        if result > 0 || result == -libc::ENOBUFS {
            self.sends.counters.receive_buffers_short += u64::from(result <= 0);
            return self.arm_receive(socket);
        }
        let why = match -result {
            _ if deaf => CloseWhy::Reset,
            0 => CloseWhy::PeerClosed,
            libc::ECONNRESET | libc::EPIPE => CloseWhy::Reset,
            libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => CloseWhy::TimedOut,
            errno => CloseWhy::ReceiveFailed(u16::try_from(errno).unwrap_or(u16::MAX)),
        };
        let peer_finished = why == CloseWhy::PeerClosed;
        match state {
            State::Open if peer_finished => self.sends.end(socket, why, Leave::WhenDrained),
            State::Open => self.sends.end(socket, why, Leave::Now),
            State::Draining if peer_finished => self.set_state(socket, State::DrainingLast),
            // The installed descriptor is on its way; its completion goes on from here.
            State::Finishing => {}
            _ => self.set_state(socket, State::Cancelling),
        }
    }

    pub(super) fn hurry_acknowledgements(&mut self) {
        let mut hurried = std::mem::take(&mut self.sends.hurried);
        for socket in hurried.drain(..) {
            if self.sends.table.open_entry(socket).is_none() {
                continue;
            }
            self.sends.counters.quick_acks += 1;
            let (ring, index) = self.place(socket);
            let value = (&raw const ON).cast();
            let (level, name) = (libc::IPPROTO_TCP as u32, libc::TCP_QUICKACK as u32);
            let entry = SetSockOpt::new(Fixed(index), level, name, value, size_of::<i32>() as u32);
            let tag = Tag::new(Op::Option, index, socket.generation);
            // SAFETY: the value is static.
            unsafe { self.rings[ring].push_silent(entry.build(), tag) };
        }
        self.sends.hurried = hurried;
    }
}
