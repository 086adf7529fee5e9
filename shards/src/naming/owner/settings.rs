//! Services made, changed, removed and shown by hand (`naming.md` 11, `http-api.md` 3.2, 5, 7.3).
//!
//! The owner looks at what clients hold and lets the change through to the log, which decides.

use super::OwnerState;
use crate::durable::command::Command;
use crate::durable::naming::{Change, Named};
use crate::key::ServiceKey;
use crate::message::{Now, Purpose};
use crate::naming::host::Grouped;
use crate::naming::kept::{Cluster, Entry, Explicit};
use crate::naming::open::{Answer, Approved, Check, Detail, NO_SELECTOR, Refused, texts};
use crate::naming::services::{Service, ServiceSettings};
use bytes::Bytes;
use nacre_proto::code::Code;
use nacre_proto::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

mod catalog;

type Outcome = Result<Answer, Refused>;

/// A change the log has to decide.
pub(super) fn approved(change: Change<'_>) -> Answer {
    let command = Command::Naming(change).encode();
    Answer::Approved(Approved { purpose: Purpose::Open, command })
}

impl OwnerState {
    /// Looks at what clients hold, as far as the change asks for it.
    pub(super) fn open_approve(
        &mut self,
        now: Now,
        key: &ServiceKey,
        check: Check,
        approved: Approved,
    ) -> Outcome {
        match check {
            Check::Nothing => {}
            Check::Persistent => self
                .may_persist(now, key)
                .map_err(|text| Refused::new(400, Code::ParameterValidateError, text))?,
            Check::Known if self.is_there(key) => {}
            Check::Known => return Err(unknown_service(key)),
        }
        Ok(Answer::Approved(approved))
    }

    pub(super) fn open_create(
        &mut self,
        key: &ServiceKey,
        settings: &ServiceSettings,
        persistent: bool,
    ) -> Outcome {
        if self.is_there(key) {
            let text = format!("specified service already exists, serviceName: {}", key.grouped());
            return Err(Refused::new(400, Code::ServiceAlreadyExist, text));
        }
        let explicit = self.explicit_revision(key);
        Ok(approved(Change::Create {
            service: Named::of(key),
            seen: explicit.unwrap_or(0),
            ephemeral: !persistent,
            texts: texts(settings),
        }))
    }

    fn explicit_revision(&mut self, key: &ServiceKey) -> Option<u64> {
        let id = self.services.find(key)?;
        let entry = self.services.get(id)?.entry()?;
        Some(entry.explicit.as_ref()?.revision)
    }

    pub(super) fn open_delete(&mut self, now: Now, key: &ServiceKey) -> Outcome {
        if !self.is_there(key) {
            return Err(unknown_service(key));
        }
        let id = self.services.find(key).expect("looked at above");
        let service = self.services.get(id).expect("the index names live services");
        if service.is_published() {
            let text = format!(
                "Service {} is not empty, can't be delete. Please unregister instance first",
                key.grouped()
            );
            return Err(Refused::new(400, Code::ServiceDeleteFailure, text));
        }
        if let Some(seen) = self.explicit_revision(key) {
            return Ok(approved(Change::Remove { service: Named::of(key), seen }));
        }
        let service = self.services.get(id).expect("the index names live services");
        service.listed = false;
        service.persistent = false;
        self.changes.change(now, id, service);
        Self::queue_name(&mut self.names, self.map, id, service);
        Ok(Answer::Done)
    }

    /// Whether the reference would know this service: published, created, or not cleaned yet.
    pub(super) fn is_there(&mut self, key: &ServiceKey) -> bool {
        let Some(id) = self.services.find(key) else { return false };
        self.services.get(id).is_some_and(|service| service.listed)
    }

    pub(super) fn open_service(&mut self, key: &ServiceKey, detail: Detail) -> Outcome {
        if !self.is_there(key) {
            return Err(unknown_service(key));
        }
        let id = self.services.find(key).expect("looked at above");
        let service = self.services.get(id).expect("the index names live services");
        let clusters = clusters(service);
        let explicit = service.entry().and_then(|entry| entry.explicit.as_deref());
        let out = match detail {
            Detail::List => service_v1(key, explicit, &clusters),
            Detail::Map => service_v2(key, service, &clusters, false),
            Detail::Line => catalog::line(key, service, clusters.len()),
            Detail::Catalog => catalog::service(key, explicit, &clusters),
            Detail::Hosts => catalog::with_hosts(key, service, &clusters),
            Detail::Whole => service_v2(key, service, &clusters, true),
        };
        Ok(Answer::Json(Bytes::from(out)))
    }
}

/// The clusters of its instances, as they were set by hand or as they are untouched.
fn clusters(service: &Service) -> BTreeMap<String, Cow<'_, Cluster>> {
    let entry: Option<&Entry> = service.entry().map(|entry| &**entry);
    let of = |name: &str| match entry.and_then(|entry| entry.cluster(name)) {
        Some(cluster) => Cow::Borrowed(&**cluster),
        None => Cow::Owned(Cluster::untouched(name)),
    };
    service.hosts().map(|host| (host.cluster().to_owned(), of(host.cluster()))).collect()
}

pub(super) fn unknown_service(key: &ServiceKey) -> Refused {
    let text = format!(
        "service not found, namespace: {}, serviceName: {}",
        key.namespace(),
        key.grouped()
    );
    Refused::new(400, Code::ServiceNotExist, text)
}

fn put(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    json::write_string(out, value);
}

/// The three members of a service's settings.
fn put_settings(out: &mut Vec<u8>, explicit: Option<&Explicit>) {
    let settings = explicit.map(|explicit| &explicit.settings);
    out.extend_from_slice(b",\"protectThreshold\":");
    json::write_f64(out, settings.map_or(0.0, |settings| shortest(settings.protect_threshold)));
    out.extend_from_slice(b",\"metadata\":");
    out.extend_from_slice(settings.map_or("{}", |settings| &settings.metadata).as_bytes());
    out.extend_from_slice(b",\"selector\":");
    out.extend_from_slice(settings.map_or(NO_SELECTOR, |settings| &settings.selector).as_bytes());
}

/// The double that is spelled as this float is: 0.8, not 0.800000011920929.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(0.0)
}

fn service_v1(
    key: &ServiceKey,
    explicit: Option<&Explicit>,
    clusters: &BTreeMap<String, Cow<'_, Cluster>>,
) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "{\"namespaceId\":", key.namespace());
    put(&mut out, ",\"groupName\":", key.group());
    put(&mut out, ",\"name\":", key.service());
    put_settings(&mut out, explicit);
    out.extend_from_slice(b",\"clusters\":[");
    for (at, (name, cluster)) in clusters.iter().enumerate() {
        put(&mut out, if at > 0 { ",{\"name\":" } else { "{\"name\":" }, name);
        put_checks(&mut out, cluster);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// A cluster's checker and metadata, JSON both.
fn put_checks(out: &mut Vec<u8>, cluster: &Cluster) {
    out.extend_from_slice(b",\"healthChecker\":");
    out.extend_from_slice(cluster.checker.as_bytes());
    out.extend_from_slice(b",\"metadata\":");
    out.extend_from_slice(cluster.metadata.as_bytes());
}

fn service_v2(
    key: &ServiceKey,
    service: &Service,
    clusters: &BTreeMap<String, Cow<'_, Cluster>>,
    whole: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let namespace = if whole { "{\"namespaceId\":" } else { "{\"namespace\":" };
    put(&mut out, namespace, key.namespace());
    put(&mut out, ",\"serviceName\":", key.service());
    put(&mut out, ",\"groupName\":", key.group());
    out.extend_from_slice(b",\"clusterMap\":{");
    for (at, (name, cluster)) in clusters.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        json::write_string(&mut out, name);
        put(&mut out, ":{\"clusterName\":", name);
        put_checks(&mut out, cluster);
        out.extend_from_slice(b",\"healthyCheckPort\":");
        json::write_i64(&mut out, i64::from(cluster.check_port));
        out.extend_from_slice(b",\"useInstancePortForCheck\":");
        json::write_bool(&mut out, cluster.use_instance_port);
        if whole {
            put_hosts(&mut out, key, service, name);
        }
        out.push(b'}');
    }
    out.push(b'}');
    put_settings(&mut out, service.entry().and_then(|entry| entry.explicit.as_deref()));
    out.extend_from_slice(b",\"ephemeral\":");
    json::write_bool(&mut out, !service.persistent);
    out.push(b'}');
    out
}

/// The instances of one cluster.
fn put_hosts(out: &mut Vec<u8>, key: &ServiceKey, service: &Service, cluster: &str) {
    let grouped = Grouped::of(key);
    out.extend_from_slice(b",\"hosts\":[");
    for (at, host) in service.hosts().filter(|host| host.cluster() == cluster).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        host.write(&grouped, out);
    }
    out.push(b']');
}
