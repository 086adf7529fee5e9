//! The other side of the wire: owned structs by serde and prost, for load generators and tests.
//!
//! Kept apart from the server's reading path on purpose: a judge does not share the defendant's
//! parser. [`request`] holds what clients send, [`response`] what servers answer, [`push`] what
//! servers send by themselves. Every struct builds with `..Default::default()` and reads and writes
//! the member names of Java.

pub mod push;
pub mod request;
pub mod response;

use crate::payload::{Any, Metadata, Payload};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashMap};

/// A message with a wire name.
pub trait Named: Serialize + DeserializeOwned {
    /// `Metadata.type`.
    const NAME: &'static str;
}

/// Wraps a message as clients do: `headers` travel in the metadata.
pub fn payload<M: Named>(message: &M, client_ip: &str, headers: &[(&str, &str)]) -> Payload {
    let pairs = headers.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    let headers: HashMap<String, String> = pairs.collect();
    let metadata = Metadata { kind: M::NAME.into(), client_ip: client_ip.into(), headers };
    let value = serde_json::to_vec(message).expect("these structs have text keys only");
    Payload { metadata: Some(metadata), body: Some(Any { type_url: String::new(), value }) }
}

/// The type name of a payload; empty when it has none.
pub fn kind(payload: &Payload) -> &str {
    payload.metadata.as_ref().map_or("", |metadata| &metadata.kind)
}

/// The JSON of a payload; empty when it has none.
pub fn body(payload: &Payload) -> &[u8] {
    payload.body.as_ref().map_or(&[], |any| &any.value)
}

/// Reads a payload of a known type. The error says what came instead.
pub fn read<M: Named>(payload: &Payload) -> Result<M, String> {
    let (kind, body) = (kind(payload), body(payload));
    let came = || format!("{kind} {}", String::from_utf8_lossy(body));
    if kind != M::NAME {
        return Err(format!("expected {}, came {}", M::NAME, came()));
    }
    serde_json::from_slice(body).map_err(|error| format!("{error} in {}", came()))
}

/// Text to text, as `metadata` and `labels` are.
pub type Map = BTreeMap<String, String>;

/// One instance, sent or received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Instance {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    pub ip: String,
    pub port: i64,
    pub weight: f64,
    pub healthy: bool,
    pub enabled: bool,
    pub ephemeral: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Go sends null for none.
    pub metadata: Option<Map>,
    /// Derived from `metadata`, in milliseconds; 5000 when it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_heart_beat_interval: Option<i64>,
    /// Derived, milliseconds; 15000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_heart_beat_time_out: Option<i64>,
    /// Derived, milliseconds; 30000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_delete_timeout: Option<i64>,
    /// Derived; `simple` without metadata, absent with metadata that does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id_generator: Option<String>,
}

impl Instance {
    /// An instance as most clients make it.
    pub fn new(ip: &str, port: u16) -> Self {
        Self { ip: ip.into(), port: port.into(), ..Self::default() }
    }
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
            metadata: Some(Map::new()),
            instance_heart_beat_interval: None,
            instance_heart_beat_time_out: None,
            ip_delete_timeout: None,
            instance_id_generator: None,
        }
    }
}

/// A service and its instances as a client sees them (`naming.md` 4.4).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceInfo {
    pub name: String,
    pub group_name: String,
    /// As asked for; absent in pushes and subscribe answers when the client sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<String>,
    pub cache_millis: i64,
    pub hosts: Vec<Instance>,
    /// Unix milliseconds; grows with every state a client may see.
    pub last_ref_time: i64,
    pub checksum: String,
    pub all_ips: bool,
    pub reach_protection_threshold: bool,
    pub valid: bool,
}

/// One name of a fuzzy watch sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FuzzyContext {
    /// `namespace@@group@@service`.
    pub service_key: String,
    /// `ADD_SERVICE` or `DELETE_SERVICE`.
    pub changed_type: String,
}

/// One name of a config fuzzy watch sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigContext {
    /// `dataId+group+tenant`.
    pub group_key: String,
    /// `ADD_CONFIG` or `DELETE_CONFIG`.
    pub changed_type: String,
}

/// What a client has of one config it listens to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenContext {
    pub group: String,
    /// Empty for nothing.
    pub md5: String,
    pub data_id: String,
    pub tenant: Option<String>,
}

/// A config that is not as the client has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChangedConfig {
    pub group: String,
    pub data_id: String,
    /// As the client spelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}
