//! What clients send.

use super::{Instance, ListenContext, Map, Named};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Declares requests: their module, then the members they have beside `headers`, `requestId`,
/// `module`.
macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident in $module:literal {
        $($(#[$attribute:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name {
            /// Empty: headers travel in the payload's metadata.
            pub headers: Map,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub request_id: Option<String>,
            $($(#[$attribute])* pub $field: $type,)*
            pub module: String,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    headers: Map::new(),
                    request_id: None,
                    $($field: Default::default(),)*
                    module: $module.into(),
                }
            }
        }

        impl Named for $name {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

pub(super) use requests;

requests! {
    /// Asks who the server is; works before the setup.
    ServerCheckRequest in "internal" {}

    /// First message on the stream.
    ConnectionSetupRequest in "internal" {
        client_version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
        labels: Map,
        /// `Some`, even empty, asks for a `SetupAckRequest`.
        #[serde(skip_serializing_if = "Option::is_none")]
        ability_table: Option<BTreeMap<String, bool>>,
    }

    /// Keep-alive of an idle client.
    HealthCheckRequest in "internal" {}

    /// Register or deregister one ephemeral instance.
    InstanceRequest in "naming" {
        namespace: Option<String>,
        service_name: Option<String>,
        group_name: Option<String>,
        /// `registerInstance` or `deregisterInstance`.
        #[serde(rename = "type")]
        operation: String,
        instance: Option<Instance>,
    }

    /// The same for persistent ones.
    PersistentInstanceRequest in "naming" {
        namespace: Option<String>,
        service_name: Option<String>,
        group_name: Option<String>,
        #[serde(rename = "type")]
        operation: String,
        instance: Option<Instance>,
    }

    /// Replaces all instances of this client and service.
    BatchInstanceRequest in "naming" {
        namespace: Option<String>,
        service_name: Option<String>,
        group_name: Option<String>,
        /// `batchRegisterInstance`.
        #[serde(rename = "type")]
        operation: String,
        instances: Vec<Instance>,
    }

    /// Asks for the current instances.
    ServiceQueryRequest in "naming" {
        namespace: Option<String>,
        service_name: Option<String>,
        group_name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        healthy_only: bool,
        udp_port: i64,
    }

    /// Subscribes or ends a subscription.
    SubscribeServiceRequest in "naming" {
        namespace: Option<String>,
        service_name: Option<String>,
        group_name: Option<String>,
        subscribe: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        clusters: Option<String>,
    }

    /// A page of service names.
    ServiceListRequest in "naming" {
        namespace: Option<String>,
        service_name: Option<String>,
        group_name: Option<String>,
        page_no: i64,
        page_size: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<String>,
    }

    /// Watches service names by a pattern.
    NamingFuzzyWatchRequest in "naming" {
        initializing: bool,
        namespace: Option<String>,
        group_key_pattern: String,
        received_group_keys: Vec<String>,
        /// `WATCH` or `CANCEL_WATCH`.
        watch_type: String,
    }

    /// Publishes a config, or a gray variant of it.
    ConfigPublishRequest in "config" {
        data_id: String,
        group: String,
        tenant: Option<String>,
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cas_md5: Option<String>,
        /// Values may be null.
        #[serde(skip_serializing_if = "Option::is_none")]
        addition_map: Option<BTreeMap<String, Option<String>>>,
    }

    /// Asks for the content this client is to see.
    ConfigQueryRequest in "config" {
        data_id: String,
        group: String,
        tenant: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    }

    /// Removes a config, or one gray variant of it.
    ConfigRemoveRequest in "config" {
        data_id: String,
        group: String,
        tenant: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    }

    /// Says what the client has, and listens (or stops to).
    ConfigBatchListenRequest in "config" {
        listen: bool,
        config_listen_contexts: Vec<ListenContext>,
    }

    /// Watches config names by a pattern.
    ConfigFuzzyWatchRequest in "config" {
        group_key_pattern: String,
        received_group_keys: Vec<String>,
        /// `WATCH` or `CANCEL_WATCH`.
        watch_type: String,
        initializing: bool,
    }
}
