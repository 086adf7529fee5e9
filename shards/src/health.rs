//! Who is still there, and what is due when.

pub mod beat;
pub mod liveness;
pub mod wheel;
