//! Every handler of the reference (`http-api.md` 14: 329 combinations of path, method and variant)
//! is asked for: answered, switched off and guarded as that list says, never a bare 404.
//!
//! The list is data beside this file, written from the specification and not from our table.

use crate::auth::Town;
use crate::http_client::{Answer, Http};
use crate::server::Server;
use std::collections::BTreeMap;

/// One combination.
struct Row {
    /// `ANY` is walked as GET and POST.
    method: &'static str,
    path: &'static str,
    query: &'static str,
    /// `OPEN`, `ADMIN`, `CONSOLE`, `INNER`, `-`.
    label: &'static str,
    /// `r-open`, `w-admin` and the like, `-`.
    right: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |line: &'static str| {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("four words");
        let (method, target) = (word(), word());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Row { method, path, query, label: word(), right: word() }
    };
    include_str!("section_14.txt").lines().map(row).collect()
}

/// Enough for every handler to go some way.
const QUERY: &str = "serviceName=walk&dataId=walk&group=G&groupName=G&ip=192.0.2.1&port=1\
                     &pageNo=1&pageSize=1&username=walker&role=walk&resource=walk&action=r";

impl Row {
    fn target(&self) -> String {
        let path = self.path.replace("{key}", "public%23%23walk");
        let path = path.replace("{namespaceId}", "public").replace("{service}", "walk");
        let path = path.replace("{id}", "walk");
        let path = path.replace("{product}", "walk").replace("{cluster}", "walk");
        let query = if self.query.is_empty() { String::new() } else { format!("{}&", self.query) };
        // The address server's lists stand beside the context path.
        let before = if self.path.starts_with("/{product}") { "" } else { "/nacos" };
        format!("{before}{path}?{query}{QUERY}")
    }

    fn methods(&self) -> Vec<&'static str> {
        if self.method == "ANY" { vec!["GET", "POST"] } else { vec![self.method] }
    }
}

/// What stands where no handler is.
fn is_bare(answer: &Answer) -> bool {
    let text = answer.shown();
    answer.status == 405
        || text.contains("there is no such path")
        || text.contains("no such api")
        || answer.body.is_empty() && answer.status >= 400
}

#[test]
fn all_combinations_are_answered() {
    let rows = rows();
    assert_eq!(rows.len(), 329, "as many as the list says it has");
    let server = Server::start();
    let mut http = Http::connect(&server);
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for row in &rows {
        for method in row.methods() {
            let answer = http.ask(method, &row.target());
            let got = format!("{method} {}: {} {}", row.target(), answer.status, answer.shown());
            assert!(!is_bare(&answer), "{got}");
            assert_eq!(answer.status == 410, row.label == "INNER", "{got}");
            assert!(answer.status != 500 && answer.status != 503, "{got}");
            *statuses.entry(answer.status).or_default() += 1;
        }
    }
    // What is off is the AI registry, and members to look up.
    assert!(statuses[&200] > 150 && statuses[&501] < 30, "{statuses:?}");
}

#[test]
fn labels_decide_what_switches_turn_off() {
    let off = ["client", "admin", "console"]
        .map(|which| format!("nacos.core.api.compatibility.{which}.enabled=false"));
    let arguments: Vec<&str> = off.iter().flat_map(|setting| ["-D", setting.as_str()]).collect();
    let server = Server::start_with(&arguments);
    let mut http = Http::connect(&server);
    let rows = rows();
    for row in &rows {
        let labelled = row.label != "-";
        for method in row.methods() {
            let answer = http.ask(method, &row.target());
            assert_eq!(answer.status == 410, labelled, "{method} {}: {answer:?}", row.target());
        }
    }
}

#[test]
fn who_is_nobody_is_let_in_where_the_list_has_no_right() {
    let town = Town::guarded_with(&["-D", "nacos.core.auth.console.enabled=true"]);
    let mut http = Http::connect(&town.server);
    let rows = rows();
    let guarded = |row: &&Row| row.right != "-";
    let mut walked = 0;
    for row in rows.iter().filter(guarded).filter(|row| row.label != "INNER") {
        for method in row.methods() {
            let answer = http.ask(method, &row.target());
            let refused = answer.status == 403 && answer.shown().contains("Code: 40");
            // Free on purpose with everything guarded: what says that a node lives.
            let is_free = row.path.ends_with("/ns/ops/metrics");
            assert_eq!(refused, !is_free, "{method} {}: {}", row.target(), answer.shown());
            walked += 1;
        }
    }
    assert!(walked > 250, "{walked}");
}
