//! What the bytes mean. Nothing here moves, waits or remembers.
//!
//! * [`payload`]: the protobuf envelope, read without copying, written around shared JSON.
//! * [`request`]: a type name and a JSON body become one [`request::Request`], or a refusal.
//! * [`naming`], [`link`]: the JSON shapes of one Nacos module each (`link` is the connection itself).
//! * [`text`]: the leniency Jackson grants and real clients rely on.
//! * [`code`]: every wire error code, once.

#![forbid(unsafe_code)]

pub mod code;
pub mod json;
pub mod link;
pub mod naming;
pub mod payload;
pub mod request;
pub mod text;
