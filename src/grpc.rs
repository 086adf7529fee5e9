//! gRPC calls over [`crate::http2`], without I/O and without knowing any service. Home core.
//!
//! See `grpc/README.md`; the wire is described in grpc's PROTOCOL-HTTP2 document.

pub mod call;
pub mod codec;
pub mod compress;
pub mod connection;
pub mod limits;
pub mod message;
pub mod status;
pub mod timeout;

pub use codec::{Codec, Counters};
pub use connection::{Connection, Outcome, Progress, Service};
pub use limits::{Limits, PlainPath};
pub use message::Message;
pub use status::Status;

pub use crate::http2::{Closed, Reason};
pub use call::{Kind, Method};
