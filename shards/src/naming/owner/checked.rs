//! What the owner does about health checks and about switches.

use super::OwnerState;
use crate::config::table::Tables;
use crate::effect::{Effect, Effects};
use crate::health::checks::{Checks, Means, Outcome, Tally, Ticket};
use crate::message::Now;
use crate::naming::host::Beats;
use std::sync::Arc;

impl OwnerState {
    /// Reads switches from these tables, which all cores share.
    pub fn read_from(&mut self, tables: Arc<Tables>) {
        self.tables = tables;
    }

    /// Once a second: switches that rules hold.
    pub(super) fn follow_switches(&mut self) {
        let switches = self.tables.switches().now();
        let said = switches.push_cache_ms.and_then(|cache_ms| u64::try_from(cache_ms).ok());
        self.rules.cache_ms = said.unwrap_or(self.set_cache_ms);
    }

    /// Switched off, changes wait here: the latest state of each service, however often it changed.
    pub(super) fn pushes(&self) -> bool {
        self.tables.switches().now().push_enabled
    }

    pub(super) fn judges(&self) -> bool {
        self.tables.switches().now().health_check_enabled
    }

    /// What a client that beats is told to wait. What metadata says comes first; there, the
    /// reference's default and saying nothing look alike.
    pub(super) fn beat_interval(&self, interval_ms: u32) -> u32 {
        if i64::from(interval_ms) != Beats::DEFAULT.interval_ms {
            return interval_ms;
        }
        let switched = self.tables.switches().now().client_beat_interval_ms;
        u32::try_from(switched).unwrap_or(u32::MAX)
    }

    pub(super) fn with_checks<T>(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Checks, &mut Means<'_>) -> T,
    ) -> T {
        let now_ms = self.lived(now);
        let shown = self.tables.switches().now();
        let mut means = Means {
            now_ms,
            stalled_ms: self.stalled_ms,
            switches: &shown,
            policy: &self.rules.probes,
            wheel: &mut self.wheel,
        };
        act(&mut self.checks, &mut means)
    }

    /// Asks for probes of who is due, a bounded number at a time.
    pub fn start_checks(&mut self, now: Now, effects: &mut Effects) {
        if !self.checks.can_start() {
            return;
        }
        let mut started = Vec::new();
        self.with_checks(now, |checks, means| checks.start(means, &mut started));
        effects.list.extend(started.into_iter().map(Effect::Check));
    }

    /// A probe ended.
    pub fn probed(&mut self, now: Now, ticket: Ticket, outcome: Outcome) {
        self.with_checks(now, |checks, means| checks.done(ticket, outcome, means));
    }

    /// For the metrics.
    pub fn checks(&self) -> Tally {
        self.checks.tally()
    }
}
