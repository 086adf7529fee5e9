//! Namespaces: `/v1/console/namespaces`, `/v2/console/namespace`, `/v3/…/core/namespace`
//! (`http-api.md` 4.3, 5, 7.1, 8). The default one is always there and never changed.

use super::input::Input;
use super::route::Version;
use super::{Api, Outcome, Refused, shape, unexpected};
use crate::http1::StatusCode;
use crate::http1::reply::{self, Reply};
use nacre_proto::code::Code;
use nacre_shards::config::open::{self, Call as ConfigCall};
use nacre_shards::durable::answer as durable;
use nacre_shards::durable::command::Command;
use nacre_shards::durable::namespace::Namespace;
use nacre_shards::durable::question::{Known, Question};
use nacre_shards::naming::accept::PUBLIC;
use nacre_shards::naming::open::{Answer, Call};
use serde_json::{Value, json};

/// UTF-16 units of an id, a name, a description: the reference's columns.
const ID_UNITS_MAX: usize = 128;
const NAME_UNITS_MAX: usize = 256;
const DESCRIPTION_UNITS_MAX: usize = 256;

/// Configs a namespace is said to have room for; informative, as in the reference.
const QUOTA: u32 = 200;

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    List,
    /// v1: all, one, or whether one is there.
    V1Get,
    Detail,
    Create,
    Update,
    Delete,
    /// How many of this id there are.
    Count,
    /// Whether there is one of this id.
    Exist,
}

type All = Vec<(Box<str>, Namespace, usize)>;

pub(super) async fn answer(api: &Api, op: Op, input: &Input<'_>) -> Outcome {
    match op {
        Op::List => list(api, input).await,
        Op::V1Get => v1_get(api, input).await,
        Op::Detail => {
            let id = input.required("namespaceId")?;
            detail(&all(api).await?, id, input.version)
        }
        Op::Create => create(api, input).await,
        Op::Update => update(api, input).await,
        Op::Delete => delete(api, input).await,
        Op::Count => {
            let id = input.required("namespaceId")?;
            let count = usize::from(is_there(&all(api).await?, id));
            Ok(shape::result(count.to_string().as_bytes()))
        }
        Op::Exist => {
            let id = input.get("customNamespaceId");
            let there = match id {
                Some(id) => is_there(&all(api).await?, id),
                None => false,
            };
            Ok(shape::result(there.to_string().as_bytes()))
        }
    }
}

async fn list(api: &Api, input: &Input<'_>) -> Outcome {
    let all = all(api).await?;
    let all: Vec<Value> = all.iter().map(shown).collect();
    let json = Value::from(all).to_string();
    Ok(match input.version {
        Version::V1 => shape::rest_result(json.as_bytes()),
        Version::V2 | Version::V3 => shape::result(json.as_bytes()),
    })
}

async fn v1_get(api: &Api, input: &Input<'_>) -> Outcome {
    if input.get("checkNamespaceIdExist") == Some("true") {
        let there = match input.get("customNamespaceId") {
            Some(id) => is_there(&all(api).await?, id),
            None => false,
        };
        return Ok(reply::json(StatusCode::OK, there.to_string()));
    }
    if input.get("show") == Some("all") {
        let id = input.get("namespaceId").unwrap_or_default();
        return detail(&all(api).await?, id, input.version);
    }
    list(api, input).await
}

/// The default namespace was the empty text in 1.x and 2.x.
fn id_of(id: &str) -> &str {
    match id.trim() {
        "" => PUBLIC,
        id => id,
    }
}

fn detail(all: &All, id: &str, version: Version) -> Outcome {
    let found = all.iter().find(|(known, ..)| **known == *id_of(id));
    let Some(found) = found else {
        let text = format!("namespaceId [ {id} ] not exist");
        return Err(Refused::new(404, Code::NamespaceNotExist, text));
    };
    Ok(shape::json_of(version, shown(found).to_string().into()))
}

fn is_there(all: &All, id: &str) -> bool {
    all.iter().any(|(known, ..)| **known == *id_of(id))
}

fn shown((id, namespace, configs): &(Box<str>, Namespace, usize)) -> Value {
    json!({
        "namespace": id,
        "namespaceShowName": namespace.name,
        "namespaceDesc": namespace.description,
        "quota": QUOTA,
        "configCount": configs,
        "type": u8::from(**id != *PUBLIC),
    })
}

async fn all(api: &Api) -> Result<All, Refused> {
    match api.ask(Call::Recall(Box::new(Question::Namespaces))).await? {
        Answer::Known(known) => match *known {
            Known::Namespaces(all) => Ok(all),
            _ => Err(Refused::new(500, Code::ServerError, "the server answered another question")),
        },
        other => Err(unexpected(&other)),
    }
}

async fn create(api: &Api, input: &Input<'_>) -> Outcome {
    let id = input.either("customNamespaceId", "namespaceId").map(str::trim);
    let made = match id {
        Some(id) => id.to_owned(),
        None => random_id(),
    };
    let name = input.required("namespaceName");
    let outcome = match name {
        Ok(name) => write(api, &made, name, input.get("namespaceDesc"), false).await,
        Err(missing) => Err(missing),
    };
    said(input, outcome)
}

async fn update(api: &Api, input: &Input<'_>) -> Outcome {
    let (id, name) = match input.version {
        Version::V1 => ("namespace", "namespaceShowName"),
        Version::V2 | Version::V3 => ("namespaceId", "namespaceName"),
    };
    let (id, name) = (input.required(id)?.trim(), input.required(name)?);
    said(input, write(api, id, name, input.get("namespaceDesc"), true).await)
}

/// Its configs stay, as in the reference. One that is not there is a success.
async fn delete(api: &Api, input: &Input<'_>) -> Outcome {
    let id = input.required("namespaceId")?.trim();
    if let Err(illegal) = check(id, "", "") {
        return said(input, Err(illegal));
    }
    let command = Command::DeleteNamespace { id }.encode();
    said(input, decided(api.ask(Call::Propose(command)).await?))
}

async fn write(
    api: &Api,
    id: &str,
    name: &str,
    description: Option<&str>,
    exists: bool,
) -> Result<(), Refused> {
    let description = description.unwrap_or_default();
    check(id, name, description)?;
    let call = ConfigCall::Namespace {
        id: id.into(),
        name: name.into(),
        description: description.into(),
        exists,
    };
    decided(api.ask(Call::Config(call)).await?)
}

fn check(id: &str, name: &str, description: &str) -> Result<(), Refused> {
    let illegal = |text: String| Refused::new(400, Code::IllegalNamespace, text);
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.bytes().all(word) {
        return Err(illegal(format!("namespaceId [{id}] mismatch the pattern")));
    }
    let is_long = |text: &str, max: usize| text.encode_utf16().count() > max;
    if is_long(id, ID_UNITS_MAX) {
        return Err(illegal(format!("too long namespaceId, over {ID_UNITS_MAX}")));
    }
    if name.contains(['@', '#', '$', '%', '^', '&', '*']) {
        return Err(illegal(format!("namespaceName [{name}] contains illegal char")));
    }
    if is_long(name, NAME_UNITS_MAX) || is_long(description, DESCRIPTION_UNITS_MAX) {
        return Err(illegal("too long namespaceName or namespaceDesc".to_owned()));
    }
    Ok(())
}

fn decided(answer: Answer) -> Result<(), Refused> {
    match answer {
        Answer::Proposed(Ok(durable::Answer::Done { .. })) => Ok(()),
        Answer::Proposed(Ok(durable::Answer::Refused(refused))) => Err(open::refused(refused)),
        Answer::Proposed(Err(unready)) => Err(Refused::busy(unready.sentence())),
        other => Err(unexpected(&other)),
    }
}

/// `true`; in v1 `false` for whatever was refused, but for what the store cannot do now.
fn said(input: &Input<'_>, outcome: Result<(), Refused>) -> Outcome {
    let bare = |text: &'static str| -> Reply { reply::json(StatusCode::OK, text) };
    match (outcome, input.version) {
        (Ok(()), Version::V1) => Ok(bare("true")),
        (Ok(()), _) => Ok(shape::result(b"true")),
        (Err(refused), Version::V1) if refused.status != 503 && !is_missing(&refused) => {
            Ok(bare("false"))
        }
        (Err(refused), _) => Err(refused),
    }
}

fn is_missing(refused: &Refused) -> bool {
    refused.code == Code::ParameterMissing
}

/// A random id of the usual form (RFC 9562, version 4).
fn random_id() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_checked() {
        for (id, name, fine) in [
            ("dev-1_x", "Dev \u{e9}", true),
            ("a.b", "n", false),
            ("a b", "n", false),
            ("\u{e9}", "n", false),
            ("a", "n@x", false),
            ("a", "50%", false),
        ] {
            assert_eq!(check(id, name, "").is_ok(), fine, "{id} {name}");
        }
        assert!(check(&"x".repeat(ID_UNITS_MAX), &"n".repeat(NAME_UNITS_MAX), "").is_ok());
        assert!(check(&"x".repeat(ID_UNITS_MAX + 1), "n", "").is_err());
        assert!(check("x", &"n".repeat(NAME_UNITS_MAX + 1), "").is_err());
        assert!(check("x", "n", &"d".repeat(DESCRIPTION_UNITS_MAX + 1)).is_err());
    }

    #[test]
    fn made_ids_are_ids() {
        let id = random_id();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'));
        assert!(check(&id, "n", "").is_ok() && id != random_id());
    }
}
