//! The table of services on their owner core: found by name, or by an id that queues may hold.

use crate::key::ServiceKey;
use crate::limits::{CHANGE_PACE_INSTANCES, CHANGE_PACE_MS_MAX};
use crate::naming::cores::Cores;
use crate::naming::publishers::Publishers;
use crate::naming::view::{Bodies, Frame, ServiceMetadata, View};
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// A service's slot, and which tenant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceId {
    slot: u32,
    generation: u32,
}

impl ServiceId {
    /// Its slot.
    pub fn slot(self) -> u32 {
        self.slot
    }
}

/// What somebody set for a service by hand (`naming.md` 11). In memory: it lives as long as the
/// service does.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSettings {
    pub protect_threshold: f32,
    /// JSON object of text to text.
    pub metadata: Box<str>,
    /// JSON object with its `type`.
    pub selector: Box<str>,
}

/// Numbers of pollers. Boxed in [`Service`], because nearly every service has none.
#[derive(Debug, Default)]
pub struct PollerNumbers(pub Vec<u32>);

/// One service: what is published, who must be told.
#[derive(Debug)]
pub struct Service {
    pub key: ServiceKey,
    pub publishers: Publishers,
    /// Home cores with a subscriber.
    pub interest: Cores,
    /// Home cores whose queue holds this service: they have not been sent the latest state.
    pub dirty: Cores,
    /// Of the latest change; `lastRefTime`.
    pub revision: u64,
    /// When publishers last changed, by the tick clock, ms.
    pub changed_ms: u64,
    /// Until then no list is built only to be pushed; see [`CHANGE_PACE_INSTANCES`].
    paced_until_ms: u64,
    /// Made when somebody looks, dropped by the next change.
    view: Option<Arc<View>>,
    bodies: Option<Box<Bodies>>,
    /// Shows in service lists: it had a publisher, and the cleaner has not come.
    pub listed: bool,
    /// A queue holds it until the directory was told.
    pub name_queued: bool,
    /// The cleaner's queue holds it.
    pub clean_queued: bool,
    /// Made for persistent instances: whoever makes a service decides its kind.
    pub persistent: bool,
    /// A queue holds it until its pollers were told.
    pub pollers_queued: bool,
    /// Made by hand; absent for nearly all.
    pub settings: Option<Box<ServiceSettings>>,
    /// Numbers of its pollers; absent for nearly all, never empty.
    pub pollers: Option<Box<PollerNumbers>>,
}

/// What making a view takes beside the service.
#[derive(Debug, Clone, Copy)]
pub struct Showing<'a> {
    pub cache_ms: u64,
    pub hasher: &'a RandomState,
}

impl Service {
    fn new(key: ServiceKey, revision: u64) -> Self {
        Self {
            key,
            publishers: Publishers::default(),
            interest: Cores::default(),
            dirty: Cores::default(),
            revision,
            changed_ms: 0,
            paced_until_ms: 0,
            view: None,
            bodies: None,
            listed: false,
            name_queued: false,
            clean_queued: false,
            persistent: false,
            pollers_queued: false,
            settings: None,
            pollers: None,
        }
    }

    /// The current view; built at the first look after a change.
    pub fn view(&mut self, showing: Showing<'_>) -> Arc<View> {
        if let Some(view) = &self.view {
            return view.clone();
        }
        let settings = self.settings.as_deref();
        let frame = Frame {
            service: &self.key,
            revision: self.revision,
            cache_ms: showing.cache_ms,
            metadata: settings
                .map(|settings| ServiceMetadata { protect_threshold: settings.protect_threshold }),
            hasher: showing.hasher,
        };
        let view = Arc::new(View::build(&frame, self.publishers.hosts()));
        self.view = Some(view.clone());
        view
    }

    /// The current view for home cores, unless building it now would follow too closely on the last
    /// time: a list of 10,000 instances takes a millisecond, and they often all change at once.
    pub fn view_to_push(&mut self, now_ms: u64, showing: Showing<'_>) -> Option<Arc<View>> {
        if self.view.is_none() {
            if now_ms < self.paced_until_ms {
                return None;
            }
            let pause_ms = self.view(showing).len() / CHANGE_PACE_INSTANCES;
            self.paced_until_ms = now_ms + (pause_ms as u64).min(CHANGE_PACE_MS_MAX);
        }
        Some(self.view(showing))
    }

    /// Filtered bodies of the current view.
    pub fn bodies(&mut self) -> &mut Bodies {
        self.bodies.get_or_insert_default()
    }

    /// Publishers changed: a new revision, what was built is stale.
    pub fn changed(&mut self, now_ms: u64, unix_ms: u64) {
        self.revision = unix_ms.max(self.revision + 1);
        self.changed_ms = now_ms;
        self.view = None;
        self.bodies = None;
    }

    /// Nobody publishes, subscribes or must be told of it.
    pub fn is_idle(&self) -> bool {
        let known = self.listed || self.name_queued || self.settings.is_some();
        let wanted = !self.interest.is_empty() || self.pollers.is_some();
        self.publishers.is_empty() && !known && !wanted
    }
}

/// All services this core owns.
#[derive(Debug)]
pub struct Services {
    by_key: HashMap<ServiceKey, ServiceId, RandomState>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// No revision above this was ever shown of a service that is not in the table (any more).
    floor: u64,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    service: Option<Box<Service>>,
}

impl Services {
    pub fn new(hasher: RandomState) -> Self {
        Self { by_key: HashMap::with_hasher(hasher), slots: Vec::new(), free: Vec::new(), floor: 0 }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All of them, in the order of their slots: for audits.
    #[cfg(any(test, feature = "sim"))]
    pub fn iter(&self) -> impl Iterator<Item = &Service> {
        self.slots.iter().filter_map(|slot| slot.service.as_deref())
    }

    /// One beyond the highest slot.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Whatever service is in this slot.
    pub fn at(&self, slot: u32) -> Option<&Service> {
        self.slots.get(slot as usize)?.service.as_deref()
    }

    pub fn find(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.by_key.get(key).copied()
    }

    /// The service of an id, unless it was removed since.
    pub fn get(&mut self, id: ServiceId) -> Option<&mut Service> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.service.as_deref_mut().filter(|_| slot.generation == id.generation)
    }

    /// The service of this name, made if need be.
    pub fn obtain(&mut self, key: &ServiceKey, unix_ms: u64) -> (ServiceId, &mut Service) {
        let id = match self.by_key.get(key) {
            Some(id) => *id,
            None => self.insert(key.clone(), unix_ms),
        };
        let service = self.slots[id.slot as usize].service.as_deref_mut();
        (id, service.expect("the index names live services"))
    }

    fn insert(&mut self, key: ServiceKey, unix_ms: u64) -> ServiceId {
        let service = Box::new(Service::new(key.clone(), unix_ms.max(self.floor + 1)));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, service: None });
            u32::try_from(self.slots.len() - 1).expect("memory ends before slots do")
        });
        let place = &mut self.slots[slot as usize];
        place.service = Some(service);
        let id = ServiceId { slot, generation: place.generation };
        self.by_key.insert(key, id);
        id
    }

    /// Forgets a service if nothing holds it. Its queued ids become stale.
    pub fn remove_idle(&mut self, id: ServiceId) {
        let Some(service) = self.get(id).filter(|service| service.is_idle()) else { return };
        let revision = service.revision;
        let key = service.key.clone();
        self.floor = self.floor.max(revision);
        self.by_key.remove(&key);
        let place = &mut self.slots[id.slot as usize];
        place.service = None;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.slot);
    }

    /// A revision to show of a service that is not in the table; whoever makes it later starts
    /// above.
    pub fn absent_revision(&mut self, unix_ms: u64) -> u64 {
        self.floor = self.floor.max(unix_ms);
        self.floor
    }
}
