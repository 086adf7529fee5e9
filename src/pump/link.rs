//! One client connection as its home core's pump sees it.

use super::incoming::Arrival;
use crate::engine::Socket;
use crate::grpc;
use nacre_shards::key::{ConnKey, Home};

/// What the pump keeps per connection. An idle one costs this and what HPACK remembers.
pub struct Link {
    pub socket: Socket,
    pub grpc: grpc::Connection,
    /// The bidirectional stream pushes go out on; 0 until a setup came.
    pub pushes_on: u32,
    /// The shard was told that this client reads too slowly.
    pub congested: bool,
    /// Being closed: what still arrives is not looked at.
    pub leaving: bool,
    /// The earliest entry for it in `Checks`.
    pub check_due: Option<u64>,
    /// Calls that another core answers; empty and without heap when idle.
    pub calls: Vec<Arrival>,
}

impl Link {
    /// A connection accepted at `tick_ms`.
    pub fn new(socket: Socket, tick_ms: u64) -> Self {
        Self {
            socket,
            grpc: grpc::Connection::new(tick_ms),
            pushes_on: 0,
            congested: false,
            leaving: false,
            check_due: None,
            calls: Vec::new(),
        }
    }
}

/// One kibibyte is the budget of an idle client, all rooms together.
const _: () = assert!(std::mem::size_of::<Link>() <= 384);

/// The connections of one core by their slot in the engine's table.
#[derive(Default)]
pub struct Links {
    slots: Vec<Option<Box<Link>>>,
    open: usize,
}

impl Links {
    /// Takes a new connection in.
    pub fn insert(&mut self, link: Link) {
        let slot = link.socket.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.open += usize::from(self.slots[slot].is_none());
        self.slots[slot] = Some(Box::new(link));
    }

    /// The link of this slot, if the same connection still sits there.
    pub fn get(&mut self, slot: u32, generation: u32) -> Option<&mut Link> {
        self.slots
            .get_mut(slot as usize)?
            .as_deref_mut()
            .filter(|link| link.socket.generation == generation)
    }

    /// Forgets a connection.
    pub fn remove(&mut self, socket: Socket) -> Option<Box<Link>> {
        let entry = self.slots.get_mut(socket.slot as usize)?;
        if entry.as_ref()?.socket.generation != socket.generation {
            return None;
        }
        self.open -= 1;
        entry.take()
    }

    /// Connections open now.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Every open connection, in slot order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }
}

/// The shard's name of a connection.
pub fn conn_key(home: Home, socket: Socket) -> ConnKey {
    ConnKey { home, slot: socket.slot, generation: socket.generation }
}
