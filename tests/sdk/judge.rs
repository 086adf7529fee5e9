//! One SDK in a process of its own, spoken to in JSON lines (README.md beside this file).

mod config;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Directory, Server};

pub use config::GROUP;

/// Longest wait for any answer or push. Redo is the slowest thing waited for: Java looks every 3 s,
/// Python every 30 s, and clients back off while the server is away. On a busy machine a JVM
/// starts in seconds.
const PATIENCE: Duration = Duration::from_secs(100);
/// Between two questions of a poll for something that no push will tell.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Lines a judge may be ahead of its test; beyond that it waits, as a pipe would make it.
const LINES_MAX: usize = 4096;

/// An instance as a test names it and as a client is shown it: `ip:port` and the metadata.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    ip: String,
    port: u64,
    metadata: BTreeMap<String, String>,
}

/// A set of instances; order on the wire means nothing.
pub type Instances = BTreeSet<Instance>;

impl Instance {
    /// An instance in the network set aside for documentation, with one word of metadata.
    pub fn new(last: u8, word: &str) -> Self {
        let metadata = BTreeMap::from([("word".to_owned(), word.to_owned())]);
        Self { ip: format!("192.0.2.{last}"), port: 8000, metadata }
    }

    /// One of this host, at a port somebody may listen on.
    pub fn here(port: u16) -> Self {
        Self { ip: "127.0.0.1".to_owned(), port: port.into(), ..Self::new(0, "here") }
    }

    /// One more word of metadata, or another value of it.
    pub fn insert(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.to_owned());
    }

    /// Without this word of metadata.
    pub fn remove(&mut self, key: &str) {
        self.metadata.remove(key);
    }

    fn json(&self) -> Value {
        json!({"ip": self.ip, "port": self.port, "metadata": self.metadata})
    }

    fn from_json(host: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = host["metadata"].as_object().into_iter().flatten();
        Self {
            ip: text(&host["ip"]),
            port: host["port"].as_u64().unwrap_or_default(),
            metadata: metadata.map(|(key, value)| (key.clone(), text(value))).collect(),
        }
    }
}

/// The set of these instances.
pub fn set(instances: &[&Instance]) -> Instances {
    instances.iter().map(|instance| (*instance).clone()).collect()
}

fn hosts(value: &Value) -> Instances {
    value.as_array().into_iter().flatten().map(Instance::from_json).collect()
}

fn healths(value: &Value) -> Vec<bool> {
    let hosts = value.as_array().into_iter().flatten();
    hosts.map(|host| host["healthy"].as_bool().unwrap_or_default()).collect()
}

/// Whether this SDK can be judged here. Builds its judge when that has not been done. On a
/// machine without the language says so and answers false; in CI that fails the test.
pub fn is_here(sdk: &str) -> bool {
    let prepare = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/prepare");
    let output = Command::new(prepare).arg(sdk).stderr(Stdio::piped()).output();
    let output = output.expect("run tests/sdk/prepare");
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => true,
        Some(3) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            // Not eprintln: the harness would swallow it, and a skipped test must be seen.
            let _ = std::io::stderr().write_all(said.as_bytes());
            false
        }
        _ => panic!("prepare {sdk}: {said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// A running SDK. Dropped, it is killed, and its connection with it.
pub struct Judge {
    sdk: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    pushes: VecDeque<Value>,
    next_id: u64,
    home: Directory,
}

impl Judge {
    /// Starts the SDK and connects it to `server`.
    pub fn connect(sdk: &str, server: &Server) -> Self {
        let mut judge = Self::start(sdk);
        judge.must("connect", json!({"server": server.address()}));
        judge
    }

    /// The same as a user, who has to log in.
    pub fn connect_as(sdk: &str, server: &Server, username: &str, password: &str) -> Self {
        let mut judge = Self::start(sdk);
        judge.join(server, username, password);
        judge
    }

    /// Lets the same process connect to another server; its earlier client is left alone.
    pub fn join(&mut self, server: &Server, username: &str, password: &str) {
        let server = server.address();
        let who = json!({"server": server, "username": username, "password": password});
        self.must("connect", who);
    }

    fn start(sdk: &str) -> Self {
        let home = Directory::new(sdk);
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk").join(sdk).join("run");
        let stderr = File::create(home.path().join("stderr")).expect("make the judge's stderr");
        let mut child = Command::new(run)
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the judge");
        let stdin = child.stdin.take().expect("a piped stdin");
        let stdout = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || forward(stdout, &sender));
        Self { sdk: sdk.to_owned(), child, stdin, lines, pushes: VecDeque::new(), next_id: 1, home }
    }

    /// Carries out `op`; what the SDK answered.
    pub fn call(&mut self, op: &str, mut request: Value) -> Result<Value, String> {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = id.into();
        request["op"] = op.into();
        writeln!(self.stdin, "{request}").unwrap_or_else(|error| {
            panic!("{} takes no requests: {error}\n{}", self.sdk, self.stderr())
        });
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(line) = self.next_line(deadline) else {
                panic!("{} gave no answer to {request}\n{}", self.sdk, self.stderr())
            };
            if line["event"].is_string() {
                self.pushes.push_back(line);
            } else if line["id"] == id {
                return match line["ok"].as_bool() {
                    Some(true) => Ok(line["result"].clone()),
                    _ => Err(line["error"].as_str().unwrap_or("no reason given").to_owned()),
                };
            }
        }
    }

    /// Carries out `op`, which must succeed.
    pub fn must(&mut self, op: &str, request: Value) -> Value {
        let asked = request.to_string();
        self.call(op, request).unwrap_or_else(|error| {
            panic!("{}: {op} {asked} failed: {error}\n{}", self.sdk, self.stderr())
        })
    }

    pub fn register(&mut self, service: &str, instance: &Instance) {
        self.must("register", addressed(service, instance));
    }

    /// The same; why not, if the SDK says that it was refused.
    pub fn try_register(&mut self, service: &str, instance: &Instance) -> Result<(), String> {
        self.call("register", addressed(service, instance)).map(drop)
    }

    pub fn deregister(&mut self, service: &str, instance: &Instance) {
        self.must("deregister", addressed(service, instance));
    }

    /// The log keeps it, no connection.
    pub fn register_persistent(
        &mut self,
        service: &str,
        instance: &Instance,
    ) -> Result<Value, String> {
        self.call("register", persistent(service, instance))
    }

    pub fn deregister_persistent(&mut self, service: &str, instance: &Instance) {
        self.must("deregister", persistent(service, instance));
    }

    pub fn register_batch(&mut self, service: &str, instances: &Instances) {
        let instances: Vec<Value> = instances.iter().map(Instance::json).collect();
        let mut request = about(service);
        request["instances"] = instances.into();
        self.must("batch_register", request);
    }

    pub fn subscribe(&mut self, service: &str) {
        self.must("subscribe", about(service));
    }

    pub fn unsubscribe(&mut self, service: &str) {
        self.must("unsubscribe", about(service));
    }

    /// What the SDK finds now.
    pub fn query(&mut self, service: &str) -> Instances {
        hosts(&self.must("query", about(service)))
    }

    /// What the SDK would choose from now: healthy, enabled, weighted.
    pub fn select(&mut self, service: &str) -> Instances {
        hosts(&self.must("select", about(service)))
    }

    /// Asks until the SDK finds exactly `wanted`. A question that fails is asked again.
    pub fn query_until(&mut self, service: &str, wanted: &Instances) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.call("query", about(service)).map(|found| hosts(&found));
            if found.as_ref() == Ok(wanted) {
                return;
            }
            let (sdk, stderr) = (&self.sdk, self.stderr());
            assert!(
                Instant::now() < deadline,
                "{sdk} looks for {wanted:?} in {service}, last found {found:?}\n{stderr}"
            );
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// Waits until the SDK itself says that its server is gone.
    pub fn notices_the_outage(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.must("status", json!({}))["up"] != false {
            assert!(Instant::now() < deadline, "{} never missed its server", self.sdk);
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// Waits until the SDK's listener of `service` is told exactly `wanted`. What it was told
    /// before is passed over, so a later wait sees only what came later.
    pub fn told(&mut self, service: &str, wanted: &Instances) {
        let what = format!("{wanted:?} of {service}");
        self.wait_told(
            &what,
            |push| is_push_of(service, push).then(|| hosts(&push["hosts"])),
            wanted,
        );
    }

    /// Waits until the SDK's listener of `service` is told of one instance, of this health.
    pub fn told_health(&mut self, service: &str, healthy: bool) {
        let wanted = vec![healthy];
        let what = format!("healthy {wanted:?} of {service}");
        self.wait_told(
            &what,
            |push| is_push_of(service, push).then(|| healths(&push["hosts"])),
            &wanted,
        );
    }

    /// Waits until the SDK's listener of `service` is told this health of the instance at a port.
    pub fn told_health_of(&mut self, service: &str, port: u16, healthy: bool) {
        let what = format!("{port} {healthy} of {service}");
        let read = |push: &Value| {
            let hosts = push["hosts"].as_array().into_iter().flatten();
            let mut hosts = hosts.filter(|host| host["port"] == port);
            is_push_of(service, push).then(|| hosts.next()?["healthy"].as_bool())
        };
        self.wait_told(&what, read, &Some(healthy));
    }

    /// Waits until what the SDK was told, as read by `read` (`None`: not meant), is `wanted`.
    fn wait_told<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
        wanted: &T,
    ) {
        let deadline = Instant::now() + PATIENCE;
        let mut of_others = VecDeque::new();
        let mut last = None;
        loop {
            let Some(push) = self.pushes.pop_front().or_else(|| self.next_line(deadline)) else {
                panic!(
                    "{} waits to be told {what}, was last told {last:?}\n{}",
                    self.sdk,
                    self.stderr()
                )
            };
            let Some(told) = read(&push) else {
                of_others.push_back(push);
                continue;
            };
            if told == *wanted {
                of_others.append(&mut self.pushes);
                self.pushes = of_others;
                return;
            }
            last = Some(told);
        }
    }

    /// What the listener of `service` was told and no test has taken yet, without waiting.
    pub fn told_already(&mut self, service: &str) -> Vec<Instances> {
        self.pushes.extend(self.lines.try_iter());
        let (told, others) = self.pushes.drain(..).partition(|push| is_push_of(service, push));
        self.pushes = others;
        let told: VecDeque<Value> = told;
        told.iter().map(|push| hosts(&push["hosts"])).collect()
    }

    fn next_line(&self, deadline: Instant) -> Option<Value> {
        let patience = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(patience) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("{} ended by itself\n{}", self.sdk, self.stderr())
            }
        }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.home.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The thread behind a judge: its lines, until it ends or nobody listens.
fn forward(stdout: impl BufRead, sender: &SyncSender<Value>) {
    for line in stdout.lines().map_while(Result::ok) {
        let value = serde_json::from_str(&line).unwrap_or_else(|_| json!({"noise": line}));
        if sender.send(value).is_err() {
            return;
        }
    }
}

fn is_push_of(service: &str, line: &Value) -> bool {
    line["event"] == "push" && line["service"] == service
}

fn about(service: &str) -> Value {
    json!({"service": service, "group": "JUDGED"})
}

fn addressed(service: &str, instance: &Instance) -> Value {
    let mut request = instance.json();
    request["service"] = service.into();
    request["group"] = "JUDGED".into();
    request
}

fn persistent(service: &str, instance: &Instance) -> Value {
    let mut request = addressed(service, instance);
    request["persistent"] = true.into();
    request
}
