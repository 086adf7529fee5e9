use super::*;
use crate::key::Core;
use serde_json::Value;

const NOW: Now = Now { tick_ms: 0, unix_ms: 1_795_264_929_711 };

fn on() -> Rules {
    Rules::default()
}

fn off() -> Rules {
    Rules { param_check: false, ..Rules::default() }
}

fn ids() -> Ids {
    Ids::new(Core(0))
}

fn address() -> Instance<'static> {
    Instance { ip: Some("10.0.0.7".into()), port: 8080, ..Instance::default() }
}

fn register(instance: Instance<'static>) -> InstanceRequest<'static> {
    InstanceRequest {
        namespace: Some("public".into()),
        service_name: Some("orders".into()),
        group_name: Some("DEFAULT_GROUP".into()),
        operation: Some("registerInstance".into()),
        instance: Some(instance),
    }
}

fn metadata(pairs: &[(&'static str, &'static str)]) -> Instance<'static> {
    Instance { metadata: pairs.iter().copied().collect(), ..address() }
}

fn refused(request: &InstanceRequest<'_>, rules: &Rules) -> Refusal {
    instance(request, rules, NOW, &mut ids()).unwrap_err()
}

fn json(body: &Body) -> Value {
    serde_json::from_slice(&body.json.pieces().concat()).unwrap()
}

#[test]
fn a_registration_becomes_a_publication() {
    let op = instance(&register(address()), &on(), NOW, &mut ids()).unwrap();
    let InstanceOp::Register { service, publication } = op else { panic!("{op:?}") };
    assert_eq!(service.text(), "public@@DEFAULT_GROUP@@orders");
    let [host] = publication.hosts() else { panic!("one was sent") };
    assert_eq!((host.ip(), host.port(), host.cluster()), ("10.0.0.7", 8080, "DEFAULT"));
    assert!(matches!(*publication, Publication::One(_)));
}

#[test]
fn missing_names_have_defaults() {
    for blank in [None, Some(""), Some(" ")] {
        let request = InstanceRequest {
            namespace: blank.map(Into::into),
            group_name: blank.map(Into::into),
            ..register(address())
        };
        let op = instance(&request, &on(), NOW, &mut ids()).unwrap();
        let InstanceOp::Register { service, .. } = op else { panic!("{op:?}") };
        assert_eq!(service.text(), "public@@DEFAULT_GROUP@@orders");
    }
}

/// The texts of java-nacos-client-3.1.1.jsonl, and their type.
#[test]
fn parameter_errors_are_typed_and_to_the_letter() {
    let request = InstanceRequest { service_name: Some("bad name".into()), ..register(address()) };
    let body = refused(&request, &on()).body(Kind::Instance);
    assert_eq!(body.kind, "InstanceResponse");
    let expected = concat!(
        r#"{"resultCode":500,"errorCode":400,"message":"Param check invalid:Param 'serviceName' "#,
        r#"is illegal, illegal characters should not appear in the param.","success":false}"#
    );
    assert_eq!(json(&body), serde_json::from_str::<Value>(expected).unwrap());
    assert!(instance(&request, &off(), NOW, &mut ids()).is_ok());

    let long: &'static str = "v".repeat(1_024).leak();
    let table: &[(Instance<'static>, &str)] = &[
        (
            metadata(&[("k", long)]),
            "Param 'Metadata' is illegal, the param length should not exceed 1024.",
        ),
        (
            Instance { port: 65_536, ..address() },
            "Param 'port' is illegal, the value should be between 0 and 65535.",
        ),
        (
            Instance { ip: Some("1 2".into()), ..address() },
            "Param 'ip' is illegal, illegal characters should not appear in the param.",
        ),
        (
            Instance { cluster_name: Some("a.b".into()), ..address() },
            "Param 'cluster' is illegal, illegal characters should not appear in the param.",
        ),
    ];
    for (instance, reason) in table {
        let refusal = refused(&register(instance.clone()), &on());
        assert_eq!(refusal.message, format!("Param check invalid:{reason}"));
        assert!(refusal.typed);
    }
}

#[test]
fn a_registrations_own_checks_come_after() {
    let beats = concat!(
        "Instance 'heart beat interval' must less than 'heart beat timeout' ",
        "and 'ip delete timeout'."
    );
    let cluster =
        "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)";
    let table: &[(Instance<'static>, Option<&str>)] = &[
        (metadata(&[("preserved.heart.beat.interval", "15001")]), Some(beats)),
        (metadata(&[("preserved.heart.beat.interval", "15000")]), None),
        (metadata(&[("preserved.heart.beat.timeout", "4999")]), Some(beats)),
        (metadata(&[("preserved.ip.delete.timeout", "4999")]), Some(beats)),
        (metadata(&[("preserved.ip.delete.timeout", "4.9")]), None),
        (Instance { cluster_name: Some("a_b".into()), ..address() }, Some(cluster)),
        (Instance { cluster_name: Some("a-b".into()), ..address() }, None),
    ];
    for (instance, message) in table {
        for rules in [on(), off()] {
            let request = register(instance.clone());
            let refusal = super::instance(&request, &rules, NOW, &mut ids()).err();
            assert_eq!(refusal.as_ref().map(|refusal| &*refusal.message), *message);
            assert!(refusal.is_none_or(|refusal| refusal.typed && refusal.error_code == 400));
        }
        let batched = BatchInstanceRequest {
            service_name: Some("orders".into()),
            operation: Some("batchRegisterInstance".into()),
            instances: Some(vec![instance.clone()]),
            ..BatchInstanceRequest::default()
        };
        assert!(batch(&batched, &on(), NOW, &mut ids()).is_ok(), "a batch is not put to them");
    }
}

#[test]
fn other_operations_are_unsupported() {
    for (operation, text) in [
        (Some("move"), "move"),
        (None, "null"),
        (Some("batchRegisterInstance"), "batchRegisterInstance"),
    ] {
        let request =
            InstanceRequest { operation: operation.map(Into::into), ..register(address()) };
        let body = refused(&request, &on()).body(Kind::Instance);
        assert_eq!(body.kind, "ErrorResponse");
        let json = json(&body);
        assert_eq!(json["message"], format!("Unsupported request type {text}"));
        assert_eq!((&json["resultCode"], &json["errorCode"]), (&400.into(), &400.into()));
    }
    let batched = BatchInstanceRequest {
        service_name: Some("s".into()),
        operation: Some("registerInstance".into()),
        ..BatchInstanceRequest::default()
    };
    let refusal = batch(&batched, &on(), NOW, &mut ids()).unwrap_err();
    assert_eq!(refusal.message, "Unsupported request type registerInstance");
}

#[test]
fn what_must_be_there_is_asked_for() {
    let blank = "Param 'serviceName' is illegal, serviceName is blank";
    let request = InstanceRequest { service_name: Some(" ".into()), ..register(address()) };
    assert_eq!(refused(&request, &on()).message, blank);
    let request = InstanceRequest { instance: None, ..register(address()) };
    assert_eq!(refused(&request, &on()).message, "Param 'instance' is illegal, instance is null");
    // To take back needs no instance, and looks at none.
    let request =
        InstanceRequest { operation: Some("deregisterInstance".into()), ..request.clone() };
    assert!(matches!(
        instance(&request, &on(), NOW, &mut ids()),
        Ok(InstanceOp::Deregister { service }) if service.service() == "orders"
    ));
    let bad = Instance { cluster_name: Some("a_b".into()), ..address() };
    let request = InstanceRequest { instance: Some(bad), ..request };
    assert!(instance(&request, &on(), NOW, &mut ids()).is_ok());

    let subscription = SubscribeServiceRequest::default();
    assert_eq!(subscribe(&subscription, &on()).unwrap_err().message, blank);
    let batched = BatchInstanceRequest {
        service_name: Some("s".into()),
        operation: Some("batchRegisterInstance".into()),
        ..BatchInstanceRequest::default()
    };
    let refusal = batch(&batched, &on(), NOW, &mut ids()).unwrap_err();
    assert_eq!(refusal.message, "Param 'instances' is illegal, instances is null");
}

#[test]
fn a_batch_is_checked_one_by_one_and_may_be_empty() {
    let of = |instances| BatchInstanceRequest {
        service_name: Some("orders".into()),
        operation: Some("batchRegisterInstance".into()),
        instances: Some(instances),
        ..BatchInstanceRequest::default()
    };
    let (service, publication) =
        batch(&of(vec![address(), address()]), &on(), NOW, &mut ids()).unwrap();
    assert_eq!((service.service(), publication.hosts().len()), ("orders", 2));
    let (_, publication) = batch(&of(vec![]), &on(), NOW, &mut ids()).unwrap();
    assert!(publication.hosts().is_empty());
    let grouped = Instance { service_name: Some("g@@orders".into()), ..address() };
    let refusal = batch(&of(vec![address(), grouped]), &on(), NOW, &mut ids()).unwrap_err();
    assert!(refusal.message.contains("'serviceName'"));
}

#[test]
fn queries_and_subscriptions_carry_their_filter() {
    let request = ServiceQueryRequest {
        service_name: Some("s".into()),
        healthy_only: true,
        ..ServiceQueryRequest::default()
    };
    let (service, filter) = query(&request, &on()).unwrap();
    assert_eq!(service.text(), "public@@DEFAULT_GROUP@@s");
    let expected = Filter { clusters: Some("".into()), healthy_only: true };
    assert_eq!(filter, expected, "null is answered as empty");

    for clusters in [None, Some(""), Some("a,b")] {
        let request = SubscribeServiceRequest {
            service_name: Some("s".into()),
            clusters: clusters.map(Into::into),
            subscribe: true,
            ..SubscribeServiceRequest::default()
        };
        let (_, filter, on_or_off) = subscribe(&request, &on()).unwrap();
        assert_eq!((filter.clusters.as_deref(), on_or_off), (clusters, true));
    }
    let request = ServiceQueryRequest { cluster: Some("a b".into()), ..request };
    assert!(query(&request, &on()).unwrap_err().message.contains("'cluster'"));
    let request = ServiceQueryRequest { cluster: None, udp_port: -1, ..request };
    assert!(query(&request, &on()).unwrap_err().message.contains("'port'"));
}

#[test]
fn lists_ask_for_a_group_of_a_namespace() {
    let request = ServiceListRequest {
        namespace: Some("".into()),
        page_no: 2,
        page_size: 10,
        ..ServiceListRequest::default()
    };
    let expected = ListOp {
        namespace: "public".into(),
        group: "DEFAULT_GROUP".into(),
        page_no: 2,
        page_size: 10,
    };
    assert_eq!(list(&request, &on()).unwrap(), expected);
}

#[test]
fn fuzzy_watches_are_understood_or_refused() {
    let request = |kind: Option<&'static str>, pattern: &'static str| FuzzyWatchRequest {
        watch_type: kind.map(Into::into),
        group_key_pattern: Some(pattern.into()),
        received_group_keys: Some(vec!["n@@g@@s".into()]),
        initializing: true,
        ..FuzzyWatchRequest::default()
    };
    let FuzzyOp::Watch { namespace, watch } =
        fuzzy(&request(Some("WATCH"), "n>>g>>s*"), &on()).unwrap()
    else {
        panic!("a watch was asked for")
    };
    assert_eq!((&*namespace, &*watch.pattern, watch.initializing), ("n", "n>>g>>s*", true));
    assert_eq!(watch.known, ["n@@g@@s".into()]);
    let cancel = fuzzy(&request(Some("CANCEL_WATCH"), "n>>g>>s*"), &on()).unwrap();
    let expected = FuzzyOp::Cancel { namespace: "n".into(), pattern: "n>>g>>s*".into() };
    assert_eq!(cancel, expected);

    let refusal = fuzzy(&request(Some("LOOK"), "n>>g>>s"), &on()).unwrap_err();
    assert_eq!(refusal.message, "Unsupported request type LOOK");
    assert_eq!(refusal.body(Kind::NamingFuzzyWatch).kind, "ErrorResponse");
    let refusal = fuzzy(&request(Some("WATCH"), "n>>g"), &on()).unwrap_err();
    assert_eq!((refusal.typed, refusal.error_code), (true, 400));
    let refusal = fuzzy(&request(Some("WATCH"), "n.n>>g>>s"), &on()).unwrap_err();
    assert!(refusal.message.contains("'namespaceId/tenant'"));
    assert!(fuzzy(&request(Some("WATCH"), "n.n>>g>>s"), &off()).is_ok());
    let long: &'static str = format!("n>>g>>{}", "s".repeat(FUZZY_PATTERN_BYTES_MAX)).leak();
    assert!(fuzzy(&request(Some("WATCH"), long), &off()).is_err());
}

/// With the check off anything may come; what is kept must fit, and nothing panics.
#[test]
fn without_the_check_lengths_still_have_bounds() {
    let long: &'static str = "é".repeat(FIELD_BYTES_MAX).leak();
    let fits: &'static str = "x".repeat(FIELD_BYTES_MAX).leak();
    for (text, legal) in [(fits, true), (long, false)] {
        let part = || Some(Text::from(text));
        let requests = [
            InstanceRequest { namespace: part(), ..register(address()) },
            InstanceRequest { group_name: part(), ..register(address()) },
            InstanceRequest { service_name: part(), ..register(address()) },
            register(Instance { ip: part(), ..address() }),
            register(Instance { cluster_name: part(), ..address() }),
        ];
        for request in requests {
            let done = instance(&request, &off(), NOW, &mut ids());
            // The cluster's characters are checked in any case.
            assert_eq!(done.is_ok(), legal, "{:?}", done.err());
        }
    }
    let huge: &'static str = ",".repeat(CLUSTERS_BYTES_MAX + 1).leak();
    let request = SubscribeServiceRequest {
        service_name: Some("s".into()),
        clusters: Some(huge.into()),
        ..SubscribeServiceRequest::default()
    };
    assert!(subscribe(&request, &on()).is_err());
    let request = register(Instance { port: i64::MAX, ..address() });
    assert!(instance(&request, &off(), NOW, &mut ids()).is_err());
}

mod anything {
    use super::*;
    use crate::naming::view::{Frame, View};
    use ahash::RandomState;
    use proptest::option::of;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        of(prop_oneof!["[a-z@.,# -]{0,12}", "\\PC{0,20}", "[\\x00-\\x7f]{0,8}"])
    }

    fn shared(text: &Option<String>) -> Option<Text<'_>> {
        text.as_deref().map(Into::into)
    }

    prop_compose! {
        fn some_instance()(
            id in text(), ip in text(), cluster in text(), service in text(),
            port in -70_000i64..70_000, weight in proptest::num::f64::ANY,
            healthy in any::<bool>(), enabled in any::<bool>(),
            pairs in proptest::collection::btree_map("\\PC{0,9}", "\\PC{0,9}", 0..5),
        ) -> (Instance<'static>, [Option<String>; 4]) {
            let own = |text: &Option<String>| text.clone().map(Text::from);
            let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
            let instance = Instance {
                instance_id: own(&id),
                ip: own(&ip),
                port,
                weight,
                healthy,
                enabled,
                ephemeral: true,
                cluster_name: own(&cluster),
                service_name: own(&service),
                metadata: nacre_proto::text::Pairs(pairs.collect()),
            };
            (instance, [id, ip, cluster, service])
        }
    }

    proptest! {
        /// Nothing a client sends panics; what is accepted is shown as it was sent, in valid JSON.
        #[test]
        fn is_refused_or_shown(
            (instance, [id, ip, cluster, _]) in some_instance(),
            names in (text(), text(), text()),
            check in any::<bool>(),
        ) {
            let request = BatchInstanceRequest {
                namespace: shared(&names.0),
                group_name: shared(&names.1),
                service_name: shared(&names.2),
                operation: Some("batchRegisterInstance".into()),
                instances: Some(vec![instance.clone()]),
            };
            let rules = Rules { param_check: check, ..Rules::default() };
            let Ok((service, publication)) = batch(&request, &rules, NOW, &mut ids()) else {
                return Ok(());
            };
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            let frame = Frame {
                service: &service, revision: 1, cache_ms: 1, metadata: None, hasher: &hasher,
            };
            let view = View::build(&frame, publication.hosts().iter());
            let info: Value = serde_json::from_slice(&view.build_body(&Filter::all(), false))?;
            prop_assert_eq!(info["name"].as_str(), Some(service.service()));
            let host = &info["hosts"][0];
            prop_assert_eq!(host["ip"].as_str(), ip.as_deref());
            prop_assert_eq!(host["port"].as_i64(), Some(instance.port));
            prop_assert_eq!(host["healthy"].as_bool(), Some(instance.healthy));
            prop_assert_eq!(host["enabled"].as_bool(), Some(instance.enabled));
            if let Some(id) = id.filter(|id| !id.is_empty()) {
                prop_assert_eq!(host["instanceId"].as_str(), Some(id.as_str()));
            }
            let cluster = cluster.filter(|cluster| !is_blank(cluster));
            let cluster = cluster.as_deref().unwrap_or("DEFAULT");
            prop_assert_eq!(host["clusterName"].as_str(), Some(cluster));
            prop_assert_eq!(host["metadata"].as_object().unwrap().len(), instance.metadata.len());
            for (key, value) in instance.metadata.iter() {
                prop_assert_eq!(host["metadata"][key].as_str(), Some(value));
            }
            if instance.weight.is_finite() {
                // serde_json reads the last digit loosely.
                let shown = host["weight"].as_f64().unwrap();
                prop_assert!((shown - instance.weight).abs() <= instance.weight.abs() * 1e-14);
            }
        }

        /// The same for requests that keep nothing.
        #[test]
        fn names_of_any_kind_do_not_panic(
            names in (text(), text(), text()), clusters in text(), pattern in text(),
        ) {
            for param_check in [true, false] {
                let rules = Rules { param_check, ..Rules::default() };
                let _ = query(&ServiceQueryRequest {
                    namespace: shared(&names.0),
                    group_name: shared(&names.1),
                    service_name: shared(&names.2),
                    cluster: shared(&clusters),
                    ..ServiceQueryRequest::default()
                }, &rules);
                let _ = list(&ServiceListRequest {
                    namespace: shared(&names.0),
                    group_name: shared(&names.1),
                    ..ServiceListRequest::default()
                }, &rules);
                let _ = fuzzy(&FuzzyWatchRequest {
                    group_key_pattern: shared(&pattern),
                    watch_type: Some("WATCH".into()),
                    ..FuzzyWatchRequest::default()
                }, &rules);
            }
        }
    }
}
