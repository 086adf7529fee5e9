//! Asks under way to each owner core, and those that wait for room.
//!
//! Every ask reserves the place of its answer, so their number is bounded per pair of cores. What
//! may not be refused (a client is gone, nobody is interested any more) waits here without a bound
//! of its own: there is one for each thing clients hold. What may be refused waits behind it, and
//! is refused beyond its share, so that a crowd that leaves delays the others and does not turn
//! them away. A waiting ask is never overtaken by a later one to the same core.

use crate::effect::Effect;
use crate::home::Turn;
use crate::key::{Core, Map, Owner};
use crate::limits::LaneLimits;
use crate::message::Ask;
use std::collections::VecDeque;

/// Empty queues keep room for as many asks; more is given back.
const WAITING_KEPT_MAX: usize = 64;

/// The asks of one core. Lives on the core that asks.
#[derive(Debug)]
pub struct Lanes {
    core: Core,
    limits: LaneLimits,
    under_way: Vec<u32>,
    waiting: Vec<VecDeque<Waiting>>,
    /// How many of each queue may have been refused.
    refusable: Vec<u32>,
    /// [`crate::settings::PlantedBug::WaitingIsOvertaken`].
    overtakes: bool,
}

#[derive(Debug)]
struct Waiting {
    ask: Ask,
    is_refusable: bool,
}

impl Lanes {
    pub fn new(core: Core, map: Map, limits: LaneLimits) -> Self {
        let cores = usize::from(map.cores);
        Self {
            core,
            limits,
            under_way: vec![0; cores],
            waiting: (0..cores).map(|_| VecDeque::new()).collect(),
            refusable: vec![0; cores],
            overtakes: false,
        }
    }

    /// Plants [`crate::settings::PlantedBug::WaitingIsOvertaken`].
    pub fn overtaking(self, overtakes: bool) -> Self {
        Self { overtakes, ..self }
    }

    /// Whether an ask that may be refused is taken for `to` now: it is sent, or waits with no more
    /// of its kind than may be under way.
    pub fn has_room(&mut self, to: Owner, turn: &mut Turn<'_>) -> bool {
        if to.0 == self.core {
            return true;
        }
        self.flush_one(usize::from(to.0.0), turn);
        (self.refusable[usize::from(to.0.0)] as usize) < self.refusable_max()
    }

    fn refusable_max(&self) -> usize {
        self.limits.asks_max - self.limits.asks_reserved
    }

    /// Sends an ask for which [`Lanes::has_room`] was asked, now or after those that wait.
    pub fn send(&mut self, to: Owner, ask: Ask, turn: &mut Turn<'_>) {
        let at = usize::from(to.0.0);
        let goes = |lanes: &Self| lanes.waiting[at].is_empty() && lanes.takes(at, true);
        if to.0 == self.core || goes(self) || (self.overtakes && self.takes(at, false)) {
            return self.send_now(to, ask, turn);
        }
        self.refusable[at] += 1;
        self.waiting[at].push_back(Waiting { ask, is_refusable: true });
    }

    fn send_now(&mut self, to: Owner, ask: Ask, turn: &mut Turn<'_>) {
        if to.0 == self.core {
            turn.local.push_back(ask);
            return;
        }
        self.under_way[usize::from(to.0.0)] += 1;
        turn.effects.push(Effect::Ask { to, ask });
    }

    /// Sends an ask that may not be refused, now or when there is room.
    pub fn send_surely(&mut self, to: Owner, ask: Ask, turn: &mut Turn<'_>) {
        let at = usize::from(to.0.0);
        if to.0 != self.core {
            self.flush_one(at, turn);
            if !self.waiting[at].is_empty() || !self.takes(at, false) {
                self.waiting[at].push_back(Waiting { ask, is_refusable: false });
                return;
            }
        }
        self.send_now(to, ask, turn);
    }

    /// One ask to `from` was answered.
    pub fn answered(&mut self, from: Core) {
        if from != self.core {
            let under_way = &mut self.under_way[usize::from(from.0)];
            debug_assert!(*under_way > 0, "an answer nobody asked for");
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// Counts an ask that the owner side of this core sent (`Ask::Named`).
    pub fn sent_by_owner(&mut self, to: Owner) {
        if to.0 != self.core {
            self.under_way[usize::from(to.0.0)] += 1;
        }
    }

    /// How many more asks each core takes now.
    pub fn room(&self) -> impl Iterator<Item = usize> {
        let limit = self.limits.asks_max;
        let room = move |(under_way, waiting): (&u32, &VecDeque<Waiting>)| {
            limit.saturating_sub(*under_way as usize + waiting.len())
        };
        self.under_way.iter().zip(&self.waiting).map(room)
    }

    /// Sends what waited and has room now.
    pub fn flush(&mut self, turn: &mut Turn<'_>) {
        for at in 0..self.waiting.len() {
            self.flush_one(at, turn);
        }
    }

    /// Asks that wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Asks sent and not answered, to other cores.
    pub fn under_way(&self) -> usize {
        self.under_way.iter().map(|count| *count as usize).sum()
    }

    fn takes(&self, at: usize, is_refusable: bool) -> bool {
        let most = if is_refusable { self.refusable_max() } else { self.limits.asks_max };
        (self.under_way[at] as usize) < most
    }

    fn flush_one(&mut self, at: usize, turn: &mut Turn<'_>) {
        while let Some(next) = self.waiting[at].front()
            && self.takes(at, next.is_refusable)
        {
            let Waiting { ask, is_refusable } =
                self.waiting[at].pop_front().expect("looked at above");
            self.refusable[at] -= u32::from(is_refusable);
            self.send_now(Owner(Core(at as u16)), ask, turn);
        }
        if self.waiting[at].is_empty() && self.waiting[at].capacity() > WAITING_KEPT_MAX {
            self.waiting[at] = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests;
