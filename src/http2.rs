//! HTTP/2, server side (RFC 9113, RFC 7541), without I/O: bytes in, frames out. Home core.
//!
//! Knows nothing of what it carries, waits for nothing, reads no clock. See `http2/README.md`.

pub mod abuse;
pub mod connection;
pub mod core;
pub mod counters;
pub mod error;
pub mod flow;
pub mod frame;
pub mod hpack;
pub mod limits;
pub mod settings;
pub mod stream;

pub use connection::{Body, Connection, Event, Sent};
pub use core::Core;
pub use counters::Counters;
pub use error::{Closed, ErrorCode, Reason};
pub use limits::Limits;
pub use stream::End;
