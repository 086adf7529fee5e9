//! The one place where a request of this wire is let in or not (`auth.md` 2.1, 3).

use super::config::Op;
use super::input::Input;
use super::route::{self, Route, Version};
use super::{Api, Endpoint, ops};
use crate::auth::Scope;
use crate::auth::token::Claims;
use crate::http1::Method;
use nacre_shards::auth::{Action, Denial, Kind, Resource};
use nacre_shards::naming::accept::DEFAULT_GROUP;
use std::rc::Rc;

/// What a row asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// To be somebody, where this scope is guarded.
    Login(Scope),
    Right(Scope, Action),
}

/// Whether a request may do what its row says, and who sends it; nobody where nothing is asked.
///
/// # Errors
/// Why not.
pub(super) async fn allowed(
    api: &Api,
    route: &Route,
    input: &Input<'_>,
) -> Result<Option<Rc<Claims>>, Denial> {
    let need = need(route, &input.method);
    let scope = match need {
        Need::Nothing => return Ok(None),
        Need::Login(scope) | Need::Right(scope, _) => scope,
    };
    if !api.door.guards(scope) {
        // Who may log in once somebody has to is not for strangers to decide before.
        let is_strange = is_management(route) && !input.is_local();
        return if is_strange { Err(Denial::Forbidden) } else { Ok(None) };
    }
    let claims = api.door.prove(&input.credentials(), input.source).await?;
    if let Need::Right(_, action) = need {
        api.door.decide(&claims.user, action, &resource(route, input))?;
    }
    Ok(Some(claims))
}

/// Whether a row asks nobody who he is, whatever is guarded.
pub(super) fn is_free(route: &Route, method: &Method) -> bool {
    need(route, method) == Need::Nothing
}

fn is_management(route: &Route) -> bool {
    route.path.starts_with("/v1/auth") || route.path.starts_with("/v3/auth")
}

fn need(route: &Route, method: &Method) -> Need {
    match route.endpoint {
        // What probes and clients without a token live on; it names nothing anybody registered, but
        // for servers somebody put for all to find.
        Endpoint::Health(..)
        | Endpoint::State
        | Endpoint::BareState
        | Endpoint::Metrics
        | Endpoint::ServerList
        | Endpoint::ProductList
        | Endpoint::NamingHealth
        | Endpoint::NamingMetrics
        | Endpoint::Login
        | Endpoint::FirstAdministrator
        | Endpoint::OpenApi
        // A login page shows them.
        | Endpoint::Ops(ops::Op::Announcement | ops::Op::Guide) => return Need::Nothing,
        // Each config of a poll by itself; the handler looks.
        Endpoint::Config(Op::Poll) => return Need::Login(Scope::Clients),
        // Of one's own password; the handler looks whose it is.
        Endpoint::Users if method == Method::PUT => return Need::Login(Scope::Admin),
        _ => {}
    }
    if is_management(route) {
        return Need::Right(Scope::Admin, action_of(method));
    }
    let Some((action, scope)) = route.access else {
        // The reference asks for nothing. Whoever reads is somebody; whoever writes may write that.
        return match action_of(method) {
            Action::Read => Need::Login(Scope::Clients),
            Action::Write => Need::Right(Scope::Admin, Action::Write),
        };
    };
    let action = match action {
        route::Action::Read => Action::Read,
        route::Action::Write => Action::Write,
    };
    let scope = match scope {
        route::Scope::Open => Scope::Clients,
        // Nodes do not come this way; whoever does is an administrator.
        route::Scope::Admin | route::Scope::Inner => Scope::Admin,
        route::Scope::Console => Scope::Console,
    };
    Need::Right(scope, action)
}

fn action_of(method: &Method) -> Action {
    if *method == Method::GET || *method == Method::HEAD { Action::Read } else { Action::Write }
}

/// What a row touches, by the same parameters its handler reads (`auth.md` 3.1).
fn resource<'a>(route: &'a Route, input: &'a Input<'_>) -> Resource<'a> {
    if let Some(name) = named(route) {
        return Resource::Named(name);
    }
    if is_naming(route.path) {
        return naming(route, input);
    }
    let namespace = match route.endpoint {
        Endpoint::Config(Op::Clone) => {
            input.get("targetNamespaceId").or_else(|| input.either("namespaceId", "tenant"))
        }
        // Each of its configs is judged once more, by the name it gets.
        Endpoint::Config(Op::Import | Op::Post) if is_import(route, input) => {
            input.get("namespace").or_else(|| input.either("namespaceId", "tenant"))
        }
        _ => input.either("namespaceId", "tenant"),
    };
    let group = input.either("groupName", "group");
    Resource::Of {
        namespace: namespace.unwrap_or_default(),
        group: group.unwrap_or_default(),
        kind: Kind::Config,
        name: input.get("dataId").unwrap_or_default(),
    }
}

/// v1 has imports among its other posts.
fn is_import(route: &Route, input: &Input<'_>) -> bool {
    route.endpoint == Endpoint::Config(Op::Import) || input.get("import") == Some("true")
}

fn is_naming(path: &str) -> bool {
    ["/v1/ns/", "/v2/ns/", "/v3/client/ns/", "/v3/admin/ns/"].iter().any(|of| path.starts_with(of))
}

/// In v1 `group@@service` wins over `groupName`, as it does in the handler.
fn naming<'a>(route: &Route, input: &'a Input<'_>) -> Resource<'a> {
    let text = |name| input.get(name).unwrap_or_default();
    let (namespace, service) = (text("namespaceId"), text("serviceName"));
    let group = input.get("groupName").unwrap_or(DEFAULT_GROUP);
    let split = service.split_once("@@").filter(|_| route.version() == Version::V1);
    let (group, name) = split.unwrap_or((group, service));
    // A list is of the whole group, whatever service it names; a catalog of all groups.
    let (group, name) = match route.endpoint {
        Endpoint::ServiceList => (group, ""),
        Endpoint::CatalogServices => ("", ""),
        _ => (group, name),
    };
    Resource::Of { namespace, group, kind: Kind::Naming, name }
}

/// Rows that name their resource themselves.
fn named(route: &Route) -> Option<&'static str> {
    const NAMED: [(&str, &str); 23] = [
        ("/v1/auth/permissions", "console/permissions"),
        ("/v3/auth/permission", "console/permissions"),
        ("/v1/auth/roles", "console/roles"),
        ("/v3/auth/role", "console/roles"),
        ("/v1/auth", "console/users"),
        ("/v3/auth", "console/users"),
        ("/v1/console/namespaces", "console/namespaces"),
        ("/v2/console/namespace", "console/namespaces"),
        ("/v3/console/", "console/console"),
        ("/v3/admin/core/namespace", "/v3/admin/core/namespace"),
        ("/v1/cs/ops", "/v1/cs/ops"),
        ("/v1/cs/metrics", "/v1/cs/metrics"),
        ("/v1/cs/listener", "/v1/cs/listener"),
        ("/v1/cs/capacity", "/v1/cs/capacity"),
        ("/v3/admin/cs/ops", "/v3/admin/cs/ops"),
        ("/v3/admin/cs/metrics", "/v3/admin/cs/metrics"),
        ("/v3/admin/cs/capacity", "/v3/admin/cs/capacity"),
        ("/v3/admin/ns/ops", "/v3/admin/ns/ops"),
        ("/v3/admin/ns/client", "/v3/admin/ns/client"),
        ("/v1/ns/operator", "naming/switches"),
        ("/v1/ns/ops", "naming/switches"),
        ("/v2/ns/operator", "naming/switches"),
        ("/v2/ns/ops", "naming/switches"),
    ];
    let found = NAMED.iter().find(|(prefix, _)| route.path.starts_with(prefix));
    if let Some((_, name)) = found {
        return Some(name);
    }
    const WHOLE: [&str; 8] = [
        "/v1/core/",
        "/v2/core/",
        "/v2/ns/client",
        "/v3/admin/core/",
        "/v3/admin/ai/",
        "/v1/as/",
        "/v1/cmdb/",
        "/v0/",
    ];
    WHOLE.iter().any(|prefix| route.path.starts_with(prefix)).then_some(route.path)
}

#[cfg(test)]
mod tests;
