//! Long polls: `POST /v1/cs/configs/listener` (`http-api.md` 2.3).
//!
//! Held for as long as the client says, ten minutes at most: a poll asks `http1` for the time. Each
//! of its configs is judged by itself; a refused poll is a second late.

use super::{Answered, Fail, uncached};
use crate::admin::health::State;
use crate::front::open::input::Input;
use crate::front::open::{Api, POLL_SECONDS_BEYOND, REFUSED_DELAY, Refused, Reply, identity};
use crate::http1::header::{self, HeaderName, HeaderValue};
use crate::http1::{StatusCode, form, pause, reply};
use nacre_proto::probe;
use nacre_shards::auth::standing::of_config;
use nacre_shards::auth::{Action, Denial};
use nacre_shards::config::open::{Call as ConfigCall, Changed};
use nacre_shards::config::poll::{Poll, hold_ms, wants};
use nacre_shards::config::switches::Switches;
use nacre_shards::key::ConfigKey;
use nacre_shards::naming::open::{Answer, Call};

/// `Client-Version` in digits from which on a short poll is answered with nothing.
const SILENT_FROM: u32 = 204;
/// What it counts as without one.
const UNKNOWN_VERSION: u32 = 200;

pub async fn poll(api: &Api, input: &Input<'_>) -> Answered {
    let malformed = || Refused::invalid("invalid probeModify");
    let text = input.get("Listening-Configs").ok_or_else(malformed)?;
    // Some clients encode it twice; no name has a character that would suffer.
    let text = form::decode(text.as_bytes()).map_err(|_| malformed())?;
    let mut wants = wants(&text, &api.facts.config)?;
    drop(text);
    if let Some(who) = &input.who {
        wants.retain(|want| may_read(api, &who.user, &want.key));
        if wants.is_empty() {
            pause(REFUSED_DELAY).await;
            let denied = identity::denied(Denial::Forbidden, input.path);
            return Err(Fail::Written(Box::new(denied)));
        }
    }
    let said = said(input)?;
    let at_once = input.header("long-pulling-timeout-no-hangup")?;
    let at_once = at_once.is_some_and(|flag| flag.trim().eq_ignore_ascii_case("true"));
    let hold_ms = said.map(|said| hold_ms(said, Switches::of(&api.tables))).filter(|_| !at_once);
    if let (Some(hold_ms), Some(patience)) = (hold_ms, input.patience) {
        let seconds = u16::try_from(hold_ms.div_ceil(1_000)).unwrap_or(u16::MAX);
        patience.lasts(seconds.saturating_add(POLL_SECONDS_BEYOND));
    }
    let poll = Poll {
        wants,
        client_ip: input.source.to_string().into(),
        tag: input.header("vipserver-tag")?.map(Into::into),
        hold_ms,
    };
    let call = Call::Config(ConfigCall::Poll(Box::new(poll)));
    let mut changed = match api.desk.ask_held(call, Call::Config(ConfigCall::Leave)).await {
        Answer::Changed(changed) => changed,
        Answer::Refused(refused) => return Err(refused.into()),
        other => return Err(super::super::unexpected(&other).into()),
    };
    if let Some(who) = &input.who {
        // What he might hear of when he began to wait, he may not any more. His next poll says so.
        changed.retain(|changed| may_read(api, &who.user, &changed.key));
    }
    let reply = match said {
        Some(_) => told(&changed),
        None => told_in_headers(&changed, input),
    };
    Ok(match api.facts.readiness.get() {
        // Whoever polls again at once does so elsewhere.
        State::Stopping => reply::and(reply, header::CONNECTION, "close"),
        _ => reply,
    })
}

/// What a long poll's client says it waits, milliseconds; nothing in a short one.
fn said(input: &Input<'_>) -> Result<Option<i64>, Refused> {
    let Some(text) = input.header("long-pulling-timeout")? else { return Ok(None) };
    let said = text.trim().parse::<i64>();
    let said = said.map_err(|_| Refused::invalid(format!("For input string: \"{text}\"")))?;
    Ok(Some(said))
}

fn may_read(api: &Api, user: &str, key: &ConfigKey) -> bool {
    api.door.decide(user, Action::Read, &of_config(key)).is_ok()
}

/// Changed configs as text; an empty one when the time is over.
fn told(changed: &[Changed]) -> Reply {
    if changed.is_empty() {
        return reply::text(StatusCode::OK, "");
    }
    let mut text = encoded(changed);
    text.push('\n');
    uncached(reply::text(StatusCode::OK, text))
}

fn encoded(changed: &[Changed]) -> String {
    let mut text = String::new();
    for changed in changed {
        let name = changed.name();
        probe::write_changed(&mut text, name.data_id, name.group, name.namespace);
    }
    text
}

/// The answer of a short poll: in headers, for clients old enough to look there.
fn told_in_headers(changed: &[Changed], input: &Input<'_>) -> Reply {
    let mut reply = uncached(reply::text(StatusCode::OK, ""));
    if version(input) >= SILENT_FROM {
        return reply;
    }
    let old = changed.iter().map(Changed::name);
    let old: String = old.map(|name| format!("{}:{};", name.data_id, name.group)).collect();
    let new = encoded(changed);
    for (name, value) in [("probe-modify-response", old), ("probe-modify-response-new", new)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            reply.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    reply
}

/// `Client-Version` in digits: 2.0.4 is 204.
fn version(input: &Input<'_>) -> u32 {
    let text = input.headers.get("client-version").and_then(|value| value.to_str().ok());
    let digits: String = text.unwrap_or_default().split('.').collect();
    digits.parse().unwrap_or(UNKNOWN_VERSION)
}
