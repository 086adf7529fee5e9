//! What others were broken by (`field-notes.md` 2c), tried here: each test is one row of it, or one
//! line of `auth.md` 15.

use crate::auth::{FORBIDDEN, Town, UNKNOWN, grpc, post, send};
use crate::http_client::{Answer, Http, ask};
use crate::server::Server;
use crate::support::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use nacre_loadgen::client::{Client, Profile};
use serde_json::json;
use sha2::Sha256;

/// A key every scanner tries: it was the reference's default.
const PUBLISHED: &str = "SecretKey012345678901234567890123456789012345678901234567890123456789";

/// Any token, by HMAC-SHA-256.
pub fn forged(header: &str, payload: &str, key: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub const HS256: &str = r#"{"alg":"HS256"}"#;
pub const ADMINISTRATOR: &str = r#"{"sub":"nacos","exp":9999999999}"#;

fn is_refused(answer: &Answer) -> bool {
    answer.status == 403
}

const LIST: &str = "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=dev";

#[test]
fn forged_tokens_open_nothing() {
    let town = Town::guarded();
    let parts: Vec<&str> = town.admin.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let payload = URL_SAFE_NO_PAD.encode(ADMINISTRATOR);
    let tokens = [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{}", parts[2]),
        format!("{none}.{payload}"),
        forged(HS256, ADMINISTRATOR, PUBLISHED.as_bytes()),
        forged(HS256, ADMINISTRATOR, b""),
        forged(r#"{"alg":"HS256","kid":"/dev/null"}"#, ADMINISTRATOR, b""),
        forged(r#"{"alg":"RS256"}"#, ADMINISTRATOR, b"key"),
        // The signature of another payload, a cut one, a longer one, none.
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..20]),
        format!("{}A", town.admin),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        "AUTH_DISABLED".to_owned(),
        "null".to_owned(),
        "x".repeat(10_000),
    ];
    let client = client_as(&town.server, Profile::module("config"));
    let body = json!({"tenant": "dev", "group": "G", "dataId": "d"});
    for token in &tokens {
        let answer = town.send("GET", LIST, "", token);
        assert!(is_refused(&answer), "{token}: {}", answer.text());
        assert!(answer.text().contains("Code: 401"), "{token}: {}", answer.text());
        let bearer = format!("Bearer {token}");
        for header in [("accessToken", &**token), ("Authorization", &*bearer)] {
            let answer = grpc(&client, "ConfigQueryRequest", &body, &[header]);
            assert_eq!(answer["errorCode"], 403, "{token}: {answer}");
        }
    }
    assert_eq!(town.send("GET", LIST, "", &town.admin).status, 200);
}

#[test]
fn no_password_is_there_from_the_start() {
    let server = Server::start_with(&["-D", "nacos.core.auth.enabled=true"]);
    for password in ["nacos", "", "admin", "123456"] {
        for user in ["nacos", "admin", "root", "ldap", "LDAP_nacos"] {
            let form = format!("username={user}&password={password}");
            let answer = post(&server, "/nacos/v1/auth/users/login", &form, "");
            assert_eq!(answer.status, 403, "{user}/{password}: {}", answer.text());
        }
    }
    let state = ask(&server, "GET", "/nacos/v3/admin/core/state").json();
    assert_eq!(state["data"]["auth_admin_request"], "true", "{state}");
    assert_eq!(metric(&server, "nacre_open_door"), 0.0);
    assert!(metric(&server, r#"nacre_passwords_total{outcome="wrong"}"#) >= 0.0);
}

#[test]
fn an_open_door_is_loud() {
    let server = shared_server();
    until_metric(&server, "nacre_open_door", 1.0);
}

/// Two at once: one is made. Whoever names no password is given one with each kind of character.
#[test]
fn the_first_administrator_is_made_once() {
    let server = Server::start_with(&["-D", "nacos.core.auth.enabled=true"]);
    until("the log", || post(&server, LOGIN, "username=x&password=y", "").status != 503);
    let made: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || post(&server, "/nacos/v3/auth/user/admin", "", "");
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let codes: Vec<_> = made.iter().map(|answer| answer.json()["code"].clone()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 409).count(), 3, "{codes:?}");
    let winner = made.iter().find(|answer| answer.json()["code"] == 0).expect("counted above");
    let password = winner.json()["data"]["password"].as_str().expect("a password").to_owned();
    let has = |is: fn(&u8) -> bool| password.as_bytes().iter().any(is);
    assert!(password.len() == 8, "{password}");
    assert!(has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase), "{password}");
    assert!(has(u8::is_ascii_digit) && has(|byte| b"!@#$%&".contains(byte)), "{password}");
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let form = format!("username=nacos&password={encoded}");
    assert_eq!(post(&server, LOGIN, &form, "").status, 200);
}

const LOGIN: &str = "/nacos/v1/auth/users/login";

#[test]
fn a_login_is_taken_wherever_it_is_put() {
    let town = Town::guarded();
    let login = |method: &str, target: &str, lines: &str, body: &str| {
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let lines = format!("{form}{lines}");
        Http::connect(&town.server).ask_with(method, target, &lines, body.as_bytes())
    };
    let (user, word) = ("username=nacos", "password=first-secret");
    for path in ["/nacos/v1/auth/login", LOGIN, "/nacos/v3/auth/user/login"] {
        let token = format!("accessToken: {}\r\n", town.admin);
        let bearer = format!("authorization: Bearer {}\r\n", town.admin);
        let headers = "username: nacos\r\npassword: first-secret\r\n";
        for (query, lines, body) in [
            (format!("?{user}&{word}"), "", String::new()),
            (format!("?{user}"), "", word.to_owned()),
            (String::new(), "", format!("{user}&{word}")),
            (String::new(), headers, String::new()),
            (String::new(), &token, String::new()),
            (String::new(), &bearer, String::new()),
            (format!("?accessToken={}", town.admin), "", String::new()),
        ] {
            let answer = login("POST", &format!("{path}{query}"), lines, &body);
            assert_eq!(answer.status, 200, "{path}{query} {lines}: {}", answer.text());
            let json = answer.json();
            assert_eq!((&json["username"], &json["globalAdmin"]), (&"nacos".into(), &true.into()));
            assert_eq!(json["tokenTtl"], 18_000);
            let bearer = format!("Bearer {}", json["accessToken"].as_str().expect("a token"));
            assert_eq!(answer.header("authorization"), Some(&*bearer));
        }
        for wrong in ["", "?username=nacos", "?username=nacos&password=x", "?username=a&password=b"]
        {
            assert_eq!(login("POST", &format!("{path}{wrong}"), "", "").status, 403, "{wrong}");
        }
    }
}

/// Signatures of commercial servers (`auth.md` 10): passed over, they neither help nor hurt.
#[test]
fn access_key_signatures_are_passed_over() {
    let town = Town::guarded();
    let spas = [
        ("Spas-AccessKey", "ak"),
        ("Timestamp", "1790000000000"),
        ("Spas-Signature", "c2lnbmF0dXJl"),
        ("Spas-SecurityToken", "sts"),
        ("ak", "ak"),
        ("data", "1790000000000@@G@@s"),
        ("signature", "c2lnbmF0dXJl"),
        ("signatureVersion", "v4"),
    ];
    let client = client(&town.server);
    let body = json!({"namespace": "dev", "groupName": "G", "serviceName": "s"});
    let alone = grpc(&client, "ServiceQueryRequest", &body, &spas);
    assert_eq!((&alone["errorCode"], &alone["message"]), (&403.into(), &UNKNOWN.into()));
    let with = [&spas[..], &[("accessToken", &town.admin)]].concat();
    assert_eq!(grpc(&client, "ServiceQueryRequest", &body, &with)["resultCode"], 200);
    let lines: String = spas.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let get = |lines: &str| Http::connect(&town.server).ask_with("GET", LIST, lines, b"");
    assert!(is_refused(&get(&lines)));
    assert_eq!(get(&format!("{lines}accessToken: {}\r\n", town.admin)).status, 200);
}

/// Each switch guards its own part of the API, and users' management is never open to others.
#[test]
fn each_scope_has_its_switch() {
    let client = ("/nacos/v1/ns/instance/list?serviceName=s", "nacos.core.auth.enabled");
    let admin = ("/nacos/v3/admin/ns/service/list", "nacos.core.auth.admin.enabled");
    let console = ("/nacos/v3/console/core/namespace/list", "nacos.core.auth.console.enabled");
    let scopes = [client, admin, console];
    for on in scopes {
        let set = scopes.map(|(_, key)| format!("{key}={}", key == on.1));
        let arguments: Vec<&str> = set.iter().flat_map(|pair| ["-D", pair.as_str()]).collect();
        let server = Server::start_with(&arguments);
        for (path, key) in scopes {
            let answer = ask(&server, "GET", path);
            assert_eq!(is_refused(&answer), key == on.1, "{path}: {}", answer.text());
        }
        let call = call(
            &client_as(&server, Profile::module("naming")),
            "ServiceQueryRequest",
            &json!({"namespace": "dev", "groupName": "G", "serviceName": "s"}),
        );
        let code = call.json().expect("JSON")["errorCode"].clone();
        assert_eq!(code == 403, on == client, "{code}");
        let elsewhere = "x-forwarded-for: 192.0.2.1\r\n";
        let users = "/nacos/v3/auth/user/list?pageNo=1&pageSize=9";
        let answer = Http::connect(&server).ask_with("GET", users, elsewhere, b"");
        assert!(is_refused(&answer), "{on:?}: {}", answer.text());
    }
}

/// CVE-2021-29441 and its bypasses; headers that once marked a peer.
#[test]
fn no_header_and_no_spelling_of_a_path_changes_who_may() {
    let town = Town::guarded();
    let dev = town.user("dev", "dev:*:*", "r");
    let tricks = [
        "user-agent: Nacos-Server\r\n",
        "user-agent: nacos-server:v2.0.3\r\n",
        "user-agent: Nacos-Java-Client:v3.1.1\r\n",
        "serverIdentity: security\r\n",
        "serverIdentity: nacosSecurty\r\n",
        "nacos.core.auth.server.identity.key: security\r\n",
        "x-forwarded-for: 127.0.0.1\r\nx-real-ip: 127.0.0.1\r\n",
        "authorization: Basic bmFjb3M6bmFjb3M=\r\n",
        "x-original-url: /nacos/v1/auth/login\r\n",
        "x-http-method-override: GET\r\n",
        "cookie: accessToken=admin; username=nacos\r\n",
    ];
    for (method, path) in [
        ("GET", "/nacos/v1/auth/users?pageNo=1&pageSize=9"),
        ("POST", "/nacos/v1/auth/users?username=eve&password=eve"),
        ("PUT", "/nacos/v1/auth/users?username=nacos&newPassword=eve"),
        ("GET", "/nacos/v3/auth/user/list?pageNo=1&pageSize=9"),
        ("POST", "/nacos/v1/ns/instance?serviceName=s&ip=192.0.2.1&port=1&namespaceId=dev"),
        ("POST", "/nacos/v1/cs/configs?dataId=d&group=G&tenant=dev&content=x"),
        ("GET", "/nacos/v1/ns/service/list?pageNo=1&pageSize=9&namespaceId=prod"),
    ] {
        for trick in tricks {
            for token in ["", &*dev] {
                let lines = match token {
                    "" => trick.to_owned(),
                    token => format!("{trick}accessToken: {token}\r\n"),
                };
                let answer = Http::connect(&town.server).ask_with(method, path, &lines, b"");
                assert!(is_refused(&answer), "{method} {path} {lines}: {}", answer.text());
            }
        }
    }
    for path in [
        "/nacos/v1/auth/users/?pageNo=1&pageSize=9",
        "/nacos/v1/auth/users;x?pageNo=1&pageSize=9",
        "/nacos/v1/auth/users;jsessionid=1?pageNo=1&pageSize=9",
        "/nacos/v1/auth/login/../users?pageNo=1&pageSize=9",
        "/nacos/v1/auth/login;/../users?pageNo=1&pageSize=9",
        "/nacos/v1/auth/%75sers?pageNo=1&pageSize=9",
        "/nacos/v1/auth%2fusers?pageNo=1&pageSize=9",
        "/nacos/v1/%2e/auth/users?pageNo=1&pageSize=9",
        "/nacos/v1/%2e%2e/v1/auth/users?pageNo=1&pageSize=9",
        "/nacos/v1/./auth/users?pageNo=1&pageSize=9",
        "//nacos/v1/auth/users?pageNo=1&pageSize=9",
        "/nacos//v1/auth/users?pageNo=1&pageSize=9",
        "/nacos/v1//auth/users?pageNo=1&pageSize=9",
        "/NACOS/v1/auth/users?pageNo=1&pageSize=9",
        "/nacos/V1/auth/users?pageNo=1&pageSize=9",
        "/nacos/v1/auth/users%00?pageNo=1&pageSize=9",
        "/nacos/v1/auth/users.json?pageNo=1&pageSize=9",
        "/nacos/v1/auth/users%20?pageNo=1&pageSize=9",
        "/nacos/v1/console/health/../../auth/users?pageNo=1&pageSize=9",
        "/v1/auth/users?pageNo=1&pageSize=9",
    ] {
        let answer = town.send("GET", path, "", &dev);
        assert!(matches!(answer.status, 400 | 403 | 404 | 501), "{path}: {answer:?}");
        assert!(!answer.text().contains("pageItems"), "{path}: {answer:?}");
    }
}

/// CVE-2021-29442 and #14001: what scanners send leaves no trace in the log, and the node starts
/// again.
#[test]
fn what_scanners_send_is_not_logged() {
    let mut server = Server::start_with(&["-D", "nacos.core.auth.enabled=true"]);
    let form = "username=x&password=y";
    until("a key", || {
        post(&server, LOGIN, form, "").status == 403
            && metric(&server, "nacre_store_commands_total") >= 1.0
    });
    let before = settled(&server, "nacre_store_commands_total");
    for (method, path) in [
        ("GET", "/nacos/v1/cs/ops/derby?sql=select%20*%20from%20users"),
        ("POST", "/nacos/v1/cs/ops/data/removal"),
        ("GET", "/nacos/v3/admin/cs/ops/derby?sql=select%201"),
        ("POST", "/nacos/v3/admin/cs/ops/derby/import"),
        ("POST", "/nacos/v1/cs/ops/localCache"),
        ("POST", "/nacos/v1/core/ops/raft?command=doSnapshot"),
        ("POST", "/nacos/v1/auth/users?username=eve&password=eve"),
        ("POST", "/nacos/v1/cs/configs?dataId=d&group=G&content=x"),
        ("POST", "/nacos/v1/console/namespaces?customNamespaceId=x&namespaceName=x"),
        ("DELETE", "/nacos/v1/cs/configs?dataId=d&group=G"),
    ] {
        let answer = send(&server, method, path, "", "");
        assert!(matches!(answer.status, 403 | 404), "{method} {path}: {}", answer.text());
    }
    let client = client_as(&server, Profile::module("config"));
    let publish = json!({"tenant": "", "group": "G", "dataId": "d", "content": "x"});
    assert_eq!(grpc(&client, "ConfigPublishRequest", &publish, &[])["errorCode"], 403);
    assert_eq!(settled(&server, "nacre_store_commands_total"), before);
    server.kill();
    server.start_again();
}

const SECRET: &str = "the-secret-of-prod";

/// A town where somebody of `dev` tries to see what there is in `prod`.
struct Border {
    town: Town,
    dev: String,
    config: Client,
    naming: Client,
    /// All he was told.
    said: Vec<String>,
}

impl Border {
    fn guarded() -> Self {
        let town = Town::guarded();
        let dev = town.user("dev", "dev:*:*", "rw");
        let config = client_as(&town.server, Profile::module("config"));
        let naming = client(&town.server);
        let border = Self { town, dev, config, naming, said: Vec::new() };
        border.publish("prod", SECRET);
        let register = json!({
            "namespace": "prod", "groupName": "G", "serviceName": SECRET,
            "type": "registerInstance",
            "instance": {"ip": "192.0.2.1", "port": 1, "ephemeral": true},
        });
        let admin = [("accessToken", &*border.town.admin)];
        let done = grpc(&border.naming, "InstanceRequest", &register, &admin);
        assert_eq!(done["resultCode"], 200, "{done}");
        border
    }

    fn publish(&self, tenant: &str, content: &str) {
        let body = json!({"tenant": tenant, "group": "G", "dataId": "d", "content": content});
        let admin = [("accessToken", &*self.town.admin)];
        let done = grpc(&self.config, "ConfigPublishRequest", &body, &admin);
        assert_eq!(done["resultCode"], 200, "{done}");
    }

    fn try_grpc(&mut self, namespace: &str) {
        let about = json!({
            "tenant": namespace, "namespace": namespace, "namespaceId": namespace, "group": "G",
            "groupName": "G", "dataId": "d", "serviceName": SECRET, "pageNo": 1, "pageSize": 9,
            "subscribe": true, "listen": true, "watchType": "WATCH", "initializing": true,
            "groupKeyPattern": format!("{namespace}>>*>>*"),
            "configListenContexts": [
                {"tenant": "dev", "group": "G", "dataId": "d", "md5": "x"},
                {"tenant": namespace, "group": "G", "dataId": "d", "md5": "x"},
            ],
        });
        for (client, kind) in [
            (&self.config, "ConfigQueryRequest"),
            (&self.config, "ConfigFuzzyWatchRequest"),
            (&self.config, "ConfigBatchListenRequest"),
            (&self.naming, "ServiceQueryRequest"),
            (&self.naming, "ServiceListRequest"),
            (&self.naming, "SubscribeServiceRequest"),
            (&self.naming, "NamingFuzzyWatchRequest"),
        ] {
            let answer = grpc(client, kind, &about, &[("accessToken", &self.dev)]);
            // Its own half of a batch listen is answered.
            let own = kind == "ConfigBatchListenRequest";
            assert!(own || answer["errorCode"] == 403, "{kind} {namespace:?}: {answer}");
            self.said.push(answer.to_string());
        }
    }

    fn try_http(&mut self, query: &str) {
        for path in ["/v1/ns/service/list", "/v1/ns/instance/list", "/v3/client/ns/instance/list"] {
            let about = format!("{query}&serviceName={SECRET}&groupName=G&pageNo=1&pageSize=9");
            let target = format!("/nacos{path}?{about}");
            let answer = self.town.send("GET", &target, "", &self.dev);
            assert!(matches!(answer.status, 400 | 403), "{target}: {}", answer.text());
            self.said.push(answer.text().to_owned());
        }
    }

    /// All that is pushed until its own config changes.
    fn hear(&mut self) {
        loop {
            let push = self.config.next_push(WAIT).expect("its own config changed");
            let text = String::from_utf8_lossy(&push.body).into_owned();
            let own = push.kind == "ConfigChangeNotifyRequest" && text.contains("\"dev\"");
            self.said.push(text);
            if own {
                break;
            }
        }
        let pushes = self.naming.drain_pushes();
        self.said
            .extend(pushes.iter().map(|push| String::from_utf8_lossy(&push.body).into_owned()));
    }
}

/// 3.2.3: a namespace is shown to nobody of another, however it is spelt.
#[test]
fn namespaces_do_not_cross() {
    let mut border = Border::guarded();
    for namespace in ["prod", " prod", "prod ", "PROD", "dev:prod", "dev/../prod", "*", "pro*", ""]
    {
        border.try_grpc(namespace);
    }
    for query in [
        "namespaceId=prod",
        "namespaceId=prod&namespaceId=dev",
        "namespaceId=prod&tenant=dev",
        "namespaceId=%70rod",
        "namespaceId=prod%00",
    ] {
        border.try_http(query);
    }
    // Nothing is pushed of what changes there, either: only what comes after it, of its own.
    border.publish("prod", "again");
    border.publish("dev", "again");
    border.hear();
    let is_leak = |text: &&String| text.contains(SECRET) || text.contains("\"prod\"");
    let leaks: Vec<&String> = border.said.iter().filter(is_leak).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
    let listen = json!({"listen": true, "configListenContexts": [
        {"tenant": "prod", "group": "G", "dataId": "d", "md5": "x"}]});
    let dev = [("accessToken", &*border.dev)];
    let refused = grpc(&border.config, "ConfigBatchListenRequest", &listen, &dev);
    assert_eq!((&refused["errorCode"], &refused["message"]), (&403.into(), &FORBIDDEN.into()));
}
