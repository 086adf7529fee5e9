//! What one core owns and how it changes: plain functions from (now, message) to effects.
#![forbid(unsafe_code)]

pub mod effect;
pub mod key;
pub mod limits;
pub mod message;
pub mod naming;
pub mod settings;
pub mod shard;
