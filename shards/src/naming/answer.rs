//! The JSON of every answer and push of the naming and connection modules.

use crate::effect::Body;
use crate::key::ServiceKey;
use crate::message::NameChange;
use crate::naming::accept::Refusal;
use bytes::Bytes;
use nacre_proto::request::Kind;

/// `HealthCheckResponse`.
pub fn health() -> Body {
    todo!()
}
/// `ServerCheckResponse`.
pub fn server_check(_connection_id: &str) -> Body {
    todo!()
}
/// `InstanceResponse` of a registration.
pub fn registered() -> Body {
    todo!()
}
/// `InstanceResponse` of a deregistration.
pub fn deregistered() -> Body {
    todo!()
}
/// `BatchInstanceResponse`.
pub fn batch() -> Body {
    todo!()
}
/// `QueryServiceResponse` around a `ServiceInfo` (`View::body`).
pub fn query(_info: Bytes) -> Body {
    todo!()
}
/// `SubscribeServiceResponse` around a `ServiceInfo` (`View::body`).
pub fn subscribe(_info: Bytes) -> Body {
    todo!()
}
/// `ServiceListResponse`.
pub fn service_list<'a>(_count: usize, _names: impl Iterator<Item = &'a str>) -> Body {
    todo!()
}
/// `NamingFuzzyWatchResponse`, success (watch and cancel).
pub fn fuzzy() -> Body {
    todo!()
}
/// `NotifySubscriberRequest` around a `ServiceInfo`.
pub fn notify(_request_id: u64, _info: Bytes) -> Body {
    todo!()
}
/// `SetupAckRequest` with the server's abilities.
pub fn setup_ack(_abilities: &[(&str, bool)]) -> Body {
    todo!()
}
/// `ClientDetectionRequest`.
pub fn client_detection(_request_id: u64) -> Body {
    todo!()
}
/// Where a `ConnectResetRequest` points to.
#[derive(Debug, Clone, Copy)]
pub struct Redirect<'a> {
    pub ip: &'a str,
    pub port: &'a str,
}
/// `ConnectResetRequest`.
pub fn connect_reset(
    _request_id: u64,
    _redirect: Option<Redirect<'_>>,
    _connection_id: Option<&str>,
) -> Body {
    todo!()
}
/// One `NamingFuzzyWatchSyncRequest`.
#[derive(Debug, Clone, Copy)]
pub struct FuzzySync<'a> {
    pub kind: SyncKind,
    pub pattern: &'a str,
    pub contexts: &'a [(ServiceKey, NameChange)],
    pub total_batch: usize,
    /// From 1.
    pub current_batch: usize,
}
/// `syncType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncKind {
    /// `FUZZY_WATCH_INIT_NOTIFY`.
    Init,
    /// `FUZZY_WATCH_DIFF_SYNC_NOTIFY`.
    Diff,
    /// `FINISH_FUZZY_WATCH_INIT_NOTIFY`: no contexts, batch 1 of 1.
    Finish,
}
/// `NamingFuzzyWatchSyncRequest`.
pub fn fuzzy_sync(_request_id: u64, _sync: FuzzySync<'_>) -> Body {
    todo!()
}
/// `NamingFuzzyWatchChangeNotifyRequest`.
pub fn fuzzy_change(_request_id: u64, _service: &ServiceKey, _change: NameChange) -> Body {
    todo!()
}
/// `ErrorResponse` built from a code and a text: `resultCode` 500.
pub fn error(_code: i32, _message: &str) -> Body {
    todo!()
}
/// The failing answer to a request of this kind: typed or `ErrorResponse`.
pub fn refusal(_refusal: &Refusal, _kind: Kind) -> Body {
    todo!()
}
