use super::*;
use crate::config::fixture::{Centre, one_reply, pushes};
use crate::effect::Effect;
use crate::home::fixture::asks;
use crate::limits::LaneLimits;
use crate::settings::Settings;
use nacre_proto::request::Kind;
use serde_json::{Value, json};

fn centre() -> Centre {
    Centre::new(Settings::default())
}

fn query(centre: &mut Centre, conn: crate::key::ConnKey, members: &str) -> Value {
    let json = format!(r#"{{"dataId":"a","group":"g"{members}}}"#);
    centre.answer(conn, Kind::ConfigQuery, &json)
}

const ONE: &str = "c4ca4238a0b923820dcc509a6f75849b";

#[test]
fn a_query_shows_what_was_published() {
    let mut centre = centre();
    let conn = centre.client(1);
    let absent = query(&mut centre, conn, "");
    assert_eq!(
        (&absent["errorCode"], &absent["message"]),
        (&json!(300), &json!("config data not exist"))
    );
    centre.publish_with("a", "1", r#""type":"yaml""#);
    // Whatever the namespace is called.
    for tenant in ["", r#","tenant":"""#, r#","tenant":"public""#] {
        let found = query(&mut centre, conn, tenant);
        assert_eq!(found["content"], "1", "{tenant}");
        assert_eq!((&found["md5"], &found["contentType"]), (&json!(ONE), &json!("yaml")));
    }
    assert_eq!(query(&mut centre, conn, r#","tenant":"dev""#)["errorCode"], 300);
    centre.remove("a");
    assert_eq!(query(&mut centre, conn, "")["errorCode"], 300);
    assert_eq!(centre.bench.home.counters.configs.queries, 6);
}

/// `config.md` 4.2.
#[test]
fn gray_variants_are_seen_by_whom_they_are_for() {
    let mut centre = centre();
    let listed = centre.client_with(1, "10.9.0.1", &[]);
    let other = centre.client_with(2, "10.9.0.2", &[]);
    let labelled = centre.client_with(3, "10.9.0.3", &[("app_Vipserver-Tag", "t1")]);
    centre.publish("a", "formal");
    centre.publish_with("a", "beta", r#""betaIps":"10.9.0.1,10.9.0.7""#);
    centre.publish_with("a", "tagged", r#""tag":"t1""#);
    let mut seen = |conn, members: &str| query(&mut centre, conn, members);
    let beta = seen(listed, "");
    assert_eq!((&beta["content"], &beta["beta"]), (&json!("beta"), &json!(true)));
    assert_eq!(beta.get("encryptedDataKey"), None);
    assert_eq!(seen(other, "")["content"], "formal");
    let tagged = seen(other, r#","tag":"t1""#);
    assert_eq!((&tagged["content"], &tagged["tag"]), (&json!("tagged"), &json!("t1")));
    assert_eq!(seen(labelled, "")["content"], "tagged");
    // A tag nobody made a variant for: never the formal content.
    let unknown = seen(other, r#","tag":"t2""#);
    assert_eq!((&unknown["errorCode"], &unknown["tag"]), (&json!(300), &json!("t2")));
    centre.remove("a");
    assert_eq!(query(&mut centre, listed, "")["content"], "beta", "grays outlive the formal one");
    assert_eq!(query(&mut centre, other, "")["errorCode"], 300);
}

#[test]
fn a_publish_goes_to_the_raft_core_and_is_answered_from_there() {
    let mut centre = centre();
    let conn = centre.client(1);
    let json = r#"{"dataId":"a","group":"g","content":"1"}"#;
    let sent = centre.call(conn, Kind::ConfigPublish, json);
    assert_eq!((sent.len(), asks(&sent).len()), (1, 1), "no answer before it is done");
    let answer = one_reply(&centre.carry_out(&sent));
    assert_eq!(answer, json!({"resultCode": 200, "errorCode": 0, "success": true}));
    assert_eq!(query(&mut centre, conn, "")["content"], "1");
    let cas = r#"{"dataId":"a","group":"g","content":"2","casMd5":"00"}"#;
    let sent = centre.call(conn, Kind::ConfigPublish, cas);
    let answer = one_reply(&centre.carry_out(&sent));
    assert_eq!(answer["message"], "Cas publish fail, server md5 may have changed.");
    let sent = centre.call(conn, Kind::ConfigRemove, r#"{"dataId":"a","group":"g"}"#);
    assert_eq!(one_reply(&centre.carry_out(&sent))["resultCode"], 200);
    assert_eq!(query(&mut centre, conn, "")["errorCode"], 300);
}

/// SDKs delete what they have on a `ConfigQueryResponse` 300.
#[test]
fn before_the_log_is_replayed_everything_is_starting() {
    let mut centre = Centre::starting(Settings::default());
    let conn = centre.client(1);
    for kind in [
        Kind::ConfigQuery,
        Kind::ConfigPublish,
        Kind::ConfigRemove,
        Kind::ConfigBatchListen,
        Kind::ConfigFuzzyWatch,
    ] {
        let effects = centre.call(conn, kind, "{}");
        let [Effect::Reply { body, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((body.kind, body.error_code), ("ErrorResponse", 300), "{kind:?}");
    }
    centre.state.loaded();
    let effects = centre.call(conn, Kind::ConfigQuery, "{}");
    assert_eq!(one_reply(&effects)["message"], "Server is starting,please try later.");
    centre.serve();
    assert_eq!(query(&mut centre, conn, "")["message"], "config data not exist");
}

#[test]
fn without_room_a_publish_is_refused_a_second_late() {
    let lanes = LaneLimits { asks_max: 3, asks_reserved: 2, changes_max: 1 };
    let mut centre = Centre::new(Settings { lanes: Some(lanes), ..Settings::default() });
    let conn = centre.client(1);
    let json = r#"{"dataId":"a","group":"g","content":"1"}"#;
    assert_eq!(asks(&centre.call(conn, Kind::ConfigPublish, json)).len(), 1);
    assert!(centre.call(conn, Kind::ConfigPublish, json).is_empty(), "it waits");
    let effects = centre.call(conn, Kind::ConfigPublish, json);
    let [Effect::Reply { body, delay_ms, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((body.kind, body.error_code, *delay_ms), ("ConfigPublishResponse", 503, 1_000));
    // Reading goes on.
    assert_eq!(query(&mut centre, conn, "")["errorCode"], 300);
}

#[test]
fn a_store_that_does_not_write_says_why() {
    let mut centre = centre();
    let conn = centre.client(1);
    let waiter = crate::message::Waiter { conn, stream: 5 };
    let json = r#"{"dataId":"a","group":"g","content":"1"}"#;
    for unready in [Unready::Full, Unready::ReadOnly, Unready::Latched, Unready::NoLeader] {
        centre.call(conn, Kind::ConfigPublish, json);
        let tell = crate::message::Tell::Proposed {
            waiter,
            purpose: Purpose::Publish,
            outcome: Err(unready),
        };
        let effects = centre.bench.tell(tell);
        let [Effect::Reply { delay_ms: 1_000, .. }] = &effects[..] else { panic!("{effects:?}") };
        let answer = one_reply(&effects);
        assert_eq!(
            (&answer["errorCode"], &answer["message"]),
            (&json!(503), &json!(unready.sentence()))
        );
    }
}

/// `config.md` 5.
#[test]
fn a_listen_says_what_is_not_as_the_client_has_it() {
    let mut centre = centre();
    let conn = centre.client(1);
    centre.publish("a", "1");
    let changed = |answer: Value| answer["changedConfigs"].clone();
    assert_eq!(changed(centre.listen(conn, "a", r#""""#, ONE)), json!([]));
    // The tenant comes back as it was spelled.
    for (tenant, expected) in [
        (r#""""#, json!([{"group": "g", "dataId": "a", "tenant": ""}])),
        (r#""public""#, json!([{"group": "g", "dataId": "a", "tenant": "public"}])),
        ("null", json!([{"group": "g", "dataId": "a"}])),
    ] {
        assert_eq!(changed(centre.listen(conn, "a", tenant, "0")), expected);
    }
    assert_eq!(changed(centre.listen(conn, "absent", r#""""#, "")), json!([]));
    assert_ne!(changed(centre.listen(conn, "absent", r#""""#, ONE)), json!([]), "it was removed");
    assert_eq!(centre.bench.home.listeners.records.len(), 2);
    let off = r#"{"listen":false,"configListenContexts":[{"dataId":"a","group":"g","md5":"x"}]}"#;
    assert_eq!(changed(centre.answer(conn, Kind::ConfigBatchListen, off)), json!([]));
    assert_eq!(centre.bench.home.listeners.records.len(), 1);
    assert_eq!(changed(centre.answer(conn, Kind::ConfigBatchListen, "{}")), json!([]));
}

#[test]
fn a_listen_compares_with_what_this_client_sees() {
    let mut centre = centre();
    let listed = centre.client_with(1, "10.9.0.1", &[]);
    let other = centre.client_with(2, "10.9.0.2", &[]);
    centre.publish("a", "1");
    centre.publish_with("a", "beta", r#""betaIps":"10.9.0.1""#);
    centre.publish_with("a", "tagged", r#""tag":"t1""#);
    let is_changed = |answer: Value| answer["changedConfigs"] != json!([]);
    assert!(is_changed(centre.listen(listed, "a", "null", ONE)));
    assert!(!is_changed(centre.listen(other, "a", "null", ONE)));
    // The header chooses the tag's variant, as a query's tag does.
    let md5 = String::from_utf8(Md5::of("tagged").hex().to_vec()).unwrap();
    let body =
        format!(r#"{{"configListenContexts":[{{"dataId":"a","group":"g","md5":"{md5}"}}]}}"#);
    let tagged = centre.call_tagged(other, Kind::ConfigBatchListen, Some("t1"), &body);
    assert!(!is_changed(one_reply(&tagged)));
    assert!(is_changed(centre.answer(other, Kind::ConfigBatchListen, &body)));
    let long = centre.call_tagged(other, Kind::ConfigBatchListen, Some(&"x".repeat(17)), &body);
    let [Effect::Reply { body, .. }] = &long[..] else { panic!("{long:?}") };
    assert_eq!((body.kind, body.error_code), ("ErrorResponse", 500));
}

#[test]
fn all_of_a_batch_is_checked_before_any_of_it_counts() {
    let mut centre = centre();
    let conn = centre.client(1);
    let json =
        r#"{"configListenContexts":[{"dataId":"a","group":"g"},{"dataId":"b!","group":"g"}]}"#;
    let answer = centre.answer(conn, Kind::ConfigBatchListen, json);
    assert_eq!((&answer["errorCode"], &answer["changedConfigs"]), (&json!(400), &json!([])));
    assert_eq!(centre.bench.home.listeners.records.len(), 0);
}

#[test]
fn leaving_gives_everything_back() {
    let mut centre = centre();
    let first = centre.client(1);
    let second = centre.client(2);
    for data_id in ["a", "b", "c"] {
        centre.listen(first, data_id, "null", "");
        centre.listen(second, data_id, "null", "");
    }
    let watch = r#"{"groupKeyPattern":"public>>g>>*","watchType":"WATCH","initializing":true}"#;
    centre.call(first, Kind::ConfigFuzzyWatch, watch);
    while centre.bench.home.has_work() {
        centre.bench.drain();
    }
    centre.bench.handle(crate::message::Message::Disconnected { conn: first });
    let home = &centre.bench.home;
    assert_eq!((home.listeners.records.len(), home.listeners.configs.len()), (3, 3));
    assert_eq!(home.config_patterns.len(), 0);
    centre.bench.handle(crate::message::Message::Disconnected { conn: second });
    let home = &centre.bench.home;
    assert_eq!((home.listeners.records.len(), home.listeners.configs.len()), (0, 0));
    assert_eq!(pushes(&centre.publish("a", "1")), []);
}
