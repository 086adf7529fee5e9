//! What configs were: `/v1|v2|v3/…/cs/history` (`http-api.md` 2.4, 5, 7.2).

use super::search::{paged, paging};
use super::{Answered, Fail, Parts, required, shown};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, shape, unexpected};
use nacre_proto::code::Code;
use nacre_shards::config::accept;
use nacre_shards::durable::history::Operation;
use nacre_shards::durable::question::{Known, Past, Question};
use nacre_shards::key::ConfigKey;
use nacre_shards::naming::open::{Answer, Call};
use serde_json::Value;

/// Rows looked at at a time for the one after a change.
const NEWER_PAGE: usize = 500;

/// v1: a page with `search=accurate`, else one row.
pub async fn v1(api: &Api, input: &Input<'_>) -> Answered {
    match input.get("search") {
        Some("accurate") => list(api, input).await,
        _ => row(api, input).await,
    }
}

/// A page of a config's history, newest first, without contents.
pub async fn list(api: &Api, input: &Input<'_>) -> Answered {
    let key = key(api, input)?;
    let (number, size) = paging(input)?;
    match ask(api, Question::Page { key, number, size }).await? {
        Known::Page { total, rows } => {
            let items = rows.iter().map(|row| shown::past(input, row)).collect();
            let page = paged(total, number, size, items);
            Ok(shape::json_of(input.version, page.to_string().into()))
        }
        other => Err(strange(&other)),
    }
}

/// One row with its content.
pub async fn row(api: &Api, input: &Input<'_>) -> Answered {
    let key = key(api, input)?;
    let number = id(input, "nid")?;
    one(input, ask(api, Question::Row { key, number }).await?, number)
}

/// One change, what was before it and what after (`ConfigHistoryInfoDetail`).
pub async fn detail(api: &Api, input: &Input<'_>) -> Answered {
    let key = key(api, input)?;
    let number = id(input, "nid")?;
    let row = match ask(api, Question::Row { key: key.clone(), number }).await? {
        Known::Row(Some(row)) => row,
        other => return one(input, other, number),
    };
    let before = match row.operation {
        Operation::Insert => None,
        Operation::Update | Operation::Delete => Some(shown::side(&row)),
    };
    let after = match row.operation {
        Operation::Insert => Some(shown::side(&row)),
        Operation::Delete => None,
        Operation::Update => after(api, &key, &row).await?,
    };
    let json = shown::change(input, &row, before.as_ref(), after.as_ref());
    Ok(shape::json_of(input.version, json.to_string().into()))
}

/// What an update made of a config: what the next change of the same variant found, or what is
/// there now.
async fn after(api: &Api, key: &ConfigKey, row: &Past) -> Result<Option<shown::Side>, Fail> {
    let gray = |past: &Past| past.gray.as_ref().map(|gray| gray.name.clone());
    let variant = gray(row);
    let mut next = None;
    for page in 1.. {
        let question = Question::Page { key: key.clone(), number: page, size: NEWER_PAGE };
        let Known::Page { rows, .. } = ask(api, question).await? else { break };
        let newer = rows.iter().take_while(|other| other.number > row.number);
        let newer: Vec<&Past> = newer.collect();
        next = newer.iter().rev().find(|other| gray(other) == variant).map(|o| o.number).or(next);
        if newer.len() < NEWER_PAGE {
            break;
        }
    }
    if let Some(number) = next {
        return match ask(api, Question::Row { key: key.clone(), number }).await? {
            Known::Row(Some(next)) => Ok(Some(shown::side(&next))),
            _ => Ok(None),
        };
    }
    let Some(entry) = api.tables.get(key.name()) else { return Ok(None) };
    let now = match &variant {
        None => entry.formal.as_ref(),
        Some(name) => entry.grays.iter().find(|gray| gray.name == *name).map(|gray| &gray.variant),
    };
    Ok(now.map(shown::side_of))
}

/// The row before.
pub async fn previous(api: &Api, input: &Input<'_>) -> Answered {
    let key = key(api, input)?;
    let id = id(input, "id")?;
    one(input, ask(api, Question::Previous { key, id }).await?, id)
}

fn one(input: &Input<'_>, known: Known, id: u64) -> Answered {
    match known {
        Known::Row(Some(row)) => {
            let json: Value = shown::past(input, &row);
            Ok(shape::json_of(input.version, json.to_string().into()))
        }
        // A row of another config is not told from none.
        Known::Row(None) if input.version == Version::V1 => {
            let text = "Please check dataId, group or tenant.";
            Err(Refused::new(403, Code::AccessDenied, text).into())
        }
        Known::Row(None) => {
            let text = format!("certain config history for nid = {id} not exist");
            Err(Refused::new(404, Code::ResourceNotFound, text).into())
        }
        other => Err(strange(&other)),
    }
}

fn key(api: &Api, input: &Input<'_>) -> Result<ConfigKey, Fail> {
    let parts = Parts::of(input)?.given();
    let name = accept::named(parts, &api.facts.config).map_err(Refused::from)?;
    Ok(ConfigKey::new(name))
}

fn id(input: &Input<'_>, name: &str) -> Result<u64, Fail> {
    let text = required(input, name, input.get(name))?.trim();
    let number = text.parse::<u64>();
    Ok(number.map_err(|_| Refused::invalid(format!("For input string: \"{text}\"")))?)
}

/// Asks the Raft core.
pub async fn ask(api: &Api, question: Question) -> Result<Known, Refused> {
    match api.ask(Call::Recall(Box::new(question))).await? {
        Answer::Known(known) => match *known {
            Known::Unreadable(why) => Err(Refused::new(500, Code::DataAccessError, why)),
            known => Ok(known),
        },
        other => Err(unexpected(&other)),
    }
}

fn strange(known: &Known) -> Fail {
    debug_assert!(false, "{known:?} is no answer to this question");
    Fail::Refused(Refused::new(500, Code::ServerError, "the server answered another question"))
}
