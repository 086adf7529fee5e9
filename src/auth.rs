//! Who somebody is: tokens, passwords, and the door of one core that lets requests in.
//!
//! What a user may is decided in `nacre_shards::auth`; this room proves that he is who he says. It
//! believes no header but a token or a password: no user agent, no server identity.

pub mod credentials;
pub mod directory;
pub mod door;
pub mod first;
pub mod keys;
pub mod limits;
pub mod password;
pub mod policy;
pub mod throttle;
pub mod token;
mod tokens;
pub mod worker;

pub use credentials::Credentials;
pub use door::Door;
pub use policy::{Policy, Scope};
