//! HPACK (RFC 7541): header blocks in, fields out; and the few blocks this server ever says.
//!
//! The decoder is complete: static and dynamic table, Huffman, size updates. Its dynamic table
//! holds atom ids, not text, so that a million connections of the same client cost one copy of the
//! text. The encoder knows a fixed set of response blocks and needs no table of its own.

pub mod atoms;
pub mod decode;
pub mod encode;
pub mod fields;
pub mod huffman;
pub mod integer;
pub mod packed;
pub mod repeat;
pub mod static_table;
pub mod table;

pub use atoms::Atoms;
pub use decode::{HpackError, decode};
pub use encode::{Block, Encoder, Preset};
pub use fields::{FieldKind, Head};
pub use table::Table;
