//! The clients of this crate against a registry on the `h2` crate.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the registry is a plain threaded test server, not part of a node"
)]

mod client;
mod command;
mod crowds;
mod echo;
mod load;
mod registry;
