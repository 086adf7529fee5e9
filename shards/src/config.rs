//! The configuration centre: what a config is, what every core reads of it, who is told of its
//! changes.

pub mod accept;
pub mod answer;
pub mod call;
pub mod details;
pub mod entry;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gray;
pub mod inquiry;
pub mod listen;
pub mod md5;
pub mod names;
pub mod notify;
pub mod open;
pub mod poll;
pub mod publisher;
pub mod rules;
pub mod search;
pub mod switches;
pub mod table;
pub mod watch;
