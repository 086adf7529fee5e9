//! The loop of one core, and what it carries between engine, shard and mesh.

pub mod carrier;
mod checks;
pub mod clock;
pub mod datagram;
mod delayed;
pub mod desk;
mod effects;
pub mod eyes;
pub mod held;
mod incoming;
pub mod limits;
mod link;
pub mod node;
mod past;
pub mod replica;
pub mod report;
pub mod sleep;
pub mod turn;
