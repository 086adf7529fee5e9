//! How a node is seen from outside: metrics, health, log.

pub mod counter;
pub mod exposition;
pub mod health;
pub mod inspect;
pub mod log;
pub mod metrics;
pub mod process;
pub mod request;
pub mod verify;
