//! What administrators do with services and instances over HTTP (`http-api.md` 3, 5, 7.3;
//! `naming.md` 11): kept by the log, over restarts too.

use crate::http_client::{ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::instance;
use serde_json::{Value, json};

const V1: &str = "/nacos/v1/ns";
const V3: &str = "/nacos/v3/admin/ns";

fn host(server: &Server, service: &str) -> Value {
    let path = format!("{V1}/instance/list?serviceName={service}");
    must(server, "GET", &path).json()["hosts"][0].clone()
}

/// `naming.md` 11: written later, it lies over what is registered, whoever registers it again.
#[test]
fn metadata_written_later_lies_over_what_is_registered() {
    let mut server = Server::start();
    let address = "serviceName=laid&ip=10.0.0.1&port=80&ephemeral=false";
    must(&server, "POST", &format!("{V1}/instance?{address}&metadata=a=1,b=1"));
    must(&server, "PUT", &format!("{V1}/instance?{address}&weight=3&metadata=b=2,c=2"));
    let wanted = json!({"a": "1", "b": "2", "c": "2"});
    let shown = host(&server, "laid");
    assert_eq!((&shown["metadata"], &shown["weight"]), (&wanted, &json!(3.0)));
    server.kill();
    server.start_again();
    assert_eq!(host(&server, "laid")["metadata"], wanted);
    must(&server, "POST", &format!("{V1}/instance?{address}&metadata=a=9"));
    assert_eq!(host(&server, "laid")["metadata"], json!({"a": "9", "b": "2", "c": "2"}));
    // And over what clients keep.
    let client = client(&server);
    let name = service("laid_over_clients");
    client.register(&name, &instance("10.0.0.1", 80, &[("a", "1")])).unwrap();
    let address = "serviceName=laid_over_clients&ip=10.0.0.1&port=80";
    client.subscribe(&name, "").unwrap();
    must(&server, "PUT", &format!("{V1}/instance?{address}&enabled=false"));
    client.wait_service(WAIT, |info| info.hosts.is_empty()).unwrap();
    client.register(&name, &instance("10.0.0.1", 80, &[("a", "2")])).unwrap();
    assert!(client.query(&name, "", false).unwrap().hosts.is_empty());
    let missing = format!("{V1}/instance?serviceName=laid_on_nothing&ip=10.0.0.1&port=80");
    assert_eq!(ask(&server, "PUT", &missing).status, 400);
}

#[test]
fn many_instances_are_given_keys_at_once() {
    let server = shared_server();
    for ip in ["10.0.0.1", "10.0.0.2"] {
        let address = format!("serviceName=many&ip={ip}&port=80&ephemeral=false");
        must(&server, "POST", &format!("{V1}/instance?{address}"));
    }
    let path = format!("{V1}/instance/metadata/batch?serviceName=many");
    let updated = must(&server, "PUT", &format!("{path}&metadata=k=v")).json();
    let wanted = json!({"updated": [
        "10.0.0.1:80:unknown:DEFAULT:persist", "10.0.0.2:80:unknown:DEFAULT:persist",
    ]});
    assert_eq!(updated, wanted);
    assert_eq!(host(&server, "many")["metadata"]["k"], "v");
    let one = "%5B%7B%22ip%22:%2210.0.0.1%22,%22port%22:80%7D%5D";
    let path_of_one = format!("{path}&metadata=k=&instances={one}");
    assert_eq!(ask(&server, "DELETE", &path_of_one).status, 400, "no metadata");
    let path_of_one = format!("{path}&metadata=%7B%22k%22:%22%22%7D&instances={one}");
    let updated = must(&server, "DELETE", &path_of_one).json();
    assert_eq!(updated["updated"].as_array().map(Vec::len), Some(1));
    assert_eq!(host(&server, "many")["metadata"], json!({}));
    let nobody = format!("{path}&metadata=k=v&consistencyType=ephemeral");
    assert_eq!(must(&server, "PUT", &nobody).json(), json!({"updated": []}));
}

#[test]
fn health_by_hand_where_nobody_checks() {
    let server = shared_server();
    let address = "serviceName=by_hand&ip=10.0.0.1&port=80";
    must(&server, "POST", &format!("{V1}/instance?{address}&ephemeral=false"));
    let path = format!("{V1}/health/instance?{address}&healthy=false");
    let refused = ask(&server, "PUT", &path);
    assert!(refused.status == 400 && refused.text().contains("health check is still working"));
    let cluster = "serviceName=by_hand&clusterName=DEFAULT&checkPort=81&useInstancePort4Check=true";
    let none = "healthChecker=%7B%22type%22:%22NONE%22%7D";
    must(&server, "PUT", &format!("{V1}/cluster?{cluster}&{none}"));
    let unknown = "healthChecker=%7B%22type%22:%22X%22%7D";
    assert_eq!(ask(&server, "PUT", &format!("{V1}/cluster?{cluster}&{unknown}")).status, 400);
    let threshold = format!("{V1}/service?serviceName=by_hand&protectThreshold=0");
    must(&server, "PUT", &threshold);
    must(&server, "PUT", &path);
    let other = "serviceName=by_hand&ip=10.0.0.2&port=80&ephemeral=false";
    must(&server, "POST", &format!("{V1}/instance?{other}"));
    assert_eq!(host(&server, "by_hand")["healthy"], false);
    let shown = must(&server, "GET", &format!("{V1}/service?serviceName=by_hand")).json();
    assert_eq!(shown["clusters"][0]["healthChecker"]["type"], "NONE");
    let checkers = must(&server, "GET", &format!("{V1}/health/checkers")).json();
    assert_eq!(checkers["HTTP"]["expectedResponseCode"], 200);
}

#[test]
fn services_outlive_the_process() {
    let mut server = Server::start();
    let path = format!("{V3}/service?serviceName=kept");
    must(&server, "POST", &format!("{path}&protectThreshold=0.5&metadata=a=b"));
    assert_eq!(ask(&server, "POST", &path).json()["code"], 21_007);
    server.kill();
    server.start_again();
    let shown = must(&server, "GET", &path).json()["data"].clone();
    assert_eq!((&shown["protectThreshold"], &shown["ephemeral"]), (&json!(0.5), &json!(false)));
    assert_eq!(shown["metadata"], json!({"a": "b"}));
    let instance = format!("{V3}/instance?serviceName=kept&ip=10.0.0.1&port=80&ephemeral=false");
    must(&server, "POST", &instance);
    assert_eq!(ask(&server, "DELETE", &path).json()["code"], 21_009, "it has an instance");
    must(&server, "DELETE", &instance);
    must(&server, "DELETE", &path);
    assert_eq!(ask(&server, "DELETE", &path).json()["code"], 21_008);
}

#[test]
fn v3_shows_instances_to_administrators() {
    let server = shared_server();
    let address = "serviceName=v3_admin&ip=10.0.0.1&port=80&ephemeral=false";
    must(&server, "POST", &format!("{V3}/instance?{address}&metadata=a=1"));
    must(&server, "PUT", &format!("{V3}/instance/partial?{address}&enabled=false"));
    let list = format!("{V3}/instance/list?serviceName=v3_admin");
    let shown = must(&server, "GET", &list).json()["data"][0].clone();
    assert_eq!((&shown["enabled"], &shown["ephemeral"]), (&json!(false), &json!(false)));
    assert_eq!(ask(&server, "GET", &format!("{list}&clusterName=x")).status, 404);
    assert_eq!(ask(&server, "GET", &format!("{list}x")).status, 404);
    let one = must(&server, "GET", &format!("{V3}/instance?{address}")).json()["data"].clone();
    assert_eq!((&one["ip"], &one["metadata"]["a"]), (&json!("10.0.0.1"), &json!("1")));
    let whole = must(&server, "GET", &format!("{V3}/service?serviceName=v3_admin")).json();
    assert_eq!(whole["data"]["clusterMap"]["DEFAULT"]["hosts"][0]["ip"], "10.0.0.1");
}

#[test]
fn catalogs_show_both_kinds() {
    let server = shared_server();
    let (client, name) = (client(&server), service("catalog_of_clients"));
    client.register(&name, &instance("10.0.0.1", 80, &[])).unwrap();
    let address = "serviceName=catalog_of_the_log&ip=10.0.0.1&port=80&ephemeral=false";
    must(&server, "POST", &format!("{V1}/instance?{address}&healthy=false"));
    let query = "pageNo=1&pageSize=10&serviceNameParam=catalog_of";
    let path = format!("{V1}/catalog/services?{query}");
    until("the names are with their directory", || {
        must(&server, "GET", &path).json()["count"] == 2
    });
    let list = must(&server, "GET", &path).json()["serviceList"].clone();
    let line = |name: &str, healthy| {
        json!({"name": name, "groupName": "DEFAULT_GROUP", "clusterCount": 1, "ipCount": 1,
            "healthyInstanceCount": healthy, "triggerFlag": "false"})
    };
    assert_eq!(list, json!([line("catalog_of_clients", 1), line("catalog_of_the_log", 0)]));
    let query = query.replace("pageSize=10", "pageSize=1");
    let page = must(&server, "GET", &format!("{V3}/service/list?{query}")).json();
    let (data, total) = (&page["data"], page["data"]["totalCount"].as_u64());
    assert_eq!((total, &data["pageItems"][0]["name"]), (Some(2), &json!("catalog_of_clients")));
    let whole = must(&server, "GET", &format!("{path}&withInstances=true")).json();
    assert_eq!(whole[1]["clusterMap"]["DEFAULT"]["hosts"][0]["ip"], "10.0.0.1");
    let of_one = "serviceName=catalog_of_the_log";
    let one = must(&server, "GET", &format!("{V1}/catalog/service?{of_one}")).json();
    assert_eq!(one["clusters"][0]["healthChecker"]["type"], "TCP");
    let path = format!("{V1}/catalog/instances?{of_one}&clusterName=DEFAULT&pageNo=1&pageSize=10");
    let page = must(&server, "GET", &path).json();
    assert_eq!((&page["count"], &page["list"][0]["healthy"]), (&json!(1), &json!(false)));
}
