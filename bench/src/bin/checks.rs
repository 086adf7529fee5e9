//! What instances whose health is checked cost their owner core, beside the probes themselves: a
//! sweep over all of them, memory.
//!
//! `cargo run --release -p nacre-bench --bin checks`. CPU time of this thread, so that a busy
//! machine disturbs less; sockets are not in it.

use ahash::RandomState;
use nacre_bench::alloc::{Counting, live_bytes};
use nacre_shards::health::checks::{Check, Checks, Means, Outcome, Subject};
use nacre_shards::health::policy::Policy;
use nacre_shards::health::probe::Probe;
use nacre_shards::health::wheel::{Timer, Wheel};
use nacre_shards::key::ServiceKey;
use nacre_shards::naming::switches::Switches;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INSTANCES: usize = 100_000;
const EACH: usize = 10;
/// The pump looks at the wheel about as often as it has a bucket.
const STEP_MS: u64 = 16;
/// Until every instance is asked once a second, as quick ones come to be.
const SETTLED_MS: u64 = 20_000;
const MEASURED_MS: u64 = 10_000;

/// Nanoseconds this thread has run.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ran = stat.split(' ').next().expect("three numbers");
    ran.parse().expect("a number")
}

struct Core {
    checks: Checks,
    wheel: Wheel,
    switches: Switches,
    policy: Policy,
    started: Vec<Check>,
    ended: usize,
    flips: usize,
}

impl Core {
    fn with<T>(&mut self, now_ms: u64, act: impl FnOnce(&mut Checks, &mut Means<'_>) -> T) -> T {
        let mut means = Means {
            now_ms,
            stalled_ms: 0,
            switches: &self.switches,
            policy: &self.policy,
            wheel: &mut self.wheel,
        };
        act(&mut self.checks, &mut means)
    }

    /// One step of the pump: who is due is asked, and answered within it. One in a hundred is down.
    fn step(&mut self, now_ms: u64) {
        while let Some((timer, tick)) = self.wheel.next_due(now_ms) {
            let Timer::Check(at) = timer else { unreachable!("nothing else is in the wheel") };
            self.with(now_ms, |checks, means| checks.look(at, tick, means));
        }
        let mut started = std::mem::take(&mut self.started);
        while self.checks.can_start() {
            self.with(now_ms, |checks, means| checks.start(means, &mut started));
            self.ended += started.len();
            for check in started.drain(..) {
                let down = check.to.port().is_multiple_of(100);
                let outcome = if down { Outcome::Refused } else { Outcome::Passed };
                self.with(now_ms, |checks, means| checks.done(check.ticket, outcome, means));
            }
        }
        self.started = started;
        self.flips += self.checks.take_flips(usize::MAX).len();
    }
}

fn main() {
    let hasher = RandomState::with_seeds(1, 2, 3, 4);
    let mut core = Core {
        checks: Checks::new(hasher, 7),
        wheel: Wheel::default(),
        switches: Switches::default(),
        policy: Policy::default(),
        started: Vec::new(),
        ended: 0,
        flips: 0,
    };
    let named = |at| ServiceKey::new("public", "DEFAULT_GROUP", &format!("service-{at:06}"));
    let services: Vec<ServiceKey> = (0..INSTANCES / EACH).map(named).collect();
    let before = live_bytes();
    for at in 0..INSTANCES {
        let ip = format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255);
        let port = 1_000 + (at % 1_000) as i32;
        let (service, probe) = (&services[at / EACH], Some(Probe::Connect));
        let (ip, check_port, healthy) = (&*ip, port, true);
        let subject = Subject { service, ip, port, check_port, probe, healthy, revision: 1 };
        assert!(core.with(0, |checks, means| checks.put(&subject, means)));
    }
    println!("{} bytes an instance", (live_bytes() - before) / INSTANCES);
    let mut now_ms = 0;
    while now_ms < SETTLED_MS {
        now_ms += STEP_MS;
        core.step(now_ms);
    }
    (core.ended, core.flips) = (0, 0);
    let started_ns = cpu_ns();
    while now_ms < SETTLED_MS + MEASURED_MS {
        now_ms += STEP_MS;
        core.step(now_ms);
    }
    let spent_ns = cpu_ns() - started_ns;
    let sweeps = core.ended as f64 / INSTANCES as f64;
    assert!(sweeps > 8.0, "all are asked about once a second: {sweeps}");
    assert!(core.flips > 0, "those that are down are said to be");
    println!("{sweeps:.1} sweeps in {} s", MEASURED_MS / 1_000);
    println!("a check: {} ns, budget 2,000", spent_ns / core.ended as u64);
}
