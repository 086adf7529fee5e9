//! The tables of configs every core reads without a hop.
//!
//! One immutable table a slot. The Raft core is the only writer: it changes its own copy, then puts
//! the touched slots in place of the old ones, which go when their last reader has let go of them.
//! Readers take no lock and count nothing: `arc-swap`, the one exception to "cores share nothing"
//! beside the mesh.

use crate::auth;
use crate::config::entry::Entry;
use crate::config::names::Names;
use crate::key::{ConfigKey, ConfigName, SLOTS, slot_of_hash};
use crate::naming::shared::Shared;
use crate::naming::switches;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The configs of one slot, in order of hash, then name.
#[derive(Debug, Default, Clone)]
pub struct Slot<E = Box<[Arc<Entry>]>, H = Box<[u64]>> {
    entries: E,
    /// Of each entry: a search touches a line or two of these, and the one entry it finds. With
    /// 64,000 configs, searching by name cost a fifth of a start.
    hashes: H,
}

impl<E: AsRef<[Arc<Entry>]>, H: AsRef<[u64]>> Slot<E, H> {
    /// One config. Some twenty entries a slot at 100,000 configs.
    pub fn get(&self, name: ConfigName<'_>) -> Option<&Arc<Entry>> {
        self.find(name.hash(), name).ok().map(|at| &self.entries()[at])
    }

    /// All of them.
    pub fn entries(&self) -> &[Arc<Entry>] {
        self.entries.as_ref()
    }

    /// Where a name is, or belongs.
    fn find(&self, hash: u64, name: ConfigName<'_>) -> Result<usize, usize> {
        let hashes = self.hashes.as_ref();
        let from = hashes.partition_point(|other| *other < hash);
        // Names may be made to have equal hashes, so there may be many.
        let same = hashes[from..].partition_point(|other| *other == hash);
        let found =
            self.entries()[from..from + same].binary_search_by(|entry| entry.key.name().cmp(&name));
        found.map(|at| from + at).map_err(|at| from + at)
    }
}

/// What all cores read.
#[derive(Debug)]
pub struct Tables {
    slots: Box<[ArcSwap<Slot>]>,
    names: ArcSwap<Names>,
    ready: AtomicBool,
    configs: AtomicUsize,
    identities: auth::Shared,
    switches: switches::Shared,
    services: Shared,
}

impl Default for Tables {
    fn default() -> Self {
        let empty = Arc::new(Slot::default());
        Self {
            slots: (0..SLOTS).map(|_| ArcSwap::new(empty.clone())).collect(),
            names: ArcSwap::default(),
            ready: AtomicBool::new(false),
            configs: AtomicUsize::new(0),
            identities: auth::Shared::default(),
            switches: switches::Shared::default(),
            services: Shared::default(),
        }
    }
}

impl Tables {
    /// Whether the log was replayed. Until then nothing may be answered: a client that hears "no
    /// such config" deletes what it has.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The table of one slot, as it is now. To be let go of within the turn.
    pub fn slot(&self, slot: u32) -> Guard<Arc<Slot>> {
        self.slots[slot as usize].load()
    }

    /// One config, as it is now.
    pub fn get(&self, name: ConfigName<'_>) -> Option<Arc<Entry>> {
        let hash = name.hash();
        let slot = self.slot(slot_of_hash(hash));
        slot.find(hash, name).ok().map(|at| slot.entries[at].clone())
    }

    /// The names of formal configs in order, as they are now. A name may be here a moment before
    /// or after its config is in its slot.
    pub fn names(&self) -> Arc<Names> {
        self.names.load_full()
    }

    /// Formal configs there are.
    pub fn configs(&self) -> usize {
        self.configs.load(Ordering::Relaxed)
    }

    /// Users, roles and permissions, from the same log.
    pub fn identities(&self) -> &auth::Shared {
        &self.identities
    }

    /// What an operator switched, from the same log and on this node alone.
    pub fn switches(&self) -> &switches::Shared {
        &self.switches
    }

    /// Services and persistent instances, from the same log.
    pub fn services(&self) -> &Shared {
        &self.services
    }

    /// The checkpoint was loaded and the log behind it replayed: what is in the tables counts from
    /// here on.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn set_configs(&self, configs: usize) {
        self.configs.store(configs, Ordering::Relaxed);
    }
}

type WorkingSlot = Slot<Vec<Arc<Entry>>, Vec<u64>>;

/// The writer's copy. Lives on the Raft core.
#[derive(Debug)]
pub struct Working {
    slots: Box<[WorkingSlot]>,
    touched: Vec<u32>,
    is_touched: Box<[bool]>,
    len: usize,
    names: Names,
    /// Names of formal configs that came or went since the last [`Working::publish`].
    renamed: Vec<(ConfigKey, bool)>,
}

impl Default for Working {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| WorkingSlot::default()).collect(),
            touched: Vec::new(),
            is_touched: vec![false; SLOTS as usize].into(),
            len: 0,
            names: Names::default(),
            renamed: Vec::new(),
        }
    }
}

impl Working {
    pub fn get(&self, name: ConfigName<'_>) -> Option<&Arc<Entry>> {
        let hash = name.hash();
        let slot = &self.slots[slot_of_hash(hash) as usize];
        slot.find(hash, name).ok().map(|at| &slot.entries[at])
    }

    /// Puts an entry in place of the one of its name, if there is one.
    pub fn put(&mut self, entry: Arc<Entry>) {
        let name = entry.key.name();
        let hash = name.hash();
        let number = slot_of_hash(hash);
        let slot = &mut self.slots[number as usize];
        let (key, is_formal) = (entry.key.clone(), entry.formal.is_some());
        let was_formal = match slot.find(hash, name) {
            Ok(at) => std::mem::replace(&mut slot.entries[at], entry).formal.is_some(),
            Err(at) => {
                self.len += 1;
                slot.entries.insert(at, entry);
                slot.hashes.insert(at, hash);
                false
            }
        };
        if is_formal != was_formal {
            self.renamed.push((key, is_formal));
        }
        self.touch(number);
    }

    pub fn remove(&mut self, name: ConfigName<'_>) {
        let hash = name.hash();
        let number = slot_of_hash(hash);
        let slot = &mut self.slots[number as usize];
        if let Ok(at) = slot.find(hash, name) {
            let entry = slot.entries.remove(at);
            if entry.formal.is_some() {
                self.renamed.push((entry.key.clone(), false));
            }
            slot.hashes.remove(at);
            self.len -= 1;
            self.touch(number);
        }
    }

    /// Forgets everything; what readers see stays until the next [`Working::publish`].
    pub fn clear(&mut self) {
        for slot in 0..SLOTS {
            if !self.slots[slot as usize].entries.is_empty() {
                self.slots[slot as usize] = WorkingSlot::default();
                self.touch(slot);
            }
        }
        self.names = Names::default();
        self.renamed.clear();
        self.len = 0;
    }

    /// Configs with anything to them.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, slot by slot.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.slots.iter().flat_map(|slot| &slot.entries)
    }

    /// Shows readers the slots that were touched.
    pub fn publish(&mut self, tables: &Tables) {
        self.publish_names(tables);
        for slot in self.touched.drain(..) {
            self.is_touched[slot as usize] = false;
            let WorkingSlot { entries, hashes } = self.slots[slot as usize].clone();
            let shown = Slot { entries: entries.into_boxed_slice(), hashes: hashes.into() };
            tables.slots[slot as usize].store(Arc::new(shown));
        }
    }

    fn publish_names(&mut self, tables: &Tables) {
        // Nothing came or went; and nothing was forgotten, of which nothing would be renamed.
        if self.renamed.is_empty() && tables.names.load().len() == self.names.len() {
            return;
        }
        self.names.change(std::mem::take(&mut self.renamed));
        tables.names.store(Arc::new(self.names.clone()));
    }

    fn touch(&mut self, slot: u32) {
        if !std::mem::replace(&mut self.is_touched[slot as usize], true) {
            self.touched.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::details::Details;
    use crate::config::entry::{Draft, Variant};
    use crate::config::md5::Md5;
    use crate::key::ConfigKey;

    fn entry(data_id: &str, id: u64) -> Arc<Entry> {
        let key = ConfigKey::new(name(data_id));
        let (md5, details) = (Md5::of(""), Details::default());
        let draft = Draft { content: "", md5, id, created_ms: 0, modified_ms: 0, details };
        Arc::new(Entry { key, formal: Some(Variant::new(&draft, None)), grays: [].into() })
    }

    fn id(entry: Option<Arc<Entry>>) -> Option<u64> {
        entry?.formal.as_ref().map(|formal| formal.id)
    }

    fn name(data_id: &str) -> ConfigName<'_> {
        ConfigName { data_id, group: "g", namespace: "public" }
    }

    #[test]
    fn readers_see_what_was_published_and_nothing_before() {
        let tables = Tables::default();
        let mut working = Working::default();
        let names: Vec<_> = (0..5_000).map(|number| format!("d{number}")).collect();
        for name in &names {
            working.put(entry(name, 1));
        }
        assert_eq!(tables.get(name("d7")), None);
        working.publish(&tables);
        assert!(names.iter().all(|data_id| tables.get(name(data_id)).is_some()));
        let old = tables.get(name("d7"));
        working.put(entry("d7", 2));
        working.remove(name("d8"));
        working.remove(name("absent"));
        assert_eq!(id(tables.get(name("d7"))), Some(1));
        working.publish(&tables);
        assert_eq!(id(tables.get(name("d7"))), Some(2));
        assert_eq!((id(old), tables.get(name("d8"))), (Some(1), None));
        assert_eq!(working.len(), 4_999);
        assert_eq!(tables.names().len(), 4_999);
        working.clear();
        assert!(tables.get(name("d7")).is_some(), "reads go on while the state is loaded anew");
        working.publish(&tables);
        assert_eq!((tables.get(name("d7")), working.iter().count()), (None, 0));
        assert!(tables.names().is_empty());
        working.put(entry("d7", 3));
        working.put(entry("d7", 4));
        working.publish(&tables);
        assert_eq!(tables.names().len(), 1);
        assert_eq!(tables.names().get(0), Some(ConfigKey::new(name("d7"))));
    }
}
