use super::*;
use std::collections::BTreeMap;

/// A core's checks, a clock, and a peer that answers as it is told.
struct Bench {
    checks: Checks,
    wheel: Wheel,
    switches: Switches,
    policy: Policy,
    now_ms: u64,
    stalled_ms: u64,
    service: ServiceKey,
    probe: Option<Probe>,
    /// `None`: the instance's own.
    check_port: Option<i32>,
}

impl Bench {
    fn new() -> Self {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        Self {
            checks: Checks::new(hasher, 5),
            wheel: Wheel::default(),
            switches: Switches::default(),
            policy: Policy::default(),
            now_ms: 0,
            stalled_ms: 0,
            service: ServiceKey::new("n", "g", "s"),
            probe: Some(Probe::Connect),
            check_port: None,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Checks, &mut Means<'_>) -> T) -> T {
        let mut means = Means {
            now_ms: self.now_ms,
            stalled_ms: self.stalled_ms,
            switches: &self.switches,
            policy: &self.policy,
            wheel: &mut self.wheel,
        };
        act(&mut self.checks, &mut means)
    }

    fn put(&mut self, ip: &str, port: i32, healthy: bool) {
        let (service, probe) = (&self.service.clone(), self.probe.clone());
        let check_port = self.check_port.unwrap_or(port);
        let subject = Subject { service, ip, port, check_port, probe, healthy, revision: 7 };
        assert!(self.with(|checks, means| checks.put(&subject, means)));
    }

    fn remove(&mut self, ip: &str) {
        self.checks.remove(&self.service, ip, 80);
    }

    /// What is started once the clock shows this, at most.
    fn until(&mut self, now_ms: u64) -> Vec<Check> {
        let mut out = Vec::new();
        while self.now_ms < now_ms && out.is_empty() {
            let next = self.wheel.next_ms().unwrap_or(now_ms).clamp(self.now_ms + 1, now_ms);
            out = self.at(next);
        }
        out
    }

    fn at(&mut self, now_ms: u64) -> Vec<Check> {
        self.now_ms = now_ms;
        let mut out = Vec::new();
        while let Some((timer, tick)) = self.wheel.next_due(now_ms) {
            let Timer::Check(at) = timer else { panic!("{timer:?}") };
            self.with(|checks, means| checks.look(at, tick, means));
        }
        self.with(|checks, means| checks.start(means, &mut out));
        out
    }

    /// The next probe.
    fn next(&mut self) -> Check {
        let mut started = self.until(self.now_ms + 60_000);
        assert_eq!(started.len(), 1, "{started:?}");
        started.remove(0)
    }

    fn done(&mut self, check: &Check, outcome: Outcome) {
        self.with(|checks, means| checks.done(check.ticket, outcome, means));
    }

    /// Lets the next probe end so, after 1 ms; what is to be replicated then.
    fn result(&mut self, outcome: Outcome) -> Option<bool> {
        let check = self.next();
        self.now_ms += 1;
        self.done(&check, outcome);
        let mut flips = self.checks.take_flips(10);
        assert!(flips.len() <= 1);
        flips.pop().map(|flip| flip.healthy)
    }
}

#[test]
fn health_flips_after_the_threshold_both_ways() {
    use Outcome::*;
    // Health before, results, what the last of them leads to. All before lead to nothing.
    let table: &[(bool, &[Outcome], Option<bool>)] = &[
        (true, &[Passed], None),
        (true, &[TimedOut, TimedOut], None),
        (true, &[TimedOut, TimedOut, TimedOut], Some(false)),
        (true, &[TimedOut, Busy, Broken], Some(false)),
        (true, &[TimedOut, TimedOut, Passed, TimedOut, TimedOut], None),
        (true, &[TimedOut, TimedOut, Passed, TimedOut, TimedOut, TimedOut], Some(false)),
        (true, &[TimedOut, TimedOut, Unable, TimedOut], Some(false)),
        (true, &[Unable, Unable, Unable, Unable], None),
        (true, &[Refused], Some(false)),
        (true, &[Wrong], Some(false)),
        (true, &[TimedOut, Refused], Some(false)),
        (false, &[Passed, Passed], None),
        (false, &[Passed, Passed, Passed], Some(true)),
        (false, &[Passed, Passed, TimedOut, Passed, Passed], None),
        (false, &[Passed, Passed, Refused, Passed, Passed, Passed], Some(true)),
        (false, &[Refused, TimedOut, Wrong, Busy, Broken], None),
    ];
    for (healthy, results, last) in table {
        let mut bench = Bench::new();
        bench.put("10.0.0.1", 80, *healthy);
        for (at, outcome) in results.iter().enumerate() {
            let expected = if at + 1 == results.len() { *last } else { None };
            assert_eq!(bench.result(*outcome), expected, "{healthy} {results:?} at {at}");
        }
    }
}

#[test]
fn the_threshold_is_a_switch() {
    for times in [1, 2, 5] {
        let mut bench = Bench::new();
        bench.switches.check_times = times;
        bench.put("10.0.0.1", 80, true);
        let flips: Vec<_> = (0..times).map(|_| bench.result(Outcome::TimedOut)).collect();
        let (last, before) = flips.split_last().unwrap();
        assert_eq!((*last, before.iter().flatten().count()), (Some(false), 0));
    }
}

#[test]
fn a_flip_is_asked_for_until_it_is_replicated_and_says_what_it_saw() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    bench.done(&check, Outcome::Refused);
    let flip = bench.checks.take_flips(10).remove(0);
    let expected = HealthFlip {
        service: bench.service.clone(),
        ip: "10.0.0.1".into(),
        port: 80,
        healthy: false,
        revision: 7,
    };
    assert_eq!(flip, expected);
    // The command got lost: the next result asks again.
    assert_eq!(bench.result(Outcome::Refused), Some(false));
    bench.put("10.0.0.1", 80, false);
    assert_eq!(bench.result(Outcome::TimedOut), None);
    assert_eq!(bench.result(Outcome::Passed), None);
    assert_eq!(bench.result(Outcome::Passed), None);
    assert_eq!(bench.result(Outcome::Passed), Some(true));
    let tally = bench.checks.tally();
    assert_eq!((tally.became_healthy, tally.became_unhealthy), (1, 2));
}

#[test]
fn a_flip_that_somebody_else_made_first_is_not_asked_for() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    bench.done(&check, Outcome::Refused);
    bench.put("10.0.0.1", 80, false);
    assert_eq!(bench.checks.take_flips(10), []);
    let check = bench.next();
    bench.done(&check, Outcome::Passed);
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    bench.done(&check, Outcome::Refused);
    bench.remove("10.0.0.1");
    assert_eq!(bench.checks.take_flips(10), []);
}

#[test]
fn nobody_is_ever_removed_for_being_unhealthy() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, false);
    for _ in 0..1_000 {
        assert_eq!(bench.result(Outcome::Refused), None);
    }
    assert_eq!(bench.checks.tally().checked, 1);
}

#[test]
fn first_checks_are_spread_over_two_to_seven_seconds_skewed_low() {
    let mut bench = Bench::new();
    for port in 0..2_000 {
        bench.put(&format!("10.0.{}.{}", port / 200, port % 200), port, true);
    }
    let mut first = Vec::new();
    while bench.now_ms < 8_000 {
        for check in bench.until(8_000) {
            first.push(bench.now_ms);
            bench.done(&check, Outcome::Unable);
        }
        if first.len() >= 2_000 {
            break;
        }
    }
    // Every one is asked before anybody is asked a third time.
    let (least, most) = (first[0], first[1_999]);
    assert!(least >= 2_000, "{least}");
    assert!(most <= 7_016, "{most}");
    let early = first.iter().filter(|at| **at < 3_000).count();
    assert!((700..1_400).contains(&early), "{early} before 3 s");
}

#[test]
fn intervals_adapt_within_their_bounds() {
    use Outcome::*;
    let tcp = Switches::default().tcp;
    let http = Switches::default().http;
    let table = [
        (tcp, 4_000, Passed, 8, 3_002),
        (tcp, 1_200, Passed, 2, 1_000),
        (tcp, 4_000, TimedOut, 500, 5_000),
        (tcp, 1_000, TimedOut, 500, 1_250),
        (tcp, 1_000, Refused, 1, 2_000),
        (tcp, 1_000, Broken, 1, 2_000),
        (tcp, 1_000, Unable, 1, 1_000),
        (http, 1_000, Busy, 5, 1_150),
        (http, 1_000, Wrong, 5, 1_600),
        (http, 500, Passed, 5, 500),
    ];
    for (pace, before, outcome, took_ms, after) in table {
        assert_eq!(next_interval(pace, before, outcome, took_ms), after, "{before} {outcome:?}");
    }
    // From the first answer on, a quick instance comes to be asked once a second.
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    let mut last_ms = 0;
    for _ in 0..12 {
        bench.result(Passed);
        last_ms = bench.now_ms;
    }
    bench.result(Passed);
    assert!((1_000..1_020).contains(&(bench.now_ms - last_ms)), "{}", bench.now_ms - last_ms);
}

#[test]
fn a_probe_that_ran_out_while_the_process_stood_still_says_nothing() {
    for (outcome, flips) in [
        (Outcome::TimedOut, None),
        (Outcome::Broken, None),
        // A peer that refuses is gone, however late that was read.
        (Outcome::Refused, Some(false)),
    ] {
        let mut bench = Bench::new();
        bench.switches.check_times = 1;
        bench.put("10.0.0.1", 80, true);
        let check = bench.next();
        bench.stalled_ms += 5_000;
        bench.done(&check, outcome);
        assert_eq!(bench.checks.take_flips(10).pop().map(|flip| flip.healthy), flips);
    }
}

#[test]
fn switched_off_nobody_is_asked_and_nothing_decided() {
    let mut bench = Bench::new();
    bench.switches.check_times = 1;
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    bench.switches.health_check_enabled = false;
    bench.done(&check, Outcome::Refused);
    assert!(!bench.checks.has_flips());
    assert_eq!(bench.until(100_000), []);
    bench.switches.health_check_enabled = true;
    assert_eq!(bench.result(Outcome::Refused), Some(false));
}

#[test]
fn what_may_not_or_cannot_be_asked_keeps_its_health_and_is_counted() {
    let mut bench = Bench::new();
    bench.put("169.254.169.254", 80, true);
    bench.put("127.0.0.1", 80, true);
    bench.put("host.example", 80, true);
    bench.check_port = Some(70_000);
    bench.put("10.0.0.8", 80, true);
    bench.check_port = None;
    bench.probe = None;
    bench.put("10.0.0.9", 80, true);
    assert_eq!(bench.until(60_000), []);
    let tally = bench.checks.tally();
    assert_eq!((tally.checked, tally.unchecked), (0, [2, 1, 2]));
    // The cluster gets a checker this server has.
    bench.probe = Some(Probe::Connect);
    bench.put("10.0.0.9", 80, true);
    assert_eq!(bench.result(Outcome::Refused), Some(false));
    assert_eq!(bench.checks.tally().unchecked, [2, 1, 1]);
    for ip in ["169.254.169.254", "127.0.0.1", "host.example", "10.0.0.8", "10.0.0.9"] {
        bench.remove(ip);
    }
    assert_eq!(bench.checks.tally().unchecked, [0; 3]);
    assert_eq!(bench.checks.tally().checked, 0);
    assert!(bench.checks.index.is_empty() && bench.checks.probes.is_empty());
}

#[test]
fn an_instance_is_asked_as_its_cluster_says_from_the_next_time_on() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    assert_eq!((check.to, check.probe.clone()), ("10.0.0.1:80".parse().unwrap(), Probe::Connect));
    bench.probe = Some(Probe::get("/up", "").unwrap());
    bench.check_port = Some(8_080);
    bench.put("10.0.0.1", 80, true);
    bench.done(&check, Outcome::Passed);
    let check = bench.next();
    assert_eq!(check.to, "10.0.0.1:8080".parse().unwrap());
    assert!(matches!(&check.probe, Probe::Get(get) if &*get.path == "/up"));
    bench.remove("10.0.0.1");
    bench.done(&check, Outcome::Refused);
    assert!(!bench.checks.has_flips());
    assert_eq!(bench.until(60_000), []);
}

#[test]
fn probes_are_bounded_by_core_and_by_host_and_nobody_is_forgotten() {
    let mut bench = Bench::new();
    for number in 0..1_000 {
        bench.put(&format!("10.1.{}.{}", number / 250, number % 250), 80, true);
        bench.put("10.0.0.1", number, true);
    }
    let mut under_way: Vec<Check> = Vec::new();
    let mut asked: BTreeMap<SocketAddr, u32> = BTreeMap::new();
    while asked.len() < 2_000 {
        assert!(bench.now_ms < 60_000, "{} were asked", asked.len());
        let next_ms = bench.now_ms + 16;
        for check in bench.at(next_ms) {
            *asked.entry(check.to).or_default() += 1;
            under_way.push(check);
        }
        let of_host = under_way.iter().filter(|check| check.to.ip().to_string() == "10.0.0.1");
        assert!(of_host.count() <= CHECKS_PER_HOST_MAX);
        assert!(under_way.len() <= CHECKS_UNDER_WAY_MAX);
        // A third of what is under way ends each turn.
        for check in under_way.drain(..under_way.len().div_ceil(3)).collect::<Vec<_>>() {
            bench.done(&check, Outcome::Passed);
        }
    }
    assert!(bench.checks.tally().postponed > 0);
    for check in under_way {
        bench.done(&check, Outcome::Passed);
    }
    let tally = bench.checks.tally();
    assert_eq!((tally.under_way, tally.failed), (0, 0));
    assert!(bench.checks.hosts.is_empty());
}

#[test]
fn a_result_of_a_removed_instance_touches_nobody() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    bench.remove("10.0.0.1");
    bench.put("10.0.0.1", 80, true);
    bench.done(&check, Outcome::Refused);
    bench.done(&check, Outcome::Refused);
    assert!(!bench.checks.has_flips());
    assert_eq!(bench.checks.tally().under_way, 0);
    assert_eq!(bench.result(Outcome::Refused), Some(false));
}

#[test]
fn a_node_that_stops_asks_and_judges_nobody() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    let check = bench.next();
    bench.checks.stop();
    bench.done(&check, Outcome::Refused);
    assert!(!bench.checks.has_flips());
    assert_eq!(bench.until(60_000), []);
}

#[test]
fn services_and_ports_are_told_apart() {
    let mut bench = Bench::new();
    bench.put("10.0.0.1", 80, true);
    bench.put("10.0.0.1", 81, true);
    bench.service = ServiceKey::new("n", "g", "t");
    bench.put("10.0.0.1", 80, true);
    bench.put("10.0.0.1", 80, true);
    assert_eq!(bench.checks.tally().checked, 3);
    bench.remove("10.0.0.1");
    bench.remove("10.0.0.1");
    assert_eq!(bench.checks.tally().checked, 2);
    assert_eq!(bench.checks.probes.len(), 1);
}
