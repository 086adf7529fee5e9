//! Lists of services and instances for consoles and synchronisers (`http-api.md` 3.2, 7.3).
//!
//! A page of names comes from their directory, then each service's line from its owner, many at a
//! time.

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Api, Outcome, Refused};
use bytes::Bytes;
use nacre_proto::json;
use nacre_shards::key::ServiceKey;
use nacre_shards::naming::open::{Answer, Call, Detail, Name, Shape};

/// Services, or instances, of one page.
const PAGE_SIZE_MAX: i64 = 500;

/// `/catalog/services`, and v3's list of services.
pub(super) async fn services(api: &Api, input: &Input<'_>) -> Outcome {
    let version = input.version;
    let name = Name {
        namespace: input.text("namespaceId"),
        group: input.text("groupNameParam"),
        service: input.text("serviceNameParam"),
    };
    let (page_no, page_size) = input.page(20, PAGE_SIZE_MAX)?;
    let with_instances = input.flag("withInstances")?.unwrap_or(false);
    let skips = if version == Version::V3 { "ignoreEmptyService" } else { "hasIpCount" };
    let skips_empty = input.flag(skips)?.unwrap_or(false);
    let (count, services) = match api.ask(Call::Search { name, page_no, page_size }).await? {
        Answer::Found { count, services } => (count, services),
        other => return Err(super::unexpected(&other)),
    };
    let detail = match (with_instances, version) {
        (false, _) => Detail::Line,
        (true, Version::V3) => Detail::Whole,
        (true, _) => Detail::Hosts,
    };
    let mut lines = b"[".to_vec();
    for line in shown(api, &services, detail).await? {
        let is_empty = line.windows(EMPTY.len()).any(|part| part == EMPTY);
        if skips_empty && detail == Detail::Line && is_empty {
            continue;
        }
        if lines.len() > 1 {
            lines.push(b',');
        }
        lines.extend_from_slice(&line);
    }
    lines.push(b']');
    Ok(match (version, with_instances) {
        (Version::V3, _) => shape::page(count, page_no, page_size, &lines),
        (_, true) => shape::json_of(version, lines.into()),
        (_, false) => counted(version, count, "serviceList", &lines),
    })
}

/// What is asked of owners at a time: their lanes have room for others' calls.
const ASKED_AT_ONCE: usize = 64;

/// Each service's line. Who was removed meanwhile is not shown.
async fn shown(api: &Api, services: &[ServiceKey], detail: Detail) -> Result<Vec<Bytes>, Refused> {
    let mut lines = Vec::with_capacity(services.len());
    for services in services.chunks(ASKED_AT_ONCE) {
        let ask = |service: &ServiceKey| {
            let (namespace, group) = (service.namespace().to_owned(), service.group().to_owned());
            let name = Name { namespace, group, service: service.service().to_owned() };
            api.ask(Call::Service { name, detail })
        };
        // All are handed in before the first is waited for: the answers come in one turn or two.
        let asked: Vec<_> = services.iter().map(ask).collect();
        for call in asked {
            match call.await {
                Ok(Answer::Json(line)) => lines.push(line),
                Err(refused) if refused.status == 503 => return Err(refused),
                _ => {}
            }
        }
    }
    Ok(lines)
}

/// What a line of a service without instances has.
const EMPTY: &[u8] = b"\"ipCount\":0,";

fn counted(version: Version, count: usize, key: &str, list: &[u8]) -> super::Reply {
    let mut out = b"{\"count\":".to_vec();
    json::write_i64(&mut out, count as i64);
    out.extend_from_slice(format!(",\"{key}\":").as_bytes());
    out.extend_from_slice(list);
    out.push(b'}');
    shape::json_of(version, Bytes::from(out))
}

/// `/catalog/service`.
pub(super) async fn service(api: &Api, input: &Input<'_>) -> Outcome {
    let call = Call::Service { name: input.name()?, detail: Detail::Catalog };
    match api.ask(call).await? {
        Answer::Json(json) => Ok(shape::json_of(input.version, json)),
        other => Err(super::unexpected(&other)),
    }
}

/// v3's console: a page of a service's instances, of all clusters unless one is named.
pub(super) async fn instance_page(api: &Api, input: &Input<'_>) -> Outcome {
    let (clusters, name) = (input.text("clusterName"), input.name()?);
    let (page_no, page_size) = input.page(100, PAGE_SIZE_MAX)?;
    let healthy_only = input.flag("healthyOnly")?.unwrap_or(false);
    let shape = Shape::Page { page_no, page_size };
    let call = Call::List { name, clusters, healthy_only, shape, poller: None };
    match api.ask(call).await? {
        Answer::Names { count, names } => Ok(shape::page(count, page_no, page_size, &names)),
        other => Err(super::unexpected(&other)),
    }
}

/// `/catalog/instances`: a page of a service's instances, disabled ones too.
pub(super) async fn instances(api: &Api, input: &Input<'_>) -> Outcome {
    let (key, clusters) = match input.version {
        Version::V1 => ("list", input.required("clusterName")?),
        _ => ("instances", input.get("clusterName").unwrap_or_default()),
    };
    let (clusters, name) = (clusters.to_owned(), input.name()?);
    let page_no = input.required_whole("pageNo")?;
    let page_size = input.required_whole("pageSize")?.min(PAGE_SIZE_MAX);
    let healthy_only = input.flag("healthyOnly")?.unwrap_or(false);
    let shape = Shape::Page { page_no, page_size };
    let call = Call::List { name, clusters, healthy_only, shape, poller: None };
    match api.ask(call).await? {
        Answer::Names { count, names } => Ok(counted(input.version, count, key, &names)),
        other => Err(super::unexpected(&other)),
    }
}
