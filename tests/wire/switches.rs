//! Switches over HTTP: shown, set, kept over a restart, and what they lead to (`ops.md` 8,
//! `naming.md` 13).

use crate::http_client::{ask, must};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::instance;
use serde_json::{Value, json};

const SWITCHES: &str = "/nacos/v1/ns/operator/switches";

fn all(server: &Server) -> Value {
    must(server, "GET", SWITCHES).json()
}

fn set(server: &Server, entry: &str, value: &str) {
    let answer = must(server, "PUT", &format!("{SWITCHES}?entry={entry}&value={value}"));
    assert_eq!(answer.text(), "ok", "{entry}={value}");
}

#[test]
fn switches_are_kept_over_a_kill_but_those_of_this_node_alone() {
    let mut server = Server::start();
    assert_eq!(all(&server)["checkTimes"], 3);
    set(&server, "healthCheckTimes", "5");
    set(&server, "tcpHealthParams", "%7B%22max%22:4000,%22min%22:600,%22factor%22:0.5%7D");
    set(&server, "distro", "false&debug=true");
    let now = all(&server);
    assert_eq!((&now["checkTimes"], &now["distroEnabled"]), (&json!(5), &json!(false)));
    assert_eq!(now["tcpHealthParams"], json!({"max": 4000, "min": 600, "factor": 0.5}));
    server.kill();
    server.start_again();
    let now = all(&server);
    assert_eq!((&now["checkTimes"], &now["distroEnabled"]), (&json!(5), &json!(true)));
    assert_eq!(now["tcpHealthParams"]["min"], 600);
}

#[test]
fn every_version_shows_and_sets_them_in_its_form() {
    let server = Server::start();
    let ok = json!({"code": 0, "message": "success", "data": "ok"});
    for path in [
        "/nacos/v1/ns/ops/switches",
        "/nacos/v2/ns/operator/switches",
        "/nacos/v2/ns/ops/switches",
        "/nacos/v3/admin/ns/ops/switches",
    ] {
        let answer = must(&server, "PUT", &format!("{path}?entry=masters&value=a,b"));
        if !path.contains("/v1/") {
            assert_eq!(answer.json(), ok, "{path}");
        }
        let shown = must(&server, "GET", path).json();
        let shown = if path.contains("/v1/") { &shown } else { &shown["data"] };
        assert_eq!(shown["masters"], json!(["a", "b"]), "{path}");
        for wrong in ["entry=check", "value=true", "entry=unheard&value=1"] {
            assert_eq!(ask(&server, "PUT", &format!("{path}?{wrong}")).status, 400, "{wrong}");
        }
        let small = ask(&server, "PUT", &format!("{path}?entry=pushCacheMillis&value=1"));
        assert!(small.status == 400 && small.text().contains("too small(<10000)"));
    }
}

#[test]
fn beats_are_answered_with_what_is_switched() {
    let server = Server::start();
    set(&server, "clientBeatInterval", "7000");
    set(&server, "lightBeatEnabled", "false");
    let query = "serviceName=beats&ip=10.0.0.1&port=80";
    let beat = format!("/nacos/v1/ns/instance/beat?{query}");
    let expected = r#"{"clientBeatInterval":7000,"code":20404,"lightBeatEnabled":false}"#;
    assert_eq!(must(&server, "PUT", &beat).text(), expected);
    must(&server, "POST", &format!("/nacos/v1/ns/instance?{query}"));
    let expected = r#"{"clientBeatInterval":7000,"code":10200,"lightBeatEnabled":false}"#;
    assert_eq!(must(&server, "PUT", &beat).text(), expected);
    let said = "%7B%22preserved.heart.beat.interval%22:%22900%22%7D";
    must(&server, "POST", &format!("/nacos/v1/ns/instance?{query}&metadata={said}"));
    assert_eq!(must(&server, "PUT", &beat).json()["clientBeatInterval"], 900);
}

#[test]
fn pushes_wait_while_they_are_switched_off_and_say_the_latest_then() {
    let server = Server::start();
    let service = service("switched-pushes");
    let (publisher, subscriber) = (client(&server), client(&server));
    subscriber.subscribe(&service, "").unwrap();
    set(&server, "pushEnabled", "false");
    for port in 1..=3 {
        publisher.register(&service, &instance("10.0.0.1", port, &[])).unwrap();
    }
    // Who asks is answered with the latest all the same.
    let info = client(&server).query(&service, "", false).unwrap();
    assert_eq!(info.hosts[0].port, 3);
    set(&server, "pushEnabled", "true");
    let (_, info) = subscriber.wait_service(WAIT, |info| !info.hosts.is_empty()).unwrap();
    assert_eq!(info.hosts[0].port, 3, "the first push after the pause says what is now");
}

#[test]
fn a_pretended_status_holds_v1_calls_and_can_be_taken_back() {
    let server = Server::start();
    let list = "/nacos/v1/ns/instance/list?serviceName=a";
    let register = "/nacos/v1/ns/instance?serviceName=a&ip=10.0.0.1&port=80";
    set(&server, "overriddenServerStatus", "READ_ONLY");
    assert_eq!(ask(&server, "GET", list).status, 200);
    let refused = ask(&server, "POST", register);
    assert_eq!(
        (refused.status, refused.text()),
        (503, "server is READ_ONLYnow, please try again later!")
    );
    let metrics = must(&server, "GET", "/nacos/v1/ns/operator/metrics").json();
    assert_eq!(metrics["status"], "READ_ONLY");
    assert_eq!(
        ask(&server, "POST", "/nacos/v2/ns/instance?serviceName=a&ip=10.0.0.1&port=80").status,
        200
    );
    set(&server, "overriddenServerStatus", "");
    assert_eq!(ask(&server, "POST", register).status, 200);
    set(&server, "limitedUrlMap", "/nacos/v1/ns/instance/list:429");
    assert_eq!(ask(&server, "GET", list).status, 429);
    set(&server, "limitedUrlMap", "");
    assert_eq!(ask(&server, "GET", list).status, 200);
}

#[test]
fn the_kinds_of_checks_are_listed() {
    let server = shared_server();
    let bare = must(&server, "GET", "/nacos/v1/ns/health/checkers").json();
    assert_eq!(bare["HTTP"]["expectedResponseCode"], 200);
    let shown = must(&server, "GET", "/nacos/v3/admin/ns/health/checkers").json();
    assert_eq!(shown["data"], bare);
}
