use super::*;
use crate::key::Core;
use nacre_proto::text::Pairs;

fn name(service: &str) -> Name {
    Name { service: service.into(), ..Name::default() }
}

fn address(ip: &str, port: i64) -> Address {
    Address { ip: ip.into(), port, cluster: String::new() }
}

fn instance() -> Instance<'static> {
    Instance { ip: Some("10.0.0.1".into()), port: 80, ..Instance::default() }
}

fn accepted(call: Call) -> Result<Order, Refused> {
    accepted_by(call, &Rules::default())
}

fn accepted_by(call: Call, rules: &Rules) -> Result<Order, Refused> {
    let now = Now { tick_ms: 0, unix_ms: 0 };
    accept(call, &mut Means { rules, now, ids: &mut Ids::new(Core(0)) })
}

fn register(name: Name, instance: Instance<'static>) -> Call {
    Call::Register { name, instance }
}

fn pairs(given: &[(&'static str, &'static str)]) -> Pairs<'static> {
    given.iter().copied().collect()
}

#[test]
fn blank_parts_of_a_name_have_their_defaults() {
    let blank = Name { namespace: " ".into(), group: String::new(), service: "s".into() };
    let order = accepted(Call::Delete { name: blank }).unwrap();
    assert_eq!(order.service().unwrap().text(), "public@@DEFAULT_GROUP@@s");
    let own = Name { namespace: "dev".into(), group: "g".into(), service: "s".into() };
    let order = accepted(Call::Delete { name: own }).unwrap();
    assert_eq!(order.service().unwrap().text(), "dev@@g@@s");
}

/// The parameter check answers a plain line; the handler's own checks have codes.
#[test]
fn registrations_are_checked_in_the_references_order() {
    let cluster =
        |cluster: &'static str| Instance { cluster_name: Some(cluster.into()), ..instance() };
    let weight = |weight: f64| Instance { weight, ..instance() };
    let port = |port: i64| Instance { port, ..instance() };
    let beats = pairs(&[("preserved.heart.beat.interval", "20000")]);
    let heavy = pairs(&[("k", "v")]);
    type Case = (&'static str, Instance<'static>, Option<(u16, Code, bool)>);
    let table: &[Case] = &[
        ("s", instance(), None),
        ("s", cluster("c-1"), None),
        ("s", cluster(" "), None),
        ("s", weight(0.0), None),
        ("s", weight(10_000.0), None),
        ("s", port(0), None),
        ("s", port(65_535), None),
        ("s", port(65_536), Some((400, Code::ParameterValidateError, true))),
        ("s", port(-1), Some((400, Code::ParameterValidateError, true))),
        ("s b", weight(-1.0), Some((400, Code::ParameterValidateError, true))),
        ("s", cluster("a.b"), Some((400, Code::ParameterValidateError, true))),
        ("", instance(), Some((400, Code::ParameterMissing, false))),
        ("s", cluster("a_b"), Some((400, Code::ParameterValidateError, false))),
        ("s", weight(-0.1), Some((400, Code::WeightError, false))),
        ("s", weight(10_000.1), Some((400, Code::WeightError, false))),
        ("s", weight(f64::NAN), Some((400, Code::WeightError, false))),
        (
            "s",
            Instance { metadata: beats, ..instance() },
            Some((400, Code::ParameterValidateError, false)),
        ),
        ("s", Instance { ephemeral: false, metadata: heavy, ..instance() }, None),
    ];
    for (service, given, expected) in table {
        let refused = accepted(register(name(service), given.clone())).err();
        let seen = refused.as_ref().map(|refused| (refused.status, refused.code, refused.plain));
        assert_eq!(seen, *expected, "{service} {given:?} {refused:?}");
    }
}

#[test]
fn an_instance_has_its_cluster_and_a_least_weight() {
    let given = Instance { weight: 0.001, ..instance() };
    let Ok(Order::Register { host, beats, .. }) = accepted(register(name("s"), given)) else {
        panic!("legal")
    };
    assert_eq!((host.weight(), host.cluster(), beats), (0.01, "DEFAULT", Beats::DEFAULT));
}

#[test]
fn what_is_kept_has_its_bounds_without_the_check_as_well() {
    let rules = Rules { param_check: false, ..Rules::default() };
    let long: String = "x".repeat(FIELD_BYTES_MAX + 1);
    for call in [
        Call::Delete { name: name(&long) },
        register(name("s"), Instance { ip: Some(long.clone().into()), ..instance() }),
        register(name("s"), Instance { port: i64::MAX, ..instance() }),
        Call::Deregister { name: name("s"), address: address("1", i64::MAX), ephemeral: true },
        Call::List {
            name: name("s"),
            clusters: long.clone(),
            healthy_only: false,
            shape: Shape::Info,
            poller: None,
        },
        Call::Create {
            name: name("s"),
            settings: Settings { metadata: long.clone(), ..Settings::default() },
            ephemeral: false,
        },
    ] {
        let refused = accepted_by(call, &rules).unwrap_err();
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    assert!(accepted_by(Call::Delete { name: name("a b") }, &rules).is_ok());
}

#[test]
fn a_beat_may_describe_its_instance() {
    let beat = |instance| Call::Beat { name: name("s"), address: address("1", 80), instance };
    match accepted(beat(Some(instance()))).unwrap() {
        Order::Beat { register: Some((host, _)), .. } => assert_eq!(host.port(), 80),
        other => panic!("{other:?}"),
    }
    assert!(matches!(accepted(beat(None)), Ok(Order::Beat { register: None, .. })));
    let wrong = Instance { weight: -1.0, ..instance() };
    assert!(accepted(beat(Some(wrong))).is_err());
}

#[test]
fn edits_are_checked_as_registrations_are() {
    let edit =
        |edit| Call::Edit { name: name("s"), address: address("1", 80), edit, mode: Mode::Replace };
    let heavy = Pairs(vec![("k".into(), "v".repeat(2_000).into())]);
    let refused = accepted(edit(Edit { metadata: Some(heavy), ..Edit::default() })).unwrap_err();
    assert!(refused.plain, "{}", refused.text);
    let refused = accepted(edit(Edit { weight: Some(1e9), ..Edit::default() })).unwrap_err();
    assert_eq!(refused.code, Code::WeightError);
    match accepted(edit(Edit::default())).unwrap() {
        Order::Edit { address, .. } => assert_eq!(&*address.cluster, "DEFAULT"),
        other => panic!("{other:?}"),
    }
}

/// `http-api.md` 3.5.
#[test]
fn datagrams_go_to_clients_that_know_them() {
    for (agent, takes) in [
        ("Nacos-Java-Client:v1.4.8", true),
        ("Nacos-Java-Client:v0.1.0", true),
        ("Nacos-Java-Client:v0.0.9", false),
        ("Nacos-Java-Client:v", false),
        ("Nacos-DNS:v0.4.2", false),
        ("Nacos-DNS:v0.4.3", true),
        ("Nacos-C-Client:v1.0.12", true),
        ("vip-client4cpp:v1.0.11", false),
        ("Nacos-Go-Client:v1.0.0", true),
        ("Nacos-CSharp-Client:v0.9", true),
        ("Nacos-Python-Client:v1.0.0", false),
        ("unit-nginx", false),
        ("curl/8.0", false),
        ("", false),
    ] {
        assert_eq!(takes_datagrams(agent), takes, "{agent}");
    }
}
