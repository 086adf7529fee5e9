//! Persistent instances: what the log holds outlives connections and processes (`naming.md` 3.3).

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, ServiceName, addresses, instance};
use serde_json::{Value, json};

fn request(name: &ServiceName, operation: &str, ip: &str) -> Value {
    json!({
        "namespace": name.namespace, "serviceName": name.name, "groupName": name.group,
        "type": operation,
        "instance": {"ip": ip, "port": 80, "weight": 1.0, "healthy": true, "enabled": true,
            "ephemeral": false, "metadata": {"p": "1"}},
    })
}

fn ask(
    client: &Client,
    name: &ServiceName,
    operation: &str,
    ip: &str,
) -> (String, i64, i64, String) {
    outcome(&call(client, "PersistentInstanceRequest", &request(name, operation, ip)))
}

fn done() -> (String, i64, i64, String) {
    wanted("InstanceResponse", 200, 0, "")
}

#[test]
fn they_outlive_their_client_and_the_process() {
    let mut server = Server::start();
    let name = service("persistent");
    let (publisher, subscriber) = (client(&server), client(&server));
    subscriber.subscribe(&name, "").unwrap();
    assert_eq!(ask(&publisher, &name, "registerInstance", "10.0.0.1"), done());
    let (_, info) = subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    assert_eq!((addresses(&info), info.hosts[0].ephemeral), (vec!["10.0.0.1:80".into()], false));
    drop(publisher);
    subscriber.query(&name, "", false).unwrap();
    assert!(subscriber.wait_service(QUIET, |info| info.hosts.is_empty()).is_err());
    assert_eq!(ask(&subscriber, &name, "registerInstance", "10.0.0.2"), done());
    server.kill();
    server.start_again();
    let client = client(&server);
    let found = client.subscribe(&name, "").unwrap();
    assert_eq!(addresses(&found), ["10.0.0.1:80", "10.0.0.2:80"], "at the first look");
    assert!(found.last_ref_time > info.last_ref_time, "or listeners stay silent (15)");
    assert_eq!(ask(&client, &name, "deregisterInstance", "10.0.0.1"), done());
    assert_eq!(ask(&client, &name, "deregisterInstance", "10.0.0.1"), done());
    let left = client.query(&name, "", false).unwrap();
    assert_eq!(addresses(&left), ["10.0.0.2:80"]);
}

#[test]
fn a_service_is_of_one_kind() {
    let server = shared_server();
    let client = client(&server);
    let name = service("persistent_kind");
    assert_eq!(ask(&client, &name, "registerInstance", "10.0.0.1"), done());
    let answer =
        outcome(&call(&client, "InstanceRequest", &request(&name, "registerInstance", "1")));
    let text = "errCode: 400, errMsg: Current service DEFAULT_GROUP@@persistent_kind is persistent \
                service, can't register ephemeral instance. ";
    assert_eq!(answer, wanted("ErrorResponse", 400, 400, text), "as on the wire");
    let name = service("ephemeral_kind");
    client.register(&name, &instance("10.0.0.1", 1, &[])).unwrap();
    let text = "errCode: 400, errMsg: Current service DEFAULT_GROUP@@ephemeral_kind is ephemeral \
                service, can't register persistent instance. ";
    let answer = ask(&client, &name, "registerInstance", "10.0.0.1");
    assert_eq!(answer, wanted("ErrorResponse", 400, 400, text));
    let answer = ask(&client, &name, "neither", "10.0.0.1");
    assert_eq!((answer.1, answer.2), (400, 400), "{answer:?}");
}

/// Whoever was answered finds his instance, whichever core he asks.
#[test]
fn who_was_answered_finds_it() {
    let server = shared_server();
    let (writer, reader) = (client(&server), client(&server));
    for number in 0..50 {
        let name = service(&format!("persistent_own_{number}"));
        assert_eq!(ask(&writer, &name, "registerInstance", "10.0.0.1"), done());
        assert_eq!(reader.query(&name, "", false).unwrap().hosts.len(), 1);
        assert_eq!(ask(&writer, &name, "deregisterInstance", "10.0.0.1"), done());
        assert_eq!(reader.query(&name, "", false).unwrap().hosts.len(), 0);
    }
}
