//! What one ask costs its owner core, and what an instance costs in memory.
//!
//! `cargo run --release -p nacre-bench --bin naming`. CPU time of this thread, so that a busy
//! machine disturbs less; a request's parsing and the hop between cores are not in it.

use nacre_bench::alloc::{Counting, allocations, live_bytes};
use nacre_proto::naming::{Instance, InstanceRequest, ServiceQueryRequest};
use nacre_shards::effect::Effect;
use nacre_shards::key::{ConnKey, Core, Home, Map, ServiceKey};
use nacre_shards::message::{Ask, Now, QueryPurpose, Waiter, Watch};
use nacre_shards::naming::accept::{self, InstanceOp};
use nacre_shards::naming::host::Ids;
use nacre_shards::naming::owner::{OwnerState, Room};
use nacre_shards::naming::rules::Rules;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INSTANCES: usize = 64_000;
const MAP: Map = Map { cores: 1 };
const NOW: Now = Now { tick_ms: 1, unix_ms: 1_795_264_929_711 };

/// One bench: services with so many instances each.
struct World {
    state: OwnerState,
    rules: Rules,
    ids: Ids,
    names: Vec<String>,
    ips: Vec<String>,
    instances_each: usize,
    bytes_before: usize,
}

impl World {
    fn new(instances_each: usize) -> Self {
        let address = |at: usize| format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255);
        let rules = Rules::default();
        Self {
            state: OwnerState::new(Core(0), MAP, 7, rules.clone()),
            rules,
            ids: Ids::new(Core(0)),
            names: (0..INSTANCES / instances_each).map(|at| format!("service-{at:06}")).collect(),
            ips: (0..INSTANCES).map(address).collect(),
            instances_each,
            bytes_before: live_bytes(),
        }
    }

    fn bytes(&self) -> usize {
        (live_bytes() - self.bytes_before) / INSTANCES
    }

    fn register(&mut self, at: usize, version: &str) {
        let request = InstanceRequest {
            namespace: Some("public".into()),
            service_name: Some(self.names[at / self.instances_each].as_str().into()),
            group_name: Some("DEFAULT_GROUP".into()),
            operation: Some("registerInstance".into()),
            instance: Some(Instance {
                ip: Some(self.ips[at].as_str().into()),
                port: 8080,
                metadata: [("zone", "a"), ("version", version)].into_iter().collect(),
                ..Instance::default()
            }),
        };
        let op = accept::instance(&request, &self.rules, NOW, &mut self.ids);
        let Ok(InstanceOp::Register { service, publication }) = op else { panic!("{op:?}") };
        let ask = Ask::Publish { waiter: waiter(at), service, publication };
        black_box(self.state.handle(NOW, Core(0), ask));
    }

    fn query(&mut self, at: usize) {
        let request = ServiceQueryRequest {
            service_name: Some(self.names[at % self.names.len()].as_str().into()),
            ..ServiceQueryRequest::default()
        };
        let (service, filter) = accept::query(&request, &self.rules).expect("a plain name");
        let filter = Box::new(filter);
        let purpose = QueryPurpose::Query;
        let ask = Ask::Query { waiter: waiter(at), service, filter, purpose };
        black_box(self.state.handle(NOW, Core(0), ask));
    }

    /// Carries names to the directory, which is this core as well.
    fn settle(&mut self) {
        let mut out = vec![];
        while self.state.pending() {
            self.state.drain(NOW, &mut Room::unbounded(1), &mut out);
            for effect in out.drain(..) {
                if let Effect::Ask { ask, .. } = effect {
                    self.state.handle(NOW, Core(0), ask);
                }
            }
        }
    }

    fn list(&mut self, at: usize) {
        let pages = self.names.len() / 10;
        let ask = Ask::Names {
            waiter: waiter(1),
            namespace: "public".into(),
            group: "DEFAULT_GROUP".into(),
            page_no: (at * 7 % pages + 1) as i64,
            page_size: 10,
        };
        black_box(self.state.handle(NOW, Core(0), ask));
    }

    fn watch(&mut self, at: usize, pattern: &str) {
        let watch = Watch { pattern: pattern.into(), known: vec![], initializing: true };
        let ask = Ask::Watch { waiter: waiter(at), watch: Box::new(watch) };
        black_box(self.state.handle(NOW, Core(0), ask));
    }

    fn withdraw(&mut self, at: usize) {
        let name = &self.names[at / self.instances_each];
        let service = ServiceKey::new("public", "DEFAULT_GROUP", name);
        black_box(self.state.handle(NOW, Core(0), Ask::Withdraw { waiter: waiter(at), service }));
    }
}

fn waiter(at: usize) -> Waiter {
    let conn = ConnKey { home: Home(Core(0)), slot: at as u32, generation: 1 };
    Waiter { conn, stream: 1 }
}

/// Nanoseconds this thread has run.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ran = stat.split(' ').next().expect("three numbers");
    ran.parse().expect("a number")
}

/// Runs and prints: nanoseconds and allocations each, beside the budget.
fn measure(what: &str, budget_ns: u64, times: usize, mut run: impl FnMut(usize)) {
    let (allocations_before, started) = (allocations(), cpu_ns());
    (0..times).for_each(&mut run);
    let each_ns = (cpu_ns() - started) / times as u64;
    let each_allocations = (allocations() - allocations_before) as f64 / times as f64;
    let verdict = if each_ns <= budget_ns { "" } else { "  over budget" };
    println!(
        "{what:<44} {each_ns:>9} ns {each_allocations:>6.1} allocations  budget {budget_ns}{verdict}"
    );
}

fn main() {
    for instances_each in [1, 10] {
        println!("{INSTANCES} instances, {instances_each} a service");
        let mut world = World::new(instances_each);
        measure("register, first", 3_000, INSTANCES, |at| world.register(at, "1"));
        let published = world.bytes();
        world.settle();
        let listed = world.bytes();
        measure("register, changed metadata", 1_500, INSTANCES, |at| world.register(at, "2"));
        let services = world.names.len();
        let cold = 1_500 + 300 * instances_each as u64;
        measure("query, first after a change", cold, services, |at| world.query(at));
        measure("query, all services in turn", 1_500, services, |at| world.query(at));
        measure("query, a hundred services", 500, INSTANCES, |at| world.query(at % 100));
        let viewed = world.bytes();
        measure("list, page of 10 anywhere", 2_000, 20_000, |at| world.list(at));
        let scan = 60 * services as u64;
        measure("watch, a suffix nobody has", scan, 20, |at| {
            world.watch(at, &format!("public>>*>>*xyz{at}"));
        });
        measure("withdraw", 1_500, INSTANCES, |at| world.withdraw(at));
        println!(
            "bytes an instance: {published} published, {listed} listed, {viewed} with views\n"
        );
    }
    let mut world = World::new(INSTANCES);
    println!("{INSTANCES} instances of one service");
    measure("register, first", 1_500, INSTANCES, |at| world.register(at, "1"));
    measure("register, changed metadata", 1_500, INSTANCES, |at| world.register(at, "2"));
    let view = 200 * INSTANCES as u64;
    measure("register and query: the whole list anew", view, 10, |at| {
        world.register(at, "3");
        world.query(0);
    });
}
