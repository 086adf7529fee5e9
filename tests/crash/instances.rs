//! Persistent instances, and what administrators want of them, as values of keys: a number in the
//! metadata of the one instance of a service of that name.

use crate::configs::{FAILED, FULL, Outcome, STOPPING, UNKNOWN};
use nacre_loadgen::client::{Client, ClientError};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// How keys begin whose value an instance is registered with.
pub const INSTANCE: &str = "instance";
/// And those whose value an administrator lays over it, by HTTP.
pub const METADATA: &str = "metadata";

const GROUP: &str = "CRASH";
const IP: &str = "10.0.0.1";

/// gRPC listens this far above HTTP.
const GRPC_PORT_OFFSET: u16 = 1000;

/// Registers the key's instance with this number.
pub fn register(client: &Client, key: &str, number: u64) -> Outcome {
    let body = json!({
        "namespace": "public", "serviceName": key, "groupName": GROUP, "type": "registerInstance",
        "instance": {"ip": IP, "port": 80, "weight": 1.0, "healthy": true, "enabled": true,
            "ephemeral": false, "metadata": {"registered": number.to_string()}},
    });
    let body = body.to_string();
    match client.call_raw("PersistentInstanceRequest", body.as_bytes(), &[]) {
        Ok(answer) => {
            let answer = answer.json().expect("answers are JSON");
            let message = answer["message"].as_str().unwrap_or_default();
            outcome(answer["resultCode"] == 200, message)
        }
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}

/// Lays this number over the key's instance.
pub fn overlay(address: SocketAddr, key: &str, number: u64) -> Outcome {
    let asked = || -> std::io::Result<String> {
        let http = SocketAddr::new(address.ip(), address.port() - GRPC_PORT_OFFSET);
        let mut stream = TcpStream::connect(http)?;
        let query = format!(
            "serviceName={key}&groupName={GROUP}&ip={IP}&port=80&ephemeral=false\
             &metadata=laid={number}"
        );
        write!(
            stream,
            "PUT /nacos/v1/ns/instance?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = match asked() {
        Ok(answer) => answer,
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    let Some((head, text)) = answer.split_once("\r\n\r\n") else {
        return Outcome::Unknown(answer);
    };
    outcome(head.starts_with("HTTP/1.1 200 "), text.trim())
}

fn outcome(done: bool, message: &str) -> Outcome {
    match message {
        _ if done => Outcome::Done,
        UNKNOWN => Outcome::Unknown(message.to_owned()),
        FULL | FAILED | STOPPING => Outcome::Refused(message.to_owned()),
        _ => panic!("a write is answered {message}"),
    }
}

/// The number of what is shown; `Err` when nobody answers.
///
/// # Panics
/// What is shown is not one instance with one number.
pub fn query(client: &Client, key: &str) -> Result<Option<u64>, ClientError> {
    let body = json!({"namespace": "public", "serviceName": key, "groupName": GROUP,
        "cluster": "", "healthyOnly": false, "udpPort": 0});
    let body = body.to_string();
    let answer = client.call_raw("ServiceQueryRequest", body.as_bytes(), &[])?.json()?;
    let hosts = answer["serviceInfo"]["hosts"].as_array();
    let hosts = hosts.unwrap_or_else(|| panic!("{key}: {answer}"));
    let member = if key.starts_with(METADATA) { "laid" } else { "registered" };
    match &hosts[..] {
        [] => Ok(None),
        [host] => {
            let number = host["metadata"][member].as_str().and_then(|text| text.parse().ok());
            Ok(Some(number.unwrap_or_else(|| panic!("{key} is half visible: {host}"))))
        }
        _ => panic!("{key} is there more than once: {answer}"),
    }
}
