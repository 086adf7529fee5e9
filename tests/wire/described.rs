//! The OpenAPI document says what the server does: a parameter it calls required is minded when it
//! is left out, and nothing else is. The document is the one the server serves.

use crate::http_client::{Answer, Http, must};
use crate::server::Server;
use serde_json::Value;

/// One parameter, or field of a form: both may stand in the query.
struct Taken {
    name: String,
    value: &'static str,
    required: bool,
}

fn value(name: &str, schema: &Value) -> &'static str {
    match (name, schema["type"].as_str()) {
        ("ip", _) => "192.0.2.7",
        ("healthChecker", _) => "%7B%22type%22:%22NONE%22%7D",
        ("metadata", _) => "a=b",
        ("Listening-Configs", _) => "d%02G%02x%01",
        ("logName", _) => "core",
        ("logLevel", _) => "WARN",
        ("entry", _) => "distroThreshold",
        ("value" | "protectThreshold", _) => "0.7",
        ("type", _) => "file",
        ("action", _) => "r",
        (_, Some("integer")) => "1",
        (_, Some("number")) => "1",
        (_, Some("boolean")) => "false",
        _ => "described",
    }
}

fn taken(operation: &Value) -> Vec<Taken> {
    let mut all = Vec::new();
    for parameter in operation["parameters"].as_array().expect("parameters") {
        if parameter["in"] == "query" {
            let name = parameter["name"].as_str().expect("a name").to_owned();
            let required = parameter["required"] == true;
            all.push(Taken { value: value(&name, &parameter["schema"]), name, required });
        }
    }
    let content = operation["requestBody"]["content"].as_object();
    for form in content.into_iter().flatten().filter(|(kind, _)| kind.contains("urlencoded")) {
        let schema = &form.1["schema"];
        let required = schema["required"].as_array().expect("names");
        for (name, schema) in schema["properties"].as_object().expect("fields") {
            let required = required.iter().any(|required| *required == **name);
            all.push(Taken { value: value(name, schema), name: name.clone(), required });
        }
    }
    all
}

fn ask(http: &mut Http, method: &str, path: &str, given: &[&Taken]) -> Answer {
    let query: Vec<String> =
        given.iter().map(|taken| format!("{}={}", taken.name, taken.value)).collect();
    http.ask(method, &format!("/nacos{path}?{}", query.join("&")))
}

/// In the words of the three generations.
fn is_missing(answer: &Answer) -> bool {
    let text = answer.shown();
    answer.status == 400
        && ["is required", "not present", "is missing", "parameter missing"]
            .iter()
            .any(|words| text.contains(words))
}

#[test]
fn what_is_called_required_is() {
    let server = Server::start();
    let document = must(&server, "GET", "/nacos/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/nacos");
    let mut http = Http::connect(&server);
    let (mut minded, mut wrong) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let is_served = operation["responses"]["200"].is_object();
            let is_json = operation["requestBody"]["content"]["application/json"].is_object();
            if !is_served || is_json {
                continue;
            }
            let all = taken(operation);
            let method = method.to_ascii_uppercase();
            let required: Vec<&Taken> = all.iter().filter(|taken| taken.required).collect();
            let enough = ask(&mut http, &method, path, &required);
            let shown = format!("{method} {path}: {} {}", enough.status, enough.shown());
            // A few take one of several; which one is more than a list of parameters can say.
            let takes_one =
                path.ends_with("/capacity") || path == "/v1/cs/history" || path.contains("/auth");
            if !takes_one && is_missing(&enough) {
                wrong.push(format!("more is required than is said: {shown}"));
            }
            for left_out in &required {
                let given: Vec<&Taken> =
                    required.iter().copied().filter(|taken| taken.name != left_out.name).collect();
                let answer = ask(&mut http, &method, path, &given);
                let shown = format!("{method} {path}: {} {}", answer.status, answer.shown());
                // v1's namespaces only say that nothing came of it, and nobody has to log in here.
                let is_quiet = path == "/v1/console/namespaces" && answer.text() == "false"
                    || path.ends_with("/login");
                if !is_quiet && !(400..500).contains(&answer.status) {
                    wrong.push(format!("{} is not required: {shown}", left_out.name));
                }
                minded += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(minded > 200, "{minded}");
}
