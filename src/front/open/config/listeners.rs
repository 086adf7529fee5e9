//! Who listens to what, on all cores of this node (`config.md` 15): connections of the other wire
//! and held polls.

use super::search::namespace;
use super::{Answered, Fail, Parts, required};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, Reply, shape, unexpected};
use crate::http1::{StatusCode, reply};
use nacre_shards::config::accept;
use nacre_shards::config::open::{Call as ConfigCall, Of};
use nacre_shards::key::{ConfigKey, Core};
use nacre_shards::naming::accept::PUBLIC;
use nacre_shards::naming::open::{Answer, Call};
use serde_json::{Map, Value, json};

/// Addresses that listen to a config.
pub async fn of_config(api: &Api, input: &Input<'_>) -> Answered {
    let parts = Parts::of(input)?.given();
    let name = accept::named(parts, &api.facts.config).map_err(Refused::from)?;
    let found = gather(api, Of::Config(ConfigKey::new(name))).await?;
    Ok(status(input, "config", found))
}

/// Configs an address listens to. Without `all` those of one namespace.
pub async fn of_client(api: &Api, input: &Input<'_>) -> Answered {
    let ip = required(input, "ip", input.get("ip"))?.trim();
    let all = input.flag("all")?.unwrap_or(false);
    let mut found = gather(api, Of::Client(ip.into())).await?;
    let wanted = namespace(input);
    // A namespace has no character that a group key escapes.
    found.retain(|key, _| all || key.rsplit('+').next() == Some(wanted));
    if input.version != Version::V3 && wanted == PUBLIC && !all {
        // Up to v2 the default namespace is blank, and so is its part of the key.
        let plain = |(key, md5): (String, Value)| match key.rsplit_once('+') {
            Some((key, PUBLIC)) => (key.to_owned(), md5),
            _ => (key, md5),
        };
        found = found.into_iter().map(plain).collect();
    }
    Ok(status(input, "ip", found))
}

async fn gather(api: &Api, of: Of) -> Result<Map<String, Value>, Fail> {
    let (mut all, mut core, mut cores) = (Map::new(), 0, 1);
    while core < cores {
        let call = ConfigCall::Listeners { core: Core(core), of: of.clone() };
        match api.ask(Call::Config(call)).await? {
            Answer::Listeners { cores: count, found } => {
                cores = count;
                all.extend(found.into_iter().map(|(name, md5)| (name, md5.into())));
            }
            other => return Err(unexpected(&other).into()),
        }
        core += 1;
    }
    Ok(all)
}

fn status(input: &Input<'_>, kind: &str, found: Map<String, Value>) -> Reply {
    match input.version {
        Version::V3 => {
            let status = json!({ "queryType": kind, "listenersStatus": found });
            shape::result(status.to_string().as_bytes())
        }
        // The reference's spelling.
        Version::V1 | Version::V2 => {
            let status = json!({ "collectStatus": 200, "lisentersGroupkeyStatus": found });
            reply::json(StatusCode::OK, status.to_string())
        }
    }
}
