//! `/v1|v2/ns/instance` and `/v3/client/ns/instance` (`http-api.md` 3.1, 3.4, 5, 6).

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Api, Reply};
use crate::http1::StatusCode;
use crate::http1::reply;
use nacre_proto::code::Code;
use nacre_proto::json;
use nacre_proto::naming::Instance;
use nacre_proto::open_api::Beat;
use nacre_shards::naming::host::Edit;
use nacre_shards::naming::open::{self, Address, Answer, Call, Refused, Shape, cluster_or_default};
use std::net::SocketAddr;

type Outcome = Result<Reply, Refused>;

pub(super) async fn register(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, instance) = (input.name()?, instance(input)?);
    api.ask(Call::Register { name, instance }).await?;
    Ok(shape::done(input.version))
}

/// The instance that the parameters describe. v1 knows `enable` and `cluster` as well.
fn instance(input: &Input<'_>) -> Result<Instance<'static>, Refused> {
    let Address { ip, port, cluster } = input.address()?;
    let enabled = match input.flag("enabled")? {
        Some(enabled) => Some(enabled),
        None => input.flag("enable")?,
    };
    Ok(Instance {
        ip: Some(ip.into()),
        port,
        weight: input.double("weight")?.unwrap_or(1.0),
        healthy: input.flag("healthy")?.unwrap_or(true),
        enabled: enabled.unwrap_or(true),
        ephemeral: input.flag("ephemeral")?.unwrap_or(true),
        cluster_name: Some(cluster_or_default(&cluster).to_owned().into()),
        metadata: input.metadata()?.unwrap_or_default(),
        ..Instance::default()
    })
}

pub(super) async fn deregister(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, address) = (input.name()?, input.address()?);
    let ephemeral = input.flag("ephemeral")?.unwrap_or(true);
    api.ask(Call::Deregister { name, address, ephemeral }).await?;
    Ok(shape::done(input.version))
}

/// Replaces weight, enabled and metadata; what is absent takes its default.
pub(super) async fn update(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, address) = (input.name()?, input.address()?);
    let Instance { weight, enabled, metadata, .. } = instance(input)?;
    let edit = Edit { weight: Some(weight), enabled: Some(enabled), metadata: Some(metadata) };
    api.ask(Call::Edit { name, address, edit }).await?;
    Ok(shape::done(input.version))
}

/// Changes what is given.
pub(super) async fn patch(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, address) = (input.name()?, input.address()?);
    let enabled = match input.flag("enabled")? {
        Some(enabled) => Some(enabled),
        None => input.flag("enable")?,
    };
    let edit = Edit { weight: input.double("weight")?, enabled, metadata: input.metadata()? };
    api.ask(Call::Edit { name, address, edit }).await?;
    // v2 answers bare here, too.
    Ok(shape::done(Version::V1))
}

pub(super) async fn detail(api: &Api, input: &Input<'_>) -> Outcome {
    let service_key = if input.version == Version::V1 { "service" } else { "serviceName" };
    let (name, address) = (input.name()?, input.address()?);
    shown(api.ask(Call::Detail { name, address, service_key }).await?, input.version)
}

pub(super) async fn list(api: &Api, input: &Input<'_>) -> Outcome {
    let clusters = match input.version {
        Version::V1 => input.text("clusters"),
        Version::V2 | Version::V3 => input.text("clusterName"),
    };
    let healthy_only = input.flag("healthyOnly")?.unwrap_or(false);
    let (name, poller) = (input.name()?, poller(input)?);
    let call = Call::List { name, clusters, healthy_only, shape: Shape::Info, poller };
    shown(api.ask(call).await?, input.version)
}

/// Where a 1.x client wants to be told of changes: the port it names at the address it asks from.
/// Whatever `clientIP` says: otherwise anybody could be aimed at.
fn poller(input: &Input<'_>) -> Result<Option<SocketAddr>, Refused> {
    if input.version != Version::V1 {
        return Ok(None);
    }
    let port = input.whole("udpPort", 0)?;
    let port = u16::try_from(port).map_err(|_| {
        let text = "Param 'port' is illegal, the value should be between 0 and 65535.";
        Refused { plain: true, ..Refused::invalid(text) }
    })?;
    let wants = port > 0 && open::takes_datagrams(input.agent);
    Ok(wants.then(|| SocketAddr::new(input.source, port)))
}

/// v3 client: the hosts alone, of the default cluster unless one is named.
pub(super) async fn hosts(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.name()?;
    let clusters = cluster_or_default(&input.text("clusterName")).to_owned();
    let call =
        Call::List { name, clusters, healthy_only: false, shape: Shape::Hosts, poller: None };
    shown(api.ask(call).await?, input.version)
}

/// v3 client: a registration, or with `heartBeat=true` a light beat.
pub(super) async fn client(api: &Api, input: &Input<'_>) -> Outcome {
    if !input.flag("heartBeat")?.unwrap_or(false) {
        return register(api, input).await;
    }
    let (name, address) = (input.name()?, input.address()?);
    match api.ask(Call::Beat { name, address, instance: None }).await? {
        Answer::UnknownInstance => Ok(shape::failure(StatusCode::OK, Code::InstanceNotFound, None)),
        _ => Ok(shape::done(input.version)),
    }
}

pub(super) async fn beat(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.name()?;
    let cluster = input.either("clusterName", "cluster").unwrap_or_default().to_owned();
    let described = match input.get("beat") {
        Some(text) => Beat::parse(text)
            .map_err(|error| Refused::invalid(format!("Param 'beat' is illegal: {error}")))?,
        None => None,
    };
    let (address, instance) = match described {
        Some(beat) => {
            let own = beat.cluster.as_deref().filter(|own| !own.trim().is_empty());
            let cluster = own.unwrap_or(&cluster).to_owned();
            let ip = beat.ip.as_deref().unwrap_or_default().to_owned();
            let instance = Instance {
                ip: Some(ip.clone().into()),
                port: beat.port,
                weight: beat.weight,
                cluster_name: Some(cluster_or_default(&cluster).to_owned().into()),
                metadata: beat.metadata.into_owned(),
                ..Instance::default()
            };
            (Address { ip, port: instance.port, cluster }, Some(instance))
        }
        None => {
            let (ip, port) = (input.text("ip"), input.whole("port", 0)?);
            (Address { ip, port, cluster }, None)
        }
    };
    let answer = api.ask(Call::Beat { name, address, instance }).await?;
    Ok(beaten(api, &answer))
}

/// Bare JSON in every version.
fn beaten(api: &Api, answer: &Answer) -> Reply {
    let switches = api.tables.switches().now();
    let (interval_ms, code) = match answer {
        Answer::Beaten { interval_ms } => (*interval_ms, Code::NamingOk),
        _ => {
            let interval_ms = u32::try_from(switches.client_beat_interval_ms);
            (interval_ms.unwrap_or(u32::MAX), Code::NamingNotFound)
        }
    };
    let mut out = b"{\"clientBeatInterval\":".to_vec();
    json::write_i64(&mut out, i64::from(interval_ms));
    out.extend_from_slice(b",\"code\":");
    json::write_i64(&mut out, i64::from(code.number()));
    out.extend_from_slice(b",\"lightBeatEnabled\":");
    json::write_bool(&mut out, switches.light_beat_enabled);
    out.push(b'}');
    reply::json(StatusCode::OK, out)
}

fn shown(answer: Answer, version: Version) -> Outcome {
    match answer {
        Answer::Json(json) => Ok(shape::json_of(version, json)),
        other => Err(super::unexpected(&other)),
    }
}
