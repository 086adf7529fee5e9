//! `/v1|v2/ns/service` (`http-api.md` 3.2, 5).

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Api, Reply};
use bytes::Bytes;
use nacre_proto::code::Code;
use nacre_proto::json;
use nacre_proto::open_api::Selector;
use nacre_shards::naming::kept::{Checker, pairs_json};
use nacre_shards::naming::open::{Answer, Call, Cluster, Detail, Name, Refused, Settings};

type Outcome = Result<Reply, Refused>;

/// Names of one page in v2, where v1 has no bound: the reference's.
const PAGE_SIZE_MAX: i64 = 500;

pub(super) async fn create(api: &Api, input: &Input<'_>) -> Outcome {
    let (name, settings) = (input.name()?, settings(input)?);
    let ephemeral = input.flag("ephemeral")?.unwrap_or(false);
    api.decide(Call::Create { name, settings, ephemeral }).await?;
    Ok(shape::done(input.version))
}

pub(super) async fn update(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.name()?;
    if input.version == Version::V1 {
        input.required("protectThreshold")?;
    }
    let settings = settings(input)?;
    api.decide(Call::Change { name, settings }).await?;
    Ok(shape::done(input.version))
}

pub(super) async fn delete(api: &Api, input: &Input<'_>) -> Outcome {
    api.decide(Call::Delete { name: input.name()? }).await?;
    Ok(shape::done(input.version))
}

pub(super) async fn detail(api: &Api, input: &Input<'_>) -> Outcome {
    let detail = match input.version {
        Version::V1 => Detail::List,
        Version::V2 => Detail::Map,
        Version::V3 => Detail::Whole,
    };
    match api.ask(Call::Service { name: input.name()?, detail }).await? {
        Answer::Json(json) => Ok(shape::json_of(input.version, json)),
        other => Err(super::unexpected(&other)),
    }
}

pub(super) async fn list(api: &Api, input: &Input<'_>) -> Outcome {
    let (page_no, page_size) = match input.version {
        Version::V1 => (input.required_whole("pageNo")?, input.required_whole("pageSize")?),
        _ => (input.whole("pageNo", 1)?, input.whole("pageSize", 20)?.min(PAGE_SIZE_MAX)),
    };
    let name = Name {
        namespace: input.text("namespaceId"),
        group: input.text("groupName"),
        service: String::new(),
    };
    match api.ask(Call::Names { name, page_no, page_size }).await? {
        Answer::Names { count, names } => {
            let key = if input.version == Version::V1 { "doms" } else { "services" };
            let mut out = b"{\"count\":".to_vec();
            json::write_i64(&mut out, count as i64);
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            out.extend_from_slice(&names);
            out.push(b'}');
            Ok(shape::json_of(input.version, Bytes::from(out)))
        }
        other => Err(super::unexpected(&other)),
    }
}

fn settings(input: &Input<'_>) -> Result<Settings, Refused> {
    let protect_threshold = input.double("protectThreshold")?.unwrap_or(0.0) as f32;
    if !protect_threshold.is_finite() {
        // JSON has no word for it.
        return Err(Refused::invalid("Param 'protectThreshold' is illegal, it is no number"));
    }
    Ok(Settings { protect_threshold, metadata: metadata(input)?, selector: selector(input)? })
}

/// The `metadata` parameter as it is kept; empty for none.
fn metadata(input: &Input<'_>) -> Result<String, Refused> {
    Ok(input.metadata()?.as_ref().map(pairs_json).unwrap_or_default())
}

/// The `selector` parameter as it will be shown; empty for none. In v1 it is encoded once more.
fn selector(input: &Input<'_>) -> Result<String, Refused> {
    let Some(text) = input.get("selector") else { return Ok(String::new()) };
    let decoded = crate::http1::form::decode(text.as_bytes());
    let text = if text.starts_with('%') { decoded.as_deref().unwrap_or(text) } else { text };
    let wrong = || Refused::new(400, Code::SelectorError, "not match any type of selector!");
    let selector = Selector::parse(text).map_err(|_| wrong())?.unwrap_or_default();
    match selector.kind.as_deref() {
        None | Some("none") => Ok(String::new()),
        Some("label") => {
            let mut out = br#"{"type":"label","contextType":"CMDB","expression":"#.to_vec();
            json::write_string(&mut out, selector.expression.as_deref().unwrap_or_default());
            out.push(b'}');
            Ok(String::from_utf8(out).expect("written from text"))
        }
        Some(_) => Err(wrong()),
    }
}

/// The kinds of selectors.
pub(super) fn selector_types(input: &Input<'_>) -> Reply {
    match input.version {
        Version::V3 => shape::result(br#"["label","none"]"#),
        _ => shape::rest_result(br#"["none","label"]"#),
    }
}

/// A cluster's checks and metadata (`http-api.md` 3.2, 7.3).
pub(super) async fn cluster(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.name()?;
    let cluster = Cluster {
        name: input.required("clusterName")?.to_owned(),
        check_port: input.required_whole("checkPort")?,
        use_instance_port: {
            input.required("useInstancePort4Check")?;
            input.flag("useInstancePort4Check")?.unwrap_or(true)
        },
        checker: input.required("healthChecker")?.to_owned(),
        metadata: metadata(input)?,
    };
    let is_mysql = matches!(Checker::parse(&cluster.checker), Some(Checker::Mysql { .. }));
    let who = format!("{}@@{}#{}", name.group, name.service, cluster.name);
    api.decide(Call::SetCluster { name, cluster }).await?;
    if is_mysql {
        tracing::warn!(
            target: "nacre::health",
            cluster = who,
            "MYSQL checks are not built: instances of this cluster keep the health they have"
        );
    }
    Ok(shape::done(input.version))
}

/// The checkers there are, as untouched ones show.
pub(super) fn checkers(input: &Input<'_>) -> Reply {
    const CHECKERS: &str = concat!(
        r#"{"TCP":{"type":"TCP"},"HTTP":{"type":"HTTP","path":"","headers":"","#,
        r#""expectedResponseCode":200},"MYSQL":{"type":"MYSQL","user":null,"pwd":null,"#,
        r#""cmd":null},"NONE":{"type":"NONE"}}"#
    );
    shape::json_of(input.version, Bytes::from_static(CHECKERS.as_bytes()))
}
