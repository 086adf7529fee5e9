//! What the log holds of one service, as owners read it: immutable, shared between cores.
//!
//! An instance is known by (ip, port) within its service, as the reference's persistent client
//! `ip:port#false` holds one instance of it: registering it in another cluster moves it, and
//! deregistering asks for no cluster. An override is known by (ip, port, cluster), the reference's
//! metadata id, and also applies to instances that clients keep.

use crate::key::ServiceKey;
use crate::naming::host::{Edit, Host};
use crate::naming::services::ServiceSettings;
use nacre_proto::json;
use nacre_proto::open_api::HealthChecker;
use nacre_proto::text::{Pairs, Text};
use std::sync::Arc;

/// One service; anything of it may be absent, not all.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: ServiceKey,
    /// Made or changed by hand (`naming.md` 11): with it the service is protected.
    pub explicit: Option<Arc<Explicit>>,
    /// Sorted by (ip, port).
    pub instances: Box<[Arc<Kept>]>,
    /// Sorted by (ip, port, cluster).
    pub overrides: Box<[Arc<Override>]>,
}

/// What somebody made of a service by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Explicit {
    /// Of the whole state, when this last changed.
    pub revision: u64,
    /// Of which kind it was made.
    pub ephemeral: bool,
    pub settings: ServiceSettings,
    /// Sorted by name.
    pub clusters: Box<[Arc<Cluster>]>,
}

/// What somebody set for a cluster by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub name: Box<str>,
    /// Probed where instances' own ports are not.
    pub check_port: i32,
    pub use_instance_port: bool,
    /// JSON object with its `type`, as [`Checker::json`] writes it.
    pub checker: Box<str>,
    /// JSON object of text to text.
    pub metadata: Box<str>,
}

/// One persistent instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Of the whole state, when it was registered; flips of its health leave it.
    pub revision: u64,
    pub host: Host,
}

/// What an administrator wants an instance to be, whoever registers it how often; `None` leaves
/// what is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    pub ip: Box<str>,
    pub port: i32,
    pub cluster: Box<str>,
    /// Of the whole state, when it last changed.
    pub revision: u64,
    pub weight: Option<f64>,
    pub enabled: Option<bool>,
    /// Laid over what is registered, key by key.
    pub metadata: Pairs<'static>,
}

/// A cluster nobody touched.
const CHECK_PORT: i32 = 80;
/// Its checker.
pub const TCP: &str = r#"{"type":"TCP"}"#;

/// How the instances of a cluster are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checker {
    /// A connection can be made.
    Tcp,
    /// `GET path` with headers `k:v|k:v`; empty path and headers are the default.
    Http { path: Box<str>, headers: Box<str>, expected_code: i64 },
    /// Its health is set by hand.
    None,
    /// A command can be carried out; not built, so the state stays as it is.
    Mysql { user: Box<str>, password: Box<str>, command: Box<str> },
}

impl Checker {
    /// Reads a `healthChecker`; `None`: no JSON object, a member of another type, or a kind the
    /// reference does not know.
    pub fn parse(json: &str) -> Option<Self> {
        let form = HealthChecker::parse(json).ok()??;
        let text = |text: Option<Text<'_>>| text.as_deref().unwrap_or_default().into();
        let kind = form.kind.as_deref().unwrap_or_default().to_ascii_uppercase();
        Some(match &*kind {
            "TCP" => Checker::Tcp,
            "HTTP" => Checker::Http {
                path: text(form.path),
                headers: text(form.headers),
                expected_code: form.expected_response_code,
            },
            "MYSQL" => Checker::Mysql {
                user: text(form.user),
                password: text(form.password),
                command: text(form.command),
            },
            "NONE" => Checker::None,
            _ => return None,
        })
    }

    /// As it is kept and shown.
    pub fn json(&self) -> String {
        let (kind, texts): (&str, &[(&str, &str)]) = match self {
            Checker::Tcp => ("TCP", &[]),
            Checker::None => ("NONE", &[]),
            Checker::Http { path, headers, .. } => {
                ("HTTP", &[("path", path), ("headers", headers)])
            }
            Checker::Mysql { user, password, command } => {
                ("MYSQL", &[("user", user), ("pwd", password), ("cmd", command)])
            }
        };
        let mut out = format!("{{\"type\":\"{kind}\"").into_bytes();
        for (key, value) in texts {
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            json::write_string(&mut out, value);
        }
        if let Checker::Http { expected_code, .. } = self {
            out.extend_from_slice(b",\"expectedResponseCode\":");
            json::write_i64(&mut out, *expected_code);
        }
        out.push(b'}');
        String::from_utf8(out).expect("written from text")
    }
}

/// One instance as health checks see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub ip: Box<str>,
    /// The instance's own.
    pub port: i32,
    pub cluster: Box<str>,
    /// What to connect to.
    pub check_port: i32,
    pub checker: Checker,
    pub healthy: bool,
    /// To be given back with a flip: one that saw an older registration is ignored.
    pub revision: u64,
}

impl Entry {
    /// Persistent instance of an address.
    pub fn instance(&self, ip: &str, port: i32) -> Option<&Arc<Kept>> {
        find_instance(&self.instances, ip, port).ok().map(|at| &self.instances[at])
    }

    /// What an administrator wants of an instance.
    pub fn override_of(&self, ip: &str, port: i32, cluster: &str) -> Option<&Arc<Override>> {
        find_override(&self.overrides, ip, port, cluster).ok().map(|at| &self.overrides[at])
    }

    /// What somebody set for a cluster.
    pub fn cluster(&self, name: &str) -> Option<&Arc<Cluster>> {
        let clusters = &self.explicit.as_ref()?.clusters;
        let at = clusters.binary_search_by(|cluster| (*cluster.name).cmp(name)).ok()?;
        Some(&clusters[at])
    }

    /// How instances of a cluster are checked, and where if not at their own port.
    pub fn checker(&self, cluster: &str) -> (Checker, Option<i32>) {
        let Some(cluster) = self.cluster(cluster) else { return (Checker::Tcp, None) };
        let port = (!cluster.use_instance_port).then_some(cluster.check_port);
        let checker = Checker::parse(&cluster.checker);
        (checker.unwrap_or(Checker::None), port)
    }

    /// One instance as health checks see it.
    pub fn checked(&self, kept: &Kept) -> Checked {
        let host = &kept.host;
        let (checker, port) = self.checker(host.cluster());
        Checked {
            ip: host.ip().into(),
            port: host.port(),
            cluster: host.cluster().into(),
            check_port: port.unwrap_or(host.port()),
            checker,
            healthy: host.healthy(),
            revision: kept.revision,
        }
    }

    /// Nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.explicit.is_none() && self.instances.is_empty() && self.overrides.is_empty()
    }
}

/// Where an address stands, or belongs.
pub fn find_instance(instances: &[Arc<Kept>], ip: &str, port: i32) -> Result<usize, usize> {
    instances.binary_search_by(|kept| (kept.host.ip(), kept.host.port()).cmp(&(ip, port)))
}

/// Where an override stands, or belongs.
pub fn find_override(
    overrides: &[Arc<Override>],
    ip: &str,
    port: i32,
    cluster: &str,
) -> Result<usize, usize> {
    overrides
        .binary_search_by(|over| (&*over.ip, over.port, &*over.cluster).cmp(&(ip, port, cluster)))
}

impl Cluster {
    /// One nobody touched.
    pub fn untouched(name: &str) -> Self {
        Self {
            name: name.into(),
            check_port: CHECK_PORT,
            use_instance_port: true,
            checker: TCP.into(),
            metadata: "{}".into(),
        }
    }
}

impl Override {
    /// The instance with what an administrator wants of it (`naming.md` 11).
    pub fn of(&self, host: &Host) -> Host {
        let metadata = (!self.metadata.is_empty()).then(|| {
            let mut pairs = host.pairs().into_owned();
            for (key, value) in &self.metadata.0 {
                lay(&mut pairs, key, value);
            }
            pairs
        });
        host.edited(&Edit { weight: self.weight, enabled: self.enabled, metadata })
    }
}

/// Sets one key.
pub fn lay(pairs: &mut Pairs<'static>, key: &Text<'static>, value: &Text<'static>) {
    match pairs.0.iter_mut().find(|(known, _)| known == key) {
        Some((_, there)) => *there = value.clone(),
        None => pairs.0.push((key.clone(), value.clone())),
    }
}

/// A JSON object of text.
pub fn pairs_json(pairs: &Pairs<'_>) -> String {
    let mut out = vec![b'{'];
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, key);
        out.push(b':');
        json::write_string(&mut out, value);
    }
    out.push(b'}');
    String::from_utf8(out).expect("written from text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Core;
    use crate::message::Now;
    use crate::naming::host::Ids;
    use nacre_proto::naming::Instance;

    #[test]
    fn checkers_of_the_reference() {
        let http = |path: &str, headers: &str, expected_code| {
            Some(Checker::Http { path: path.into(), headers: headers.into(), expected_code })
        };
        for (json, expected) in [
            (r#"{"type":"TCP"}"#, Some(Checker::Tcp)),
            (r#"{"type":"none"}"#, Some(Checker::None)),
            (r#"{"type":"HTTP"}"#, http("", "", 200)),
            (
                r#"{"type":"HTTP","path":"/x","headers":"a:b|c:d","expectedResponseCode":201}"#,
                http("/x", "a:b|c:d", 201),
            ),
            (
                r#"{"type":"MYSQL","user":"u"}"#,
                Some(Checker::Mysql { user: "u".into(), password: "".into(), command: "".into() }),
            ),
            (r#"{"type":"X"}"#, None),
            ("{}", None),
            ("[]", None),
            ("TCP", None),
            ("null", None),
        ] {
            assert_eq!(Checker::parse(json), expected, "{json}");
            if let Some(checker) = expected {
                assert_eq!(Checker::parse(&checker.json()), Some(checker), "{json}");
            }
        }
    }

    #[test]
    fn an_override_lays_its_keys_over_what_is_registered() {
        let now = Now { tick_ms: 0, unix_ms: 0 };
        let host = |metadata: &[(&'static str, &'static str)], weight| {
            let metadata = metadata.iter().copied().collect();
            let ip = Some("10.0.0.1".into());
            let instance = Instance { ip, port: 80, metadata, weight, ..Instance::default() };
            let key = ServiceKey::new("n", "g", "s");
            Host::new(&instance, &key, &mut Ids::new(Core(0)), now)
        };
        let none = Override {
            ip: "10.0.0.1".into(),
            port: 80,
            cluster: "DEFAULT".into(),
            revision: 1,
            weight: None,
            enabled: None,
            metadata: Pairs::default(),
        };
        let registered = host(&[("a", "1"), ("b", "2")], 3.0);
        assert_eq!(none.of(&registered), registered);
        let metadata = [("b", "9"), ("c", "3")].into_iter().collect();
        let some = Override { weight: Some(0.5), metadata, ..none };
        assert_eq!(some.of(&registered), host(&[("a", "1"), ("b", "9"), ("c", "3")], 0.5));
    }
}
