//! Who is still there, and what is due when.

pub mod beat;
pub mod checks;
pub mod liveness;
pub mod policy;
pub mod probe;
pub mod wheel;
