//! The one variant made by `betaIps`, and details of a config.

use super::write::remove_this;
use super::{Answered, Fail, Parts, absent, done, shown};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Reply, shape};
use crate::http1::{StatusCode, reply};
use nacre_shards::config::entry::Entry;
use nacre_shards::config::gray::BETA;
use nacre_shards::config::open;
use serde_json::{Value, json};
use std::sync::Arc;

fn entry(api: &Api, input: &Input<'_>) -> Result<Option<Arc<Entry>>, Fail> {
    let parts = Parts::of(input)?.given();
    Ok(open::entry(&api.tables, &api.facts.config, parts)?)
}

/// All there is to a formal config. Absent: nothing in v1, 404 later.
pub fn detail(api: &Api, input: &Input<'_>) -> Answered {
    let entry = entry(api, input)?;
    let Some((name, formal)) = entry.as_deref().and_then(shown::formal) else {
        return match input.version {
            Version::V1 => Ok(reply::json(StatusCode::OK, "")),
            _ => Err(absent().into()),
        };
    };
    let json = match input.version {
        Version::V3 => shown::detail(name, formal),
        _ => {
            let tenant = shown::tenant(input, name.namespace);
            shown::joined(shown::info(name, tenant, formal, true), shown::advance(formal))
        }
    };
    Ok(shape::json_of(input.version, json.to_string().into()))
}

/// v1: what is kept beside the content.
pub fn catalog(api: &Api, input: &Input<'_>) -> Answered {
    let entry = entry(api, input)?;
    let formal = entry.as_ref().and_then(|entry| entry.formal.as_ref());
    let json = formal.map_or(Value::Null, shown::advance);
    Ok(shape::rest_result(json.to_string().as_bytes()))
}

/// The beta. Absent: null in v1, 404 later.
pub fn beta(api: &Api, input: &Input<'_>) -> Answered {
    let entry = entry(api, input)?;
    let beta = entry.as_ref().and_then(|entry| Some((entry.key.name(), entry.gray(BETA)?)));
    if input.version == Version::V1 {
        let json = beta.map_or(Value::Null, |(name, beta)| {
            let tenant = shown::tenant(input, name.namespace);
            let info = shown::info(name, tenant, &beta.variant, true);
            shown::joined(info, json!({ "betaIps": beta.rule().expression }))
        });
        return Ok(told("query beta ok", &json));
    }
    let (name, beta) = beta.ok_or_else(absent)?;
    Ok(shape::result(shown::gray(name, beta).to_string().as_bytes()))
}

/// Ends the beta; one that is not there is a success (`config.md` 20).
pub async fn stop_beta(api: &Api, input: &Input<'_>) -> Answered {
    let mut request = Parts::of(input)?.remove();
    request.tag = Some(BETA.into());
    remove_this(api, input, request).await?;
    Ok(match input.version {
        Version::V1 => told("stop beta ok", &Value::Bool(true)),
        version => done(version),
    })
}

/// `RestResult` with a message.
fn told(message: &str, data: &Value) -> Reply {
    let json = json!({ "code": 200, "message": message, "data": data });
    reply::json(StatusCode::OK, json.to_string())
}
