use crate::home::fixture::{Bench, OWNER, asks};
use crate::key::Owner;
use crate::limits::LaneLimits;
use crate::message::{Ask, Tell};
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
        assert!(!home.lanes.has_room(Owner(OWNER), turn), "older asks go first");
    });
    assert_eq!(asks(&effects).len(), 1);
}
