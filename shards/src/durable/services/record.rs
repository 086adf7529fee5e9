//! Services, persistent instances and overrides as records of a checkpoint.

use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::durable::naming::{self, ClusterDraft, Named, Texts, read_bool};
use crate::durable::record::{gone, read_value, there, value};
use crate::durable::{Record, Table};
use crate::key::ServiceKey;
use crate::naming::host::Host;
use crate::naming::kept::{Cluster, Explicit, Kept, Override, pairs_json};
use bytes::Bytes;
use nacre_proto::open_api::json_object;
use nacre_proto::text::Pairs;

/// First byte of a key of [`Table::Metadata`]: what the record is.
const SERVICE: u8 = 1;
const INSTANCE: u8 = 2;

fn instance_key(service: &ServiceKey, ip: &str, port: i32) -> Bytes {
    let mut key = Writer::with_capacity(service.text().len() + ip.len() + 16);
    Named::of(service).write(&mut key);
    key.text(ip);
    key.u64(u64::from(port as u32));
    key.finish().into()
}

/// The record of a persistent instance.
pub fn instance(service: &ServiceKey, kept: &Kept) -> Record {
    let mut writer = value(128);
    writer.u64(kept.revision);
    kept.host.write_form(&mut writer);
    there(Table::Instance, instance_key(service, kept.host.ip(), kept.host.port()), writer)
}

/// It was deregistered.
pub fn no_instance(service: &ServiceKey, ip: &str, port: i32) -> Record {
    gone(Table::Instance, instance_key(service, ip, port))
}

/// Reads [`instance`].
pub fn read_instance(key: &[u8], value: &[u8]) -> Result<(ServiceKey, Kept), Unreadable> {
    let mut key = Reader::new(key);
    let service = Named::read(&mut key)?.key();
    let (ip, port) = (key.text()?, key.u32()? as i32);
    key.finish()?;
    let mut value = read_value(value)?;
    let kept = Kept { revision: value.u64()?, host: Host::read_form(&mut value)? };
    value.finish()?;
    if !kept.host.is_at(ip, port) {
        return Err("an instance under another address's key");
    }
    Ok((service, kept))
}

fn service_key(service: &ServiceKey) -> Bytes {
    let mut key = Writer::with_capacity(service.text().len() + 8);
    key.u8(SERVICE);
    Named::of(service).write(&mut key);
    key.finish().into()
}

/// The record of what was set for a service.
pub fn service(service: &ServiceKey, explicit: &Explicit) -> Record {
    let Explicit { revision, ephemeral, settings, clusters } = explicit;
    let mut writer = value(settings.metadata.len() + settings.selector.len() + 64);
    writer.u64(*revision);
    writer.u8(u8::from(*ephemeral));
    let texts = Texts {
        protect_threshold_bits: settings.protect_threshold.to_bits(),
        metadata: &settings.metadata,
        selector: &settings.selector,
    };
    texts.write(&mut writer);
    writer.u64(clusters.len() as u64);
    for cluster in clusters {
        let draft = ClusterDraft {
            name: &cluster.name,
            check_port: cluster.check_port,
            use_instance_port: cluster.use_instance_port,
            checker: &cluster.checker,
            metadata: &cluster.metadata,
        };
        draft.write(&mut writer);
    }
    there(Table::Metadata, service_key(service), writer)
}

/// It was removed.
pub fn no_service(service: &ServiceKey) -> Record {
    gone(Table::Metadata, service_key(service))
}

fn override_key(service: &ServiceKey, over: &Override) -> Bytes {
    let mut key = Writer::with_capacity(service.text().len() + over.ip.len() + 32);
    key.u8(INSTANCE);
    Named::of(service).write(&mut key);
    key.text(&over.ip);
    key.u64(u64::from(over.port as u32));
    key.text(&over.cluster);
    key.finish().into()
}

/// The record of what is wanted of an instance.
pub fn instance_metadata(service: &ServiceKey, over: &Override) -> Record {
    let mut writer = value(128);
    writer.u64(over.revision);
    let metadata = pairs_json(&over.metadata);
    let weight = over.weight.map(f64::to_bits);
    naming::write_wishes(weight, over.enabled, Some(&metadata), &mut writer);
    there(Table::Metadata, override_key(service, over), writer)
}

/// It was forgotten.
pub fn no_instance_metadata(service: &ServiceKey, over: &Override) -> Record {
    gone(Table::Metadata, override_key(service, over))
}

/// What a record of [`Table::Metadata`] is.
#[derive(Debug)]
pub enum Metadata {
    Service(ServiceKey, Explicit),
    Instance(ServiceKey, Override),
}

/// Reads [`service`] and [`instance_metadata`].
pub fn read_metadata(key: &[u8], value: &[u8]) -> Result<Metadata, Unreadable> {
    let mut key = Reader::new(key);
    let kind = key.u8()?;
    let service = Named::read(&mut key)?.key();
    let mut value = read_value(value)?;
    let revision = value.u64()?;
    let read = match kind {
        SERVICE => {
            let explicit = read_explicit(revision, &mut value)?;
            Metadata::Service(service, explicit)
        }
        INSTANCE => {
            let (ip, port, cluster) = (key.text()?, key.u32()? as i32, key.text()?);
            let (weight, enabled, metadata) = naming::read_wishes(&mut value)?;
            let metadata = match metadata {
                None => Pairs::default(),
                Some(json) => json_object(json).ok_or("metadata that is no JSON object of text")?,
            };
            let over = Override {
                ip: ip.into(),
                port,
                cluster: cluster.into(),
                revision,
                weight: weight.map(f64::from_bits),
                enabled,
                metadata: metadata.into_owned(),
            };
            Metadata::Instance(service, over)
        }
        _ => return Err("neither of a service nor of an instance"),
    };
    key.finish()?;
    value.finish()?;
    Ok(read)
}

fn read_explicit(revision: u64, value: &mut Reader<'_>) -> Result<Explicit, Unreadable> {
    let ephemeral = read_bool(value)?;
    let settings = super::settings(&Texts::read(value)?);
    let mut clusters: Vec<std::sync::Arc<Cluster>> = Vec::new();
    for _ in 0..value.u32()? {
        let cluster = cluster_of(&ClusterDraft::read(value)?);
        if clusters.last().is_some_and(|last| last.name >= cluster.name) {
            return Err("clusters out of order");
        }
        clusters.push(cluster.into());
    }
    Ok(Explicit { revision, ephemeral, settings, clusters: clusters.into() })
}

/// A cluster as it is kept.
pub fn cluster_of(draft: &ClusterDraft<'_>) -> Cluster {
    Cluster {
        name: draft.name.into(),
        check_port: draft.check_port,
        use_instance_port: draft.use_instance_port,
        checker: draft.checker.into(),
        metadata: draft.metadata.into(),
    }
}
