//! What servers send by themselves on the stream. All but [`SetupAckRequest`] want an answer with
//! their `requestId`.

use super::request::requests;
use super::{ConfigContext, FuzzyContext, Map, Named, ServiceInfo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

requests! {
    /// The server's abilities, to a setup that brought an ability table.
    SetupAckRequest in "internal" {
        ability_table: BTreeMap<String, bool>,
    }

    /// Asks an idle client whether it lives.
    ClientDetectionRequest in "internal" {}

    /// Asks a client to connect elsewhere, or anew.
    ConnectResetRequest in "internal" {
        #[serde(skip_serializing_if = "Option::is_none")]
        server_ip: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_port: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        connection_id: Option<String>,
    }

    /// A subscribed service changed.
    NotifySubscriberRequest in "naming" {
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        service_name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        group_name: Option<String>,
        service_info: ServiceInfo,
    }

    /// One batch of names a fuzzy watch matches.
    NamingFuzzyWatchSyncRequest in "naming" {
        sync_type: String,
        group_key_pattern: String,
        contexts: Vec<FuzzyContext>,
        total_batch: i64,
        current_batch: i64,
    }

    /// A watched name appeared or vanished.
    NamingFuzzyWatchChangeNotifyRequest in "naming" {
        sync_type: String,
        service_key: String,
        changed_type: String,
    }

    /// A config the client listens to changed.
    ConfigChangeNotifyRequest in "config" {
        data_id: String,
        group: String,
        /// Absent when the client listened with a blank one.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
    }

    /// One batch of names a config fuzzy watch matches.
    ConfigFuzzyWatchSyncRequest in "config" {
        group_key_pattern: String,
        /// Absent in the message that says that all was told.
        #[serde(skip_serializing_if = "Option::is_none")]
        contexts: Option<Vec<ConfigContext>>,
        sync_type: String,
        total_batch: i64,
        current_batch: i64,
    }

    /// A watched config name appeared or vanished.
    ConfigFuzzyWatchChangeNotifyRequest in "config" {
        group_key: String,
        change_type: String,
    }
}
