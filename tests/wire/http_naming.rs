//! Naming over HTTP: v1, v2 and v3 clients, beats, and one registry with the other wire
//! (`http-api.md` 3, 5, 6; `naming.md` 9).

use crate::http_client::{Http, ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::instance;
use serde_json::{Value, json};

/// The service on the other wire: a test's own.
fn grouped(name: &str) -> String {
    format!("DEFAULT_GROUP@@{name}")
}

fn list(server: &Server, service: &str) -> Value {
    must(server, "GET", &format!("/nacos/v1/ns/instance/list?serviceName={service}")).json()
}

/// Addresses listed, the unhealthy ones marked.
fn hosts(server: &Server, service: &str) -> Vec<String> {
    let list = list(server, service);
    let mut hosts: Vec<String> =
        list["hosts"].as_array().expect("hosts").iter().map(shown).collect();
    hosts.sort();
    hosts
}

fn shown(host: &Value) -> String {
    let mark = if host["healthy"] == true { "" } else { "!" };
    format!("{mark}{}", host["ip"].as_str().expect("an address"))
}

const INSTANCE: &str = "/nacos/v1/ns/instance";

#[test]
fn a_v1_client_lives_its_life() {
    let server = shared_server();
    let name = "http_v1_life";
    let query = format!("serviceName={}&ip=10.0.0.1&port=80", grouped(name));
    let mut http = Http::connect(&server);
    // As 1.4.8 and the Python SDKs send it.
    let register = format!(
        "{INSTANCE}?app=unknown&groupName=DEFAULT_GROUP&metadata=%7B%22a%22%3A+%22b%22%7D&\
         namespaceId=public&enable=True&healthy=true&weight=1.0&ephemeral=True&{query}"
    );
    let answer = http.ask("POST", &register);
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let list = list(&server, name);
    assert_eq!(list["name"], grouped(name));
    assert_eq!((&list["clusters"], &list["cacheMillis"]), (&json!(""), &json!(10_000)));
    let host = &list["hosts"][0];
    let id = format!("10.0.0.1#80#DEFAULT#{}", grouped(name));
    assert_eq!((&host["instanceId"], &host["metadata"]["a"]), (&json!(id), &json!("b")));
    assert_eq!((&host["clusterName"], &host["ephemeral"]), (&json!("DEFAULT"), &json!(true)));

    let detail = http.ask("GET", &format!("{INSTANCE}?{query}")).json();
    assert_eq!((&detail["service"], &detail["port"]), (&json!(grouped(name)), &json!(80)));
    let beat = http.ask("PUT", &format!("{INSTANCE}/beat?{query}"));
    let expected = r#"{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}"#;
    assert_eq!((beat.status, beat.text()), (200, expected));

    let answer = http.ask("PUT", &format!("{INSTANCE}?{query}&weight=0.5&metadata=c=d"));
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let host = self::list(&server, name)["hosts"][0].clone();
    let laid_over = json!({"a": "b", "c": "d"});
    assert_eq!((&host["weight"], &host["metadata"]), (&json!(0.5), &laid_over));

    let page = "/nacos/v1/ns/service/list?pageNo=1&pageSize=1000&groupName=DEFAULT_GROUP";
    until("the name is listed", || {
        let page = must(&server, "GET", page).json();
        page["doms"].as_array().expect("names").contains(&json!(name))
    });
    let answer = http.ask("DELETE", &format!("{INSTANCE}?{query}&ephemeral=true"));
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    assert_eq!(hosts(&server, name), [""; 0]);
    let answer = http.ask("DELETE", &format!("{INSTANCE}?{query}"));
    assert_eq!((answer.status, answer.text()), (200, "ok"), "also when nothing is there");
}

#[test]
fn v2_and_v3_answer_in_envelopes() {
    let server = shared_server();
    let name = "http_v3_life";
    let query = format!("serviceName={name}&ip=10.0.0.1&port=80");
    let ok = json!({"code": 0, "message": "success", "data": "ok"});
    let client = "/nacos/v3/client/ns/instance";
    let unknown = must(&server, "POST", &format!("{client}?{query}&heartBeat=true")).json();
    assert_eq!((&unknown["code"], &unknown["data"]), (&json!(21_003), &Value::Null));
    assert_eq!(must(&server, "POST", &format!("{client}?{query}")).json(), ok);
    assert_eq!(must(&server, "POST", &format!("{client}?{query}&heartBeat=true")).json(), ok);
    let hosts = must(&server, "GET", &format!("{client}/list?serviceName={name}")).json();
    assert_eq!(hosts["data"][0]["ip"], "10.0.0.1");
    let path = format!("/nacos/v2/ns/instance/list?serviceName={name}");
    let info = must(&server, "GET", &path).json();
    assert_eq!((&info["code"], &info["data"]["name"]), (&json!(0), &json!(grouped(name))));
    let detail = must(&server, "GET", &format!("/nacos/v2/ns/instance?{query}")).json();
    assert_eq!(detail["data"]["serviceName"], grouped(name));
    assert_eq!(must(&server, "DELETE", &format!("{client}?{query}")).json(), ok);
    let hosts = must(&server, "GET", &format!("{client}/list?serviceName={name}")).json();
    assert_eq!(hosts["data"], json!([]));
    let refused = ask(&server, "POST", &format!("/nacos/v2/ns/instance?{query}&weight=-1"));
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(21_001)));
    let refused = ask(&server, "POST", "/nacos/v2/ns/instance?serviceName=a");
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(10_000)));
}

#[test]
fn both_wires_see_one_registry() {
    let server = shared_server();
    let name = "http_and_grpc";
    let subscriber = client(&server);
    let publisher = client(&server);
    let service = service(name);
    subscriber.subscribe(&service, "").unwrap();
    must(&server, "POST", &format!("{INSTANCE}?serviceName={name}&ip=10.0.0.1&port=80"));
    let seen = subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    assert_eq!(seen.1.hosts[0].ip, "10.0.0.1");
    publisher.register(&service, &instance("10.0.0.2", 80, &[])).unwrap();
    assert_eq!(hosts(&server, name), ["10.0.0.1", "10.0.0.2"]);
    must(&server, "DELETE", &format!("{INSTANCE}?serviceName={name}&ip=10.0.0.2&port=80"));
    assert_eq!(hosts(&server, name), ["10.0.0.1", "10.0.0.2"], "another client's");
    drop(publisher);
    until("the connection's instance is gone", || hosts(&server, name) == ["10.0.0.1"]);
}

/// Times of a second, by reserved metadata, so that the test need not wait for half a minute.
const HASTY: &str = "metadata=preserved.heart.beat.interval=500,\
                     preserved.heart.beat.timeout=1500,preserved.ip.delete.timeout=4000";

#[test]
fn an_instance_without_beats_is_unhealthy_and_then_gone() {
    let server = shared_server();
    let name = "http_silent";
    let subscriber = client(&server);
    subscriber.subscribe(&service(name), "").unwrap();
    let query = format!("serviceName={name}&ip=10.0.0.1&port=80");
    must(&server, "POST", &format!("{INSTANCE}?{query}&{HASTY}"));
    let beat = must(&server, "PUT", &format!("{INSTANCE}/beat?{query}")).json();
    assert_eq!(beat["clientBeatInterval"], 500);
    let sick = |info: &nacre_proto::client::ServiceInfo| {
        info.hosts.first().is_some_and(|host| !host.healthy)
    };
    subscriber.wait_service(WAIT, sick).unwrap();
    assert_eq!(hosts(&server, name), ["!10.0.0.1"]);
    let path = format!("/nacos/v1/ns/instance/list?serviceName={name}&healthyOnly=true");
    assert_eq!(must(&server, "GET", &path).json()["hosts"], json!([]));
    must(&server, "PUT", &format!("{INSTANCE}/beat?{query}"));
    subscriber.wait_service(WAIT, |info| !info.hosts.is_empty() && !sick(info)).unwrap();
    subscriber.wait_service(WAIT, |info| info.hosts.is_empty()).unwrap();
    let beat = must(&server, "PUT", &format!("{INSTANCE}/beat?{query}")).json();
    assert_eq!(beat["code"], 20_404, "it has to register again");
    let described = r#"{"ip":"10.0.0.1","port":80,"cluster":"c1","weight":2.0,"metadata":{}}"#;
    let body = format!("beat={}&", described.replace('"', "%22"));
    let form = "content-type: application/x-www-form-urlencoded;charset=UTF-8\r\n";
    let path = format!("{INSTANCE}/beat?serviceName={}", grouped(name));
    let beat = Http::connect(&server).ask_with("PUT", &path, form, body.as_bytes()).json();
    assert_eq!(beat["code"], 10_200, "or to say what it is");
    assert_eq!(list(&server, name)["hosts"][0]["clusterName"], "c1");
}

#[test]
fn beats_keep_an_instance() {
    let server = shared_server();
    let name = "http_beating";
    let query = format!("serviceName={name}&ip=10.0.0.1&port=80");
    must(&server, "POST", &format!("{INSTANCE}?{query}&{HASTY}"));
    let start = std::time::Instant::now();
    let mut http = Http::connect(&server);
    while start.elapsed().as_millis() < 5_000 {
        assert_eq!(http.ask("PUT", &format!("{INSTANCE}/beat?{query}")).json()["code"], 10_200);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(list(&server, name)["hosts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn services_are_made_changed_shown_and_deleted() {
    let server = shared_server();
    let path = "/nacos/v1/ns/service?serviceName=http_made";
    assert_eq!(ask(&server, "GET", path).status, 400);
    let made =
        format!("{path}&protectThreshold=0.8&metadata=a=b&selector=%7B%22type%22:%22none%22%7D");
    assert_eq!(must(&server, "POST", &made).text(), "ok");
    assert_eq!(ask(&server, "POST", &made).status, 400, "it exists");
    let shown = must(&server, "GET", path).json();
    assert_eq!((&shown["name"], &shown["protectThreshold"]), (&json!("http_made"), &json!(0.8)));
    must(&server, "PUT", &format!("{path}&protectThreshold=0.1"));
    let shown = must(&server, "GET", "/nacos/v2/ns/service?serviceName=http_made").json();
    assert_eq!(
        (&shown["data"]["protectThreshold"], &shown["data"]["metadata"]),
        (&json!(0.1), &json!({}))
    );
    let refused = ask(
        &server,
        "POST",
        "/nacos/v1/ns/service?serviceName=x&selector=%7B%22type%22:%22y%22%7D",
    );
    assert_eq!(refused.status, 400);
    // Made for persistent instances, as in the reference.
    let refused = ask(&server, "POST", &format!("{INSTANCE}?serviceName=http_made&ip=1&port=1"));
    assert!(refused.status == 400 && refused.text().contains("is persistent service"));
    let (client, name) = (client(&server), service("http_made"));
    assert!(client.register(&name, &instance("10.0.0.1", 1, &[])).is_err());
    assert_eq!(must(&server, "DELETE", path).text(), "ok");
    assert_eq!(ask(&server, "DELETE", path).status, 400);
}

#[test]
fn any_core_serves_any_service() {
    let server = shared_server();
    for number in 0..32 {
        let name = format!("http_core_{number}");
        must(&server, "POST", &format!("{INSTANCE}?serviceName={name}&ip=10.0.0.1&port=80"));
        for _ in 0..3 {
            assert_eq!(hosts(&server, &name), ["10.0.0.1"]);
        }
    }
}

#[test]
fn persistent_instances_need_no_beats_and_no_client() {
    let server = shared_server();
    let name = "http_persistent";
    let query = format!("serviceName={name}&ip=10.0.0.1&port=80&ephemeral=False&metadata=p=1");
    assert_eq!(must(&server, "POST", &format!("{INSTANCE}?{query}")).text(), "ok");
    let host = list(&server, name)["hosts"][0].clone();
    assert_eq!((&host["ephemeral"], &host["metadata"]["p"]), (&json!(false), &json!("1")));
    assert_eq!(host["instanceId"], format!("10.0.0.1#80#DEFAULT#DEFAULT_GROUP@@{name}"));
    let other = format!("{INSTANCE}?serviceName={name}&ip=10.0.0.2&port=80");
    let refused = ask(&server, "POST", &other);
    assert!(refused.status == 400 && refused.text().contains("is persistent service"));
    let query = query.replace("False", "false");
    for _ in 0..2 {
        assert_eq!(must(&server, "DELETE", &format!("{INSTANCE}?{query}")).text(), "ok");
        assert_eq!(hosts(&server, name), [""; 0]);
    }
}

#[test]
fn the_server_speaks_of_itself() {
    let server = shared_server();
    assert_eq!(must(&server, "GET", "/nacos/v1/ns/operator/metrics").text(), r#"{"status":"UP"}"#);
    let path = "/nacos/v1/ns/operator/metrics?onlyStatus=false";
    assert!(must(&server, "GET", path).json()["serviceCount"].is_u64());
    let servers = must(&server, "GET", "/nacos/serverlist");
    assert_eq!(servers.text(), format!("127.0.0.1:{}\n", server.http_port()));
    let spaces = must(&server, "GET", "/nacos/v1/console/namespaces?username=&password=").json();
    assert_eq!((&spaces["code"], &spaces["data"][0]["namespace"]), (&json!(200), &json!("public")));
    for path in ["/nacos/v2/console/namespace/list", "/v3/console/core/namespace/list"] {
        // The second is on the console's own port in 3.x, without a context path.
        let below =
            if path.starts_with("/nacos") { path.to_owned() } else { format!("/nacos{path}") };
        assert_eq!(must(&server, "GET", &below).json()["data"][0]["namespace"], "public");
    }
}
