//! Many configs at once: export, import, clone (`http-api.md` 2.2, `config.md` 14).

use super::archive::{self, Bad, Form, Item, Packing, Unpacked};
use super::history::ask;
use super::search::{export_filter, namespace, walk};
use super::seats::Seat;
use super::{Answered, Fail, Parts, by, decided, required, shown};
use crate::front::open::input::Input;
use crate::front::open::route::Version;
use crate::front::open::{Api, Refused, Reply, identity, shape};
use crate::http1::header::{self, HeaderValue};
use crate::http1::{Patience, StatusCode, beside, reply};
use bytes::Bytes;
use futures_lite::{Stream, stream};
use nacre_proto::code::Code;
use nacre_proto::text::{Pairs, Text};
use nacre_shards::auth::{Action, Denial, Kind, Resource};
use nacre_shards::config::entry::Entry;
use nacre_shards::config::open::Call as ConfigCall;
use nacre_shards::durable::question::{Known, Question};
use nacre_shards::key::ConfigName;
use nacre_shards::naming::open::Call;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Seconds an import or clone may take: each config is on the disk before the next.
const SECONDS_MAX: u16 = 600;

/// Configs one clone may name.
const CLONED_MAX: usize = 1_000;

/// What to do about configs that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Stop at the first.
    Abort,
    Skip,
    Overwrite,
}

impl Policy {
    fn of(input: &Input<'_>) -> Result<Self, Refused> {
        match input.get("policy").map(str::trim) {
            None | Some("ABORT") => Ok(Policy::Abort),
            Some("SKIP") => Ok(Policy::Skip),
            Some("OVERWRITE") => Ok(Policy::Overwrite),
            Some(other) => Err(Refused::invalid(format!("unknown policy: {other}"))),
        }
    }
}

/// A zip file of configs, made beside the core while it is sent. It has a seat among the exports
/// until its reader is done, and one among the searches only while configs are looked for.
pub async fn export(api: &Api, input: &Input<'_>, form: Form) -> Answered {
    let filter = export_filter(input)?;
    let seat = api.exports.enter()?;
    let found = walk(api, move |entry| filter.matches(entry)).await?;
    let items = Items { found: found.into(), next: 0, tags: input.version == Version::V1 };
    let unwritten = |error| {
        Refused::new(500, Code::ServerError, format!("the file cannot be written: {error}"))
    };
    let (first, rest) = piece(Packing::new(items, form)).await.map_err(unwritten)?;
    let (second, rest) = piece(rest).await.map_err(unwritten)?;
    let stamp: String = crate::http1::date::iso_date(api.door.now().unix_ms)
        .chars()
        .filter(char::is_ascii_digit)
        .take("yyyyMMddHHmmss".len())
        .collect();
    let name = format!("attachment;filename=nacos_config_export_{stamp}.zip");
    const TYPE: &str = "application/octet-stream";
    let mut reply = match second.is_empty() {
        true => reply::with_type(StatusCode::OK, TYPE, first),
        false => {
            let sending = Sending { ready: [first, second].into(), rest, _seat: seat };
            reply::in_pieces(StatusCode::OK, TYPE, sending.pieces(input.patience.cloned()))
        }
    };
    let name = HeaderValue::from_str(&name).expect("digits and letters");
    reply.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(reply)
}

/// The next piece of a file, and what makes the others.
async fn piece(mut packing: Packing<Items>) -> io::Result<(Vec<u8>, Packing<Items>)> {
    beside(move || Ok((packing.next_piece()?, packing))).await
}

/// A file that is made while it is sent.
struct Sending {
    /// Made and not sent.
    ready: VecDeque<Vec<u8>>,
    rest: Packing<Items>,
    /// Held until the last piece was taken, or the reader has gone.
    _seat: Seat,
}

impl Sending {
    /// One piece after the other; each gives the reader time for itself.
    fn pieces(self, patience: Option<Patience>) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, move |mut sending| {
            if let Some(patience) = &patience {
                patience.goes_on();
            }
            async move {
                let piece = match sending.ready.pop_front() {
                    Some(piece) => piece,
                    None => {
                        let (piece, rest) = piece(sending.rest).await?;
                        sending.rest = rest;
                        piece
                    }
                };
                Ok((!piece.is_empty()).then(|| (Bytes::from(piece), sending)))
            }
        })
    }
}

/// Configs that were found, as a file has them.
#[derive(Clone)]
struct Items {
    found: Arc<[Arc<Entry>]>,
    next: usize,
    tags: bool,
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let entry = self.found.get(self.next)?;
            self.next += 1;
            // One that was published for some clients alone is no entry of a file.
            if let Some(formal) = shown::formal(entry) {
                return Some(item(formal, self.tags));
            }
        }
    }
}

fn item(
    (name, formal): (ConfigName<'_>, &nacre_shards::config::entry::Variant),
    tags: bool,
) -> Item {
    let details = formal.details();
    Item {
        data_id: name.data_id.to_owned(),
        group: name.group.to_owned(),
        content: formal.content().into_owned(),
        config_type: details.config_type.to_owned(),
        app_name: details.app_name.to_owned(),
        description: details.description.to_owned(),
        tags: if tags { details.tags.to_owned() } else { String::new() },
    }
}

/// Configs of a zip file.
pub async fn import(api: &Api, input: &Input<'_>) -> Answered {
    let policy = Policy::of(input)?;
    let target = target(input, "namespace").to_owned();
    if !exists(api, &target).await? {
        return Ok(failed(input, Failure::NoNamespace));
    }
    let file = input.files.iter().find(|part| part.name == "file");
    let Some(file) = file.filter(|file| !file.content.is_empty()) else {
        return Ok(failed(input, Failure::Empty));
    };
    let _unpacking = api.searches.enter()?;
    let (bytes, may_be_old) = (file.content.clone(), input.version == Version::V1);
    let unpacked = beside(move || archive::unpack(&bytes, may_be_old)).await;
    let unpacked = match unpacked {
        Ok(unpacked) if unpacked.items.is_empty() => return Ok(failed(input, Failure::Empty)),
        Ok(unpacked) => unpacked,
        Err(Bad::Metadata) => return Ok(failed(input, Failure::Metadata)),
        Err(Bad::Unreadable) => return Ok(failed(input, Failure::Unreadable)),
    };
    let Unpacked { items, unrecognized } = unpacked;
    let mut report = put_all(api, input, &target, items, policy).await?;
    if !unrecognized.is_empty() {
        report["unrecognizedCount"] = unrecognized.len().into();
        let named = unrecognized.into_iter().map(|name| json!({ "itemName": name }));
        report["unrecognizedData"] = named.collect();
    }
    Ok(told(input, &report))
}

/// What a clone names: v1 and the console, or v3's administrators.
#[derive(Debug, Deserialize)]
struct Cloned {
    #[serde(alias = "configId")]
    #[serde(rename = "cfgId")]
    id: Value,
    #[serde(alias = "targetDataId")]
    #[serde(rename = "dataId")]
    data_id: Option<String>,
    #[serde(alias = "targetGroupName")]
    group: Option<String>,
}

impl Cloned {
    /// A number, or text that is one.
    fn id(&self) -> Option<u64> {
        self.id.as_u64().or_else(|| self.id.as_str()?.trim().parse().ok())
    }
}

/// Copies configs, under other names where these are given.
pub async fn clone(api: &Api, input: &Input<'_>) -> Answered {
    let policy = Policy::of(input)?;
    let named =
        ["targetNamespaceId", "namespaceId", "tenant"].iter().any(|name| input.get(name).is_some());
    if !named {
        let name = if input.version == Version::V1 { "tenant" } else { "namespaceId" };
        required(input, name, None)?;
    }
    let target = target(input, "targetNamespaceId").to_owned();
    let wanted: Vec<Cloned> = serde_json::from_slice(input.body)
        .map_err(|_| Refused::invalid("the body is no list of configs to clone"))?;
    if wanted.is_empty() || wanted.len() > CLONED_MAX {
        return Ok(failed(input, Failure::NothingSelected));
    }
    if !exists(api, &target).await? {
        return Ok(failed(input, Failure::NoNamespace));
    }
    let ids: Vec<u64> = wanted.iter().filter_map(Cloned::id).collect();
    let is_meant =
        move |entry: &Entry| entry.formal.as_ref().is_some_and(|formal| ids.contains(&formal.id));
    let found = walk(api, is_meant).await?;
    let mut items = Vec::new();
    for wanted in &wanted {
        let of = |entry: &&Arc<Entry>| entry.formal.as_ref().map(|formal| formal.id) == wanted.id();
        let Some(entry) = found.iter().find(of) else { continue };
        may(api, input, Action::Read, entry.key.name())?;
        let Some(formal) = shown::formal(entry) else { continue };
        let mut item = item(formal, true);
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        item.data_id = given(&wanted.data_id).unwrap_or(item.data_id);
        item.group = given(&wanted.group).unwrap_or(item.group);
        items.push(item);
    }
    if items.is_empty() {
        return Ok(failed(input, Failure::Empty));
    }
    Ok(told(input, &put_all(api, input, &target, items, policy).await?))
}

/// The namespace to write to.
fn target<'a>(input: &'a Input<'_>, name: &str) -> &'a str {
    input.get(name).map_or_else(|| namespace(input), str::trim)
}

async fn exists(api: &Api, namespace: &str) -> Result<bool, Refused> {
    match ask(api, Question::Namespaces).await? {
        Known::Namespaces(all) => Ok(all.iter().any(|(id, ..)| **id == *namespace)),
        _ => Err(Refused::new(500, Code::ServerError, "the server answered another question")),
    }
}

/// Whether the sender may do this to this config, where that is asked at all.
fn may(api: &Api, input: &Input<'_>, action: Action, name: ConfigName<'_>) -> Result<(), Fail> {
    let Some(who) = &input.who else { return Ok(()) };
    let ConfigName { data_id, group, namespace } = name;
    let resource = Resource::Of { namespace, group, kind: Kind::Config, name: data_id };
    let decided = api.door.decide(&who.user, action, &resource);
    let denied = |_| identity::denied(Denial::Forbidden, input.path);
    decided.map_err(|why| Fail::Written(Box::new(denied(why))))
}

/// Publishes one after the other. What the sender may not write stops it before it begins.
async fn put_all(
    api: &Api,
    input: &Input<'_>,
    target: &str,
    items: Vec<Item>,
    policy: Policy,
) -> Result<Value, Fail> {
    for item in &items {
        let (data_id, group) = (&*item.data_id, &*item.group);
        may(api, input, Action::Write, ConfigName { data_id, group, namespace: target })?;
    }
    if let Some(patience) = input.patience {
        patience.lasts(SECONDS_MAX);
    }
    let (mut done, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    let mut items = items.into_iter();
    for item in items.by_ref() {
        let name = ConfigName { data_id: &item.data_id, group: &item.group, namespace: target };
        let there = name.fits() && api.tables.get(name).is_some_and(|entry| entry.formal.is_some());
        let named = json!({ "dataId": item.data_id, "group": item.group });
        if there && policy == Policy::Skip {
            skipped.push(named);
            continue;
        }
        let stops = there && policy == Policy::Abort;
        if !stops && put(api, input, target, item).await.is_ok() {
            done += 1;
            continue;
        }
        failed.push(named);
        if policy == Policy::Abort {
            break;
        }
    }
    skipped.extend(items.map(|item| json!({ "dataId": item.data_id, "group": item.group })));
    let mut report = json!({ "succCount": done, "skipCount": skipped.len() });
    if !failed.is_empty() {
        report["failData"] = failed.into();
    }
    if !skipped.is_empty() {
        report["skipData"] = skipped.into();
    }
    Ok(report)
}

async fn put(api: &Api, input: &Input<'_>, target: &str, item: Item) -> Result<(), Refused> {
    let (data_id, group) = (&*item.data_id, &*item.group);
    let parts = Parts { data_id, group, tenant: Some(target) };
    let mut request = parts.publish(item.content.clone());
    let source = input.either("srcUser", "src_user").unwrap_or_default();
    let members = [
        ("type", item.config_type),
        ("appName", item.app_name),
        ("desc", item.description),
        ("config_tags", item.tags),
        ("src_user", source.to_owned()),
    ];
    let pairs = members.into_iter().filter(|(_, value)| !value.trim().is_empty());
    request.addition = Pairs(pairs.map(|(key, value)| (Text::from(key), value.into())).collect());
    let call = ConfigCall::Publish { request: Box::new(request), by: by(input) };
    decided(api.ask(Call::Config(call)).await?)
}

/// Why nothing was done: a success of HTTP with a code.
#[derive(Debug, Clone, Copy)]
enum Failure {
    NoNamespace,
    Metadata,
    Unreadable,
    Empty,
    NothingSelected,
}

fn failed(input: &Input<'_>, failure: Failure) -> Reply {
    /// v1's own number for it.
    const V1_NO_NAMESPACE: i32 = 100_001;
    let code = match failure {
        Failure::NoNamespace => Code::NamespaceNotExist,
        Failure::Metadata => Code::ImportMetadataIllegal,
        Failure::Unreadable => Code::ImportParseFailed,
        Failure::Empty => Code::ImportFileEmpty,
        Failure::NothingSelected => Code::ImportNothingSelected,
    };
    let number = match (failure, input.version) {
        (Failure::NoNamespace, Version::V1) => V1_NO_NAMESPACE,
        _ => code.number(),
    };
    let json = json!({ "code": number, "message": code.text(), "data": { "succCount": 0 } });
    reply::json(StatusCode::OK, json.to_string())
}

fn told(input: &Input<'_>, report: &Value) -> Reply {
    let json = report.to_string();
    match input.version {
        Version::V1 => shape::rest_result(json.as_bytes()),
        Version::V2 | Version::V3 => shape::result(json.as_bytes()),
    }
}
