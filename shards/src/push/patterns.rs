//! Which patterns are watched from this home core, and names on their way to their watchers.
//!
//! The directory core says which names came or went; here they are matched with patterns once more,
//! because a message goes to every client that watches *any* matching pattern (`naming.md` 8.4).
//! Telling them is a cursor, like the fan-out of services.

use crate::message::NameChange;
use crate::naming::fuzzy::{Name, Pattern};
use crate::slab::Slab;
use ahash::RandomState;
use std::collections::{HashMap, VecDeque};

/// The patterns watched from this home core, of one module.
#[derive(Debug)]
pub struct Patterns<N> {
    records: Slab<Watched>,
    by_text: HashMap<Box<str>, u32, RandomState>,
    /// Names that came or went, their watchers not all told yet.
    fans: HashMap<N, NameFan, RandomState>,
    fanning: VecDeque<N>,
    /// Connections with messages due.
    ready: VecDeque<u32>,
}

#[derive(Debug)]
struct Watched {
    pattern: Pattern,
    /// Slots, in no order.
    watchers: Vec<u32>,
}

/// One name on its way to its watchers.
#[derive(Debug)]
struct NameFan {
    change: NameChange,
    /// Patterns left, each with the place below which watchers were not told. Numbers of patterns
    /// may have been used again: they are matched once more.
    left: Vec<(u32, u32)>,
    /// It changed again since some were told.
    again: bool,
}

impl<N: Name> Patterns<N> {
    pub fn new(hasher: RandomState) -> Self {
        Self {
            records: Slab::default(),
            by_text: HashMap::with_hasher(hasher.clone()),
            fans: HashMap::with_hasher(hasher),
            fanning: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Whether something can be handed out now.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.fanning.is_empty()
    }

    /// Forgets what was to be handed out.
    pub fn stop(&mut self) {
        self.ready = VecDeque::new();
        self.fanning = VecDeque::new();
        self.fans.clear();
    }

    /// Patterns watched.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether anybody watches this pattern.
    pub fn has(&self, text: &str) -> bool {
        self.by_text.contains_key(text)
    }

    /// A connection watches a pattern from here on.
    pub fn join(&mut self, text: &str, slot: u32) {
        let index = match self.by_text.get(text) {
            Some(index) => *index,
            None => {
                let Some(pattern) = Pattern::parse(text) else { return };
                let record = Watched { pattern, watchers: Vec::new() };
                let index = self.records.insert(record);
                self.by_text.insert(text.into(), index);
                index
            }
        };
        self.records[index].watchers.push(slot);
    }

    /// It does not any more.
    pub fn leave(&mut self, text: &str, slot: u32) {
        let Some(index) = self.by_text.get(text).copied() else { return };
        let watchers = &mut self.records[index].watchers;
        if let Some(place) = watchers.iter().position(|watcher| *watcher == slot) {
            watchers.swap_remove(place);
        }
        if watchers.is_empty() {
            self.by_text.remove(text);
            self.records.remove(index);
        }
    }

    fn matching(&self, service: &N) -> Vec<(u32, u32)> {
        let matching = self.records.iter().filter(|(_, record)| record.pattern.matches(service));
        matching.map(|(index, record)| (index, record.watchers.len() as u32)).collect()
    }

    /// A name came or went: its watchers are to be told. What was being told of it already gives
    /// way.
    pub fn announce(&mut self, service: N, change: NameChange) {
        if let Some(fan) = self.fans.get_mut(&service) {
            fan.change = change;
            fan.again = true;
            return;
        }
        let left = self.matching(&service);
        if !left.is_empty() {
            self.fans.insert(service.clone(), NameFan { change, left, again: false });
            self.fanning.push_back(service);
        }
    }

    /// Who is to be told next, and what.
    pub fn next_told(&mut self) -> Option<(u32, N, NameChange)> {
        while let Some(service) = self.fanning.front().cloned() {
            if let Some((slot, change)) = self.next_watcher(&service) {
                return Some((slot, service, change));
            }
            let fan = self.fans.get_mut(&service).expect("one for each name in the list");
            if fan.again {
                fan.again = false;
                let left = self.matching(&service);
                self.fans.get_mut(&service).expect("looked at above").left = left;
                continue;
            }
            self.fans.remove(&service);
            self.fanning.pop_front();
        }
        None
    }

    /// The next watcher of this round.
    fn next_watcher(&mut self, service: &N) -> Option<(u32, NameChange)> {
        let fan = self.fans.get_mut(service)?;
        while let Some((index, below)) = fan.left.last_mut() {
            let record = self.records.get(*index).filter(|record| record.pattern.matches(service));
            let watchers = record.map_or(&[][..], |record| &record.watchers);
            *below = (*below).min(watchers.len() as u32);
            if *below == 0 {
                fan.left.pop();
                continue;
            }
            *below -= 1;
            return Some((watchers[*below as usize], fan.change));
        }
        None
    }

    /// Has a connection's messages looked at.
    pub fn look_at(&mut self, slot: u32) {
        self.ready.push_back(slot);
    }

    /// The next connection whose messages are to be looked at.
    pub fn next_ready(&mut self) -> Option<u32> {
        self.ready.pop_front()
    }
}
