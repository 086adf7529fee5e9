use crate::home::fixture::{Bench, pushes, service};
use crate::key::ConnKey;
use crate::limits::{FAN_SLICE, STORM_SERVICE_MS};
use crate::message::Message;
use crate::settings::Settings;

fn revisions(effects: &[crate::effect::Effect]) -> Vec<u64> {
    pushes(effects).iter().map(|(_, _, revision)| *revision).collect()
}

#[test]
fn the_first_change_leaves_at_once_and_ids_increase() {
    let mut bench = Bench::new(Settings::default());
    bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    assert!(bench.home.has_work());
    let first = pushes(&bench.drain());
    assert_eq!(first.len(), 1);
    assert!(!bench.home.has_work());
    bench.ack(first[0].1, first[0].0, true);
    bench.changed(&service(0), 3);
    let second = pushes(&bench.drain());
    assert!(second[0].0 > first[0].0);
}

#[test]
fn changes_coalesce_until_the_ack() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    let id = pushes(&bench.drain())[0].0;
    for revision in 3..10 {
        bench.changed(&service(0), revision);
        assert_eq!(bench.drain(), []);
    }
    assert_eq!(revisions(&bench.ack(conn, id, true)), [9]);
    assert_eq!(bench.ack(conn, id, true), [], "an ack counts once");
}

#[test]
fn a_late_ack_holds_a_change_back_for_500_ms_at_most() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    let early = pushes(&bench.drain())[0].0;
    bench.pass(200);
    bench.changed(&service(0), 3);
    assert_eq!(bench.drain(), []);
    assert_eq!(bench.pass(490), []);
    let pushed = bench.pass(42);
    assert_eq!(revisions(&pushed), [3]);
    assert_eq!(bench.ack(conn, early, true), [], "it answers a push that was overtaken");
    bench.changed(&service(0), 4);
    assert_eq!(bench.drain(), [], "the ack of 3 is awaited");
    assert_eq!(revisions(&bench.ack(conn, pushes(&pushed)[0].0, true)), [4]);
}

#[test]
fn no_ack_is_a_failure_after_5_s_and_repeated_after_1_s_for_ever() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    assert_eq!(revisions(&bench.drain()), [2]);
    for _ in 0..3 {
        bench.home.table.get_mut(conn).unwrap().last_active_ms = bench.now_ms;
        let repeated = bench.pass(6_000 + 2 * 32);
        assert_eq!(revisions(&repeated), [2]);
    }
    assert_eq!(bench.home.counters.pushes_failed, 3);
}

#[test]
fn a_negative_ack_is_repeated_with_the_latest_state() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    let id = pushes(&bench.drain())[0].0;
    assert_eq!(bench.ack(conn, id, false), []);
    assert_eq!(bench.pass(960), []);
    let again = bench.pass(80);
    assert_eq!(revisions(&again), [2]);
    bench.ack(conn, pushes(&again)[0].0, false);
    bench.changed(&service(0), 3);
    assert_eq!(revisions(&bench.drain()), [3], "a change does not wait for a repetition");
}

#[test]
fn the_configured_delay_holds_everything_back_and_ignores_acks() {
    let settings = Settings { push_delay_ms: Some(500), ..Settings::default() };
    let mut bench = Bench::new(settings);
    let conn = bench.client(1);
    bench.subscribe(conn, &service(0), true);
    assert!(revisions(&bench.subscribed(conn, &service(0), 1)).is_empty());
    assert_eq!(bench.pass(480), []);
    let first = bench.pass(40);
    assert_eq!(revisions(&first), [1]);
    bench.changed(&service(0), 2);
    assert_eq!(bench.pass(100), []);
    assert_eq!(bench.ack(conn, pushes(&first)[0].0, true), [], "an ack brings nothing forward");
    assert_eq!(bench.pass(200), []);
    bench.changed(&service(0), 3);
    assert_eq!(bench.pass(180), [], "the first change set the time");
    assert_eq!(revisions(&bench.pass(40)), [3]);
}

#[test]
fn what_waits_is_counted_until_it_is_enough() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.home.pushes_waiting(0), 0);
    for at in 0..3 {
        for slot in 0..4 {
            bench.follower(1 + 4 * at as u32 + slot, &service(at));
        }
        bench.drain();
    }
    for at in 0..3 {
        bench.changed(&service(at), 2);
    }
    assert_eq!(bench.home.pushes_waiting(100), 12);
    assert_eq!(bench.home.pushes_waiting(4), 8, "more than that");
    bench.changed(&service(0), 3);
    assert_eq!(bench.home.pushes_waiting(100), 16, "another round follows");
    bench.drain();
    assert_eq!(bench.home.pushes_waiting(100), 0);
}

/// A storm that never ends, and who has just subscribed in it: the first push waits.
fn in_storm() -> (Bench, ConnKey) {
    let mut bench = Bench::new(Settings { storm_arrivals: 0, ..Settings::default() });
    let conn = bench.client(1);
    bench.subscribe(conn, &service(0), true);
    assert!(revisions(&bench.subscribed(conn, &service(0), 1)).is_empty());
    (bench, conn)
}

#[test]
fn in_a_storm_changes_are_told_together() {
    let (mut bench, conn) = in_storm();
    for revision in 2..6 {
        assert_eq!(bench.pass(640), []);
        bench.changed(&service(0), revision);
    }
    let pushed = bench.pass(600);
    assert_eq!(revisions(&pushed), [5], "once, with all that came meanwhile");
    assert_eq!(bench.ack(conn, pushes(&pushed)[0].0, true), []);
    bench.changed(&service(0), 6);
    assert_eq!(bench.pass(2_960), []);
    assert_eq!(revisions(&bench.pass(80)), [6], "3 s at most");
    assert_eq!(bench.home.counters.storm_delays, 3);
}

#[test]
fn a_storm_delays_nothing_of_services_whose_clients_are_back() {
    let (mut bench, conn) = in_storm();
    let first = pushes(&bench.pass(u64::from(STORM_SERVICE_MS)));
    bench.ack(conn, first[0].0, true);
    bench.changed(&service(0), 2);
    assert_eq!(revisions(&bench.drain()), [2]);
}

#[test]
fn in_a_storm_an_ack_brings_nothing_forward() {
    let (mut bench, conn) = in_storm();
    let first = pushes(&bench.pass(3_040));
    bench.changed(&service(0), 2);
    assert_eq!(bench.ack(conn, first[0].0, true), []);
    assert_eq!(revisions(&bench.pass(3_040)), [2]);
}

#[test]
fn older_and_equal_states_are_dropped() {
    let mut bench = Bench::new(Settings::default());
    bench.follower(1, &service(0));
    bench.changed(&service(0), 5);
    assert_eq!(revisions(&bench.drain()), [5]);
    for revision in [5, 4, 1] {
        bench.changed(&service(0), revision);
        assert_eq!(bench.pass(600), []);
    }
}

#[test]
fn who_does_not_read_gets_nothing_and_later_the_latest() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.follower(2, &service(0));
    bench.handle(Message::Congested { conn, congested: true });
    for revision in 2..50 {
        bench.changed(&service(0), revision);
        let pushed = pushes(&bench.drain());
        assert!(pushed.iter().all(|(_, to, _)| *to != conn));
        for (id, to, _) in pushed {
            bench.ack(to, id, true);
        }
    }
    bench.handle(Message::Congested { conn, congested: false });
    let pushed = pushes(&bench.drain());
    assert_eq!(pushed.len(), 1);
    assert_eq!((pushed[0].1, pushed[0].2), (conn, 49));
}

#[test]
fn a_push_that_failed_while_not_read_is_made_up_for() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    bench.drain();
    bench.handle(Message::Congested { conn, congested: true });
    assert_eq!(bench.pass(8_000), []);
    bench.handle(Message::Congested { conn, congested: false });
    assert_eq!(revisions(&bench.drain()), [2]);
}

#[test]
fn fan_out_is_bounded_per_turn_and_takes_services_in_turn() {
    let mut bench = Bench::new(Settings::default());
    let many = 3 * FAN_SLICE as u32;
    for slot in 0..many {
        bench.follower(slot, &service(0));
    }
    let small = bench.follower(many, &service(1));
    bench.changed(&service(0), 2);
    bench.changed(&service(1), 2);
    let turn = bench.turn(|home, turn| home.drain(FAN_SLICE + 1, turn));
    let pushed = pushes(&turn);
    assert_eq!(pushed.len(), FAN_SLICE + 1);
    let half = (FAN_SLICE + 1).div_ceil(2);
    assert_eq!(pushed[half].1, small, "half of a turn is for others that wait");
    let mut seen: Vec<u32> = pushed.iter().map(|(_, conn, _)| conn.slot).collect();
    while bench.home.has_work() {
        let turn = bench.turn(|home, turn| home.drain(100, turn));
        assert!(turn.len() <= 100);
        seen.extend(pushes(&turn).iter().map(|(_, conn, _)| conn.slot));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..=many).collect::<Vec<_>>(), "everybody once");
}

#[test]
fn leaving_and_changing_in_the_middle_of_a_fan_out_misses_nobody() {
    let mut bench = Bench::new(Settings::default());
    let conns: Vec<_> = (0..100).map(|slot| bench.follower(slot, &service(0))).collect();
    bench.changed(&service(0), 2);
    let mut last = vec![1u64; 100];
    let mut note = |effects: &[crate::effect::Effect]| {
        for (_, conn, revision) in pushes(effects) {
            assert!(revision > last[conn.slot as usize]);
            last[conn.slot as usize] = revision;
        }
    };
    note(&bench.turn(|home, turn| home.drain(30, turn)));
    for slot in [0, 99, 50, 71, 70, 69, 1, 98] {
        bench.handle(Message::Disconnected { conn: conns[slot] });
    }
    bench.changed(&service(0), 3);
    note(&bench.turn(|home, turn| home.drain(30, turn)));
    while bench.home.has_work() {
        note(&bench.turn(|home, turn| home.drain(30, turn)));
    }
    note(&bench.pass(600));
    let gone = [0, 99, 50, 71, 70, 69, 1, 98];
    for (slot, last) in last.iter().enumerate().filter(|(slot, _)| !gone.contains(slot)) {
        assert_eq!(*last, 3, "slot {slot}");
    }
}

#[test]
fn an_ack_for_someone_elses_push_changes_nothing() {
    let mut bench = Bench::new(Settings::default());
    let first = bench.follower(1, &service(0));
    let second = bench.follower(2, &service(0));
    bench.changed(&service(0), 2);
    let pushed = pushes(&bench.drain());
    bench.changed(&service(0), 3);
    bench.drain();
    let of_first = pushed.iter().find(|push| push.1 == first).unwrap().0;
    assert_eq!(bench.ack(second, of_first, true), []);
    assert_eq!(bench.ack(second, u64::MAX, true), []);
    assert_eq!(bench.ack(second, 0, true), []);
    assert_eq!(revisions(&bench.ack(first, of_first, true)), [3]);
}
