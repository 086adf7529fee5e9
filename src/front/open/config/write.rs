//! Publishing and removing.

use super::{Answered, Parts, absent, by, decided, done, required};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused};
use crate::http1::{StatusCode, reply};
use nacre_proto::text::{Pairs, Text};
use nacre_shards::config::open;
use nacre_shards::key::ConfigName;
use nacre_shards::naming::accept::PUBLIC;
use nacre_shards::naming::open::Call;

/// Members beside the content: what the command calls them, what parameters may.
const MEMBERS: [(&str, &[&str]); 10] = [
    ("tag", &["tag"]),
    ("appName", &["appName"]),
    ("type", &["type"]),
    ("src_user", &["srcUser", "src_user"]),
    ("encryptedDataKey", &["encryptedDataKey"]),
    ("config_tags", &["configTags", "config_tags"]),
    ("desc", &["desc"]),
    ("use", &["use"]),
    ("effect", &["effect"]),
    ("schema", &["schema"]),
];

/// The formal config, or a gray variant: by the header `betaIps`, by the parameter `tag`.
pub async fn publish(api: &Api, input: &Input<'_>) -> Answered {
    let content = required(input, "content", input.get("content"))?;
    let mut request = Parts::of(input)?.publish(content.to_owned());
    request.cas_md5 = input.header("casmd5")?.map(owned);
    request.addition = addition(input)?;
    let call = open::Call::Publish { request: Box::new(request), by: by(input) };
    let answer = api.ask(Call::Config(call)).await?;
    match decided(answer) {
        Ok(()) => Ok(done(input.version)),
        // Decided against: v1 says no more.
        Err(refused) if input.version == Version::V1 && refused.status != 503 => {
            let status = StatusCode::from_u16(refused.status);
            Ok(reply::json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "false"))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Description and tags alone: what is there is published once more with them, unless it changes
/// meanwhile. A tag or description that is not given stays.
pub async fn metadata(api: &Api, input: &Input<'_>) -> Answered {
    let parts = Parts::of(input)?;
    open::serving(&api.tables)?;
    let name = ConfigName {
        data_id: parts.data_id,
        group: parts.group,
        namespace: parts.tenant.map_or(PUBLIC, str::trim),
    };
    let entry = api.tables.get(name);
    let Some(formal) = entry.as_ref().and_then(|entry| entry.formal.as_ref()) else {
        return Err(absent().into());
    };
    let details = formal.details();
    let mut request = parts.publish(formal.content().into_owned());
    request.cas_md5 = Some(owned(&String::from_utf8_lossy(&formal.md5.hex())));
    let given = |name: &str, now: &str| input.form.get(name).unwrap_or(now).to_owned();
    let members = [
        ("type", details.config_type.to_owned()),
        ("encryptedDataKey", details.encrypted_data_key.to_owned()),
        ("appName", details.app_name.to_owned()),
        ("config_tags", given("configTags", details.tags)),
        ("desc", given("desc", details.description)),
        ("use", details.usage.to_owned()),
        ("effect", details.effect.to_owned()),
        ("schema", details.schema.to_owned()),
    ];
    let members = members.into_iter().filter(|(_, value)| !value.is_empty());
    request.addition = Pairs(members.map(|(key, value)| (key.into(), value.into())).collect());
    let call = open::Call::Publish { request: Box::new(request), by: by(input) };
    decided(api.ask(Call::Config(call)).await?)?;
    Ok(done(input.version))
}

fn addition(input: &Input<'_>) -> Result<Pairs<'static>, Refused> {
    let mut pairs = Vec::new();
    for (member, names) in MEMBERS {
        if let Some(value) = names.iter().find_map(|name| input.get(name)) {
            pairs.push((Text::from(member), owned(value)));
        }
    }
    if let Some(addresses) = input.header("betaips")? {
        pairs.push((Text::from("betaIps"), owned(addresses)));
    }
    Ok(Pairs(pairs))
}

fn owned(text: &str) -> Text<'static> {
    text.to_owned().into()
}

/// The formal config, or the variant of a tag. What is not there is a success.
pub async fn remove(api: &Api, input: &Input<'_>) -> Answered {
    let mut request = Parts::of(input)?.remove();
    request.tag = input.get("tag").map(owned);
    remove_this(api, input, request).await?;
    Ok(done(input.version))
}

/// Has it removed.
pub async fn remove_this(
    api: &Api,
    input: &Input<'_>,
    request: nacre_proto::config::ConfigRemoveRequest<'static>,
) -> Result<(), Refused> {
    let call = open::Call::Remove { request: Box::new(request), by: by(input) };
    decided(api.ask(Call::Config(call)).await?)
}
