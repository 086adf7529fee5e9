//! Answers: of servers to calls, and of clients to pushes.

use super::{ChangedConfig, Named, ServiceInfo};
use crate::code::RESULT_OK;
use serde::{Deserialize, Serialize};

/// Declares responses: the members they have beside those every response has.
macro_rules! responses {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$attribute:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name {
            pub result_code: i32,
            pub error_code: i32,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub message: Option<String>,
            /// Only in answers to pushes.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub request_id: Option<String>,
            $($(#[$attribute])* pub $field: $type,)*
            pub success: bool,
        }

        /// A success.
        impl Default for $name {
            fn default() -> Self {
                Self {
                    result_code: RESULT_OK,
                    error_code: 0,
                    message: None,
                    request_id: None,
                    $($field: Default::default(),)*
                    success: true,
                }
            }
        }

        impl Named for $name {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

responses! {
    /// What every response has; reads any of them.
    Response {}

    /// An answer outside of any handler.
    ErrorResponse {}

    ServerCheckResponse {
        /// `<unix ms>_<remote ip>_<remote port>`.
        connection_id: String,
        support_ability_negotiation: bool,
    }

    HealthCheckResponse {}

    InstanceResponse {
        /// The operation that was asked for; absent in failures.
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
    }

    BatchInstanceResponse {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
    }

    QueryServiceResponse {
        /// Absent in failures.
        #[serde(skip_serializing_if = "Option::is_none")]
        service_info: Option<ServiceInfo>,
    }

    SubscribeServiceResponse {
        #[serde(skip_serializing_if = "Option::is_none")]
        service_info: Option<ServiceInfo>,
    }

    ServiceListResponse {
        /// All names of the group, not only this page.
        count: i64,
        service_names: Option<Vec<String>>,
    }

    NamingFuzzyWatchResponse {}

    /// Answers of clients to pushes.
    NotifySubscriberResponse {}
    ClientDetectionResponse {}
    ConnectResetResponse {}
    NamingFuzzyWatchSyncResponse {}
    NamingFuzzyWatchChangeNotifyResponse {}

    ConfigPublishResponse {}

    ConfigQueryResponse {
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_data_key: Option<String>,
        /// The config's type, such as `yaml`.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        md5: Option<String>,
        /// Unix milliseconds.
        last_modified: i64,
        beta: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    }

    ConfigRemoveResponse {}

    ConfigChangeBatchListenResponse {
        changed_configs: Vec<ChangedConfig>,
    }

    ConfigFuzzyWatchResponse {}

    /// Answers of clients to config pushes.
    ConfigChangeNotifyResponse {}
    ConfigFuzzyWatchSyncResponse {}
    ConfigFuzzyWatchChangeNotifyResponse {}
}
