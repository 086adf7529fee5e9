//! The JSON of every answer and push of the naming and connection modules (`grpc-protocol.md` 11,
//! 13).
//!
//! Key order is free on this wire; keys and their presence are the reference's. Answers carry no
//! `requestId`, requests to a client carry `headers` (empty) and `module`.

use crate::durable::answer::Answer;
use crate::effect::{Body, Json, Short};
use crate::key::ServiceKey;
use crate::limits::LIST_BYTES_MAX;
use crate::message::{NameChange, Purpose, Unready};
use crate::naming::accept::Refusal;
use crate::naming::digits::Digits;
use bytes::Bytes;
use nacre_proto::code::{Code, RESULT_FAIL};
use nacre_proto::json;
use nacre_proto::request::Kind;

const ERROR_RESPONSE: &str = "ErrorResponse";

const fn fixed(kind: &'static str, json: &'static str) -> Body {
    Body::new(kind, Json::Static(json))
}

/// `HealthCheckResponse`.
pub fn health() -> Body {
    fixed("HealthCheckResponse", r#"{"resultCode":200,"errorCode":0,"success":true}"#)
}

/// `ServerCheckResponse`.
pub fn server_check(connection_id: &str) -> Body {
    let mut out = br#"{"resultCode":200,"errorCode":0,"connectionId":"#.to_vec();
    json::write_string(&mut out, connection_id);
    out.extend_from_slice(br#","supportAbilityNegotiation":true,"success":true}"#);
    Body::new("ServerCheckResponse", Json::Owned(out))
}

/// `InstanceResponse` of a registration.
pub fn registered() -> Body {
    fixed(
        "InstanceResponse",
        r#"{"resultCode":200,"errorCode":0,"type":"registerInstance","success":true}"#,
    )
}

/// `InstanceResponse` of a deregistration, also of one that found nothing.
pub fn deregistered() -> Body {
    fixed(
        "InstanceResponse",
        r#"{"resultCode":200,"errorCode":0,"type":"deregisterInstance","success":true}"#,
    )
}

/// `BatchInstanceResponse`.
pub fn batch() -> Body {
    fixed(
        "BatchInstanceResponse",
        r#"{"resultCode":200,"errorCode":0,"type":"batchRegisterInstance","success":true}"#,
    )
}

const BEFORE_INFO: &str = r#"{"resultCode":200,"errorCode":0,"serviceInfo":"#;

/// `QueryServiceResponse` around a `ServiceInfo` (`View::body`).
pub fn query(info: Bytes) -> Body {
    let before = Short::of(&[BEFORE_INFO]);
    let json = Json::Shared { before, shared: info, after: br#","success":true}"#.into() };
    Body::new("QueryServiceResponse", json)
}

/// `SubscribeServiceResponse` around a `ServiceInfo` (`View::body`); of an unsubscribe as well.
pub fn subscribe(info: Bytes) -> Body {
    let before = Short::of(&[BEFORE_INFO]);
    let after = br#","message":"success","success":true}"#.into();
    Body::new("SubscribeServiceResponse", Json::Shared { before, shared: info, after })
}

/// `ServiceListResponse`: how many there are, and the plain names of one page.
pub fn service_list<'a>(count: usize, names: impl Iterator<Item = &'a str>) -> Body {
    let mut out = br#"{"resultCode":200,"errorCode":0,"count":"#.to_vec();
    json::write_i64(&mut out, count as i64);
    out.extend_from_slice(br#","serviceNames":["#);
    for (at, name) in names.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, name);
        if out.len() > LIST_BYTES_MAX {
            return list_too_long();
        }
    }
    out.extend_from_slice(br#"],"success":true}"#);
    Body::new("ServiceListResponse", Json::Owned(out))
}

/// A page no client could receive.
fn list_too_long() -> Body {
    let message = format!("The page exceeds {LIST_BYTES_MAX} bytes, ask for a smaller pageSize.");
    typed_error(Kind::ServiceList, Code::InvalidParam.number(), &message)
}

/// `NamingFuzzyWatchResponse`, success (watch and cancel).
pub fn fuzzy() -> Body {
    fixed("NamingFuzzyWatchResponse", r#"{"resultCode":200,"errorCode":0,"success":true}"#)
}

/// `NamingFuzzyWatchResponse`: too many patterns, this one is not watched.
pub fn fuzzy_patterns_over() -> Body {
    fuzzy_over(Code::FuzzyWatchPatternOverLimit)
}

/// `NamingFuzzyWatchResponse`: watched, but only as many names as the limit allows are told.
pub fn fuzzy_matches_over() -> Body {
    fuzzy_over(Code::FuzzyWatchMatchOverLimit)
}

fn fuzzy_over(code: Code) -> Body {
    typed_error(Kind::NamingFuzzyWatch, code.number(), code.text())
}

/// `NotifySubscriberRequest` around a `ServiceInfo`: no copy, no allocation.
pub fn notify(request_id: u64, info: Bytes) -> Body {
    // The 20 digits of any id and the keys around them fit the small prefix; the rest follows.
    let before =
        Short::of(&[r#"{"requestId":""#, Digits::of(request_id).as_str(), r#"","serviceInfo":"#]);
    let after = br#","headers":{},"module":"naming"}"#.into();
    let json = Json::Shared { before, shared: info, after };
    Body::new("NotifySubscriberRequest", json)
}

/// `SetupAckRequest` with the server's abilities. Carries no id, expects no answer.
pub fn setup_ack(abilities: &[(&str, bool)]) -> Body {
    let mut out = br#"{"headers":{},"abilityTable":{"#.to_vec();
    for (at, (ability, on)) in abilities.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, ability);
        out.push(b':');
        json::write_bool(&mut out, *on);
    }
    out.extend_from_slice(br#"},"module":"internal"}"#);
    Body::new("SetupAckRequest", Json::Owned(out))
}

/// `ClientDetectionRequest`.
pub fn client_detection(request_id: u64) -> Body {
    let mut out = to_client(request_id);
    out.extend_from_slice(br#","module":"internal"}"#);
    Body::new("ClientDetectionRequest", Json::Owned(out))
}

/// The start of a request to a client, up to its own members.
pub(crate) fn to_client(request_id: u64) -> Vec<u8> {
    let mut out = br#"{"headers":{},"requestId":""#.to_vec();
    out.extend_from_slice(Digits::of(request_id).as_str().as_bytes());
    out.push(b'"');
    out
}

/// Where a `ConnectResetRequest` points to.
#[derive(Debug, Clone, Copy)]
pub struct Redirect<'a> {
    pub ip: &'a str,
    pub port: &'a str,
}

/// `ConnectResetRequest`. Without a redirect the client takes the next server of its list.
pub fn connect_reset(
    request_id: u64,
    redirect: Option<Redirect<'_>>,
    connection_id: Option<&str>,
) -> Body {
    let mut out = to_client(request_id);
    let members = [
        (",\"serverIp\":", redirect.map(|to| to.ip)),
        (",\"serverPort\":", redirect.map(|to| to.port)),
        (",\"connectionId\":", connection_id),
    ];
    for (key, value) in members {
        if let Some(value) = value {
            out.extend_from_slice(key.as_bytes());
            json::write_string(&mut out, value);
        }
    }
    out.extend_from_slice(br#","module":"internal"}"#);
    Body::new("ConnectResetRequest", Json::Owned(out))
}

/// One `NamingFuzzyWatchSyncRequest` or `ConfigFuzzyWatchSyncRequest`.
#[derive(Debug, Clone, Copy)]
pub struct FuzzySync<'a, N> {
    pub kind: SyncKind,
    pub pattern: &'a str,
    /// Empty with [`SyncKind::Finish`].
    pub contexts: &'a [(N, NameChange)],
    /// With [`SyncKind::Finish`] 1 (naming) or 0 (config).
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
    /// `FINISH_FUZZY_WATCH_INIT_NOTIFY`.
    Finish,
}

impl SyncKind {
    /// As the wire has it.
    pub fn name(self) -> &'static str {
        match self {
            SyncKind::Init => "FUZZY_WATCH_INIT_NOTIFY",
            SyncKind::Diff => "FUZZY_WATCH_DIFF_SYNC_NOTIFY",
            SyncKind::Finish => "FINISH_FUZZY_WATCH_INIT_NOTIFY",
        }
    }
}

fn changed_type(change: NameChange) -> &'static str {
    match change {
        NameChange::Added => "ADD_SERVICE",
        NameChange::Deleted => "DELETE_SERVICE",
    }
}

/// `NamingFuzzyWatchSyncRequest`.
pub fn fuzzy_sync(request_id: u64, sync: &FuzzySync<'_, ServiceKey>) -> Body {
    let mut out = to_client(request_id);
    out.extend_from_slice(b",\"syncType\":");
    json::write_string(&mut out, sync.kind.name());
    out.extend_from_slice(b",\"groupKeyPattern\":");
    json::write_string(&mut out, sync.pattern);
    out.extend_from_slice(b",\"contexts\":[");
    for (at, (service, change)) in sync.contexts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"serviceKey\":");
        json::write_string(&mut out, service.text());
        out.extend_from_slice(b",\"changedType\":");
        json::write_string(&mut out, changed_type(*change));
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"totalBatch\":");
    json::write_i64(&mut out, sync.total_batch as i64);
    out.extend_from_slice(b",\"currentBatch\":");
    json::write_i64(&mut out, sync.current_batch as i64);
    out.extend_from_slice(br#","module":"naming"}"#);
    Body::new("NamingFuzzyWatchSyncRequest", Json::Owned(out))
}

/// `NamingFuzzyWatchChangeNotifyRequest`.
pub fn fuzzy_change(request_id: u64, service: &ServiceKey, change: NameChange) -> Body {
    let mut out = to_client(request_id);
    out.extend_from_slice(br#","syncType":"FUZZY_WATCH_RESOURCE_CHANGED","serviceKey":"#);
    json::write_string(&mut out, service.text());
    out.extend_from_slice(b",\"changedType\":");
    json::write_string(&mut out, changed_type(change));
    out.extend_from_slice(br#","module":"naming"}"#);
    Body::new("NamingFuzzyWatchChangeNotifyRequest", Json::Owned(out))
}

/// `ErrorResponse` of what the reference throws while it carries out: the code twice, and in the
/// text (`naming.md` 2.1, as on the wire).
pub fn thrown(code: i32, text: &str) -> Body {
    failure(ERROR_RESPONSE, code, code, &format!("errCode: {code}, errMsg: {text} "))
}

/// The answer to a proposed registration or deregistration of a persistent instance.
pub fn proposed(purpose: Purpose, outcome: &Result<Answer, Unready>) -> Body {
    match outcome {
        Ok(Answer::Done { .. }) if purpose == Purpose::Register => registered(),
        Ok(Answer::Done { .. }) => deregistered(),
        Ok(Answer::Refused(refused)) if refused.code == Code::OverThreshold => {
            typed_error(Kind::PersistentInstance, Code::OverThreshold.number(), &refused.text)
        }
        Ok(Answer::Refused(refused)) => thrown(refused.code.number(), &refused.text),
        Err(unready) => {
            let code = Code::OverThreshold.number();
            typed_error(Kind::PersistentInstance, code, unready.sentence())
        }
    }
}

/// `ErrorResponse` built from a code and a text: `resultCode` 500 (`grpc-protocol.md` 3.4).
pub fn error(code: i32, message: &str) -> Body {
    failure(ERROR_RESPONSE, RESULT_FAIL, code, message)
}

/// A failing answer of the request's own type, `resultCode` 500: what filters and the 503 give.
pub fn typed_error(kind: Kind, code: i32, message: &str) -> Body {
    failure(kind.response_kind(), RESULT_FAIL, code, message)
}

/// The failing answer to a request of this kind: typed or `ErrorResponse`.
pub fn refusal(refusal: &Refusal, kind: Kind) -> Body {
    let response = if refusal.typed { kind.response_kind() } else { ERROR_RESPONSE };
    failure(response, refusal.result_code, refusal.error_code, &refusal.message)
}

fn failure(response: &'static str, result_code: i32, error_code: i32, message: &str) -> Body {
    let mut out = b"{\"resultCode\":".to_vec();
    json::write_i64(&mut out, i64::from(result_code));
    out.extend_from_slice(b",\"errorCode\":");
    json::write_i64(&mut out, i64::from(error_code));
    out.extend_from_slice(b",\"message\":");
    json::write_string(&mut out, message);
    // Java's primitives are there also in a failure.
    out.extend_from_slice(match response {
        "ServiceListResponse" => b",\"count\":0",
        "ConfigQueryResponse" => b",\"lastModified\":0,\"beta\":false",
        "ConfigChangeBatchListenResponse" => b",\"changedConfigs\":[]",
        _ => &b""[..],
    });
    out.extend_from_slice(b",\"success\":false}");
    Body { kind: response, json: Json::Owned(out), error_code }
}

#[cfg(test)]
mod tests;
