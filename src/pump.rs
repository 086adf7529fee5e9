//! The loop of one core: what happens between two looks at the sockets.

pub mod clock;
pub mod sleep;
