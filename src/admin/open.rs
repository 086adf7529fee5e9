//! Paths of the HTTP port: health, state, metrics. Every other one is a 404 that says what is
//! there.
//!
//! Paths are compared byte by byte, never decoded or normalised: what looks like another path is
//! another path.

use crate::admin::exposition::{self, Format};
use crate::admin::health::{self, Probe, Readiness, Shape};
use crate::admin::metrics::Metrics;
use crate::http1::reply::{self, Reply};
use crate::http1::{Method, StatusCode, header};
use std::sync::Arc;

/// Bytes of a path that are repeated in an answer.
const ECHO_BYTES_MAX: usize = 256;

/// Answers requests of the HTTP port; one per core, cheap to clone.
#[derive(Debug, Clone)]
pub struct Open {
    context_path: Arc<str>,
    http_port: u16,
    grpc_port: u16,
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Health(Probe, Shape),
    State,
    Metrics,
}

/// Below the context path, and without it: probes of 1.x and 2.x charts ask below it, those written
/// for the 3.x console's own port without it.
const ROUTES: &[(&str, Route)] = &[
    ("/v1/console/health/liveness", Route::Health(Probe::Liveness, Shape::Text)),
    ("/v1/console/health/readiness", Route::Health(Probe::Readiness, Shape::Text)),
    ("/v2/console/health/liveness", Route::Health(Probe::Liveness, Shape::Envelope)),
    ("/v2/console/health/readiness", Route::Health(Probe::Readiness, Shape::Envelope)),
    ("/v3/admin/core/state/liveness", Route::Health(Probe::Liveness, Shape::Envelope)),
    ("/v3/admin/core/state/readiness", Route::Health(Probe::Readiness, Shape::Envelope)),
    ("/v3/console/health/liveness", Route::Health(Probe::Liveness, Shape::StrictEnvelope)),
    ("/v3/console/health/readiness", Route::Health(Probe::Readiness, Shape::StrictEnvelope)),
    ("/v3/admin/core/state", Route::State),
    ("/actuator/prometheus", Route::Metrics),
    ("/metrics", Route::Metrics),
];

impl Open {
    pub fn new(
        context_path: &str,
        ports: Ports,
        readiness: Readiness,
        metrics: Arc<Metrics>,
    ) -> Open {
        let Ports { http: http_port, grpc: grpc_port } = ports;
        Open { context_path: context_path.into(), http_port, grpc_port, readiness, metrics }
    }

    /// Answers by method and path; `accept` is that header. HEAD is GET whose body is not sent.
    pub fn answer(&self, method: &Method, path: &str, accept: Option<&str>) -> Reply {
        let Some(route) = self.route(path) else { return self.nothing_there(path) };
        if method != Method::GET && method != Method::HEAD {
            let text = "only GET and HEAD are answered here\n";
            let reply = reply::text(StatusCode::METHOD_NOT_ALLOWED, text);
            return reply::and(reply, header::ALLOW, "GET, HEAD");
        }
        let reply = match route {
            Route::Health(probe, shape) => health::answer(probe, shape, self.readiness.get()),
            Route::State => reply::json(StatusCode::OK, self.state()),
            Route::Metrics => {
                let format = Format::of(accept);
                let text = exposition::write(&self.metrics, format);
                reply::with_type(StatusCode::OK, format.content_type(), text)
            }
        };
        reply::and(reply, header::CACHE_CONTROL, "no-store")
    }

    fn route(&self, path: &str) -> Option<Route> {
        let below = path.strip_prefix(&*self.context_path).unwrap_or(path);
        let find = |path: &str| ROUTES.iter().find(|(known, _)| *known == path);
        find(below).or_else(|| find(path)).map(|(_, route)| *route)
    }

    /// `http-api.md` 7.1; values are strings or null, as in the reference.
    fn state(&self) -> String {
        let state = serde_json::json!({
            "startup_mode": "standalone",
            "function_mode": null,
            "version": env!("CARGO_PKG_VERSION"),
            "server_port": self.http_port.to_string(),
            "auth_enabled": "false",
            "console_ui_enabled": "false",
        });
        serde_json::json!({ "code": 0, "message": "success", "data": state }).to_string()
    }

    /// In the shape of the reference's own errors.
    fn nothing_there(&self, path: &str) -> Reply {
        let end = (0..=ECHO_BYTES_MAX.min(path.len())).rev().find(|at| path.is_char_boundary(*at));
        let message = format!(
            "not built yet: this port answers health probes and metrics ({}/actuator/prometheus); \
             clients that register and find services use gRPC on port {}",
            self.context_path, self.grpc_port
        );
        let body = serde_json::json!({
            "status": 404,
            "error": "Not Found",
            "message": message,
            "path": &path[..end.unwrap_or(0)],
        });
        reply::json(StatusCode::NOT_FOUND, body.to_string())
    }
}

/// The two ports of a node.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub http: u16,
    pub grpc: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::health::State;

    fn open(context_path: &str) -> Open {
        let readiness = Readiness::new();
        readiness.set(State::Up);
        let ports = Ports { http: 8848, grpc: 9848 };
        Open::new(context_path, ports, readiness, Metrics::new(1, &[]))
    }

    fn get(open: &Open, path: &str) -> (u16, String) {
        let reply = open.answer(&Method::GET, path, None);
        let body = String::from_utf8_lossy(reply.body().bytes()).into_owned();
        (reply.status().as_u16(), body)
    }

    #[test]
    fn every_path_with_and_without_the_context_path() {
        let nacos = open("/nacos");
        let bare = open("");
        for (path, _) in ROUTES {
            for found in
                [get(&nacos, &format!("/nacos{path}")), get(&nacos, path), get(&bare, path)]
            {
                assert_eq!(found.0, 200, "{path}");
                assert!(!found.1.is_empty(), "{path}");
            }
            assert_eq!(get(&bare, &format!("/nacos{path}")).0, 404, "{path}");
        }
    }

    #[test]
    fn what_looks_like_a_path_is_another_path() {
        let open = open("/nacos");
        for path in [
            "/",
            "",
            "/nacos",
            "/nacos/",
            "/nacos/metrics/",
            "/nacos//metrics",
            "/nacos/%6detrics",
            "/nacos/metrics;x",
            "/nacos/x/../metrics",
            "/NACOS/metrics",
            "/nacos/nacos/metrics",
            "/nacos/v1/ns/instance/list",
            "/nacos/v1/cs/ops/derby",
            "/nacosmetrics",
        ] {
            assert_eq!(get(&open, path).0, 404, "{path}");
        }
    }

    #[test]
    fn a_404_says_what_is_there_and_repeats_little() {
        let open = open("/nacos");
        let (_, body) = get(&open, "/nacos/v1/ns/<script>\"");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["path"], "/nacos/v1/ns/<script>\"");
        assert!(body["message"].as_str().unwrap().contains("gRPC on port 9848"));
        let long = format!("/{}", "é".repeat(1_000));
        let (_, body) = get(&open, &long);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let repeated = body["path"].as_str().unwrap();
        assert!(repeated.len() <= ECHO_BYTES_MAX && long.starts_with(repeated));
    }

    #[test]
    fn methods() {
        let open = open("/nacos");
        let head = open.answer(&Method::HEAD, "/nacos/metrics", None);
        assert_eq!(head.status(), 200);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let reply = open.answer(&method, "/nacos/metrics", None);
            assert_eq!(reply.status(), 405, "{method}");
            assert_eq!(reply.headers()[header::ALLOW], "GET, HEAD");
            assert_eq!(open.answer(&method, "/nacos/else", None).status(), 404);
        }
    }

    #[test]
    fn metrics_in_the_format_asked_for() {
        let open = open("/nacos");
        let path = "/nacos/actuator/prometheus";
        let classic = open.answer(&Method::GET, path, None);
        assert_eq!(
            classic.headers()[header::CONTENT_TYPE],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let asked = open.answer(&Method::GET, path, Some("application/openmetrics-text"));
        assert!(asked.body().bytes().ends_with(b"# EOF\n"));
    }

    #[test]
    fn state() {
        let (status, body) = get(&open("/nacos"), "/nacos/v3/admin/core/state");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["code"]), (200, &0.into()));
        assert_eq!(body["data"]["startup_mode"], "standalone");
        assert_eq!(body["data"]["server_port"], "8848");
        assert!(body["data"]["function_mode"].is_null());
    }
}
