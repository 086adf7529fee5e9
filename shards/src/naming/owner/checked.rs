//! What the owner does about health checks and about switches.

use super::OwnerState;
use super::checks::CheckChange;
use crate::effect::{Effect, Effects};
use crate::health::checks::{Checks, Means, Outcome, Subject, Tally, Ticket};
use crate::health::probe::Probe;
use crate::key::ServiceKey;
use crate::limits::{CHECK_CHANGES_PER_TICK_MAX, FLIPS_PER_COMMAND_MAX};
use crate::message::Now;
use crate::naming::host::Beats;
use crate::naming::kept::{Checked, Checker};

/// Flips that are found within this time leave in one command.
const FLIPS_PACE_MS: u64 = 50;

impl OwnerState {
    /// Once a second: switches that rules hold.
    pub(super) fn follow_switches(&mut self) {
        let switches = self.log.tables.switches().now();
        let said = switches.push_cache_ms.and_then(|cache_ms| u64::try_from(cache_ms).ok());
        self.rules.cache_ms = said.unwrap_or(self.set_cache_ms);
    }

    /// Switched off, changes wait here: the latest state of each service, however often it changed.
    pub(super) fn pushes(&self) -> bool {
        self.log.tables.switches().now().push_enabled
    }

    pub(super) fn judges(&self) -> bool {
        self.log.tables.switches().now().health_check_enabled
    }

    /// What a client that beats is told to wait. What metadata says comes first; there, the
    /// reference's default and saying nothing look alike.
    pub(super) fn beat_interval(&self, interval_ms: u32) -> u32 {
        if i64::from(interval_ms) != Beats::DEFAULT.interval_ms {
            return interval_ms;
        }
        let switched = self.log.tables.switches().now().client_beat_interval_ms;
        u32::try_from(switched).unwrap_or(u32::MAX)
    }

    pub(super) fn with_checks<T>(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Checks, &mut Means<'_>) -> T,
    ) -> T {
        let now_ms = self.lived(now);
        let shown = self.log.tables.switches().now();
        let mut means = Means {
            now_ms,
            stalled_ms: self.stalled_ms,
            switches: &shown,
            policy: &self.rules.probes,
            wheel: &mut self.wheel,
        };
        act(&mut self.checks, &mut means)
    }

    /// Follows what the log says of checked instances, asks for probes of who is due, proposes what
    /// was found; each a bounded number at a time. True if something was proposed.
    pub fn check(&mut self, now: Now, effects: &mut Effects) -> bool {
        if self.stopping {
            return false;
        }
        for _ in 0..CHECK_CHANGES_PER_TICK_MAX {
            let Some((service, changes)) = self.take_checks() else { break };
            for change in &changes {
                self.follow_check(now, &service, change);
            }
        }
        if self.checks.can_start() {
            let mut started = Vec::new();
            self.with_checks(now, |checks, means| checks.start(means, &mut started));
            effects.list.extend(started.into_iter().map(Effect::Check));
        }
        self.propose_flips(now)
    }

    fn follow_check(&mut self, now: Now, service: &ServiceKey, change: &CheckChange) {
        match change {
            CheckChange::Gone { ip, port } => self.checks.remove(service, ip, *port),
            CheckChange::Put(checked) if checked.checker == Checker::None => {
                self.checks.remove(service, &checked.ip, checked.port);
            }
            CheckChange::Put(checked) => {
                let subject = subject(service, checked);
                // One too many keeps its health.
                self.with_checks(now, |checks, means| checks.put(&subject, means));
            }
        }
    }

    fn propose_flips(&mut self, now: Now) -> bool {
        let lived_ms = self.lived(now);
        if !self.checks.has_flips() || lived_ms < self.flips_at_ms {
            return false;
        }
        self.flips_at_ms = lived_ms + FLIPS_PACE_MS;
        let flips = self.checks.take_flips(FLIPS_PER_COMMAND_MAX);
        // Without room they are lost; the next results ask for them again.
        !flips.is_empty() && self.propose_health(&flips)
    }

    /// When [`Self::check`] has something to do, in `tick_ms`.
    pub(super) fn next_check(&self) -> Option<u64> {
        if self.checks.can_start() || self.log.checks.as_ref().is_some_and(|all| !all.is_empty()) {
            return Some(0);
        }
        self.checks.has_flips().then_some(self.flips_at_ms + self.stalled_ms)
    }

    /// A probe ended.
    pub fn probed(&mut self, now: Now, ticket: Ticket, outcome: Outcome) {
        self.with_checks(now, |checks, means| checks.done(ticket, outcome, means));
    }

    /// For the metrics.
    pub fn check_tally(&self) -> Tally {
        self.checks.tally()
    }
}

fn subject<'a>(service: &'a ServiceKey, checked: &'a Checked) -> Subject<'a> {
    let probe = match &checked.checker {
        Checker::Tcp => Some(Probe::Connect),
        // What cannot be one request was refused when it was set.
        Checker::Http { path, headers, .. } => Probe::get(path, headers).ok(),
        Checker::Mysql { .. } | Checker::None => None,
    };
    Subject {
        service,
        ip: &checked.ip,
        port: checked.port,
        check_port: checked.check_port,
        probe,
        healthy: checked.healthy,
        revision: checked.revision,
    }
}

#[cfg(test)]
mod tests;
