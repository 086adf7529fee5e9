use super::*;
use crate::key::Core;
use crate::message::Now;
use crate::naming::host::Ids;
use nacre_proto::naming::Instance;
use proptest::prelude::*;
use serde_json::Value;

fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

fn service() -> ServiceKey {
    ServiceKey::new("public", "DEFAULT_GROUP", "j31-svc")
}

/// (ip, cluster, healthy, enabled)
type Sketch = (&'static str, &'static str, bool, bool);

fn host((ip, cluster, healthy, enabled): Sketch) -> Host {
    let instance = Instance {
        ip: Some(ip.into()),
        port: 80,
        cluster_name: Some(cluster.into()),
        healthy,
        enabled,
        ..Instance::default()
    };
    let now = Now { tick_ms: 0, unix_ms: 0 };
    Host::new(&instance, &service(), &mut Ids::new(Core(0)), now)
}

fn view_of(sketches: &[Sketch], metadata: Option<ServiceMetadata>) -> View {
    let hosts: Vec<Host> = sketches.iter().copied().map(host).collect();
    let hasher = hasher();
    let service = service();
    let frame = Frame {
        service: &service,
        revision: 1_795_264_929_711,
        cache_ms: 10_000,
        metadata,
        hasher: &hasher,
    };
    View::build(&frame, hosts.iter())
}

fn filter(clusters: Option<&str>, healthy_only: bool) -> Filter {
    Filter { clusters: clusters.map(Into::into), healthy_only }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The ips shown, and whether protection is on; a `!` marks one shown unhealthy.
fn shown(body: &[u8]) -> (Vec<String>, bool) {
    let json = parsed(body);
    let mark = |host: &Value| if host["healthy"] == true { "" } else { "!" };
    let hosts = json["hosts"].as_array().unwrap();
    let ips = hosts.iter().map(|host| format!("{}{}", mark(host), host["ip"].as_str().unwrap()));
    (ips.collect(), json["reachProtectionThreshold"].as_bool().unwrap())
}

/// java-nacos-client-3.1.1.jsonl: the answer for a service nobody publishes.
#[test]
fn an_empty_service_looks_as_the_reference_shows_it() {
    let expected = concat!(
        r#"{"name":"j31-svc","groupName":"DEFAULT_GROUP","clusters":"","cacheMillis":10000,"#,
        r#""hosts":[],"lastRefTime":1795264929711,"checksum":"","allIps":false,"#,
        r#""reachProtectionThreshold":false,"valid":true}"#
    );
    let view = view_of(&[], None);
    assert_eq!(view.body(&Filter::all()), expected);
    assert!(view.is_empty());
}

#[test]
fn the_default_body_is_shared_and_exactly_as_long_as_it_must_be() {
    let view = view_of(&[("1", "DEFAULT", true, true), ("2", "DEFAULT", true, true)], None);
    let one = view.body(&Filter::all());
    assert_eq!(one.as_ptr(), view.body(&filter(Some(""), true)).as_ptr());
    assert_eq!(shown(&one), (vec!["1".into(), "2".into()], false));
    assert_ne!(one.as_ptr(), view.body(&filter(Some("DEFAULT"), false)).as_ptr());
}

#[test]
fn clusters_are_echoed_as_they_were_sent() {
    let view = view_of(&[("1", "DEFAULT", true, true)], None);
    assert!(parsed(&view.body(&filter(None, false))).get("clusters").is_none());
    for clusters in ["", " ", ",", "DEFAULT", "a,\"b\""] {
        assert_eq!(parsed(&view.body(&filter(Some(clusters), false)))["clusters"], clusters);
    }
}

/// So that a view is allocated once and holds no spare bytes.
#[test]
fn what_is_reserved_is_used_up() {
    let sketches =
        [("1", "DEFAULT", true, true), ("22", "", true, true), ("3", "DEFAULT", true, true)];
    for count in 0..=3 {
        let view = view_of(&sketches[..count], None);
        let grouped = Grouped::of(&service());
        let hosts = sketches[..count].iter().copied().map(host);
        let hosts: usize = hosts.map(|host| host.json_bytes(&grouped) + 1).sum();
        let frame = frame_bytes(&service(), Some(""), 10_000, 1_795_264_929_711);
        assert_eq!(hosts.saturating_sub(1) + frame, view.text.len());
    }
}

const MIXED: [Sketch; 5] = [
    ("1", "DEFAULT", true, true),
    ("2", "a", false, true),
    ("3", "a", true, true),
    ("4", "b", false, true),
    ("5", "b", true, false),
];

#[test]
fn selection_follows_clusters_health_and_enabled() {
    let view = view_of(&MIXED, None);
    let table: &[(Option<&str>, bool, &[&str])] = &[
        (None, false, &["1", "!2", "3", "!4"]),
        (Some(""), false, &["1", "!2", "3", "!4"]),
        (Some("  "), false, &["1", "!2", "3", "!4"]),
        (Some(","), false, &["1", "!2", "3", "!4"]),
        (Some(""), true, &["1", "3"]),
        (Some("a"), false, &["!2", "3"]),
        (Some("a"), true, &["3"]),
        (Some("b"), false, &["!4"]),
        (Some("b"), true, &[]),
        (Some("a,DEFAULT"), false, &["1", "!2", "3"]),
        (Some("a, DEFAULT"), false, &["!2", "3"]),
        (Some(",a,,"), false, &["!2", "3"]),
        (Some("A"), false, &[]),
    ];
    for (clusters, healthy_only, expected) in table {
        let body = view.body(&filter(*clusters, *healthy_only));
        assert_eq!(shown(&body).0, *expected, "{clusters:?} {healthy_only}");
    }
    let everything = view.build_body(&Filter::all(), false);
    assert_eq!(shown(&everything).0, ["1", "!2", "3", "!4", "5"]);
}

/// `naming.md` 5.2 and 17: thresholds 0, 0.5, 1 with and without `healthyOnly`.
#[test]
fn protection_needs_metadata_and_too_few_healthy() {
    let two: &'static [Sketch] = &[("1", "DEFAULT", true, true), ("2", "DEFAULT", false, true)];
    let none: &'static [Sketch] = &[("1", "DEFAULT", false, true), ("2", "DEFAULT", false, true)];
    let all: &'static [Sketch] = &[("1", "DEFAULT", true, true), ("2", "DEFAULT", true, true)];
    /// Instances, threshold, healthy only; the ips shown, and whether protection is on.
    type Row = (&'static [Sketch], Option<f32>, bool, &'static [&'static str], bool);
    let table: &[Row] = &[
        (two, None, false, &["1", "!2"], false),
        (none, None, false, &["!1", "!2"], false),
        (two, Some(0.0), false, &["1", "!2"], false),
        (none, Some(0.0), false, &["1", "2"], true),
        (none, Some(-1.0), false, &["1", "2"], true),
        (two, Some(0.4), false, &["1", "!2"], false),
        (two, Some(0.5), false, &["1", "2"], true),
        (two, Some(1.0), false, &["1", "2"], true),
        (all, Some(0.5), false, &["1", "2"], false),
        (all, Some(1.0), false, &["1", "2"], true),
        (two, Some(0.5), true, &["1"], false),
        (two, Some(1.0), true, &["1"], true),
        (none, Some(0.0), true, &[], false),
        (&[], Some(1.0), false, &[], false),
    ];
    for (sketches, threshold, healthy_only, expected, reached) in table {
        let metadata = threshold.map(|protect_threshold| ServiceMetadata { protect_threshold });
        let view = view_of(sketches, metadata);
        for clusters in [Some(""), None] {
            let (ips, protected) = shown(&view.body(&filter(clusters, *healthy_only)));
            assert_eq!(
                (ips.as_slice(), protected),
                (expected.iter().map(|ip| ip.to_string()).collect::<Vec<_>>().as_slice(), *reached),
                "{threshold:?} {healthy_only}"
            );
        }
    }
}

#[test]
fn protection_counts_the_selected_clusters_only() {
    let metadata = Some(ServiceMetadata { protect_threshold: 0.5 });
    let view = view_of(&MIXED, metadata);
    assert_eq!(shown(&view.body(&filter(Some("a"), false))), (vec!["2".into(), "3".into()], true));
    assert_eq!(shown(&view.body(&filter(Some("DEFAULT"), false))), (vec!["1".into()], false));
}

#[test]
fn any_number_of_clusters_is_told_apart() {
    let names: Vec<&'static str> = (0..30).map(|n| &*String::leak(format!("c{n}"))).collect();
    let sketches: Vec<Sketch> =
        (0..90).map(|n| (names[n / 3], names[n % 30], true, true)).collect();
    let view = view_of(&sketches, None);
    assert_eq!(view.clusters.len(), 30);
    for name in &names {
        let expected = sketches.iter().filter(|sketch| sketch.1 == *name).map(|sketch| sketch.0);
        let body = view.body(&filter(Some(name), false));
        assert_eq!(shown(&body).0, expected.collect::<Vec<_>>());
    }
}

#[test]
fn equal_instances_are_shown_once() {
    let few = [MIXED[0], MIXED[1], MIXED[0]];
    assert_eq!(shown(&view_of(&few, None).body(&Filter::all())).0, ["1", "!2"]);
    let many: Vec<Sketch> = (0..40).map(|at| MIXED[at % 4]).collect();
    assert_eq!(shown(&view_of(&many, None).body(&Filter::all())).0, ["1", "!2", "3", "!4"]);
}

#[test]
fn filtered_bodies_are_kept_and_bounded() {
    let view = view_of(&MIXED, None);
    let mut bodies = Bodies::default();
    let first = bodies.get(&view, &filter(Some("a"), false));
    assert_eq!(first.as_ptr(), bodies.get(&view, &filter(Some("a"), false)).as_ptr());
    assert_eq!(bodies.get(&view, &Filter::all()).as_ptr(), view.body(&Filter::all()).as_ptr());
    for at in 0..100 {
        let clusters = format!("a,{at}");
        let body = bodies.get(&view, &filter(Some(&clusters), false));
        assert_eq!(parsed(&body)["clusters"], clusters);
    }
    assert_eq!(bodies.len(), FILTERED_BODIES_MAX);
    let newer = View { revision: view.revision + 1, ..view_of(&[], None) };
    assert_eq!(shown(&bodies.get(&newer, &filter(Some("a"), false))).0, [""; 0]);
    assert_eq!(bodies.len(), 1);
}

proptest! {
    /// Whatever is published and asked for: valid JSON, and what the rule says, told naively.
    #[test]
    fn any_selection_is_what_the_rule_says(
        picks in proptest::collection::vec(
            (0usize..40, 0usize..3, any::<bool>(), any::<bool>()),
            0..30,
        ),
        wanted in proptest::option::of("[abc, ]{0,6}"),
        healthy_only in any::<bool>(),
    ) {
        const NAMES: [&str; 3] = ["a", "b", "DEFAULT"];
        let ips: Vec<String> = (0..40).map(|ip| ip.to_string()).collect();
        let sketches: Vec<Sketch> = picks.iter()
            .map(|(ip, cluster, healthy, enabled)| {
                (&*String::leak(ips[*ip].clone()), NAMES[*cluster], *healthy, *enabled)
            })
            .collect();
        let view = view_of(&sketches, None);
        let body = view.body(&filter(wanted.as_deref(), healthy_only));
        let text = wanted.unwrap_or_default();
        let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
        let all = text.trim().is_empty() || parts.is_empty();
        let mut seen = HashSet::new();
        let expected: Vec<String> = sketches.iter()
            .filter(|sketch| seen.insert(**sketch))
            .filter(|(_, cluster, healthy, enabled)| {
                *enabled && (!healthy_only || *healthy) && (all || parts.contains(cluster))
            })
            .map(|(ip, _, healthy, _)| format!("{}{ip}", if *healthy { "" } else { "!" }))
            .collect();
        prop_assert_eq!(shown(&body).0, expected);
    }
}
