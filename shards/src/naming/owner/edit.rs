//! What administrators want of instances (`naming.md` 3.4, 11): which are meant, and the change for
//! the log.

use super::OwnerState;
use super::settings::approved;
use crate::durable::naming::{Change, EditDraft, Flip, Flips, Mode, Named, PlaceDraft, Places};
use crate::key::ServiceKey;
use crate::naming::host::{Edit, Host};
use crate::naming::kept::{Checker, pairs_json};
use crate::naming::open::{Answer, Place, Refused};
use nacre_proto::code::Code;

type Outcome = Result<Answer, Refused>;

impl OwnerState {
    /// Replacing needs the service alone, as in the reference: an instance may come later. Changing
    /// some of it needs the instance.
    pub(super) fn open_edit(
        &mut self,
        key: &ServiceKey,
        address: &Place,
        edit: &Edit,
        mode: Mode,
    ) -> Outcome {
        let known = self.services.find(key).filter(|_| self.is_there(key));
        let service = known.and_then(|id| self.services.get(id)).ok_or_else(|| {
            let text = format!(
                "service not found, namespace: {}, service: {}",
                key.namespace(),
                key.grouped()
            );
            Refused::new(400, Code::InstanceError, text)
        })?;
        let is_it = |place: &Place| {
            service
                .hosts()
                .any(|host| host.is_at(&place.ip, place.port) && *host.cluster() == *place.cluster)
        };
        if mode == Mode::Patch && !is_it(address) {
            return Err(Refused::new(404, Code::ResourceNotFound, "no matched ip found!"));
        }
        Ok(edited(key, std::slice::from_ref(address), edit, mode))
    }

    pub(super) fn open_edit_many(
        &mut self,
        key: &ServiceKey,
        places: &[Place],
        edit: &Edit,
        mode: Mode,
    ) -> Outcome {
        if !self.is_there(key) {
            return Err(super::settings::unknown_service(key));
        }
        Ok(edited(key, places, edit, mode))
    }

    /// The instances of the wanted addresses, all when none is named; of the kind that is asked
    /// for.
    pub(super) fn open_places(
        &mut self,
        key: &ServiceKey,
        wanted: &[Place],
        ephemeral: Option<bool>,
    ) -> Answer {
        let known = self.services.find(key);
        let Some(service) = known.and_then(|id| self.services.get(id)) else {
            return Answer::Places(Vec::new());
        };
        let place =
            |ip: &str, port, cluster: &str| Place { ip: ip.into(), port, cluster: cluster.into() };
        let is_of = |host: &Host| ephemeral.is_none_or(|ephemeral| ephemeral == host.ephemeral());
        let all = service.hosts().filter(|host| is_of(host));
        let all = all.map(|host| (place(host.ip(), host.port(), host.cluster()), host.ephemeral()));
        let meant = all.filter(|(place, _)| wanted.is_empty() || wanted.contains(place));
        Answer::Places(meant.collect())
    }

    /// By hand, of an instance nobody checks.
    pub(super) fn open_health(
        &mut self,
        key: &ServiceKey,
        address: &Place,
        healthy: bool,
    ) -> Outcome {
        let known = self.services.find(key);
        let service = known.and_then(|id| self.services.get(id));
        let entry = service.and_then(|service| service.entry());
        let set = entry.filter(|entry| entry.cluster(&address.cluster).is_some());
        let entry = set.filter(|entry| entry.checker(&address.cluster).0 == Checker::None);
        let Some(entry) = entry else {
            let text = format!(
                "health check is still working, service: {}, cluster: {}",
                key.grouped(),
                address.cluster
            );
            return Err(Refused::new(400, Code::HealthCheckRunning, text));
        };
        let Some(kept) = entry.instance(&address.ip, address.port) else { return Ok(Answer::Done) };
        let flip = Flip {
            service: Named::of(key),
            ip: &address.ip,
            port: address.port,
            healthy,
            seen: kept.revision,
        };
        let list = Flip::list(std::iter::once(flip));
        Ok(approved(Change::SetHealth { flips: Flips::of(&list) }))
    }
}

fn edited(key: &ServiceKey, places: &[Place], edit: &Edit, mode: Mode) -> Answer {
    let metadata = edit.metadata.as_ref().map(pairs_json);
    let draft = EditDraft {
        mode,
        weight_bits: edit.weight.map(f64::to_bits),
        enabled: edit.enabled,
        metadata: metadata.as_deref(),
    };
    let places = PlaceDraft::list(places.iter().map(|place| PlaceDraft {
        ip: &place.ip,
        port: place.port,
        cluster: &place.cluster,
        seen: 0,
    }));
    let places = Places::of(&places);
    approved(Change::Edit { service: Named::of(key), edit: draft, places })
}
