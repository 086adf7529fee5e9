//! What a register, a query and a subscription cost the owner core: 10,000 services of ten
//! instances, looked at far apart.

use nacre_bench::gauge::Gauge;
use nacre_proto::naming::{
    Instance, InstanceRequest, ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_shards::key::{ConnKey, Core, Home, Map};
use nacre_shards::message::{Ask, Now, QueryPurpose, Waiter};
use nacre_shards::naming::accept::{self, InstanceOp};
use nacre_shards::naming::host::Ids;
use nacre_shards::naming::owner::OwnerState;
use nacre_shards::naming::rules::Rules;
use std::hint::black_box;

/// A changed instance: checked, ordered into its service, subscribers marked.
const REGISTER_NS: u64 = 3_000;

/// A view that is built already: a look-up and a shared body.
const QUERY_NS: u64 = 1_500;

/// The same, and the home core's interest noted.
const SUBSCRIBE_NS: u64 = 1_800;

const SERVICES: usize = 10_000;
const INSTANCES_EACH: usize = 10;
const NOW: Now = Now { tick_ms: 1, unix_ms: 1_795_264_929_711 };

/// A step through the services that visits all, far apart.
const STRIDE: usize = 7_919;

struct World {
    state: OwnerState,
    rules: Rules,
    ids: Ids,
    names: Vec<String>,
}

impl World {
    fn new() -> Self {
        let rules = Rules::default();
        let mut world = Self {
            state: OwnerState::new(Core(0), Map { cores: 1 }, 7, rules.clone()),
            rules,
            ids: Ids::new(Core(0)),
            names: (0..SERVICES).map(|at| format!("service-{at:06}")).collect(),
        };
        (0..SERVICES * INSTANCES_EACH).for_each(|at| world.register(at, "0"));
        world
    }

    fn register(&mut self, at: usize, version: &str) {
        let at = at % (SERVICES * INSTANCES_EACH);
        let ip = format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255);
        let request = InstanceRequest {
            namespace: Some("public".into()),
            service_name: Some(self.names[at % SERVICES].as_str().into()),
            group_name: Some("DEFAULT_GROUP".into()),
            operation: Some("registerInstance".into()),
            instance: Some(Instance {
                ip: Some(ip.as_str().into()),
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
            service_name: Some(self.names[at % SERVICES].as_str().into()),
            ..ServiceQueryRequest::default()
        };
        let (service, filter) = accept::query(&request, &self.rules).expect("a plain name");
        let (filter, purpose) = (Box::new(filter), QueryPurpose::Query);
        let ask = Ask::Query { waiter: waiter(at), service, filter, purpose };
        black_box(self.state.handle(NOW, Core(0), ask));
    }

    fn subscribe(&mut self, at: usize) {
        let request = SubscribeServiceRequest {
            service_name: Some(self.names[at % SERVICES].as_str().into()),
            subscribe: true,
            ..SubscribeServiceRequest::default()
        };
        let (service, filter, _) = accept::subscribe(&request, &self.rules).expect("a plain name");
        let ask = Ask::Subscribe { waiter: waiter(at), service, filter: Box::new(filter) };
        black_box(self.state.handle(NOW, Core(0), ask));
    }
}

fn waiter(at: usize) -> Waiter {
    let conn = ConnKey { home: Home(Core(0)), slot: at as u32, generation: 1 };
    Waiter { conn, stream: 1 }
}

pub fn measure(gauge: &mut Gauge) {
    let mut world = World::new();
    gauge.measure("shard: query", QUERY_NS, SERVICES, |at| world.query(at * STRIDE));
    gauge.measure("shard: subscribe", SUBSCRIBE_NS, SERVICES, |at| world.subscribe(at * STRIDE));
    gauge.measure("shard: register, changed", REGISTER_NS, SERVICES, |at| {
        let version = ["1", "2"][at / SERVICES % 2];
        world.register(at * STRIDE, version);
    });
}
