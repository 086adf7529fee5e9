//! What clippy cannot check: who may know whom, how long things may grow, a README in each room.

use std::fs;
use std::path::{Path, PathBuf};

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Long functions that were there when the rule came, or that read better whole. They may shrink,
/// never grow; a new entry needs a reason.
const FUNCTION_EXCEPTIONS: &[(&str, &str, usize, &str)] = &[];

/// A foreign crate has one home, so that swapping it touches one place. Test code may use what it
/// judges with.
const FENCES: &[(&str, &[&str])] = &[
    ("io_uring::", &["src/engine", "loadgen/src/engine"]),
    (
        "glommio::",
        &[
            "src/pump",
            "src/mesh",
            "src/raft",
            "src/http1",
            "src/probe",
            "src/cluster",
            "src/operator",
            "src/boot",
            "bench",
        ],
    ),
    ("hyper::", &["src/http1"]),
    ("crossbeam::", &["src/mesh"]),
    ("h2::", &["src/cluster", "loadgen"]),
    ("prost::", &["proto"]),
    ("openraft::", &["src/raft"]),
    ("redb::", &["src/raft"]),
    ("clap::", &["src/boot", "src/main.rs", "loadgen"]),
    ("prometheus_client::", &["src/admin"]),
    ("nacre_shards::", &["src", "bench"]),
    ("tokio::", &["loadgen"]),
    ("zip::", &["src/front"]),
    ("rustls::", &["src/auth"]),
    ("rustls_native_certs::", &["src/auth"]),
];

/// Where `unsafe` may stand; each block says why it holds (clippy checks the comment).
const UNSAFE_HOMES: &[&str] =
    &["src/engine", "src/boot", "loadgen/src/engine", "bench/src/alloc.rs"];

/// Rooms that carry bytes know no word of the Nacos wire.
const NO_NACOS_WORD: &[&str] = &["src/engine", "src/http2", "src/grpc", "src/http1", "src/mesh"];

/// The heart has no hands.
const SHARDS_NEVER: &[&str] =
    &["Instant", "SystemTime", "std::thread", "async fn", "TcpStream", "std::fs", "println!"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("tests.rs")
    }

    /// The code above its own `mod tests`: what ships.
    fn shipped(&self) -> &str {
        match self.text.find("#[cfg(test)]\nmod tests {") {
            Some(at) => &self.text[..at],
            None => &self.text,
        }
    }

    fn within(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| {
            self.path == *room
                || self.path.starts_with(&format!("{room}/"))
                || self.path == format!("{room}.rs")
        })
    }
}

fn collect(dir: &Path, into: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("a readable folder").flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && name != "sdk" {
                collect(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("below the root");
            into.push(Source {
                path: relative.to_string_lossy().into_owned(),
                text: fs::read_to_string(&path).expect("UTF-8 source"),
            });
        }
    }
}

fn sources() -> Vec<Source> {
    let mut all = Vec::new();
    for room in ["proto", "shards", "src", "bench", "loadgen", "tests"] {
        collect(&root().join(room), &mut all);
    }
    assert!(all.len() > 10, "the walk found no sources");
    all
}

fn verdict(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// `needle` stands at a word's start, so `http2::` is not `h2::`.
fn names(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(at, _)| {
        !line[..at]
            .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
    })
}

#[test]
fn a_foreign_crate_has_one_home() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (needle, homes) in FENCES {
            for (line, text) in code_lines(source.shipped()) {
                if names(text, needle) && !source.within(homes) {
                    broken.push(format!("{}:{} uses {needle}", source.path, line + 1));
                }
            }
        }
    }
    verdict("a crate is used outside its room (see FENCES)", &broken);
}

#[test]
fn unsafe_lives_where_it_may() {
    let mut broken = Vec::new();
    for source in sources() {
        for (line, text) in code_lines(&source.text) {
            let is_block = text.contains("unsafe {")
                || text.contains("unsafe fn")
                || text.contains("unsafe impl");
            if is_block && !source.within(UNSAFE_HOMES) && !source.is_test() {
                broken.push(format!("{}:{}", source.path, line + 1));
            }
        }
    }
    verdict("unsafe outside src/engine, src/boot, loadgen/src/engine, bench/src/alloc.rs", &broken);
}

#[test]
fn carriage_knows_no_nacos_word() {
    let words = ["nacos", "InstanceRequest", "ServiceKey", "nacre_proto"];
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.within(NO_NACOS_WORD)) {
        for (line, text) in code_lines(source.shipped()) {
            if words.iter().any(|word| text.contains(word) || text.to_lowercase().contains("nacos"))
            {
                broken.push(format!("{}:{} {}", source.path, line + 1, text.trim()));
            }
        }
    }
    verdict("engine, http2, grpc, http1 and mesh carry bytes and know no Nacos word", &broken);
}

#[test]
fn the_heart_has_no_hands() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("shards/src")) {
        for (line, text) in code_lines(source.shipped()) {
            if let Some(word) = SHARDS_NEVER.iter().find(|word| text.contains(**word)) {
                broken.push(format!("{}:{} {word}", source.path, line + 1));
            }
        }
    }
    verdict("shards has no socket, clock, thread, file or async", &broken);
}

#[test]
fn lines_and_files_stay_readable() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{} has {lines} lines, at most {FILE_LINES_MAX}", source.path));
        }
        for (line, text) in source.text.lines().enumerate() {
            let columns = text.chars().count();
            if columns > LINE_COLUMNS_MAX && !text.contains("\"") && !text.contains("http") {
                broken.push(format!("{}:{} has {columns} columns", source.path, line + 1));
            }
        }
    }
    verdict("files and lines", &broken);
}

/// (name, first line, lines) of each function in rustfmt's layout: it ends at the brace of its own
/// indent.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let Some(name_at) = trimmed.find("fn ") else { continue };
        let head = &trimmed[..name_at];
        let is_item = head.split_whitespace().all(|word| {
            word.starts_with("pub")
                || matches!(word, "const" | "async" | "unsafe" | "extern" | "\"C\"")
        });
        if !is_item {
            continue;
        }
        let name: String = trimmed[name_at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let closing = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[at..].iter().position(|end| *end == closing) {
            found.push((name, at + 1, length + 1));
        }
    }
    found
}

#[test]
fn functions_fit_on_a_screen() {
    let mut broken = Vec::new();
    for source in sources() {
        for (name, line, length) in functions(&source.text) {
            let allowed = FUNCTION_EXCEPTIONS
                .iter()
                .find(|(path, function, ..)| *path == source.path && *function == name)
                .map_or(FUNCTION_LINES_MAX, |(_, _, length, _)| *length);
            if length > allowed {
                broken.push(format!(
                    "{}:{line} {name} has {length} lines, at most {allowed}",
                    source.path
                ));
            }
        }
    }
    verdict("functions", &broken);
}

#[test]
fn every_room_says_what_belongs_in_it() {
    let mut broken = Vec::new();
    let rooms = ["proto", "shards", "src", "bench", "loadgen", "tuning", "tests"];
    for room in rooms {
        if !root().join(room).join("README.md").exists() {
            broken.push(format!("{room} has no README.md"));
        }
    }
    for entry in fs::read_dir(root().join("src")).expect("src").flatten() {
        if entry.path().is_dir() && !entry.path().join("README.md").exists() {
            broken.push(format!("{} has no README.md", entry.path().display()));
        }
    }
    verdict("rooms without a README", &broken);
}

#[test]
fn the_repository_speaks_of_the_project_alone() {
    let mut broken = Vec::new();
    // Joined here so that this file does not trip over itself.
    let banned = [["/root", "/"].concat(), ["/work", "/"].concat(), ["artifact", "ory"].concat()];
    for source in sources() {
        for (line, text) in source.text.lines().enumerate() {
            if banned.iter().any(|word| text.contains(word.as_str())) {
                broken.push(format!("{}:{}", source.path, line + 1));
            }
        }
    }
    verdict("machine paths or registry hosts", &broken);
}
