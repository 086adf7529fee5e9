//! What the Raft core has to tell the other cores: which configs changed, that services did, and
//! what became of proposals.
//!
//! Every answer has its place in the lane it goes back on. A change has none, so it waits here for
//! room: one batch for all cores, and what waits long is merged into one batch of each config once,
//! so that a core that does not keep up costs at most one entry a config. A change leaves before
//! the answers of its batch wherever there is room; correctness does not need it, since the tables
//! were swapped before either.

use crate::durable::state::Change;
use crate::effect::Effect;
use crate::key::{Core, Home, Map};
use crate::message::{NameChange, Tell};
use std::collections::VecDeque;
use std::sync::Arc;

/// Batches that wait for one core before they are merged.
const BATCHES_MAX: usize = 64;

/// Lives on the Raft core; empty on all others.
#[derive(Debug, Default)]
pub struct Publisher {
    /// By core.
    changes: Vec<VecDeque<Arc<[Change]>>>,
    answers: VecDeque<(Core, Tell)>,
    /// By core: services it owns changed, and it was not told since. Coalesces to one bit.
    services: Vec<bool>,
}

impl Publisher {
    pub fn new(cores: usize) -> Self {
        Self {
            changes: vec![VecDeque::new(); cores],
            answers: VecDeque::new(),
            services: vec![false; cores],
        }
    }

    /// Configs changed; the tables show it already.
    pub fn settled(&mut self, changes: &Arc<[Change]>) {
        if changes.is_empty() {
            return;
        }
        for waiting in &mut self.changes {
            waiting.push_back(changes.clone());
            if waiting.len() > BATCHES_MAX {
                let merged = merge(waiting.drain(..));
                waiting.push_back(merged);
            }
        }
    }

    /// Services of these slots changed; the tables show it already. The core itself has looked.
    pub fn services_settled(&mut self, map: Map, own: Core, slots: &[u32]) {
        for slot in slots {
            let core = map.core_of_slot(*slot);
            self.services[usize::from(core.0)] |= core != own;
        }
    }

    /// A proposal was answered.
    pub fn answered(&mut self, to: Core, tell: Tell) {
        self.answers.push_back((to, tell));
    }

    /// Whether anything waits.
    pub fn pending(&self) -> bool {
        let changes = self.changes.iter().any(|waiting| !waiting.is_empty());
        !self.answers.is_empty() || changes || self.services.contains(&true)
    }

    /// Sends what there is room for; `room` is counted down. True: some changes have to wait.
    pub fn drain(&mut self, room: &mut [usize], sent: &mut Vec<Effect>) -> bool {
        for (core, waits) in self.services.iter_mut().enumerate() {
            if *waits && room[core] > 0 {
                *waits = false;
                room[core] -= 1;
                let to = Home(Core(core as u16));
                sent.push(Effect::Tell { to, tell: Tell::ServicesChanged });
            }
        }
        for (core, waiting) in self.changes.iter_mut().enumerate() {
            let to = Home(Core(core as u16));
            while room[core] > 0
                && let Some(changes) = waiting.pop_front()
            {
                room[core] -= 1;
                sent.push(Effect::Tell { to, tell: Tell::ConfigsChanged { changes } });
            }
        }
        for (to, tell) in self.answers.drain(..) {
            sent.push(Effect::Tell { to: Home(to), tell });
        }
        let changes = self.changes.iter().any(|waiting| !waiting.is_empty());
        changes || self.services.contains(&true)
    }
}

/// Each config once: told if any of them told, appeared or vanished as the last one says.
fn merge(batches: impl Iterator<Item = Arc<[Change]>>) -> Arc<[Change]> {
    let mut all: Vec<Change> = batches.flat_map(|batch| batch.to_vec()).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    let merged: Vec<Change> = all
        .chunk_by(|a, b| a.key == b.key)
        .map(|same| {
            // Who watches names hears of it again rather than not at all.
            let last: Option<NameChange> = same.iter().rev().find_map(|change| change.presence);
            let told = same.iter().any(|change| change.told);
            Change { key: same[0].key.clone(), told, presence: last }
        })
        .collect();
    merged.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ConfigKey, ConfigName};

    fn change(data_id: &str, told: bool, presence: Option<NameChange>) -> Change {
        let name = ConfigName { data_id, group: "g", namespace: "public" };
        Change { key: ConfigKey::new(name), told, presence }
    }

    fn drained(publisher: &mut Publisher, room: &mut [usize]) -> (Vec<(u16, usize)>, bool) {
        let mut sent = Vec::new();
        let left = publisher.drain(room, &mut sent);
        let size = |effect: &Effect| match effect {
            Effect::Tell { to, tell: Tell::ConfigsChanged { changes } } => (to.0.0, changes.len()),
            Effect::Tell { to, .. } => (to.0.0, 0),
            other => panic!("{other:?}"),
        };
        (sent.iter().map(size).collect(), left)
    }

    #[test]
    fn changes_go_before_answers_and_wait_for_room() {
        let mut publisher = Publisher::new(2);
        assert!(!publisher.pending());
        publisher.settled(&Arc::from([]));
        assert!(!publisher.pending(), "nothing changed, nobody is told");
        publisher.settled(&Arc::from([change("a", true, None)]));
        publisher.answered(Core(1), Tell::Confirmed);
        assert_eq!(drained(&mut publisher, &mut [5, 0]), (vec![(0, 1), (1, 0)], true));
        assert!(publisher.pending());
        let mut room = [5, 5];
        assert_eq!(drained(&mut publisher, &mut room), (vec![(1, 1)], false));
        assert_eq!((room, publisher.pending()), ([5, 4], false));
    }

    #[test]
    fn what_waits_long_is_merged_and_loses_nothing() {
        let mut publisher = Publisher::new(1);
        let batch = |last| {
            let presence = if last { NameChange::Deleted } else { NameChange::Added };
            Arc::from([change("a", !last, Some(presence)), change("b", false, None)])
        };
        for at in 0..=BATCHES_MAX {
            publisher.settled(&batch(at == BATCHES_MAX));
        }
        assert_eq!(publisher.changes[0].len(), 1);
        let merged = &publisher.changes[0][0];
        assert_eq!(merged[0], change("a", true, Some(NameChange::Deleted)));
        assert_eq!(merged[1], change("b", false, None));
        assert_eq!(merged.len(), 2);
    }
}
