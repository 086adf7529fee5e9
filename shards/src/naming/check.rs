//! The reference's parameter check (`grpc-protocol.md` 9.3), its texts to the letter.
//!
//! Blank values are skipped. Lengths count UTF-16 units. Within one set the order is namespace,
//! dataId, service, group, cluster, ip, port, metadata; the first failure is the answer.

use crate::naming::host::Beats;
use nacre_proto::text::{Pairs, Text};
use std::borrow::Cow;

/// Longest values, UTF-16 units.
const NAMESPACE_UNITS_MAX: usize = 64;
const DATA_ID_UNITS_MAX: usize = 256;
const SERVICE_UNITS_MAX: usize = 512;
const GROUP_UNITS_MAX: usize = 128;
const CLUSTER_UNITS_MAX: usize = 64;
const IP_UNITS_MAX: usize = 128;
const PORT_MAX: i64 = 65_535;

/// What one set of a request gives to check; absent members are skipped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Params<'a> {
    pub namespace: Option<&'a str>,
    pub data_id: Option<&'a str>,
    pub service: Option<&'a str>,
    pub group: Option<&'a str>,
    /// Comma-separated.
    pub clusters: Option<&'a str>,
    /// One name.
    pub cluster: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub port: Option<i64>,
    pub metadata: Option<&'a Pairs<'a>>,
}

/// Checks one set. `Err` is the reason, without the `Param check invalid:` before it.
pub fn params(params: &Params<'_>, metadata_units_max: usize) -> Result<(), String> {
    checked(params.namespace, "namespaceId/tenant", NAMESPACE_UNITS_MAX, is_namespace)?;
    checked(params.data_id, "dataId", DATA_ID_UNITS_MAX, is_group)?;
    checked(params.service, "serviceName", SERVICE_UNITS_MAX, is_service)?;
    checked(params.group, "group", GROUP_UNITS_MAX, is_group)?;
    for cluster in params.clusters.into_iter().flat_map(|clusters| clusters.split(',')) {
        checked(Some(cluster), "cluster", CLUSTER_UNITS_MAX, is_cluster)?;
    }
    checked(params.cluster, "cluster", CLUSTER_UNITS_MAX, is_cluster)?;
    checked(params.ip, "ip", IP_UNITS_MAX, is_ip)?;
    if params.port.is_some_and(|port| !(0..=PORT_MAX).contains(&port)) {
        return Err(BAD_PORT.to_owned());
    }
    if params.metadata.is_some_and(|metadata| is_heavy(metadata, metadata_units_max)) {
        return Err(too_long("Metadata", metadata_units_max));
    }
    Ok(())
}

/// The reason for a port out of range.
pub const BAD_PORT: &str = "Param 'port' is illegal, the value should be between 0 and 65535.";

/// The reason for a value over its length.
pub fn too_long(name: &str, max: usize) -> String {
    format!("Param '{name}' is illegal, the param length should not exceed {max}.")
}

/// The checks of an ephemeral registration (`grpc-protocol.md` 9.5), on either wire. `Err` is the
/// reference's text.
pub fn registration(beats: Beats, cluster: &str) -> Result<(), Cow<'static, str>> {
    if beats.timeout_ms < beats.interval_ms || beats.delete_ms < beats.interval_ms {
        let text = "Instance 'heart beat interval' must less than 'heart beat timeout' \
                    and 'ip delete timeout'.";
        return Err(text.into());
    }
    if !cluster.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let text = format!(
            "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: {cluster})"
        );
        return Err(text.into());
    }
    Ok(())
}

fn checked(
    value: Option<&str>,
    name: &str,
    units_max: usize,
    is_legal: fn(&str) -> bool,
) -> Result<(), String> {
    let Some(value) = value.filter(|value| !is_blank(value)) else { return Ok(()) };
    if is_longer(value, units_max) {
        return Err(too_long(name, units_max));
    }
    if !is_legal(value) {
        return Err(format!(
            "Param '{name}' is illegal, illegal characters should not appear in the param."
        ));
    }
    Ok(())
}

/// Absent, empty or only white space.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Whether a text has more UTF-16 units.
pub fn is_longer(text: &str, units_max: usize) -> bool {
    // A UTF-16 unit is at least one byte of UTF-8.
    text.len() > units_max && text.encode_utf16().count() > units_max
}

/// `[\w-]+`
fn is_namespace(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `[a-zA-Z0-9-_:\.]*`, also of a dataId.
fn is_group(text: &str) -> bool {
    let extra = |byte| matches!(byte, b'_' | b'-' | b':' | b'.');
    text.bytes().all(|byte: u8| byte.is_ascii_alphanumeric() || extra(byte))
}

/// `[0-9a-zA-Z-_]+`
fn is_cluster(text: &str) -> bool {
    is_namespace(text)
}

/// Neither common Chinese characters nor white space.
fn is_ip(text: &str) -> bool {
    !text.chars().any(|char| is_chinese(char) || is_java_space(char))
}

/// The first character is neither `@` nor a line end; no further one is Chinese, white space or a
/// line end; and no `@@` starts after the first. So `group@@service` is refused.
fn is_service(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next();
    if first.is_none_or(|first| first == '@' || is_line_end(first)) {
        return false;
    }
    let rest = chars.as_str();
    let legal = |char| !(is_chinese(char) || is_java_space(char) || is_line_end(char));
    rest.chars().all(legal) && !rest.contains("@@")
}

fn is_chinese(char: char) -> bool {
    ('\u{4e00}'..='\u{9fa5}').contains(&char)
}

/// Java's `\s`: ASCII only.
fn is_java_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// What Java's `.` does not match.
fn is_line_end(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether keys and values together exceed the limit; blank ones count nothing.
fn is_heavy(metadata: &Pairs<'_>, units_max: usize) -> bool {
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes <= units_max {
        return false;
    }
    let units = |text: &Text<'_>| match is_blank(text) {
        true => 0,
        false => text.encode_utf16().count(),
    };
    metadata.0.iter().map(|(key, value)| units(key) + units(value)).sum::<usize>() > units_max
}

#[cfg(test)]
mod tests {
    use super::*;

    const ILLEGAL: &str = "illegal characters should not appear in the param.";

    fn reason(given: Params<'_>) -> Option<String> {
        params(&given, 1_024).err()
    }

    fn illegal(name: &str) -> Option<String> {
        Some(format!("Param '{name}' is illegal, {ILLEGAL}"))
    }

    #[test]
    fn service_names_follow_the_reference() {
        let table = [
            ("orders", true),
            ("a", true),
            ("", true),
            ("  ", true),
            ("服", true),
            ("服务", false),
            ("a服", false),
            ("a b", false),
            (" a", true),
            ("a\u{2028}", false),
            ("\na", false),
            ("@a", false),
            ("a@", true),
            ("a@b@c", true),
            ("a@@", false),
            ("g@@s", false),
            ("com.x.Y:1.0:", true),
            ("é€😀", true),
        ];
        for (service, legal) in table {
            let given = Params { service: Some(service), ..Params::default() };
            let expected = if legal { None } else { illegal("serviceName") };
            assert_eq!(reason(given), expected, "{service:?}");
        }
    }

    #[test]
    fn other_names_follow_the_reference() {
        type Set = fn(&str) -> Params<'_>;
        let namespace: Set = |text| Params { namespace: Some(text), ..Params::default() };
        let group: Set = |text| Params { group: Some(text), ..Params::default() };
        let cluster: Set = |text| Params { cluster: Some(text), ..Params::default() };
        let clusters: Set = |text| Params { clusters: Some(text), ..Params::default() };
        let ip: Set = |text| Params { ip: Some(text), ..Params::default() };
        let table: &[(Set, &str, Option<&str>)] = &[
            (namespace, "public", None),
            (namespace, "a_b-9", None),
            (namespace, " ", None),
            (namespace, "a.b", Some("namespaceId/tenant")),
            (namespace, "é", Some("namespaceId/tenant")),
            (group, "DEFAULT_GROUP", None),
            (group, "a:b.c-d_e", None),
            (group, "a b", Some("group")),
            (group, "g@@s", Some("group")),
            (cluster, "DEFAULT", None),
            (cluster, "a_b", None),
            (cluster, "a,b", Some("cluster")),
            (clusters, "a,b,,c", None),
            (clusters, "a, b", Some("cluster")),
            (clusters, "a,b.c", Some("cluster")),
            (ip, "10.0.0.1", None),
            (ip, "host.name", None),
            (ip, "fe80::1%eth0", None),
            (ip, "10.0. 0.1", Some("ip")),
            (ip, "一", Some("ip")),
        ];
        for (set, text, name) in table {
            assert_eq!(reason(set(text)), name.and_then(illegal), "{text:?}");
        }
    }

    #[test]
    fn lengths_count_utf16_units() {
        let table: &[(&str, usize, &str)] = &[
            ("namespaceId/tenant", 64, "a"),
            ("serviceName", 512, "a"),
            ("serviceName", 512, "é"),
            ("group", 128, "a"),
            ("cluster", 64, "a"),
            ("ip", 128, "a"),
        ];
        for (name, max, char) in table {
            let at_limit = char.repeat(*max);
            let over = char.repeat(max + 1);
            fn set<'a>(name: &str, text: &'a str) -> Params<'a> {
                let text = Some(text);
                match name {
                    "namespaceId/tenant" => Params { namespace: text, ..Params::default() },
                    "serviceName" => Params { service: text, ..Params::default() },
                    "group" => Params { group: text, ..Params::default() },
                    "cluster" => Params { cluster: text, ..Params::default() },
                    _ => Params { ip: text, ..Params::default() },
                }
            }
            assert_eq!(reason(set(name, &at_limit)), None);
            assert_eq!(reason(set(name, &over)), Some(too_long(name, *max)));
        }
        // Two units each.
        let faces = "😀".repeat(257);
        let given = Params { service: Some(&faces), ..Params::default() };
        assert_eq!(reason(given), Some(too_long("serviceName", 512)));
    }

    #[test]
    fn ports_and_metadata_have_ranges() {
        for (port, bad) in [(0, false), (65_535, false), (-1, true), (65_536, true)] {
            let given = Params { port: Some(port), ..Params::default() };
            assert_eq!(reason(given), bad.then(|| BAD_PORT.to_owned()));
        }
        let long = "v".repeat(1_022);
        let blank = " ".repeat(5_000);
        for (value, bad) in [(long.as_str(), false), (blank.as_str(), false)] {
            let metadata: Pairs = [("k1", value)].into_iter().collect();
            let given = Params { metadata: Some(&metadata), ..Params::default() };
            assert_eq!(reason(given).is_some(), bad);
        }
        let metadata: Pairs = [("k12", long.as_str())].into_iter().collect();
        let given = Params { metadata: Some(&metadata), ..Params::default() };
        assert_eq!(reason(given), Some(too_long("Metadata", 1_024)));
    }

    #[test]
    fn the_first_failure_is_the_answer() {
        let given = Params {
            namespace: Some("a.b"),
            service: Some("@"),
            group: Some(" x "),
            port: Some(-1),
            ..Params::default()
        };
        assert_eq!(reason(given), illegal("namespaceId/tenant"));
        assert_eq!(reason(Params { namespace: None, ..given }), illegal("serviceName"));
        assert_eq!(reason(Params { namespace: None, service: None, ..given }), illegal("group"));
    }
}
