//! The API described, from the rows themselves: `PATHS.md` for people, an OpenAPI document for
//! programs (`/nacos/openapi.json`).
//!
//! What a row takes stands here once, in a form short enough to be kept true: a word a parameter,
//! `name!` one that must be there, `:i` a whole number, `:n` a number, `:b` true or false, `@name`
//! a header, `&name` a field of the form that may be too long for an address, `%name` a file, `{}`
//! a body of JSON. A test leaves each required one out and looks whether the server minds.

use super::Endpoint::{self, Client, Cluster, Config, Loader, Namespace, Ops};
use super::route::{Route, Verb, Version};
use super::{Api, Reply, client, cluster, config, loader, namespace, ops, table};
use crate::http1::{StatusCode, reply};
use bytes::Bytes;
use std::sync::OnceLock;

mod document;
#[cfg(test)]
mod paths;

const PAGES: &str = "pageNo:i pageSize:i";
const MUST_PAGES: &str = "pageNo!:i pageSize!:i";
const SERVICE: &str = "serviceName! namespaceId groupName";
const PLACE: &str = "serviceName! ip! port!:i namespaceId groupName clusterName";
const INSTANCE: &str = "weight:n healthy:b enabled:b ephemeral:b metadata";
const CONFIG_V1: &str = "dataId! group! tenant";
const CONFIG_V2: &str = "dataId! group! namespaceId";
const CONFIG_V3: &str = "dataId! groupName! namespaceId";
const DETAILS: &str = "tag appName type desc use effect schema encryptedDataKey";

/// The document, made once for the whole process: its context path does not change.
pub(super) fn answer(api: &Api) -> Reply {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let make = || document::document(table::ROWS, &api.facts.context_path).to_string().into();
    reply::json(StatusCode::OK, DOCUMENT.get_or_init(make).clone())
}

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Whole,
    Number,
    Flag,
    File,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the query, or the form.
    Query,
    /// In the path itself.
    Path,
    Header,
    /// In the form, or the query.
    Form,
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub place: Place,
    pub kind: Kind,
    pub required: bool,
}

impl Parameter {
    fn of(word: &'static str) -> Self {
        let (place, word) = match word.split_at(1) {
            ("@", name) => (Place::Header, name),
            ("&" | "%", name) => (Place::Form, name),
            _ => (Place::Query, word),
        };
        let (word, kind) = match word.split_once(':') {
            Some((word, "i")) => (word, Kind::Whole),
            Some((word, "n")) => (word, Kind::Number),
            Some((word, _)) => (word, Kind::Flag),
            None if word.starts_with("file") => (word, Kind::File),
            None => (word, Kind::Text),
        };
        let name = word.trim_end_matches('!');
        Self { name, place, kind, required: name.len() < word.len() }
    }
}

/// What a row takes.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    pub parameters: Vec<Parameter>,
    /// The body is JSON.
    pub json: bool,
}

/// What a row takes, in the order it is read in.
pub fn taken(route: &Route) -> Taken {
    let mut taken = Taken::default();
    for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let place = Place::Path;
        taken.parameters.push(Parameter { name, place, kind: Kind::Text, required: true });
    }
    let (first, second) = words(route);
    for word in first.split(' ').chain(second.split(' ')).filter(|word| !word.is_empty()) {
        match word {
            "{}" => taken.json = true,
            word => {
                let parameter = Parameter::of(word);
                if taken.parameters.iter().all(|known| known.name != parameter.name) {
                    taken.parameters.push(parameter);
                }
            }
        }
    }
    taken
}

type Words = (&'static str, &'static str);

fn words(route: &Route) -> Words {
    let version = route.version();
    let v1 = version == Version::V1;
    match route.endpoint {
        Endpoint::InstanceRegister | Endpoint::InstanceUpdate | Endpoint::InstancePartial => {
            (PLACE, INSTANCE)
        }
        Endpoint::InstanceClient => (PLACE, "weight:n healthy:b enabled:b metadata heartBeat:b"),
        Endpoint::InstancePatch => (PLACE, "weight:n enabled:b metadata"),
        Endpoint::InstanceDeregister => (PLACE, "ephemeral:b"),
        Endpoint::InstanceDetail => (PLACE, ""),
        Endpoint::InstanceHealth => (PLACE, "healthy!:b"),
        Endpoint::InstanceBeat => (SERVICE, "beat ip port:i clusterName"),
        Endpoint::InstanceList if v1 => (SERVICE, "clusters healthyOnly:b clientIP udpPort:i"),
        Endpoint::InstanceList | Endpoint::AllHosts => (SERVICE, "clusterName healthyOnly:b"),
        Endpoint::HostList => (SERVICE, "clusterName"),
        Endpoint::InstancePage => (SERVICE, "clusterName healthyOnly:b pageNo:i pageSize:i"),
        Endpoint::MetadataAdd | Endpoint::MetadataRemove => {
            (SERVICE, "metadata! consistencyType instances")
        }
        Endpoint::InstanceStatuses => ("key!", ""),
        Endpoint::ClusterUpdate => {
            (SERVICE, "clusterName! checkPort!:i useInstancePort4Check!:b healthChecker! metadata")
        }
        Endpoint::ServiceUpdate if v1 => (SERVICE, "protectThreshold!:n metadata selector"),
        Endpoint::ServiceCreate | Endpoint::ServiceUpdate => {
            (SERVICE, "protectThreshold:n metadata selector ephemeral:b")
        }
        Endpoint::ServiceDelete | Endpoint::ServiceDetail | Endpoint::CatalogService => {
            (SERVICE, "")
        }
        Endpoint::ServiceList if v1 => (MUST_PAGES, "namespaceId groupName selector"),
        Endpoint::ServiceList => (PAGES, "namespaceId groupName selector"),
        Endpoint::ServiceNames => ("namespaceId expr", ""),
        Endpoint::Subscribers => (SERVICE, "pageNo:i pageSize:i aggregation:b"),
        Endpoint::CatalogServices => (
            "namespaceId serviceNameParam groupNameParam withInstances:b pageNo:i pageSize:i",
            if version == Version::V3 { "ignoreEmptyService:b" } else { "hasIpCount:b" },
        ),
        Endpoint::CatalogInstances if v1 => {
            (SERVICE, "clusterName! pageNo!:i pageSize!:i healthyOnly:b")
        }
        Endpoint::CatalogInstances => (SERVICE, "clusterName pageNo!:i pageSize!:i healthyOnly:b"),
        Endpoint::NamingMetrics => ("onlyStatus:b", ""),
        Endpoint::ProductServers => ("product cluster", ""),
        Endpoint::ProductPut | Endpoint::ProductTake => ("product cluster", "ips!"),
        Endpoint::SetSwitch => ("entry! value! debug:b", ""),
        Client(op) => of_client(op),
        Config(op) => of_config(op, version),
        Namespace(op) => of_namespace(op, version),
        Cluster(op) => of_cluster(op, version),
        Loader(op) => of_loader(op),
        Ops(op) => of_ops(op, route),
        _ => of_identity(route),
    }
}

fn of_client(op: client::Op) -> Words {
    match op {
        client::Op::List => ("", ""),
        client::Op::Detail | client::Op::Published | client::Op::Subscribed => ("clientId!", ""),
        client::Op::Publishers | client::Op::Subscribers => (SERVICE, "ephemeral:b ip port:i"),
        client::Op::Distro => ("ip! port!:i", ""),
    }
}

fn of_config(op: config::Op, version: Version) -> Words {
    use config::Op;
    let name = match version {
        Version::V1 => CONFIG_V1,
        Version::V2 => CONFIG_V2,
        Version::V3 => CONFIG_V3,
    };
    let space = if version == Version::V1 { "tenant" } else { "namespaceId" };
    match op {
        Op::Get => (name, "tag show search beta export exportV2 @Vipserver-Tag"),
        Op::Content | Op::ClientQuery => (name, "tag @Vipserver-Tag"),
        Op::Post => (
            name,
            "&content! tag appName src_user config_tags type desc use effect schema \
                            encryptedDataKey import:b clone:b policy @betaIps @casMd5",
        ),
        Op::Publish => match version {
            Version::V3 => (CONFIG_V3_PUBLISH, DETAILS),
            _ => (CONFIG_V2_PUBLISH, DETAILS),
        },
        Op::Delete => (name, "tag delType ids beta:b"),
        Op::Remove => (name, "tag"),
        Op::Metadata => (name, "desc configTags"),
        Op::RemoveIds => ("ids!", ""),
        Op::Detail | Op::Catalog | Op::Beta | Op::StopBeta => (name, ""),
        Op::List if version == Version::V2 => (
            "dataId! group! pageNo:i pageSize:i",
            "config_detail appName tenant config_tags search",
        ),
        Op::List => {
            ("dataId groupName namespaceId appName configTags type configDetail search", PAGES)
        }
        Op::Export => ("dataId groupName namespaceId appName ids", ""),
        Op::Import => ("%file namespaceId policy src_user", ""),
        Op::Clone => ("{} namespaceId targetNamespaceId policy src_user", ""),
        Op::Poll => {
            ("&Listening-Configs!", "@Long-Pulling-Timeout @Long-Pulling-Timeout-No-Hangup")
        }
        Op::ConfigListeners => (name, "aggregation:b"),
        Op::ClientListeners => ("ip! all:b", if version == Version::V1 { "tenant" } else { space }),
        Op::ClientMetrics => match version {
            Version::V1 => ("ip!", "dataId group tenant"),
            _ => ("ip!", "dataId groupName namespaceId"),
        },
        Op::History => (name, "search nid pageNo:i pageSize:i"),
        Op::HistoryList => (name, PAGES),
        Op::HistoryRow | Op::HistoryDetail => (name, "nid!"),
        Op::HistoryPrevious => (name, "id!"),
        Op::NamespaceConfigs => {
            (if version == Version::V1 { "tenant!" } else { "namespaceId!" }, "")
        }
        Op::Capacity => match version {
            Version::V1 => ("group tenant", ""),
            _ => ("groupName namespaceId", ""),
        },
        Op::SetCapacity => match version {
            Version::V1 => ("group tenant", "quota:i maxSize:i maxAggrCount:i maxAggrSize:i"),
            _ => ("groupName namespaceId", "quota:i maxSize:i maxAggrCount:i maxAggrSize:i"),
        },
        Op::Health | Op::LocalCache => ("", ""),
    }
}

const CONFIG_V2_PUBLISH: &str =
    "dataId! group! namespaceId &content! srcUser configTags @betaIps @casMd5";
const CONFIG_V3_PUBLISH: &str =
    "dataId! groupName! namespaceId &content! srcUser configTags @betaIps @casMd5";

fn of_namespace(op: namespace::Op, version: Version) -> Words {
    use namespace::Op;
    match op {
        Op::List => ("", ""),
        Op::V1Get => ("show namespaceId checkNamespaceIdExist:b customNamespaceId", ""),
        Op::Detail | Op::Delete | Op::Count => ("namespaceId!", ""),
        Op::Create => ("customNamespaceId namespaceId namespaceName! namespaceDesc", ""),
        Op::Update if version == Version::V1 => ("namespace! namespaceShowName! namespaceDesc", ""),
        Op::Update => ("namespaceId! namespaceName! namespaceDesc", ""),
        Op::Exist => ("customNamespaceId", ""),
    }
}

fn of_cluster(op: cluster::Op, version: Version) -> Words {
    use cluster::Op;
    match op {
        Op::List if version == Version::V1 => ("keyword", ""),
        Op::List => ("address state keyword", ""),
        Op::Update => ("{}", ""),
        Op::Lookup => ("type!", ""),
        Op::Leave => ("addresses", ""),
        Op::Own | Op::Health | Op::Addresses => ("", ""),
    }
}

fn of_loader(op: loader::Op) -> Words {
    use loader::Op;
    match op {
        Op::Current | Op::Cluster => ("", ""),
        Op::ReloadCurrent => ("count!:i redirectAddress", ""),
        Op::ReloadClient => ("connectionId! redirectAddress", ""),
        Op::SmartReload => ("loaderFactor force", ""),
    }
}

fn of_ops(op: ops::Op, route: &Route) -> Words {
    use ops::Op;
    match op {
        Op::Log if route.path.contains("/core/") && route.version() != Version::V1 => ("{}", ""),
        Op::Log => ("logName! logLevel!", ""),
        Op::Raft => ("{}", ""),
        Op::PushState => ("detail:b reset:b", ""),
        Op::Derby => ("sql!", ""),
        Op::DerbyImport => ("%file", ""),
        Op::Announcement => ("language", ""),
        Op::Label => ("entry! label!", ""),
        Op::Ids | Op::Guide => ("", ""),
    }
}

/// Users, roles, permissions; and what takes nothing.
fn of_identity(route: &Route) -> Words {
    match (route.endpoint, route.verb) {
        (Endpoint::Login, _) => ("username! &password!", ""),
        (Endpoint::FirstAdministrator, _) => ("&password token", ""),
        (Endpoint::UserList, _) => (MUST_PAGES, "username search"),
        (Endpoint::UserSearch, _) => ("username!", ""),
        (Endpoint::RoleList, _) => (MUST_PAGES, "role username search"),
        (Endpoint::RoleSearch, _) => ("role!", ""),
        (Endpoint::PermissionList, _) => (MUST_PAGES, "role search"),
        // One row for all methods: each takes its part of these.
        (Endpoint::Users, Verb::Any) => ("username &password &newPassword", PAGES),
        (Endpoint::Roles, Verb::Any) => ("role username", PAGES),
        (Endpoint::Permissions, Verb::Any) => ("role resource action", PAGES),
        _ => ("", ""),
    }
}
