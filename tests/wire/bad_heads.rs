//! Bad bodies × every row that could take one, and heads no server may accept.

use crate::http_client::{Answer, Http};
use crate::server::Server;
use crate::support::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use nacre::front::open::route::{Label, Route};
use nacre::front::open::rows;
use std::io::Write;

/// One byte more than any body but one with a config's content may have.
const LARGE_BYTES: usize = 10 * 1024 * 1024 + 1;

/// What would be carried out, were the body not bad: each row finds what it wants here.
const RIGHT: &str = "serviceName=new&groupName=DEFAULT_GROUP&ip=192.0.2.9&port=9&weight=2\
                     &ephemeral=true&metadata=a%3Db&protectThreshold=0.5&clusterName=DEFAULT\
                     &healthy=true&checkPort=80&useInstancePort4Check=true\
                     &healthChecker=%7B%22type%22%3A%22TCP%22%7D&dataId=seeded\
                     &group=DEFAULT_GROUP&content=changed&namespaceId=kept&namespaceName=changed\
                     &namespace=kept&namespaceShowName=changed&customNamespaceId=new\
                     &username=kept&newPassword=changed&password=changed&role=new&resource=x:*:*\
                     &action=r&entry=pushEnabled&value=false&ids=1&pageNo=1&pageSize=9&quota=7";

/// Bytes sent as they are.
pub struct Raw;

impl Raw {
    /// Sends them on a connection of their own and says that nothing follows.
    fn begin(server: &Server, bytes: &[u8]) -> Http {
        let mut http = Http::connect(server);
        http.try_send(bytes);
        http.end();
        http
    }

    /// The same, and what comes back.
    pub fn once(server: &Server, bytes: &[u8]) -> Option<Answer> {
        Self::begin(server, bytes).answer()
    }
}

fn form(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), bytes.to_vec())
}

/// Content types with bodies that are not what they say.
fn bodies() -> Vec<(String, Vec<u8>)> {
    const FORM: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=x";
    let part = |at: usize| format!("--x\r\ncontent-disposition: form-data; name=p{at}\r\n\r\n\r\n");
    let many: String = (0..65).map(part).collect::<String>() + "--x--";
    vec![
        form(FORM, b"x=%"),
        form(FORM, b"x=%g0"),
        form(FORM, b"x=\xff\xfe"),
        form(FORM, b"x=\0"),
        form("application/x-www-form-urlencoded;charset=GBK", b"\xc4\xe3=\xba\xc3"),
        form(FORM, "&x=1".repeat(1_100).as_bytes()),
        form(PARTS, b"no parts"),
        form(PARTS, b""),
        form(PARTS, b"--x\r\n\r\n\r\n--x--"),
        form(PARTS, b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\nunfinished"),
        form(PARTS, b"--y\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--y--"),
        form(PARTS, b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\n\xff\r\n--x--"),
        form(PARTS, b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\n\0\r\n--x--"),
        form(PARTS, many.as_bytes()),
    ]
}

/// Bodies whose frame is broken: head lines, and what comes after the head.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    const CHUNKED: &str = "transfer-encoding: chunked\r\n";
    vec![
        ("content-length: 10\r\n", b"abc".to_vec()),
        (CHUNKED, b"zz\r\nabc\r\n0\r\n\r\n".to_vec()),
        (CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n".to_vec()),
        (CHUNKED, b"FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n".to_vec()),
        (CHUNKED, b"3\r\nabcXX0\r\n\r\n".to_vec()),
        (CHUNKED, b"5\r\nabc".to_vec()),
        (CHUNKED, b"3\r\nabc\r\n".to_vec()),
        ("content-length: 3\r\ncontent-length: 4\r\n", b"abcd".to_vec()),
        ("content-length: -1\r\n", b"abc".to_vec()),
        ("content-length: +3\r\n", b"abc".to_vec()),
        ("content-length: 0x3\r\n", b"abc".to_vec()),
        ("content-length: 99999999999999999999\r\n", b"abc".to_vec()),
        ("transfer-encoding: gzip\r\n", b"abc".to_vec()),
        ("transfer-encoding: chunked, gzip\r\n", b"3\r\nabc\r\n0\r\n\r\n".to_vec()),
        ("transfer-encoding: identity\r\n", b"abc".to_vec()),
    ]
}

/// Whether a body of [`LARGE_BYTES`] could be right: configs may be that long.
fn takes_content(row: &Route, method: &str) -> bool {
    let is_config = ["/cs/configs", "/cs/config", "/cs/config/import"]
        .iter()
        .any(|path| row.path.ends_with(path));
    method == "POST" && is_config
}

/// Each row × each bad body, beside a query that would be carried out. Returns what was taken.
pub fn walk_bodies(server: &Server) -> Vec<String> {
    let mut taken = Vec::new();
    let mut http = Http::connect(server);
    let (bodies, frames) = (bodies(), frames());
    for row in rows().iter().filter(|row| row.label != Label::Inner) {
        for method in methods(row.verb) {
            let target = format!("{}?{RIGHT}", row.path_with("/nacos"));
            for (kind, body) in &bodies {
                http.begin(method, &target, &format!("content-type: {kind}\r\n"), body);
            }
            let head =
                |lines: &str| format!("{method} {target} HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
            let framed = frames
                .iter()
                .map(|(lines, body)| Raw::begin(server, &[head(lines).as_bytes(), body].concat()));
            let framed: Vec<Http> = framed.collect();
            for at in 0..bodies.len() {
                let answer = http.answer().expect("an answer to each");
                if answer.status != 400 || answer.body.is_empty() {
                    taken.push(format!("{method} {} body {at}: {answer:?}", row.path));
                }
            }
            for (at, mut framed) in framed.into_iter().enumerate() {
                let answer = framed.answer();
                // One that cannot be framed may be met with a close.
                if answer.as_ref().is_some_and(|answer| !matches!(answer.status, 400 | 413 | 501)) {
                    taken.push(format!("{method} {} frame {at}: {answer:?}", row.path));
                }
            }
            if !takes_content(row, method) {
                let announced = head(&format!("content-length: {LARGE_BYTES}\r\n"));
                let answer = Raw::once(server, announced.as_bytes());
                if answer.as_ref().is_none_or(|answer| answer.status != 413) {
                    taken.push(format!("{method} {} announced: {answer:?}", row.path));
                }
            }
        }
    }
    taken
}

/// Contents longer than any config, sent to the end; and bodies that never end.
#[test]
fn long_bodies_are_refused_where_contents_may_be_long() {
    let server = shared_server();
    let target =
        |path: &str| format!("/nacos{path}?dataId=bad_heads_long&group=G&groupName=G&namespaceId=");
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let mut content = b"content=".to_vec();
    content.resize(content.len() + LARGE_BYTES, b'x');
    for row in rows().iter().filter(|row| takes_content(row, methods(row.verb)[0])) {
        if row.path.ends_with("/import") {
            continue;
        }
        let mut http = Http::connect(&server);
        let answer = http.ask_with("POST", &target(row.path), form, &content);
        assert_eq!(answer.status, 400, "{}: {answer:?}", row.path);
        assert!(answer.shown().contains("10485760"), "{}: {}", row.path, answer.shown());
    }
    let endless = "POST /nacos/v1/ns/instance?serviceName=s&ip=192.0.2.1&port=1 HTTP/1.1\r\n\
                   host: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut http = Http::connect(&server);
    http.send(endless.as_bytes());
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x1_0000], b"\r\n"].concat();
    // The server may close on the way: its answer was sent before.
    (0..64).for_each(|_| http.try_send(&chunk));
    assert!(http.answer().is_none_or(|answer| answer.status == 413));
    let list = crate::http_client::ask(&server, "GET", "/nacos/v1/ns/instance/list?serviceName=s");
    assert_eq!(list.json()["hosts"], serde_json::json!([]), "nothing was registered");
}

/// Compressed bodies are not read, as in the reference: what they hide is missing.
#[test]
fn a_compressed_body_is_no_form() {
    let server = shared_server();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"serviceName=hidden&ip=192.0.2.1&port=1").unwrap();
    let body = gzip.finish().unwrap();
    let lines = "content-type: application/x-www-form-urlencoded\r\ncontent-encoding: gzip\r\n";
    for body in [&body[..], &body[..body.len() / 2], b"no gzip"] {
        let mut http = Http::connect(&server);
        let answer = http.ask_with("POST", "/nacos/v1/ns/instance", lines, body);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(!answer.body.is_empty());
    }
}

/// What is no head: a bare 400, 414 or 431 and a close, and nobody hears of it.
#[test]
fn heads_that_cannot_be_read() {
    let server = Server::start();
    let put = "POST /nacos/v1/ns/instance?serviceName=s&ip=192.0.2.1&port=1";
    let long = "x".repeat(600 * 1024);
    let target = "x".repeat(70_000);
    let many: String = (0..200).map(|at| format!("h{at}: x\r\n")).collect();
    for (what, head) in [
        ("no version", format!("{put}\r\nhost: x\r\n\r\n")),
        ("another version", format!("{put} HTTP/3.0\r\nhost: x\r\n\r\n")),
        ("no target", "POST  HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("a blank in the target", format!("{put}&a=b c HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("a control character", format!("{put}&a=\x01 HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("NUL in the target", format!("{put}&a=\0 HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("NUL in a value", format!("{put} HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n")),
        ("NUL in a name", format!("{put} HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n")),
        ("a blank before the colon", format!("{put} HTTP/1.1\r\nhost : x\r\n\r\n")),
        ("a folded line", format!("{put} HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n")),
        ("no colon", format!("{put} HTTP/1.1\r\nhost: x\r\nabc\r\n\r\n")),
        ("no host", format!("{put} HTTP/1.1\r\n\r\n")),
        ("two hosts", format!("{put} HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n")),
        ("a long line", format!("{put} HTTP/1.1\r\nhost: x\r\na: {long}\r\n\r\n")),
        ("a long target", format!("POST /nacos/v1/ns/instance?{target} HTTP/1.1\r\n\r\n")),
        ("many lines", format!("{put} HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
        ("a method that is none", "P\x7fST / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("half a head", format!("{put} HTTP/1.1\r\nhost: x\r\n")),
        ("the other protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        let answer = Raw::once(&server, head.as_bytes());
        let fine = answer.as_ref().is_none_or(|answer| matches!(answer.status, 400 | 414 | 431));
        assert!(fine, "{what}: {answer:?}");
    }
    let services = metric(&server, "nacre_services");
    assert_eq!(services, 0.0, "nothing was registered");
    until("connections", || metric(&server, "nacre_http_connections") <= 1.0);
}
