use crate::config::fixture::{Centre, id, pushes};
use crate::effect::{CloseReason, Effect};
use crate::key::ConnKey;
use crate::message::Message;
use crate::settings::Settings;
use serde_json::json;

const NONE: [u64; 0] = [];

fn centre() -> Centre {
    Centre::new(Settings { idle_ms: u32::MAX, ..Settings::default() })
}

/// Request ids of notifications among the effects.
fn ids(effects: &[Effect]) -> Vec<u64> {
    let pushes = pushes(effects);
    assert!(pushes.iter().all(|push| push.1 == "ConfigChangeNotifyRequest"), "{pushes:?}");
    pushes.iter().map(id).collect()
}

fn listener(centre: &mut Centre, slot: u32) -> ConnKey {
    let conn = centre.client(slot);
    centre.listen(conn, "a", r#""public""#, "");
    conn
}

/// `config.md` 19: told at once, also of a config that was not there; each in his own spelling.
#[test]
fn listeners_are_told_in_their_own_spelling() {
    let mut centre = centre();
    let named = listener(&mut centre, 1);
    let blank = centre.client(2);
    centre.listen(blank, "a", r#""""#, "");
    let absent = centre.client(3);
    centre.listen(absent, "a", "null", "");
    let other = centre.client(4);
    centre.listen(other, "b", "null", "");
    let pushes = pushes(&centre.publish("a", "1"));
    assert_eq!(pushes.len(), 3);
    for (conn, kind, json) in pushes {
        assert_eq!(kind, "ConfigChangeNotifyRequest");
        assert_eq!((&json["dataId"], &json["group"]), (&json!("a"), &json!("g")));
        let tenant = (conn == named).then(|| json!("public"));
        assert_eq!(json.get("tenant"), tenant.as_ref(), "{conn:?}");
    }
    assert_eq!(ids(&centre.publish("c", "1")), NONE);
}

#[test]
fn a_change_of_nothing_that_clients_see_tells_nobody() {
    let mut centre = centre();
    let conn = listener(&mut centre, 1);
    let first = ids(&centre.publish("a", "1"));
    centre.bench.ack(conn, first[0], true);
    assert_eq!(ids(&centre.publish_with("a", "1", r#""type":"yaml""#)), NONE);
    assert_eq!(ids(&centre.publish_with("a", "x", r#""tag":"t1""#)).len(), 1);
}

/// `config.md` 6: 3 s for the ack, then 2 s, 4 s, 6 s, …
#[test]
fn what_is_not_acknowledged_is_repeated_ever_later() {
    let mut centre = centre();
    let conn = listener(&mut centre, 1);
    let mut last = ids(&centre.publish("a", "1"))[0];
    for pause_ms in [2_000, 4_000, 6_000] {
        assert_eq!(ids(&centre.bench.pass(3_000 + pause_ms - 300)), NONE);
        let again = ids(&centre.bench.pass(400));
        assert_eq!(again.len(), 1, "{pause_ms}");
        assert!(again[0] > last);
        last = again[0];
    }
    assert_eq!(centre.bench.home.counters.configs.failed, 3);
    centre.bench.ack(conn, last, true);
    assert_eq!(ids(&centre.bench.pass(60_000)), NONE);
    // The count begins anew.
    centre.publish("a", "2");
    assert_eq!(ids(&centre.bench.pass(5_200)).len(), 1);
}

#[test]
fn a_negative_ack_is_a_failure_at_once() {
    let mut centre = centre();
    let conn = listener(&mut centre, 1);
    let first = ids(&centre.publish("a", "1"))[0];
    centre.bench.ack(conn, first, false);
    assert_eq!(ids(&centre.bench.pass(1_900)), NONE);
    assert_eq!(ids(&centre.bench.pass(200)).len(), 1);
}

#[test]
fn who_never_answers_is_given_up() {
    let mut settings = Settings { idle_ms: u32::MAX, ..Settings::default() };
    settings.config.push_tries_max = 2;
    let mut centre = Centre::new(settings);
    let conn = listener(&mut centre, 1);
    centre.publish("a", "1");
    let effects = centre.bench.pass(3_000 + 2_000 + 3_000 + 4_000 + 3_000 + 200);
    assert_eq!(pushes(&effects).len(), 2);
    let close = Effect::Close { conn, reason: CloseReason::TooSlow };
    assert!(effects.contains(&close), "{effects:?}");
    assert_eq!(centre.bench.home.counters.configs.given_up, 1);
    assert_eq!(centre.bench.home.listeners.records.len(), 0);
}

/// The client may have looked before the second change happened.
#[test]
fn a_change_while_one_is_unacknowledged_is_told_after_the_ack() {
    let mut centre = centre();
    let conn = listener(&mut centre, 1);
    let first = ids(&centre.publish("a", "1"))[0];
    assert_eq!(ids(&centre.publish("a", "2")), NONE);
    assert_eq!(ids(&centre.publish("a", "3")), NONE);
    centre.bench.ack(conn, first, true);
    let second = ids(&centre.bench.drain());
    assert_eq!(second.len(), 1);
    centre.bench.ack(conn, second[0], true);
    assert_eq!(ids(&centre.bench.drain()), NONE);
    // Without an ack it is told after half a second.
    centre.publish("a", "4");
    centre.publish("a", "5");
    assert_eq!(ids(&centre.bench.pass(450)), NONE);
    assert_eq!(ids(&centre.bench.pass(100)).len(), 1);
}

#[test]
fn old_and_foreign_acks_change_nothing() {
    let mut centre = centre();
    let conn = listener(&mut centre, 1);
    let other = listener(&mut centre, 2);
    let told = pushes(&centre.publish("a", "1"));
    let own = told.iter().find(|push| push.0 == conn).unwrap();
    centre.bench.ack(other, id(own), true);
    centre.bench.ack(conn, id(own) + (1 << 30), true);
    centre.bench.ack(conn, u64::MAX, true);
    assert_eq!(ids(&centre.bench.pass(5_200)).len(), 2, "both are repeated");
}

#[test]
fn who_does_not_read_is_told_when_he_does() {
    let mut centre = centre();
    let conn = listener(&mut centre, 1);
    centre.bench.handle(Message::Congested { conn, congested: true });
    assert_eq!(ids(&centre.publish("a", "1")), NONE);
    assert_eq!(ids(&centre.publish("a", "2")), NONE);
    centre.bench.handle(Message::Congested { conn, congested: false });
    assert_eq!(ids(&centre.bench.drain()).len(), 1);
}

#[test]
fn many_listeners_are_told_over_turns_and_nobody_is_missed() {
    let mut centre = centre();
    let conns: Vec<_> = (0..300).map(|slot| listener(&mut centre, slot)).collect();
    let changes = {
        let command = crate::durable::command::Command::DeleteNamespace { id: "none" };
        centre.state.apply(1, &command.encode(), &mut Vec::new());
        centre.state.settle()
    };
    assert!(changes.is_empty());
    let key = centre.bench.home.listeners.configs.iter().next().unwrap().1.key.clone();
    let change = crate::durable::state::Change { key, told: true, presence: None };
    centre.bench.turn(|home, _| home.configs_changed(std::slice::from_ref(&change)));
    let mut told = Vec::new();
    let slice = |centre: &mut Centre| centre.bench.turn(|home, turn| home.drain(10, turn));
    for turn in 0..100 {
        let effects = slice(&mut centre);
        assert!(pushes(&effects).len() <= 10);
        for push in pushes(&effects) {
            centre.bench.ack(push.0, id(&push), true);
            told.push(push.0);
        }
        if turn == 5 {
            // Half way some leave and some come.
            for conn in &conns[40..60] {
                centre.bench.handle(Message::Disconnected { conn: *conn });
            }
            listener(&mut centre, 1_000);
        }
    }
    told.sort_by_key(|conn| conn.slot);
    told.dedup();
    let left = conns.iter().enumerate().filter(|(at, _)| !(40..60).contains(at));
    assert!(left.clone().all(|(_, conn)| told.contains(conn)));
    // A constant stream of changes starves nobody.
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..200 {
        centre.bench.turn(|home, _| home.configs_changed(std::slice::from_ref(&change)));
        for push in pushes(&slice(&mut centre)) {
            centre.bench.ack(push.0, id(&push), true);
            told.insert(push.0.slot);
        }
    }
    assert!(left.into_iter().all(|(_, conn)| told.contains(&conn.slot)));
}
