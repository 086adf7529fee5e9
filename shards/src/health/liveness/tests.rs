use crate::effect::{CloseReason, Effect};
use crate::home::fixture::{Bench, asks, pushes, service, text};
use crate::limits::LATE_PER_TURN_MAX;
use crate::message::Message;
use crate::settings::Settings;
use nacre_proto::request::Request;

fn closes(effects: &[Effect]) -> Vec<CloseReason> {
    let close = |effect: &Effect| match effect {
        Effect::Close { reason, .. } => Some(*reason),
        _ => None,
    };
    effects.iter().filter_map(close).collect()
}

#[test]
fn never_set_up_is_closed_in_time() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.connect(1);
    bench.handle(Message::ServerCheck { conn, stream: 1 });
    assert_eq!(bench.pass(19_999), []);
    let effects = bench.pass(300);
    assert_eq!(effects, [Effect::Close { conn, reason: CloseReason::NeverSetUp }]);
    assert_eq!(bench.pass(60_000), [], "once");
}

#[test]
fn silence_is_asked_about_and_ends_in_ejection() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.register(conn, &service(0), "registerInstance");
    assert_eq!(bench.pass(19_999), []);
    let effects = bench.pass(300);
    let [Effect::Push { body, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(body.kind, "ClientDetectionRequest");
    assert_eq!(bench.pass(4_600), []);
    let effects = bench.pass(600);
    assert_eq!(closes(&effects), [CloseReason::Ejected]);
    assert_eq!(asks(&effects).len(), 1, "what it published goes at once: {effects:?}");
    assert_eq!(bench.home.counters.closes.ejected, 1);
    assert_eq!(bench.handle(Message::Disconnected { conn }), []);
}

#[test]
fn an_answer_or_any_activity_keeps_the_client() {
    type Sign = fn(&mut Bench, crate::key::ConnKey, u64) -> Vec<Effect>;
    let signs: [Sign; 3] = [
        |bench, conn, id| bench.ack(conn, id, true),
        |bench, conn, _| bench.ack(conn, 12_345, false),
        |bench, conn, _| bench.call(conn, 1, Request::HealthCheck),
    ];
    for (n, sign) in signs.into_iter().enumerate() {
        let mut bench = Bench::new(Settings::default());
        let conn = bench.client(1);
        let id = pushes(&bench.pass(20_500))[0].0;
        sign(&mut bench, conn, id);
        assert_eq!(bench.pass(19_500), [], "sign {n}");
        assert_eq!(pushes(&bench.pass(1_000)).len(), 1, "sign {n}");
    }
}

#[test]
fn a_negative_answer_to_the_question_ends_it() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    let id = pushes(&bench.pass(20_500))[0].0;
    assert_eq!(closes(&bench.ack(conn, id, false)), [CloseReason::Ejected]);
}

#[test]
fn server_checks_and_refused_calls_are_no_activity() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.pass(15_000);
    bench.handle(Message::ServerCheck { conn, stream: 1 });
    bench.handle(Message::Call {
        conn,
        stream: 3,
        app: None,
        tag: None,
        request: Err("bad".into()),
    });
    assert_eq!(pushes(&bench.pass(5_500)).len(), 1);
}

#[test]
fn our_stalls_are_not_their_deaths() {
    let mut bench = Bench::new(Settings::default());
    bench.client(1);
    bench.pass(15_000);
    bench.now_ms += 60_000;
    bench.stalled_ms += 60_000;
    assert_eq!(bench.pass(4_900), []);
    assert_eq!(pushes(&bench.pass(500)).len(), 1);
}

#[test]
fn one_that_does_not_read_is_not_written_to_and_closed_at_last() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.handle(Message::Congested { conn, congested: true });
    let mut effects = Vec::new();
    for _ in 0..31 {
        effects.extend(bench.pass(10_000));
        bench.handle(Message::Call { conn, stream: 3, app: None, tag: None, request: Ok(None) });
        bench.home.table.get_mut(conn).unwrap().last_active_ms = bench.now_ms;
    }
    assert_eq!(effects, [Effect::Close { conn, reason: CloseReason::TooSlow }]);

    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.handle(Message::Congested { conn, congested: true });
    let effects = bench.pass(26_000);
    assert_eq!(effects, [Effect::Close { conn, reason: CloseReason::Ejected }], "silent as well");
}

#[test]
fn stopping_sends_everybody_away() {
    let mut bench = Bench::new(Settings::default());
    let first = bench.client(1);
    let second = bench.client(2);
    let third = bench.connect(3);
    assert_eq!(bench.handle(Message::Stopping), []);
    assert!(bench.home.has_work());
    let effects = bench.drain();
    assert!(!bench.home.has_work());
    let [Effect::Push { body, .. }, Effect::Push { .. }, Effect::Close { conn, .. }] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((body.kind, *conn), ("ConnectResetRequest", third));
    assert!(!text(body).contains("serverIp"));
    let id = pushes(&effects)[0].0;
    let close = |conn| Effect::Close { conn, reason: CloseReason::Stopping };
    assert_eq!(bench.ack(first, id, true), [close(first)]);
    assert_eq!(bench.pass(1_300), [close(second)]);
    let late = bench.connect(4);
    assert_eq!(bench.set_up(late, "naming", false).len(), 1, "told at its setup");
}

#[test]
fn stopping_tells_few_in_a_turn() {
    let mut bench = Bench::new(Settings::default());
    for slot in 0..10 {
        bench.client(slot);
    }
    bench.handle(Message::Stopping);
    let told = bench.turn(|home, turn| home.drain(4, turn));
    assert_eq!((told.len(), bench.home.has_work()), (4, true));
}

#[test]
fn a_crowd_that_fell_silent_is_asked_a_few_at_a_time() {
    let mut bench = Bench::new(Settings::default());
    for slot in 0..500 {
        bench.client(slot);
    }
    bench.now_ms += 20_500;
    let (mut asked, mut turns) = (0, 0);
    while bench.home.is_late(bench.now_ms) {
        let effects = bench.turn(|home, turn| home.tick(turn));
        assert!(effects.len() <= LATE_PER_TURN_MAX, "{}", effects.len());
        asked += pushes(&effects).len();
        turns += 1;
    }
    assert_eq!(asked, 500, "each of them, once");
    assert!(turns >= 500 / LATE_PER_TURN_MAX, "{turns}");
    assert_eq!(bench.home.counters.detections, 500);
}
