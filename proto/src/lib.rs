//! What the bytes mean. Nothing here moves, waits or remembers.
//!
//! * [`payload`]: the protobuf envelope, read without copying, written around shared JSON.
//! * [`request`]: a type name and a JSON body become one [`request::Request`], or a refusal.
//! * [`naming`], [`config`], [`link`]: the JSON shapes of one Nacos module each (`link` is the
//!   connection itself).
//! * [`open_api`], [`health`]: JSON inside HTTP parameters; [`probe`]: what long polls ask and are
//!   told.
//! * [`text`]: what requests hold, read with the leniency Jackson grants and clients rely on.
//! * [`json`]: text, numbers and doubles written as the reference writes them.
//! * [`code`]: every wire error code, once.
//! * [`client`]: the other side's structs, owned and by serde, for load generators and tests.

#![forbid(unsafe_code)]

pub mod client;
pub mod code;
pub mod config;
mod fault;
mod fields;
mod form;
pub mod health;
pub mod json;
pub mod link;
pub mod naming;
pub mod open_api;
pub mod payload;
pub mod probe;
pub mod request;
mod scan;
pub mod text;
mod value;
