//! Probes of real sockets on loopback, and peers that do exactly what they like.

use super::*;
use crate::engine::event_fd;
use futures_lite::future;
use glommio::{LocalExecutorBuilder, Placement};
use nacre_shards::health::probe::Probe;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;

/// Runs on an executor of its own.
fn run<F: std::future::Future<Output = T> + 'static, T: Send + 'static>(
    work: impl FnOnce() -> F + Send + 'static,
) -> T {
    LocalExecutorBuilder::new(Placement::Unbound).spawn(work).unwrap().join().unwrap()
}

fn ask(to: SocketAddr, probe: Probe) -> Outcome {
    run(move || async move { peer::ask(to, &probe).await })
}

fn get() -> Probe {
    Probe::get("/up", "").unwrap()
}

/// A peer that serves one connection as the script says, once its request was read. It ends when
/// told so, or when the other side went.
#[allow(clippy::disallowed_methods)]
fn peer(script: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => request.push(byte[0]),
                _ => break,
            }
        }
        script(stream);
    });
    address
}

/// Answers at once with these bytes, and closes.
fn says(answer: &'static [u8]) -> SocketAddr {
    peer(move |mut stream| {
        let _ = stream.write_all(answer);
    })
}

/// No child of another test inherits it.
fn stream_socket() -> rustix::fd::OwnedFd {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

/// Nobody listens there: the port was free a moment ago, and stays ours, bound and not listening.
fn closed() -> (SocketAddr, rustix::fd::OwnedFd) {
    use rustix::net::{bind, getsockname};
    let held = stream_socket();
    bind(&held, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = SocketAddr::try_from(getsockname(&held).unwrap()).unwrap();
    (address, held)
}

#[test]
fn a_connection_is_enough_and_none_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(ask(listener.local_addr().unwrap(), Probe::Connect), Outcome::Passed);
    let listener = TcpListener::bind("[::1]:0").unwrap();
    assert_eq!(ask(listener.local_addr().unwrap(), Probe::Connect), Outcome::Passed);
    let (address, _held) = closed();
    assert_eq!(ask(address, Probe::Connect), Outcome::Refused);
    assert_eq!(ask(address, get()), Outcome::Refused);
}

#[test]
fn codes_are_judged_as_the_reference_judges_them() {
    let table: &[(&'static [u8], Outcome)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Outcome::Passed),
        (b"HTTP/1.0 200\r\n\r\n", Outcome::Passed),
        (b"HTTP/1.1 503 Busy\r\n\r\n", Outcome::Busy),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", Outcome::Busy),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", Outcome::Wrong),
        (b"HTTP/1.1 204 Empty\r\n\r\n", Outcome::Wrong),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", Outcome::Wrong),
        (b"HTTP/1.1 500 Oops\r\n\r\n", Outcome::Wrong),
        (b"HTTP/2 200 OK\r\n\r\n", Outcome::Broken),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Outcome::Broken),
        (b"\x15\x03\x01\x00\x02\x02\x50", Outcome::Broken),
        (b"HTTP/1.1 200", Outcome::Broken),
        (b"", Outcome::Broken),
    ];
    for (answer, outcome) in table {
        let shown = String::from_utf8_lossy(answer);
        assert_eq!(ask(says(answer), get()), *outcome, "{shown}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap();
    let moved = peer(move |mut stream| {
        let text = format!("HTTP/1.1 302 Found\r\nLocation: http://{to}/\r\n\r\n");
        let _ = stream.write_all(text.as_bytes());
    });
    assert_eq!(ask(moved, get()), Outcome::Busy);
    target.set_nonblocking(true).unwrap();
    assert!(target.accept().is_err(), "somebody came");
}

#[test]
fn who_hangs_or_drips_runs_out_of_time() {
    // Holds until the probe has gone.
    let hangs = peer(|mut stream| {
        let _ = stream.read(&mut [0]);
    });
    assert_eq!(ask(hangs, get()), Outcome::TimedOut);
    // A byte at a time, never the whole line, as long as somebody reads.
    let drips = peer(|mut stream| {
        let (tell, told) = sync_channel::<()>(1);
        let step = std::time::Duration::from_millis(60);
        for byte in b"HTTP/1.1 200 OK" {
            let _ = told.recv_timeout(step);
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
        }
        drop(tell);
    });
    assert_eq!(ask(drips, get()), Outcome::TimedOut);
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let endless = peer(|mut stream| {
        let mut written = 0;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4_096]).is_ok() {
            written += 4_096;
        }
        assert!(written < 64 * 1024 * 1024);
    });
    assert_eq!(ask(endless, get()), Outcome::Passed);
}

#[test]
fn a_full_backlog_is_no_connection_in_time() {
    // A listener whose queue is full drops what comes, as a host that is gone would.
    use rustix::net::{bind, getsockname, listen};
    let listener = stream_socket();
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let _first = TcpStream::connect(address).unwrap();
    assert_eq!(ask(address, Probe::Connect), Outcome::TimedOut);
}

#[test]
fn errors_of_this_node_blame_nobody() {
    use rustix::io::Errno;
    let table = [
        (Errno::MFILE, Outcome::Unable),
        (Errno::NFILE, Outcome::Unable),
        (Errno::ADDRNOTAVAIL, Outcome::Unable),
        (Errno::NOBUFS, Outcome::Unable),
        (Errno::CONNREFUSED, Outcome::Refused),
        (Errno::TIMEDOUT, Outcome::TimedOut),
        (Errno::HOSTUNREACH, Outcome::Broken),
        (Errno::CONNRESET, Outcome::Broken),
    ];
    for (error, outcome) in table {
        assert_eq!(peer::of_error(error.into()), outcome, "{error:?}");
    }
}

/// Many at once, through the prober: each is answered once, and the bell rings.
#[test]
fn every_probe_has_one_outcome() {
    const PROBES: usize = 200;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap();
    let (shut, _held) = closed();
    let outcomes = run(move || async move {
        let prober = Prober::new(Arc::new(Bell::new(event_fd().unwrap())));
        for slot in 0..PROBES as u32 {
            let ticket = Ticket { slot, generation: 1 };
            let to = if slot % 2 == 0 { open } else { shut };
            prober.start(Check { ticket, to, probe: Probe::Connect });
        }
        let mut outcomes = Vec::new();
        while outcomes.len() < PROBES {
            match prober.take() {
                Some((ticket, outcome)) => outcomes.push((ticket, outcome)),
                None => glommio::timer::sleep(std::time::Duration::from_millis(1)).await,
            }
        }
        future::yield_now().await;
        assert!(prober.is_quiet());
        outcomes
    });
    let passed = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).count();
    let refused = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Refused).count();
    assert_eq!((passed, refused), (PROBES / 2, PROBES / 2));
}
