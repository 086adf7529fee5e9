//! A service as the catalogs of the console show it (`http-api.md` 3.2, 7.3).

use super::{put, put_checks, put_hosts, put_settings};
use crate::key::ServiceKey;
use crate::naming::kept::{Cluster, Explicit};
use crate::naming::services::Service;
use nacre_proto::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Clusters by name.
type Clusters<'a> = BTreeMap<String, Cow<'a, Cluster>>;

/// One line of a list. `triggerFlag`: so few are healthy that all are shown healthy.
pub(super) fn line(key: &ServiceKey, service: &Service, clusters: usize) -> Vec<u8> {
    let (mut all, mut healthy) = (0i64, 0i64);
    for host in service.hosts() {
        all += 1;
        healthy += i64::from(host.healthy());
    }
    let explicit = service.entry().and_then(|entry| entry.explicit.as_ref());
    let threshold = explicit.map(|explicit| explicit.settings.protect_threshold.max(0.0));
    let is_low = |threshold| all > 0 && healthy as f32 / all as f32 <= threshold;
    let mut out = Vec::new();
    put(&mut out, "{\"name\":", key.service());
    put(&mut out, ",\"groupName\":", key.group());
    let numbers =
        [("clusterCount", clusters as i64), ("ipCount", all), ("healthyInstanceCount", healthy)];
    for (name, number) in numbers {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        json::write_i64(&mut out, number);
    }
    let triggered = threshold.is_some_and(is_low);
    put(&mut out, ",\"triggerFlag\":", if triggered { "true" } else { "false" });
    out.push(b'}');
    out
}

/// v1's `/catalog/service`.
pub(super) fn service(
    key: &ServiceKey,
    explicit: Option<&Explicit>,
    clusters: &Clusters<'_>,
) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "{\"service\":{\"name\":", key.service());
    put(&mut out, ",\"groupName\":", key.group());
    put_settings(&mut out, explicit);
    out.extend_from_slice(b"},\"clusters\":[");
    for (at, (name, cluster)) in clusters.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        put(&mut out, "{\"serviceName\":", key.grouped());
        put(&mut out, ",\"name\":", name);
        put_checks(&mut out, cluster);
        out.extend_from_slice(b",\"defaultPort\":80,\"defaultCheckPort\":");
        json::write_i64(&mut out, i64::from(cluster.check_port));
        out.extend_from_slice(b",\"useIpPort4Check\":");
        json::write_bool(&mut out, cluster.use_instance_port);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// v1's `/catalog/services` with instances.
pub(super) fn with_hosts(key: &ServiceKey, service: &Service, clusters: &Clusters<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "{\"serviceName\":", key.service());
    put(&mut out, ",\"groupName\":", key.group());
    out.extend_from_slice(b",\"clusterMap\":{");
    for (at, (name, cluster)) in clusters.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        json::write_string(&mut out, name);
        put(&mut out, ":{\"clusterName\":", name);
        put_checks(&mut out, cluster);
        put_hosts(&mut out, key, service, name);
        out.push(b'}');
    }
    let explicit = service.entry().and_then(|entry| entry.explicit.as_ref());
    out.extend_from_slice(b"},\"metadata\":");
    let metadata = explicit.map_or("{}", |explicit| &explicit.settings.metadata);
    out.extend_from_slice(metadata.as_bytes());
    out.push(b'}');
    out
}
