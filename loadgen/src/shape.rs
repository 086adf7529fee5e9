//! The JSON bodies as a client writes and reads them (`grpc-protocol.md` 2.3, 3, 11).
//!
//! Requests carry what Java would send; answers read only what checks need and mind nothing else.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group every SDK uses when none is named.
pub const DEFAULT_GROUP: &str = "DEFAULT_GROUP";

/// Which service is meant: namespace, group and plain name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    pub namespace: String,
    pub group: String,
    pub name: String,
}

impl ServiceName {
    /// A service of namespace `public` and the default group.
    pub fn public(name: impl Into<String>) -> Self {
        Self { namespace: "public".into(), group: DEFAULT_GROUP.into(), name: name.into() }
    }
}

/// An instance, written as Java writes it and read from `hosts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Instance {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    pub ip: String,
    pub port: i32,
    pub weight: f64,
    pub healthy: bool,
    pub enabled: bool,
    pub ephemeral: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            instance_id: None,
            ip: String::new(),
            port: 0,
            weight: 1.0,
            healthy: true,
            enabled: true,
            ephemeral: true,
            cluster_name: None,
            service_name: None,
            metadata: BTreeMap::new(),
        }
    }
}

impl Instance {
    /// A healthy, enabled, ephemeral instance without metadata.
    pub fn at(ip: impl Into<String>, port: u16) -> Self {
        Self { ip: ip.into(), port: i32::from(port), ..Self::default() }
    }

    /// The same with one more metadata pair.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// What a query or subscription answers and a push carries (`naming.md` 4.4).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceInfo {
    pub name: String,
    pub group_name: String,
    pub clusters: Option<String>,
    pub cache_millis: i64,
    pub hosts: Vec<Instance>,
    pub last_ref_time: i64,
    pub checksum: String,
    #[serde(alias = "allIPs")]
    pub all_ips: bool,
    pub reach_protection_threshold: bool,
    pub valid: bool,
}

impl ServiceInfo {
    /// `ip:port` of every host, sorted: what tests compare.
    pub fn addresses(&self) -> Vec<String> {
        let mut all: Vec<_> = self.hosts.iter().map(|h| format!("{}:{}", h.ip, h.port)).collect();
        all.sort();
        all
    }
}

/// What every answer has (`grpc-protocol.md` 3.2). `resultCode` is 200 when absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Outcome {
    pub result_code: i64,
    pub error_code: i64,
    pub message: Option<String>,
    pub request_id: Option<String>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { result_code: 200, error_code: 0, message: None, request_id: None }
    }
}

/// `ServerCheckResponse`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServerCheck {
    pub connection_id: String,
    pub support_ability_negotiation: bool,
}

/// `SetupAckRequest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SetupAck {
    pub ability_table: BTreeMap<String, bool>,
}

/// `QueryServiceResponse`, `SubscribeServiceResponse` and `NotifySubscriberRequest`, by their
/// common member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WithService {
    pub request_id: Option<String>,
    pub service_info: ServiceInfo,
}

/// `ServiceListResponse`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceList {
    pub count: i64,
    pub service_names: Vec<String>,
}

/// `NamingFuzzyWatchSyncRequest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FuzzySync {
    pub request_id: Option<String>,
    pub sync_type: String,
    pub group_key_pattern: String,
    pub contexts: Vec<FuzzyContext>,
    pub total_batch: i64,
    pub current_batch: i64,
}

/// One service of a fuzzy watch: `namespace@@group@@service` and `ADD_SERVICE`/`DELETE_SERVICE`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FuzzyContext {
    pub service_key: String,
    pub changed_type: String,
}

/// `NamingFuzzyWatchChangeNotifyRequest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FuzzyChange {
    pub request_id: Option<String>,
    pub sync_type: String,
    pub service_key: String,
    pub changed_type: String,
}

/// `ConnectResetRequest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConnectReset {
    pub request_id: Option<String>,
    pub server_ip: Option<String>,
    pub server_port: Option<String>,
    pub connection_id: Option<String>,
}
