//! How one node runs: cores, sockets, HTTP/2, carriage. Knows no Nacos rule it could ask `shards`
//! for.

pub mod admin;
pub mod auth;
pub mod boot;
pub mod engine;
pub mod front;
pub mod grpc;
pub mod http1;
pub mod http2;
pub mod mesh;
pub mod operator;
pub mod probe;
pub mod pump;
pub mod raft;
