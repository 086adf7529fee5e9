//! What the log holds of this core's services: taken over when it changed, and looked after.
//!
//! The tables say what is true; the owner keeps what it saw last of each slot and compares. What
//! the owner wants changed, because nobody needs it any more, it proposes with the revision it saw,
//! and looks again later: nobody waits for it.

use super::OwnerState;
use crate::config::table::Tables;
use crate::durable::command::Command;
use crate::durable::naming::{Change, Named, PlaceDraft, Places};
use crate::effect::Effect;
use crate::key::{ConnKey, Core, Map, SLOTS, ServiceKey};
use crate::limits::{
    CLEANED_PER_TICK_MAX, FORGOTTEN_PER_COMMAND_MAX, PROPOSALS_PER_DRAIN_MAX, PROPOSALS_WAITING_MAX,
};
use crate::message::{Ask, Now, Purpose, Waiter};
use crate::naming::kept::{Entry, Override};
use crate::naming::owner::Room;
use crate::naming::services::{Service, ServiceId};
use crate::naming::shared::Slot;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// How long no client's registration is let in after a persistent one was let through to the log:
/// longer than a healthy log takes. Should the log take longer, a service may for once hold both.
const CLAIM_MS: u64 = 5_000;

/// What the owner knows of the log.
#[derive(Debug)]
pub struct Log {
    pub(super) tables: Arc<Tables>,
    /// The version that was taken over.
    seen: u64,
    /// The first slot of this core, and its slots as they were taken over.
    first: u32,
    known: Vec<Arc<Slot>>,
    /// Persistent instances.
    pub instances: usize,
    /// Commands for which there is no room yet.
    proposals: VecDeque<Bytes>,
    /// Services that are claimed. Each at most once.
    claims: VecDeque<ServiceId>,
    /// Services with overrides. Each at most once.
    sweeps: VecDeque<ServiceId>,
    sweep_left: usize,
    next_sweep_ms: u64,
    /// Services nobody uses whose settings are to go, and when, by the tick clock.
    expired: VecDeque<(u64, ServiceId)>,
    /// Services whose checks changed. Each at most once; `None` while nobody checks.
    pub checks: Option<VecDeque<ServiceId>>,
}

impl Log {
    pub fn new(core: Core, map: Map) -> Self {
        let is_own = |slot: &u32| map.core_of_slot(*slot) == core;
        let first = (0..SLOTS).find(is_own).unwrap_or(SLOTS);
        let own = (first..SLOTS).take_while(is_own).count();
        Self {
            tables: Arc::default(),
            seen: 0,
            first,
            known: vec![Arc::default(); own],
            instances: 0,
            proposals: VecDeque::new(),
            claims: VecDeque::new(),
            sweeps: VecDeque::new(),
            sweep_left: 0,
            next_sweep_ms: 0,
            expired: VecDeque::new(),
            checks: None,
        }
    }

    /// Commands that wait for room.
    pub fn waiting(&self) -> usize {
        self.proposals.len()
    }

    pub fn proposals_wait(&self) -> bool {
        !self.proposals.is_empty()
    }

    /// Proposes a change nobody waits for. False: too much waits already, try later.
    pub fn propose(&mut self, change: Change<'_>) -> bool {
        let has_room = self.proposals.len() < PROPOSALS_WAITING_MAX;
        if has_room {
            self.proposals.push_back(Command::Naming(change).encode());
        }
        has_room
    }

    /// A service left the lists: what was set for it by hand goes when nobody came back.
    pub fn expire(&mut self, now: Now, id: ServiceId, service: &mut Service) {
        let has_settings = service.entry().is_some_and(|entry| entry.explicit.is_some());
        let Some(logged) = service.logged.as_mut().filter(|_| has_settings) else { return };
        if !std::mem::replace(&mut logged.expiry_queued, true) {
            self.expired.push_back((now.tick_ms, id));
        }
    }

    fn claim(&mut self, now: Now, id: ServiceId, service: &mut Service) {
        let logged = service.logged.get_or_insert_default();
        if logged.claimed_until_ms == 0 {
            self.claims.push_back(id);
        }
        logged.claimed_until_ms = now.tick_ms + CLAIM_MS;
    }

    fn queue_check(&mut self, id: ServiceId, service: &mut Service) {
        let (Some(checks), Some(logged)) = (&mut self.checks, &mut service.logged) else { return };
        if !std::mem::replace(&mut logged.check_queued, true) {
            checks.push_back(id);
        }
    }
}

impl OwnerState {
    /// Where the log's services are read; before the first message.
    pub fn read_from(&mut self, tables: Arc<Tables>) {
        self.log.tables = tables;
    }

    /// Takes over what the log holds now. One load when nothing changed, else 2 µs for the slots of
    /// a whole node and what changed.
    pub fn catch_up(&mut self, now: Now) {
        let version = self.log.tables.services().version();
        if version == self.log.seen {
            return;
        }
        let seen = std::mem::replace(&mut self.log.seen, version);
        let tables = self.log.tables.clone();
        for at in 0..self.log.known.len() {
            let slot = self.log.first + at as u32;
            if tables.services().is_newer(slot, seen) {
                let new = tables.services().slot(slot);
                let old = std::mem::replace(&mut self.log.known[at], new.clone());
                self.compare(now, &old.entries, &new.entries);
            }
        }
    }

    /// Both are sorted.
    fn compare(&mut self, now: Now, mut old: &[Arc<Entry>], mut new: &[Arc<Entry>]) {
        loop {
            let order = match (old.first(), new.first()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.key.cmp(&after.key),
            };
            match order {
                Ordering::Less => self.take_over(now, &old[0].key, None),
                Ordering::Greater => self.take_over(now, &new[0].key, Some(new[0].clone())),
                Ordering::Equal if Arc::ptr_eq(&old[0], &new[0]) || old[0] == new[0] => {}
                Ordering::Equal => self.take_over(now, &new[0].key, Some(new[0].clone())),
            }
            old = &old[usize::from(order.is_le())..];
            new = &new[usize::from(order.is_ge())..];
        }
    }

    /// One service is in the log as this says.
    fn take_over(&mut self, now: Now, key: &ServiceKey, entry: Option<Arc<Entry>>) {
        let (id, service) = self.services.obtain(key, now.unix_ms);
        let before = (service.listed, service.is_published());
        let logged = service.logged.get_or_insert_default();
        let old = std::mem::replace(&mut logged.entry, entry.clone());
        let count =
            |entry: &Option<Arc<Entry>>| entry.as_ref().map_or(0, |entry| entry.instances.len());
        self.log.instances = self.log.instances + count(&entry) - count(&old);
        let explicit_of = |entry: &Option<Arc<Entry>>| entry.as_ref()?.explicit.clone();
        let (was_set, is_set) = (explicit_of(&old), explicit_of(&entry));
        let revision = |explicit: &Option<Arc<_>>| {
            explicit.as_ref().map(|explicit: &Arc<crate::naming::kept::Explicit>| explicit.revision)
        };
        let published = service.is_published();
        let is_touched = is_set.is_some() && revision(&was_set) != revision(&is_set);
        if published || is_touched {
            service.listed = true;
        } else if was_set.is_some() && is_set.is_none() {
            service.listed = false;
            service.persistent = false;
        }
        let ephemeral = is_set.as_ref().is_none_or(|explicit| explicit.ephemeral);
        if count(&entry) > 0 || (is_set.is_some() && !ephemeral && service.publishers.is_empty()) {
            service.persistent = true;
        } else if is_touched && was_set.is_none() {
            service.persistent = false;
        }
        if before != (service.listed, published) {
            Self::queue_name(&mut self.names, self.map, id, service);
        }
        if service.listed && !published {
            Self::queue_cleaning(&mut self.empties, id, service);
        }
        self.log.queue_check(id, service);
        let logged = service.logged.as_mut().expect("made above");
        if entry.as_ref().is_some_and(|entry| !entry.overrides.is_empty())
            && !std::mem::replace(&mut logged.sweep_queued, true)
        {
            self.log.sweeps.push_back(id);
        }
        self.changes.change(now, id, service);
        self.retime_all(id, old.as_deref(), entry.as_deref());
        if entry.is_none() {
            self.drop_idle(id);
        }
    }

    /// Forgets what the owner notes beside the log when nothing is left of it.
    pub(super) fn drop_idle(&mut self, id: ServiceId) {
        let Some(service) = self.services.get(id) else { return };
        if service.logged.as_ref().is_some_and(|logged| logged.is_idle()) {
            service.logged = None;
        }
        self.services.remove_idle(id);
    }

    /// Instances that live by beats have their times from what administrators want.
    fn retime_all(&mut self, id: ServiceId, old: Option<&Entry>, new: Option<&Entry>) {
        let overrides = |entry: Option<&Entry>| -> Vec<Arc<Override>> {
            entry.map(|entry| entry.overrides.to_vec()).unwrap_or_default()
        };
        let (old, new) = (overrides(old), overrides(new));
        if old.is_empty() && new.is_empty() {
            return;
        }
        let changed = |one: &[Arc<Override>], other: &[Arc<Override>]| -> Vec<Arc<Override>> {
            let is_there = |over: &&Arc<Override>| {
                let found =
                    crate::naming::kept::find_override(other, &over.ip, over.port, &over.cluster);
                found.is_ok_and(|at| Arc::ptr_eq(&other[at], over))
            };
            one.iter().filter(|over| !is_there(over)).cloned().collect()
        };
        for over in changed(&old, &new).into_iter().chain(changed(&new, &old)) {
            self.retime(id, &over.ip, over.port);
        }
    }

    /// Gives an instance that lives by beats the times that count for it.
    pub(super) fn retime(&mut self, id: ServiceId, ip: &str, port: i32) {
        let Some(at) = self.beating.find(id, ip, port) else { return };
        let Some(service) = self.services.get(id) else { return };
        let beats = service.hosts().find(|host| host.is_at(ip, port)).map(|host| host.beats());
        if let Some(beats) = beats {
            let times = self.times(beats);
            self.beating.retime(at, times, &mut self.wheel);
        }
    }

    /// A persistent registration is let through to the log, unless clients hold the service.
    pub(super) fn may_persist(&mut self, now: Now, key: &ServiceKey) -> Result<(), String> {
        let known = self.services.find(key);
        let service = known.and_then(|id| self.services.get(id));
        let by_clients = |service: &mut Service| {
            !service.publishers.is_empty() || (service.listed && !service.persistent)
        };
        if service.is_some_and(by_clients) {
            return Err(format!(
                "Current service {} is ephemeral service, can't register persistent instance.",
                key.grouped()
            ));
        }
        let (id, service) = self.services.obtain(key, now.unix_ms);
        self.log.claim(now, id, service);
        Ok(())
    }

    /// Once a tick: claims that are over, settings and overrides nobody needs.
    pub(super) fn care(&mut self, now: Now) {
        self.end_claims(now);
        self.remove_expired(now);
        self.sweep(now);
    }

    fn end_claims(&mut self, now: Now) {
        for _ in 0..self.log.claims.len().min(CLEANED_PER_TICK_MAX) {
            let Some(id) = self.log.claims.pop_front() else { return };
            let Some(service) = self.services.get(id) else { continue };
            let Some(logged) = &mut service.logged else { continue };
            if now.tick_ms < logged.claimed_until_ms {
                self.log.claims.push_back(id);
                continue;
            }
            logged.claimed_until_ms = 0;
            self.drop_idle(id);
        }
    }

    /// Proposed again from time to time, until it is done or the service is used again.
    fn remove_expired(&mut self, now: Now) {
        for _ in 0..self.log.expired.len().min(CLEANED_PER_TICK_MAX) {
            let Some((since_ms, id)) = self.log.expired.pop_front() else { return };
            if now.tick_ms < since_ms + self.rules.expired_metadata_ms {
                self.log.expired.push_front((since_ms, id));
                return;
            }
            let Some(service) = self.services.get(id) else { continue };
            let key = service.key.clone();
            let listed = service.listed;
            let Some(logged) = &mut service.logged else { continue };
            let explicit = logged.entry.as_ref().and_then(|entry| entry.explicit.as_ref());
            let Some(explicit) = explicit.filter(|_| !listed) else {
                logged.expiry_queued = false;
                continue;
            };
            let remove = Change::Remove { service: Named::of(&key), seen: explicit.revision };
            self.log.propose(remove);
            self.log.expired.push_back((now.tick_ms, id));
        }
    }

    /// Looks for overrides of instances that nobody registers any more.
    fn sweep(&mut self, now: Now) {
        if self.log.sweep_left == 0 && now.tick_ms >= self.log.next_sweep_ms {
            self.log.next_sweep_ms = now.tick_ms + self.rules.metadata_scan_ms;
            self.log.sweep_left = self.log.sweeps.len();
        }
        for _ in 0..self.log.sweep_left.min(CLEANED_PER_TICK_MAX) {
            self.log.sweep_left -= 1;
            let Some(id) = self.log.sweeps.pop_front() else { return };
            let Some(service) = self.services.get(id) else { continue };
            let due = forsaken(service, now.tick_ms, self.rules.expired_metadata_ms);
            let key = service.key.clone();
            let Some(logged) = &mut service.logged else { continue };
            let has_any = logged.entry.as_ref().is_some_and(|entry| !entry.overrides.is_empty());
            logged.sweep_queued = has_any;
            if has_any {
                self.log.sweeps.push_back(id);
            }
            if !due.is_empty() {
                let places = due.iter().map(|over| PlaceDraft {
                    ip: &over.ip,
                    port: over.port,
                    cluster: &over.cluster,
                    seen: over.revision,
                });
                let places = PlaceDraft::list(places);
                let places = Places::of(&places);
                self.log.propose(Change::Forget { service: Named::of(&key), places });
            }
        }
    }

    /// Sends commands nobody waits for, as far as there is room. True: some have to wait for it.
    pub(super) fn drain_proposals(&mut self, room: &mut Room, out: &mut Vec<Effect>) -> bool {
        let to = self.map.durable();
        let room = &mut room.asks[usize::from(to.0.0)];
        for _ in 0..self.log.proposals.len().min(*room).min(PROPOSALS_PER_DRAIN_MAX) {
            let Some(command) = self.log.proposals.pop_front() else { break };
            *room -= 1;
            let waiter = Waiter { conn: ConnKey::of_beats(0, 0), stream: 0 };
            let ask = Ask::Propose { waiter, purpose: Purpose::Care, command };
            out.push(Effect::Ask { to, ask });
        }
        *room == 0 && self.log.proposals_wait()
    }
}

/// Notes which overrides are of instances nobody registers, and gives those that are so for too
/// long, a bounded number.
fn forsaken(service: &mut Service, now_ms: u64, expired_ms: u64) -> Vec<Arc<Override>> {
    let Some(entry) = service.entry().cloned() else { return Vec::new() };
    let there: HashSet<(&str, i32, &str)> = {
        let kept = entry.instances.iter().map(|kept| &kept.host);
        let hosts = service.publishers.hosts().chain(kept);
        hosts.map(|host| (host.ip(), host.port(), host.cluster())).collect()
    };
    let is_there = |over: &&Arc<Override>| there.contains(&(&*over.ip, over.port, &*over.cluster));
    let lonely: Vec<_> = entry.overrides.iter().filter(|over| !is_there(over)).cloned().collect();
    let Some(logged) = &mut service.logged else { return Vec::new() };
    let old = std::mem::take(&mut logged.forsaken);
    let since = |over: &Arc<Override>| {
        let known = old.iter().find(|(known, _)| Arc::ptr_eq(known, over));
        known.map_or(now_ms, |(_, since_ms)| *since_ms)
    };
    logged.forsaken = lonely.iter().map(|over| (over.clone(), since(over))).collect();
    let due = logged.forsaken.iter().filter(|(_, since_ms)| now_ms >= since_ms + expired_ms);
    due.map(|(over, _)| over.clone()).take(FORGOTTEN_PER_COMMAND_MAX).collect()
}
