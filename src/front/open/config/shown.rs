//! Configs and their history as JSON, in the words of each version (`http-api.md` 2.1, 2.4, 7.2).

use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::http1::date::iso_date;
use nacre_shards::config::details::Details;
use nacre_shards::config::entry::{Entry, Gray, Variant};
use nacre_shards::config::gray::RULE_VERSION;
use nacre_shards::durable::history::Operation;
use nacre_shards::durable::question::Past;
use nacre_shards::key::ConfigName;
use nacre_shards::naming::accept::PUBLIC;
use serde_json::{Map, Value, json};

/// Wide as the reference's column, which it shows.
const OPERATION_WIDTH: usize = 10;

/// The namespace as the client named it: blank stays blank up to v2.
pub fn tenant<'a>(input: &Input<'_>, namespace: &'a str) -> &'a str {
    let named = input.either("namespaceId", "tenant").is_some();
    if input.version == Version::V3 || named || namespace != PUBLIC { namespace } else { "" }
}

/// `ConfigInfo`, `ConfigInfoWrapper` without content.
pub fn info(name: ConfigName<'_>, tenant: &str, variant: &Variant, with_content: bool) -> Value {
    let details = variant.details();
    json!({
        "id": variant.id.to_string(),
        "dataId": name.data_id,
        "group": name.group,
        "content": with_content.then(|| variant.content()),
        "md5": hex(variant),
        "encryptedDataKey": details.encrypted_data_key,
        "tenant": tenant,
        "appName": details.app_name,
        "type": details.config_type,
        "lastModified": variant.modified_ms,
    })
}

/// What v1's `ConfigAllInfo` adds to [`info`].
pub fn advance(variant: &Variant) -> Value {
    let details = variant.details();
    json!({
        "createTime": variant.created_ms,
        "modifyTime": variant.modified_ms,
        "createUser": details.source_user,
        "createIp": details.source_ip,
        "desc": details.description,
        "use": details.usage,
        "effect": details.effect,
        "schema": details.schema,
        "configTags": details.tags,
    })
}

/// v3 `ConfigBasicInfo`.
pub fn basic(name: ConfigName<'_>, variant: &Variant) -> Value {
    let details = variant.details();
    json!({
        "id": variant.id.to_string(),
        "namespaceId": name.namespace,
        "groupName": name.group,
        "dataId": name.data_id,
        "md5": hex(variant),
        "type": details.config_type,
        "appName": details.app_name,
        "createTime": variant.created_ms,
        "modifyTime": variant.modified_ms,
    })
}

/// v3 `ConfigDetailInfo`.
pub fn detail(name: ConfigName<'_>, variant: &Variant) -> Value {
    let details = variant.details();
    let more = json!({
        "content": variant.content(),
        "desc": details.description,
        "encryptedDataKey": details.encrypted_data_key,
        "createUser": details.source_user,
        "createIp": details.source_ip,
        "configTags": details.tags,
    });
    joined(basic(name, variant), more)
}

/// v3 `ConfigGrayInfo`.
pub fn gray(name: ConfigName<'_>, gray: &Gray) -> Value {
    let rule = gray.rule();
    let rule = json!({
        "type": rule.kind.name(),
        "version": RULE_VERSION,
        "expr": rule.expression,
        "priority": rule.priority,
    });
    let more = json!({ "grayName": gray.name, "grayRule": rule.to_string() });
    joined(detail(name, &gray.variant), more)
}

/// All of `more` into `into`.
pub fn joined(mut into: Value, more: Value) -> Value {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
    into
}

/// A formal config's variant, where there is one.
pub fn formal(entry: &Entry) -> Option<(ConfigName<'_>, &Variant)> {
    Some((entry.key.name(), entry.formal.as_ref()?))
}

fn hex(variant: &Variant) -> String {
    String::from_utf8_lossy(&variant.md5.hex()).into_owned()
}

/// A row of history. Contents are where they were read.
pub fn past(input: &Input<'_>, past: &Past) -> Value {
    let name = past.key.name();
    let details = past.details.get();
    let (md5, operation) = (past.md5.hex(), operation(past.operation));
    let md5 = String::from_utf8_lossy(&md5);
    let publish_type = if past.gray.is_some() { "gray" } else { "formal" };
    let gray_name = past.gray.as_ref().map(|gray| &*gray.name);
    if input.version == Version::V3 {
        let basic = json!({
            "id": past.number.to_string(),
            "namespaceId": name.namespace,
            "groupName": name.group,
            "dataId": name.data_id,
            "md5": md5,
            "type": details.config_type,
            "appName": details.app_name,
            "createTime": past.at_ms,
            "modifyTime": past.at_ms,
            "srcIp": past.source_ip,
            "srcUser": past.source_user,
            "opType": operation,
            "publishType": publish_type,
        });
        let Some(content) = &past.content else { return basic };
        let more = json!({
            "content": content,
            "encryptedDataKey": details.encrypted_data_key,
            "grayName": gray_name,
            "extInfo": extra(past),
        });
        return joined(basic, more);
    }
    json!({
        "id": past.number.to_string(),
        "lastId": -1,
        "dataId": name.data_id,
        "group": name.group,
        "tenant": tenant(input, name.namespace),
        "appName": details.app_name,
        "md5": md5,
        "content": past.content,
        "srcIp": past.source_ip,
        "srcUser": past.source_user,
        "opType": operation,
        "publishType": publish_type,
        "grayName": gray_name,
        "extInfo": extra(past),
        "createdTime": iso_date(past.at_ms),
        "lastModifiedTime": iso_date(past.at_ms),
        "encryptedDataKey": details.encrypted_data_key,
    })
}

/// A config as it was before or after a change.
pub struct Side {
    md5: String,
    content: Option<String>,
    key: String,
    extra: String,
}

/// What a row of history holds.
pub fn side(past: &Past) -> Side {
    Side {
        md5: String::from_utf8_lossy(&past.md5.hex()).into_owned(),
        content: past.content.clone(),
        key: past.details.get().encrypted_data_key.to_owned(),
        extra: extra(past),
    }
}

/// What a variant is now.
pub fn side_of(variant: &Variant) -> Side {
    let details = variant.details();
    Side {
        md5: hex(variant),
        content: Some(variant.content().into_owned()),
        key: details.encrypted_data_key.to_owned(),
        extra: extra_of(&details),
    }
}

/// One change with both its sides.
pub fn change(
    input: &Input<'_>,
    past: &Past,
    before: Option<&Side>,
    after: Option<&Side>,
) -> Value {
    let name = past.key.name();
    json!({
        "id": past.number,
        "lastId": -1,
        "dataId": name.data_id,
        "group": name.group,
        "tenant": tenant(input, name.namespace),
        "opType": operation(past.operation),
        "publishType": if past.gray.is_some() { "gray" } else { "formal" },
        "grayName": past.gray.as_ref().map(|gray| &*gray.name),
        "appName": past.details.get().app_name,
        "srcIp": past.source_ip,
        "srcUser": past.source_user,
        "originalMd5": before.map(|side| &side.md5),
        "originalContent": before.map(|side| &side.content),
        "originalEncryptedDataKey": before.map(|side| &side.key),
        "originalExtInfo": before.map(|side| &side.extra),
        "updatedMd5": after.map(|side| &side.md5),
        "updatedContent": after.map(|side| &side.content),
        "updatedEncryptedDataKey": after.map(|side| &side.key),
        "updateExtInfo": after.map(|side| &side.extra),
        "createdTime": iso_date(past.at_ms),
        "lastModifiedTime": iso_date(past.at_ms),
    })
}

fn operation(operation: Operation) -> String {
    format!("{:OPERATION_WIDTH$}", operation.letter())
}

/// `ext_info`: what belonged to the row, blank values left out (`config.md` 11).
fn extra(past: &Past) -> String {
    let details = past.details.get();
    let mut extra = Map::new();
    let mut put = |key: &str, value: &str| {
        if !value.trim().is_empty() {
            extra.insert(key.to_owned(), value.into());
        }
    };
    put("src_user", &past.source_user);
    if let Some(gray) = &past.gray {
        let rule = json!({
            "type": gray.kind.name(),
            "version": gray.version(),
            "expr": gray.expression,
            "priority": gray.priority.to_string(),
        });
        put("gray_name", &gray.name);
        put("gray_rule", &rule.to_string());
        return Value::Object(extra).to_string();
    }
    for (key, value) in kept_extra(&details) {
        put(key, value);
    }
    Value::Object(extra).to_string()
}

/// The same of what is there now.
fn extra_of(details: &Details<'_>) -> String {
    let kept = kept_extra(details).into_iter().filter(|(_, value)| !value.trim().is_empty());
    let user = Some(("src_user", details.source_user)).filter(|(_, user)| !user.trim().is_empty());
    let all: Map<String, Value> =
        user.into_iter().chain(kept).map(|(key, value)| (key.to_owned(), value.into())).collect();
    Value::Object(all).to_string()
}

fn kept_extra<'a>(details: &Details<'a>) -> [(&'static str, &'a str); 6] {
    [
        ("type", details.config_type),
        ("config_tags", details.tags),
        ("effect", details.effect),
        ("c_desc", details.description),
        ("c_use", details.usage),
        ("c_schema", details.schema),
    ]
}
