//! The command as a user meets it: the real process, its exit codes, its words, its two HTTP jobs.
//!
//! Each test has a loopback address of its own, so ports never collide and the default ones serve.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// A place of its own for one test: an address and a directory, gone with the value.
struct Place {
    host: String,
    directory: PathBuf,
}

impl Place {
    fn new(number: u8) -> Place {
        let pid = std::process::id();
        let directory = std::env::temp_dir().join(format!("nacre-command-{pid}-{number}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a scratch directory");
        let [_, _, high, low] = pid.to_be_bytes();
        Place { host: format!("127.{}.{high}.{low}", 100 + number), directory }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nacre"));
        command.env_clear().arg("--data").arg(self.directory.join("data"));
        command.args(["--host", &self.host]).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("the command runs")
    }

    /// Starts the server and waits for its line.
    fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command();
        let mut child = command.args(arguments).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut lines = String::new();
        while !lines.contains("nacre serves") {
            assert!(log.read_line(&mut lines).expect("its log") > 0, "it ended: {lines}");
        }
        Server { child, log, lines, host: self.host.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A running server; killed with the value if nobody stopped it.
struct Server {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    lines: String,
    host: String,
}

impl Server {
    fn get(&self, path: &str) -> String {
        self.get_from(8848, path)
    }

    fn get_from(&self, port: u16, path: &str) -> String {
        let mut stream = TcpStream::connect((self.host.as_str(), port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("an answer");
        reply
    }

    /// Signals, waits for the end, and returns how it ended and all it logged.
    fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
        let status = self.child.wait().expect("it ends");
        let mut lines = std::mem::take(&mut self.lines);
        self.log.read_to_string(&mut lines).expect("its log");
        (status, lines)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn refused(output: &Output, exit: i32, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(said.contains(part), "{said}");
}

#[test]
fn help_and_version() {
    let place = Place::new(0);
    let help = place.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(text.contains("Exit codes:") && text.contains("nacos.server.main.port"), "{text}");
    let version = place.run(&["--version"]);
    assert_eq!(version.stdout, format!("nacre {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
}

#[test]
fn exit_codes_and_words_of_refusals() {
    let place = Place::new(1);
    refused(&place.run(&["--prot", "1"]), 2, "--port");
    refused(&place.run(&["--port", "0"]), 3, "--port on the command line");
    let weak = "nacos.core.auth.plugin.nacos.token.secret.key=c2hvcnQ=";
    refused(&place.run(&["-D", weak]), 3, "shorter than 32 bytes");
    refused(&place.run(&["--config", "/does/not/exist"]), 3, "/does/not/exist");
    let file = place.directory.join("file");
    std::fs::write(&file, "").expect("a file");
    let mut in_the_way = Command::new(env!("CARGO_BIN_EXE_nacre"));
    let output = in_the_way.args(["--host", &place.host, "--data"]).arg(&file).output();
    refused(&output.expect("it runs"), 5, "cannot be created");
}

#[test]
fn serves_health_and_metrics_and_stops_in_order() {
    let place = Place::new(2);
    let server = place.serve(&[]);
    let ready = server.get("/nacos/v1/console/health/readiness");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("\r\n\r\nOK"), "{ready}");
    let metrics = server.get("/nacos/actuator/prometheus");
    assert!(metrics.contains("nacos_monitor{module=\"naming\",name=\"serviceCount\"} 0"));
    assert!(metrics.contains("nacre_core_busy_seconds_total{core=\"0\"}"), "{metrics}");
    let missing = server.get("/nacos/nothing");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("port 9848"), "{missing}");
    let (status, log) = server.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let lines: Vec<_> = log.lines().filter(|line| !line.contains("open files")).collect();
    assert_eq!(lines.len(), 1, "quiet but for the start: {log}");
    for part in ["version=", "http=", "grpc=", "cores=", "data=", "auth="] {
        assert!(lines[0].contains(part), "{part}: {log}");
    }
}

#[test]
fn the_consoles_port_is_taken_if_it_is_free_and_must_be_if_it_was_asked_for() {
    let place = Place::new(7);
    let state = "/v3/console/server/state";
    let server = place.serve(&[]);
    let answer = server.get_from(8080, state);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (status, log) = server.stop("TERM");
    assert!(status.success() && log.contains("console="), "{log}");

    let taken = TcpListener::bind((place.host.as_str(), 8080)).expect("it is free again");
    let server = place.serve(&[]);
    assert!(server.get(state).starts_with("HTTP/1.1 200"), "on the HTTP port as well");
    let (status, log) = server.stop("TERM");
    let warnings = log.lines().filter(|line| line.contains("no port of its own for the console"));
    assert!(status.success() && warnings.count() == 1, "{log}");

    let asked = ["-D", "nacos.console.port=8080"];
    refused(&place.run(&asked), 6, "nacos.console.port");
    drop(taken);
    let server = place.serve(&asked);
    assert!(server.get_from(8080, state).starts_with("HTTP/1.1 200"));
    assert!(server.stop("TERM").0.success());
    refused(&place.run(&["-D", "nacos.console.port=9848"]), 3, "gRPC");
    let server = place.serve(&["-D", "nacos.deployment.type=server"]);
    assert!(TcpListener::bind((place.host.as_str(), 8080)).is_ok(), "nobody wants it");
    assert!(server.stop("TERM").0.success());
}

#[test]
fn one_process_a_directory_and_one_an_address() {
    let place = Place::new(3);
    let server = place.serve(&[]);
    let pid = server.child.id();
    refused(&place.run(&[]), 5, &format!("in use by process {pid}"));
    let elsewhere = place.directory.join("elsewhere");
    let output = Command::new(env!("CARGO_BIN_EXE_nacre"))
        .args(["--host", &place.host, "--data"])
        .arg(&elsewhere)
        .output();
    refused(&output.expect("it runs"), 6, "another process listens there");
    let (status, _) = server.stop("INT");
    assert_eq!(status.code(), Some(0));
    // Both are free again, at once, with connections of the first still in TIME_WAIT.
    let (status, _) = place.serve(&[]).stop("TERM");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn killed_it_leaves_no_lock() {
    let place = Place::new(4);
    let (status, _) = place.serve(&[]).stop("KILL");
    assert_eq!(status.code(), None);
    let (status, _) = place.serve(&[]).stop("TERM");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_existing_file_is_read_and_unknown_keys_are_told_once() {
    let place = Place::new(5);
    std::fs::create_dir_all(place.directory.join("data/conf")).expect("a directory");
    let file = place.directory.join("data/conf/application.properties");
    let text = "nacos.core.auth.admin.enabled=true\nnacos.nonsense=1\n\
                server.servlet.contextPath=${CONTEXT:/registry}\nmanagement.x=1\n";
    std::fs::write(&file, text).expect("a file");
    let server = place.serve(&[]);
    let ready = server.get("/registry/v3/admin/core/state/readiness");
    assert!(ready.contains(r#""code":0"#), "{ready}");
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("nacos.nonsense").count(), 1, "{log}");
    assert!(!log.contains("management.x"), "{log}");
}

#[test]
fn json_lines() {
    let place = Place::new(6);
    let (_, log) = place.serve(&["-D", "nacre.log.format=json"]).stop("TERM");
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn tuning_tells_what_this_host_is_set_to_and_serves_nobody() {
    let tuning = |clients: &str| {
        let command = &mut Command::new(env!("CARGO_BIN_EXE_nacre"));
        command.args(["tuning", "--clients", clients]).output().expect("the command runs")
    };
    let output = tuning("1000");
    let text = String::from_utf8(output.stdout).expect("text");
    let backlog = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux");
    let line = text.lines().find(|line| line.contains("net.core.somaxconn")).expect("its line");
    assert!(line.contains(&format!("now {} ", backlog.trim())), "{line}");
    let wants = text.contains("CHANGE") || text.contains("TOO LITTLE");
    assert_eq!(output.status.code(), Some(i32::from(wants)), "{text}");
    assert!(text.contains("Memory for 1000 clients"), "{text}");
    // Nobody has the memory for so many.
    let output = tuning("1000000000000");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("TOO LITTLE"));
}
