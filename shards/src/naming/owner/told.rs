//! The clients of this owner that have no connection: judged by their beats, told by datagram.

use super::{OwnerState, showing};
use crate::auth::Action;
use crate::auth::standing::of_service;
use crate::config::table::Tables;
use crate::effect::Effect;
use crate::health::beat::{Silent, Verdict};
use crate::health::wheel::Timer;
use crate::limits::{DATAGRAM_LIST_BYTES_MAX, DATAGRAMS_PER_TURN_MAX, LOOKS_PER_TURN_MAX};
use crate::message::Now;
use crate::naming::services::{Service, ServiceId};
use crate::push::poller::Ready;
use bytes::Bytes;
use std::net::SocketAddr;

impl OwnerState {
    /// Time as clients experienced it.
    pub(super) fn lived(&self, now: Now) -> u64 {
        now.tick_ms.saturating_sub(self.stalled_ms)
    }

    /// When [`Self::judge`] or [`Self::check`] has something to do, in `tick_ms`.
    pub fn next_judged(&self) -> Option<u64> {
        if self.stopping {
            return None;
        }
        let next = self.wheel.next_ms().map(|lived_ms| lived_ms + self.stalled_ms);
        [next, self.next_check()].into_iter().flatten().min()
    }

    /// The node stops: nobody can beat from here on, and nothing is pushed.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.checks.stop();
    }

    /// Whether something that has come due was left by [`Self::judge`].
    pub fn is_late(&self, now: Now) -> bool {
        !self.stopping && self.wheel.is_due(self.lived(now))
    }

    /// Looks at clients whose time has come, a bounded number at a time. True if something changed.
    pub fn judge(&mut self, now: Now) -> bool {
        if self.stopping {
            return false;
        }
        let lived_ms = self.lived(now);
        let (mut changed, judges) = (false, self.judges());
        for _ in 0..LOOKS_PER_TURN_MAX {
            let Some((timer, tick)) = self.wheel.next_due(lived_ms) else { break };
            match timer {
                Timer::Check(at) => {
                    self.with_checks(now, |checks, means| checks.look(at, tick, means));
                }
                Timer::Beating(at) if !judges => {
                    self.beating.look_later(at, tick, lived_ms, &mut self.wheel);
                }
                Timer::Beating(at) => {
                    let silent = self.beating.due(at, tick, lived_ms, &mut self.wheel);
                    changed |= silent.is_some();
                    if let Some(silent) = silent {
                        self.fell_silent(now, silent);
                    }
                }
                Timer::Poller(at) => {
                    changed = true;
                    if let Some(service) = self.pollers.due(at, tick, lived_ms, &mut self.wheel) {
                        self.forget_poller(service, at);
                    }
                }
                _ => debug_assert!(false, "the home side has its own wheel"),
            }
        }
        changed
    }

    fn fell_silent(&mut self, now: Now, silent: Silent) {
        let Silent { service: id, publisher, verdict } = silent;
        match verdict {
            Verdict::Gone => {
                self.expired += 1;
                self.take(now, id, publisher);
            }
            Verdict::Unhealthy => {
                self.silent += 1;
                self.set_healthy(now, id, publisher, false);
            }
        }
    }

    /// Sets the health of what a client publishes.
    pub(super) fn set_healthy(
        &mut self,
        now: Now,
        id: ServiceId,
        publisher: crate::key::ConnKey,
        healthy: bool,
    ) {
        let Some(service) = self.services.get(id) else { return };
        let publication = service.publishers.get_mut(publisher);
        if publication.is_some_and(|publication| publication.set_healthy(healthy)) {
            self.changes.change(now, id, service);
        }
    }

    /// A datagram was acknowledged.
    pub fn acknowledged(&mut self, now: Now, from: SocketAddr, number: u64) {
        let lived_ms = self.lived(now);
        self.pollers.acknowledged(from, number, lived_ms, &mut self.wheel);
    }

    fn forget_poller(&mut self, id: ServiceId, at: u32) {
        let Some(service) = self.services.get(id) else { return };
        if let Some(pollers) = &mut service.pollers {
            pollers.0.retain(|other| *other != at);
            if pollers.0.is_empty() {
                service.pollers = None;
            }
        }
        self.services.remove_idle(id);
    }

    /// Whether pollers are to be told of something.
    pub(super) fn pollers_pending(&self) -> bool {
        let waits = self.pollers.pending() || !self.changes.polled.is_empty();
        waits && !self.stopping && self.pushes()
    }

    /// Tells pollers, a bounded number at a time. True if a large list has to wait before it is
    /// built again.
    pub(super) fn drain_pollers(&mut self, now: Now, out: &mut Vec<Effect>) -> bool {
        if self.stopping || !self.pushes() {
            return false;
        }
        let lived_ms = self.lived(now);
        while let Some(id) = self.changes.polled.pop_front() {
            let Some(service) = self.services.get(id) else { continue };
            service.pollers_queued = false;
            for at in service.pollers.iter().flat_map(|pollers| pollers.0.iter()) {
                self.pollers.want(*at, lived_ms, &mut self.wheel);
            }
        }
        let tables = &self.log.tables;
        // Those of one service follow each other, most with the same filter.
        let mut last: Option<(ServiceId, Box<str>, u64, Bytes)> = None;
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            let Some(ready) = self.pollers.next_ready() else { return false };
            let Ready { at, service: id, to, filter, user } = ready;
            if self.services.get(id).is_none_or(|service| !may_hear(tables, user, service)) {
                continue;
            }
            let clusters = filter.clusters.as_deref().unwrap_or("");
            let same = last.as_ref().filter(|last| last.0 == id && *last.1 == *clusters);
            let (number, list) = match same {
                Some((.., number, list)) => (*number, list.clone()),
                None => {
                    let showing = showing(&self.rules, &self.hasher);
                    let Some(service) = self.services.get(id) else { continue };
                    let Some(view) = service.view_to_push(now.tick_ms, showing) else {
                        self.pollers.put_back(at);
                        return true;
                    };
                    let list = view.grouped_body(filter);
                    let clusters = clusters.into();
                    let number = self.pollers.number(now.unix_ms);
                    last = Some((id, clusters, number, list.clone()));
                    (number, list)
                }
            };
            if list.len() > DATAGRAM_LIST_BYTES_MAX {
                continue;
            }
            self.pollers.sent(at, number, lived_ms, &mut self.wheel);
            out.push(Effect::Datagram { to, number, list });
        }
        false
    }
}

/// Whether a poller may be told of a service; looked up for each datagram, since what he may can
/// change between two polls.
fn may_hear(tables: &Tables, user: Option<&str>, service: &Service) -> bool {
    let Some(user) = user else { return true };
    tables.identities().now().decide(user, Action::Read, &of_service(&service.key)).is_ok()
}
