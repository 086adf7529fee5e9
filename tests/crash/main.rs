//! The real server killed, starved of space and given disks that fail: what it acknowledged is
//! there afterwards. See README.md beside this file.

// A test is no core: it waits, reads the time and has threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod configs;
mod full;
mod history;
mod instances;
mod killed;
mod mount;
mod random;
mod read_only;
mod round;
#[path = "../process/server.rs"]
mod server;
mod store;
mod sync;
