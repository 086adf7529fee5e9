//! A decoded payload finds its way to the shard; that is all.
//!
//! `front` translates and decides nothing: which type name is served, in which order a call is
//! refused (`grpc-protocol.md` 4) and what a client hears is known to `proto` and `shards`.

pub mod open;
pub mod route;
pub mod stream;
pub mod unary;
