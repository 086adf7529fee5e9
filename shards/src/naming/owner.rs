//! The owner's side: services, their publishers, who must be told. Also the directory side, for the
//! namespaces whose names this core keeps.
//!
//! * One ask, one answer: [`OwnerState::handle`] returns it, so no path can forget it.
//! * What is not an answer is state first: a dirty bit per (service, home core), a flag per name.
//!   Bits become messages in [`OwnerState::drain`], when there is room; the latest state wins, none
//!   is lost.
//! * Nothing here is done per subscriber, and nothing is encoded before somebody looks.

use crate::effect::Effect;
use crate::health::beat::Beating;
use crate::health::checks::Checks;
use crate::health::wheel::Wheel;
use crate::key::{ConnKey, Core, Home, Map, Owner, ServiceKey};
use crate::limits::{CHANGES_PER_TURN_MAX, CLEANED_PER_TICK_MAX};
use crate::message::{Ask, Now, QueryPurpose, Tell, Waiter};
use crate::naming::answer;
use crate::naming::directory::{Directory, Page};
use crate::naming::host::Publication;
use crate::naming::owner::logged::Log;
use crate::naming::publishers::Put;
use crate::naming::rules::Rules;
use crate::naming::services::{Service, ServiceId, Services, Showing};
use crate::naming::view::{Filter, Frame, View};
use crate::push::poller::Pollers;
use ahash::RandomState;
use nacre_proto::code::Code;
use std::collections::VecDeque;
use std::sync::Arc;

mod checked;
pub mod checks;
mod edit;
mod logged;
mod open;
mod settings;
mod told;

/// Messages that may be sent now, by core index. [`OwnerState::drain`] counts them down.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Room {
    /// `Changed` and `NameChanged` tells each home core has room for.
    pub tells: Vec<usize>,
    /// `Named` asks each directory core has room for.
    pub asks: Vec<usize>,
}

impl Room {
    /// As much as anybody wants, for a node of this many cores.
    pub fn unbounded(cores: usize) -> Self {
        Self { tells: vec![usize::MAX; cores], asks: vec![usize::MAX; cores] }
    }
}

/// Counts for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Services kept here, also those only subscribed to.
    pub services: usize,
    /// Publications: one per (connection, service).
    pub publications: usize,
    /// Instances in them.
    pub instances: usize,
    /// Persistent instances.
    pub persistent: usize,
    /// Names in this core's directory.
    pub names: usize,
    /// Fuzzy patterns in this core's directory.
    pub patterns: usize,
    /// Of the instances, those whose clients live by beats.
    pub beating: usize,
    /// Subscriptions by datagram.
    pub pollers: usize,
    /// Since the start: instances that fell silent and became unhealthy, and were removed.
    pub silent: u64,
    pub expired: u64,
    /// Since the start: datagrams sent, acknowledged, and subscriptions ended for want of that.
    pub datagrams: u64,
    pub datagrams_acknowledged: u64,
    pub pollers_given_up: u64,
}

/// The services this core owns, and the names it keeps as a directory.
#[derive(Debug)]
pub struct OwnerState {
    core: Core,
    map: Map,
    rules: Rules,
    hasher: RandomState,
    services: Services,
    directory: Directory,
    changes: Changes,
    /// Per directory core: services whose name it must hear of. Each at most once.
    names: Vec<VecDeque<ServiceId>>,
    /// Services that lost their last publisher, for the cleaner. Each at most once.
    empties: VecDeque<ServiceId>,
    next_scan_ms: u64,
    /// How many of `empties` the scan under way has still to look at.
    scan_left: usize,
    publications: usize,
    instances: usize,
    /// What the log holds of them, and what is to be proposed to it.
    log: Log,
    beating: Beating,
    checks: Checks,
    /// Before that nothing its checks found is proposed, lived ms: flips leave together.
    flips_at_ms: u64,
    pollers: Pollers,
    /// `cacheMillis` as the settings have it.
    set_cache_ms: u64,
    wheel: Wheel,
    /// How long the process did not run in all, ms: no client's silence.
    pub(crate) stalled_ms: u64,
    /// The node stops: nobody can beat any more, so nobody is judged by it.
    stopping: bool,
    silent: u64,
    expired: u64,
}

/// Who has not been told the latest state.
#[derive(Debug)]
struct Changes {
    /// Per home core: services it has not been sent the latest state of. Each at most once.
    dirty: Vec<VecDeque<ServiceId>>,
    /// Services whose pollers have not. Each at most once.
    polled: VecDeque<ServiceId>,
}

impl Changes {
    /// A new revision; every interested home core is to hear of it, and every poller.
    fn change(&mut self, now: Now, id: ServiceId, service: &mut Service) {
        service.changed(now.tick_ms, now.unix_ms);
        for home in service.interest.iter() {
            if service.dirty.insert(home) {
                self.dirty[usize::from(home.0)].push_back(id);
            }
        }
        if service.pollers.is_some() && !std::mem::replace(&mut service.pollers_queued, true) {
            self.polled.push_back(id);
        }
    }
}

impl OwnerState {
    /// `seed` makes hash tables unguessable; the same seed and the same asks give the same
    /// behaviour.
    pub fn new(core: Core, map: Map, seed: u64, rules: Rules) -> Self {
        let hasher = RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0x6e61_6372_6500);
        let cores = usize::from(map.cores);
        Self {
            core,
            map,
            services: Services::new(hasher.clone()),
            directory: Directory::new(cores, hasher.clone(), &rules),
            beating: Beating::new(hasher.clone()),
            checks: Checks::new(hasher.clone(), seed),
            flips_at_ms: 0,
            pollers: Pollers::new(hasher.clone()),
            set_cache_ms: rules.cache_ms,
            hasher,
            changes: Changes { dirty: vec![VecDeque::new(); cores], polled: VecDeque::new() },
            names: vec![VecDeque::new(); cores],
            empties: VecDeque::new(),
            next_scan_ms: FIRST_SCAN_MS.min(rules.empty_scan_ms),
            scan_left: 0,
            publications: 0,
            instances: 0,
            log: Log::new(core, map),
            wheel: Wheel::default(),
            stalled_ms: 0,
            stopping: false,
            silent: 0,
            expired: 0,
            rules,
        }
    }

    /// Carries out one ask of a home (or owner) core; the result is its one answer, for `from`.
    pub fn handle(&mut self, now: Now, from: Core, ask: Ask) -> Tell {
        self.catch_up(now);
        match ask {
            Ask::Publish { waiter, service, publication } => {
                self.publish(now, waiter, &service, publication)
            }
            Ask::Withdraw { waiter, service } => self.withdraw(now, waiter, &service),
            Ask::Query { waiter, service, filter, purpose } => {
                self.query(now, (from, waiter), &service, &filter, purpose)
            }
            Ask::Subscribe { waiter, service, filter } => {
                debug_assert_eq!(self.map.owner(&service).0, self.core, "another core's service");
                let (_, record) = self.services.obtain(&service, now.unix_ms);
                record.interest.insert(from);
                let view = record.view(showing(&self.rules, &self.hasher));
                Tell::Subscribed { waiter, service, filter, view }
            }
            Ask::Uninterested { service } => {
                if let Some(id) = self.services.find(&service) {
                    let record = self.services.get(id).expect("the index names live services");
                    record.interest.remove(from);
                    self.services.remove_idle(id);
                }
                Tell::Confirmed
            }
            Ask::Names { waiter, namespace, group, page_no, page_size } => {
                let page = Page { page_no, page_size };
                Tell::Answer { waiter, body: self.directory.list(&namespace, &group, page) }
            }
            Ask::Watch { waiter, watch } => self.directory.watch(now, from, waiter, watch),
            Ask::Unwatch { waiter, pattern } => {
                self.directory.unwatch(now, waiter.conn, &pattern);
                done(waiter, answer::fuzzy)
            }
            Ask::Named { service, listed, published } => {
                self.directory.named(service, listed, published);
                Tell::Confirmed
            }
            Ask::Open { waiter, order } => {
                let answer = self.open(now, *order);
                Tell::Opened { waiter, answer }
            }
            Ask::Propose { .. }
            | Ask::Listeners { .. }
            | Ask::Inquire { .. }
            | Ask::Recall { .. }
            | Ask::Look { .. }
            | Ask::Reset { .. } => {
                unreachable!("the shard itself sees to these")
            }
        }
    }

    fn publish(
        &mut self,
        now: Now,
        waiter: Waiter,
        key: &ServiceKey,
        publication: Box<Publication>,
    ) -> Tell {
        let answer = match *publication {
            Publication::One(_) => answer::registered,
            Publication::Batch(_) => answer::batch,
        };
        match self.put(now, key, waiter.conn, publication) {
            Ok(_) => done(waiter, answer),
            Err(text) if waiter.stream != 0 => {
                Tell::Answer { waiter, body: answer::thrown(Code::InvalidParam.number(), &text) }
            }
            Err(_) => Tell::Confirmed,
        }
    }

    /// Sets what a client publishes; `Err` is the reference's text when the service is of the other
    /// kind.
    fn put(
        &mut self,
        now: Now,
        key: &ServiceKey,
        publisher: ConnKey,
        publication: Box<Publication>,
    ) -> Result<ServiceId, String> {
        debug_assert_eq!(self.map.owner(key).0, self.core, "another core's service");
        let (id, service) = self.services.obtain(key, now.unix_ms);
        if !service.takes_clients(now.tick_ms) {
            let what = match *publication {
                Publication::One(_) => "register",
                Publication::Batch(_) => "batch register",
            };
            return Err(format!(
                "Current service {} is persistent service, can't {what} ephemeral instance.",
                key.grouped()
            ));
        }
        let first = !service.is_published();
        let instances = publication.hosts().len();
        match service.publishers.put(publisher, publication, &self.hasher) {
            Put::Same => return Ok(id),
            Put::First => self.publications += 1,
            Put::Replaced(before) => self.instances -= before,
        }
        self.instances += instances;
        if first {
            service.listed = true;
            Self::queue_name(&mut self.names, self.map, id, service);
        }
        self.changes.change(now, id, service);
        Ok(id)
    }

    fn withdraw(&mut self, now: Now, waiter: Waiter, key: &ServiceKey) -> Tell {
        if let Some(id) = self.services.find(key) {
            self.take(now, id, waiter.conn);
        }
        done(waiter, answer::deregistered)
    }

    /// Removes what a client publishes.
    fn take(&mut self, now: Now, id: ServiceId, publisher: ConnKey) {
        let Some(service) = self.services.get(id) else { return };
        let Some(instances) = service.publishers.withdraw(publisher, &self.hasher) else { return };
        self.publications -= 1;
        self.instances -= instances;
        self.changes.change(now, id, service);
        if !service.is_published() {
            Self::queue_name(&mut self.names, self.map, id, service);
            Self::queue_cleaning(&mut self.empties, id, service);
        }
    }

    /// The cleaner is to look at a service nobody publishes.
    fn queue_cleaning(empties: &mut VecDeque<ServiceId>, id: ServiceId, service: &mut Service) {
        if !std::mem::replace(&mut service.clean_queued, true) {
            empties.push_back(id);
        }
    }

    fn query(
        &mut self,
        now: Now,
        (from, waiter): (Core, Waiter),
        key: &ServiceKey,
        filter: &Filter,
        purpose: QueryPurpose,
    ) -> Tell {
        let showing = showing(&self.rules, &self.hasher);
        let mut followed = None;
        let info = match self.services.find(key) {
            Some(id) => {
                let service = self.services.get(id).expect("the index names live services");
                let view = service.view(showing);
                followed = service.interest.contains(from).then_some(view.revision);
                if filter.clusters.as_deref() == Some("") && !filter.healthy_only {
                    view.body(filter)
                } else {
                    service.bodies().get(&view, filter)
                }
            }
            None => {
                let revision = self.services.absent_revision(now.unix_ms);
                nobody(key, revision, showing).body(filter)
            }
        };
        let body = match purpose {
            QueryPurpose::Query => answer::query(info),
            QueryPurpose::Unsubscribe => answer::subscribe(info),
        };
        match followed {
            Some(revision) => Tell::Queried { waiter, service: key.clone(), revision, body },
            None => Tell::Answer { waiter, body },
        }
    }

    /// The directory core is to hear whether the name is listed and published.
    fn queue_name(
        names: &mut [VecDeque<ServiceId>],
        map: Map,
        id: ServiceId,
        service: &mut Service,
    ) {
        if !std::mem::replace(&mut service.name_queued, true) {
            let Owner(core) = map.directory(service.key.namespace());
            names[usize::from(core.0)].push_back(id);
        }
    }

    /// Emits `Tell::Changed`, `Tell::NameChanged` and `Ask::Named` that are due and have room, to
    /// the own core as well (a shard serves those itself), at most [`CHANGES_PER_TURN_MAX`] of each
    /// per core. True if something has to wait, for room or because its large list was built just
    /// before; what the bound left is only [`Self::pending`].
    pub fn drain(&mut self, now: Now, room: &mut Room, out: &mut Vec<Effect>) -> bool {
        let mut blocked = false;
        for core in 0..self.changes.dirty.len() {
            blocked |= self.drain_changes(now, core, &mut room.tells[core], out);
            self.drain_names(core, &mut room.asks[core], out);
            let dirty = !self.changes.dirty[core].is_empty() && self.pushes();
            blocked |= room.tells[core] == 0 && dirty;
            blocked |= room.asks[core] == 0 && !self.names[core].is_empty();
        }
        blocked |= self.drain_proposals(room, out);
        blocked |= self.drain_pollers(now, out);
        blocked | self.directory.drain(&mut room.tells, out)
    }

    /// True if a service has to wait before its list is built again.
    fn drain_changes(
        &mut self,
        now: Now,
        core: usize,
        room: &mut usize,
        out: &mut Vec<Effect>,
    ) -> bool {
        let home = Core(core as u16);
        let mut paced = false;
        if self.changes.dirty[core].is_empty() || !self.pushes() {
            return false;
        }
        for _ in 0..CHANGES_PER_TURN_MAX.min(*room).min(self.changes.dirty[core].len()) {
            let Some(id) = self.changes.dirty[core].pop_front() else { break };
            let Some(service) = self.services.get(id) else { continue };
            if !service.interest.contains(home) {
                service.dirty.remove(home);
                continue;
            }
            let view = service.view_to_push(now.tick_ms, showing(&self.rules, &self.hasher));
            let Some(view) = view else {
                self.changes.dirty[core].push_back(id);
                paced = true;
                continue;
            };
            service.dirty.remove(home);
            *room -= 1;
            let tell = Tell::Changed { service: service.key.clone(), view };
            out.push(Effect::Tell { to: Home(home), tell });
        }
        paced
    }

    fn drain_names(&mut self, core: usize, room: &mut usize, out: &mut Vec<Effect>) {
        for _ in 0..CHANGES_PER_TURN_MAX.min(*room) {
            let Some(id) = self.names[core].pop_front() else { return };
            let Some(service) = self.services.get(id) else { continue };
            service.name_queued = false;
            *room -= 1;
            let ask = Ask::Named {
                service: service.key.clone(),
                listed: service.listed,
                published: service.is_published(),
            };
            out.push(Effect::Ask { to: Owner(Core(core as u16)), ask });
            self.services.remove_idle(id);
        }
    }

    /// Whether [`Self::drain`] has work.
    pub fn pending(&self) -> bool {
        let waits = |queues: &[VecDeque<ServiceId>]| queues.iter().any(|queue| !queue.is_empty());
        (waits(&self.changes.dirty) && self.pushes())
            || waits(&self.names)
            || self.directory.pending()
            || self.log.proposals_wait()
            || self.pollers_pending()
    }

    /// The cleaners, in bounded steps. To be called every 100 ms to 1 s; what it decides is
    /// drained.
    ///
    /// A service without publishers, 60 s after its last change, leaves the lists (`naming.md` 12);
    /// subscribers do not keep it listed, but they keep its record.
    pub fn tick(&mut self, now: Now) {
        self.catch_up(now);
        self.directory.tick(now);
        self.follow_switches();
        self.care(now);
        if self.scan_left == 0 && now.tick_ms >= self.next_scan_ms {
            self.next_scan_ms = now.tick_ms + self.rules.empty_scan_ms;
            self.scan_left = self.empties.len();
        }
        for _ in 0..self.scan_left.min(CLEANED_PER_TICK_MAX) {
            self.scan_left -= 1;
            let Some(id) = self.empties.pop_front() else { break };
            let Some(service) = self.services.get(id) else { continue };
            if service.is_published() || !service.listed {
                service.clean_queued = false;
            } else if now.tick_ms < service.changed_ms + self.rules.empty_expired_ms {
                self.empties.push_back(id);
            } else {
                service.clean_queued = false;
                service.listed = false;
                service.persistent = false;
                self.log.expire(now, id, service);
                Self::queue_name(&mut self.names, self.map, id, service);
            }
        }
    }

    /// How many (service, home core) pairs of interest there are: for audits.
    #[cfg(any(test, feature = "sim"))]
    pub fn interests(&self) -> usize {
        self.services.iter().map(|service| service.interest.iter().count()).sum()
    }

    /// One beyond the highest slot of a service.
    pub fn service_slots(&self) -> u32 {
        self.services.slots()
    }

    /// The service in a slot.
    pub fn service_at(&self, slot: u32) -> Option<&Service> {
        self.services.at(slot)
    }

    /// The service of this name.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.services.at(self.services.find(key)?.slot())
    }

    /// The slot of the service of this name.
    pub(crate) fn slot_of(&self, key: &ServiceKey) -> Option<u32> {
        self.services.find(key).map(ServiceId::slot)
    }

    /// The service of an id, unless it was removed since.
    pub(crate) fn service_of(&self, id: ServiceId) -> Option<&Service> {
        self.services.look(id)
    }

    pub(crate) fn beating(&self) -> &Beating {
        &self.beating
    }

    pub(crate) fn pollers(&self) -> &Pollers {
        &self.pollers
    }

    /// For the metrics.
    pub fn census(&self) -> Census {
        Census {
            services: self.services.len(),
            publications: self.publications,
            instances: self.instances,
            persistent: self.log.instances,
            names: self.directory.names(),
            patterns: self.directory.patterns(),
            beating: self.beating.len(),
            pollers: self.pollers.len(),
            silent: self.silent,
            expired: self.expired,
            datagrams: self.pollers.sent,
            datagrams_acknowledged: self.pollers.acknowledged,
            pollers_given_up: self.pollers.given_up,
        }
    }
}

/// The first scan of the cleaner after the start, as in the reference; sooner when scans are set to
/// follow each other sooner.
const FIRST_SCAN_MS: u64 = 30_000;

fn showing<'a>(rules: &Rules, hasher: &'a RandomState) -> Showing<'a> {
    Showing { cache_ms: rules.cache_ms, hasher }
}

/// The view of a service nobody publishes or subscribes to. Not kept: asking for names at random
/// must cost nothing that lasts.
fn nobody(key: &ServiceKey, revision: u64, showing: Showing<'_>) -> Arc<View> {
    let frame = Frame {
        service: key,
        revision,
        cache_ms: showing.cache_ms,
        metadata: None,
        hasher: showing.hasher,
    };
    Arc::new(View::build(&frame, std::iter::empty()))
}

fn done(waiter: Waiter, body: fn() -> crate::effect::Body) -> Tell {
    match waiter.stream {
        0 => Tell::Confirmed,
        _ => Tell::Answer { waiter, body: body() },
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;
