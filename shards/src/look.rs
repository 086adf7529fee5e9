//! What an operator's tool asks of one core: counts, lists, who was told what.
//!
//! Every look is bounded in rows and in records looked at, so that it costs a core no more than a
//! turn's other work; a list longer than that goes on where the answer says. Nothing here changes
//! anything.

use crate::config::listen;
use crate::config::md5::Md5;
use crate::conns::connection::Connection;
use crate::conns::profile::Profile;
use crate::home::{HomeState, unwrapped};
use crate::key::{ConfigKey, ConnKey, ServiceKey};
use crate::limits::{LOOK_ROWS_MAX, LOOK_VISITS_MAX, TELLINGS_SHOWN_MAX};
use crate::message::Now;
use crate::naming::host::Host;
use crate::naming::owner::OwnerState;
use crate::naming::services::Service;
use crate::push::subscription;
use crate::push::trace::{Event, Happened};
use crate::shard::Counts;
use crate::slab::END;

pub mod clients;

/// A question to one core.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// How much of everything there is.
    Counts,
    /// One service this core owns, answered as a list of one or none.
    Service { service: ServiceKey },
    /// Services this core owns, from this slot on.
    Services { from: u32, wanted: Wanted },
    /// Instances this core owns, from this slot and, of its service, this instance on.
    Targets { from: (u32, u32), of: TargetsOf },
    /// Clients at home here, from this slot on.
    Clients { from: u32, wanted: Wanted },
    /// How many subscribers at home here each of these services has.
    Subscribers { services: Vec<ServiceKey> },
    /// How many listeners and held polls at home here each of these configs has.
    Listeners { configs: Vec<ConfigKey> },
    /// Who was told what of a topic, subscribers from this place on.
    Told { topic: Topic, from: u32 },
    /// Connections at home here with all they said of themselves, from this slot on; with an id,
    /// that one alone.
    Connections { id: Option<Box<str>>, from: u32 },
    /// The ids of connections at home here, in the order of the question; blank where one is gone.
    Ids { conns: Vec<ConnKey> },
    /// Services a connection at home here publishes, from this place on.
    Published { conn: ConnKey, from: u32 },
    /// What it subscribes to, from this subscription on; `None`: from the first.
    Subscribed { conn: ConnKey, from: Option<u32> },
    /// What a connection publishes for these services, which this core owns.
    Publications { conn: ConnKey, services: Vec<ServiceKey>, at: clients::Cursor },
    /// Who publishes a service this core owns.
    Publishers { service: ServiceKey, at: clients::Cursor },
    /// Clients without a connection that this core keeps, or one of them: what they publish, then
    /// what they poll.
    Addresses { of: Option<clients::Address>, at: clients::Cursor },
    /// Subscribers known here: those at home here, then pollers of services this core owns.
    Followers { which: clients::Which, at: clients::Cursor, rows: usize },
    /// How many of them there are.
    CountFollowers { which: clients::Which, at: clients::Cursor },
}

/// Which rows of a list are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Only of this namespace.
    pub namespace: Option<String>,
    /// Only with this text in the name; a client's name is its id, address and application.
    pub text: String,
    /// At most so many rows, and never more than [`LOOK_ROWS_MAX`].
    pub rows: usize,
}

impl Wanted {
    fn rows(&self) -> usize {
        self.rows.min(LOOK_ROWS_MAX)
    }
}

/// Whose instances are wanted; `None` is any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetsOf {
    pub namespace: Option<String>,
    /// Its plain name, in any group.
    pub service: Option<String>,
}

/// What pushes are about.
#[derive(Debug, Clone, PartialEq)]
pub enum Topic {
    Service(ServiceKey),
    Config(ConfigKey),
}

/// The answer to a [`Look`] of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Counts(Box<Counts>),
    /// `next`: where to go on, `None` at the end.
    Services {
        rows: Vec<ServiceRow>,
        next: Option<u32>,
    },
    /// Instances by service; one with many comes in parts.
    Targets {
        rows: Vec<(ServiceKey, Vec<Host>)>,
        next: Option<(u32, u32)>,
    },
    Clients {
        rows: Vec<ClientRow>,
        next: Option<u32>,
    },
    /// In the order of the question.
    Numbers(Vec<u32>),
    Told(Box<ToldOf>),
    Connections {
        rows: Vec<clients::ConnectionRow>,
        next: Option<u32>,
    },
    /// In the order of the question.
    Ids(Vec<String>),
    Published {
        services: Vec<ServiceKey>,
        next: Option<u32>,
    },
    /// Of `Publications`, `Publishers`.
    Publishers {
        rows: Vec<clients::PublisherRow>,
        next: Option<clients::Cursor>,
    },
    Addresses {
        rows: Vec<clients::AddressRow>,
        next: Option<clients::Cursor>,
    },
    /// Of `Subscribed`, `Followers`.
    Followers {
        rows: Vec<clients::FollowerRow>,
        next: Option<clients::Cursor>,
    },
    Count {
        count: u64,
        next: Option<clients::Cursor>,
    },
}

/// One service on its owner core.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceRow {
    pub service: ServiceKey,
    pub instances: u32,
    pub healthy: u32,
    pub publishers: u32,
    pub revision: u64,
    pub persistent: bool,
    /// Its name shows in lists: it has or had a publisher, or was made by hand.
    pub listed: bool,
}

/// One client on its home core.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientRow {
    pub id: String,
    pub ip: String,
    /// Blank before its setup, as the next three.
    pub version: Box<str>,
    pub app: Box<str>,
    pub module: &'static str,
    pub tenant: Box<str>,
    pub publishes: u32,
    pub subscribes: u32,
    pub listens: u32,
    /// Since it last said anything, ms.
    pub silent_ms: u64,
    /// It leaves more unread than it may: nothing is pushed.
    pub congested: bool,
}

/// Who was told what of a topic, at one home core.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToldOf {
    /// Of the latest state known here; 0 for none, and for a config.
    pub revision: u64,
    pub subscribers: Vec<Told>,
    /// Of a config: long polls held for it, which leave no events.
    pub polls: usize,
    pub next: Option<u32>,
    /// Tellings of clients that have left, with the milliseconds of their ids; with the first
    /// answer only.
    pub gone: Vec<(u64, Telling)>,
    /// Events of this topic and those it shares a ring with that were overwritten.
    pub overwritten: u64,
}

/// One subscriber or listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub id: String,
    pub ip: String,
    pub app: Box<str>,
    /// The revision it was last told, by an answer or a push; 0 for none, and for a config.
    pub revision: u64,
    /// What a listener said it has.
    pub has: Option<Md5>,
    pub stage: Stage,
    /// A newer state waits for the acknowledgement.
    pub held: bool,
    /// Nothing is pushed: it does not read.
    pub congested: bool,
    /// The latest, oldest first.
    pub tellings: Vec<Telling>,
}

/// How far a subscriber is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its subscribe waits for the owner's answer.
    Asked,
    /// Nothing was pushed yet; it knows what it was answered.
    Answered,
    /// The last push was acknowledged, or is not waited for any more.
    Settled,
    /// A push left and is not acknowledged; it has failed at this time, Unix ms.
    Waiting { until_ms: u64 },
    /// A push failed, or is delayed; it goes at this time, Unix ms.
    Repeats { at_ms: u64 },
    /// Its user has no right to it any more.
    Withheld,
}

/// One push, or the answer of a subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    pub unix_ms: u64,
    /// 0 where the wire carries none.
    pub revision: u64,
    pub outcome: Outcome,
    /// From the push to the outcome.
    pub after_ms: u64,
}

/// What came of a telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was the answer of a subscribe, which needs no acknowledgement.
    Answer,
    /// Nothing yet, or nothing that was waited for.
    None,
    Acknowledged,
    Refused,
    Unanswered,
}

impl HomeState {
    /// Clients from a slot on.
    pub(crate) fn look_at_clients(&self, lived_ms: u64, from: u32, wanted: &Wanted) -> Seen {
        let mut rows = Vec::new();
        let end = self.table.slots();
        let last = from.saturating_add(LOOK_VISITS_MAX as u32).min(end);
        let mut slot = from;
        while slot < last && rows.len() < wanted.rows() {
            if let Some(connection) = self.table.at(slot) {
                let row = self.client_row(connection, lived_ms);
                rows.extend(is_wanted(&row, wanted).then_some(row));
            }
            slot += 1;
        }
        Seen::Clients { rows, next: (slot < end).then_some(slot) }
    }

    fn client_row(&self, connection: &Connection, lived_ms: u64) -> ClientRow {
        let profile = self.profile_of(connection);
        let text = |part: fn(&Profile) -> &Box<str>| {
            profile.map(|profile| part(profile).clone()).unwrap_or_default()
        };
        let links = connection.links.as_deref();
        ClientRow {
            id: connection.id(),
            ip: connection.client_ip_text(),
            version: text(|profile| &profile.client_version),
            app: text(|profile| &profile.app),
            module: profile.map_or("", |profile| profile.module.name()),
            tenant: text(|profile| &profile.tenant),
            publishes: links.map_or(0, |links| links.published.len() as u32),
            subscribes: connection.subscription_count,
            listens: links.map_or(0, |links| links.listeners.count),
            silent_ms: lived_ms.saturating_sub(connection.last_active_ms),
            congested: connection.congested,
        }
    }

    /// What it said at its setup, if there was one.
    fn profile_of(&self, connection: &Connection) -> Option<&Profile> {
        (connection.profile != END).then(|| self.profiles.get(connection.profile))
    }

    pub(crate) fn count_subscribers(&self, services: &[ServiceKey]) -> Seen {
        let count = |key| {
            let service = self.subscriptions.service(key)?;
            Some(self.subscriptions.services[service].subscribers.len() as u32)
        };
        Seen::Numbers(services.iter().map(|key| count(key).unwrap_or(0)).collect())
    }

    pub(crate) fn count_listeners(&self, configs: &[ConfigKey]) -> Seen {
        let count = |key| {
            let config = self.listeners.config(key);
            let listeners = config.map(|config| self.listeners.configs[config].listeners.len());
            (listeners.unwrap_or(0) + self.polls.count_of(key)) as u32
        };
        Seen::Numbers(configs.iter().map(count).collect())
    }

    /// Who was told what, from one place of the list on.
    pub(crate) fn look_at_told(&self, clock: Clock, topic: &Topic, from: u32) -> Seen {
        let hash = match topic {
            Topic::Service(key) => self.hasher.hash_one(key),
            Topic::Config(key) => self.hasher.hash_one(key),
        };
        let tellings = Tellings::of(self.trace.events(hash));
        let mut told = ToldOf { overwritten: self.trace.overwritten(hash), ..ToldOf::default() };
        let everybody: &[u32] = match topic {
            Topic::Service(key) => match self.subscriptions.service(key) {
                Some(service) => {
                    let service = &self.subscriptions.services[service];
                    told.revision = service.view.as_ref().map_or(0, |view| view.revision);
                    &service.subscribers
                }
                None => &[],
            },
            Topic::Config(key) => match self.listeners.config(key) {
                Some(config) => &self.listeners.configs[config].listeners,
                None => &[],
            },
        };
        let start = (from as usize).min(everybody.len());
        let end = (start + LOOK_ROWS_MAX).min(everybody.len());
        for index in &everybody[start..end] {
            told.subscribers.extend(match topic {
                Topic::Service(_) => self.subscriber(*index, clock, &tellings),
                Topic::Config(_) => self.listener(*index, clock, &tellings),
            });
        }
        told.next = (end < everybody.len()).then_some(end as u32);
        if from == 0 {
            if let Topic::Config(key) = topic {
                told.polls = self.polls.count_of(key);
            }
            told.gone = tellings.gone(|slot, id_ms| {
                self.table.at(slot).is_some_and(|connection| connection.id_ms == id_ms)
            });
        }
        Seen::Told(Box::new(told))
    }

    fn subscriber(&self, index: u32, clock: Clock, tellings: &Tellings) -> Option<Told> {
        let record = &self.subscriptions.records[index];
        let connection = self.table.at(record.conn)?;
        let due_ms = clock.unix_of(record.deadline);
        let stage = match record.stage {
            subscription::Stage::Asked => Stage::Asked,
            subscription::Stage::Idle if record.number == 0 => Stage::Answered,
            subscription::Stage::Idle => Stage::Settled,
            // With a newer state held the deadline is the end of patience.
            subscription::Stage::InFlight => Stage::Waiting { until_ms: due_ms },
            subscription::Stage::Delayed => Stage::Repeats { at_ms: due_ms },
            subscription::Stage::Withheld => Stage::Withheld,
        };
        let mut told = self.told_of(connection, record.conn, tellings);
        (told.revision, told.stage, told.held) = (record.revision, stage, record.held);
        Some(told)
    }

    fn listener(&self, index: u32, clock: Clock, tellings: &Tellings) -> Option<Told> {
        let record = &self.listeners.records[index];
        let connection = self.table.at(record.conn)?;
        let due_ms = clock.unix_of(record.deadline);
        let stage = match record.stage {
            listen::Stage::Idle if record.number == 0 => Stage::Answered,
            listen::Stage::Idle => Stage::Settled,
            listen::Stage::InFlight => Stage::Waiting { until_ms: due_ms },
            listen::Stage::Delayed => Stage::Repeats { at_ms: due_ms },
            listen::Stage::Withheld => Stage::Withheld,
        };
        let mut told = self.told_of(connection, record.conn, tellings);
        (told.has, told.stage, told.held) = (record.md5, stage, record.held);
        Some(told)
    }

    fn told_of(&self, connection: &Connection, slot: u32, tellings: &Tellings) -> Told {
        let profile = self.profile_of(connection);
        Told {
            id: connection.id(),
            ip: connection.client_ip_text(),
            app: profile.map(|profile| profile.app.clone()).unwrap_or_default(),
            revision: 0,
            has: None,
            stage: Stage::Asked,
            held: false,
            congested: connection.congested,
            tellings: tellings.of_one(slot, connection.id_ms),
        }
    }
}

fn is_wanted(row: &ClientRow, wanted: &Wanted) -> bool {
    let of_namespace = wanted.namespace.as_deref().is_none_or(|tenant| *row.tenant == *tenant);
    let text = wanted.text.as_str();
    of_namespace && (row.id.contains(text) || row.ip.contains(text) || row.app.contains(text))
}

/// What turns a record's deadline into the time of day.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub now: Now,
    pub lived_ms: u64,
}

impl Clock {
    /// Of a time the process lived through.
    fn unix_at(self, at_ms: u64) -> u64 {
        (self.now.unix_ms + at_ms).saturating_sub(self.lived_ms)
    }

    fn unix_of(self, deadline: u32) -> u64 {
        self.unix_at(unwrapped(deadline, self.lived_ms))
    }
}

/// The events of one topic, each push put together with what came of it.
struct Tellings(Vec<(u32, u64, u32, Telling)>);

impl Tellings {
    fn of<'a>(events: impl Iterator<Item = &'a Event>) -> Self {
        let mut all: Vec<(u32, u64, u32, Telling)> = Vec::new();
        for event in events {
            let Event { revision, unix_ms, conn_id_ms, slot, .. } = *event;
            let outcome = match event.happened() {
                Happened::Answered | Happened::Sent => {
                    let is_answer = event.happened() == Happened::Answered;
                    let outcome = if is_answer { Outcome::Answer } else { Outcome::None };
                    let telling = Telling { unix_ms, revision, outcome, after_ms: 0 };
                    all.push((slot, conn_id_ms, event.number(), telling));
                    continue;
                }
                Happened::Acknowledged => Outcome::Acknowledged,
                Happened::Refused => Outcome::Refused,
                Happened::Unanswered => Outcome::Unanswered,
            };
            let is_it = |(of, id_ms, number, telling): &&mut (u32, u64, u32, Telling)| {
                (*of, *id_ms, *number) == (slot, conn_id_ms, event.number())
                    && telling.outcome == Outcome::None
            };
            // Its push may have been overwritten.
            if let Some((.., telling)) = all.iter_mut().rev().find(is_it) {
                telling.outcome = outcome;
                telling.after_ms = unix_ms.saturating_sub(telling.unix_ms);
            }
        }
        Self(all)
    }

    fn of_one(&self, slot: u32, id_ms: u64) -> Vec<Telling> {
        let own = self.0.iter().filter(|(of, id, ..)| (*of, *id) == (slot, id_ms));
        let own: Vec<Telling> = own.map(|(.., telling)| *telling).collect();
        own[own.len().saturating_sub(TELLINGS_SHOWN_MAX)..].to_vec()
    }

    fn gone(&self, is_there: impl Fn(u32, u64) -> bool) -> Vec<(u64, Telling)> {
        let gone = self.0.iter().filter(|(slot, id_ms, ..)| !is_there(*slot, *id_ms));
        gone.map(|(_, id_ms, _, telling)| (*id_ms, *telling)).collect()
    }
}

impl OwnerState {
    /// Services from a slot on.
    pub(crate) fn look_at_services(&self, from: u32, wanted: &Wanted) -> Seen {
        let mut rows = Vec::new();
        let mut visits = LOOK_VISITS_MAX;
        let mut slot = from;
        let end = self.service_slots();
        while slot < end && visits > 0 && rows.len() < wanted.rows() {
            visits -= 1;
            if let Some(service) = self.service_at(slot)
                && wanted.namespace.as_deref().is_none_or(|ns| service.key.namespace() == ns)
                && service.key.grouped().contains(&wanted.text)
            {
                let row = service_row(service);
                // An eighth of a record's cost each: a list of 100,000 is a look of its own.
                visits = visits.saturating_sub(row.instances as usize / 8);
                rows.push(row);
            }
            slot += 1;
        }
        Seen::Services { rows, next: (slot < end).then_some(slot) }
    }

    /// Instances from one place on, healthy or not, enabled or not.
    pub(crate) fn look_at_targets(&self, from: (u32, u32), of: &TargetsOf) -> Seen {
        let is_meant = |service: &&Service| {
            of.namespace.as_deref().is_none_or(|namespace| service.key.namespace() == namespace)
                && of.service.as_deref().is_none_or(|name| service.key.service() == name)
        };
        let (mut slot, mut skipped) = from;
        let (mut visits, mut room) = (LOOK_VISITS_MAX, LOOK_ROWS_MAX);
        let end = self.service_slots();
        let mut rows = Vec::new();
        while slot < end && visits > 0 {
            visits -= 1;
            if let Some(service) = self.service_at(slot).filter(is_meant) {
                // What was shown already is passed over, an eighth of a record's cost each.
                visits = visits.saturating_sub(skipped as usize / 8);
                let hosts = service.hosts().skip(skipped as usize).take(room);
                let hosts: Vec<Host> = hosts.map(|host| host.into_owned()).collect();
                room -= hosts.len();
                skipped += hosts.len() as u32;
                if !hosts.is_empty() {
                    rows.push((service.key.clone(), hosts));
                }
                if room == 0 {
                    // There may be more of this one.
                    return Seen::Targets { rows, next: Some((slot, skipped)) };
                }
            }
            (slot, skipped) = (slot + 1, 0);
        }
        Seen::Targets { rows, next: (slot < end).then_some((slot, 0)) }
    }

    pub(crate) fn look_at_service(&self, key: &ServiceKey) -> Seen {
        Seen::Services {
            rows: self.service(key).map(service_row).into_iter().collect(),
            next: None,
        }
    }
}

fn service_row(service: &Service) -> ServiceRow {
    let (mut instances, mut healthy) = (0, 0);
    for host in service.hosts() {
        instances += 1;
        healthy += u32::from(host.healthy());
    }
    ServiceRow {
        service: service.key.clone(),
        instances,
        healthy,
        publishers: service.publishers.len() as u32,
        revision: service.revision,
        persistent: service.persistent,
        listed: service.listed,
    }
}

#[cfg(test)]
mod tests;
