//! The settings the rules of the config module obey; read once at start, the same on every core.

use crate::durable::command::{Limits, Quotas};

/// Effective settings of the config module. `Default` is what the reference does unconfigured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// `nacos.core.param.check.enabled`.
    pub param_check: bool,
    /// `maxContent`: UTF-16 units of one content.
    pub content_units_max: usize,
    /// `nacos.config.gray.version.max.count`: gray variants of one config.
    pub grays_max: u32,
    /// `nacos.config.retention.days`: age of history.
    pub retention_days: u32,
    /// `nacre.config.history.max-entries`: rows of history of one config.
    pub history_entries_max: u32,
    /// `nacre.config.history.max-bytes`: bytes of all history.
    pub history_bytes_max: u64,
    /// `isCapacityLimitCheck` with `defaultClusterQuota`, `defaultTenantQuota`, `defaultMaxSize`;
    /// `None`: counted, not enforced.
    pub quotas: Option<Quotas>,
    /// `nacos.config.push.timeout`: a notification without an ack has failed, ms.
    pub push_timeout_ms: u32,
    /// `nacos.config.push.maxRetryTime`: repetitions of a notification; then the connection goes.
    pub push_tries_max: u8,
    /// `nacos.config.push.batchSize`: names in one batch of a fuzzy watch.
    pub fuzzy_batch: usize,
    /// `nacos.config.fuzzy.watch.max.pattern.count`: patterns watched on one home core.
    pub fuzzy_patterns_max: usize,
    /// `nacos.config.fuzzy.watch.max.pattern.match.config.count`: names told per pattern.
    pub fuzzy_matches_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            param_check: true,
            content_units_max: 10_485_760,
            grays_max: 10,
            retention_days: 30,
            history_entries_max: 1_000,
            history_bytes_max: 1 << 30,
            quotas: None,
            push_timeout_ms: 3_000,
            push_tries_max: 50,
            fuzzy_batch: 20,
            fuzzy_patterns_max: 20,
            fuzzy_matches_max: 500,
        }
    }
}

impl Rules {
    /// What goes along with each command.
    pub fn limits(&self) -> Limits {
        Limits {
            grays_max: self.grays_max,
            history_entries_max: self.history_entries_max,
            history_bytes_max: self.history_bytes_max,
            quotas: self.quotas,
        }
    }
}
