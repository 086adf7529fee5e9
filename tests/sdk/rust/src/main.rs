//! An unmodified Rust nacos-sdk behind the judge protocol (tests/sdk/README.md).

mod config;

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use nacos_sdk::api::naming::{
    NamingChangeEvent, NamingEventListener, NamingService, NamingServiceBuilder, ServiceInstance,
};
use nacos_sdk::api::props::ClientProps;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

type Outcome = Result<Value, String>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address {
    ip: String,
    port: i32,
    cluster: Option<String>,
    metadata: HashMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Request {
    id: u64,
    op: String,
    server: String,
    username: Option<String>,
    password: Option<String>,
    service: String,
    group: Option<String>,
    instances: Vec<Address>,
    page: Option<i32>,
    size: Option<i32>,
    n: usize,
    namespace: String,
    data_id: String,
    content: String,
    cas_md5: Option<String>,
    beta_ips: Option<String>,
    #[serde(flatten)]
    address: Address,
}

/// Prints what the SDK's own listener was given.
struct Listener {
    service: String,
}

impl NamingEventListener for Listener {
    fn event(&self, event: Arc<NamingChangeEvent>) {
        let hosts = hosts(event.instances.as_deref().unwrap_or_default());
        say(&json!({"event": "push", "service": self.service, "hosts": hosts}));
    }
}

#[derive(Default)]
struct Judge {
    config: config::Config,
    naming: Option<NamingService>,
    listeners: HashMap<(String, Option<String>), Arc<Listener>>,
}

#[tokio::main]
async fn main() {
    let mut judge = Judge::default();
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let request: Request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                say(&json!({"id": 0, "ok": false, "error": error.to_string()}));
                continue;
            }
        };
        let id = request.id;
        match judge.carry_out(request).await {
            Ok(result) => say(&json!({"id": id, "ok": true, "result": result})),
            Err(error) => say(&json!({"id": id, "ok": false, "error": error})),
        }
    }
    // The test is gone. Its instances must leave by the connection's end, as in a crash.
    std::process::exit(0);
}

/// One line, whole: listeners call from the SDK's own threads.
fn say(message: &Value) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{message}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

impl Judge {
    async fn carry_out(&mut self, request: Request) -> Outcome {
        if request.op == "connect" {
            return self.connect(&request).await;
        }
        if request.op == "close" {
            self.naming = None;
            return Ok(Value::Null);
        }
        if let Some(outcome) = self.config.carry_out(&request).await {
            return outcome;
        }
        let naming = self.naming.clone().ok_or("not connected")?;
        let Request { service, group, .. } = &request;
        let (service, group) = (service.clone(), group.clone());
        match request.op.as_str() {
            "register" => {
                done(naming.register_instance(service, group, instance(request.address)).await)
            }
            "batch_register" => {
                let all = request.instances.into_iter().map(instance).collect();
                done(naming.batch_register_instance(service, group, all).await)
            }
            "deregister" => {
                done(naming.deregister_instance(service, group, instance(request.address)).await)
            }
            "subscribe" => {
                let listener = Arc::new(Listener { service: service.clone() });
                self.listeners.insert((service.clone(), group.clone()), listener.clone());
                done(naming.subscribe(service, group, Vec::new(), listener).await)
            }
            "unsubscribe" => {
                let key = (service.clone(), group.clone());
                let listener = self.listeners.remove(&key).ok_or("not subscribed")?;
                done(naming.unsubscribe(service, group, Vec::new(), listener).await)
            }
            "query" => naming
                .get_all_instances(service, group, Vec::new(), false)
                .await
                .map(|found| hosts(&found))
                .map_err(|error| error.to_string()),
            "select" => naming
                .select_instances(service, group, Vec::new(), false, true)
                .await
                .map(|found| hosts(&found))
                .map_err(|error| error.to_string()),
            "list_services" => naming
                .get_service_list(request.page.unwrap_or(1), request.size.unwrap_or(10), group)
                .await
                .map(|(names, count)| json!({"count": count, "names": names}))
                .map_err(|error| error.to_string()),
            "timed_unary" => timed_unary(&naming, request.n, group).await,
            _ => Err("unsupported".to_owned()),
        }
    }

    async fn connect(&mut self, request: &Request) -> Outcome {
        let settings = ClientProps::new()
            .server_addr(&request.server)
            .env_first(false)
            .cache_dir("cache")
            .load_cache_at_start(false)
            .naming_push_empty_protection(false);
        let builder = match (&request.username, &request.password) {
            (Some(username), Some(password)) => {
                let settings = settings.auth_username(username).auth_password(password);
                NamingServiceBuilder::new(settings).enable_auth_plugin_http()
            }
            _ => NamingServiceBuilder::new(settings),
        };
        let naming = builder.build().await;
        self.naming = Some(naming.map_err(|error| error.to_string())?);
        Ok(Value::Null)
    }
}

async fn timed_unary(naming: &NamingService, calls: usize, group: Option<String>) -> Outcome {
    let mut took_us = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        let page = naming.get_service_list(1, 10, group.clone()).await;
        page.map_err(|error| error.to_string())?;
        took_us.push(start.elapsed().as_micros() as u64);
    }
    took_us.sort_unstable();
    Ok(json!({"p50_us": took_us[calls / 2], "p99_us": took_us[calls * 99 / 100]}))
}

fn done(outcome: nacos_sdk::api::error::Result<()>) -> Outcome {
    outcome.map(|()| Value::Null).map_err(|error| error.to_string())
}

fn instance(from: Address) -> ServiceInstance {
    let mut instance = ServiceInstance { ip: from.ip, port: from.port, ..Default::default() };
    if from.cluster.is_some() {
        instance.cluster_name = from.cluster;
    }
    instance.metadata = from.metadata;
    instance
}

fn hosts(found: &[ServiceInstance]) -> Value {
    let host = |each: &ServiceInstance| {
        json!({
            "ip": each.ip,
            "port": each.port,
            "cluster": each.cluster_name,
            "healthy": each.healthy,
            "weight": each.weight,
            "metadata": each.metadata,
        })
    };
    found.iter().map(host).collect()
}
