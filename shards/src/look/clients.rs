//! Who clients are, what they publish and follow, and by whom a service is published and followed:
//! the looks behind the client queries of the HTTP API (`naming.md` 2.1, `http-api.md` 5, 7.3).
//!
//! A connection is known to its home core, what it publishes to the owners; a client that beats or
//! polls is known by its address alone, to the owners of its services. So most questions are two
//! looks, put together by whoever asks.

use super::{Clock, Seen};
use crate::conns::connection::{Connection, Stage};
use crate::conns::profile::{Abilities, Source};
use crate::health::beat::Beating;
use crate::home::HomeState;
use crate::key::{ConnKey, ServiceKey};
use crate::limits::{LOOK_FINDS_MAX, LOOK_ROWS_MAX, LOOK_VISITS_MAX};
use crate::naming::host::{Host, Publication};
use crate::naming::owner::OwnerState;
use crate::slab::END;

/// Where a look goes on. What the numbers mean is the affair of the core that gave them; all zero
/// is the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    part: u8,
    slot: u32,
    place: u32,
    /// Rows to pass over before the first that is wanted.
    skip: u32,
}

impl Cursor {
    /// The beginning, so many rows of this core on.
    pub fn past(rows: u32) -> Self {
        Self { skip: rows, ..Self::default() }
    }

    /// For [`super::Look::Subscribed`].
    pub fn slot(self) -> u32 {
        self.slot
    }

    fn next_part(&mut self) {
        *self = Self { part: self.part + 1, slot: 0, place: 0, skip: self.skip };
    }
}

/// Where a client without a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub ip: Box<str>,
    pub port: i32,
}

/// Services whose subscribers are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    One(ServiceKey),
    /// Of a namespace, with these texts in group and name.
    Like {
        namespace: Box<str>,
        group: Box<str>,
        service: Box<str>,
    },
}

impl Which {
    fn is_it(&self, key: &ServiceKey) -> bool {
        match self {
            Which::One(one) => one == key,
            Which::Like { namespace, group, service } => {
                key.namespace() == &**namespace
                    && key.group().contains(&**group)
                    && key.service().contains(&**service)
            }
        }
    }
}

/// A connection that was set up, on its home core.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionRow {
    pub conn: ConnKey,
    pub id: String,
    /// As its setup says.
    pub client_ip: String,
    pub remote_ip: String,
    pub remote_port: u16,
    pub version: Box<str>,
    pub app: Box<str>,
    pub tenant: Box<str>,
    pub source: Source,
    /// It is a client of naming.
    pub naming: bool,
    pub labels: Box<[(Box<str>, Box<str>)]>,
    pub abilities: Option<Abilities>,
    /// Unix ms.
    pub created_ms: u64,
    pub active_ms: u64,
}

/// What a client publishes: one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct PublisherRow {
    pub service: ServiceKey,
    pub client: Client,
    pub ip: Box<str>,
    pub port: i32,
    pub cluster: Box<str>,
}

/// Whose an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Connection(ConnKey),
    /// The client of its address that beats: `ip:port#true`.
    Beats,
    /// The client of its address that the log keeps: `ip:port#false`.
    Logged,
}

/// What a client without a connection publishes or polls: one service.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressRow {
    pub service: ServiceKey,
    pub address: Address,
    pub role: Role,
    /// Of its last beat or poll, Unix ms.
    pub active_ms: u64,
}

/// What an [`AddressRow`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    Publishes { cluster: Box<str> },
    Polls { agent: Box<str> },
}

/// One subscriber of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerRow {
    pub service: ServiceKey,
    /// Of the client.
    pub id: String,
    pub ip: String,
    /// Where datagrams go; 0 for a connection.
    pub port: u16,
    pub agent: Box<str>,
    pub app: Box<str>,
    pub clusters: Box<str>,
}

/// What clients without a label of theirs are called.
const NO_APP: &str = "unknown";

impl HomeState {
    /// Connections from a slot on, or the one of an id.
    pub(crate) fn look_at_connections(&self, clock: Clock, id: Option<&str>, from: u32) -> Seen {
        // The number an id begins with is in the record, so that only one id is written.
        let id_ms = |id: &str| id.split('_').next().and_then(|ms| ms.parse::<u64>().ok());
        let (id_ms, visits) = match id {
            Some(id) => match id_ms(id) {
                Some(id_ms) => (Some(id_ms), LOOK_FINDS_MAX),
                None => return Seen::Connections { rows: Vec::new(), next: None },
            },
            None => (None, LOOK_VISITS_MAX),
        };
        let end = self.table.slots();
        let last = from.saturating_add(visits as u32).min(end);
        let (mut rows, mut slot) = (Vec::new(), from);
        while slot < last && rows.len() < LOOK_ROWS_MAX {
            let connection = self.table.at(slot).filter(|connection| {
                connection.stage == Stage::Registered
                    && id_ms.is_none_or(|id_ms| connection.id_ms == id_ms)
                    && id.is_none_or(|id| connection.id() == id)
            });
            if let Some(connection) = connection {
                rows.extend(self.connection_row(clock, slot, connection));
                if id.is_some() {
                    return Seen::Connections { rows, next: None };
                }
            }
            slot += 1;
        }
        Seen::Connections { rows, next: (slot < end).then_some(slot) }
    }

    fn connection_row(
        &self,
        clock: Clock,
        slot: u32,
        connection: &Connection,
    ) -> Option<ConnectionRow> {
        let profile = self.profile_of(connection)?;
        Some(ConnectionRow {
            conn: self.table.key_of(slot, connection),
            id: connection.id(),
            client_ip: connection.client_ip_text(),
            remote_ip: connection.peer_ip().to_string(),
            remote_port: connection.peer_port(),
            version: profile.client_version.clone(),
            app: profile.app.clone(),
            tenant: profile.tenant.clone(),
            source: profile.source,
            naming: connection.naming,
            labels: profile.labels.clone(),
            abilities: profile.abilities.clone(),
            created_ms: connection.id_ms,
            active_ms: clock.unix_at(connection.last_active_ms),
        })
    }

    pub(crate) fn look_at_ids(&self, conns: &[ConnKey]) -> Seen {
        let id = |conn| self.table.get(conn).map(Connection::id).unwrap_or_default();
        Seen::Ids(conns.iter().take(LOOK_ROWS_MAX).map(|conn| id(*conn)).collect())
    }

    pub(crate) fn look_at_published(&self, conn: ConnKey, from: u32) -> Seen {
        let links = self.table.get(conn).and_then(|connection| connection.links.as_deref());
        let Some(links) = links else {
            return Seen::Published { services: Vec::new(), next: None };
        };
        let services = links.published.slice(from as usize, LOOK_ROWS_MAX).to_vec();
        let end = from as usize + services.len();
        let next = (end < links.published.len() && !services.is_empty()).then_some(end as u32);
        Seen::Published { services, next }
    }

    pub(crate) fn look_at_subscribed(&self, conn: ConnKey, from: Option<u32>) -> Seen {
        let mut rows = Vec::new();
        let first = self.table.get(conn).map_or(END, |connection| connection.subscriptions);
        let mut index = from.unwrap_or(first);
        while index != END {
            if rows.len() >= LOOK_ROWS_MAX {
                let next = Some(Cursor { slot: index, ..Cursor::default() });
                return Seen::Followers { rows, next };
            }
            // It may have ended between two looks; what follows is another's then.
            let record = self.subscriptions.records.get(index);
            let Some(record) = record.filter(|record| record.conn == conn.slot) else { break };
            rows.extend(self.follower_row(index));
            index = record.next;
        }
        Seen::Followers { rows, next: None }
    }

    fn follower_row(&self, index: u32) -> Option<FollowerRow> {
        let record = self.subscriptions.records.get(index)?;
        let connection = self.table.at(record.conn)?;
        let profile = self.profile_of(connection)?;
        let filter = self.subscriptions.filters.get(record.filter);
        let app = if &*profile.app == "-" { NO_APP.into() } else { profile.app.clone() };
        Some(FollowerRow {
            service: self.subscriptions.services.get(record.service)?.key.clone(),
            id: connection.id(),
            ip: connection.client_ip_text(),
            port: 0,
            agent: profile.client_version.clone(),
            app,
            clusters: filter.clusters.clone().unwrap_or_default(),
        })
    }

    /// Subscribers of the service of this number, if it is wanted.
    fn followers_of(&self, which: &Which, number: u32) -> Option<&[u32]> {
        let service = self.subscriptions.services.get(number)?;
        which.is_it(&service.key).then_some(&service.subscribers[..])
    }

    /// The numbers of services to look at.
    fn followed_range(&self, which: &Which) -> (u32, u32) {
        match which {
            Which::One(key) => self.subscriptions.service(key).map_or((0, 0), |at| (at, at + 1)),
            Which::Like { .. } => (0, self.subscriptions.services.end()),
        }
    }
}

impl OwnerState {
    /// What a connection publishes for some services.
    pub(crate) fn look_at_publications(
        &self,
        conn: ConnKey,
        services: &[ServiceKey],
        mut at: Cursor,
    ) -> Seen {
        let mut rows = Vec::new();
        while let Some(key) = services.get(at.slot as usize) {
            let publication = self.service(key).and_then(|service| service.publishers.get(conn));
            let hosts = publication.map_or(&[][..], Publication::hosts);
            if !take_hosts(&mut rows, &mut at, key, Client::Connection(conn), hosts) {
                return Seen::Publishers { rows, next: Some(at) };
            }
            at.slot += 1;
        }
        Seen::Publishers { rows, next: None }
    }

    /// Who publishes a service: clients in the order they came, then what the log keeps.
    pub(crate) fn look_at_publishers(&self, key: &ServiceKey, mut at: Cursor) -> Seen {
        let mut rows = Vec::new();
        let nobody = Seen::Publishers { rows: Vec::new(), next: None };
        let Some(service) = self.service(key) else { return nobody };
        if at.part == 0 {
            for (slot, conn, publication) in service.publishers.from(at.slot) {
                if slot != at.slot {
                    (at.slot, at.place) = (slot, 0);
                }
                let client =
                    if conn.is_of_beats() { Client::Beats } else { Client::Connection(conn) };
                if !take_hosts(&mut rows, &mut at, key, client, publication.hosts()) {
                    return Seen::Publishers { rows, next: Some(at) };
                }
            }
            at.next_part();
        }
        let kept = service.entry().map_or(&[][..], |entry| &entry.instances[..]);
        for kept in kept.get(at.slot as usize..).unwrap_or_default() {
            if rows.len() >= LOOK_ROWS_MAX {
                return Seen::Publishers { rows, next: Some(at) };
            }
            rows.push(publisher_row(key, Client::Logged, &kept.host));
            at.slot += 1;
        }
        Seen::Publishers { rows, next: None }
    }

    /// Clients that beat, then those that poll; all, or those of one address.
    pub(crate) fn look_at_addresses(
        &self,
        clock: Clock,
        of: Option<&Address>,
        mut at: Cursor,
    ) -> Seen {
        let mut rows = Vec::new();
        let mut visits = if of.is_some() { LOOK_FINDS_MAX } else { LOOK_VISITS_MAX };
        let beating = self.beating();
        while at.part == 0 {
            if rows.len() >= LOOK_ROWS_MAX || visits == 0 {
                return Seen::Addresses { rows, next: Some(at) };
            }
            if at.slot >= beating.end() {
                at.next_part();
                break;
            }
            rows.extend(self.beating_row(clock, beating, of, at.slot));
            (at.slot, visits) = (at.slot + 1, visits - 1);
        }
        let pollers = self.pollers();
        while at.slot < pollers.end() {
            if rows.len() >= LOOK_ROWS_MAX || visits == 0 {
                return Seen::Addresses { rows, next: Some(at) };
            }
            rows.extend(self.polling_row(clock, of, at.slot));
            (at.slot, visits) = (at.slot + 1, visits - 1);
        }
        Seen::Addresses { rows, next: None }
    }

    fn beating_row(
        &self,
        clock: Clock,
        beating: &Beating,
        of: Option<&Address>,
        at: u32,
    ) -> Option<AddressRow> {
        let lodger = beating.at(at)?;
        let is_wanted = |of: &Address| of.port == lodger.port && *of.ip == *lodger.ip;
        if !of.is_none_or(is_wanted) {
            return None;
        }
        let service = self.service_of(lodger.service)?;
        let publication = service.publishers.get(beating.publisher(at))?;
        let cluster = publication.hosts().first()?.cluster().into();
        Some(AddressRow {
            service: service.key.clone(),
            address: Address { ip: lodger.ip.into(), port: lodger.port },
            role: Role::Publishes { cluster },
            active_ms: clock.unix_at(lodger.last_ms),
        })
    }

    fn polling_row(&self, clock: Clock, of: Option<&Address>, at: u32) -> Option<AddressRow> {
        let poller = self.pollers().at(at)?;
        let port = i32::from(poller.to.port());
        if of.is_some_and(|of| of.port != port) {
            return None;
        }
        let ip = poller.to.ip().to_string();
        if of.is_some_and(|of| *of.ip != *ip) {
            return None;
        }
        Some(AddressRow {
            service: self.service_of(poller.service)?.key.clone(),
            address: Address { ip: ip.into(), port },
            role: Role::Polls { agent: poller.agent.into() },
            active_ms: clock.unix_at(poller.seen_ms),
        })
    }

    fn poller_row(&self, at: u32) -> Option<FollowerRow> {
        let poller = self.pollers().at(at)?;
        Some(FollowerRow {
            service: self.service_of(poller.service)?.key.clone(),
            id: format!("{}#true", poller.to),
            ip: poller.to.ip().to_string(),
            port: poller.to.port(),
            agent: poller.agent.into(),
            app: NO_APP.into(),
            clusters: poller.clusters.into(),
        })
    }

    /// Pollers of the service in this slot, if it is wanted.
    fn pollers_of(&self, which: &Which, slot: u32) -> Option<&[u32]> {
        let service = self.service_at(slot).filter(|service| which.is_it(&service.key))?;
        Some(&service.pollers.as_ref()?.0)
    }

    /// The slots of services to look at.
    fn polled_range(&self, which: &Which) -> (u32, u32) {
        match which {
            Which::One(key) => self.slot_of(key).map_or((0, 0), |at| (at, at + 1)),
            Which::Like { .. } => (0, self.service_slots()),
        }
    }
}

/// Instances of one publication from the cursor's place on; false: the look is full.
fn take_hosts(
    rows: &mut Vec<PublisherRow>,
    at: &mut Cursor,
    service: &ServiceKey,
    client: Client,
    hosts: &[Host],
) -> bool {
    for host in hosts.get(at.place as usize..).unwrap_or_default() {
        if rows.len() >= LOOK_ROWS_MAX {
            return false;
        }
        rows.push(publisher_row(service, client, host));
        at.place += 1;
    }
    at.place = 0;
    true
}

fn publisher_row(service: &ServiceKey, client: Client, host: &Host) -> PublisherRow {
    PublisherRow {
        service: service.clone(),
        client,
        ip: host.ip().into(),
        port: host.port(),
        cluster: host.cluster().into(),
    }
}

/// Subscribers from a cursor on, both kinds.
pub(crate) fn followers(
    home: &HomeState,
    owner: &OwnerState,
    which: &Which,
    mut at: Cursor,
    rows_max: usize,
) -> Seen {
    let mut taken = Taken { rows: Vec::new(), rows_max: rows_max.min(LOOK_ROWS_MAX), visits: 0 };
    if at.part == 0 {
        let range = home.followed_range(which);
        let lists = |slot| home.followers_of(which, slot);
        if !taken.take(&mut at, range, lists, |index| home.follower_row(index)) {
            return Seen::Followers { rows: taken.rows, next: Some(at) };
        }
        at.next_part();
    }
    let range = owner.polled_range(which);
    let lists = |slot| owner.pollers_of(which, slot);
    let done = taken.take(&mut at, range, lists, |at| owner.poller_row(at));
    Seen::Followers { rows: taken.rows, next: (!done).then_some(at) }
}

/// Rows of one look so far.
struct Taken {
    rows: Vec<FollowerRow>,
    rows_max: usize,
    visits: usize,
}

impl Taken {
    /// Goes through the lists of a range of slots; false: the look is full.
    fn take<'a>(
        &mut self,
        at: &mut Cursor,
        (first, end): (u32, u32),
        list_of: impl Fn(u32) -> Option<&'a [u32]>,
        row_of: impl Fn(u32) -> Option<FollowerRow>,
    ) -> bool {
        at.slot = at.slot.max(first);
        while at.slot < end {
            if self.visits >= LOOK_VISITS_MAX || self.rows.len() >= self.rows_max {
                return false;
            }
            self.visits += 1;
            let list = list_of(at.slot).unwrap_or_default();
            let passed = at.skip.min((list.len() as u32).saturating_sub(at.place));
            (at.skip, at.place) = (at.skip - passed, at.place + passed);
            let rest = list.get(at.place as usize..).unwrap_or_default();
            for index in rest.iter().take(self.rows_max - self.rows.len()) {
                self.rows.extend(row_of(*index));
                at.place += 1;
            }
            if at.place as usize >= list.len() {
                (at.slot, at.place) = (at.slot + 1, 0);
            }
        }
        true
    }
}

/// How many subscribers there are, from a cursor on.
pub(crate) fn count(home: &HomeState, owner: &OwnerState, which: &Which, mut at: Cursor) -> Seen {
    let (mut count, mut visits) = (0, LOOK_VISITS_MAX);
    if at.part == 0 {
        let range = home.followed_range(which);
        let lists = |slot| home.followers_of(which, slot);
        if !add_up(&mut count, &mut visits, &mut at, range, lists) {
            return Seen::Count { count, next: Some(at) };
        }
        at.next_part();
    }
    let range = owner.polled_range(which);
    let lists = |slot| owner.pollers_of(which, slot);
    let done = add_up(&mut count, &mut visits, &mut at, range, lists);
    Seen::Count { count, next: (!done).then_some(at) }
}

fn add_up<'a>(
    count: &mut u64,
    visits: &mut usize,
    at: &mut Cursor,
    (first, end): (u32, u32),
    list_of: impl Fn(u32) -> Option<&'a [u32]>,
) -> bool {
    at.slot = at.slot.max(first);
    while at.slot < end {
        if *visits == 0 {
            return false;
        }
        *visits -= 1;
        *count += list_of(at.slot).map_or(0, |list| list.len() as u64);
        at.slot += 1;
    }
    true
}
