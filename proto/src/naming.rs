//! JSON shapes of the naming module (requests as clients send them).

use crate::text::Text;
use serde::Deserialize;

/// One instance as a client describes it. Absent members hold Jackson's initial values.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Instance<'a> {
    /// Blank asks the server to generate one.
    #[serde(borrow)]
    pub instance_id: Option<Text<'a>>,
    /// Address as text; may be a host name.
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    /// Port, checked later (0..=65535).
    pub port: i64,
    /// Share of traffic; 1.0 when absent.
    pub weight: f64,
    /// As the client judges itself.
    pub healthy: bool,
    /// Whether it takes traffic.
    pub enabled: bool,
    /// Not consulted on gRPC.
    pub ephemeral: bool,
    /// `None` and blank both mean `DEFAULT`, but show differently in generated ids.
    #[serde(borrow)]
    pub cluster_name: Option<Text<'a>>,
    /// Grouped or plain name as the client has it.
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    /// Free text pairs in the client's order.
    #[serde(borrow)]
    pub metadata: crate::text::Pairs<'a>,
}

/// `InstanceRequest` and `PersistentInstanceRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceRequest<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub group_name: Option<Text<'a>>,
    /// `registerInstance` or `deregisterInstance`.
    #[serde(borrow, rename = "type")]
    pub operation: Option<Text<'a>>,
    #[serde(borrow)]
    pub instance: Option<Instance<'a>>,
}

/// `BatchInstanceRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BatchInstanceRequest<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub group_name: Option<Text<'a>>,
    /// `batchRegisterInstance`.
    #[serde(borrow, rename = "type")]
    pub operation: Option<Text<'a>>,
    /// `None` when absent or null.
    #[serde(borrow)]
    pub instances: Option<Vec<Instance<'a>>>,
}

/// `ServiceQueryRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceQueryRequest<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub group_name: Option<Text<'a>>,
    /// Comma-separated clusters.
    #[serde(borrow)]
    pub cluster: Option<Text<'a>>,
    pub healthy_only: bool,
    /// Only checked, never used on gRPC.
    pub udp_port: i64,
}

/// `SubscribeServiceRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscribeServiceRequest<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub group_name: Option<Text<'a>>,
    /// True subscribes, false ends the subscription.
    pub subscribe: bool,
    /// Comma-separated clusters.
    #[serde(borrow)]
    pub clusters: Option<Text<'a>>,
}

/// `ServiceListRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceListRequest<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub service_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub group_name: Option<Text<'a>>,
    pub page_no: i64,
    pub page_size: i64,
    /// Ignored by the reference.
    #[serde(borrow)]
    pub selector: Option<Text<'a>>,
}

/// `NamingFuzzyWatchRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FuzzyWatchRequest<'a> {
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub group_key_pattern: Option<Text<'a>>,
    /// Service keys the client already knows; `None` is treated as empty.
    #[serde(borrow)]
    pub received_group_keys: Option<Vec<Text<'a>>>,
    /// `WATCH` or `CANCEL_WATCH`.
    #[serde(borrow)]
    pub watch_type: Option<Text<'a>>,
    pub initializing: bool,
}
