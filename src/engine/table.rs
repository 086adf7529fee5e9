//! One small entry per slot: which tenant it has, and which requests of his are under way.

use super::limits::RING_SLOTS_MAX;
use std::mem::size_of;

/// A connection of this core: the slot it sits in, and which tenant of that slot it is.
///
/// A `Socket` outlives its connection harmlessly: with another generation in the slot, every call
/// with it does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket {
    /// Ring × slots per ring + index in the ring: dense enough to index a table with.
    pub slot: u32,
    /// Never 0.
    pub generation: u32,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseWhy {
    /// The peer finished sending; everything it sent before was delivered.
    PeerClosed,
    /// The peer reset the connection.
    Reset,
    /// The network gave the peer up.
    TimedOut,
    /// [`Sends::close`](crate::engine::Sends::close) was called.
    Requested,
    /// More than `backlog_bytes_max` waited for the peer to read.
    BacklogFull,
    /// The kernel refused to receive, with this errno.
    ReceiveFailed(u16),
    /// The kernel refused to send, with this errno.
    SendFailed(u16),
}

/// Where a slot stands. Each state goes only to later ones, and from `Gone` back to `Free`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub(super) enum State {
    #[default]
    Free,
    /// The handler has it.
    Open,
    /// The handler was told it ended (or asked for it); what was queued still leaves. When it has,
    /// FIN is sent and the peer's awaited.
    Draining,
    /// The same after the peer's own FIN: nothing more will come, so it is closed when drained.
    DrainingLast,
    /// A descriptor is being made to send FIN through.
    Finishing,
    /// FIN is sent, the peer's is awaited.
    Finished,
    /// Requests under way are being cancelled; closed when the last has returned.
    Cancelling,
    /// The close itself is under way.
    Closing,
}

/// No send buffer is attached.
pub(super) const NO_OUTBOX: u32 = u32::MAX;

/// What the engine keeps per connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub generation: u32,
    /// Index of the send buffers, or [`NO_OUTBOX`]: an idle connection has none.
    pub outbox: u32,
    pub state: State,
    /// A multishot receive is armed.
    pub receiving: bool,
    /// A send is under way.
    pub sending: bool,
    /// In the list of sockets with something new to send.
    pub listed: bool,
    /// The peer takes nothing more; the armed receive will say why.
    pub deaf: bool,
    /// Close with a reset, so that the kernel frees what the peer has not read.
    pub reset: bool,
}

// A million idle connections cost 16 MB here.
const _: () = assert!(size_of::<Entry>() <= 16);

impl Entry {
    const FREE: Self = Self {
        generation: 0,
        outbox: NO_OUTBOX,
        state: State::Free,
        receiving: false,
        sending: false,
        listed: false,
        deaf: false,
        reset: false,
    };
}

/// Entries are made this many at a time, when a slot among them is first used.
const CHUNK: u32 = 512;
const _: () = assert!(RING_SLOTS_MAX.is_multiple_of(CHUNK));

/// All slots of one core.
pub(super) struct Table {
    chunks: Vec<Option<Box<[Entry; CHUNK as usize]>>>,
    generation: u32,
}

impl Table {
    pub fn new() -> Self {
        Self { chunks: Vec::new(), generation: 0 }
    }

    /// Gives the slot to a new tenant.
    pub fn open(&mut self, slot: u32) -> Socket {
        let chunk = (slot / CHUNK) as usize;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let generation = self.generation;
        let chunk =
            self.chunks[chunk].get_or_insert_with(|| Box::new([Entry::FREE; CHUNK as usize]));
        let entry = &mut chunk[(slot % CHUNK) as usize];
        assert!(entry.state == State::Free, "the kernel gave out a slot that is still in use");
        *entry = Entry { generation, state: State::Open, ..Entry::FREE };
        Socket { slot, generation }
    }

    /// The entry of this tenant, whatever its state; `None` when the slot has another.
    pub fn get(&mut self, socket: Socket) -> Option<&mut Entry> {
        let chunk = self.chunks.get_mut((socket.slot / CHUNK) as usize)?.as_mut()?;
        let entry = &mut chunk[(socket.slot % CHUNK) as usize];
        (entry.generation == socket.generation && entry.state != State::Free).then_some(entry)
    }

    /// The entry of this tenant while the handler has it.
    pub fn open_entry(&mut self, socket: Socket) -> Option<&mut Entry> {
        self.get(socket).filter(|entry| entry.state == State::Open)
    }

    /// Frees the slot.
    pub fn free(&mut self, socket: Socket) {
        if let Some(entry) = self.get(socket) {
            debug_assert!(!entry.receiving && !entry.sending && entry.outbox == NO_OUTBOX);
            entry.state = State::Free;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_tenant_finds_nothing() {
        let mut table = Table::new();
        let first = table.open(1_000);
        assert!(table.open_entry(first).is_some());
        table.free(first);
        assert!(table.get(first).is_none());
        let second = table.open(1_000);
        assert_ne!(first, second);
        assert!(table.get(first).is_none());
        assert!(table.get(second).is_some());
        assert!(table.get(Socket { slot: 5_000_000, generation: 1 }).is_none());
    }
}
