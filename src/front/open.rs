//! The HTTP API (`http-api.md`): a request finds its row, may do what the row says, and becomes a
//! call for the shard; the answer gets the form of its version.
//!
//! Order: path and method, compatibility switch, rights, parameters, handler. Nothing here decides
//! about services or instances.

mod address;
mod catalog;
mod client;
mod cluster;
mod config;
mod describe;
pub mod identity;
mod input;
mod instance;
mod loader;
mod namespace;
mod node;
mod operator;
pub mod ops;
mod rights;
pub mod route;
mod service;
mod shape;
mod table;
mod targets;

use crate::admin::counter::Counter;
use crate::admin::health::{Probe, Readiness, Shape};
use crate::admin::metrics::{self, Metrics};
use crate::auth::Door;
use crate::auth::first::FirstToken;
use crate::http1::body::{self, BodyRefusal, Room};
use crate::http1::form::{self, Form};
use crate::http1::reply::{self, Reply};
use crate::http1::{Ends, Incoming, Method, Request, StatusCode, header, limits, pause};
use crate::pump::clock::Epoch;
use crate::pump::desk::Desk;
use crate::pump::eyes::Eyes;
use http::request::Parts;
use input::Input;
use nacre_proto::code::Code;
use nacre_shards::config::rules::Rules;
use nacre_shards::config::table::Tables;
use nacre_shards::durable::answer::Answer as Decision;
use nacre_shards::durable::naming::Mode;
use nacre_shards::key::Core;
use nacre_shards::limits::REFUSED_DELAY_MS;
use nacre_shards::look::{Look, Seen};
use nacre_shards::naming::open::{Answer, Call, Refused};
use route::{Found, Label, Route, Routes};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one request's body. Names and metadata fit many times; the reference's own bound.
const FORM_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of a body with a config's content: one of full length in ASCII fits, with each byte
/// escaped as forms do it, and what belongs to it.
const CONTENT_BYTES_MAX: usize = 33 * 1024 * 1024;

/// Bytes of a long poll's body: 10,000 names of a usual length, escaped.
const POLL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Seconds an answer may take beyond the time its poll is held.
const POLL_SECONDS_BEYOND: u16 = 10;

/// How late a refusal is that its client would answer at once.
const REFUSED_DELAY: Duration = Duration::from_millis(REFUSED_DELAY_MS as u64);

const X_FORWARDED_FOR: header::HeaderName = header::HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: header::HeaderName = header::HeaderName::from_static("x-real-ip");

/// Headers that say a request came through somebody.
static FORWARDED: [header::HeaderName; 3] = [X_FORWARDED_FOR, X_REAL_IP, header::FORWARDED];

/// What a row leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Health(Probe, Shape),
    State,
    /// The same without an envelope.
    BareState,
    Metrics,
    /// Servers for who names no product: this node unless others were put.
    ServerList,
    /// Servers of a product.
    ProductList,
    /// The same, for whoever puts them and takes them away.
    ProductServers,
    ProductPut,
    ProductTake,
    /// Instances as Prometheus discovers them.
    Targets(targets::Whose),
    NamingHealth,
    NamingMetrics,
    InstanceRegister,
    InstanceDeregister,
    InstanceUpdate,
    InstancePatch,
    InstanceDetail,
    InstanceList,
    InstanceBeat,
    /// v3: some of it, the rest as forms have it.
    InstancePartial,
    /// Keys of metadata added to many instances, or taken away.
    MetadataAdd,
    MetadataRemove,
    InstanceHealth,
    HealthCheckers,
    ClusterUpdate,
    /// v3 client: register, or a light beat.
    InstanceClient,
    /// v3 client: the hosts alone.
    HostList,
    /// v3 administrator: the disabled ones too.
    AllHosts,
    ServiceCreate,
    ServiceUpdate,
    ServiceDelete,
    ServiceDetail,
    ServiceList,
    CatalogServices,
    CatalogService,
    CatalogInstances,
    /// v3's console: a page of a service's instances.
    InstancePage,
    SelectorTypes,
    /// All names of services, by namespace.
    ServiceNames,
    Subscribers,
    /// Every instance of a service with its health.
    InstanceStatuses,
    Client(client::Op),
    Namespace(namespace::Op),
    Config(config::Op),
    Cluster(cluster::Op),
    Loader(loader::Op),
    Ops(ops::Op),
    Switches,
    SetSwitch,
    Login,
    FirstAdministrator,
    Users,
    UserList,
    UserSearch,
    Roles,
    RoleList,
    RoleSearch,
    Permissions,
    PermissionList,
    /// The API described.
    OpenApi,
    /// A module of the reference that is off, or a path that is another process's.
    Off(&'static str),
}

/// The two ports of a node.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub http: u16,
    pub grpc: u16,
}

/// Compatibility switches: true is on (`http-api.md` 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    pub client: bool,
    pub admin: bool,
    pub console: bool,
}

/// What every core's HTTP side knows of the node.
#[derive(Debug)]
pub struct Facts {
    /// Cores of this node.
    pub cores: u16,
    /// Empty, or with a slash before and none behind.
    pub context_path: Box<str>,
    pub ports: Ports,
    pub switches: Switches,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Opens the way to the first administrator from elsewhere.
    pub first: FirstToken,
    pub readiness: Readiness,
    pub metrics: Arc<Metrics>,
    /// Whether Prometheus may discover instances here.
    pub discovery: bool,
    /// From where pushes are counted.
    pub push_base: ops::PushBase,
    /// What the rules of configs obey.
    pub config: Rules,
}

impl Endpoint {
    /// Bytes of a request's body.
    fn body_bytes_max(self) -> usize {
        match self {
            Endpoint::Config(op) if op.has_content() => CONTENT_BYTES_MAX,
            Endpoint::Config(config::Op::Poll) => POLL_BYTES_MAX,
            _ => FORM_BYTES_MAX,
        }
    }
}

/// Every path of the API, with the right it asks for.
pub fn rows() -> &'static [Route] {
    table::ROWS
}

/// Which of them a row is: they stand one behind the other.
fn number_of(route: &'static Route) -> usize {
    let bytes = std::ptr::from_ref(route).addr() - table::ROWS.as_ptr().addr();
    bytes / size_of::<Route>()
}

/// One core's HTTP API; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    facts: Arc<Facts>,
    /// What every core reads.
    tables: Arc<Tables>,
    routes: Rc<Routes>,
    desk: Desk,
    door: Door,
    room: Room,
    searches: config::Seats,
    exports: config::Seats,
    /// Whether it answers on the console's own port.
    is_console: bool,
    eyes: Eyes,
    /// Where answers are counted, and the clock that times them.
    counted: (metrics::Core, Epoch),
}

impl Api {
    /// The API of the core whose desk and door these are.
    ///
    /// `counted` is that core's block and clock.
    pub fn new(
        facts: Arc<Facts>,
        tables: Arc<Tables>,
        (desk, door): (Desk, Door),
        counted: (metrics::Core, Epoch),
    ) -> Self {
        let routes = Rc::new(Routes::new(table::ROWS, &facts.context_path));
        let eyes = Eyes::new(desk.clone(), facts.cores);
        Self {
            facts,
            tables,
            routes,
            desk,
            door,
            room: Room::new(limits::BODY_BYTES_CORE_MAX),
            searches: config::Seats::of_searches(counted.0.clone()),
            exports: config::Seats::of_exports(counted.0.clone()),
            is_console: false,
            eyes,
            counted,
        }
    }

    /// Bytes of bodies that are read or worked on now.
    pub fn body_bytes(&self) -> usize {
        self.room.taken()
    }

    /// Exports that have not been read to their end.
    pub fn exports(&self) -> usize {
        self.exports.taken()
    }

    /// Answers one request.
    pub async fn answer(self: Rc<Self>, ends: Ends, request: Request) -> Reply {
        let (counted, epoch) = &self.counted;
        let begun_us = epoch.elapsed_us();
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let mut number = usize::MAX;
        let reply = match self.routes.find(&head.method, path) {
            Found::Route(route) => {
                number = number_of(route);
                self.serve(route, ends, &head, body).await
            }
            Found::OtherMethods(rows, at) => self.other_method(&head.method, path, rows, &at),
            Found::Nothing => self.nothing_there(&head.method, path),
        };
        let mut reply = reply::and(reply, header::CACHE_CONTROL, "no-cache, no-store");
        if self.is_console {
            const POLICY: &str = "script-src 'self'";
            reply = reply::and(reply, header::CONTENT_SECURITY_POLICY, POLICY);
        }
        let reply = reply::compressed(reply, text_of(&head, header::ACCEPT_ENCODING));
        let took_us = epoch.elapsed_us().saturating_sub(begun_us);
        counted.path(number, head.method.as_str(), reply.status().as_u16(), took_us);
        reply
    }

    /// The same rows on the console's own port: no others, below its own context path.
    pub fn of_console(&self, context_path: &str) -> Self {
        let routes = Rc::new(Routes::of_console(table::ROWS, context_path));
        Self { routes, is_console: true, ..self.clone() }
    }

    /// What an operator's switches have v1 answer.
    fn revised(&self, head: &Parts) -> Option<Reply> {
        if !self.is_naming_v1(head.uri.path()) {
            return None;
        }
        let agent = text_of(head, header::USER_AGENT).unwrap_or_default();
        let asked = (&head.method, head.uri.path(), head.uri.query());
        operator::revised(&self.tables.switches().now(), asked, agent)
    }

    async fn serve(
        &self,
        route: &'static Route,
        ends: Ends,
        head: &Parts,
        incoming: Incoming,
    ) -> Reply {
        if let Some(revised) = self.revised(head) {
            return revised;
        }
        if let Some(gone) = self.switched_off(route, head.uri.path()) {
            return gone;
        }
        let version = route.version();
        let bytes_max = route.endpoint.body_bytes_max();
        let kept = match body::read_within(incoming, bytes_max, &self.room).await {
            Ok(kept) => kept,
            Err(refusal) => return shape::refused(&of_body(refusal, bytes_max), version),
        };
        let content_type = text_of(head, header::CONTENT_TYPE).unwrap_or_default();
        let mut files = Vec::new();
        let parsed = parameters(head, route, content_type, kept.bytes(), &mut files);
        let form = match parsed {
            Ok(form) => form,
            Err(malformed) => {
                return shape::refused(&Refused::invalid(malformed.text()), version);
            }
        };
        let mut input = Input {
            form,
            files,
            body: kept.bytes(),
            version,
            path: head.uri.path(),
            patience: Some(&ends.patience),
            source: source(ends.peer.ip().to_canonical(), head, &self.facts.trusted_proxies),
            agent: text_of(head, header::USER_AGENT)
                .or_else(|| head.headers.get("client-version")?.to_str().ok())
                .unwrap_or_default(),
            local: ends.local,
            accept: text_of(head, header::ACCEPT),
            method: head.method.clone(),
            headers: &head.headers,
            forwarded: FORWARDED.iter().any(|name| head.headers.contains_key(name)),
            who: None,
        };
        match rights::allowed(self, route, &input).await {
            Ok(who) => input.who = who,
            Err(denial) => {
                if matches!(route.endpoint, Endpoint::Config(config::Op::Poll)) {
                    // Some clients poll again without a pause (`wire-samples`, quirk 13).
                    pause(REFUSED_DELAY).await;
                }
                return identity::denied(denial, head.uri.path());
            }
        }
        match self.call(route.endpoint, &input).await {
            Ok(reply) => reply,
            Err(refused) => {
                if refused.status == 503 {
                    // As on the other wire: who repeats at once is slowed down.
                    pause(REFUSED_DELAY).await;
                }
                shape::refused(&refused, version)
            }
        }
    }

    /// What most requests want is carried out here. The rest is boxed, so that its state is no part
    /// of every request's: that is moved, and kept while a poll is held.
    async fn call(&self, endpoint: Endpoint, input: &Input<'_>) -> Result<Reply, Refused> {
        match endpoint {
            Endpoint::InstanceList => instance::list(self, input).await,
            Endpoint::HostList => instance::hosts(self, input).await,
            Endpoint::InstanceBeat => instance::beat(self, input).await,
            Endpoint::Config(op) => config::answer(self, op, input).await,
            rarer => Box::pin(self.call_rarer(rarer, input)).await,
        }
    }

    async fn call_rarer(&self, endpoint: Endpoint, input: &Input<'_>) -> Result<Reply, Refused> {
        match endpoint {
            Endpoint::Health(probe, shape) => Ok(node::health(&self.facts, probe, shape)),
            Endpoint::State => Ok(node::state(&self.facts, &self.door)),
            Endpoint::BareState => Ok(node::bare_state(&self.facts, &self.door)),
            Endpoint::Metrics => Ok(node::metrics(&self.facts, input)),
            Endpoint::ServerList => address::own(self, input).await,
            Endpoint::ProductList => address::list(self, input).await,
            Endpoint::ProductServers => address::shown(self, input).await,
            Endpoint::ProductPut => address::put(self, input).await,
            Endpoint::ProductTake => address::take_away(self, input).await,
            Endpoint::Targets(whose) => targets::list(self, whose, input).await,
            Endpoint::NamingHealth => Ok(node::naming_health(&self.facts)),
            Endpoint::NamingMetrics => node::naming_metrics(self, input).await,
            Endpoint::InstanceRegister => instance::register(self, input).await,
            Endpoint::InstanceDeregister => instance::deregister(self, input).await,
            Endpoint::InstanceUpdate => instance::update(self, input).await,
            Endpoint::InstancePatch => instance::patch(self, input).await,
            Endpoint::InstanceDetail => instance::detail(self, input).await,
            Endpoint::InstanceList => instance::list(self, input).await,
            Endpoint::InstanceBeat => instance::beat(self, input).await,
            Endpoint::InstancePartial => instance::partial(self, input).await,
            Endpoint::MetadataAdd => instance::change_many(self, input, Mode::Merge).await,
            Endpoint::MetadataRemove => instance::change_many(self, input, Mode::Without).await,
            Endpoint::InstanceHealth => instance::health(self, input).await,
            Endpoint::HealthCheckers => Ok(service::checkers(input)),
            Endpoint::ClusterUpdate => service::cluster(self, input).await,
            Endpoint::InstanceClient => instance::client(self, input).await,
            Endpoint::HostList => instance::hosts(self, input).await,
            Endpoint::AllHosts => instance::all_hosts(self, input).await,
            Endpoint::ServiceCreate => service::create(self, input).await,
            Endpoint::ServiceUpdate => service::update(self, input).await,
            Endpoint::ServiceDelete => service::delete(self, input).await,
            Endpoint::ServiceDetail => service::detail(self, input).await,
            Endpoint::ServiceList => service::list(self, input).await,
            Endpoint::CatalogServices => catalog::services(self, input).await,
            Endpoint::CatalogService => catalog::service(self, input).await,
            Endpoint::CatalogInstances => catalog::instances(self, input).await,
            Endpoint::InstancePage => catalog::instance_page(self, input).await,
            Endpoint::SelectorTypes => Ok(service::selector_types(input)),
            Endpoint::ServiceNames => client::names(self, input).await,
            Endpoint::Subscribers => client::subscribers(self, input).await,
            Endpoint::InstanceStatuses => client::statuses(self, input).await,
            Endpoint::Client(op) => client::answer(self, op, input).await,
            Endpoint::Namespace(op) => namespace::answer(self, op, input).await,
            Endpoint::Config(op) => Box::pin(config::answer(self, op, input)).await,
            Endpoint::Cluster(op) => cluster::answer(self, op, input),
            Endpoint::Loader(op) => loader::answer(self, op, input).await,
            Endpoint::Ops(op) => ops::answer(self, op, input).await,
            Endpoint::Switches => operator::switches(self, input),
            Endpoint::SetSwitch => operator::set_switch(self, input).await,
            Endpoint::Login => identity::login(self, input).await,
            Endpoint::FirstAdministrator => identity::first_administrator(self, input).await,
            Endpoint::Users => identity::users(self, input).await,
            Endpoint::UserList => identity::user_list(self, input),
            Endpoint::UserSearch => identity::user_search(self, input),
            Endpoint::Roles => identity::roles(self, input).await,
            Endpoint::RoleList => identity::role_list(self, input),
            Endpoint::RoleSearch => identity::role_search(self, input),
            Endpoint::Permissions => identity::permissions(self, input).await,
            Endpoint::PermissionList => identity::permission_list(self, input),
            Endpoint::OpenApi => Ok(describe::answer(self)),
            Endpoint::Off(why) => Err(off(why)),
        }
    }

    /// Asks this core's shard, and through it whoever owns what the call is about.
    ///
    /// No `async fn`, which would carry the call about until it is first looked at.
    fn ask(&self, call: Call) -> impl Future<Output = Result<Answer, Refused>> {
        let asked = self.desk.ask(call);
        async {
            match asked.await {
                Answer::Refused(refused) => Err(refused),
                answer => Ok(answer),
            }
        }
    }

    /// A list that is longer than any may be was refused.
    fn note_limit(&self) {
        self.counted.0.inc(Counter::LimitListed);
    }

    /// Has a core look.
    async fn look(&self, core: Core, look: Look) -> Result<Seen, Refused> {
        let seen = self.eyes.look(core, look).await;
        seen.ok_or_else(|| Refused::busy("A core of this node does not answer."))
    }

    /// A call that the log may have to decide.
    async fn decide(&self, call: Call) -> Result<(), Refused> {
        match self.ask(call).await? {
            Answer::Done | Answer::Proposed(Ok(Decision::Done { .. })) => Ok(()),
            Answer::Proposed(Ok(Decision::Refused(refused))) => {
                let status = if refused.code == Code::OverThreshold { 503 } else { 400 };
                Err(Refused::new(status, refused.code, refused.text))
            }
            Answer::Proposed(Err(unready)) => Err(Refused::busy(unready.sentence())),
            other => Err(unexpected(&other)),
        }
    }

    fn switched_off(&self, route: &Route, path: &str) -> Option<Reply> {
        if matches!(route.endpoint, Endpoint::Targets(_)) && !self.facts.discovery {
            // As where the reference does not load that module.
            return Some(self.nothing_there(&Method::GET, path));
        }
        self.gone(route.label, path)
    }

    /// The answer where the switch of this label is off.
    fn gone(&self, label: Label, path: &str) -> Option<Reply> {
        let on = match label {
            Label::None => true,
            Label::Open => self.facts.switches.client,
            Label::Admin => self.facts.switches.admin,
            Label::Console => self.facts.switches.console,
            // Only nodes of older versions ask; there are none.
            Label::Inner => false,
        };
        const MESSAGE: &str = r#"{"code":40000,"message":"Current API will be deprecated, please use API(s) under /v3","data":null}"#;
        (!on).then(|| shape::error(StatusCode::GONE, MESSAGE, path))
    }

    fn is_naming_v1(&self, path: &str) -> bool {
        let below = path.strip_prefix(&*self.facts.context_path);
        !self.is_console && below.is_some_and(|below| below.starts_with("/v1/ns/"))
    }

    fn other_method(&self, method: &Method, path: &str, rows: &[Route], at: &[usize]) -> Reply {
        let allow = route::allow(rows, at);
        let allow = header::HeaderValue::from_str(&allow).expect("made of method names");
        let mut reply = if method == Method::OPTIONS {
            reply::text(StatusCode::OK, "")
        } else if self.is_naming_v1(path) {
            no_such_api(method, path)
        } else {
            let message = format!("Request method '{method}' is not supported.");
            shape::error(StatusCode::METHOD_NOT_ALLOWED, &message, path)
        };
        reply.headers_mut().insert(header::ALLOW, allow);
        reply
    }

    fn nothing_there(&self, method: &Method, path: &str) -> Reply {
        if self.is_naming_v1(path) {
            return no_such_api(method, path);
        }
        if self.is_console {
            let message = format!(
                "there is no such path on the console's port, which has /v3/console and /v3/auth; \
                 clients and administrators use port {}",
                self.facts.ports.http
            );
            return shape::error(StatusCode::NOT_FOUND, &message, path);
        }
        let message = format!(
            "there is no such path; the HTTP API starts with {}/v1, /v2 or /v3, clients of 2.x and \
             later use gRPC on port {}",
            self.facts.context_path, self.facts.ports.grpc
        );
        shape::error(StatusCode::NOT_FOUND, &message, path)
    }
}

/// The reference's words for anything unknown below `/v1/ns`.
fn no_such_api(method: &Method, path: &str) -> Reply {
    let text = format!("no such api:{method}:{}", shape::echoed(path));
    reply::text(StatusCode::NOT_IMPLEMENTED, text)
}

/// What a handler answers with.
type Outcome = Result<Reply, Refused>;

/// An answer that does not belong to its call.
fn unexpected(answer: &Answer) -> Refused {
    debug_assert!(false, "{answer:?} is no answer to this call");
    Refused::new(500, Code::ServerError, "the server answered another question")
}

/// Another core answered another question.
fn strange() -> Refused {
    Refused::new(500, Code::ServerError, "the server answered another question")
}

fn off(why: &'static str) -> Refused {
    Refused::new(501, Code::ApiFunctionDisabled, why)
}

fn of_body(refusal: BodyRefusal, bytes_max: usize) -> Refused {
    match refusal {
        BodyRefusal::TooLong => {
            let text = format!("the body is longer than {bytes_max} bytes");
            Refused::new(413, Code::ParameterValidateError, text)
        }
        BodyRefusal::Broken => Refused::invalid("the body ended early"),
        BodyRefusal::NoRoom => Refused::busy("too many bodies at once"),
    }
}

fn text_of(head: &Parts, name: header::HeaderName) -> Option<&str> {
    head.headers.get(name)?.to_str().ok()
}

/// What the path names, then query, then a urlencoded or multipart body. The charset a client
/// declares is not looked at: it is UTF-8 whatever he says (`http-api.md` 1.6).
fn parameters<'a>(
    head: &'a Parts,
    route: &Route,
    content_type: &str,
    body: &'a bytes::Bytes,
    files: &mut Vec<form::Part>,
) -> Result<Form<'a>, form::Malformed> {
    let mut form = Form::default();
    for (name, text) in route.named(head.uri.path()) {
        form.push(name.into(), form::decode_path(text.as_bytes())?)?;
    }
    form.add(head.uri.query().unwrap_or_default().as_bytes())?;
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        form.add(body)?;
    } else if let Some(boundary) = form::boundary(content_type) {
        for part in form::parts(body, boundary)? {
            if part.file_name.is_some() {
                files.push(part);
                continue;
            }
            let text = String::from_utf8(part.content.to_vec());
            let text = text.map_err(|_| form::Malformed::Utf8)?;
            if text.contains('\0') || part.name.contains('\0') {
                return Err(form::Malformed::Nul);
            }
            form.push(part.name.into(), text.into())?;
        }
    }
    Ok(form)
}

/// Who asks. Forwarded addresses are believed from trusted proxies only, each of which vouches for
/// the one before it: the last that is no trusted proxy.
fn source(peer: IpAddr, head: &Parts, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let forwarded = head.headers.get_all(X_FORWARDED_FOR).iter();
    let forwarded: Vec<IpAddr> = forwarded
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map_while(|address| address.trim().parse().ok())
        .collect();
    let stranger = forwarded.iter().rev().find(|address| !trusted.contains(address));
    let real = || head.headers.get(X_REAL_IP)?.to_str().ok()?.trim().parse().ok();
    stranger.copied().or_else(real).unwrap_or(peer)
}

#[cfg(test)]
mod tests;
