//! Slots: bursts, full tables, several rings, reuse.

use super::*;
use crate::engine::limits::{ACCEPTS_IN_FLIGHT, SPARE_SLOTS_MAX};

#[test]
fn a_burst_of_more_connections_than_accepts_is_taken_with_its_addresses() {
    let mut bed = Bed::small(1_000);
    let streams: Vec<_> = (0..400).map(|_| bed.connect()).collect();
    bed.until("400 accepted", |_, record| record.order.len() == 400);
    let mut seen: Vec<_> = bed.record.seen.values().map(|seen| seen.peer.unwrap()).collect();
    let mut expected: Vec<_> = streams.iter().map(|s| s.local_addr().unwrap()).collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn a_full_table_turns_away_and_has_room_again_when_clients_leave() {
    let mut bed = Bed::small(10);
    let mut held: Vec<_> = (0..10).map(|_| bed.pair().0).collect();
    let mut refused: Vec<_> = (0..100).map(|_| bed.connect()).collect();
    bed.until("100 turned away", |engine, _| engine.sends.counters.turned_away == 100);
    bed.until("their slots free", |engine, _| engine.rings[0].occupied == 10);
    for stream in &mut refused {
        let ended = stream.read(&mut [0; 1]).map_err(|error| error.kind());
        assert!(matches!(ended, Ok(0) | Err(std::io::ErrorKind::ConnectionReset)), "{ended:?}");
    }
    assert_eq!(bed.record.order.len(), 10);
    held.pop();
    bed.until("one left", |_, record| record.live.len() == 9);
    let (mut stream, socket) = bed.pair();
    stream.write_all(b"hello").unwrap();
    bed.until("heard", |_, record| record.seen[&socket].bytes == b"hello");
    assert_eq!(bed.engine.connections(), 10);
}

#[test]
fn rings_are_added_while_they_fill_and_none_is_turned_away() {
    let config = Config { connections_max: 60, ring_slots: Some(64 + 20), ..Config::default() };
    let mut bed = Bed::new(&config);
    assert_eq!(bed.engine.rings.len(), 1);
    let mut pairs: Vec<_> = (0..60).map(|_| bed.pair()).collect();
    assert_eq!(bed.engine.rings.len(), 3);
    assert_eq!(bed.engine.sends.counters.turned_away, 0);
    for (stream, _) in &mut pairs {
        stream.write_all(b"x").unwrap();
    }
    bed.until("all heard", |_, record| record.seen.values().all(|seen| seen.bytes == b"x"));
    let _over = bed.connect();
    bed.until("turned away", |engine, _| engine.sends.counters.turned_away == 1);
    // Room on the first ring, while the accepts are armed elsewhere.
    drop(pairs.remove(0));
    bed.until("left", |_, record| record.live.len() == 59);
    let (mut stream, socket) = bed.pair();
    stream.write_all(b"y").unwrap();
    bed.until("heard", |_, record| record.seen[&socket].bytes == b"y");
}

#[test]
fn clients_that_come_and_go_do_not_spread_over_the_table() {
    let mut bed = Bed::small(20_000);
    let stays = bed.pair();
    let mut highest = 0;
    for _ in 0..60 {
        let crowd: Vec<_> = (0..50).map(|_| bed.pair()).collect();
        highest = crowd.iter().map(|(_, socket)| socket.slot).fold(highest, u32::max);
        drop(crowd);
        bed.until("left", |_, record| record.live.len() == 1);
    }
    assert!(bed.engine.sends.counters.accepted > 3_000);
    let bound = 51 + SPARE_SLOTS_MAX + ACCEPTS_IN_FLIGHT as u32;
    assert!(highest <= bound, "{highest}: of 51 connections, after 3,000");
    drop(stays);
}

#[test]
fn slots_are_reused_and_old_sockets_do_nothing() {
    let mut bed = Bed::small(2);
    let mut old = Vec::new();
    for round in 0..200_u32 {
        let (mut stream, socket) = bed.pair();
        for &former in &old {
            assert_ne!(former, socket);
            assert_eq!(bed.engine.sends().send(former, b"for somebody else"), None);
            bed.engine.sends().close(former, Closing::AtOnce);
            bed.engine.sends().quick_ack(former);
        }
        assert_eq!(bed.engine.sends().send(socket, &round.to_be_bytes()), Some(4));
        bed.until("left", |engine, _| engine.sends.counters.sent_bytes == u64::from(round + 1) * 4);
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_be_bytes(answer), round);
        old.push(socket);
        old = old.split_off(old.len().saturating_sub(3));
        drop(stream);
        bed.until("gone", |_, record| record.live.is_empty());
    }
    assert_eq!(bed.engine.sends.counters.closed, 200);
    assert!(bed.record.order.iter().all(|socket| socket.slot < 66));
}

#[test]
fn both_families_on_the_same_port() {
    let wake = event_fd().unwrap();
    let mut engine = Engine::new(&Config::default(), &wake).unwrap();
    let v4 = engine.listen(&["127.0.0.1:0".parse().unwrap()]).unwrap()[0];
    let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v4.port()));
    assert_eq!(engine.listen(&[v6]).unwrap(), [v6]);
    let mut bed =
        Bed { engine, record: Record::default(), address: v6, wake, start: now(), ahead_ms: 0 };
    let (stream, socket) = bed.pair();
    assert_eq!(bed.seen(socket).peer, Some(stream.local_addr().unwrap()));
    assert!(stream.local_addr().unwrap().is_ipv6());
    bed.address = v4;
    let (stream, socket) = bed.pair();
    assert_eq!(bed.seen(socket).peer, Some(stream.local_addr().unwrap()));
    // A second process of the same user may not slip in between.
    let refused = check_free(v4).unwrap_err().to_string();
    assert!(refused.contains("another process"), "{refused}");
}

#[test]
fn after_stop_accepting_nobody_comes_in_and_those_inside_go_on() {
    let mut bed = Bed::echo();
    let (mut stream, _) = bed.pair();
    bed.engine.stop_accepting();
    bed.until("accepts cancelled", |engine, _| engine.rings[0].seats_taken == 0);
    assert!(TcpStream::connect(bed.address).is_err());
    stream.write_all(b"still here").unwrap();
    bed.until("answered", |engine, _| engine.sends.counters.sent_bytes == 10);
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"still here");
}
