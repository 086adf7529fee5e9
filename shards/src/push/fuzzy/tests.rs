use crate::effect::{CloseReason, Effect};
use crate::home::fixture::{Bench, asks, pushes, reply, text};
use crate::key::{ConnKey, Owner, ServiceKey};
use crate::message::{Ask, Message, NameChange, Tell, Waiter, Watch};
use crate::naming::answer;
use crate::settings::Settings;
use nacre_proto::naming::FuzzyWatchRequest;
use nacre_proto::request::Request;

const PATTERN: &str = "ns-0>>DEFAULT_GROUP>>order*";

fn name(n: usize) -> ServiceKey {
    ServiceKey::new(namespace(), "DEFAULT_GROUP", &format!("order-{n}"))
}

fn pattern() -> String {
    PATTERN.replace("ns-0", namespace())
}

/// A namespace whose directory is core 1.
fn namespace() -> &'static str {
    let map = crate::key::Map { cores: 2 };
    let other = Owner(crate::home::fixture::OWNER);
    ["a", "b", "c", "d", "e"].into_iter().find(|name| map.directory(name) == other).unwrap()
}

fn ask(bench: &mut Bench, conn: ConnKey, kind: &str, initializing: bool) -> Vec<Effect> {
    let request = FuzzyWatchRequest {
        group_key_pattern: Some(pattern().into()),
        watch_type: Some(kind.to_owned().into()),
        initializing,
        ..Default::default()
    };
    bench.call(conn, 5, Request::NamingFuzzyWatch(request))
}

fn answered(
    bench: &mut Bench,
    conn: ConnKey,
    initializing: bool,
    differences: Vec<(ServiceKey, NameChange)>,
) -> Vec<Effect> {
    let watch = Watch { pattern: pattern().into(), known: Vec::new(), initializing };
    let (waiter, watch) = (Waiter { conn, stream: 5 }, Box::new(watch));
    bench.tell(Tell::Watched { waiter, watch, body: answer::fuzzy(), differences })
}

fn watching(bench: &mut Bench, slot: u32) -> ConnKey {
    let conn = bench.client(slot);
    assert!(matches!(asks(&ask(bench, conn, "WATCH", true))[..], [Ask::Watch { .. }]));
    answered(bench, conn, true, Vec::new());
    let finish = pushes(&bench.pass(1_100));
    assert_eq!(finish.len(), 1);
    bench.ack(conn, finish[0].0, true);
    conn
}

fn texts(effects: &[Effect]) -> Vec<String> {
    let body = |effect: &Effect| match effect {
        Effect::Push { body, .. } => text(body),
        other => panic!("{other:?}"),
    };
    effects.iter().map(body).collect()
}

#[test]
fn the_first_synchronisation_comes_in_batches_and_says_when_it_is_done() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    ask(&mut bench, conn, "WATCH", true);
    let all = (0..23).map(|n| (name(n), NameChange::Added)).collect();
    reply(&answered(&mut bench, conn, true, all));
    assert_eq!(bench.pass(980), []);
    let batches = bench.pass(40);
    assert_eq!(batches.len(), 3);
    for (n, text) in texts(&batches).iter().enumerate() {
        assert!(text.contains("FUZZY_WATCH_INIT_NOTIFY"), "{text}");
        assert!(text.contains(&format!("\"totalBatch\":3,\"currentBatch\":{}", n + 1)), "{text}");
        assert_eq!(text.matches("serviceKey").count(), [10, 10, 3][n]);
    }
    let ids: Vec<_> = pushes(&batches).iter().map(|push| push.0).collect();
    bench.ack(conn, ids[2], true);
    bench.ack(conn, ids[0], true);
    assert_eq!(bench.pass(1_000), []);
    bench.ack(conn, ids[1], true);
    assert_eq!(bench.pass(480), []);
    let finish = bench.pass(40);
    let [text] = &texts(&finish)[..] else { panic!("{finish:?}") };
    assert!(text.contains("FINISH_FUZZY_WATCH_INIT_NOTIFY"), "{text}");
    assert!(text.contains("\"contexts\":[]"), "{text}");
    bench.ack(conn, pushes(&finish)[0].0, true);
    assert_eq!(bench.pass(10_000), []);
}

#[test]
fn nothing_new_is_said_to_beginners_only() {
    for (initializing, expected) in [(true, 1), (false, 0)] {
        let mut bench = Bench::new(Settings::default());
        let conn = bench.client(1);
        ask(&mut bench, conn, "WATCH", initializing);
        answered(&mut bench, conn, initializing, Vec::new());
        assert_eq!(bench.pass(1_100).len(), expected);
    }
}

#[test]
fn a_batch_is_repeated_until_it_is_acknowledged() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    ask(&mut bench, conn, "WATCH", false);
    answered(&mut bench, conn, false, vec![(name(0), NameChange::Added)]);
    let first = bench.pass(1_050);
    assert!(texts(&first)[0].contains("FUZZY_WATCH_DIFF_SYNC_NOTIFY"));
    assert_eq!(bench.pass(4_900), []);
    let second = bench.pass(200);
    assert_eq!(second.len(), 1);
    bench.ack(conn, pushes(&first)[0].0, true);
    bench.ack(conn, pushes(&second)[0].0, false);
    let third = bench.pass(150);
    assert_eq!(third.len(), 1, "a negative ack is answered soon");
    bench.ack(conn, pushes(&third)[0].0, true);
    assert_eq!(bench.pass(9_000), []);
}

#[test]
fn names_that_come_and_go_are_told_to_their_watchers_once() {
    let mut bench = Bench::new(Settings::default());
    let conn = watching(&mut bench, 1);
    let change = NameChange::Added;
    bench.tell(Tell::NameChanged { service: name(3), change });
    let other = ServiceKey::new(namespace(), "DEFAULT_GROUP", "billing");
    bench.tell(Tell::NameChanged { service: other, change });
    let told = bench.drain();
    let [text] = &texts(&told)[..] else { panic!("{told:?}") };
    assert!(text.contains("FUZZY_WATCH_RESOURCE_CHANGED"), "{text}");
    assert!(text.contains("order-3") && text.contains("ADD_SERVICE"), "{text}");

    let change = NameChange::Deleted;
    bench.tell(Tell::NameChanged { service: name(3), change });
    let newer = bench.drain();
    assert!(texts(&newer)[0].contains("DELETE_SERVICE"), "does not wait for the first ack");
    bench.ack(conn, pushes(&told)[0].0, true);
    assert_eq!(bench.pass(4_900), []);
    assert_eq!(bench.pass(200).len(), 1, "the ack was for the former one");
}

#[test]
fn a_batch_agrees_with_what_changed_since() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    ask(&mut bench, conn, "WATCH", true);
    answered(&mut bench, conn, true, vec![(name(0), NameChange::Added)]);
    bench.tell(Tell::NameChanged { service: name(0), change: NameChange::Deleted });
    assert!(texts(&bench.drain())[0].contains("DELETE_SERVICE"));
    let batch = bench.pass(1_050);
    assert!(texts(&batch)[0].contains("DELETE_SERVICE"), "{batch:?}");
    let _ = conn;
}

#[test]
fn cancelling_and_leaving_end_it() {
    let mut bench = Bench::new(Settings::default());
    let first = watching(&mut bench, 1);
    let second = watching(&mut bench, 2);
    let effects = ask(&mut bench, first, "CANCEL_WATCH", false);
    let [Ask::Unwatch { waiter, .. }] = asks(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(waiter.stream, 5);
    let effects = bench.handle(Message::Disconnected { conn: second });
    let [Ask::Unwatch { waiter, .. }] = asks(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(waiter.stream, 0);
    assert!(bench.home.patterns.is_empty());
    bench.tell(Tell::NameChanged { service: name(0), change: NameChange::Added });
    assert_eq!(bench.drain(), []);
}

#[test]
fn cancelling_before_the_answer_counts() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    ask(&mut bench, conn, "WATCH", true);
    ask(&mut bench, conn, "CANCEL_WATCH", true);
    reply(&answered(&mut bench, conn, true, vec![(name(0), NameChange::Added)]));
    assert_eq!(bench.pass(3_000), []);
    assert!(bench.home.patterns.is_empty());
}

#[test]
fn who_does_not_read_costs_a_bounded_amount() {
    let mut bench = Bench::new(Settings::default());
    let conn = watching(&mut bench, 1);
    bench.handle(Message::Congested { conn, congested: true });
    let bound = crate::limits::FUZZY_DELIVERIES_PER_CONNECTION_MAX;
    for n in 0..bound {
        bench.tell(Tell::NameChanged { service: name(n), change: NameChange::Added });
        assert_eq!(bench.drain(), []);
    }
    bench.tell(Tell::NameChanged { service: name(bound), change: NameChange::Added });
    let effects = bench.drain();
    let close = Effect::Close { conn, reason: CloseReason::TooSlow };
    assert_eq!(effects[1..], [close], "{effects:?}");
}

#[test]
fn reading_again_brings_what_waited() {
    let mut bench = Bench::new(Settings::default());
    let conn = watching(&mut bench, 1);
    bench.handle(Message::Congested { conn, congested: true });
    bench.tell(Tell::NameChanged { service: name(0), change: NameChange::Added });
    assert_eq!(bench.drain(), []);
    bench.handle(Message::Congested { conn, congested: false });
    assert_eq!(bench.drain().len(), 1);
}
