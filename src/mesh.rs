//! Messages between the cores of one node: two bounded lanes per ordered pair, and waking.
//!
//! What an entry means is the caller's; a full lane gives the entry back. From one core to another,
//! entries of one lane keep their order.

mod lane;
mod wake;

pub use lane::{Port, Sizes, ports};
pub use wake::Wake;
