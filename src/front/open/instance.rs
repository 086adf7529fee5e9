//! `/v1|v2/ns/instance` and `/v3/client/ns/instance` (`http-api.md` 3.1, 3.4, 5, 6).
//!
//! `PUT` of an instance is kept by the log for any address of a known service, `PATCH` for one that
//! is there; both lie over whatever is registered and go a minute after nobody registers it.
//! `PATCH` leaves what it does not name, where the reference's first one sets weight 1 and enabled.

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Api, Reply};
use crate::http1::StatusCode;
use crate::http1::reply;
use nacre_proto::code::Code;
use nacre_proto::json;
use nacre_proto::naming::Instance;
use nacre_proto::open_api::{self, Beat};
use nacre_shards::durable::naming::Mode;
use nacre_shards::naming::host::Edit;
use nacre_shards::naming::open::{
    self, Address, Answer, Call, Place, Poller, Refused, Shape, cluster_or_default,
};
use std::net::SocketAddr;

type Outcome = Result<Reply, Refused>;

pub(super) async fn register(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, instance) = (input.name()?, instance(api, input)?);
    api.decide(Call::Register { name, instance }).await?;
    Ok(shape::done(input.version))
}

/// The instance that the parameters describe. v1 knows `enable` and `cluster` as well.
fn instance(api: &Api, input: &Input<'_>) -> Result<Instance<'static>, Refused> {
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
        ephemeral: is_ephemeral(api, input)?,
        cluster_name: Some(cluster_or_default(&cluster).to_owned().into()),
        metadata: input.metadata()?.unwrap_or_default(),
        ..Instance::default()
    })
}

pub(super) async fn deregister(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, address) = (input.name()?, input.address()?);
    let ephemeral = is_ephemeral(api, input)?;
    api.decide(Call::Deregister { name, address, ephemeral }).await?;
    Ok(shape::done(input.version))
}

/// Replaces weight, enabled and metadata; what is absent takes its default.
pub(super) async fn update(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, address) = (input.name()?, input.address()?);
    let Instance { weight, enabled, metadata, .. } = instance(api, input)?;
    let edit = Edit { weight: Some(weight), enabled: Some(enabled), metadata: Some(metadata) };
    api.decide(Call::Edit { name, address, edit, mode: Mode::Replace }).await?;
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
    api.decide(Call::Edit { name, address, edit, mode: Mode::Patch }).await?;
    // v2 answers bare here, too.
    Ok(shape::done(Version::V1))
}

pub(super) async fn detail(api: &Api, input: &Input<'_>) -> Outcome {
    let service_key = match input.version {
        Version::V1 => Some("service"),
        Version::V2 => Some("serviceName"),
        Version::V3 => None,
    };
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
fn poller(input: &Input<'_>) -> Result<Option<Poller>, Refused> {
    if input.version != Version::V1 {
        return Ok(None);
    }
    let port = input.whole("udpPort", 0)?;
    let port = u16::try_from(port).map_err(|_| {
        let text = "Param 'port' is illegal, the value should be between 0 and 65535.";
        Refused { plain: true, ..Refused::invalid(text) }
    })?;
    let wants = port > 0 && open::takes_datagrams(input.agent);
    let user = input.who.as_ref().map(|claims| claims.user.as_str().into());
    let agent = &input.agent[..input.agent.floor_char_boundary(open::AGENT_BYTES_MAX)];
    let to = SocketAddr::new(input.source, port);
    Ok(wants.then(|| Poller { to, user, agent: agent.into() }))
}

/// v3 client: the hosts alone, of the default cluster unless one is named.
pub(super) async fn hosts(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.name()?;
    let clusters = cluster_or_default(&input.text("clusterName")).to_owned();
    let call =
        Call::List { name, clusters, healthy_only: false, shape: Shape::Hosts, poller: None };
    shown(api.ask(call).await?, input.version)
}

/// v3 administrator: the disabled ones too, of the default cluster unless one is named. A service
/// or cluster nobody knows is a 404.
pub(super) async fn all_hosts(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.name()?;
    let clusters = cluster_or_default(&input.text("clusterName")).to_owned();
    let healthy_only = input.flag("healthyOnly")?.unwrap_or(false);
    let (shape, poller) = (Shape::AllHosts, None);
    shown(api.ask(Call::List { name, clusters, healthy_only, shape, poller }).await?, input.version)
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

/// Who says nothing gets what is switched.
fn is_ephemeral(api: &Api, input: &Input<'_>) -> Result<bool, Refused> {
    let said = input.flag("ephemeral")?;
    Ok(said.unwrap_or_else(|| api.tables.switches().now().default_instance_ephemeral))
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

/// Adds the keys of `metadata` to instances, or takes them away (`http-api.md` 3.1).
pub(super) async fn change_many(api: &Api, input: &Input<'_>, mode: Mode) -> Outcome {
    let name = input.name()?;
    input.required("metadata")?;
    let metadata = input.metadata()?.unwrap_or_default();
    let ephemeral = match input.get("consistencyType") {
        Some("persist") => Some(false),
        Some("ephemeral") => Some(true),
        _ => None,
    };
    let wanted = places(input)?;
    let call = Call::Places { name: name.clone(), wanted, ephemeral };
    let places = match api.ask(call).await? {
        Answer::Places(places) => places,
        other => return Err(super::unexpected(&other)),
    };
    let mut out = b"{\"updated\":[".to_vec();
    for (at, (place, ephemeral)) in places.iter().enumerate() {
        let kind = if *ephemeral { "ephemeral" } else { "persist" };
        let Place { ip, port, cluster } = place;
        if at > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, &format!("{ip}:{port}:unknown:{cluster}:{kind}"));
    }
    out.extend_from_slice(b"]}");
    if !places.is_empty() {
        let places = places.into_iter().map(|(place, _)| place).collect();
        let edit = Edit { metadata: Some(metadata), ..Edit::default() };
        api.decide(Call::EditMany { name, places, edit, mode }).await?;
    }
    Ok(shape::json_of(input.version, out.into()))
}

/// The `instances` parameter: addresses, none for all.
fn places(input: &Input<'_>) -> Result<Vec<Place>, Refused> {
    let Some(text) = input.get("instances") else { return Ok(Vec::new()) };
    let wrong = |why: &dyn std::fmt::Display| {
        Refused::invalid(format!("Param 'instances' is illegal: {why}"))
    };
    let instances = open_api::instances(text).map_err(|error| wrong(&error))?;
    let place = |instance: Instance<'_>| {
        let port = i32::try_from(instance.port).map_err(|_| wrong(&"port"))?;
        Ok(Place {
            ip: instance.ip.as_deref().unwrap_or_default().into(),
            port,
            cluster: cluster_or_default(instance.cluster_name.as_deref().unwrap_or("")).into(),
        })
    };
    instances.unwrap_or_default().into_iter().map(place).collect()
}

/// Health by hand, of persistent instances nobody checks (`naming.md` 10). v1 calls it `valid`,
/// too.
pub(super) async fn health(api: &Api, input: &Input<'_>) -> Outcome {
    let healthy = match input.flag("healthy")? {
        None => input.flag("valid")?,
        given => given,
    };
    let healthy = healthy
        .ok_or_else(|| Refused::new(400, Code::HealthyParamMiss, "Param 'healthy' is required."))?;
    let (name, address) = (input.name()?, input.address()?);
    api.decide(Call::SetHealth { name, address, healthy }).await?;
    Ok(shape::done(input.version))
}

/// v3: what is not given takes the defaults of a form.
pub(super) async fn partial(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, address) = (input.name()?, input.address()?);
    let Instance { weight, enabled, .. } = instance(api, input)?;
    let edit = Edit { weight: Some(weight), enabled: Some(enabled), metadata: input.metadata()? };
    api.decide(Call::Edit { name, address, edit, mode: Mode::Patch }).await?;
    Ok(shape::done(input.version))
}
