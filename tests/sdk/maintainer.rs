//! nacos-maintainer-client: every method of its config, naming and core services, answers checked.

use std::path::Path;
use std::process::{Command, Stdio};

use nacre_loadgen::client::{Client, Profile, ServiceName, instance};
use serde_json::json;

use crate::judge::is_here;
use crate::server::{Directory, Server};

const JUDGE: &str = "maintainer-3.1.0";

/// A run that has not ended by then hangs; it needs seconds. In seconds, for `timeout`.
const SECONDS_MAX: &str = "120";

#[test]
fn every_method_of_the_maintainer_client() {
    if !is_here(JUDGE) {
        return;
    }
    let server = Server::start();
    let service = ServiceName::public("judged");
    let naming = Client::connect(server.grpc_address(), Profile::default()).expect("connect");
    naming.subscribe(&service, "").expect("subscribe");
    naming.register(&service, &instance("192.0.2.1", 80, &[])).expect("register");
    let config = Client::connect(server.grpc_address(), Profile::module("config"));
    let config = config.expect("connect");
    let listen = json!({
        "listen": true,
        "configListenContexts": [{"tenant": "", "group": "JUDGED", "dataId": "judged", "md5": ""}],
    });
    let listen = listen.to_string();
    config.call_raw("ConfigBatchListenRequest", listen.as_bytes(), &[]).expect("listen");

    let home = Directory::new(JUDGE);
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk").join(JUDGE).join("run");
    let output = Command::new("timeout")
        .arg(SECONDS_MAX)
        .arg(run)
        .arg(server.address())
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .expect("run the judge");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), "all well", "{complained}");
}
