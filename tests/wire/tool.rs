//! The operator's commands on a server's data directory, as a person types them.

use crate::server::{Directory, Server, binary};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a command said.
pub struct Said {
    pub exit: i32,
    /// Both streams, errors last.
    pub text: String,
    out: Vec<u8>,
}

impl Said {
    fn of(output: Output) -> Self {
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let text = String::from_utf8(said).expect("text");
        Self { exit: output.status.code().expect("an exit code"), text, out: output.stdout }
    }

    pub fn json(&self) -> Value {
        let json = serde_json::from_slice(&self.out);
        json.unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Its text, when all was well.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!(self.exit, 0, "{}", self.text);
        self.text
    }

    /// That it ended so, with these words.
    #[track_caller]
    pub fn says(self, exit: i32, part: &str) {
        assert_eq!(self.exit, exit, "{}", self.text);
        assert!(self.text.contains(part), "{part}: {}", self.text);
    }
}

/// Where a server keeps its data.
pub fn data(server: &Server) -> PathBuf {
    server.home().join("data")
}

/// Runs a command on a data directory; `input` is what is typed.
pub fn tool_with(data: &Path, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(binary());
    command.env_clear().args(arguments).arg("--data").arg(data);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut typed = child.stdin.take().expect("a pipe");
    // A command that asks for nothing may have ended.
    let _ = typed.write_all(input.as_bytes());
    drop(typed);
    Said::of(child.wait_with_output().expect("the command ends"))
}

/// The same without anything typed.
pub fn tool(data: &Path, arguments: &[&str]) -> Said {
    tool_with(data, arguments, "")
}

/// A list as rows.
pub fn rows(data: &Path, what: &str, more: &[&str]) -> Vec<Value> {
    let arguments = [&["inspect", what, "--json"], more].concat();
    let said = tool(data, &arguments);
    assert_eq!(said.exit, 0, "{}", said.text);
    said.json()[what].as_array().expect("rows").clone()
}

/// A directory that no server has.
pub fn scratch(name: &str) -> Directory {
    Directory::new(&format!("operator-{name}"))
}
