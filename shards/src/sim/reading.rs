//! How clients read what they are sent: just enough JSON, by a reader that shares nothing with the
//! writer.

use crate::effect::Body;
use serde_json::Value;
use std::collections::BTreeSet;

/// The list of a service as a client was told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// `namespace` is not told; the rest is `group@@service`.
    pub grouped: String,
    pub revision: u64,
    /// `ip:port:cluster` of each instance.
    pub hosts: BTreeSet<String>,
}

/// A message read.
#[derive(Debug, Clone)]
pub struct Read {
    pub kind: &'static str,
    pub json: Value,
}

impl Read {
    pub fn of(body: &Body) -> Self {
        let bytes = body.json.pieces().concat();
        let json = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{} is no JSON: {error}", body.kind));
        Self { kind: body.kind, json }
    }

    /// Whether it says success.
    pub fn success(&self) -> bool {
        self.json["resultCode"] == 200
    }

    pub fn error_code(&self) -> i64 {
        self.json["errorCode"].as_i64().unwrap_or(0)
    }

    /// The id of a server's request.
    pub fn request_id(&self) -> Option<u64> {
        self.json["requestId"].as_str()?.parse().ok()
    }

    pub fn text(&self, member: &str) -> String {
        self.json[member].as_str().unwrap_or_default().to_owned()
    }

    /// The service list inside.
    pub fn list(&self) -> Option<List> {
        let info = self.json.get("serviceInfo")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let host = |host: &Value| {
            format!("{}:{}:{}", text(&host["ip"]), host["port"], text(&host["clusterName"]))
        };
        Some(List {
            grouped: format!("{}@@{}", text(&info["groupName"]), text(&info["name"])),
            revision: info["lastRefTime"].as_u64()?,
            hosts: info["hosts"].as_array()?.iter().map(host).collect(),
        })
    }

    /// `ServiceListResponse`.
    pub fn names(&self) -> BTreeSet<String> {
        let names = self.json["serviceNames"].as_array();
        let name = |name: &Value| name.as_str().unwrap_or_default().to_owned();
        names.into_iter().flatten().map(name).collect()
    }

    /// The names of a fuzzy watch message, each with whether it is there.
    pub fn contexts(&self) -> Vec<(String, bool)> {
        let context = |value: &Value| {
            let name = value["serviceKey"].as_str().unwrap_or_default().to_owned();
            (name, value["changedType"] == "ADD_SERVICE")
        };
        match self.json["contexts"].as_array() {
            Some(contexts) => contexts.iter().map(context).collect(),
            None => vec![context(&self.json)],
        }
    }
}
