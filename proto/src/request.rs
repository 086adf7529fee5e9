//! A type name and a JSON body become one [`Request`], or a refusal.

use crate::naming::{
    BatchInstanceRequest, FuzzyWatchRequest, InstanceRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};

/// What a payload's type name stands for, before its body is looked at (`grpc-protocol.md` 4, 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Answered before anything else, its body never parsed.
    ServerCheck,
    /// Only as the stream's first message.
    ConnectionSetup,
    HealthCheck,
    Instance,
    BatchInstance,
    ServiceQuery,
    SubscribeService,
    ServiceList,
    NamingFuzzyWatch,
    /// Only peers may send it: 502 on the client port (row 0).
    ClusterOnly,
    /// Any response type: an answer to a push when it comes on the stream, 302 when unary.
    Response,
    /// Known to the reference, served by a module this build lacks, or a push type: 302.
    NoHandler,
    /// Unknown name or none: 302 when unary, dropped on the stream.
    Unknown,
}

/// A unary request with its body decoded; text borrows from the received bytes where it can.
#[derive(Debug, Clone, PartialEq)]
pub enum Request<'a> {
    HealthCheck,
    Instance(InstanceRequest<'a>),
    BatchInstance(BatchInstanceRequest<'a>),
    ServiceQuery(ServiceQueryRequest<'a>),
    SubscribeService(SubscribeServiceRequest<'a>),
    ServiceList(ServiceListRequest<'a>),
    NamingFuzzyWatch(FuzzyWatchRequest<'a>),
}
