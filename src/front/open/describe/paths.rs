//! The rows as a page for people: `src/front/open/PATHS.md`, kept true by a test.

use super::document::{scope_name, switch};
use crate::front::open::Endpoint;
use crate::front::open::route::{Action, Label, Route};
use crate::front::open::table::ROWS;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# The paths of the HTTP API

Made from the table of routes (`table.rs`); `NACRE_BLESS=1 cargo test -p nacre --lib paths`
writes it anew.

`right`: what a caller needs where its scope is guarded; `-`: the reference asks for none (we ask
whoever reads to be somebody). `switch`: `nacos.core.api.compatibility.<switch>.enabled`; off is
410.

| methods | path | right | switch | answered |
|---|---|---|---|---|
";

fn line(row: &Route) -> String {
    let methods = row.verb.allowed().replace("GET, HEAD", "GET");
    let right = row.access.map_or_else(
        || "-".to_owned(),
        |(action, scope)| {
            let action = if action == Action::Read { "read" } else { "write" };
            format!("{action} {}", scope_name(scope))
        },
    );
    let answered = match (row.endpoint, row.label) {
        (_, Label::Inner) => "410: only nodes of older versions ask".to_owned(),
        (Endpoint::Off(why), _) => format!("501: {why}"),
        _ => "yes".to_owned(),
    };
    let switch = switch(row.label).unwrap_or("-");
    format!("| {methods} | `{}` | {right} | {switch} | {answered} |", row.path)
}

fn page() -> String {
    let mut rows: Vec<&Route> = ROWS.iter().collect();
    rows.sort_by_key(|row| (row.path, row.verb.allowed()));
    let mut page = HEAD.to_owned();
    for row in rows {
        let _ = writeln!(page, "{}", line(row));
    }
    page
}

#[test]
fn the_page_of_paths_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/front/open/PATHS.md");
    if std::env::var_os("NACRE_BLESS").is_some() {
        std::fs::write(&path, page()).expect("write the page");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let page = page();
    let differs = written.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(written == page, "NACRE_BLESS=1 writes it anew; first difference: {differs:?}");
}
