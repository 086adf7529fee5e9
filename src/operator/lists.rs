//! `nacre inspect services|clients|configs`: lists in bounded steps, in no order but the tables'
//! own, sorted by whoever shows them.

use super::office::Office;
use super::shown;
use super::wire::{Answered, Listing, Out, ROWS_MAX, Refusal};
use nacre_shards::config::entry::Entry;
use nacre_shards::config::table::Tables;
use nacre_shards::key::{ConfigKey, Core, SLOTS};
use nacre_shards::limits::{LOOK_ROWS_MAX, LOOK_VISITS_MAX};
use nacre_shards::look::{ClientRow, Look, Seen, ServiceRow, Wanted};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// Where a list goes on: two numbers, of which only we know the meaning.
fn place(listing: &Listing) -> Result<(u32, u32), Refusal> {
    let Some(text) = &listing.from else { return Ok((0, 0)) };
    let parsed = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parsed.ok_or_else(|| Refusal::unseen(format!("--from \"{text}\": not where a list ended")))
}

fn rows_wanted(listing: &Listing) -> usize {
    listing.limit.clamp(1, ROWS_MAX)
}

fn wanted(listing: &Listing, rows: usize) -> Wanted {
    Wanted { namespace: listing.namespace.clone(), text: listing.name.clone(), rows }
}

fn ended(next: Option<(u32, u32)>, silent: &[u16]) -> Value {
    json!({ "next": next.map(|(major, minor)| format!("{major}.{minor}")), "silent_cores": silent })
}

/// Asks core after core, from where the listing begins, until it has its rows. `sends` sends on
/// what one look saw, and says how many rows that were and where on its core the next look begins.
async fn each(
    office: &Office,
    listing: &Listing,
    look: impl Fn(u32, Wanted) -> Look,
    mut sends: impl AsyncFnMut(Seen, u32) -> Result<Sent, Refusal>,
) -> Answered {
    let (mut core, mut slot) = place(listing)?;
    let mut left = rows_wanted(listing);
    let mut silent = Vec::new();
    while core < u32::from(office.parts.node.cores) {
        if left == 0 {
            return Ok(ended(Some((core, slot)), &silent));
        }
        let look = look(slot, wanted(listing, left));
        let sent = match office.look(Core(core as u16), look).await {
            Some(seen) => sends(seen, core).await?,
            None => None,
        };
        if sent.is_none() {
            silent.push(core as u16);
        }
        let (rows, next) = sent.unwrap_or_default();
        left -= rows.min(left);
        (core, slot) = next.map_or((core + 1, 0), |next| (core, next));
    }
    Ok(ended(None, &silent))
}

/// Rows, and the place behind the last one; `None`: the core answered another question.
type Sent = Option<(usize, Option<u32>)>;

/// Services of all cores, each with its subscribers.
pub async fn services(office: &Office, listing: &Listing, out: &mut impl Out) -> Answered {
    let look = |from, wanted| Look::Services { from, wanted };
    each(office, listing, look, async |seen, core| {
        let Seen::Services { rows, next } = seen else { return Ok(None) };
        if !rows.is_empty() {
            let names: Vec<_> = rows.iter().map(|row| row.service.clone()).collect();
            let ask = || Look::Subscribers { services: names.clone() };
            let subscribers = office.sum(names.len(), ask).await;
            let shown = rows.iter().zip(subscribers).map(|(row, all)| service(row, core, all));
            out.part(shown.collect()).await?;
        }
        Ok(Some((rows.len(), next)))
    })
    .await
}

fn service(row: &ServiceRow, core: u32, subscribers: u64) -> Value {
    json!({
        "namespace": row.service.namespace(),
        "group": row.service.group(),
        "service": row.service.service(),
        "kind": if row.persistent { "persistent" } else { "ephemeral" },
        "instances": row.instances,
        "healthy": row.healthy,
        "publishers": row.publishers,
        "subscribers": subscribers,
        "revision": row.revision,
        "core": core,
    })
}

/// Clients of all cores.
pub async fn clients(office: &Office, listing: &Listing, out: &mut impl Out) -> Answered {
    let look = |from, wanted| Look::Clients { from, wanted };
    each(office, listing, look, async |seen, core| {
        let Seen::Clients { rows, next } = seen else { return Ok(None) };
        if !rows.is_empty() {
            out.part(rows.iter().map(|row| client(row, core)).collect()).await?;
        }
        Ok(Some((rows.len(), next)))
    })
    .await
}

fn client(row: &ClientRow, core: u32) -> Value {
    json!({
        "id": row.id,
        "ip": row.ip,
        "version": row.version,
        "app": row.app,
        "module": row.module,
        "tenant": row.tenant,
        "publishes": row.publishes,
        "subscribes": row.subscribes,
        "listens": row.listens,
        "silent_ms": row.silent_ms,
        "congested": row.congested,
        "core": core,
    })
}

/// Configs, with their listeners where a node runs.
pub async fn configs(
    tables: &Tables,
    office: Option<&Office>,
    listing: &Listing,
    out: &mut impl Out,
) -> Answered {
    let mut at = place(listing)?;
    let mut left = rows_wanted(listing);
    while at.0 < SLOTS {
        if left == 0 {
            return Ok(ended(Some(at), &[]));
        }
        let found = walk(tables, listing, &mut at, left);
        left -= found.len();
        let mut rows: Vec<Value> = found.iter().map(|entry| config(entry)).collect();
        if let Some(office) = office {
            office.breathe().await;
            if !rows.is_empty() {
                let keys: Vec<ConfigKey> = found.iter().map(|entry| entry.key.clone()).collect();
                let ask = || Look::Listeners { configs: keys.clone() };
                let listeners = office.sum(keys.len(), ask).await;
                for (row, listeners) in rows.iter_mut().zip(listeners) {
                    row["listeners"] = listeners.into();
                }
            }
        }
        if !rows.is_empty() {
            out.part(rows.into()).await?;
        }
    }
    Ok(ended(None, &[]))
}

/// One step through the tables: slot and place in it, on to where the next step begins.
fn walk(
    tables: &Tables,
    listing: &Listing,
    at: &mut (u32, u32),
    rows_max: usize,
) -> Vec<Arc<Entry>> {
    let mut found = Vec::new();
    let mut visits = 0;
    while at.0 < SLOTS && visits < LOOK_VISITS_MAX {
        let slot = tables.slot(at.0);
        let entries = slot.entries();
        for entry in entries.iter().skip(at.1 as usize) {
            if found.len() >= rows_max.min(LOOK_ROWS_MAX) {
                return found;
            }
            visits += 1;
            at.1 += 1;
            let name = entry.key.name();
            let of_namespace = listing.namespace.as_deref().is_none_or(|ns| ns == name.namespace);
            if of_namespace && name.data_id.contains(&listing.name) {
                found.push(entry.clone());
            }
        }
        visits += 1;
        *at = (at.0 + 1, 0);
    }
    found
}

fn config(entry: &Entry) -> Value {
    let name = entry.key.name();
    let formal = entry.formal.as_ref();
    let md5 = formal.map(|formal| String::from_utf8_lossy(&formal.md5.hex()).into_owned());
    json!({
        "namespace": name.namespace,
        "group": name.group,
        "data_id": name.data_id,
        "md5": md5,
        "bytes": formal.map(|formal| formal.content().len()),
        "modified_ms": formal.map(|formal| formal.modified_ms),
        "grays": entry.grays.len(),
        "listeners": null,
    })
}

/// A list for a person: the rows, and how to see what was left out.
pub fn text(what: &str, parts: &[Value], done: &Value) -> String {
    let mut rows: Vec<Value> =
        parts.iter().flat_map(|part| part.as_array().cloned()).flatten().collect();
    let heads: &[(&str, &str)] = match what {
        "services" => &[
            ("NAMESPACE", "namespace"),
            ("GROUP", "group"),
            ("SERVICE", "service"),
            ("KIND", "kind"),
            ("INSTANCES", "instances"),
            ("HEALTHY", "healthy"),
            ("PUBLISHERS", "publishers"),
            ("SUBSCRIBERS", "subscribers"),
        ],
        "clients" => &[
            ("CLIENT", "id"),
            ("IP", "ip"),
            ("VERSION", "version"),
            ("APP", "app"),
            ("MODULE", "module"),
            ("PUBLISHES", "publishes"),
            ("SUBSCRIBES", "subscribes"),
            ("LISTENS", "listens"),
            ("SILENT MS", "silent_ms"),
            ("TOO SLOW", "congested"),
        ],
        _ => &[
            ("NAMESPACE", "namespace"),
            ("GROUP", "group"),
            ("DATA ID", "data_id"),
            ("BYTES", "bytes"),
            ("MD5", "md5"),
            ("MODIFIED", "modified"),
            ("GRAYS", "grays"),
            ("LISTENERS", "listeners"),
        ],
    };
    for row in &mut rows {
        if let Some(modified_ms) = row["modified_ms"].as_u64() {
            row["modified"] = shown::time(modified_ms).into();
        }
    }
    let key =
        |row: &Value| heads.iter().take(3).map(|(_, m)| shown::plain(&row[m])).collect::<Vec<_>>();
    rows.sort_by_cached_key(key);
    let mut text =
        if rows.is_empty() { format!("no {what}\n") } else { shown::table(heads, rows.iter()) };
    if let Some(next) = done["next"].as_str() {
        let _ = writeln!(text, "there may be more: --from {next}, or a larger --limit");
    }
    for core in done["silent_cores"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "core {core} DOES NOT ANSWER: its {what} are missing");
    }
    text
}

/// The same for programs.
pub fn json(what: &str, parts: Vec<Value>, done: &Value) -> Value {
    let rows: Vec<Value> = parts
        .into_iter()
        .flat_map(|part| match part {
            Value::Array(rows) => rows,
            other => vec![other],
        })
        .collect();
    json!({ what: rows, "next": done["next"], "silent_cores": done["silent_cores"] })
}
