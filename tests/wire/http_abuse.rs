//! What strangers send to the HTTP port: each is refused with a reason, changes nothing, and the
//! server goes on.

use crate::http_client::{Http, ask, must};
use crate::server::Server;
use crate::support::*;
use serde_json::json;

/// Paths that take parameters, and methods for them.
const ENDPOINTS: [(&str, &str); 16] = [
    ("POST", "/nacos/v1/ns/instance"),
    ("PUT", "/nacos/v1/ns/instance"),
    ("PATCH", "/nacos/v1/ns/instance"),
    ("GET", "/nacos/v1/ns/instance"),
    ("DELETE", "/nacos/v1/ns/instance"),
    ("GET", "/nacos/v1/ns/instance/list"),
    ("PUT", "/nacos/v1/ns/instance/beat"),
    ("POST", "/nacos/v1/ns/service"),
    ("PUT", "/nacos/v1/ns/service"),
    ("GET", "/nacos/v1/ns/service/list"),
    ("POST", "/nacos/v2/ns/instance"),
    ("GET", "/nacos/v2/ns/instance/list"),
    ("POST", "/nacos/v2/ns/service"),
    ("POST", "/nacos/v3/client/ns/instance"),
    ("DELETE", "/nacos/v3/client/ns/instance"),
    ("GET", "/nacos/v3/client/ns/instance/list"),
];

/// Queries that must be refused by all of them.
fn bad_queries() -> Vec<String> {
    let long = "x".repeat(2_000);
    vec![
        "serviceName=%".into(),
        "serviceName=%ff".into(),
        "serviceName=a%00b&ip=1&port=1".into(),
        "serviceName=a&ip=%zz".into(),
        "namespaceId=a.b&serviceName=s&ip=1&port=1&pageNo=1&pageSize=1&protectThreshold=0".into(),
        format!(
            "namespaceId={long}&serviceName=s&ip=1&port=1&pageNo=1&pageSize=1&protectThreshold=0"
        ),
        format!(
            "groupName={long}&serviceName=s&ip=1&port=1&pageNo=1&pageSize=1&protectThreshold=0"
        ),
        format!("{}=1", "a&".repeat(1_100)),
    ]
}

#[test]
fn bad_parameters_are_refused_with_a_reason() {
    let server = Server::start();
    let mut http = Http::connect(&server);
    for (method, path) in ENDPOINTS {
        for query in bad_queries() {
            let answer = http.ask(method, &format!("{path}?{query}"));
            assert!((400..500).contains(&answer.status), "{method} {path}?{query}: {answer:?}");
            assert!(!answer.body.is_empty(), "{method} {path}?{query}");
        }
        if !path.ends_with("service/list") {
            let answer = http.ask(method, path);
            assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
            assert!(answer.text().contains("serviceName"), "{answer:?}");
        }
    }
    let metrics = must(&server, "GET", "/nacos/v1/ns/operator/metrics?onlyStatus=false").json();
    assert_eq!((&metrics["serviceCount"], &metrics["instanceCount"]), (&json!(0), &json!(0)));
}

#[test]
fn wrong_values_are_refused_in_the_references_words() {
    let server = Server::start();
    let base = "/nacos/v1/ns/instance?serviceName=s&ip=10.0.0.1";
    let port = "Param 'port' is illegal, the value should be between 0 and 65535.\r\n";
    let table = [
        ("port=x", "For input string: \"x\""),
        ("port=1e3", "For input string: \"1e3\""),
        ("port=99999999999", "For input string: \"99999999999\""),
        ("port=-1", port),
        ("port=65536", port),
        ("", "Param 'port' is required."),
        ("port=", "Param 'port' is required."),
        ("port=1&weight=x", "For input string: \"x\""),
        ("port=1&weight=-1", "instance format invalid: The weights range from 0.0 to 10000.0"),
        ("port=1&weight=NaN", "instance format invalid: The weights range from 0.0 to 10000.0"),
        ("port=1&ephemeral=maybe", "Invalid boolean value [maybe]"),
        ("port=1&metadata=x", "metadata format incorrect:x"),
        (
            "port=1&clusterName=a.b",
            "Param 'cluster' is illegal, illegal characters should not appear in the param.\r\n",
        ),
        (
            "port=1&clusterName=a_b",
            "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)",
        ),
    ];
    for (query, text) in table {
        let answer = ask(&server, "POST", &format!("{base}&{query}"));
        assert_eq!((answer.status, answer.text()), (400, text), "{query}");
    }
    let beat = ask(&server, "PUT", "/nacos/v1/ns/instance/beat?serviceName=s&beat=%7B");
    assert_eq!(beat.status, 400);
    let grouped = ask(&server, "POST", "/nacos/v1/ns/instance?serviceName=@@s&ip=1&port=1");
    assert!(grouped.status == 400 && grouped.text().contains("groupName can't be empty"));
}

#[test]
fn bodies_are_bounded_and_forms_must_parse() {
    let server = shared_server();
    let path = "/nacos/v1/ns/instance?serviceName=s&ip=1&port=1";
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let large = vec![b'a'; 10 * 1024 * 1024 + 1];
    let answer = Http::connect(&server).ask_with("POST", path, form, &large);
    assert_eq!(answer.status, 413, "{answer:?}");
    for (kind, body) in [
        ("application/x-www-form-urlencoded", &b"weight=%"[..]),
        ("application/x-www-form-urlencoded;charset=GBK", b"metadata=\xff"),
        ("multipart/form-data; boundary=x", b"no parts"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--"),
    ] {
        let lines = format!("content-type: {kind}\r\n");
        let answer = Http::connect(&server).ask_with("POST", path, &lines, body);
        assert_eq!(answer.status, 400, "{kind}: {answer:?}");
    }
}

#[test]
fn chunked_bodies_and_continue() {
    let server = shared_server();
    let name = "http_chunked";
    let mut http = Http::connect(&server);
    let head = "POST /nacos/v1/ns/instance HTTP/1.1\r\nhost: x\r\n\
                content-type: application/x-www-form-urlencoded\r\n";
    http.send(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes());
    let body = format!("serviceName={name}&ip=10.0.0.1&port=80");
    for piece in body.as_bytes().chunks(7) {
        http.send(format!("{:x}\r\n", piece.len()).as_bytes());
        http.send(piece);
        http.send(b"\r\n");
    }
    http.send(b"0\r\n\r\n");
    assert_eq!(http.answer().expect("an answer").text(), "ok");
    let length = body.len();
    http.send(format!("{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n").as_bytes());
    assert_eq!(http.answer().expect("go on").status, 100);
    http.send(body.as_bytes());
    assert_eq!(http.answer().expect("an answer").text(), "ok");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = shared_server();
    let mut http = Http::connect(&server);
    let path = "/nacos/v1/ns/instance/list?serviceName=http_pipelined_";
    let requests: String =
        (0..20).map(|at| format!("GET {path}{at} HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    http.send(requests.as_bytes());
    for at in 0..20 {
        let answer = http.answer().expect("an answer");
        let name = format!("DEFAULT_GROUP@@http_pipelined_{at}");
        assert_eq!(answer.json()["name"], name);
    }
}

#[test]
fn a_long_list_is_compressed_for_who_takes_it() {
    let server = shared_server();
    let name = "http_long";
    let mut http = Http::connect(&server);
    for last in 0..60 {
        let query = format!("serviceName={name}&ip=10.0.0.{last}&port=80");
        assert_eq!(http.ask("POST", &format!("/nacos/v1/ns/instance?{query}")).status, 200);
    }
    let path = format!("/nacos/v1/ns/instance/list?serviceName={name}");
    let plain = http.ask("GET", &path);
    let small = http.ask_with("GET", &path, "accept-encoding: gzip,deflate,sdch\r\n", b"");
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert!(small.body.len() * 4 < plain.body.len());
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*small.body), &mut text).unwrap();
    assert_eq!(text, plain.body);
}

#[test]
fn switches_turn_old_generations_off() {
    let off = |label: &str| format!("nacos.core.api.compatibility.{label}.enabled=false");
    let (admin, console) = (off("admin"), off("console"));
    let server = Server::start_with(&["-D", &admin, "-D", &console]);
    for (path, status) in [
        ("/nacos/v1/ns/instance/list?serviceName=s", 200),
        ("/nacos/v1/ns/operator/metrics", 200),
        ("/nacos/v3/client/ns/instance/list?serviceName=s", 200),
        ("/nacos/v3/admin/core/state/readiness", 200),
        ("/nacos/v1/ns/instance?serviceName=s&ip=1&port=1", 410),
        ("/nacos/v2/ns/instance/list?serviceName=s", 410),
        ("/nacos/v1/console/health/liveness", 410),
        ("/nacos/v1/console/namespaces", 410),
    ] {
        let answer = ask(&server, "GET", path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if status == 410 {
            let message = answer.json()["message"].as_str().expect("text").to_owned();
            let inner: serde_json::Value = serde_json::from_str(&message).expect("JSON in JSON");
            assert_eq!(inner["code"], 40_000);
        }
    }
    let server = Server::start_with(&["-D", &off("client")]);
    assert_eq!(ask(&server, "GET", "/nacos/v1/ns/instance/list?serviceName=s").status, 410);
    assert_eq!(ask(&server, "GET", "/nacos/v1/console/namespaces").status, 200);
}

#[test]
fn the_context_path_is_the_operators() {
    let server = Server::start_with(&["-D", "server.servlet.contextPath=/registry/x"]);
    let path = "/registry/x/v1/ns/instance/list?serviceName=s";
    assert_eq!(ask(&server, "GET", path).status, 200);
    assert_eq!(ask(&server, "GET", "/registry/x/v1/ns/instance/list/?serviceName=s").status, 200);
    for path in ["/nacos/v1/ns/instance/list?serviceName=s", "/v1/ns/instance/list?serviceName=s"] {
        assert_eq!(ask(&server, "GET", path).status, 404, "{path}");
    }
}

#[test]
fn what_is_off_or_not_there_says_so() {
    let server = shared_server();
    let answer = ask(&server, "GET", "/nacos/v3/admin/ai/mcp/list");
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("the AI registry is off"), "{answer:?}");
    let answer = ask(&server, "GET", "/nacos/v1/ns/raft/leader");
    assert_eq!((answer.status, answer.text()), (501, "no such api:GET:/nacos/v1/ns/raft/leader"));
    let answer = ask(&server, "PUT", "/nacos/v1/ns/instance/list");
    assert_eq!((answer.status, answer.text()), (501, "no such api:PUT:/nacos/v1/ns/instance/list"));
}
