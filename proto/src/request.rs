//! A type name and a JSON body become one [`Request`], or a refusal.

use crate::config::{
    ConfigBatchListenRequest, ConfigFuzzyWatchRequest, ConfigPublishRequest, ConfigQueryRequest,
    ConfigRemoveRequest,
};
pub use crate::fault::ParseError;
use crate::form::{self, Form};
use crate::naming::{
    BatchInstanceRequest, FuzzyWatchRequest, InstanceRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use crate::scan::Scan;

/// What a payload's type name stands for, before its body is looked at (`grpc-protocol.md` 4, 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Answered before anything else, its body never parsed.
    ServerCheck,
    /// Only as the stream's first message; 302 when unary.
    ConnectionSetup,
    HealthCheck,
    Instance,
    PersistentInstance,
    BatchInstance,
    ServiceQuery,
    SubscribeService,
    ServiceList,
    NamingFuzzyWatch,
    ConfigPublish,
    ConfigQuery,
    ConfigRemove,
    ConfigBatchListen,
    ConfigFuzzyWatch,
    /// Only peers may send it: 502 on the client port (row 0).
    ClusterOnly,
    /// Any response type: an answer to a push when it comes on the stream, 302 when unary.
    Response,
    /// Known to the reference, served by a module this build lacks (lock, AI), legacy
    /// (`PushAckRequest`), or a type only servers send (`SetupAckRequest`, pushes): 302 when unary,
    /// dropped on the stream.
    NoHandler,
    /// Unknown name or none: 302 when unary, dropped on the stream.
    Unknown,
}

impl Kind {
    /// Every kind, in the order of [`Kind::index`].
    pub const ALL: [Kind; 19] = [
        Kind::ServerCheck,
        Kind::ConnectionSetup,
        Kind::HealthCheck,
        Kind::Instance,
        Kind::PersistentInstance,
        Kind::BatchInstance,
        Kind::ServiceQuery,
        Kind::SubscribeService,
        Kind::ServiceList,
        Kind::NamingFuzzyWatch,
        Kind::ConfigPublish,
        Kind::ConfigQuery,
        Kind::ConfigRemove,
        Kind::ConfigBatchListen,
        Kind::ConfigFuzzyWatch,
        Kind::ClusterOnly,
        Kind::Response,
        Kind::NoHandler,
        Kind::Unknown,
    ];

    /// Looks a type name up. Case counts, as in the reference. The names of this build's own
    /// requests come first; they cost a few comparisons of equal lengths.
    pub fn of(type_name: &str) -> Kind {
        match type_name {
            "HealthCheckRequest" => Kind::HealthCheck,
            "InstanceRequest" => Kind::Instance,
            "ServiceQueryRequest" => Kind::ServiceQuery,
            "SubscribeServiceRequest" => Kind::SubscribeService,
            "ConfigQueryRequest" => Kind::ConfigQuery,
            "ConfigBatchListenRequest" => Kind::ConfigBatchListen,
            "ConfigPublishRequest" => Kind::ConfigPublish,
            "NotifySubscriberResponse"
            | "ClientDetectionResponse"
            | "ConfigChangeNotifyResponse" => Kind::Response,
            "ServerCheckRequest" => Kind::ServerCheck,
            "ConnectionSetupRequest" => Kind::ConnectionSetup,
            "BatchInstanceRequest" => Kind::BatchInstance,
            "PersistentInstanceRequest" => Kind::PersistentInstance,
            "ServiceListRequest" => Kind::ServiceList,
            "NamingFuzzyWatchRequest" => Kind::NamingFuzzyWatch,
            "ConfigRemoveRequest" => Kind::ConfigRemove,
            "ConfigFuzzyWatchRequest" => Kind::ConfigFuzzyWatch,
            _ => rare(type_name),
        }
    }

    /// Whether [`Request::parse`] reads bodies of this kind: the unary types with a handler here.
    pub const fn has_request(self) -> bool {
        match self {
            Kind::HealthCheck
            | Kind::Instance
            | Kind::PersistentInstance
            | Kind::BatchInstance
            | Kind::ServiceQuery
            | Kind::SubscribeService
            | Kind::ServiceList
            | Kind::NamingFuzzyWatch
            | Kind::ConfigPublish
            | Kind::ConfigQuery
            | Kind::ConfigRemove
            | Kind::ConfigBatchListen
            | Kind::ConfigFuzzyWatch => true,
            Kind::ServerCheck
            | Kind::ConnectionSetup
            | Kind::ClusterOnly
            | Kind::Response
            | Kind::NoHandler
            | Kind::Unknown => false,
        }
    }

    /// A dense number for tables of counters, below `Kind::ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Label of metrics and logs: the wire name where there is one, so never a client's text.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::ServerCheck => "ServerCheckRequest",
            Kind::ConnectionSetup => "ConnectionSetupRequest",
            Kind::HealthCheck => "HealthCheckRequest",
            Kind::Instance => "InstanceRequest",
            Kind::PersistentInstance => "PersistentInstanceRequest",
            Kind::BatchInstance => "BatchInstanceRequest",
            Kind::ServiceQuery => "ServiceQueryRequest",
            Kind::SubscribeService => "SubscribeServiceRequest",
            Kind::ServiceList => "ServiceListRequest",
            Kind::NamingFuzzyWatch => "NamingFuzzyWatchRequest",
            Kind::ConfigPublish => "ConfigPublishRequest",
            Kind::ConfigQuery => "ConfigQueryRequest",
            Kind::ConfigRemove => "ConfigRemoveRequest",
            Kind::ConfigBatchListen => "ConfigBatchListenRequest",
            Kind::ConfigFuzzyWatch => "ConfigFuzzyWatchRequest",
            Kind::ClusterOnly => "cluster-only",
            Kind::Response => "response",
            Kind::NoHandler => "no-handler",
            Kind::Unknown => "unknown",
        }
    }

    /// The type of the answer, also of a failing one: SDKs cast to it. `ErrorResponse` for kinds
    /// that are only refused.
    pub const fn response_kind(self) -> &'static str {
        match self {
            Kind::ServerCheck => "ServerCheckResponse",
            Kind::HealthCheck => "HealthCheckResponse",
            Kind::Instance | Kind::PersistentInstance => "InstanceResponse",
            Kind::BatchInstance => "BatchInstanceResponse",
            Kind::ServiceQuery => "QueryServiceResponse",
            Kind::SubscribeService => "SubscribeServiceResponse",
            Kind::ServiceList => "ServiceListResponse",
            Kind::NamingFuzzyWatch => "NamingFuzzyWatchResponse",
            Kind::ConfigPublish => "ConfigPublishResponse",
            Kind::ConfigQuery => "ConfigQueryResponse",
            Kind::ConfigRemove => "ConfigRemoveResponse",
            Kind::ConfigBatchListen => "ConfigChangeBatchListenResponse",
            Kind::ConfigFuzzyWatch => "ConfigFuzzyWatchResponse",
            Kind::ConnectionSetup
            | Kind::ClusterOnly
            | Kind::Response
            | Kind::NoHandler
            | Kind::Unknown => ERROR_RESPONSE,
        }
    }
}

/// The type of an answer that belongs to no handler.
pub const ERROR_RESPONSE: &str = "ErrorResponse";

/// Type names outside of the hot path (`grpc-protocol.md` 11.1 to 11.5).
fn rare(type_name: &str) -> Kind {
    match type_name {
        "ServerLoaderInfoRequest"
        | "ServerReloadRequest"
        | "MemberReportRequest"
        | "DistroDataRequest"
        | "ConfigChangeClusterSyncRequest" => Kind::ClusterOnly,
        "SetupAckRequest"
        | "ClientDetectionRequest"
        | "ConnectResetRequest"
        | "PushAckRequest"
        | "NotifySubscriberRequest"
        | "NamingFuzzyWatchSyncRequest"
        | "NamingFuzzyWatchChangeNotifyRequest"
        | "ConfigChangeNotifyRequest"
        | "ClientConfigMetricRequest"
        | "ConfigFuzzyWatchSyncRequest"
        | "ConfigFuzzyWatchChangeNotifyRequest"
        | "LockOperationRequest"
        | "QueryMcpServerRequest"
        | "ReleaseMcpServerRequest"
        | "McpServerEndpointRequest" => Kind::NoHandler,
        "ServerCheckResponse"
        | "SetupAckResponse"
        | "HealthCheckResponse"
        | "ConnectResetResponse"
        | "ServerLoaderInfoResponse"
        | "ServerReloadResponse"
        | "MemberReportResponse"
        | "ErrorResponse"
        | "InstanceResponse"
        | "BatchInstanceResponse"
        | "QueryServiceResponse"
        | "SubscribeServiceResponse"
        | "ServiceListResponse"
        | "NamingFuzzyWatchResponse"
        | "NamingFuzzyWatchSyncResponse"
        | "NamingFuzzyWatchChangeNotifyResponse"
        | "DistroDataResponse"
        | "ConfigPublishResponse"
        | "ConfigQueryResponse"
        | "ConfigRemoveResponse"
        | "ConfigChangeBatchListenResponse"
        | "ClientConfigMetricResponse"
        | "ConfigFuzzyWatchResponse"
        | "ConfigFuzzyWatchSyncResponse"
        | "ConfigFuzzyWatchChangeNotifyResponse"
        | "ConfigChangeClusterSyncResponse"
        | "LockOperationResponse"
        | "QueryMcpServerResponse"
        | "ReleaseMcpServerResponse"
        | "McpServerEndpointResponse" => Kind::Response,
        _ => Kind::Unknown,
    }
}

/// A unary request with its body decoded; text borrows from the received bytes where it can.
#[derive(Debug, Clone, PartialEq)]
pub enum Request<'a> {
    HealthCheck,
    Instance(InstanceRequest<'a>),
    PersistentInstance(InstanceRequest<'a>),
    BatchInstance(BatchInstanceRequest<'a>),
    ServiceQuery(ServiceQueryRequest<'a>),
    SubscribeService(SubscribeServiceRequest<'a>),
    ServiceList(ServiceListRequest<'a>),
    NamingFuzzyWatch(FuzzyWatchRequest<'a>),
    ConfigPublish(ConfigPublishRequest<'a>),
    ConfigQuery(ConfigQueryRequest<'a>),
    ConfigRemove(ConfigRemoveRequest<'a>),
    ConfigBatchListen(ConfigBatchListenRequest<'a>),
    ConfigFuzzyWatch(ConfigFuzzyWatchRequest<'a>),
}

impl<'a> Request<'a> {
    /// Reads the body of a request that has a handler. `Ok(None)` is JSON `null` (row 6), an
    /// error's text is the answer of row 5. Kinds without a handler are an error too: rows 0 to 3
    /// come before any parsing.
    pub fn parse(kind: Kind, body: &'a [u8]) -> Result<Option<Request<'a>>, ParseError> {
        fn one<'a, F: Form<'a>>(
            body: &'a [u8],
            wrap: fn(F) -> Request<'a>,
        ) -> Result<Option<Request<'a>>, ParseError> {
            Ok(form::parse(body)?.map(wrap))
        }
        match kind {
            Kind::HealthCheck => one(body, |Bare| Request::HealthCheck),
            Kind::Instance => one(body, Request::Instance),
            Kind::PersistentInstance => one(body, Request::PersistentInstance),
            Kind::BatchInstance => one(body, Request::BatchInstance),
            Kind::ServiceQuery => one(body, Request::ServiceQuery),
            Kind::SubscribeService => one(body, Request::SubscribeService),
            Kind::ServiceList => one(body, Request::ServiceList),
            Kind::NamingFuzzyWatch => one(body, Request::NamingFuzzyWatch),
            Kind::ConfigPublish => one(body, Request::ConfigPublish),
            Kind::ConfigQuery => one(body, Request::ConfigQuery),
            Kind::ConfigRemove => one(body, Request::ConfigRemove),
            Kind::ConfigBatchListen => one(body, Request::ConfigBatchListen),
            Kind::ConfigFuzzyWatch => one(body, Request::ConfigFuzzyWatch),
            Kind::ServerCheck
            | Kind::ConnectionSetup
            | Kind::ClusterOnly
            | Kind::Response
            | Kind::NoHandler
            | Kind::Unknown => Err(ParseError::new("this type has no request to read", 0)),
        }
    }

    /// The kind this request was parsed as.
    pub fn kind(&self) -> Kind {
        match self {
            Request::HealthCheck => Kind::HealthCheck,
            Request::Instance(_) => Kind::Instance,
            Request::PersistentInstance(_) => Kind::PersistentInstance,
            Request::BatchInstance(_) => Kind::BatchInstance,
            Request::ServiceQuery(_) => Kind::ServiceQuery,
            Request::SubscribeService(_) => Kind::SubscribeService,
            Request::ServiceList(_) => Kind::ServiceList,
            Request::NamingFuzzyWatch(_) => Kind::NamingFuzzyWatch,
            Request::ConfigPublish(_) => Kind::ConfigPublish,
            Request::ConfigQuery(_) => Kind::ConfigQuery,
            Request::ConfigRemove(_) => Kind::ConfigRemove,
            Request::ConfigBatchListen(_) => Kind::ConfigBatchListen,
            Request::ConfigFuzzyWatch(_) => Kind::ConfigFuzzyWatch,
        }
    }
}

// Moved by value into `Message::Call` on every request: four cache lines, and no more unnoticed.
const _: () = assert!(size_of::<Request<'_>>() <= 256);

/// A request without members of its own.
#[derive(Default)]
struct Bare;

impl<'a> Form<'a> for Bare {
    fn member(&mut self, _name: &str, scan: &mut Scan<'a>) -> Result<(), ParseError> {
        scan.skip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::ALL[kind.index()], kind);
            if kind.name().ends_with("Request") {
                assert_eq!(Kind::of(kind.name()), kind);
            }
            assert_eq!(
                Kind::of(kind.response_kind()),
                Kind::Response,
                "{} is a response",
                kind.response_kind()
            );
        }
        for (name, kind) in [
            ("", Kind::Unknown),
            ("healthcheckrequest", Kind::Unknown),
            ("HealthCheckRequest ", Kind::Unknown),
            ("com.alibaba.nacos.api.remote.request.HealthCheckRequest", Kind::Unknown),
            ("DistroDataRequest", Kind::ClusterOnly),
            ("ConfigChangeClusterSyncRequest", Kind::ClusterOnly),
            ("PushAckRequest", Kind::NoHandler),
            ("SetupAckRequest", Kind::NoHandler),
            ("NotifySubscriberRequest", Kind::NoHandler),
            ("ConfigChangeNotifyRequest", Kind::NoHandler),
            ("LockOperationRequest", Kind::NoHandler),
            ("McpServerEndpointRequest", Kind::NoHandler),
            ("ErrorResponse", Kind::Response),
            ("NamingFuzzyWatchChangeNotifyResponse", Kind::Response),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }

    /// What every request does with bodies that are no object.
    #[test]
    fn bodies_that_are_no_object() {
        for kind in Kind::ALL {
            let parse = |body: &'static str| Request::parse(kind, body.as_bytes());
            if !kind.has_request() {
                assert!(parse("{}").is_err(), "{kind:?}");
                continue;
            }
            assert_eq!(parse("{}").unwrap().unwrap().kind(), kind);
            assert_eq!(parse(" null "), Ok(None), "{kind:?}");
            assert_eq!(parse("").unwrap_err().to_string(), "the body is empty, byte 0");
            for body in ["[]", "1", "\"{}\"", "true", "{", "{]", "nul", "{\"a\":}", "\u{0}"] {
                assert!(parse(body).is_err(), "{kind:?} {body}");
            }
        }
    }

    #[test]
    fn members_nobody_knows_do_not_matter_but_must_be_json() {
        let parse = |body: &'static str| Request::parse(Kind::HealthCheck, body.as_bytes());
        let body =
            r#"{"headers":{"a":"b"},"requestId":"1","module":"internal","x":[{"y":[null]}]}"#;
        assert_eq!(parse(body), Ok(Some(Request::HealthCheck)));
        assert!(parse(r#"{"x":[{"y":[nil]}]}"#).is_err());
    }

    #[test]
    fn absent_members_keep_javas_initial_values() {
        let body = br#"{"instance":{}}"#;
        let Ok(Some(Request::Instance(request))) = Request::parse(Kind::Instance, body) else {
            panic!("not read")
        };
        let instance = request.instance.unwrap();
        assert_eq!((instance.port, instance.weight), (0, 1.0));
        assert!(instance.healthy && instance.enabled && instance.ephemeral);
        assert_eq!((request.namespace, request.operation), (None, None));
    }

    #[test]
    fn explicit_nulls_replace_initial_values() {
        let body = br#"{"namespace":null,"instance":{"port":null,"weight":null,"healthy":null,
            "enabled":null,"ephemeral":null,"metadata":null,"ip":null,"clusterName":null}}"#;
        let Ok(Some(Request::Instance(request))) = Request::parse(Kind::Instance, body) else {
            panic!("not read")
        };
        let instance = request.instance.unwrap();
        assert_eq!((instance.port, instance.weight), (0, 0.0));
        assert!(!instance.healthy && !instance.enabled && !instance.ephemeral);
        assert!(instance.metadata.is_empty());
        assert_eq!((instance.ip, instance.cluster_name), (None, None));
    }

    #[test]
    fn of_a_member_that_comes_twice_the_last_counts() {
        let body = br#"{"serviceName":"a","instance":{"ip":"x","port":1},"serviceName":"b",
            "instance":{"port":2,"port":3}}"#;
        let Ok(Some(Request::Instance(request))) = Request::parse(Kind::Instance, body) else {
            panic!("not read")
        };
        assert_eq!(request.service_name.as_deref(), Some("b"));
        let instance = request.instance.unwrap();
        assert_eq!((instance.ip, instance.port), (None, 3));
    }

    #[test]
    fn refusals_name_the_member() {
        for (kind, body, text) in [
            (
                Kind::Instance,
                r#"{"instance":{"port":"http"}}"#,
                "a whole number was expected in 'port', byte 26",
            ),
            (Kind::Instance, r#"{"instance":[]}"#, "an object was expected in 'instance', byte 12"),
            (
                Kind::BatchInstance,
                r#"{"instances":[{},null]}"#,
                "null stands where an instance is expected in 'instances', byte 21",
            ),
            (
                Kind::ServiceQuery,
                r#"{"serviceName":{}}"#,
                "an object stands where none is expected in 'serviceName', byte 15",
            ),
            (
                Kind::SubscribeService,
                r#"{"subscribe":"on"}"#,
                "true or false was expected in 'subscribe', byte 17",
            ),
            (
                Kind::ServiceList,
                r#"{"pageNo":3000000000}"#,
                "a number outside of -2147483648..2147483647 in 'pageNo', byte 20",
            ),
            (
                Kind::NamingFuzzyWatch,
                r#"{"receivedGroupKeys":{}}"#,
                "an array was expected in 'receivedGroupKeys', byte 21",
            ),
        ] {
            let error = Request::parse(kind, body.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), text, "{body}");
        }
    }
}
