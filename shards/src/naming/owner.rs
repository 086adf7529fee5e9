//! The owner's side: services, their publishers, who must be told.

use crate::effect::Effect;
use crate::key::{Core, Home, Map};
use crate::message::{Ask, Now, Tell};
use crate::naming::rules::Rules;

/// Entries that may be sent now, per core. `drain` counts them down.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Room {
    /// `Changed`/`NameChanged` tells each home core has room for.
    pub tells: Vec<usize>,
    /// `Named` asks each directory core has room for.
    pub asks: Vec<usize>,
}

/// The services this core owns, and the names it keeps as a directory.
#[derive(Debug)]
pub struct OwnerState {}

impl OwnerState {
    /// `seed` makes hash tables unguessable; the same seed gives the same behaviour.
    pub fn new(core: Core, map: Map, seed: u64, rules: Rules) -> Self {
        let _ = (core, map, seed, rules);
        todo!()
    }

    /// Carries out one ask of a home (or owner) core; the result is its one answer, for `from`.
    pub fn handle(&mut self, now: Now, from: Core, ask: Ask) -> Tell {
        let _ = (now, from, ask);
        let _: Option<Home> = None;
        todo!()
    }

    /// Emits `Tell::Changed`, `Tell::NameChanged` and `Ask::Named` effects that are due and have
    /// room, own core included (the shard routes those to itself). True if something is left.
    pub fn drain(&mut self, now: Now, room: &mut Room, out: &mut Vec<Effect>) -> bool {
        let _ = (now, room, out);
        todo!()
    }

    /// Something waits for room or was never sent: `drain` has work.
    pub fn pending(&self) -> bool {
        todo!()
    }

    /// Cleaners, in bounded steps. Call once per timer turn (every 100 ms to 1 s).
    pub fn tick(&mut self, now: Now) {
        let _ = now;
        todo!()
    }
}
