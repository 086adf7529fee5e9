//! The names of whole namespaces, on their directory core: service lists and fuzzy watches.
//!
//! Owners say when a name appears or vanishes (`Ask::Named`); the directory holds nothing else, so
//! a list never asks another core. Which home cores must hear of a change is a set per name until
//! there is room, latest change first: the reference merges by (client, service) too.

use crate::effect::{Body, Effect};
use crate::key::{ConnKey, Core, Home, ServiceKey};
use crate::limits::CHANGES_PER_TURN_MAX;
use crate::message::{NameChange, Now, Tell, Waiter, Watch};
use crate::naming::answer;
use crate::naming::cores::Cores;
use crate::naming::fuzzy::{Part, Pattern, parse_key};
use crate::naming::names::Names;
use crate::naming::rules::Rules;
use ahash::RandomState;
use memchr::memmem::Finder;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// Patterns nobody watches are kept this long for clients that come back, ms; the reference's.
const PATTERN_IDLE_MS: u64 = 30_000;

/// Blocks of names that one search joins for the next ones: some milliseconds, whatever changed.
const BLOCKS_JOINED_MAX: usize = 128;

/// Which part of a list is asked for; from 1.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub page_no: i64,
    pub page_size: i64,
}

impl Page {
    /// Position of the first name, and how many.
    pub(crate) fn range(self) -> (usize, usize) {
        let start = self.page_no.saturating_sub(1).saturating_mul(self.page_size).max(0);
        let items = self.page_size.max(0);
        (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(items).unwrap_or(usize::MAX))
    }
}

/// Names and patterns of the namespaces this core is the directory of.
#[derive(Debug)]
pub struct Directory {
    namespaces: HashMap<Box<str>, BTreeMap<Box<str>, Names>, RandomState>,
    names: usize,
    patterns: Vec<Watched>,
    /// Names whose latest change some home core has not been sent.
    changes: HashMap<ServiceKey, Pending, RandomState>,
    /// Per home core, the names of `changes` that name it. Each at most once.
    queues: Vec<VecDeque<ServiceKey>>,
    patterns_max: usize,
    matches_max: usize,
}

#[derive(Debug)]
struct Pending {
    change: NameChange,
    homes: Cores,
}

/// A pattern, who watches it, and what they were told exists.
#[derive(Debug)]
struct Watched {
    text: Box<str>,
    pattern: Pattern,
    /// In key order, so that what clients are told is the same in every run.
    matched: BTreeSet<ServiceKey>,
    watchers: HashSet<ConnKey, RandomState>,
    /// Watchers by home core.
    homes: Vec<usize>,
    /// When the last watcher left, by the tick clock, ms.
    idle_since_ms: u64,
}

impl Directory {
    /// For a node of this many cores.
    pub fn new(cores: usize, hasher: RandomState, rules: &Rules) -> Self {
        Self {
            namespaces: HashMap::with_hasher(hasher.clone()),
            names: 0,
            patterns: Vec::new(),
            changes: HashMap::with_hasher(hasher),
            queues: vec![VecDeque::new(); cores],
            patterns_max: rules.fuzzy_patterns_max,
            matches_max: rules.fuzzy_matches_max,
        }
    }

    /// Names listed.
    pub fn names(&self) -> usize {
        self.names
    }

    /// Patterns kept.
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// `ServiceListResponse` (`naming.md` 5.5): exact group, names in order, the count of all.
    pub fn list(&self, namespace: &str, group: &str, page: Page) -> Body {
        let (count, page) = self.page(namespace, group, page);
        answer::service_list(count, page.map(ServiceKey::service))
    }

    /// How many names a group has, and one page of them.
    pub fn page(
        &self,
        namespace: &str,
        group: &str,
        page: Page,
    ) -> (usize, impl Iterator<Item = &ServiceKey>) {
        let names = self.namespaces.get(namespace).and_then(|groups| groups.get(group));
        let (start, items) = page.range();
        let page = names.map(|names| names.skipping(start).take(items));
        (names.map_or(0, Names::len), page.into_iter().flatten())
    }

    /// Names of a namespace whose parts contain these texts, by group and name: how many, and one
    /// page of them. Without a text for the name it costs the groups and the page; with one it
    /// looks at all, 2 to 4 ns each, 12 where each holds it in its own place: for administrators.
    pub fn search(
        &mut self,
        namespace: &str,
        service: &str,
        group: &str,
        page: Page,
    ) -> (usize, Vec<ServiceKey>) {
        let groups = self.namespaces.get_mut(namespace).into_iter().flatten();
        let groups = groups.filter(|(name, _)| name.contains(group));
        let (start, items) = page.range();
        let (mut count, mut found) = (0, Vec::new());
        if service.is_empty() {
            for (_, names) in groups {
                let skipped = start.saturating_sub(count);
                let room = items - found.len();
                if skipped < names.len() && room > 0 {
                    found.extend(names.skipping(skipped).take(room).cloned());
                }
                count += names.len();
            }
            return (count, found);
        }
        let (text, mut joins) = (Finder::new(service), BLOCKS_JOINED_MAX);
        for (_, names) in groups {
            names.holding(&text, &mut joins, |key| {
                if count >= start && found.len() < items {
                    found.push(key.clone());
                }
                count += 1;
            });
        }
        (count, found)
    }

    /// What an owner says of a name: whether it is listed, and whether anybody publishes it.
    pub fn named(&mut self, service: ServiceKey, listed: bool, published: bool) {
        if listed {
            self.insert(&service);
        } else {
            self.remove(&service);
        }
        let change = if published { NameChange::Added } else { NameChange::Deleted };
        let mut concerns = vec![];
        let mut news = false;
        for at in 0..self.patterns.len() {
            if self.patterns[at].pattern.matches(&service) {
                news |= self.apply(at, &service, change);
                concerns.push(at);
            }
        }
        if news {
            self.announce(service, change, &concerns);
        }
    }

    fn insert(&mut self, service: &ServiceKey) {
        if !self.namespaces.contains_key(service.namespace()) {
            self.namespaces.insert(service.namespace().into(), BTreeMap::new());
        }
        let groups = self.namespaces.get_mut(service.namespace()).expect("just made");
        if !groups.contains_key(service.group()) {
            groups.insert(service.group().into(), Names::default());
        }
        let names = groups.get_mut(service.group()).expect("just made");
        self.names += usize::from(names.insert(service.clone()));
    }

    fn remove(&mut self, service: &ServiceKey) {
        let Some(groups) = self.namespaces.get_mut(service.namespace()) else { return };
        let Some(names) = groups.get_mut(service.group()) else { return };
        self.names -= usize::from(names.remove(service.service()));
        if names.is_empty() {
            groups.remove(service.group());
        }
        if groups.is_empty() {
            self.namespaces.remove(service.namespace());
        }
    }

    /// Puts a change into one pattern's set. True if the set changed. What is new while the set is
    /// full is ignored; a place that becomes free is filled silently (`naming.md` 8.4).
    fn apply(&mut self, at: usize, service: &ServiceKey, change: NameChange) -> bool {
        let watched = &mut self.patterns[at];
        let full = watched.matched.len() >= self.matches_max;
        match change {
            NameChange::Added => !full && watched.matched.insert(service.clone()),
            NameChange::Deleted => {
                let removed = watched.matched.remove(service);
                if removed && full {
                    let mut matched = std::mem::take(&mut self.patterns[at].matched);
                    self.fill(&self.patterns[at].pattern, &mut matched, Some(service));
                    self.patterns[at].matched = matched;
                }
                removed
            }
        }
    }

    /// Adds matching names, in order, until the set is full. Published or not: the reference scans
    /// all services it knows, even empty ones. A prefix costs what it finds, a suffix a look at
    /// every name.
    fn fill(
        &self,
        pattern: &Pattern,
        matched: &mut BTreeSet<ServiceKey>,
        except: Option<&ServiceKey>,
    ) {
        let Some(groups) = self.namespaces.get(pattern.namespace()) else { return };
        let one = match &pattern.group {
            Part::Exact(group) => groups.get_key_value(group),
            _ => None,
        };
        let all = match &pattern.group {
            Part::Exact(_) => None,
            _ => Some(groups.iter().filter(|(group, _)| pattern.group.matches(group))),
        };
        for (_, names) in one.into_iter().chain(all.into_iter().flatten()) {
            for name in candidates(names, &pattern.service) {
                if matched.len() >= self.matches_max {
                    return;
                }
                if pattern.service.matches(name.service()) && Some(name) != except {
                    matched.insert(name.clone());
                }
            }
        }
    }

    /// Every home core with a watcher of any of these patterns is to hear of the change.
    fn announce(&mut self, service: ServiceKey, change: NameChange, patterns: &[usize]) {
        for home in 0..self.queues.len() {
            if !patterns.iter().any(|at| self.patterns[*at].homes[home] > 0) {
                continue;
            }
            let pending = self.changes.entry(service.clone());
            let pending = pending.or_insert(Pending { change, homes: Cores::default() });
            if pending.homes.insert(Core(home as u16)) {
                self.queues[home].push_back(service.clone());
            }
        }
        // Also for cores that wait for an older change of this name.
        if let Some(pending) = self.changes.get_mut(&service) {
            pending.change = change;
        }
    }

    /// `WATCH`: the answer, and what the client must be told that it does not know.
    pub fn watch(&mut self, now: Now, from: Core, waiter: Waiter, watch: Box<Watch>) -> Tell {
        let at = self.patterns.iter().position(|watched| watched.text == watch.pattern);
        let Some(at) = at.or_else(|| self.add_pattern(now, &watch.pattern)) else {
            return Tell::Answer { waiter, body: answer::fuzzy_patterns_over() };
        };
        let watched = &mut self.patterns[at];
        if watched.watchers.insert(waiter.conn) {
            watched.homes[usize::from(from.0)] += 1;
        }
        let full = watched.matched.len() >= self.matches_max;
        let body = if full { answer::fuzzy_matches_over() } else { answer::fuzzy() };
        let differences = differences(&watched.matched, &watch.known, full);
        Tell::Watched { waiter, watch, body, differences }
    }

    /// `None`: too many, or no pattern (which a home core has checked).
    fn add_pattern(&mut self, now: Now, text: &str) -> Option<usize> {
        let pattern = Pattern::parse(text)?;
        if self.patterns.len() >= self.patterns_max {
            // The reference refuses until its trimmer comes; a pattern nobody watches may as well
            // go now.
            let idle = self.patterns.iter().position(|watched| watched.watchers.is_empty())?;
            self.patterns.remove(idle);
        }
        let mut matched = BTreeSet::new();
        self.fill(&pattern, &mut matched, None);
        self.patterns.push(Watched {
            text: text.into(),
            pattern,
            matched,
            watchers: HashSet::with_hasher(self.changes.hasher().clone()),
            homes: vec![0; self.queues.len()],
            idle_since_ms: now.tick_ms,
        });
        Some(self.patterns.len() - 1)
    }

    /// `CANCEL_WATCH`, or the client is gone. Its pattern stays a while.
    pub fn unwatch(&mut self, now: Now, conn: ConnKey, pattern: &str) {
        let watched = self.patterns.iter_mut().find(|watched| *watched.text == *pattern);
        let Some(watched) = watched else { return };
        if watched.watchers.remove(&conn) {
            watched.homes[usize::from(conn.home.0.0)] -= 1;
            watched.idle_since_ms = now.tick_ms;
        }
    }

    /// Forgets patterns nobody has watched for a while.
    pub fn tick(&mut self, now: Now) {
        self.patterns.retain(|watched| {
            !watched.watchers.is_empty() || now.tick_ms < watched.idle_since_ms + PATTERN_IDLE_MS
        });
    }

    /// Emits `NameChanged` where there is room, at most [`CHANGES_PER_TURN_MAX`] per core. True if
    /// something was left for want of room.
    pub fn drain(&mut self, room: &mut [usize], out: &mut Vec<Effect>) -> bool {
        let mut blocked = false;
        for (home, queue) in self.queues.iter_mut().enumerate() {
            let core = Core(home as u16);
            for _ in 0..CHANGES_PER_TURN_MAX.min(room[home]) {
                let Some(service) = queue.pop_front() else { break };
                let Some(pending) = self.changes.get_mut(&service) else { continue };
                let change = pending.change;
                pending.homes.remove(core);
                if pending.homes.is_empty() {
                    self.changes.remove(&service);
                }
                room[home] -= 1;
                let tell = Tell::NameChanged { service, change };
                out.push(Effect::Tell { to: Home(core), tell });
            }
            blocked |= room[home] == 0 && !queue.is_empty();
        }
        blocked
    }

    /// Whether [`Self::drain`] has work.
    pub fn pending(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// The names a part of a pattern can match, found without looking at all where order helps.
fn candidates<'a>(
    names: &'a Names,
    part: &'a Part,
) -> Box<dyn Iterator<Item = &'a ServiceKey> + 'a> {
    match part {
        Part::Exact(text) => Box::new(names.starting_at(text).take(1)),
        Part::Prefix(text) => {
            let begins = move |name: &&ServiceKey| name.service().starts_with(&**text);
            Box::new(names.starting_at(text).take_while(begins))
        }
        Part::All | Part::Suffix(_) | Part::Contains(_) => Box::new(names.iter()),
        Part::Never => Box::new(std::iter::empty()),
    }
}

/// What a client must be told: names it lacks, then names that are gone. With a full set the
/// server's own list may be incomplete, so nothing is declared gone (`naming.md` 8.3).
fn differences(
    matched: &BTreeSet<ServiceKey>,
    known: &[Box<str>],
    full: bool,
) -> Vec<(ServiceKey, NameChange)> {
    let known: BTreeSet<&str> = known.iter().map(|key| &**key).collect();
    let lacks = matched.iter().filter(|key| !known.contains(key.text()));
    let mut list: Vec<_> = lacks.map(|key| (key.clone(), NameChange::Added)).collect();
    if !full {
        let gone = known.iter().filter_map(|text| parse_key(text));
        let gone = gone.filter(|key| !matched.contains(key));
        list.extend(gone.map(|key| (key, NameChange::Deleted)));
    }
    list
}

#[cfg(test)]
mod tests;
