//! A hop between cores, as each side pays it: put, wake if asleep, take. Both ends on this thread,
//! so that the figure is work; what a sleeping core adds is the kernel's (40 to 50 us).

use nacre::engine::event_fd;
use nacre::mesh::{Bell, LaneSizes, ports};
use nacre_bench::gauge::Gauge;
use nacre_shards::key::Core;
use std::hint::black_box;
use std::sync::Arc;

/// There and back, both cores awake: two puts, two looks at a flag, two takes.
const ROUND_NS: u64 = 250;

/// Letters taken in one turn at most.
const BUDGET: usize = 64;

/// As large as a request on its way to its owner.
type Ask = [u64; 12];

pub fn measure(gauge: &mut Gauge) {
    let bell = || Arc::new(Bell::new(event_fd().expect("a descriptor")));
    let sizes = LaneSizes { asks_max: 1_024, tells_max: 1_024 };
    let mut ends = ports::<Ask, Ask>(&[bell(), bell()], sizes);
    let mut there = ends.pop().expect("two cores");
    let mut here = ends.pop().expect("two cores");
    gauge.measure("mesh: there and back", ROUND_NS, 10_000, |at| {
        here.send_ask(Core(1), [at as u64; 12]).expect("the lane is empty");
        here.wake_written();
        there.drain(BUDGET, |_, letter| {
            black_box(letter);
        });
        there.send_tell(Core(0), [at as u64; 12]).expect("the lane is empty");
        there.wake_written();
        here.drain(BUDGET, |_, letter| {
            black_box(letter);
        });
    });
}
