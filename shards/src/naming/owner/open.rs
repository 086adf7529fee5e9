//! Calls of the open API on the core that owns their service.

use super::{OwnerState, nobody, showing};
use crate::health::beat::Times;
use crate::key::ServiceKey;
use crate::limits::LIST_BYTES_MAX;
use crate::message::Now;
use crate::naming::directory::Page;
use crate::naming::host::{Beats, Grouped, Host, Publication};
use crate::naming::open::{Answer, Order, Place, Poller, Refused, Shape};
use crate::naming::services::ServiceId;
use crate::naming::view::Filter;
use crate::push::poller::Followed;
use bytes::Bytes;
use nacre_proto::code::Code;
use nacre_proto::json;

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
            Order::Edit { service, address, edit, mode } => {
                self.open_edit(&service, &address, &edit, mode)
            }
            Order::EditMany { service, places, edit, mode } => {
                self.open_edit_many(&service, &places, &edit, mode)
            }
            Order::Places { service, wanted, ephemeral } => {
                Ok(self.open_places(&service, &wanted, ephemeral))
            }
            Order::SetHealth { service, address, healthy } => {
                self.open_health(&service, &address, healthy)
            }
            Order::Approve { service, check, approved } => {
                self.open_approve(now, &service, check, approved)
            }
            Order::Detail { service, address, service_key } => {
                self.open_detail(&service, &address, service_key)
            }
            Order::Beat { service, address, register } => {
                self.open_beat(now, &service, &address, register)
            }
            Order::List { service, filter, shape, poller } => {
                self.open_list(now, &service, &filter, shape, poller)
            }
            Order::Names { namespace, group, page_no, page_size } => {
                self.open_names(&namespace, &group, Page { page_no, page_size })
            }
            Order::Search { namespace, name, page_no, page_size } => {
                let page = Page { page_no, page_size };
                let (count, services) =
                    self.directory.search(&namespace, &name.service, &name.group, page);
                Ok(Answer::Found { count, services })
            }
            Order::Create { service, settings, persistent } => {
                self.open_create(&service, &settings, persistent)
            }
            Order::Delete { service } => self.open_delete(now, &service),
            Order::Service { service, detail } => self.open_service(&service, detail),
        };
        outcome.unwrap_or_else(Answer::Refused)
    }

    pub(super) fn times(&self, beats: Beats) -> Times {
        let expired_ms = self.rules.client_expired_ms;
        let times = Times::of(beats, expired_ms);
        if self.rules.expire_instance { times } else { times.kept(expired_ms) }
    }

    fn open_register(&mut self, now: Now, key: &ServiceKey, host: Host, beats: Beats) -> Outcome {
        let (lived_ms, times) = (self.lived(now), self.times(beats));
        let (id, service) = self.services.obtain(key, now.unix_ms);
        if !service.takes_clients(now.tick_ms) {
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
        let (ip, port) = (host.ip().to_owned(), host.port());
        let publication = Box::new(Publication::One(host));
        match self.put(now, key, publisher, publication) {
            Ok(id) => {
                self.retime(id, &ip, port);
                Ok(Answer::Done)
            }
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

    fn open_detail(
        &mut self,
        key: &ServiceKey,
        address: &Place,
        service_key: Option<&'static str>,
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
        let host = service
            .hosts()
            .find(|host| {
                host.is_at(&address.ip, address.port) && *host.cluster() == *address.cluster
            })
            .ok_or_else(nothing)?;
        let mut out = Vec::new();
        match service_key {
            Some(service_key) => host.write_detail(service_key, &Grouped::of(key), &mut out),
            None => _ = host.write(&Grouped::of(key), &mut out),
        }
        Ok(Answer::Json(Bytes::from(out)))
    }

    fn open_list(
        &mut self,
        now: Now,
        key: &ServiceKey,
        filter: &Filter,
        shape: Shape,
        poller: Option<Poller>,
    ) -> Outcome {
        if let Some(poller) = poller {
            self.follow(now, key, filter, poller);
        }
        let mut is_set = false;
        let view = match self.services.find(key) {
            Some(id) => {
                let service = self.services.get(id).expect("the index names live services");
                let name = filter.clusters.as_deref().unwrap_or_default();
                is_set = shape == Shape::Cluster
                    && service.entry().is_some_and(|entry| entry.cluster(name).is_some());
                service.view(showing(&self.rules, &self.hasher))
            }
            None => {
                let revision = self.services.absent_revision(now.unix_ms);
                nobody(key, revision, showing(&self.rules, &self.hasher))
            }
        };
        let is_known = match shape {
            Shape::Info | Shape::Hosts => true,
            // Administrators are told what they misspelt.
            Shape::AllHosts | Shape::Page { .. } => {
                self.is_there(key) && (view.is_empty() || view.knows_clusters(filter))
            }
            Shape::Cluster => self.is_there(key) && (is_set || view.knows_clusters(filter)),
        };
        if !is_known {
            let text = format!(
                "service or cluster not found, namespace: {}, serviceName: {}, cluster: {}",
                key.namespace(),
                key.grouped(),
                filter.clusters.as_deref().unwrap_or_default()
            );
            return Err(Refused::new(404, Code::ResultServerError, text));
        }
        Ok(match shape {
            Shape::Info => Answer::Json(view.grouped_body(filter)),
            Shape::Hosts => Answer::Json(view.hosts_body(filter, true)),
            Shape::AllHosts | Shape::Cluster => Answer::Json(view.hosts_body(filter, false)),
            Shape::Page { page_no, page_size } => {
                let (start, items) = Page { page_no, page_size }.range();
                let (count, names) = view.hosts_page(filter, start, items);
                Answer::Names { count, names }
            }
        })
    }

    /// A poll with a port for datagrams. A service nobody publishes is followed too: its first
    /// publisher is news.
    fn follow(&mut self, now: Now, key: &ServiceKey, filter: &Filter, poller: Poller) {
        let lived_ms = self.lived(now);
        let (id, service) = self.services.obtain(key, now.unix_ms);
        match self.pollers.follow(id, poller, filter, lived_ms, &mut self.wheel) {
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
}

#[cfg(test)]
mod tests;
