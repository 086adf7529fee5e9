//! Who is still there, and what is due when.

pub mod liveness;
pub mod wheel;
