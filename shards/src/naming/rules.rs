//! The settings the naming rules obey; read once at start, the same on every core.

use crate::health::policy::Policy;

/// Effective settings of naming. `Default` is what the reference does unconfigured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// `nacos.core.param.check.enabled`.
    pub param_check: bool,
    /// `nacos.naming.service.metadata.length`: UTF-16 units of all keys and values of one instance.
    pub metadata_units_max: usize,
    /// `nacos.naming.fuzzy.watch.max.pattern.count`: patterns one directory core keeps.
    pub fuzzy_patterns_max: usize,
    /// `nacos.naming.fuzzy.watch.max.pattern.match.service.count`: names kept per pattern.
    pub fuzzy_matches_max: usize,
    /// `nacos.naming.clean.empty-service.interval`: time between two scans, ms.
    pub empty_scan_ms: u64,
    /// `nacos.naming.clean.empty-service.expired-time`: least age of an empty service, ms.
    pub empty_expired_ms: u64,
    /// `nacos.naming.clean.expired-metadata.interval`: time between two scans for overrides of
    /// instances nobody registers, ms.
    pub metadata_scan_ms: u64,
    /// `nacos.naming.clean.expired-metadata.expired-time`: how long settings and overrides that
    /// nobody uses are kept, ms.
    pub expired_metadata_ms: u64,
    /// `defaultPushCacheMillis`: the `cacheMillis` clients are told.
    pub cache_ms: u64,
    /// `nacos.naming.expireInstance`: whether an instance without beats is removed after its own
    /// time. If not, only with its client.
    pub expire_instance: bool,
    /// `nacos.naming.client.expired.time`: silence after which a client that beats is gone, ms.
    pub client_expired_ms: u32,
    /// Which addresses health checks may ask.
    pub probes: Policy,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            param_check: true,
            metadata_units_max: 1_024,
            fuzzy_patterns_max: 20,
            fuzzy_matches_max: 500,
            empty_scan_ms: 60_000,
            empty_expired_ms: 60_000,
            metadata_scan_ms: 5_000,
            expired_metadata_ms: 60_000,
            cache_ms: 10_000,
            expire_instance: true,
            client_expired_ms: 180_000,
            probes: Policy::default(),
        }
    }
}
