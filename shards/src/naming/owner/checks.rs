//! The seam to health checks of persistent instances: which there are, and what was found.
//!
//! Whoever checks says so once ([`OwnerState::watch_checks`]), then takes what changed, service by
//! service ([`OwnerState::take_checks`]): an instance is given whole, as often as its address, its
//! cluster's checker or its health in the log changed, and once more when it is gone. What flipped
//! is proposed in batches ([`OwnerState::propose_health`]); whether the log took it shows as a
//! change. One that does not show was lost (a full disk, a lost leader): it is to be proposed
//! again. Proposing what is so already changes nothing.

use super::OwnerState;
use crate::durable::naming::{Change, Flip, Flips, Named};
use crate::key::ServiceKey;
use crate::limits::{FLIPS_PER_COMMAND_MAX, PROPOSALS_WAITING_MAX};
use crate::naming::kept::{Checked, Entry, Kept};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// One change of what is to be checked.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckChange {
    /// There, or there in another form.
    Put(Checked),
    /// Deregistered.
    Gone { ip: Box<str>, port: i32 },
}

/// A state of health that was found and is not the log's.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthFlip {
    pub service: ServiceKey,
    pub ip: Box<str>,
    pub port: i32,
    pub healthy: bool,
    /// [`Checked::revision`].
    pub revision: u64,
}

impl OwnerState {
    /// Somebody checks from here on: what there is already counts as changed.
    pub fn watch_checks(&mut self) {
        let mut checks = VecDeque::new();
        for id in self.services.ids() {
            let Some(service) = self.services.get(id) else { continue };
            let is_kept = service.is_kept();
            if let Some(logged) = service.logged.as_mut().filter(|_| is_kept) {
                logged.check_queued = true;
                checks.push_back(id);
            }
        }
        self.log.checks = Some(checks);
    }

    /// What changed of one service since it was taken last; `None`: nothing, of any. A service of n
    /// instances takes some n × 10 ns.
    pub fn take_checks(&mut self) -> Option<(ServiceKey, Vec<CheckChange>)> {
        loop {
            let id = self.log.checks.as_mut()?.pop_front()?;
            let Some(service) = self.services.get(id) else { continue };
            let Some(logged) = &mut service.logged else { continue };
            logged.check_queued = false;
            let old = std::mem::replace(&mut logged.given, logged.entry.clone());
            let changes = differences(old.as_deref(), logged.entry.as_deref());
            let key = service.key.clone();
            self.drop_idle(id);
            if !changes.is_empty() {
                return Some((key, changes));
            }
        }
    }

    /// Proposes flips. False: none of them, too much waits already; try again in a while.
    pub fn propose_health(&mut self, flips: &[HealthFlip]) -> bool {
        let commands = flips.len().div_ceil(FLIPS_PER_COMMAND_MAX);
        if self.log.waiting() + commands > PROPOSALS_WAITING_MAX {
            return false;
        }
        for some in flips.chunks(FLIPS_PER_COMMAND_MAX) {
            let list = Flip::list(some.iter().map(|flip| Flip {
                service: Named::of(&flip.service),
                ip: &flip.ip,
                port: flip.port,
                healthy: flip.healthy,
                seen: flip.revision,
            }));
            self.log.propose(Change::SetHealth { flips: Flips::of(&list) });
        }
        true
    }
}

fn address(kept: &Kept) -> (&str, i32) {
    (kept.host.ip(), kept.host.port())
}

/// Both are sorted by address. A change of the service's clusters changes all of its instances.
fn differences(old: Option<&Entry>, new: Option<&Entry>) -> Vec<CheckChange> {
    let instances = |entry: Option<&Entry>| -> Vec<Arc<Kept>> {
        entry.map(|entry| entry.instances.to_vec()).unwrap_or_default()
    };
    let clusters = |entry: Option<&Entry>| {
        entry.and_then(|entry| entry.explicit.as_ref()).map(|explicit| explicit.clusters.clone())
    };
    let same_clusters = clusters(old).unwrap_or_default() == clusters(new).unwrap_or_default();
    let (before, after) = (instances(old), instances(new));
    let (mut before, mut after) = (&before[..], &after[..]);
    let mut changes = Vec::new();
    loop {
        let order = match (before.first(), after.first()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) if Arc::ptr_eq(one, other) => Ordering::Equal,
            (Some(one), Some(other)) => address(one).cmp(&address(other)),
        };
        if order.is_lt() {
            let host = &before[0].host;
            changes.push(CheckChange::Gone { ip: host.ip().into(), port: host.port() });
        } else if order.is_gt() || !same_clusters || before[0] != after[0] {
            let entry = new.expect("it has this instance");
            changes.push(CheckChange::Put(entry.checked(&after[0])));
        }
        before = &before[usize::from(order.is_le())..];
        after = &after[usize::from(order.is_ge())..];
    }
}
