//! The pump's rest on a real executor, with a real engine.

use super::*;
use crate::boot::cores::spawn_core;
use crate::engine::{CloseWhy, Config, Handler, Sends, Socket, event_fd};
use crate::mesh::{LaneSizes, Letter, Port, ports};
use crate::pump::clock::{Clock, Epoch};
use nacre_shards::key::Core;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Sends back what it receives; done when the last of its connections has left.
#[derive(Default)]
struct Echo {
    connections: usize,
    done: bool,
}

impl Handler for Echo {
    fn accepted(&mut self, _: &mut Sends, _: Socket, _: SocketAddr) {
        self.connections += 1;
    }

    fn received(&mut self, sends: &mut Sends, socket: Socket, bytes: &[u8]) {
        sends.send(socket, bytes);
    }

    fn sent(&mut self, _: &mut Sends, _: Socket, _: usize) {}

    fn closed(&mut self, _: &mut Sends, _: Socket, _: CloseWhy) {
        self.connections -= 1;
        self.done = self.connections == 0;
    }
}

fn bell() -> Arc<Bell> {
    Arc::new(Bell::new(event_fd().unwrap()))
}

#[test]
fn an_echo_sleeps_between_requests_and_answers_all() {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let core = spawn_core(0, move || async move {
        let bell = bell();
        let mut engine = Engine::new(&Config::default(), &*bell).unwrap();
        let address = engine.listen(&["127.0.0.1:0".parse().unwrap()]).unwrap()[0];
        tell.send(address).unwrap();
        let mut bed = Bed::new(bell, Epoch::now()).unwrap();
        let mut clock = Clock::new(Epoch::now());
        let (mut echo, mut sleeps) = (Echo::default(), 0);
        while !echo.done {
            let now_ms = clock.tick().now.tick_ms;
            let events = engine.turn(now_ms, &mut echo);
            let rest = bed.rest(&mut engine, events, now_ms, None, false, || true).await;
            sleeps += u32::from(rest != Rest::Not);
        }
        sleeps
    })
    .unwrap();
    let mut stream = TcpStream::connect(told.recv().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for i in 0..500_u32 {
        stream.write_all(&i.to_be_bytes()).unwrap();
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(u32::from_be_bytes(back), i);
    }
    drop(stream);
    assert!(core.join().unwrap() > 0, "it never slept");
}

#[test]
fn an_idle_core_takes_no_turns_until_its_deadline() {
    let core = spawn_core(0, || async {
        let bell = bell();
        let mut engine = Engine::new(&Config::default(), &*bell).unwrap();
        engine.listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let mut bed = Bed::new(bell, Epoch::now()).unwrap();
        let mut clock = Clock::new(Epoch::now());
        let (mut echo, mut turns) = (Echo::default(), 0);
        let deadline = clock.tick().now.tick_ms + 600;
        loop {
            let now_ms = clock.tick().now.tick_ms;
            if now_ms >= deadline {
                return turns;
            }
            turns += 1;
            let events = engine.turn(now_ms, &mut echo);
            bed.rest(&mut engine, events, now_ms, Some(deadline), false, || true).await;
        }
    })
    .unwrap();
    let turns = core.join().unwrap();
    assert!(turns < 20, "{turns} turns in 600 ms of nothing");
}

/// Both cores sleep between throws, so each throw needs a wake-up across cores and executors.
#[test]
fn letters_wake_a_sleeping_core() {
    const THROWS: u64 = 5_000;
    let bells = [bell(), bell()];
    let sizes = LaneSizes { asks_max: 4, tells_max: 4 };
    let mut both = ports::<(), u64>(&bells, sizes);
    let (second, mut first) = (both.pop().unwrap(), both.pop().unwrap());
    first.send_tell(Core(1), 1).unwrap();
    let play = |mut port: Port<(), u64>, to: Core| {
        move || async move {
            let bell = port.bell().clone();
            let mut engine = Engine::new(&Config::default(), &*bell).unwrap();
            let mut bed = Bed::new(bell, Epoch::now()).unwrap();
            let (mut echo, mut last, mut sleeps) = (Echo::default(), 0, 0);
            while last < THROWS {
                let mut events = engine.turn(0, &mut echo);
                let mut caught = None;
                events += port.drain(10, |_, letter| {
                    if let Letter::Tell(number) = letter {
                        caught = Some(number + 1);
                    }
                });
                if let Some(number) = caught {
                    last = number;
                    port.send_tell(to, number).unwrap();
                }
                port.wake_written();
                let rest = bed.rest(&mut engine, events, 0, None, false, || port.is_quiet()).await;
                sleeps += u32::from(rest != Rest::Not);
            }
            sleeps
        }
    };
    let cores = [
        spawn_core(0, play(first, Core(1))).unwrap(),
        spawn_core(1 % cpus(), play(second, Core(0))).unwrap(),
    ];
    let sleeps: u32 = cores.map(|core| core.join().unwrap()).iter().sum();
    assert!(sleeps > 0, "nobody ever slept: the test tests nothing");
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn a_busy_pump_leaves_the_executors_timers_their_time() {
    let core = spawn_core(0, || async {
        let bell = bell();
        let mut engine = Engine::new(&Config::default(), &*bell).unwrap();
        let mut bed = Bed::new(bell, Epoch::now()).unwrap();
        let fired = Rc::new(Cell::new(0));
        let counting = fired.clone();
        glommio::spawn_local(async move {
            while counting.get() < 50 {
                glommio::timer::Timer::new(Duration::from_millis(2)).await;
                counting.set(counting.get() + 1);
            }
        })
        .detach();
        let mut clock = Clock::new(Epoch::now());
        while fired.get() < 50 {
            let now_ms = clock.tick().now.tick_ms;
            assert!(now_ms < 5_000, "{} timers of 50 in 5 s", fired.get());
            engine.turn(now_ms, &mut Echo::default());
            bed.rest(&mut engine, 1, now_ms, None, false, || true).await;
        }
    })
    .unwrap();
    core.join().unwrap();
}

/// How often a core naps between requests that come one right after the other, at most so many, or
/// until it has napped enough. Then the executor's timers have to fire as before: they end it.
fn naps(is_awaited: bool, requests_max: u32) -> u32 {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let all_naps = Arc::new(AtomicU32::new(0));
    let told_naps = all_naps.clone();
    let requests_ended = Arc::new(AtomicBool::new(false));
    let no_requests = requests_ended.clone();
    let bell = bell();
    let ring = bell.clone();
    let (tell_end, end_told) = std::sync::mpsc::sync_channel(1);
    let core = spawn_core(0, move || async move {
        let mut engine = Engine::new(&Config::default(), &*bell).unwrap();
        let address = engine.listen(&["127.0.0.1:0".parse().unwrap()]).unwrap()[0];
        tell.send(address).unwrap();
        let mut bed = Bed::new(bell.clone(), Epoch::now()).unwrap();
        let ended = Rc::new(Cell::new(false));
        let end = ended.clone();
        glommio::spawn_local(async move {
            let (mut before, mut after) = (0, 0);
            while before == 0 || after < 50 {
                glommio::timer::Timer::new(Duration::from_millis(2)).await;
                *(if no_requests.load(Ordering::Relaxed) { &mut after } else { &mut before }) += 1;
            }
            end.set(true);
            bell.ring();
        })
        .detach();
        let mut clock = Clock::new(Epoch::now());
        let mut echo = Echo::default();
        while !ended.get() {
            let now_ms = clock.tick().now.tick_ms;
            let events = engine.turn(now_ms, &mut echo);
            let rest = bed.rest(&mut engine, events, now_ms, None, is_awaited, || true).await;
            all_naps.fetch_add(u32::from(rest == Rest::Nap), Ordering::Relaxed);
        }
        tell_end.send(()).unwrap();
    })
    .unwrap();
    let mut stream = TcpStream::connect(told.recv().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..requests_max {
        stream.write_all(b"once").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        if told_naps.load(Ordering::Relaxed) >= 500 {
            break;
        }
    }
    requests_ended.store(true, Ordering::Relaxed);
    ring.ring();
    end_told.recv_timeout(Duration::from_secs(10)).expect("its timers fire");
    core.join().unwrap();
    told_naps.load(Ordering::Relaxed)
}

#[test]
fn short_rests_are_naps_and_the_executor_still_has_its_looks() {
    let naps = naps(false, 100_000);
    assert!(naps >= 500, "{naps} naps");
}

#[test]
fn nobody_naps_while_the_executor_is_awaited() {
    assert_eq!(naps(true, 2_000), 0);
}

#[test]
fn what_the_bed_hears_ends_a_nap_and_is_looked_at() {
    let core = spawn_core(0, || async {
        let bell = bell();
        let mut engine = Engine::new(&Config::default(), &*bell).unwrap();
        let mut bed = Bed::new(bell.clone(), Epoch::now()).unwrap();
        let other = File::from(event_fd().unwrap());
        bed.hears(&other).unwrap();
        let ear = PollableFd::new(OwnedFd::from(other.try_clone().unwrap())).unwrap();
        let heard = Rc::new(Cell::new(0));
        let (counting, ringing) = (heard.clone(), bell.clone());
        let listener = glommio::spawn_local(async move {
            while ear.readable().await.is_ok() {
                rustix::io::read(ear.get_ref(), &mut [0; 8]).unwrap();
                counting.set(counting.get() + 1);
                // After a rest that was not short the next one is a sleep, and nobody else rings.
                ringing.ring();
            }
        });
        let mut clock = Clock::new(Epoch::now());
        let (mut naps, mut at_once, mut stirred) = (0, 0, 0);
        for _ in 0..10_000 {
            if naps == 100 {
                break;
            }
            let now_ms = clock.tick().now.tick_ms;
            engine.turn(now_ms, &mut Echo::default());
            // The first rests are short because it rings, the others because the other one stirs.
            if naps == 0 {
                bell.ring();
            } else if heard.get() == stirred {
                (&other).write_all(&1_u64.to_ne_bytes()).unwrap();
                stirred += 1;
            }
            if bed.rest(&mut engine, 0, now_ms, None, false, || true).await == Rest::Nap {
                naps += 1;
                at_once += u32::from(stirred > 0 && heard.get() == stirred);
            }
        }
        drop(listener);
        at_once
    })
    .unwrap();
    // Every other one ends because it rings.
    let at_once = core.join().unwrap();
    assert!(at_once > 20, "after {at_once} of 99 naps the executor had had its look");
}
