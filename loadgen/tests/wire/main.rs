//! The clients of this crate against a registry on the `h2` crate.

mod client;
mod registry;
