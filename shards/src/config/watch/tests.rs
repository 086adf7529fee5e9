use crate::config::fixture::{Centre, id, one_reply, pushes};
use crate::effect::Effect;
use crate::key::ConnKey;
use crate::settings::Settings;
use nacre_proto::request::Kind;
use serde_json::Value;
use std::collections::BTreeMap;

fn centre() -> Centre {
    Centre::new(Settings { idle_ms: u32::MAX, ..Settings::default() })
}

/// All effects until there is nothing left to do.
fn settle(centre: &mut Centre) -> Vec<Effect> {
    let mut all = Vec::new();
    while centre.bench.home.has_work() {
        all.extend(centre.bench.drain());
    }
    all
}

fn watch(pattern: &str, known: &str, initializing: bool) -> String {
    format!(
        r#"{{"groupKeyPattern":"{pattern}","receivedGroupKeys":[{known}],"watchType":"WATCH",
        "initializing":{initializing}}}"#
    )
}

fn watched(centre: &mut Centre, conn: ConnKey, json: &str) -> (Value, Vec<Value>) {
    let mut effects = centre.call(conn, Kind::ConfigFuzzyWatch, json);
    effects.extend(settle(centre));
    let mut told = Vec::new();
    let mut round = pushes(&effects);
    while !round.is_empty() {
        for push in round.drain(..) {
            centre.bench.ack(push.0, id(&push), true);
            told.push(push.2);
        }
        let next = centre.bench.pass(32);
        round = pushes(&next);
    }
    (one_reply(&effects), told)
}

/// Each batch: kind, its number, and how many names are there and gone.
fn shape(told: &[Value]) -> Vec<(String, u64, u64, usize, usize)> {
    let of = |sync: &Value| {
        let mut counts = BTreeMap::new();
        for context in sync["contexts"].as_array().into_iter().flatten() {
            *counts.entry(context["changedType"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
        let kind = sync["syncType"].as_str().unwrap_or("?").replace("FUZZY_WATCH_", "");
        let number = |member: &str| sync[member].as_u64().unwrap();
        let (current, total) = (number("currentBatch"), number("totalBatch"));
        (kind, current, total, count("ADD_CONFIG"), count("DELETE_CONFIG"))
    };
    told.iter().map(of).collect()
}

/// `config.md` 19: 45 configs are three batches and the end.
#[test]
fn a_first_watch_is_told_everything_in_batches() {
    let mut centre = centre();
    for number in 0..45 {
        centre.publish(&format!("w{number}"), "1");
    }
    centre.publish("other", "1");
    let conn = centre.client(1);
    let (answer, told) = watched(&mut centre, conn, &watch("public>>g>>w*", "", true));
    assert_eq!(answer["resultCode"], 200);
    let init = |current, names| ("INIT_NOTIFY".to_owned(), current, 3, names, 0);
    let finish = ("FINISH_INIT_NOTIFY".to_owned(), 0, 0, 0, 0);
    assert_eq!(shape(&told), [init(1, 20), init(2, 20), init(3, 5), finish]);
}

#[test]
fn names_that_come_and_go_are_told() {
    let mut centre = centre();
    let conn = centre.client(1);
    let (_, told) = watched(&mut centre, conn, &watch(">>g>>w*", "", true));
    assert_eq!(shape(&told), [("FINISH_INIT_NOTIFY".to_owned(), 0, 0, 0, 0)]);
    let change = |effects: &[Effect]| {
        let pushes = pushes(effects);
        let text = |push: &(ConnKey, &str, Value)| {
            format!("{} {}", push.2["changeType"].as_str().unwrap(), push.2["groupKey"])
        };
        pushes.iter().map(text).collect::<Vec<_>>()
    };
    let created = centre.publish("w1", "1");
    assert_eq!(change(&created), ["CONFIG_CHANGED \"w1+g+public\""]);
    assert_eq!(change(&centre.publish("w1", "2")), [] as [String; 0], "content is no name");
    assert_eq!(change(&centre.publish("x1", "1")), [] as [String; 0]);
    // The first message was not acknowledged: it gives way.
    assert_eq!(change(&centre.remove("w1")), ["DELETE_CONFIG \"w1+g+public\""]);
    // Unacknowledged, it comes again.
    assert_eq!(change(&centre.bench.pass(5_100)), ["DELETE_CONFIG \"w1+g+public\""]);
}

#[test]
fn who_comes_back_is_told_the_difference() {
    let mut centre = centre();
    centre.publish("w1", "1");
    centre.publish("w2", "1");
    let conn = centre.client(1);
    let known = r#""w2+g+public","w3+g+public","x9+g+public""#;
    let (_, told) = watched(&mut centre, conn, &watch("public>>g>>w*", known, false));
    assert_eq!(shape(&told), [("DIFF_SYNC_NOTIFY".to_owned(), 1, 1, 1, 1)]);
    let conn = centre.client(2);
    let known = r#""w1+g+public","w2+g+public""#;
    let (_, told) = watched(&mut centre, conn, &watch("public>>g>>w*", known, false));
    assert_eq!(shape(&told), []);
}

#[test]
fn limits_have_their_codes_and_the_watch_stays() {
    let mut settings = Settings { idle_ms: u32::MAX, ..Settings::default() };
    settings.config.fuzzy_matches_max = 3;
    settings.config.fuzzy_patterns_max = 2;
    let mut centre = Centre::new(settings);
    for number in 0..5 {
        centre.publish(&format!("w{number}"), "1");
    }
    let conn = centre.client(1);
    // Gone names are withheld: a name not told may be there beyond the limit.
    let json = watch("public>>g>>w*", r#""w77+g+public""#, true);
    let (answer, told) = watched(&mut centre, conn, &json);
    assert_eq!((&answer["errorCode"], &answer["resultCode"]), (&50_311.into(), &500.into()));
    let finish = ("FINISH_INIT_NOTIFY".to_owned(), 0, 0, 0, 0);
    assert_eq!(shape(&told), [("INIT_NOTIFY".to_owned(), 1, 1, 3, 0), finish]);
    assert_eq!(pushes(&centre.publish("w9", "1")).len(), 1, "the watch stays");
    watched(&mut centre, conn, &watch("public>>g>>x*", "", true));
    let refused = centre.answer(conn, Kind::ConfigFuzzyWatch, &watch("public>>g>>y*", "", true));
    assert_eq!(refused["errorCode"], 50_310);
    let again = watched(&mut centre, conn, &watch("public>>g>>x*", "", true));
    assert_eq!(again.0["resultCode"], 200, "a known pattern is none too many");
}

#[test]
fn a_cancelled_watch_is_told_nothing_more() {
    let mut centre = centre();
    let conn = centre.client(1);
    watched(&mut centre, conn, &watch("public>>g>>*", "", true));
    let cancel = r#"{"groupKeyPattern":"public>>g>>*","watchType":"CANCEL_WATCH"}"#;
    assert_eq!(centre.answer(conn, Kind::ConfigFuzzyWatch, cancel)["resultCode"], 200);
    assert_eq!(pushes(&centre.publish("w1", "1")), []);
    // Cancelled before it was answered: both answers, in order, and nothing else.
    let sent = centre.call(conn, Kind::ConfigFuzzyWatch, &watch("public>>g>>*", "", true));
    assert_eq!(sent, []);
    let answers = centre.call(conn, Kind::ConfigFuzzyWatch, cancel);
    assert_eq!(answers.len(), 2);
    assert_eq!(settle(&mut centre), []);
    assert_eq!(pushes(&centre.publish("w2", "1")), []);
}

#[test]
fn odd_patterns_and_types_are_refused() {
    let mut centre = centre();
    let conn = centre.client(1);
    for (json, code) in [
        (r#"{"watchType":"WATCH"}"#, 400),
        (r#"{"groupKeyPattern":"a>>b","watchType":"WATCH"}"#, 400),
        (r#"{"groupKeyPattern":"a.b>>*>>*","watchType":"WATCH"}"#, 400),
        (r#"{"groupKeyPattern":"public>>*>>*"}"#, 500),
        (r#"{"groupKeyPattern":"public>>*>>*","watchType":"LOOK"}"#, 500),
    ] {
        let answer = centre.answer(conn, Kind::ConfigFuzzyWatch, json);
        assert_eq!(answer["errorCode"], code, "{json}");
    }
}
