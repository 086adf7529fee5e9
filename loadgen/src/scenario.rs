//! What may be asked of a server, one file each.

pub mod feed;
pub mod unary;
