//! Messages between the cores of one process.
//!
//! Each ordered pair of cores has two bounded lanes: asks, which may be refused for want of room,
//! and tells, which may not be: who sends an ask keeps the tell's place free, so a tell lane of the
//! right size is never full. Both are first in, first out; a core takes tells before asks.
//!
//! Invariants:
//! * nobody waits here: a full lane hands the message back;
//! * a message put into a lane is seen by its receiver before he sleeps, or wakes him: the receiver
//!   sets his flag, then looks; the sender puts, then reads the flag; a fence between each pair.
//!
//! The atomics in this room are the only ones cores share.

mod lane;
mod mailbox;
mod wake;

pub use mailbox::{LaneSizes, Letter, Port, ports};
pub use wake::Bell;
