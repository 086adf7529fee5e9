//! Configs: `/v1/cs`, `/v2/cs`, `/v3/client/cs`, `/v3/admin/cs`, `/v3/console/cs` (`http-api.md` 2,
//! 5 to 8). One resource in the words of five APIs.
//!
//! What is read comes from the tables, on the core that was asked; what changes or waits goes to
//! the shard.

mod archive;
mod capacity;
mod gray;
mod history;
mod listeners;
mod metrics;
mod poll;
mod read;
mod search;
mod seats;
mod shown;
mod transfer;
mod write;

pub(super) use seats::Seats;

use super::input::{self, Input};
use super::route::{Label, Version};
use super::shape;
use super::{Api, Outcome, Refused};
use crate::http1::StatusCode;
use crate::http1::reply::{self, Reply};
use archive::Form;
use nacre_proto::code::Code;
use nacre_proto::config::{ConfigPublishRequest, ConfigRemoveRequest};
use nacre_shards::config::open::{self, By};
use nacre_shards::durable::answer as durable;
use nacre_shards::naming::open::Answer;

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// v1 GET: the content, or what a parameter says instead.
    Get,
    /// v1 POST, likewise.
    Post,
    /// v1 DELETE, likewise.
    Delete,
    /// The content, in an envelope.
    Content,
    /// v3 clients: what the other wire answers.
    ClientQuery,
    /// All there is to a formal config.
    Detail,
    Catalog,
    Publish,
    /// Description and tags alone.
    Metadata,
    Remove,
    RemoveIds,
    Beta,
    StopBeta,
    /// A page, blurred unless it is asked to be accurate.
    List,
    Export,
    Import,
    Clone,
    Poll,
    ConfigListeners,
    ClientListeners,
    /// What an address' clients say of themselves.
    ClientMetrics,
    /// v1: a page or a row.
    History,
    HistoryList,
    HistoryRow,
    /// What was before and after one change.
    HistoryDetail,
    HistoryPrevious,
    /// All configs of a namespace.
    NamespaceConfigs,
    Capacity,
    SetCapacity,
    /// Whether the store can be written.
    Health,
    /// The reference reads its database anew; here there is nothing else than what is served.
    LocalCache,
}

impl Op {
    /// Whether a request carries contents.
    pub fn has_content(self) -> bool {
        matches!(self, Op::Post | Op::Publish | Op::Import)
    }
}

/// Why there is no answer of the handler's own.
enum Fail {
    Refused(Refused),
    /// Written already: the framework's form.
    Written(Box<Reply>),
}

impl From<Refused> for Fail {
    fn from(refused: Refused) -> Self {
        Fail::Refused(refused)
    }
}

type Answered = Result<Reply, Fail>;

/// One request.
pub(super) async fn answer(api: &Api, op: Op, input: &Input<'_>) -> Outcome {
    match answered(api, op, input).await {
        Ok(reply) => Ok(reply),
        Err(Fail::Written(reply)) => Ok(*reply),
        Err(Fail::Refused(refused)) => Err(worded(refused, input.version)),
    }
}

/// What clients live on is carried out here, the rest is boxed, likewise.
async fn answered(api: &Api, op: Op, input: &Input<'_>) -> Answered {
    match op {
        Op::Get if !is_variant(input) => read::content(api, input),
        Op::ClientQuery => read::client_query(api, input),
        Op::Poll => poll::poll(api, input).await,
        rarer => Box::pin(answered_rarer(api, rarer, input)).await,
    }
}

async fn answered_rarer(api: &Api, op: Op, input: &Input<'_>) -> Answered {
    match op {
        Op::Get => get(api, input).await,
        Op::Post => post(api, input).await,
        Op::Delete => delete(api, input).await,
        Op::Content => read::content(api, input),
        Op::ClientQuery => read::client_query(api, input),
        Op::Detail => gray::detail(api, input),
        Op::Catalog => gray::catalog(api, input),
        Op::Publish => write::publish(api, input).await,
        Op::Metadata => write::metadata(api, input).await,
        Op::Remove => write::remove(api, input).await,
        Op::RemoveIds => search::remove_ids(api, input).await,
        Op::Beta => gray::beta(api, input),
        Op::StopBeta => gray::stop_beta(api, input).await,
        Op::List => search::list(api, input, input.get("search") == Some("accurate")).await,
        Op::Export => transfer::export(api, input, Form::New).await,
        Op::Import => transfer::import(api, input).await,
        Op::Clone => transfer::clone(api, input).await,
        Op::Poll => poll::poll(api, input).await,
        Op::ConfigListeners => listeners::of_config(api, input).await,
        Op::ClientListeners => listeners::of_client(api, input).await,
        Op::ClientMetrics => metrics::of_clients(api, input).await,
        Op::History => history::v1(api, input).await,
        Op::HistoryList => history::list(api, input).await,
        Op::HistoryRow => history::row(api, input).await,
        Op::HistoryDetail => history::detail(api, input).await,
        Op::HistoryPrevious => history::previous(api, input).await,
        Op::NamespaceConfigs => search::of_namespace(api, input).await,
        Op::Capacity => capacity::show(api, input).await,
        Op::SetCapacity => capacity::set(api, input).await,
        Op::Health => Ok(reply::text(StatusCode::OK, "UP")),
        Op::LocalCache => Ok(match input.version {
            Version::V1 => reply::text(StatusCode::OK, "200"),
            _ => shape::result(b"\"Local cache updated from store successfully!\""),
        }),
    }
}

/// Whether a GET of v1 is about more than the content.
fn is_variant(input: &Input<'_>) -> bool {
    let names = ["search", "show", "beta", "export", "exportV2"];
    input.form.iter().any(|(name, _)| names.contains(&name))
}

/// v1 has several requests on one path, told apart by a parameter; they have a label of their own.
async fn get(api: &Api, input: &Input<'_>) -> Answered {
    let is = |name: &str, value: &str| input.get(name) == Some(value);
    if is("search", "accurate") || is("search", "blur") {
        labelled(api, input)?;
        return search::list(api, input, is("search", "accurate")).await;
    }
    if is("show", "all") {
        labelled(api, input)?;
        return gray::detail(api, input);
    }
    if is("beta", "true") {
        labelled(api, input)?;
        return gray::beta(api, input);
    }
    if is("export", "true") || is("exportV2", "true") {
        labelled(api, input)?;
        let form = if is("export", "true") { Form::Old } else { Form::New };
        return transfer::export(api, input, form).await;
    }
    read::content(api, input)
}

/// Likewise.
async fn post(api: &Api, input: &Input<'_>) -> Answered {
    let is = |name: &str| input.get(name) == Some("true");
    if is("import") {
        labelled(api, input)?;
        return transfer::import(api, input).await;
    }
    if is("clone") {
        labelled(api, input)?;
        return transfer::clone(api, input).await;
    }
    write::publish(api, input).await
}

/// Likewise.
async fn delete(api: &Api, input: &Input<'_>) -> Answered {
    if input.get("delType") == Some("ids") {
        labelled(api, input)?;
        return search::remove_ids(api, input).await;
    }
    if input.get("beta") == Some("true") {
        labelled(api, input)?;
        return gray::stop_beta(api, input).await;
    }
    write::remove(api, input).await
}

/// v1 tells the chain of exceptions.
fn worded(mut refused: Refused, version: Version) -> Refused {
    if version == Version::V1 && !refused.plain && refused.status != 503 {
        refused.text = format!("caused: {};", refused.text).into();
    }
    refused
}

/// Refuses where the variants of v1 are switched off.
fn labelled(api: &Api, input: &Input<'_>) -> Result<(), Fail> {
    match api.gone(Label::Console, input.path) {
        None => Ok(()),
        Some(gone) => Err(Fail::Written(Box::new(gone))),
    }
}

/// The three parts of a name as they came.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    data_id: &'a str,
    group: &'a str,
    tenant: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// dataId and group must be there.
    fn of(input: &'a Input<'_>) -> Result<Self, Fail> {
        let group = if input.version == Version::V3 { "groupName" } else { "group" };
        Ok(Self {
            data_id: required(input, "dataId", input.get("dataId"))?,
            group: required(input, group, input.either("groupName", "group"))?,
            tenant: input.either("namespaceId", "tenant"),
        })
    }

    fn given(self) -> [Option<&'a str>; 3] {
        [Some(self.data_id), Some(self.group), self.tenant]
    }

    fn publish(self, content: String) -> ConfigPublishRequest<'static> {
        ConfigPublishRequest {
            data_id: Some(self.data_id.to_owned().into()),
            group: Some(self.group.to_owned().into()),
            tenant: self.tenant.map(|tenant| tenant.to_owned().into()),
            content: Some(content.into()),
            ..ConfigPublishRequest::default()
        }
    }

    fn remove(self) -> ConfigRemoveRequest<'static> {
        ConfigRemoveRequest {
            data_id: Some(self.data_id.to_owned().into()),
            group: Some(self.group.to_owned().into()),
            tenant: self.tenant.map(|tenant| tenant.to_owned().into()),
            tag: None,
        }
    }
}

/// A parameter that must be there; in v1 a blank one is, for the handler to judge.
fn required<'a>(input: &'a Input<'_>, name: &str, value: Option<&'a str>) -> Result<&'a str, Fail> {
    if let Some(value) = value {
        return Ok(value);
    }
    if input.version != Version::V1 {
        return Err(input::missing(name, input.version).into());
    }
    match input.form.get(name) {
        Some(blank) => Ok(blank),
        None => Err(not_present(input, name)),
    }
}

/// The framework's words for a parameter that it binds itself.
fn not_present(input: &Input<'_>, name: &str) -> Fail {
    let text = format!(
        "Required request parameter '{name}' for method parameter type String is not present"
    );
    Fail::Written(Box::new(shape::error(StatusCode::BAD_REQUEST, &text, input.path)))
}

fn by(input: &Input<'_>) -> By {
    let user = input.who.as_ref().map(|who| who.user.as_str());
    By { client_ip: input.source.to_string().into(), user: user.unwrap_or_default().into() }
}

/// `true`, in the envelope of the version.
fn done(version: Version) -> Reply {
    shape::json_of(version, bytes::Bytes::from_static(b"true"))
}

/// What became of a command.
fn decided(answer: Answer) -> Result<(), Refused> {
    match answer {
        Answer::Proposed(Ok(durable::Answer::Done { .. })) => Ok(()),
        Answer::Proposed(Ok(durable::Answer::Refused(refused))) => Err(open::refused(refused)),
        Answer::Proposed(Err(unready)) => Err(Refused::busy(unready.sentence())),
        other => Err(super::unexpected(&other)),
    }
}

fn absent() -> Refused {
    Refused::new(404, Code::ResourceNotFound, read::ABSENT)
}

/// The headers the reference puts on contents.
fn uncached(reply: Reply) -> Reply {
    let reply = reply::and(reply, crate::http1::header::PRAGMA, "no-cache");
    reply::and(reply, crate::http1::header::EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT")
}
