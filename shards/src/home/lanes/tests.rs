use crate::home::fixture::{Bench, OWNER, asks, key};
use crate::key::Owner;
use crate::limits::LaneLimits;
use crate::message::{Ask, Tell, Waiter};
use crate::settings::Settings;

#[test]
fn what_may_not_be_refused_waits_in_order() {
    let mut bench = Bench::new(Settings::default());
    let limits = LaneLimits::for_cores(2);
    let sent = bench.turn(|home, turn| {
        for n in 0..limits.asks_max + 3 {
            let service = crate::key::ServiceKey::new("n", "g", &n.to_string());
            home.lanes.send_surely(Owner(OWNER), Ask::Uninterested { service }, turn);
        }
    });
    assert_eq!(asks(&sent).len(), limits.asks_max);
    assert_eq!((bench.home.lanes.waiting(), bench.home.lanes.under_way()), (3, limits.asks_max));
    assert_eq!(bench.home.lanes.room().collect::<Vec<_>>()[1], 0);

    bench.tell(Tell::Confirmed);
    let effects = bench.drain();
    let [Ask::Uninterested { service: next }] = asks(&effects)[..] else { panic!() };
    assert_eq!(next.service(), limits.asks_max.to_string());

    bench.tell(Tell::Confirmed);
    let effects = bench.turn(|home, turn| {
        assert!(home.lanes.has_room(Owner(OWNER), turn));
        home.lanes.send(Owner(OWNER), names("late"), turn);
    });
    let [Ask::Uninterested { service: next }] = asks(&effects)[..] else { panic!() };
    assert_eq!(next.service(), (limits.asks_max + 1).to_string(), "older asks go first");
}

#[test]
fn what_may_be_refused_waits_behind_a_crowd_that_leaves() {
    let mut bench = Bench::new(Settings::default());
    let limits = LaneLimits::for_cores(2);
    let share = limits.asks_max - limits.asks_reserved;
    bench.turn(|home, turn| {
        for n in 0..2 * limits.asks_max {
            let service = crate::key::ServiceKey::new("n", "g", &n.to_string());
            home.lanes.send_surely(Owner(OWNER), Ask::Uninterested { service }, turn);
        }
        for _ in 0..share {
            assert!(home.lanes.has_room(Owner(OWNER), turn));
            home.lanes.send(Owner(OWNER), names("patient"), turn);
        }
        assert!(!home.lanes.has_room(Owner(OWNER), turn), "no more of them than may be under way");
    });
    // Those that leave may use the whole lane, those that wait behind them only their share of it.
    for _ in 0..2 * limits.asks_max {
        bench.tell(Tell::Confirmed);
        bench.drain();
    }
    assert_eq!(bench.home.lanes.under_way(), share);
    assert_eq!(bench.home.lanes.waiting(), 0);
    bench.turn(|home, turn| assert!(home.lanes.has_room(Owner(OWNER), turn)));
}

fn names(group: &str) -> Ask {
    let waiter = Waiter { conn: key(1), stream: 1 };
    Ask::Names { waiter, namespace: "n".into(), group: group.into(), page_no: 1, page_size: 1 }
}
