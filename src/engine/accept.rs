//! Connections coming in: one-shot accepts into slots the kernel picks, never more than are free.
//!
//! Accepts are armed on one ring at a time, the first with room. With no room anywhere they are
//! armed on the slots kept for it, and what arrives is closed at once and counted.

use super::limits::{ACCEPT_RETRY_MS, ACCEPTS_IN_FLIGHT, TURN_AWAY_SLOTS};
use super::op::{Op, Tag};
use super::table::State;
use super::{Engine, Handler, listen};
use io_uring::opcode::Accept;
use io_uring::types::{DestinationSlot, Fd};
use std::mem::size_of;
use std::os::fd::AsRawFd;

impl Engine {
    /// Accepts nothing more: cancels what is armed and closes the listeners. Connections that wait
    /// in a backlog are reset by the kernel.
    pub fn stop_accepting(&mut self) {
        self.listeners.clear();
        for ring in 0..self.rings.len() {
            self.cancel_accepts(ring);
        }
        self.accepts_due = false;
    }

    pub(super) fn arm_accepts(&mut self) {
        if self.listeners.is_empty() || self.sends.now_ms < self.accept_retry_ms {
            return;
        }
        self.accepts_due = false;
        for ring in &mut self.rings {
            ring.keep_dense(self.ring_slots);
        }
        let (chosen, room) = self.accepting_ring();
        for ring in 0..self.rings.len() {
            if ring != chosen {
                self.cancel_accepts(ring);
            }
        }
        let target = ACCEPTS_IN_FLIGHT.min(room as usize);
        if target == 0 {
            return;
        }
        let share = (target / self.listeners.len()).max(1);
        for listener in 0..self.listeners.len() {
            self.arm_listener(chosen, listener as u8, share);
        }
    }

    /// The ring to accept on and how many slots it has for that. Adds a ring when all are full.
    fn accepting_ring(&mut self) -> (usize, u32) {
        let usable = self.ring_slots - TURN_AWAY_SLOTS;
        loop {
            if let Some(ring) = self.rings.iter().position(|ring| ring.occupied < usable) {
                return (ring, usable - self.rings[ring].occupied);
            }
            if self.rings.len() >= self.rings_max {
                break;
            }
            if self.add_ring().is_err() {
                // Locked memory, most likely: be content with what there is.
                self.sends.counters.rings_refused += 1;
                self.rings_max = self.rings.len();
            }
        }
        let emptiest = (0..self.rings.len()).min_by_key(|&ring| self.rings[ring].occupied);
        let ring = emptiest.expect("an engine has a ring");
        (ring, self.ring_slots.saturating_sub(self.rings[ring].occupied))
    }

    fn arm_listener(&mut self, ring: usize, listener: u8, share: usize) {
        let fd = Fd(self.listeners[usize::from(listener)].fd.as_raw_fd());
        let ring = &mut self.rings[ring];
        let armed = ring.seats.iter().filter(|seat| seat.listener == Some(listener)).count();
        let mut missing = share.saturating_sub(armed);
        for index in 0..ring.seats.len() {
            if missing == 0 {
                return;
            }
            if ring.seats[index].listener.is_some() {
                continue;
            }
            missing -= 1;
            ring.seats_taken += 1;
            let seat = &mut ring.seats[index];
            seat.listener = Some(listener);
            seat.length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            let (address, length) = (&raw mut seat.address, &raw mut seat.length);
            let entry = Accept::new(fd, address.cast(), length)
                .file_index(Some(DestinationSlot::auto_target()))
                .build();
            // SAFETY: seats are boxed and outlive the ring's requests; this one is not read or
            // armed again before its completion.
            unsafe { ring.push(entry, Tag::new(Op::Accept, index as u32, u32::from(listener))) };
        }
    }

    fn cancel_accepts(&mut self, ring: usize) {
        let ring = &mut self.rings[ring];
        if ring.seats_taken == 0 {
            return;
        }
        for index in 0..ring.seats.len() {
            if let Some(listener) = ring.seats[index].listener {
                ring.cancel(Tag::new(Op::Accept, index as u32, u32::from(listener)));
            }
        }
    }

    pub(super) fn on_accept(
        &mut self,
        ring: usize,
        tag: Tag,
        result: i32,
        handler: &mut impl Handler,
    ) {
        let usable = (self.ring_slots - TURN_AWAY_SLOTS) as usize * self.rings.len();
        let occupied: usize = self.rings.iter().map(|ring| ring.occupied as usize).sum();
        let seat = &mut self.rings[ring].seats[tag.index as usize];
        seat.listener = None;
        let peer = listen::decode(&seat.address);
        self.rings[ring].seats_taken -= 1;
        self.accepts_due = !self.listeners.is_empty();
        let Ok(index) = u32::try_from(result) else {
            return self.accept_failed(-result);
        };
        self.rings[ring].occupy(index);
        let slot = ring as u32 * self.ring_slots + index;
        let socket = self.sends.table.open(slot);
        if occupied >= usable {
            self.sends.counters.turned_away += 1;
            self.sends.table.get(socket).expect("just opened").state = State::Cancelling;
            self.sends.steps.push(socket);
            return;
        }
        self.sends.counters.accepted += 1;
        self.arm_receive(socket);
        handler.accepted(&mut self.sends, socket, peer);
    }

    fn accept_failed(&mut self, errno: i32) {
        match errno {
            libc::ECANCELED => return,
            // Wants of the host: trying again at once would spin.
            libc::ENFILE | libc::EMFILE | libc::ENOMEM | libc::ENOBUFS => {
                self.accept_retry_ms = self.sends.now_ms + ACCEPT_RETRY_MS;
            }
            // The peer gave up while it waited, or the network had something to say about it.
            _ => {}
        }
        self.sends.counters.accept_errors += 1;
    }
}
