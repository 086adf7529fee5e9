//! Public tools against the real server's gRPC port: what they say of it, not what we say of
//! ourselves. Versions are pinned in tests/tools; see README.md beside this file.

// A test is no core: it waits and reads the time.
#[allow(clippy::disallowed_methods)]
mod prometheus;
#[path = "../process/server.rs"]
#[allow(clippy::disallowed_methods)]
mod server;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use server::{Directory, Server};

/// A tool that has not ended by then hangs; each needs seconds. In seconds, for `timeout`.
const TOOL_SECONDS_MAX: &str = "120";
/// Requests of one load run: seconds at the worst server's speed, all of them checked.
const REQUESTS: u64 = 5_000;
/// The cases of h2spec 2.2.1 with `--strict`; without it one case less is carried out.
const H2SPEC_CASES: u64 = 146;

/// Whether `tool` can judge here; builds it when that has not been done. On a machine without it
/// says so and answers false; in CI that fails the test.
fn is_here(tool: &str) -> bool {
    let prepare = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/prepare");
    let output = Command::new(prepare).arg(tool).stderr(Stdio::piped()).output();
    let output = output.expect("run tests/tools/prepare");
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => true,
        Some(3) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            // Not eprintln: the harness would swallow it, and a skipped test must be seen.
            let _ = std::io::stderr().write_all(said.as_bytes());
            false
        }
        _ => panic!("prepare {tool}: {said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Runs a tool to its end: whether it was content, and all it printed.
fn run(tool: &str, arguments: &[&str]) -> (bool, String) {
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(tool);
    let program = if ours.exists() { ours } else { PathBuf::from(tool) };
    let output = Command::new("timeout")
        .arg(TOOL_SECONDS_MAX)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run the tool");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

fn proto() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/proto/nacos_grpc_service.proto")
}

/// A protobuf field of wire type 2; everything here is shorter than 128 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).expect("a short field")];
    bytes.extend_from_slice(content);
    bytes
}

/// `Payload { metadata: Metadata { type }, body: Any { value } }`, written by hand so that the
/// server's own encoder is not asked about itself.
fn payload(kind: &str, body: &str) -> Vec<u8> {
    let mut bytes = field(2, &field(3, kind.as_bytes()));
    bytes.extend(field(3, &field(2, body.as_bytes())));
    bytes
}

/// `N tests, N passed, N skipped, N failed` as h2spec ends.
fn h2spec_counts(said: &str) -> Option<(u64, u64, u64, u64)> {
    let line = said.lines().rev().find(|line| line.contains(" tests, "))?;
    let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    Some((numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?))
}

fn h2spec(server: &Server, more: &[&str]) -> (u64, u64, u64, u64) {
    let port = server.grpc_address().port().to_string();
    let mut arguments = vec!["-h", "127.0.0.1", "-p", &port, "-P", "/health", "-o", "5"];
    arguments.extend(more);
    let (_, said) = run("h2spec", &arguments);
    let counts = h2spec_counts(&said).unwrap_or_else(|| panic!("h2spec did not end:\n{said}"));
    assert_eq!(counts.3, 0, "h2spec {more:?} found failures:\n{said}");
    counts
}

#[test]
fn h2spec_finds_no_failure() {
    if !is_here("h2spec") {
        return;
    }
    let server = Server::start();
    let (tests, passed, skipped, _) = h2spec(&server, &[]);
    assert_eq!(tests, passed + skipped);
    let (tests, passed, skipped, _) = h2spec(&server, &["--strict"]);
    assert_eq!((tests, passed, skipped), (H2SPEC_CASES, H2SPEC_CASES, 0));
}

/// The lines `h2load` ends with say that every request was answered with 2xx.
fn h2load_succeeds(arguments: &[&str]) {
    let (content, said) = run("h2load", arguments);
    let all = format!("{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(content && said.contains(&all), "h2load {arguments:?}:\n{said}");
    let answered = format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx");
    assert!(said.contains(&answered), "h2load {arguments:?}:\n{said}");
}

#[test]
fn h2load_loads_health_and_calls() {
    if !is_here("h2load") {
        return;
    }
    let server = Server::start();
    let requests = REQUESTS.to_string();
    let load = ["-n", &requests, "-c", "8", "-m", "32"];
    let health = format!("http://{}/health", server.grpc_address());
    h2load_succeeds(&[&load[..], &[&health]].concat());

    let directory = Directory::new("h2load");
    let file = directory.path().join("call");
    let message = payload("ServerCheckRequest", "{}");
    let mut call = vec![0, 0, 0, 0, u8::try_from(message.len()).expect("a short message")];
    call.extend(message);
    fs::write(&file, call).expect("write the call");
    let file = file.to_string_lossy();
    let call = format!("http://{}/Request/request", server.grpc_address());
    let grpc = ["-d", &file, "-H", "content-type: application/grpc", "-H", "te: trailers", &call];
    h2load_succeeds(&[&load[..], &grpc].concat());
}

/// One call in protobuf's text format, which alone can show an `Any` without a type.
fn grpcurl(server: &Server, method: &str, request: &str) -> (bool, String) {
    let address = server.grpc_address().to_string();
    let proto = proto();
    let (folder, file) = proto.rsplit_once('/').expect("a path with a folder");
    let schema = ["-plaintext", "-max-time", "20", "-import-path", folder, "-proto", file];
    let call = ["-format", "text", "-d", request, &address, method];
    run("grpcurl", &[&schema[..], &call].concat())
}

#[test]
fn grpcurl_calls_with_the_schema() {
    if !is_here("grpcurl") {
        return;
    }
    let server = Server::start();
    let check = r#"metadata { type: "ServerCheckRequest" } body { value: "{}" }"#;
    let (content, said) = grpcurl(&server, "Request/request", check);
    assert!(content, "{said}");
    assert!(said.contains(r#"type: "ServerCheckResponse""#), "{said}");
    assert!(said.contains(r#"\"resultCode\":200"#), "{said}");
    assert!(said.contains("connectionId"), "{said}");

    // A type the server does not have is a refusal inside the envelope, not of the call.
    let unknown = r#"metadata { type: "NoSuchRequest" } body { value: "{}" }"#;
    let (content, said) = grpcurl(&server, "Request/request", unknown);
    assert!(content, "{said}");
    assert!(said.contains(r#"type: "ErrorResponse""#), "{said}");
    assert!(said.contains(r#"\"errorCode\":302"#), "{said}");
}

#[test]
fn ghz_measures_calls() {
    if !is_here("ghz") {
        return;
    }
    let server = Server::start();
    let directory = Directory::new("ghz");
    let file = directory.path().join("payload");
    fs::write(&file, payload("ServerCheckRequest", "{}")).expect("write the payload");
    let (requests, address) = (REQUESTS.to_string(), server.grpc_address().to_string());
    let file = file.to_string_lossy();
    let load = ["--insecure", "-n", &requests, "-c", "32", "--connections", "4", "-O", "json"];
    let call = ["--proto", proto(), "--call", "Request.request", "-B", &file, &address];
    let (content, said) = run("ghz", &[&load[..], &call].concat());
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert!(content, "{report}");
    assert_eq!(report["statusCodeDistribution"]["OK"], REQUESTS, "{report}");
    assert_eq!(report["errorDistribution"].as_object().map_or(0, |errors| errors.len()), 0);
}

#[test]
fn the_openapi_document_is_valid_and_a_client_made_of_it_works() {
    if !is_here("openapi") {
        return;
    }
    let server = Server::start();
    let port = server.http_port();
    let answer = server::http_get(port, "/nacos/openapi.json").expect("the document");
    let (_, document) = answer.split_once("\r\n\r\n").expect("a head");
    let directory = Directory::new("openapi");
    let file = directory.path().join("openapi.json");
    fs::write(&file, document).expect("write the document");
    let registered =
        http_post(port, "/nacos/v1/ns/instance?serviceName=generated&ip=10.0.0.1&port=8080");
    assert!(registered.starts_with("HTTP/1.1 200 "), "{registered}");
    let base = format!("http://127.0.0.1:{port}/nacos");
    let (file, work) = (file.to_string_lossy(), directory.path().to_string_lossy());
    let (content, said) = run("openapi", &[&file, &base, &work]);
    assert!(content && said.contains("3 calls"), "{said}");
}

/// One POST without a body, as it is answered.
fn http_post(port: u16, target: &str) -> String {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let head = "host: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let request = format!("POST {target} HTTP/1.1\r\n{head}");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
