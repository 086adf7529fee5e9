//! The node about itself: health, state, metrics, (`http-api.md` 3.2, 4.3, 7.1, 10).

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Api, Facts};
use super::{Outcome, Reply, client};
use crate::admin::counter::Gauge;
use crate::admin::exposition::{self, Format, Page};
use crate::admin::health::{self, Probe, Shape, State};
use crate::admin::process::{self, Process};
use crate::auth::Door;
use crate::http1::StatusCode;
use crate::http1::reply;
use bytes::Bytes;

pub(super) fn health(facts: &Facts, probe: Probe, shape: Shape) -> Reply {
    health::answer(probe, shape, facts.readiness.get())
}

pub(super) fn metrics(facts: &Facts, input: &Input<'_>) -> Reply {
    let format = Format::of(input.accept);
    let is_whole = input.path.contains("/actuator/");
    let page = if is_whole { Page::Whole } else { Page::Clean };
    let text = exposition::write(&facts.metrics, format, page);
    reply::with_type(StatusCode::OK, format.content_type(), text)
}

pub(super) fn state(facts: &Facts, door: &Door) -> Reply {
    shape::result(state_map(facts, door).as_bytes())
}

pub(super) fn bare_state(facts: &Facts, door: &Door) -> Reply {
    reply::json(StatusCode::OK, state_map(facts, door))
}

/// Values are strings or null, as in the reference.
fn state_map(facts: &Facts, door: &Door) -> String {
    let policy = door.policy();
    let lacks_administrator = || !door.identities().now().has_administrator();
    let first = policy.guards_any() && lacks_administrator();
    let users = if policy.directory.is_some() { "ldap" } else { "nacos" };
    let state = serde_json::json!({
        "startup_mode": "standalone",
        "function_mode": null,
        "version": env!("CARGO_PKG_VERSION"),
        "server_port": facts.ports.http.to_string(),
        "auth_enabled": policy.clients.to_string(),
        "auth_system_type": users,
        "auth_admin_request": first.to_string(),
        "login_page_enabled": policy.console.to_string(),
        "console_ui_enabled": "false",
    });
    state.to_string()
}

pub(super) fn naming_health(facts: &Facts) -> Reply {
    let services = facts.metrics.gauge(Gauge::Services);
    let text = format!(
        "Hello! I am Nacos-Naming and healthy! total services: {services}, local port:{}",
        facts.ports.http
    );
    reply::json(StatusCode::OK, serde_json::json!({ "msg": text }).to_string())
}

/// `onlyStatus` is true unless it is said to be false.
pub(super) async fn naming_metrics(api: &Api, input: &Input<'_>) -> Outcome {
    let facts = &api.facts;
    let status = match facts.readiness.get() {
        State::Up => "UP",
        State::Starting => "STARTING",
        State::Stopping => "DOWN",
    };
    let status = api.tables.switches().now().overridden_status.unwrap_or(status);
    let mut metrics = serde_json::json!({ "status": status });
    if !input.flag("onlyStatus")?.unwrap_or(true) {
        let gauge = |gauge| facts.metrics.gauge(gauge);
        let (beating, connected) = (gauge(Gauge::Beating), gauge(Gauge::ConnectionsNaming));
        let instances = gauge(Gauge::Instances);
        let kept = client::kept_clients(api).await?;
        let process = Process::read();
        for (key, value) in [
            ("serviceCount", gauge(Gauge::Services)),
            ("instanceCount", instances),
            ("subscribeCount", gauge(Gauge::Subscribers) + gauge(Gauge::Pollers)),
            ("responsibleInstanceCount", instances),
            ("clientCount", connected + beating + kept),
            ("connectionBasedClientCount", connected),
            ("ephemeralIpPortClientCount", beating),
            ("persistentIpPortClientCount", kept),
            ("responsibleClientCount", connected + beating + kept),
        ] {
            metrics[key] = value.into();
        }
        metrics["cpu"] = process.system_cpu_usage.into();
        metrics["load"] = process.load_average_1m.into();
        metrics["mem"] = process::memory_share().into();
    }
    let json = Bytes::from(metrics.to_string());
    Ok(match input.version {
        Version::V1 => reply::json(StatusCode::OK, json),
        version => shape::json_of(version, json),
    })
}
