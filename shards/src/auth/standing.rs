//! Standing rights: what somebody follows is told to him for as long as he may read it.
//!
//! A subscription, a listen and a fuzzy watch are let in once and live on. So a connection keeps
//! whose its standing requests are, and each time something would be told, the table as it is then
//! is asked: once a change of rights was answered, nothing it forbids is told. What is withheld
//! stays owed and is looked at again when rights change, so a role that is taken and given back
//! costs no client its list. Fuzzy watches end instead: they would have to be synchronised from
//! the start, and SDKs repeat them by themselves.
//!
//! A connection is one user's: the last one's who asked for something that stands.

use super::call::watched;
use super::identities::Identities;
use super::resource::{Action, Kind, Resource};
use crate::config;
use crate::conns::connection::Stage as ConnectionStage;
use crate::home::{HomeState, Turn};
use crate::intern::Interner;
use crate::key::{ConfigKey, ConnKey, ServiceKey};
use crate::push::fuzzy::Watches;
use crate::push::subscription;
use crate::slab::END;
use ahash::RandomState;

/// What is withheld may be listed twice, or be gone: so many times over, at most.
const LISTED_TIMES_MAX: usize = 2;

/// Below this number lists are not cleared of what is gone.
const LISTED_MIN: usize = 64;

/// Whose connections are, and what is withheld from them. One a home core.
#[derive(Debug)]
pub struct Standing {
    users: Interner<Box<str>>,
    subscriptions: Vec<u32>,
    listeners: Vec<u32>,
    /// Of the table when what is withheld was looked at last.
    epoch: u64,
}

impl Standing {
    pub fn new(hasher: RandomState) -> Self {
        Self {
            users: Interner::new(hasher),
            subscriptions: Vec::new(),
            listeners: Vec::new(),
            epoch: 0,
        }
    }

    /// A connection is nobody's any more.
    pub fn forget(&mut self, user: u32) {
        if user != END {
            self.users.give_back(user);
        }
    }

    fn is_allowed(&self, user: u32, all: &Identities, resource: &Resource<'_>) -> bool {
        all.decide(self.users.get(user), Action::Read, resource).is_ok()
    }
}

/// A service as rights name it.
pub fn of_service(key: &ServiceKey) -> Resource<'_> {
    let (namespace, group, name) = (key.namespace(), key.group(), key.service());
    Resource::Of { namespace, group, kind: Kind::Naming, name }
}

/// A config as rights name it.
pub fn of_config(key: &ConfigKey) -> Resource<'_> {
    let config = key.name();
    let (namespace, group, name) = (config.namespace, config.group, config.data_id);
    Resource::Of { namespace, group, kind: Kind::Config, name }
}

impl HomeState {
    /// Something that stands was asked for by this user, and he may.
    pub(crate) fn known(&mut self, conn: ConnKey, user: &str) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        if connection.stage != ConnectionStage::Registered {
            return;
        }
        if connection.user != END && **self.standing.users.get(connection.user) == *user {
            return;
        }
        let before = std::mem::replace(&mut connection.user, self.standing.users.take(user.into()));
        self.standing.forget(before);
    }

    /// Whether a connection may be told of this. Free of cost where nobody has to log in, else one
    /// look into the table, some 0.2 µs.
    fn may_hear(&self, slot: u32, resource: &Resource<'_>) -> bool {
        let user = self.table.at(slot).map_or(END, |connection| connection.user);
        if user == END {
            return true;
        }
        let all = self.config_tables.identities().now();
        self.standing.is_allowed(user, &all, resource)
    }

    /// Whether a subscription may be told the state of its service; if not, it is withheld.
    pub(crate) fn may_be_pushed(&mut self, index: u32) -> bool {
        let subscription = &self.subscriptions.records[index];
        let key = &self.subscriptions.services[subscription.service].key;
        if self.may_hear(subscription.conn, &of_service(key)) {
            return true;
        }
        let subscription = &mut self.subscriptions.records[index];
        subscription.stage = subscription::Stage::Withheld;
        subscription.held = false;
        self.counters.withheld += 1;
        let records = &self.subscriptions.records;
        let is_withheld = |index: &u32| {
            let record = records.get(*index);
            record.is_some_and(|record| record.stage == subscription::Stage::Withheld)
        };
        list(&mut self.standing.subscriptions, index, records.len(), is_withheld);
        false
    }

    /// Whether a listener may be told that its config changed; if not, it is withheld.
    pub(crate) fn may_be_notified(&mut self, index: u32) -> bool {
        let listener = &self.listeners.records[index];
        let key = &self.listeners.configs[listener.config].key;
        if self.may_hear(listener.conn, &of_config(key)) {
            return true;
        }
        let listener = &mut self.listeners.records[index];
        listener.stage = config::listen::Stage::Withheld;
        listener.held = false;
        self.counters.withheld += 1;
        let records = &self.listeners.records;
        let is_withheld = |index: &u32| {
            let record = records.get(*index);
            record.is_some_and(|record| record.stage == config::listen::Stage::Withheld)
        };
        list(&mut self.standing.listeners, index, records.len(), is_withheld);
        false
    }

    /// Something of users, roles or permissions may have changed: what is withheld is looked at
    /// again, if so.
    pub(crate) fn rights_changed(&mut self) {
        let epoch = self.config_tables.identities().now().epoch();
        if std::mem::replace(&mut self.standing.epoch, epoch) == epoch {
            return;
        }
        for index in std::mem::take(&mut self.standing.subscriptions) {
            if let Some(subscription) = self.subscriptions.records.get_mut(index)
                && subscription.stage == subscription::Stage::Withheld
            {
                subscription.stage = subscription::Stage::Idle;
                self.subscriptions.look_at(index);
            }
        }
        for index in std::mem::take(&mut self.standing.listeners) {
            if let Some(listener) = self.listeners.records.get_mut(index)
                && listener.stage == config::listen::Stage::Withheld
            {
                listener.stage = config::listen::Stage::Idle;
                self.listeners.look_at(index);
            }
        }
    }

    /// Ends the fuzzy watches of a connection that its user may not have any more.
    pub(crate) fn end_forbidden<M: Watches>(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        if connection.user == END {
            return;
        }
        let Some(fuzzy) = connection.links.as_mut().and_then(|links| M::of(links).as_ref()) else {
            return;
        };
        let patterns: Vec<Box<str>> = fuzzy.patterns().map(Into::into).collect();
        for pattern in patterns {
            if !self.may_hear(conn.slot, &watched(&pattern, M::KIND)) {
                self.counters.withheld += 1;
                self.unwatch::<M>(conn, &pattern);
                M::ended(self, conn, pattern, turn);
            }
        }
    }
}

/// Lists what is withheld; clears the list of what is gone before it is far longer than all there
/// is.
fn list(listed: &mut Vec<u32>, index: u32, there: usize, is_withheld: impl Fn(&u32) -> bool) {
    listed.push(index);
    if listed.len() > LISTED_MIN.max(LISTED_TIMES_MAX * there) {
        listed.retain(is_withheld);
        listed.sort_unstable();
        listed.dedup();
    }
}

#[cfg(test)]
mod tests;
