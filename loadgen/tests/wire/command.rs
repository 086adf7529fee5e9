//! The command itself: files it keeps, what it compares, how it ends.

use crate::registry::Registry;
use nacre_loadgen::report::file::Run;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const LOADGEN: &str = env!("CARGO_BIN_EXE_nacre-loadgen");

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nacre-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn texts(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(LOADGEN).args(arguments).output().unwrap()
}

/// Where a ring may hold 44 sockets: three rings for 100 clients.
#[test]
fn clients_are_spread_over_rings_and_files_are_kept() {
    let registry = Registry::start(true);
    let out = folder("rings");
    let port = registry.addr.port() - 1_000;
    let command = format!(
        "ulimit -n 300 && exec {LOADGEN} fleet --target reg=127.0.0.1:{port} --clients 100 \
         --out {} --bind 127.1.7.1,127.1.7.2 --warmup-clients 10 --settle 10ms --hold 200ms \
         --server-pid {}",
        out.display(),
        std::process::id()
    );
    let done = Command::new("sh").arg("-c").arg(command).output().unwrap();
    assert!(done.status.success(), "{}", texts(&done));
    let file = out.join("reg-fleet-0.hlog");
    let run = Run::read(&file).unwrap();
    assert_eq!(run.figures["clients_held"], 100.0);
    assert!(run.context["command"].as_str().unwrap().contains("fleet"));
    assert!(run.series.iter().any(|(name, _)| name == "keepalive"));
    let svg = out.join("curve.svg");
    let files = [file.to_str().unwrap(), "--svg", svg.to_str().unwrap()];
    let done = loadgen(&[&["report"][..], &files].concat());
    assert!(done.status.success() && texts(&done).contains("reg fleet: 100"), "{}", texts(&done));
    assert!(std::fs::read_to_string(svg).unwrap().contains("<polyline"));
    std::fs::remove_dir_all(out).unwrap();
}

#[test]
fn ctrl_c_gives_the_report_so_far() {
    let registry = Registry::start(true);
    let port = registry.addr.port() - 1_000;
    let mut child = Command::new(LOADGEN)
        .args(["fleet", "--target", &format!("reg=127.0.0.1:{port}"), "--clients", "20"])
        .args(["--settle", "10ms", "--hold", "600s", "--keepalive", "50ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while registry.health_checks() < 100 {
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains("interrupted") && text.contains("keep-alive"), "{text}");
}

/// How often, and for how long, the slow proxy lets nothing through.
const PAUSE_EVERY: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(60);

/// A proxy that pauses: what a slow server looks like.
fn pausing_proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || pass(client, server, true));
            std::thread::spawn(move || pass(back.0, back.1, false));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, pauses: bool) {
    to.set_nodelay(true).unwrap();
    let (mut bytes, mut last) = ([0; 16_384], Instant::now());
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if pauses && last.elapsed() > PAUSE_EVERY {
            std::thread::sleep(PAUSE);
            last = Instant::now();
        }
        if to.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
}

fn measure(target: SocketAddr, out: &Path) {
    let target = format!("reg=127.0.0.1:{}", target.port() - 1_000);
    let done = loadgen(&[
        "unary",
        "--request",
        "health-check",
        "--target",
        &target,
        "--rate",
        "2000",
        "--rounds",
        "4",
        "--warmup",
        "100ms",
        "--duration",
        "700ms",
        "--connections",
        "4",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(done.status.success(), "{}", texts(&done));
}

/// What is wrong with a comparison of a server with itself, and with itself slowed down.
fn compared(root: &Path, registry: &Registry) -> Result<(), String> {
    let [old, same, slow] = ["old", "same", "slow"].map(|name| root.join(name));
    measure(registry.addr, &old);
    measure(registry.addr, &same);
    measure(pausing_proxy(registry.addr), &slow);
    // The machine of a test is shared: only what is twice as slow counts here.
    for (new, code, says) in [(&same, 0, "no difference seen"), (&slow, 1, "WORSE")] {
        let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
        let done = loadgen(&[&["compare"][..], &paths, &["--fail-over", "2"]].concat());
        if done.status.code() != Some(code) || !texts(&done).contains(says) {
            return Err(texts(&done));
        }
    }
    Ok(())
}

#[test]
fn a_slowed_server_is_caught_and_the_same_is_not() {
    let registry = Registry::start(true);
    let root = folder("compare");
    // A machine that stands still during one of the three measurements decides for itself what is
    // slow: then all of them are made again.
    let tries = (0..3).map(|attempt| compared(&root.join(attempt.to_string()), &registry));
    let mut wrong = Vec::new();
    let is_caught =
        tries.map(|outcome| outcome.map_err(|why| wrong.push(why))).any(|it| it.is_ok());
    assert!(is_caught, "{wrong:#?}");
    let old = root.join("0").join("old");
    let done = loadgen(&["compare", "/nonexistent", old.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(2), "{}", texts(&done));
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn targets_take_turns_and_stand_side_by_side() {
    let (one, two) = (Registry::start(true), Registry::start(false));
    let target = |name: &str, of: &Registry| format!("{name}=127.0.0.1:{}", of.addr.port() - 1_000);
    let done = loadgen(&[
        "unary",
        "--request",
        "health-check",
        "--target",
        &target("one", &one),
        "--target",
        &target("two", &two),
        "--rounds",
        "2",
        "--warmup",
        "10ms",
        "--duration",
        "100ms",
    ]);
    let text = texts(&done);
    assert!(done.status.success(), "{text}");
    let order: Vec<&str> = text.lines().filter(|line| line.contains("health-check:")).collect();
    let names: Vec<&str> = order.iter().map(|line| &line[..3]).collect();
    assert_eq!(names, ["one", "two", "two", "one"], "{text}");
    assert!(text.contains("| median | one | two |"), "{text}");
}
