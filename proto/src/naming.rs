//! JSON shapes of the naming module (requests as clients send them).

use crate::form::{self, form};
use crate::scan::{ParseError, Scan};
use crate::text::{Pairs, Text};
use crate::value::{Value, read_list};

/// One instance as a client describes it. Absent members hold Jackson's initial values.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance<'a> {
    /// Blank asks the server to generate one.
    pub instance_id: Option<Text<'a>>,
    /// Address as text; may be a host name.
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
    pub cluster_name: Option<Text<'a>>,
    /// Grouped or plain name as the client has it.
    pub service_name: Option<Text<'a>>,
    /// Free text pairs in the client's order.
    pub metadata: Pairs<'a>,
}

form!(Instance {
    "instanceId" => instance_id,
    "ip" => ip,
    "port" => port,
    "weight" => weight,
    "healthy" => healthy,
    "enabled" => enabled,
    "ephemeral" => ephemeral,
    "clusterName" => cluster_name,
    "serviceName" => service_name,
    "metadata" => metadata,
});

impl Default for Instance<'_> {
    fn default() -> Self {
        Self {
            instance_id: None,
            ip: None,
            port: 0,
            weight: 1.0,
            healthy: true,
            enabled: true,
            ephemeral: true,
            cluster_name: None,
            service_name: None,
            metadata: Pairs::default(),
        }
    }
}

impl<'a> Value<'a> for Option<Instance<'a>> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        form::read(scan)
    }
}

impl<'a> Value<'a> for Option<Vec<Instance<'a>>> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        read_list(scan, |scan| match form::read(scan)? {
            Some(instance) => Ok(Some(instance)),
            // Java fails later, on its first use.
            None => Err(scan.error("null stands where an instance is expected")),
        })
    }
}

/// `InstanceRequest` and `PersistentInstanceRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceRequest<'a> {
    pub namespace: Option<Text<'a>>,
    pub service_name: Option<Text<'a>>,
    pub group_name: Option<Text<'a>>,
    /// `registerInstance` or `deregisterInstance`.
    pub operation: Option<Text<'a>>,
    pub instance: Option<Instance<'a>>,
}

form!(InstanceRequest {
    "namespace" => namespace,
    "serviceName" => service_name,
    "groupName" => group_name,
    "type" => operation,
    "instance" => instance,
});

/// `BatchInstanceRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchInstanceRequest<'a> {
    pub namespace: Option<Text<'a>>,
    pub service_name: Option<Text<'a>>,
    pub group_name: Option<Text<'a>>,
    /// `batchRegisterInstance`.
    pub operation: Option<Text<'a>>,
    /// `None` when absent or null.
    pub instances: Option<Vec<Instance<'a>>>,
}

form!(BatchInstanceRequest {
    "namespace" => namespace,
    "serviceName" => service_name,
    "groupName" => group_name,
    "type" => operation,
    "instances" => instances,
});

/// `ServiceQueryRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceQueryRequest<'a> {
    pub namespace: Option<Text<'a>>,
    pub service_name: Option<Text<'a>>,
    pub group_name: Option<Text<'a>>,
    /// Comma-separated clusters.
    pub cluster: Option<Text<'a>>,
    pub healthy_only: bool,
    /// Only checked, never used on gRPC.
    pub udp_port: i64,
}

form!(ServiceQueryRequest {
    "namespace" => namespace,
    "serviceName" => service_name,
    "groupName" => group_name,
    "cluster" => cluster,
    "healthyOnly" => healthy_only,
    "udpPort" => udp_port,
});

/// `SubscribeServiceRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubscribeServiceRequest<'a> {
    pub namespace: Option<Text<'a>>,
    pub service_name: Option<Text<'a>>,
    pub group_name: Option<Text<'a>>,
    /// True subscribes, false ends the subscription.
    pub subscribe: bool,
    /// Comma-separated clusters.
    pub clusters: Option<Text<'a>>,
}

form!(SubscribeServiceRequest {
    "namespace" => namespace,
    "serviceName" => service_name,
    "groupName" => group_name,
    "subscribe" => subscribe,
    "clusters" => clusters,
});

/// `ServiceListRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceListRequest<'a> {
    pub namespace: Option<Text<'a>>,
    pub service_name: Option<Text<'a>>,
    pub group_name: Option<Text<'a>>,
    pub page_no: i64,
    pub page_size: i64,
    /// Ignored by the reference.
    pub selector: Option<Text<'a>>,
}

form!(ServiceListRequest {
    "namespace" => namespace,
    "serviceName" => service_name,
    "groupName" => group_name,
    "pageNo" => page_no,
    "pageSize" => page_size,
    "selector" => selector,
});

/// `NamingFuzzyWatchRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FuzzyWatchRequest<'a> {
    pub namespace: Option<Text<'a>>,
    pub group_key_pattern: Option<Text<'a>>,
    /// Service keys the client already knows; `None` is treated as empty.
    pub received_group_keys: Option<Vec<Text<'a>>>,
    /// `WATCH` or `CANCEL_WATCH`.
    pub watch_type: Option<Text<'a>>,
    pub initializing: bool,
}

form!(FuzzyWatchRequest {
    "namespace" => namespace,
    "groupKeyPattern" => group_key_pattern,
    "receivedGroupKeys" => received_group_keys,
    "watchType" => watch_type,
    "initializing" => initializing,
});
