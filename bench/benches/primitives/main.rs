//! `cargo bench -p nacre-bench`, or with words of names: `cargo bench -p nacre-bench -- hpack`.

mod door;
mod frame;
mod histogram;
mod hpack;
mod mesh;
mod payload;
mod push;
mod route;
mod shard;
mod wheel;

use nacre_bench::alloc::Counting;
use nacre_bench::gauge::Gauge;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let mut gauge = Gauge::from_arguments();
    door::measure(&mut gauge);
    frame::measure(&mut gauge);
    hpack::measure(&mut gauge);
    payload::measure(&mut gauge);
    route::measure(&mut gauge);
    shard::measure(&mut gauge);
    push::measure(&mut gauge);
    mesh::measure(&mut gauge);
    wheel::measure(&mut gauge);
    histogram::measure(&mut gauge);
    gauge.verdict();
}
