//! Long polls of 1.x clients (`http-api.md` 2.3), held on the core they came to.
//!
//! A poll is compared and kept in one turn, after the tables were read; changes are told after the
//! tables were swapped: no change falls between the two. A change answers its polls a slice a turn,
//! each with that one config, and only if what its client would be served differs from what it has.
//! A held poll costs a record, one more for each config, and an entry in the wheel; no task, no
//! timer of its own.

use crate::config::accept;
use crate::config::entry::Entry;
use crate::config::gray::Labels;
use crate::config::md5::Md5;
use crate::config::open::{Changed, md5_of, serving};
use crate::config::rules::Rules;
use crate::config::switches::Switches;
use crate::health::wheel::{NO_TICK, Tick, Timer};
use crate::home::{HomeState, Phase, Turn, unwrapped};
use crate::index::Index;
use crate::key::ConfigKey;
use crate::limits::{
    POLL_KEYS_PER_CORE_MAX, POLL_MS_MAX, POLLS_PER_CORE_MAX, POLLS_PER_TURN_MAX,
    VISITS_PER_TURN_MAX,
};
use crate::naming::open::{Answer, Refused};
use crate::slab::{END, Slab};
use ahash::RandomState;
use nacre_proto::probe;
use std::collections::VecDeque;
use std::sync::Arc;

/// A poll as it came, its configs named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    pub wants: Vec<Want>,
    pub client_ip: Box<str>,
    /// `Vipserver-Tag`, not blank.
    pub tag: Option<Box<str>>,
    /// How long it waits if nothing differs; `None`: not at all.
    pub hold_ms: Option<u32>,
}

/// One config a poll is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    pub key: ConfigKey,
    /// As the client said it; empty for nothing.
    pub md5: Box<str>,
    /// The client named a tenant, so the answer does.
    pub with_tenant: bool,
}

/// Reads `Listening-Configs`, decoded.
///
/// # Errors
/// It is malformed, or a name is illegal.
pub fn wants(text: &str, rules: &Rules) -> Result<Vec<Want>, Refused> {
    let probes = probe::read(text).ok_or_else(|| Refused::invalid("invalid probeModify"))?;
    let want = |probe: probe::Probe<'_>| {
        let parts = [Some(probe.data_id), Some(probe.group), Some(probe.tenant)];
        let name = accept::listened(parts, rules)?;
        let with_tenant = !probe.tenant.trim().is_empty();
        Ok(Want { key: ConfigKey::new(name), md5: probe.md5.into(), with_tenant })
    };
    probes.into_iter().map(want).collect()
}

/// How long a poll is held whose client says it waits this long, milliseconds.
pub fn hold_ms(said: i64, switches: Switches) -> u32 {
    let Switches { early_ms, hold_ms_min, fixed_ms } = switches;
    let hold = fixed_ms.unwrap_or_else(|| said.saturating_sub(early_ms)).max(hold_ms_min);
    hold.clamp(0, i64::from(POLL_MS_MAX)) as u32
}

/// A held poll.
#[derive(Debug)]
struct Held {
    client_ip: Box<str>,
    tag: Option<Box<str>>,
    ticket: u32,
    /// Its first wait.
    first: u32,
    /// When its time is over; wraps.
    deadline: u32,
    /// Tick of its live entry in the wheel.
    timer: Tick,
}

/// One config a held poll waits for.
#[derive(Debug)]
struct Wait {
    md5: Option<Md5>,
    poll: u32,
    config: u32,
    /// Place in the config's list.
    place: u32,
    /// The poll's next wait.
    next: u32,
    with_tenant: bool,
}

const _: () = assert!(Slab::<Held>::ENTRY_BYTES <= 64, "15,000 of them a core");
const _: () = assert!(Slab::<Wait>::ENTRY_BYTES <= 48, "a million of them a core");

/// A config somebody waits for.
#[derive(Debug)]
struct Awaited {
    key: ConfigKey,
    waits: Vec<u32>,
    /// Is in the list of those handed out.
    fanning: bool,
    /// It changed meanwhile, so another round follows.
    again: bool,
    /// Waits before this place have not been looked at in this round.
    cursor: u32,
}

/// All held polls of one core.
#[derive(Debug)]
pub struct Polls {
    held: Slab<Held>,
    waits: Slab<Wait>,
    configs: Slab<Awaited>,
    /// Configs.
    by_key: Index,
    /// Held polls.
    by_ticket: Index,
    /// Configs whose polls are being answered, in turn; may name some that are gone.
    fanning: VecDeque<u32>,
}

impl Polls {
    pub fn new(hasher: RandomState) -> Self {
        Self {
            held: Slab::default(),
            waits: Slab::default(),
            configs: Slab::default(),
            by_key: Index::new(hasher.clone()),
            by_ticket: Index::new(hasher),
            fanning: VecDeque::new(),
        }
    }

    /// Polls held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether somebody can be answered now.
    pub fn has_work(&self) -> bool {
        !self.fanning.is_empty()
    }

    fn has_room(&self, wants: usize) -> bool {
        self.held.len() < POLLS_PER_CORE_MAX && self.waits.len() + wants <= POLL_KEYS_PER_CORE_MAX
    }

    /// Keeps a poll that is up to date; its number.
    fn keep(&mut self, ticket: u32, poll: Poll, deadline: u64) -> u32 {
        let Poll { wants, client_ip, tag, hold_ms: _ } = poll;
        let held =
            Held { client_ip, tag, ticket, first: END, deadline: deadline as u32, timer: NO_TICK };
        let poll = self.held.insert(held);
        self.by_ticket.insert(&ticket, poll);
        for Want { key, md5, with_tenant } in wants {
            let config = self.awaited(key);
            let waits = &mut self.configs[config].waits;
            let place = waits.len() as u32;
            let next = self.held[poll].first;
            let md5 = Md5::parse(&md5);
            let wait = self.waits.insert(Wait { md5, poll, config, place, next, with_tenant });
            waits.push(wait);
            self.held[poll].first = wait;
        }
        poll
    }

    /// The number of a config somebody waits for.
    fn config(&self, key: &ConfigKey) -> Option<u32> {
        self.by_key.find(key, |at| self.configs[at].key == *key)
    }

    fn awaited(&mut self, key: ConfigKey) -> u32 {
        if let Some(config) = self.config(&key) {
            return config;
        }
        let (waits, fanning, again, cursor) = (Vec::new(), false, false, 0);
        let config = self.configs.insert(Awaited { key, waits, fanning, again, cursor });
        self.by_key.insert(&self.configs[config].key, config);
        config
    }

    /// Ends a poll; the ticket of whoever waits for its answer.
    fn end(&mut self, poll: u32) -> Option<u32> {
        let held = self.held.remove(poll)?;
        self.by_ticket.remove(&held.ticket, poll);
        let mut next = held.first;
        while let Some(wait) = self.waits.remove(next) {
            next = wait.next;
            let awaited = &mut self.configs[wait.config];
            awaited.waits.swap_remove(wait.place as usize);
            if let Some(moved) = awaited.waits.get(wait.place as usize) {
                self.waits[*moved].place = wait.place;
            }
            if awaited.waits.is_empty() {
                let awaited = self.configs.remove(wait.config).expect("looked at above");
                self.by_key.remove(&awaited.key, wait.config);
            }
        }
        Some(held.ticket)
    }

    /// Whoever waited has gone.
    pub(crate) fn leave(&mut self, ticket: u32) {
        let has_it = |at| self.held[at].ticket == ticket;
        if let Some(poll) = self.by_ticket.find(&ticket, has_it) {
            self.end(poll);
        }
    }

    /// A config changed; the tables show it already.
    pub(crate) fn config_changed(&mut self, key: &ConfigKey) {
        let Some(config) = self.config(key) else { return };
        let awaited = &mut self.configs[config];
        // Those of the round under way who were looked at already must be looked at once more.
        if std::mem::replace(&mut awaited.fanning, true) {
            awaited.again = true;
        } else {
            awaited.cursor = awaited.waits.len() as u32;
            self.fanning.push_back(config);
        }
    }

    /// How many polls wait for a config.
    pub(crate) fn count_of(&self, key: &ConfigKey) -> usize {
        self.config(key).map_or(0, |config| self.configs[config].waits.len())
    }

    /// Addresses of polls that wait for a config, with what they have.
    pub(crate) fn waiting_for(&self, key: &ConfigKey, mut found: impl FnMut(&str, String)) {
        let Some(config) = self.config(key) else { return };
        for wait in &self.configs[config].waits {
            let wait = &self.waits[*wait];
            found(&self.held[wait.poll].client_ip, md5_of(wait.md5));
        }
    }

    /// Configs an address waits for, with what it has.
    pub(crate) fn waits_of(&self, client_ip: &str, mut found: impl FnMut(&ConfigKey, String)) {
        for (_, held) in self.held.iter().filter(|(_, held)| *held.client_ip == *client_ip) {
            let mut next = held.first;
            while let Some(wait) = self.waits.get(next) {
                next = wait.next;
                found(&self.configs[wait.config].key, md5_of(wait.md5));
            }
        }
    }

    /// The next of a config's waits to look at in this round; `None` when the round is over.
    fn next_of(&mut self, config: u32) -> Option<u32> {
        let awaited = self.configs.get_mut(config)?;
        if !awaited.fanning {
            return None;
        }
        awaited.cursor = awaited.cursor.min(awaited.waits.len() as u32);
        if awaited.cursor == 0 {
            awaited.fanning = std::mem::take(&mut awaited.again);
            if !awaited.fanning {
                return None;
            }
            awaited.cursor = awaited.waits.len() as u32;
        }
        awaited.cursor -= 1;
        Some(awaited.waits[awaited.cursor as usize])
    }

    /// What a wait's client is told, if what it would be served differs from what it has.
    fn news_of(&self, wait: u32, entry: Option<&Arc<Entry>>) -> Option<Changed> {
        let wait = &self.waits[wait];
        let held = &self.held[wait.poll];
        let labels = Labels { client_ip: &held.client_ip, tag: held.tag.as_deref() };
        let seen = entry.and_then(|entry| entry.seen_by(labels)).map(|seen| seen.md5);
        let key = self.configs[wait.config].key.clone();
        (seen != wait.md5).then_some(Changed { key, with_tenant: wait.with_tenant })
    }
}

impl HomeState {
    /// Compares a poll, and answers or holds it.
    pub(crate) fn poll(
        &mut self,
        ticket: u32,
        poll: Poll,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        serving(&self.config_tables)?;
        let tag = accept::listen_tag(poll.tag.as_deref());
        let tag = tag.map_err(|refusal| Refused::invalid(refusal.message))?;
        self.counters.configs.polls += 1;
        let labels = Labels { client_ip: &poll.client_ip, tag };
        let differs = |want: &&Want| {
            let name = want.key.name();
            let slot = self.config_tables.slot(name.slot());
            let seen = slot.get(name).and_then(|entry| entry.seen_by(labels));
            !seen.map_or(want.md5.is_empty(), |seen| seen.md5.is(&want.md5))
        };
        let changed =
            |want: &Want| Changed { key: want.key.clone(), with_tenant: want.with_tenant };
        let changed: Vec<Changed> = poll.wants.iter().filter(differs).map(changed).collect();
        let hold_ms = poll.hold_ms.filter(|_| changed.is_empty() && self.phase == Phase::Serving);
        let Some(hold_ms) = hold_ms else {
            self.answer_open(ticket, Answer::Changed(changed), turn);
            return Ok(());
        };
        if !self.polls.has_room(poll.wants.len()) {
            self.counters.configs.polls_refused += 1;
            return Err(Refused::busy("Too many long polls at once, please try again later."));
        }
        let deadline = turn.lived_ms + u64::from(hold_ms);
        let poll = self.polls.keep(ticket, poll, deadline);
        self.arm_poll(poll, deadline);
        Ok(())
    }

    fn arm_poll(&mut self, poll: u32, deadline: u64) {
        self.polls.held[poll].timer = self.wheel.insert(deadline, Timer::Poll(poll));
    }

    /// The wheel came round.
    pub(crate) fn poll_due(&mut self, poll: u32, tick: Tick, turn: &mut Turn<'_>) {
        let Some(held) = self.polls.held.get(poll).filter(|held| held.timer == tick) else {
            return;
        };
        let deadline = unwrapped(held.deadline, turn.lived_ms);
        if deadline > turn.lived_ms {
            return self.arm_poll(poll, deadline);
        }
        self.end_poll(poll, Vec::new(), turn);
    }

    /// Answers polls whose configs changed, at most [`POLLS_PER_TURN_MAX`].
    pub(crate) fn answer_polls(&mut self, turn: &mut Turn<'_>) {
        let (mut left, mut visits) = (POLLS_PER_TURN_MAX, VISITS_PER_TURN_MAX);
        while left > 0
            && visits > 0
            && let Some(config) = self.polls.fanning.pop_front()
        {
            let Some(awaited) = self.polls.configs.get(config) else { continue };
            let entry = self.config_tables.get(awaited.key.name());
            let mut over = false;
            while left > 0 && visits > 0 && !over {
                let Some(wait) = self.polls.next_of(config) else {
                    over = true;
                    continue;
                };
                visits -= 1;
                if let Some(changed) = self.polls.news_of(wait, entry.as_ref()) {
                    left -= 1;
                    let poll = self.polls.waits[wait].poll;
                    self.end_poll(poll, vec![changed], turn);
                }
            }
            if !over {
                self.polls.fanning.push_back(config);
            }
        }
    }

    /// The node stops: whoever waits is sent on, with nothing new.
    pub(crate) fn end_polls(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<u32> = self.polls.held.iter().map(|(poll, _)| poll).collect();
        for poll in all {
            self.end_poll(poll, Vec::new(), turn);
        }
    }

    fn end_poll(&mut self, poll: u32, changed: Vec<Changed>, turn: &mut Turn<'_>) {
        if let Some(ticket) = self.polls.end(poll) {
            self.answer_open(ticket, Answer::Changed(changed), turn);
        }
    }
}

#[cfg(test)]
mod tests;
