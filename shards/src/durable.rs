//! What Raft replicates, seen from outside: commands go in, answers and changed records come out.
//!
//! The same commands in the same order give the same state, answers and records on every node: a
//! command carries time, ids, hashes and the limits in force, and applying one reads nothing else.

pub mod answer;
pub mod capacity;
pub mod codec;
pub mod command;
mod configs;
pub mod history;
pub mod identity;
pub mod namespace;
pub mod naming;
pub mod question;
mod record;
pub mod services;
pub mod state;
mod switches;

use bytes::Bytes;

/// Which family of records: the first byte of what the disk knows them by. Never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Formal configs.
    Config = 1,
    /// Gray (beta, tag) variants of configs.
    Gray = 2,
    /// What configs were before, without contents.
    History = 3,
    /// Namespaces.
    Namespace = 4,
    /// Quotas of namespaces and groups.
    Capacity = 5,
    /// Instances of persistent services.
    Instance = 6,
    /// Metadata of services, clusters and instances.
    Metadata = 7,
    /// Users, roles and permissions.
    Identity = 8,
    /// Switches and counters of the whole state.
    Global = 9,
    /// What configs were before: the contents.
    Past = 10,
}

impl Table {
    /// Families from this byte on are never loaded: memory holds nothing of them, and only
    /// questions read them. They come last, so that a start reads up to here and no further.
    pub const LOADED_BELOW: u8 = Table::Past as u8;

    /// Whether memory holds what its records say.
    pub const fn is_loaded(self) -> bool {
        (self as u8) < Self::LOADED_BELOW
    }
}

/// One record of the applied state, as a checkpoint or a snapshot carries it. The storage adds
/// what guards it; key and value are versioned by their family's encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub table: Table,
    pub key: Bytes,
    /// `None`: the record is gone.
    pub value: Option<Bytes>,
}
