//! Every row of both wires × nobody, the wrong namespace, read-only, the right one, the
//! administrator: walked on the real server with everything guarded.
//!
//! Only the list of rows and the right each declares are the server's own, so that none can be
//! forgotten; what follows from a right is said here once more, in the words of `auth.md` 3 and of
//! issue 8.

use crate::auth::{Town, grpc};
use crate::http_client::{Answer, Http};
use crate::support::*;
use nacre::front::open::route::{Action, Label, Route};
use nacre::front::open::rows;
use nacre_loadgen::client::Profile;
use nacre_proto::request::Kind;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    /// May do everything, but in another namespace.
    Elsewhere,
    ReadOnly,
    ReadWrite,
    Administrator,
}

const EVERYBODY: [Who; 5] =
    [Who::Nobody, Who::Elsewhere, Who::ReadOnly, Who::ReadWrite, Who::Administrator];

/// Their tokens.
fn tokens(town: &Town) -> [(Who, String); 5] {
    EVERYBODY.map(|who| {
        let token = match who {
            Who::Nobody => String::new(),
            Who::Elsewhere => town.user("elsewhere", "prod:*:*", "rw"),
            Who::ReadOnly => town.user("reader", "dev:*:*", "r"),
            Who::ReadWrite => town.user("writer", "dev:*:*", "rw"),
            Who::Administrator => town.admin.clone(),
        };
        (who, token)
    })
}

/// What may be done to something in `dev`.
fn may(who: Who, writes: bool) -> bool {
    match who {
        Who::Nobody | Who::Elsewhere => false,
        Who::ReadOnly => !writes,
        Who::ReadWrite | Who::Administrator => true,
    }
}

/// A body about `dev`, and whether it writes. A new type of request has to be added here.
fn grpc_row(kind: Kind) -> Option<(&'static str, Value, bool)> {
    let naming = json!({
        "namespace": "dev", "groupName": "G", "serviceName": "s", "type": "registerInstance",
        "subscribe": true, "pageNo": 1, "pageSize": 9,
        "instance": {"ip": "192.0.2.1", "port": 1, "ephemeral": true},
        "instances": [{"ip": "192.0.2.1", "port": 1, "ephemeral": true}],
    });
    let config = json!({"tenant": "dev", "group": "G", "dataId": "d", "content": "x"});
    let watch = json!({"groupKeyPattern": "dev>>*>>*", "watchType": "WATCH", "namespace": "dev"});
    let listen = json!({
        "listen": true,
        "configListenContexts": [{"tenant": "dev", "group": "G", "dataId": "d", "md5": ""}],
    });
    Some(match kind {
        Kind::HealthCheck => return None,
        Kind::BatchInstance => {
            let mut batch = naming;
            batch["type"] = "batchRegisterInstance".into();
            ("naming", batch, true)
        }
        Kind::Instance => ("naming", naming, true),
        Kind::PersistentInstance => {
            let mut persistent = naming;
            persistent["serviceName"] = "p".into();
            persistent["instance"]["ephemeral"] = false.into();
            ("naming", persistent, true)
        }
        Kind::ServiceQuery | Kind::SubscribeService | Kind::ServiceList => {
            ("naming", naming, false)
        }
        Kind::NamingFuzzyWatch => ("naming", watch, false),
        Kind::ConfigPublish | Kind::ConfigRemove => ("config", config, true),
        Kind::ConfigQuery => ("config", config, false),
        Kind::ConfigBatchListen => ("config", listen, false),
        Kind::ConfigFuzzyWatch => ("config", watch, false),
        other => panic!("what does {other:?} need?"),
    })
}

#[test]
fn every_request_of_the_grpc_wire() {
    let town = Town::guarded();
    let tokens = tokens(&town);
    let clients = ["naming", "config"]
        .map(|module| (module, client_as(&town.server, Profile::module(module))));
    let mut walked = 0;
    for kind in Kind::ALL.into_iter().filter(|kind| kind.has_request()) {
        let Some((module, body, writes)) = grpc_row(kind) else { continue };
        let name = kind.name();
        let (_, client) = clients.iter().find(|known| known.0 == module).expect("a module");
        for (who, token) in &tokens {
            walked += 1;
            let answer = grpc(client, name, &body, &[("accessToken", token)]);
            let refused = answer["errorCode"] == 403;
            assert_eq!(!refused, may(*who, writes), "{name} by {who:?}: {answer}");
            if !refused {
                assert_ne!(answer["resultCode"], 500, "{name} by {who:?}: {answer}");
            }
        }
    }
    assert!(walked >= 55, "{walked}");
    // Free on purpose: what tells a client that it lives.
    let health = grpc(&clients[0].1, "HealthCheckRequest", &json!({}), &[]);
    assert_eq!(health["resultCode"], 200, "{health}");
}

/// With auth on: "login, first administrator, health, state, server list, and metrics without names
/// in them".
fn is_open(path: &str) -> bool {
    const OPEN: [&str; 13] = [
        "/metrics",
        "/actuator/prometheus",
        "/serverlist",
        "/{product}/{cluster}",
        "/openapi.json",
        "/v1/ns/health/server",
        "/v1/ns/operator/metrics",
        "/v1/ns/ops/metrics",
        "/v2/ns/operator/metrics",
        "/v2/ns/ops/metrics",
        "/v3/admin/ns/ops/metrics",
        "/v1/auth/admin",
        "/v1/auth/users/admin",
    ];
    OPEN.contains(&path)
        || path == "/v3/auth/user/admin"
        || path.ends_with("/login")
        || path.contains("/console/health/")
        || path.contains("/console/server/")
        || path.starts_with("/v3/admin/core/state")
        || path == "/v3/admin/core/ops/readiness"
}

/// Resources that name themselves (`auth.md` 3.1): no permission of a namespace covers them.
fn is_named(path: &str) -> bool {
    const PARTS: [&str; 11] = [
        "/auth/",
        "/console/",
        "/core/",
        "/cs/ops/",
        "/cs/metrics/",
        "/ns/operator/",
        "/ns/ops/",
        "/admin/ai/",
        "/v1/as/",
        "/v1/cmdb/",
        "/v0/",
    ];
    const WHOLE: [&str; 3] = ["/v1/cs/capacity", "/v3/admin/cs/capacity", "/v1/cs/listener"];
    PARTS.iter().any(|part| path.contains(part))
        || path.contains("/ns/client")
        || path == "/v1/auth"
        || WHOLE.contains(&path)
}

/// What a row's right comes to.
fn expected(row: &Route, method: &str, who: Who) -> bool {
    let is_own_password = ["/v1/auth", "/v1/auth/users", "/v3/auth/user"].contains(&row.path);
    if is_open(row.path) || who == Who::Administrator {
        return true;
    }
    if who == Who::Nobody {
        return false;
    }
    if is_own_password && method == "PUT" {
        return true;
    }
    // Its service is in the path, and of no namespace these have a right to.
    if row.path.contains("/statuses/") {
        return false;
    }
    match row.access {
        // The reference asks for nothing; here whoever reads is somebody.
        None if method == "GET" && !row.path.contains("/auth") => true,
        _ if is_named(row.path) => false,
        Some((Action::Read, _)) => may(who, false),
        _ => may(who, true),
    }
}

/// Refused by the door, which says so in the reference's words.
fn is_refused(answer: &Answer) -> bool {
    answer.status == 403 && answer.shown().contains("Code: 40")
}

const QUERY: &str = "namespaceId=dev&tenant=dev&targetNamespaceId=dev&group=G&groupName=G\
                     &serviceName=s&ip=192.0.2.1&port=1&Listening-Configs=d%02G%020%02dev%01";

/// What a login cannot do without.
const LOGIN: &str = "&username=nacos&password=first-secret";

/// A short poll of one config: each that is polled is judged by itself.
const POLLED: &str = "&Listening-Configs=d%02G%02x%02dev%01";

#[test]
fn every_row_of_the_http_table() {
    let town = Town::guarded();
    let mut connections = tokens(&town).map(|(who, token)| {
        let lines = if token.is_empty() { token } else { format!("accessToken: {token}\r\n") };
        (who, lines, Http::connect(&town.server))
    });
    let mut walked = 0;
    for row in rows() {
        for method in methods(row.verb) {
            for (who, lines, http) in &mut connections {
                walked += 1;
                let more = match row.path {
                    login if login.ends_with("/login") => LOGIN,
                    "/v1/cs/configs/listener" => POLLED,
                    _ => "",
                };
                let target = format!("{}?{QUERY}{more}", row.path_with("/nacos"));
                let answer = http.ask_with(method, &target, lines, b"");
                if row.label == Label::Inner {
                    assert_eq!(answer.status, 410, "{method} {target}: only nodes ask that");
                    continue;
                }
                let allowed = expected(row, method, *who);
                let got = format!("{} {}", answer.status, answer.shown());
                assert_eq!(!is_refused(&answer), allowed, "{method} {target} by {who:?}: {got}");
            }
        }
    }
    assert!(walked > 5 * 150, "{walked}");
    // Nothing that was refused was carried out: nobody but these made anything.
    let users = town.send("GET", "/nacos/v3/auth/user/list?pageNo=1&pageSize=9", "", &town.admin);
    assert_eq!(users.json()["data"]["totalCount"], 4, "{}", users.text());
}
