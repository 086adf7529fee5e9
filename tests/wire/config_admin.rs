//! What operators and tools ask of the config centre over HTTP (`http-api.md` 2, 4, 5, 7;
//! `config.md` 11, 12, 15, 19): lists, details, betas, history, listeners, quotas, namespaces.

use crate::http_client::{Answer, Http, ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{AckMode, Client, Profile};
use serde_json::{Value, json};

const CONFIGS: &str = "/nacos/v1/cs/configs";
const ADMIN: &str = "/nacos/v3/admin/cs";

/// Publishes in a namespace of the test's own; `more` are further parameters.
fn published(server: &Server, space: &str, data_id: &str, content: &str, more: &str) {
    let path =
        format!("{CONFIGS}?dataId={data_id}&group=G&tenant={space}&content={content}&{more}");
    assert_eq!(must(server, "POST", &path).text(), "true");
}

fn get(server: &Server, path: &str) -> Value {
    must(server, "GET", path).json()
}

fn data(server: &Server, path: &str) -> Value {
    let answer = get(server, path);
    assert_eq!(answer["code"], 0, "{path}: {answer}");
    answer["data"].clone()
}

fn refused(answer: &Answer) -> (u16, i64) {
    (answer.status, answer.json()["code"].as_i64().expect("a code"))
}

/// dataIds of a page.
fn names(page: &Value) -> Vec<&str> {
    let items = page["pageItems"].as_array().expect("items");
    items.iter().map(|item| item["dataId"].as_str().expect("a dataId")).collect()
}

/// Each config client of an address is asked, and what they say is one map; who says nothing is
/// left out after the reference's second.
#[test]
fn clients_are_asked_for_their_metrics() {
    const ASKED: &str = "ClientConfigMetricRequest";
    let server = shared_server();
    let profile = |module| Profile { client_ip: "203.0.113.7".into(), ..Profile::module(module) };
    let [one, other, naming] =
        ["config", "config", "naming"].map(|module| client_as(&server, profile(module)));
    for client in [&one, &other, &naming] {
        client.set_ack_mode(AckMode::Manual);
    }
    let told = |client: &Client, metrics: Value| {
        let push = client.wait_push(WAIT, ASKED, |push| push.kind == ASKED).expect("asked");
        let asked: Value = serde_json::from_slice(&push.body).expect("pushes are JSON");
        let answer = json!({
            "resultCode": 200, "errorCode": 0, "success": true,
            "requestId": asked["requestId"], "metrics": metrics,
        });
        let body = answer.to_string();
        client.send_on_stream("ClientConfigMetricResponse", body.as_bytes()).expect("sent");
        asked["metricsKeys"].clone()
    };
    let path = "metrics/ip?ip=203.0.113.7&dataId=d&groupName=G&namespaceId=n";
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| data(&server, &format!("{ADMIN}/{path}")));
        let keys = told(&one, json!({"listenConfigSize": 3, "snapshotDir": "/x"}));
        let key = |kind: &str| json!({"type": kind, "key": "d+G+n"});
        assert_eq!(keys, json!([key("cacheData"), key("snapshotData")]));
        assert_eq!(told(&other, json!({"clientVersion": "v"})), keys);
        let merged = json!({"listenConfigSize": 3, "snapshotDir": "/x", "clientVersion": "v"});
        assert_eq!(answer.join().expect("answered"), merged);
    });
    // Before v3 without an envelope; one of the two says nothing.
    std::thread::scope(|scope| {
        let path = "/nacos/v1/cs/metrics/current?ip=203.0.113.7";
        let answer = scope.spawn(|| get(&server, path));
        assert_eq!(told(&one, json!({"listenConfigSize": 4})), json!([]));
        assert_eq!(answer.join().expect("answered"), json!({"listenConfigSize": 4}));
    });
    assert!(naming.drain_pushes().is_empty(), "it has no such metrics");
    assert_eq!(data(&server, &format!("{ADMIN}/metrics/cluster?ip=203.0.113.8")), json!({}));
    assert_eq!(refused(&ask(&server, "GET", &format!("{ADMIN}/metrics/ip"))).0, 400);
}

/// As Python's `get_configs` and the Go SDK's `SearchConfig` ask.
#[test]
fn lists_are_searched_and_paged() {
    let server = shared_server();
    for number in 0..5 {
        let more = format!("type=yaml&config_tags=red,t{number}&appName=shop");
        published(&server, "lists", &format!("app-{number}"), &format!("c{number}"), &more);
    }
    published(&server, "lists", "other", "find+me", "");
    let v1 = |query: &str| get(&server, &format!("{CONFIGS}?tenant=lists&{query}"));
    let page = v1("search=blur&dataId=app-*&group=&pageNo=2&pageSize=2");
    assert_eq!(names(&page), ["app-2", "app-3"]);
    let counts = ["totalCount", "pageNumber", "pagesAvailable"].map(|key| page[key].clone());
    assert_eq!(counts, [json!(5), json!(2), json!(3)]);
    let item = &page["pageItems"][0];
    assert_eq!((&item["content"], &item["tenant"]), (&json!("c2"), &json!("lists")));
    assert_eq!((&item["type"], &item["group"]), (&json!("yaml"), &json!("G")));
    assert!(item["id"].is_string());
    let paging = "pageNo=1&pageSize=10";
    let exact = v1(&format!("search=accurate&dataId=app-*&group=G&{paging}"));
    assert_eq!(names(&exact), [""; 0]);
    let exact = v1(&format!("search=accurate&dataId=&group=&appName=shop&{paging}"));
    assert_eq!(names(&exact).len(), 5);
    let tagged = v1(&format!("search=blur&dataId=&group=&config_tags=t1,t*4&{paging}"));
    assert_eq!(names(&tagged), ["app-1", "app-4"]);
    let v3 = |query: &str| {
        let path = format!("{ADMIN}/config/list?namespaceId=lists&{query}");
        data(&server, &path)
    };
    let page = v3("dataId=app-1&group=G&groupName=G&search=accurate&pageNo=1&pageSize=10");
    let item = &page["pageItems"][0];
    assert_eq!((&item["groupName"], &item["namespaceId"]), (&json!("G"), &json!("lists")));
    assert_eq!(
        (item.get("content"), &item["md5"]),
        (None, &json!("a9f7e97965d6cf799a529102a973b8b9"))
    );
    assert_eq!(names(&v3("configDetail=find")), ["other"]);
    assert_eq!(names(&v3("type=text")), ["other"]);
    let path =
        "/nacos/v2/cs/config/searchDetail?tenant=lists&dataId=other&group=G&config_detail=me";
    let bare = get(&server, &format!("{path}&{paging}"));
    assert_eq!(names(&bare), ["other"]);
    for (query, status) in [
        ("search=blur&dataId=&group=&pageNo=0&pageSize=1", 400),
        ("search=blur&dataId=&group=&pageNo=1&pageSize=x", 400),
        ("search=blur&dataId=&group=&pageNo=1", 400),
        ("search=blur&group=&pageNo=1&pageSize=1", 400),
    ] {
        assert_eq!(ask(&server, "GET", &format!("{CONFIGS}?{query}")).status, status, "{query}");
    }
}

#[test]
fn details_and_removal_by_id() {
    let server = shared_server();
    let more = "type=json&desc=about&use=u&effect=e&schema=s&config_tags=a,b&src_user=me";
    published(&server, "details", "d1", "%7B%7D", more);
    published(&server, "details", "d2", "two", "");
    let path = format!("{CONFIGS}?show=all&dataId=d1&group=G&tenant=details");
    let all = get(&server, &path);
    for (key, value) in [
        ("content", "{}"),
        ("desc", "about"),
        ("use", "u"),
        ("effect", "e"),
        ("schema", "s"),
        ("configTags", "a,b"),
        ("createUser", "me"),
        ("createIp", "127.0.0.1"),
        ("type", "json"),
    ] {
        assert_eq!(all[key], value, "{key}");
    }
    let absent = format!("{CONFIGS}?show=all&dataId=none&group=G&tenant=details");
    assert_eq!(must(&server, "GET", &absent).text(), "");
    let path = format!("{CONFIGS}/catalog?dataId=d1&group=G&tenant=details");
    assert_eq!(get(&server, &path)["data"]["desc"], "about");
    for (prefix, batch) in [(ADMIN, "batch"), ("/v3/console/cs", "batchDelete")] {
        let path = format!("{prefix}/config?dataId=d1&groupName=G&namespaceId=details");
        published(&server, "details", "d1", "%7B%7D", more);
        let detail = data(&server, &path);
        let shown = ["content", "desc", "createUser", "type"].map(|key| detail[key].clone());
        assert_eq!(shown, [json!("{}"), json!("about"), json!("me"), json!("json")]);
        let id = detail["id"].as_str().expect("an id").to_owned();
        let removed =
            must(&server, "DELETE", &format!("{prefix}/config/{batch}?ids={id},999999999"));
        assert_eq!(removed.json()["data"], true);
        assert_eq!(refused(&ask(&server, "GET", &path)), (404, 20_004));
    }
    let page = format!("{ADMIN}/config/list?namespaceId=details");
    let id = data(&server, &page)["pageItems"][0]["id"].as_str().expect("an id").to_owned();
    let removed = must(&server, "DELETE", &format!("{CONFIGS}?delType=ids&ids={id}"));
    assert_eq!((&removed.json()["code"], &removed.json()["data"]), (&json!(200), &json!(true)));
    assert_eq!(data(&server, &page)["totalCount"], 0);
    let wrong = format!("{ADMIN}/config/batch?ids=1,x");
    assert_eq!(refused(&ask(&server, "DELETE", &wrong)), (400, 20_002));
    let published = format!("{ADMIN}/config?dataId=d3&groupName=G&namespaceId=details&content=x");
    assert_eq!(must(&server, "POST", &published).json()["data"], true);
    assert_eq!(must(&server, "DELETE", &published).json()["data"], true);
    let group = format!("{ADMIN}/config?dataId=d3&content=x");
    assert_eq!(refused(&ask(&server, "POST", &group)), (400, 10_000));
}

#[test]
fn betas_are_shown_and_stopped() {
    let server = shared_server();
    published(&server, "betas", "b", "for+all", "");
    let name = "dataId=b&group=G&groupName=G&tenant=betas&namespaceId=betas";
    let beta = format!("{CONFIGS}?{name}&content=for+you");
    let none = get(&server, &format!("{CONFIGS}?beta=true&{name}"));
    assert_eq!((&none["message"], &none["data"]), (&json!("query beta ok"), &Value::Null));
    assert_eq!(
        refused(&ask(&server, "GET", &format!("{ADMIN}/config/beta?{name}"))),
        (404, 20_004)
    );
    for _ in 0..2 {
        let made = Http::connect(&server).ask_with("POST", &beta, "betaIps: 10.0.0.1\r\n", b"");
        assert_eq!(made.text(), "true");
        let shown = get(&server, &format!("{CONFIGS}?beta=true&{name}"))["data"].clone();
        assert_eq!((&shown["betaIps"], &shown["content"]), (&json!("10.0.0.1"), &json!("for you")));
        let shown = data(&server, &format!("{ADMIN}/config/beta?{name}"));
        assert_eq!(shown["grayName"], "beta");
        let rule: Value = serde_json::from_str(shown["grayRule"].as_str().expect("text")).unwrap();
        let expected = json!({"type": "beta", "version": "1.0.0", "expr": "10.0.0.1",
                              "priority": 2_147_483_647});
        assert_eq!(rule, expected);
        let stopped = must(&server, "DELETE", &format!("{CONFIGS}?beta=true&{name}")).json();
        assert_eq!((&stopped["message"], &stopped["data"]), (&json!("stop beta ok"), &json!(true)));
        let stopped = must(&server, "DELETE", &format!("{ADMIN}/config/beta?{name}")).json();
        assert_eq!(stopped["data"], true, "also when there is none");
    }
    // The listed address alone sees it: our client on the other wire says what it is.
    let made = Http::connect(&server).ask_with("POST", &beta, "betaIps: 10.0.0.1\r\n", b"");
    assert_eq!(made.text(), "true");
    for (ip, content) in [("10.0.0.1", "for you"), ("10.0.0.2", "for all")] {
        let profile = Profile { client_ip: ip.to_owned(), ..Profile::module("config") };
        let body = json!({"dataId": "b", "group": "G", "tenant": "betas"});
        let client = client_as(&server, profile);
        let found = call(&client, "ConfigQueryRequest", &body).json().expect("JSON");
        assert_eq!(found["content"], content);
    }
}

#[test]
fn history_keeps_what_was() {
    let server = shared_server();
    let space = "past";
    published(&server, space, "h", "one", "type=yaml&src_user=me");
    published(&server, space, "h", "two", "desc=second");
    let id = data(&server, &format!("{ADMIN}/config?dataId=h&groupName=G&namespaceId={space}"));
    let id = id["id"].as_str().expect("an id").to_owned();
    must(&server, "DELETE", &format!("{CONFIGS}?dataId=h&group=G&tenant={space}"));
    published(&server, space, "other", "x", "");
    let name = format!("dataId=h&group=G&groupName=G&tenant={space}&namespaceId={space}");
    let v1 = "/nacos/v1/cs/history";
    let page = get(&server, &format!("{v1}?search=accurate&{name}"));
    let ops: Vec<&str> = page["pageItems"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["opType"].as_str().expect("text"))
        .collect();
    assert_eq!(ops, ["D         ", "U         ", "I         "]);
    assert_eq!((&page["totalCount"], &page["pageItems"][0]["content"]), (&json!(3), &Value::Null));
    let row = |at: usize| {
        let nid = page["pageItems"][at]["id"].as_str().expect("an id");
        get(&server, &format!("{v1}?nid={nid}&{name}"))
    };
    let (removed, updated, inserted) = (row(0), row(1), row(2));
    let contents = [&removed, &updated, &inserted].map(|row| row["content"].clone());
    assert_eq!(contents, [json!("two"), json!("one"), json!("one")], "the old ones, the new one");
    assert_eq!((&inserted["srcUser"], &inserted["srcIp"]), (&json!("me"), &json!("127.0.0.1")));
    assert_eq!((&inserted["publishType"], &inserted["tenant"]), (&json!("formal"), &json!(space)));
    assert!(inserted["createdTime"].as_str().is_some_and(|time| time.ends_with("+00:00")));
    let extra: Value = serde_json::from_str(updated["extInfo"].as_str().expect("text")).unwrap();
    assert_eq!((&extra["type"], extra.get("c_desc")), (&json!("yaml"), None));

    for api in ["/nacos/v2/cs/history", "/nacos/v3/admin/cs/history", "/v3/console/cs/history"] {
        let rows = data(&server, &format!("{api}/list?{name}&pageNo=2&pageSize=2"));
        assert_eq!((&rows["totalCount"], &rows["pagesAvailable"]), (&json!(3), &json!(2)));
        let nid = rows["pageItems"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(data(&server, &format!("{api}?nid={nid}&{name}"))["content"], "one");
        let before = data(&server, &format!("{api}/previous?id={id}&{name}"));
        assert_eq!(before["content"], "two", "the newest row of that config's id");
        let gone = ask(&server, "GET", &format!("{api}?nid=999999999&{name}"));
        assert_eq!(refused(&gone), (404, 20_004));
        let others =
            format!("{api}?nid={nid}&dataId=other&group=G&groupName=G&namespaceId={space}");
        assert_eq!(refused(&ask(&server, "GET", &others)), (404, 20_004), "another config's");
        let configs = data(&server, &format!("{api}/configs?namespaceId={space}"));
        assert_eq!(
            (configs[0]["dataId"].as_str(), configs.as_array().map(Vec::len)),
            (Some("other"), Some(1))
        );
    }
    let strange = ask(&server, "GET", &format!("{v1}?nid=999999999&{name}"));
    assert_eq!(strange.status, 403);
    assert_eq!(ask(&server, "GET", &format!("{v1}?nid=x&{name}")).status, 400);
    let configs = get(&server, &format!("{v1}/configs?tenant={space}"));
    assert_eq!((&configs[0]["dataId"], &configs[0]["content"]), (&json!("other"), &Value::Null));
    // A gray variant has its own rows, with its rule.
    published(&server, space, "other", "tagged", "tag=t1");
    let other = format!("dataId=other&groupName=G&namespaceId={space}");
    let rows = data(&server, &format!("{ADMIN}/history/list?{other}"));
    assert_eq!(rows["pageItems"][0]["publishType"], "gray");
    let nid = rows["pageItems"][0]["id"].as_str().expect("an id").to_owned();
    let row = data(&server, &format!("{ADMIN}/history?nid={nid}&{other}"));
    assert_eq!(row["grayName"], "tag_t1");
    assert!(row["extInfo"].as_str().is_some_and(|text| text.contains("gray_rule")), "{row}");
}

/// Rows that are in the checkpoint, and rows that still wait for one.
#[test]
fn history_outlives_a_restart() {
    let mut server = Server::start();
    published(&server, "", "h", "one", "");
    published(&server, "", "h", "tagged", "tag=t1");
    published(&server, "", "h", "two", "");
    assert!(server.terminate().success());
    server.start_again();
    published(&server, "", "h", "three", "");
    let path = format!("{ADMIN}/history/list?dataId=h&groupName=G");
    let rows = data(&server, &path);
    let rows: Vec<String> = rows["pageItems"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect();
    let content = |nid: &String| {
        let path = format!("{ADMIN}/history?dataId=h&groupName=G&nid={nid}");
        data(&server, &path)["content"].as_str().expect("content").to_owned()
    };
    let contents: Vec<_> = rows.iter().map(content).collect();
    assert_eq!(
        contents,
        ["two", "one", "tagged", "one"],
        "an insert's is what came next, or is now"
    );
}

#[test]
fn listeners_of_both_wires_are_shown() {
    let server = shared_server();
    let profile = Profile { client_ip: "192.0.2.99".to_owned(), ..Profile::module("config") };
    let client = client_as(&server, profile);
    let md5 = "0cc175b9c0f1b6a831c399e269772661";
    published(&server, "", "who-listens", "a", "");
    let body = json!({"listen": true, "configListenContexts": [
        {"dataId": "who-listens", "group": "G", "tenant": "", "md5": md5}]});
    call(&client, "ConfigBatchListenRequest", &body);
    let mut held = Http::connect(&server);
    let poll = format!("Listening-Configs=who-listens%02G%02{md5}%01");
    let head = format!(
        "POST {CONFIGS}/listener HTTP/1.1\r\nhost: x\r\nLong-Pulling-Timeout: 30000\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{poll}",
        poll.len()
    );
    held.send(head.as_bytes());
    let path = format!("{CONFIGS}/listener?dataId=who-listens&group=G");
    let expected = json!({"192.0.2.99": md5, "127.0.0.1": md5});
    until("both are shown", || get(&server, &path)["lisentersGroupkeyStatus"] == expected);
    assert_eq!(get(&server, &path)["collectStatus"], 200);
    for api in [&format!("{ADMIN}/config/listener"), "/v3/console/cs/config/listener"] {
        let shown = data(&server, &format!("{api}?dataId=who-listens&groupName=G"));
        assert_eq!((&shown["queryType"], &shown["listenersStatus"]), (&json!("config"), &expected));
    }
    let path = "/nacos/v1/cs/listener?ip=192.0.2.99";
    assert_eq!(get(&server, path)["lisentersGroupkeyStatus"], json!({"who-listens+G": md5}));
    for api in [&format!("{ADMIN}/listener"), "/v3/console/cs/config/listener/ip"] {
        let shown = data(&server, &format!("{api}?ip=192.0.2.99"));
        let expected = json!({"who-listens+G+public": md5});
        assert_eq!((&shown["queryType"], &shown["listenersStatus"]), (&json!("ip"), &expected));
        let other = data(&server, &format!("{api}?ip=192.0.2.99&namespaceId=elsewhere"));
        assert_eq!(other["listenersStatus"], json!({}));
    }
    must(&server, "DELETE", &format!("{CONFIGS}?dataId=who-listens&group=G"));
    assert_eq!(held.answer().expect("told").text(), "who-listens%02G%01\n");
}

#[test]
fn quotas_are_set_and_shown() {
    let server = shared_server();
    published(&server, "quota", "q", "x", "");
    let path = "/nacos/v1/cs/capacity?tenant=quota";
    let shown = get(&server, path)["data"].clone();
    let numbers = ["quota", "usage", "maxSize", "maxAggrCount", "maxAggrSize"];
    let of = |shown: &Value| numbers.map(|name| shown[name].as_i64().expect("a number"));
    assert_eq!(of(&shown), [200, 1, 102_400, 10_000, 1_024]);
    assert_eq!(shown["namespaceId"], "quota");
    let set = must(&server, "POST", &format!("{path}&quota=7"));
    assert_eq!(set.json()["data"], true);
    let admin = format!("{ADMIN}/capacity?namespaceId=quota");
    assert_eq!(must(&server, "POST", &format!("{admin}&maxSize=9")).json()["data"], true);
    assert_eq!(of(&data(&server, &admin)), [7, 1, 9, 10_000, 1_024]);
    let bare = format!("{ADMIN}/capacity");
    assert_eq!(refused(&ask(&server, "GET", &bare)), (400, 10_000));
    assert_eq!(refused(&ask(&server, "POST", &admin)), (400, 10_000));
    assert_eq!(refused(&ask(&server, "POST", &format!("{admin}&quota=-1"))), (400, 20_002));
    assert_eq!(ask(&server, "GET", "/nacos/v1/cs/capacity").status, 400);
    assert_eq!(get(&server, "/nacos/v1/cs/capacity?group=G")["data"]["groupName"], "G");
}

#[test]
fn a_quota_in_force_is_a_code_of_its_own() {
    let limits = ["-D", "isCapacityLimitCheck=true", "-D", "defaultMaxSize=10"];
    let server = Server::start_with(&limits);
    let path = format!("{ADMIN}/config?dataId=d&groupName=G&content=");
    assert_eq!(must(&server, "POST", &format!("{path}1234567890")).json()["data"], true);
    let over = ask(&server, "POST", &format!("{path}12345678901"));
    assert_eq!(refused(&over), (500, 5_034));
    let v1 = ask(&server, "POST", &format!("{CONFIGS}?dataId=d&group=G&content=12345678901"));
    assert_eq!((v1.status, v1.text()), (500, "false"));
}

#[test]
fn namespaces_live_in_three_versions() {
    let server = shared_server();
    let v1 = "/nacos/v1/console/namespaces";
    let made = format!("{v1}?customNamespaceId=space1&namespaceName=Space&namespaceDesc=d");
    assert_eq!(must(&server, "POST", &made).text(), "true");
    assert_eq!(must(&server, "POST", &made).text(), "false", "it is there");
    assert_eq!(
        must(&server, "POST", &format!("{v1}?customNamespaceId=a.b&namespaceName=n")).text(),
        "false"
    );
    published(&server, "space1", "d", "x", "");
    let expected = json!({"namespace": "space1", "namespaceShowName": "Space", "namespaceDesc": "d",
                          "quota": 200, "configCount": 1, "type": 1});
    assert_eq!(get(&server, &format!("{v1}?show=all&namespaceId=space1")), expected);
    let all = get(&server, v1);
    assert_eq!((&all["code"], &all["data"][0]["namespace"]), (&json!(200), &json!("public")));
    assert!(all["data"].as_array().expect("a list").contains(&expected));
    let exists = |id: &str| {
        let path = format!("{v1}?checkNamespaceIdExist=true&customNamespaceId={id}");
        must(&server, "GET", &path).text().to_owned()
    };
    assert_eq!([exists("space1"), exists("none"), exists("")], ["true", "false", "false"]);
    let renamed = format!("{v1}?namespace=space1&namespaceShowName=New&namespaceDesc=");
    assert_eq!(must(&server, "PUT", &renamed).text(), "true");
    let v2 = "/nacos/v2/console/namespace";
    assert_eq!(data(&server, &format!("{v2}?namespaceId=space1"))["namespaceShowName"], "New");
    assert_eq!(must(&server, "DELETE", &format!("{v1}?namespaceId=space1")).text(), "true");
    assert_eq!(refused(&ask(&server, "GET", &format!("{v2}?namespaceId=space1"))), (404, 22_001));
    let kept = must(&server, "GET", &format!("{CONFIGS}?dataId=d&group=G&tenant=space1"));
    assert_eq!(kept.text(), "x", "its configs stay");

    for (api, key) in [
        (v2, "namespaceId"),
        ("/nacos/v3/admin/core/namespace", "namespaceId"),
        ("/v3/console/core/namespace", "customNamespaceId"),
    ] {
        let of = |id: &str| format!("{api}?{key}={id}&namespaceId={id}&namespaceName=N");
        assert_eq!(must(&server, "POST", &of("space2")).json()["data"], true, "{api}");
        assert_eq!(refused(&ask(&server, "POST", &of("space2"))), (400, 22_002));
        assert_eq!(refused(&ask(&server, "POST", &of("a%20b"))), (400, 22_000));
        assert_eq!(must(&server, "PUT", &of("space2")).json()["data"], true);
        assert_eq!(refused(&ask(&server, "PUT", &of("space3"))), (404, 22_001));
        let list = data(&server, &format!("{api}/list"));
        assert!(list.as_array().expect("a list").iter().any(|one| one["namespace"] == "space2"));
        assert_eq!(
            must(&server, "DELETE", &format!("{api}?namespaceId=space2")).json()["data"],
            true
        );
        assert_eq!(refused(&ask(&server, "POST", &format!("{api}?{key}=x"))), (400, 10_000));
    }
    // Without an id one is made.
    let before = data(&server, &format!("{v2}/list")).as_array().map(Vec::len);
    assert_eq!(
        must(&server, "POST", &format!("{v1}?customNamespaceId=&namespaceName=made")).text(),
        "true"
    );
    let list = data(&server, &format!("{v2}/list"));
    assert_eq!(list.as_array().map(Vec::len), before.map(|count| count + 1));
    let check = "/nacos/v3/admin/core/namespace/check?namespaceId=";
    assert_eq!(data(&server, &format!("{check}public")), 1);
    assert_eq!(data(&server, &format!("{check}none")), 0);
    let exist = "/v3/console/core/namespace/exist?customNamespaceId=";
    assert_eq!(data(&server, &format!("{exist}public")), true);
    assert_eq!(data(&server, exist), false);
}

/// A server of its own: the switches are everybody's.
#[test]
fn switches_published_over_either_wire_hold_for_polls() {
    let server = Server::start();
    let client = client_as(&server, Profile::module("config"));
    let body = json!({"dataId": "com.alibaba.nacos.meta.switch", "group": "DEFAULT_GROUP",
                      "tenant": "", "content": "MIN_LONG_POOLING_TIMEOUT=100\nfixedDelayTime=0"});
    assert_eq!(
        call(&client, "ConfigPublishRequest", &body).json().expect("JSON")["resultCode"],
        200
    );
    let poll = "Listening-Configs=quiet%02G%02%01";
    let lines = "Long-Pulling-Timeout: 1\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    let began = std::time::Instant::now();
    let path = format!("{CONFIGS}/listener");
    let answer = Http::connect(&server).ask_with("POST", &path, lines, poll.as_bytes());
    assert_eq!((answer.status, answer.text()), (200, ""));
    // Without the switch it is held for ten seconds.
    assert!(began.elapsed() < std::time::Duration::from_secs(9), "{:?}", began.elapsed());
    let path = "/nacos/v1/cs/configs?dataId=com.alibaba.nacos.meta.switch&group=DEFAULT_GROUP";
    assert_eq!(must(&server, "DELETE", path).text(), "true");
}

/// Where v1's variants and v2 are switched off, what 1.x SDKs live on goes on.
#[test]
fn the_switches_of_compatibility_part_clients_from_tools() {
    let off =
        ["admin", "console"].map(|of| format!("nacos.core.api.compatibility.{of}.enabled=false"));
    let server = Server::start_with(&["-D", &off[0], "-D", &off[1]]);
    published(&server, "", "d", "x", "");
    let get =
        |query: &str| ask(&server, "GET", &format!("{CONFIGS}?dataId=d&group=G{query}")).status;
    assert_eq!(get(""), 200);
    for query in ["&show=all", "&beta=true", "&search=accurate&pageNo=1&pageSize=1"] {
        assert_eq!(get(query), 410, "{query}");
    }
    let delete = |query: &str| ask(&server, "DELETE", &format!("{CONFIGS}?{query}")).status;
    assert_eq!(delete("delType=ids&ids=1"), 410);
    assert_eq!(delete("beta=true&dataId=d&group=G"), 410);
    for path in ["/nacos/v2/cs/config?dataId=d&group=G", "/nacos/v1/cs/capacity?group=G"] {
        assert_eq!(ask(&server, "GET", path).status, 410, "{path}");
    }
    let client = must(&server, "GET", "/nacos/v3/client/cs/config?dataId=d&groupName=G");
    assert_eq!(client.json()["data"]["content"], "x");
}
