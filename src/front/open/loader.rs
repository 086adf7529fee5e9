//! Connections of SDKs: which there are, and sending some of them elsewhere (`ops.md` 9,
//! `cluster.md` 8).

use super::client::connections;
use super::input::Input;
use super::route::Version;
use super::{Api, Outcome, Refused, Reply, shape, unexpected};
use crate::admin::counter::{CONNECTIONS, Gauge};
use crate::admin::process::Process;
use crate::http1::StatusCode;
use crate::http1::date::iso_date;
use crate::http1::reply;
use nacre_shards::conns::profile::Source;
use nacre_shards::health::liveness::{Place, Reset};
use nacre_shards::key::{ConnKey, Core};
use nacre_shards::limits::LOOK_ROWS_MAX;
use nacre_shards::look::clients::ConnectionRow;
use nacre_shards::naming::open::{Answer, Call};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Connections of one answer, about a kilobyte each. A larger node is refused with the advice where
/// they can be had in pieces.
const SHOWN_MAX: usize = 10_000;

/// What a label that says something of an application begins with.
const APP_LABEL: &str = "app_";

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// All connections of this node.
    Current,
    /// How many each node has.
    Cluster,
    /// Keep so many, send the rest elsewhere.
    ReloadCurrent,
    /// Send one elsewhere.
    ReloadClient,
    /// Share them out over the nodes.
    SmartReload,
}

pub(super) async fn answer(api: &Api, op: Op, input: &Input<'_>) -> Outcome {
    let _walking = api.searches.enter()?;
    match op {
        Op::Current => current(api, input).await,
        Op::Cluster => Ok(bare_before_v3(input, &cluster(api, input))),
        Op::ReloadCurrent => {
            reload(api, input).await?;
            Ok(done(input, "success"))
        }
        Op::ReloadClient => {
            reload_one(api, input).await?;
            Ok(done(input, "success"))
        }
        // Alone, a node is as loaded as the average.
        Op::SmartReload => {
            let factor = input.get("loaderFactor").unwrap_or("0.1").trim();
            let number = factor.trim_end_matches(['f', 'F']).parse::<f32>();
            number.map_err(|_| Refused::invalid(format!("For input string: \"{factor}\"")))?;
            Ok(done(input, "Ok"))
        }
    }
}

fn bare_before_v3(input: &Input<'_>, json: &Value) -> Reply {
    match input.version {
        Version::V3 => shape::result(json.to_string().as_bytes()),
        Version::V1 | Version::V2 => reply::json(StatusCode::OK, json.to_string()),
    }
}

fn done(input: &Input<'_>, text: &'static str) -> Reply {
    match input.version {
        Version::V3 => shape::result(b"null"),
        Version::V1 | Version::V2 => reply::text(StatusCode::OK, text),
    }
}

async fn current(api: &Api, input: &Input<'_>) -> Outcome {
    let mut all = Map::new();
    connections(api, None, |row| {
        let local_port = api.facts.ports.grpc;
        all.insert(row.id.clone(), shown(&row, local_port));
        if all.len() <= SHOWN_MAX {
            return Ok(());
        }
        api.note_limit();
        let text = format!(
            "more than {SHOWN_MAX} connections; `nacre inspect clients` shows them in pieces"
        );
        Err(Refused::invalid(text))
    })
    .await?;
    Ok(bare_before_v3(input, &all.into()))
}

/// As the reference's `Connection` is written.
fn shown(row: &ConnectionRow, local_port: u16) -> Value {
    let text_map = |pairs: &[(Box<str>, Box<str>)]| -> Map<String, Value> {
        pairs.iter().map(|(key, value)| (key.to_string(), json!(value))).collect()
    };
    let labels = text_map(&row.labels);
    let mut of_app: Map<String, Value> = Map::new();
    of_app.insert("AppName".to_owned(), labels.get("AppName").cloned().unwrap_or(Value::Null));
    of_app.insert("ClientVersion".to_owned(), json!(row.version));
    for (key, value) in &row.labels {
        if let Some(key) = key.strip_prefix(APP_LABEL).filter(|key| !key.is_empty())
            && !value.trim().is_empty()
        {
            of_app.insert(key.to_owned(), json!(value));
        }
    }
    let abilities: Option<BTreeMap<&str, bool>> =
        row.abilities.as_ref().map(|all| all.iter().map(|(name, able)| (&**name, *able)).collect());
    json!({
        "traced": false,
        "abilityTable": abilities,
        "metaInfo": {
            "connectType": "GRPC",
            "clientIp": row.client_ip,
            "remoteIp": row.remote_ip,
            "remotePort": row.remote_port,
            "localPort": local_port,
            "version": row.version,
            "connectionId": row.id,
            "createTime": iso_date(row.created_ms),
            "lastActiveTime": row.active_ms,
            "appName": row.app,
            "namespaceId": row.tenant,
            "labels": labels.clone(),
            "tlsProtected": false,
            "sdkSource": row.source == Source::Sdk,
            "clusterSource": row.source == Source::Cluster,
            "tag": labels.get("Vipserver-Tag").cloned(),
            "appLabels": of_app.clone(),
        },
        "labels": labels,
        "appLabels": of_app,
        "connected": true,
    })
}

fn cluster(api: &Api, input: &Input<'_>) -> Value {
    let count = |gauges: &[Gauge]| -> u64 {
        gauges.iter().map(|gauge| api.facts.metrics.gauge(*gauge)).sum()
    };
    // Nobody but SDKs comes to this port; those that did not say what they are do not count.
    let (all, sdk) = (count(&CONNECTIONS), count(&CONNECTIONS[..5]));
    let process = Process::read();
    json!({
        "detail": [{
            "address": input.local.to_string(),
            "sdkConCount": sdk,
            "conCount": all,
            "load": format!("{:?}", process.load_average_1m),
            "cpu": format!("{:?}", process.system_cpu_usage),
        }],
        "memberCount": 1,
        "metricsCount": 1,
        "completed": true,
        "max": sdk,
        "min": sdk,
        "avg": sdk,
        "threshold": format!("{:?}", sdk as f64 * 1.1),
        "total": sdk,
    })
}

/// Where clients are sent; nowhere in particular if no address is given.
fn redirect(input: &Input<'_>) -> Result<Option<Place>, Refused> {
    let Some(address) = input.get("redirectAddress") else { return Ok(None) };
    let wrong = || Refused::invalid("Param 'redirectAddress' is illegal, it should be ip:port");
    let (ip, port) = address.trim().rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    if ip.is_empty() || ip.len() > nacre_shards::limits::CLIENT_IP_BYTES_MAX {
        return Err(wrong());
    }
    Ok(Some(Place { ip: ip.into(), port: port.into() }))
}

/// Sends all but so many connections of SDKs elsewhere.
async fn reload(api: &Api, input: &Input<'_>) -> Result<(), Refused> {
    let keep = input.required_whole("count")?;
    let keep = usize::try_from(keep)
        .map_err(|_| Refused::invalid(format!("'count' must not be negative: {keep}")))?;
    let to = redirect(input)?;
    let mut conns = Vec::new();
    connections(api, None, |row| {
        if row.source == Source::Sdk {
            conns.push(row.conn);
        }
        Ok(())
    })
    .await?;
    send_away(api, &conns[keep.min(conns.len())..], to).await
}

async fn reload_one(api: &Api, input: &Input<'_>) -> Result<(), Refused> {
    let id = input.required("connectionId")?;
    let to = redirect(input)?;
    let mut conns = Vec::new();
    connections(api, Some(id), |row| {
        conns.push(row.conn);
        Ok(())
    })
    .await?;
    send_away(api, &conns, to).await
}

async fn send_away(api: &Api, conns: &[ConnKey], to: Option<Place>) -> Result<(), Refused> {
    let mut by_home: BTreeMap<Core, Vec<ConnKey>> = BTreeMap::new();
    for conn in conns {
        by_home.entry(conn.home.0).or_default().push(*conn);
    }
    for (core, conns) in by_home {
        for conns in conns.chunks(LOOK_ROWS_MAX) {
            let reset = Box::new(Reset { conns: conns.to_vec(), to: to.clone() });
            match api.ask(Call::Reset { core, reset }).await? {
                Answer::Done => {}
                other => return Err(unexpected(&other)),
            }
        }
    }
    Ok(())
}
