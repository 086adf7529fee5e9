//! What travels between cores: bounded lanes with delays, in order per lane, in no order between
//! lanes.

use crate::key::{Core, Map};
use crate::limits::LaneLimits;
use crate::message::{Ask, Tell};
use crate::sim::random::Random;
use std::collections::VecDeque;

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
        matches!(self, Parcel::Tell(tell) if !tell.is_answer())
    }
}

/// Two lanes for each ordered pair of places: asks, and answers with changes.
#[derive(Debug)]
pub struct Net {
    limits: LaneLimits,
    /// Places of one node.
    cores: usize,
    /// Those to the first place, then those to the second, …; two for each place they come from.
    lanes: Vec<Lane>,
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
        let cores = usize::from(map.cores);
        let lanes = (0..cores * cores * 2).map(|_| Lane::default()).collect();
        Self { limits, cores, lanes, carried: 0 }
    }

    /// The number of a place.
    fn number(&self, place: Place) -> usize {
        usize::from(place.node) * self.cores + usize::from(place.core.0)
    }

    /// The lanes that end at a place.
    fn lanes_to(&self, place: Place) -> &[Lane] {
        &self.lanes[self.number(place) * self.cores * 2..][..self.cores * 2]
    }

    fn at(&self, from: Place, to: Place, asks: bool) -> usize {
        (self.number(to) * self.cores + self.number(from)) * 2 + usize::from(asks)
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
        let at = self.at(from, to, asks);
        let lane = &mut self.lanes[at];
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
        self.limits.changes_max - self.lanes[self.at(from, to, false)].changes
    }

    /// A parcel that has arrived at `to`, of any lane.
    pub fn take(&mut self, to: Place, now_ms: u64, random: &mut Random) -> Option<(Place, Parcel)> {
        let arrived = |lane: &Lane| lane.parcels.front().is_some_and(|parcel| parcel.0 <= now_ms);
        let count = self.lanes_to(to).iter().filter(|lane| arrived(lane)).count();
        if count == 0 {
            return None;
        }
        let chosen = random.below(count as u64) as usize;
        let mut lanes = self.lanes_to(to).iter().enumerate().filter(|(_, lane)| arrived(lane));
        let (at, _) = lanes.nth(chosen)?;
        let start = self.number(to) * self.cores * 2;
        let lane = &mut self.lanes[start + at];
        let (_, parcel) = lane.parcels.pop_front()?;
        lane.changes -= usize::from(parcel.is_change());
        Some((Place { node: to.node, core: Core((at / 2) as u16) }, parcel))
    }

    /// When the next parcel for `to` arrives.
    pub fn next_ms(&self, to: Place) -> Option<u64> {
        let first = |lane: &Lane| lane.parcels.front().map(|parcel| parcel.0);
        self.lanes_to(to).iter().filter_map(first).min()
    }

    /// Parcels under way.
    pub fn under_way(&self) -> usize {
        self.lanes.iter().map(|lane| lane.parcels.len()).sum()
    }
}
