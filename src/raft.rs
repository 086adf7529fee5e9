//! What must survive: one Raft group, its log and the checkpoints of the state it replicates.

pub mod breath;
pub mod check;
pub mod counters;
pub mod encoding;
pub mod fault;
pub mod group;
pub mod limits;
pub mod log;
pub mod machine;
pub mod network;
pub mod place;
pub mod plant;
pub mod runtime;
pub mod snapshot;
pub mod store;
pub mod types;

/// Where the files are, below the data directory.
pub const FOLDER: &str = "raft";

pub use counters::{Counted, Counters};
pub use fault::Fault;
pub use group::{Group, ProposeError, Role, Settings, State, Status};
pub use machine::Machine;
pub use place::{Folder, Place};
pub use store::Disk;

#[cfg(test)]
mod tests;
