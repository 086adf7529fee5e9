//! What the open API asks of naming (`http-api.md` 3, 5, 6), and the checks before an owner hears
//! of it. Pure functions on the home core.
//!
//! Order, as in the reference: parameter check (a plain line in every version), then the handler's
//! own checks, whose form depends on the version.

use crate::config::open as config;
use crate::durable::naming::{Change, Mode, Named};
use crate::durable::question::{Known, Question};
use crate::health::liveness::Reset;
use crate::key::{Core, ServiceKey};
use crate::limits::{CLUSTERS_BYTES_MAX, SERVICE_TEXT_BYTES_MAX};
use crate::look::{Look, Seen};
use crate::message::{Now, Purpose};
use crate::naming::accept::{DEFAULT_GROUP, PUBLIC};
use crate::naming::check::{self, Params, is_blank};
use crate::naming::host::{Beats, Edit, FIELD_BYTES_MAX, Host, Ids};
use crate::naming::rules::Rules;
use crate::naming::services::ServiceSettings;
use crate::naming::view::Filter;
use bytes::Bytes;
use nacre_proto::code::Code;
use nacre_proto::naming::Instance;
use std::borrow::Cow;
use std::net::SocketAddr;

mod logged;

pub use crate::limits::AGENT_BYTES_MAX;
pub use crate::naming::host::cluster_or_default;
pub use logged::{Approved, Check, Cluster, deregister_persistent, register_persistent, texts};

/// The three parts of a service's name; blank is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Name {
    pub namespace: String,
    pub group: String,
    pub service: String,
}

/// Where an instance is.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    pub ip: String,
    /// Checked here (0..=65535).
    pub port: i64,
    /// Blank: the default cluster where one is meant, any where it narrows a search.
    pub cluster: String,
}

/// Where a caller wants to be told of changes, and who he is; nobody where nobody has to log in.
#[derive(Debug, Clone, PartialEq)]
pub struct Poller {
    pub to: SocketAddr,
    pub user: Option<Box<str>>,
    /// How he names his software, for whoever asks who polls; within [`AGENT_BYTES_MAX`].
    pub agent: Box<str>,
}

/// What of a service is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `ServiceInfo` with the grouped name.
    Info,
    /// Its `hosts` alone.
    Hosts,
    /// The same with disabled ones; none at all is refused.
    AllHosts,
    /// The same of one cluster, known by its instances or set by hand; any other is refused.
    Cluster,
    /// A page of all.
    Page { page_no: i64, page_size: i64 },
}

/// One call as it came, nothing checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Publish an instance; its client is kept by beats.
    Register {
        name: Name,
        instance: Instance<'static>,
    },
    Deregister {
        name: Name,
        address: Address,
        ephemeral: bool,
    },
    /// Say what an administrator wants of an instance.
    Edit {
        name: Name,
        address: Address,
        edit: Edit,
        mode: Mode,
    },
    /// The same of many, by [`Answer::Places`].
    EditMany {
        name: Name,
        places: Vec<Place>,
        edit: Edit,
        mode: Mode,
    },
    /// Which instances are of a kind, if one is given, and at these addresses if there are any.
    Places {
        name: Name,
        wanted: Vec<Place>,
        ephemeral: Option<bool>,
    },
    /// The health of a persistent instance nobody checks.
    SetHealth {
        name: Name,
        address: Address,
        healthy: bool,
    },
    /// A cluster's checks and metadata.
    SetCluster {
        name: Name,
        cluster: Cluster,
    },
    /// One instance; `service_key` is what that version calls the service's name, `None`: it shows
    /// the instance as lists do.
    Detail {
        name: Name,
        address: Address,
        service_key: Option<&'static str>,
    },
    /// A beat; with `instance` an unknown one is registered.
    Beat {
        name: Name,
        address: Address,
        instance: Option<Instance<'static>>,
    },
    /// The instances. `poller`: where the caller wants to be told of changes by datagram.
    List {
        name: Name,
        clusters: String,
        healthy_only: bool,
        shape: Shape,
        poller: Option<Poller>,
    },
    /// A page of names.
    Names {
        name: Name,
        page_no: i64,
        page_size: i64,
    },
    /// Services of a namespace whose group and name contain these texts.
    Search {
        name: Name,
        page_no: i64,
        page_size: i64,
    },
    Create {
        name: Name,
        settings: Settings,
        ephemeral: bool,
    },
    /// Change a service's settings.
    Change {
        name: Name,
        settings: Settings,
    },
    Delete {
        name: Name,
    },
    /// A service's settings and clusters, in the words of that version.
    Service {
        name: Name,
        detail: Detail,
    },
    /// One about configs.
    Config(config::Call),
    /// What only the Raft core knows.
    Recall(Box<Question>),
    /// A command for the log, as [`crate::durable::command::Command::encode`] makes it.
    Propose(Bytes),
    /// An operator's question to one core.
    Look {
        core: Core,
        look: Box<Look>,
    },
    /// Send clients at home on one core elsewhere.
    Reset {
        core: Core,
        reset: Box<Reset>,
    },
}

/// A service's own settings as given: JSON for the text, empty for none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    pub protect_threshold: f32,
    pub metadata: String,
    pub selector: String,
}

/// The form of a service's detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// v1: clusters as a list.
    List,
    /// v2: clusters as a map.
    Map,
    /// v3: with the instances of each.
    Whole,
    /// One line of a list: how many instances, how many healthy.
    Line,
    /// v1's catalog: the service, then its clusters.
    Catalog,
    /// v1's list with instances.
    Hosts,
}

/// What the owner (or the directory) is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Register {
        service: ServiceKey,
        host: Host,
        beats: Beats,
    },
    /// Look at what clients hold, then let the change through to the log.
    Approve {
        service: ServiceKey,
        check: Check,
        approved: Approved,
    },
    Deregister {
        service: ServiceKey,
        address: Place,
    },
    Edit {
        service: ServiceKey,
        address: Place,
        edit: Edit,
        mode: Mode,
    },
    EditMany {
        service: ServiceKey,
        places: Vec<Place>,
        edit: Edit,
        mode: Mode,
    },
    Places {
        service: ServiceKey,
        wanted: Vec<Place>,
        ephemeral: Option<bool>,
    },
    SetHealth {
        service: ServiceKey,
        address: Place,
        healthy: bool,
    },
    Detail {
        service: ServiceKey,
        address: Place,
        service_key: Option<&'static str>,
    },
    Beat {
        service: ServiceKey,
        address: Place,
        register: Option<(Host, Beats)>,
    },
    List {
        service: ServiceKey,
        filter: Filter,
        shape: Shape,
        poller: Option<Poller>,
    },
    Names {
        namespace: Box<str>,
        group: Box<str>,
        page_no: i64,
        page_size: i64,
    },
    Search {
        namespace: Box<str>,
        name: Name,
        page_no: i64,
        page_size: i64,
    },
    Create {
        service: ServiceKey,
        settings: ServiceSettings,
        persistent: bool,
    },
    Delete {
        service: ServiceKey,
    },
    Service {
        service: ServiceKey,
        detail: Detail,
    },
}

/// An address that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub ip: Box<str>,
    pub port: i32,
    pub cluster: Box<str>,
}

impl Order {
    /// The service it is about; `None` where it is for a namespace's directory.
    pub fn service(&self) -> Option<&ServiceKey> {
        match self {
            Order::Names { .. } | Order::Search { .. } => None,
            Order::Register { service, .. }
            | Order::Approve { service, .. }
            | Order::EditMany { service, .. }
            | Order::Places { service, .. }
            | Order::SetHealth { service, .. }
            | Order::Deregister { service, .. }
            | Order::Edit { service, .. }
            | Order::Detail { service, .. }
            | Order::Beat { service, .. }
            | Order::List { service, .. }
            | Order::Create { service, .. }
            | Order::Delete { service }
            | Order::Service { service, .. } => Some(service),
        }
    }
}

/// What comes back; the version decides what is put around it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Carried out.
    Done,
    /// JSON.
    Json(Bytes),
    /// How many names there are, and one page of them as a JSON list.
    Names {
        count: usize,
        names: Bytes,
    },
    /// How many services match, and one page of them.
    Found {
        count: usize,
        services: Vec<ServiceKey>,
    },
    /// A beat of a known instance; its client waits so long until the next, ms.
    Beaten {
        interval_ms: u32,
    },
    /// A beat without a description of an instance nobody knows: it must register.
    UnknownInstance,
    /// Instances that are meant, and whether clients keep them.
    Places(Vec<(Place, bool)>),
    /// From an owner to a home core alone: the log has to decide.
    Approved(Approved),
    /// An answer of the other wire, for calls that are the same on both.
    Body(crate::effect::Body),
    /// Configs that are not as a poll has them; none when its time is over.
    Changed(Vec<config::Changed>),
    /// Who listens on one core of so many: an address or a config, and what it has.
    Listeners {
        cores: u16,
        found: Vec<(String, String)>,
    },
    /// What clients of one core said of themselves, each its whole JSON.
    Metrics(Vec<Bytes>),
    /// What the Raft core knows.
    Known(Box<Known>),
    /// What became of a proposed command.
    Proposed(Result<crate::durable::answer::Answer, crate::message::Unready>),
    /// What a core saw when it was asked to look.
    Seen(Box<Seen>),
    Refused(Refused),
}

/// Why a call is not carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// `code` of the versions that have an envelope.
    pub code: Code,
    pub text: Cow<'static, str>,
    /// From the parameter check: a plain line in every version.
    pub plain: bool,
}

impl Refused {
    pub fn new(status: u16, code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, text: text.into(), plain: false }
    }

    /// 400 of the handler's own checks.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, Code::ParameterValidateError, text)
    }

    fn param(text: String) -> Self {
        Self { plain: true, ..Self::invalid(text) }
    }

    /// A named limit was reached, or a lane is full.
    pub fn busy(text: &'static str) -> Self {
        Self::new(503, Code::OverThreshold, text)
    }
}

/// What has to be known of the node to accept a call.
#[derive(Debug)]
pub struct Means<'a> {
    pub rules: &'a Rules,
    pub now: Now,
    /// The home core's source of snowflake ids.
    pub ids: &'a mut Ids,
}

/// Checks a call and says what the owner is to be asked.
///
/// # Errors
/// The reference's refusal.
pub fn accept(call: Call, means: &mut Means<'_>) -> Result<Order, Refused> {
    let rules = means.rules;
    match call {
        Call::Register { name, instance } => {
            check_instance(&name, &instance, rules)?;
            let service = name.key_of_named()?;
            check_fields(&instance)?;
            if !instance.ephemeral {
                let (host, _) = publishable(&service, instance, means)?;
                return Ok(register_persistent(service, &host, Purpose::Open));
            }
            let (host, beats) = publishable(&service, instance, means)?;
            Ok(Order::Register { service, host, beats })
        }
        Call::Deregister { name, address, ephemeral } => {
            let (service, address) = addressed(&name, address, rules)?;
            if !ephemeral {
                let Place { ip, port, .. } = address;
                return Ok(deregister_persistent(service, &ip, port, Purpose::Open));
            }
            Ok(Order::Deregister { service, address })
        }
        Call::Edit { name, address, edit, mode } => edited(&name, address, edit, mode, rules),
        Call::Detail { name, mut address, service_key } => {
            address.cluster = cluster_or_default(&address.cluster).to_owned();
            let (service, address) = addressed(&name, address, rules)?;
            Ok(Order::Detail { service, address, service_key })
        }
        Call::Beat { name, address, instance } => {
            let (service, address) = addressed(&name, address, rules)?;
            let register = instance.map(|instance| {
                check_instance(&name, &instance, rules)?;
                check_fields(&instance)?;
                publishable(&service, instance, means)
            });
            Ok(Order::Beat { service, address, register: register.transpose()? })
        }
        call => of_service(call, rules),
    }
}

/// Calls about a whole service, several instances, or names.
fn of_service(call: Call, rules: &Rules) -> Result<Order, Refused> {
    match call {
        Call::EditMany { name, places, edit, mode } => {
            check(&Params { metadata: edit.metadata.as_ref(), ..name.params() }, rules)?;
            Ok(Order::EditMany { service: name.key_of_named()?, places, edit, mode })
        }
        Call::Places { name, wanted, ephemeral } => {
            check(&name.params(), rules)?;
            Ok(Order::Places { service: name.key_of_named()?, wanted, ephemeral })
        }
        Call::SetHealth { name, mut address, healthy } => {
            address.cluster = cluster_or_default(&address.cluster).to_owned();
            let (service, address) = addressed(&name, address, rules)?;
            Ok(Order::SetHealth { service, address, healthy })
        }
        Call::SetCluster { name, cluster } => logged::clustered(&name, &cluster, rules),
        Call::List { name, clusters, healthy_only, shape, poller } => {
            check(&Params { clusters: Some(&clusters), ..name.params() }, rules)?;
            if clusters.len() > CLUSTERS_BYTES_MAX {
                return Err(Refused::param(check::too_long("cluster", CLUSTERS_BYTES_MAX)));
            }
            let filter = Filter { clusters: Some(clusters.into()), healthy_only };
            Ok(Order::List { service: name.key_of_named()?, filter, shape, poller })
        }
        Call::Names { name, page_no, page_size } => {
            check(&name.params(), rules)?;
            let key = name.key()?;
            let (namespace, group) = (key.namespace().into(), key.group().into());
            Ok(Order::Names { namespace, group, page_no, page_size })
        }
        Call::Search { name, page_no, page_size } => {
            let namespace = if is_blank(&name.namespace) { PUBLIC } else { &name.namespace };
            let params = Params { namespace: Some(namespace), ..Params::default() };
            check(&params, rules)?;
            let namespace = namespace.into();
            Ok(Order::Search { namespace, name, page_no, page_size })
        }
        Call::Create { name, settings, ephemeral } => {
            let (service, settings) = settled(&name, settings, rules)?;
            Ok(Order::Create { service, settings, persistent: !ephemeral })
        }
        Call::Change { name, settings } => {
            let (service, settings) = settled(&name, settings, rules)?;
            let texts = texts(&settings);
            let change = Change::Update { service: Named::of(&service), texts };
            let approved = Approved::of(change, Purpose::Open);
            Ok(Order::Approve { service, check: Check::Known, approved })
        }
        Call::Delete { name } => {
            check(&name.params(), rules)?;
            Ok(Order::Delete { service: name.key_of_named()? })
        }
        Call::Propose(_)
        | Call::Config(_)
        | Call::Recall(_)
        | Call::Look { .. }
        | Call::Reset { .. } => {
            unreachable!("they go to no owner of services")
        }
        Call::Service { name, detail } => {
            check(&name.params(), rules)?;
            Ok(Order::Service { service: name.key_of_named()?, detail })
        }
        Call::Register { .. }
        | Call::Deregister { .. }
        | Call::Edit { .. }
        | Call::Detail { .. }
        | Call::Beat { .. } => unreachable!("the caller takes those of one instance"),
    }
}

impl Name {
    fn params(&self) -> Params<'_> {
        Params {
            namespace: Some(&self.namespace),
            service: Some(&self.service),
            group: Some(&self.group),
            ..Params::default()
        }
    }

    fn key(&self) -> Result<ServiceKey, Refused> {
        let or = |text: &'_ str, default: &'static str| -> String {
            if is_blank(text) { default.to_owned() } else { text.to_owned() }
        };
        let namespace = or(&self.namespace, PUBLIC);
        let group = or(&self.group, DEFAULT_GROUP);
        let parts = [("namespaceId/tenant", &namespace), ("group", &group)];
        let parts = parts.into_iter().chain([("serviceName", &self.service)]);
        for (name, text) in parts {
            if text.len() > FIELD_BYTES_MAX {
                return Err(Refused::param(check::too_long(name, FIELD_BYTES_MAX)));
            }
        }
        Ok(ServiceKey::new(&namespace, &group, &self.service))
    }

    fn key_of_named(&self) -> Result<ServiceKey, Refused> {
        if is_blank(&self.service) {
            return Err(Refused::new(
                400,
                Code::ParameterMissing,
                "Param 'serviceName' is required.",
            ));
        }
        self.key()
    }
}

/// The key of a name that was not checked yet; for questions that no owner's order is made of.
///
/// # Errors
/// As every call about a service is refused.
pub fn key_of(name: &Name, param_check: bool) -> Result<ServiceKey, Refused> {
    if param_check {
        check(&name.params(), &Rules::default())?;
    }
    name.key_of_named()
}

fn check(params: &Params<'_>, rules: &Rules) -> Result<(), Refused> {
    if !rules.param_check {
        return Ok(());
    }
    check::params(params, rules.metadata_units_max).map_err(Refused::param)
}

fn check_instance(name: &Name, instance: &Instance<'_>, rules: &Rules) -> Result<(), Refused> {
    let params = Params {
        ip: instance.ip.as_deref(),
        port: Some(instance.port),
        cluster: instance.cluster_name.as_deref(),
        metadata: Some(&instance.metadata),
        ..name.params()
    };
    check(&params, rules)
}

/// What an instance must fit whether or not parameters are checked, because it is kept.
fn check_fields(instance: &Instance<'_>) -> Result<(), Refused> {
    let fields = [("ip", &instance.ip), ("cluster", &instance.cluster_name)];
    for (name, text) in fields {
        if text.as_ref().is_some_and(|text| text.len() > FIELD_BYTES_MAX) {
            return Err(Refused::param(check::too_long(name, FIELD_BYTES_MAX)));
        }
    }
    if i32::try_from(instance.port).is_err() {
        return Err(Refused::param(check::BAD_PORT.to_owned()));
    }
    Ok(())
}

/// The longest weight the reference takes.
const WEIGHT_MAX: f64 = 10_000.0;
/// What a smaller weight above 0 is raised to.
const WEIGHT_LEAST: f64 = 0.01;

fn weight(given: f64) -> Result<f64, Refused> {
    if !(0.0..=WEIGHT_MAX).contains(&given) {
        let text = "instance format invalid: The weights range from 0.0 to 10000.0";
        return Err(Refused::new(400, Code::WeightError, text));
    }
    Ok(if given > 0.0 && given < WEIGHT_LEAST { WEIGHT_LEAST } else { given })
}

/// The checks of a registration, and the instance as it will be kept.
fn publishable(
    service: &ServiceKey,
    mut instance: Instance<'static>,
    means: &mut Means<'_>,
) -> Result<(Host, Beats), Refused> {
    instance.weight = weight(instance.weight)?;
    let beats = Beats::of(&instance.metadata);
    let cluster = cluster_or_default(instance.cluster_name.as_deref().unwrap_or("")).to_owned();
    check::registration(beats, &cluster).map_err(Refused::invalid)?;
    instance.cluster_name = Some(cluster.into());
    Ok((Host::new(&instance, service, means.ids, means.now), beats))
}

fn addressed(name: &Name, address: Address, rules: &Rules) -> Result<(ServiceKey, Place), Refused> {
    let params = Params {
        ip: Some(&address.ip),
        port: Some(address.port),
        cluster: Some(&address.cluster),
        ..name.params()
    };
    check(&params, rules)?;
    let service = name.key_of_named()?;
    let port =
        i32::try_from(address.port).map_err(|_| Refused::param(check::BAD_PORT.to_owned()))?;
    let place = Place { ip: address.ip.into(), port, cluster: address.cluster.into() };
    Ok((service, place))
}

fn edited(
    name: &Name,
    mut address: Address,
    mut edit: Edit,
    mode: Mode,
    rules: &Rules,
) -> Result<Order, Refused> {
    check(&Params { metadata: edit.metadata.as_ref(), ..Params::default() }, rules)?;
    edit.weight = edit.weight.map(weight).transpose()?;
    address.cluster = cluster_or_default(&address.cluster).to_owned();
    let (service, address) = addressed(name, address, rules)?;
    Ok(Order::Edit { service, address, edit, mode })
}

fn settled(
    name: &Name,
    settings: Settings,
    rules: &Rules,
) -> Result<(ServiceKey, ServiceSettings), Refused> {
    check(&name.params(), rules)?;
    let service = name.key_of_named()?;
    if settings.metadata.len() + settings.selector.len() > SERVICE_TEXT_BYTES_MAX {
        let text = format!("metadata and selector exceed {SERVICE_TEXT_BYTES_MAX} bytes");
        return Err(Refused::invalid(text));
    }
    if !settings.protect_threshold.is_finite() {
        return Err(Refused::invalid("Param 'protectThreshold' is illegal, no finite number"));
    }
    let or = |text: String, default: &str| if is_blank(&text) { default.to_owned() } else { text };
    let settings = ServiceSettings {
        protect_threshold: settings.protect_threshold,
        metadata: or(settings.metadata, "{}").into(),
        selector: or(settings.selector, NO_SELECTOR).into(),
    };
    Ok((service, settings))
}

/// The selector of a service without one.
pub const NO_SELECTOR: &str = r#"{"type":"none","contextType":"NONE"}"#;

/// Whether a client that names itself so takes datagrams (`http-api.md` 3.5): a prefix, and at
/// least that version.
pub fn takes_datagrams(agent: &str) -> bool {
    const CLIENTS: [(&str, [u32; 3]); 6] = [
        ("Nacos-Java-Client:v", [0, 1, 0]),
        ("Nacos-DNS:v", [0, 4, 3]),
        ("Nacos-C-Client:v", [1, 0, 12]),
        ("vip-client4cpp:v", [1, 0, 12]),
        ("Nacos-Go-Client:v", [0, 1, 0]),
        ("Nacos-CSharp-Client:v", [0, 9, 0]),
    ];
    let known = CLIENTS
        .iter()
        .find_map(|(prefix, least)| agent.strip_prefix(prefix).map(|version| (version, least)));
    known.is_some_and(|(version, least)| numbers(version) >= *least)
}

/// The first three numbers of a version; what is missing or no number is 0.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(version.split('.')) {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        *number = part[..digits].parse().unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests;
