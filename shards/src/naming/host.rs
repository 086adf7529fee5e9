//! One published instance, kept compact: what its JSON repeats is written only when a view is
//! built.
//!
//! The `hosts[]` element of a service (`grpc-protocol.md` 2.4) is about 380 bytes, of which most is
//! keys and what the service already says. A [`Host`] keeps the rest: 48 bytes and one text of 20
//! to 100.

use crate::key::{Core, ServiceKey};
use crate::message::Now;
use crate::naming::digits::Digits;
use nacre_proto::json;
use nacre_proto::naming::Instance;
use nacre_proto::text::Pairs;

mod edit;
mod form;

pub use edit::{Edit, cluster_or_default};

/// What one client publishes for one service. Replaces whatever it published before.
#[derive(Debug, Clone, PartialEq)]
pub enum Publication {
    /// From `InstanceRequest`.
    One(Host),
    /// From `BatchInstanceRequest`; may be empty.
    Batch(Box<[Host]>),
}

impl Publication {
    /// The instances in the order the client gave them.
    pub fn hosts(&self) -> &[Host] {
        match self {
            Publication::One(host) => std::slice::from_ref(host),
            Publication::Batch(hosts) => hosts,
        }
    }

    fn hosts_mut(&mut self) -> &mut [Host] {
        match self {
            Publication::One(host) => std::slice::from_mut(host),
            Publication::Batch(hosts) => hosts,
        }
    }

    /// Heap and own bytes, as requested from the allocator.
    pub fn bytes(&self) -> usize {
        let heap: usize = self.hosts().iter().map(|host| host.text.len()).sum();
        let listed = match self {
            Publication::One(_) => 0,
            Publication::Batch(hosts) => size_of_val::<[Host]>(hosts),
        };
        size_of::<Self>() + heap + listed
    }
}

/// One instance. Equal hosts of one service have equal JSON, which is what the reference calls
/// the same instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    port: i32,
    ip_bytes: u16,
    cluster_bytes: u16,
    id_bytes: u32,
    metadata_bytes: u32,
    weight_bits: u64,
    /// ip, cluster (empty: `DEFAULT`), instance id (empty: derived), metadata as JSON (empty:
    /// none), then the members after it where they are not the default.
    text: Box<str>,
    healthy: bool,
    enabled: bool,
    /// False: the client sent no ip; the member is absent.
    has_ip: bool,
    /// Nothing in ip, cluster and id needs an escape.
    plain: bool,
    /// Weight 1, healthy, enabled, ephemeral, in the default cluster, with an ip: [`USUAL`].
    usual: bool,
    /// False: the log has it, no client.
    ephemeral: bool,
    id: IdForm,
}

// A million instances are a million of these.
const _: () = assert!(size_of::<Host>() <= 48);
const _: () = assert!(size_of::<Publication>() <= 48);

/// How the instance id is made when it is shown (`naming.md` 4.3, 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum IdForm {
    /// Kept in the text: the client's own, a snowflake, or anything out of the ordinary.
    Text,
    /// `ip#port#null#group@@service`: the client sent no cluster.
    Null,
    /// `ip#port##group@@service`: the client sent an empty one.
    Empty,
    /// `ip#port#cluster#group@@service`.
    Cluster,
}

/// Longest ip or cluster kept, bytes; reached only with the parameter check off.
pub const FIELD_BYTES_MAX: usize = u16::MAX as usize;

/// The cluster an instance is in when it names none.
pub const DEFAULT_CLUSTER: &str = "DEFAULT";

/// Metadata keys that the reference keeps its own values under while an instance is published:
/// they never come back as metadata (`naming.md` 4.1).
const RESERVED: [&str; 3] = ["customInstanceId", "publishInstanceWeight", "publishInstanceEnable"];

const HEART_BEAT_INTERVAL: &str = "preserved.heart.beat.interval";
const HEART_BEAT_TIMEOUT: &str = "preserved.heart.beat.timeout";
const IP_DELETE_TIMEOUT: &str = "preserved.ip.delete.timeout";
const ID_GENERATOR: &str = "preserved.instance.id.generator";

const SNOWFLAKE: &str = "snowflake";

/// What most hosts have between their port and their service's name.
const USUAL: &str = concat!(
    r#","weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"#,
    r#""clusterName":"DEFAULT","serviceName":""#
);
/// Where in [`USUAL`] the value of `healthy` stands.
const USUAL_HEALTHY_AT: usize = r#","weight":1.0,"healthy":"#.len();
/// What most hosts have after their metadata.
const TIMES: &str = concat!(
    r#","instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"#,
    r#""ipDeleteTimeout":30000"#
);
/// And what those without metadata have besides.
const SIMPLE: &str = r#","instanceIdGenerator":"simple""#;
/// Keys and marks around what is a host's own, the marks inside a derived id not counted.
const FIXED_BYTES: usize = r#"{"instanceId":"","ip":"","port":","metadata":}"#.len();

/// `group@@service` as it stands inside a JSON string; made once per view.
#[derive(Debug)]
pub struct Grouped(Vec<u8>);

impl Grouped {
    pub fn of(service: &ServiceKey) -> Self {
        let mut text = Vec::with_capacity(service.grouped().len());
        json::write_escaped(&mut text, service.grouped());
        Self(text)
    }
}

/// The three times of an instance, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beats {
    pub interval_ms: i64,
    pub timeout_ms: i64,
    pub delete_ms: i64,
}

impl Beats {
    /// What an instance without reserved metadata has.
    pub const DEFAULT: Self = Self { interval_ms: 5_000, timeout_ms: 15_000, delete_ms: 30_000 };

    /// From reserved metadata; a value that is not all digits counts as absent (`naming.md` 4.2).
    pub fn of(metadata: &Pairs<'_>) -> Self {
        let time = |key: &str, default: i64| metadata.get(key).and_then(digits).unwrap_or(default);
        Self {
            interval_ms: time(HEART_BEAT_INTERVAL, Self::DEFAULT.interval_ms),
            timeout_ms: time(HEART_BEAT_TIMEOUT, Self::DEFAULT.timeout_ms),
            delete_ms: time(IP_DELETE_TIMEOUT, Self::DEFAULT.delete_ms),
        }
    }
}

fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // All digits and still no i64: the reference throws; the default is the kinder answer.
    all.then(|| text.parse().ok()).flatten()
}

impl Host {
    /// An instance as this service's clients will see it. The caller has checked that port, ip and
    /// cluster fit ([`FIELD_BYTES_MAX`]).
    pub fn new(instance: &Instance<'_>, service: &ServiceKey, ids: &mut Ids, now: Now) -> Self {
        let ip = instance.ip.as_deref();
        let cluster = match instance.cluster_name.as_deref() {
            Some(name) if !name.trim().is_empty() && name != DEFAULT_CLUSTER => name,
            _ => "",
        };
        let (id, id_text) = identity(instance, service, ids, now);
        let pairs = instance.metadata.iter().map(|(key, value)| key.len() + value.len() + 6);
        let own = ip.unwrap_or("").len() + cluster.len() + id_text.len();
        let braces = usize::from(!instance.metadata.is_empty());
        let mut text = Vec::with_capacity(own + pairs.sum::<usize>() + braces);
        text.extend_from_slice(ip.unwrap_or("").as_bytes());
        text.extend_from_slice(cluster.as_bytes());
        text.extend_from_slice(id_text.as_bytes());
        let plain = text.iter().all(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
        let before_metadata = text.len();
        metadata_json(&mut text, &instance.metadata);
        let metadata_bytes = text.len() - before_metadata;
        special_tail(&mut text, &instance.metadata);
        let text = String::from_utf8(text).expect("joined from text");
        let short = |len: usize| u16::try_from(len).expect("checked: FIELD_BYTES_MAX");
        // A message is at most 10 MiB, so its parts fit 32 bits.
        let long = |len: usize| u32::try_from(len).expect("less than a message");
        Self {
            port: i32::try_from(instance.port).unwrap_or_default(),
            ip_bytes: short(ip.unwrap_or("").len()),
            cluster_bytes: short(cluster.len()),
            id_bytes: long(id_text.len()),
            metadata_bytes: long(metadata_bytes),
            weight_bits: instance.weight.to_bits(),
            text: text.into_boxed_str(),
            healthy: instance.healthy,
            enabled: instance.enabled,
            has_ip: ip.is_some(),
            plain,
            usual: instance.weight == 1.0
                && instance.healthy
                && instance.enabled
                && cluster.is_empty()
                && ip.is_some(),
            ephemeral: true,
            id,
        }
    }

    /// Address as the client gave it; empty when it gave none.
    pub fn ip(&self) -> &str {
        &self.text[..usize::from(self.ip_bytes)]
    }

    pub fn port(&self) -> i32 {
        self.port
    }

    /// Its cluster, `DEFAULT` unless named.
    pub fn cluster(&self) -> &str {
        let start = usize::from(self.ip_bytes);
        match &self.text[start..start + usize::from(self.cluster_bytes)] {
            "" => DEFAULT_CLUSTER,
            name => name,
        }
    }

    pub fn healthy(&self) -> bool {
        self.healthy
    }

    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Whether a client keeps it; if not, the log does.
    pub fn ephemeral(&self) -> bool {
        self.ephemeral
    }

    pub fn weight(&self) -> f64 {
        f64::from_bits(self.weight_bits)
    }

    fn id_text(&self) -> &str {
        let start = usize::from(self.ip_bytes) + usize::from(self.cluster_bytes);
        &self.text[start..start + self.id_bytes as usize]
    }

    /// As a JSON object of texts; empty for none.
    pub fn metadata(&self) -> &str {
        let start = self.id_end();
        &self.text[start..start + self.metadata_bytes as usize]
    }

    fn special_tail(&self) -> &str {
        &self.text[self.id_end() + self.metadata_bytes as usize..]
    }

    fn id_end(&self) -> usize {
        usize::from(self.ip_bytes) + usize::from(self.cluster_bytes) + self.id_bytes as usize
    }

    /// Bytes [`Self::write`] appends: exact for a usual host, else at least that unless text is
    /// escaped.
    pub fn json_bytes(&self, grouped: &Grouped) -> usize {
        let cluster = self.cluster().len();
        let id = match self.id {
            IdForm::Text => self.id_text().len(),
            // ip#port#cluster#grouped
            IdForm::Null => self.ip().len() + 4 + grouped.0.len(),
            IdForm::Empty => self.ip().len() + grouped.0.len(),
            IdForm::Cluster => self.ip().len() + cluster + grouped.0.len(),
        };
        let port = Digits::of(u64::from(self.port.unsigned_abs())).as_str().len();
        let port = if self.id == IdForm::Text { port } else { 2 * port + 3 };
        // A double takes at most 24 characters, an absent ip shows as null, a port may have a sign.
        let unusual = if self.usual { 0 } else { 40 };
        let tail = match (self.metadata_bytes, self.special_tail()) {
            (0, _) => "{}".len() + TIMES.len() + SIMPLE.len(),
            (_, "") => TIMES.len(),
            (_, tail) => tail.len(),
        };
        FIXED_BYTES + USUAL.len() + unusual + id + self.ip().len() + port + cluster
            - DEFAULT_CLUSTER.len()
            + grouped.0.len()
            + self.metadata().len()
            + tail
    }

    /// Appends the `hosts[]` element. Returns where, relative to its start, the value of `healthy`
    /// stands, for those who show an unhealthy host as healthy. About 50 ns for a usual host.
    pub fn write(&self, grouped: &Grouped, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(b"{\"instanceId\":\"");
        self.write_id(grouped, out);
        if self.has_ip {
            out.extend_from_slice(b"\",\"ip\":\"");
            self.write_text(out, self.ip());
        }
        out.extend_from_slice(b"\",\"port\":");
        json::write_i64(out, i64::from(self.port));
        let healthy_at = if self.usual {
            out.extend_from_slice(USUAL.as_bytes());
            out.len() - start - USUAL.len() + USUAL_HEALTHY_AT
        } else {
            self.write_unusual(out) - start
        };
        out.extend_from_slice(&grouped.0);
        out.extend_from_slice(b"\",\"metadata\":");
        self.write_metadata(out);
        out.push(b'}');
        healthy_at
    }

    /// What [`USUAL`] says of most hosts. Returns where in `out` the value of `healthy` stands.
    fn write_unusual(&self, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(b",\"weight\":");
        json::write_f64(out, self.weight());
        out.extend_from_slice(b",\"healthy\":");
        let healthy_at = out.len();
        json::write_bool(out, self.healthy);
        out.extend_from_slice(b",\"enabled\":");
        json::write_bool(out, self.enabled);
        out.extend_from_slice(b",\"ephemeral\":");
        json::write_bool(out, self.ephemeral);
        out.extend_from_slice(b",\"clusterName\":\"");
        self.write_text(out, self.cluster());
        out.extend_from_slice(b"\",\"serviceName\":\"");
        healthy_at
    }

    fn write_text(&self, out: &mut Vec<u8>, text: &str) {
        match self.plain {
            true => out.extend_from_slice(text.as_bytes()),
            false => json::write_escaped(out, text),
        }
    }

    fn write_id(&self, grouped: &Grouped, out: &mut Vec<u8>) {
        if self.id == IdForm::Text {
            return self.write_text(out, self.id_text());
        }
        let ip = if self.has_ip { self.ip() } else { "null" };
        self.write_text(out, ip);
        out.push(b'#');
        json::write_i64(out, i64::from(self.port));
        out.push(b'#');
        match self.id {
            IdForm::Null => out.extend_from_slice(b"null"),
            IdForm::Cluster => self.write_text(out, self.cluster()),
            IdForm::Empty | IdForm::Text => {}
        }
        out.push(b'#');
        out.extend_from_slice(&grouped.0);
    }

    /// Metadata and what derives from it (`grpc-protocol.md` 2.4).
    fn write_metadata(&self, out: &mut Vec<u8>) {
        if self.metadata_bytes == 0 {
            out.extend_from_slice(b"{}");
            out.extend_from_slice(TIMES.as_bytes());
            out.extend_from_slice(SIMPLE.as_bytes());
            return;
        }
        out.extend_from_slice(self.metadata().as_bytes());
        match self.special_tail() {
            "" => out.extend_from_slice(TIMES.as_bytes()),
            tail => out.extend_from_slice(tail.as_bytes()),
        }
    }
}

/// Decides the id's form, and its text where it cannot be derived later.
fn identity(
    instance: &Instance<'_>,
    service: &ServiceKey,
    ids: &mut Ids,
    now: Now,
) -> (IdForm, String) {
    if let Some(own) = instance.instance_id.as_deref().filter(|own| !own.is_empty()) {
        return (IdForm::Text, own.to_owned());
    }
    let sent_cluster = instance.cluster_name.as_deref();
    let cluster = sent_cluster.unwrap_or("null");
    let named = instance.service_name.as_deref().filter(|name| !name.trim().is_empty());
    let grouped = named.unwrap_or(service.grouped());
    if instance.metadata.get(ID_GENERATOR) == Some(SNOWFLAKE) {
        return (IdForm::Text, format!("{}#{cluster}#{grouped}", ids.next(now)));
    }
    let form = match sent_cluster {
        None => IdForm::Null,
        Some("") => IdForm::Empty,
        Some(name) if !name.trim().is_empty() => IdForm::Cluster,
        Some(_) => IdForm::Text,
    };
    if form != IdForm::Text && grouped == service.grouped() {
        return (form, String::new());
    }
    let ip = instance.ip.as_deref().unwrap_or("null");
    (IdForm::Text, format!("{ip}#{}#{cluster}#{grouped}", instance.port))
}

/// Appends metadata as a JSON object, or nothing when there is none.
fn metadata_json(out: &mut Vec<u8>, metadata: &Pairs<'_>) {
    let mut before = b'{';
    for (key, value) in metadata.iter().filter(|(key, _)| !RESERVED.contains(key)) {
        out.push(before);
        before = b',';
        json::write_string(out, key);
        out.push(b':');
        json::write_string(out, value);
    }
    if before == b',' {
        out.push(b'}');
    }
}

/// Appends the members after `metadata` when reserved keys make them differ from the usual ones.
fn special_tail(out: &mut Vec<u8>, metadata: &Pairs<'_>) {
    let beats = Beats::of(metadata);
    let generator = metadata.get(ID_GENERATOR);
    if beats == Beats::DEFAULT && generator.is_none() {
        return;
    }
    for (key, value) in [
        (",\"instanceHeartBeatInterval\":", beats.interval_ms),
        (",\"instanceHeartBeatTimeOut\":", beats.timeout_ms),
        (",\"ipDeleteTimeout\":", beats.delete_ms),
    ] {
        out.extend_from_slice(key.as_bytes());
        json::write_i64(out, value);
    }
    if let Some(generator) = generator {
        out.extend_from_slice(b",\"instanceIdGenerator\":");
        json::write_string(out, generator);
    }
}

/// Source of snowflake instance ids of one home core: 41 bits of milliseconds, 10 of the core, 12
/// of a counter. A function of what it was asked before and when, so a simulation repeats itself.
#[derive(Debug, Clone)]
pub struct Ids {
    core: u64,
    last_ms: u64,
    sequence: u64,
}

impl Ids {
    /// Milliseconds at 2020-01-01, so that 41 bits last until 2089.
    const EPOCH_MS: u64 = 1_577_836_800_000;
    const CORE_BITS: u32 = 10;
    const SEQUENCE_BITS: u32 = 12;

    pub fn new(core: Core) -> Self {
        Self { core: u64::from(core.0) % (1 << Self::CORE_BITS), last_ms: 0, sequence: 0 }
    }

    /// The next id; never the same twice in a process. Beyond 4,096 a millisecond it borrows from
    /// the next.
    pub fn next(&mut self, now: Now) -> u64 {
        let now_ms = now.unix_ms.saturating_sub(Self::EPOCH_MS);
        if now_ms > self.last_ms {
            (self.last_ms, self.sequence) = (now_ms, 0);
        } else {
            self.sequence += 1;
            if self.sequence == 1 << Self::SEQUENCE_BITS {
                (self.last_ms, self.sequence) = (self.last_ms + 1, 0);
            }
        }
        let time = self.last_ms << (Self::CORE_BITS + Self::SEQUENCE_BITS);
        time | self.core << Self::SEQUENCE_BITS | self.sequence
    }
}

#[cfg(test)]
mod tests;
