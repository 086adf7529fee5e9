//! A node from its first core to its last: one pinned thread per core, started together, stopped in
//! order.

use crate::admin::counter::{Counter, Gauge};
use crate::admin::health::{Readiness, State};
use crate::admin::log;
use crate::admin::metrics::{self, Bounds, Core, Metrics};
use crate::auth::first::FirstToken;
use crate::auth::{Policy, worker};
use crate::boot::core::{self, MeshPort};
use crate::boot::cores::spawn_core;
use crate::boot::durable;
use crate::boot::listen;
use crate::boot::memory;
use crate::boot::passwords;
use crate::boot::settings::Settings;
use crate::boot::start::{Failure, Ready, exit};
use crate::boot::stop::{Ending, Phase, RunningCore, Stop};
use crate::boot::token_key::{self, KeyFiles};
use crate::front::open::{self, Api, Facts, Ports, Switches, identity, ops};
use crate::http1::server::Server;
use crate::http1::{Ends, Request};
use crate::operator::office::{self, Office};
use crate::operator::socket;
use crate::pump::clock::Epoch;
use crate::pump::desk::Desk;
use crate::pump::node::Node;
use crate::pump::replica::Durable;
use crate::pump::report;
use crate::pump::turn::Turn;
use crate::raft::Disk;
use futures_lite::future;
use glommio::{ExecutorJoinHandle, timer};
use nacre_shards::config::table::Tables;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// How often a core writes its gauges.
const GAUGES_EVERY: Duration = Duration::from_millis(100);

/// How often a node without an administrator looks whether there is one.
const FIRST_LOOK_EVERY: Duration = Duration::from_millis(200);

/// What every core is given.
#[derive(Debug, Clone)]
struct Shared {
    settings: Arc<Settings>,
    stop: Stop,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    facts: Arc<Facts>,
    node: Arc<Node>,
    epoch: Epoch,
    gate: Arc<Gate>,
    tables: Arc<Tables>,
    policy: Arc<Policy>,
    passwords: worker::Counter,
}

/// Cores meet here twice at the start: listeners open when every core is made, and a core serves
/// when every listener is open.
#[derive(Debug)]
struct Gate {
    all: Barrier,
    failed: AtomicBool,
}

impl Gate {
    /// Waits for all cores; false when one of them failed. Blocks the thread, which has no other
    /// work.
    fn pass(&self, fine: bool) -> bool {
        if !fine {
            self.failed.store(true, Ordering::SeqCst);
        }
        self.all.wait();
        !self.failed.load(Ordering::SeqCst)
    }
}

/// Runs the node until it was asked to stop and all cores have ended.
///
/// # Errors
/// A core could not start or ended by itself.
pub fn run(ready: Ready) -> Result<(), Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(exit::FAILED, format!("{what}: {error}"))
    };
    let Ready { settings, data, signals, mut console } = ready;
    let (settings, has_console) = (Arc::new(settings), !console.is_empty());
    let count = settings.cores.len();
    let stop = Stop::new(count).map_err(|error| failed("no descriptor for the stop", &error))?;
    let ports = core::mesh(count).map_err(|error| failed("no descriptor for a core", &error))?;
    let metrics = Metrics::of(count, counted(&settings));
    let own_ip = settings.grpc.first().map_or("127.0.0.1".into(), |at| at.ip().to_string());
    let connections_max = u64::from(settings.transport.connections_max);
    let readiness = Readiness::new();
    let (epoch, tables) = (Epoch::now(), Arc::<Tables>::default());
    let policy = Arc::new(settings.auth.policy(token_key::kept(&settings.data)));
    let shared = Shared {
        facts: Arc::new(facts(&settings, readiness.clone(), Arc::clone(&metrics))),
        settings: Arc::clone(&settings),
        stop: stop.clone(),
        readiness: readiness.clone(),
        metrics,
        node: Arc::new(Node::new(count as u16, &own_ip, connections_max)),
        epoch,
        passwords: passwords(&settings, &policy, &tables, epoch)
            .map_err(|error| failed("the password thread cannot be made", &error))?,
        policy,
        gate: Arc::new(Gate { all: Barrier::new(count), failed: AtomicBool::new(false) }),
        tables,
    };
    let disk = durable::start(&settings.data)
        .map_err(|error| Failure::new(exit::DATA, format!("the store cannot start: {error}")))?;
    let mut disk = Some(disk);
    let mut socket = open_socket(&settings.data);
    let (started, starts) = sync_channel(count);
    let threads: Vec<_> = ports
        .into_iter()
        .enumerate()
        .map(|(core, port)| {
            let is_last = core + 1 == count;
            let disk = if is_last { disk.take() } else { None };
            let socket = if is_last { socket.take() } else { None };
            // People's clicks: one core is enough.
            let console = if core == 0 { std::mem::take(&mut console) } else { Vec::new() };
            let seat = Seat { core, port, disk, socket, console };
            spawn(seat, &shared, stop.running(), started.clone())
        })
        .collect::<Result<_, _>>()
        .map_err(|error| failed("a core's thread cannot be made", &error))?;
    drop(started);
    let (up, why) = first_words(starts);
    if up == count {
        readiness.set(State::Up);
        log::started(&settings, has_console);
        memory::give_back_program();
    } else {
        stop.ask(Phase::Now);
    }
    let ending = stop.watch(&signals).map_err(|error| failed("signals cannot be read", &error))?;
    let ended = join(threads);
    socket::close(&settings.data);
    drop(data);
    if let Some(error) = why {
        return Err(error);
    }
    match (ended, ending) {
        (Ok(()), Ending::Asked) if up == count => Ok(()),
        (Ok(()), _) => Err(Failure::new(exit::FAILED, "a core ended unasked")),
        (Err(error), _) => Err(failed("a core failed", &error)),
    }
}

/// What is counted by the lists of other rooms, and the bounds an operator set.
fn counted(settings: &Settings) -> metrics::Shape {
    metrics::Shape {
        http2_reasons: report::http2_reasons(),
        paths: open::rows().iter().map(|row| row.path).collect(),
        bounds: Bounds {
            connections: u64::from(settings.transport.connections_max),
            http_connections: u64::from(settings.open.connections_max),
            reserve_bytes: settings.config.reserve_bytes,
        },
    }
}

/// The thread for what no core may wait for.
fn passwords(
    settings: &Settings,
    policy: &Policy,
    tables: &Arc<Tables>,
    epoch: Epoch,
) -> io::Result<worker::Counter> {
    let files = KeyFiles::new(settings, &policy.keys, tables, epoch);
    passwords::start(files, policy.directory.clone())
}

/// How many cores are up, and why one is not.
fn first_words(starts: Receiver<Result<(), Failure>>) -> (usize, Option<Failure>) {
    let (mut up, mut why) = (0, None);
    for start in starts {
        match start {
            Ok(()) => up += 1,
            Err(error) => why = Some(error),
        }
    }
    (up, why)
}

fn facts(settings: &Settings, readiness: Readiness, metrics: Arc<Metrics>) -> Facts {
    let port = |addresses: &[SocketAddr]| addresses.first().map_or(0, |at| at.port());
    let open = &settings.open;
    Facts {
        cores: settings.cores.len() as u16,
        context_path: settings.context_path.as_str().into(),
        ports: Ports { http: port(&settings.http), grpc: port(&settings.grpc) },
        switches: Switches { client: open.client, admin: open.admin, console: open.console },
        trusted_proxies: open.trusted_proxies.clone(),
        first: FirstToken::of(&settings.data),
        readiness,
        metrics,
        discovery: open.discovery,
        push_base: ops::PushBase::default(),
        config: core::config_rules(settings),
    }
}

type Thread = ExecutorJoinHandle<io::Result<()>>;
type Started = SyncSender<Result<(), Failure>>;

/// What belongs to one core alone.
struct Seat {
    core: usize,
    port: MeshPort,
    /// The storage, for the Raft core.
    disk: Option<Disk>,
    /// Where operators ask, likewise.
    socket: Option<UnixListener>,
    /// The console's own port, for the first core.
    console: Vec<TcpListener>,
}

fn spawn(
    seat: Seat,
    shared: &Shared,
    running: RunningCore,
    started: Started,
) -> io::Result<Thread> {
    let cpu = usize::from(shared.settings.cores[seat.core]);
    let shared = shared.clone();
    spawn_core(cpu, move || async move {
        // Dropped last, and also when the executor cannot be made.
        let _running = running;
        serve(seat, shared, started).await
    })
}

fn join(threads: Vec<Thread>) -> Result<(), String> {
    let mut ended = Ok(());
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => ended = Err(error.to_string()),
            Err(error) => ended = Err(error.to_string()),
        }
    }
    ended
}

/// One core's life.
async fn serve(seat: Seat, shared: Shared, started: Started) -> io::Result<()> {
    let Seat { core, port, disk, socket, console } = seat;
    let (turn, listeners) = match open_all(core, port, &shared) {
        Ok(made) => made,
        Err(error) => {
            // The main thread waits for exactly one word of each core.
            let _ = started.send(Err(Failure::new(exit::FAILED, error.clone())));
            return Err(io::Error::other(error));
        }
    };
    let bell = turn.bell();
    let (desk, door) = (turn.carrier.desk.clone(), turn.carrier.door.clone());
    let counted = (shared.metrics.core(core), shared.epoch);
    let api =
        Api::new(Arc::clone(&shared.facts), Arc::clone(&shared.tables), (desk, door), counted);
    if core == 0 {
        glommio::spawn_local(identity::offer_key(api.clone())).detach();
    }
    if let Some(datagrams) = &turn.carrier.datagrams {
        glommio::spawn_local(datagrams.receive(turn.carrier.desk.clone())?).detach();
    }
    let durable = turn.durable.clone();
    if let (Some(socket), Some(durable)) = (socket, &durable) {
        serve_operators(socket, &shared, core, turn.carrier.desk.clone(), durable.clone());
    }
    let server = Server::with_places(shared.settings.open.connections_max as usize)?;
    turn.bed.hears(server.ears())?;
    let pump = glommio::spawn_local(turn.run());
    let metrics = shared.metrics.core(core);
    let deadlines = server.clone();
    glommio::spawn_local(async move { deadlines.keep_deadlines().await }).detach();
    let (counted, held) = (server.clone(), api.clone());
    glommio::spawn_local(async move { keep_gauges(&counted, &held, &metrics).await }).detach();
    let (stop, readiness) = (shared.stop.clone(), shared.readiness.clone());
    glommio::spawn_local(async move {
        if stop.asked(core).await.is_ok() {
            readiness.set(State::Stopping);
            bell.ring();
        }
    })
    .detach();
    let mut serving = Vec::new();
    let console_api = shared.settings.console.as_ref().map(|of| api.of_console(&of.context_path));
    let of_console = console.into_iter().zip(console_api.into_iter().cycle());
    for (listener, api) in listeners.into_iter().map(|it| (it, api.clone())).chain(of_console) {
        let (server, stop) = (server.clone(), shared.stop.clone());
        serving.push(glommio::spawn_local(serve_http(server, listener, api, stop, core)));
    }
    // The main thread waits for exactly one word of each core; the node is up with the last.
    let _ = started.send(match (disk, &durable) {
        (Some(disk), Some(durable)) => open_store(disk, &shared, durable).await,
        _ => Ok(()),
    });
    drop(started);
    for task in serving {
        task.await;
    }
    pump.await;
    if let Some(durable) = &durable {
        durable::stop(durable).await;
    }
    future::or(server.close(), until_now(&shared.stop)).await;
    Ok(())
}

/// Answers what comes over one listener until the node is asked to stop.
async fn serve_http(server: Server, listener: TcpListener, api: Api, stop: Stop, core: usize) {
    let api = Rc::new(api);
    let answer = move |ends: Ends, request: Request| Rc::clone(&api).answer(ends, request);
    if let Err(error) = server.serve(listener, stop.asked(core), answer).await {
        tracing::error!("core {core} cannot accept over HTTP: {error}");
    }
}

/// A node that operators cannot ask still serves clients.
fn open_socket(data: &Path) -> Option<UnixListener> {
    let opened = socket::open(data);
    opened
        .inspect_err(|error| {
            let file = data.join(socket::FILE);
            let shown = file.display();
            tracing::warn!("operators cannot ask this node: {shown} cannot be opened: {error}");
        })
        .ok()
}

fn serve_operators(
    socket: UnixListener,
    shared: &Shared,
    core: usize,
    desk: Desk,
    durable: Rc<Durable>,
) {
    let parts = office::Parts {
        settings: Arc::clone(&shared.settings),
        readiness: shared.readiness.clone(),
        metrics: Arc::clone(&shared.metrics),
        counted: shared.metrics.core(core),
        node: Arc::clone(&shared.node),
        desk,
        durable,
    };
    let Ok(office) = Office::new(parts) else { return };
    let stop = shared.stop.clone();
    glommio::spawn_local(async move {
        socket::serve(socket, office, stop.asked(core)).await;
    })
    .detach();
}

/// Replays the log while the cores answer that they are starting, then tends the store.
async fn open_store(disk: Disk, shared: &Shared, durable: &Rc<Durable>) -> Result<(), Failure> {
    let opened = durable::open(disk, &shared.settings, durable).await;
    opened.map_err(|fault| Failure::new(exit::DATA, fault.text()))?;
    let days = shared.settings.config.retention_days;
    glommio::spawn_local(durable::sweep(durable.clone(), shared.epoch, days)).detach();
    let (facts, policy) = (Arc::clone(&shared.facts), Arc::clone(&shared.policy));
    let tables = Arc::clone(&shared.tables);
    glommio::spawn_local(async move { offer_first_token(&facts.first, &policy, &tables).await })
        .detach();
    Ok(())
}

/// The core's loop and its HTTP listeners, gRPC listeners open. Every core passes both gates, or
/// the others would wait for it for ever.
fn open_all(
    core: usize,
    port: MeshPort,
    shared: &Shared,
) -> Result<(Turn, Vec<TcpListener>), String> {
    let parts = core::Parts {
        core,
        tables: Arc::clone(&shared.tables),
        port,
        node: Arc::clone(&shared.node),
        epoch: shared.epoch,
        metrics: shared.metrics.core(core),
        stop: shared.stop.clone(),
        policy: Arc::clone(&shared.policy),
        passwords: shared.passwords.clone(),
    };
    let made = core::make(parts, &shared.settings).map_err(|error| error.to_string());
    let all_made = shared.gate.pass(made.is_ok());
    let opened = made.and_then(|mut turn| {
        if !all_made {
            return Err("another core could not be made".to_owned());
        }
        turn.engine.listen(&shared.settings.grpc).map_err(|error| error.to_string())?;
        let listen = |address: &SocketAddr| {
            listen::open(*address).map_err(|error| format!("listen on {address}: {error}"))
        };
        let listeners = shared.settings.http.iter().map(listen).collect::<Result<_, _>>()?;
        Ok((turn, listeners))
    });
    let all_open = shared.gate.pass(opened.is_ok());
    opened.and_then(|made| if all_open { Ok(made) } else { Err("another core failed".to_owned()) })
}

/// While nobody can log in, the first administrator can be made with the token; then it goes.
async fn offer_first_token(first: &FirstToken, policy: &Policy, tables: &Tables) {
    let has_one = || tables.identities().now().has_administrator();
    if policy.guards_any() && !has_one() {
        let kept = first.keep();
        let path = first.path().display();
        match kept {
            Ok(()) => tracing::warn!(
                target: "nacre::start",
                "nobody can administer this node: make the first administrator with `nacre user \
                 admin` here, or from elsewhere with the one-time token in {path}"
            ),
            Err(error) => tracing::warn!("the one-time token cannot be kept in {path}: {error}"),
        }
        while !has_one() {
            timer::sleep(FIRST_LOOK_EVERY).await;
        }
    }
    first.forget();
}

async fn until_now(stop: &Stop) {
    while stop.phase() != Phase::Now {
        timer::sleep(GAUGES_EVERY).await;
    }
}

async fn keep_gauges(server: &Server, api: &Api, metrics: &Core) {
    loop {
        timer::sleep(GAUGES_EVERY).await;
        let counters = server.counters();
        for (counter, cell) in [
            (Counter::HttpAccepted, &counters.accepted),
            (Counter::HttpRefused, &counters.refused),
            (Counter::HttpSlowHead, &counters.slow_heads),
            (Counter::HttpSlowAnswer, &counters.slow_answers),
            (Counter::HttpIdle, &counters.idle_closed),
            (Counter::HttpHeadBytes, &counters.heads_refused),
            (Counter::HttpBroken, &counters.broken),
            (Counter::HttpAcceptErrors, &counters.accept_errors),
            (Counter::HttpRequests, &counters.requests),
            (Counter::HttpFine, &counters.fine),
            (Counter::HttpRefusals, &counters.refusals),
            (Counter::HttpFailures, &counters.failures),
        ] {
            metrics.set(counter, cell.get());
        }
        metrics.gauge(Gauge::HttpConnections, server.connections() as u64);
        metrics.gauge(Gauge::HttpHeadsHeld, server.head_bytes() as u64);
        metrics.gauge(Gauge::HttpBodiesHeld, api.body_bytes() as u64);
        metrics.gauge(Gauge::ConfigExports, api.exports() as u64);
    }
}
