//! The JSON of answers and pushes of the config module (`config.md` 4 to 7). What a query finds is
//! escaped already in its [`Variant`].

use crate::config::entry::{BEFORE_CONTENT, Variant};
use crate::durable::answer::Answer;
use crate::effect::{Body, Json, Short};
use crate::key::ConfigKey;
use crate::message::{NameChange, Purpose, Unready};
use crate::naming::answer::{self, SyncKind, to_client};
use nacre_proto::code::Code;
use nacre_proto::config::ListenContext;
use nacre_proto::json;
use nacre_proto::request::Kind;

const SUCCESS: &str = r#"{"resultCode":200,"errorCode":0,"success":true}"#;

/// `ConfigQueryResponse` of a variant: no copy of its content.
pub fn found(variant: &Variant) -> Body {
    let (before, shared) = (Short::of(&[BEFORE_CONTENT]), variant.escaped.clone());
    let json = Json::Shared { before, shared, after: variant.after_content().into() };
    Body::new("ConfigQueryResponse", json)
}

/// `ConfigQueryResponse`: nothing there. `tag` is that of a query that asked for one.
pub fn not_found(tag: Option<&str>) -> Body {
    let mut out =
        br#"{"resultCode":500,"errorCode":300,"message":"config data not exist""#.to_vec();
    out.extend_from_slice(br#","lastModified":0,"beta":false"#);
    if let Some(tag) = tag {
        out.extend_from_slice(b",\"tag\":");
        json::write_string(&mut out, tag);
    }
    out.extend_from_slice(br#","success":false}"#);
    let error_code = Code::CONFIG_NOT_FOUND.number();
    Body { kind: "ConfigQueryResponse", json: Json::Owned(out), error_code }
}

/// The answer to a proposed command of this module.
pub fn proposed(purpose: Purpose, outcome: &Result<Answer, Unready>) -> Body {
    let kind = match purpose {
        Purpose::Publish => Kind::ConfigPublish,
        Purpose::Remove => Kind::ConfigRemove,
        Purpose::Register | Purpose::Deregister | Purpose::Open | Purpose::Care => {
            unreachable!("not of this module")
        }
    };
    match outcome {
        Ok(Answer::Done { .. }) => Body::new(kind.response_kind(), Json::Static(SUCCESS)),
        Ok(Answer::Refused(refused)) => {
            // Only capacity keeps its code on gRPC.
            let code = match refused.code {
                Code::ClusterQuotaReached
                | Code::GroupQuotaReached
                | Code::TenantQuotaReached
                | Code::ContentTooLarge => refused.code,
                _ => Code::ServerError,
            };
            answer::typed_error(kind, code.number(), &refused.text)
        }
        Err(unready) => answer::typed_error(kind, Code::OverThreshold.number(), unready.sentence()),
    }
}

/// `ConfigChangeBatchListenResponse`: those of the contexts that are not as the client has them,
/// the tenant as the client spelled it.
pub fn changed<'a, 'b: 'a>(contexts: impl Iterator<Item = &'a ListenContext<'b>>) -> Body {
    let mut out = br#"{"resultCode":200,"errorCode":0,"changedConfigs":["#.to_vec();
    for (at, context) in contexts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'{');
        let start = out.len();
        let members =
            [("group", &context.group), ("dataId", &context.data_id), ("tenant", &context.tenant)];
        for (member, value) in members {
            let Some(value) = value else { continue };
            if out.len() > start {
                out.push(b',');
            }
            json::write_string(&mut out, member);
            out.push(b':');
            json::write_string(&mut out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(br#"],"success":true}"#);
    Body::new("ConfigChangeBatchListenResponse", Json::Owned(out))
}

/// `ConfigFuzzyWatchResponse`, success (watch and cancel).
pub fn fuzzy() -> Body {
    Body::new("ConfigFuzzyWatchResponse", Json::Static(SUCCESS))
}

/// `ConfigChangeNotifyRequest`. Without the tenant for whoever listened with a blank one.
pub fn notify(request_id: u64, key: &ConfigKey, with_tenant: bool) -> Body {
    let name = key.name();
    let mut out = to_client(request_id);
    out.extend_from_slice(b",\"dataId\":");
    json::write_string(&mut out, name.data_id);
    out.extend_from_slice(b",\"group\":");
    json::write_string(&mut out, name.group);
    if with_tenant {
        out.extend_from_slice(b",\"tenant\":");
        json::write_string(&mut out, name.namespace);
    }
    out.extend_from_slice(br#","module":"config"}"#);
    Body::new("ConfigChangeNotifyRequest", Json::Owned(out))
}

/// `ClientConfigMetricRequest`: what a client knows of itself, and of the config of a group key.
pub fn client_metrics(request_id: u64, config: Option<&str>) -> Body {
    let mut out = to_client(request_id);
    out.extend_from_slice(b",\"metricsKeys\":[");
    if let Some(key) = config {
        for (before, kind) in [("", "cacheData"), (",", "snapshotData")] {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(b"{\"type\":");
            json::write_string(&mut out, kind);
            out.extend_from_slice(b",\"key\":");
            json::write_string(&mut out, key);
            out.push(b'}');
        }
    }
    out.extend_from_slice(br#"],"module":"config"}"#);
    Body::new("ClientConfigMetricRequest", Json::Owned(out))
}

/// `dataId+group+tenant`, its parts escaped (`config.md` 1).
pub fn group_key(key: &ConfigKey) -> String {
    let name = key.name();
    let escaped = |part: &str| part.replace('%', "%25").replace('+', "%2B");
    let parts = [name.data_id, name.group, name.namespace];
    parts.map(escaped).join("+")
}

/// `ConfigFuzzyWatchSyncRequest`. The last message of a first synchronisation has no contexts and
/// counts no batches.
pub fn fuzzy_sync(request_id: u64, sync: &answer::FuzzySync<'_, ConfigKey>) -> Body {
    let mut out = to_client(request_id);
    out.extend_from_slice(b",\"groupKeyPattern\":");
    json::write_string(&mut out, sync.pattern);
    if sync.kind != SyncKind::Finish {
        out.extend_from_slice(b",\"contexts\":[");
        for (at, (key, change)) in sync.contexts.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"groupKey\":");
            json::write_string(&mut out, &group_key(key));
            out.extend_from_slice(match change {
                NameChange::Added => br#","changedType":"ADD_CONFIG"}"#,
                NameChange::Deleted => br#","changedType":"DELETE_CONFIG"}"#,
            });
        }
        out.push(b']');
    }
    out.extend_from_slice(b",\"syncType\":");
    json::write_string(&mut out, sync.kind.name());
    out.extend_from_slice(b",\"totalBatch\":");
    json::write_u64(&mut out, sync.total_batch as u64);
    out.extend_from_slice(b",\"currentBatch\":");
    json::write_u64(&mut out, sync.current_batch as u64);
    out.extend_from_slice(br#","module":"config"}"#);
    Body::new("ConfigFuzzyWatchSyncRequest", Json::Owned(out))
}

/// `ConfigFuzzyWatchChangeNotifyRequest`.
pub fn fuzzy_change(request_id: u64, key: &ConfigKey, change: NameChange) -> Body {
    let mut out = to_client(request_id);
    out.extend_from_slice(b",\"groupKey\":");
    json::write_string(&mut out, &group_key(key));
    out.extend_from_slice(match change {
        NameChange::Added => br#","changeType":"CONFIG_CHANGED","module":"config"}"#,
        NameChange::Deleted => br#","changeType":"DELETE_CONFIG","module":"config"}"#,
    });
    Body::new("ConfigFuzzyWatchChangeNotifyRequest", Json::Owned(out))
}

#[cfg(test)]
mod tests;
