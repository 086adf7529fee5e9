//! The naming calls SDKs make, by name.

use super::{Client, ClientError, Push};
use nacre_proto::client::push::NotifySubscriberRequest;
use nacre_proto::client::request::{
    BatchInstanceRequest, HealthCheckRequest, InstanceRequest, NamingFuzzyWatchRequest,
    ServiceListRequest, ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::client::response::{
    BatchInstanceResponse, HealthCheckResponse, InstanceResponse, NamingFuzzyWatchResponse,
    QueryServiceResponse, ServiceListResponse, SubscribeServiceResponse,
};
use nacre_proto::client::{Instance, Map, Named, ServiceInfo};
use std::time::Duration;

/// Which service is meant: namespace, group and plain name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    pub namespace: String,
    pub group: String,
    pub name: String,
}

impl ServiceName {
    /// A service of namespace `public` and group `DEFAULT_GROUP`.
    pub fn public(name: impl Into<String>) -> Self {
        let (namespace, group) = ("public".into(), "DEFAULT_GROUP".into());
        Self { namespace, group, name: name.into() }
    }
}

/// A healthy, enabled, ephemeral instance with metadata.
pub fn instance(ip: &str, port: u16, metadata: &[(&str, &str)]) -> Instance {
    let metadata: Map = metadata.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Instance { metadata: Some(metadata), ..Instance::new(ip, port) }
}

/// `ip:port` of every host, sorted: what tests compare.
pub fn addresses(info: &ServiceInfo) -> Vec<String> {
    let mut all: Vec<_> = info.hosts.iter().map(|h| format!("{}:{}", h.ip, h.port)).collect();
    all.sort();
    all
}

impl Client {
    /// `HealthCheckRequest`.
    pub fn health_check(&self) -> Result<(), ClientError> {
        self.call::<HealthCheckResponse, _>(&HealthCheckRequest::default()).map(drop)
    }

    /// Registers one ephemeral instance of this connection.
    pub fn register(&self, service: &ServiceName, instance: &Instance) -> Result<(), ClientError> {
        self.instance(service, instance, "registerInstance")
    }

    /// Removes this connection's registration for the service.
    pub fn deregister(
        &self,
        service: &ServiceName,
        instance: &Instance,
    ) -> Result<(), ClientError> {
        self.instance(service, instance, "deregisterInstance")
    }

    fn instance(
        &self,
        service: &ServiceName,
        instance: &Instance,
        operation: &str,
    ) -> Result<(), ClientError> {
        let request = InstanceRequest {
            namespace: Some(service.namespace.clone()),
            service_name: Some(service.name.clone()),
            group_name: Some(service.group.clone()),
            operation: operation.into(),
            instance: Some(instance.clone()),
            ..InstanceRequest::default()
        };
        self.call::<InstanceResponse, _>(&request).map(drop)
    }

    /// Registers the whole list for this connection, in place of what it had.
    pub fn batch(&self, service: &ServiceName, instances: &[Instance]) -> Result<(), ClientError> {
        let request = BatchInstanceRequest {
            namespace: Some(service.namespace.clone()),
            service_name: Some(service.name.clone()),
            group_name: Some(service.group.clone()),
            operation: "batchRegisterInstance".into(),
            instances: instances.to_vec(),
            ..BatchInstanceRequest::default()
        };
        self.call::<BatchInstanceResponse, _>(&request).map(drop)
    }

    /// Subscribes and returns the list as the answer has it. `clusters` empty means all.
    pub fn subscribe(
        &self,
        service: &ServiceName,
        clusters: &str,
    ) -> Result<ServiceInfo, ClientError> {
        self.subscription(service, clusters, true)
    }

    /// Ends the subscription.
    pub fn unsubscribe(
        &self,
        service: &ServiceName,
        clusters: &str,
    ) -> Result<ServiceInfo, ClientError> {
        self.subscription(service, clusters, false)
    }

    fn subscription(
        &self,
        service: &ServiceName,
        clusters: &str,
        subscribe: bool,
    ) -> Result<ServiceInfo, ClientError> {
        let request = SubscribeServiceRequest {
            namespace: Some(service.namespace.clone()),
            service_name: Some(service.name.clone()),
            group_name: Some(service.group.clone()),
            subscribe,
            clusters: Some(clusters.into()),
            ..SubscribeServiceRequest::default()
        };
        let answer: SubscribeServiceResponse = self.call(&request)?;
        answer.service_info.ok_or(ClientError::Missing("serviceInfo"))
    }

    /// `ServiceQueryRequest`.
    pub fn query(
        &self,
        service: &ServiceName,
        clusters: &str,
        healthy_only: bool,
    ) -> Result<ServiceInfo, ClientError> {
        let request = ServiceQueryRequest {
            namespace: Some(service.namespace.clone()),
            service_name: Some(service.name.clone()),
            group_name: Some(service.group.clone()),
            cluster: Some(clusters.into()),
            healthy_only,
            ..ServiceQueryRequest::default()
        };
        let answer: QueryServiceResponse = self.call(&request)?;
        answer.service_info.ok_or(ClientError::Missing("serviceInfo"))
    }

    /// `ServiceListRequest`; pages count from 1. How many there are, and the page's names.
    pub fn list(
        &self,
        namespace: &str,
        group: &str,
        page_no: i64,
        page_size: i64,
    ) -> Result<(i64, Vec<String>), ClientError> {
        let request = ServiceListRequest {
            namespace: Some(namespace.into()),
            service_name: Some(String::new()),
            group_name: Some(group.into()),
            page_no,
            page_size,
            ..ServiceListRequest::default()
        };
        let answer: ServiceListResponse = self.call(&request)?;
        Ok((answer.count, answer.service_names.ok_or(ClientError::Missing("serviceNames"))?))
    }

    /// Starts a fuzzy watch of `namespace>>group>>service`; `known` are service keys we have.
    pub fn fuzzy_watch(
        &self,
        pattern: &str,
        known: &[String],
        initializing: bool,
    ) -> Result<(), ClientError> {
        self.fuzzy(pattern, known, initializing, "WATCH")
    }

    /// Ends a fuzzy watch.
    pub fn fuzzy_cancel(&self, pattern: &str) -> Result<(), ClientError> {
        self.fuzzy(pattern, &[], false, "CANCEL_WATCH")
    }

    fn fuzzy(
        &self,
        pattern: &str,
        known: &[String],
        initializing: bool,
        watch_type: &str,
    ) -> Result<(), ClientError> {
        let request = NamingFuzzyWatchRequest {
            initializing,
            namespace: pattern.split(">>").next().map(str::to_owned),
            group_key_pattern: pattern.into(),
            received_group_keys: known.to_vec(),
            watch_type: watch_type.into(),
            ..NamingFuzzyWatchRequest::default()
        };
        self.call::<NamingFuzzyWatchResponse, _>(&request).map(drop)
    }

    /// Takes pushes until a `NotifySubscriberRequest` satisfies `wanted`; drops the others.
    pub fn wait_service(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&ServiceInfo) -> bool,
    ) -> Result<(Push, ServiceInfo), ClientError> {
        let mut found = None;
        let push = self.wait_push(timeout, NotifySubscriberRequest::NAME, |push| {
            found = push.parse::<NotifySubscriberRequest>().ok().map(|notify| notify.service_info);
            found.as_ref().is_some_and(&mut wanted)
        })?;
        Ok((push, found.unwrap_or_default()))
    }
}
