//! A real listener on loopback and a peer that says exactly what it likes.

use super::*;
use crate::http1::reply;
use glommio::{LocalExecutorBuilder, Placement};
use hyper::StatusCode;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as Peer};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What a test wants of the serving core.
enum Order {
    /// Let this many seconds pass for the deadlines.
    Sweep(u16),
    /// Report counters.
    Report,
    Stop,
}

#[derive(Debug, Default, PartialEq)]
struct Report {
    accepted: u64,
    refused: u64,
    requests: u64,
    slow_heads: u64,
    idle_closed: u64,
    broken: u64,
    open: usize,
}

struct Core {
    address: SocketAddr,
    orders: SyncSender<Order>,
    reports: Receiver<Report>,
    thread: Option<glommio::ExecutorJoinHandle<()>>,
}

impl Core {
    fn start() -> Core {
        Core::with_places(limits::CONNECTIONS_MAX)
    }

    fn with_places(places: usize) -> Core {
        let (orders, orders_in) = sync_channel::<Order>(16);
        let (reports_out, reports) = sync_channel(16);
        let (address_out, address) = sync_channel(1);
        let thread = LocalExecutorBuilder::new(Placement::Unbound)
            .spawn(move || async move {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                address_out.send(listener.local_addr().unwrap()).unwrap();
                let server = Server::with_places(places).unwrap();
                let obeyed = obey(server.clone(), orders_in, reports_out);
                server.serve(listener, obeyed, answer).await.unwrap();
                server.close().await;
                assert_eq!(server.connections(), 0);
            })
            .unwrap();
        let address = address.recv().unwrap();
        Core { address, orders, reports, thread: Some(thread) }
    }

    fn peer(&self) -> Peer {
        let peer = Peer::connect(self.address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        peer
    }

    fn report(&self) -> Report {
        self.orders.send(Order::Report).unwrap();
        self.reports.recv().unwrap()
    }

    /// Waits until the core reports what is expected of it.
    fn until(&self, expected: impl Fn(&Report) -> bool) -> Report {
        loop {
            let report = self.report();
            if expected(&report) {
                return report;
            }
        }
    }

    fn sweep(&self, seconds: u16) {
        self.orders.send(Order::Sweep(seconds)).unwrap();
    }

    fn stop(mut self) {
        self.orders.send(Order::Stop).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn obey(server: Server, orders: Receiver<Order>, reports: SyncSender<Report>) {
    loop {
        match orders.try_recv() {
            Ok(Order::Sweep(seconds)) => (0..seconds).for_each(|_| server.watches.sweep()),
            Ok(Order::Report) => {
                let counters = server.counters();
                let report = Report {
                    accepted: counters.accepted.get(),
                    refused: counters.refused.get(),
                    requests: counters.requests.get(),
                    slow_heads: counters.slow_heads.get(),
                    idle_closed: counters.idle_closed.get(),
                    broken: counters.broken.get(),
                    open: server.connections(),
                };
                reports.send(report).unwrap();
            }
            Ok(Order::Stop) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
            Err(std::sync::mpsc::TryRecvError::Empty) => {
                timer::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

async fn answer(_: Ends, request: Request) -> Reply {
    match request.uri().path() {
        "/large" => reply::text(StatusCode::OK, vec![b'x'; 300_000]),
        "/slow" => {
            timer::sleep(Duration::from_millis(300)).await;
            reply::text(StatusCode::OK, "slow")
        }
        "/body" => match crate::http1::body::read(request.into_body(), 10).await {
            Ok(bytes) => reply::text(StatusCode::OK, bytes),
            Err(_) => reply::text(StatusCode::PAYLOAD_TOO_LARGE, "too long"),
        },
        path => reply::text(StatusCode::OK, path.to_owned()),
    }
}

/// Sends, then reads until the server closes.
fn ask(core: &Core, request: &str) -> String {
    let mut peer = core.peer();
    peer.write_all(request.as_bytes()).unwrap();
    rest(&mut peer)
}

fn rest(peer: &mut Peer) -> String {
    let mut text = Vec::new();
    // A reset after the answer is an end as well.
    let _ = peer.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn requests_one_after_the_other_and_pipelined() {
    let core = Core::start();
    let text = ask(
        &core,
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
    assert!(text.contains("\r\n\r\n/a") && text.ends_with("\r\n\r\n/b"), "{text}");
    assert!(text.contains("content-length: 2\r\n"), "{text}");
    assert!(text.contains("x-content-type-options: nosniff\r\n"), "{text}");
    let report = core.until(|report| report.open == 0);
    assert_eq!((report.accepted, report.requests, report.broken), (1, 2, 0));
    core.stop();
}

#[test]
fn head_has_the_length_and_no_body() {
    let core = Core::start();
    let text = ask(&core, "HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(text.contains("content-length: 4\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    core.stop();
}

#[test]
fn a_long_head_is_read_and_one_too_long_is_refused() {
    let core = Core::start();
    let long = |bytes: usize| {
        let filler = "y".repeat(bytes);
        format!("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {filler}\r\n\r\n")
    };
    let text = ask(&core, &long(400 * 1024));
    assert!(text.starts_with("HTTP/1.1 200"), "{}", &text[..text.len().min(200)]);
    let mut peer = core.peer();
    let _ = peer.write_all(long(600 * 1024).as_bytes());
    let text = rest(&mut peer);
    // Data unread at close may turn the answer into a reset; served it must not be.
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    assert_eq!(core.until(|report| report.open == 0).requests, 1);
    core.stop();
}

#[test]
fn a_head_that_never_ends_loses_its_place() {
    let core = Core::start();
    let mut slow = core.peer();
    slow.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    core.until(|report| report.open == 1);
    core.sweep(limits::HEAD_SECONDS);
    slow.write_all(b"s").unwrap();
    assert_eq!(core.report().open, 1);
    core.sweep(1);
    assert_eq!(rest(&mut slow), "");
    let report = core.until(|report| report.open == 0);
    assert_eq!(report.slow_heads, 1);
    core.stop();
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let core = Core::start();
    let mut peer = core.peer();
    let mut page = [0u8; 4096];
    for _ in 0..3 {
        peer.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(peer.read(&mut page).unwrap() > 0);
        core.sweep(limits::IDLE_SECONDS);
        assert_eq!(core.report().open, 1);
    }
    core.sweep(1);
    assert_eq!(rest(&mut peer), "");
    assert_eq!(core.until(|report| report.open == 0).idle_closed, 1);
    core.stop();
}

#[test]
fn what_is_not_http_is_refused_and_counted() {
    let core = Core::start();
    for bytes in
        [&b"\x16\x03\x01\x02\x00"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\r\n\r\n"]
    {
        let mut peer = core.peer();
        peer.write_all(bytes).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let text = rest(&mut peer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    }
    assert_eq!(core.until(|report| report.open == 0).broken, 3);
    core.stop();
}

#[test]
fn bodies_are_bounded() {
    let core = Core::start();
    let post = |body: &str| {
        let length = body.len();
        ask(
            &core,
            &format!(
                "POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\
                 \r\n\r\n{body}"
            ),
        )
    };
    assert!(post("0123456789").ends_with("0123456789"));
    assert!(post("0123456789a").starts_with("HTTP/1.1 413"));
    core.stop();
}

#[test]
fn a_large_answer_arrives_whole() {
    let core = Core::start();
    let text = ask(&core, "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(
        text.matches('x').count() - text.split("\r\n\r\n").next().unwrap().matches('x').count(),
        300_000
    );
    core.stop();
}

#[test]
fn places_are_bounded() {
    const PLACES: usize = 64;
    let core = Core::with_places(PLACES);
    let held: Vec<_> = (0..PLACES).map(|_| core.peer()).collect();
    core.until(|report| report.open == PLACES);
    assert_eq!(rest(&mut core.peer()), "");
    let report = core.until(|report| report.refused == 1);
    assert_eq!(report.accepted, PLACES as u64);
    drop(held);
    core.until(|report| report.open == 0);
    assert!(ask(&core, "GET /a HTTP/1.0\r\n\r\n").ends_with("/a"));
    core.stop();
}

#[test]
fn a_stop_lets_answers_finish_and_closes_idle_ones() {
    let core = Core::start();
    let mut idle = core.peer();
    idle.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = [0u8; 4096];
    assert!(idle.read(&mut page).unwrap() > 0);
    let mut busy = core.peer();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    core.until(|report| report.requests == 2);
    let address = core.address;
    core.stop();
    assert!(rest(&mut busy).ends_with("slow"));
    assert_eq!(rest(&mut idle), "");
    assert!(Peer::connect(address).is_err());
}
