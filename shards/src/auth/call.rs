//! What each request of the gRPC wire does, and to what (`grpc-protocol.md` 9.1, 11).
//!
//! Closed on purpose: a new kind of request does not compile until its row is written here.

use super::resource::{Action, Kind, Resource};
use nacre_proto::request::Request;
use nacre_proto::text::Text;

/// What stands between the parts of a fuzzy watch's pattern.
const PATTERN_BORDER: &str = ">>";

/// The right one request needs; `None` is free for everybody.
///
/// A batch listen is judged context by context instead ([`retain`]); its row here is the first one.
pub fn needs<'a>(request: &'a Request<'_>) -> Option<(Action, Resource<'a>)> {
    let naming = |action, namespace, group, service| {
        let (namespace, group, name) = (text(namespace), text(group), text(service));
        Some((action, Resource::Of { namespace, group, kind: Kind::Naming, name }))
    };
    let config =
        |action, tenant, group, data_id| Some((action, config_resource(tenant, group, data_id)));
    match request {
        Request::HealthCheck => None,
        Request::Instance(request) | Request::PersistentInstance(request) => {
            naming(Action::Write, &request.namespace, &request.group_name, &request.service_name)
        }
        Request::BatchInstance(request) => {
            naming(Action::Write, &request.namespace, &request.group_name, &request.service_name)
        }
        Request::ServiceQuery(request) => {
            naming(Action::Read, &request.namespace, &request.group_name, &request.service_name)
        }
        Request::SubscribeService(request) => {
            naming(Action::Read, &request.namespace, &request.group_name, &request.service_name)
        }
        // The whole group is listed, whatever service the request may name.
        Request::ServiceList(request) => {
            naming(Action::Read, &request.namespace, &request.group_name, &None)
        }
        Request::NamingFuzzyWatch(request) => {
            Some((Action::Read, watched(text(&request.group_key_pattern), Kind::Naming)))
        }
        Request::ConfigPublish(request) => {
            config(Action::Write, &request.tenant, &request.group, &request.data_id)
        }
        Request::ConfigQuery(request) => {
            config(Action::Read, &request.tenant, &request.group, &request.data_id)
        }
        Request::ConfigRemove(request) => {
            config(Action::Write, &request.tenant, &request.group, &request.data_id)
        }
        Request::ConfigBatchListen(request) => {
            let first = request.contexts.as_deref().unwrap_or_default().first();
            let none = config_resource(&None, &None, &None);
            let resource = first.map_or(none, |context| {
                config_resource(&context.tenant, &context.group, &context.data_id)
            });
            Some((Action::Read, resource))
        }
        Request::ConfigFuzzyWatch(request) => {
            Some((Action::Read, watched(text(&request.group_key_pattern), Kind::Config)))
        }
    }
}

/// Leaves out the contexts of a batch listen that `may` refuses. False when there were some and
/// none is left. Other requests are not touched.
pub fn retain(request: &mut Request<'_>, mut may: impl FnMut(&Resource<'_>) -> bool) -> bool {
    let Request::ConfigBatchListen(request) = request else { return true };
    let Some(contexts) = request.contexts.as_mut().filter(|contexts| !contexts.is_empty()) else {
        return true;
    };
    contexts
        .retain(|context| may(&config_resource(&context.tenant, &context.group, &context.data_id)));
    !contexts.is_empty()
}

fn config_resource<'a>(
    tenant: &'a Option<Text<'_>>,
    group: &'a Option<Text<'_>>,
    data_id: &'a Option<Text<'_>>,
) -> Resource<'a> {
    let (namespace, group, name) = (text(tenant), text(group), text(data_id));
    Resource::Of { namespace, group, kind: Kind::Config, name }
}

/// All that `namespace>>group>>name` can match: a part with a star is every part.
fn watched(pattern: &str, kind: Kind) -> Resource<'_> {
    let mut parts = pattern.splitn(3, PATTERN_BORDER);
    let mut part = || parts.next().unwrap_or_default();
    let (namespace, group, name) = (part(), exact(part()), exact(part()));
    Resource::Of { namespace, group, kind, name }
}

fn exact(part: &str) -> &str {
    if part.contains('*') { "" } else { part }
}

fn text<'a>(text: &'a Option<Text<'_>>) -> &'a str {
    text.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests;
