//! Quotas of namespaces and groups (`http-api.md` 2.4, `config.md` 12).

use super::history::ask;
use super::{Answered, Fail, decided, done};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, shape};
use crate::http1::date::iso_date;
use nacre_proto::code::Code;
use nacre_shards::config::accept;
use nacre_shards::config::open::{Call as ConfigCall, serving};
use nacre_shards::durable::capacity::Capacity;
use nacre_shards::durable::command::{Scope, Sizes};
use nacre_shards::durable::question::{Known, Question};
use nacre_shards::naming::accept::PUBLIC;
use nacre_shards::naming::open::Call;
use serde_json::json;

/// Units of a name.
const NAME_UNITS_MAX: usize = 128;

/// What the reference shows where nothing is set, and no setting of ours says otherwise.
const QUOTA: u32 = 200;
const CONTENT_BYTES: u32 = 102_400;
const AGGREGATE_COUNT: u32 = 10_000;
const AGGREGATE_BYTES: u32 = 1_024;

/// What a request is about: a namespace or a group. One that no config may have has no quota.
fn subject<'a>(api: &Api, input: &'a Input<'_>) -> Result<(Scope, &'a str), Fail> {
    let group = input.either("groupName", "group").map(str::trim);
    let namespace = input.either("namespaceId", "tenant").map(str::trim);
    let subject = match (group, namespace) {
        (Some(group), _) => (Scope::Group, group),
        (None, Some(namespace)) => (Scope::Namespace, namespace),
        (None, None) => {
            let text = "At least one of the parameters(groupName or namespaceId) must be provided";
            return Err(Refused::new(400, Code::ParameterMissing, text).into());
        }
    };
    if subject.1.encode_utf16().count() > NAME_UNITS_MAX {
        return Err(Refused::invalid("the name is too long").into());
    }
    let parts = [Some("any"), group.or(Some("any")), namespace];
    accept::named(parts, &api.facts.config).map_err(Refused::from)?;
    Ok(subject)
}

async fn known(api: &Api, scope: Scope, id: &str) -> Result<Option<Capacity>, Refused> {
    match ask(api, Question::Capacity { scope, id: id.into() }).await? {
        Known::Capacity(capacity) => Ok(capacity),
        _ => Err(Refused::new(500, Code::ServerError, "the server answered another question")),
    }
}

/// The quota and how much of it is used. 0 stands for the default, which is shown.
pub async fn show(api: &Api, input: &Input<'_>) -> Answered {
    let (scope, id) = subject(api, input)?;
    let capacity = known(api, scope, id).await?;
    let sizes = capacity.map(|capacity| capacity.sizes).unwrap_or_default();
    serving(&api.tables)?;
    let names = api.tables.names();
    let usage = match scope {
        Scope::Namespace => names.of_namespace(id).len(),
        Scope::Group => names.of_group(PUBLIC, id).len(),
    };
    let quotas = api.facts.config.quotas;
    let or = |own: u32, default: u32| if own == 0 { default } else { own };
    let name = match scope {
        Scope::Group => "groupName",
        Scope::Namespace => "namespaceId",
    };
    let time = |pick: fn(&Capacity) -> u64| capacity.as_ref().map(|known| iso_date(pick(known)));
    let json = json!({
        "id": capacity.map(|known| known.created_ms.to_string()),
        "quota": or(sizes.quota, quotas.map_or(QUOTA, |quotas| quotas.namespace)),
        "usage": usage,
        "maxSize": or(sizes.content_bytes, quotas.map_or(CONTENT_BYTES, |of| of.content_bytes)),
        "maxAggrCount": or(sizes.aggregate_count, AGGREGATE_COUNT),
        "maxAggrSize": or(sizes.aggregate_bytes, AGGREGATE_BYTES),
        "gmtCreate": time(|known| known.created_ms),
        "gmtModified": time(|known| known.modified_ms),
        name: id,
    });
    Ok(enveloped(input, &json.to_string()))
}

/// Sets what is given; the rest stays.
pub async fn set(api: &Api, input: &Input<'_>) -> Answered {
    let (scope, id) = subject(api, input)?;
    let mut sizes = known(api, scope, id).await?.map(|known| known.sizes).unwrap_or_default();
    let Sizes { quota, content_bytes, aggregate_count, aggregate_bytes } = &mut sizes;
    let mut is_given = false;
    for (name, size) in [
        ("quota", quota),
        ("maxSize", content_bytes),
        ("maxAggrCount", aggregate_count),
        ("maxAggrSize", aggregate_bytes),
    ] {
        if input.get(name).is_none() {
            continue;
        }
        is_given = true;
        let given = input.whole(name, 0)?;
        let text = || Refused::invalid(format!("'{name}' must not be negative: {given}"));
        *size = u32::try_from(given).map_err(|_| text())?;
    }
    if !is_given {
        let text = "At least one of the parameters(quota, maxSize, maxAggrCount or maxAggrSize) \
                    must be provided";
        return Err(Refused::new(400, Code::ParameterMissing, text).into());
    }
    let call = ConfigCall::Capacity { scope, id: id.into(), sizes };
    decided(api.ask(Call::Config(call)).await?)?;
    Ok(match input.version {
        Version::V1 => shape::rest_result(b"true"),
        version => done(version),
    })
}

fn enveloped(input: &Input<'_>, json: &str) -> crate::front::open::Reply {
    match input.version {
        Version::V1 => shape::rest_result(json.as_bytes()),
        Version::V2 | Version::V3 => shape::result(json.as_bytes()),
    }
}
