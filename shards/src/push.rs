//! What is to be told to whom: subscriptions with their acks and repetitions, fuzzy watches.

pub mod ack;
pub mod delivery;
pub mod fan_out;
pub mod fuzzy;
pub mod id;
pub mod patterns;
pub mod poller;
pub mod storm;
pub mod subscription;
pub mod trace;
