//! Bytes: echo, coalescing, slow readers, scarce buffers, memory.

use super::*;

#[test]
fn a_large_message_comes_back_whole() {
    let mut bed = Bed::echo();
    let (stream, socket) = bed.pair();
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut reader, mut writer) = (stream.try_clone().unwrap(), stream);
    let sent = bytes.clone();
    let writing = peer(move || writer.write_all(&sent).map(|()| writer));
    let length = bytes.len();
    let reading = peer(move || {
        let mut back = vec![0; length];
        reader.read_exact(&mut back).map(|()| back)
    });
    bed.until("echoed", |engine, _| engine.sends.counters.sent_bytes == length as u64);
    let _open = writing.join().unwrap().unwrap();
    assert!(reading.join().unwrap().unwrap() == bytes);
    assert!(bed.seen(socket).bytes == bytes);
    assert_eq!(bed.engine.sends().outstanding_bytes(), 0);
}

#[test]
fn what_a_turn_writes_leaves_as_one_send() {
    let mut bed = Bed::small(10);
    let (mut stream, socket) = bed.pair();
    let before = bed.engine.sends().counters().sends;
    for i in 0..1_000_u16 {
        bed.engine.sends().send(socket, &i.to_be_bytes());
    }
    assert_eq!(bed.engine.sends().outstanding_bytes(), 2_000);
    bed.until("sent", |engine, _| engine.sends().outstanding_bytes() == 0);
    assert_eq!(bed.engine.sends().counters().sends - before, 1);
    assert_eq!(bed.seen(socket).backlog, Some(0));
    let mut back = vec![0; 2_000];
    stream.read_exact(&mut back).unwrap();
    let expected: Vec<u8> = (0..1_000_u16).flat_map(u16::to_be_bytes).collect();
    assert_eq!(back, expected);
}

#[test]
fn a_client_that_never_reads_is_disconnected_at_its_bound_and_costs_nothing_after() {
    let config = Config { backlog_bytes_max: 1_000_000, ..Config::default() };
    let mut bed = Bed::new(&config);
    let (mut stream, socket) = bed.pair();
    let (mut other, other_socket) = bed.pair();
    let piece = vec![7; 100_000];
    let mut last = 0;
    bed.until("ended", |engine, _| match engine.sends().send(socket, &piece) {
        Some(backlog) => {
            assert!(backlog <= 1_000_000);
            last = backlog;
            false
        }
        None => true,
    });
    assert!(last > 800_000, "the bound is in bytes: {last}");
    bed.until("told", |_, record| record.seen[&socket].closed.is_some());
    assert_eq!(bed.seen(socket).closed, Some(CloseWhy::BacklogFull));
    bed.until("gone", |engine, _| engine.rings[0].occupied == 1);
    assert_eq!(bed.engine.sends().outstanding_bytes(), 0);
    assert_eq!(bed.engine.sends().counters().closed_backlog_full, 1);
    bed.engine.sends().send(other_socket, b"unharmed");
    bed.until("sent", |engine, _| engine.sends().outstanding_bytes() == 0);
    let mut answer = [0; 8];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"unharmed");
    // A reset, so that the kernel does not keep what the client did not read.
    let ended = stream.read_to_end(&mut Vec::new());
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_slow_reader_is_told_of_and_gets_everything() {
    let mut bed = Bed::small(10);
    let (mut stream, socket) = bed.pair();
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
    bed.engine.sends().send(socket, &bytes);
    // More than the kernel takes at once; the rest waits here, and is known.
    for _ in 0..50 {
        let now = bed.now_ms();
        bed.engine.turn(now, &mut bed.record);
    }
    assert!(bed.engine.sends().backlog(socket) > 0);
    let expected = bytes.clone();
    let reading = peer(move || {
        let mut back = vec![0; expected.len()];
        stream.read_exact(&mut back).map(|()| back == expected)
    });
    bed.until("drained", |engine, _| engine.sends().backlog(socket) == 0);
    assert!(reading.join().unwrap().unwrap());
    assert_eq!(bed.engine.sends().outstanding_bytes(), 0);
}

#[test]
fn without_a_free_buffer_receives_are_armed_again_and_nothing_is_lost() {
    let config = Config { receive_buffers: 4, receive_buffer_bytes: 64, ..Config::default() };
    let mut bed = Bed::new(&config);
    let mut pairs: Vec<_> = (0..50).map(|_| bed.pair()).collect();
    let bytes: Vec<u8> = (0..5_000_u32).map(|i| (i % 241) as u8).collect();
    for (stream, _) in &mut pairs {
        stream.write_all(&bytes).unwrap();
    }
    bed.until("all in", |_, record| {
        record.seen.values().all(|seen| seen.bytes.len() == bytes.len())
    });
    assert!(bed.record.seen.values().all(|seen| seen.bytes == bytes));
    assert!(bed.engine.sends().counters().receive_buffers_short > 0, "the test tests nothing");
}

#[test]
fn quick_acknowledgements_are_taken_by_the_kernel() {
    let mut bed = Bed::small(10);
    bed.record.answer = Some(Box::new(|sends, socket, _| sends.quick_ack(socket)));
    let (mut stream, socket) = bed.pair();
    stream.write_all(b"half a request").unwrap();
    bed.until("heard", |_, record| record.seen[&socket].chunks == 1);
    bed.until("asked", |engine, _| !engine.sends.has_work() && !engine.rings[0].has_work());
    let counters = *bed.engine.sends().counters();
    assert_eq!((counters.quick_acks, counters.quick_acks_refused), (1, 0));
}

/// A peer without TCP_NODELAY holds back its second small write until the first is acknowledged.
#[test]
fn a_quick_acknowledgement_spares_nagle_the_delayed_one() {
    let rounds = 40;
    let mut bed = Bed::small(10);
    bed.record.answer = Some(Box::new(|sends, socket, bytes| {
        if bytes.ends_with(b"b") {
            sends.send(socket, b"!")
        } else {
            sends.quick_ack(socket);
            None
        };
    }));
    let (mut stream, socket) = bed.pair();
    stream.set_nodelay(false).unwrap();
    let client = peer(move || {
        let start = now();
        for _ in 0..rounds {
            stream.write_all(b"a").unwrap();
            stream.write_all(b"b").unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
        }
        (now().duration_since(start), stream)
    });
    bed.until("all answered", |_, record| record.seen[&socket].bytes.len() == 2 * rounds);
    bed.until("all sent", |engine, _| engine.sends().outstanding_bytes() == 0);
    let (took, _stream) = client.join().unwrap();
    // With a delayed acknowledgement each round takes 40 ms: 1,600 ms.
    assert!(took < Duration::from_millis(20 * rounds as u64), "{took:?}");
}

/// A deadline far away is armed once, however many naps come between.
#[test]
fn naps_leave_no_timers_behind() {
    let mut bed = Bed::echo();
    bed.until("one turn", |_, _| true);
    let deadline_ms = bed.now_ms() + 60_000;
    let mut most = 0;
    for _ in 0..100 {
        let now_ms = bed.now_ms();
        bed.engine.prepare_sleep(now_ms, Some(deadline_ms));
        if bed.engine.prepare_nap(now_ms, Some(deadline_ms), now_ms + 1) {
            bed.sleep();
        }
        bed.engine.turn(bed.now_ms(), &mut bed.record);
        most = most.max(bed.engine.rings[0].under_way());
    }
    let accepts = limits::ACCEPTS_IN_FLIGHT;
    assert!(most <= accepts + 4, "{most} requests under way, {accepts} of them accepts");
}
