//! The config centre over gRPC (`config.md` 19): published, asked for, listened to, killed.

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{AckMode, Client, Profile, Push};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NOTIFY: &str = "ConfigChangeNotifyRequest";
const SYNC: &str = "ConfigFuzzyWatchSyncRequest";
const CHANGE: &str = "ConfigFuzzyWatchChangeNotifyRequest";

/// A Java config client.
fn config_client(server: &Server) -> Client {
    client_as(server, Profile::module("config"))
}

/// One that says it has this address.
fn client_at(server: &Server, ip: &str) -> Client {
    client_as(server, Profile { client_ip: ip.to_owned(), ..Profile::module("config") })
}

fn answer(client: &Client, kind: &str, body: Value) -> Value {
    call(client, kind, &body).json().expect("answers are JSON")
}

/// Publishes; `more` are members of the request besides.
fn publish(client: &Client, data_id: &str, content: &str, more: Value) -> Value {
    let mut body = json!({"dataId": data_id, "group": "G", "tenant": "", "content": content});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    answer(client, "ConfigPublishRequest", body)
}

fn published(client: &Client, data_id: &str, content: &str) {
    let done = publish(client, data_id, content, json!({}));
    assert_eq!(done, json!({"resultCode": 200, "errorCode": 0, "success": true}));
}

fn query(client: &Client, data_id: &str) -> Value {
    answer(client, "ConfigQueryRequest", json!({"dataId": data_id, "group": "G", "tenant": ""}))
}

fn content(client: &Client, data_id: &str) -> Option<String> {
    let found = query(client, data_id);
    match found["errorCode"].as_i64() {
        Some(0) => Some(found["content"].as_str().expect("content").to_owned()),
        Some(300) => None,
        _ => panic!("{found}"),
    }
}

fn remove(client: &Client, data_id: &str, tag: Option<&str>) -> Value {
    let body = json!({"dataId": data_id, "group": "G", "tenant": "", "tag": tag});
    answer(client, "ConfigRemoveRequest", body)
}

/// Listens with what the client has; what is said to have changed.
fn listen(client: &Client, data_id: &str, tenant: Value, md5: &str) -> Value {
    let context = json!({"dataId": data_id, "group": "G", "tenant": tenant, "md5": md5});
    let body = json!({"listen": true, "configListenContexts": [context]});
    answer(client, "ConfigBatchListenRequest", body)["changedConfigs"].clone()
}

fn next_notify(client: &Client) -> (Push, Value) {
    let push = client.wait_push(WAIT, NOTIFY, |push| push.kind == NOTIFY).expect("a notification");
    let body = serde_json::from_slice(&push.body).expect("pushes are JSON");
    (push, body)
}

fn next_of(client: &Client, kind: &'static str) -> Value {
    let push = client.wait_push(WAIT, kind, |push| push.kind == kind).expect(kind);
    serde_json::from_slice(&push.body).expect("pushes are JSON")
}

#[test]
fn what_is_published_is_what_is_found() {
    let server = shared_server();
    let (writer, reader) = (config_client(&server), config_client(&server));
    assert_eq!(query(&reader, "found")["message"], "config data not exist");
    let yaml = json!({"additionMap": {"type": "yaml", "encryptedDataKey": "", "tag": null}});
    publish(&writer, "found", "a: v1 é\n", yaml);
    let found = query(&reader, "found");
    assert_eq!(found["content"], "a: v1 é\n");
    assert_eq!(found["md5"], "c32ab5951a0460cb3dd1724bdc4f00f2");
    assert_eq!((&found["contentType"], &found["encryptedDataKey"]), (&json!("yaml"), &json!("")));
    assert!(found["lastModified"].as_i64().expect("a number") > 1_700_000_000_000);
    assert_eq!((&found["beta"], &found["success"]), (&json!(false), &json!(true)));
    published(&writer, "found", "plain");
    assert_eq!(query(&reader, "found")["contentType"], "text");
    assert_eq!(remove(&writer, "found", None)["resultCode"], 200);
    assert_eq!(query(&reader, "found")["errorCode"], 300);
    assert_eq!(remove(&writer, "found", None)["resultCode"], 200, "absent is success");
}

/// Whoever was answered reads his own write, on whatever core he asks.
#[test]
fn an_answered_publish_is_read_by_everybody() {
    let server = shared_server();
    let writer = config_client(&server);
    let readers: Vec<_> = (0..8).map(|_| config_client(&server)).collect();
    for round in 0..50 {
        let value = format!("round {round}");
        published(&writer, "own-write", &value);
        for reader in &readers {
            assert_eq!(content(reader, "own-write").as_deref(), Some(value.as_str()));
        }
    }
}

#[test]
fn listeners_hear_of_changes_and_of_nothing_else() {
    let server = shared_server();
    let (writer, listener) = (config_client(&server), config_client(&server));
    published(&writer, "heard", "1");
    let md5 = query(&listener, "heard")["md5"].as_str().expect("md5").to_owned();
    let changed = json!([{"dataId": "heard", "group": "G", "tenant": "public"}]);
    assert_eq!(listen(&listener, "heard", json!("public"), "0"), changed, "stale: at once");
    assert_eq!(listen(&listener, "heard", json!("public"), &md5), json!([]), "current: nothing");
    published(&writer, "heard", "1");
    assert!(listener.next_push(QUIET).is_err(), "the same content is no news");
    let began = Instant::now();
    published(&writer, "heard", "2");
    let (push, body) = next_notify(&listener);
    assert!(push.at - began < Duration::from_millis(1_200), "{:?}", push.at - began);
    assert_eq!((&body["dataId"], &body["tenant"]), (&json!("heard"), &json!("public")));
    assert!(listener.next_push(QUIET).is_err(), "acknowledged: not again");
    remove(&writer, "heard", None);
    next_notify(&listener);
    assert_eq!(listen(&listener, "heard", json!("public"), &md5), changed);
    let off = json!({"dataId": "heard", "group": "G", "tenant": "public", "md5": ""});
    let body = json!({"listen": false, "configListenContexts": [off]});
    assert_eq!(answer(&listener, "ConfigBatchListenRequest", body)["changedConfigs"], json!([]));
    published(&writer, "heard", "3");
    assert!(listener.next_push(QUIET).is_err(), "not listening any more");
}

/// 3 s for the ack, then 2 s, 4 s, …
#[test]
fn an_unacknowledged_notification_is_repeated() {
    let server = shared_server();
    let (writer, listener) = (config_client(&server), config_client(&server));
    listener.set_ack_mode(AckMode::Manual);
    listen(&listener, "unacked", json!(""), "");
    published(&writer, "unacked", "1");
    let (first, _) = next_notify(&listener);
    let (second, _) = next_notify(&listener);
    let pause = second.at - first.at;
    assert!(pause > Duration::from_millis(4_900), "{pause:?}");
    listener.ack(&second).expect("the stream is there");
    assert!(listener.next_push(QUIET).is_err());
}

/// A client that says `""` and one that says `public` mean the same, each in his own spelling, also
/// for a config that was not there when they began to listen.
#[test]
fn tenants_keep_their_spelling() {
    let server = shared_server();
    let writer = config_client(&server);
    let (blank, named) = (config_client(&server), config_client(&server));
    let absent = config_client(&server);
    for (client, tenant) in [(&blank, json!("")), (&named, json!("public")), (&absent, Value::Null)]
    {
        assert_eq!(listen(client, "spelled", tenant, ""), json!([]));
    }
    let public = json!({"tenant": "public"});
    assert_eq!(publish(&writer, "spelled", "1", public)["resultCode"], 200);
    assert_eq!(next_notify(&blank).1.get("tenant"), None);
    assert_eq!(next_notify(&absent).1.get("tenant"), None);
    assert_eq!(next_notify(&named).1["tenant"], "public");
    let changed = |client, tenant| listen(client, "spelled", tenant, "")[0].clone();
    assert_eq!(changed(&blank, json!(""))["tenant"], "");
    assert_eq!(changed(&named, json!("public"))["tenant"], "public");
    assert_eq!(changed(&absent, Value::Null).get("tenant"), None);
    assert_eq!(content(&blank, "spelled").as_deref(), Some("1"));
}

#[test]
fn a_conditional_publish_wins_or_loses() {
    let server = shared_server();
    let client = config_client(&server);
    let cas = |content: &str, md5: &str| publish(&client, "cas", content, json!({"casMd5": md5}));
    assert_eq!(cas("1", "c32ab5951a0460cb3dd1724bdc4f00f2")["resultCode"], 200, "absent: inserts");
    let md5 = query(&client, "cas")["md5"].as_str().expect("md5").to_owned();
    assert_eq!(cas("2", &md5)["resultCode"], 200);
    let lost = cas("3", &md5);
    assert_eq!((&lost["resultCode"], &lost["errorCode"]), (&json!(500), &json!(500)));
    assert_eq!(lost["message"], "Cas publish fail, server md5 may have changed.");
    assert_eq!(content(&client, "cas").as_deref(), Some("2"));
    assert_eq!(cas("4", "")["resultCode"], 200, "blank is no condition");
}

#[test]
fn a_beta_is_seen_by_the_listed_address_alone() {
    let server = shared_server();
    let writer = config_client(&server);
    let (listed, other) = (client_at(&server, "192.0.2.77"), client_at(&server, "192.0.2.78"));
    published(&writer, "beta", "formal");
    let md5 = query(&listed, "beta")["md5"].as_str().expect("md5").to_owned();
    listen(&listed, "beta", json!(""), &md5);
    let beta = json!({"additionMap": {"betaIps": "192.0.2.1,192.0.2.77"}});
    assert_eq!(publish(&writer, "beta", "for some", beta)["resultCode"], 200);
    next_notify(&listed);
    assert_ne!(listen(&listed, "beta", json!(""), &md5), json!([]));
    let seen = query(&listed, "beta");
    assert_eq!((&seen["content"], &seen["beta"]), (&json!("for some"), &json!(true)));
    assert_eq!(seen.get("encryptedDataKey"), None);
    assert_eq!(content(&other, "beta").as_deref(), Some("formal"));
    assert_eq!(listen(&other, "beta", json!(""), &md5), json!([]));
    // Stopping it reverts; stopping it again is a success.
    for _ in 0..2 {
        assert_eq!(remove(&writer, "beta", Some("beta"))["resultCode"], 200);
    }
    next_notify(&listed);
    assert_eq!(content(&listed, "beta").as_deref(), Some("formal"));
}

#[test]
fn a_tag_nobody_knows_is_not_the_formal_content() {
    let server = shared_server();
    let client = config_client(&server);
    published(&client, "tagged", "formal");
    let tag = json!({"additionMap": {"tag": "t1"}});
    assert_eq!(publish(&client, "tagged", "for t1", tag)["resultCode"], 200);
    let ask = |tag: &str| {
        let body = json!({"dataId": "tagged", "group": "G", "tenant": "", "tag": tag});
        answer(&client, "ConfigQueryRequest", body)
    };
    assert_eq!((&ask("t1")["content"], &ask("t1")["tag"]), (&json!("for t1"), &json!("t1")));
    let unknown = ask("t2");
    assert_eq!((&unknown["errorCode"], &unknown["tag"]), (&json!(300), &json!("t2")));
    assert_eq!(content(&client, "tagged").as_deref(), Some("formal"));
}

#[test]
fn refusals_are_typed_and_in_the_references_words() {
    let server = shared_server();
    let client = config_client(&server);
    let refused = |body: Value| outcome(&call(&client, "ConfigPublishRequest", &body));
    let publish = |result, code, text: &str| wanted("ConfigPublishResponse", result, code, text);
    assert_eq!(
        refused(json!({"dataId": "déjà", "group": "G", "content": "x"})),
        publish(
            500,
            400,
            "Param check invalid:Param 'dataId' is illegal, illegal characters should not appear \
             in the param."
        )
    );
    assert_eq!(
        refused(json!({"dataId": "d", "group": "G", "content": " "})),
        publish(500, 400, "content is blank :  ")
    );
    let tags = json!({"config_tags": "1,2,3,4,5,6"});
    assert_eq!(
        refused(json!({"dataId": "d", "group": "G", "content": "x", "additionMap": tags})),
        publish(500, 500, "too much config_tags, over 5")
    );
}

#[test]
fn limits_of_content_and_capacity_are_settings() {
    let settings = ["-D", "maxContent=100", "-D", "isCapacityLimitCheck=true"];
    let quotas = ["-D", "defaultMaxSize=50", "-D", "defaultTenantQuota=2"];
    let server = Server::start_with(&[settings, quotas].concat());
    let client = config_client(&server);
    let code = |data_id: &str, bytes: usize| {
        publish(&client, data_id, &"x".repeat(bytes), json!({}))["errorCode"].clone()
    };
    assert_eq!(code("a", 101), 400);
    assert_eq!(code("a", 51), 5034);
    assert_eq!(code("a", 50), 0);
    assert_eq!(code("b", 1), 0);
    assert_eq!(code("c", 1), 5033);
    assert_eq!(code("b", 2), 0, "one more version is no more configs");
    remove(&client, "a", None);
    assert_eq!(code("c", 1), 0);
}

#[test]
fn forty_five_configs_are_three_batches_and_a_finish() {
    let server = shared_server();
    let (writer, watcher) = (config_client(&server), config_client(&server));
    for number in 0..45 {
        published(&writer, &format!("fw-{number}"), "1");
    }
    let watch = |watch_type: &str| {
        let body = json!({"groupKeyPattern": "public>>G>>fw-*", "receivedGroupKeys": [],
            "watchType": watch_type, "initializing": true});
        answer(&watcher, "ConfigFuzzyWatchRequest", body)["resultCode"].clone()
    };
    assert_eq!(watch("WATCH"), 200);
    let mut names = Vec::new();
    for batch in 1..=3 {
        let sync = next_of(&watcher, SYNC);
        assert_eq!(sync["syncType"], "FUZZY_WATCH_INIT_NOTIFY");
        assert_eq!((&sync["currentBatch"], &sync["totalBatch"]), (&json!(batch), &json!(3)));
        let contexts = sync["contexts"].as_array().expect("contexts").clone();
        assert!(contexts.iter().all(|context| context["changedType"] == "ADD_CONFIG"));
        names.extend(contexts.into_iter().map(|context| context["groupKey"].to_string()));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 45);
    let finish = next_of(&watcher, SYNC);
    assert_eq!(finish["syncType"], "FINISH_FUZZY_WATCH_INIT_NOTIFY");
    assert_eq!((finish.get("contexts"), &finish["totalBatch"]), (None, &json!(0)));
    published(&writer, "fw-new", "1");
    let change = next_of(&watcher, CHANGE);
    assert_eq!(
        (&change["groupKey"], &change["changeType"]),
        (&json!("fw-new+G+public"), &json!("CONFIG_CHANGED"))
    );
    published(&writer, "fw-new", "2");
    assert!(watcher.next_push(QUIET).is_err(), "content is no name");
    remove(&writer, "fw-new", None);
    assert_eq!(next_of(&watcher, CHANGE)["changeType"], "DELETE_CONFIG");
    assert_eq!(watch("CANCEL_WATCH"), 200);
    published(&writer, "fw-new", "3");
    assert!(watcher.next_push(QUIET).is_err());
}

/// Acknowledged is on disk, whatever instant the process dies in.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut server = Server::start();
    for round in 0..4 {
        let writer = config_client(&server);
        if round > 0 {
            for number in 0..40 {
                let expected = format!("{} of {number}", round - 1);
                assert_eq!(content(&writer, &format!("kept-{number}")), Some(expected));
            }
            assert_eq!(content(&writer, "gone"), None);
            assert_eq!(query(&client_at(&server, "192.0.2.9"), "gray")["beta"], true);
        }
        let beta = json!({"additionMap": {"betaIps": "192.0.2.9"}});
        assert_eq!(publish(&writer, "gray", &format!("{round}"), beta)["resultCode"], 200);
        published(&writer, "gone", "x");
        remove(&writer, "gone", None);
        for number in 0..40 {
            published(&writer, &format!("kept-{number}"), &format!("{round} of {number}"));
        }
        server.kill();
        server.start_again();
    }
}

/// An orderly stop keeps everything, too; and a second process on the directory is refused
/// (`command`).
#[test]
fn what_was_acknowledged_survives_an_orderly_stop() {
    let mut server = Server::start();
    published(&config_client(&server), "stopped", "1");
    assert!(server.terminate().success());
    server.start_again();
    assert_eq!(content(&config_client(&server), "stopped").as_deref(), Some("1"));
}

#[test]
fn a_thousand_listeners_are_all_told() {
    let server = shared_server();
    let writer = config_client(&server);
    let listeners: Vec<_> = (0..50).map(|_| config_client(&server)).collect();
    for listener in &listeners {
        let contexts: Vec<_> = (0..20)
            .map(|at| json!({"dataId": format!("many-{at}"), "group": "G", "md5": ""}))
            .collect();
        let body = json!({"listen": true, "configListenContexts": contexts});
        answer(listener, "ConfigBatchListenRequest", body);
    }
    for at in 0..20 {
        published(&writer, &format!("many-{at}"), "1");
    }
    for listener in &listeners {
        let mut told: Vec<_> =
            (0..20).map(|_| next_notify(listener).1["dataId"].to_string()).collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 20);
    }
}

#[test]
fn the_references_names_are_in_the_metrics() {
    let server = Server::start();
    let client = config_client(&server);
    published(&client, "measured", "1");
    query(&client, "measured");
    listen(&client, "measured", json!(""), "");
    let has = |name: &str, value: &str| {
        let series = format!("nacos_monitor{{module=\"config\",name=\"{name}\"}} {value}");
        until(&series, || metrics(&server).contains(&series));
    };
    has("configCount", "1");
    has("publish", "1");
    has("getConfig", "1");
    has("longPolling", "0");
    until("the listener is counted", || {
        metrics(&server).contains("nacos_config_subscriber{version=\"v2\"} 1")
    });
    until("the store is counted", || metrics(&server).contains("nacre_store_commands_total 1"));
}
