//! What a config says, as a client is to see it.

use super::{Answered, Parts, absent, uncached};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Reply, shape};
use crate::http1::date::http_date;
use crate::http1::header::{self, HeaderName, HeaderValue};
use crate::http1::{StatusCode, reply};
use nacre_proto::code::Code;
use nacre_proto::json;
use nacre_shards::config::entry::{self, Variant};
use nacre_shards::config::gray::RuleKind;
use nacre_shards::config::open::{self, Found, Question};

pub const ABSENT: &str = "config data not exist";

/// The content, bare in v1, in an envelope in v2; what belongs to it in headers.
pub fn content(api: &Api, input: &Input<'_>) -> Answered {
    let found = find(api, input)?;
    let Some(variant) = found.variant() else {
        return Ok(not_found(&found, input));
    };
    let content = variant.content();
    let reply = match input.version {
        Version::V1 => {
            let kind = content_type(variant.details().config_type);
            reply::with_type(StatusCode::OK, kind, content.into_owned().into_bytes())
        }
        Version::V2 | Version::V3 => {
            let mut data = Vec::with_capacity(content.len() + 2);
            json::write_string(&mut data, &content);
            shape::result(&data)
        }
    };
    Ok(described(reply, &found, variant))
}

/// What the other wire answers, in an envelope. Nothing there is a success with a code.
pub fn client_query(api: &Api, input: &Input<'_>) -> Answered {
    let found = find(api, input)?;
    let Some(variant) = found.variant() else {
        let refused = absent();
        return Ok(shape::failure(StatusCode::OK, refused.code, None));
    };
    let details = variant.details();
    let gray = found.gray().map(|gray| gray.rule());
    let tag = gray.filter(|rule| rule.kind == RuleKind::Tag);
    let mut out =
        b"{\"resultCode\":200,\"errorCode\":0,\"message\":null,\"requestId\":null,".to_vec();
    out.extend_from_slice(b"\"success\":true,\"content\":");
    json::write_string(&mut out, &variant.content());
    out.extend_from_slice(b",\"encryptedDataKey\":");
    json::write_string(&mut out, details.encrypted_data_key);
    out.extend_from_slice(b",\"contentType\":");
    json::write_string(&mut out, details.config_type);
    out.extend_from_slice(b",\"md5\":\"");
    out.extend_from_slice(&variant.md5.hex());
    out.extend_from_slice(b"\",\"lastModified\":");
    json::write_u64(&mut out, variant.modified_ms);
    out.extend_from_slice(b",\"tag\":");
    match tag {
        Some(rule) => json::write_string(&mut out, &entry::encoded(rule.expression)),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"beta\":");
    json::write_bool(&mut out, gray.is_some_and(|rule| rule.kind == RuleKind::Beta));
    out.push(b'}');
    Ok(shape::result(&out))
}

fn find(api: &Api, input: &Input<'_>) -> Result<Found, super::Fail> {
    let parts = Parts::of(input)?;
    let client_ip = input.source.to_string();
    let question = Question {
        parts: parts.given(),
        tag: input.get("tag"),
        auto_tag: input.header("vipserver-tag")?,
        client_ip: &client_ip,
    };
    Ok(open::find(&api.tables, &api.facts.config, &question)?)
}

fn not_found(found: &Found, input: &Input<'_>) -> Reply {
    let mut reply = match input.version {
        // With a line end, as on the wire.
        Version::V1 => reply::text(StatusCode::NOT_FOUND, format!("{ABSENT}\n")),
        Version::V2 | Version::V3 => {
            shape::failure(StatusCode::NOT_FOUND, Code::ResourceNotFound, Some(ABSENT))
        }
    };
    if *found == Found::NoSuchTag {
        let tag = entry::encoded(input.get("tag").unwrap_or_default());
        put(&mut reply, "vipserver-tag", tag.as_bytes());
    }
    reply
}

/// Adds what belongs to a content.
fn described(reply: Reply, found: &Found, variant: &Variant) -> Reply {
    let mut reply = uncached(reply);
    let details = variant.details();
    put(&mut reply, "config-type", details.config_type.as_bytes());
    put(&mut reply, "content-md5", &variant.md5.hex());
    let gray = found.gray().map(|gray| gray.rule());
    // The reference says the empty key after a publish, and leaves it out of gray answers. A key
    // that is no header value cannot be said here; it is in the other APIs.
    if gray.is_none() || !details.encrypted_data_key.is_empty() {
        put(&mut reply, "encrypted-data-key", details.encrypted_data_key.as_bytes());
    }
    put(&mut reply, header::LAST_MODIFIED.as_str(), http_date(variant.modified_ms).as_bytes());
    match gray {
        Some(rule) if rule.kind == RuleKind::Beta => put(&mut reply, "isbeta", b"true"),
        Some(rule) => put(&mut reply, "tag", entry::encoded(rule.expression).as_bytes()),
        None => {}
    }
    reply
}

fn put(reply: &mut Reply, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

fn content_type(config_type: &str) -> &'static str {
    match config_type {
        "json" => "application/json;charset=UTF-8",
        "xml" => "application/xml;charset=UTF-8",
        "html" => "text/html;charset=UTF-8",
        _ => "text/plain;charset=UTF-8",
    }
}
