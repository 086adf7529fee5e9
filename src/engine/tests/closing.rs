//! Ends: EOF, reset, requests of ours, peers that do not answer them, and dropping everything.

use super::*;
use std::net::Shutdown;
use std::os::fd::AsRawFd;

fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let bytes = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: a linger of the length given, alive through the call.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            bytes,
        )
    };
    assert_eq!(result, 0);
}

#[test]
fn bytes_before_the_end_are_delivered_and_answered() {
    let mut bed = Bed::echo();
    let mut clients = Vec::new();
    for size in [1, 4_096, 4_097, 100_000] {
        let (mut stream, socket) = bed.pair();
        let bytes = vec![size as u8; size];
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        clients.push((stream, socket, bytes));
    }
    bed.until("all ended", |_, record| record.live.is_empty());
    bed.until("all slots free", |engine, _| engine.rings[0].occupied == 0);
    for (mut stream, socket, bytes) in clients {
        assert_eq!(bed.seen(socket).closed, Some(CloseWhy::PeerClosed));
        assert!(bed.seen(socket).bytes == bytes);
        // What was queued when the end came still leaves, and then our FIN.
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }
}

#[test]
fn a_reset_is_named() {
    let mut bed = Bed::small(10);
    let (stream, socket) = bed.pair();
    reset(stream);
    bed.until("ended", |_, record| record.seen[&socket].closed.is_some());
    assert_eq!(bed.seen(socket).closed, Some(CloseWhy::Reset));
    bed.until("free", |engine, _| engine.rings[0].occupied == 0);
}

#[test]
fn a_reset_while_a_send_is_under_way_ends_once() {
    let mut bed = Bed::small(100);
    for _ in 0..50 {
        let (stream, socket) = bed.pair();
        bed.engine.sends().send(socket, &vec![1; 6_000_000]);
        bed.until("under way", |engine, _| engine.sends.table.get(socket).unwrap().sending);
        reset(stream);
        bed.until("ended", |_, record| record.seen[&socket].closed.is_some());
        // The kernel tells a reset once, to the send or to the receive; if to the send, the receive
        // sees an end.
        let why = bed.seen(socket).closed;
        assert!(matches!(why, Some(CloseWhy::Reset | CloseWhy::PeerClosed)), "{why:?}");
    }
    bed.until("all free", |engine, _| engine.rings[0].occupied == 0);
    assert_eq!(bed.engine.sends().outstanding_bytes(), 0);
}

#[test]
fn a_polite_close_lets_the_last_answer_be_read() {
    let mut bed = Bed::small(10);
    bed.record.answer = Some(Box::new(|sends, socket, _| {
        sends.send(socket, &[9; 500_000]);
        sends.close(socket, Closing::AfterQueued);
        assert_eq!(sends.send(socket, b"too late"), None);
    }));
    let (mut stream, socket) = bed.pair();
    stream.write_all(b"first").unwrap();
    bed.until("told", |_, record| record.seen[&socket].closed.is_some());
    assert_eq!(bed.seen(socket).closed, Some(CloseWhy::Requested));
    // Bytes that arrive after the close do not tear the answer up with a reset.
    stream.write_all(&[1; 10_000]).unwrap();
    let client = peer(move || {
        let mut back = Vec::new();
        stream.read_to_end(&mut back).map(|_| back)
    });
    bed.until("free", |engine, _| engine.rings[0].occupied == 0);
    assert!(client.join().unwrap().unwrap() == [9; 500_000]);
    assert_eq!(bed.seen(socket).bytes, b"first");
    assert_eq!(bed.engine.sends().counters().linger_timeouts, 0);
}

#[test]
fn a_peer_that_ignores_a_polite_close_is_cut_off_in_time() {
    let mut bed = Bed::small(10);
    // One reads but never closes; one does not even read.
    let (stream, socket) = bed.pair();
    let (_deaf, deaf_socket) = bed.pair();
    bed.engine.sends().send(deaf_socket, &vec![1; 10_000_000]);
    bed.until("under way", |engine, _| engine.sends.table.get(deaf_socket).unwrap().sending);
    bed.engine.sends().close(socket, Closing::AfterQueued);
    bed.engine.sends().close(deaf_socket, Closing::AfterQueued);
    bed.until("told", |_, record| record.live.is_empty());
    let read = (&stream).read(&mut [0; 1]).unwrap();
    assert_eq!(read, 0, "FIN came");
    assert_eq!(bed.occupied(), 2, "but theirs is awaited");
    bed.ahead_ms += limits::LINGER_MS;
    bed.until("cut off", |engine, _| engine.rings[0].occupied == 0);
    assert_eq!(bed.engine.sends().counters().linger_timeouts, 2);
    assert_eq!(bed.engine.sends().outstanding_bytes(), 0);
}

#[test]
fn the_linger_timer_wakes_a_sleeping_core() {
    let mut bed = Bed::small(10);
    let (_stream, socket) = bed.pair();
    bed.engine.sends().close(socket, Closing::AfterQueued);
    bed.until("told", |_, record| record.live.is_empty());
    // Nothing else happens: only the timer can end this sleep.
    let start = now();
    let asleep = loop {
        let now_ms = bed.now_ms();
        let events = bed.engine.turn(now_ms, &mut bed.record);
        if events == 0 && bed.engine.prepare_sleep(now_ms, None) {
            break now();
        }
    };
    let woken = wait_readable(&bed.wake, Some(Duration::from_secs(10)));
    assert!(woken, "slept from {asleep:?} on");
    assert!(now().duration_since(start) < Duration::from_millis(limits::LINGER_MS + 1_000));
    bed.until("free", |engine, _| engine.rings[0].occupied == 0);
}

#[test]
fn an_immediate_close_tells_once_and_frees_the_slot() {
    let mut bed = Bed::echo();
    for _ in 0..20 {
        let (mut stream, socket) = bed.pair();
        bed.engine.sends().close(socket, Closing::AtOnce);
        bed.engine.sends().close(socket, Closing::AfterQueued);
        bed.until("told", |_, record| record.seen[&socket].closed.is_some());
        assert_eq!(bed.seen(socket).closed, Some(CloseWhy::Requested));
        bed.until("free", |engine, _| engine.rings[0].occupied == 0);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn an_engine_can_be_dropped_with_everything_under_way() {
    let mut bed = Bed::echo();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let (mut stream, socket) = bed.pair();
        bed.engine.sends().send(socket, &vec![3; 10_000_000]);
        stream.write_all(&[1; 1_000]).unwrap();
        streams.push(stream);
    }
    for _ in 0..5 {
        let now = bed.now_ms();
        bed.engine.turn(now, &mut bed.record);
    }
    assert!(bed.engine.sends().outstanding_bytes() > 0);
    assert!(bed.engine.rings.iter_mut().all(Ring::quiesce), "the kernel let go of everything");
    drop(bed);
    for mut stream in streams {
        // The process lives, so it must be the engine's drop that ends the connections.
        while matches!(stream.read(&mut [0; 65_536]), Ok(1..)) {}
    }
}
