use super::*;
use crate::effect::Body;
use crate::home::fixture::{Bench, OWNER};
use crate::message::Message;
use crate::settings::Settings;

const ASKER: Waiter = Waiter::of_ticket(Home(OWNER), 7);

/// Config clients at one address.
fn bench(clients: u32) -> Bench {
    let mut bench = Bench::new(Settings::default());
    for slot in 0..clients {
        let conn = bench.connect(slot);
        bench.set_up(conn, "config", false);
    }
    bench
}

fn inquire(bench: &mut Bench, client_ip: &str, config: Option<&str>) -> Vec<Effect> {
    let inquiry = Inquiry { client_ip: client_ip.into(), config: config.map(Into::into) };
    bench.turn(|home, turn| home.inquire(OWNER, ASKER, &inquiry, turn))
}

fn asked(effects: &[Effect]) -> Vec<(ConnKey, u64)> {
    let asked = effects.iter().map(|effect| match effect {
        Effect::Push { conn, body } => (*conn, id_of(body)),
        other => panic!("{other:?}"),
    });
    asked.collect()
}

fn id_of(body: &Body) -> u64 {
    assert_eq!(body.kind, "ClientConfigMetricRequest");
    let json: serde_json::Value = serde_json::from_slice(&body.json.pieces().concat()).unwrap();
    json["requestId"].as_str().unwrap().parse().unwrap()
}

fn told(bench: &mut Bench, (conn, request_id): (ConnKey, u64), json: &str) -> Vec<Effect> {
    bench.handle(Message::Metrics { conn, request_id, json: json.as_bytes() })
}

fn answered(effects: &[Effect]) -> Vec<&[u8]> {
    match effects {
        [Effect::Tell { to: Home(OWNER), tell: Tell::Opened { waiter: ASKER, answer } }] => {
            match answer {
                Answer::Metrics(answers) => answers.iter().map(|answer| &answer[..]).collect(),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_config_clients_of_an_address_are_asked_and_awaited() {
    let mut bench = bench(2);
    let naming = bench.client(9);
    let asked = asked(&inquire(&mut bench, "192.0.2.2", None));
    assert!(asked.len() == 2 && asked.iter().all(|(conn, _)| *conn != naming));
    assert_eq!(told(&mut bench, asked[0], "first"), []);
    assert_eq!(told(&mut bench, asked[0], "again"), [], "it answered already");
    assert_eq!(told(&mut bench, (naming, asked[1].1), "not asked"), []);
    let answers = told(&mut bench, asked[1], "second");
    assert_eq!(answered(&answers), [b"first".as_slice(), b"second"]);
    assert_eq!(bench.pass(2_000), [], "answered once");
}

#[test]
fn who_says_nothing_in_time_is_left_out() {
    let mut bench = bench(2);
    let asked = asked(&inquire(&mut bench, "192.0.2.2", None));
    assert_eq!(told(&mut bench, asked[1], "second"), []);
    bench.handle(Message::Disconnected { conn: asked[0].0 });
    assert_eq!(bench.pass(INQUIRY_MS - 50), []);
    assert_eq!(answered(&bench.pass(100)), [b"second"]);
    assert_eq!(told(&mut bench, asked[0], "late"), []);
    // Nobody there is nobody to wait for.
    assert!(answered(&inquire(&mut bench, "192.0.2.3", None)).is_empty());
}

#[test]
fn too_much_is_dropped_and_too_many_are_refused() {
    let mut bench = bench(1);
    for _ in 0..INQUIRIES_MAX {
        assert_eq!(asked(&inquire(&mut bench, "192.0.2.2", None)).len(), 1);
    }
    let refused = inquire(&mut bench, "192.0.2.2", None);
    let [Effect::Tell { tell: Tell::Opened { answer: Answer::Refused(refused), .. }, .. }] =
        &refused[..]
    else {
        panic!("{refused:?}")
    };
    assert_eq!(refused.status, 503);
    bench.pass(2 * INQUIRY_MS);
    let asked = asked(&inquire(&mut bench, "192.0.2.2", None));
    let long = "x".repeat(INQUIRY_BYTES_MAX + 1);
    assert!(answered(&told(&mut bench, asked[0], &long)).is_empty());
}

/// As Java's `ClientConfigMetricRequest` reads it (`grpc-protocol.md` 11.3).
#[test]
fn a_config_is_asked_about_by_its_group_key() {
    let mut bench = bench(1);
    let effects = inquire(&mut bench, "192.0.2.2", Some("d+g"));
    let [Effect::Push { body, .. }] = &effects[..] else { panic!("{effects:?}") };
    let json: serde_json::Value = serde_json::from_slice(&body.json.pieces().concat()).unwrap();
    let keys = serde_json::json!([
        { "type": "cacheData", "key": "d+g" },
        { "type": "snapshotData", "key": "d+g" },
    ]);
    assert_eq!((&json["metricsKeys"], &json["module"]), (&keys, &"config".into()));
}
