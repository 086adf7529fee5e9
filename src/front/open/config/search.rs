//! Lists of configs, and what is done to several at once.
//!
//! Lists whose names alone decide, exact or by how they begin, find their page in the order of
//! names; other patterns look at each name, in steps of a few tenths of a millisecond; contents and
//! details are looked at beside the core; four at a time on a core. A list is in the order of its
//! rows, as the reference's; one of more than 4,096 found by their names is in the order of names,
//! in which a page of a million is found without looking at the others. Each row that is named by
//! its id is judged by itself.

use super::write::remove_this;
use super::{Answered, Fail, Parts, required, shown};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, Reply, identity, shape};
use crate::http1::{StatusCode, beside, pause, reply};
use nacre_shards::auth::{Action, Denial, Kind, Resource};
use nacre_shards::config::entry::Entry;
use nacre_shards::config::open::serving;
use nacre_shards::config::search::{Filter, Pattern, Places, Sieve, Sieved, Walk};
use nacre_shards::key::ConfigKey;
use nacre_shards::naming::accept::PUBLIC;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Names looked at in one step where a pattern fits none better than another: some tenths of a
/// millisecond.
const STEP_NAMES: usize = 8_192;

/// Groups looked at in one step where names of a group stand together: likewise.
const STEP_GROUPS: usize = 64;

/// So many found by their names are in the order of their rows, as in the reference; more are in
/// the order of their names, in which a page is found without looking at the others.
const ROWS_ORDERED_MAX: usize = 4_096;

/// Between two steps the core sees to its clients.
const STEP_PAUSE: Duration = Duration::from_micros(100);

/// Configs of one page, at most: the reference's bound.
const PAGE_SIZE_MAX: i64 = 500;

/// Bytes of contents on one page; a larger page is refused with the advice to ask for less.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows that one request may name by their ids.
const IDS_MAX: usize = 1_000;

/// All configs that are meant, looked for beside the core.
pub async fn walk(
    api: &Api,
    matches: impl Fn(&Entry) -> bool + Send + 'static,
) -> Result<Vec<Arc<Entry>>, Refused> {
    Ok(walk_for(api, usize::MAX, matches).await?.found())
}

async fn walk_for(
    api: &Api,
    keep: usize,
    matches: impl Fn(&Entry) -> bool + Send + 'static,
) -> Result<Walk, Refused> {
    serving(&api.tables)?;
    let _searching = api.searches.enter()?;
    let tables = api.tables.clone();
    Ok(beside(move || Walk::through(&tables, keep, matches)).await)
}

/// How many configs are meant, and one page of them.
async fn page(
    api: &Api,
    filter: Filter,
    from: usize,
    size: usize,
) -> Result<(usize, Vec<Arc<Entry>>), Refused> {
    serving(&api.tables)?;
    let Some((total, found)) = by_names(api, &filter, from, size).await? else {
        let keep = from.saturating_add(size);
        let walk = walk_for(api, keep, move |entry| filter.matches(entry)).await?;
        let total = walk.total();
        return Ok((total, walk.found().into_iter().skip(from).take(size).collect()));
    };
    // A name may have gone since.
    let entries = |keys: Vec<ConfigKey>| {
        let found = keys.iter().filter_map(|key| api.tables.get(key.name()));
        found.filter(|entry| entry.formal.is_some()).collect::<Vec<_>>()
    };
    Ok(match found {
        Sieved::Page(keys) => (total, entries(keys)),
        Sieved::All(keys) => {
            let mut all = entries(keys);
            all.sort_by_key(|entry| entry.formal.as_ref().map(|formal| formal.id));
            (total, all.into_iter().skip(from).take(size).collect())
        }
    })
}

/// Names that are meant, if names alone decide; giving way between steps.
async fn by_names(
    api: &Api,
    filter: &Filter,
    from: usize,
    size: usize,
) -> Result<Option<(usize, Sieved)>, Refused> {
    if let Some(mut places) = Places::of(filter, &api.tables) {
        let _searching = api.searches.enter()?;
        while !places.step(STEP_GROUPS) {
            pause(STEP_PAUSE).await;
        }
        let total = places.total();
        let found = match total > ROWS_ORDERED_MAX {
            true => Sieved::Page(places.page(from, size)),
            false => Sieved::All(places.page(0, total)),
        };
        return Ok(Some((total, found)));
    }
    let page = from..from.saturating_add(size);
    let Some(mut sieve) = Sieve::of(filter, &api.tables, ROWS_ORDERED_MAX, page) else {
        return Ok(None);
    };
    let _searching = api.searches.enter()?;
    while !sieve.step(STEP_NAMES) {
        pause(STEP_PAUSE).await;
    }
    Ok(Some((sieve.total(), sieve.found())))
}

/// A page of configs: v1 and v2 with contents, v3 without.
pub async fn list(api: &Api, input: &Input<'_>, exact: bool) -> Answered {
    if input.version != Version::V3 {
        for name in ["dataId", "group"] {
            required(input, name, input.get(name))?;
        }
    }
    let (number, size) = paging(input)?;
    let from = (number - 1).saturating_mul(size);
    let (total, page) = page(api, filter(input, exact), from, size).await?;
    let in_full = input.version != Version::V3;
    let bytes = |entry: &Arc<Entry>| entry.formal.as_ref().map_or(0, |f| f.escaped.len());
    if in_full && page.iter().map(bytes).sum::<usize>() > PAGE_BYTES_MAX {
        let text = "the contents of this page are too much for one answer; ask for smaller pages";
        return Err(Refused::invalid(text).into());
    }
    let item = |entry: &Arc<Entry>| {
        let (name, formal) = shown::formal(entry)?;
        Some(match in_full {
            true => shown::info(name, shown::tenant(input, name.namespace), formal, true),
            false => shown::basic(name, formal),
        })
    };
    let items = page.iter().filter_map(item).collect();
    Ok(bare_before_v3(input, paged(total, number, size, items)))
}

/// v2's searches have no envelope, either.
fn bare_before_v3(input: &Input<'_>, json: Value) -> Reply {
    match input.version {
        Version::V3 => shape::result(json.to_string().as_bytes()),
        Version::V1 | Version::V2 => reply::json(StatusCode::OK, json.to_string()),
    }
}

/// `Page`.
pub fn paged(total: usize, number: usize, size: usize, items: Vec<Value>) -> Value {
    json!({
        "totalCount": total,
        "pageNumber": number,
        "pagesAvailable": total.div_ceil(size),
        "pageItems": items,
    })
}

/// Number and size of the page wanted.
pub fn paging(input: &Input<'_>) -> Result<(usize, usize), Fail> {
    let must = input.version == Version::V1 && !input.path.contains("/history");
    let whole = |name: &str, default: i64| -> Result<i64, Fail> {
        if must {
            required(input, name, input.get(name))?;
        }
        let given = input.whole(name, default)?;
        match given {
            1.. => Ok(given),
            _ => Err(Refused::invalid(format!("'{name}' must be positive: {given}")).into()),
        }
    };
    let (number, size) = (whole("pageNo", 1)?, whole("pageSize", 100)?);
    Ok((number as usize, size.min(PAGE_SIZE_MAX) as usize))
}

fn filter(input: &Input<'_>, exact: bool) -> Filter {
    let pattern = |text: &str| if exact { Pattern::exact(text) } else { Pattern::of(text) };
    let list = |name: &str, alias: &str| {
        let given = input.either(name, alias).unwrap_or_default();
        given.split(',').map(str::trim).filter(|item| !item.is_empty())
    };
    let content = input.either("configDetail", "config_detail").unwrap_or_default();
    Filter {
        namespace: namespace(input).to_owned(),
        data_id: pattern(input.get("dataId").unwrap_or_default().trim()),
        group: pattern(input.either("groupName", "group").unwrap_or_default().trim()),
        app_name: input.get("appName").unwrap_or_default().trim().to_owned(),
        tags: list("configTags", "config_tags").map(pattern).collect(),
        types: list("type", "types").map(str::to_owned).collect(),
        content: Pattern::part(content),
        ids: Vec::new(),
    }
}

/// What an export is about: like a list, and only these rows if some are named.
pub fn export_filter(input: &Input<'_>) -> Result<Filter, Refused> {
    let mut filter = Filter { content: Pattern::default(), ..filter(input, false) };
    if let Some(text) = input.get("ids") {
        filter.ids = ids(text)?;
    }
    Ok(filter)
}

/// The namespace a request is about.
pub fn namespace<'a>(input: &'a Input<'_>) -> &'a str {
    input.either("namespaceId", "tenant").map_or(PUBLIC, str::trim)
}

/// All configs of a namespace, without contents: `history/configs`.
pub async fn of_namespace(api: &Api, input: &Input<'_>) -> Answered {
    let name = if input.version == Version::V1 { "tenant" } else { "namespaceId" };
    let wanted = required(input, name, input.either("namespaceId", "tenant"))?.trim();
    let wanted = if wanted.is_empty() { PUBLIC } else { wanted };
    let filter = Filter { namespace: wanted.to_owned(), ..Filter::default() };
    let all = walk(api, move |entry| filter.matches(entry)).await?;
    let item = |entry: &Arc<Entry>| {
        let (name, formal) = shown::formal(entry)?;
        Some(match input.version {
            Version::V3 => shown::basic(name, formal),
            _ => shown::info(name, shown::tenant(input, name.namespace), formal, false),
        })
    };
    let items: Vec<Value> = all.iter().filter_map(item).collect();
    Ok(shape::json_of(input.version, Value::from(items).to_string().into()))
}

/// Removes configs by the ids of their rows. Whoever lacks the right to one of them removes none.
pub async fn remove_ids(api: &Api, input: &Input<'_>) -> Answered {
    let text = required(input, "ids", input.get("ids"))?;
    let ids = ids(text)?;
    let is_meant = move |entry: &Entry| {
        entry.formal.as_ref().is_some_and(|formal| ids.binary_search(&formal.id).is_ok())
    };
    let all = walk(api, is_meant).await?;
    if let Some(who) = &input.who {
        for entry in &all {
            let name = entry.key.name();
            let (namespace, group, kind) = (name.namespace, name.group, Kind::Config);
            let resource = Resource::Of { namespace, group, kind, name: name.data_id };
            if api.door.decide(&who.user, Action::Write, &resource).is_err() {
                let denied = identity::denied(Denial::Forbidden, input.path);
                return Err(Fail::Written(Box::new(denied)));
            }
        }
    }
    for entry in all {
        let name = entry.key.name();
        let (data_id, group) = (name.data_id, name.group);
        let parts = Parts { data_id, group, tenant: Some(name.namespace) };
        remove_this(api, input, parts.remove()).await?;
    }
    Ok(match input.version {
        Version::V1 => shape::rest_result(b"true"),
        version => super::done(version),
    })
}

/// Numbers in a comma list, sorted.
fn ids(text: &str) -> Result<Vec<u64>, Refused> {
    let number = |text: &str| {
        let number = text.trim().parse::<u64>();
        number.map_err(|_| Refused::invalid(format!("For input string: \"{}\"", text.trim())))
    };
    let mut ids = text.split(',').take(IDS_MAX + 1).map(number).collect::<Result<Vec<_>, _>>()?;
    if ids.len() > IDS_MAX {
        return Err(Refused::invalid(format!("more than {IDS_MAX} ids")));
    }
    ids.sort_unstable();
    Ok(ids)
}
