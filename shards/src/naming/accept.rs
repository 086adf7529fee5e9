//! From a parsed request to something an owner can carry out, or to a refusal. Pure functions on
//! the home core.
//!
//! Order, as in the reference: parameter check (`grpc-protocol.md` 9.3), what must be there, the
//! operation's name, the handler's own checks (9.5). Expected failures keep the request's own
//! response type, since SDKs repeat a call answered with `ErrorResponse` (`grpc-protocol.md` 15).

use crate::effect::Body;
use crate::key::ServiceKey;
use crate::limits::{CLUSTERS_BYTES_MAX, FUZZY_PATTERN_BYTES_MAX};
use crate::message::{Now, Purpose, Watch};
use crate::naming::check::{self, Params, is_blank};
use crate::naming::fuzzy::Pattern;
use crate::naming::host::{Beats, FIELD_BYTES_MAX, Host, Ids, Publication};
use crate::naming::open::{self, Order};
use crate::naming::rules::Rules;
use crate::naming::view::Filter;
use nacre_proto::code::{Code, RESULT_FAIL};
use nacre_proto::naming::{
    BatchInstanceRequest, FuzzyWatchRequest, Instance, InstanceRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::request::Kind;
use nacre_proto::text::Text;
use std::borrow::Cow;

/// The namespace of requests that name none.
pub const PUBLIC: &str = "public";
/// The group of requests that name none.
pub const DEFAULT_GROUP: &str = "DEFAULT_GROUP";

const INVALID: i32 = Code::InvalidParam.number();

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// True: the request's own response type; false: `ErrorResponse`.
    pub typed: bool,
    pub result_code: i32,
    pub error_code: i32,
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// The answer to a request of this kind.
    pub fn body(&self, kind: Kind) -> Body {
        crate::naming::answer::refusal(self, kind)
    }

    fn typed(message: impl Into<Cow<'static, str>>) -> Self {
        Self { typed: true, result_code: RESULT_FAIL, error_code: INVALID, message: message.into() }
    }

    fn param(reason: &str) -> Self {
        Self::typed(format!("Param check invalid:{reason}"))
    }

    /// The reference throws here, so its answer is an `ErrorResponse` with the code twice.
    fn unsupported(operation: Option<&str>) -> Self {
        let operation = operation.unwrap_or("null");
        Self {
            typed: false,
            result_code: INVALID,
            error_code: INVALID,
            message: format!("Unsupported request type {operation}").into(),
        }
    }
}

/// What an `InstanceRequest` asks for.
#[derive(Debug, PartialEq)]
pub enum InstanceOp {
    Register { service: ServiceKey, publication: Box<Publication> },
    Deregister { service: ServiceKey },
}

/// What a `ServiceListRequest` asks for.
#[derive(Debug, PartialEq)]
pub struct ListOp {
    pub namespace: Box<str>,
    pub group: Box<str>,
    pub page_no: i64,
    pub page_size: i64,
}

/// What a `NamingFuzzyWatchRequest` asks for, and the namespace whose directory core serves it.
#[derive(Debug, PartialEq)]
pub enum FuzzyOp {
    Watch { namespace: Box<str>, watch: Box<Watch> },
    Cancel { namespace: Box<str>, pattern: Box<str> },
}

/// `InstanceRequest`. `ids` is the home core's source of snowflake ids.
pub fn instance(
    request: &InstanceRequest<'_>,
    rules: &Rules,
    now: Now,
    ids: &mut Ids,
) -> Result<InstanceOp, Refusal> {
    let name = Name::of(&request.namespace, &request.group_name, &request.service_name);
    let instance = request.instance.as_ref();
    check_params(&name.with(instance), rules)?;
    let service = name.key_of_named()?;
    match request.operation.as_deref() {
        Some("registerInstance") => {
            let instance = instance.ok_or_else(|| missing("instance"))?;
            check_fields(instance)?;
            check_legal(instance)?;
            let host = Host::new(instance, &service, ids, now);
            let publication = Box::new(Publication::One(host));
            Ok(InstanceOp::Register { service, publication })
        }
        // Whatever the instance says: the connection's whole entry goes (`naming.md` 3.1).
        Some("deregisterInstance") => Ok(InstanceOp::Deregister { service }),
        other => Err(Refusal::unsupported(other)),
    }
}

/// `PersistentInstanceRequest`: what the owner is to look at before the log decides. Its instance
/// is not put to the checks of an ephemeral one (`grpc-protocol.md` 9.5).
pub fn persistent(
    request: &InstanceRequest<'_>,
    rules: &Rules,
    now: Now,
    ids: &mut Ids,
) -> Result<Order, Refusal> {
    let name = Name::of(&request.namespace, &request.group_name, &request.service_name);
    let instance = request.instance.as_ref();
    check_params(&name.with(instance), rules)?;
    let service = name.key_of_named()?;
    let operation = request.operation.as_deref();
    let purpose = match operation {
        Some("registerInstance") => Purpose::Register,
        Some("deregisterInstance") => Purpose::Deregister,
        other => return Err(Refusal::unsupported(other)),
    };
    let instance = instance.ok_or_else(|| missing("instance"))?;
    check_fields(instance)?;
    Ok(match purpose {
        Purpose::Register => {
            let host = Host::new(instance, &service, ids, now);
            open::register_persistent(service, &host, purpose)
        }
        _ => {
            let ip = instance.ip.as_deref().unwrap_or_default();
            let port = i32::try_from(instance.port).unwrap_or_default();
            open::deregister_persistent(service, ip, port, purpose)
        }
    })
}

/// `BatchInstanceRequest`: the service, and the full list that replaces what the connection
/// publishes.
pub fn batch(
    request: &BatchInstanceRequest<'_>,
    rules: &Rules,
    now: Now,
    ids: &mut Ids,
) -> Result<(ServiceKey, Box<Publication>), Refusal> {
    let name = Name::of(&request.namespace, &request.group_name, &request.service_name);
    check_params(&name.params(), rules)?;
    let instances = request.instances.as_deref();
    for instance in instances.unwrap_or_default() {
        let params = Params {
            service: instance.service_name.as_deref(),
            ip: instance.ip.as_deref(),
            port: Some(instance.port),
            cluster: instance.cluster_name.as_deref(),
            metadata: Some(&instance.metadata),
            ..Params::default()
        };
        check_params(&params, rules)?;
    }
    let service = name.key_of_named()?;
    if request.operation.as_deref() != Some("batchRegisterInstance") {
        return Err(Refusal::unsupported(request.operation.as_deref()));
    }
    let instances = instances.ok_or_else(|| missing("instances"))?;
    instances.iter().try_for_each(check_fields)?;
    let hosts = instances.iter().map(|instance| Host::new(instance, &service, ids, now)).collect();
    Ok((service, Box::new(Publication::Batch(hosts))))
}

/// `ServiceQueryRequest`. A blank name is no error: such a service is empty.
pub fn query(
    request: &ServiceQueryRequest<'_>,
    rules: &Rules,
) -> Result<(ServiceKey, Filter), Refusal> {
    let name = Name::of(&request.namespace, &request.group_name, &request.service_name);
    let clusters = request.cluster.as_deref().unwrap_or("");
    check_params(
        &Params { clusters: Some(clusters), port: Some(request.udp_port), ..name.params() },
        rules,
    )?;
    check_clusters(clusters)?;
    let filter = Filter { clusters: Some(clusters.into()), healthy_only: request.healthy_only };
    Ok((name.key()?, filter))
}

/// `SubscribeServiceRequest`: service, filter, and true to subscribe, false to end it.
pub fn subscribe(
    request: &SubscribeServiceRequest<'_>,
    rules: &Rules,
) -> Result<(ServiceKey, Filter, bool), Refusal> {
    let name = Name::of(&request.namespace, &request.group_name, &request.service_name);
    let clusters = request.clusters.as_deref();
    check_params(&Params { clusters, ..name.params() }, rules)?;
    check_clusters(clusters.unwrap_or(""))?;
    let service = name.key_of_named()?;
    let filter = Filter { clusters: clusters.map(Into::into), healthy_only: false };
    Ok((service, filter, request.subscribe))
}

/// `ServiceListRequest`.
pub fn list(request: &ServiceListRequest<'_>, rules: &Rules) -> Result<ListOp, Refusal> {
    let name = Name::of(&request.namespace, &request.group_name, &request.service_name);
    check_params(&name.params(), rules)?;
    name.check_fits()?;
    Ok(ListOp {
        namespace: name.namespace().into(),
        group: name.group().into(),
        page_no: request.page_no,
        page_size: request.page_size,
    })
}

/// `NamingFuzzyWatchRequest`. The reference checks nothing here; we check what we keep.
pub fn fuzzy(request: &FuzzyWatchRequest<'_>, rules: &Rules) -> Result<FuzzyOp, Refusal> {
    let text = request.group_key_pattern.as_deref().unwrap_or("");
    if text.len() > FUZZY_PATTERN_BYTES_MAX {
        let reason = check::too_long("groupKeyPattern", FUZZY_PATTERN_BYTES_MAX);
        return Err(Refusal::param(&reason));
    }
    let watches = match request.watch_type.as_deref() {
        Some("WATCH") => true,
        Some("CANCEL_WATCH") => false,
        other => return Err(Refusal::unsupported(other)),
    };
    let pattern = Pattern::parse(text).ok_or_else(|| {
        Refusal::typed(
            "Param 'groupKeyPattern' is illegal, \
             it should be namespace>>groupPattern>>servicePattern",
        )
    })?;
    let namespace: Box<str> = pattern.namespace().into();
    check_params(&Params { namespace: Some(&namespace), ..Params::default() }, rules)?;
    let pattern: Box<str> = text.into();
    if !watches {
        return Ok(FuzzyOp::Cancel { namespace, pattern });
    }
    let known = request.received_group_keys.iter().flatten();
    let watch = Watch {
        pattern,
        known: known.map(|key| key.as_str().into()).collect(),
        initializing: request.initializing,
    };
    Ok(FuzzyOp::Watch { namespace, watch: Box::new(watch) })
}

/// The three parts of a service's name as a request gives them.
#[derive(Clone, Copy)]
struct Name<'a> {
    namespace: Option<&'a str>,
    group: Option<&'a str>,
    service: Option<&'a str>,
}

impl<'a> Name<'a> {
    fn of(
        namespace: &'a Option<Text<'_>>,
        group: &'a Option<Text<'_>>,
        service: &'a Option<Text<'_>>,
    ) -> Self {
        Self {
            namespace: namespace.as_deref(),
            group: group.as_deref(),
            service: service.as_deref(),
        }
    }

    fn params(self) -> Params<'a> {
        Params {
            namespace: self.namespace,
            service: self.service,
            group: self.group,
            ..Params::default()
        }
    }

    /// With the parameters of an instance.
    fn with(self, instance: Option<&'a Instance<'_>>) -> Params<'a> {
        instance.map_or(self.params(), |instance| Params {
            ip: instance.ip.as_deref(),
            port: Some(instance.port),
            cluster: instance.cluster_name.as_deref(),
            metadata: Some(&instance.metadata),
            ..self.params()
        })
    }

    /// Absent, null, `""` and `"public"` occur in requests of one and the same client.
    fn namespace(self) -> &'a str {
        self.namespace.filter(|text| !is_blank(text)).unwrap_or(PUBLIC)
    }

    fn group(self) -> &'a str {
        self.group.filter(|text| !is_blank(text)).unwrap_or(DEFAULT_GROUP)
    }

    fn service(self) -> &'a str {
        self.service.filter(|text| !is_blank(text)).unwrap_or("")
    }

    /// Refuses a part too long for a key, which only comes with the parameter check off.
    fn check_fits(self) -> Result<(), Refusal> {
        let parts = [
            ("namespaceId/tenant", self.namespace()),
            ("group", self.group()),
            ("serviceName", self.service()),
        ];
        match parts.iter().find(|(_, text)| text.len() > FIELD_BYTES_MAX) {
            Some((name, _)) => Err(Refusal::param(&check::too_long(name, FIELD_BYTES_MAX))),
            None => Ok(()),
        }
    }

    fn key(self) -> Result<ServiceKey, Refusal> {
        self.check_fits()?;
        Ok(ServiceKey::new(self.namespace(), self.group(), self.service()))
    }

    /// The key of a service that will be kept, so it must have a name. The text is the reference's.
    fn key_of_named(self) -> Result<ServiceKey, Refusal> {
        if self.service.is_none_or(is_blank) {
            return Err(Refusal::typed("Param 'serviceName' is illegal, serviceName is blank"));
        }
        self.key()
    }
}

fn missing(member: &str) -> Refusal {
    Refusal::typed(format!("Param '{member}' is illegal, {member} is null"))
}

fn check_params(params: &Params<'_>, rules: &Rules) -> Result<(), Refusal> {
    if !rules.param_check {
        return Ok(());
    }
    check::params(params, rules.metadata_units_max).map_err(|reason| Refusal::param(&reason))
}

/// What an instance must fit whether or not parameters are checked, because it is kept.
fn check_fields(instance: &Instance<'_>) -> Result<(), Refusal> {
    let long = |text: &Option<Text<'_>>| text.as_ref().is_some_and(|t| t.len() > FIELD_BYTES_MAX);
    if long(&instance.ip) {
        return Err(Refusal::param(&check::too_long("ip", FIELD_BYTES_MAX)));
    }
    if long(&instance.cluster_name) {
        return Err(Refusal::param(&check::too_long("cluster", FIELD_BYTES_MAX)));
    }
    if i32::try_from(instance.port).is_err() {
        return Err(Refusal::param(check::BAD_PORT));
    }
    Ok(())
}

fn check_clusters(clusters: &str) -> Result<(), Refusal> {
    if clusters.len() > CLUSTERS_BYTES_MAX {
        return Err(Refusal::param(&check::too_long("cluster", CLUSTERS_BYTES_MAX)));
    }
    Ok(())
}

/// A batch is not put to these checks.
fn check_legal(instance: &Instance<'_>) -> Result<(), Refusal> {
    let cluster = instance.cluster_name.as_deref().unwrap_or("");
    check::registration(Beats::of(&instance.metadata), cluster).map_err(Refusal::typed)
}

#[cfg(test)]
mod tests;
