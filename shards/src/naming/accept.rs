//! From a parsed request to something an owner can carry out, or to a refusal. Pure functions on the home core.

use crate::effect::Body;
use crate::key::ServiceKey;
use crate::message::{Now, Watch};
use crate::naming::host::{Ids, Publication};
use crate::naming::rules::Rules;
use crate::naming::view::Filter;
use nacre_proto::naming::{
    BatchInstanceRequest, FuzzyWatchRequest, InstanceRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::request::Kind;
use std::borrow::Cow;

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
    let _ = (request, rules, now, ids);
    todo!()
}

/// `BatchInstanceRequest`: the service, and the full list that replaces what the connection publishes.
pub fn batch(
    request: &BatchInstanceRequest<'_>,
    rules: &Rules,
    now: Now,
    ids: &mut Ids,
) -> Result<(ServiceKey, Box<Publication>), Refusal> {
    let _ = (request, rules, now, ids);
    todo!()
}

/// `ServiceQueryRequest`.
pub fn query(
    request: &ServiceQueryRequest<'_>,
    rules: &Rules,
) -> Result<(ServiceKey, Filter), Refusal> {
    let _ = (request, rules);
    todo!()
}

/// `SubscribeServiceRequest`: service, filter, and true to subscribe, false to end it.
pub fn subscribe(
    request: &SubscribeServiceRequest<'_>,
    rules: &Rules,
) -> Result<(ServiceKey, Filter, bool), Refusal> {
    let _ = (request, rules);
    todo!()
}

/// `ServiceListRequest`.
pub fn list(request: &ServiceListRequest<'_>, rules: &Rules) -> Result<ListOp, Refusal> {
    let _ = (request, rules);
    todo!()
}

/// `NamingFuzzyWatchRequest`.
pub fn fuzzy(request: &FuzzyWatchRequest<'_>, rules: &Rules) -> Result<FuzzyOp, Refusal> {
    let _ = (request, rules);
    todo!()
}
