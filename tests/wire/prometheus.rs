//! Prometheus' discovery of instances (`http-api.md` 10.1), and the console's own port (1.1).

use crate::auth::Town;
use crate::http_client::{Answer, ask, must};
use crate::server::{Server, http_get};
use crate::support::*;
use nacre_loadgen::client::{ServiceName, instance};
use serde_json::{Value, json};
use std::net::TcpListener;

const INSTANCE: &str = "/nacos/v1/ns/instance";

fn register(server: &Server, namespace: &str, service: &str, ip: &str, more: &str) {
    let name = format!("namespaceId={namespace}&serviceName={service}");
    must(server, "POST", &format!("{INSTANCE}?{name}&ip={ip}&port=80{more}"));
}

/// The targets a list names, in order.
fn targets(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let list = answer.json();
    let groups = list.as_array().expect("a list").iter();
    let mut names: Vec<String> = groups
        .map(|group| {
            let targets = group["targets"].as_array().expect("targets");
            assert_eq!(targets.len(), 1, "{group}");
            targets[0].as_str().expect("text").to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn instances_of_all_of_a_namespace_and_of_a_service() {
    let server = Server::start();
    assert_eq!(targets(&ask(&server, "GET", "/nacos/prometheus")), [""; 0]);
    register(&server, "dev", "shop", "10.0.0.1", "&metadata=%7B%22a.b/c%22:%22x%22%7D");
    register(&server, "dev", "G2@@shop", "10.0.0.2", "&healthy=false&enabled=false");
    register(&server, "dev", "other", "10.0.0.3", "&clusterName=c1&ephemeral=false");
    register(&server, "prod", "shop", "10.0.0.4", "");
    let client = client(&server);
    client
        .register(&ServiceName::public("grpc"), &instance("10.0.0.5", 81, &[("1st", "y")]))
        .expect("register");
    let all = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80", "10.0.0.5:81"];
    for (path, expected) in [
        ("", &all[..]),
        // What is not in the path is not looked at.
        ("?namespaceId=dev", &all),
        ("/", &all),
        ("/namespaceId/dev", &all[..3]),
        ("/namespaceId/public", &all[4..]),
        ("/namespaceId/absent", &[]),
        ("/namespaceId/dev/service/shop", &all[..2]),
        ("/namespaceId/%64ev/service/oth%65r", &all[2..3]),
        ("/namespaceId/dev/service/shop?serviceName=other", &all[..2]),
        ("/namespaceId/dev/service/absent", &[]),
        ("/namespaceId/dev/service/sho", &[]),
    ] {
        let answer = ask(&server, "GET", &format!("/nacos/prometheus{path}"));
        assert_eq!(targets(&answer), expected, "{path}");
        let kind = answer.header("content-type").expect("a type");
        assert_eq!(kind, "application/json; charset=UTF-8");
    }
    let label = |path: &str| -> Value {
        must(&server, "GET", &format!("/nacos/prometheus/namespaceId/{path}")).json()[0]["labels"]
            .clone()
    };
    let shop = json!({"__meta_clusterName": "DEFAULT", "a_b_c": "x"});
    assert_eq!(label("prod/service/shop"), json!({"__meta_clusterName": "DEFAULT"}));
    assert_eq!(label("dev/service/other"), json!({"__meta_clusterName": "c1"}));
    assert_eq!(label("public"), json!({"__meta_clusterName": "DEFAULT", "_1st": "y"}));
    let both = must(&server, "GET", "/nacos/prometheus/namespaceId/dev/service/shop").json();
    assert!(both.as_array().expect("two").iter().any(|group| group["labels"] == shop), "{both}");
    for (method, path, status) in [
        ("POST", "/nacos/prometheus", 405),
        ("GET", "/nacos/prometheus/namespaceId", 404),
        ("GET", "/nacos/prometheus/namespaceId/dev/service/a/b", 404),
        ("GET", "/prometheus", 404),
        ("GET", "/nacos/prometheus/namespaceId/%zz", 400),
    ] {
        assert_eq!(ask(&server, method, path).status, status, "{method} {path}");
    }
}

#[test]
fn a_switch_takes_discovery_away() {
    let server = Server::start_with(&["-D", "nacos.prometheus.metrics.enabled=false"]);
    for path in ["", "/namespaceId/public", "/namespaceId/public/service/s"] {
        assert_eq!(ask(&server, "GET", &format!("/nacos/prometheus{path}")).status, 404);
    }
    must(&server, "GET", "/nacos/metrics");
}

#[test]
fn everybody_discovers_what_he_may_read() {
    let town = Town::guarded();
    for namespace in ["dev", "prod"] {
        let target = format!("{INSTANCE}?namespaceId={namespace}&serviceName=s&ip=10.0.0.1");
        let port = if namespace == "dev" { 1 } else { 2 };
        let made = town.send("POST", &format!("{target}&port={port}"), "", &town.admin);
        assert_eq!(made.status, 200, "{}", made.text());
    }
    let dev = town.user("dev", "dev:*:*", "r");
    let find =
        |path: &str, token: &str| town.send("GET", &format!("/nacos/prometheus{path}"), "", token);
    assert_eq!(find("", "").status, 403);
    assert_eq!(targets(&find("", &town.admin)), ["10.0.0.1:1", "10.0.0.1:2"]);
    assert_eq!(targets(&find("", &dev)), ["10.0.0.1:1"]);
    assert_eq!(targets(&find("/namespaceId/dev/service/s", &dev)), ["10.0.0.1:1"]);
    assert_eq!(find("/namespaceId/prod", &dev).status, 403);
    assert_eq!(targets(&find("/namespaceId/absent", &dev)), [""; 0]);
}

/// A port of this host that nobody listens on now, beside those of servers.
fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
    probe.local_addr().expect("its address").port()
}

/// A server with the console's port, which somebody else may take before it does.
fn with_console(more: &[&str]) -> (Server, u16) {
    let merged = ["-D", "nacos.deployment.type=merged"];
    let port = free_port();
    let key = format!("nacos.console.port={port}");
    (Server::start_with(&[&merged[..], &["-D", &key], more].concat()), port)
}

fn status_of(port: u16, path: &str) -> u16 {
    let answer = http_get(port, path).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[test]
fn the_console_has_a_port_of_its_own() {
    let (mut server, port) = with_console(&[]);
    for (path, status) in [
        ("/v3/console/server/state", 200),
        ("/v3/console/health/readiness", 200),
        ("/v3/console/cs/config/list?pageNo=1&pageSize=9", 200),
        ("/v3/console/core/namespace/list", 200),
        ("/v1/console/namespaces", 200),
        ("/actuator/prometheus", 200),
        ("/v1/ns/instance/list?serviceName=s", 404),
        ("/v3/admin/core/state", 404),
        ("/v3/client/ns/instance/list?serviceName=s", 404),
        ("/nacos/v3/console/server/state", 404),
        ("/prometheus", 404),
    ] {
        assert_eq!(status_of(port, path), status, "{path}");
    }
    let answer = http_get(port, "/v3/console/server/state").expect("an answer");
    assert!(answer.contains("content-security-policy: script-src 'self'"), "{answer}");
    // The HTTP port has the same below its own context path, and without.
    let main = server.http_port();
    assert_eq!(status_of(main, "/nacos/v3/console/server/state"), 200);
    assert_eq!(status_of(main, "/v3/console/server/state"), 200);
    // It is free again after a kill and after a stop.
    server.kill();
    server.start_again();
    assert_eq!(status_of(port, "/v3/console/server/state"), 200);
    assert!(server.terminate().success());
}

#[test]
fn the_console_has_a_context_path_of_its_own() {
    let (_server, port) = with_console(&["-D", "nacos.console.contextPath=/ui"]);
    assert_eq!(status_of(port, "/ui/v3/console/server/state"), 200);
    assert_eq!(status_of(port, "/ui/v3/admin/core/state"), 404);
}
