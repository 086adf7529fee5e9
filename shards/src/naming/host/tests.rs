use super::*;
use serde_json::{Value, json};

const NOW: Now = Now { tick_ms: 5, unix_ms: 1_795_264_929_711 };

fn service() -> ServiceKey {
    ServiceKey::new("public", "DEFAULT_GROUP", "j31-svc")
}

fn host(instance: &Instance<'_>) -> Host {
    Host::new(instance, &service(), &mut Ids::new(Core(0)), NOW)
}

fn text(host: &Host) -> String {
    let mut out = Vec::new();
    let at = host.write(&Grouped::of(&service()), &mut out);
    let flag = if host.healthy() { "true," } else { "false," };
    assert!(out[at..].starts_with(flag.as_bytes()), "healthy stands where it was said to");
    String::from_utf8(out).unwrap()
}

fn json_of(instance: &Instance<'_>) -> Value {
    serde_json::from_str(&text(&host(instance))).unwrap()
}

fn plain() -> Instance<'static> {
    Instance { ip: Some("192.0.2.11".into()), port: 8080, ..Instance::default() }
}

/// java-nacos-client-3.1.1.jsonl, the first query answer, byte for byte.
#[test]
fn a_java_instance_looks_as_the_reference_shows_it() {
    let metadata = [("zone", "a"), ("version", "1")].into_iter().collect();
    let instance = Instance { metadata, ..plain() };
    let expected = concat!(
        r#"{"instanceId":"192.0.2.11#8080#null#DEFAULT_GROUP@@j31-svc","ip":"192.0.2.11","#,
        r#""port":8080,"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"#,
        r#""clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@j31-svc","#,
        r#""metadata":{"zone":"a","version":"1"},"instanceHeartBeatInterval":5000,"#,
        r#""instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}"#
    );
    assert_eq!(text(&host(&instance)), expected);
}

#[test]
fn without_metadata_the_generator_is_simple() {
    let json = json_of(&plain());
    assert_eq!(json["metadata"], json!({}));
    assert_eq!(json["instanceIdGenerator"], "simple");
}

#[test]
fn an_id_shows_the_cluster_as_the_client_sent_it() {
    let table = [
        (None, "192.0.2.11#8080#null#DEFAULT_GROUP@@j31-svc", "DEFAULT"),
        (Some(""), "192.0.2.11#8080##DEFAULT_GROUP@@j31-svc", "DEFAULT"),
        (Some(" "), "192.0.2.11#8080# #DEFAULT_GROUP@@j31-svc", "DEFAULT"),
        (Some("DEFAULT"), "192.0.2.11#8080#DEFAULT#DEFAULT_GROUP@@j31-svc", "DEFAULT"),
        (Some("c-1"), "192.0.2.11#8080#c-1#DEFAULT_GROUP@@j31-svc", "c-1"),
    ];
    for (cluster, id, shown) in table {
        let json = json_of(&Instance { cluster_name: cluster.map(Into::into), ..plain() });
        assert_eq!(json["instanceId"], id);
        assert_eq!(json["clusterName"], shown);
    }
}

#[test]
fn a_clients_own_id_and_service_name_count() {
    let json = json_of(&Instance { instance_id: Some("mine \"1\"".into()), ..plain() });
    assert_eq!(json["instanceId"], "mine \"1\"");
    let json = json_of(&Instance { service_name: Some("other".into()), ..plain() });
    assert_eq!(json["instanceId"], "192.0.2.11#8080#null#other");
    assert_eq!(json["serviceName"], "DEFAULT_GROUP@@j31-svc");
    let json = json_of(&Instance { ip: None, ..plain() });
    assert_eq!(json["instanceId"], "null#8080#null#DEFAULT_GROUP@@j31-svc");
    assert!(json.get("ip").is_none());
}

#[test]
fn reserved_metadata_sets_the_times_when_all_digits() {
    let metadata = [
        ("preserved.heart.beat.interval", "1000"),
        ("preserved.heart.beat.timeout", "3s"),
        ("preserved.ip.delete.timeout", "99999999999999999999"),
        ("preserved.instance.id.generator", "si\"mple"),
        ("customInstanceId", "gone"),
        ("publishInstanceWeight", "gone"),
    ];
    let json = json_of(&Instance { metadata: metadata.into_iter().collect(), ..plain() });
    assert_eq!(json["instanceHeartBeatInterval"], 1000);
    assert_eq!(json["instanceHeartBeatTimeOut"], 15000);
    assert_eq!(json["ipDeleteTimeout"], 30000);
    assert_eq!(json["instanceIdGenerator"], "si\"mple");
    assert_eq!(json["metadata"].as_object().unwrap().len(), 4);
    // Only reserved keys: as if there were none.
    let metadata = [("customInstanceId", "x")].into_iter().collect();
    let json = json_of(&Instance { metadata, ..plain() });
    assert_eq!((&json["metadata"], &json["instanceIdGenerator"]), (&json!({}), &json!("simple")));
}

#[test]
fn snowflake_ids_are_unique_and_repeatable() {
    let metadata: Pairs = [("preserved.instance.id.generator", "snowflake")].into_iter().collect();
    let instance = Instance { metadata, ..plain() };
    let json = json_of(&instance);
    let id = json["instanceId"].as_str().unwrap();
    let (number, rest) = id.split_once('#').unwrap();
    assert!(number.parse::<u64>().unwrap() > 0);
    assert_eq!(rest, "null#DEFAULT_GROUP@@j31-svc");
    assert_eq!(json_of(&instance), json);

    let (mut one, mut other) = (Ids::new(Core(1)), Ids::new(Core(2)));
    let mut seen = std::collections::HashSet::new();
    for round in 0..3 {
        // The clock goes back once; ids do not.
        let now = Now { tick_ms: round, unix_ms: NOW.unix_ms - round % 2 };
        for _ in 0..5_000 {
            assert!(seen.insert(one.next(now)) && seen.insert(other.next(now)));
        }
    }
}

#[test]
fn wild_values_stay_valid_json() {
    let instance = Instance {
        ip: Some("a\"b\\\n".into()),
        port: -1,
        weight: f64::INFINITY,
        healthy: false,
        enabled: false,
        cluster_name: Some("c\"".into()),
        metadata: [("k\u{1}", "v\"")].into_iter().collect(),
        ..Instance::default()
    };
    let json = json_of(&instance);
    assert_eq!((&json["ip"], &json["port"]), (&json!("a\"b\\\n"), &json!(-1)));
    assert_eq!((&json["healthy"], &json["enabled"]), (&json!(false), &json!(false)));
    assert_eq!(json["weight"], "Infinity");
    assert_eq!(json["metadata"]["k\u{1}"], "v\"");
    assert_eq!(host(&instance).cluster(), "c\"");
}

#[test]
fn a_usual_host_is_exactly_as_long_as_said() {
    let metadata: Pairs = [("zone", "a"), ("version", "1")].into_iter().collect();
    let reserved = [("preserved.heart.beat.interval", "100")].into_iter().collect();
    let usual = [
        plain(),
        Instance { metadata, ..plain() },
        Instance { metadata: reserved, ..plain() },
        Instance { cluster_name: Some("".into()), ..plain() },
        Instance { cluster_name: Some("DEFAULT".into()), ..plain() },
        Instance { instance_id: Some("own".into()), ..plain() },
        Instance { port: 0, ..plain() },
    ];
    for instance in usual {
        let host = host(&instance);
        assert_eq!(host.json_bytes(&Grouped::of(&service())), text(&host).len(), "{instance:?}");
    }
    let unusual = [
        Instance { weight: -1.0 / 3.0, ..plain() },
        Instance { healthy: false, enabled: false, ..plain() },
        Instance { cluster_name: Some("c".into()), ..plain() },
        Instance { ip: None, port: -1, ..plain() },
    ];
    for instance in unusual {
        let host = host(&instance);
        assert!(host.json_bytes(&Grouped::of(&service())) >= text(&host).len(), "{instance:?}");
    }
}

#[test]
fn equal_instances_are_equal_hosts() {
    assert_eq!(host(&plain()), host(&plain()));
    assert_ne!(host(&plain()), host(&Instance { weight: 2.0, ..plain() }));
    assert_ne!(host(&plain()), host(&Instance { enabled: false, ..plain() }));
}
