//! How one node runs: cores, sockets, HTTP/2, carriage. Knows no Nacos rule it could ask `shards`
//! for.

pub mod boot;
pub mod engine;
pub mod mesh;
pub mod pump;
