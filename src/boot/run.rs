//! A node from its first core to its last: one pinned thread per core, started together, stopped in order.

use crate::admin::counter::{Counter, Gauge};
use crate::admin::health::{Readiness, State};
use crate::admin::log;
use crate::admin::metrics::{Core, Metrics};
use crate::admin::open::{Open, Ports};
use crate::boot::settings::Settings;
use crate::boot::start::{Failure, Ready, exit};
use crate::boot::stop::{Ending, Phase, RunningCore, Stop};
use crate::http1::Request;
use crate::http1::server::Server;
use futures_lite::future;
use glommio::net::TcpListener;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, timer};
use hyper::header;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// Bytes an executor reserves for files; client sockets and HTTP do not use it. glommio's default pins
/// 10 MiB a core; 64 KiB is the least it takes.
const IO_MEMORY_BYTES: usize = 64 * 1024;

/// How long a busy core may keep a timer or a foreign wake-up waiting.
const PREEMPT: Duration = Duration::from_millis(1);

/// How often a core writes its gauges.
const GAUGES_EVERY: Duration = Duration::from_millis(100);

/// What every core is given.
#[derive(Debug, Clone)]
struct Shared {
    settings: Arc<Settings>,
    stop: Stop,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    open: Open,
}

/// Runs the node until it was asked to stop and all cores have ended.
///
/// # Errors
/// A core could not start or ended by itself.
pub fn run(ready: Ready) -> Result<(), Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(exit::FAILED, format!("{what}: {error}"))
    };
    let Ready { settings, data, signals } = ready;
    let settings = Arc::new(settings);
    let count = settings.cores.len();
    let stop = Stop::new(count).map_err(|error| failed("no descriptor for the stop", &error))?;
    let metrics = Metrics::new(count, &[]);
    let readiness = Readiness::new();
    let shared = Shared {
        open: open(&settings, readiness.clone(), Arc::clone(&metrics)),
        settings: Arc::clone(&settings),
        stop: stop.clone(),
        readiness: readiness.clone(),
        metrics,
    };
    let (started, starts) = sync_channel(count);
    let threads: Vec<_> = (0..count)
        .map(|core| spawn(core, &shared, stop.running(), started.clone()))
        .collect::<Result<_, _>>()
        .map_err(|error| failed("a core's thread cannot be made", &error))?;
    drop(started);
    let mut up = 0;
    let mut why = None;
    for start in starts {
        match start {
            Ok(()) => up += 1,
            Err(error) => why = Some(error),
        }
    }
    if up == count {
        readiness.set(State::Up);
        log::started(&settings);
    } else {
        stop.ask(Phase::Now);
    }
    let ending = stop.watch(&signals).map_err(|error| failed("signals cannot be read", &error))?;
    let mut ended = join(threads);
    drop(data);
    if let Some(error) = why {
        ended = Err(error);
    }
    match (ended, ending) {
        (Ok(()), Ending::Asked) if up == count => Ok(()),
        (Ok(()), _) => Err(Failure::new(exit::FAILED, "a core ended unasked")),
        (Err(error), _) => Err(failed("a core failed", &error)),
    }
}

fn open(settings: &Settings, readiness: Readiness, metrics: Arc<Metrics>) -> Open {
    let port = |addresses: &[std::net::SocketAddr]| addresses.first().map_or(0, |at| at.port());
    let ports = Ports { http: port(&settings.http), grpc: port(&settings.grpc) };
    Open::new(&settings.context_path, ports, readiness, metrics)
}

type Thread = ExecutorJoinHandle<io::Result<()>>;
type Started = SyncSender<Result<(), String>>;

fn spawn(
    core: usize,
    shared: &Shared,
    running: RunningCore,
    started: Started,
) -> io::Result<Thread> {
    let cpu = usize::from(shared.settings.cores[core]);
    let shared = shared.clone();
    LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name("nacre")
        .io_memory(IO_MEMORY_BYTES)
        .preempt_timer(PREEMPT)
        .spawn(move || async move {
            // Dropped last, and also when the executor cannot be made.
            let _running = running;
            serve(core, shared, started).await
        })
        .map_err(io::Error::from)
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
async fn serve(core: usize, shared: Shared, started: Started) -> io::Result<()> {
    let listeners: io::Result<Vec<TcpListener>> =
        shared.settings.http.iter().map(|address| Server::listen(*address)).collect();
    let listeners = match listeners {
        Ok(listeners) => listeners,
        Err(error) => {
            // The main thread waits for exactly one word of each core.
            let _ = started.send(Err(error.to_string()));
            return Err(error);
        }
    };
    let _ = started.send(Ok(()));
    drop(started);
    let server = Server::new();
    let metrics = shared.metrics.core(core);
    let deadlines = server.clone();
    glommio::spawn_local(async move { deadlines.keep_deadlines().await }).detach();
    let counted = server.clone();
    glommio::spawn_local(async move { keep_gauges(&counted, &metrics).await }).detach();
    let (stop, readiness) = (shared.stop.clone(), shared.readiness.clone());
    glommio::spawn_local(async move {
        if stop.asked(core).await.is_ok() {
            readiness.set(State::Stopping);
        }
    })
    .detach();
    let open = Rc::new(shared.open.clone());
    let mut serving = Vec::new();
    for listener in listeners {
        let (server, stop, open) = (server.clone(), shared.stop.clone(), Rc::clone(&open));
        serving.push(glommio::spawn_local(async move {
            let answer = move |request: Request| {
                let accept = request.headers().get(header::ACCEPT);
                let accept = accept.and_then(|value| value.to_str().ok());
                let reply = open.answer(request.method(), request.uri().path(), accept);
                async move { reply }
            };
            server.serve(listener, stop.asked(core), answer).await;
        }));
    }
    for task in serving {
        task.await;
    }
    future::or(server.close(), until_now(&shared.stop)).await;
    Ok(())
}

async fn until_now(stop: &Stop) {
    while stop.phase() != Phase::Now {
        timer::sleep(GAUGES_EVERY).await;
    }
}

async fn keep_gauges(server: &Server, metrics: &Core) {
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
        ] {
            metrics.set(counter, cell.get());
        }
        metrics.gauge(Gauge::HttpConnections, server.connections() as u64);
    }
}
