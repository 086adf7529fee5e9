//! `nacre trace`: who of a service's subscribers or a config's listeners was told what when, and
//! whether he said that he has it.

use super::office::Office;
use super::shown;
use super::wire::{Answered, Out, Refusal, Traced};
use nacre_shards::key::{ConfigKey, ConfigName, ServiceKey};
use nacre_shards::look::{Look, Outcome, Seen, Stage, Telling, Told, ToldOf, Topic};
use serde_json::{Value, json};
use std::fmt::Write;

/// UTF-8 bytes of a part of a name: what the wire lets through at most, in four bytes a character.
const NAME_BYTES_MAX: usize = 4_096;

/// Shows everybody who is told of one service or config.
pub async fn trace(office: &Office, about: &Traced, out: &mut impl Out) -> Answered {
    let (topic, mut head) = match about {
        Traced::Service { namespace, group, name } => {
            fits([namespace, group, name])?;
            let key = ServiceKey::new(namespace, group, name);
            (Topic::Service(key.clone()), service_head(office, key).await?)
        }
        Traced::Config { namespace, group, data_id } => {
            fits([namespace, group, data_id])?;
            let name = ConfigName { data_id, group, namespace };
            (Topic::Config(ConfigKey::new(name)), config_head(office, name)?)
        }
    };
    let mut overwritten = 0;
    let mut silent = Vec::new();
    let mut count = 0;
    for core in office.cores() {
        let mut from = Some(0);
        while let Some(place) = from {
            let look = Look::Told { topic: topic.clone(), from: place };
            let Some(Seen::Told(told)) = office.look(core, look).await else {
                silent.push(core.0);
                break;
            };
            if place == 0 {
                overwritten += told.overwritten;
            }
            count += told.subscribers.len();
            from = told.next;
            out.part(part(&told, core.0)).await?;
        }
    }
    head["subscribers"] = count.into();
    head["events_overwritten"] = overwritten.into();
    head["silent_cores"] = json!(silent);
    Ok(head)
}

fn fits(parts: [&String; 3]) -> Result<(), Refusal> {
    let is_long = parts.iter().any(|part| part.is_empty() || part.len() > NAME_BYTES_MAX);
    if is_long { Err(Refusal::unseen("a blank name, or one longer than any is")) } else { Ok(()) }
}

/// The service as its owner has it.
async fn service_head(office: &Office, key: ServiceKey) -> Answered {
    let map = nacre_shards::key::Map { cores: office.parts.node.cores };
    let look = Look::Service { service: key.clone() };
    let rows = match office.look(map.owner(&key).0, look).await {
        Some(Seen::Services { rows, .. }) => rows,
        _ => return Err(Refusal::unseen("the service's core does not answer")),
    };
    let row = rows.first();
    Ok(json!({
        "kind": "service",
        "namespace": key.namespace(),
        "group": key.group(),
        "name": key.service(),
        "exists": row.is_some(),
        "revision": row.map(|row| row.revision),
        "instances": row.map(|row| row.instances),
        "healthy": row.map(|row| row.healthy),
    }))
}

/// The config as every core reads it.
fn config_head(office: &Office, name: ConfigName<'_>) -> Answered {
    office.group()?;
    let entry = office.parts.durable.tables.get(name);
    let formal = entry.as_ref().and_then(|entry| entry.formal.as_ref());
    Ok(json!({
        "kind": "config",
        "namespace": name.namespace,
        "group": name.group,
        "name": name.data_id,
        "exists": formal.is_some(),
        "md5": formal.map(|formal| String::from_utf8_lossy(&formal.md5.hex()).into_owned()),
        "modified_ms": formal.map(|formal| formal.modified_ms),
        "grays": entry.as_ref().map_or(0, |entry| entry.grays.len()),
    }))
}

fn part(told: &ToldOf, core: u16) -> Value {
    let subscribers = told.subscribers.iter().map(|one| subscriber(one, core));
    let gone = told.gone.iter().map(|(id_ms, telling)| {
        let mut telling = told_once(telling);
        telling["id_ms"] = (*id_ms).into();
        telling["core"] = core.into();
        telling
    });
    json!({
        "subscribers": subscribers.collect::<Vec<_>>(),
        "gone": gone.collect::<Vec<_>>(),
    })
}

fn subscriber(told: &Told, core: u16) -> Value {
    let (state, at_ms) = match told.stage {
        Stage::Asked => ("subscribing", None),
        Stage::Answered => ("answered", None),
        Stage::Settled => ("settled", None),
        Stage::Waiting { until_ms } => ("waiting", Some(until_ms)),
        Stage::Repeats { at_ms } => ("repeats", Some(at_ms)),
        Stage::Withheld => ("withheld", None),
    };
    json!({
        "id": told.id,
        "ip": told.ip,
        "app": told.app,
        "core": core,
        "revision": if told.revision == 0 { None } else { Some(told.revision) },
        "md5": told.has.map(|md5| String::from_utf8_lossy(&md5.hex()).into_owned()),
        "state": state,
        "state_until_ms": at_ms,
        "newer_waits": told.held,
        "too_slow": told.congested,
        "tellings": told.tellings.iter().map(told_once).collect::<Vec<_>>(),
    })
}

fn told_once(telling: &Telling) -> Value {
    let (outcome, what) = match telling.outcome {
        Outcome::Answer => ("answer", "answered"),
        Outcome::None => ("none", "pushed"),
        Outcome::Acknowledged => ("acknowledged", "pushed"),
        Outcome::Refused => ("refused", "pushed"),
        Outcome::Unanswered => ("unanswered", "pushed"),
    };
    json!({
        "at_ms": telling.unix_ms,
        "what": what,
        "revision": if telling.revision == 0 { None } else { Some(telling.revision) },
        "outcome": outcome,
        "after_ms": telling.after_ms,
    })
}

/// For a person.
pub fn text(parts: &[Value], head: &Value) -> String {
    let mut text = String::new();
    let field = |name: &str| shown::plain(&head[name]);
    let _ = write!(
        text,
        "{} {} of group {} in {}: ",
        field("kind"),
        field("name"),
        field("group"),
        field("namespace")
    );
    let now = if head["exists"] != true {
        "there is none now".to_owned()
    } else if head["kind"] == "service" {
        let (instances, healthy) = (field("instances"), field("healthy"));
        format!("revision {}, {instances} instances, {healthy} healthy", field("revision"))
    } else {
        let modified = head["modified_ms"].as_u64().map(shown::time).unwrap_or_default();
        format!("md5 {}, of {modified}", field("md5"))
    };
    let _ = writeln!(text, "{now}; {} told", field("subscribers"));
    for one in all(parts, "subscribers") {
        write_one(&mut text, one, head);
    }
    let gone: Vec<&Value> = all(parts, "gone").collect();
    if !gone.is_empty() {
        text.push_str("clients that have left (the first digits of their ids):\n");
        for telling in gone {
            let _ = write!(text, "  {}_… ", telling["id_ms"]);
            write_telling(&mut text, telling);
        }
    }
    if head["events_overwritten"].as_u64() > Some(0) {
        let _ = writeln!(
            text,
            "older events were overwritten ({} of this and of what shares its place)",
            head["events_overwritten"]
        );
    }
    for core in head["silent_cores"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "core {core} DOES NOT ANSWER: its clients are missing");
    }
    text
}

fn all<'a>(parts: &'a [Value], member: &'a str) -> impl Iterator<Item = &'a Value> {
    parts.iter().filter_map(move |part| part[member].as_array()).flatten()
}

fn write_one(text: &mut String, one: &Value, head: &Value) {
    let is_service = head["kind"] == "service";
    let knows = match (is_service, &one["revision"], &one["md5"]) {
        (true, Value::Null, _) => "was told nothing".to_owned(),
        (true, revision, _) if *revision == head["revision"] => "has the latest".to_owned(),
        (true, revision, _) => format!("has revision {revision}"),
        (false, _, Value::Null) => "had none when it asked".to_owned(),
        (false, _, md5) if *md5 == head["md5"] => "had the latest when it asked".to_owned(),
        (false, _, md5) => format!("had {} when it asked", shown::plain(md5)),
    };
    let until = one["state_until_ms"].as_u64().map(shown::time).unwrap_or_default();
    let state = match one["state"].as_str().unwrap_or_default() {
        "subscribing" => "its subscription is not answered yet".to_owned(),
        "withheld" => "its user has no right to it any more".to_owned(),
        "answered" => "nothing was pushed to it".to_owned(),
        "settled" => "nothing is waited for".to_owned(),
        "waiting" => format!("its acknowledgement is waited for until {until}"),
        _ => format!("it is told again at {until}"),
    };
    let mut more = String::new();
    if one["newer_waits"] == true {
        more.push_str(", a newer state waits for that");
    }
    if one["too_slow"] == true {
        more.push_str(", IT DOES NOT READ: nothing is pushed");
    }
    let (id, ip, app) =
        (shown::plain(&one["id"]), shown::plain(&one["ip"]), shown::plain(&one["app"]));
    let _ = writeln!(text, "{id}  {ip}  {app}: {knows}, {state}{more}");
    for telling in one["tellings"].as_array().into_iter().flatten() {
        text.push_str("  ");
        write_telling(text, telling);
    }
}

fn write_telling(text: &mut String, telling: &Value) {
    let at = telling["at_ms"].as_u64().map(shown::time).unwrap_or_default();
    let _ = write!(text, "{at}  {}", shown::plain(&telling["what"]));
    if !telling["revision"].is_null() {
        let _ = write!(text, " revision {}", telling["revision"]);
    }
    let after = &telling["after_ms"];
    let _ = match telling["outcome"].as_str().unwrap_or_default() {
        "answer" => writeln!(text),
        "acknowledged" => writeln!(text, ", acknowledged after {after} ms"),
        "refused" => writeln!(text, ", REFUSED after {after} ms"),
        "unanswered" => writeln!(text, ", NOT ACKNOWLEDGED within {after} ms"),
        _ => writeln!(text, ", not acknowledged"),
    };
}

/// For programs.
pub fn json(parts: &[Value], head: &Value) -> Value {
    let mut told = head.clone();
    told["told"] = all(parts, "subscribers").cloned().collect();
    told["gone"] = all(parts, "gone").cloned().collect();
    told
}
