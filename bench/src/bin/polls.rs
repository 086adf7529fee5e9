//! Long polls held over HTTP: memory of each, and how soon all are answered once what they wait for
//! has changed. Against a server that runs; budgets of issue "HTTP API": 24 KiB and 1 s.
//!
//!     nacre --cores 0 & taskset -c 1 target/release/polls 127.0.0.1:8848 $! 15000

use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const DATA_ID: &str = "polled";
const GROUP: &str = "DEFAULT_GROUP";

/// How long a poll may be held.
const HELD_MS: u32 = 120_000;

/// Polls that come and go first, so that only what each one costs is counted.
const WARM_UP: usize = 1_000;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, pid, polls] = &arguments[..] else {
        return Err(Error::other("usage: polls ADDRESS PID POLLS"));
    };
    let polls: usize = polls.parse().map_err(Error::other)?;
    publish(address, "first")?;
    for round in [WARM_UP.min(polls), polls] {
        let before = resident_bytes(pid)?;
        let mut held = Vec::with_capacity(round);
        for _ in 0..round {
            held.push(poll(address)?);
        }
        // A request is held once the server has nothing to read any more: it answers this after.
        publish(address, "first")?;
        let bytes = resident_bytes(pid)?.saturating_sub(before) / round as u64;
        let begun = now();
        publish(address, &format!("of round {round}"))?;
        let mut wrong = 0;
        for held in &mut held {
            wrong += usize::from(!answer(held)?.contains(DATA_ID));
        }
        let last = begun.elapsed();
        println!("{round} polls: {bytes} B each, all answered after {last:?}, {wrong} wrongly");
        publish(address, "first")?;
    }
    Ok(())
}

/// This is what is measured.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

fn post(address: &str, path: &str, header: &str, body: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{header}Content-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

fn publish(address: &str, content: &str) -> Result<()> {
    let body = format!("dataId={DATA_ID}&group={GROUP}&content={}", content.replace(' ', "+"));
    let mut stream = post(address, "/nacos/v1/cs/configs", "", &body)?;
    let answer = answer(&mut stream)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(Error::other(answer)) }
}

/// One that waits: it knows the sum of the first content.
fn poll(address: &str) -> Result<TcpStream> {
    // md5 of "first".
    const MD5: &str = "8b04d5e3775d298e78455efc5ca404d5";
    let body = format!("Listening-Configs={DATA_ID}%02{GROUP}%02{MD5}%01");
    let header = format!("Long-Pulling-Timeout: {HELD_MS}\r\n");
    post(address, "/nacos/v1/cs/configs/listener", &header, &body)
}

/// Head and body of an answer that comes in one piece, as small ones do.
fn answer(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = [0; 2_048];
    let read = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

fn resident_bytes(pid: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1_024).ok_or_else(|| Error::other("no VmRSS"))
}
