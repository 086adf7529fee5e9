//! Changing an instance that is published: its health by beats, the rest by an administrator.

use super::{Beats, DEFAULT_CLUSTER, Grouped, Host, Publication, metadata_json, special_tail};
use crate::naming::digits::Digits;
use nacre_proto::json;
use nacre_proto::open_api::json_object;
use nacre_proto::text::Pairs;

/// What an administrator changes of an instance; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    pub weight: Option<f64>,
    pub enabled: Option<bool>,
    pub metadata: Option<Pairs<'static>>,
}

impl Publication {
    /// Sets the health of all its instances. True if that changed any.
    pub fn set_healthy(&mut self, healthy: bool) -> bool {
        let hosts = self.hosts_mut().iter_mut();
        hosts.fold(false, |changed, host| changed | host.set_healthy(healthy))
    }
}

impl Host {
    /// Whether this is its address.
    pub fn is_at(&self, ip: &str, port: i32) -> bool {
        self.port == port && self.ip() == ip
    }

    /// Sets its health. True if that changed it.
    pub fn set_healthy(&mut self, healthy: bool) -> bool {
        let before = std::mem::replace(&mut self.healthy, healthy);
        self.usual = self.is_usual();
        before != healthy
    }

    fn is_usual(&self) -> bool {
        self.weight() == 1.0
            && self.healthy
            && self.enabled
            && self.ephemeral
            && self.cluster_bytes == 0
            && self.has_ip
    }

    /// The same, kept by the log and not by a client.
    pub fn persistent(mut self) -> Self {
        self.ephemeral = false;
        self.usual = false;
        self
    }

    /// Its metadata; what is kept was written here, so it reads back.
    pub fn pairs(&self) -> Pairs<'_> {
        json_object(self.metadata()).unwrap_or_default()
    }

    /// The three times its metadata asks for.
    pub fn beats(&self) -> Beats {
        if self.special_tail().is_empty() { Beats::DEFAULT } else { Beats::of(&self.pairs()) }
    }

    /// The instance with an administrator's changes; metadata is replaced.
    pub fn edited(&self, edit: &Edit) -> Self {
        let mut host = self.clone();
        if let Some(weight) = edit.weight {
            host.weight_bits = weight.to_bits();
        }
        host.enabled = edit.enabled.unwrap_or(host.enabled);
        if let Some(metadata) = &edit.metadata {
            let mut text = self.text.as_bytes()[..self.id_end()].to_vec();
            metadata_json(&mut text, metadata);
            host.metadata_bytes = (text.len() - self.id_end()) as u32;
            special_tail(&mut text, metadata);
            let text = String::from_utf8(text).expect("joined from text");
            host.text = text.into_boxed_str();
        }
        host.usual = host.is_usual();
        host
    }

    /// Appends the answer of `GET /ns/instance` (`http-api.md` 3.1, 5); `service_key` is how that
    /// version calls the service's name.
    pub fn write_detail(&self, service_key: &str, grouped: &Grouped, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(service_key.as_bytes());
        out.extend_from_slice(b"\":\"");
        out.extend_from_slice(&grouped.0);
        out.extend_from_slice(b"\",\"ip\":");
        json::write_string(out, self.ip());
        out.extend_from_slice(b",\"port\":");
        out.extend_from_slice(Digits::of(u64::from(self.port.unsigned_abs())).as_str().as_bytes());
        out.extend_from_slice(b",\"clusterName\":");
        json::write_string(out, self.cluster());
        out.extend_from_slice(b",\"weight\":");
        json::write_f64(out, self.weight());
        out.extend_from_slice(b",\"healthy\":");
        json::write_bool(out, self.healthy);
        out.extend_from_slice(b",\"instanceId\":\"");
        self.write_id(grouped, out);
        out.extend_from_slice(b"\",\"metadata\":");
        match self.metadata() {
            "" => out.extend_from_slice(b"{}"),
            metadata => out.extend_from_slice(metadata.as_bytes()),
        }
        out.push(b'}');
    }
}

/// The cluster a parameter names: blank is the default one.
pub fn cluster_or_default(cluster: &str) -> &str {
    if cluster.trim().is_empty() { DEFAULT_CLUSTER } else { cluster }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Core, ServiceKey};
    use crate::message::Now;
    use crate::naming::host::Ids;
    use nacre_proto::naming::Instance;
    use serde_json::Value;

    fn key() -> ServiceKey {
        ServiceKey::new("n", "g", "s")
    }

    fn host(instance: &Instance<'_>) -> Host {
        Host::new(instance, &key(), &mut Ids::new(Core(0)), Now { tick_ms: 0, unix_ms: 0 })
    }

    fn json(host: &Host) -> Value {
        let mut out = Vec::new();
        host.write(&Grouped::of(&key()), &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn plain() -> Instance<'static> {
        Instance {
            ip: Some("10.0.0.1".into()),
            port: 80,
            cluster_name: Some("DEFAULT".into()),
            ..Instance::default()
        }
    }

    /// An edited instance is the same as one registered so, text, flags and all.
    #[test]
    fn edited_is_as_if_registered_so() {
        let pairs = |pairs: &[(&'static str, &'static str)]| -> Pairs<'static> {
            pairs.iter().copied().collect()
        };
        let table = [
            Edit::default(),
            Edit { weight: Some(0.5), ..Edit::default() },
            Edit { enabled: Some(false), ..Edit::default() },
            Edit { metadata: Some(pairs(&[("a", "\"b\"")])), ..Edit::default() },
            Edit {
                weight: Some(1.0),
                enabled: Some(true),
                metadata: Some(pairs(&[("preserved.heart.beat.interval", "7000")])),
            },
        ];
        let custom = Instance {
            metadata: pairs(&[("old", "1"), ("preserved.ip.delete.timeout", "9")]),
            weight: 3.0,
            ..plain()
        };
        for before in [plain(), custom] {
            for edit in &table {
                let mut after = before.clone();
                after.weight = edit.weight.unwrap_or(after.weight);
                after.enabled = edit.enabled.unwrap_or(after.enabled);
                if let Some(metadata) = &edit.metadata {
                    after.metadata = metadata.clone();
                }
                assert_eq!(host(&before).edited(edit), host(&after), "{edit:?}");
            }
        }
    }

    #[test]
    fn health_flips_and_shows() {
        let mut one = Publication::One(host(&plain()));
        assert!(!one.set_healthy(true));
        assert!(one.set_healthy(false) && !one.set_healthy(false));
        assert_eq!(json(&one.hosts()[0])["healthy"], false);
        assert!(one.set_healthy(true));
        assert_eq!(one, Publication::One(host(&plain())));
    }

    #[test]
    fn details_have_the_references_keys() {
        let instance = Instance { metadata: [("a", "b")].into_iter().collect(), ..plain() };
        let mut out = Vec::new();
        host(&instance).write_detail("service", &Grouped::of(&key()), &mut out);
        let expected = r#"{"service":"g@@s","ip":"10.0.0.1","port":80,"clusterName":"DEFAULT",
            "weight":1.0,"healthy":true,"instanceId":"10.0.0.1#80#DEFAULT#g@@s",
            "metadata":{"a":"b"}}"#;
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
    }
}
