//! What one core owns and how it changes: plain functions from (now, message) to effects.
#![forbid(unsafe_code)]

pub mod auth;
pub mod config;
pub mod conns;
pub mod durable;
pub mod effect;
pub mod health;
pub mod home;
mod index;
pub mod intern;
pub mod key;
pub mod limits;
pub mod look;
pub mod message;
pub mod naming;
pub mod packed;
pub mod push;
pub mod settings;
pub mod shard;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod slab;
