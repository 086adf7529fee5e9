//! An honest stranger on the wire.
