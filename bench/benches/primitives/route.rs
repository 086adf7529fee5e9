//! From a service's three names to the core that owns it.

use nacre_bench::gauge::Gauge;
use nacre_shards::key::{Map, ServiceKey};
use std::hint::black_box;

/// One key's text put together (two allocations) and hashed, byte by byte.
const ROUTE_NS: u64 = 200;

pub fn measure(gauge: &mut Gauge) {
    let map = Map { cores: 8 };
    gauge.measure("route: names to owner", ROUTE_NS, 10_000, |_| {
        let names = black_box(("public", "DEFAULT_GROUP", "orders-0000017"));
        let key = ServiceKey::new(names.0, names.1, names.2);
        black_box(map.owner(&key));
    });
}
