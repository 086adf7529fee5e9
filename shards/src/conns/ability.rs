//! What this server announces in `SetupAckRequest` (`grpc-protocol.md` 7.2).
//!
//! Only what is built: an SDK refuses by itself what is not announced, which beats a request that
//! fails. `lock` and `mcp` join when their modules do.

/// The server's ability table.
pub const SERVER_ABILITIES: &[(&str, bool)] =
    &[("supportPersistentInstanceByGrpc", true), ("fuzzyWatch", true)];
