//! One core's end of the mesh: a lane pair to and from every other core.

use super::lane::{LaneIn, LaneOut, lane};
use super::wake::Bell;
use nacre_shards::key::Core;
use std::sync::Arc;

/// How many messages each lane of a pair holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSizes {
    pub asks_max: usize,
    pub tells_max: usize,
}

/// A message from another core.
#[derive(Debug, PartialEq, Eq)]
pub enum Letter<A, T> {
    /// May be answered with "no room" by the sender's own bookkeeping; never lost once in the lane.
    Ask(A),
    /// Must arrive: its place was kept free.
    Tell(T),
}

/// The lanes between this core and one other.
struct Pair<A, T> {
    asks_out: LaneIn<A>,
    tells_out: LaneIn<T>,
    asks_in: LaneOut<A>,
    tells_in: LaneOut<T>,
    bell: Arc<Bell>,
    /// Something was put since the other core was last woken.
    written: bool,
}

/// One core's end of the mesh. Moves to its core's thread and stays there.
pub struct Port<A, T> {
    core: Core,
    bell: Arc<Bell>,
    /// By core; `None` for this one, which calls itself directly.
    pairs: Vec<Option<Pair<A, T>>>,
    /// Whose letters are taken first in the next round.
    first: usize,
}

/// The ports of all cores, in order. `bells[i]` wakes core `i`.
pub fn ports<A, T>(bells: &[Arc<Bell>], sizes: LaneSizes) -> Vec<Port<A, T>> {
    let cores = bells.len();
    assert!(cores > 0 && cores <= usize::from(u16::MAX));
    let mut ends: Vec<Vec<Ends<A, T>>> = Vec::with_capacity(cores);
    for from in 0..cores {
        let lanes = |to| (to != from).then(|| (lane(sizes.asks_max), lane(sizes.tells_max)));
        ends.push((0..cores).map(|to| Ends::new(lanes(to))).collect());
    }
    let mut ports = Vec::with_capacity(cores);
    for core in 0..cores {
        let mut pairs = Vec::with_capacity(cores);
        for other in 0..cores {
            let (outward, inward) =
                (ends[core][other].inlets.take(), ends[other][core].outlets.take());
            pairs.push(outward.zip(inward).map(|((asks_out, tells_out), (asks_in, tells_in))| {
                let bell = bells[other].clone();
                Pair { asks_out, tells_out, asks_in, tells_in, bell, written: false }
            }));
        }
        let bell = bells[core].clone();
        ports.push(Port { core: Core(core as u16), bell, pairs, first: 0 });
    }
    ports
}

/// Both ends of a direction while the mesh is put together.
struct Ends<A, T> {
    inlets: Option<(LaneIn<A>, LaneIn<T>)>,
    outlets: Option<(LaneOut<A>, LaneOut<T>)>,
}

type Lane<M> = (LaneIn<M>, LaneOut<M>);

impl<A, T> Ends<A, T> {
    fn new(lanes: Option<(Lane<A>, Lane<T>)>) -> Self {
        let Some(((asks_in, asks_out), (tells_in, tells_out))) = lanes else {
            return Self { inlets: None, outlets: None };
        };
        Self { inlets: Some((asks_in, tells_in)), outlets: Some((asks_out, tells_out)) }
    }
}

impl<A, T> Port<A, T> {
    /// Which core this is.
    pub fn core(&self) -> Core {
        self.core
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.pairs.len()
    }

    /// This core's bell.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Sends an ask; hands it back when the lane is full. Panics on a message to this core itself
    /// or to one that does not exist: such a message would never be answered.
    ///
    /// The other core is woken by [`Self::wake_written`], once for all that was sent before it.
    pub fn send_ask(&mut self, to: Core, ask: A) -> Result<(), A> {
        let pair = self.pair(to);
        pair.asks_out.put(ask)?;
        pair.written = true;
        Ok(())
    }

    /// Sends a tell, as [`Self::send_ask`] does.
    pub fn send_tell(&mut self, to: Core, tell: T) -> Result<(), T> {
        let pair = self.pair(to);
        pair.tells_out.put(tell)?;
        pair.written = true;
        Ok(())
    }

    /// Asks that surely fit now.
    pub fn ask_room(&mut self, to: Core) -> usize {
        self.pair(to).asks_out.room()
    }

    /// Tells that surely fit now.
    pub fn tell_room(&mut self, to: Core) -> usize {
        self.pair(to).tells_out.room()
    }

    /// Takes up to `budget` letters, starting with another core each time; from one core tells
    /// before asks, each in the order sent. Returns how many were taken.
    pub fn drain(&mut self, budget: usize, mut take: impl FnMut(Core, Letter<A, T>)) -> usize {
        let cores = self.pairs.len();
        // Each core its share, so that a busy one does not keep the others waiting.
        let share = budget.div_ceil(cores.saturating_sub(1).max(1));
        let mut taken = 0;
        for offset in 0..cores {
            let from = (self.first + offset) % cores;
            let Some(pair) = &self.pairs[from] else { continue };
            let most = share.min(budget - taken);
            let mut here = 0;
            while here < most {
                let letter = match pair.tells_in.take() {
                    Some(tell) => Letter::Tell(tell),
                    None => match pair.asks_in.take() {
                        Some(ask) => Letter::Ask(ask),
                        None => break,
                    },
                };
                take(Core(from as u16), letter);
                here += 1;
            }
            taken += here;
        }
        self.first = (self.first + 1) % cores;
        taken
    }

    /// Whether no letter waits. Before a sleep: only after [`Bell::lie_down`].
    pub fn is_quiet(&self) -> bool {
        self.pairs.iter().flatten().all(|pair| pair.tells_in.is_empty() && pair.asks_in.is_empty())
    }

    /// Wakes the cores something was sent to, if they sleep. Once at the end of a turn; without it
    /// a letter waits until its receiver wakes for another reason.
    pub fn wake_written(&mut self) {
        for pair in self.pairs.iter_mut().flatten() {
            if std::mem::take(&mut pair.written) {
                pair.bell.ring_if_asleep();
            }
        }
    }

    fn pair(&mut self, to: Core) -> &mut Pair<A, T> {
        self.pairs[usize::from(to.0)].as_mut().expect("a core does not write to itself")
    }
}

#[cfg(test)]
mod tests;
