//! Configs in files and copies (`http-api.md` 2.2, `config.md` 14, 19): export, import with its
//! three policies, clone.

use crate::http_client::{Answer, Http, ask, must};
use crate::server::Server;
use crate::support::*;
use serde_json::{Value, json};

const CONFIGS: &str = "/nacos/v1/cs/configs";
const ADMIN: &str = "/nacos/v3/admin/cs/config";

fn space(server: &Server, id: &str) {
    let path = format!("/nacos/v1/console/namespaces?customNamespaceId={id}&namespaceName={id}");
    assert_eq!(must(server, "POST", &path).text(), "true");
}

fn published(server: &Server, space: &str, data_id: &str, content: &str, more: &str) {
    let path =
        format!("{CONFIGS}?dataId={data_id}&group=G&tenant={space}&content={content}&{more}");
    assert_eq!(must(server, "POST", &path).text(), "true");
}

fn content(server: &Server, space: &str, data_id: &str) -> Option<String> {
    let path = format!("{CONFIGS}?dataId={data_id}&group=G&tenant={space}");
    let answer = ask(server, "GET", &path);
    (answer.status == 200).then(|| answer.text().to_owned())
}

fn detail(server: &Server, space: &str, data_id: &str) -> Value {
    let path = format!("{ADMIN}?dataId={data_id}&groupName=G&namespaceId={space}");
    must(server, "GET", &path).json()["data"].clone()
}

/// Uploads a file as browsers do.
fn import(server: &Server, path: &str, file: &[u8]) -> Answer {
    let mut body = b"--edge\r\nContent-Disposition: form-data; name=\"file\"; \
                     filename=\"configs.zip\"\r\nContent-Type: application/zip\r\n\r\n"
        .to_vec();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let lines = "content-type: multipart/form-data; boundary=edge\r\n";
    Http::connect(server).ask_with("POST", path, lines, &body)
}

fn report(answer: &Answer) -> (i64, Value) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    (json["code"].as_i64().expect("a code"), json["data"].clone())
}

fn named(data_id: &str) -> Value {
    json!({"dataId": data_id, "group": "G"})
}

#[test]
fn what_is_exported_is_imported_with_three_policies() {
    let server = shared_server();
    for id in ["files-from", "files-to"] {
        space(&server, id);
    }
    published(
        &server,
        "files-from",
        "a.yaml",
        "a%3A+1",
        "type=yaml&desc=it's+%22a%22&appName=shop",
    );
    published(&server, "files-from", "b", "%E4%BD%A0", "");
    published(&server, "files-from", "c", "c", "");
    let file = must(&server, "GET", &format!("{ADMIN}/export?namespaceId=files-from"));
    let name = file.header("content-disposition").expect("a name");
    assert!(name.starts_with("attachment;filename=nacos_config_export_20"), "{name}");
    assert!(name.ends_with(".zip") && file.body.starts_with(b"PK"), "{name}");

    let path = |policy: &str| format!("{ADMIN}/import?namespaceId=files-to&policy={policy}");
    let done = report(&import(&server, &path("ABORT"), &file.body));
    assert_eq!(done, (0, json!({"succCount": 3, "skipCount": 0})));
    assert_eq!(content(&server, "files-to", "b").as_deref(), Some("\u{4f60}"));
    let found = detail(&server, "files-to", "a.yaml");
    assert_eq!((&found["type"], &found["desc"]), (&json!("yaml"), &json!("it's \"a\"")));
    assert_eq!(found["appName"], "shop");

    // One of them is there, changed; the second of the file.
    for gone in ["a.yaml", "c"] {
        let path = format!("{CONFIGS}?dataId={gone}&group=G&tenant=files-to");
        must(&server, "DELETE", &path);
    }
    published(&server, "files-to", "b", "changed", "");
    let aborted = report(&import(&server, &path("ABORT"), &file.body));
    let expected = json!({"succCount": 1, "skipCount": 1, "failData": [named("b")],
                          "skipData": [named("c")]});
    assert_eq!(aborted, (0, expected));
    assert_eq!(content(&server, "files-to", "c"), None, "what was before is kept, no more");
    let skipped = report(&import(&server, &path("SKIP"), &file.body));
    let expected =
        json!({"succCount": 1, "skipCount": 2, "skipData": [named("a.yaml"), named("b")]});
    assert_eq!(skipped, (0, expected));
    assert_eq!(content(&server, "files-to", "b").as_deref(), Some("changed"));
    let all = report(&import(&server, &path("OVERWRITE"), &file.body));
    assert_eq!(all, (0, json!({"succCount": 3, "skipCount": 0})));
    assert_eq!(content(&server, "files-to", "b").as_deref(), Some("\u{4f60}"));
}

/// More than a file had to fit in before, of text that hardly deflates: it is sent as it is made,
/// and the server does not grow by it.
#[test]
fn a_long_file_is_sent_in_pieces_and_comes_back() {
    let server = Server::start();
    for id in ["files-long", "files-long-to"] {
        space(&server, id);
    }
    let mut state = 9_u64;
    let content: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    })
    .take(6_000)
    .collect();
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let mut http = Http::connect(&server);
    for number in 0..60 {
        let config = format!("dataId=long-{number}&group=G&tenant=files-long&content={content}");
        assert_eq!(http.ask_with("POST", CONFIGS, form, config.as_bytes()).status, 200);
    }
    let export = format!("{ADMIN}/export?namespaceId=files-long");
    let before = server.rss_bytes();
    let file = must(&server, "GET", &export);
    assert_eq!(file.header("transfer-encoding"), Some("chunked"));
    assert_eq!(file.header("content-length"), None);
    assert!(file.body.len() > 2_000_000, "{}", file.body.len());
    // What is beside a piece: buffers of the library, and pages the allocator keeps a moment.
    let grown = server.rss_bytes().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
    let path = format!("{ADMIN}/import?namespaceId=files-long-to&policy=ABORT");
    let done = report(&import(&server, &path, &file.body));
    assert_eq!(done, (0, json!({"succCount": 60, "skipCount": 0})));
    let last = self::content(&server, "files-long-to", "long-59");
    assert!(last.as_deref() == Some(&*content));
    // Who leaves in the middle takes nothing with him but his seat among the exports.
    for _ in 0..6 {
        let mut http = Http::connect(&server);
        http.begin("GET", &export, "", b"");
        drop(http);
    }
    until("a seat is free", || ask(&server, "GET", &export).status == 200);
}

/// Four who ask for a file and do not read it keep nobody waiting but whoever wants a fifth.
#[test]
fn slow_readers_of_exports_keep_no_search_waiting() {
    let server = Server::start_with(&["--cores", "0"]);
    space(&server, "files-slow");
    // More than a socket holds for who does not read, deflated to three quarters.
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 7_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(LETTERS[(state >> 58) as usize])
    };
    let content: String = (0..1_000_000).map(|_| letter()).collect();
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let mut http = Http::connect(&server);
    for number in 0..7 {
        let config = format!("dataId=slow-{number}&group=G&tenant=files-slow&content={content}");
        assert_eq!(http.ask_with("POST", CONFIGS, form, config.as_bytes()).status, 200);
    }
    let export = format!("{ADMIN}/export?namespaceId=files-slow");
    let mut readers: Vec<Http> = (0..4).map(|_| Http::connect(&server)).collect();
    readers.iter_mut().for_each(|reader| reader.begin("GET", &export, "", b""));
    until_metric(&server, "nacre_config_exports", 4.0);
    let refused = ask(&server, "GET", &export);
    let sentence = "Too many exports at once, please try again later.";
    assert_eq!((refused.status, &refused.json()["data"]), (503, &sentence.into()));
    until_metric(&server, r#"nacre_limit_reached_total{limit="exports"}"#, 1.0);
    // Contents are looked at beside the core, each with a seat of its own.
    for _ in 0..6 {
        let search = format!("{ADMIN}/list?pageNo=1&pageSize=9&search=blur&configDetail=nobody");
        assert_eq!(ask(&server, "GET", &search).status, 200);
    }
    assert_eq!(metric(&server, r#"nacre_limit_reached_total{limit="searches"}"#), 0.0);
    assert_eq!(metric(&server, "nacre_config_exports"), 4.0, "nobody has read on");
    let last = readers.pop().and_then(|mut reader| reader.answer()).expect("all of it, read now");
    assert!(last.status == 200 && last.body.len() > 5_000_000, "{}", last.body.len());
    drop(readers);
    until("all seats are free", || metric(&server, "nacre_config_exports") == 0.0);
}

#[test]
fn v1_and_the_console_have_files_of_their_own() {
    let server = shared_server();
    for id in ["files-v1", "files-v1-to"] {
        space(&server, id);
    }
    published(&server, "files-v1", "a.yaml", "a", "appName=shop&type=yaml&config_tags=x,y");
    published(&server, "files-v1", "b", "b", "");
    let v2 = must(&server, "GET", &format!("{CONFIGS}?exportV2=true&tenant=files-v1&dataId=a*"));
    let to = format!("{CONFIGS}?import=true&namespace=files-v1-to&policy=OVERWRITE");
    assert_eq!(
        report(&import(&server, &to, &v2.body)),
        (200, json!({"succCount": 1, "skipCount": 0}))
    );
    let found = detail(&server, "files-v1-to", "a.yaml");
    assert_eq!((&found["configTags"], &found["type"]), (&json!("x,y"), &json!("yaml")));
    let old = must(&server, "GET", &format!("{CONFIGS}?export=true&tenant=files-v1"));
    assert_eq!(
        report(&import(&server, &to, &old.body)),
        (200, json!({"succCount": 2, "skipCount": 0}))
    );
    assert_eq!(detail(&server, "files-v1-to", "a.yaml")["appName"], "shop");
    let ids = [detail(&server, "files-v1", "b")["id"].clone()];
    let ids = ids[0].as_str().expect("an id");
    let path = format!("/v3/console/cs/config/export2?namespaceId=files-v1&ids={ids}");
    let one = must(&server, "GET", &path);
    let to = "/v3/console/cs/config/import?namespaceId=files-v1-to&policy=SKIP";
    let expected = json!({"succCount": 0, "skipCount": 1, "skipData": [named("b")]});
    assert_eq!(report(&import(&server, to, &one.body)), (0, expected));
}

#[test]
fn bad_files_are_refused_with_their_codes() {
    let server = shared_server();
    let path = format!("{ADMIN}/import?namespaceId=public");
    let code = |path: &str, file: &[u8]| report(&import(&server, path, file)).0;
    assert_eq!(code(&path, b"nonsense"), 100_004);
    assert_eq!(code(&path, b""), 100_005);
    assert_eq!(code(&format!("{ADMIN}/import?namespaceId=nowhere"), b"x"), 22_001);
    assert_eq!(code(&format!("{CONFIGS}?import=true&namespace=nowhere"), b"x"), 100_001);
    published(&server, "", "files-old", "x", "appName=shop");
    let old = must(&server, "GET", &format!("{CONFIGS}?export=true&dataId=files-old"));
    assert_eq!(code(&path, &old.body), 100_002, "v3 takes the new form alone");
    let policy = import(&server, &format!("{path}&policy=ALL"), &old.body);
    assert_eq!((policy.status, &policy.json()["code"]), (400, &json!(20_002)));
    let lines = "content-type: multipart/form-data; boundary=edge\r\n";
    let answer = Http::connect(&server).ask_with("POST", &path, lines, b"--edge");
    assert_eq!(answer.status, 400);
    must(&server, "DELETE", &format!("{CONFIGS}?dataId=files-old&group=G"));
}

#[test]
fn configs_are_cloned() {
    let server = shared_server();
    for id in ["clone-from", "clone-to"] {
        space(&server, id);
    }
    published(&server, "clone-from", "a", "one", "type=json&desc=about");
    published(&server, "clone-from", "b", "two", "");
    let id = |data_id: &str| {
        let detail = detail(&server, "clone-from", data_id);
        detail["id"].as_str().expect("an id").to_owned()
    };
    let post = |path: &str, body: &Value| {
        let lines = "content-type: application/json\r\n";
        Http::connect(&server).ask_with("POST", path, lines, body.to_string().as_bytes())
    };
    let v1 = format!("{CONFIGS}?clone=true&tenant=clone-to&policy=ABORT");
    let body = json!([{"cfgId": id("a"), "dataId": "", "group": ""},
                      {"cfgId": id("b"), "dataId": "b2", "group": "G"}]);
    assert_eq!(report(&post(&v1, &body)), (200, json!({"succCount": 2, "skipCount": 0})));
    assert_eq!(content(&server, "clone-to", "b2").as_deref(), Some("two"));
    let found = detail(&server, "clone-to", "a");
    assert_eq!((&found["type"], &found["desc"]), (&json!("json"), &json!("about")));
    let admin = format!("{ADMIN}/clone?namespaceId=clone-to&policy=SKIP");
    let body = json!([{"configId": id("a"), "targetDataId": "a", "targetGroupName": "G"}]);
    let expected = json!({"succCount": 0, "skipCount": 1, "skipData": [named("a")]});
    assert_eq!(report(&post(&admin, &body)), (0, expected));
    let console = "/v3/console/cs/config/clone?targetNamespaceId=clone-to&policy=OVERWRITE";
    let body = json!([{"cfgId": id("b"), "dataId": "a", "group": null}]);
    assert_eq!(report(&post(console, &body)), (0, json!({"succCount": 1, "skipCount": 0})));
    assert_eq!(content(&server, "clone-to", "a").as_deref(), Some("two"));
    assert_eq!(report(&post(&admin, &json!([]))).0, 100_006);
    assert_eq!(report(&post(&admin, &json!([{"configId": 999_999_999}]))).0, 100_005);
    let nowhere = format!("{ADMIN}/clone?namespaceId=nowhere");
    assert_eq!(report(&post(&nowhere, &body)).0, 22_001);
    assert_eq!(post(&admin, &json!({"not": "a list"})).status, 400);
}
