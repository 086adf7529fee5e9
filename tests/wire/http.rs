//! The HTTP port: health, state, metrics, and a 404 that helps (`http-api.md` 4.3, 5, 7.1, 8).

use crate::server::{Server, http_get};
use crate::support::*;
use nacre_loadgen::client::instance;
use nacre_loadgen::raw::RawPeer;
use std::io::{Read, Write};
use std::net::TcpStream;

/// One exchange with any method and further head lines.
fn exchange(server: &Server, method: &str, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port())).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{more}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head and a body").1
}

#[test]
fn health_paths_answer_200() {
    let server = shared_server();
    for path in [
        "/nacos/v1/console/health/liveness",
        "/nacos/v1/console/health/readiness",
        "/nacos/v2/console/health/liveness",
        "/nacos/v2/console/health/readiness",
        "/nacos/v3/admin/core/state/liveness",
        "/nacos/v3/admin/core/state/readiness",
        "/v3/console/health/liveness",
        "/v3/console/health/readiness",
    ] {
        let answer = http_get(server.http_port(), path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        let body = body(&answer);
        let fine = match path.contains("v1") {
            true => body == "OK",
            false => serde_json::from_str::<serde_json::Value>(body).unwrap()["code"] == 0,
        };
        assert!(fine, "{path}: {body}");
    }
}

#[test]
fn the_state_names_mode_version_and_port() {
    let server = shared_server();
    let answer = http_get(server.http_port(), "/nacos/v3/admin/core/state").unwrap();
    let state: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(state["data"]["startup_mode"], "standalone");
    assert_eq!(state["data"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(state["data"]["server_port"], server.http_port().to_string());
}

#[test]
fn any_other_path_is_a_404_with_a_sentence() {
    let server = shared_server();
    for path in ["/", "/nacos/", "/nacos/v1/cs/nothing", "/v1/ns/instance/list?serviceName=x"] {
        let answer = http_get(server.http_port(), path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        let told: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        let grpc = format!("gRPC on port {}", server.grpc_address().port());
        assert!(told["message"].as_str().unwrap().contains(&grpc), "{told}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = shared_server();
    let answer = exchange(&server, "HEAD", "/nacos/v1/console/health/liveness", "");
    assert!(answer.starts_with("HTTP/1.1 200") && body(&answer).is_empty(), "{answer}");
    assert!(answer.to_lowercase().contains("content-length: 2\r\n"), "{answer}");
    let answer = exchange(&server, "POST", "/nacos/metrics", "content-length: 0\r\n");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.to_lowercase().contains("allow: get, head, options\r\n"), "{answer}");
    let answer = exchange(&server, "OPTIONS", "/nacos/v1/ns/instance", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn every_line_of_the_metrics_parses_in_both_formats() {
    let server = shared_server();
    client(&server).health_check().unwrap();
    let path = "/nacos/actuator/prometheus";
    let classic = exchange(&server, "GET", path, "");
    let open = exchange(&server, "GET", path, "accept: application/openmetrics-text\r\n");
    assert!(open.ends_with("# EOF\n") && !classic.contains("# EOF"));
    for page in [body(&classic), body(&open)] {
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect(line);
            value.parse::<f64>().expect(line);
            let name = series.split('{').next().unwrap();
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(name.bytes().all(legal) && series.len() > 1, "{line}");
            assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
            assert!(page.contains(&format!("# TYPE {}", family(page, name))), "{line}");
        }
    }
}

/// The family a series belongs to: its own name, or that without the suffix of its kind.
fn family<'a>(page: &str, name: &'a str) -> &'a str {
    let declared = |name: &str| page.contains(&format!("# TYPE {name} "));
    let suffixes = ["_bucket", "_sum", "_count", "_total"];
    let stripped = suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix));
    stripped.chain([name]).find(|name| declared(name)).unwrap_or(name)
}

#[test]
fn the_metrics_count_what_clients_do() {
    let server = Server::start();
    let (publisher, subscriber) = (client(&server), client(&server));
    let service = service("counted");
    subscriber.subscribe(&service, "").unwrap();
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    let monitor = |name: &str| format!("nacos_monitor{{module=\"naming\",name=\"{name}\"}}");
    for (series, value) in [
        (monitor("serviceCount"), 1.0),
        (monitor("ipCount"), 1.0),
        (monitor("subscriberCount"), 1.0),
        (monitor("longConnection"), 2.0),
        (r#"nacos_naming_publisher{version="v2"}"#.to_owned(), 1.0),
        (r#"nacos_naming_subscriber{version="v2"}"#.to_owned(), 1.0),
    ] {
        until(&series, || metric(&server, &series) == value);
    }
    until_metric(&server, r#"nacre_pushes_total{outcome="acknowledged"}"#, 1.0);
    let timer = r#"nacre_request_duration_seconds_count{type="InstanceRequest"}"#;
    until_metric(&server, timer, 1.0);
}

#[test]
fn the_grpc_port_answers_a_plain_health_check() {
    use nacre_loadgen::http2::frame::{flag, kind};
    use nacre_loadgen::http2::hpack::{Keep, put_field};
    let server = shared_server();
    let mut peer = RawPeer::greeted(server.grpc_address(), WAIT).unwrap();
    let mut block = Vec::new();
    let fields =
        [(":method", "GET"), (":scheme", "http"), (":path", "/health"), (":authority", "x")];
    for (name, value) in fields {
        put_field(name, value, Keep::Forget, &mut block);
    }
    peer.send_frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block).unwrap();
    let answer = peer.answer(1, WAIT).unwrap();
    assert_eq!(answer.header(":status"), Some("200"));
    assert!(!answer.data.is_empty());
}
