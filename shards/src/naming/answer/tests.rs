use super::*;
use serde_json::{Value, json};

fn text(body: &Body) -> String {
    String::from_utf8(body.json.pieces().concat()).unwrap()
}

fn json_of(body: &Body) -> Value {
    serde_json::from_str(&text(body)).unwrap()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("public", "DEFAULT_GROUP", name)
}

/// What the reference server sent to Java 3.1.1 and 2.5.1 and Go 2.3.2, one of each shape: type,
/// and body.
fn samples() -> Vec<(String, Value)> {
    let lines = include_str!("../../../testdata/answers.jsonl");
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["type"].as_str().unwrap().to_owned(), line["body"].clone())
    };
    lines.lines().map(read).collect()
}

fn members(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort();
    keys
}

/// Makes again what the reference server sent, from what its body says, and compares the whole.
fn remade(kind: &str, sent: &Value) -> Option<Body> {
    let id = || sent["requestId"].as_str().unwrap().parse().unwrap();
    let info = || Bytes::from(serde_json::to_vec(&sent["serviceInfo"]).unwrap());
    let change = |value: &Value| match value.as_str().unwrap() {
        "ADD_SERVICE" => NameChange::Added,
        "DELETE_SERVICE" => NameChange::Deleted,
        other => panic!("{other}"),
    };
    let service = |value: &Value| crate::naming::fuzzy::parse_key(value.as_str().unwrap()).unwrap();
    let message = sent["message"].as_str().unwrap_or_default();
    if sent["success"] == false {
        let codes = (sent["resultCode"].as_i64().unwrap(), sent["errorCode"].as_i64().unwrap());
        let refused = Refusal {
            typed: kind != "ErrorResponse",
            result_code: codes.0 as i32,
            error_code: codes.1 as i32,
            message: message.to_owned().into(),
        };
        let kinds = Kind::ALL.into_iter().find(|known| known.response_kind() == kind);
        return Some(refusal(&refused, kinds.unwrap()));
    }
    Some(match kind {
        "HealthCheckResponse" => health(),
        "ServerCheckResponse" => server_check(sent["connectionId"].as_str().unwrap()),
        "InstanceResponse" if sent["type"] == "registerInstance" => registered(),
        "InstanceResponse" => deregistered(),
        "BatchInstanceResponse" => batch(),
        "QueryServiceResponse" => query(info()),
        "SubscribeServiceResponse" => subscribe(info()),
        "NotifySubscriberRequest" => notify(id(), info()),
        "NamingFuzzyWatchResponse" => fuzzy(),
        "ClientDetectionRequest" => client_detection(id()),
        "ServiceListResponse" => {
            let names = sent["serviceNames"].as_array().unwrap();
            let count = sent["count"].as_u64().unwrap() as usize;
            service_list(count, names.iter().map(|name| name.as_str().unwrap()))
        }
        "SetupAckRequest" => {
            let abilities = sent["abilityTable"].as_object().unwrap();
            let abilities: Vec<(&str, bool)> =
                abilities.iter().map(|(name, on)| (name.as_str(), on.as_bool().unwrap())).collect();
            setup_ack(&abilities)
        }
        "NamingFuzzyWatchSyncRequest" => {
            let contexts = sent["contexts"].as_array().unwrap().iter();
            let contexts: Vec<_> = contexts
                .map(|context| (service(&context["serviceKey"]), change(&context["changedType"])))
                .collect();
            let kinds = [SyncKind::Init, SyncKind::Diff, SyncKind::Finish];
            let named = kinds.into_iter().find(|kind| sent["syncType"] == kind.name());
            let sync = FuzzySync {
                kind: named.unwrap(),
                pattern: sent["groupKeyPattern"].as_str().unwrap(),
                contexts: &contexts,
                total_batch: sent["totalBatch"].as_u64().unwrap() as usize,
                current_batch: sent["currentBatch"].as_u64().unwrap() as usize,
            };
            fuzzy_sync(id(), &sync)
        }
        "NamingFuzzyWatchChangeNotifyRequest" => {
            fuzzy_change(id(), &service(&sent["serviceKey"]), change(&sent["changedType"]))
        }
        _ => return None,
    })
}

#[test]
fn every_answer_and_push_of_the_reference_is_made_again() {
    let mut kinds = std::collections::BTreeSet::new();
    for (kind, sent) in samples() {
        let body = remade(&kind, &sent).unwrap_or_else(|| panic!("{kind} is not made"));
        assert_eq!(
            (body.kind, body.error_code),
            (kind.as_str(), sent["errorCode"].as_i64().unwrap_or(0) as i32)
        );
        assert_eq!(json_of(&body), sent);
        assert_eq!(members(&json_of(&body)), members(&sent));
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 14, "{kinds:?}");
}

#[test]
fn what_no_sample_shows() {
    let redirect = Redirect { ip: "10.0.0.2", port: "8848" };
    let body = connect_reset(7, Some(redirect), Some("1_10.0.0.1_5"));
    let expected = json!({"headers": {}, "requestId": "7", "serverIp": "10.0.0.2",
        "serverPort": "8848", "connectionId": "1_10.0.0.1_5", "module": "internal"});
    assert_eq!((body.kind, json_of(&body)), ("ConnectResetRequest", expected));
    let expected = json!({"headers": {}, "requestId": "7", "module": "internal"});
    assert_eq!(json_of(&connect_reset(7, None, None)), expected);

    let failed = |code: i32, message: &str| json!({"resultCode": 500, "errorCode": code, "message": message, "success": false});
    let over = fuzzy_patterns_over();
    assert_eq!(json_of(&over), failed(50310, "fuzzy watch pattern over limit"));
    let over = fuzzy_matches_over();
    assert_eq!(json_of(&over), failed(50311, "fuzzy watch pattern matched count over limit"));
    assert_eq!(json_of(&error(301, "a \"b\"")), failed(301, "a \"b\""));
    let busy = typed_error(Kind::Instance, 503, "busy");
    assert_eq!((busy.kind, json_of(&busy)), ("InstanceResponse", failed(503, "busy")));
    let list = json_of(&typed_error(Kind::ServiceList, 400, "no"));
    assert_eq!(list["count"], 0);
}

#[test]
fn push_ids_of_any_length_fit_without_a_heap() {
    let body = notify(u64::MAX, Bytes::from_static(b"{}"));
    assert_eq!(json_of(&body)["requestId"], u64::MAX.to_string());
    assert!(matches!(body.json, Json::Shared { .. }));
}

#[test]
fn a_page_no_client_could_receive_is_refused() {
    let long = "n".repeat(512);
    let body = service_list(30_000, std::iter::repeat_n(long.as_str(), 30_000));
    let json = json_of(&body);
    assert_eq!((&json["errorCode"], &json["success"]), (&json!(400), &json!(false)));
    assert_eq!(
        json["message"],
        format!("The page exceeds {LIST_BYTES_MAX} bytes, ask for a smaller pageSize.")
    );
    assert_eq!(
        json_of(&service_list(1, [key("a\"").service()].into_iter()))["serviceNames"],
        json!(["a\""])
    );
}
