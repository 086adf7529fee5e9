//! The naming calls SDKs make, by name.

use super::{Client, ClientError, Push};
use crate::shape::{Instance, Outcome, ServiceInfo, ServiceList, ServiceName, WithService};
use serde_json::{Value, json};
use std::time::Duration;

impl Client {
    /// `HealthCheckRequest`.
    pub fn health_check(&self) -> Result<(), ClientError> {
        let body = json!({"headers": {}, "module": "internal"});
        self.call::<Outcome>("HealthCheckRequest", &body).map(drop)
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
        let mut body = naming_body(service);
        body["type"] = operation.into();
        body["instance"] = serde_json::to_value(instance)?;
        self.call::<Outcome>("InstanceRequest", &body).map(drop)
    }

    /// Registers the whole list for this connection, in place of what it had.
    pub fn batch(&self, service: &ServiceName, instances: &[Instance]) -> Result<(), ClientError> {
        let mut body = naming_body(service);
        body["type"] = "batchRegisterInstance".into();
        body["instances"] = serde_json::to_value(instances)?;
        self.call::<Outcome>("BatchInstanceRequest", &body).map(drop)
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
        let mut body = naming_body(service);
        body["subscribe"] = subscribe.into();
        body["clusters"] = clusters.into();
        let answer: WithService = self.call("SubscribeServiceRequest", &body)?;
        Ok(answer.service_info)
    }

    /// `ServiceQueryRequest`.
    pub fn query(
        &self,
        service: &ServiceName,
        clusters: &str,
        healthy_only: bool,
    ) -> Result<ServiceInfo, ClientError> {
        let mut body = naming_body(service);
        body["cluster"] = clusters.into();
        body["healthyOnly"] = healthy_only.into();
        body["udpPort"] = 0.into();
        let answer: WithService = self.call("ServiceQueryRequest", &body)?;
        Ok(answer.service_info)
    }

    /// `ServiceListRequest`; pages count from 1.
    pub fn list(
        &self,
        namespace: &str,
        group: &str,
        page_no: i64,
        page_size: i64,
    ) -> Result<ServiceList, ClientError> {
        let body = json!({
            "headers": {}, "module": "naming", "namespace": namespace, "serviceName": "",
            "groupName": group, "pageNo": page_no, "pageSize": page_size,
        });
        self.call("ServiceListRequest", &body)
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
        let namespace = pattern.split(">>").next().unwrap_or_default();
        let body = json!({
            "headers": {}, "module": "naming", "namespace": namespace,
            "groupKeyPattern": pattern, "receivedGroupKeys": known, "watchType": watch_type,
            "initializing": initializing,
        });
        self.call::<Outcome>("NamingFuzzyWatchRequest", &body).map(drop)
    }

    /// Takes pushes until a `NotifySubscriberRequest` satisfies `wanted`.
    pub fn wait_service(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&ServiceInfo) -> bool,
    ) -> Result<(Push, ServiceInfo), ClientError> {
        let mut found = None;
        let push = self.wait_push(timeout, "NotifySubscriberRequest", |push| {
            if push.kind != "NotifySubscriberRequest" {
                return false;
            }
            found = push.parse::<WithService>().ok().map(|with| with.service_info);
            found.as_ref().is_some_and(&mut wanted)
        })?;
        Ok((push, found.unwrap_or_default()))
    }
}

fn naming_body(service: &ServiceName) -> Value {
    json!({
        "headers": {}, "module": "naming", "namespace": service.namespace,
        "serviceName": service.name, "groupName": service.group,
    })
}
