//! What travels between cores: bounded lanes with delays, in order per lane, in no order between
//! lanes.

use crate::key::{Core, Map};
use crate::limits::LaneLimits;
use crate::message::{Ask, Tell};
use crate::sim::random::Random;
use std::collections::{BTreeMap, VecDeque};

/// Where a shard runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Always 0 while there is one node.
    pub node: u16,
    pub core: Core,
}

/// What travels.
#[derive(Debug)]
pub enum Parcel {
    Ask(Ask),
    Tell(Tell),
}

impl Parcel {
    /// Changes share the answers' lane, but not their places in it.
    fn is_change(&self) -> bool {
        matches!(self, Parcel::Tell(Tell::Changed { .. } | Tell::NameChanged { .. }))
    }
}

/// Two lanes for each ordered pair of places: asks, and answers with changes.
#[derive(Debug)]
pub struct Net {
    limits: LaneLimits,
    lanes: BTreeMap<(Place, Place, bool), Lane>,
    /// Parcels carried.
    pub carried: u64,
}

#[derive(Debug, Default)]
struct Lane {
    parcels: VecDeque<(u64, Parcel)>,
    changes: usize,
    last_ms: u64,
}

impl Net {
    pub fn new(map: Map, limits: Option<LaneLimits>) -> Self {
        let limits = limits.unwrap_or(LaneLimits::for_cores(usize::from(map.cores)));
        Self { limits, lanes: BTreeMap::new(), carried: 0 }
    }

    /// Puts a parcel on its way; it arrives at the returned time. A lane that overflows is a broken
    /// promise of the sender.
    pub fn send(
        &mut self,
        from: Place,
        to: Place,
        parcel: Parcel,
        arrives_ms: u64,
    ) -> Result<u64, String> {
        let asks = matches!(parcel, Parcel::Ask(_));
        let room = if asks { self.limits.ask_lane() } else { self.limits.tell_lane() };
        let lane = self.lanes.entry((from, to, asks)).or_default();
        lane.changes += usize::from(parcel.is_change());
        if lane.parcels.len() >= room || lane.changes > self.limits.changes_max {
            return Err(format!("the lane from {from:?} to {to:?} overflows with {parcel:?}"));
        }
        self.carried += 1;
        lane.last_ms = lane.last_ms.max(arrives_ms);
        lane.parcels.push_back((lane.last_ms, parcel));
        Ok(lane.last_ms)
    }

    /// How many changes the lane to `to` takes now.
    pub fn room_for_changes(&self, from: Place, to: Place) -> usize {
        let waiting = self.lanes.get(&(from, to, false)).map_or(0, |lane| lane.changes);
        self.limits.changes_max - waiting
    }

    /// A parcel that has arrived at `to`, of any lane.
    pub fn take(&mut self, to: Place, now_ms: u64, random: &mut Random) -> Option<(Place, Parcel)> {
        let arrived = |lane: &Lane| lane.parcels.front().is_some_and(|parcel| parcel.0 <= now_ms);
        let mut lanes: Vec<_> =
            self.lanes.iter_mut().filter(|(key, lane)| key.1 == to && arrived(lane)).collect();
        if lanes.is_empty() {
            return None;
        }
        let at = random.below(lanes.len() as u64) as usize;
        let (key, lane) = &mut lanes[at];
        let (_, parcel) = lane.parcels.pop_front()?;
        lane.changes -= usize::from(parcel.is_change());
        Some((key.0, parcel))
    }

    /// When the next parcel for `to` arrives.
    pub fn next_ms(&self, to: Place) -> Option<u64> {
        let mine = self.lanes.iter().filter(|(key, _)| key.1 == to);
        mine.filter_map(|(_, lane)| lane.parcels.front().map(|parcel| parcel.0)).min()
    }

    /// Parcels under way.
    pub fn under_way(&self) -> usize {
        self.lanes.values().map(|lane| lane.parcels.len()).sum()
    }
}
