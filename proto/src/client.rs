//! The other side's structs.
