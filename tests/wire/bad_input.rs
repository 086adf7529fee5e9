//! Every row of the HTTP table × bad input: a 4xx with a reason in the reference's shape, nothing
//! changed, nothing kept (issue 8, "Seen to hold").
//!
//! The rows are the server's own, so that none can be forgotten. What is wrong with a request, and
//! which rows have nothing to refuse, is said here.

use crate::bad_heads::{Raw, walk_bodies};
use crate::http_client::{Answer, Http, must};
use crate::server::Server;
use crate::support::*;
use nacre::front::open::Endpoint;
use nacre::front::open::route::{Label, Route, Verb, Version};
use nacre::front::open::rows;
use nacre_loadgen::client::{Client, instance};
use serde_json::Value;

/// Bytes the server may be larger by after the second walk than after the first: the allocator
/// keeps a little of each size. A request that kept its head or its parameters would be 100 times
/// as much.
const GROWTH_BYTES_MAX: u64 = 48 * 1024 * 1024;

/// What somebody did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing is said.
    Nothing,
    /// Every name is there and blank.
    Blank,
    /// Words for numbers, flags and structures; names are right.
    Words,
    /// Likewise, and then the right values once more: the first counts.
    Repeated,
    /// Numbers no type holds.
    Large,
    /// Numbers below their range.
    Negative,
    /// Names with characters they may not have.
    Characters,
    /// Names of 2,000 characters.
    Long,
    /// What no form may be: any row refuses it.
    Form,
}

const NUMBERS: [&str; 15] = [
    "port",
    "weight",
    "pageNo",
    "pageSize",
    "checkPort",
    "nid",
    "id",
    "ids",
    "quota",
    "maxSize",
    "maxAggrCount",
    "maxAggrSize",
    "udpPort",
    "count",
    "loaderFactor",
];

const FLAGS: [&str; 13] = [
    "healthy",
    "valid",
    "enabled",
    "enable",
    "ephemeral",
    "healthyOnly",
    "withInstances",
    "hasIpCount",
    "ignoreEmptyService",
    "heartBeat",
    "all",
    "useInstancePort4Check",
    "aggregation",
];

const STRUCTURES: [&str; 7] =
    ["metadata", "selector", "healthChecker", "instances", "beat", "Listening-Configs", "ips"];

/// Names of what is there.
const NAMING: &str = "serviceName=seeded&groupName=DEFAULT_GROUP&ip=192.0.2.1&clusterName=DEFAULT";
/// Nothing that writes configs reads more than names: with these it would succeed.
const CONFIG: &str = "dataId=seeded&group=DEFAULT_GROUP";
/// Values that would be carried out.
const RIGHT: &str = "port=8080&weight=2&pageNo=1&pageSize=9&protectThreshold=0.5&checkPort=80\
                     &healthy=true&valid=true&ephemeral=true&enabled=false&metadata=a%3Db\
                     &useInstancePort4Check=true&nid=1&id=1&quota=7&ips=192.0.2.9:80";

const NAMES: [&str; 22] = [
    "namespaceId",
    "tenant",
    "namespace",
    "targetNamespaceId",
    "customNamespaceId",
    "namespaceName",
    "namespaceShowName",
    "group",
    "groupName",
    "groupNameParam",
    "serviceName",
    "serviceNameParam",
    "dataId",
    "clusterName",
    "clusters",
    "ip",
    "product",
    "cluster",
    "role",
    "username",
    "resource",
    "tag",
];

fn each(names: &[&str], value: &str) -> String {
    names.iter().map(|name| format!("&{name}={value}")).collect()
}

/// All that is wrong, as queries for this method.
fn queries(method: &str) -> Vec<(Wrong, String)> {
    let named = match method {
        "GET" => format!("{NAMING}&{CONFIG}"),
        _ => NAMING.to_owned(),
    };
    let words = format!(
        "{named}{}{}{}&protectThreshold=NaN\
         &entry=pushCacheMillis&value=x",
        each(&NUMBERS, "x"),
        each(&FLAGS, "maybe"),
        each(&STRUCTURES, "x")
    );
    let numbers = |value| format!("{named}{}&entry=pushCacheMillis&value=x", each(&NUMBERS, value));
    let all_names: Vec<&str> =
        NAMES.into_iter().chain(NUMBERS).chain(FLAGS).chain(STRUCTURES).collect();
    let long = "x".repeat(2_000);
    let mut all = vec![
        (Wrong::Nothing, String::new()),
        (Wrong::Blank, each(&all_names, "%20")),
        (Wrong::Repeated, format!("{words}&{RIGHT}")),
        (Wrong::Words, words),
        (Wrong::Large, numbers("99999999999999999999")),
        (Wrong::Negative, numbers("-1")),
        (Wrong::Characters, format!("{RIGHT}{}&content=x", each(&NAMES, "a%20%2F%40%40%E4%BD%A0"))),
        (Wrong::Long, format!("{RIGHT}{}&content=x", each(&NAMES, &long))),
    ];
    let right = format!("{NAMING}&{CONFIG}&{RIGHT}&content=x");
    for form in [
        format!("{right}&x=%"),
        format!("{right}&x=%4"),
        format!("{right}&x=%zz"),
        format!("{right}&x=%ff%fe"),
        format!("{right}&%c3%28=x"),
        format!("{right}&x=a%00b"),
        format!("{right}{}", "&x=1".repeat(1_100)),
    ] {
        all.push((Wrong::Form, form));
    }
    all
}

/// What rows may answer 200 to, since none of it is wrong for them.
fn passes(row: &Route, method: &str, wrong: Wrong) -> bool {
    if wrong == Wrong::Form {
        return false;
    }
    let ends = |ends: &[&str]| ends.iter().any(|end| row.path.ends_with(end));
    if is_about_the_node(row.path, method) {
        return true;
    }
    // Nobody came from there, so nobody is asked.
    if row.path.starts_with("/v1/cs/metrics/") && wrong == Wrong::Blank {
        return true;
    }
    // Nobody has that name, so nobody loses anything by it.
    if method == "DELETE" && row.path.contains("/auth") {
        return wrong == Wrong::Characters;
    }
    let is_search = ends(&["/list", "/services", "/search", "/listener", "/listener/ip"])
        || ends(&["/export", "/export2", "/searchDetail", "/history/configs"]);
    // Any address has a node, any factor is one, and there are no nodes to move clients to.
    if ends(&["/distro/client", "/client/distro", "/smartReloadCluster"]) {
        return !matches!(wrong, Wrong::Words | Wrong::Repeated);
    }
    match wrong {
        // Pages may be any before v3; two lists have none.
        Wrong::Negative if ends(&["/console/ns/instance/list"]) => false,
        Wrong::Negative if ends(&["/service/subscribers"]) => row.version() != Version::V3,
        Wrong::Negative if ends(&["/catalog/instances"]) => true,
        Wrong::Negative if ends(&["/publisher/list", "/subscriber/list"]) => true,
        Wrong::Negative if method == "GET" && is_search => {
            row.version() != Version::V3 || !is_paged(row.path) || row.path.contains("/auth/")
        }
        // It reads no numbers, and what is not given takes its default.
        Wrong::Large | Wrong::Negative if method == "PUT" && row.path.ends_with("/service") => {
            row.version() != Version::V1
        }
        Wrong::Words | Wrong::Repeated | Wrong::Large | Wrong::Negative => {
            let reads_numbers = row.path.contains("/history") || ends(&["/instance"]);
            method == "GET" && !reads_numbers && !is_paged(row.path)
        }
        // All have defaults, and what is looked for may be anything.
        _ if ends(&["/namespace/check", "/namespace/exist"]) => true,
        Wrong::Characters | Wrong::Long if method == "GET" && row.path.contains("/auth") => true,
        _ => method == "GET" && is_search && !row.path.ends_with("/instance/list"),
    }
}

/// Said of the node or of all there is, whatever is asked; and whoever logs in where nobody has to.
fn is_about_the_node(path: &str, method: &str) -> bool {
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    path.contains("/health/")
        || path.contains("/prometheus")
        || path.starts_with("/v3/admin/core/state")
        // Its key is in the path, where nothing is wrong.
        || path.ends_with("/statuses/{key}")
        || ends(&["/metrics", "/state", "/selector/types", "/localCache", "/namespace/list"])
        || ends(&["/serverlist", "/openapi.json", "/login", "/names", "/announcement", "/guide"])
        || ends(&["/readiness", "/liveness"])
        || method == "GET"
            && (ends(&["/switches", "/v1/console/namespaces", "/client/list", "/v1/cs/health"])
                || ends(&["/self", "/cluster/health", "/self/health", "/nodes", "/node/list"])
                || ends(&["/ops/ids", "/ops/idInfo", "/loader/current", "/loader/cluster"]))
}

fn is_paged(path: &str) -> bool {
    let unpaged = ["/instance/list", "/listener", "/listener/ip", "/history/configs"];
    let is_list = ["/list", "/services", "/searchDetail"].iter().any(|end| path.ends_with(end));
    is_list && !unpaged.iter().any(|end| path.ends_with(end))
}

/// Rows whose answer is the same 200 whatever they refuse: the reason is inside.
fn is_refusal(row: &Route, answer: &Answer) -> bool {
    if row.path == "/v1/console/namespaces" && answer.shown() == "false" {
        return true;
    }
    let inside = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let code = inside["code"].as_i64().unwrap_or_default();
    answer.status == 200 && code != 0 && code != 200
}

/// In the words of `http-api.md` 1.3: a line of text, an envelope, or the framework's own error.
fn has_a_reason(answer: &Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.starts_with("text/plain") {
        return !answer.body.is_empty() && !answer.shown().contains("panicked");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return false };
    let says = |key: &str| body[key].as_str().is_some_and(|text| !text.is_empty());
    kind == "application/json" && says("message") && (body["code"].is_i64() || says("error"))
}

/// A server with one of everything, and the connection that keeps an instance there.
pub struct Seeded {
    pub server: Server,
    _publisher: Client,
}

impl Seeded {
    fn new() -> Self {
        let server = Server::start();
        until("the log", || {
            crate::http_client::ask(&server, "POST", "/nacos/v3/auth/user/admin?password=x-y-z")
                .status
                == 200
        });
        let persistent = "serviceName=persistent&ip=192.0.2.2&port=80&ephemeral=false";
        let unchecked = "serviceName=persistent&clusterName=DEFAULT&checkPort=80\
                         &useInstancePort4Check=true&healthChecker=%7B%22type%22%3A%22NONE%22%7D";
        for (method, target) in [
            ("POST", "v1/cs/configs?dataId=seeded&group=DEFAULT_GROUP&content=kept".to_owned()),
            ("POST", format!("v1/ns/instance?{persistent}")),
            ("PUT", format!("v1/ns/cluster?{unchecked}")),
            ("POST", "v2/console/namespace?namespaceId=kept&namespaceName=kept".to_owned()),
            ("POST", "v3/auth/user?username=kept&password=kept-1".to_owned()),
            ("POST", "v3/auth/role?role=kept&username=kept".to_owned()),
            ("POST", "v3/auth/permission?role=kept&resource=kept:*:*&action=r".to_owned()),
        ] {
            must(&server, method, &format!("/nacos/{target}"));
        }
        let publisher = client(&server);
        publisher
            .register(&service("seeded"), &instance("192.0.2.1", 8080, &[]))
            .expect("register");
        // Metrics are counted a moment after.
        for (series, there) in
            [("nacre_services", 2.0), ("nacre_instances", 2.0), ("nacre_configs", 1.0)]
        {
            until_metric(&server, series, there);
        }
        Self { server, _publisher: publisher }
    }

    /// All there is.
    fn shown(&self) -> Vec<String> {
        const LISTS: [&str; 10] = [
            "v1/ns/catalog/services?withInstances=true&pageNo=1&pageSize=100",
            "v1/ns/service/list?pageNo=1&pageSize=100",
            "v1/ns/catalog/instances?serviceName=seeded&clusterName=DEFAULT&pageNo=1&pageSize=9",
            "v1/ns/operator/switches",
            "v1/cs/configs?search=blur&dataId=&group=&pageNo=1&pageSize=100",
            "v1/cs/history?search=accurate&dataId=seeded&group=DEFAULT_GROUP",
            "v1/console/namespaces",
            "v3/auth/user/list?pageNo=1&pageSize=100",
            "v3/auth/role/list?pageNo=1&pageSize=100",
            "v3/auth/permission/list?pageNo=1&pageSize=100",
        ];
        let mut http = Http::connect(&self.server);
        let mut shown: Vec<String> = LISTS
            .iter()
            .map(|list| {
                let answer = http.ask("GET", &format!("/nacos/{list}"));
                assert_eq!(answer.status, 200, "{list}: {}", answer.shown());
                format!("{list}: {}", answer.text())
            })
            .collect();
        for series in ["nacre_services", "nacre_instances", "nacre_configs"] {
            shown.push(format!("{series}: {}", metric(&self.server, series)));
        }
        shown
    }

    /// Waits until nothing of any request is there any more.
    fn until_forgotten(&self) {
        for (series, left) in [
            // The one that asks.
            ("nacre_http_connections", 1.0),
            ("nacre_http_calls", 0.0),
            ("nacre_http_buffered_bytes{of=\"head\"}", 0.0),
            ("nacre_http_buffered_bytes{of=\"body\"}", 0.0),
        ] {
            until(series, || metric(&self.server, series) <= left);
        }
    }
}

/// Each row × each bad query. Returns what was not refused.
fn walk_queries(server: &Server) -> (Vec<String>, usize) {
    let (mut passed, mut walked) = (Vec::new(), 0);
    let mut http = Http::connect(server);
    for row in rows() {
        for method in methods(row.verb) {
            let queries = queries(method);
            walked += queries.len();
            for (_, query) in &queries {
                http.begin(method, &format!("{}?{query}", row.path_with("/nacos")), "", b"");
            }
            for (wrong, _) in queries {
                let answer = http.answer().expect("an answer to each");
                if let Some(said) = judged(row, method, wrong, &answer) {
                    passed.push(format!("{method} {} {wrong:?}: {said}", row.path));
                }
            }
        }
    }
    (passed, walked)
}

/// What is wrong with the answer.
fn judged(row: &Route, method: &str, wrong: Wrong, answer: &Answer) -> Option<String> {
    let is_off = matches!(row.endpoint, Endpoint::Off(_)) && answer.status == 501;
    let refused = (400..500).contains(&answer.status) || is_off;
    let fine = match refused {
        true if row.label == Label::Inner => answer.status == 410,
        true => has_a_reason(answer),
        false => answer.status == 200 && passes(row, method, wrong) || is_refusal(row, answer),
    };
    let body: String = answer.shown().chars().take(120).collect();
    (!fine).then(|| format!("{} {body}", answer.status))
}

/// Nothing changed; else what did.
fn assert_unchanged(before: &[String], after: &[String]) {
    let changed: Vec<_> = before.iter().zip(after).filter(|(was, is)| was != is).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "{changed:#?}");
}

#[test]
fn every_row_refuses_every_kind_of_bad_input() {
    let seeded = Seeded::new();
    let before = seeded.shown();
    let (passed, walked) = walk_queries(&seeded.server);
    assert!(passed.is_empty(), "{} of {walked}:\n{}", passed.len(), passed.join("\n"));
    assert!(walked > 200 * 15, "{walked}");
    assert_unchanged(&before, &seeded.shown());
    seeded.until_forgotten();
    let size = seeded.server.rss_bytes();
    let logged = settled(&seeded.server, "nacre_store_commands_total");
    let passed = walk_bodies(&seeded.server);
    assert!(passed.is_empty(), "{}:\n{}", passed.len(), passed.join("\n"));
    assert_unchanged(&before, &seeded.shown());
    let commands = settled(&seeded.server, "nacre_store_commands_total");
    assert_eq!(commands, logged, "nothing of it reached the log");
    seeded.until_forgotten();
    let grown = seeded.server.rss_bytes().saturating_sub(size);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes were kept");
}

/// Methods a path has no row for.
#[test]
fn other_methods_are_refused_with_those_there_are() {
    let server = shared_server();
    let mut http = Http::connect(&server);
    for row in rows() {
        let path = row.path_with("/nacos");
        let here: Vec<&Route> = rows().iter().filter(|other| other.path == row.path).collect();
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"] {
            let is_there = |row: &&Route| {
                row.verb == Verb::Any && method == "PATCH" || methods(row.verb).contains(&method)
            };
            if here.iter().any(is_there) {
                continue;
            }
            let answer = http.ask_with(method, &path, "", b"");
            let status = if row.path.starts_with("/v1/ns/") { 501 } else { 405 };
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
            assert!(has_a_reason(&answer), "{method} {path}: {answer:?}");
            assert!(answer.header("allow").is_some_and(|allow| allow.ends_with("OPTIONS")));
        }
        let options = http.ask("OPTIONS", &path);
        assert_eq!((options.status, options.body.len()), (200, 0), "OPTIONS {path}");
    }
    drop(http);
    let connect = Raw::once(&server, b"CONNECT /nacos/v1/ns/instance HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(connect.is_none_or(|answer| (400..502).contains(&answer.status)));
}
