use super::*;
use crate::key::ServiceKey;
use crate::naming::services::Services;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DEFAULT: Times = Times { interval: 5_000, timeout: 15_000, delete: 30_000 };

struct Bench {
    beating: Beating,
    wheel: Wheel,
    services: Services,
}

impl Bench {
    fn new() -> Self {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let services = Services::new(hasher.clone());
        Self { beating: Beating::new(hasher), wheel: Wheel::default(), services }
    }

    fn service(&mut self, name: &str) -> ServiceId {
        self.services.obtain(&ServiceKey::new("n", "g", name), 0).0
    }

    fn insert(&mut self, service: ServiceId, port: i32, times: Times, now_ms: u64) -> u32 {
        let address = (service, "10.0.0.1", port);
        self.beating.insert(address, true, times, now_ms, &mut self.wheel).unwrap()
    }

    /// What the time up to `end_ms` leads to: (when, port's record, verdict).
    fn pass(&mut self, end_ms: u64) -> Vec<(u64, ConnKey, Verdict)> {
        let mut all = Vec::new();
        while let Some(next) = self.wheel.next_ms().filter(|next| *next <= end_ms) {
            while let Some((timer, tick)) = self.wheel.next_due(next) {
                let Timer::Beating(at) = timer else { panic!("{timer:?}") };
                let silent = self.beating.due(at, tick, next, &mut self.wheel);
                all.extend(silent.map(|silent| (next, silent.publisher, silent.verdict)));
            }
        }
        all
    }
}

#[test]
fn silence_makes_unhealthy_then_gone_never_early() {
    let custom = Times { interval: 1_000, timeout: 3_000, delete: 6_000 };
    let eager = Times { interval: 1_000, timeout: 9_000, delete: 4_000 };
    let long = Times { interval: 5_000, timeout: 60_000, delete: 90_000 };
    for (times, expected) in [
        (DEFAULT, vec![(15_000, Verdict::Unhealthy), (30_000, Verdict::Gone)]),
        (custom, vec![(3_000, Verdict::Unhealthy), (6_000, Verdict::Gone)]),
        (eager, vec![(4_000, Verdict::Gone)]),
        (long, vec![(60_000, Verdict::Unhealthy), (90_000, Verdict::Gone)]),
    ] {
        let mut bench = Bench::new();
        let service = bench.service("s");
        let at = bench.insert(service, 80, times, 1_000);
        let publisher = bench.beating.publisher(at);
        let seen = bench.pass(200_000);
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for ((when, key, verdict), (after, wanted)) in seen.into_iter().zip(expected) {
            assert_eq!((key, verdict), (publisher, wanted));
            let silence = when - 1_000;
            assert!(silence > after && silence <= after + ROUND_MS + 16, "{silence} {after}");
        }
        assert!(bench.beating.is_empty() && bench.beating.index.is_empty());
    }
}

#[test]
fn beats_keep_alive_and_heal() {
    let mut bench = Bench::new();
    let service = bench.service("s");
    let at = bench.insert(service, 80, DEFAULT, 0);
    for now in (5_000..100_000).step_by(5_000) {
        assert_eq!(bench.pass(now), []);
        assert!(!bench.beating.beat(at, now, &mut bench.wheel));
    }
    let seen = bench.pass(115_000);
    assert_eq!(seen.last().map(|seen| seen.2), Some(Verdict::Unhealthy));
    assert!(bench.beating.beat(at, 115_000, &mut bench.wheel), "was unhealthy");
    assert!(!bench.beating.beat(at, 115_001, &mut bench.wheel));
    assert_eq!(bench.pass(130_000), []);
    let verdicts: Vec<_> = bench.pass(200_000).into_iter().map(|seen| seen.2).collect();
    assert_eq!(verdicts, [Verdict::Unhealthy, Verdict::Gone]);
}

#[test]
fn shorter_times_count_at_once_and_a_removed_one_is_never_due() {
    let mut bench = Bench::new();
    let service = bench.service("s");
    let first = bench.insert(service, 80, DEFAULT, 0);
    let short = Times { interval: 100, timeout: 500, delete: 1_000 };
    bench.beating.retime(first, short, &mut bench.wheel);
    assert_eq!(bench.pass(900).len(), 1);
    bench.beating.renew(first, true, DEFAULT, 900, &mut bench.wheel);
    assert_eq!(bench.pass(15_000), []);
    bench.beating.remove(first);
    let second = bench.insert(service, 81, DEFAULT, 15_000);
    assert_eq!(first, second, "the number is used again");
    assert_eq!(bench.pass(30_000), []);
    assert_eq!(bench.pass(46_000).len(), 2);
}

#[test]
fn times_have_ranges() {
    let beats = |interval_ms, timeout_ms, delete_ms| Beats { interval_ms, timeout_ms, delete_ms };
    let times = Times::of(beats(i64::MAX, -1, 600_000), 180_000);
    assert_eq!(times, Times { interval: u32::MAX, timeout: 0, delete: 180_000 });
    assert_eq!(times.kept(180_000).delete, 180_000);
    assert_eq!(Times::of(Beats::DEFAULT, 180_000), DEFAULT);
}

proptest! {
    /// The index finds what is there and nothing else, also when all hashes are equal.
    #[test]
    fn it_is_a_table(steps in proptest::collection::vec((0i32..8, any::<bool>()), 0..200)) {
        let mut bench = Bench::new();
        let service = bench.service("s");
        let mut model: BTreeMap<i32, u32> = BTreeMap::new();
        for (port, add) in steps {
            let found = bench.beating.find(service, "10.0.0.1", port);
            prop_assert_eq!(found, model.get(&port).copied());
            if add && found.is_none() {
                model.insert(port, bench.insert(service, port, DEFAULT, 0));
            } else if let (false, Some(at)) = (add, found) {
                bench.beating.remove(at);
                model.remove(&port);
            }
            prop_assert_eq!(bench.beating.len(), model.len());
        }
    }
}
