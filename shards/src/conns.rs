//! Connections whose home is this core: their records, what their setups said, what this server can
//! do.

pub mod ability;
pub mod connection;
pub mod profile;
pub mod published;
pub mod setup;
pub mod table;
