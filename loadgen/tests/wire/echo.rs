//! The yardstick against servers that count bytes: right, and wrong in each way it must notice.

use nacre_loadgen::probe::Probe;
use nacre_loadgen::report::Report;
use nacre_loadgen::scenario::Target;
use nacre_loadgen::scenario::echo::{self, Plan};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const REQUEST_BYTES: usize = 61;
const ANSWER_BYTES: usize = 205;

/// Requests after which the lying servers begin to lie.
const HONEST_REQUESTS: u64 = 5;

fn plan() -> Plan {
    Plan {
        connections: 3,
        in_flight: 7,
        request_bytes: REQUEST_BYTES,
        answer_bytes: ANSWER_BYTES,
        warmup: Duration::from_millis(20),
        duration: Duration::from_millis(100),
    }
}

/// What a server says to the requests that have become whole; `None` hangs up.
type Answer = fn(requests: u64, answered: u64) -> Option<usize>;

/// A server of one thread a connection, in pieces that respect no boundary; counts requests.
fn serve(answer: Answer) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    let counted = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, counted) = (stream.unwrap(), counted.clone());
            std::thread::spawn(move || talk(stream, answer, &counted));
        }
    });
    (address, requests)
}

fn talk(mut stream: TcpStream, answer: Answer, counted: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let (mut bytes, mut answered, mut chunk) = (0, 0, [0; 1_000]);
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        bytes += read as u64;
        let whole = bytes / REQUEST_BYTES as u64;
        counted.fetch_add(whole - answered, Ordering::Relaxed);
        let Some(len) = answer(whole - answered, answered) else { return };
        answered = whole;
        for piece in vec![1; len].chunks(ANSWER_BYTES - 1) {
            if stream.write_all(piece).is_err() {
                return;
            }
        }
    }
}

fn run(plan: &Plan, address: SocketAddr) -> Report {
    echo::run(plan, &Target::new("bytes", address).watched(Probe::own())).unwrap()
}

#[test]
fn answers_are_counted_by_bytes_and_none_is_left() {
    let (address, requests) = serve(|requests, _| Some(requests as usize * ANSWER_BYTES));
    let report = run(&plan(), address);
    assert!(report.is_clean(), "{}", report.text());
    let measured = report.get("requests_per_s").unwrap() * 0.1;
    // Warm-up and drain are beyond what is measured, and never below it; on a busy machine the
    // measured part may be a bit shorter than asked for.
    let seen = requests.load(Ordering::Relaxed) as f64;
    assert!(measured >= 7.0 && measured <= seen * 1.5, "{measured} {seen}");
    assert!(report.get("server_cpu_us_per_request").unwrap() > 0.0, "{}", report.text());
}

#[test]
fn a_swallowed_answer_is_noticed() {
    let (address, _) = serve(|requests, answered| {
        let lied = (answered..answered + requests).contains(&HONEST_REQUESTS);
        Some((requests as usize - usize::from(lied)) * ANSWER_BYTES)
    });
    let report = run(&Plan { duration: Duration::from_secs(1), ..plan() }, address);
    assert!(report.text().contains("3 requests unanswered"), "{}", report.text());
}

#[test]
fn an_answer_too_long_is_noticed() {
    let (address, _) = serve(|requests, answered| {
        let lie = usize::from(answered > HONEST_REQUESTS) * ANSWER_BYTES * 3;
        Some(requests as usize * ANSWER_BYTES + lie)
    });
    let report = run(&Plan { duration: Duration::from_secs(60), ..plan() }, address);
    let text = report.text();
    assert!(text.contains("connections lost") && text.contains("more bytes"), "{text}");
}

#[test]
fn a_server_that_hangs_up_ends_in_a_report() {
    let (address, _) = serve(|requests, answered| {
        (answered < HONEST_REQUESTS).then_some(requests as usize * ANSWER_BYTES)
    });
    let plan = Plan { duration: Duration::from_secs(60), ..plan() };
    let report = run(&plan, address);
    assert!(report.text().contains("3 connections lost"), "{}", report.text());
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let error = echo::run(&plan(), &Target::new("nobody", address)).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}
