//! One core's share of the registry: what its connections want (home) and what its services hold (owner).
//!
//! State changes only in [`Shard::handle`], [`Shard::drain`] and [`Shard::tick`]. They take the time as an
//! argument, never suspend, and leave what is to be done in [`Effects`], to be carried out in order.

use crate::effect::Effects;
use crate::key::{Core, Map};
use crate::message::{Message, Now};
use crate::settings::Settings;

/// Free entries of the lanes to other cores, as their sender sees them at the start of a turn.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    /// Per core: how many changes ([`crate::message::Tell::Changed`], `NameChanged`) its tell lane takes now,
    /// beside the answers of asks under way. The entry of the own core is not looked at.
    pub changes: &'a [u32],
}

/// What the metrics show of one shard; read about ten times a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transports, set up or not.
    pub connections: u64,
}

/// One core's share of the registry. Lives on its core.
pub struct Shard {
    core: Core,
    map: Map,
    settings: Settings,
    stalled_ms: u64,
}

impl Shard {
    /// An empty shard. `seed` keys its hash tables: random in the server, chosen in the simulation.
    pub fn new(core: Core, map: Map, settings: Settings, seed: u64) -> Self {
        let _ = seed;
        Self { core, map, settings, stalled_ms: 0 }
    }

    /// Takes in one message. What it leads to is added to `effects`.
    pub fn handle(&mut self, now: Now, message: Message<'_>, effects: &mut Effects) {
        let _ = (now, message, effects, self.core, self.map, &self.settings, self.stalled_ms);
    }

    /// Once a turn, after pending input: hands out waiting pushes (at most
    /// [`crate::limits::PUSHES_PER_TURN_MAX`]), changes for which lanes have room, and what waited for room.
    pub fn drain(&mut self, now: Now, room: Room<'_>, effects: &mut Effects) {
        let _ = (now, room, effects);
    }

    /// Carries out what time has made due. Call it when [`Shard::next_wake`] has come, or every turn.
    pub fn tick(&mut self, now: Now, effects: &mut Effects) {
        let _ = (now, effects);
    }

    /// The process did not run for `gap_ms`: moves every deadline of clients by it. Call it before the
    /// input that waited is handled.
    pub fn stalled(&mut self, gap_ms: u64) {
        self.stalled_ms += gap_ms;
    }

    /// When [`Shard::tick`] (and [`Shard::drain`] after it) has something to do, in `tick_ms`.
    pub fn next_wake(&self) -> Option<u64> {
        None
    }

    /// Whether [`Shard::drain`] can do something now without further input.
    pub fn has_work(&self) -> bool {
        false
    }

    /// Whether the node finished starting. Until then every unary call is answered errorCode 300
    /// (`grpc-protocol.md` 4, row 1), also those that never reach the shard.
    pub fn started(&self) -> bool {
        true
    }

    /// What the metrics show.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}
