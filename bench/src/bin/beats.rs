//! What instances that live by beats cost their owner core: a beat, a sweep, memory.
//!
//! `cargo run --release -p nacre-bench --bin beats`. CPU time of this thread, so that a busy
//! machine disturbs less; HTTP and the hop between cores are not in it.

use nacre_bench::alloc::{Counting, live_bytes};
use nacre_proto::naming::Instance;
use nacre_shards::key::{Core, Home, Map, ServiceKey};
use nacre_shards::message::{Ask, Now, Waiter};
use nacre_shards::naming::host::Ids;
use nacre_shards::naming::open::{Call, Means, Name, Order, Place, accept};
use nacre_shards::naming::owner::OwnerState;
use nacre_shards::naming::rules::Rules;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INSTANCES: usize = 1_000_000;
const EACH: usize = 10;
/// A beat every 5 s, a look at the wheel every 16 ms.
const PERIOD_MS: u64 = 5_000;
const STEP_MS: u64 = 16;

/// Nanoseconds this thread has run.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ran = stat.split(' ').next().expect("three numbers");
    ran.parse().expect("a number")
}

fn service(at: usize) -> String {
    format!("service-{:06}", at / EACH)
}

fn ip(at: usize) -> String {
    format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255)
}

fn now(tick_ms: u64) -> Now {
    Now { tick_ms, unix_ms: 1_795_264_929_711 + tick_ms }
}

fn ask(state: &mut OwnerState, at_ms: u64, order: Order) {
    let waiter = Waiter::of_ticket(Home(Core(0)), 1);
    state.handle(now(at_ms), Core(0), Ask::Open { waiter, order: Box::new(order) });
}

fn register(state: &mut OwnerState, rules: &Rules, ids: &mut Ids, at: usize, at_ms: u64) {
    let name = Name { service: service(at), ..Name::default() };
    let instance = Instance { ip: Some(ip(at).into()), port: 80, ..Instance::default() };
    let mut means = Means { rules, now: now(at_ms), ids };
    let order = accept(Call::Register { name, instance }, &mut means).expect("legal");
    ask(state, at_ms, order);
}

fn beat(at: usize) -> Order {
    let address = Place { ip: ip(at).into(), port: 80, cluster: "DEFAULT".into() };
    let service = ServiceKey::new("public", "DEFAULT_GROUP", &service(at));
    Order::Beat { service, address, register: None }
}

fn main() {
    let rules = Rules::default();
    let mut ids = Ids::new(Core(0));
    let mut state = OwnerState::new(Core(0), Map { cores: 1 }, 7, rules.clone());
    let before = live_bytes();
    for at in 0..INSTANCES {
        let at_ms = at as u64 * PERIOD_MS / INSTANCES as u64;
        register(&mut state, &rules, &mut ids, at, at_ms);
    }
    println!("{} bytes an instance", (live_bytes() - before) / INSTANCES);
    // Four rounds of beats spread over their period; sweeps and beats are timed apart.
    let (mut beating_ns, mut sweeping_ns, mut beats) = (0, 0, 0);
    let orders: Vec<Order> = (0..INSTANCES).map(beat).collect();
    let mut next = 0;
    for at_ms in (PERIOD_MS..5 * PERIOD_MS).step_by(STEP_MS as usize) {
        let due = ((at_ms - PERIOD_MS) as usize) * INSTANCES / PERIOD_MS as usize;
        let batch: Vec<Order> = (next..due).map(|at| orders[at % INSTANCES].clone()).collect();
        next = due;
        beats += batch.len();
        let started = cpu_ns();
        batch.into_iter().for_each(|order| ask(&mut state, at_ms, order));
        let beaten = cpu_ns();
        state.judge(now(at_ms));
        beating_ns += beaten - started;
        sweeping_ns += cpu_ns() - beaten;
    }
    let census = state.census();
    assert_eq!((census.beating, census.silent), (INSTANCES, 0), "all of them live");
    println!("a beat: {} ns, budget 1,000", beating_ns / beats as u64);
    let per_sweep = sweeping_ns * 15_000 / (4 * PERIOD_MS) / INSTANCES as u64;
    println!("a sweep (15 s): {per_sweep} ns an instance, budget 300");
}
