//! The client half of HTTP/2 as far as a Nacos client needs it (RFC 9113, RFC 7541). No I/O.
//!
//! Kept apart from the server's own codec on purpose; `h2` is the oracle of its tests.

pub mod frame;
pub mod hpack;
