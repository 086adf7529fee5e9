//! Fuzzy watches of configs (`config.md` 7): which names there are is found by walking through the
//! tables every core reads, a slice a turn.
//!
//! What appears meanwhile is added to what was found, and all of that is looked up once more when
//! the walk has ended. Then the call is answered and the pattern watched, in one turn.

use crate::auth::Kind;
use crate::config::accept::FuzzyOp;
use crate::config::answer;
use crate::config::table::Tables;
use crate::conns::connection::Links;
use crate::effect::Body;
use crate::health::wheel::Timer;
use crate::home::{HomeState, Turn};
use crate::key::{ConfigKey, ConfigName, ConnKey, SLOTS};
use crate::limits::SCAN_SLOTS_PER_TURN;
use crate::message::{NameChange, Waiter, Watch};
use crate::naming::accept::Refusal;
use crate::naming::answer::FuzzySync;
use crate::naming::fuzzy::Pattern;
use crate::push::delivery::{Fuzzy, Pace};
use crate::push::fuzzy::{Configs, Watches};
use crate::push::patterns::Patterns;
use crate::settings::Settings;
use nacre_proto::code::{Code, RESULT_FAIL};
use std::collections::BTreeSet;

impl Watches for Configs {
    type Name = ConfigKey;
    const KIND: Kind = Kind::Config;

    fn pace(settings: &Settings) -> Pace {
        Pace {
            batch: settings.config.fuzzy_batch,
            first_ms: 0,
            finish_ms: 0,
            finish_batches: 0,
            timeout_ms: u64::from(settings.config.push_timeout_ms),
            repeat_ms: 0,
            step_ms: 2_000,
            tries_max: Some(settings.config.push_tries_max),
        }
    }

    fn of(links: &mut Links) -> &mut Option<Box<Fuzzy<ConfigKey>>> {
        &mut links.config_fuzzy
    }

    fn patterns(home: &mut HomeState) -> &mut Patterns<ConfigKey> {
        &mut home.config_patterns
    }

    fn timer(slot: u32) -> Timer {
        Timer::ConfigFuzzy(slot)
    }

    /// Nobody else knows of it.
    fn ended(_: &mut HomeState, _: ConnKey, _: Box<str>, _: &mut Turn<'_>) {}

    fn sync(request_id: u64, sync: &FuzzySync<'_, ConfigKey>) -> Body {
        answer::fuzzy_sync(request_id, sync)
    }

    fn change(request_id: u64, key: &ConfigKey, change: NameChange) -> Body {
        answer::fuzzy_change(request_id, key, change)
    }
}

/// A walk through the tables for one watch.
#[derive(Debug)]
pub struct Scan {
    waiter: Waiter,
    watch: Box<Watch>,
    pattern: Pattern,
    /// The client forgot what it says it knows: an answer of an earlier watch came in between.
    from_nothing: bool,
    next_slot: u32,
    /// As many as may be told, and one more.
    found: BTreeSet<ConfigKey>,
}

impl HomeState {
    pub(crate) fn config_fuzzy(
        &mut self,
        waiter: Waiter,
        op: FuzzyOp,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Body>, Refusal> {
        let mut watch = match op {
            FuzzyOp::Cancel(pattern) => {
                self.end_scans(waiter, &pattern, turn);
                self.unwatch::<Configs>(waiter.conn, &pattern);
                return Ok(Some(answer::fuzzy()));
            }
            FuzzyOp::Watch(watch) => watch,
        };
        // What the one before would have told is told by this one.
        let from_nothing = self.end_scans(waiter, &watch.pattern, turn);
        watch.initializing |= from_nothing;
        if self.patterns_with(&watch.pattern) > self.settings.config.fuzzy_patterns_max {
            self.counters.configs.patterns_refused += 1;
            return Err(over(Code::FuzzyWatchPatternOverLimit));
        }
        self.watch::<Configs>(waiter.conn, &watch.pattern)?;
        let pattern = Pattern::parse(&watch.pattern).expect("parsed when it was accepted");
        let found = BTreeSet::new();
        self.scans.push_back(Scan { waiter, watch, pattern, from_nothing, next_slot: 0, found });
        Ok(None)
    }

    /// Patterns there would be with this one.
    fn patterns_with(&self, pattern: &str) -> usize {
        let scanned = self.scans.iter().map(|scan| &*scan.watch.pattern);
        let new = scanned.chain([pattern]).filter(|pattern| !self.config_patterns.has(pattern));
        self.config_patterns.len() + new.collect::<BTreeSet<_>>().len()
    }

    /// A config appeared: walks that have passed its place would miss it.
    pub(crate) fn scans_find(&mut self, key: &ConfigKey) {
        for scan in self.scans.iter_mut().filter(|scan| scan.pattern.matches(key)) {
            scan.found.insert(key.clone());
        }
    }

    /// A watch that is cancelled or sent again before it was answered: its answer comes first, or
    /// the client would think that it watches.
    /// True: it was a first one.
    fn end_scans(&mut self, waiter: Waiter, pattern: &str, turn: &mut Turn<'_>) -> bool {
        let mut from_nothing = false;
        let of_it =
            |scan: &Scan| scan.waiter.conn == waiter.conn && *scan.watch.pattern == *pattern;
        while let Some(at) = self.scans.iter().position(of_it) {
            let scan = self.scans.remove(at).expect("found above");
            from_nothing |= scan.watch.initializing;
            self.answer(scan.waiter, answer::fuzzy(), turn);
        }
        from_nothing
    }

    /// Walks on for the first of those that wait.
    pub(crate) fn scan_some(&mut self, turn: &mut Turn<'_>) {
        let Some(mut scan) = self.scans.pop_front() else { return };
        if self.table.get(scan.waiter.conn).is_none() {
            return;
        }
        let max = self.settings.config.fuzzy_matches_max;
        scan.walk(&self.config_tables, max);
        if scan.next_slot < SLOTS {
            return self.scans.push_back(scan);
        }
        let Scan { waiter, watch, pattern, from_nothing, mut found, .. } = scan;
        // Also those that vanished during the walk: their own message may have come before.
        found.retain(|key| exists(&self.config_tables, key));
        let is_over = found.len() > max;
        while found.len() > max {
            found.pop_last();
        }
        let body = if is_over {
            self.counters.configs.matches_over += 1;
            over(Code::FuzzyWatchMatchOverLimit).body(nacre_proto::request::Kind::ConfigFuzzyWatch)
        } else {
            answer::fuzzy()
        };
        let known = known(&watch, &pattern);
        let is_new = |key: &&ConfigKey| from_nothing || !known.contains(*key);
        let added = found.iter().filter(is_new).map(|key| (key.clone(), NameChange::Added));
        let mut differences: Vec<_> = added.collect();
        if !is_over {
            let gone = known.iter().filter(|key| !exists(&self.config_tables, key));
            differences.extend(gone.map(|key| (key.clone(), NameChange::Deleted)));
        }
        self.answer(waiter, body, turn);
        // A client that begins anew forgets what came before the answer.
        let tables = self.config_tables.clone();
        let truth = |key: &ConfigKey| {
            let change = if exists(&tables, key) { NameChange::Added } else { NameChange::Deleted };
            pattern.matches(key).then_some(change)
        };
        self.refresh::<Configs>(waiter.conn, truth, turn);
        self.watched::<Configs>(waiter.conn, &watch, differences, turn);
    }
}

impl Scan {
    fn walk(&mut self, tables: &Tables, max: usize) {
        let end = (self.next_slot + SCAN_SLOTS_PER_TURN).min(SLOTS);
        while self.next_slot < end {
            let slot = tables.slot(self.next_slot);
            let there = slot.entries().iter().filter(|entry| entry.formal.is_some());
            for entry in there.filter(|entry| self.pattern.matches(&entry.key)) {
                self.found.insert(entry.key.clone());
            }
            self.next_slot += 1;
            if self.found.len() > max {
                self.next_slot = SLOTS;
            }
        }
    }
}

fn exists(tables: &Tables, key: &ConfigKey) -> bool {
    let name = key.name();
    tables.slot(name.slot()).get(name).is_some_and(|entry| entry.formal.is_some())
}

/// Those of the names a client says it knows that the pattern matches.
fn known(watch: &Watch, pattern: &Pattern) -> BTreeSet<ConfigKey> {
    let keys = watch.known.iter().filter_map(|text| parse_group_key(text));
    keys.filter(|key| pattern.matches(key)).collect()
}

/// Reads back `dataId+group+tenant`, as clients send what they know.
pub fn parse_group_key(text: &str) -> Option<ConfigKey> {
    let plain = |part: &str| part.replace("%2B", "+").replace("%25", "%");
    let mut parts = text.split('+').map(plain);
    let (data_id, group) = (parts.next()?, parts.next()?);
    let namespace = parts.next().filter(|namespace| !namespace.trim().is_empty());
    let namespace = namespace.as_deref().unwrap_or(crate::naming::accept::PUBLIC);
    if parts.next().is_some() {
        return None;
    }
    let name = ConfigName { data_id: &data_id, group: &group, namespace };
    name.fits().then(|| ConfigKey::new(name))
}

fn over(code: Code) -> Refusal {
    let (error_code, message) = (code.number(), code.text().into());
    Refusal { typed: true, result_code: RESULT_FAIL, error_code, message }
}

#[cfg(test)]
mod tests;
