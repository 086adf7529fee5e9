//! What config clients say of themselves (`http-api.md` 2.4, 7.2; `config.md` 15): each is asked,
//! and has a second to answer.

use super::{Answered, Fail, Parts, required};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, shape, unexpected};
use crate::http1::{StatusCode, reply};
use nacre_shards::config::accept;
use nacre_shards::config::answer::group_key;
use nacre_shards::config::inquiry::Inquiry;
use nacre_shards::config::open::Call as ConfigCall;
use nacre_shards::key::{ConfigKey, Core};
use nacre_shards::naming::accept::PUBLIC;
use nacre_shards::naming::check::is_blank;
use nacre_shards::naming::open::{Answer, Call};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `ClientConfigMetricResponse`.
#[derive(Deserialize)]
struct Told {
    metrics: Option<Map<String, Value>>,
}

/// What all clients of an address say, as one map: of what two say under one name, one stands.
pub async fn of_clients(api: &Api, input: &Input<'_>) -> Answered {
    let client_ip = required(input, "ip", input.get("ip"))?.trim().into();
    let config = match input.get("dataId").is_some_and(|data_id| !is_blank(data_id)) {
        true => Some(key(api, input)?),
        false => None,
    };
    let inquiry = Inquiry { client_ip, config };
    let ask = |core| {
        let call = ConfigCall::Inquire { core: Core(core), inquiry: inquiry.clone() };
        api.ask(Call::Config(call))
    };
    // All are asked before the first is waited for: each may take its second.
    let asked: Vec<_> = (0..api.facts.cores).map(ask).collect();
    let mut metrics = Map::new();
    for call in asked {
        match call.await? {
            Answer::Metrics(answers) => answers.iter().for_each(|json| merge(&mut metrics, json)),
            other => return Err(unexpected(&other).into()),
        }
    }
    let json = Value::Object(metrics).to_string();
    Ok(match input.version {
        Version::V3 => shape::result(json.as_bytes()),
        Version::V1 | Version::V2 => reply::json(StatusCode::OK, json),
    })
}

/// As the sender spells it: clients up to 2.x leave the default namespace out of their keys.
fn key(api: &Api, input: &Input<'_>) -> Result<Box<str>, Fail> {
    let parts = Parts::of(input)?.given();
    let name = accept::named(parts, &api.facts.config).map_err(Refused::from)?;
    let key = group_key(&ConfigKey::new(name));
    let is_blank = parts[2].is_none_or(is_blank) && input.version != Version::V3;
    let plain = key.strip_suffix(&format!("+{PUBLIC}")).filter(|_| is_blank);
    Ok(plain.unwrap_or(&key).into())
}

/// An answer that is none adds nothing.
fn merge(metrics: &mut Map<String, Value>, json: &[u8]) {
    if let Ok(Told { metrics: Some(told) }) = serde_json::from_slice(json) {
        metrics.extend(told);
    }
}
