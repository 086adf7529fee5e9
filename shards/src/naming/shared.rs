//! What the log holds of services, read by every core without a hop.
//!
//! As with configs: one immutable table a slot, the Raft core the only writer. An owner compares
//! one number with what it saw last, at each message, and takes over what changed since: so
//! whoever was answered finds his write at the owner, whichever message arrives there first.

use crate::key::{SLOTS, ServiceKey};
use crate::naming::kept::Entry;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The services of one slot, sorted by key.
#[derive(Debug, Default)]
pub struct Slot {
    pub entries: Box<[Arc<Entry>]>,
}

impl Slot {
    /// One service.
    pub fn get(&self, key: &ServiceKey) -> Option<&Arc<Entry>> {
        find(&self.entries, key).ok().map(|at| &self.entries[at])
    }
}

/// Where a service stands, or belongs.
pub fn find(entries: &[Arc<Entry>], key: &ServiceKey) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.key.cmp(key))
}

/// What all cores read.
#[derive(Debug)]
pub struct Shared {
    /// Counts the batches that changed any service.
    version: AtomicU64,
    /// Of each slot: the batch that last changed it.
    versions: Box<[AtomicU64]>,
    slots: Box<[ArcSwap<Slot>]>,
}

impl Default for Shared {
    fn default() -> Self {
        let empty = Arc::new(Slot::default());
        Self {
            version: AtomicU64::new(0),
            versions: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            slots: (0..SLOTS).map(|_| ArcSwap::new(empty.clone())).collect(),
        }
    }
}

impl Shared {
    /// Rises with every batch that changes a service.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a slot changed after this version.
    pub fn is_newer(&self, slot: u32, version: u64) -> bool {
        self.versions[slot as usize].load(Ordering::Acquire) > version
    }

    /// The table of one slot, as it is now.
    pub fn slot(&self, slot: u32) -> Arc<Slot> {
        self.slots[slot as usize].load_full()
    }

    /// One service, as it is now.
    pub fn get(&self, key: &ServiceKey) -> Option<Arc<Entry>> {
        self.slots[key.slot() as usize].load().get(key).cloned()
    }

    /// Shows a batch. Only the Raft core writes.
    pub(crate) fn show(&self, slots: impl Iterator<Item = (u32, Slot)>) {
        let version = self.version.load(Ordering::Relaxed) + 1;
        for (slot, table) in slots {
            self.slots[slot as usize].store(Arc::new(table));
            self.versions[slot as usize].store(version, Ordering::Release);
        }
        self.version.store(version, Ordering::Release);
    }
}
