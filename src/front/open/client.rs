//! Clients of naming: who they are, what they publish and follow (`naming.md` 2.1, `http-api.md` 5,
//! 7.3): `/v2/ns/client`, `/v3/admin/ns/client`.
//!
//! No core knows a client as a whole. Each question is looks at all cores, one after the other, put
//! together here (`pump::eyes`), 100,000 rows at most and four such walks at a time on a core; what
//! the log keeps is read from the tables. Equal subscribers are shown each, which the reference
//! merges.

mod find;
mod service;

use super::input::Input;
use super::route::Version;
use super::{Api, Outcome, Refused, shape};
use find::{Found, Parts};
use nacre_proto::code::Code;
use nacre_shards::limits::LOOK_ROWS_MAX;
use nacre_shards::look::clients::{FollowerRow, PublisherRow, Role};
use nacre_shards::look::{Look, Seen, Wanted};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) use find::{connections, kept_clients};
pub(super) use service::{names, statuses, subscribers};

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// All ids.
    List,
    Detail,
    /// What a client publishes.
    Published,
    /// What it follows.
    Subscribed,
    /// Who publishes a service.
    Publishers,
    /// Who follows it.
    Subscribers,
    /// Which node sees to a client.
    Distro,
}

/// Rows of one answer. A list has no pages in the reference; a longer one is refused with the
/// advice where it can be had in pieces.
const LISTED_MAX: usize = 100_000;

pub(super) async fn answer(api: &Api, op: Op, input: &Input<'_>) -> Outcome {
    // Walks are as dear as searches, and are counted among them.
    let _walking = api.searches.enter()?;
    let shown = match op {
        Op::List => list(api).await?,
        Op::Detail => detail(api, input).await?,
        Op::Published => published(api, input).await?,
        Op::Subscribed => subscribed(api, input).await?,
        Op::Publishers => service::publishers(api, input).await?,
        Op::Subscribers => service::followers(api, input).await?,
        Op::Distro => return distro(input),
    };
    Ok(shape::result(shown.to_string().as_bytes()))
}

/// Refuses one row too many.
fn within(api: &Api, rows: usize) -> Result<(), Refused> {
    if rows <= LISTED_MAX {
        return Ok(());
    }
    api.note_limit();
    let text = format!(
        "more than {LISTED_MAX} rows; `nacre inspect clients` and `nacre inspect services` show \
         them in pieces"
    );
    Err(Refused::invalid(text))
}

async fn list(api: &Api) -> Result<Value, Refused> {
    let mut ids = Vec::new();
    for core in api.eyes.cores() {
        let mut from = Some(0);
        while let Some(slot) = from {
            let wanted = Wanted { rows: LOOK_ROWS_MAX, ..Wanted::default() };
            let look = Look::Clients { from: slot, wanted };
            let Seen::Clients { rows, next } = api.look(core, look).await? else {
                return Err(super::strange());
            };
            let naming = rows.into_iter().filter(|row| ["naming", "ai"].contains(&row.module));
            ids.extend(naming.map(|row| row.id));
            within(api, ids.len())?;
            from = next;
        }
    }
    // A client that publishes two services, on two cores even, is one.
    let mut addresses = BTreeSet::new();
    let mut parts = Parts::all();
    while let Some(rows) = parts.next(api).await? {
        addresses.extend(rows.into_iter().map(|row| find::id_of(&row.address, true)));
        within(api, ids.len() + addresses.len())?;
    }
    find::kept(api, |_, kept| {
        addresses.insert(find::id_of_kept(kept));
        within(api, ids.len() + addresses.len())
    })
    .await?;
    ids.extend(addresses);
    Ok(json!(ids))
}

async fn detail(api: &Api, input: &Input<'_>) -> Result<Value, Refused> {
    let id = input.required("clientId")?;
    let found = find::client(api, id, input.version).await?;
    let mut shown = json!({
        "clientId": id,
        "ephemeral": !matches!(found, Found::Logged(_)),
        "lastUpdatedTime": found.active_ms(),
        "clientType": "ipPort",
    });
    let more = match (&found, input.version) {
        (Found::Connection(row), version) => {
            let port = match version {
                Version::V3 => json!(row.remote_port),
                Version::V1 | Version::V2 => json!(row.remote_port.to_string()),
            };
            shown["clientType"] = "connection".into();
            json!({
                "connectType": "GRPC",
                "appName": row.app,
                "version": row.version,
                "clientIp": row.client_ip,
                "clientPort": port,
            })
        }
        (_, Version::V3) => json!({
            "connectType": null,
            "appName": null,
            "version": null,
            "clientIp": null,
            "clientPort": 0,
        }),
        _ => {
            let address = find::address_of(id).map(|(address, _)| address);
            let ip = address.as_ref().map(|address| &*address.ip);
            let port = address.as_ref().map(|address| address.port.to_string());
            json!({ "clientIp": ip, "clientPort": port })
        }
    };
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    Ok(shown)
}

async fn published(api: &Api, input: &Input<'_>) -> Result<Value, Refused> {
    let id = input.required("clientId")?;
    let rows = match find::client(api, id, input.version).await? {
        Found::Connection(row) => find::publications(api, row.conn).await?,
        Found::Addresses(rows) => {
            let published = rows.into_iter().filter_map(|row| match row.role {
                Role::Publishes { cluster } => Some(PublisherRow {
                    service: row.service,
                    client: nacre_shards::look::clients::Client::Beats,
                    ip: row.address.ip,
                    port: row.address.port,
                    cluster,
                }),
                Role::Polls { .. } => None,
            });
            published.collect()
        }
        Found::Logged(rows) => rows,
    };
    let row = |row: &PublisherRow| {
        let service = &row.service;
        match input.version {
            Version::V3 => json!({
                "namespaceId": service.namespace(),
                "groupName": service.group(),
                "serviceName": service.service(),
                "publisherInfo": {
                    "clientId": null,
                    "ip": row.ip,
                    "port": row.port,
                    "clusterName": row.cluster,
                },
                "subscriberInfo": null,
            }),
            Version::V1 | Version::V2 => json!({
                "namespace": service.namespace(),
                "group": service.group(),
                "serviceName": service.service(),
                "registeredInstance": {
                    "ip": row.ip,
                    "port": row.port,
                    "cluster": row.cluster,
                },
            }),
        }
    };
    Ok(rows.iter().map(row).collect())
}

async fn subscribed(api: &Api, input: &Input<'_>) -> Result<Value, Refused> {
    let id = input.required("clientId")?;
    let rows = match find::client(api, id, input.version).await? {
        Found::Connection(row) => find::subscriptions(api, row.conn).await?,
        Found::Addresses(rows) => {
            let polled = rows.into_iter().filter_map(|row| match row.role {
                Role::Polls { agent } => Some(FollowerRow {
                    service: row.service,
                    id: String::new(),
                    ip: row.address.ip.into(),
                    port: u16::try_from(row.address.port).unwrap_or(0),
                    agent,
                    app: find::NO_APP.into(),
                    clusters: "".into(),
                }),
                Role::Publishes { .. } => None,
            });
            polled.collect()
        }
        // Nobody asks for what the log keeps.
        Found::Logged(_) => Vec::new(),
    };
    let row = |row: &FollowerRow| {
        let service = &row.service;
        match input.version {
            Version::V3 => json!({
                "namespaceId": service.namespace(),
                "groupName": service.group(),
                "serviceName": service.service(),
                "publisherInfo": null,
                "subscriberInfo": {
                    "clientId": null,
                    "appName": row.app,
                    "agent": row.agent,
                    "address": find::address_text(row),
                },
            }),
            Version::V1 | Version::V2 => json!({
                "namespace": service.namespace(),
                "group": service.group(),
                "serviceName": service.service(),
                "subscriberInfo": {
                    "app": row.app,
                    "agent": row.agent,
                    "addr": find::address_text(row),
                },
            }),
        }
    };
    Ok(rows.iter().map(row).collect())
}

/// One node sees to all.
pub(super) fn distro(input: &Input<'_>) -> Outcome {
    input.required("ip")?;
    input.required_whole("port")?;
    let shown = json!({ "responsibleServer": input.local.to_string() });
    Ok(shape::json_of(input.version, shown.to_string().into()))
}

/// Nobody of this id.
fn unknown(id: &str, version: Version) -> Refused {
    let id = shape::echoed(id);
    let text = match version {
        Version::V3 => format!("Client id {id} not exist."),
        Version::V1 | Version::V2 => format!("clientId [ {id} ] not exist"),
    };
    Refused::new(404, Code::ResourceNotFound, text)
}
