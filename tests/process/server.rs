//! The real server as a process of its own, on free loopback ports with a data directory of its
//! own: started, killed and started again as an operator or a crash would.
//!
//! Shared by the whole-server test binaries (`#[path]`). What it prints goes to a file in its
//! directory, shown when a test fails.

// Each test binary uses its own part of it.
#![allow(dead_code)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// gRPC listens this far above HTTP, on every Nacos server.
const GRPC_PORT_OFFSET: u16 = 1000;
/// Ports handed to servers lie below the kernel's usual range for outgoing connections: a client
/// that reconnects to a port of that range while nobody listens may connect to itself.
const PORT_FIRST: u16 = 12_000;
const PORT_LAST: u16 = 29_000;
/// From exec to serving, on a machine that is busy with other tests. The server itself needs
/// less than 100 ms; this bound only ends a test that would otherwise hang.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at a server that is starting.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How often a start is tried on other ports before the test fails.
const START_TRIES: u32 = 5;

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);
static NEXT_DIRECTORY: AtomicU32 = AtomicU32::new(0);

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    http_port: u16,
    home: Directory,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Server {
    /// Starts the server and returns once it serves.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments, as `&["-D", "key=value"]`; they hold for restarts too.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(Directory::new("server"), arguments, &[])
    }

    /// The same in a directory that is there, with further variables in its environment.
    pub fn start_in(home: Directory, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        for attempt in 1.. {
            let http_port = free_port_pair();
            let child = spawn(http_port, &home, &arguments, &environment);
            let (home, arguments) = (home.clone(), arguments.clone());
            let environment = environment.clone();
            let mut server = Self { child, http_port, home, arguments, environment };
            match server.wait_until_serving() {
                Ok(()) => return server,
                Err(_) if attempt < START_TRIES => {} // Someone else may have taken the port.
                Err(reason) => panic!("{reason}\n{}", server.log_tail()),
            }
        }
        unreachable!("the last try returned or panicked")
    }

    /// SIGKILL: no farewell to any client, no flush.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("reap the server");
    }

    /// Starts it again on the same ports and data after [`Server::kill`].
    pub fn start_again(&mut self) {
        self.begin_again();
        if let Err(reason) = self.wait_until_serving() {
            panic!("{reason}\n{}", self.log_tail());
        }
    }

    /// Begins to start it again, without waiting until it serves.
    pub fn begin_again(&mut self) {
        self.child = spawn(self.http_port, &self.home, &self.arguments, &self.environment);
    }

    /// SIGTERM, without waiting: the orderly stop begins.
    pub fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("run kill");
        assert!(sent.success(), "the server is there to be stopped");
    }

    /// How it ended, within `timeout`; `None` while it still runs.
    pub fn wait_ended(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            let ended = self.child.try_wait().expect("look at the server");
            if ended.is_some() || Instant::now() >= deadline {
                return ended;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait_ended(START_TIMEOUT).expect("the server ends after SIGTERM")
    }

    /// The process, for signals and `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(path).expect("the server's status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib = line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
        kib.expect("a number of KiB") * 1_024
    }

    /// Its own directory: `data` and `log` are in it.
    pub fn home(&self) -> &PathBuf {
        self.home.path()
    }

    /// Where HTTP listens on 127.0.0.1.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// What an SDK is given: `127.0.0.1:` and the HTTP port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.http_port)
    }

    /// Where gRPC listens.
    pub fn grpc_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.http_port + GRPC_PORT_OFFSET))
    }

    fn wait_until_serving(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("look at the server") {
                return Err(format!("the server ended while starting: {status}"));
            }
            if is_ready(self.http_port) && TcpStream::connect(self.grpc_address()).is_ok() {
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Err(format!("the server did not serve within {START_TIMEOUT:?}"))
    }

    /// The end of what the server printed, for a failed test's report.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        let skip = log.lines().count().saturating_sub(40);
        let tail: Vec<&str> = log.lines().skip(skip).collect();
        format!("--- server log ---\n{}", tail.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// A directory under the build's temporary folder, removed with its last clone.
#[derive(Clone)]
pub struct Directory(std::sync::Arc<Removed>);

struct Removed(PathBuf);

impl Directory {
    pub fn new(what: &str) -> Self {
        let number = NEXT_DIRECTORY.fetch_add(1, Ordering::Relaxed);
        let name = format!("{what}-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("make a temporary directory");
        Self(std::sync::Arc::new(Removed(path)))
    }

    pub fn path(&self) -> &PathBuf {
        &self.0.0
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binary under judgement: `NACRE_BIN` (the test command sets the release build), else the
/// one Cargo built for this test.
pub fn binary() -> PathBuf {
    match std::env::var_os("NACRE_BIN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_BIN_EXE_nacre")),
    }
}

fn spawn(
    http_port: u16,
    home: &Directory,
    arguments: &[String],
    environment: &[(String, String)],
) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(home.path().join("log"))
        .expect("open the server's log");
    Command::new(binary())
        .args(["--host", "127.0.0.1", "--port", &http_port.to_string(), "--data"])
        .arg(home.path().join("data"))
        // Many run side by side, and the console's port is one of the host.
        .args(["-D", "nacos.deployment.type=server"])
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log"))
        .stderr(log)
        .spawn()
        .expect("start the server binary")
}

/// An HTTP port whose gRPC port is free as well. Each call moves on, and processes start at
/// different places, so that tests that run beside each other hardly ever meet.
fn free_port_pair() -> u16 {
    let span = PORT_LAST - PORT_FIRST;
    let first = (std::process::id() % u32::from(span)) as u16;
    for _ in 0..span {
        let step = NEXT_PORT.fetch_add(7, Ordering::Relaxed);
        let port = PORT_FIRST + (u32::from(first) + u32::from(step)).rem_euclid(span.into()) as u16;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + GRPC_PORT_OFFSET) {
            return port;
        }
    }
    panic!("no free pair of ports between {PORT_FIRST} and {PORT_LAST}");
}

/// Whether readiness answers 200.
fn is_ready(http_port: u16) -> bool {
    // Answers whatever the context path is and whichever old paths are switched off.
    let path = "/v3/console/health/readiness";
    http_get(http_port, path).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// One HTTP/1.1 exchange on a connection of its own: head and body as text.
pub fn http_get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(START_TIMEOUT)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: nacre\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
