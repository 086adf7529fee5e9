//! Quotas that were set for namespaces and groups (`config.md` 12). Who has none goes by the
//! settings, which commands carry.

use crate::durable::answer::Answer;
use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::durable::command::{CapacityDraft, Scope, Sizes};
use crate::durable::record;
use crate::durable::state::State;
use crate::durable::{Record, Table};
use std::collections::BTreeMap;

/// One quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    pub sizes: Sizes,
    /// Unix milliseconds.
    pub created_ms: u64,
    pub modified_ms: u64,
}

/// All of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Capacities(BTreeMap<(Scope, Box<str>), Capacity>);

impl Capacities {
    pub fn get(&self, scope: Scope, id: &str) -> Option<&Capacity> {
        // A quota is rare, and the look-up by borrowed parts is not worth a key type.
        if self.0.is_empty() { None } else { self.0.get(&(scope, id.into())) }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Scope, &str, &Capacity)> {
        self.0.iter().map(|((scope, id), capacity)| (*scope, &**id, capacity))
    }

    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        let mut reader = Reader::new(key);
        let scope = Scope::of(reader.u8()?)?;
        let id = reader.text()?;
        reader.finish()?;
        let mut reader = record::read_value(value)?;
        let capacity = Capacity {
            sizes: Sizes::read(&mut reader)?,
            created_ms: reader.u64()?,
            modified_ms: reader.u64()?,
        };
        reader.finish()?;
        self.0.insert((scope, id.into()), capacity);
        Ok(())
    }
}

impl State {
    pub(super) fn set_capacity(
        &mut self,
        draft: &CapacityDraft<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        self.revision += 1;
        let known = self.capacities.get(draft.scope, draft.id);
        let created_ms = known.map_or(draft.at_ms, |known| known.created_ms);
        let capacity = Capacity { sizes: draft.sizes, created_ms, modified_ms: draft.at_ms };
        let mut key = Writer::with_capacity(draft.id.len() + 4);
        key.u8(draft.scope as u8);
        key.text(draft.id);
        let mut writer = record::value(40);
        capacity.sizes.write(&mut writer);
        writer.u64(capacity.created_ms);
        writer.u64(capacity.modified_ms);
        records.push(record::there(Table::Capacity, key.finish().into(), writer));
        self.capacities.0.insert((draft.scope, draft.id.into()), capacity);
        self.done()
    }
}
