//! Datagrams to 1.x clients that poll (`http-api.md` 3.5, `naming.md` 14): they come, they are
//! bounded, and nobody can aim them.

use crate::http_client::{Http, must};
use crate::server::Server;
use crate::support::*;
use serde_json::Value;
use std::io::Read;
use std::net::UdpSocket;

const JAVA: &str = "user-agent: Nacos-Java-Client:v1.4.8\r\n";

fn socket(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("a port");
    socket.set_read_timeout(Some(WAIT)).expect("set a timeout");
    socket
}

fn poll(server: &Server, service: &str, port: u16, agent: &str) -> Value {
    let path = format!(
        "/nacos/v1/ns/instance/list?serviceName={service}&clientIP=127.0.0.3&udpPort={port}&clusters="
    );
    Http::connect(server).ask_with("GET", &path, agent, b"").json()
}

/// The next datagram: its number, and how many hosts it tells of.
fn told(socket: &UdpSocket) -> Option<(u64, usize)> {
    let mut bytes = [0; 65_536];
    let (length, from) = socket.recv_from(&mut bytes).ok()?;
    socket.connect(from).expect("a peer");
    let mut text = Vec::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => {
            _ = flate2::read::GzDecoder::new(&bytes[..length]).read_to_end(&mut text).expect("gzip")
        }
        false => text.extend_from_slice(&bytes[..length]),
    }
    let datagram: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(datagram["type"], "dom");
    let list: Value = serde_json::from_str(datagram["data"].as_str().expect("text")).expect("JSON");
    let number = datagram["lastRefTime"].as_u64().expect("a number");
    Some((number, list["hosts"].as_array().expect("hosts").len()))
}

fn ack(socket: &UdpSocket, number: u64) {
    let text = format!("{{\"type\": \"push-ack\", \"lastRefTime\":\"{number}\", \"data\":\"\"}}");
    socket.send(text.as_bytes()).expect("send an ack");
}

fn register(server: &Server, service: &str, last: usize) {
    must(
        server,
        "POST",
        &format!("/nacos/v1/ns/instance?serviceName={service}&ip=10.0.0.{last}&port=80"),
    );
}

#[test]
fn a_polling_client_is_told_of_changes() {
    let server = Server::start();
    let client = socket("127.0.0.1");
    let port = client.local_addr().unwrap().port();
    assert_eq!(poll(&server, "udp_told", port, JAVA)["hosts"].as_array().map(Vec::len), Some(0));
    let (number, hosts) = told(&client).expect("one after the subscription");
    assert_eq!(hosts, 0);
    ack(&client, number);
    // Enough for the list to be compressed on the way.
    for last in 1..=5 {
        register(&server, "udp_told", last);
        loop {
            let (number, hosts) = told(&client).expect("one for each change");
            ack(&client, number);
            if hosts == last {
                break;
            }
        }
    }
    until_metric(&server, r#"nacre_datagrams_total{outcome="acknowledged"}"#, 6.0);
}

#[test]
fn only_clients_that_know_them_get_datagrams() {
    let server = Server::start();
    let client = socket("127.0.0.1");
    let port = client.local_addr().unwrap().port();
    for agent in ["user-agent: Nacos-Python-Client:v1.0.0\r\n", "user-agent: curl/8.0\r\n", ""] {
        poll(&server, "udp_unknown", port, agent);
    }
    poll(&server, "udp_unknown", 0, JAVA);
    register(&server, "udp_unknown", 1);
    client.set_read_timeout(Some(QUIET)).unwrap();
    assert_eq!(told(&client), None);
    assert_eq!(metric(&server, "nacre_pollers"), 0.0);
}

/// The poll came from 127.0.0.1 and names 127.0.0.3.
#[test]
fn nobody_aims_them_at_another_address() {
    let server = Server::start();
    let victim = socket("127.0.0.3");
    let port = victim.local_addr().unwrap().port();
    victim.set_read_timeout(Some(QUIET)).unwrap();
    poll(&server, "udp_aimed", port, JAVA);
    register(&server, "udp_aimed", 1);
    assert_eq!(told(&victim), None);
}

#[test]
fn who_acknowledges_nothing_is_told_no_more() {
    let server = Server::start();
    let client = socket("127.0.0.1");
    let port = client.local_addr().unwrap().port();
    poll(&server, "udp_mute", port, JAVA);
    for last in 1..=60 {
        register(&server, "udp_mute", last % 250);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    until_metric(&server, "nacre_pollers_given_up_total", 1.0);
    client.set_read_timeout(Some(QUIET)).unwrap();
    let count = std::iter::from_fn(|| told(&client)).count();
    assert!((1..=4).contains(&count), "{count}");
}
