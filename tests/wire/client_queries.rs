//! Who clients are, what they publish and follow, asked over HTTP (`http-api.md` 3.2, 5, 7.3;
//! `naming.md` 2.1): connections, clients that beat, clients that poll, and what the log keeps.

use crate::http_client::{Http, ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile, ServiceName, instance};
use serde_json::{Value, json};
use std::net::UdpSocket;

const V2: &str = "/nacos/v2/ns/client";
const V3: &str = "/nacos/v3/admin/ns/client";

fn data(server: &Server, path: &str) -> Value {
    let mut answer = must(server, "GET", path).json();
    assert_eq!(answer["code"], 0, "{path}: {answer}");
    answer["data"].take()
}

fn rows(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn has(list: &Value, id: &str) -> bool {
    rows(list).iter().any(|row| *row == *id)
}

fn id(client: &Client) -> String {
    client.connection_id().expect("an id").to_owned()
}

/// A socket that is told of changes of a service.
fn poller(server: &Server, service: &str) -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let path = format!("/nacos/v1/ns/instance/list?serviceName={service}&udpPort={port}");
    let agent = "user-agent: Nacos-Java-Client:v1.4.8\r\n";
    assert_eq!(Http::connect(server).ask_with("GET", &path, agent, b"").status, 200);
    (socket, format!("127.0.0.1:{port}"))
}

#[test]
fn every_kind_of_client_is_listed_and_described() {
    let server = shared_server();
    let client = client(&server);
    let listener = client_as(&server, Profile::module("config"));
    client.register(&service("cq_kinds"), &instance("10.0.1.1", 80, &[])).unwrap();
    let v1 = "/nacos/v1/ns/instance?serviceName=cq_kinds";
    must(&server, "POST", &format!("{v1}&ip=10.0.1.2&port=81"));
    must(&server, "POST", &format!("{v1}_kept&ip=10.0.1.3&port=82&ephemeral=false"));
    let (_socket, polls) = poller(&server, "cq_kinds");
    for api in [V2, V3] {
        let all = data(&server, &format!("{api}/list"));
        for id in [&id(&client), "10.0.1.2:81#true", "10.0.1.3:82#false", &format!("{polls}#true")]
        {
            assert!(has(&all, id), "{id} in {all}");
        }
        assert!(!has(&all, &id(&listener)), "no client of naming");
    }
    let shown = data(&server, &format!("{V3}?clientId={}", id(&client)));
    assert_eq!(
        (&shown["clientType"], &shown["connectType"]),
        (&json!("connection"), &json!("GRPC"))
    );
    assert_eq!((&shown["ephemeral"], &shown["clientIp"]), (&json!(true), &json!("127.0.0.1")));
    assert_eq!(shown["clientPort"], client.local_addr().port());
    assert_eq!(shown["version"], Profile::default().version);
    assert!(shown["lastUpdatedTime"].as_u64().is_some_and(|ms| ms > 1_600_000_000_000));
    let shown = data(&server, &format!("{V2}?clientId={}", id(&client)));
    assert_eq!(shown["clientPort"], client.local_addr().port().to_string());
    for (client, ephemeral) in [("10.0.1.2:81", true), ("10.0.1.3:82", false)] {
        let id = format!("{client}%23{ephemeral}");
        let shown = data(&server, &format!("{V2}?clientId={id}"));
        assert_eq!(
            (&shown["clientType"], &shown["ephemeral"]),
            (&json!("ipPort"), &json!(ephemeral))
        );
        let (ip, port) = client.split_once(':').unwrap();
        assert_eq!((&shown["clientIp"], &shown["clientPort"]), (&json!(ip), &json!(port)));
        let shown = data(&server, &format!("{V3}?clientId={id}"));
        assert_eq!((&shown["clientType"], &shown["clientPort"]), (&json!("ipPort"), &json!(0)));
    }
    client.close().unwrap();
}

#[test]
fn what_a_client_publishes_and_follows() {
    let server = shared_server();
    let client = client(&server);
    let names: Vec<ServiceName> = (0..20).map(|n| service(&format!("cq_of_one_{n:02}"))).collect();
    for (number, name) in names.iter().enumerate() {
        client.register(name, &instance("10.0.2.1", 100 + number as u16, &[])).unwrap();
    }
    client.batch(&names[3], &[instance("10.0.2.1", 1, &[]), instance("10.0.2.2", 2, &[])]).unwrap();
    client.subscribe(&service("cq_followed"), "").unwrap();
    let id = id(&client);
    let published = data(&server, &format!("{V3}/publish/list?clientId={id}"));
    assert_eq!(rows(&published).len(), 21, "two of one batch");
    let first = json!({
        "namespaceId": "public", "groupName": "DEFAULT_GROUP", "serviceName": "cq_of_one_00",
        "publisherInfo": {
            "clientId": null, "ip": "10.0.2.1", "port": 100, "clusterName": "DEFAULT",
        },
        "subscriberInfo": null,
    });
    assert_eq!(published[0], first);
    let published = data(&server, &format!("{V2}/publish/list?clientId={id}"));
    let first = json!({
        "namespace": "public", "group": "DEFAULT_GROUP", "serviceName": "cq_of_one_00",
        "registeredInstance": {"ip": "10.0.2.1", "port": 100, "cluster": "DEFAULT"},
    });
    assert_eq!((rows(&published).len(), &published[0]), (21, &first));
    let agent = Profile::default().version;
    let followed = data(&server, &format!("{V2}/subscribe/list?clientId={id}"));
    let app = followed[0]["subscriberInfo"]["app"].clone();
    assert!(app.is_string());
    let expected = json!([{
        "namespace": "public", "group": "DEFAULT_GROUP", "serviceName": "cq_followed",
        "subscriberInfo": {"app": app, "agent": agent, "addr": "127.0.0.1"},
    }]);
    assert_eq!(followed, expected);
    let followed = data(&server, &format!("{V3}/subscribe/list?clientId={id}"));
    let info = json!({"clientId": null, "appName": app, "agent": agent, "address": "127.0.0.1"});
    assert_eq!(followed[0]["subscriberInfo"], info);
    // One that beats, one that is kept, one that polls.
    let v1 = "/nacos/v1/ns/instance?ip=10.0.2.9&port=9&serviceName=cq_of_address";
    must(&server, "POST", v1);
    must(&server, "POST", &format!("{v1}_2"));
    must(&server, "POST", &format!("{v1}_kept&ephemeral=false"));
    let beats = data(&server, &format!("{V2}/publish/list?clientId=10.0.2.9:9%23true"));
    assert_eq!(rows(&beats).len(), 2, "one client, whatever cores own its services");
    let kept = data(&server, &format!("{V2}/publish/list?clientId=10.0.2.9:9%23false"));
    assert_eq!(kept[0]["serviceName"], "cq_of_address_kept");
    let (_socket, polls) = poller(&server, "cq_polled");
    let polled = data(&server, &format!("{V2}/subscribe/list?clientId={polls}%23true"));
    let info = json!({"app": "unknown", "agent": "Nacos-Java-Client:v1.4.8", "addr": polls});
    assert_eq!(
        (&polled[0]["serviceName"], &polled[0]["subscriberInfo"]),
        (&json!("cq_polled"), &info)
    );
    client.close().unwrap();
}

#[test]
fn who_publishes_and_follows_a_service() {
    let server = shared_server();
    let name = service("cq_of_service");
    let (first, second) = (client(&server), client(&server));
    first.register(&name, &instance("10.0.3.1", 80, &[])).unwrap();
    second.batch(&name, &[instance("10.0.3.2", 80, &[]), instance("10.0.3.3", 80, &[])]).unwrap();
    second.subscribe(&name, "").unwrap();
    must(&server, "POST", "/nacos/v1/ns/instance?serviceName=cq_of_service&ip=10.0.3.4&port=80");
    let (_socket, polls) = poller(&server, "cq_of_service");
    let of = "serviceName=cq_of_service";
    let published = data(&server, &format!("{V3}/service/publisher/list?{of}"));
    let expected = json!([
        {"clientId": id(&first), "ip": "10.0.3.1", "port": 80, "clusterName": "DEFAULT"},
        {"clientId": id(&second), "ip": "10.0.3.2", "port": 80, "clusterName": "DEFAULT"},
        {"clientId": id(&second), "ip": "10.0.3.3", "port": 80, "clusterName": "DEFAULT"},
        {"clientId": "10.0.3.4:80#true", "ip": "10.0.3.4", "port": 80, "clusterName": "DEFAULT"},
    ]);
    assert_eq!(published, expected);
    let narrowed = format!("{V2}/service/publisher/list?{of}&ip=10.0.3.3&port=80");
    let one =
        json!([{"clientId": id(&second), "ip": "10.0.3.3", "port": 80, "cluster": "DEFAULT"}]);
    assert_eq!(data(&server, &narrowed), one);
    let followers = data(&server, &format!("{V2}/service/subscriber/list?{of}"));
    assert_eq!(rows(&followers).len(), 2, "{followers}");
    let port: u16 = polls.rsplit(':').next().unwrap().parse().unwrap();
    let narrowed = format!("{V2}/service/subscriber/list?{of}&ip=127.0.0.1&port={port}");
    let one = json!([{"clientId": format!("{polls}#true"), "ip": "127.0.0.1", "port": port}]);
    assert_eq!(data(&server, &narrowed), one);
    let followers = data(&server, &format!("{V3}/service/subscriber/list?{of}&port=0"));
    let agent = Profile::default().version;
    assert_eq!(
        (&followers[0]["clientId"], &followers[0]["agent"]),
        (&json!(id(&second)), &json!(agent))
    );
    // Who left is not shown.
    second.close().unwrap();
    until("the second left", || {
        let left = data(&server, &format!("{V3}/service/publisher/list?{of}"));
        rows(&left).len() == 2
    });
    let nobody = format!("{V3}/service/publisher/list?serviceName=cq_nobody");
    assert_eq!(data(&server, &nobody), json!([]));
    // What the log keeps is the client of its address.
    let kept = "/nacos/v1/ns/instance?serviceName=cq_logged&ip=10.0.3.5&port=80&ephemeral=false";
    must(&server, "POST", kept);
    let published = format!("{V2}/service/publisher/list?serviceName=cq_logged&ephemeral=false");
    assert_eq!(data(&server, &published)[0]["clientId"], "10.0.3.5:80#false");
    first.close().unwrap();
}

#[test]
fn subscribers_are_shown_in_pages() {
    let server = shared_server();
    let clients: Vec<Client> = (0..5).map(|_| client(&server)).collect();
    for (at, client) in clients.iter().enumerate() {
        client.subscribe(&service("cq_pages"), "").unwrap();
        if at < 2 {
            client.subscribe(&service("cq_pages_more"), "a,b").unwrap();
        }
    }
    let (_socket, polls) = poller(&server, "cq_pages");
    let of = "/nacos/v1/ns/service/subscribers?serviceName";
    let all = must(&server, "GET", &format!("{of}=cq_pages")).json();
    // The name is a part of both.
    assert_eq!((&all["count"], rows(&all["subscribers"]).len()), (&json!(8), 8));
    let polled = rows(&all["subscribers"]).iter().find(|row| row["port"] != 0).expect("a poller");
    let expected = json!({
        "addrStr": polls, "agent": "Nacos-Java-Client:v1.4.8", "app": "unknown",
        "ip": "127.0.0.1", "port": polled["port"], "namespaceId": "public",
        "serviceName": "DEFAULT_GROUP@@cq_pages", "cluster": "",
    });
    assert_eq!(*polled, expected);
    let more = must(&server, "GET", &format!("{of}=DEFAULT_GROUP@@cq_pages_m")).json();
    assert_eq!((&more["count"], &more["subscribers"][0]["cluster"]), (&json!(2), &json!("a,b")));
    let mut seen = 0;
    for page in 1..=4 {
        let v3 = "/nacos/v3/admin/ns/service/subscribers?serviceName=cq_pages";
        let shown = data(&server, &format!("{v3}&pageNo={page}&pageSize=3"));
        assert_eq!((&shown["totalCount"], &shown["pagesAvailable"]), (&json!(8), &json!(3)));
        seen += rows(&shown["pageItems"]).len();
    }
    assert_eq!(seen, 8, "each once");
    let console = data(&server, "/v3/console/ns/service/subscribers?serviceName=cq_pages_more");
    let row = &console["pageItems"][0];
    assert_eq!((&row["groupName"], &row["port"]), (&json!("DEFAULT_GROUP"), &json!(0)));
    let elsewhere = must(&server, "GET", &format!("{of}=cq_pages&namespaceId=other")).json();
    assert_eq!(elsewhere, json!({"subscribers": [], "count": 0}));
    for client in clients {
        client.close().unwrap();
    }
}

#[test]
fn names_and_statuses() {
    let server = shared_server();
    for (space, name) in [("public", "cq_name_a"), ("public", "cq_name_b"), ("cqdev", "cq_name_a")]
    {
        let path = format!("/nacos/v1/ns/instance?serviceName={name}&namespaceId={space}");
        must(&server, "POST", &format!("{path}&ip=10.0.4.1&port=80"));
        must(&server, "POST", &format!("{path}&ip=10.0.4.2&port=80&healthy=false"));
    }
    let names = must(&server, "GET", "/nacos/v1/ns/service/names?expr=cq_name").json();
    let expected = json!({
        "META-INF/services": {
            "cqdev": ["DEFAULT_GROUP@@cq_name_a"],
            "public": ["DEFAULT_GROUP@@cq_name_a", "DEFAULT_GROUP@@cq_name_b"],
        },
        "count": 3,
    });
    assert_eq!(names, expected);
    let one = "/nacos/v1/ns/service/names?namespaceId=cqdev&expr=DEFAULT.*name_b";
    let nothing = json!({"META-INF/services": {"cqdev": []}, "count": 0});
    assert_eq!(must(&server, "POST", one).json(), nothing, "any method");
    let statuses = "/nacos/v1/ns/instance/statuses?key";
    let shown = must(&server, "GET", &format!("{statuses}=cqdev%23%23DEFAULT_GROUP@@cq_name_a"));
    assert_eq!(shown.json(), json!({"ips": ["10.0.4.1:80_true", "10.0.4.2:80_false"]}));
    let shown = must(&server, "PUT", &format!("{statuses}=cq_name_b")).json();
    assert_eq!(rows(&shown["ips"]).len(), 2);
    assert_eq!(must(&server, "GET", &format!("{statuses}=cq_no")).json(), json!({"ips": []}));
}

#[test]
fn strangers_are_404_and_what_is_missing_400() {
    let server = shared_server();
    let nobody = [
        "1700000000000_127.0.0.1_1",
        "x",
        "10.9.9.9:1%23true",
        "10.9.9.9:1%23false",
        "99999999999999999999999_1_1",
        "_",
        "a%23maybe",
        ":%23true",
        "1_%C3%A9",
    ];
    for api in [V2, V3] {
        for tail in ["", "/publish/list", "/subscribe/list"] {
            for id in nobody {
                let answer = ask(&server, "GET", &format!("{api}{tail}?clientId={id}"));
                assert_eq!(answer.status, 404, "{tail} {id}: {}", answer.text());
                assert_eq!(answer.json()["code"], 20_004);
            }
            let answer = ask(&server, "GET", &format!("{api}{tail}"));
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(10_000)));
        }
        for tail in ["/service/publisher/list", "/service/subscriber/list"] {
            assert_eq!(ask(&server, "GET", &format!("{api}{tail}")).status, 400);
            for wrong in ["port=x", "port=99999999999", "ephemeral=maybe"] {
                let path = format!("{api}{tail}?serviceName=s&{wrong}");
                assert_eq!(ask(&server, "GET", &path).status, 400, "{path}");
            }
            let long = "x".repeat(4_000);
            let path = format!("{api}{tail}?serviceName={long}");
            assert_eq!(ask(&server, "GET", &path).status, 400);
        }
    }
    for path in [
        "/nacos/v1/ns/service/subscribers",
        "/nacos/v1/ns/service/subscribers?serviceName=@@s",
        "/nacos/v1/ns/service/subscribers?serviceName=s&pageNo=x",
        "/nacos/v1/ns/instance/statuses",
        "/nacos/v1/ns/operator/distro/client?ip=1.1.1.1",
        "/nacos/v1/ns/operator/distro/client?ip=1.1.1.1&port=x",
    ] {
        assert_eq!(ask(&server, "GET", path).status, 400, "{path}");
    }
    let distro = "client/distro?ip=10.0.0.1&port=80";
    let here = json!(server.address());
    assert_eq!(data(&server, &format!("/nacos/v3/admin/ns/{distro}"))["responsibleServer"], here);
    let v1 = "/nacos/v1/ns/ops/distro/client?ip=10.0.0.1&port=80";
    assert_eq!(must(&server, "GET", v1).json(), json!({"responsibleServer": here}));
}
