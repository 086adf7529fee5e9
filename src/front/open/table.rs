//! The table: every path of the reference (`http-api.md` 14), what guards it and what it leads to.

use super::Endpoint::{self, Client, Cluster, Config, Loader, Namespace as Space, Off, Ops};
use super::client::Op as Who;
use super::cluster::Op as Node;
use super::config::Op;
use super::loader::Op as Load;
use super::namespace::Op as Of;
use super::ops::Op as Do;
use super::route::{Access, Action, Label, Route, Scope, Verb};
use super::targets::Whose;
use crate::admin::health::{Probe, Shape};
use Label::{Admin, Console, Inner, None as Unlabelled, Open};
use Verb::{Any, Delete, Get, Patch, Post, Put};

const fn row(
    verb: Verb,
    path: &'static str,
    label: Label,
    access: Access,
    endpoint: Endpoint,
) -> Route {
    Route { verb, path, label, access, endpoint }
}

const FREE: Access = Option::None;
const READ: Access = Some((Action::Read, Scope::Open));
const WRITE: Access = Some((Action::Write, Scope::Open));
const READ_INNER: Access = Some((Action::Read, Scope::Inner));
const WRITE_INNER: Access = Some((Action::Write, Scope::Inner));
const READ_ADMIN: Access = Some((Action::Read, Scope::Admin));
const WRITE_ADMIN: Access = Some((Action::Write, Scope::Admin));
const READ_CONSOLE: Access = Some((Action::Read, Scope::Console));
const WRITE_CONSOLE: Access = Some((Action::Write, Scope::Console));

const LIVE: Probe = Probe::Liveness;
const READY: Probe = Probe::Readiness;
const TEXT: Shape = Shape::Text;
const ENVELOPE: Shape = Shape::Envelope;
const STRICT: Shape = Shape::StrictEnvelope;

/// Older versions' nodes ask each other; answered 410 before it comes to this.
const NODES: Endpoint = Off("nodes of this version do not ask each other over HTTP");
const MCP: Endpoint = Off("the AI registry is off");

const EVERYBODYS: Endpoint = Endpoint::Targets(Whose::Everybody);
const NAMESPACE_TARGETS: &str = "/prometheus/namespaceId/{namespaceId}";
const SERVICE_TARGETS: &str = "/prometheus/namespaceId/{namespaceId}/service/{serviceName}";
/// The one path that stands beside the context path: any two parts no other row has.
pub const PRODUCT_LIST: &str = "/{product}/{cluster}";
const V3_METADATA: &str = "/v3/admin/ns/instance/metadata/batch";

/// All rows, by family.
pub static ROWS: &[Route] = &[
    // The node itself.
    row(Get, "/metrics", Unlabelled, FREE, Endpoint::Metrics),
    row(Get, "/actuator/prometheus", Unlabelled, FREE, Endpoint::Metrics),
    row(Get, "/serverlist", Unlabelled, FREE, Endpoint::ServerList),
    row(Get, "/prometheus", Unlabelled, FREE, EVERYBODYS),
    row(Get, NAMESPACE_TARGETS, Unlabelled, FREE, Endpoint::Targets(Whose::Namespace)),
    row(Get, SERVICE_TARGETS, Unlabelled, FREE, Endpoint::Targets(Whose::Service)),
    row(Get, "/openapi.json", Unlabelled, FREE, Endpoint::OpenApi),
    row(Get, "/v1/console/health/liveness", Console, FREE, Endpoint::Health(LIVE, TEXT)),
    row(Get, "/v1/console/health/readiness", Console, FREE, Endpoint::Health(READY, TEXT)),
    row(Get, "/v2/console/health/liveness", Console, FREE, Endpoint::Health(LIVE, ENVELOPE)),
    row(Get, "/v2/console/health/readiness", Console, FREE, Endpoint::Health(READY, ENVELOPE)),
    row(Get, "/v3/console/health/liveness", Unlabelled, FREE, Endpoint::Health(LIVE, STRICT)),
    row(Get, "/v3/console/health/readiness", Unlabelled, FREE, Endpoint::Health(READY, STRICT)),
    row(Get, "/v3/admin/core/state", Unlabelled, FREE, Endpoint::State),
    row(Get, "/v3/admin/core/state/liveness", Unlabelled, FREE, Endpoint::Health(LIVE, ENVELOPE)),
    row(Get, "/v3/admin/core/state/readiness", Unlabelled, FREE, Endpoint::Health(READY, ENVELOPE)),
    // Not the reference's: where nacos-maintainer-client 3.1 asks for it.
    row(Get, "/v3/admin/core/ops/readiness", Unlabelled, FREE, Endpoint::Health(READY, ENVELOPE)),
    // Naming, v1.
    row(Post, "/v1/ns/instance", Open, WRITE, Endpoint::InstanceRegister),
    row(Delete, "/v1/ns/instance", Open, WRITE, Endpoint::InstanceDeregister),
    row(Put, "/v1/ns/instance", Admin, WRITE, Endpoint::InstanceUpdate),
    row(Patch, "/v1/ns/instance", Admin, WRITE, Endpoint::InstancePatch),
    row(Get, "/v1/ns/instance", Admin, READ, Endpoint::InstanceDetail),
    row(Get, "/v1/ns/instance/list", Open, READ, Endpoint::InstanceList),
    row(Put, "/v1/ns/instance/beat", Open, WRITE, Endpoint::InstanceBeat),
    row(Any, "/v1/ns/instance/statuses", Admin, FREE, Endpoint::InstanceStatuses),
    row(Put, "/v1/ns/instance/metadata/batch", Admin, WRITE, Endpoint::MetadataAdd),
    row(Delete, "/v1/ns/instance/metadata/batch", Admin, WRITE, Endpoint::MetadataRemove),
    row(Post, "/v1/ns/service", Admin, WRITE, Endpoint::ServiceCreate),
    row(Put, "/v1/ns/service", Admin, WRITE, Endpoint::ServiceUpdate),
    row(Delete, "/v1/ns/service", Admin, WRITE, Endpoint::ServiceDelete),
    row(Get, "/v1/ns/service", Admin, READ, Endpoint::ServiceDetail),
    row(Get, "/v1/ns/service/list", Open, READ, Endpoint::ServiceList),
    row(Any, "/v1/ns/service/names", Admin, READ, Endpoint::ServiceNames),
    row(Get, "/v1/ns/service/subscribers", Admin, READ, Endpoint::Subscribers),
    row(Get, "/v1/ns/service/selector/types", Admin, FREE, Endpoint::SelectorTypes),
    row(Any, "/v1/ns/catalog/instances", Console, READ, Endpoint::CatalogInstances),
    row(Get, "/v1/ns/catalog/service", Console, READ, Endpoint::CatalogService),
    row(Get, "/v1/ns/catalog/services", Console, READ, Endpoint::CatalogServices),
    row(Put, "/v1/ns/cluster", Console, WRITE, Endpoint::ClusterUpdate),
    row(Put, "/v1/ns/health", Admin, WRITE, Endpoint::InstanceHealth),
    row(Put, "/v1/ns/health/instance", Admin, WRITE, Endpoint::InstanceHealth),
    row(Get, "/v1/ns/health/checkers", Admin, FREE, Endpoint::HealthCheckers),
    row(Any, "/v1/ns/health/server", Admin, FREE, Endpoint::NamingHealth),
    row(Get, "/v1/ns/operator/metrics", Open, FREE, Endpoint::NamingMetrics),
    row(Get, "/v1/ns/ops/metrics", Open, FREE, Endpoint::NamingMetrics),
    row(Get, "/v1/ns/operator/switches", Admin, FREE, Endpoint::Switches),
    row(Put, "/v1/ns/operator/switches", Admin, WRITE, Endpoint::SetSwitch),
    row(Get, "/v1/ns/ops/switches", Admin, FREE, Endpoint::Switches),
    row(Put, "/v1/ns/ops/switches", Admin, WRITE, Endpoint::SetSwitch),
    row(Any, "/v1/ns/operator/push/state", Admin, FREE, Ops(Do::PushState)),
    row(Any, "/v1/ns/ops/push/state", Admin, FREE, Ops(Do::PushState)),
    row(Get, "/v1/ns/operator/distro/client", Admin, FREE, Client(Who::Distro)),
    row(Get, "/v1/ns/ops/distro/client", Admin, FREE, Client(Who::Distro)),
    row(Put, "/v1/ns/operator/log", Admin, FREE, Ops(Do::Log)),
    row(Put, "/v1/ns/ops/log", Admin, FREE, Ops(Do::Log)),
    // Naming, v2.
    row(Post, "/v2/ns/instance", Admin, WRITE, Endpoint::InstanceRegister),
    row(Delete, "/v2/ns/instance", Admin, WRITE, Endpoint::InstanceDeregister),
    row(Put, "/v2/ns/instance", Admin, WRITE, Endpoint::InstanceUpdate),
    row(Patch, "/v2/ns/instance", Admin, WRITE, Endpoint::InstancePatch),
    row(Get, "/v2/ns/instance", Admin, READ, Endpoint::InstanceDetail),
    row(Get, "/v2/ns/instance/list", Admin, READ, Endpoint::InstanceList),
    row(Put, "/v2/ns/instance/beat", Admin, WRITE, Endpoint::InstanceBeat),
    row(Any, "/v2/ns/instance/statuses/{key}", Admin, FREE, Endpoint::InstanceStatuses),
    row(Put, "/v2/ns/instance/metadata/batch", Admin, WRITE, Endpoint::MetadataAdd),
    row(Delete, "/v2/ns/instance/metadata/batch", Admin, WRITE, Endpoint::MetadataRemove),
    row(Post, "/v2/ns/service", Admin, WRITE, Endpoint::ServiceCreate),
    row(Put, "/v2/ns/service", Admin, WRITE, Endpoint::ServiceUpdate),
    row(Delete, "/v2/ns/service", Admin, WRITE, Endpoint::ServiceDelete),
    row(Get, "/v2/ns/service", Admin, READ, Endpoint::ServiceDetail),
    row(Get, "/v2/ns/service/list", Admin, READ, Endpoint::ServiceList),
    row(Any, "/v2/ns/catalog/instances", Console, READ, Endpoint::CatalogInstances),
    row(Put, "/v2/ns/health", Admin, WRITE, Endpoint::InstanceHealth),
    row(Put, "/v2/ns/health/instance", Admin, WRITE, Endpoint::InstanceHealth),
    row(Get, "/v2/ns/client", Admin, READ, Client(Who::Detail)),
    row(Get, "/v2/ns/client/list", Admin, READ, Client(Who::List)),
    row(Get, "/v2/ns/client/publish/list", Admin, READ, Client(Who::Published)),
    row(Get, "/v2/ns/client/subscribe/list", Admin, READ, Client(Who::Subscribed)),
    row(Get, "/v2/ns/client/service/publisher/list", Admin, READ, Client(Who::Publishers)),
    row(Get, "/v2/ns/client/service/subscriber/list", Admin, READ, Client(Who::Subscribers)),
    row(Get, "/v2/ns/operator/metrics", Admin, FREE, Endpoint::NamingMetrics),
    row(Get, "/v2/ns/ops/metrics", Admin, FREE, Endpoint::NamingMetrics),
    row(Get, "/v2/ns/operator/switches", Admin, FREE, Endpoint::Switches),
    row(Put, "/v2/ns/operator/switches", Admin, WRITE, Endpoint::SetSwitch),
    row(Get, "/v2/ns/ops/switches", Admin, FREE, Endpoint::Switches),
    row(Put, "/v2/ns/ops/switches", Admin, WRITE, Endpoint::SetSwitch),
    // Naming, v3 clients.
    row(Post, "/v3/client/ns/instance", Unlabelled, WRITE, Endpoint::InstanceClient),
    row(Delete, "/v3/client/ns/instance", Unlabelled, WRITE, Endpoint::InstanceDeregister),
    row(Get, "/v3/client/ns/instance/list", Unlabelled, READ, Endpoint::HostList),
    // Naming, v3 administrators.
    row(Post, "/v3/admin/ns/instance", Unlabelled, WRITE_ADMIN, Endpoint::InstanceRegister),
    row(Put, "/v3/admin/ns/instance", Unlabelled, WRITE_ADMIN, Endpoint::InstanceUpdate),
    row(Delete, "/v3/admin/ns/instance", Unlabelled, WRITE_ADMIN, Endpoint::InstanceDeregister),
    row(Get, "/v3/admin/ns/instance", Unlabelled, WRITE_ADMIN, Endpoint::InstanceDetail),
    row(Get, "/v3/admin/ns/instance/list", Unlabelled, READ_ADMIN, Endpoint::AllHosts),
    row(Put, "/v3/admin/ns/instance/partial", Unlabelled, WRITE_ADMIN, Endpoint::InstancePartial),
    row(Put, V3_METADATA, Unlabelled, WRITE_ADMIN, Endpoint::MetadataAdd),
    row(Delete, V3_METADATA, Unlabelled, WRITE_ADMIN, Endpoint::MetadataRemove),
    row(Post, "/v3/admin/ns/service", Unlabelled, WRITE_ADMIN, Endpoint::ServiceCreate),
    row(Put, "/v3/admin/ns/service", Unlabelled, WRITE_ADMIN, Endpoint::ServiceUpdate),
    row(Delete, "/v3/admin/ns/service", Unlabelled, WRITE_ADMIN, Endpoint::ServiceDelete),
    row(Get, "/v3/admin/ns/service", Unlabelled, READ_ADMIN, Endpoint::ServiceDetail),
    row(Get, "/v3/admin/ns/service/list", Unlabelled, READ_ADMIN, Endpoint::CatalogServices),
    row(Get, "/v3/admin/ns/service/subscribers", Unlabelled, READ_ADMIN, Endpoint::Subscribers),
    row(
        Get,
        "/v3/admin/ns/service/selector/types",
        Unlabelled,
        READ_ADMIN,
        Endpoint::SelectorTypes,
    ),
    row(Put, "/v3/admin/ns/cluster", Unlabelled, WRITE_ADMIN, Endpoint::ClusterUpdate),
    row(Put, "/v3/admin/ns/health/instance", Unlabelled, WRITE_ADMIN, Endpoint::InstanceHealth),
    row(Get, "/v3/admin/ns/health/checkers", Unlabelled, WRITE_ADMIN, Endpoint::HealthCheckers),
    row(Get, "/v3/admin/ns/client", Unlabelled, READ_ADMIN, Client(Who::Detail)),
    row(Get, "/v3/admin/ns/client/list", Unlabelled, READ_ADMIN, Client(Who::List)),
    row(Get, "/v3/admin/ns/client/distro", Unlabelled, READ_ADMIN, Client(Who::Distro)),
    row(Get, "/v3/admin/ns/client/publish/list", Unlabelled, READ_ADMIN, Client(Who::Published)),
    row(Get, "/v3/admin/ns/client/subscribe/list", Unlabelled, READ_ADMIN, Client(Who::Subscribed)),
    row(
        Get,
        "/v3/admin/ns/client/service/publisher/list",
        Unlabelled,
        READ_ADMIN,
        Client(Who::Publishers),
    ),
    row(
        Get,
        "/v3/admin/ns/client/service/subscriber/list",
        Unlabelled,
        READ_ADMIN,
        Client(Who::Subscribers),
    ),
    row(Get, "/v3/admin/ns/ops/metrics", Unlabelled, READ_ADMIN, Endpoint::NamingMetrics),
    row(Get, "/v3/admin/ns/ops/switches", Unlabelled, READ_ADMIN, Endpoint::Switches),
    row(Put, "/v3/admin/ns/ops/switches", Unlabelled, WRITE_ADMIN, Endpoint::SetSwitch),
    row(Put, "/v3/admin/ns/ops/log", Unlabelled, WRITE_ADMIN, Ops(Do::Log)),
    // Configuration.
    row(Get, "/v1/cs/configs", Open, READ, Config(Op::Get)),
    row(Post, "/v1/cs/configs", Open, WRITE, Config(Op::Post)),
    row(Delete, "/v1/cs/configs", Open, WRITE, Config(Op::Delete)),
    row(Get, "/v1/cs/configs/catalog", Admin, READ, Config(Op::Catalog)),
    row(Get, "/v1/cs/configs/listener", Console, READ, Config(Op::ConfigListeners)),
    row(Post, "/v1/cs/configs/listener", Open, READ, Config(Op::Poll)),
    row(Get, "/v1/cs/history", Console, READ, Config(Op::History)),
    row(Get, "/v1/cs/history/configs", Console, READ, Config(Op::NamespaceConfigs)),
    row(Get, "/v1/cs/history/previous", Console, READ, Config(Op::HistoryPrevious)),
    row(Get, "/v1/cs/listener", Console, READ, Config(Op::ClientListeners)),
    row(Get, "/v1/cs/capacity", Admin, FREE, Config(Op::Capacity)),
    row(Post, "/v1/cs/capacity", Admin, FREE, Config(Op::SetCapacity)),
    row(Get, "/v1/cs/health", Admin, FREE, Config(Op::Health)),
    row(Get, "/v1/cs/metrics/cluster", Admin, READ, Config(Op::ClientMetrics)),
    row(Get, "/v1/cs/metrics/current", Admin, READ, Config(Op::ClientMetrics)),
    row(Post, "/v1/cs/ops/localCache", Admin, WRITE, Config(Op::LocalCache)),
    row(Put, "/v1/cs/ops/log", Admin, WRITE, Ops(Do::Log)),
    row(Get, "/v1/cs/ops/derby", Admin, READ, Ops(Do::Derby)),
    row(Post, "/v1/cs/ops/data/removal", Admin, WRITE, Ops(Do::DerbyImport)),
    row(Get, "/v1/cs/communication/configWatchers", Inner, READ_INNER, NODES),
    row(Get, "/v1/cs/communication/watcherConfigs", Inner, READ_INNER, NODES),
    row(Get, "/v2/cs/config", Admin, READ, Config(Op::Content)),
    row(Post, "/v2/cs/config", Admin, WRITE, Config(Op::Publish)),
    row(Delete, "/v2/cs/config", Admin, WRITE, Config(Op::Remove)),
    row(Get, "/v2/cs/config/searchDetail", Console, READ, Config(Op::List)),
    row(Get, "/v2/cs/history", Admin, READ, Config(Op::HistoryRow)),
    row(Get, "/v2/cs/history/configs", Admin, READ, Config(Op::NamespaceConfigs)),
    row(Get, "/v2/cs/history/detail", Unlabelled, READ, Config(Op::HistoryDetail)),
    row(Get, "/v2/cs/history/list", Admin, READ, Config(Op::HistoryList)),
    row(Get, "/v2/cs/history/previous", Admin, READ, Config(Op::HistoryPrevious)),
    row(Get, "/v3/client/cs/config", Unlabelled, READ, Config(Op::ClientQuery)),
    row(Get, "/v3/admin/cs/config", Unlabelled, READ_ADMIN, Config(Op::Detail)),
    row(Post, "/v3/admin/cs/config", Unlabelled, WRITE_ADMIN, Config(Op::Publish)),
    row(Delete, "/v3/admin/cs/config", Unlabelled, WRITE_ADMIN, Config(Op::Remove)),
    row(Put, "/v3/admin/cs/config/metadata", Unlabelled, WRITE_ADMIN, Config(Op::Metadata)),
    row(Delete, "/v3/admin/cs/config/batch", Unlabelled, WRITE_ADMIN, Config(Op::RemoveIds)),
    row(Get, "/v3/admin/cs/config/beta", Unlabelled, READ_ADMIN, Config(Op::Beta)),
    row(Delete, "/v3/admin/cs/config/beta", Unlabelled, WRITE_ADMIN, Config(Op::StopBeta)),
    row(Post, "/v3/admin/cs/config/clone", Unlabelled, WRITE_CONSOLE, Config(Op::Clone)),
    row(Get, "/v3/admin/cs/config/export", Unlabelled, READ_ADMIN, Config(Op::Export)),
    row(Post, "/v3/admin/cs/config/import", Unlabelled, WRITE_ADMIN, Config(Op::Import)),
    row(Get, "/v3/admin/cs/config/list", Unlabelled, READ_ADMIN, Config(Op::List)),
    row(Get, "/v3/admin/cs/config/listener", Unlabelled, WRITE_ADMIN, Config(Op::ConfigListeners)),
    row(Get, "/v3/admin/cs/capacity", Unlabelled, READ_ADMIN, Config(Op::Capacity)),
    row(Post, "/v3/admin/cs/capacity", Unlabelled, WRITE_ADMIN, Config(Op::SetCapacity)),
    row(Get, "/v3/admin/cs/history", Unlabelled, READ_ADMIN, Config(Op::HistoryRow)),
    row(Get, "/v3/admin/cs/history/configs", Unlabelled, READ_ADMIN, Config(Op::NamespaceConfigs)),
    row(Get, "/v3/admin/cs/history/list", Unlabelled, READ_ADMIN, Config(Op::HistoryList)),
    row(Get, "/v3/admin/cs/history/previous", Unlabelled, READ_ADMIN, Config(Op::HistoryPrevious)),
    row(Get, "/v3/admin/cs/listener", Unlabelled, READ_ADMIN, Config(Op::ClientListeners)),
    row(Get, "/v3/admin/cs/metrics/cluster", Unlabelled, READ_ADMIN, Config(Op::ClientMetrics)),
    row(Get, "/v3/admin/cs/metrics/ip", Unlabelled, READ_ADMIN, Config(Op::ClientMetrics)),
    row(Get, "/v3/admin/cs/ops/derby", Unlabelled, WRITE_ADMIN, Ops(Do::Derby)),
    row(Post, "/v3/admin/cs/ops/derby/import", Unlabelled, WRITE_ADMIN, Ops(Do::DerbyImport)),
    row(Post, "/v3/admin/cs/ops/localCache", Unlabelled, WRITE_ADMIN, Config(Op::LocalCache)),
    row(Put, "/v3/admin/cs/ops/log", Unlabelled, WRITE_ADMIN, Ops(Do::Log)),
    row(Get, "/v3/console/cs/config", Unlabelled, READ_CONSOLE, Config(Op::Detail)),
    row(Post, "/v3/console/cs/config", Unlabelled, WRITE_CONSOLE, Config(Op::Publish)),
    row(Delete, "/v3/console/cs/config", Unlabelled, WRITE_CONSOLE, Config(Op::Remove)),
    row(
        Delete,
        "/v3/console/cs/config/batchDelete",
        Unlabelled,
        WRITE_CONSOLE,
        Config(Op::RemoveIds),
    ),
    row(Get, "/v3/console/cs/config/beta", Unlabelled, READ, Config(Op::Beta)),
    row(Delete, "/v3/console/cs/config/beta", Unlabelled, WRITE, Config(Op::StopBeta)),
    row(Post, "/v3/console/cs/config/clone", Unlabelled, WRITE_CONSOLE, Config(Op::Clone)),
    row(Get, "/v3/console/cs/config/export2", Unlabelled, READ_CONSOLE, Config(Op::Export)),
    row(Post, "/v3/console/cs/config/import", Unlabelled, WRITE_CONSOLE, Config(Op::Import)),
    row(Get, "/v3/console/cs/config/list", Unlabelled, READ_CONSOLE, Config(Op::List)),
    row(Get, "/v3/console/cs/config/searchDetail", Unlabelled, READ_CONSOLE, Config(Op::List)),
    row(
        Get,
        "/v3/console/cs/config/listener",
        Unlabelled,
        READ_CONSOLE,
        Config(Op::ConfigListeners),
    ),
    row(
        Get,
        "/v3/console/cs/config/listener/ip",
        Unlabelled,
        READ_CONSOLE,
        Config(Op::ClientListeners),
    ),
    row(Get, "/v3/console/cs/history", Unlabelled, READ_CONSOLE, Config(Op::HistoryRow)),
    row(
        Get,
        "/v3/console/cs/history/configs",
        Unlabelled,
        READ_CONSOLE,
        Config(Op::NamespaceConfigs),
    ),
    row(Get, "/v3/console/cs/history/list", Unlabelled, READ_CONSOLE, Config(Op::HistoryList)),
    row(
        Get,
        "/v3/console/cs/history/previous",
        Unlabelled,
        READ_CONSOLE,
        Config(Op::HistoryPrevious),
    ),
    // The console's services.
    row(Post, "/v3/console/ns/service", Unlabelled, WRITE_CONSOLE, Endpoint::ServiceCreate),
    row(Put, "/v3/console/ns/service", Unlabelled, WRITE_CONSOLE, Endpoint::ServiceUpdate),
    row(Delete, "/v3/console/ns/service", Unlabelled, WRITE_CONSOLE, Endpoint::ServiceDelete),
    row(Get, "/v3/console/ns/service", Unlabelled, READ_CONSOLE, Endpoint::ServiceDetail),
    row(Get, "/v3/console/ns/service/list", Unlabelled, READ_CONSOLE, Endpoint::CatalogServices),
    row(Get, "/v3/console/ns/service/subscribers", Unlabelled, READ_CONSOLE, Endpoint::Subscribers),
    row(
        Get,
        "/v3/console/ns/service/selector/types",
        Unlabelled,
        READ_CONSOLE,
        Endpoint::SelectorTypes,
    ),
    row(Put, "/v3/console/ns/service/cluster", Unlabelled, WRITE_CONSOLE, Endpoint::ClusterUpdate),
    row(Put, "/v3/console/ns/instance", Unlabelled, WRITE_CONSOLE, Endpoint::InstanceUpdate),
    row(Any, "/v3/console/ns/instance/list", Unlabelled, READ_CONSOLE, Endpoint::InstancePage),
    // Authentication.
    row(Post, "/v1/auth/login", Open, FREE, Endpoint::Login),
    row(Post, "/v1/auth/users/login", Open, FREE, Endpoint::Login),
    row(Any, "/v1/auth", Console, WRITE, Endpoint::Users),
    row(Any, "/v1/auth/users", Console, WRITE, Endpoint::Users),
    row(Post, "/v1/auth/admin", Console, FREE, Endpoint::FirstAdministrator),
    row(Post, "/v1/auth/users/admin", Console, FREE, Endpoint::FirstAdministrator),
    row(Get, "/v1/auth/search", Console, WRITE, Endpoint::UserSearch),
    row(Get, "/v1/auth/users/search", Console, WRITE, Endpoint::UserSearch),
    row(Any, "/v1/auth/roles", Console, WRITE, Endpoint::Roles),
    row(Get, "/v1/auth/roles/search", Console, READ, Endpoint::RoleSearch),
    row(Any, "/v1/auth/permissions", Console, WRITE, Endpoint::Permissions),
    row(Post, "/v3/auth/user/login", Unlabelled, FREE, Endpoint::Login),
    row(Post, "/v3/auth/user/admin", Unlabelled, FREE, Endpoint::FirstAdministrator),
    row(Any, "/v3/auth/user", Unlabelled, WRITE, Endpoint::Users),
    row(Get, "/v3/auth/user/list", Unlabelled, READ, Endpoint::UserList),
    row(Get, "/v3/auth/user/search", Unlabelled, WRITE, Endpoint::UserSearch),
    row(Any, "/v3/auth/role", Unlabelled, WRITE, Endpoint::Roles),
    row(Get, "/v3/auth/role/list", Unlabelled, READ, Endpoint::RoleList),
    row(Get, "/v3/auth/role/search", Unlabelled, READ, Endpoint::RoleSearch),
    row(Any, "/v3/auth/permission", Unlabelled, WRITE, Endpoint::Permissions),
    row(Get, "/v3/auth/permission/list", Unlabelled, READ, Endpoint::PermissionList),
    // Namespaces and the console.
    row(Get, "/v1/console/namespaces", Console, FREE, Space(Of::V1Get)),
    row(Post, "/v1/console/namespaces", Console, WRITE, Space(Of::Create)),
    row(Put, "/v1/console/namespaces", Console, WRITE, Space(Of::Update)),
    row(Delete, "/v1/console/namespaces", Console, WRITE, Space(Of::Delete)),
    row(Get, "/v1/console/server/state", Console, FREE, Endpoint::BareState),
    row(Get, "/v1/console/server/announcement", Console, FREE, Ops(Do::Announcement)),
    row(Get, "/v1/console/server/guide", Console, FREE, Ops(Do::Guide)),
    row(Get, "/v2/console/namespace/list", Console, FREE, Space(Of::List)),
    row(Get, "/v2/console/namespace", Console, READ, Space(Of::Detail)),
    row(Post, "/v2/console/namespace", Console, WRITE, Space(Of::Create)),
    row(Put, "/v2/console/namespace", Console, WRITE, Space(Of::Update)),
    row(Delete, "/v2/console/namespace", Console, WRITE, Space(Of::Delete)),
    row(Get, "/v3/admin/core/namespace/list", Unlabelled, READ_ADMIN, Space(Of::List)),
    row(Get, "/v3/admin/core/namespace", Unlabelled, READ_ADMIN, Space(Of::Detail)),
    row(Post, "/v3/admin/core/namespace", Unlabelled, WRITE_ADMIN, Space(Of::Create)),
    row(Put, "/v3/admin/core/namespace", Unlabelled, WRITE_ADMIN, Space(Of::Update)),
    row(Delete, "/v3/admin/core/namespace", Unlabelled, WRITE_ADMIN, Space(Of::Delete)),
    row(Get, "/v3/admin/core/namespace/check", Unlabelled, READ_ADMIN, Space(Of::Count)),
    row(Get, "/v3/console/core/namespace/list", Unlabelled, READ_CONSOLE, Space(Of::List)),
    row(Get, "/v3/console/core/namespace", Unlabelled, READ_CONSOLE, Space(Of::Detail)),
    row(Post, "/v3/console/core/namespace", Unlabelled, WRITE_CONSOLE, Space(Of::Create)),
    row(Put, "/v3/console/core/namespace", Unlabelled, WRITE_CONSOLE, Space(Of::Update)),
    row(Delete, "/v3/console/core/namespace", Unlabelled, WRITE_CONSOLE, Space(Of::Delete)),
    row(Get, "/v3/console/core/namespace/exist", Unlabelled, READ_CONSOLE, Space(Of::Exist)),
    row(Get, "/v3/console/core/cluster/nodes", Unlabelled, READ_CONSOLE, Cluster(Node::List)),
    row(Get, "/v3/console/server/state", Unlabelled, FREE, Endpoint::BareState),
    row(Get, "/v3/console/server/announcement", Unlabelled, FREE, Ops(Do::Announcement)),
    row(Get, "/v3/console/server/guide", Unlabelled, FREE, Ops(Do::Guide)),
    // The cluster.
    row(Get, "/v1/core/cluster/self", Admin, READ, Cluster(Node::Own)),
    row(Get, "/v1/core/cluster/nodes", Console, READ, Cluster(Node::List)),
    row(Get, "/v1/core/cluster/simple/nodes", Admin, READ, Cluster(Node::Addresses)),
    row(Get, "/v1/core/cluster/health", Admin, READ, Cluster(Node::Health)),
    row(Post, "/v1/core/cluster/report", Inner, WRITE_INNER, NODES),
    row(Post, "/v1/core/cluster/switch/lookup", Admin, WRITE, Cluster(Node::Lookup)),
    row(Post, "/v1/core/cluster/server/leave", Console, WRITE, Cluster(Node::Leave)),
    row(Post, "/v1/core/ops/raft", Admin, WRITE, Ops(Do::Raft)),
    row(Get, "/v1/core/ops/idInfo", Admin, FREE, Ops(Do::Ids)),
    row(Put, "/v1/core/ops/log", Admin, WRITE, Ops(Do::Log)),
    row(Get, "/v2/core/cluster/node/self", Admin, READ, Cluster(Node::Own)),
    row(Get, "/v2/core/cluster/node/list", Admin, READ, Cluster(Node::List)),
    row(Put, "/v2/core/cluster/node/list", Admin, WRITE, Cluster(Node::Update)),
    row(Get, "/v2/core/cluster/node/self/health", Admin, READ, Cluster(Node::Health)),
    row(Put, "/v2/core/cluster/lookup", Admin, WRITE, Cluster(Node::Lookup)),
    row(Delete, "/v2/core/cluster/nodes", Admin, WRITE, Cluster(Node::Leave)),
    row(Post, "/v2/core/ops/raft", Admin, WRITE, Ops(Do::Raft)),
    row(Get, "/v2/core/ops/ids", Admin, FREE, Ops(Do::Ids)),
    row(Put, "/v2/core/ops/log", Admin, WRITE, Ops(Do::Log)),
    row(Get, "/v2/core/loader/current", Admin, READ, Loader(Load::Current)),
    row(Get, "/v2/core/loader/cluster", Admin, READ, Loader(Load::Cluster)),
    row(Get, "/v2/core/loader/reloadCurrent", Admin, WRITE, Loader(Load::ReloadCurrent)),
    row(Get, "/v2/core/loader/reloadClient", Admin, WRITE, Loader(Load::ReloadClient)),
    row(Get, "/v2/core/loader/smartReloadCluster", Admin, WRITE, Loader(Load::SmartReload)),
    row(Get, "/v3/admin/core/cluster/node/self", Unlabelled, READ_ADMIN, Cluster(Node::Own)),
    row(Get, "/v3/admin/core/cluster/node/list", Unlabelled, READ_ADMIN, Cluster(Node::List)),
    row(Put, "/v3/admin/core/cluster/node/list", Unlabelled, WRITE_ADMIN, Cluster(Node::Update)),
    row(Put, "/v3/admin/core/cluster/lookup", Unlabelled, WRITE_ADMIN, Cluster(Node::Lookup)),
    row(Post, "/v3/admin/core/ops/raft", Unlabelled, WRITE_ADMIN, Ops(Do::Raft)),
    row(Get, "/v3/admin/core/ops/ids", Unlabelled, WRITE_ADMIN, Ops(Do::Ids)),
    row(Put, "/v3/admin/core/ops/log", Unlabelled, WRITE_ADMIN, Ops(Do::Log)),
    row(Get, "/v3/admin/core/loader/current", Unlabelled, READ_ADMIN, Loader(Load::Current)),
    row(Get, "/v3/admin/core/loader/cluster", Unlabelled, READ_ADMIN, Loader(Load::Cluster)),
    row(
        Post,
        "/v3/admin/core/loader/reloadCurrent",
        Unlabelled,
        WRITE_ADMIN,
        Loader(Load::ReloadCurrent),
    ),
    row(
        Post,
        "/v3/admin/core/loader/reloadClient",
        Unlabelled,
        WRITE_ADMIN,
        Loader(Load::ReloadClient),
    ),
    row(
        Post,
        "/v3/admin/core/loader/smartReloadCluster",
        Unlabelled,
        WRITE_ADMIN,
        Loader(Load::SmartReload),
    ),
    // Modules of the reference that are processes or ports of their own.
    row(Get, "/v1/as/nodes", Unlabelled, FREE, Endpoint::ProductServers),
    row(Post, "/v1/as/nodes", Unlabelled, FREE, Endpoint::ProductPut),
    row(Delete, "/v1/as/nodes", Unlabelled, FREE, Endpoint::ProductTake),
    row(Any, PRODUCT_LIST, Unlabelled, FREE, Endpoint::ProductList),
    row(Any, "/v1/cmdb/ops/label", Unlabelled, FREE, Ops(Do::Label)),
    row(Get, "/v0/servers", Unlabelled, FREE, MCP),
    row(Get, "/v0/servers/{id}", Unlabelled, FREE, MCP),
    row(Get, "/v0/servers/{id}/tools", Unlabelled, FREE, MCP),
    // The AI registry.
    row(Any, "/v3/admin/ai/mcp", Unlabelled, WRITE_ADMIN, MCP),
    row(Get, "/v3/admin/ai/mcp/list", Unlabelled, READ_ADMIN, MCP),
    row(Any, "/v3/console/ai/mcp", Unlabelled, WRITE_CONSOLE, MCP),
    row(Get, "/v3/console/ai/mcp/list", Unlabelled, READ_CONSOLE, MCP),
    row(Get, "/v3/console/ai/mcp/importToolsFromMcp", Unlabelled, WRITE_CONSOLE, MCP),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_row_is_reachable() {
        let mut seen = HashSet::new();
        let mut any = HashSet::new();
        for row in ROWS {
            assert!(row.path.starts_with('/') && !row.path.ends_with('/'), "{}", row.path);
            assert!(seen.insert((row.verb.allowed(), row.path)), "{} twice", row.path);
            assert!(!any.contains(row.path), "{} stands behind a row for any verb", row.path);
            if row.verb == Any {
                any.insert(row.path);
            }
        }
    }

    /// `http-api.md` 1.7: v3 has no labels, everything older has one, but for a few paths and what
    /// is not the reference's.
    #[test]
    fn labels_follow_the_versions() {
        for row in ROWS {
            let older = row.path.starts_with("/v1/") || row.path.starts_with("/v2/");
            let exempt =
                ["/v2/cs/history/detail", "/v1/as/nodes", "/v1/cmdb/ops/label"].contains(&row.path);
            assert_eq!(row.label == Unlabelled, !older || exempt, "{}", row.path);
        }
    }
}
