use super::*;
use crate::engine::event_fd;
use std::io::Read;
use std::time::{Duration, Instant};

const SIZES: LaneSizes = LaneSizes { asks_max: 4, tells_max: 6 };

fn mesh(cores: usize, sizes: LaneSizes) -> Vec<Port<u32, u64>> {
    let bells: Vec<_> = (0..cores).map(|_| Arc::new(Bell::new(event_fd().unwrap()))).collect();
    ports(&bells, sizes)
}

fn drained(port: &mut Port<u32, u64>, budget: usize) -> Vec<(u16, Letter<u32, u64>)> {
    let mut letters = Vec::new();
    port.drain(budget, |from, letter| letters.push((from.0, letter)));
    letters
}

#[test]
fn each_pair_has_its_own_lanes_and_keeps_order() {
    let mut ports = mesh(3, SIZES);
    for (from, port) in ports.iter_mut().enumerate() {
        for to in (0..3_u16).filter(|&to| usize::from(to) != from) {
            port.send_ask(Core(to), 10 * from as u32 + u32::from(to)).unwrap();
            port.send_tell(Core(to), 1_000 + from as u64).unwrap();
            port.send_tell(Core(to), 2_000 + from as u64).unwrap();
        }
    }
    for (to, port) in ports.iter_mut().enumerate() {
        let letters = drained(port, 100);
        for from in (0..3_u16).filter(|&from| usize::from(from) != to) {
            let theirs: Vec<_> =
                letters.iter().filter(|(f, _)| *f == from).map(|(_, letter)| letter).collect();
            let from = u64::from(from);
            let expected = [
                Letter::Tell(1_000 + from),
                Letter::Tell(2_000 + from),
                Letter::Ask(10 * from as u32 + to as u32),
            ];
            assert_eq!(theirs, expected.iter().collect::<Vec<_>>());
        }
        assert!(port.is_quiet());
    }
}

#[test]
fn a_full_lane_hands_the_message_back_and_leaves_the_other_open() {
    let mut ports = mesh(2, SIZES);
    for i in 0..4 {
        assert_eq!(ports[0].ask_room(Core(1)), 4 - i as usize);
        ports[0].send_ask(Core(1), i).unwrap();
    }
    assert_eq!(ports[0].send_ask(Core(1), 99), Err(99));
    assert_eq!(ports[0].ask_room(Core(1)), 0);
    assert_eq!(ports[0].tell_room(Core(1)), 6);
    ports[0].send_tell(Core(1), 7).unwrap();
    assert!(!ports[1].is_quiet());
    assert_eq!(drained(&mut ports[1], 2), [(0, Letter::Tell(7)), (0, Letter::Ask(0))]);
    ports[0].send_ask(Core(1), 4).unwrap();
    assert_eq!(drained(&mut ports[1], 9).len(), 4);
}

#[test]
fn a_busy_core_leaves_the_others_their_share() {
    let sizes = LaneSizes { asks_max: 100, tells_max: 100 };
    let mut ports = mesh(3, sizes);
    for i in 0..100 {
        ports[1].send_tell(Core(0), i).unwrap();
    }
    ports[2].send_ask(Core(0), 5).unwrap();
    for _ in 0..3 {
        let letters = drained(&mut ports[0], 10);
        assert!(letters.len() <= 10);
        if letters.contains(&(2, Letter::Ask(5))) {
            return;
        }
    }
    panic!("core 2 was starved");
}

#[test]
fn a_bell_rings_once_for_a_sleeper_and_never_for_one_awake() {
    let mut ports = mesh(2, SIZES);
    let bell = ports[1].bell().clone();
    let mut heard = std::fs::File::from(bell.descriptor().unwrap());
    let mut count = [0; 8];
    ports[0].send_ask(Core(1), 1).unwrap();
    ports[0].wake_written();
    assert!(heard.read(&mut count).is_err(), "awake: no system call was spent on it");
    bell.lie_down();
    ports[0].wake_written();
    assert!(heard.read(&mut count).is_err(), "nothing was written since");
    ports[0].send_ask(Core(1), 2).unwrap();
    ports[0].wake_written();
    ports[0].send_ask(Core(1), 3).unwrap();
    ports[0].wake_written();
    assert_eq!(heard.read(&mut count).unwrap(), 8);
    assert_eq!(u64::from_ne_bytes(count), 1);
}

/// Blocks as a core does; false when nobody rang in time.
fn sleep(bell: &Bell) -> bool {
    crate::engine::wait_readable(bell, Some(Duration::from_secs(10)))
}

/// Two cores throw a number to and fro, and sleep whenever nothing is there: a lost wake-up shows
/// as a core that sleeps with a letter in its lane.
#[test]
fn no_wake_up_is_lost() {
    const THROWS: u64 = 30_000;
    let mut ports = mesh(2, SIZES);
    let (second, mut first) = (ports.pop().unwrap(), ports.pop().unwrap());
    first.send_tell(Core(1), 1).unwrap();
    first.wake_written();
    let run = |mut port: Port<u32, u64>, to: Core| {
        move || {
            let mut last = 0;
            let mut sleeps = 0;
            while last < THROWS {
                let mut caught = None;
                port.drain(10, |_, letter| {
                    if let Letter::Tell(number) = letter {
                        caught = Some(number);
                    }
                });
                if let Some(number) = caught {
                    last = number + 1;
                    port.send_tell(to, last).unwrap();
                    port.wake_written();
                    continue;
                }
                port.bell().lie_down();
                if port.is_quiet() {
                    sleeps += 1;
                    assert!(sleep(port.bell()), "a wake-up was lost at {last}");
                }
                port.bell().get_up();
            }
            sleeps
        }
    };
    let start = now();
    let other = spawn(run(second, Core(0)));
    let sleeps = run(first, Core(1))() + other.join().unwrap();
    assert!(sleeps > 0, "nobody ever slept: the test tests nothing");
    assert!(now().duration_since(start) < Duration::from_secs(60));
}

#[allow(clippy::disallowed_methods)] // A test's own patience.
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods)] // A test's second core, joined by the test.
fn spawn<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(run)
}
