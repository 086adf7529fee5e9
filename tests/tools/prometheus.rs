//! Prometheus itself: `promtool` reads the metrics, a real server scrapes them, discovers what is
//! registered, and answers every query of our dashboard.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nacre_loadgen::client::{Client, Profile, ServiceName, instance};
use serde_json::{Value, json};

use crate::is_here;
use crate::server::{Directory, Server, http_get};

/// Ends a wait for what must come. Prometheus starts in a second and scrapes five times in one; a
/// rate needs two scrapes.
const WAIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often a start is tried on another port.
const START_TRIES: u32 = 5;

/// Names the reference has and Prometheus' rules of style refuse: labels in camel case, a type or
/// `_count` at the end of a name.
const AGAINST_THE_RULES: [&str; 4] = [
    "grpc_server_requests_seconds",
    "grpc_server_requests_seconds_max",
    "nacos_monitor_summary",
    "system_cpu_count",
];

/// What `promtool check metrics` says of a page: nothing, if nothing is wrong.
fn promtool(server: &Server, path: &str) -> String {
    let page = http_get(server.http_port(), path).expect("the page");
    let (head, body) = page.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run promtool");
    tool.stdin.take().expect("a pipe").write_all(body.as_bytes()).expect("it reads");
    let output = tool.wait_with_output().expect("it ends");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// Something of everything, so that no series is missing for want of an event.
fn live(server: &Server) -> Client {
    let target = |query: &str| format!("/nacos/v1/cs/configs?dataId=d&group=G&{query}");
    let client = Client::connect(server.grpc_address(), Profile::default()).expect("connect");
    let service = ServiceName::public("seen");
    client.subscribe(&service, "").expect("subscribe");
    client.register(&service, &instance("192.0.2.1", 80, &[])).expect("register");
    let config = Client::connect(server.grpc_address(), Profile::module("config"));
    let config = config.expect("connect");
    let publish = json!({"dataId": "d", "group": "G", "tenant": "", "content": "x"}).to_string();
    config.call_raw("ConfigPublishRequest", publish.as_bytes(), &[]).expect("publish");
    config.call_raw("ConfigQueryRequest", publish.as_bytes(), &[]).expect("query");
    config.call_raw("NoSuchRequest", b"{}", &[]).expect("a refusal");
    for path in ["/nacos/nothing", &target("tenant=")] {
        http_get(server.http_port(), path).expect("an answer");
    }
    client
}

#[test]
fn promtool_has_nothing_against_the_metrics() {
    if !is_here("promtool") {
        return;
    }
    let server = Server::start();
    let _client = live(&server);
    assert_eq!(promtool(&server, "/nacos/metrics"), "");
    let said = promtool(&server, "/nacos/actuator/prometheus");
    for line in said.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(AGAINST_THE_RULES.contains(&name), "{line}");
    }
    assert!(!said.is_empty(), "the other page has the reference's names, too");
}

/// A Prometheus of its own; killed when dropped.
struct Prometheus {
    child: Child,
    port: u16,
    home: Directory,
}

impl Prometheus {
    /// Scrapes the server, and discovers what is registered there.
    fn watching(server: &Server) -> Self {
        let home = Directory::new("prometheus");
        let config = home.path().join("prometheus.yml");
        let address = server.address();
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs:\n\
             - job_name: nacre\n\
             \x20 metrics_path: /nacos/actuator/prometheus\n\
             \x20 static_configs: [{{targets: ['{address}']}}]\n\
             - job_name: registered\n\
             \x20 metrics_path: /nacos/metrics\n\
             \x20 http_sd_configs:\n\
             \x20 - {{url: 'http://{address}/nacos/prometheus', refresh_interval: 1s}}\n"
        );
        fs::write(&config, text).expect("write the configuration");
        for attempt in 1.. {
            let mut prometheus = Self::start(home.clone(), &config);
            if prometheus.is_ready() {
                return prometheus;
            }
            // Someone else may have taken the port.
            assert!(attempt < START_TRIES, "{}", prometheus.log());
        }
        unreachable!("the last try returned or panicked")
    }

    fn start(home: Directory, config: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let log = fs::File::create(home.path().join("log")).expect("make its log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .expect("start prometheus");
        Self { child, port, home }
    }

    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + WAIT;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("look at it").is_some() {
                return false;
            }
            if self.get("/-/ready").is_some_and(|answer| answer.contains(" 200 ")) {
                return true;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        false
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// One exchange of HTTP/1.0, whose answer has no chunks.
    fn get(&self, target: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(WAIT)).ok()?;
        write!(stream, "GET {target} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The `data` of its API.
    fn api(&self, target: &str) -> Value {
        let answer = self.get(target).unwrap_or_else(|| panic!("no answer\n{}", self.log()));
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let json: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        assert_eq!(json["status"], "success", "{target}: {json}");
        json["data"].clone()
    }

    /// What a query answers now.
    fn query(&self, query: &str) -> Vec<Value> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.api(&format!("/api/v1/query?query={escaped}"));
        data["result"].as_array().expect("a list").clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every query of the dashboard, its variables filled in.
fn queries() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tuning/grafana/nacre.json");
    let text = fs::read_to_string(file).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let filled = |expr: &Value| {
        let expr = expr.as_str().expect("text");
        expr.replace("$instance", ".*").replace("$__rate_interval", "1m")
    };
    targets.map(|target| filled(&target["expr"])).collect()
}

#[test]
fn prometheus_scrapes_discovers_and_answers_the_dashboard() {
    if !is_here("prometheus") {
        return;
    }
    let server = Server::start();
    let client = live(&server);
    // The server as an instance of its own, so that what is discovered can be scraped.
    let own = [("app.kubernetes.io/name", "shop"), ("1st-label", "x")];
    let own = instance("127.0.0.1", server.http_port(), &own);
    client.register(&ServiceName::public("itself"), &own).expect("register");
    let prometheus = Prometheus::watching(&server);
    let deadline = Instant::now() + WAIT;
    let mut empty = queries();
    assert!(empty.len() > 50, "{}", empty.len());
    while !empty.is_empty() {
        assert!(Instant::now() < deadline, "no data: {empty:#?}\n{}", prometheus.log());
        empty.retain(|query| prometheus.query(query).is_empty());
        std::thread::sleep(LOOK_AGAIN);
    }
    let itself = format!(r#"up{{job="registered",instance="{}"}} == 1"#, server.address());
    while prometheus.query(&itself).is_empty() {
        assert!(Instant::now() < deadline, "not discovered\n{}", prometheus.log());
        std::thread::sleep(LOOK_AGAIN);
    }
    let targets = prometheus.api("/api/v1/targets?state=active");
    let mut targets = targets["activeTargets"].as_array().expect("a list").iter();
    let is_itself = |target: &&Value| {
        target["discoveredLabels"]["__address__"] == server.address()
            && target["labels"]["job"] == "registered"
    };
    let labels = &targets.find(is_itself).expect("the one that is up")["discoveredLabels"];
    assert_eq!(labels["__meta_clusterName"], "DEFAULT", "{labels}");
    assert_eq!(labels["app_kubernetes_io_name"], "shop", "{labels}");
    assert_eq!(labels["_1st_label"], "x", "{labels}");
}
