//! How the connections of one core hear: one epoll instance for all of them, edge by edge.
//!
//! A stream of glommio's asks the kernel anew for each thing it waits for: a submission, a
//! completion and an interrupt of this core for every request. Here many connections that were
//! written to cost one look together, and what is known needs no question.

use crate::http1::limits::EVENTS_PER_LOOK;
use crate::http1::watch::Watches;
use glommio::io::PollableFd;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::cell::Cell;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

pub(super) use rustix::event::epoll::EventFlags;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What a peer does that its connection must hear of: bytes, room for more of ours, its end.
const HEARD: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// The ears of one core; belongs to the executor it was made on.
#[derive(Debug)]
pub(super) struct Ears(PollableFd<OwnedFd>);

impl Ears {
    /// # Errors
    /// The file limit, or an executor that is shutting down.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self(PollableFd::new(epoll).map_err(io::Error::from)?))
    }

    /// From now on what happens to a socket is told to the watch of this id, until it is closed.
    ///
    /// # Errors
    /// The limit of watched descriptors of a user.
    pub(super) fn add(&self, socket: &TcpStream, id: u64) -> io::Result<()> {
        Ok(epoll::add(self.0.get_ref(), socket, epoll::EventData::new_u64(id), HEARD)?)
    }

    /// A descriptor that is readable while something is to be heard.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }

    /// Tells each watch what its socket heard, for ever; one task of the core.
    pub(super) async fn listen(self: Rc<Self>, watches: Rc<Watches>) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS_PER_LOOK);
        // Fails when the executor is going down.
        while self.0.readable().await.is_ok() {
            // It is open, and what it writes to is ours: it cannot fail, and if it did, the next
            // look would be as good.
            let _ = epoll::wait(self.0.get_ref(), spare_capacity(&mut events), Some(&NOW));
            for epoll::Event { flags, data } in events.drain(..) {
                watches.heard(data.u64(), flags);
            }
        }
    }
}

/// What is known of one socket without asking the kernel. What happened between a look at it and
/// the next word from [`Ears`] comes with that word.
#[derive(Debug)]
pub(super) struct Heard {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The peer sends no more, or is gone: reading goes on to the end.
    ended: Cell<bool>,
    waits_to_read: Cell<bool>,
    waits_to_write: Cell<bool>,
}

impl Default for Heard {
    /// Of a fresh socket: who connects has often written already.
    fn default() -> Self {
        Self {
            readable: Cell::new(true),
            writable: Cell::new(true),
            ended: Cell::default(),
            waits_to_read: Cell::default(),
            waits_to_write: Cell::default(),
        }
    }
}

impl Heard {
    /// Takes word from the kernel. Whether that was waited for.
    pub(super) fn take(&self, flags: EventFlags) -> bool {
        let ended =
            flags.intersects(EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR));
        let readable = ended || flags.contains(EventFlags::IN);
        let writable = flags.intersects(EventFlags::OUT.union(EventFlags::HUP));
        let writable = writable || flags.contains(EventFlags::ERR);
        self.ended.set(self.ended.get() || ended);
        self.readable.set(self.readable.get() || readable);
        self.writable.set(self.writable.get() || writable);
        let for_reader = readable && self.waits_to_read.take();
        let for_writer = writable && self.waits_to_write.take();
        for_reader || for_writer
    }

    /// Whether a read may find something; if not, the next word of it is waited for.
    pub(super) fn may_read(&self) -> bool {
        self.waits_to_read.set(!self.readable.get());
        self.readable.get()
    }

    /// A read found all there was. An end may stand behind it, of which no more word comes.
    pub(super) fn has_read_all(&self) {
        self.readable.set(self.ended.get());
    }

    /// A read found nothing.
    pub(super) fn found_nothing(&self) {
        self.readable.set(false);
        self.waits_to_read.set(true);
    }

    /// Whether the kernel may take something; if not, the next word of it is waited for.
    pub(super) fn may_write(&self) -> bool {
        self.waits_to_write.set(!self.writable.get());
        self.writable.get()
    }

    /// The kernel took nothing.
    pub(super) fn found_no_room(&self) {
        self.writable.set(false);
        self.waits_to_write.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_waits_is_woken_and_by_what_he_waits_for() {
        let heard = Heard::default();
        assert!(heard.may_read() && heard.may_write());
        assert!(!heard.take(EventFlags::IN | EventFlags::OUT), "nobody waits");
        heard.found_nothing();
        assert!(!heard.may_read());
        assert!(!heard.take(EventFlags::OUT));
        assert!(heard.take(EventFlags::IN | EventFlags::OUT));
        assert!(heard.may_read());
        assert!(!heard.take(EventFlags::IN), "told once");
        heard.has_read_all();
        assert!(!heard.may_read());
        heard.found_no_room();
        assert!(!heard.may_write());
        assert!(heard.take(EventFlags::OUT));
        assert!(heard.may_write());
    }

    #[test]
    fn an_end_is_found_behind_the_last_bytes() {
        for end in [EventFlags::RDHUP, EventFlags::HUP, EventFlags::ERR] {
            let heard = Heard::default();
            heard.found_nothing();
            assert!(heard.take(EventFlags::IN | end));
            heard.has_read_all();
            assert!(heard.may_read(), "no more word will come");
            // It comes alone, to one who waits.
            let heard = Heard::default();
            heard.has_read_all();
            assert!(!heard.may_read());
            assert!(heard.take(end), "{end:?}");
            assert!(heard.may_read());
        }
    }
}
