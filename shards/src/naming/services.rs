//! The table of services on their owner core: found by name, or by an id that queues may hold.

use crate::index::Index;
use crate::key::ServiceKey;
use crate::limits::{CHANGE_PACE_INSTANCES, CHANGE_PACE_MS_MAX};
use crate::naming::cores::Cores;
use crate::naming::host::Host;
use crate::naming::kept::{Entry, Override};
use crate::naming::publishers::Publishers;
use crate::naming::view::{Bodies, Frame, ServiceMetadata, View};
use ahash::RandomState;
use std::borrow::Cow;
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

/// What somebody set for a service by hand (`naming.md` 11); the log holds it.
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

/// What the log holds of a service, and what its owner notes beside it. Boxed in [`Service`],
/// because nearly every service lives by its clients alone.
#[derive(Debug, Default)]
pub struct Logged {
    pub entry: Option<Arc<Entry>>,
    /// Persistent registrations are on their way to the log; until then, by the tick clock, no
    /// client's is let in. 0: none is.
    pub claimed_until_ms: u64,
    /// What is wanted of instances that nobody registers, and since when, by the tick clock.
    pub forsaken: Vec<(Arc<Override>, u64)>,
    /// A queue holds it until its overrides are gone.
    pub sweep_queued: bool,
    /// A queue holds it until what was set by hand is gone, or somebody uses it.
    pub expiry_queued: bool,
    /// What health checks were given last, and whether a queue holds it until they get the rest.
    pub given: Option<Arc<Entry>>,
    pub check_queued: bool,
}

impl Logged {
    /// Nothing here is worth keeping.
    pub fn is_idle(&self) -> bool {
        self.entry.is_none() && self.claimed_until_ms == 0 && !self.check_queued
    }
}

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
    /// What the log holds of it; absent for nearly all.
    pub logged: Option<Box<Logged>>,
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
            logged: None,
            pollers: None,
        }
    }

    /// What the log holds of it.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        self.logged.as_ref()?.entry.as_ref()
    }

    /// Whether the log has instances of it.
    pub fn is_kept(&self) -> bool {
        self.entry().is_some_and(|entry| !entry.instances.is_empty())
    }

    /// Whether it has instances, of clients or of the log.
    pub fn is_published(&self) -> bool {
        !self.publishers.is_empty() || self.is_kept()
    }

    /// Whether clients may publish it: it is not persistent, nor about to be.
    pub fn takes_clients(&self, now_ms: u64) -> bool {
        let claimed = self.logged.as_ref().is_some_and(|logged| now_ms < logged.claimed_until_ms);
        !self.persistent && !claimed
    }

    /// All instances, as administrators want them.
    pub fn hosts(&self) -> impl Iterator<Item = Cow<'_, Host>> {
        let entry = self.entry();
        let kept = entry.into_iter().flat_map(|entry| entry.instances.iter());
        let hosts = self.publishers.hosts().chain(kept.map(|kept| &kept.host));
        hosts.map(move |host| {
            let over = entry
                .filter(|entry| !entry.overrides.is_empty())
                .and_then(|entry| entry.override_of(host.ip(), host.port(), host.cluster()));
            over.map_or(Cow::Borrowed(host), |over| Cow::Owned(over.of(host)))
        })
    }

    /// The current view; built at the first look after a change.
    pub fn view(&mut self, showing: Showing<'_>) -> Arc<View> {
        if let Some(view) = &self.view {
            return view.clone();
        }
        let entry = self.entry();
        let explicit = entry.and_then(|entry| entry.explicit.as_deref());
        let frame = Frame {
            service: &self.key,
            revision: self.revision,
            cache_ms: showing.cache_ms,
            metadata: explicit.map(|explicit| ServiceMetadata {
                protect_threshold: explicit.settings.protect_threshold,
            }),
            hasher: showing.hasher,
        };
        let view = match entry {
            None => View::build(&frame, self.publishers.hosts()),
            Some(entry) if entry.overrides.is_empty() => {
                let kept = entry.instances.iter().map(|kept| &kept.host);
                View::build(&frame, self.publishers.hosts().chain(kept))
            }
            Some(_) => {
                let hosts: Vec<_> = self.hosts().collect();
                View::build(&frame, hosts.iter().map(|host| &**host))
            }
        };
        let view = Arc::new(view);
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
        let logged = self.logged.as_ref().is_some_and(|logged| !logged.is_idle());
        let known = self.listed || self.name_queued || logged;
        let wanted = !self.interest.is_empty() || self.pollers.is_some();
        self.publishers.is_empty() && !known && !wanted
    }
}

/// All services this core owns.
#[derive(Debug)]
pub struct Services {
    /// Slots.
    by_key: Index,
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
        let by_key = Index::new(hasher);
        Self { by_key, slots: Vec::new(), free: Vec::new(), floor: 0 }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All of them, in the order of their slots: for audits.
    #[cfg(any(test, feature = "sim"))]
    pub fn iter(&self) -> impl Iterator<Item = &Service> {
        self.slots.iter().filter_map(|slot| slot.service.as_deref())
    }

    /// The ids of all of them.
    pub fn ids(&self) -> Vec<ServiceId> {
        let there = |(slot, place): (usize, &Slot)| {
            place.service.as_ref()?;
            Some(ServiceId { slot: slot as u32, generation: place.generation })
        };
        self.slots.iter().enumerate().filter_map(there).collect()
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
        let has_it = |slot| self.at(slot).is_some_and(|service| service.key == *key);
        let slot = self.by_key.find(key, has_it)?;
        Some(ServiceId { slot, generation: self.slots[slot as usize].generation })
    }

    /// The service of an id, unless it was removed since.
    pub fn get(&mut self, id: ServiceId) -> Option<&mut Service> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.service.as_deref_mut().filter(|_| slot.generation == id.generation)
    }

    /// The same, only to look at.
    pub fn look(&self, id: ServiceId) -> Option<&Service> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.service.as_deref().filter(|_| slot.generation == id.generation)
    }

    /// The service of this name, made if need be.
    pub fn obtain(&mut self, key: &ServiceKey, unix_ms: u64) -> (ServiceId, &mut Service) {
        let id = self.find(key).unwrap_or_else(|| self.insert(key.clone(), unix_ms));
        let service = self.slots[id.slot as usize].service.as_deref_mut();
        (id, service.expect("the index names live services"))
    }

    fn insert(&mut self, key: ServiceKey, unix_ms: u64) -> ServiceId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, service: None });
            u32::try_from(self.slots.len() - 1).expect("memory ends before slots do")
        });
        self.by_key.insert(&key, slot);
        let place = &mut self.slots[slot as usize];
        place.service = Some(Box::new(Service::new(key, unix_ms.max(self.floor + 1))));
        ServiceId { slot, generation: place.generation }
    }

    /// Forgets a service if nothing holds it. Its queued ids become stale.
    pub fn remove_idle(&mut self, id: ServiceId) {
        if !self.look(id).is_some_and(Service::is_idle) {
            return;
        }
        let place = &mut self.slots[id.slot as usize];
        let Some(service) = place.service.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        self.floor = self.floor.max(service.revision);
        self.by_key.remove(&service.key, id.slot);
        self.free.push(id.slot);
    }

    /// A revision to show of a service that is not in the table; whoever makes it later starts
    /// above.
    pub fn absent_revision(&mut self, unix_ms: u64) -> u64 {
        self.floor = self.floor.max(unix_ms);
        self.floor
    }
}
