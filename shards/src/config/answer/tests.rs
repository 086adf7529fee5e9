use super::*;
use crate::key::ConfigName;
use crate::naming::answer::FuzzySync;
use nacre_proto::client::{Named, push, response};
use serde_json::Value;

fn json(body: &Body) -> Value {
    serde_json::from_slice(&body.json.pieces().concat()).unwrap()
}

fn read<M: Named>(body: &Body) -> M {
    assert_eq!(body.kind, M::NAME);
    serde_json::from_value(json(body)).unwrap()
}

fn key(namespace: &str) -> ConfigKey {
    ConfigKey::new(ConfigName { data_id: "a.yaml", group: "G", namespace })
}

#[test]
fn what_is_not_there_has_the_references_members() {
    let text = |body: &Body| String::from_utf8(body.json.pieces().concat()).unwrap();
    assert_eq!(
        text(&not_found(None)),
        r#"{"resultCode":500,"errorCode":300,"message":"config data not exist","lastModified":0,"beta":false,"success":false}"#
    );
    let tagged: response::ConfigQueryResponse = read(&not_found(Some("t\"1")));
    assert_eq!(tagged.tag.as_deref(), Some("t\"1"));
    assert_eq!(not_found(None).error_code, 300);
}

#[test]
fn proposals_are_answered_typed() {
    let done = Ok(Answer::Done { revision: 1 });
    assert_eq!(proposed(Purpose::Publish, &done).kind, "ConfigPublishResponse");
    assert_eq!(proposed(Purpose::Remove, &done).kind, "ConfigRemoveResponse");
    let refused = |code| Ok(Answer::refused(code, "why"));
    for (outcome, code) in [
        (refused(Code::ResourceConflict), 500),
        (refused(Code::GrayOverMaxVersion), 500),
        (refused(Code::ContentTooLarge), 5034),
        (refused(Code::ClusterQuotaReached), 5031),
        (Err(Unready::Full), 503),
        (Err(Unready::ReadOnly), 503),
    ] {
        let body = proposed(Purpose::Publish, &outcome);
        let answer: response::ConfigPublishResponse = read(&body);
        assert_eq!((answer.result_code, answer.error_code, answer.success), (500, code, false));
        assert_eq!(body.error_code, code);
        assert!(answer.message.is_some_and(|message| !message.is_empty()));
    }
}

#[test]
fn changed_configs_echo_what_the_client_said() {
    let contexts = [
        ListenContext { tenant: Some("".into()), ..context() },
        ListenContext { tenant: None, ..context() },
        ListenContext { tenant: Some("public".into()), group: None, ..context() },
    ];
    assert_eq!(
        json(&changed(contexts.iter()))["changedConfigs"].to_string(),
        r#"[{"dataId":"d","group":"G","tenant":""},{"dataId":"d","group":"G"},{"dataId":"d","tenant":"public"}]"#
    );
    let none: response::ConfigChangeBatchListenResponse = read(&changed([].iter()));
    assert_eq!(none, response::ConfigChangeBatchListenResponse::default());
}

fn context() -> ListenContext<'static> {
    let text = |text: &'static str| Some(text.into());
    ListenContext { group: text("G"), md5: text("m"), data_id: text("d"), tenant: None }
}

#[test]
fn pushes_read_back() {
    let notified: push::ConfigChangeNotifyRequest = read(&notify(29, &key("dev"), true));
    assert_eq!(notified.request_id.as_deref(), Some("29"));
    assert_eq!((&*notified.data_id, &*notified.group), ("a.yaml", "G"));
    assert_eq!(notified.tenant.as_deref(), Some("dev"));
    assert_eq!(json(&notify(29, &key("public"), false)).get("tenant"), None);
    let changed: push::ConfigFuzzyWatchChangeNotifyRequest =
        read(&fuzzy_change(7, &key("public"), NameChange::Deleted));
    assert_eq!(changed.group_key, "a.yaml+G+public");
    assert_eq!(changed.change_type, "DELETE_CONFIG");
}

/// The sample of Java 3.1.1: `{"syncType":"FINISH…","totalBatch":0,"currentBatch":0}`, no contexts.
#[test]
fn the_end_of_a_synchronisation_has_no_contexts() {
    let contexts = [(key("public"), NameChange::Added)];
    let sync = |kind, contexts, batch| FuzzySync {
        kind,
        pattern: "public>>G>>*",
        contexts,
        total_batch: batch,
        current_batch: batch,
    };
    let init: push::ConfigFuzzyWatchSyncRequest =
        read(&fuzzy_sync(1, &sync(SyncKind::Init, &contexts, 1)));
    assert_eq!(init.contexts.unwrap()[0].changed_type, "ADD_CONFIG");
    let finish = fuzzy_sync(2, &sync(SyncKind::Finish, &[], 0));
    assert_eq!(json(&finish).get("contexts"), None);
    let finish: push::ConfigFuzzyWatchSyncRequest = read(&finish);
    assert_eq!((finish.total_batch, finish.current_batch), (0, 0));
}

#[test]
fn group_keys_are_escaped() {
    let odd = ConfigKey::new(ConfigName { data_id: "a+b", group: "100%", namespace: "public" });
    assert_eq!(group_key(&odd), "a%2Bb+100%25+public");
    assert_eq!(crate::config::watch::parse_group_key(&group_key(&odd)), Some(odd));
    assert_eq!(
        crate::config::watch::parse_group_key("a+b"),
        Some(ConfigKey::new(ConfigName { data_id: "a", group: "b", namespace: "public" }))
    );
    for text in ["", "a", "a+b+c+d"] {
        assert_eq!(crate::config::watch::parse_group_key(text), None, "{text}");
    }
}
