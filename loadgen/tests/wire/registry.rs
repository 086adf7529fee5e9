//! A small registry on the `h2` crate: enough Nacos to judge the clients by.
//!
//! It is right where the tests look (set-up, lists, pushes to all subscribers, disconnects) and
//! makes no attempt at anything else.

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use nacre_loadgen::envelope;
use nacre_loadgen::md5::Md5;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Messages waiting for one connection's stream.
const STREAM_QUEUE_MAX: usize = 4_096;

/// The outbox entry that ends the stream with trailers, as grpc-java answers a half-close.
const END: &str = "";

type Outbox = mpsc::Sender<(String, Vec<u8>)>;

/// How a registry wrongs its clients, so that checks can be seen to notice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lie {
    #[default]
    None,
    /// Every tenth push is never sent.
    LostPush,
    /// Every tenth push says an older revision than the one before.
    OldPush,
    /// HealthCheck is answered with another type.
    WrongType,
    /// Every tenth push is sent twice.
    TwicePushed,
    /// Every tenth push of a whole list lacks its first host, under a new revision.
    TakenBack,
    /// Every tenth change of a config is not told.
    LostNotice,
    /// Every tenth answer to a query of a config is the content before.
    OldContent,
    /// Every tenth answer to a query of a config ends in another byte.
    WrongContent,
}

/// A config: what it says, what it said before, and who listens.
#[derive(Default)]
struct Config {
    content: String,
    before: String,
    listeners: BTreeMap<u64, Outbox>,
}

#[derive(Default)]
struct State {
    lie: Lie,
    pushes: u64,
    hang_up: Option<Arc<tokio::sync::Notify>>,
    /// Service to (connection, its instances).
    services: BTreeMap<String, BTreeMap<u64, Vec<Value>>>,
    /// Service to subscribing connections.
    subscribers: BTreeMap<String, BTreeMap<u64, Outbox>>,
    streams: BTreeMap<u64, Outbox>,
    configs: BTreeMap<String, Config>,
    health_checks: u64,
    queries: u64,
    notices: u64,
    revision: u64,
    acks: Vec<String>,
    negotiates: bool,
}

/// A running registry; it ends with the process.
#[derive(Clone)]
pub struct Registry {
    pub addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Registry {
    /// Starts one on a free loopback port. `negotiates`: whether it answers abilities.
    pub fn start(negotiates: bool) -> Self {
        let hang_up = Some(Arc::default());
        let state = State { negotiates, hang_up, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let shared = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                let mut id = 0;
                loop {
                    let (socket, peer) = listener.accept().await.unwrap();
                    id += 1;
                    let link = Link { id, peer, state: shared.clone() };
                    tokio::spawn(link.serve(socket));
                }
            });
        });
        Self { addr: receiver.recv().unwrap(), state }
    }

    /// Types and request ids of every answer to a push so far.
    pub fn acks(&self) -> Vec<String> {
        self.state.lock().unwrap().acks.clone()
    }

    /// From now on it lies.
    pub fn lie(&self, lie: Lie) {
        self.state.lock().unwrap().lie = lie;
    }

    /// Closes every connection, once.
    pub fn hang_up(&self) {
        let notify = self.state.lock().unwrap().hang_up.clone().unwrap();
        notify.notify_waiters();
    }

    /// Sends a message on every open stream.
    pub fn broadcast(&self, kind: &str, body: &Value) {
        for outbox in self.state.lock().unwrap().streams.values() {
            outbox.try_send((kind.into(), body.to_string().into_bytes())).unwrap();
        }
    }

    /// How many HealthChecks were answered.
    pub fn health_checks(&self) -> u64 {
        self.state.lock().unwrap().health_checks
    }

    /// How many configs there are.
    pub fn configs(&self) -> usize {
        self.state.lock().unwrap().configs.len()
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.state.lock().unwrap().streams.len()
    }
}

#[derive(Clone)]
struct Link {
    id: u64,
    peer: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Link {
    async fn serve(self, socket: TcpStream) {
        socket.set_nodelay(true).unwrap();
        if let Ok(mut connection) = h2::server::handshake(socket).await {
            let notify = self.state.lock().unwrap().hang_up.clone().unwrap();
            let mut end = std::pin::pin!(notify.notified());
            loop {
                let accepted = std::future::poll_fn(|context| {
                    if end.as_mut().poll(context).is_ready() {
                        return std::task::Poll::Ready(None);
                    }
                    connection.poll_accept(context)
                });
                let Some(Ok((request, respond))) = accepted.await else { break };
                tokio::spawn(self.clone().request(request, respond));
            }
        }
        let mut state = self.state.lock().unwrap();
        state.streams.remove(&self.id);
        for subscribers in state.subscribers.values_mut() {
            subscribers.remove(&self.id);
        }
        for config in state.configs.values_mut() {
            config.listeners.remove(&self.id);
        }
        let mut touched = Vec::new();
        for (service, publishers) in &mut state.services {
            if publishers.remove(&self.id).is_some() {
                touched.push(service.clone());
            }
        }
        touched.iter().for_each(|service| state.push(service));
    }

    async fn request(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let unary = match request.uri().path() {
            "/Request/request" => true,
            "/BiRequestStream/requestBiStream" => false,
            _ => {
                let head = head().header("grpc-status", "12").header("grpc-message", "no method");
                respond.send_response(head.body(()).unwrap(), true).unwrap();
                return;
            }
        };
        let Ok(stream) = respond.send_response(head().body(()).unwrap(), false) else { return };
        if unary {
            self.unary(request.into_body(), stream).await;
        } else {
            self.stream(request.into_body(), stream).await;
        }
    }

    async fn unary(self, mut body: RecvStream, mut stream: SendStream<Bytes>) {
        let mut bytes = BytesMut::new();
        while let Some(Ok(chunk)) = body.data().await {
            body.flow_control().release_capacity(chunk.len()).unwrap();
            bytes.extend_from_slice(&chunk);
        }
        let (message, _) = envelope::split_message(&bytes).unwrap().unwrap();
        let request = envelope::decode(message).unwrap();
        let body: Value = serde_json::from_slice(request.body).unwrap();
        let (kind, answer) = self.answer(request.kind, &body);
        let mut out = Vec::new();
        envelope::encode_message(&kind, "", &[], answer.to_string().as_bytes(), &mut out);
        let _ = stream.send_data(out.into(), false);
        let _ = stream.send_trailers(trailers());
    }

    fn answer(&self, kind: &str, body: &Value) -> (String, Value) {
        let mut state = self.state.lock().unwrap();
        if kind == "ServerCheckRequest" {
            let id = format!("1718000000000_{}_{}", self.peer.ip(), self.peer.port());
            let negotiates = state.negotiates;
            let check = json!({"resultCode": 200, "errorCode": 0, "connectionId": id,
                "supportAbilityNegotiation": negotiates, "success": true});
            return ("ServerCheckResponse".into(), check);
        }
        if !state.streams.contains_key(&self.id) {
            let refusal = json!({"resultCode": 500, "errorCode": 301,
                "message": "Connection is unregistered.", "success": false});
            return ("ErrorResponse".into(), refusal);
        }
        let service = body["serviceName"].as_str().unwrap_or_default().to_owned();
        let mut answer = json!({"resultCode": 200, "errorCode": 0, "success": true});
        match kind {
            "HealthCheckRequest" if state.lie == Lie::WrongType => {
                return ("InstanceResponse".into(), answer);
            }
            "HealthCheckRequest" => state.health_checks += 1,
            "InstanceRequest" => {
                let publishers = state.services.entry(service.clone()).or_default();
                if body["type"] == "registerInstance" {
                    publishers.insert(self.id, vec![body["instance"].clone()]);
                } else {
                    publishers.remove(&self.id);
                }
                answer["type"] = body["type"].clone();
                state.push(&service);
            }
            "BatchInstanceRequest" => {
                let instances = body["instances"].as_array().unwrap().clone();
                state.services.entry(service.clone()).or_default().insert(self.id, instances);
                state.push(&service);
            }
            "SubscribeServiceRequest" => {
                let outbox = state.streams[&self.id].clone();
                let subscribers = state.subscribers.entry(service.clone()).or_default();
                if body["subscribe"] == true {
                    subscribers.insert(self.id, outbox);
                } else {
                    subscribers.remove(&self.id);
                }
                answer["serviceInfo"] = state.info(&service);
            }
            "ServiceQueryRequest" => answer["serviceInfo"] = state.info(&service),
            "ServiceListRequest" => {
                let names: Vec<_> = state.services.keys().collect();
                let size = body["pageSize"].as_u64().unwrap() as usize;
                answer["count"] = names.len().into();
                answer["serviceNames"] = json!(&names[..names.len().min(size)]);
            }
            _ => return state.config(kind, body, self.id),
        }
        let name = match kind {
            "ServiceQueryRequest" => "QueryServiceResponse".into(),
            _ => kind.replace("Request", "Response"),
        };
        (name, answer)
    }

    async fn stream(self, mut body: RecvStream, mut stream: SendStream<Bytes>) {
        let (outbox, mut waiting) = mpsc::channel::<(String, Vec<u8>)>(STREAM_QUEUE_MAX);
        tokio::spawn(async move {
            while let Some((kind, body)) = waiting.recv().await {
                if kind == END {
                    let _ = stream.send_trailers(trailers());
                    return;
                }
                let mut out = Vec::new();
                envelope::encode_message(&kind, "", &[], &body, &mut out);
                if stream.send_data(out.into(), false).is_err() {
                    return;
                }
            }
        });
        let mut bytes = BytesMut::new();
        while let Some(Ok(chunk)) = body.data().await {
            body.flow_control().release_capacity(chunk.len()).unwrap();
            bytes.extend_from_slice(&chunk);
            while let Some((message, used)) = envelope::split_message(&bytes).unwrap() {
                let message = envelope::decode(message).unwrap();
                let json: Value = serde_json::from_slice(message.body).unwrap();
                self.stream_message(message.kind, &json, &outbox);
                let _ = bytes.split_to(used);
            }
        }
        let _ = outbox.try_send((END.into(), Vec::new()));
    }

    fn stream_message(&self, kind: &str, body: &Value, outbox: &Outbox) {
        let mut state = self.state.lock().unwrap();
        if kind != "ConnectionSetupRequest" {
            state.acks.push(format!("{kind} {}", body["requestId"].as_str().unwrap_or("-")));
            return;
        }
        state.streams.insert(self.id, outbox.clone());
        if state.negotiates && body.get("abilityTable").is_some() {
            let ack = br#"{"headers":{},"abilityTable":{"fuzzyWatch":true},"module":"internal"}"#;
            outbox.try_send(("SetupAckRequest".into(), ack.to_vec())).unwrap();
        }
    }
}

impl State {
    fn config(&mut self, kind: &str, body: &Value, id: u64) -> (String, Value) {
        let mut answer = json!({"resultCode": 200, "errorCode": 0, "success": true});
        let name = body["dataId"].as_str().unwrap_or_default().to_owned();
        let kind = match kind {
            "ConfigPublishRequest" => {
                let config = self.configs.entry(name.clone()).or_default();
                let content = body["content"].as_str().unwrap().to_owned();
                config.before = std::mem::replace(&mut config.content, content);
                self.notices += 1;
                if self.lie != Lie::LostNotice || !self.notices.is_multiple_of(10) {
                    self.notify(&name);
                }
                "ConfigPublishResponse"
            }
            "ConfigRemoveRequest" => {
                self.configs.remove(&name);
                "ConfigRemoveResponse"
            }
            "ConfigBatchListenRequest" => {
                answer["changedConfigs"] = self.listen(body, id).into();
                "ConfigChangeBatchListenResponse"
            }
            "ConfigQueryRequest" => {
                self.query(&name, &mut answer);
                "ConfigQueryResponse"
            }
            _ => {
                let refusal = json!({"resultCode": 500, "errorCode": 302, "success": false});
                return ("ErrorResponse".into(), refusal);
            }
        };
        (kind.into(), answer)
    }

    fn notify(&mut self, name: &str) {
        self.revision += 1;
        let body = json!({"headers": {}, "requestId": self.revision.to_string(), "dataId": name,
            "group": "DEFAULT_GROUP", "tenant": "public", "module": "config"});
        for outbox in self.configs[name].listeners.values() {
            let notice = ("ConfigChangeNotifyRequest".to_owned(), body.to_string().into_bytes());
            outbox.try_send(notice).unwrap();
        }
    }

    fn listen(&mut self, body: &Value, id: u64) -> Vec<Value> {
        let mut changed = Vec::new();
        for context in body["configListenContexts"].as_array().unwrap() {
            let name = context["dataId"].as_str().unwrap();
            let config = self.configs.entry(name.to_owned()).or_default();
            config.listeners.insert(id, self.streams[&id].clone());
            if context["md5"] != Md5::default().hex(config.content.as_bytes()) {
                changed.push(json!({"dataId": name, "group": "DEFAULT_GROUP", "tenant": "public"}));
            }
        }
        changed
    }

    fn query(&mut self, name: &str, answer: &mut Value) {
        let Some(config) = self.configs.get(name) else {
            *answer = json!({"resultCode": 500, "errorCode": 300, "success": false,
                "message": "config data not exist"});
            return;
        };
        self.queries += 1;
        let lies = self.queries.is_multiple_of(10);
        let mut content = config.content.clone();
        if lies && self.lie == Lie::OldContent && !config.before.is_empty() {
            content = config.before.clone();
        }
        answer["md5"] = Md5::default().hex(content.as_bytes()).into();
        if lies && self.lie == Lie::WrongContent {
            content.pop();
            content.push('?');
        }
        answer["content"] = content.into();
    }

    fn info(&self, service: &str) -> Value {
        let hosts: Vec<_> =
            self.services.get(service).into_iter().flat_map(|s| s.values().flatten()).collect();
        json!({"name": service, "groupName": "DEFAULT_GROUP", "clusters": "", "cacheMillis": 10000,
            "hosts": hosts, "lastRefTime": self.revision, "checksum": "", "allIps": false,
            "reachProtectionThreshold": false, "valid": true})
    }

    fn push(&mut self, service: &str) {
        self.revision += 1;
        let mut body = json!({"headers": {}, "requestId": self.revision.to_string(),
            "serviceInfo": self.info(service), "module": "naming"});
        let Some(subscribers) = self.subscribers.get(service) else { return };
        for outbox in subscribers.values() {
            self.pushes += 1;
            if self.pushes.is_multiple_of(10) && self.lie == Lie::LostPush {
                continue;
            }
            if self.pushes.is_multiple_of(10) && self.lie == Lie::OldPush {
                body["serviceInfo"]["lastRefTime"] = 0.into();
            }
            let lies = self.pushes.is_multiple_of(10);
            let mut body = body.clone();
            if lies && self.lie == Lie::TakenBack {
                body["serviceInfo"]["hosts"].as_array_mut().unwrap().remove(0);
            }
            let push = ("NotifySubscriberRequest".to_owned(), body.to_string().into_bytes());
            if lies && self.lie == Lie::TwicePushed {
                outbox.try_send(push.clone()).unwrap();
            }
            outbox.try_send(push).unwrap();
        }
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers
}

fn head() -> http::response::Builder {
    Response::builder().status(200).header("content-type", "application/grpc")
}
