//! Persistent instances as SDKs use them, Java by gRPC, Go by HTTP (`naming.md` 3.3, 17), and what an
//! operator does to instances of both kinds (`naming.md` 10, 11).

use crate::judge::{Instance, Instances, Judge, set};
use crate::port::{Answering, Port};
use crate::properties_auth::until;
use crate::server::Server;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Of the service the tests below speak of, as v1 names it.
const ORDERS: &str = "serviceName=JUDGED@@orders";

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
    switch(&server, "healthCheckTimes", "1");
    check_quickly(&server);
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

/// Checked by HTTP: unhealthy once its status was wrong often enough in a row, healthy once it was
/// right again as often.
pub fn http_checks_flip_both_ways(sdk: &str) {
    let (peer, open) = (Answering::with(200), Port::open());
    let server = Server::start();
    check_quickly(&server);
    let mut judge = Judge::connect(sdk, &server);
    judge.register_persistent("orders", &Instance::here(peer.number())).expect("the first");
    // With its cluster set by hand the service has a threshold, and with nobody healthy all would
    // be shown so (`naming.md` 5.2): another stays healthy.
    let open = open.number();
    let other = format!("{ORDERS}&ip=127.0.0.1&port={open}&clusterName=other&ephemeral=false");
    ask(&server, "POST", &format!("/v1/ns/instance?{other}"));
    let checker = "%7B%22type%22:%22HTTP%22,%22path%22:%22/up%22%7D";
    let how = format!("checkPort=80&useInstancePort4Check=true&healthChecker={checker}");
    ask(&server, "PUT", &format!("/v1/ns/cluster?{ORDERS}&clusterName=DEFAULT&{how}"));
    judge.subscribe("orders");
    judge.told_health_of("orders", peer.number(), true);
    for (status, healthy) in [(500, false), (200, true)] {
        peer.answer(status);
        judge.told_health_of("orders", peer.number(), healthy);
    }
}

/// What an operator writes of an instance lies over what its client registered, however often the
/// client says it again (`naming.md` 11).
pub fn metadata_written_later_overrides(sdk: &str) {
    let server = Server::start();
    for persistent in [false, true] {
        let mut judge = Judge::connect(sdk, &server);
        let service = if persistent { "kept" } else { "held" };
        let register = |judge: &mut Judge, word: &str| {
            let instance = Instance::new(1, word);
            if persistent {
                judge.register_persistent(service, &instance).expect("nobody has the other kind");
            } else {
                judge.register(service, &instance);
            }
        };
        judge.subscribe(service);
        register(&mut judge, "client");
        judge.told(service, &set(&[&Instance::new(1, "client")]));
        let named = format!("serviceName={service}&groupName=JUDGED");
        let one = format!("{named}&ip=192.0.2.1&port=8000&ephemeral={}", !persistent);
        let write = |method: &str, path: &str| ask(&server, method, path);
        write("PUT", &format!("/v1/ns/instance?{one}&metadata=word=operator"));
        let mut shown = Instance::new(1, "operator");
        judge.told(service, &set(&[&shown]));
        let batch = |version: &str| format!("/{version}/ns/instance/metadata/batch?{named}");
        write("PUT", &format!("{}&metadata=%7B%22first%22:%221%22%7D", batch("v1")));
        shown.insert("first", "1");
        judge.told(service, &set(&[&shown]));
        write("PUT", &format!("{}&metadata=%7B%22later%22:%222%22%7D", batch("v2")));
        shown.insert("later", "2");
        judge.told(service, &set(&[&shown]));
        register(&mut judge, "client again");
        write("DELETE", &format!("{}&metadata=%7B%22first%22:%22%22%7D", batch("v1")));
        shown.remove("first");
        judge.told(service, &set(&[&shown]));
        write("PUT", &format!("/v1/ns/instance?{one}&enabled=false&metadata=word=operator"));
        judge.told(service, &Instances::new());
        write("PUT", &format!("/v1/ns/instance?{one}&enabled=true&metadata=word=operator"));
        judge.told(service, &set(&[&Instance::new(1, "operator")]));
    }
}

/// As fast as the switches' bounds allow.
fn check_quickly(server: &Server) {
    for switched in ["tcpHealthParams", "httpHealthParams"] {
        switch(server, switched, "%7B%22max%22:3000,%22min%22:500,%22factor%22:0%7D");
    }
}

fn switch(server: &Server, entry: &str, value: &str) {
    let path = format!("/v1/ns/operator/switches?entry={entry}&value={value}");
    ask(server, "PUT", &path);
}

/// Asks for something below the context path, which must be done.
fn ask(server: &Server, method: &str, path: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port())).expect("connect");
    let head = format!(
        "{method} /nacos{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
}
