//! What one core is made of, put together on its own thread.

use crate::admin::metrics::Core as CoreMetrics;
use crate::auth::{Door, Policy, worker};
use crate::boot::settings::Settings;
use crate::boot::stop::Stop;
use crate::engine::{Config, Engine, EngineError};
use crate::grpc;
use crate::http2;
use crate::mesh::{Bell, LaneSizes, Port, ports};
use crate::probe::Prober;
use crate::pump::carrier::{Carrier, Shared};
use crate::pump::clock::{Clock, Epoch};
use crate::pump::datagram::Datagrams;
use crate::pump::desk::Desk;
use crate::pump::held::HeldCalls;
use crate::pump::limits::PUSHES_IN_A_ROW;
use crate::pump::node::Node;
use crate::pump::replica::Durable;
use crate::pump::report::Report;
use crate::pump::sleep::Bed;
use crate::pump::turn::Turn;
use nacre_shards::config;
use nacre_shards::config::table::Tables;
use nacre_shards::durable::command::Quotas;
use nacre_shards::health::policy as health;
use nacre_shards::key::{Core, Home, Map};
use nacre_shards::limits::LaneLimits;
use nacre_shards::message::{Ask, Tell};
use nacre_shards::naming::rules::Rules;
use nacre_shards::shard::Shard;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

/// A core's end of the mesh, as it travels to the core's thread.
pub type MeshPort = Port<Ask, Tell>;

/// Path that answers plain `GET` on the gRPC port, for load balancers and protocol testers.
const HEALTH_PATHS: [&str; 2] = ["/health", "/"];

/// Slots a core has beyond the node's connection limit.
const BEYOND_LIMIT: u32 = 64;

/// The ends of a mesh of so many cores; all lanes exist before any listener does.
///
/// # Errors
/// No descriptor is left.
pub fn mesh(cores: usize) -> io::Result<Vec<MeshPort>> {
    let lanes = LaneLimits::for_cores(cores);
    let sizes = LaneSizes { asks_max: lanes.ask_lane(), tells_max: lanes.tell_lane() };
    let bells = (0..cores)
        .map(|_| Ok(Arc::new(Bell::new(crate::engine::event_fd()?))))
        .collect::<io::Result<Vec<_>>>()?;
    Ok(ports(&bells, sizes))
}

/// Everything a core's pump needs.
pub struct Parts {
    pub core: usize,
    /// What all cores read of configs.
    pub tables: Arc<Tables>,
    pub port: MeshPort,
    pub node: Arc<Node>,
    pub epoch: Epoch,
    pub metrics: CoreMetrics,
    pub stop: Stop,
    pub policy: Arc<Policy>,
    pub passwords: worker::Counter,
}

/// Makes one core's engine, shard and loop. Call it on the core's own thread; nothing listens yet.
///
/// # Errors
/// What the host does not offer, with the remedy.
pub fn make(parts: Parts, settings: &Settings) -> Result<Turn, EngineError> {
    let Parts { core, tables, port, node, epoch, metrics, stop, policy, passwords } = parts;
    let bell = Arc::clone(port.bell());
    let engine = Engine::new(&engine_config(settings), &*bell)?;
    let desk = Desk::new(Arc::clone(&bell));
    let door = Door::new(policy, Arc::clone(&tables), passwords, Arc::clone(&bell), epoch);
    let held = HeldCalls::new(Arc::clone(&bell));
    let prober = Prober::new(Arc::clone(&bell));
    let durable =
        (core + 1 == usize::from(node.cores)).then(|| Durable::new(bell.clone(), tables.clone()));
    let bed = Bed::new(bell, epoch)
        .map_err(|source| EngineError::Kernel { what: "wait on the wake-up descriptor", source })?;
    let core = Core(core as u16);
    let map = Map { cores: node.cores };
    let shard = Shard::new(core, map, shard_settings(settings), RandomState::new().hash_one(core))
        .with_tables(tables.clone());
    let clock = Clock::new(epoch);
    let codec = grpc::Codec::new(grpc_limits(settings));
    let room = vec![0; usize::from(node.cores)];
    let lanes = LaneLimits::for_cores(usize::from(node.cores));
    let mut carrier = Carrier::new(
        Home(core),
        shard,
        codec,
        Shared { desk, door, held, prober },
        clock,
        metrics,
        node,
    );
    carrier.datagrams = settings.http.first().and_then(|at| Datagrams::open(at.ip()).ok());
    let drain_ms = u64::from(settings.drain_ms);
    let report = Report::default();
    Ok(Turn {
        engine,
        carrier,
        port,
        lanes,
        bed,
        stop,
        drain_ms,
        report,
        room,
        in_a_row: PUSHES_IN_A_ROW,
        stopping_since_ms: None,
        tables,
        durable,
    })
}

fn engine_config(settings: &Settings) -> Config {
    // Connections are shared out by the kernel's hash, which is uneven: each core can take them
    // all, and a few more, so that the node's limit is what one connection too many meets.
    let connections_max = settings.transport.connections_max.saturating_add(BEYOND_LIMIT);
    Config { connections_max, ..Config::default() }
}

fn grpc_limits(settings: &Settings) -> grpc::Limits {
    let transport = &settings.transport;
    let body = bytes::Bytes::from_static(b"{\"status\":\"UP\"}");
    let plain =
        |path: &&str| grpc::PlainPath { path: path.as_bytes().to_vec(), body: body.clone() };
    grpc::Limits {
        http2: http2::Limits {
            keep_alive_ms: transport.keep_alive_time_ms,
            keep_alive_answer_ms: transport.keep_alive_timeout_ms,
            ..http2::Limits::default()
        },
        message_bytes_max: transport.message_bytes_max,
        plain_paths: HEALTH_PATHS.iter().map(plain).collect(),
        ..grpc::Limits::default()
    }
}

fn shard_settings(settings: &Settings) -> nacre_shards::settings::Settings {
    let naming = &settings.naming;
    nacre_shards::settings::Settings {
        idle_ms: settings.transport.idle_ms,
        push_delay_ms: naming.push_delay_ms,
        push_timeout_ms: naming.push_timeout_ms,
        push_retry_ms: naming.push_retry_ms,
        naming: Rules {
            param_check: naming.param_check,
            metadata_units_max: naming.metadata_chars_max as usize,
            fuzzy_patterns_max: naming.fuzzy_patterns_max as usize,
            fuzzy_matches_max: naming.fuzzy_matches_max as usize,
            empty_scan_ms: u64::from(naming.empty_interval_ms),
            empty_expired_ms: u64::from(naming.empty_expired_ms),
            metadata_scan_ms: u64::from(naming.metadata_interval_ms),
            expired_metadata_ms: u64::from(naming.metadata_expired_ms),
            expire_instance: naming.expire_instance,
            client_expired_ms: naming.client_expired_ms,
            probes: probes(settings),
            ..Rules::default()
        },
        config: config_rules(settings),
        ..nacre_shards::settings::Settings::default()
    }
}

/// Loopback may be probed where the server listens on it: whoever registers is on this host then.
fn probes(settings: &Settings) -> health::Policy {
    let mut listened = settings.http.iter().chain(&settings.grpc);
    health::Policy {
        loopback: listened.any(|address| address.ip().is_loopback()),
        targets: settings.naming.probe_targets.clone().into(),
    }
}

/// The settings the rules of configs obey.
pub fn config_rules(settings: &Settings) -> config::rules::Rules {
    let rules = &settings.config;
    config::rules::Rules {
        param_check: settings.naming.param_check,
        content_units_max: rules.content_chars_max,
        grays_max: rules.grays_max,
        retention_days: rules.retention_days,
        history_entries_max: rules.history_entries_max,
        history_bytes_max: rules.history_bytes_max,
        quotas: rules.quotas.map(|[cluster, namespace, content_bytes]| Quotas {
            cluster,
            namespace,
            content_bytes,
        }),
        push_timeout_ms: rules.push_timeout_ms,
        push_tries_max: rules.push_tries_max,
        fuzzy_batch: rules.fuzzy_batch,
        fuzzy_patterns_max: rules.fuzzy_patterns_max,
        fuzzy_matches_max: rules.fuzzy_matches_max,
    }
}
