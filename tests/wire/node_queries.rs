//! What operators ask of a node and have it do: members, connections, levels of the log, Raft
//! commands, what only the reference's store has (`http-api.md` 2.4, 4.2, 4.3, 5, 7, 8).

use crate::http_client::{Answer, Http, ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile, instance};
use serde_json::{Value, json};

fn data(server: &Server, path: &str) -> Value {
    let mut answer = must(server, "GET", path).json();
    assert_eq!(answer["code"], 0, "{path}: {answer}");
    answer["data"].take()
}

/// A call with a JSON body.
fn send(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let lines = "content-type: application/json\r\n";
    Http::connect(server).ask_with(method, path, lines, body.to_string().as_bytes())
}

#[test]
fn a_node_alone_is_its_cluster() {
    let server = shared_server();
    let own = data(&server, "/nacos/v3/admin/core/cluster/node/self");
    assert_eq!((&own["address"], &own["state"]), (&json!(server.address()), &json!("UP")));
    assert_eq!((&own["ip"], &own["port"]), (&json!("127.0.0.1"), &json!(server.http_port())));
    let groups = &own["extendInfo"]["raftMetaData"]["metaDataMap"];
    let raft = format!("127.0.0.1:{}", server.http_port() - 1_000);
    assert_eq!(groups["naming_service_metadata"]["leader"], json!(raft));
    for path in [
        "/nacos/v2/core/cluster/node/list",
        "/nacos/v3/admin/core/cluster/node/list?address=127.0.0.1&state=up",
        "/v3/console/core/cluster/nodes?keyword=127.",
    ] {
        assert_eq!(data(&server, path), json!([own]), "{path}");
    }
    for path in ["?address=10.", "?state=DOWN"] {
        let path = format!("/nacos/v3/admin/core/cluster/node/list{path}");
        assert_eq!(data(&server, &path), json!([]));
    }
    let wrong = ask(&server, "GET", "/nacos/v3/admin/core/cluster/node/list?state=fine");
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!(23_000)));
    let v1 = |path: &str| must(&server, "GET", &format!("/nacos/v1/core/cluster/{path}")).json();
    let told = |data: Value| json!({"code": 200, "message": null, "data": data});
    assert_eq!(v1("self"), told(own.clone()));
    assert_eq!(v1("nodes?keyword=127"), told(json!([own])));
    assert_eq!(v1("simple/nodes"), told(json!([server.address()])));
    assert_eq!(v1("health"), told(json!("UP")));
    assert_eq!(data(&server, "/nacos/v2/core/cluster/node/self/health"), json!("UP"));
    let leave = must(&server, "POST", "/nacos/v1/core/cluster/server/leave").json();
    assert_eq!(
        (&leave["code"], &leave["message"]),
        (&json!(405), &json!("not allow to use temporarily"))
    );
    let leave = must(&server, "DELETE", "/nacos/v2/core/cluster/nodes?addresses=a").json();
    assert_eq!(leave["code"], 405);
    assert_eq!(ask(&server, "POST", "/nacos/v1/core/cluster/report").status, 410);
    for api in ["/nacos/v2/core", "/nacos/v3/admin/core"] {
        let told = send(&server, "PUT", &format!("{api}/cluster/node/list"), &json!([own]));
        assert_eq!((told.status, &told.json()["data"]), (200, &json!(true)));
        for body in [json!([]), json!({}), json!("x")] {
            let refused = send(&server, "PUT", &format!("{api}/cluster/node/list"), &body);
            assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(10_000)), "{body}");
        }
        for (kind, status) in [("?type=file", 501), ("?type=x", 400), ("", 400)] {
            let path = format!("{api}/cluster/lookup{kind}");
            assert_eq!(ask(&server, "PUT", &path).status, status, "{path}");
        }
    }
    let lookup = must(&server, "POST", "/nacos/v1/core/cluster/switch/lookup?type=x").json();
    assert_eq!(lookup["code"], 500);
}

#[test]
fn connections_are_shown_and_sent_elsewhere() {
    let server = Server::start();
    let mut labels = Profile::default();
    labels.labels.insert("app_tier".into(), "gold".into());
    let (first, second) = (client_as(&server, labels), client(&server));
    let id = |client: &Client| client.connection_id().expect("an id").to_owned();
    let all = data(&server, "/nacos/v3/admin/core/loader/current");
    let row = &all[id(&first)];
    let meta = &row["metaInfo"];
    assert_eq!((&meta["connectionId"], &meta["connectType"]), (&json!(id(&first)), &json!("GRPC")));
    assert_eq!((&meta["clientIp"], &meta["sdkSource"]), (&json!("127.0.0.1"), &json!(true)));
    assert_eq!((&row["connected"], &row["appLabels"]["tier"]), (&json!(true), &json!("gold")));
    assert_eq!(meta["localPort"], server.grpc_address().port());
    let bare = must(&server, "GET", "/nacos/v2/core/loader/current").json();
    assert_eq!(bare.as_object().expect("a map").len(), 2);
    until_metric(&server, "nacre_connections{module=\"naming\"}", 2.0);
    let load = data(&server, "/nacos/v3/admin/core/loader/cluster");
    assert_eq!((&load["total"], &load["threshold"]), (&json!(2), &json!("2.2")));
    assert_eq!((&load["memberCount"], &load["completed"]), (&json!(1), &json!(true)));
    assert_eq!(load["detail"][0]["sdkConCount"], 2);
    assert_eq!(must(&server, "GET", "/nacos/v2/core/loader/smartReloadCluster").text(), "Ok");

    // One of them, to a certain server.
    let name = service("sent_away");
    first.register(&name, &instance("10.0.0.1", 80, &[])).unwrap();
    let path = format!(
        "/nacos/v3/admin/core/loader/reloadClient?connectionId={}&redirectAddress=127.0.0.9:8848",
        id(&first)
    );
    assert_eq!(must(&server, "POST", &path).json()["code"], 0);
    let is_reset = |push: &nacre_loadgen::client::Push| push.kind == "ConnectResetRequest";
    let push = first.wait_push(WAIT, "a reset", is_reset).expect("a reset");
    let told: Value = serde_json::from_slice(&push.body).expect("JSON");
    assert_eq!((&told["serverIp"], &told["serverPort"]), (&json!("127.0.0.9"), &json!("8848")));
    first.wait_closed(WAIT).expect("it is closed once it said that it goes");
    until("its instance went with it", || second.query(&name, "", false).unwrap().hosts.is_empty());
    until_metric(&server, "nacre_connections_closed_total{reason=\"redirected\"}", 1.0);
    // All but so many.
    let third = client(&server);
    assert_eq!(
        must(&server, "GET", "/nacos/v2/core/loader/reloadCurrent?count=2").text(),
        "success"
    );
    third.health_check().expect("there are no more than that");
    assert_eq!(
        must(&server, "POST", "/nacos/v3/admin/core/loader/reloadCurrent?count=0").json()["code"],
        0
    );
    for client in [second, third] {
        client.wait_closed(WAIT).expect("sent away");
    }
    // Nobody of this id: as in the reference, nothing happens.
    must(&server, "POST", "/nacos/v3/admin/core/loader/reloadClient?connectionId=1_1_1");
    for (method, path) in [
        ("POST", "/nacos/v3/admin/core/loader/reloadCurrent"),
        ("POST", "/nacos/v3/admin/core/loader/reloadCurrent?count=-1"),
        ("POST", "/nacos/v3/admin/core/loader/reloadCurrent?count=x"),
        ("POST", "/nacos/v3/admin/core/loader/reloadCurrent?count=1&redirectAddress=x"),
        ("POST", "/nacos/v3/admin/core/loader/reloadClient"),
        ("POST", "/nacos/v3/admin/core/loader/smartReloadCluster?loaderFactor=x"),
    ] {
        assert_eq!(ask(&server, method, path).status, 400, "{path}");
    }
}

#[test]
fn parts_of_the_log_get_louder() {
    let server = Server::start();
    let switch = "/nacos/v1/ns/operator/switches?entry=distroThreshold&value=0.8";
    // Lines of this part are information, which is not shown at first.
    must(&server, "PUT", switch);
    let log = || std::fs::read_to_string(server.home().join("log")).expect("the log");
    assert!(!log().contains("distroThreshold"), "{}", log());
    must(&server, "PUT", "/nacos/v1/cs/ops/log?logName=nacre::switches&logLevel=INFO");
    must(&server, "PUT", switch);
    until("the switch is in the log", || log().contains("distroThreshold"));
    for (method, path, answer) in [
        ("PUT", "/nacos/v1/ns/operator/log?logName=naming-push&logLevel=DEBUG", "ok"),
        ("PUT", "/nacos/v1/core/ops/log?logName=core-raft&logLevel=warn", "200"),
        ("PUT", "/nacos/v3/admin/ns/ops/log?logName=naming-raft&logLevel=WARN", ""),
        ("PUT", "/nacos/v3/admin/cs/ops/log?logName=config-dump&logLevel=WARN", ""),
    ] {
        let got = must(&server, method, path);
        assert!(answer.is_empty() || got.text() == answer, "{path}: {}", got.text());
    }
    for api in ["/nacos/v2/core/ops/log", "/nacos/v3/admin/core/ops/log"] {
        let body = json!({"logName": "core-auth", "logLevel": "WARN"});
        let answer = send(&server, "PUT", api, &body);
        let code = if api.contains("/v2/") { 200 } else { 0 };
        assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(code)), "{api}");
        assert_eq!(send(&server, "PUT", api, &json!([])).status, 400);
        assert_eq!(send(&server, "PUT", api, &json!({"logName": "core-auth"})).status, 400);
    }
    for wrong in
        ["", "?logName=naming-push", "?logName=x&logLevel=INFO", "?logName=core&logLevel=x"]
    {
        let path = format!("/nacos/v1/cs/ops/log{wrong}");
        assert_eq!(ask(&server, "PUT", &path).status, 400, "{path}");
    }
}

#[test]
fn pushes_are_counted_anew_when_asked() {
    let server = Server::start();
    let (publisher, follower) = (client(&server), client(&server));
    let name = service("counted");
    follower.subscribe(&name, "").unwrap();
    publisher.register(&name, &instance("10.0.0.1", 80, &[])).unwrap();
    follower.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    let state = "/nacos/v1/ns/operator/push/state";
    let get = |query: &str| must(&server, "GET", &format!("{state}{query}")).json();
    until("pushes are counted", || get("")["total"].as_u64().is_some_and(|total| total > 0));
    let shown = get("?detail=true");
    assert_eq!((&shown["ratio"], &shown["reset"]), (&json!(1.0), &json!(false)));
    assert!(shown["detail"]["maxPushCost"].is_i64(), "{shown}");
    until("nothing is under way", || {
        let before = get("");
        let after = get("?reset=true");
        before["total"] == after["total"] && get("")["total"] == 0
    });
    assert_eq!(get("")["succeed"], 0);
    assert_eq!(ask(&server, "GET", &format!("{state}?detail=maybe")).status, 400);
}

#[test]
fn what_only_the_references_store_has() {
    let server = shared_server();
    let v1 = must(&server, "GET", "/nacos/v1/cs/ops/derby?sql=select%201").json();
    let text = "The current storage mode is not Derby";
    assert_eq!((&v1["code"], &v1["message"]), (&json!(500), &json!(text)));
    let v3 = must(&server, "GET", "/nacos/v3/admin/cs/ops/derby?sql=select%201").json();
    assert_eq!((&v3["code"], &v3["message"]), (&json!(30_000), &json!(text)));
    for path in ["/nacos/v1/cs/ops/data/removal", "/nacos/v3/admin/cs/ops/derby/import"] {
        let told = must(&server, "POST", path).json();
        assert_eq!(told["message"], "Limited to embedded storage mode", "{path}");
    }
    assert_eq!(ask(&server, "GET", "/nacos/v1/cs/ops/derby").status, 400);
    assert_eq!(must(&server, "GET", "/nacos/v1/core/ops/idInfo").json()["data"], json!({}));
    assert_eq!(data(&server, "/nacos/v3/admin/core/ops/ids"), json!([]));
    for path in ["/v3/console/server/announcement?language=en-US", "/v3/console/server/guide"] {
        assert_eq!(data(&server, path), Value::Null);
    }
    let told = must(&server, "GET", "/nacos/v1/console/server/announcement").json();
    assert_eq!((&told["code"], &told["data"]), (&json!(200), &Value::Null));
    let sneaky = "/v3/console/server/announcement?language=../../etc/passwd";
    assert_eq!(ask(&server, "GET", sneaky).status, 400);
    let label = must(&server, "GET", "/nacos/v1/cmdb/ops/label?entry=a&label=b");
    assert_eq!(label.text(), "");
}

#[test]
fn a_group_of_one_takes_few_commands() {
    let server = shared_server();
    let own = format!("127.0.0.1:{}", server.http_port() - 1_000);
    for (body, v1, message) in [
        (json!({"command": "transferLeader", "value": own}), 200, Value::Null),
        (json!({"groupId": "x", "command": "doSnapshot"}), 500, json!("not this raft group : x")),
        (json!({"command": "fly"}), 500, json!("Not support command : fly")),
        (json!({}), 500, json!("Not support command : ")),
    ] {
        for api in ["/nacos/v1/core/ops/raft", "/nacos/v2/core/ops/raft"] {
            let told = send(&server, "POST", api, &body).json();
            assert_eq!((&told["code"], &told["message"]), (&json!(v1), &message), "{api} {body}");
        }
        let told = send(&server, "POST", "/nacos/v3/admin/core/ops/raft", &body).json();
        assert_eq!(told["code"], if v1 == 200 { 0 } else { 30_000 }, "{told}");
    }
    for command in ["removePeer", "changePeers", "restRaftCluster", "resetPeers"] {
        let body = json!({"command": command, "value": "10.0.0.1:7848"});
        let told = send(&server, "POST", "/nacos/v1/core/ops/raft", &body).json();
        assert!(told["code"] == 500 && told["message"].as_str().unwrap().contains("one member"));
    }
    for body in [json!([]), json!("x"), json!({"command": 1})] {
        let refused = send(&server, "POST", "/nacos/v3/admin/core/ops/raft", &body);
        assert_eq!(refused.status, 400, "{body}");
    }
}

#[test]
fn all_numbers_of_naming() {
    let server = shared_server();
    let kept = "serviceName=numbers&ip=10.0.5.1&port=80&ephemeral=false";
    must(&server, "POST", &format!("/nacos/v1/ns/instance?{kept}"));
    let all = data(&server, "/nacos/v3/admin/ns/ops/metrics?onlyStatus=false");
    assert!(all["persistentIpPortClientCount"].as_u64().is_some_and(|count| count > 0), "{all}");
    for share in ["cpu", "mem"] {
        assert!(all[share].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{all}");
    }
    assert!(all["load"].is_f64());
}

#[test]
fn the_console_has_services_and_instances() {
    let server = shared_server();
    let of = "serviceName=of_the_console";
    must(&server, "POST", &format!("/v3/console/ns/service?{of}&protectThreshold=0.5"));
    must(
        &server,
        "POST",
        &format!("/nacos/v1/ns/instance?{of}&ip=10.0.6.1&port=80&ephemeral=false"),
    );
    let shown = data(&server, &format!("/v3/console/ns/service?{of}"));
    assert_eq!(shown["protectThreshold"], 0.5);
    let path = format!("/v3/console/ns/instance?{of}&ip=10.0.6.1&port=80&weight=3&enabled=false");
    must(&server, "PUT", &path);
    for method in ["GET", "POST"] {
        let path = format!("/v3/console/ns/instance/list?{of}&pageNo=1&pageSize=10");
        let page = must(&server, method, &path).json()["data"].take();
        assert_eq!((&page["totalCount"], &page["pageNumber"]), (&json!(1), &json!(1)));
        let host = &page["pageItems"][0];
        assert_eq!((&host["weight"], &host["enabled"]), (&json!(3.0), &json!(false)));
    }
    let list = data(&server, "/v3/console/ns/service/list?serviceNameParam=of_the_console");
    assert_eq!(list["totalCount"], 1);
    assert_eq!(data(&server, "/v3/console/ns/service/selector/types"), json!(["label", "none"]));
    let cluster = "clusterName=DEFAULT&checkPort=81&useInstancePort4Check=true";
    let none = "healthChecker=%7B%22type%22:%22NONE%22%7D";
    must(&server, "PUT", &format!("/v3/console/ns/service/cluster?{of}&{cluster}&{none}"));
    let missing = ask(&server, "GET", "/v3/console/ns/instance/list");
    assert_eq!(missing.status, 400);
}

#[test]
fn a_change_is_shown_with_both_its_sides() {
    let server = shared_server();
    let of = "dataId=sides&group=G&groupName=G&namespaceId=sides&tenant=sides";
    for content in ["one", "two", "three"] {
        must(&server, "POST", &format!("/nacos/v1/cs/configs?{of}&content={content}"));
    }
    must(&server, "DELETE", &format!("/nacos/v1/cs/configs?{of}"));
    let page = data(&server, &format!("/nacos/v2/cs/history/list?{of}"));
    let ids: Vec<&str> = page["pageItems"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["id"].as_str().expect("an id"))
        .collect();
    let sides = |nid: &str| {
        let row = data(&server, &format!("/nacos/v2/cs/history/detail?{of}&nid={nid}"));
        (row["opType"].clone(), row["originalContent"].clone(), row["updatedContent"].clone())
    };
    let op = |letter: &str| json!(format!("{letter:10}"));
    // Newest first: what was removed, two updates, what was inserted.
    assert_eq!(sides(ids[0]), (op("D"), json!("three"), Value::Null));
    assert_eq!(sides(ids[1]), (op("U"), json!("two"), json!("three")));
    assert_eq!(sides(ids[2]), (op("U"), json!("one"), json!("two")));
    assert_eq!(sides(ids[3]), (op("I"), Value::Null, json!("one")));
    must(&server, "POST", &format!("/nacos/v1/cs/configs?{of}&content=four"));
    must(&server, "POST", &format!("/nacos/v1/cs/configs?{of}&content=five"));
    let page = data(&server, &format!("/nacos/v2/cs/history/list?{of}"));
    let newest = page["pageItems"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(sides(&newest), (op("U"), json!("four"), json!("five")), "what is there now");
    let gone = ask(&server, "GET", &format!("/nacos/v2/cs/history/detail?{of}&nid=999999999"));
    assert_eq!((gone.status, &gone.json()["code"]), (404, &json!(20_004)));
    assert_eq!(ask(&server, "GET", &format!("/nacos/v2/cs/history/detail?{of}")).status, 400);
}
