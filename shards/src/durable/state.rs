//! The replicated state: what committed commands made of it. Lives on the Raft core.
//!
//! Applying is total and deterministic: any bytes give an answer, equal bytes in equal order give
//! equal state, answers and records, whatever the node, its clock or its settings. What readers see
//! changes only in [`State::settle`] and [`State::loaded`], so that a batch appears whole and reads
//! go on while a snapshot is loaded.

use crate::config::entry::{self, Entry};
use crate::config::table::{Tables, Working};
use crate::durable::answer::Answer;
use crate::durable::capacity::Capacities;
use crate::durable::command::Command;
use crate::durable::history::{History, Weight};
use crate::durable::identity::Identity;
use crate::durable::namespace::Namespaces;
use crate::durable::record;
use crate::durable::services::Services;
use crate::durable::switches::Switched;
use crate::durable::{Record, Table};
use crate::key::{ConfigKey, SLOTS};
use crate::message::NameChange;
use nacre_proto::code::Code;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What all cores are told of one config, once per batch of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: ConfigKey,
    /// Whoever listens to it has to look again.
    pub told: bool,
    /// The formal config appeared or vanished.
    pub presence: Option<NameChange>,
}

/// A config that commands changed since the last [`State::settle`].
#[derive(Debug)]
pub(super) struct Touched {
    pub key: ConfigKey,
    /// The formal config was there before.
    pub existed: bool,
    pub told: bool,
}

/// The state.
#[derive(Debug)]
pub struct State {
    tables: Arc<Tables>,
    pub(super) configs: Working,
    pub(super) census: Census,
    pub(super) history: History,
    pub(super) namespaces: Namespaces,
    pub(super) capacities: Capacities,
    pub(super) identity: Identity,
    pub(super) services: Services,
    pub(super) switches: Switched,
    /// Counts every change; numbers of rows are taken from it.
    pub(super) revision: u64,
    pub(super) touched: Vec<Touched>,
    /// History rows that were loaded, in no order: number, time, weight, config.
    unsorted: Vec<(u64, u64, Weight, ConfigKey)>,
}

/// Formal configs by namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub total: usize,
    by_namespace: BTreeMap<Box<str>, usize>,
}

impl Census {
    pub fn of(&self, namespace: &str) -> usize {
        self.by_namespace.get(namespace).copied().unwrap_or(0)
    }

    pub fn appeared(&mut self, namespace: &str) {
        self.total += 1;
        match self.by_namespace.get_mut(namespace) {
            Some(count) => *count += 1,
            None => _ = self.by_namespace.insert(namespace.into(), 1),
        }
    }

    pub fn vanished(&mut self, namespace: &str) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_namespace.get_mut(namespace) {
            *count -= 1;
            if *count == 0 {
                self.by_namespace.remove(namespace);
            }
        }
    }
}

impl State {
    /// An empty state that shows itself to readers through `tables`.
    pub fn new(tables: Arc<Tables>) -> Self {
        Self {
            tables,
            configs: Working::default(),
            census: Census::default(),
            history: History::default(),
            namespaces: Namespaces::default(),
            capacities: Capacities::default(),
            identity: Identity::default(),
            services: Services::default(),
            switches: Switched::default(),
            revision: 0,
            touched: Vec::new(),
            unsorted: Vec::new(),
        }
    }

    /// Carries out one committed command of the log entry `index`. What changed on disk is added to
    /// `records`. About 5 µs for a KiB.
    pub fn apply(&mut self, _index: u64, command: &[u8], records: &mut Vec<Record>) -> Answer {
        let before = self.revision;
        let answer = match Command::decode(command) {
            Ok(Command::Publish(publish)) => self.publish(&publish, records),
            Ok(Command::Remove(remove)) => self.remove(&remove, records),
            Ok(Command::CreateNamespace(draft)) => self.create_namespace(&draft, records),
            Ok(Command::UpdateNamespace(draft)) => self.update_namespace(&draft, records),
            Ok(Command::DeleteNamespace { id }) => self.delete_namespace(id, records),
            Ok(Command::SweepHistory { before_ms }) => {
                self.history.sweep(before_ms, records);
                self.done()
            }
            Ok(Command::SetCapacity(draft)) => self.set_capacity(&draft, records),
            Ok(Command::Identity(change)) => self.change_identity(&change, records),
            Ok(Command::Naming(change)) => self.change_services(&change, records),
            Ok(Command::SetSwitch { entry, value }) => self.set_switch(entry, value, records),
            Err(why) => Answer::refused(Code::ServerError, why),
        };
        if self.revision != before {
            records.push(record::revision(self.revision));
        }
        answer
    }

    /// After each batch of applied entries, before their answers are given: readers see it from
    /// here on. What every core has to be told.
    pub fn settle(&mut self) -> Arc<[Change]> {
        self.configs.publish(&self.tables);
        self.services.settle(self.tables.services());
        if std::mem::take(&mut self.identity.touched) {
            self.tables.identities().show(&self.identity.there);
        }
        if std::mem::take(&mut self.switches.touched) {
            self.tables.switches().show(&self.switches.sets);
        }
        self.tables.set_configs(self.census.total);
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_by(|a, b| a.key.cmp(&b.key));
        let mut changes: Vec<Change> = Vec::with_capacity(touched.len());
        for same in touched.chunk_by(|a, b| a.key == b.key) {
            let exists = self.exists(&same[0].key);
            let presence = presence(same[0].existed, exists);
            let told = same.iter().any(|touched| touched.told);
            if told || presence.is_some() {
                changes.push(Change { key: same[0].key.clone(), told, presence });
            }
        }
        // The vector's memory is used again.
        touched.clear();
        self.touched = touched;
        changes.into()
    }

    /// After [`State::settle`] or [`State::loaded`]: the slots where services changed, whose owners
    /// must look. Empty when asked again.
    pub fn touched_slots(&mut self) -> Arc<[u32]> {
        self.services.take_touched()
    }

    /// Forgets everything, for a snapshot or a store opened anew. Readers go on seeing what there
    /// was.
    pub fn clear(&mut self) {
        self.configs.clear();
        self.census = Census::default();
        self.history.clear();
        self.namespaces = Namespaces::default();
        self.capacities = Capacities::default();
        self.identity = Identity { touched: true, ..Identity::default() };
        self.services.clear();
        self.switches = Switched { touched: true, ..Switched::default() };
        self.revision = 0;
        self.touched.clear();
        self.unsorted.clear();
    }

    /// Takes in one record of a checkpoint or snapshot, in any order of tables.
    ///
    /// # Errors
    /// A sentence on what is wrong with it; nothing was taken in then.
    pub fn load(&mut self, record: Record) -> Result<(), String> {
        let table = record.table;
        self.take_in(&record).map_err(|why| format!("a record of {table:?}: {why}"))
    }

    fn take_in(&mut self, record: &Record) -> Result<(), &'static str> {
        let Some(value) = &record.value else { return Err("it is gone") };
        match record.table {
            Table::Config => {
                let name = record::read_config_key(&record.key)?;
                let formal = record::read_config(value)?;
                self.load_entry(ConfigKey::new(name), |entry| {
                    entry.formal = Some(formal);
                });
                self.census.appeared(name.namespace);
            }
            Table::Gray => {
                let (name, gray) = record::read_gray_key(&record.key)?;
                let gray = record::read_gray(gray, value)?;
                self.load_entry(ConfigKey::new(name), |entry| {
                    let mut grays = std::mem::take(&mut entry.grays).into_vec();
                    grays.push(gray);
                    entry::sort(&mut grays);
                    entry.grays = grays.into();
                });
            }
            Table::History => {
                let number = record::read_history_key(&record.key)?;
                let (row, _, weight) = record::read_history(value)?;
                // The configs' own names are shared where there are any.
                let key = match self.configs.get(row.name) {
                    Some(entry) => entry.key.clone(),
                    None => ConfigKey::new(row.name),
                };
                self.unsorted.push((number, row.at_ms, weight, key));
            }
            Table::Namespace => self.namespaces.load(&record.key, value)?,
            Table::Capacity => self.capacities.load(&record.key, value)?,
            Table::Global if *record.key == *super::switches::KEY => self.switches.load(value)?,
            Table::Global => self.revision = record::read_revision(&record.key, value)?,
            Table::Identity => self.identity.load(&record.key, value)?,
            Table::Instance => self.services.load_instance(&record.key, value)?,
            Table::Metadata => self.services.load_metadata(&record.key, value)?,
            // Whoever hands it in has read it for nothing.
            Table::Past => {}
        }
        Ok(())
    }

    fn load_entry(&mut self, key: ConfigKey, change: impl FnOnce(&mut Entry)) {
        let mut entry = match self.configs.get(key.name()) {
            Some(known) => Entry {
                key: known.key.clone(),
                formal: known.formal.clone(),
                grays: known.grays.clone(),
            },
            None => Entry { key, formal: None, grays: [].into() },
        };
        change(&mut entry);
        self.configs.put(Arc::new(entry));
    }

    /// After the last [`State::load`]: readers see the state from here on, at the first start once
    /// the log behind it was replayed ([`Tables::set_ready`]). What every core has to be told:
    /// nothing at the first start, when nobody can have listened.
    pub fn loaded(&mut self) -> Arc<[Change]> {
        let mut rows = std::mem::take(&mut self.unsorted);
        rows.sort_unstable_by_key(|row| row.0);
        for (number, at_ms, weight, key) in rows {
            self.history.add(number, at_ms, weight, &key);
        }
        if self.tables.is_ready() {
            self.touch_differences();
        }
        self.settle()
    }

    /// Everything that is not as readers see it was touched.
    fn touch_differences(&mut self) {
        for slot in 0..SLOTS {
            for old in self.tables.slot(slot).entries() {
                let told = self.configs.get(old.key.name()).is_none_or(|new| **new != **old);
                let existed = old.formal.is_some();
                self.touched.push(Touched { key: old.key.clone(), existed, told });
            }
        }
        for new in self.configs.iter() {
            if self.tables.get(new.key.name()).is_none() {
                self.touched.push(Touched { key: new.key.clone(), existed: false, told: true });
            }
        }
    }

    pub(super) fn exists(&self, key: &ConfigKey) -> bool {
        self.configs.get(key.name()).is_some_and(|entry| entry.formal.is_some())
    }

    pub(super) fn done(&self) -> Answer {
        Answer::Done { revision: self.revision }
    }

    /// What readers see.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// The index of history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Namespaces that were created.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Quotas that were set.
    pub fn capacities(&self) -> &Capacities {
        &self.capacities
    }

    /// Formal configs of a namespace.
    pub fn configs_of(&self, namespace: &str) -> usize {
        self.census.of(namespace)
    }

    /// Changes so far.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

fn presence(existed: bool, exists: bool) -> Option<NameChange> {
    match (existed, exists) {
        (false, true) => Some(NameChange::Added),
        (true, false) => Some(NameChange::Deleted),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
