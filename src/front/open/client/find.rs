//! How one client is found, and lists too long for one look are put together.

use super::{unknown, within};
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, strange};
use crate::http1::pause;
use nacre_shards::key::{ConnKey, Core, SLOTS, ServiceKey};
use nacre_shards::limits::{LOOK_ROWS_MAX, LOOK_VISITS_MAX};
use nacre_shards::look::clients::{
    Address, AddressRow, Client, ConnectionRow, Cursor, FollowerRow, PublisherRow,
};
use nacre_shards::look::{Look, Seen};
use nacre_shards::naming::kept::Kept;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// What clients without a name of their application are called.
pub const NO_APP: &str = "unknown";

/// Between two steps through the tables the core sees to its clients.
const STEP_PAUSE: Duration = Duration::from_micros(100);

/// One client.
pub enum Found {
    Connection(Box<ConnectionRow>),
    /// What a client of an address publishes and polls, on all cores.
    Addresses(Vec<AddressRow>),
    /// What the log keeps of an address.
    Logged(Vec<PublisherRow>),
}

impl Found {
    /// When it last showed life, Unix ms; 0 where nobody notes it.
    pub fn active_ms(&self) -> u64 {
        match self {
            Found::Connection(row) => row.active_ms,
            Found::Addresses(rows) => rows.iter().map(|row| row.active_ms).max().unwrap_or(0),
            Found::Logged(_) => 0,
        }
    }
}

/// `ip:port#true` of a client that beats or polls, `ip:port#false` of what the log keeps.
pub fn address_of(id: &str) -> Option<(Address, bool)> {
    let (place, ephemeral) = id.rsplit_once('#')?;
    let (ip, port) = place.rsplit_once(':')?;
    let address = Address { ip: ip.into(), port: port.parse().ok()? };
    Some((address, ephemeral.parse().ok()?))
}

pub fn id_of(address: &Address, ephemeral: bool) -> String {
    format!("{}:{}#{ephemeral}", address.ip, address.port)
}

pub fn id_of_kept(kept: &Kept) -> String {
    format!("{}:{}#false", kept.host.ip(), kept.host.port())
}

/// How a subscriber is called: with its port where that means something.
pub fn address_text(row: &FollowerRow) -> String {
    if row.port == 0 { row.ip.clone() } else { format!("{}:{}", row.ip, row.port) }
}

/// The client of an id.
///
/// # Errors
/// 404: there is none.
pub async fn client(api: &Api, id: &str, version: Version) -> Result<Found, Refused> {
    let found = match address_of(id) {
        Some((address, true)) => {
            let mut rows = Vec::new();
            let mut parts = Parts::of(address);
            while let Some(more) = parts.next(api).await? {
                rows.extend(more);
                within(api, rows.len())?;
            }
            (!rows.is_empty()).then_some(Found::Addresses(rows))
        }
        Some((address, false)) => {
            let rows = logged(api, &address).await?;
            (!rows.is_empty()).then_some(Found::Logged(rows))
        }
        None => {
            let row = connection(api, id).await?.filter(|row| row.naming);
            row.map(|row| Found::Connection(Box::new(row)))
        }
    };
    found.ok_or_else(|| unknown(id, version))
}

/// The connection of an id, naming client or not.
pub async fn connection(api: &Api, id: &str) -> Result<Option<ConnectionRow>, Refused> {
    let mut found = None;
    connections(api, Some(id), |row| {
        found = Some(row);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Hands out all connections that were set up, or the one of an id.
///
/// # Errors
/// What `each` refuses; a core that does not answer.
pub async fn connections(
    api: &Api,
    id: Option<&str>,
    mut each: impl FnMut(ConnectionRow) -> Result<(), Refused>,
) -> Result<(), Refused> {
    for core in api.eyes.cores() {
        let mut from = Some(0);
        while let Some(slot) = from {
            let look = Look::Connections { id: id.map(Into::into), from: slot };
            let Seen::Connections { rows, next } = api.look(core, look).await? else {
                return Err(strange());
            };
            rows.into_iter().try_for_each(&mut each)?;
            from = next;
        }
    }
    Ok(())
}

/// Clients known by their address, of all cores, in the pieces cores give them.
pub struct Parts {
    of: Option<Address>,
    core: u16,
    at: Cursor,
}

impl Parts {
    pub fn all() -> Self {
        Self { of: None, core: 0, at: Cursor::default() }
    }

    fn of(address: Address) -> Self {
        Self { of: Some(address), ..Self::all() }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self, api: &Api) -> Result<Option<Vec<AddressRow>>, Refused> {
        if self.core >= api.eyes.map().cores {
            return Ok(None);
        }
        let look = Look::Addresses { of: self.of.clone(), at: self.at };
        let Seen::Addresses { rows, next } = api.look(Core(self.core), look).await? else {
            return Err(strange());
        };
        match next {
            Some(at) => self.at = at,
            None => (self.core, self.at) = (self.core + 1, Cursor::default()),
        }
        Ok(Some(rows))
    }
}

/// Hands out every persistent instance with its service, giving way between steps.
pub async fn kept(
    api: &Api,
    mut each: impl FnMut(&ServiceKey, &Kept) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let mut visits = 0;
    for slot in 0..SLOTS {
        let table = api.tables.services().slot(slot);
        for entry in &table.entries {
            for kept in &entry.instances {
                each(&entry.key, kept)?;
            }
            visits += 1 + entry.instances.len();
        }
        visits += 1;
        if visits >= LOOK_VISITS_MAX {
            visits = 0;
            drop(table);
            pause(STEP_PAUSE).await;
        }
    }
    Ok(())
}

/// How many addresses the log keeps instances of, each a client as the reference counts them.
pub async fn kept_clients(api: &Api) -> Result<u64, Refused> {
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    kept(api, |_, kept| {
        seen.insert(hasher.hash_one((kept.host.ip(), kept.host.port())));
        Ok(())
    })
    .await?;
    Ok(seen.len() as u64)
}

async fn logged(api: &Api, address: &Address) -> Result<Vec<PublisherRow>, Refused> {
    let mut rows = Vec::new();
    kept(api, |service, kept| {
        if kept.host.is_at(&address.ip, address.port) {
            rows.push(PublisherRow {
                service: service.clone(),
                client: Client::Logged,
                ip: kept.host.ip().into(),
                port: kept.host.port(),
                cluster: kept.host.cluster().into(),
            });
        }
        within(api, rows.len())
    })
    .await?;
    Ok(rows)
}

/// What a connection publishes: its home knows the services, their owners the instances.
pub async fn publications(api: &Api, conn: ConnKey) -> Result<Vec<PublisherRow>, Refused> {
    let mut rows = Vec::new();
    let mut from = Some(0);
    while let Some(place) = from {
        let look = Look::Published { conn, from: place };
        let Seen::Published { services, next } = api.look(conn.home.0, look).await? else {
            return Err(strange());
        };
        from = next;
        let mut by_owner: HashMap<Core, Vec<ServiceKey>> = HashMap::new();
        for service in services {
            by_owner.entry(api.eyes.map().owner(&service).0).or_default().push(service);
        }
        for (core, services) in by_owner {
            let mut at = Some(Cursor::default());
            while let Some(cursor) = at {
                let services = services.clone();
                let look = Look::Publications { conn, services, at: cursor };
                let Seen::Publishers { rows: more, next } = api.look(core, look).await? else {
                    return Err(strange());
                };
                rows.extend(more);
                within(api, rows.len())?;
                at = next;
            }
        }
    }
    rows.sort_by(|a, b| a.service.cmp(&b.service));
    Ok(rows)
}

/// What a connection follows.
pub async fn subscriptions(api: &Api, conn: ConnKey) -> Result<Vec<FollowerRow>, Refused> {
    let mut rows = Vec::new();
    let mut from = Some(None);
    while let Some(place) = from {
        let look = Look::Subscribed { conn, from: place };
        let Seen::Followers { rows: more, next } = api.look(conn.home.0, look).await? else {
            return Err(strange());
        };
        rows.extend(more);
        within(api, rows.len())?;
        from = next.map(|at| Some(at.slot()));
    }
    Ok(rows)
}

/// The ids of some connections, in order; blank where one has gone meanwhile.
pub async fn ids(api: &Api, conns: &[ConnKey]) -> Result<HashMap<ConnKey, String>, Refused> {
    let mut all = HashMap::new();
    let mut by_home: HashMap<Core, Vec<ConnKey>> = HashMap::new();
    for conn in conns {
        by_home.entry(conn.home.0).or_default().push(*conn);
    }
    for (core, conns) in by_home {
        for conns in conns.chunks(LOOK_ROWS_MAX) {
            let look = Look::Ids { conns: conns.to_vec() };
            let Seen::Ids(ids) = api.look(core, look).await? else { return Err(strange()) };
            all.extend(conns.iter().copied().zip(ids));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_addresses_are_read_as_they_are_written() {
        for (id, ip, port, ephemeral) in [
            ("10.0.0.1:80#true", "10.0.0.1", 80, true),
            ("[::1]:9#false", "[::1]", 9, false),
            ("host.example:8080#true", "host.example", 8080, true),
        ] {
            let (address, is_ephemeral) = address_of(id).expect("an address");
            assert_eq!((&*address.ip, address.port, is_ephemeral), (ip, port, ephemeral));
            assert_eq!(id_of(&address, is_ephemeral), id);
        }
        for id in ["1700000000000_127.0.0.1_5", "x#true", "a:b#true", "a:1#maybe", ""] {
            assert!(address_of(id).is_none(), "{id}");
        }
    }
}
