//! A simulated client: what it asked, what it was told, and what it finds wrong with that.

use crate::key::{ConnKey, Core, ServiceKey};
use crate::sim::configs::{self, Heard};
use crate::sim::reading::{List, Read};
use crate::sim::shadow::Standing;
use nacre_proto::naming::{self as wire, FuzzyWatchRequest, ServiceListRequest};
use nacre_proto::request::Request;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One thing a client asks for.
#[derive(Debug, Clone)]
pub enum Op {
    Health,
    Register(ServiceKey, Instance),
    Batch(ServiceKey, Vec<Instance>),
    Deregister(ServiceKey),
    Subscribe(ServiceKey, &'static str),
    Unsubscribe(ServiceKey),
    Query(ServiceKey, &'static str),
    List(&'static str, &'static str),
    /// Pattern, and what is known already; `None` for a first time.
    Watch(&'static str, Option<Vec<String>>),
    Cancel(&'static str),
    /// dataId, and content no other publish of the run has.
    ConfigPublish(String, String),
    ConfigRemove(String),
    /// How far the config was known to be when it was asked for.
    ConfigQuery(String, usize),
    /// What the client has of it.
    ConfigListen(String, Option<String>),
    ConfigUnlisten(String),
    /// As `Watch`, of configs.
    ConfigWatch(&'static str, Option<Vec<String>>),
    ConfigCancel(&'static str),
}

/// An instance, told apart from all others of a run by ip and port.
#[derive(Debug, Clone)]
pub struct Instance {
    pub ip: String,
    pub port: u16,
    pub cluster: &'static str,
    pub enabled: bool,
}

impl Instance {
    /// As clients compare instances here.
    pub fn text(&self) -> String {
        format!("{}:{}:{}", self.ip, self.port, self.cluster)
    }

    fn wire(&self) -> wire::Instance<'static> {
        wire::Instance {
            ip: Some(self.ip.clone().into()),
            port: i64::from(self.port),
            cluster_name: Some(self.cluster.into()),
            enabled: self.enabled,
            ..Default::default()
        }
    }
}

impl Op {
    /// As it arrives at the server.
    pub fn request(&self) -> Request<'static> {
        if let Some(request) = configs::request(self) {
            return request;
        }
        match self {
            Op::Health => Request::HealthCheck,
            Op::Register(service, instance) => Request::Instance(wire::InstanceRequest {
                instance: Some(instance.wire()),
                ..instance_request(service, "registerInstance")
            }),
            Op::Deregister(service) => {
                Request::Instance(instance_request(service, "deregisterInstance"))
            }
            Op::Batch(service, instances) => Request::BatchInstance(wire::BatchInstanceRequest {
                namespace: Some(service.namespace().to_owned().into()),
                service_name: Some(service.service().to_owned().into()),
                group_name: Some(service.group().to_owned().into()),
                operation: Some("batchRegisterInstance".into()),
                instances: Some(instances.iter().map(Instance::wire).collect()),
            }),
            Op::Subscribe(service, clusters) => subscribe_request(service, clusters, true),
            Op::Unsubscribe(service) => subscribe_request(service, "", false),
            Op::Query(service, cluster) => Request::ServiceQuery(wire::ServiceQueryRequest {
                namespace: Some(service.namespace().to_owned().into()),
                service_name: Some(service.service().to_owned().into()),
                group_name: Some(service.group().to_owned().into()),
                cluster: Some((*cluster).into()),
                ..Default::default()
            }),
            Op::List(namespace, group) => Request::ServiceList(ServiceListRequest {
                namespace: Some((*namespace).into()),
                group_name: Some((*group).into()),
                page_no: 1,
                page_size: 1_000,
                ..Default::default()
            }),
            Op::Watch(pattern, known) => Request::NamingFuzzyWatch(FuzzyWatchRequest {
                group_key_pattern: Some((*pattern).into()),
                received_group_keys: known
                    .as_ref()
                    .map(|known| known.iter().map(|name| name.clone().into()).collect()),
                watch_type: Some("WATCH".into()),
                initializing: known.is_none(),
                ..Default::default()
            }),
            Op::Cancel(pattern) => Request::NamingFuzzyWatch(FuzzyWatchRequest {
                group_key_pattern: Some((*pattern).into()),
                watch_type: Some("CANCEL_WATCH".into()),
                ..Default::default()
            }),
            other => unreachable!("{other:?} is of the config module"),
        }
    }

    /// The service it subscribes to or unsubscribes from.
    fn about(&self) -> Option<&ServiceKey> {
        match self {
            Op::Subscribe(service, _) | Op::Unsubscribe(service) => Some(service),
            _ => None,
        }
    }
}

fn instance_request(service: &ServiceKey, kind: &'static str) -> wire::InstanceRequest<'static> {
    wire::InstanceRequest {
        namespace: Some(service.namespace().to_owned().into()),
        service_name: Some(service.service().to_owned().into()),
        group_name: Some(service.group().to_owned().into()),
        operation: Some(kind.into()),
        instance: Some(wire::Instance::default()),
    }
}

fn subscribe_request(service: &ServiceKey, clusters: &'static str, on: bool) -> Request<'static> {
    Request::SubscribeService(wire::SubscribeServiceRequest {
        namespace: Some(service.namespace().to_owned().into()),
        service_name: Some(service.service().to_owned().into()),
        group_name: Some(service.group().to_owned().into()),
        subscribe: on,
        clusters: Some(clusters.into()),
    })
}

/// What travels to a client.
#[derive(Debug)]
pub enum Wire {
    Reply(u32, Read),
    Push(Read),
    /// The connection ended.
    Lost,
}

/// A client while it has a connection.
#[derive(Debug)]
pub struct Online {
    pub conn: ConnKey,
    pub core: Core,
    pub set_up: bool,
    /// It takes messages from the wire.
    pub reads: bool,
    /// It does nothing at all.
    pub frozen: bool,
    pub unread: VecDeque<Wire>,
    /// The server was told that it does not read.
    pub congested: bool,
    /// When the last message in each direction arrives: a connection keeps order.
    pub to_server_ms: u64,
    pub to_client_ms: u64,
    pub stream: u32,
    pub calls: BTreeMap<u32, Op>,
    pub standing: Standing,
    /// Latest list of each followed service.
    pub seen: BTreeMap<ServiceKey, Seen>,
    /// Names known by pattern.
    pub knows: BTreeMap<&'static str, BTreeSet<String>>,
    /// What it knows of configs.
    pub heard: Heard,
    last_id: u64,
}

/// The latest list a client was told.
#[derive(Debug, Clone)]
pub struct Seen {
    pub list: List,
    /// No older one may follow, also not after the answer of a query.
    floor: u64,
    pub pushes: u64,
}

/// What a client does about a message.
#[derive(Debug)]
pub enum Reaction {
    Nothing,
    /// Acknowledge, perhaps.
    Ack(u64),
    /// Acknowledge for certain: it is asked whether it lives.
    Alive(u64),
    /// A probe's answer.
    Answered(u32),
    /// Acknowledge, perhaps, and ask for more.
    AckAndAsk(u64, Vec<Op>),
    /// Ask for more, after a while.
    Ask(Vec<Op>),
}

impl Online {
    pub fn new(conn: ConnKey, core: Core, now_ms: u64) -> Self {
        Self {
            conn,
            core,
            set_up: false,
            reads: true,
            frozen: false,
            unread: VecDeque::new(),
            congested: false,
            to_server_ms: now_ms,
            to_client_ms: now_ms,
            stream: 0,
            calls: BTreeMap::new(),
            standing: Standing::default(),
            seen: BTreeMap::new(),
            knows: BTreeMap::new(),
            heard: Heard::default(),
            last_id: 0,
        }
    }

    /// Takes in a message; an error is something the server must never do.
    pub fn read(&mut self, wire: &Wire, names: &[ServiceKey]) -> Result<Reaction, String> {
        match wire {
            Wire::Lost => Ok(Reaction::Nothing),
            Wire::Reply(stream, read) => self.read_reply(*stream, read, names),
            Wire::Push(read) => self.read_push(read, names),
        }
    }

    fn read_reply(
        &mut self,
        stream: u32,
        read: &Read,
        names: &[ServiceKey],
    ) -> Result<Reaction, String> {
        let Some(op) = self.calls.remove(&stream) else {
            return Err(format!("an answer on stream {stream} that waits for none"));
        };
        let more = configs::answered(self, &op, read);
        if !more.is_empty() {
            return Ok(Reaction::Ask(more));
        }
        if matches!(op, Op::ConfigQuery(..)) && read.error_code() == 300 {
            return Ok(Reaction::Answered(stream));
        }
        if !read.success() {
            return match read.error_code() {
                300 | 301 | 503 => Ok(Reaction::Answered(stream)),
                _ => Err(format!("{op:?} was refused: {}", read.json)),
            };
        }
        self.standing.apply(&op);
        let list = read.list();
        match (&op, list) {
            (Op::Subscribe(..), Some(list)) => self.see(list, names, 0)?,
            (Op::Unsubscribe(service), _) => _ = self.seen.remove(service),
            (Op::Query(service, _), Some(list)) => {
                if let Some(seen) = self.seen.get_mut(service) {
                    if list.revision < seen.floor {
                        return Err(format!(
                            "a query answer of {service:?} goes back from {} to {}",
                            seen.floor, list.revision
                        ));
                    }
                    seen.floor = list.revision;
                }
            }
            (Op::Watch(pattern, known), _) => {
                let said = || known.iter().flatten().cloned().collect();
                if known.is_none() {
                    self.knows.insert(pattern, BTreeSet::new());
                } else {
                    self.knows.entry(pattern).or_insert_with(said);
                }
            }
            (Op::Cancel(pattern), _) => _ = self.knows.remove(pattern),
            _ => {}
        }
        Ok(Reaction::Answered(stream))
    }

    fn read_push(&mut self, read: &Read, names: &[ServiceKey]) -> Result<Reaction, String> {
        let Some(id) = read.request_id() else {
            return match read.kind {
                "SetupAckRequest" => Ok(Reaction::Nothing),
                kind => Err(format!("{kind} without a requestId")),
            };
        };
        if id <= self.last_id {
            return Err(format!("push id {id} after {}", self.last_id));
        }
        self.last_id = id;
        if let Some(more) = configs::pushed(self, read)? {
            return Ok(Reaction::AckAndAsk(id, more));
        }
        match read.kind {
            "NotifySubscriberRequest" => {
                let list = read.list().ok_or("a push without a list")?;
                self.see(list, names, 1)?;
                Ok(Reaction::Ack(id))
            }
            "ClientDetectionRequest" | "ConnectResetRequest" => Ok(Reaction::Alive(id)),
            "NamingFuzzyWatchSyncRequest" => {
                let pattern = read.text("groupKeyPattern");
                if let Some((_, known)) = self.knows.iter_mut().find(|(key, _)| **key == pattern) {
                    learn(known, &read.contexts());
                }
                Ok(Reaction::Ack(id))
            }
            "NamingFuzzyWatchChangeNotifyRequest" => {
                let contexts = read.contexts();
                for (pattern, known) in &mut self.knows {
                    let matching: Vec<_> =
                        contexts.iter().filter(|(name, _)| matches(pattern, name)).collect();
                    learn(known, matching);
                }
                Ok(Reaction::Ack(id))
            }
            kind => Err(format!("an unexpected push: {kind}")),
        }
    }

    /// A list came, by push or by the answer of a subscription.
    fn see(&mut self, list: List, names: &[ServiceKey], pushes: u64) -> Result<(), String> {
        let service = names.iter().find(|name| name.grouped() == list.grouped);
        let Some(service) = service else { return Err(format!("a list of {}", list.grouped)) };
        let asked = self.calls.values().any(|op| op.about() == Some(service));
        if pushes > 0 && !asked && !self.standing.follows.contains_key(service) {
            return Err(format!("a push of {service:?}, which is not followed"));
        }
        let before = self.seen.get(service);
        let floor = before.map_or(0, |seen| seen.floor);
        if list.revision < floor {
            return Err(format!("{service:?} goes back from {floor} to {}", list.revision));
        }
        let pushes = pushes + before.map_or(0, |seen| seen.pushes);
        self.seen.insert(service.clone(), Seen { floor: list.revision, list, pushes });
        Ok(())
    }
}

fn learn<'a>(known: &mut BTreeSet<String>, contexts: impl IntoIterator<Item = &'a (String, bool)>) {
    for (name, there) in contexts {
        if *there {
            known.insert(name.clone());
        } else {
            known.remove(name);
        }
    }
}

/// Whether a name is of a pattern; of the kinds of pattern used here.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<_> = pattern.split(">>").collect();
    let name: Vec<_> = name.split("@@").collect();
    pattern.len() == name.len()
        && pattern.iter().zip(&name).all(|(pattern, name)| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => pattern == name,
        })
}
