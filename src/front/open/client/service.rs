//! Services seen from their clients: who publishes one, who follows it, which there are.

use super::find::{self, address_text};
use super::{Refused, within};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Outcome, identity, shape, strange, unexpected};
use crate::http1::StatusCode;
use crate::http1::reply;
use nacre_proto::json;
use nacre_shards::auth::{Action, Denial, Kind, Resource};
use nacre_shards::key::{Core, ServiceKey};
use nacre_shards::limits::LOOK_ROWS_MAX;
use nacre_shards::look::clients::{Client, Cursor, FollowerRow, PublisherRow, Which};
use nacre_shards::look::{Look, Seen, Wanted};
use nacre_shards::naming::accept::{DEFAULT_GROUP, PUBLIC};
use nacre_shards::naming::open::{Answer, Call, Name, Shape, key_of};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Subscribers on one page: what v1 shows unless it is told otherwise.
const PAGE_SIZE_MAX: i64 = 1_000;

/// What `publishers` and `followers` are narrowed to.
struct Narrow<'a> {
    ip: Option<&'a str>,
    port: Option<i64>,
}

impl<'a> Narrow<'a> {
    fn of(input: &'a Input<'_>) -> Result<Self, Refused> {
        let port = input.get("port").map(|_| input.required_whole("port")).transpose()?;
        // Of which kind a service is says its name.
        input.flag("ephemeral")?;
        Ok(Self { ip: input.get("ip").map(str::trim), port })
    }

    fn is_it(&self, ip: &str, port: i64) -> bool {
        self.ip.is_none_or(|wanted| wanted == ip) && self.port.is_none_or(|wanted| wanted == port)
    }
}

fn key(api: &Api, input: &Input<'_>) -> Result<ServiceKey, Refused> {
    key_of(&input.name()?, api.facts.config.param_check)
}

pub async fn publishers(api: &Api, input: &Input<'_>) -> Result<Value, Refused> {
    let (key, narrow) = (key(api, input)?, Narrow::of(input)?);
    let core = api.eyes.map().owner(&key).0;
    let mut rows: Vec<PublisherRow> = Vec::new();
    let mut at = Some(Cursor::default());
    while let Some(cursor) = at {
        let look = Look::Publishers { service: key.clone(), at: cursor };
        let Seen::Publishers { rows: more, next } = api.look(core, look).await? else {
            return Err(strange());
        };
        rows.extend(more.into_iter().filter(|row| narrow.is_it(&row.ip, row.port.into())));
        within(api, rows.len())?;
        at = next;
    }
    let mut conns: Vec<_> = rows
        .iter()
        .filter_map(|row| match row.client {
            Client::Connection(conn) => Some(conn),
            Client::Beats | Client::Logged => None,
        })
        .collect();
    conns.dedup();
    let ids = find::ids(api, &conns).await?;
    let row = |row: &PublisherRow| {
        let id = match row.client {
            Client::Connection(conn) => ids.get(&conn).cloned().unwrap_or_default(),
            Client::Beats => format!("{}:{}#true", row.ip, row.port),
            Client::Logged => format!("{}:{}#false", row.ip, row.port),
        };
        let cluster = if input.version == Version::V3 { "clusterName" } else { "cluster" };
        // It left between two looks.
        let here = !id.is_empty();
        here.then(
            || json!({ "clientId": id, "ip": row.ip, "port": row.port, cluster: row.cluster }),
        )
    };
    Ok(rows.iter().filter_map(row).collect())
}

pub async fn followers(api: &Api, input: &Input<'_>) -> Result<Value, Refused> {
    let (key, narrow) = (key(api, input)?, Narrow::of(input)?);
    let mut all = Vec::new();
    for core in api.eyes.cores() {
        let mut at = Some(Cursor::default());
        while let Some(cursor) = at {
            let which = Which::One(key.clone());
            let (rows, next) = look_at(api, core, which, cursor, LOOK_ROWS_MAX).await?;
            let wanted = rows.into_iter().filter(|row| narrow.is_it(&row.ip, row.port.into()));
            all.extend(wanted.map(|row| match input.version {
                Version::V3 => json!({
                    "clientId": row.id,
                    "appName": row.app,
                    "agent": row.agent,
                    "address": address_text(&row),
                }),
                Version::V1 | Version::V2 => {
                    json!({ "clientId": row.id, "ip": row.ip, "port": row.port })
                }
            }));
            within(api, all.len())?;
            at = next;
        }
    }
    Ok(all.into())
}

async fn look_at(
    api: &Api,
    core: Core,
    which: Which,
    at: Cursor,
    rows: usize,
) -> Result<(Vec<FollowerRow>, Option<Cursor>), Refused> {
    match api.look(core, Look::Followers { which, at, rows }).await? {
        Seen::Followers { rows, next } => Ok((rows, next)),
        _ => Err(strange()),
    }
}

/// `service/subscribers`: a page of those whose service's group and name contain what is given.
pub async fn subscribers(api: &Api, input: &Input<'_>) -> Outcome {
    let _walking = api.searches.enter()?;
    let key = key(api, input)?;
    // One node has them all, aggregated or not.
    input.flag("aggregation")?;
    let default_size = if input.version == Version::V1 { PAGE_SIZE_MAX } else { 100 };
    let (page_no, page_size) = input.page(default_size, PAGE_SIZE_MAX)?;
    let (page_no, page_size) = (page_no.max(1), page_size.max(1));
    let like = Which::Like {
        namespace: key.namespace().into(),
        group: key.group().into(),
        service: key.service().into(),
    };
    // Whoever may not read the whole namespace is shown the service he named alone.
    let which =
        if may_read(api, input, (key.namespace(), "", "")) { like } else { Which::One(key) };
    let from = (page_no - 1).saturating_mul(page_size) as u64;
    let (count, rows) = page(api, &which, from, page_size as usize).await?;
    if input.version != Version::V1 {
        let items: Vec<Value> = rows.iter().map(subscriber).collect();
        let items = Value::from(items).to_string();
        return Ok(shape::page(count as usize, page_no, page_size, items.as_bytes()));
    }
    let rows: Vec<Value> = rows.iter().map(subscriber_of_v1).collect();
    let shown = json!({ "subscribers": rows, "count": count });
    Ok(reply::json(StatusCode::OK, shown.to_string()))
}

fn subscriber(row: &FollowerRow) -> Value {
    json!({
        "namespaceId": row.service.namespace(),
        "groupName": row.service.group(),
        "serviceName": row.service.service(),
        "ip": row.ip,
        "port": row.port,
        "agent": row.agent,
        "appName": row.app,
    })
}

fn subscriber_of_v1(row: &FollowerRow) -> Value {
    json!({
        "addrStr": address_text(row),
        "agent": row.agent,
        "app": row.app,
        "ip": row.ip,
        "port": row.port,
        "namespaceId": row.service.namespace(),
        "serviceName": row.service.grouped(),
        "cluster": row.clusters,
    })
}

/// How many subscribers there are on all cores, and some of them.
async fn page(
    api: &Api,
    which: &Which,
    from: u64,
    size: usize,
) -> Result<(u64, Vec<FollowerRow>), Refused> {
    let (mut all, mut rows) = (0, Vec::new());
    for core in api.eyes.cores() {
        let mut count = 0;
        let mut at = Some(Cursor::default());
        while let Some(cursor) = at {
            let look = Look::CountFollowers { which: which.clone(), at: cursor };
            let Seen::Count { count: more, next } = api.look(core, look).await? else {
                return Err(strange());
            };
            count += more;
            at = next;
        }
        let passed = from.saturating_sub(all);
        all += count;
        let mut at = (passed < count).then(|| Cursor::past(passed as u32));
        while let Some(cursor) = at.filter(|_| rows.len() < size) {
            let left = size - rows.len();
            let (more, next) = look_at(api, core, which.clone(), cursor, left).await?;
            rows.extend(more);
            at = next;
        }
    }
    Ok((all, rows))
}

/// `service/names`: the listed services of one namespace, or of all, whose grouped name matches.
pub async fn names(api: &Api, input: &Input<'_>) -> Outcome {
    let _walking = api.searches.enter()?;
    let (namespace, expression) = (input.get("namespaceId"), input.get("expr").unwrap_or_default());
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for core in api.eyes.cores() {
        let mut from = Some(0);
        while let Some(slot) = from {
            let namespace = namespace.map(str::to_owned);
            let wanted = Wanted { namespace, text: String::new(), rows: LOOK_ROWS_MAX };
            let look = Look::Services { from: slot, wanted };
            let Seen::Services { rows, next } = api.look(core, look).await? else {
                return Err(strange());
            };
            for row in rows.iter().filter(|row| row.listed) {
                let key = &row.service;
                if matches(expression, key.grouped())
                    && may_read(api, input, (key.namespace(), key.group(), key.service()))
                {
                    let names = found.entry(row.service.namespace().to_owned()).or_default();
                    names.push(row.service.grouped().to_owned());
                    count += 1;
                }
            }
            within(api, count)?;
            from = next;
        }
    }
    found.values_mut().for_each(|names| names.sort_unstable());
    if let Some(namespace) = namespace {
        found.entry(namespace.to_owned()).or_default();
    }
    let shown = json!({ "META-INF/services": found, "count": count });
    Ok(reply::json(StatusCode::OK, shown.to_string()))
}

/// Whether the asker may read a service; a blank part stands for all.
fn may_read(api: &Api, input: &Input<'_>, (namespace, group, name): (&str, &str, &str)) -> bool {
    let Some(who) = &input.who else { return true };
    let resource = Resource::Of { namespace, group, kind: Kind::Naming, name };
    api.door.decide(&who.user, Action::Read, &resource).is_ok()
}

/// Whether a name contains the pieces of an expression, one after the other; `.*` is between them.
/// The reference compiles the expression, which a stranger can make as dear as he likes.
fn matches(expression: &str, name: &str) -> bool {
    let mut rest = name;
    for piece in expression.split(".*").filter(|piece| !piece.is_empty()) {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// `instance/statuses`: every instance of a service with its health, `ip:port_true`.
pub async fn statuses(api: &Api, input: &Input<'_>) -> Outcome {
    let key = input.required("key")?;
    let (namespace, grouped) = key.split_once("##").unwrap_or((PUBLIC, key));
    let (group, service) = grouped.split_once("@@").unwrap_or(("", grouped));
    let judged = if group.is_empty() { DEFAULT_GROUP } else { group };
    // The right a row asks for is of the parameters others have.
    if !may_read(api, input, (namespace, judged, service)) {
        return Ok(identity::denied(Denial::Forbidden, input.path));
    }
    let name = Name {
        namespace: namespace.to_owned(),
        group: group.to_owned(),
        service: service.to_owned(),
    };
    let call = Call::List {
        name,
        clusters: String::new(),
        healthy_only: false,
        shape: Shape::AllHosts,
        poller: None,
    };
    let hosts = match api.ask(call).await {
        Ok(Answer::Json(hosts)) => hosts,
        Ok(other) => return Err(unexpected(&other)),
        // A service nobody knows has no instance.
        Err(refused) if refused.status == 404 => bytes::Bytes::from_static(b"[]"),
        Err(refused) => return Err(refused),
    };
    let hosts: Vec<Value> = serde_json::from_slice(&hosts).map_err(|_| strange())?;
    let mut out = b"{\"ips\":[".to_vec();
    for (at, host) in hosts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let ip = host["ip"].as_str().unwrap_or_default();
        json::write_string(&mut out, &format!("{ip}:{}_{}", host["port"], host["healthy"]));
    }
    out.extend_from_slice(b"]}");
    Ok(reply::json(StatusCode::OK, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_pieces_in_their_order() {
        for (expression, name, is_match) in [
            ("", "G@@a", true),
            ("a", "G@@bar", true),
            ("x", "G@@bar", false),
            ("b.*r", "G@@bar", true),
            ("r.*b", "G@@bar", false),
            (".*bar.*", "G@@bar", true),
            ("G@@.*bar", "G@@foobar", true),
        ] {
            assert_eq!(matches(expression, name), is_match, "{expression} {name}");
        }
    }
}
