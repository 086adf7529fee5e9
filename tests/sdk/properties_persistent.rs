//! Persistent instances as SDKs use them: Java by gRPC, Go by HTTP (`naming.md` 3.3, 17).

use crate::judge::{Instance, Instances, Judge, set};
use crate::port::Port;
use crate::properties_auth::until;
use crate::server::Server;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Seen by another, there without their client and after a crash, gone when deregistered.
pub fn outlive_client_and_crash(sdk: &str) {
    let mut server = Server::start();
    let mut provider = Judge::connect(sdk, &server);
    let mut consumer = Judge::connect(sdk, &server);
    let (first, second) = (Instance::new(1, "first"), Instance::new(2, "second"));
    consumer.subscribe("orders");
    provider.register_persistent("orders", &first).expect("the first of its service");
    consumer.told("orders", &set(&[&first]));
    drop(provider);
    consumer.register_persistent("orders", &second).expect("the second");
    consumer.told("orders", &set(&[&first, &second]));
    server.kill();
    server.start_again();
    let mut witness = Judge::connect(sdk, &server);
    witness.query_until("orders", &set(&[&first, &second]));
    let emptied = consumer.told_already("orders").iter().any(Instances::is_empty);
    assert!(!emptied, "nobody is told an empty list because the server went away");
    witness.deregister_persistent("orders", &first);
    consumer.told("orders", &set(&[&second]));
}

/// Whoever comes second with the other kind is refused, in the reference's words.
pub fn a_service_is_of_one_kind(sdk: &str) {
    let server = Server::start();
    let mut judge = Judge::connect(sdk, &server);
    let instance = Instance::new(1, "one");
    judge.register_persistent("orders", &instance).expect("the first of its service");
    let refused = judge.try_register("orders", &instance).expect_err("of the other kind");
    assert!(refused.contains("is persistent service"), "{refused}");
    // Java takes a refusal for a fault of its server and connects anew.
    until(sdk, "is back after its refusal", || judge.try_register("payments", &instance).is_ok());
    let refused = judge.register_persistent("payments", &instance).expect_err("of the other kind");
    // Go tells of an answer over HTTP no more than its status.
    let told = refused.contains("is ephemeral service") || refused.ends_with("error code 400");
    assert!(told, "{refused}");
}

/// Checked by TCP: unhealthy when its port is closed, healthy when it is open again, never removed;
/// kept over a crash of the server.
pub fn health_checks_flip_both_ways(sdk: &str) {
    let mut server = Server::start();
    // As fast as the switches' bounds allow.
    put(&server, "entry=healthCheckTimes&value=1");
    put(&server, "entry=tcpHealthParams&value=%7B%22max%22:3000,%22min%22:500,%22factor%22:0%7D");
    let mut port = Port::closed();
    let instance = Instance::here(port.number());
    let mut judge = Judge::connect(sdk, &server);
    judge.subscribe("orders");
    judge.register_persistent("orders", &instance).expect("the first of its service");
    judge.told_health("orders", false);
    server.kill();
    server.start_again();
    let mut witness = Judge::connect(sdk, &server);
    assert_eq!(witness.query("orders"), set(&[&instance]), "unhealthy, not gone");
    assert_eq!(witness.select("orders"), Instances::new());
    witness.subscribe("orders");
    witness.told_health("orders", false);
    port.set_open(true);
    witness.told_health("orders", true);
    assert_eq!(witness.select("orders"), set(&[&instance]));
}

fn put(server: &Server, switch: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port())).expect("connect");
    let head = format!(
        "PUT /nacos/v1/ns/operator/switches?{switch} HTTP/1.1\r\nhost: x\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
