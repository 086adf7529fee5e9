//! Configs in the simulated node: the log that stands for Raft, what is true of each config, and
//! what clients know of those they listen to.
//!
//! A listening client does what SDKs do: listens with what it has, asks for what is said to have
//! changed, listens again; a notification makes it listen once more. Nothing else does: a change
//! that is not told stays unknown, and the oracle finds it.

use crate::config::md5::Md5;
use crate::config::table::Tables;
use crate::durable::state::{Change, State};
use crate::durable::{Record, Table};
use crate::key::{ConnKey, Core};
use crate::message::{Message, Purpose, Unready, Waiter};
use crate::sim::client::{Online, Op, matches};
use crate::sim::random::Random;
use crate::sim::reading::Read;
use crate::sim::server::Input;
use bytes::Bytes;
use nacre_proto::config as wire;
use nacre_proto::request::Request;
use nacre_proto::text::Pairs;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Patterns of config names that are watched.
pub const PATTERNS: [&str; 3] = ["public>>*>>*", "public>>g>>c1*", ">>g>>c2"];

/// What stands for Raft and the disk.
pub struct Log {
    pub tables: Arc<Tables>,
    state: State,
    records: BTreeMap<(Table, Bytes), Bytes>,
    waiting: VecDeque<Proposal>,
    /// Of each config: what it held, one after the other; nothing at first.
    truth: BTreeMap<String, Vec<Option<String>>>,
    /// Where in the truth each proposal ended up.
    applied: BTreeMap<(ConnKey, u32), usize>,
    /// Of each config: what some client was answered to be done.
    floor: BTreeMap<String, usize>,
    pub commits: u64,
}

/// What owners and listeners are told of a batch: configs, and slots of services.
type Settled = (Arc<[Change]>, Arc<[u32]>);

/// A command on its way.
#[derive(Debug)]
pub struct Proposal {
    pub from: Core,
    pub waiter: Waiter,
    pub purpose: Purpose,
    pub command: Bytes,
}

impl Default for Log {
    fn default() -> Self {
        let tables = Arc::new(Tables::default());
        Self {
            state: State::new(tables.clone()),
            tables,
            records: BTreeMap::new(),
            waiting: VecDeque::new(),
            truth: BTreeMap::new(),
            applied: BTreeMap::new(),
            floor: BTreeMap::new(),
            commits: 0,
        }
    }
}

impl Log {
    pub fn propose(&mut self, proposal: Proposal) {
        self.waiting.push_back(proposal);
    }

    /// Whether commands wait.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Applies some of what waits as one batch: what the Raft core is to be told.
    pub fn commit(&mut self, refuses: u64, random: &mut Random) -> Vec<Input> {
        let count = random.between(1, self.waiting.len().max(1) as u64) as usize;
        let batch: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        let mut answers = Vec::new();
        for Proposal { from, waiter, purpose, command } in batch {
            let outcome = if random.percent(refuses) {
                Err(Unready::Full)
            } else {
                let mut records = Vec::new();
                let answer = self.state.apply(self.commits, &command, &mut records);
                records.into_iter().for_each(|record| self.write(record));
                self.learn(waiter, &command);
                Ok(answer)
            };
            answers.push(Input::Proposed { to: from, waiter, purpose, outcome });
        }
        self.commits += 1;
        let changes = self.state.settle();
        let slots = self.state.touched_slots();
        std::iter::once(Input::Settled { changes, slots }).chain(answers).collect()
    }

    /// The log was replayed, or the store was opened anew: loads what is on disk.
    pub fn load(&mut self) -> Result<Settled, String> {
        let was_ready = self.tables.is_ready();
        self.state.clear();
        for ((table, key), value) in &self.records {
            let (table, key, value) = (*table, key.clone(), Some(value.clone()));
            self.state.load(Record { table, key, value })?;
        }
        let changes = self.state.loaded();
        self.tables.set_ready();
        if was_ready && !changes.is_empty() {
            return Err(format!("what was loaded differs from what was applied: {changes:?}"));
        }
        Ok((changes, self.state.touched_slots()))
    }

    fn write(&mut self, Record { table, key, value }: Record) {
        match value {
            Some(value) => _ = self.records.insert((table, key), value),
            None => _ = self.records.remove(&(table, key)),
        }
    }

    /// Writes down what the config holds now.
    fn learn(&mut self, waiter: Waiter, command: &[u8]) {
        use crate::durable::command::Command;
        let (data_id, now) = match Command::decode(command) {
            Ok(Command::Publish(publish)) => {
                (publish.name.data_id, Some(publish.content.to_owned()))
            }
            Ok(Command::Remove(remove)) => (remove.name.data_id, None),
            other => panic!("nobody proposes {other:?} here"),
        };
        let truth = self.truth.entry(data_id.to_owned()).or_insert_with(|| vec![None]);
        truth.push(now);
        self.applied.insert((waiter.conn, waiter.stream), truth.len() - 1);
    }

    /// What a config holds.
    pub fn last(&self, data_id: &str) -> Option<&str> {
        self.truth.get(data_id)?.last()?.as_deref()
    }

    /// What was answered to be done of a config.
    pub fn floor(&self, data_id: &str) -> usize {
        self.floor.get(data_id).copied().unwrap_or(0)
    }

    /// A client got an answer: what it was told may not be older than what anybody was told
    /// before it asked.
    pub fn judge(
        &mut self,
        conn: ConnKey,
        stream: u32,
        op: &Op,
        read: &Read,
    ) -> Result<(), String> {
        match op {
            Op::ConfigPublish(data_id, _) | Op::ConfigRemove(data_id) if read.success() => {
                let Some(at) = self.applied.get(&(conn, stream)) else {
                    return Err(format!("{op:?} was answered but not applied"));
                };
                let floor = self.floor.entry(data_id.clone()).or_default();
                *floor = (*floor).max(*at);
            }
            Op::ConfigQuery(data_id, floor) => {
                let Some(seen) = content(read) else { return Ok(()) };
                let truth = self.truth.get(data_id).map_or(&[None][..], Vec::as_slice);
                let after =
                    truth.iter().skip(*floor).any(|held| held.as_deref() == seen.as_deref());
                if !after {
                    return Err(format!(
                        "a query of {data_id} shows {seen:?}, older than what was answered before \
                         it was asked ({floor} of {truth:?})"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Names there are.
    pub fn names(&self) -> BTreeSet<String> {
        let there = self.truth.iter().filter(|(_, held)| matches!(held.last(), Some(Some(_))));
        there.map(|(data_id, _)| data_id.clone()).collect()
    }
}

/// What a query's answer says: `None` if it was refused, `Some(None)` if nothing is there.
fn content(read: &Read) -> Option<Option<String>> {
    let absent = read.kind == "ConfigQueryResponse" && read.error_code() == 300;
    (read.success() || absent).then(|| read.success().then(|| read.text("content")))
}

/// What one client knows of configs.
#[derive(Debug, Default)]
pub struct Heard {
    /// What it has of each config it listens to.
    pub configs: BTreeMap<String, Option<String>>,
    /// Names known by pattern.
    pub names: BTreeMap<&'static str, BTreeSet<String>>,
}

/// The tenant as this client spells it: some say `public`, some nothing.
fn tenant(op: &Op) -> Option<&'static str> {
    match op {
        Op::ConfigPublish(..) => Some(""),
        Op::ConfigQuery(..) => None,
        _ => Some("public"),
    }
}

/// As the call arrives at the server; `None` for one of another module.
pub fn request(op: &Op) -> Option<Request<'static>> {
    let text = |text: &str| Some(text.to_owned().into());
    let tenant = tenant(op).and_then(text);
    let context = |data_id: &String, content: &Option<String>| wire::ListenContext {
        group: text("g"),
        md5: content.as_ref().and_then(|content| {
            text(std::str::from_utf8(&Md5::of(content).hex()).expect("digits"))
        }),
        data_id: text(data_id),
        tenant: text("public"),
    };
    Some(match op {
        Op::ConfigPublish(data_id, content) => Request::ConfigPublish(wire::ConfigPublishRequest {
            data_id: text(data_id),
            group: text("g"),
            tenant,
            content: text(content),
            cas_md5: None,
            addition: Pairs::default(),
        }),
        Op::ConfigRemove(data_id) => Request::ConfigRemove(wire::ConfigRemoveRequest {
            data_id: text(data_id),
            group: text("g"),
            tenant,
            tag: None,
        }),
        Op::ConfigQuery(data_id, _) => Request::ConfigQuery(wire::ConfigQueryRequest {
            data_id: text(data_id),
            group: text("g"),
            tenant,
            tag: None,
        }),
        Op::ConfigListen(data_id, content) => {
            Request::ConfigBatchListen(wire::ConfigBatchListenRequest {
                listen: true,
                contexts: Some(vec![context(data_id, content)]),
            })
        }
        Op::ConfigUnlisten(data_id) => Request::ConfigBatchListen(wire::ConfigBatchListenRequest {
            listen: false,
            contexts: Some(vec![context(data_id, &None)]),
        }),
        Op::ConfigWatch(pattern, known) => {
            let key = |name: &String| format!("{name}+g+public").into();
            Request::ConfigFuzzyWatch(wire::ConfigFuzzyWatchRequest {
                group_key_pattern: text(pattern),
                received_group_keys: known.as_ref().map(|known| known.iter().map(key).collect()),
                watch_type: text("WATCH"),
                initializing: known.is_none(),
            })
        }
        Op::ConfigCancel(pattern) => Request::ConfigFuzzyWatch(wire::ConfigFuzzyWatchRequest {
            group_key_pattern: text(pattern),
            watch_type: text("CANCEL_WATCH"),
            ..Default::default()
        }),
        _ => return None,
    })
}

/// Takes in the answer of a call; what the client does next because of it.
pub fn answered(online: &mut Online, op: &Op, read: &Read) -> Vec<Op> {
    let heard = &mut online.heard;
    let absent = matches!(op, Op::ConfigQuery(..)) && content(read).is_some();
    if !read.success() && !absent {
        // Without its answer the client does not know; it asks again.
        return match op {
            Op::ConfigListen(..) | Op::ConfigQuery(..) | Op::ConfigUnlisten(..) => vec![op.clone()],
            _ => Vec::new(),
        };
    }
    match op {
        Op::ConfigListen(data_id, said) => {
            heard.configs.entry(data_id.clone()).or_insert_with(|| said.clone());
            let changed = read.json["changedConfigs"].as_array();
            if changed.is_some_and(|changed| !changed.is_empty()) {
                return vec![Op::ConfigQuery(data_id.clone(), 0)];
            }
        }
        Op::ConfigUnlisten(data_id) => _ = heard.configs.remove(data_id),
        Op::ConfigQuery(data_id, _) => {
            if let Some(known) = heard.configs.get_mut(data_id) {
                *known = content(read).expect("looked at above");
                return vec![Op::ConfigListen(data_id.clone(), known.clone())];
            }
        }
        Op::ConfigWatch(pattern, known) => {
            if known.is_none() {
                heard.names.insert(pattern, BTreeSet::new());
            } else {
                let said = || known.iter().flatten().cloned().collect();
                heard.names.entry(pattern).or_insert_with(said);
            }
        }
        Op::ConfigCancel(pattern) => _ = heard.names.remove(pattern),
        _ => {}
    }
    Vec::new()
}

/// Takes in a push of the config module, what the client does next because of it; `None` for one
/// of another module.
pub fn pushed(online: &mut Online, read: &Read) -> Result<Option<Vec<Op>>, String> {
    match read.kind {
        "ConfigChangeNotifyRequest" => {
            let data_id = read.text("dataId");
            let asked = online.calls.values().any(|op| {
                matches!(op, Op::ConfigListen(about, _) | Op::ConfigUnlisten(about)
                    if *about == data_id)
            });
            match online.heard.configs.get(&data_id) {
                Some(content) => Ok(Some(vec![Op::ConfigListen(data_id, content.clone())])),
                // The answer of the listen, still under way, will say it too.
                None if asked => Ok(Some(vec![Op::ConfigQuery(data_id, 0)])),
                None => Err(format!("a notification of {data_id}, which is not listened to")),
            }
        }
        "ConfigFuzzyWatchSyncRequest" => {
            let pattern = read.text("groupKeyPattern");
            let names = &mut online.heard.names;
            if let Some((_, known)) = names.iter_mut().find(|(key, _)| **key == pattern) {
                for (name, there) in contexts(read) {
                    if there {
                        known.insert(name)
                    } else {
                        known.remove(&name)
                    };
                }
            }
            Ok(Some(Vec::new()))
        }
        "ConfigFuzzyWatchChangeNotifyRequest" => {
            let name = name(&read.text("groupKey"));
            let there = read.json["changeType"] == "CONFIG_CHANGED";
            for (pattern, known) in &mut online.heard.names {
                if is_of(pattern, &name) {
                    if there {
                        known.insert(name.clone())
                    } else {
                        known.remove(&name)
                    };
                }
            }
            Ok(Some(Vec::new()))
        }
        _ => Ok(None),
    }
}

fn contexts(read: &Read) -> Vec<(String, bool)> {
    let contexts = read.json["contexts"].as_array();
    let context = |value: &serde_json::Value| {
        let key = value["groupKey"].as_str().unwrap_or_default();
        (name(key), value["changedType"] == "ADD_CONFIG")
    };
    contexts.into_iter().flatten().map(context).collect()
}

fn name(group_key: &str) -> String {
    group_key.split('+').next().unwrap_or_default().to_owned()
}

/// Whether a dataId is of a pattern; of the patterns used here.
pub fn is_of(pattern: &str, data_id: &str) -> bool {
    let pattern =
        if pattern.starts_with(">>") { format!("public{pattern}") } else { pattern.into() };
    matches(&pattern, &format!("public@@g@@{data_id}"))
}

/// Compares what a client knows with what is true.
pub fn judge_client(online: &Online, log: &Log) -> Result<(), String> {
    for (data_id, content) in &online.heard.configs {
        let there = log.last(data_id);
        if content.as_deref() != there {
            return Err(format!("has {content:?} of {data_id}, but there is {there:?}"));
        }
    }
    for (pattern, known) in &online.heard.names {
        let there: BTreeSet<_> =
            log.names().into_iter().filter(|name| is_of(pattern, name)).collect();
        if *known != there {
            return Err(format!("knows configs {known:?} of {pattern}, but there is {there:?}"));
        }
    }
    Ok(())
}

/// The config module's message of an input.
pub fn message(input: &Input) -> Option<Message<'static>> {
    match input {
        Input::Settled { changes, slots } => {
            Some(Message::Settled { changes: changes.clone(), slots: slots.clone() })
        }
        Input::Proposed { to, waiter, purpose, outcome } => Some(Message::Proposed {
            to: *to,
            waiter: *waiter,
            purpose: *purpose,
            outcome: outcome.clone(),
        }),
        _ => None,
    }
}

/// What a client does next about configs.
pub fn next(online: &Online, number: u64, serial: &mut u16, random: &mut Random) -> Op {
    let some = format!("c{}", random.below(4));
    let own: Vec<_> = online.heard.configs.iter().collect();
    match random.below(100) {
        0..30 => {
            *serial += 1;
            Op::ConfigPublish(some, format!("{number}\n{serial}"))
        }
        30..38 => Op::ConfigRemove(some),
        38..60 => Op::ConfigQuery(some, 0),
        60..80 => {
            let known = online.heard.configs.get(&some).cloned().flatten();
            Op::ConfigListen(some, known)
        }
        80..85 if !own.is_empty() => Op::ConfigUnlisten(random.pick(&own).0.clone()),
        85..90 => Op::ConfigCancel(random.pick(&PATTERNS)),
        _ => {
            let pattern = random.pick(&PATTERNS);
            let known = online.heard.names.get(pattern).filter(|_| random.percent(50));
            Op::ConfigWatch(pattern, known.map(|known| known.iter().cloned().collect()))
        }
    }
}
