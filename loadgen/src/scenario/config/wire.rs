//! The configuration messages a client sends and reads (`grpc-protocol.md` 11.3), as Java's.

use crate::session::Script;
use nacre_proto::client::{Map, Named};
use serde::{Deserialize, Serialize};

const GROUP: &str = "DEFAULT_GROUP";
const TENANT: &str = "public";

/// Digits of a config's number in its name.
const NUMBER_DIGITS: usize = 7;

/// The name of a config of a run.
pub(in crate::scenario) fn data_id(run: &str, config: usize) -> String {
    format!("{run}-{config:0NUMBER_DIGITS$}")
}

/// The number in a config's name, if it is one of a run.
pub(super) fn number(data_id: &str) -> Option<usize> {
    data_id.get(data_id.len().checked_sub(NUMBER_DIGITS)?..)?.parse().ok()
}

/// What every request names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) data_id: String,
    pub(super) group: String,
    pub(super) tenant: Option<String>,
}

impl Key {
    fn new(run: &str, config: usize) -> Self {
        let (data_id, group) = (data_id(run, config), GROUP.to_owned());
        Self { data_id, group, tenant: Some(TENANT.to_owned()) }
    }
}

/// Requests: a key or several, and what they have beside it.
macro_rules! requests {
    ($($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {$(
        #[derive(Debug, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct $name {
            headers: Map,
            $($(#[$attribute])* $field: $type,)*
            module: String,
        }

        impl Named for $name {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

requests! {
    ConfigPublishRequest {
        #[serde(flatten)]
        key: Key,
        content: String,
        addition_map: Map,
    }
    ConfigQueryRequest {
        #[serde(flatten)]
        key: Key,
        notify: bool,
    }
    ConfigRemoveRequest {
        #[serde(flatten)]
        key: Key,
    }
    ConfigBatchListenRequest {
        listen: bool,
        config_listen_contexts: Vec<Context>,
    }
}

/// What a client says it has of one config.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Context {
    #[serde(flatten)]
    key: Key,
    md5: String,
}

fn module() -> String {
    "config".to_owned()
}

/// A publish as a whole gRPC message.
pub(in crate::scenario) fn publish(run: &str, config: usize, content: String) -> Vec<u8> {
    let pairs = [("encryptedDataKey", ""), ("type", "text")];
    Script::message(&ConfigPublishRequest {
        key: Key::new(run, config),
        content,
        addition_map: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        module: module(),
        ..ConfigPublishRequest::default()
    })
}

/// A query; `notify` says that a notification caused it.
pub(in crate::scenario) fn query(run: &str, config: usize, notify: bool) -> Vec<u8> {
    let key = Key::new(run, config);
    Script::message(&ConfigQueryRequest { key, notify, module: module(), ..Default::default() })
}

pub(super) fn remove(run: &str, config: usize) -> Vec<u8> {
    let key = Key::new(run, config);
    Script::message(&ConfigRemoveRequest { key, module: module(), ..Default::default() })
}

/// Listens to configs, each with the sum of what the client has.
pub(super) fn listen(run: &str, configs: impl IntoIterator<Item = (usize, String)>) -> Vec<u8> {
    let contexts = configs.into_iter().map(|(at, md5)| Context { key: Key::new(run, at), md5 });
    Script::message(&ConfigBatchListenRequest {
        listen: true,
        config_listen_contexts: contexts.collect(),
        module: module(),
        ..ConfigBatchListenRequest::default()
    })
}

/// The answer to [`listen`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Listened {
    pub(super) changed_configs: Vec<Key>,
}

/// The answer to [`query`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Queried {
    pub(super) content: String,
    pub(super) md5: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;
    use serde_json::{Value, json};

    fn body(message: &[u8], kind: &str) -> Value {
        let (message, _) = envelope::split_message(message).unwrap().unwrap();
        let payload = envelope::decode(message).unwrap();
        assert_eq!(payload.kind, kind);
        serde_json::from_slice(payload.body).unwrap()
    }

    /// Bodies of wire-samples/java-nacos-client-3.1.1.jsonl, other names and contents.
    #[test]
    fn requests_are_as_java_writes_them() {
        let key = |value: &mut Value| {
            value["dataId"] = "r-0000007".into();
            value["group"] = "DEFAULT_GROUP".into();
            value["tenant"] = "public".into();
        };
        let mut wanted = json!({"headers": {}, "content": "x", "module": "config",
            "additionMap": {"encryptedDataKey": "", "type": "text"}});
        key(&mut wanted);
        assert_eq!(body(&publish("r", 7, "x".into()), "ConfigPublishRequest"), wanted);
        let mut wanted = json!({"headers": {}, "notify": false, "module": "config"});
        key(&mut wanted);
        assert_eq!(body(&query("r", 7, false), "ConfigQueryRequest"), wanted);
        let mut context = json!({"md5": "c32a"});
        key(&mut context);
        let wanted = json!({"headers": {}, "listen": true, "module": "config",
            "configListenContexts": [context]});
        let listened = listen("r", [(7, "c32a".to_owned())]);
        assert_eq!(body(&listened, "ConfigBatchListenRequest"), wanted);
        assert_eq!(number(&data_id("r", 7)), Some(7));
        assert_eq!(number("7"), None);
    }
}
