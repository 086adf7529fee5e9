//! What a config client of an SDK can be asked.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ASK_AGAIN, Judge, PATIENCE};
use crate::server::Server;

/// Leaves the Rust SDK time to look at its connection, twice.
const ASK_RUST_AGAIN: Duration = Duration::from_secs(12);
/// The group of every config here.
pub const GROUP: &str = "JUDGED";

impl Judge {
    /// Starts the SDK and its config client, with the namespace it takes by itself.
    pub fn connect_config(sdk: &str, server: &Server) -> Self {
        let mut judge = Self::start(sdk);
        judge.must("connect_config", json!({"server": server.address()}));
        judge
    }

    /// The address this SDK says it has.
    pub fn address(&mut self) -> String {
        self.must("address", json!({})).as_str().expect("an address").to_owned()
    }

    pub fn publish(&mut self, data_id: &str, content: &str) {
        let published = self.must("publish", writing(data_id, content));
        assert_eq!(published, true, "{} publishes {data_id}", self.sdk);
    }

    /// The same once the SDK has found its server again.
    pub fn publish_at_last(&mut self, data_id: &str, content: &str) {
        self.until("publish", writing(data_id, content), &json!(true));
    }

    /// Whether a publish that wants to follow `md5` was made. A refusal is either the SDK's
    /// false or the server's sentence; any other failure fails the test.
    pub fn publish_after(&mut self, data_id: &str, md5: &str, content: &str) -> bool {
        let mut request = writing(data_id, content);
        request["cas_md5"] = md5.into();
        match self.call("publish", request) {
            Ok(published) => published == true,
            Err(reason) if reason.contains("Cas publish fail") => false,
            Err(reason) => panic!("{}: {reason}\n{}", self.sdk, self.stderr()),
        }
    }

    /// Publishes for these addresses alone; false where the SDK has no such call.
    pub fn publish_beta(&mut self, data_id: &str, addresses: &str, content: &str) -> bool {
        let mut request = writing(data_id, content);
        request["beta_ips"] = addresses.into();
        match self.call("publish", request) {
            Ok(published) => {
                assert_eq!(published, true, "{} publishes a beta", self.sdk);
                true
            }
            Err(reason) if reason == "unsupported" => false,
            Err(reason) => panic!("{}: {reason}\n{}", self.sdk, self.stderr()),
        }
    }

    /// What the SDK finds now.
    pub fn get(&mut self, data_id: &str) -> Option<String> {
        self.must("get", reading(data_id)).as_str().map(str::to_owned)
    }

    /// Finds nothing but this by a search, if the SDK has one: Go's ends with the name, Python's of
    /// 1.x lists a group.
    pub fn finds(&mut self, data_id: &str) {
        if self.sdk.starts_with("go") || self.sdk.starts_with("python_http") {
            let found = self.must("search", reading(data_id));
            assert_eq!(found, json!([data_id]), "{} searches", self.sdk);
        }
    }

    /// Asks until the SDK finds this. A question that fails is asked again.
    pub fn get_until(&mut self, data_id: &str, content: &str) {
        self.until("get", reading(data_id), &json!(content));
    }

    pub fn remove(&mut self, data_id: &str) {
        assert_eq!(self.must("remove", reading(data_id)), true, "{} removes", self.sdk);
    }

    pub fn listen(&mut self, data_id: &str) {
        self.must("listen", reading(data_id));
    }

    pub fn fuzzy_watch(&mut self, pattern: &str) {
        self.must("fuzzy_watch", reading(pattern));
    }

    /// Waits until the SDK's listener is told this content; `None`: that the config is gone. What
    /// it was told before is passed over.
    pub fn told_content(&mut self, data_id: &str, content: Option<&str>) {
        let what = format!("{content:?} of {data_id}");
        let read = |line: &Value| {
            let mine = line["event"] == "config" && line["data_id"] == data_id;
            mine.then(|| line["content"].as_str().map(str::to_owned))
        };
        self.wait_told(&what, read, &content.map(str::to_owned));
    }

    /// Waits until the SDK's fuzzy watch is told this change of a config.
    pub fn told_change(&mut self, data_id: &str, change: &str) {
        let what = format!("{change} of {data_id}");
        let read = |line: &Value| {
            let mine = line["event"] == "fuzzy" && line["data_id"] == data_id;
            mine.then(|| line["change"].as_str().unwrap_or_default().to_owned())
        };
        self.wait_told(&what, read, &change.to_owned());
    }

    fn until(&mut self, op: &str, request: Value, wanted: &Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered = self.call(op, request.clone());
            if answered.as_ref() == Ok(wanted) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{}: {op} {request} wants {wanted}, last {answered:?}\n{}",
                self.sdk,
                self.stderr()
            );
            // Rust checks its connection only after 5 s without a call, and so never finds out
            // while it is asked more often than that.
            let rust = self.sdk.starts_with("rust");
            std::thread::sleep(if rust { ASK_RUST_AGAIN } else { ASK_AGAIN });
        }
    }
}

fn reading(data_id: &str) -> Value {
    json!({"data_id": data_id, "group": GROUP})
}

fn writing(data_id: &str, content: &str) -> Value {
    json!({"data_id": data_id, "group": GROUP, "content": content})
}
