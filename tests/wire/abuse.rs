//! HTTP/2 attacks of one connection (`field-notes.md` 2b, but TLS stall and reconnect storm): the
//! attacker is told or closed within a second, memory stays, a counter names the reason, and honest
//! clients are served meanwhile.
//!
//! How many frames each class bears is tested in `tests/http2/abuse.rs`; here is the whole process.

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{Client, ClientError, instance};
use nacre_loadgen::envelope;
use nacre_loadgen::http2::frame::{self, flag, kind, setting};
use nacre_loadgen::raw::{RawError, RawPeer, header_block, unary_frames};
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// From the first hostile frame to the end of the connection.
const REACTION_MAX: Duration = Duration::from_secs(1);
/// Attacks before memory is looked at: they touch each core's receive buffers, which exist once.
const WARM_ATTACKS: usize = 4;
/// How often a reaction is measured before a busy machine is no excuse any more.
const ATTACKS: usize = 4;
/// Resident memory the attacks after those may cost together: the allocator alone makes 1 MiB of
/// difference on a busy machine.
const GROWTH_BYTES_MAX: u64 = 2 << 20;
/// From a closed window to the end of the connection, 30 s by its limit; and how often such a
/// client shows life meanwhile.
const DROPPED_MAX: Duration = Duration::from_secs(45);
const LIFE_SIGN: Duration = Duration::from_millis(500);
/// Frames written in one system call.
const CHUNK_FRAMES: u32 = 200;
/// Frames after which an attacker gives up and the test fails.
const FRAMES_MAX: u32 = 2_000_000;

fn closed_by(reason: &str) -> String {
    format!("nacre_http2_closed_total{{reason=\"{reason}\"}}")
}

/// Runs one class of attack: `opening` once, then frames of `flood` until the server ends it.
fn attack(reasons: &[&str], opening: &[u8], flood: impl Fn(u32) -> Vec<u8>) {
    let server = Server::start();
    let honest = Honest::start(&server);
    let alone = honest.p99_until(Duration::from_millis(500));
    let attack = |_| end_of(&server, opening, &flood);
    let mut after: Vec<_> = (0..WARM_ATTACKS).map(attack).collect();
    let before = server.rss_bytes();
    after.extend((0..ATTACKS).map(attack));
    let growth = server.rss_bytes().saturating_sub(before);
    let attacked = honest.p99_until(Duration::ZERO);
    println!("{reasons:?}: ended after {after:?}, {growth} bytes; p99 {alone:?} -> {attacked:?}");
    assert!(after.iter().min().unwrap() <= &REACTION_MAX, "{after:?}");
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes");
    until("the counter names the reason", || {
        reasons.iter().map(|reason| metric(&server, &closed_by(reason))).sum::<f64>()
            >= (WARM_ATTACKS + ATTACKS) as f64
    });
}

/// Attacks on a connection of its own; how long the server bore it.
fn end_of(server: &Server, opening: &[u8], flood: &impl Fn(u32) -> Vec<u8>) -> Duration {
    let mut peer = RawPeer::greeted(server.grpc_address(), WAIT).unwrap();
    peer.socket().set_write_timeout(Some(WAIT)).unwrap();
    let began = Instant::now();
    let mut sent = peer.send(opening);
    let mut number = 0;
    while sent.is_ok() && number < FRAMES_MAX && !has_ended(&mut peer) {
        let chunk: Vec<u8> = (number..number + CHUNK_FRAMES).flat_map(flood).collect();
        number += CHUNK_FRAMES;
        sent = peer.send(&chunk);
    }
    assert!(number < FRAMES_MAX, "the server bears it for ever");
    let after = began.elapsed();
    peer.expect_close(WAIT).unwrap();
    after
}

/// Whether GOAWAY or the end of the connection has arrived; does not wait.
fn has_ended(peer: &mut RawPeer) -> bool {
    loop {
        match peer.next_frame(Duration::from_micros(1)) {
            Ok(frame) if frame.is(kind::GOAWAY, 0) => return true,
            Ok(_) => {}
            Err(RawError::Timeout) => return false,
            Err(_) => return true,
        }
    }
}

/// An honest client that calls all the time.
struct Honest {
    over: Arc<AtomicBool>,
    latencies: std::sync::mpsc::Receiver<Duration>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Honest {
    fn start(server: &Server) -> Self {
        let client = client(server);
        let over = Arc::new(AtomicBool::new(false));
        let (sender, latencies) = std::sync::mpsc::channel();
        let stop = over.clone();
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.health_check().expect("honest clients are served");
                let _ = sender.send(began.elapsed());
            }
        });
        Self { over, latencies, thread: Some(thread) }
    }

    /// The 99th percentile of what was measured since the last look, looking `longer` from now.
    fn p99_until(&self, longer: Duration) -> Duration {
        let deadline = Instant::now() + longer;
        let mut all = vec![self.latencies.recv_timeout(WAIT).expect("it goes on")];
        while Instant::now() < deadline {
            all.extend(self.latencies.recv_timeout(WAIT));
        }
        all.extend(self.latencies.try_iter());
        all.sort_unstable();
        all[(all.len() * 99 / 100).min(all.len() - 1)]
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let served = self.thread.take().expect("joined once").join();
        assert!(served.is_ok() || std::thread::panicking(), "honest clients are served");
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_frame(kind, flags, stream, payload, &mut out);
    out
}

/// HEADERS of a call, its stream left open.
fn call_open(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS, stream, &header_block("/Request/request"))
}

fn stream_of(number: u32) -> u32 {
    2 * number + 1
}

#[test]
fn rapid_reset() {
    attack(&["reset_flood"], &[], |number| {
        let stream = stream_of(number);
        [call_open(stream), frame(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    });
}

#[test]
fn made_you_reset_by_zero_window_update() {
    attack(&["provoked_resets"], &[], |number| {
        let stream = stream_of(number);
        [call_open(stream), frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    });
}

#[test]
fn made_you_reset_by_window_overflow() {
    attack(&["provoked_resets"], &[], |number| {
        let stream = stream_of(number);
        let most = 0x7fff_ffffu32.to_be_bytes();
        [call_open(stream), frame(kind::WINDOW_UPDATE, 0, stream, &most)].concat()
    });
}

#[test]
fn made_you_reset_by_data_after_the_end() {
    // Each also starts a call: the calls must not go on once their streams are reset.
    attack(&["provoked_resets", "stream_closed"], &[], |number| {
        let stream = stream_of(number);
        let call = unary_frames(stream, "ServerCheckRequest", b"{}");
        [call, frame(kind::DATA, 0, stream, b"more")].concat()
    });
}

#[test]
fn made_you_reset_by_bad_priority() {
    attack(&["provoked_resets", "frame_size_error"], &[], |number| {
        let stream = stream_of(number);
        [call_open(stream), frame(kind::PRIORITY, 0, stream, &[0; 4])].concat()
    });
}

#[test]
fn endless_continuation() {
    let opening = frame(kind::HEADERS, 0, 1, b"");
    attack(&["continuation_flood"], &opening, |_| frame(kind::CONTINUATION, 0, 1, b""));
}

#[test]
fn endless_continuation_of_full_frames() {
    let opening = frame(kind::HEADERS, 0, 1, &[0x82; 16_000]);
    let more = [0x82; 16_000];
    attack(&["header_block_too_large"], &opening, |_| frame(kind::CONTINUATION, 0, 1, &more));
}

#[test]
fn an_hpack_bomb() {
    // A 4,000 byte value into the dynamic table, then one byte for each repetition.
    let mut block = header_block("/Request/request");
    block.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    block.extend([b'a'; 4_000]);
    block.extend([0xbe; 4_000]);
    attack(&["header_bomb"], &[], |number| {
        frame(kind::HEADERS, flag::END_HEADERS, stream_of(number), &block)
    });
}

#[test]
fn a_storm_of_table_size_updates() {
    let block = [0x20; 1_000];
    attack(&["compression_error"], &[], |number| {
        frame(kind::HEADERS, flag::END_HEADERS, stream_of(number), &block)
    });
}

#[test]
fn a_settings_flood() {
    attack(&["control_flood"], &[], |_| frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]));
}

#[test]
fn a_ping_flood() {
    attack(&["control_flood"], &[], |number| {
        frame(kind::PING, 0, 0, &u64::from(number).to_be_bytes())
    });
}

#[test]
fn a_priority_flood() {
    attack(&["idle_frame_flood"], &[], |_| frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 5, 9]));
}

#[test]
fn a_window_update_flood() {
    attack(&["idle_frame_flood"], &[], |_| frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]));
}

#[test]
fn an_empty_data_flood() {
    attack(&["empty_data_flood"], &call_open(1), |_| frame(kind::DATA, 0, 1, b""));
}

#[test]
fn a_subscriber_with_a_closed_window_costs_little_and_is_dropped() {
    let server = Server::start();
    let (publisher, healthy) = (client(&server), client(&server));
    let service = service("window");
    let mut peer = RawPeer::connect(server.grpc_address()).unwrap();
    peer.greet(&[(setting::INITIAL_WINDOW_SIZE, 0)]).unwrap();
    peer.send_frame(kind::SETTINGS, flag::ACK, 0, &[]).unwrap();
    peer.send_setup(1, br#"{"labels":{"module":"naming"}}"#).unwrap();
    let body = br#"{"serviceName":"window","groupName":"DEFAULT_GROUP","subscribe":true}"#;
    peer.send_unary(3, "SubscribeServiceRequest", body).unwrap();
    healthy.subscribe(&service, "").unwrap();
    until_metric(&server, r#"nacos_naming_subscriber{version="v2"}"#, 2.0);
    let padding = "x".repeat(900);
    let change = |number: u16| {
        publisher.register(&service, &instance("10.0.0.1", number, &[("p", &padding)])).unwrap();
    };
    (1..200).for_each(change);
    let before = server.rss_bytes();
    (200..1_200).for_each(change);
    healthy.wait_service(WAIT, |info| port_of(info) == 1_199).unwrap();
    let growth = server.rss_bytes().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes");
    // It shows life all the time, so only the output held back tells: no progress for 30 s.
    let deadline = Instant::now() + DROPPED_MAX;
    let mut stream = 5;
    while !has_ended(&mut peer) {
        assert!(Instant::now() < deadline, "it is dropped");
        let _ = peer.send_unary(stream, "HealthCheckRequest", b"{}");
        stream += 2;
        std::thread::sleep(LIFE_SIGN); // The attacker's own pace.
    }
    until_metric(&server, &closed_by("too_slow"), 1.0);
    healthy.health_check().unwrap();
}

#[test]
fn half_open_sockets_stop_nobody_and_are_closed_after_five_seconds() {
    const SOCKETS: usize = 1_000;
    let server = Server::start();
    let silent: Vec<TcpStream> =
        (0..SOCKETS).map(|_| TcpStream::connect(server.grpc_address()).unwrap()).collect();
    let began = Instant::now();
    let honest = client(&server);
    honest.health_check().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for mut socket in silent {
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        // What came is the server's SETTINGS and a GOAWAY.
        assert!(answer.windows(4).any(|part| part == [0, 0, 8, kind::GOAWAY]) || answer.len() > 9);
    }
    until_metric(&server, &closed_by("preface_timeout"), SOCKETS as f64);
    honest.health_check().unwrap();
}

#[test]
fn bytes_that_are_no_http2_are_closed_at_once() {
    let server = Server::start();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut peer = RawPeer::connect(server.grpc_address()).unwrap();
        peer.send(bytes).unwrap();
        peer.expect_close(WAIT).unwrap();
    }
    until_metric(&server, &closed_by("bad_preface"), 2.0);
}

#[test]
fn grpc_messages_that_lie_fail_alone() {
    let server = Server::start();
    let client = client(&server);
    let mut bytes = Vec::new();
    envelope::encode_message("HealthCheckRequest", "", &[], b"{}", &mut bytes);
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        client.call_bytes("/Request/request", bytes)
    };
    let status = |result: Result<_, ClientError>| match result {
        Err(ClientError::Grpc { status, .. }) => status,
        other => panic!("{other:?}"),
    };
    let before = server.rss_bytes();
    assert_eq!(status(with(|bytes| bytes[1..5].fill(0xff))), 8, "a length of 4 GiB");
    assert_eq!(status(with(|bytes| bytes[0] = 1)), 13, "compressed without saying how");
    assert_eq!(status(with(|bytes| bytes[0] = 7)), 13, "a flag that does not exist");
    assert_eq!(status(with(|bytes| bytes.extend([0; 5]))), 13, "a second message");
    assert_eq!(status(with(|bytes| bytes.truncate(4))), 13, "an unfinished prefix");
    assert_eq!(status(with(|bytes| bytes.truncate(12))), 13, "an unfinished message");
    assert_eq!(status(with(|bytes| bytes[9] = 0xff)), 13, "a type that is no UTF-8");
    assert!(server.rss_bytes().saturating_sub(before) < GROWTH_BYTES_MAX);
    client.health_check().unwrap();
}

#[test]
fn megabytes_of_metadata_headers_fail_alone() {
    let server = Server::start();
    let client = client(&server);
    let value = "v".repeat(1_000);
    let few: Vec<(&str, &str)> = vec![("k", &value); 200];
    let answer = client.call_raw("HealthCheckRequest", b"{}", &few).unwrap();
    assert_eq!(outcome(&answer), wanted("HealthCheckResponse", 200, 0, ""));
    let many: Vec<(&str, &str)> = vec![("k", &value); 9_000];
    let error = client.call_raw("HealthCheckRequest", b"{}", &many).unwrap_err();
    assert!(matches!(error, ClientError::Grpc { status: 13, .. }), "{error}");
    client.health_check().unwrap();
}

#[test]
fn one_connection_that_pipelines_does_not_starve_others() {
    const CALLS: u32 = 20_000;
    const PIPELINED: u32 = 120;
    let server = Server::start_with(&["--cores", "0"]);
    let honest = client(&server);
    honest.health_check().unwrap();
    let address = server.grpc_address();
    let greedy = std::thread::spawn(move || {
        let mut peer = RawPeer::connect(address).unwrap();
        peer.greet(&[(setting::INITIAL_WINDOW_SIZE, 1 << 30)]).unwrap();
        let mut window = Vec::new();
        frame::put_window_update(0, (1 << 30) - 1, &mut window);
        peer.send(&window).unwrap();
        peer.send_frame(kind::SETTINGS, flag::ACK, 0, &[]).unwrap();
        let calls = |from: u32| {
            let one = |number| unary_frames(stream_of(number), "ServerCheckRequest", b"{}");
            (from..from + PIPELINED).flat_map(one).collect::<Vec<u8>>()
        };
        // Always one chunk under way while the next is written, within the bound on streams.
        let mut answered = 0;
        for from in (0..CALLS).step_by(PIPELINED as usize) {
            peer.send(&calls(from)).unwrap();
            while answered < from {
                answered += u32::from(ends(&peer.next_frame(WAIT).unwrap()));
            }
        }
        while answered < CALLS {
            answered += u32::from(ends(&peer.next_frame(WAIT).unwrap()));
        }
    });
    let mut all = Vec::new();
    while !greedy.is_finished() {
        let began = Instant::now();
        honest.health_check().unwrap();
        all.push(began.elapsed());
    }
    greedy.join().expect("the greedy one is answered as well");
    let worst = all.iter().max().unwrap();
    println!("{} calls beside {CALLS} pipelined ones, the slowest {worst:?}", all.len());
    assert!(*worst < Duration::from_secs(3), "{worst:?}");
}

fn ends(frame: &nacre_loadgen::raw::Frame) -> bool {
    frame.head.kind == kind::HEADERS && frame.head.has(flag::END_STREAM)
}

#[test]
fn a_client_that_never_reads_is_bounded() {
    let server = Server::start();
    let publisher = client(&server);
    let stuck: Vec<Client> = (0..20).map(|_| client(&server)).collect();
    let paused = Instant::now();
    let service = service("stuck");
    for client in &stuck {
        client.subscribe(&service, "").unwrap();
        client.pause_reading();
    }
    let padding = "x".repeat(900);
    let change = |number: u16| {
        publisher.register(&service, &instance("10.0.0.1", number, &[("p", &padding)])).unwrap();
    };
    (1..300).for_each(change);
    let before = server.rss_bytes();
    (300..1_500).for_each(change);
    let growth = server.rss_bytes().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes for {} stuck clients", stuck.len());
    for client in &stuck {
        final_state_or_ejected(client, paused, 1_499);
    }
}

/// The port of the only instance; 0 before there is one.
fn port_of(info: &nacre_proto::client::ServiceInfo) -> i64 {
    info.hosts.first().map_or(0, |host| host.port)
}
