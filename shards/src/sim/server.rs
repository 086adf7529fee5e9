//! One core of the simulated node: a shard, what has arrived for it, and whether it runs.

use crate::durable::answer::Answer;
use crate::durable::state::Change;
use crate::key::{ConnKey, Core, Home};
use crate::message::{Message, Purpose, Unready, Waiter};
use crate::shard::Shard;
use crate::sim::client::Op;
use crate::sim::configs;
use crate::sim::net::Place;
use nacre_proto::link::ConnectionSetupRequest;
use nacre_proto::text::{Flags, Pairs};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// What arrives from outside.
#[derive(Debug)]
pub enum Input {
    Started,
    Stopping,
    Connected {
        conn: ConnKey,
        id_ms: u64,
    },
    Setup {
        conn: ConnKey,
        abilities: bool,
    },
    Call {
        conn: ConnKey,
        stream: u32,
        op: Op,
    },
    Ack {
        conn: ConnKey,
        request_id: u64,
        accepted: bool,
    },
    Congested {
        conn: ConnKey,
        congested: bool,
    },
    Disconnected {
        conn: ConnKey,
    },
    /// On the Raft core.
    Settled {
        changes: Arc<[Change]>,
        slots: Arc<[u32]>,
    },
    Proposed {
        to: Core,
        waiter: Waiter,
        purpose: Purpose,
        outcome: Result<Answer, Unready>,
    },
}

impl Input {
    /// Whose it is.
    pub fn conn(&self) -> Option<ConnKey> {
        match self {
            Input::Started | Input::Stopping | Input::Settled { .. } | Input::Proposed { .. } => {
                None
            }
            Input::Connected { conn, .. }
            | Input::Setup { conn, .. }
            | Input::Call { conn, .. }
            | Input::Ack { conn, .. }
            | Input::Congested { conn, .. }
            | Input::Disconnected { conn } => Some(*conn),
        }
    }

    /// As the shard takes it.
    pub fn message(&self) -> Message<'_> {
        if let Some(message) = configs::message(self) {
            return message;
        }
        match self {
            Input::Started => Message::Started,
            Input::Stopping => Message::Stopping,
            Input::Connected { conn, id_ms } => {
                let peer = SocketAddr::from(([10, 1, 0, 1], 5_000));
                Message::Connected { conn: *conn, peer, id_ms: *id_ms }
            }
            Input::Setup { conn, abilities } => Message::Setup {
                conn: *conn,
                client_ip: "10.1.0.1",
                setup: ConnectionSetupRequest {
                    client_version: Some("Simulated:v1".into()),
                    tenant: None,
                    labels: Pairs(vec![
                        ("source".into(), "sdk".into()),
                        ("module".into(), "naming".into()),
                    ]),
                    ability_table: abilities.then(Flags::default),
                },
            },
            Input::Call { conn, stream, op } => Message::Call {
                conn: *conn,
                stream: *stream,
                app: None,
                tag: None,
                request: Ok(Some(op.request())),
            },
            Input::Ack { conn, request_id, accepted } => {
                Message::Ack { conn: *conn, request_id: *request_id, accepted: *accepted }
            }
            Input::Congested { conn, congested } => {
                Message::Congested { conn: *conn, congested: *congested }
            }
            Input::Disconnected { conn } => Message::Disconnected { conn: *conn },
            other => unreachable!("{other:?} is of the config module"),
        }
    }
}

/// One core.
pub struct Server {
    pub place: Place,
    pub shard: Shard,
    pub inbox: VecDeque<Input>,
    /// When its next turn is.
    pub turn_ms: Option<u64>,
    /// It does not run before.
    pub stalled_until_ms: u64,
    /// How long it did not run, not told to the shard yet.
    pub gap_ms: u64,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    generation: u32,
    /// The client in it.
    client: Option<usize>,
}

impl Server {
    pub fn new(core: Core, shard: Shard) -> Self {
        Self {
            place: Place { node: 0, core },
            shard,
            inbox: VecDeque::new(),
            turn_ms: None,
            stalled_until_ms: 0,
            gap_ms: 0,
            slots: Vec::new(),
        }
    }

    /// Takes in a transport: the lowest slot that is free.
    pub fn accept(&mut self, client: usize) -> ConnKey {
        let free = self.slots.iter().position(|slot| slot.client.is_none());
        let at = free.unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, client: None });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[at];
        slot.generation += 1;
        slot.client = Some(client);
        let home = Home(self.place.core);
        ConnKey { home, slot: at as u32, generation: slot.generation }
    }

    /// The client of a connection whose transport is still there.
    pub fn client_of(&self, conn: ConnKey) -> Option<usize> {
        let slot = self.slots.get(conn.slot as usize)?;
        slot.client.filter(|_| slot.generation == conn.generation)
    }

    /// The transport is gone; its slot is used again.
    pub fn forget(&mut self, conn: ConnKey) {
        if self.client_of(conn).is_some() {
            self.slots[conn.slot as usize].client = None;
        }
    }
}
