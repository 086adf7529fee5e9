//! Configs over HTTP (`http-api.md` 2, 5, 6; `config.md` 16, 19): published, read, polled, removed,
//! and one config centre with the other wire.

use crate::http_client::{Answer, Http, ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CONFIGS: &str = "/nacos/v1/cs/configs";
const FORM: &str = "content-type: application/x-www-form-urlencoded;charset=GBK\r\n";
const POLL: &str = "/nacos/v1/cs/configs/listener";
const MD5_OF_V1: &str = "c32ab5951a0460cb3dd1724bdc4f00f2";

fn target(data_id: &str, more: &str) -> String {
    format!("{CONFIGS}?dataId={data_id}&group=G{more}")
}

/// A publish as 1.4.8 sends it: everything in the body, an `&` behind.
fn publish(server: &Server, data_id: &str, content: &str, more: &str) -> Answer {
    let body = format!("dataId={data_id}&content={}&group=G&{more}&", escaped(content));
    Http::connect(server).ask_with("POST", CONFIGS, FORM, body.as_bytes())
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn published(server: &Server, data_id: &str, content: &str) {
    let answer = publish(server, data_id, content, "");
    assert_eq!((answer.status, answer.text()), (200, "true"));
}

fn content(server: &Server, data_id: &str) -> Option<String> {
    let answer = ask(server, "GET", &target(data_id, ""));
    match answer.status {
        200 => Some(answer.text().to_owned()),
        404 => None,
        _ => panic!("{answer:?}"),
    }
}

/// A record of `Listening-Configs`, encoded; `tenant` with its separator or nothing.
fn record(data_id: &str, md5: &str, tenant: &str) -> String {
    format!("{data_id}%02G%02{md5}{tenant}%01")
}

/// A poll that is sent and not waited for.
fn send_poll(server: &Server, records: &str, headers: &str) -> Http {
    let mut http = Http::connect(server);
    let body = format!("Listening-Configs={records}&");
    let head = format!(
        "POST {POLL} HTTP/1.1\r\nhost: x\r\n{FORM}{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    http.send(head.as_bytes());
    http.send(body.as_bytes());
    http
}

const LONG: &str = "Long-Pulling-Timeout: 30000\r\n";
const LONG_POLLS: &str = "nacre_config_long_polls";

fn polled(server: &Server, records: &str, headers: &str) -> Answer {
    send_poll(server, records, headers).answer().expect("an answer")
}

/// The other wire's client, and what it says and hears.
fn config_client(server: &Server) -> Client {
    client_as(server, Profile::module("config"))
}

#[test]
fn a_config_is_published_read_and_removed_as_1_4_8_does() {
    let server = shared_server();
    let missing = ask(&server, "GET", &target("http_life", ""));
    assert_eq!((missing.status, missing.text()), (404, "config data not exist\n"));
    let answer = publish(&server, "http_life", "a: v1 \u{e9}\n", "type=yaml&appName=&tenant=");
    assert_eq!((answer.status, answer.text()), (200, "true"));
    let found = must(&server, "GET", &target("http_life", "&tenant="));
    assert_eq!(found.text(), "a: v1 \u{e9}\n");
    for (name, value) in [
        ("content-md5", MD5_OF_V1),
        ("config-type", "yaml"),
        ("content-type", "text/plain;charset=UTF-8"),
        ("encrypted-data-key", ""),
        ("pragma", "no-cache"),
        ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        assert_eq!(found.header(name).map(str::trim), Some(value), "{name}: {}", found.head);
    }
    assert!(found.header("last-modified").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(found.header("isbeta"), None);
    // A publish without a type makes it text again; JSON is said to be JSON.
    published(&server, "http_life", "plain");
    let found = must(&server, "GET", &target("http_life", ""));
    assert_eq!(found.header("config-type"), Some("text"));
    publish(&server, "http_life", "{}", "type=json");
    let found = must(&server, "GET", &target("http_life", ""));
    assert_eq!(found.header("content-type"), Some("application/json;charset=UTF-8"));
    for _ in 0..2 {
        let removed = must(&server, "DELETE", &target("http_life", ""));
        assert_eq!(removed.text(), "true", "also when nothing is there");
        assert_eq!(content(&server, "http_life"), None);
    }
}

/// Python: everything in the query, no body, a connection each; npm: blanks for what it lacks.
#[test]
fn other_clients_publish_in_their_ways() {
    let server = shared_server();
    let path = target("http_ways", "&content=v1+%C3%A9");
    assert_eq!(must(&server, "POST", &path).text(), "true");
    assert_eq!(content(&server, "http_ways").as_deref(), Some("v1 \u{e9}"));
    published(&server, "http_ways", "v2");
    assert_eq!(content(&server, "http_ways").as_deref(), Some("v2"));
    let slash = format!("{CONFIGS}/?dataId=http_ways&group=G");
    assert_eq!(must(&server, "GET", &slash).text(), "v2");
}

#[test]
fn v2_and_v3_put_it_in_envelopes() {
    let server = shared_server();
    let v2 = "/nacos/v2/cs/config?dataId=http_v2&group=G&namespaceId=ns2";
    let yes = json!({"code": 0, "message": "success", "data": true});
    assert_eq!(must(&server, "POST", &format!("{v2}&content=here")).json(), yes);
    let found = must(&server, "GET", v2);
    assert_eq!(found.json(), json!({"code": 0, "message": "success", "data": "here"}));
    assert_eq!(found.header("config-type"), Some("text"));
    let v3 = "/nacos/v3/client/cs/config?dataId=http_v2&groupName=G&namespaceId=ns2";
    let data = must(&server, "GET", v3).json()["data"].clone();
    assert_eq!((&data["content"], &data["contentType"]), (&json!("here"), &json!("text")));
    assert_eq!((&data["resultCode"], &data["beta"]), (&json!(200), &json!(false)));
    assert_eq!((&data["tag"], &data["success"]), (&Value::Null, &json!(true)));
    let other = ask(&server, "GET", "/nacos/v2/cs/config?dataId=http_v2&group=G");
    assert_eq!((other.status, &other.json()["code"]), (404, &json!(20_004)), "another namespace");
    assert_eq!(other.json()["data"], "config data not exist");
    assert_eq!(must(&server, "DELETE", v2).json(), yes);
    let gone = must(&server, "GET", v3).json();
    assert_eq!((&gone["code"], &gone["data"]), (&json!(20_004), &Value::Null));
    let short = ask(&server, "POST", "/nacos/v2/cs/config?dataId=a&group=G");
    assert_eq!((short.status, &short.json()["code"]), (400, &json!(10_000)));
}

#[test]
fn a_conditional_publish_wins_or_is_false() {
    let server = shared_server();
    let cas = |md5: &str, content: &str| {
        let path = target("http_cas", &format!("&content={content}"));
        Http::connect(&server).ask_with("POST", &path, &format!("casMd5: {md5}\r\n"), b"")
    };
    assert_eq!(cas("0123456789abcdef0123456789abcdef", "one").text(), "true", "nothing there");
    let one = "f97c5d29941bfb1b2fdab0874906ab82";
    assert_eq!(cas(one, "two").text(), "true");
    let lost = cas(one, "three");
    assert_eq!((lost.status, lost.text()), (500, "false"));
    assert_eq!(content(&server, "http_cas").as_deref(), Some("two"));
    let path = "/nacos/v2/cs/config?dataId=http_cas&group=G&content=three";
    let lines = format!("casMd5: {one}\r\n");
    let lost = Http::connect(&server).ask_with("POST", path, &lines, b"");
    assert_eq!((lost.status, &lost.json()["code"]), (500, &json!(20_005)));
    assert_eq!(lost.json()["data"], "Cas publish fail, server md5 may have changed.");
}

#[test]
fn grays_by_address_and_by_tag() {
    let server = shared_server();
    published(&server, "http_gray", "for all");
    let path = target("http_gray", "&content=for+you");
    let beta = Http::connect(&server).ask_with("POST", &path, "betaIps: 127.0.0.1\r\n", b"");
    assert_eq!((beta.status, beta.text()), (200, "true"));
    let seen = must(&server, "GET", &target("http_gray", ""));
    assert_eq!((seen.text(), seen.header("isbeta")), ("for you", Some("true")));
    // The other wire's client says that it is elsewhere.
    let profile = Profile { client_ip: "192.0.2.7".to_owned(), ..Profile::module("config") };
    let elsewhere = client_as(&server, profile);
    let query = json!({"dataId": "http_gray", "group": "G", "tenant": ""});
    let found = call(&elsewhere, "ConfigQueryRequest", &query).json().expect("JSON");
    assert_eq!(found["content"], "for all");
    let removed = must(&server, "DELETE", &target("http_gray", "&tag=beta"));
    assert_eq!(removed.text(), "true");
    assert_eq!(content(&server, "http_gray").as_deref(), Some("for all"));

    publish(&server, "http_gray", "for the tag", "tag=t1");
    let tagged = must(&server, "GET", &target("http_gray", "&tag=t1"));
    assert_eq!((tagged.text(), tagged.header("tag")), ("for the tag", Some("t1")));
    let labelled = |tag: &str| {
        let line = format!("Vipserver-Tag: {tag}\r\n");
        Http::connect(&server).ask_with("GET", &target("http_gray", ""), &line, b"")
    };
    assert_eq!(labelled("t1").text(), "for the tag");
    assert_eq!(labelled("t2").text(), "for all", "a label falls back");
    let unknown = ask(&server, "GET", &target("http_gray", "&tag=t2"));
    assert_eq!((unknown.status, unknown.header("vipserver-tag")), (404, Some("t2")));
}

#[test]
fn a_poll_is_answered_at_once_or_when_something_changes() {
    let server = shared_server();
    published(&server, "http_poll", "a: v1 \u{e9}\n");
    let stale = polled(&server, &record("http_poll", "0", ""), LONG);
    assert_eq!((stale.status, stale.text()), (200, "http_poll%02G%01\n"));
    assert_eq!(stale.header("pragma"), Some("no-cache"));
    // The tenant comes back as it was named; names may come encoded twice.
    let named = polled(&server, &record("http_poll", "0", "%02public"), LONG);
    assert_eq!(named.text(), "http_poll%02G%02public%01\n");
    let twice = polled(&server, &record("http_poll", "0", "").replace('%', "%25"), LONG);
    assert_eq!(twice.text(), "http_poll%02G%01\n");
    let current = record("http_poll", MD5_OF_V1, "%02");
    let first = format!("{LONG}Long-Pulling-Timeout-No-Hangup: true\r\n");
    let first = polled(&server, &current, &first);
    assert_eq!((first.status, first.text()), (200, ""));

    let held = format!("{current}{}", record("http_poll_2", "", ""));
    let mut held = send_poll(&server, &held, LONG);
    until_metric(&server, LONG_POLLS, 1.0);
    let began = Instant::now();
    published(&server, "http_poll_2", "new");
    let told = held.answer().expect("told");
    assert_eq!(told.text(), "http_poll_2%02G%01\n", "that one and no other");
    assert!(began.elapsed() < WAIT);
    // The connection goes on.
    assert_eq!(held.ask("GET", &target("http_poll_2", "")).text(), "new");
    let mut held = send_poll(&server, &current, LONG);
    until_metric(&server, LONG_POLLS, 1.0);
    must(&server, "DELETE", &target("http_poll", ""));
    assert_eq!(held.answer().expect("told").text(), "http_poll%02G%01\n", "gone is a change");
}

/// A server of its own: the gauge counts every test's polls.
#[test]
fn a_poll_ends_with_its_time_its_client_or_the_server() {
    let mut server = Server::start();
    let asked = Instant::now();
    let nothing = record("http_quiet", "", "");
    let mut shortest = send_poll(&server, &nothing, "Long-Pulling-Timeout: 1\r\n");
    let left = send_poll(&server, &nothing, LONG);
    let mut stopped = send_poll(&server, &nothing, LONG);
    until_metric(&server, LONG_POLLS, 3.0);
    drop(left);
    until("who left is forgotten", || metric(&server, LONG_POLLS) == 2.0);
    let answer = shortest.answer().expect("an answer");
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_lasted(asked.elapsed(), Duration::from_secs(10));
    server.ask_to_stop();
    let answer = stopped.answer().expect("sent on, not cut off");
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert!(server.wait_ended(WAIT).expect("it ends").success());
}

#[test]
fn a_short_poll_is_answered_in_headers() {
    let server = shared_server();
    published(&server, "http_short", "one");
    let records = record("http_short", "0", "%02public");
    let old = polled(&server, &records, "Client-Version: 1.4.8\r\n");
    assert_eq!((old.status, old.text()), (200, ""));
    assert_eq!(old.header("probe-modify-response"), Some("http_short:G;"));
    let new = old.header("probe-modify-response-new");
    assert_eq!(new, Some("http_short%02G%02public%01"));
    let silent = polled(&server, &records, "Client-Version: 2.0.4\r\n");
    assert_eq!((silent.text(), silent.header("probe-modify-response")), ("", None));
}

/// Each wire's listeners hear of the other's changes.
#[test]
fn both_wires_see_one_config_centre() {
    let server = shared_server();
    let client = config_client(&server);
    let body = json!({"listen": true, "configListenContexts": [
        {"dataId": "http_both", "group": "G", "tenant": "", "md5": ""}]});
    call(&client, "ConfigBatchListenRequest", &body);
    published(&server, "http_both", "over HTTP");
    let kind = "ConfigChangeNotifyRequest";
    client.wait_push(WAIT, kind, |push| push.kind == kind).expect("a notification");
    let query = json!({"dataId": "http_both", "group": "G", "tenant": "public"});
    let found = call(&client, "ConfigQueryRequest", &query).json().expect("JSON");
    assert_eq!(found["content"], "over HTTP");

    let md5 = found["md5"].as_str().expect("md5");
    let mut held = send_poll(&server, &record("http_both", md5, "%02public"), LONG);
    until_metric(&server, LONG_POLLS, 1.0);
    let body = json!({"dataId": "http_both", "group": "G", "tenant": "", "content": "over gRPC"});
    call(&client, "ConfigPublishRequest", &body);
    assert_eq!(held.answer().expect("told").text(), "http_both%02G%02public%01\n");
    assert_eq!(content(&server, "http_both").as_deref(), Some("over gRPC"));
    let body = json!({"dataId": "http_both", "group": "G", "tenant": ""});
    call(&client, "ConfigRemoveRequest", &body);
    assert_eq!(content(&server, "http_both"), None);
}

#[test]
fn whoever_was_answered_reads_his_own_write_on_any_core() {
    let server = shared_server();
    let mut readers: Vec<Http> = (0..8).map(|_| Http::connect(&server)).collect();
    for round in 0..20 {
        let value = format!("round {round}");
        published(&server, "http_own", &value);
        for reader in &mut readers {
            assert_eq!(reader.ask("GET", &target("http_own", "")).text(), value);
        }
    }
}

#[test]
fn bad_input_is_refused_in_the_references_words() {
    let server = shared_server();
    let status = |method: &str, path: &str| ask(&server, method, path).status;
    let refused = |method: &str, path: &str, text: &str| {
        let answer = ask(&server, method, path);
        assert_eq!((answer.status, answer.text()), (400, text), "{method} {path}");
    };
    let dash = "illegal characters should not appear in the param.\r\n";
    refused("GET", &target("d%C3%A9j%C3%A0", ""), &format!("Param 'dataId' is illegal, {dash}"));
    refused("DELETE", &target("a%20b", ""), &format!("Param 'dataId' is illegal, {dash}"));
    let tenant = target("a", "&tenant=a.b&content=x");
    refused("POST", &tenant, &format!("Param 'namespaceId/tenant' is illegal, {dash}"));
    let long = target(&"x".repeat(257), "");
    refused("GET", &long, "Param 'dataId' is illegal, the param length should not exceed 256.\r\n");
    refused("GET", &target("%20", ""), "caused: invalid dataId :  ;");
    refused("POST", &target("a", "&content=%20%0A"), "caused: content is blank :  \n;");
    refused("GET", &target("a", "&tag=a%20b"), "caused: invalid tag : a b;");
    let tag = target("a", "&content=x&tag=12345678901234567");
    refused("POST", &tag, "caused: too long tag, over 16;");
    let tags = target("a", "&content=x&config_tags=1,2,3,4,5,6");
    refused("POST", &tags, "caused: too much config_tags, over 5;");
    // What the framework binds itself.
    for path in ["?group=G", "?dataId=a", "?dataId=a&group=G"] {
        let answer = ask(&server, "POST", &format!("{CONFIGS}{path}"));
        assert_eq!((answer.status, &answer.json()["status"]), (400, &json!(400)), "{path}");
    }
    let answer = ask(&server, "GET", &format!("{CONFIGS}?group=G")).json();
    let text =
        "Required request parameter 'dataId' for method parameter type String is not present";
    assert_eq!((&answer["message"], &answer["path"]), (&json!(text), &json!(CONFIGS)));
    // Escapes, encodings, NUL, methods, types.
    for path in ["a%", "a%zz", "a%ff", "a%00"] {
        assert_eq!(status("GET", &target(path, "")), 400, "{path}");
    }
    assert_eq!(status("PUT", CONFIGS), 405);
    let mut http = Http::connect(&server);
    let json = "content-type: application/json\r\n";
    let answer = http.ask_with("POST", CONFIGS, json, br#"{"dataId":"a","group":"G"}"#);
    assert_eq!(answer.status, 400, "JSON is no form");
    // Of duplicates the first counts.
    let twice = target("http_first", "&content=1&content=2&dataId=http_second");
    must(&server, "POST", &twice);
    assert_eq!(content(&server, "http_first").as_deref(), Some("1"));
    assert_eq!(content(&server, "http_second"), None);
    assert_eq!(content(&server, "a"), None, "nothing that was refused was made");
}

#[test]
fn bad_polls_are_refused() {
    let server = shared_server();
    for records in ["", "nonsense", "a%02G%01", "a%02G%02m%02t%02x%01", "%2525zz%01"] {
        let answer = polled(&server, records, LONG);
        assert_eq!((answer.status, answer.text()), (400, "caused: invalid probeModify;"));
    }
    let answer = polled(&server, &record("a%20b", "", ""), LONG);
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("Param 'dataId' is illegal"), "{}", answer.text());
    let answer = polled(&server, &record("a", "", ""), "Long-Pulling-Timeout: soon\r\n");
    assert_eq!((answer.status, answer.text()), (400, "caused: For input string: \"soon\";"));
    let many = record("a", "", "").repeat(10_001);
    assert_eq!(polled(&server, &many, LONG).status, 400, "10,000 and not one more");
    let full = record("a", "", "").repeat(9_999) + &record("http_many", "0", "");
    assert_eq!(polled(&server, &full, LONG).text(), "http_many%02G%01\n");
}

#[test]
fn ten_mib_are_taken_and_not_one_character_more() {
    let server = shared_server();
    const MAX: usize = 10 * 1024 * 1024;
    let mut http = Http::connect(&server);
    let mut body = format!("dataId=http_large&group=G&content={}", "x".repeat(MAX)).into_bytes();
    let answer = http.ask_with("POST", CONFIGS, FORM, &body);
    assert_eq!((answer.status, answer.text()), (200, "true"));
    let found = http.ask("GET", &target("http_large", ""));
    assert_eq!(found.body.len(), MAX);
    body.push(b'x');
    let answer = http.ask_with("POST", CONFIGS, FORM, &body);
    assert_eq!((answer.status, answer.text()), (400, "caused: invalid content, over 10485760;"));
    must(&server, "DELETE", &target("http_large", ""));
    // Announced longer than any content can be, it is not read.
    let head = format!("POST {CONFIGS} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n");
    let mut http = Http::connect(&server);
    http.send(head.as_bytes());
    assert_eq!(http.answer().expect("an answer").status, 413);
}
