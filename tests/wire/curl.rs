//! The `curl` recipes of the reference's documentation, by the real `curl`, word for word but for
//! the address: with nothing guarded; guarded, without a token; guarded, with one.

use crate::auth::Town;
use crate::server::{Directory, Server};
use crate::support::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Command;

/// What a recipe is answered with.
#[derive(Debug)]
enum Says {
    Text(&'static str),
    /// At least this, in JSON.
    Json(Value),
    /// A status, and a part of the text.
    Refusal(u16, &'static str),
}

use Says::{Json, Refusal, Text};

/// One recipe, and what it is answered with. Those of one table follow each other.
type Recipe = (&'static str, Says);

/// Status and body.
type Answer = (u16, String);

/// Runs a recipe against this server; `more` follows it.
fn run(server: &Server, recipe: &str, more: &str) -> Answer {
    let recipe = recipe.replace("127.0.0.1:8848", &server.address());
    let command = format!("{recipe} -sS --max-time 60 -w '\\n%{{http_code}}' {more}");
    let done = Command::new("sh").args(["-c", &command]).output().expect("run a shell");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{recipe}: {wrong}{said}");
    let (body, status) = said.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

/// False, said aloud, where `curl` is not installed.
fn has_curl() -> bool {
    let known = Command::new("curl").arg("--version").output().is_ok();
    if !known {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI has no curl");
        // Not eprintln: the harness would swallow it, and a skipped test must be seen.
        let _ = std::io::stderr().write_all(b"skipped: no curl\n");
    }
    known
}

/// Whether all of `wanted` is in `said`.
fn includes(said: &Value, wanted: &Value) -> bool {
    match (said, wanted) {
        (Value::Object(said), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| said.get(key).is_some_and(|said| includes(said, wanted))),
        (Value::Array(said), Value::Array(wanted)) => {
            said.len() == wanted.len()
                && said.iter().zip(wanted).all(|(said, wanted)| includes(said, wanted))
        }
        _ => said == wanted,
    }
}

fn judge(recipe: &str, (status, body): &Answer, says: &Says) {
    let fine = match says {
        Text(text) => *status == 200 && body == text,
        Json(wanted) => {
            let said = serde_json::from_str(body).unwrap_or_default();
            *status == 200 && includes(&said, wanted)
        }
        Refusal(wanted, part) => status == wanted && body.contains(part),
    };
    assert!(fine, "{recipe}\n{status} {body}\ninstead of {says:?}");
}

/// <https://nacos.io/docs/v1/open-api>: configuration.
fn v1_config() -> Vec<Recipe> {
    vec![
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v1/cs/configs?dataId=nacos.example&\
             group=com.alibaba.nacos'",
            Refusal(404, "config data not exist"),
        ),
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v1/cs/configs' -d 'dataId=nacos.example&\
             group=com.alibaba.nacos&content=contentTest'",
            Text("true"),
        ),
        (
            "curl -X POST \"http://127.0.0.1:8848/nacos/v1/cs/configs?dataId=nacos.cfg.dataId&\
             group=test&content=helloWorld\"",
            Text("true"),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v1/cs/configs?dataId=nacos.example&\
             group=com.alibaba.nacos'",
            Text("contentTest"),
        ),
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v1/cs/configs/listener' \
             -H 'Long-Pulling-Timeout:30000' \
             -d 'Listening-Configs=nacos.example%02com.alibaba.nacos%02contentMD5%01'",
            Text("nacos.example%02com.alibaba.nacos%01\n"),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v1/cs/history?search=accurate&\
             dataId=nacos.example&group=com.alibaba.nacos'",
            Json(json!({"totalCount": 1, "pageNumber": 1, "pageItems": [
                {"dataId": "nacos.example", "group": "com.alibaba.nacos", "tenant": ""}]})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v1/cs/configs?search=accurate&\
             dataId=nacos.example&group=com.alibaba.nacos&pageNo=1&pageSize=10'",
            Json(json!({"totalCount": 1, "pageItems": [{"content": "contentTest"}]})),
        ),
        (
            "curl -X DELETE 'http://127.0.0.1:8848/nacos/v1/cs/configs?dataId=nacos.example&\
             group=com.alibaba.nacos'",
            Text("true"),
        ),
        (
            "curl -X GET \"http://127.0.0.1:8848/nacos/v1/cs/configs?dataId=nacos.cfg.dataId&\
             group=test\"",
            Text("helloWorld"),
        ),
    ]
}

/// The same page: instances and their beats.
fn v1_instances() -> Vec<Recipe> {
    vec![
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v1/ns/instance?port=8848&healthy=true&\
             ip=11.11.11.11&weight=1.0&serviceName=nacos.test.3&encoding=GBK&namespaceId=n1'",
            Text("ok"),
        ),
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v1/ns/instance?\
             serviceName=nacos.naming.serviceName&ip=20.18.7.10&port=8080'",
            Text("ok"),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v1/ns/instance/list?\
             serviceName=nacos.naming.serviceName'",
            Json(json!({"name": "DEFAULT_GROUP@@nacos.naming.serviceName", "hosts": [
                {"ip": "20.18.7.10", "port": 8080, "weight": 1.0, "healthy": true}]})),
        ),
        (
            "curl -X PUT '127.0.0.1:8848/nacos/v1/ns/instance?\
             serviceName=nacos.naming.serviceName&ip=20.18.7.10&port=8080&weight=8&metadata={}' -g",
            Text("ok"),
        ),
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/instance?\
             serviceName=nacos.naming.serviceName&ip=20.18.7.10&port=8080&cluster=DEFAULT'",
            Json(json!({"service": "DEFAULT_GROUP@@nacos.naming.serviceName", "weight": 8.0,
                "clusterName": "DEFAULT", "metadata": {}})),
        ),
        (
            "curl -X PUT '127.0.0.1:8848/nacos/v1/ns/instance/beat?serviceName=nacos.test.2&\
             beat=%7b%22cluster%22%3a%22c1%22%2c%22ip%22%3a%22127.0.0.1%22%2c%22metadata%22%3a\
             %7b%7d%2c%22port%22%3a8080%2c%22scheduled%22%3atrue%2c%22serviceName%22%3a\
             %22jinhan0Fx4s.173TL.net%22%2c%22weight%22%3a1%7d'",
            Json(json!({"clientBeatInterval": 5000, "code": 10200, "lightBeatEnabled": true})),
        ),
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/instance/list?serviceName=nacos.test.2'",
            Json(json!({"hosts": [{"ip": "127.0.0.1", "port": 8080, "clusterName": "c1"}]})),
        ),
        (
            "curl -X PUT 'http://127.0.0.1:8848/nacos/v1/ns/instance/metadata/batch' -d \
             'namespaceId=public&serviceName=DEFAULT_GROUP@@nacos.test.2&instances=\
             [{\"ip\":\"127.0.0.1\",\"port\":\"8080\",\"ephemeral\":\"true\",\"clusterName\":\"c1\"}]\
             &metadata={\"age\":\"20\",\"name\":\"cocolan\"}'",
            Json(json!({"updated": ["127.0.0.1:8080:unknown:c1:ephemeral"]})),
        ),
        (
            "curl -X DELETE '127.0.0.1:8848/nacos/v1/ns/instance?serviceName=nacos.test.2&\
             ip=127.0.0.1&port=8080&clusterName=c1'",
            Text("ok"),
        ),
        (
            "curl -X DELETE '127.0.0.1:8848/nacos/v1/ns/instance' \
             -d 'serviceName=nacos.naming.serviceName&ip=20.18.7.10&port=8080'",
            Text("ok"),
        ),
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/instance/list?\
             serviceName=nacos.naming.serviceName'",
            Json(json!({"hosts": []})),
        ),
    ]
}

/// The same page: services, switches, namespaces.
fn v1_services() -> Vec<Recipe> {
    vec![
        (
            "curl -X POST '127.0.0.1:8848/nacos/v1/ns/service?serviceName=nacos.test.4&\
             metadata=k1%3dv1'",
            Text("ok"),
        ),
        (
            "curl -X PUT '127.0.0.1:8848/nacos/v1/ns/service?serviceName=nacos.test.4&\
             metadata=k1%3dv2&protectThreshold=0.5'",
            Text("ok"),
        ),
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/service?serviceName=nacos.test.4'",
            Json(json!({"name": "nacos.test.4", "groupName": "DEFAULT_GROUP",
                "protectThreshold": 0.5, "metadata": {"k1": "v2"}, "selector": {"type": "none"}})),
        ),
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/service/list?pageNo=1&pageSize=2\
             &namespaceId=n1'",
            Json(json!({"count": 1, "doms": ["nacos.test.3"]})),
        ),
        (
            "curl -X DELETE '127.0.0.1:8848/nacos/v1/ns/service?serviceName=nacos.test.4'",
            Text("ok"),
        ),
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/operator/switches'",
            Json(json!({"pushEnabled": true, "clientBeatInterval": 5000, "distroThreshold": 0.7})),
        ),
        (
            "curl -X PUT '127.0.0.1:8848/nacos/v1/ns/operator/switches?entry=pushEnabled&\
             value=false&debug=true'",
            Text("ok"),
        ),
        (
            "curl -X PUT '127.0.0.1:8848/nacos/v1/ns/operator/switches?entry=pushEnabled&\
             value=true&debug=true'",
            Text("ok"),
        ),
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v1/console/namespaces' \
             -d 'customNamespaceId=dev-1&namespaceName=dev&namespaceDesc='",
            Text("true"),
        ),
        (
            "curl -X PUT 'http://127.0.0.1:8848/nacos/v1/console/namespaces' \
             -d 'namespace=dev-1&namespaceShowName=Dev&namespaceDesc=for+all'",
            Text("true"),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v1/console/namespaces'",
            Json(json!({"code": 200, "data": [{"namespace": "public"},
                {"namespace": "dev-1", "namespaceShowName": "Dev"}]})),
        ),
        (
            "curl -X DELETE 'http://127.0.0.1:8848/nacos/v1/console/namespaces' \
             -d 'namespaceId=dev-1'",
            Text("true"),
        ),
    ]
}

/// <https://nacos.io/docs/v2/guide/user/open-api>.
fn v2() -> Vec<Recipe> {
    let yes = || Json(json!({"code": 0, "message": "success", "data": true}));
    vec![
        (
            "curl -d 'dataId=nacos.v2' -d 'group=DEFAULT_GROUP' -d 'namespaceId=public' \
             -d 'content=contentTest' -X POST 'http://127.0.0.1:8848/nacos/v2/cs/config'",
            yes(),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/cs/config?dataId=nacos.v2&\
             group=DEFAULT_GROUP&namespaceId=public'",
            Json(json!({"code": 0, "message": "success", "data": "contentTest"})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/cs/history/list?dataId=nacos.v2&\
             group=DEFAULT_GROUP'",
            Json(json!({"code": 0, "data": {"totalCount": 1}})),
        ),
        (
            "curl -X DELETE 'http://127.0.0.1:8848/nacos/v2/cs/config?dataId=nacos.v2&\
             group=DEFAULT_GROUP'",
            yes(),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/cs/config?dataId=nacos.v2&\
             group=DEFAULT_GROUP'",
            Refusal(404, "\"code\":20004"),
        ),
    ]
}

/// The same page's naming and namespaces.
fn v2_naming() -> Vec<Recipe> {
    let done = || Json(json!({"code": 0, "message": "success", "data": "ok"}));
    let yes = || Json(json!({"code": 0, "message": "success", "data": true}));
    vec![
        (
            "curl -d 'serviceName=test_service' -d 'ip=127.0.0.1' -d 'port=8090' -d 'weight=0.9' \
             -d 'ephemeral=true' -X POST 'http://127.0.0.1:8848/nacos/v2/ns/instance'",
            done(),
        ),
        (
            "curl -d 'serviceName=test_service' -d 'ip=127.0.0.1' -d 'port=8090' -d 'weight=0.7' \
             -d 'ephemeral=true' -X PUT 'http://127.0.0.1:8848/nacos/v2/ns/instance'",
            done(),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/ns/instance?serviceName=test_service&\
             ip=127.0.0.1&port=8090'",
            Json(json!({"code": 0, "data": {"ip": "127.0.0.1", "port": 8090, "weight": 0.7,
                "serviceName": "DEFAULT_GROUP@@test_service"}})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/ns/instance/list?serviceName=test_service'",
            Json(json!({"code": 0, "data": {"groupName": "DEFAULT_GROUP",
                "hosts": [{"port": 8090}]}})),
        ),
        (
            "curl -d 'serviceName=test_service' -d 'ip=127.0.0.1' -d 'port=8090' \
             -d 'ephemeral=true' -X DELETE 'http://127.0.0.1:8848/nacos/v2/ns/instance'",
            done(),
        ),
        (
            "curl -d 'serviceName=v2_service' -X POST 'http://127.0.0.1:8848/nacos/v2/ns/service'",
            done(),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/ns/service?serviceName=v2_service'",
            Json(json!({"code": 0, "data": {"serviceName": "v2_service", "ephemeral": false}})),
        ),
        (
            "curl -X DELETE 'http://127.0.0.1:8848/nacos/v2/ns/service?serviceName=v2_service'",
            done(),
        ),
        (
            "curl -d 'namespaceId=test_namespace' -d 'namespaceName=test' \
             -X POST 'http://127.0.0.1:8848/nacos/v2/console/namespace'",
            yes(),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v2/console/namespace?\
             namespaceId=test_namespace'",
            Json(json!({"code": 0, "data": {"namespaceShowName": "test"}})),
        ),
        (
            "curl -d 'namespaceId=test_namespace' \
             -X DELETE 'http://127.0.0.1:8848/nacos/v2/console/namespace'",
            yes(),
        ),
    ]
}

/// <https://nacos.io/docs/v3.0/quickstart/quick-start>, and the administrators' API beside.
fn v3() -> Vec<Recipe> {
    let done = || Json(json!({"code": 0, "message": "success", "data": "ok"}));
    vec![
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v3/client/ns/instance?\
             serviceName=quickstart.test.service&ip=127.0.0.1&port=8080'",
            done(),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v3/client/ns/instance/list?\
             serviceName=quickstart.test.service'",
            Json(json!({"code": 0, "data": [{"ip": "127.0.0.1", "port": 8080}]})),
        ),
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v3/client/ns/instance?heartBeat=true&\
             serviceName=quickstart.test.service&ip=127.0.0.1&port=8080'",
            done(),
        ),
        (
            "curl -X POST 'http://127.0.0.1:8848/nacos/v3/admin/cs/config?\
             dataId=quickstart.test.config&groupName=test&content=HelloWorld'",
            Json(json!({"code": 0, "data": true})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v3/client/cs/config?\
             dataId=quickstart.test.config&groupName=test'",
            Json(json!({"code": 0, "data": {"content": "HelloWorld", "resultCode": 200}})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v3/admin/cs/config/list?pageNo=1&pageSize=9&\
             dataId=quickstart.test.config&groupName=test&namespaceId=public'",
            Json(json!({"code": 0, "data": {"totalCount": 1}})),
        ),
        (
            "curl -X DELETE 'http://127.0.0.1:8848/nacos/v3/admin/cs/config?\
             dataId=quickstart.test.config&groupName=test'",
            Json(json!({"code": 0, "data": true})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v3/client/cs/config?\
             dataId=quickstart.test.config&groupName=test'",
            Json(json!({"code": 20004, "data": null})),
        ),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v3/admin/ns/service/list?pageNo=1&\
             pageSize=9&serviceNameParam=quickstart'",
            Json(json!({"code": 0, "data": {"totalCount": 1,
                "pageItems": [{"name": "quickstart.test.service", "ipCount": 1}]}})),
        ),
        (
            "curl -X DELETE 'http://127.0.0.1:8848/nacos/v3/client/ns/instance?\
             serviceName=quickstart.test.service&ip=127.0.0.1&port=8080'",
            done(),
        ),
    ]
}

/// What needs no login anywhere.
fn open() -> Vec<Recipe> {
    vec![
        (
            "curl -X GET '127.0.0.1:8848/nacos/v1/ns/operator/metrics'",
            Json(json!({"status": "UP"})),
        ),
        ("curl -X GET 'http://127.0.0.1:8848/nacos/v1/console/health/readiness'", Text("OK")),
        (
            "curl -X GET 'http://127.0.0.1:8848/nacos/v3/admin/core/state/readiness'",
            Json(json!({"code": 0, "data": "ok"})),
        ),
    ]
}

fn all() -> Vec<Recipe> {
    [v1_config(), v1_instances(), v1_services(), v2(), v2_naming(), v3()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn the_documented_recipes_where_nothing_is_guarded() {
    if !has_curl() {
        return;
    }
    let server = Server::start();
    for (recipe, says) in open().into_iter().chain(all()) {
        judge(recipe, &run(&server, recipe, ""), &says);
    }
}

#[test]
fn the_documented_recipes_where_everything_is_guarded() {
    if !has_curl() {
        return;
    }
    let town = Town::guarded();
    let server = &town.server;
    for (recipe, says) in open() {
        judge(recipe, &run(server, recipe, ""), &says);
    }
    let mut token = String::new();
    for login in ["v1/auth/login", "v1/auth/users/login", "v3/auth/user/login"] {
        let wrong = format!(
            "curl -X POST 'http://127.0.0.1:8848/nacos/{login}' -d 'username=nacos&password=nacos'"
        );
        judge(&wrong, &run(server, &wrong, ""), &Refusal(403, "User not found"));
        let right = format!(
            "curl -X POST '127.0.0.1:8848/nacos/{login}' -d 'username=nacos' \
             -d 'password=first-secret'"
        );
        let answer = run(server, &right, "");
        let wanted = json!({"tokenTtl": 18000, "globalAdmin": true, "username": "nacos"});
        judge(&right, &answer, &Json(wanted));
        let said: Value = serde_json::from_str(&answer.1).expect("JSON");
        token = said["accessToken"].as_str().expect("a token").to_owned();
    }
    let ways =
        [format!("-H 'accessToken: {token}'"), format!("-H 'Authorization: Bearer {token}'")];
    for (at, (recipe, says)) in all().into_iter().enumerate() {
        let (status, body) = run(server, recipe, "");
        assert!(status == 403 && body.contains("User not found"), "{recipe}\n{status} {body}");
        let way = match recipe.contains('?') {
            true => recipe.replacen('?', &format!("?accessToken={token}&"), 1),
            false => format!("{recipe} {}", ways[at % 2]),
        };
        judge(&way, &run(server, &way, ""), &says);
    }
}

/// What `curl` does by itself, or when it is asked to.
#[test]
fn what_else_curl_sends() {
    if !has_curl() {
        return;
    }
    let server = shared_server();
    let home = Directory::new("curl");
    let content = home.path().join("content");
    std::fs::write(&content, vec![b'x'; 1_500_000]).expect("write a long content");
    let content = content.display();
    let at = "'http://127.0.0.1:8848/nacos/v1/cs/configs?dataId=curl.long&group=curl'";
    // More than a megabyte: it waits to be told to go on.
    let publish = format!("curl -X POST {at} --data-urlencode content@{content}");
    judge(&publish, &run(&server, &publish, ""), &Text("true"));
    let copy = home.path().join("copy");
    let fetch = format!("curl --compressed -o {} {at}", copy.display());
    assert_eq!(run(&server, &fetch, "").0, 200);
    assert_eq!(std::fs::read(&copy).expect("a copy").len(), 1_500_000);
    let parts = format!("curl -X POST {at} -F content=short -F 'type=text'");
    judge(&parts, &run(&server, &parts, ""), &Text("true"));
    // It offers the other protocol and goes on with this one.
    let upgrade = format!("curl --http2 {at}");
    judge(&upgrade, &run(&server, &upgrade, ""), &Text("short"));
    let chunked = format!("curl -X POST {at} -H 'Transfer-Encoding: chunked' -d content=chunked");
    judge(&chunked, &run(&server, &chunked, ""), &Text("true"));
    let old = format!("curl --http1.0 {at}");
    judge(&old, &run(&server, &old, ""), &Text("chunked"));
    let (status, head) = run(&server, &format!("curl -I {at}"), "");
    assert!(status == 200 && head.to_lowercase().contains("content-length: 7"), "{head}");
}
