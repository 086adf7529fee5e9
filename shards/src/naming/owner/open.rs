//! Calls of the open API on the core that owns their service.

use super::{OwnerState, nobody, showing};
use crate::health::beat::Times;
use crate::key::ServiceKey;
use crate::limits::{CREATED_PER_CORE_MAX, LIST_BYTES_MAX};
use crate::message::Now;
use crate::naming::directory::Page;
use crate::naming::host::{Beats, Edit, Grouped, Host, Publication};
use crate::naming::open::{Answer, Detail, Order, Place, Refused, Shape};
use crate::naming::services::{ServiceId, ServiceSettings};
use crate::naming::view::Filter;
use crate::push::poller::Followed;
use bytes::Bytes;
use nacre_proto::code::Code;
use nacre_proto::json;
use std::net::SocketAddr;

type Outcome = Result<Answer, Refused>;

impl OwnerState {
    pub(super) fn open(&mut self, now: Now, order: Order) -> Answer {
        let outcome = match order {
            Order::Register { service, host, beats } => {
                self.open_register(now, &service, host, beats)
            }
            Order::Deregister { service, address } => {
                self.open_deregister(now, &service, &address);
                Ok(Answer::Done)
            }
            Order::Edit { service, address, edit } => {
                self.open_edit(now, &service, &address, &edit)
            }
            Order::Detail { service, address, service_key } => {
                self.open_detail(&service, &address, service_key)
            }
            Order::Beat { service, address, register } => {
                self.open_beat(now, &service, &address, register)
            }
            Order::List { service, filter, shape, poller } => {
                Ok(self.open_list(now, &service, &filter, shape, poller))
            }
            Order::Names { namespace, group, page_no, page_size } => {
                self.open_names(&namespace, &group, Page { page_no, page_size })
            }
            Order::Create { service, settings, persistent } => {
                self.open_create(now, &service, settings, persistent)
            }
            Order::Change { service, settings } => self.open_change(now, &service, settings),
            Order::Delete { service } => self.open_delete(now, &service),
            Order::Service { service, detail } => self.open_service(&service, detail),
        };
        outcome.unwrap_or_else(Answer::Refused)
    }

    fn times(&self, beats: Beats) -> Times {
        let expired_ms = self.rules.client_expired_ms;
        let times = Times::of(beats, expired_ms);
        if self.rules.expire_instance { times } else { times.kept(expired_ms) }
    }

    fn open_register(&mut self, now: Now, key: &ServiceKey, host: Host, beats: Beats) -> Outcome {
        let (lived_ms, times) = (self.lived(now), self.times(beats));
        let (id, service) = self.services.obtain(key, now.unix_ms);
        if service.persistent {
            let text = format!(
                "Current service {} is persistent service, can't register ephemeral instance.",
                key.grouped()
            );
            return Err(Refused::invalid(text));
        }
        let healthy = host.healthy();
        let at = match self.beating.find(id, host.ip(), host.port()) {
            Some(at) => {
                self.beating.renew(at, healthy, times, lived_ms, &mut self.wheel);
                at
            }
            None => {
                let address = (id, host.ip(), host.port());
                let new = self.beating.insert(address, healthy, times, lived_ms, &mut self.wheel);
                let Some(at) = new else {
                    self.services.remove_idle(id);
                    return Err(Refused::busy("Too many instances that live by beats."));
                };
                at
            }
        };
        let publisher = self.beating.publisher(at);
        let publication = Box::new(Publication::One(host));
        match self.put(now, key, publisher, publication) {
            Ok(_) => Ok(Answer::Done),
            Err(text) => {
                self.beating.remove(at);
                Err(Refused::invalid(text))
            }
        }
    }

    fn open_deregister(&mut self, now: Now, key: &ServiceKey, address: &Place) {
        let Some((id, at)) = self.beating_at(key, address) else { return };
        let publisher = self.beating.publisher(at);
        self.beating.remove(at);
        self.take(now, id, publisher);
    }

    fn beating_at(&self, key: &ServiceKey, address: &Place) -> Option<(ServiceId, u32)> {
        let id = self.services.find(key)?;
        Some((id, self.beating.find(id, &address.ip, address.port)?))
    }

    fn open_beat(
        &mut self,
        now: Now,
        key: &ServiceKey,
        address: &Place,
        register: Option<(Host, Beats)>,
    ) -> Outcome {
        if let Some((id, at)) = self.beating_at(key, address) {
            let lived_ms = self.lived(now);
            if self.beating.beat(at, lived_ms, &mut self.wheel) {
                let publisher = self.beating.publisher(at);
                self.set_healthy(now, id, publisher, true);
            }
            let interval_ms = self.beat_interval(self.beating.interval_ms(at));
            return Ok(Answer::Beaten { interval_ms });
        }
        let Some((host, beats)) = register else { return Ok(Answer::UnknownInstance) };
        let interval_ms = self.beat_interval(self.times(beats).interval);
        self.open_register(now, key, host, beats)?;
        Ok(Answer::Beaten { interval_ms })
    }

    /// Changes what is published there, whoever published it: until it is registered again.
    fn open_edit(&mut self, now: Now, key: &ServiceKey, address: &Place, edit: &Edit) -> Outcome {
        let place = (&*address.ip, address.port, &*address.cluster);
        let Some(id) = self.services.find(key) else {
            let text = format!(
                "service not found, namespace: {}, service: {}",
                key.namespace(),
                key.grouped()
            );
            return Err(Refused::new(400, Code::InstanceError, text));
        };
        let service = self.services.get(id).expect("the index names live services");
        let mut found = false;
        for (_, publication) in service.publishers.iter_mut() {
            found |= publication.edit(place, edit);
        }
        if !found {
            return Err(Refused::new(404, Code::ResourceNotFound, "no matched ip found!"));
        }
        self.changes.change(now, id, service);
        if let Some(metadata) = &edit.metadata
            && let Some(at) = self.beating.find(id, &address.ip, address.port)
        {
            let times = self.times(Beats::of(metadata));
            self.beating.retime(at, times, &mut self.wheel);
        }
        Ok(Answer::Done)
    }

    fn open_detail(
        &mut self,
        key: &ServiceKey,
        address: &Place,
        service_key: &'static str,
    ) -> Outcome {
        let nothing = || Refused::new(404, Code::ResourceNotFound, "no matched ip found!");
        let id = self.services.find(key).ok_or_else(|| {
            let text = format!(
                "no ips found for cluster {} in service {}",
                address.cluster,
                key.grouped()
            );
            Refused::new(404, Code::ResourceNotFound, text)
        })?;
        let service = self.services.get(id).expect("the index names live services");
        let is_it = |host: &&Host| {
            host.is_at(&address.ip, address.port) && *host.cluster() == *address.cluster
        };
        let host = service.publishers.hosts().find(is_it).ok_or_else(nothing)?;
        let mut out = Vec::new();
        host.write_detail(service_key, &Grouped::of(key), &mut out);
        Ok(Answer::Json(Bytes::from(out)))
    }

    fn open_list(
        &mut self,
        now: Now,
        key: &ServiceKey,
        filter: &Filter,
        shape: Shape,
        poller: Option<SocketAddr>,
    ) -> Answer {
        if let Some(to) = poller {
            self.follow(now, key, filter, to);
        }
        let view = match self.services.find(key) {
            Some(id) => {
                let service = self.services.get(id).expect("the index names live services");
                service.view(showing(&self.rules, &self.hasher))
            }
            None => {
                let revision = self.services.absent_revision(now.unix_ms);
                nobody(key, revision, showing(&self.rules, &self.hasher))
            }
        };
        Answer::Json(match shape {
            Shape::Info => view.grouped_body(filter),
            Shape::Hosts => view.hosts_body(filter),
        })
    }

    /// A poll with a port for datagrams. A service nobody publishes is followed too: its first
    /// publisher is news.
    fn follow(&mut self, now: Now, key: &ServiceKey, filter: &Filter, to: SocketAddr) {
        let lived_ms = self.lived(now);
        let (id, service) = self.services.obtain(key, now.unix_ms);
        match self.pollers.follow(id, to, filter, lived_ms, &mut self.wheel) {
            Followed::New(at) => service.pollers.get_or_insert_default().0.push(at),
            Followed::Known => {}
            Followed::Full => self.services.remove_idle(id),
        }
    }

    fn open_names(&self, namespace: &str, group: &str, page: Page) -> Outcome {
        let (count, names) = self.directory.page(namespace, group, page);
        let mut out = vec![b'['];
        for (at, name) in names.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::write_string(&mut out, name.service());
            if out.len() > LIST_BYTES_MAX {
                let text =
                    format!("The page exceeds {LIST_BYTES_MAX} bytes, ask for a smaller pageSize.");
                return Err(Refused::invalid(text));
            }
        }
        out.push(b']');
        Ok(Answer::Names { count, names: Bytes::from(out) })
    }

    fn open_create(
        &mut self,
        now: Now,
        key: &ServiceKey,
        settings: ServiceSettings,
        persistent: bool,
    ) -> Outcome {
        if self.is_there(key) {
            let text = format!("specified service already exists, serviceName: {}", key.grouped());
            return Err(Refused::new(400, Code::ServiceAlreadyExist, text));
        }
        if self.created >= CREATED_PER_CORE_MAX {
            return Err(Refused::busy("Too many services created and not used."));
        }
        let (id, service) = self.services.obtain(key, now.unix_ms);
        service.settings = Some(Box::new(settings));
        service.persistent = persistent;
        service.listed = true;
        self.created += 1;
        self.changes.change(now, id, service);
        Self::queue_name(&mut self.names, self.map, id, service);
        Self::queue_cleaning(&mut self.empties, id, service);
        Ok(Answer::Done)
    }

    /// Whether the reference would know this service: published, created, or not cleaned yet.
    fn is_there(&mut self, key: &ServiceKey) -> bool {
        let Some(id) = self.services.find(key) else { return false };
        self.services.get(id).is_some_and(|service| service.listed)
    }

    fn open_change(&mut self, now: Now, key: &ServiceKey, settings: ServiceSettings) -> Outcome {
        if !self.is_there(key) {
            return Err(unknown_service(key));
        }
        let id = self.services.find(key).expect("looked at above");
        let service = self.services.get(id).expect("the index names live services");
        if service.settings.replace(Box::new(settings)).is_none() {
            self.created += 1;
        }
        self.changes.change(now, id, service);
        Ok(Answer::Done)
    }

    fn open_delete(&mut self, now: Now, key: &ServiceKey) -> Outcome {
        if !self.is_there(key) {
            return Err(unknown_service(key));
        }
        let id = self.services.find(key).expect("looked at above");
        let service = self.services.get(id).expect("the index names live services");
        if !service.publishers.is_empty() {
            let text = format!(
                "Service {} is not empty, can't be delete. Please unregister instance first",
                key.grouped()
            );
            return Err(Refused::new(400, Code::ServiceDeleteFailure, text));
        }
        service.listed = false;
        service.persistent = false;
        if service.settings.take().is_some() {
            self.created -= 1;
        }
        self.changes.change(now, id, service);
        Self::queue_name(&mut self.names, self.map, id, service);
        Ok(Answer::Done)
    }

    fn open_service(&mut self, key: &ServiceKey, detail: Detail) -> Outcome {
        if !self.is_there(key) {
            return Err(unknown_service(key));
        }
        let id = self.services.find(key).expect("looked at above");
        let service = self.services.get(id).expect("the index names live services");
        let mut clusters: Vec<&str> = service.publishers.hosts().map(Host::cluster).collect();
        clusters.sort_unstable();
        clusters.dedup();
        let out = match detail {
            Detail::List => service_v1(key, service.settings.as_deref(), &clusters),
            Detail::Map => {
                service_v2(key, service.settings.as_deref(), !service.persistent, &clusters)
            }
        };
        Ok(Answer::Json(Bytes::from(out)))
    }
}

fn unknown_service(key: &ServiceKey) -> Refused {
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
fn put_settings(out: &mut Vec<u8>, settings: Option<&ServiceSettings>) {
    out.extend_from_slice(b",\"protectThreshold\":");
    json::write_f64(out, settings.map_or(0.0, |settings| shortest(settings.protect_threshold)));
    out.extend_from_slice(b",\"metadata\":");
    out.extend_from_slice(settings.map_or("{}", |settings| &settings.metadata).as_bytes());
    out.extend_from_slice(b",\"selector\":");
    let none = crate::naming::open::NO_SELECTOR;
    out.extend_from_slice(settings.map_or(none, |settings| &settings.selector).as_bytes());
}

/// The double that is spelled as this float is: 0.8, not 0.800000011920929.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(0.0)
}

const TCP: &str = r#"{"type":"TCP"}"#;

fn service_v1(key: &ServiceKey, settings: Option<&ServiceSettings>, clusters: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "{\"namespaceId\":", key.namespace());
    put(&mut out, ",\"groupName\":", key.group());
    put(&mut out, ",\"name\":", key.service());
    put_settings(&mut out, settings);
    out.extend_from_slice(b",\"clusters\":[");
    for (at, cluster) in clusters.iter().enumerate() {
        put(&mut out, if at > 0 { ",{\"name\":" } else { "{\"name\":" }, cluster);
        out.extend_from_slice(b",\"healthChecker\":");
        out.extend_from_slice(TCP.as_bytes());
        out.extend_from_slice(b",\"metadata\":{}}");
    }
    out.extend_from_slice(b"]}");
    out
}

fn service_v2(
    key: &ServiceKey,
    settings: Option<&ServiceSettings>,
    ephemeral: bool,
    clusters: &[&str],
) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "{\"namespace\":", key.namespace());
    put(&mut out, ",\"serviceName\":", key.service());
    put(&mut out, ",\"groupName\":", key.group());
    out.extend_from_slice(b",\"clusterMap\":{");
    for (at, cluster) in clusters.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        json::write_string(&mut out, cluster);
        put(&mut out, ":{\"clusterName\":", cluster);
        out.extend_from_slice(b",\"healthChecker\":");
        out.extend_from_slice(TCP.as_bytes());
        out.extend_from_slice(
            b",\"metadata\":{},\"healthyCheckPort\":80,\"useInstancePortForCheck\":true}",
        );
    }
    out.push(b'}');
    put_settings(&mut out, settings);
    out.extend_from_slice(b",\"ephemeral\":");
    json::write_bool(&mut out, ephemeral);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests;
