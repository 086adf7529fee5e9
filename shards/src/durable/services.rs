//! What changes of services and persistent instances do to the state (`naming.md` 3.3, 11).
//!
//! Kind conflicts are decided twice: what clients hold is looked at by the owner before it lets a
//! change be proposed, what the log holds is looked at here. A service changed in a batch is copied
//! once, for whoever reads; so a batch that registers a thousand instances of one costs one copy.

mod record;

use crate::durable::Record;
use crate::durable::answer::Answer;
use crate::durable::codec::{Reader, Unreadable};
use crate::durable::naming::{
    Change, ClusterDraft, EditDraft, Flips, Form, Mode, Named, PlaceDraft, Places, Texts,
};
use crate::durable::state::State;
use crate::key::{SLOTS, ServiceKey};
use crate::naming::host::Host;
use crate::naming::kept::{self, Cluster, Entry, Explicit, Kept, Override};
use crate::naming::open::NO_SELECTOR;
use crate::naming::services::ServiceSettings;
use crate::naming::shared::{self, Shared, Slot};
use nacre_proto::code::Code;
use nacre_proto::open_api::json_object;
use nacre_proto::text::Pairs;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Persistent instances of one cluster, some 500 bytes of memory each. The bounds here are part of
/// what commands mean: all nodes have to agree on them. Beyond: refused, 503.
pub const INSTANCES_MAX: usize = 1_048_576;

/// Of one service; its table is copied whole by each batch that changes it, at this number in a
/// millisecond.
pub const INSTANCES_PER_SERVICE_MAX: usize = 131_072;

/// Services made or changed by hand: their metadata is the client's text. The cleaner takes those
/// nobody uses.
pub const EXPLICIT_MAX: usize = 262_144;

/// Clusters of one service that were changed by hand.
pub const CLUSTERS_PER_SERVICE_MAX: usize = 1_024;

/// Instances administrators changed.
pub const OVERRIDES_MAX: usize = 262_144;

/// Of one service.
pub const OVERRIDES_PER_SERVICE_MAX: usize = 65_536;

/// Keys that changes one after the other gave an instance; one change has at most some thousand
/// characters.
pub const OVERRIDE_KEYS_MAX: usize = 1_024;

/// The working copy. Lives on the Raft core.
#[derive(Debug)]
pub(super) struct Services {
    slots: Box<[Vec<Arc<Entry>>]>,
    /// Changed since readers were shown anything.
    drafts: BTreeMap<ServiceKey, Draft>,
    /// Slots that readers do not see as they are.
    stale: BTreeSet<u32>,
    /// Slots that readers were shown, to be told to owners.
    touched: BTreeSet<u32>,
    instances: usize,
    explicit: usize,
    overrides: usize,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            drafts: BTreeMap::new(),
            stale: BTreeSet::new(),
            touched: BTreeSet::new(),
            instances: 0,
            explicit: 0,
            overrides: 0,
        }
    }
}

/// A service under change.
#[derive(Debug, Default)]
struct Draft {
    explicit: Option<Arc<Explicit>>,
    instances: Vec<Arc<Kept>>,
    overrides: Vec<Arc<Override>>,
}

impl Draft {
    fn of(entry: &Entry) -> Self {
        Self {
            explicit: entry.explicit.clone(),
            instances: entry.instances.to_vec(),
            overrides: entry.overrides.to_vec(),
        }
    }

    fn finish(self, key: ServiceKey) -> Entry {
        Entry {
            key,
            explicit: self.explicit,
            instances: self.instances.into(),
            overrides: self.overrides.into(),
        }
    }

    fn find(&self, ip: &str, port: i32) -> Option<usize> {
        kept::find_instance(&self.instances, ip, port).ok()
    }

    /// What was set by hand, or what stands for it where nothing was: of the kind of its instances.
    fn explicit(&self) -> Explicit {
        match &self.explicit {
            Some(explicit) => (**explicit).clone(),
            None => Explicit {
                revision: 0,
                ephemeral: self.instances.is_empty(),
                settings: ServiceSettings {
                    protect_threshold: 0.0,
                    metadata: "{}".into(),
                    selector: NO_SELECTOR.into(),
                },
                clusters: [].into(),
            },
        }
    }
}

impl Services {
    fn draft(&mut self, key: &ServiceKey) -> &mut Draft {
        if !self.drafts.contains_key(key) {
            let slot = &self.slots[key.slot() as usize];
            let known = shared::find(slot, key).map(|at| Draft::of(&slot[at]));
            self.drafts.insert(key.clone(), known.unwrap_or_default());
        }
        self.drafts.get_mut(key).expect("put there above")
    }

    /// Shows readers what changed.
    pub fn settle(&mut self, shared: &Shared) {
        for (key, draft) in std::mem::take(&mut self.drafts) {
            let slot = key.slot();
            let entries = &mut self.slots[slot as usize];
            let entry = draft.finish(key);
            match (shared::find(entries, &entry.key), entry.is_empty()) {
                (Ok(at), true) => _ = entries.remove(at),
                (Ok(at), false) if *entries[at] == entry => continue,
                (Ok(at), false) => entries[at] = Arc::new(entry),
                (Err(_), true) => continue,
                (Err(at), false) => entries.insert(at, Arc::new(entry)),
            }
            self.stale.insert(slot);
        }
        if self.stale.is_empty() {
            return;
        }
        let table = |slot: &u32| {
            let entries = self.slots[*slot as usize].clone().into_boxed_slice();
            (*slot, Slot { entries })
        };
        shared.show(self.stale.iter().map(table));
        self.touched.append(&mut self.stale);
    }

    pub fn take_touched(&mut self) -> Arc<[u32]> {
        std::mem::take(&mut self.touched).into_iter().collect()
    }

    /// Forgets everything; readers see it when the next batch settles.
    pub fn clear(&mut self) {
        for (slot, entries) in self.slots.iter_mut().enumerate() {
            if !entries.is_empty() {
                *entries = Vec::new();
                self.stale.insert(slot as u32);
            }
        }
        self.drafts.clear();
        (self.instances, self.explicit, self.overrides) = (0, 0, 0);
    }

    /// Takes in one record of a checkpoint or snapshot.
    pub fn load_instance(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        let (service, kept) = record::read_instance(key, value)?;
        let draft = self.draft(&service);
        match kept::find_instance(&draft.instances, kept.host.ip(), kept.host.port()) {
            Ok(_) => return Err("an instance that is there twice"),
            Err(at) => draft.instances.insert(at, Arc::new(kept)),
        }
        self.instances += 1;
        Ok(())
    }

    /// Takes in one record of a checkpoint or snapshot.
    pub fn load_metadata(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        match record::read_metadata(key, value)? {
            record::Metadata::Service(service, explicit) => {
                let draft = self.draft(&service);
                if draft.explicit.replace(Arc::new(explicit)).is_some() {
                    return Err("a service that is there twice");
                }
                self.explicit += 1;
            }
            record::Metadata::Instance(service, over) => {
                let draft = self.draft(&service);
                let Override { ip, port, cluster, .. } = &over;
                match kept::find_override(&draft.overrides, ip, *port, cluster) {
                    Ok(_) => return Err("an override that is there twice"),
                    Err(at) => draft.overrides.insert(at, Arc::new(over)),
                }
                self.overrides += 1;
            }
        }
        Ok(())
    }
}

fn full(text: String) -> Answer {
    Answer::refused(Code::OverThreshold, text)
}

impl State {
    pub(super) fn change_services(
        &mut self,
        change: &Change<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        match *change {
            Change::Register { service, instance } => self.register(service, instance, records),
            Change::Deregister { service, ip, port } => {
                self.deregister(service, ip, port, records);
                self.done()
            }
            Change::SetHealth { flips } => {
                self.set_health(flips, records);
                self.done()
            }
            Change::Create { service, seen, ephemeral, texts } => {
                self.create_service(service, seen, ephemeral, &texts, records)
            }
            Change::Update { service, texts } => self.update_service(service, &texts, records),
            Change::Remove { service, seen } => self.remove_service(service, seen, records),
            Change::SetCluster { service, cluster } => self.set_cluster(service, &cluster, records),
            Change::Edit { service, edit, places } => {
                self.edit_instances(service, &edit, places, records)
            }
            Change::Forget { service, places } => {
                self.forget(service, places, records);
                self.done()
            }
        }
    }

    fn register(
        &mut self,
        service: Named<'_>,
        instance: Form<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let host = match Host::read_form(&mut Reader::new(instance.0)) {
            Ok(host) => host,
            Err(why) => return Answer::refused(Code::InvalidParam, why),
        };
        let key = service.key();
        let instances = self.services.instances;
        let draft = self.services.draft(&key);
        if draft.explicit.as_ref().is_some_and(|explicit| explicit.ephemeral) {
            let text = format!(
                "Current service {} is ephemeral service, can't register persistent instance.",
                key.grouped()
            );
            return Answer::refused(Code::InvalidParam, text);
        }
        let at = kept::find_instance(&draft.instances, host.ip(), host.port());
        match at {
            Ok(at) if draft.instances[at].host == host => return self.done(),
            Ok(_) => {}
            Err(_) if draft.instances.len() >= INSTANCES_PER_SERVICE_MAX => {
                let max = INSTANCES_PER_SERVICE_MAX;
                return full(format!("a service has at most {max} persistent instances"));
            }
            Err(_) if instances >= INSTANCES_MAX => {
                return full(format!("there are {INSTANCES_MAX} persistent instances already"));
            }
            Err(_) => {}
        }
        self.revision += 1;
        let kept = Arc::new(Kept { revision: self.revision, host });
        records.push(record::instance(&key, &kept));
        match at {
            Ok(at) => draft.instances[at] = kept,
            Err(at) => {
                draft.instances.insert(at, kept);
                self.services.instances += 1;
            }
        }
        self.done()
    }

    /// Whatever its cluster; one that is not there is a success.
    fn deregister(&mut self, service: Named<'_>, ip: &str, port: i32, records: &mut Vec<Record>) {
        let key = service.key();
        let draft = self.services.draft(&key);
        let Some(at) = draft.find(ip, port) else { return };
        draft.instances.remove(at);
        self.services.instances -= 1;
        self.revision += 1;
        records.push(record::no_instance(&key, ip, port));
    }

    /// Flips of registrations that were replaced since are passed over.
    fn set_health(&mut self, flips: Flips<'_>, records: &mut Vec<Record>) {
        let mut flipped = false;
        for flip in flips.iter() {
            let key = flip.service.key();
            let draft = self.services.draft(&key);
            let Some(at) = draft.find(flip.ip, flip.port) else { continue };
            let kept = &draft.instances[at];
            if kept.revision != flip.seen || kept.host.healthy() == flip.healthy {
                continue;
            }
            let mut kept = (**kept).clone();
            kept.host.set_healthy(flip.healthy);
            records.push(record::instance(&key, &kept));
            draft.instances[at] = Arc::new(kept);
            flipped = true;
        }
        self.revision += u64::from(flipped);
    }

    fn create_service(
        &mut self,
        service: Named<'_>,
        seen: u64,
        ephemeral: bool,
        texts: &Texts<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let key = service.key();
        let draft = self.services.draft(&key);
        let there = draft.explicit.as_ref().map_or(0, |explicit| explicit.revision);
        if there != seen || !draft.instances.is_empty() {
            let text = format!("specified service already exists, serviceName: {}", key.grouped());
            return Answer::refused(Code::ServiceAlreadyExist, text);
        }
        let explicit = Explicit { ephemeral, clusters: [].into(), ..draft.explicit() };
        self.put_explicit(&key, Explicit { settings: settings(texts), ..explicit }, records)
    }

    fn update_service(
        &mut self,
        service: Named<'_>,
        texts: &Texts<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let key = service.key();
        let explicit = self.services.draft(&key).explicit();
        self.put_explicit(&key, Explicit { settings: settings(texts), ..explicit }, records)
    }

    fn set_cluster(
        &mut self,
        service: Named<'_>,
        cluster: &ClusterDraft<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let key = service.key();
        let explicit = self.services.draft(&key).explicit();
        let mut clusters = explicit.clusters.to_vec();
        let new = Arc::new(record::cluster_of(cluster));
        let find = |known: &Arc<Cluster>| (*known.name).cmp(cluster.name);
        match clusters.binary_search_by(find) {
            Ok(at) => clusters[at] = new,
            Err(_) if clusters.len() >= CLUSTERS_PER_SERVICE_MAX => {
                let max = CLUSTERS_PER_SERVICE_MAX;
                return full(format!("a service has at most {max} clusters that were changed"));
            }
            Err(at) => clusters.insert(at, new),
        }
        self.put_explicit(&key, Explicit { clusters: clusters.into(), ..explicit }, records)
    }

    fn put_explicit(
        &mut self,
        key: &ServiceKey,
        explicit: Explicit,
        records: &mut Vec<Record>,
    ) -> Answer {
        let total = self.services.explicit;
        let draft = self.services.draft(key);
        let is_new = draft.explicit.is_none();
        if is_new && total >= EXPLICIT_MAX {
            return full(format!("there are {EXPLICIT_MAX} services with settings already"));
        }
        self.revision += 1;
        let explicit = Explicit { revision: self.revision, ..explicit };
        records.push(record::service(key, &explicit));
        draft.explicit = Some(Arc::new(explicit));
        self.services.explicit += usize::from(is_new);
        self.done()
    }

    /// One that is not there is a success.
    fn remove_service(
        &mut self,
        service: Named<'_>,
        seen: u64,
        records: &mut Vec<Record>,
    ) -> Answer {
        let key = service.key();
        let draft = self.services.draft(&key);
        if !draft.instances.is_empty() {
            let text = format!(
                "Service {} is not empty, can't be delete. Please unregister instance first",
                key.grouped()
            );
            return Answer::refused(Code::ServiceDeleteFailure, text);
        }
        let Some(there) = &draft.explicit else { return self.done() };
        if there.revision != seen {
            let text = format!("Service {} was changed meanwhile", key.grouped());
            return Answer::refused(Code::ServiceDeleteFailure, text);
        }
        draft.explicit = None;
        self.services.explicit -= 1;
        self.revision += 1;
        records.push(record::no_service(&key));
        self.done()
    }

    fn edit_instances(
        &mut self,
        service: Named<'_>,
        edit: &EditDraft<'_>,
        places: Places<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let metadata = match edit.metadata.map(json_object) {
            Some(None) => {
                let why = "metadata that is no JSON object of text";
                return Answer::refused(Code::InvalidParam, why);
            }
            given => given.flatten(),
        };
        let key = service.key();
        let (revision, total) = (self.revision + 1, self.services.overrides);
        let draft = self.services.draft(&key);
        let find = |draft: &Draft, place: &PlaceDraft<'_>| {
            kept::find_override(&draft.overrides, place.ip, place.port, place.cluster)
        };
        let mut all = Vec::new();
        let mut new = 0;
        for place in places.iter() {
            let before = find(draft, &place).ok().map(|at| &*draft.overrides[at]);
            new += usize::from(before.is_none());
            all.push((place, wanted(before, &place, edit, metadata.as_ref(), revision)));
        }
        if all.iter().any(|(_, wanted)| wanted.metadata.len() > OVERRIDE_KEYS_MAX) {
            let max = OVERRIDE_KEYS_MAX;
            return full(format!("an instance has at most {max} keys that were changed"));
        }
        let there = draft.overrides.len();
        if new > 0 && (total + new > OVERRIDES_MAX || there + new > OVERRIDES_PER_SERVICE_MAX) {
            return full(format!(
                "at most {OVERRIDES_MAX} instances keep changes, {OVERRIDES_PER_SERVICE_MAX} of \
                 one service"
            ));
        }
        for (place, wanted) in all {
            records.push(record::instance_metadata(&key, &wanted));
            match find(draft, &place) {
                Ok(at) => draft.overrides[at] = Arc::new(wanted),
                Err(at) => draft.overrides.insert(at, Arc::new(wanted)),
            }
            self.revision = revision;
        }
        let now_there = draft.overrides.len();
        self.services.overrides = total + now_there - there;
        self.done()
    }

    fn forget(&mut self, service: Named<'_>, places: Places<'_>, records: &mut Vec<Record>) {
        let key = service.key();
        let mut forgotten = false;
        for PlaceDraft { ip, port, cluster, seen } in places.iter() {
            let draft = self.services.draft(&key);
            let Ok(at) = kept::find_override(&draft.overrides, ip, port, cluster) else { continue };
            if draft.overrides[at].revision != seen {
                continue;
            }
            let gone = draft.overrides.remove(at);
            self.services.overrides -= 1;
            records.push(record::no_instance_metadata(&key, &gone));
            forgotten = true;
        }
        self.revision += u64::from(forgotten);
    }

    /// Persistent instances, services with settings, instances with overrides.
    pub fn services_kept(&self) -> (usize, usize, usize) {
        (self.services.instances, self.services.explicit, self.services.overrides)
    }
}

fn settings(texts: &Texts<'_>) -> ServiceSettings {
    ServiceSettings {
        protect_threshold: f32::from_bits(texts.protect_threshold_bits),
        metadata: texts.metadata.into(),
        selector: texts.selector.into(),
    }
}

/// What is wanted of an instance after an edit.
fn wanted(
    before: Option<&Override>,
    place: &PlaceDraft<'_>,
    edit: &EditDraft<'_>,
    metadata: Option<&Pairs<'_>>,
    revision: u64,
) -> Override {
    let old = before.filter(|_| edit.mode != Mode::Replace);
    let mut pairs = old.map(|old| old.metadata.clone()).unwrap_or_default();
    if let Some(given) = metadata {
        let given = given.clone().into_owned();
        match edit.mode {
            Mode::Replace | Mode::Patch => pairs = given,
            Mode::Merge => {
                given.0.iter().for_each(|(key, value)| kept::lay(&mut pairs, key, value))
            }
            Mode::Without => pairs.0.retain(|(key, _)| given.get(key).is_none()),
        }
    }
    Override {
        ip: place.ip.into(),
        port: place.port,
        cluster: place.cluster.into(),
        revision,
        weight: edit.weight_bits.map(f64::from_bits).or(old.and_then(|old| old.weight)),
        enabled: edit.enabled.or(old.and_then(|old| old.enabled)),
        metadata: pairs,
    }
}

#[cfg(test)]
mod tests;
