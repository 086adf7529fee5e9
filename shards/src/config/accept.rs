//! From a parsed request of the config module to a command or a question, or to a refusal. Pure
//! functions on the home core.
//!
//! Order, as in the reference: the parameter check of all requests (`grpc-protocol.md` 9.3), then
//! the handler's own (`config.md` 3.2). What only replicated state can decide (CAS, quotas, the
//! number of gray variants) is decided where the command is applied.

use crate::config::details::{Details, config_type};
use crate::config::gray::{BETA, Rule, RuleKind, TAG_PREFIX};
use crate::config::md5::Md5;
use crate::config::rules::Rules;
use crate::durable::command::{Command, GrayDraft, Publish, Remove};
use crate::key::ConfigName;
use crate::limits::{FUZZY_PATTERN_BYTES_MAX, GRAY_EXPRESSION_BYTES_MAX};
use crate::message::{Now, Watch};
use crate::naming::accept::{PUBLIC, Refusal};
use crate::naming::check::{self, Params, is_blank, is_longer};
use crate::naming::fuzzy::Pattern;
use crate::naming::open::Refused;
use bytes::Bytes;
use nacre_proto::code::{Code, RESULT_FAIL};
use nacre_proto::config::{
    ConfigFuzzyWatchRequest, ConfigPublishRequest, ConfigQueryRequest, ConfigRemoveRequest,
    ListenContext,
};
use nacre_proto::text::Text;
use std::borrow::Cow;

/// UTF-16 units of a tag.
const TAG_UNITS_MAX: usize = 16;

/// Tags of one config, and units of each.
const TAGS_MAX: usize = 5;
const ONE_TAG_UNITS_MAX: usize = 64;

/// Units of members of `additionMap`. The last three are the columns' in the reference, where
/// longer ones fail in the database.
const MEMBER_UNITS_MAX: [(&str, usize); 8] = [
    ("desc", 128),
    ("use", 32),
    ("effect", 32),
    ("type", 32),
    ("schema", 32_768),
    ("appName", 128),
    ("src_user", 128),
    ("encryptedDataKey", 1_024),
];

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// As its setup says, or its address where there is none.
    pub client_ip: &'a str,
    /// Who proved to be, where that was asked; empty otherwise.
    pub user: &'a str,
    pub now: Now,
}

/// Of a name: dataId, group, tenant.
pub type Part<'a> = Option<&'a str>;

/// Why a request is not carried out; each wire has its own form for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub class: Class,
    pub text: Cow<'static, str>,
}

/// Who found the fault, in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The parameter check of all requests.
    Param,
    /// The handler.
    Invalid,
    /// An IllegalArgumentException of the handler.
    Thrown,
}

impl From<Fault> for Refusal {
    /// gRPC: typed, and only what was thrown is a 500.
    fn from(Fault { class, text }: Fault) -> Self {
        let (code, message) = match class {
            Class::Param => (Code::InvalidParam, format!("Param check invalid:{text}").into()),
            Class::Invalid => (Code::InvalidParam, text),
            Class::Thrown => (Code::ServerError, text),
        };
        Self { typed: true, result_code: RESULT_FAIL, error_code: code.number(), message }
    }
}

impl From<Fault> for Refused {
    /// HTTP: 400 all of them, the parameter check's as a plain line.
    fn from(Fault { class, text }: Fault) -> Self {
        Self { plain: class == Class::Param, ..Self::invalid(text) }
    }
}

/// What a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryOp<'a> {
    pub name: ConfigName<'a>,
    /// Not blank.
    pub tag: Option<&'a str>,
}

/// What a fuzzy watch asks for.
#[derive(Debug, PartialEq)]
pub enum FuzzyOp {
    Watch(Box<Watch>),
    Cancel(Box<str>),
}

/// `ConfigPublishRequest`: the command to propose.
pub fn publish(
    request: &ConfigPublishRequest<'_>,
    rules: &Rules,
    asker: Asker<'_>,
) -> Result<Bytes, Fault> {
    let parts = [&request.data_id, &request.group, &request.tenant].map(|part| part.as_deref());
    let name = checked_name(parts, rules)?;
    check_handled(parts)?;
    let content = request.content.as_deref();
    let Some(content) = content.filter(|content| !is_blank(content)) else {
        return Err(invalid(format!("content is blank : {}", content.unwrap_or("null"))));
    };
    if is_longer(content, rules.content_units_max) {
        return Err(invalid(format!("invalid content, over {}", rules.content_units_max)));
    }
    let member = |key| request.addition.get(key).filter(|value| !is_blank(value));
    check_tag(member("tag"))?;
    check_members(member)?;
    let tag_name;
    let gray = match (member("betaIps"), member("tag")) {
        (Some(ips), _) => Some((BETA, RuleKind::Beta, ips)),
        (None, Some(tag)) => {
            tag_name = format!("{TAG_PREFIX}{tag}");
            Some((&*tag_name, RuleKind::Tag, tag))
        }
        (None, None) => None,
    };
    if gray.is_some_and(|(_, _, expression)| expression.len() > GRAY_EXPRESSION_BYTES_MAX) {
        return Err(thrown(format!("too long betaIps, over {GRAY_EXPRESSION_BYTES_MAX}")));
    }
    let gray = gray.map(|(name, kind, expression)| {
        let rule = Rule { kind, expression, priority: kind.priority() };
        GrayDraft { name, rule }
    });
    let text = |key| member(key).unwrap_or("");
    let publish = Publish {
        at_ms: asker.now.unix_ms,
        limits: rules.limits(),
        name,
        gray,
        cas_md5: request.cas_md5.as_deref().filter(|md5| !is_blank(md5)).unwrap_or(""),
        md5: Md5::of(content),
        details: Details {
            config_type: config_type(member("type")),
            encrypted_data_key: text("encryptedDataKey"),
            app_name: text("appName"),
            tags: text("config_tags"),
            description: text("desc"),
            usage: text("use"),
            effect: text("effect"),
            schema: text("schema"),
            source_user: member("src_user").unwrap_or(asker.user),
            source_ip: asker.client_ip,
        },
        content,
    };
    Ok(Command::Publish(publish).encode())
}

/// `ConfigRemoveRequest`: the command to propose.
pub fn remove(
    request: &ConfigRemoveRequest<'_>,
    rules: &Rules,
    asker: Asker<'_>,
) -> Result<Bytes, Fault> {
    let parts = [&request.data_id, &request.group, &request.tenant].map(|part| part.as_deref());
    let name = checked_name(parts, rules)?;
    check_handled(parts)?;
    let tag = request.tag.as_deref().filter(|tag| !is_blank(tag));
    check_tag(tag)?;
    let remove = Remove {
        at_ms: asker.now.unix_ms,
        limits: rules.limits(),
        name,
        gray: tag.unwrap_or(""),
        source_user: asker.user,
        source_ip: asker.client_ip,
    };
    Ok(Command::Remove(remove).encode())
}

/// `ConfigQueryRequest`.
pub fn query<'a>(request: &'a ConfigQueryRequest<'_>, rules: &Rules) -> Result<QueryOp<'a>, Fault> {
    let parts = [&request.data_id, &request.group, &request.tenant].map(|part| part.as_deref());
    let tag = request.tag.as_deref().filter(|tag| !is_blank(tag));
    Ok(QueryOp { name: checked_name(parts, rules)?, tag })
}

/// A config named by the open API, whose handlers check names like those of publishes.
pub fn named<'a>(parts: [Part<'a>; 3], rules: &Rules) -> Result<ConfigName<'a>, Fault> {
    let name = checked_name(parts, rules)?;
    check_handled(parts)?;
    Ok(name)
}

/// The tag of a read.
pub fn tag(tag: Option<&str>) -> Result<(), Fault> {
    check_tag(tag)
}

/// A config somebody wants to be told of: the parameter check alone.
pub fn listened<'a>(parts: [Part<'a>; 3], rules: &Rules) -> Result<ConfigName<'a>, Fault> {
    checked_name(parts, rules)
}

/// One context of a `ConfigBatchListenRequest`.
pub fn context<'a>(context: &'a ListenContext<'_>, rules: &Rules) -> Result<ConfigName<'a>, Fault> {
    let parts = [&context.data_id, &context.group, &context.tenant].map(|part| part.as_deref());
    checked_name(parts, rules)
}

/// The header `Vipserver-Tag` of a listen: the reference throws over a bad one.
pub fn listen_tag(tag: Option<&str>) -> Result<Option<&str>, Refusal> {
    let tag = tag.filter(|tag| !is_blank(tag));
    check_tag(tag).map_err(|fault| Refusal { typed: false, ..fault.into() })?;
    Ok(tag)
}

/// `ConfigFuzzyWatchRequest`.
pub fn fuzzy(request: &ConfigFuzzyWatchRequest<'_>, rules: &Rules) -> Result<FuzzyOp, Fault> {
    let text = request.group_key_pattern.as_deref().unwrap_or("");
    let pattern = (text.len() <= FUZZY_PATTERN_BYTES_MAX).then(|| Pattern::parse(text)).flatten();
    let Some(pattern) = pattern else {
        return Err(invalid(format!("Param 'groupKeyPattern' is illegal: {}", shortened(text))));
    };
    if rules.param_check && !pattern.namespace().contains('*') {
        check_params(&Params { namespace: Some(pattern.namespace()), ..Params::default() })?;
    }
    match request.watch_type.as_deref() {
        Some("WATCH") => {
            let known = request.received_group_keys.iter().flatten();
            Ok(FuzzyOp::Watch(Box::new(Watch {
                pattern: text.into(),
                known: known.map(|key| key.as_str().into()).collect(),
                initializing: request.initializing,
            })))
        }
        Some("CANCEL_WATCH") => Ok(FuzzyOp::Cancel(text.into())),
        other => {
            let text = format!("unknown watch type: {}", shortened(other.unwrap_or("null")));
            Err(thrown(text))
        }
    }
}

/// As much of a client's text as an answer repeats.
fn shortened(text: &str) -> &str {
    const CHARS_MAX: usize = 128;
    text.char_indices().nth(CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// The parameter check, then the name with its namespace spelled out.
fn checked_name<'a>(
    [data_id, group, tenant]: [Part<'a>; 3],
    rules: &Rules,
) -> Result<ConfigName<'a>, Fault> {
    if rules.param_check {
        check_params(&Params { namespace: tenant, data_id, group, ..Params::default() })?;
    }
    let namespace = tenant.filter(|tenant| !is_blank(tenant)).map_or(PUBLIC, str::trim);
    let name = ConfigName { data_id: data_id.unwrap_or(""), group: group.unwrap_or(""), namespace };
    // Only without the parameter check can a part be none of a key.
    let text = "a part of the name is over 65535 bytes, or has a NUL";
    if name.fits() { Ok(name) } else { Err(invalid(text)) }
}

fn check_params(params: &Params<'_>) -> Result<(), Fault> {
    check::params(params, usize::MAX)
        .map_err(|reason| Fault { class: Class::Param, text: reason.into() })
}

/// What the handlers of publish and remove check of names themselves.
fn check_handled([data_id, group, _]: [Part<'_>; 3]) -> Result<(), Fault> {
    let legal = |text: &Part<'_>| text.is_some_and(|text| !is_blank(text) && is_legal(text.trim()));
    if !legal(&data_id) {
        return Err(invalid(format!("invalid dataId : {}", data_id.unwrap_or("null"))));
    }
    if !legal(&group) {
        return Err(invalid(format!("invalid group : {}", group.unwrap_or("null"))));
    }
    Ok(())
}

/// Letters and digits of the basic plane, and `_ - . :`.
fn is_legal(text: &str) -> bool {
    let letter = |char: char| char.is_alphanumeric() && u32::from(char) <= 0xffff;
    text.chars().all(|char| letter(char) || matches!(char, '_' | '-' | '.' | ':'))
}

fn check_tag(tag: Option<&str>) -> Result<(), Fault> {
    let Some(tag) = tag else { return Ok(()) };
    if !is_legal(tag.trim()) {
        return Err(thrown(format!("invalid tag : {tag}")));
    }
    if is_longer(tag, TAG_UNITS_MAX) {
        return Err(thrown(format!("too long tag, over {TAG_UNITS_MAX}")));
    }
    Ok(())
}

fn check_members<'a>(member: impl Fn(&'static str) -> Option<&'a str>) -> Result<(), Fault> {
    if let Some(tags) = member("config_tags") {
        if tags.split(',').count() > TAGS_MAX {
            return Err(thrown(format!("too much config_tags, over {TAGS_MAX}")));
        }
        if tags.split(',').any(|tag| is_longer(tag, ONE_TAG_UNITS_MAX)) {
            return Err(thrown(format!("too long tag, over {ONE_TAG_UNITS_MAX}")));
        }
    }
    for (key, units_max) in MEMBER_UNITS_MAX {
        if member(key).is_some_and(|value| is_longer(value, units_max)) {
            return Err(thrown(format!("too long {key}, over {units_max}")));
        }
    }
    Ok(())
}

fn invalid(text: impl Into<Cow<'static, str>>) -> Fault {
    Fault { class: Class::Invalid, text: text.into() }
}

fn thrown(text: String) -> Fault {
    Fault { class: Class::Thrown, text: text.into() }
}

/// Whether a tenant is one that notifications leave out.
pub fn is_blank_tenant(tenant: &Option<Text<'_>>) -> bool {
    tenant.as_deref().is_none_or(is_blank)
}

#[cfg(test)]
mod tests;
