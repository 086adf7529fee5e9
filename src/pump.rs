//! The loop of one core, and what it carries between engine, shard and mesh.

mod carrier;
mod checks;
pub mod clock;
mod delayed;
mod incoming;
pub mod limits;
mod link;
pub mod node;
mod report;
mod sleep;
pub mod turn;
