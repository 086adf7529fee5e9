//! What must hold for every SDK where everybody has to log in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::judge::{Instance, Judge};
use crate::server::{Server, http_get};

/// How long a token counts where it has to end within the test, seconds.
const SHORT_S: u32 = 2;
/// And where it must not.
const LONG_S: u32 = 18_000;
/// Between two tries of an SDK. More often would be guessing, and slowed down.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// Java looks every 5 s whether to log in again, Rust every 30. Once refused, Java waits 60.
const RECOVERS_WITHIN: Duration = Duration::from_secs(100);

const NAME: &str = "judge";
const PASSWORD: &str = "the-judges-own";
const RIGHT: &str = "role=worker&resource=public:*:*&action=rw";

/// The SDK logs in, is refused without the right, and works as soon as it has it. Then, at a server
/// whose tokens end soon: its password is changed, its token ends, and when the password counts
/// again it recovers by itself.
pub fn logs_in_is_refused_and_recovers(sdk: &str) {
    let town_hall = TownHall::open(LONG_S);
    let mut judge = Judge::connect_as(sdk, &town_hall.server, NAME, PASSWORD);
    let instance = Instance::new(1, "guarded");
    let refused = judge.try_register("orders", &instance);
    assert!(refused.is_err(), "{sdk} does not say that it was refused");
    assert!(!town_hall.lists("orders"), "{sdk} registered without a right");
    town_hall.must("POST", "permission", RIGHT);
    judge.try_register("orders", &instance).expect("a right counts at once");
    assert!(town_hall.lists("orders"));

    let town_hall = TownHall::open(SHORT_S);
    town_hall.must("POST", "permission", RIGHT);
    judge.join(&town_hall.server, NAME, PASSWORD);
    until(sdk, "works with its right", || judge.try_register("orders", &instance).is_ok());
    town_hall.set_password("another-one");
    let wrong = r#"nacre_passwords_total{outcome="wrong"}"#;
    if sdk.starts_with("java") {
        // After a refusal Java waits for a minute, so it is not asked until it has tried to log in.
        until(sdk, "logs in again", || town_hall.metric(wrong) > 0.0);
        town_hall.set_password(PASSWORD);
        let right = r#"nacre_passwords_total{outcome="right"}"#;
        let before = town_hall.metric(right);
        until(sdk, "logs in again", || town_hall.metric(right) > before);
    } else {
        until(sdk, "is refused when its token ended", || {
            judge.try_register("orders", &instance).is_err()
        });
        town_hall.set_password(PASSWORD);
    }
    until(sdk, "recovers", || judge.try_register("orders", &instance).is_ok());
    assert!(town_hall.lists("orders"));
}

/// Polls what an SDK is to come to.
pub fn until(sdk: &str, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + RECOVERS_WITHIN;
    while !holds() {
        assert!(Instant::now() < deadline, "{sdk} {what}: not within {RECOVERS_WITHIN:?}");
        std::thread::sleep(TRY_AGAIN);
    }
}

/// A guarded server and its administrator, who shows a password with each request.
struct TownHall {
    server: Server,
}

impl TownHall {
    /// With a user who works, and has no right yet.
    fn open(token_s: u32) -> Self {
        let ttl = format!("nacos.core.auth.plugin.nacos.token.expire.seconds={token_s}");
        let arguments = ["-D", "nacos.core.auth.enabled=true", "-D", &ttl];
        let town_hall = Self { server: Server::start_with(&arguments) };
        let first = "/nacos/v3/auth/user/admin?password=mayor";
        let (status, text) = town_hall.exchange("POST", first, "");
        assert_eq!(status, 200, "{text}");
        town_hall.must("POST", "user", &format!("username={NAME}&password={PASSWORD}"));
        town_hall.must("POST", "role", &format!("username={NAME}&role=worker"));
        town_hall
    }

    /// One series of the metrics by its full name; 0 when it is not there.
    fn metric(&self, series: &str) -> f64 {
        let page = http_get(self.server.http_port(), "/nacos/metrics").unwrap_or_default();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    fn set_password(&self, password: &str) {
        self.must("PUT", "user", &format!("username={NAME}&newPassword={password}"));
    }

    fn must(&self, method: &str, what: &str, form: &str) {
        let (status, text) = self.ask(method, &format!("/nacos/v3/auth/{what}?{form}"));
        assert_eq!(status, 200, "{method} {what}: {text}");
    }

    /// Whether anybody is found there.
    fn lists(&self, service: &str) -> bool {
        let query = format!("serviceName={service}&groupName=JUDGED");
        let (status, text) = self.ask("GET", &format!("/nacos/v1/ns/instance/list?{query}"));
        assert_eq!(status, 200, "{text}");
        let list: Value = serde_json::from_str(&text).expect("a list is JSON");
        list["hosts"].as_array().is_some_and(|hosts| !hosts.is_empty())
    }

    /// One request as the administrator: status and body. Logs in anew each time, since tokens
    /// end so soon.
    fn ask(&self, method: &str, target: &str) -> (u16, String) {
        const LOGIN: &str = "/nacos/v3/auth/user/login?username=nacos&password=mayor";
        let mut token = Value::Null;
        until("the administrator", "logs in", || {
            let (status, text) = self.exchange("POST", LOGIN, "");
            token = serde_json::from_str(&text).unwrap_or_default();
            status == 200
        });
        let token = token["accessToken"].as_str().expect("a token");
        self.exchange(method, target, &format!("accessToken: {token}\r\n"))
    }

    fn exchange(&self, method: &str, target: &str, lines: &str) -> (u16, String) {
        let at = ("127.0.0.1", self.server.http_port());
        let mut stream = TcpStream::connect(at).expect("connect");
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: nacre\r\nconnection: close\r\n\
             content-length: 0\r\n{lines}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }
}
