//! Who may do what, on both wires (`auth.md` 15): the door of the real server.

use crate::http_client::{Answer, Http, ask};
use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, Profile};
use serde_json::{Value, json};

pub const UNKNOWN: &str =
    "Code: 401, Message: User not found! Please check user exist or password is right!.";
pub const FORBIDDEN: &str = "Code: 403, Message: authorization failed!.";

/// A server whose clients must log in, with its first administrator.
pub struct Town {
    pub server: Server,
    /// The administrator's token.
    pub admin: String,
}

impl Town {
    pub fn guarded() -> Self {
        Self::guarded_with(&[])
    }

    /// The same with further arguments.
    pub fn guarded_with(more: &[&str]) -> Self {
        let arguments = [&["-D", "nacos.core.auth.enabled=true"], more].concat();
        let server = Server::start_with(&arguments);
        let made = post(&server, "/nacos/v3/auth/user/admin", "password=first-secret", "");
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(made.json()["data"]["username"], "nacos");
        let admin = logged_in(&server, "nacos", "first-secret");
        Self { server, admin }
    }

    pub fn send(&self, method: &str, target: &str, form: &str, token: &str) -> Answer {
        send(&self.server, method, target, form, token)
    }

    /// Has the administrator do something.
    pub fn must(&self, method: &str, target: &str, form: &str) {
        let answer = self.send(method, target, form, &self.admin);
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        assert_eq!(answer.json()["code"], 0);
    }

    /// A user with one role and one permission; his token.
    pub fn user(&self, name: &str, resource: &str, action: &str) -> String {
        let password = format!("{name}-pw");
        self.must("POST", "/nacos/v3/auth/user", &format!("username={name}&password={password}"));
        self.must("POST", "/nacos/v3/auth/role", &format!("role=of-{name}&username={name}"));
        let row = format!("role=of-{name}&resource={resource}&action={action}");
        self.must("POST", "/nacos/v3/auth/permission", &row);
        logged_in(&self.server, name, &password)
    }
}

pub fn post(server: &Server, target: &str, form: &str, token: &str) -> Answer {
    send(server, "POST", target, form, token)
}

pub fn send(server: &Server, method: &str, target: &str, form: &str, token: &str) -> Answer {
    let mut lines = "content-type: application/x-www-form-urlencoded\r\n".to_owned();
    if !token.is_empty() {
        lines.push_str(&format!("accessToken: {token}\r\n"));
    }
    Http::connect(server).ask_with(method, target, &lines, form.as_bytes())
}

/// The key is offered when the log is open: the first login may come before it.
pub fn logged_in(server: &Server, user: &str, password: &str) -> String {
    let form = format!("username={user}&password={password}");
    let mut token = String::new();
    until("a login", || {
        let answer = post(server, "/nacos/v3/auth/user/login", &form, "");
        if answer.status == 200 {
            let bearer = answer.header("authorization").expect("the token as a header").to_owned();
            token = answer.json()["accessToken"].as_str().expect("a token").to_owned();
            assert_eq!(bearer, format!("Bearer {token}"));
        }
        answer.status == 200
    });
    token
}

pub fn grpc(client: &Client, kind: &str, body: &Value, headers: &[(&str, &str)]) -> Value {
    let answer = client.call_raw(kind, body.to_string().as_bytes(), headers).expect("an answer");
    answer.json().expect("answers are JSON")
}

#[test]
fn both_wires_ask_and_both_wires_let_in() {
    let town = Town::guarded();
    let (server, admin) = (&town.server, &town.admin);
    let dev = town.user("dev", "dev:*:*", "r");
    let client = client_as(server, Profile::module("config"));
    let publish = json!({"dataId": "d", "group": "G", "tenant": "dev", "content": "x"});
    let query = json!({"dataId": "d", "group": "G", "tenant": "dev"});
    for (headers, text) in [
        (vec![], UNKNOWN),
        (vec![("User-Agent", "Nacos-Server")], UNKNOWN),
        (vec![("accessToken", "forged")], "Code: 401, Message: token invalid!."),
        (vec![("accessToken", &*dev)], FORBIDDEN),
    ] {
        let refused = grpc(&client, "ConfigPublishRequest", &publish, &headers);
        let expected =
            json!({"resultCode": 500, "errorCode": 403, "message": text, "success": false});
        assert_eq!(refused, expected, "{headers:?}");
    }
    let done = grpc(&client, "ConfigPublishRequest", &publish, &[("accessToken", admin)]);
    assert_eq!(done["resultCode"], 200, "{done}");
    let found = grpc(&client, "ConfigQueryRequest", &query, &[("accessToken", &dev)]);
    assert_eq!(found["content"], "x", "{found}");
    let other = json!({"dataId": "d", "group": "G", "tenant": "prod"});
    let crossed = grpc(&client, "ConfigQueryRequest", &other, &[("accessToken", &dev)]);
    assert_eq!(crossed["message"], FORBIDDEN);
    // The other wire.
    let list = "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=dev";
    assert_eq!(ask(server, "GET", list).status, 403);
    assert_eq!(ask(server, "GET", list).json()["message"], UNKNOWN);
    assert_eq!(send(server, "GET", list, "", &dev).status, 200);
    assert_eq!(ask(server, "GET", &format!("{list}&accessToken={dev}")).status, 200);
    let register = "/nacos/v1/ns/instance?serviceName=s&namespaceId=dev&ip=192.0.2.9&port=1";
    let refused = send(server, "POST", register, "", &dev);
    assert_eq!((refused.status, &refused.json()["message"]), (403, &FORBIDDEN.into()));
    assert_eq!(send(server, "POST", register, "", admin).status, 200);
}

#[test]
fn a_password_with_each_request_is_a_login() {
    let town = Town::guarded();
    let server = &town.server;
    town.user("dev", "dev:*:*", "rw");
    let client = client_as(server, Profile::module("naming"));
    let body = json!({"namespace": "dev", "groupName": "G", "serviceName": "s"});
    let right = [("username", "dev"), ("password", "dev-pw")];
    for _ in 0..2 {
        let answer = grpc(&client, "ServiceQueryRequest", &body, &right);
        assert_eq!(answer["resultCode"], 200, "{answer}");
    }
    for wrong in [
        [("username", "dev"), ("password", "nacos")],
        [("username", "nobody"), ("password", "dev-pw")],
    ] {
        let answer = grpc(&client, "ServiceQueryRequest", &body, &wrong);
        assert_eq!((&answer["errorCode"], &answer["message"]), (&403.into(), &UNKNOWN.into()));
    }
    let list = "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=dev";
    let with = |password| format!("{list}&username=dev&password={password}");
    assert_eq!(ask(server, "GET", &with("dev-pw")).status, 200);
    assert_eq!(ask(server, "GET", &with("wrong")).status, 403);
}

#[test]
fn what_is_managed_is_effective_at_once_and_survives() {
    let mut town = Town::guarded();
    let admin = town.admin.clone();
    let again = post(&town.server, "/nacos/v3/auth/user/admin", "password=second", "");
    assert_eq!((again.status, &again.json()["code"]), (200, &409.into()));
    let bob = town.user("bob", "dev:*:*", "rw");
    let page = "pageNo=1&pageSize=10";
    let users = send(&town.server, "GET", &format!("/nacos/v3/auth/user/list?{page}"), "", &admin);
    let shown = users.json();
    assert_eq!(shown["data"]["totalCount"], 2);
    assert!(!users.text().contains("$2a$"), "no hash leaves: {shown}");
    for (method, target, form) in [
        ("GET", "/nacos/v3/auth/user/list?pageNo=1&pageSize=9", ""),
        ("POST", "/nacos/v3/auth/user", "username=x&password=y"),
        ("POST", "/nacos/v1/auth/roles", "role=r&username=bob"),
        ("PUT", "/nacos/v3/auth/user", "username=nacos&newPassword=mine"),
        ("DELETE", "/nacos/v3/auth/user?username=nacos", ""),
    ] {
        let refused = send(&town.server, method, target, form, &bob);
        assert_eq!(refused.status, 403, "{method} {target}: {}", refused.text());
    }
    let own =
        send(&town.server, "PUT", "/nacos/v3/auth/user", "username=bob&newPassword=new", &bob);
    assert_eq!(own.status, 200, "{}", own.text());
    town.server.kill();
    town.server.start_again();
    let bob = logged_in(&town.server, "bob", "new");
    let list = "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=dev";
    assert_eq!(send(&town.server, "GET", list, "", &bob).status, 200);
    // The key outlived the restart, too.
    assert_eq!(send(&town.server, "GET", list, "", &admin).status, 200);
    let gone = send(&town.server, "DELETE", "/nacos/v3/auth/role?role=of-bob", "", &admin);
    assert_eq!(gone.status, 200, "{}", gone.text());
    assert_eq!(send(&town.server, "GET", list, "", &bob).status, 403);
}

#[test]
fn attacks_on_the_door() {
    let town = Town::guarded();
    let server = &town.server;
    for target in [
        "/nacos/v1/auth/users/?pageNo=1&pageSize=9",
        "/nacos/v1/auth/users;x?pageNo=1&pageSize=9",
        "/nacos//v1/auth/users?pageNo=1&pageSize=9",
        "/nacos/v1/auth/%75sers?pageNo=1&pageSize=9",
        "/nacos/v1/./auth/users?pageNo=1&pageSize=9",
        "/nacos/v3/auth/user/list?pageNo=1&pageSize=9",
        "/v3/auth/user/list?pageNo=1&pageSize=9",
        "/nacos/v1/cs/configs?dataId=d&group=G",
        "/nacos/v1/cs/ops/derby?sql=select",
        "/nacos/v1/ns/service/list?pageNo=1&pageSize=9",
        "/nacos/v1/console/namespaces",
    ] {
        for line in ["", "user-agent: Nacos-Server\r\n", "serverIdentity: security\r\n"] {
            let answer = Http::connect(server).ask_with("GET", target, line, b"");
            assert!(matches!(answer.status, 403 | 404 | 501), "{target} {line}: {answer:?}");
            assert!(!answer.text().contains("nacos\""), "{target}: {answer:?}");
        }
    }
    // Whoever comes through a proxy is not of this machine.
    let first = "x-forwarded-for: 127.0.0.1\r\n";
    let answer =
        Http::connect(server).ask_with("POST", "/nacos/v3/auth/user/admin", first, b"password=x");
    assert_eq!(answer.status, 403);
    // A name in one parameter, a right on another.
    let bob = town.user("bob", "dev:G:naming/mine", "r");
    for (query, status) in [
        ("serviceName=mine&groupName=G&namespaceId=dev", 200),
        ("serviceName=G@@mine&groupName=H&namespaceId=dev", 200),
        ("serviceName=H@@mine&groupName=G&namespaceId=dev", 403),
        ("serviceName=mine&groupName=G&namespaceId=prod&tenant=dev", 403),
        ("serviceName=theirs&groupName=G&namespaceId=dev", 403),
        ("namespaceId=prod&serviceName=mine&groupName=G&namespaceId=dev", 403),
    ] {
        let target = format!("/nacos/v1/ns/instance/list?{query}");
        assert_eq!(send(server, "GET", &target, "", &bob).status, status, "{query}");
    }
    let list = "/nacos/v1/ns/service/list?serviceName=mine&groupName=G&namespaceId=dev&pageNo=1\
                &pageSize=9";
    assert_eq!(send(server, "GET", list, "", &bob).status, 403, "a list is of the whole group");
}

#[test]
fn guessing_is_slowed_down() {
    let town = Town::guarded();
    let server = &town.server;
    let guess = || {
        let form = "username=nacos&password=guess";
        let answer = post(server, "/nacos/v1/auth/users/login", form, "");
        assert_eq!(answer.status, 403, "{}", answer.text());
        answer.text().to_owned()
    };
    // Ten are let pass, and one more for each three seconds: on a slow machine comparing takes so
    // long that some of them do pass.
    let texts: Vec<_> = (0..10).map(|_| guess()).collect();
    assert!(texts.iter().all(|text| text.contains("User not found")), "{texts:?}");
    let is_slowed = (0..60).any(|_| guess().contains("too many failed logins"));
    assert!(is_slowed, "as many as one likes");
}

#[test]
fn open_servers_answer_logins_without_looking() {
    let server = &shared_server();
    let form = "username=any&password=thing";
    for target in ["/nacos/v1/auth/login", "/nacos/v1/auth/users/login"] {
        let answer = post(server, target, form, "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["accessToken"], "AUTH_DISABLED");
    }
}

/// Each config of a poll, and of what is named by ids, is judged by itself.
#[test]
fn polls_and_ids_reach_no_further_than_their_sender() {
    let town = Town::guarded();
    let dev = town.user("dev", "dev:*:*", "rw");
    let Town { server, admin } = &town;
    let configs = "/nacos/v1/cs/configs";
    for space in ["dev", "prod"] {
        let path = format!("{configs}?dataId=d&group=G&tenant={space}&content=x");
        assert_eq!(send(server, "POST", &path, "", admin).text(), "true");
    }
    let crossed = format!("{configs}?dataId=d&group=G&tenant=prod");
    assert_eq!(send(server, "GET", &crossed, "", &dev).status, 403);
    // Two names for one thing: what is judged is what is read.
    let both = format!("{crossed}&namespaceId=dev");
    assert_eq!(send(server, "GET", &both, "", &dev).status, 200);
    let record = |space: &str| format!("d%02G%020%02{space}%01");
    let poll = |records: &str, token: &str| {
        let lines = "content-type: application/x-www-form-urlencoded\r\n\
                     Long-Pulling-Timeout: 30000\r\n";
        let token = match token {
            "" => String::new(),
            token => format!("&accessToken={token}"),
        };
        let form = format!("Listening-Configs={records}{token}");
        let path = format!("{configs}/listener");
        Http::connect(server).ask_with("POST", &path, lines, form.as_bytes())
    };
    let all = record("prod") + &record("dev");
    assert_eq!(poll(&all, &dev).text(), "d%02G%02dev%01\n", "the rest is left out");
    assert_eq!(poll(&all, admin).text(), "d%02G%02prod%01d%02G%02dev%01\n");
    let began = std::time::Instant::now();
    for token in ["", &*dev] {
        assert_eq!(poll(&record("prod"), token).status, 403);
    }
    assert_lasted(began.elapsed(), std::time::Duration::from_secs(2)); // a second late each
    // Row numbers know no namespace.
    let list = "/nacos/v3/admin/cs/config/list?namespaceId=prod";
    let page = send(server, "GET", list, "", admin).json();
    let id = page["data"]["pageItems"][0]["id"].as_str().expect("an id").to_owned();
    let delete = format!("{configs}?delType=ids&ids={id}&tenant=dev");
    assert_eq!(send(server, "DELETE", &delete, "", &dev).status, 403);
    assert_eq!(send(server, "GET", &crossed, "", admin).text(), "x");
    assert_eq!(send(server, "GET", list, "", &dev).status, 403, "administrators'");
}
