//! Starting a node: one pinned executor per core.

pub mod cores;
