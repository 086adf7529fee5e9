//! The bare engine: the same sockets, cores and sleep as the server, and nothing above them. It
//! answers each request of so many bytes with a fixed string of so many bytes, so a load generator
//! that sends and expects the sizes of a real call measures what the carriage alone costs.
//!
//! Budget: a HealthCheck on 1,000 connections may cost 1.3 times what it costs here.
//!
//! `bare_engine_echo ADDRESS [--cores 0,1] [--request-bytes N] [--answer-bytes N]`
//! With `--request-bytes 0` (the default) each received chunk is answered once. For each line on
//! standard input it prints answers, CPU time and resident memory; it ends when the input does.

use nacre::boot::cores::spawn_core;
use nacre::engine::{CloseWhy, Config, Engine, Handler, Sends, Socket, check_free, event_fd};
use nacre::mesh::Bell;
use nacre::pump::clock::{Clock, Epoch};
use nacre::pump::sleep::Bed;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every core does.
#[derive(Debug, Clone)]
struct Task {
    address: SocketAddr,
    request_bytes: usize,
    answer: Arc<[u8]>,
}

/// Answers, and remembers by slot how much of a request is in.
struct Echo {
    task: Task,
    partial: Vec<usize>,
    answers: u64,
}

impl Handler for Echo {
    fn accepted(&mut self, _: &mut Sends, socket: Socket, _: SocketAddr) {
        let slot = socket.slot as usize;
        if self.partial.len() <= slot {
            self.partial.resize(slot + 1, 0);
        }
        self.partial[slot] = 0;
    }

    fn received(&mut self, sends: &mut Sends, socket: Socket, bytes: &[u8]) {
        let partial = &mut self.partial[socket.slot as usize];
        *partial += bytes.len();
        // A request of no bytes stands for one chunk, whatever its size.
        let request_bytes =
            if self.task.request_bytes > 0 { self.task.request_bytes } else { *partial };
        let answers = *partial / request_bytes;
        *partial %= request_bytes;
        self.answers += answers as u64;
        for _ in 0..answers {
            sends.send(socket, &self.task.answer);
        }
    }

    fn sent(&mut self, _: &mut Sends, _: Socket, _: usize) {}

    fn closed(&mut self, _: &mut Sends, _: Socket, _: CloseWhy) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (task, cores) = arguments()?;
    check_free(task.address)?;
    let epoch = Epoch::now();
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut bells = Vec::new();
    let mut running = Vec::new();
    for core in cores {
        let bell = Arc::new(Bell::new(event_fd()?));
        bells.push(bell.clone());
        let (task, stop, answered) = (task.clone(), stop.clone(), answered.clone());
        running.push(spawn_core(core, move || serve(task, bell, epoch, stop, answered))?);
    }
    println!("bare engine on {}", task.address);
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        report(&answered);
        line.clear();
    }
    stop.store(true, Ordering::Release);
    bells.iter().for_each(|bell| bell.ring());
    for core in running {
        core.join().map_err(std::io::Error::from)?;
    }
    report(&answered);
    Ok(())
}

/// One core until told to stop.
async fn serve(
    task: Task,
    bell: Arc<Bell>,
    epoch: Epoch,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) {
    let mut engine = Engine::new(&Config::default(), &*bell).expect("the host offers io_uring");
    engine.listen(&[task.address]).expect("checked to be free");
    let mut bed = Bed::new(bell, epoch).expect("descriptors for two waits");
    let mut clock = Clock::new(epoch);
    let mut echo = Echo { task, partial: Vec::new(), answers: 0 };
    while !stop.load(Ordering::Acquire) {
        let now_ms = clock.tick().now.tick_ms;
        let events = engine.turn(now_ms, &mut echo);
        answered.fetch_add(std::mem::take(&mut echo.answers), Ordering::Relaxed);
        let is_running = || !stop.load(Ordering::Acquire);
        bed.rest(&mut engine, events, now_ms, None, false, is_running).await;
    }
    eprintln!("{:?}", engine.sends().counters());
}

fn report(answered: &AtomicU64) {
    let answers = answered.load(Ordering::Relaxed);
    let cpu_us = cpu_time_us().unwrap_or(0);
    let rss_kb = resident_kb().unwrap_or(0);
    println!("answers {answers} cpu_us {cpu_us} rss_kb {rss_kb}");
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_time_us() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks * 10_000)
}

fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn arguments() -> Result<(Task, Vec<usize>), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("which address?")?.parse()?;
    let (mut cores, mut request_bytes, mut answer_bytes) = (vec![0], 0, 100);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("a value is missing")?;
        match name.as_str() {
            "--cores" => {
                cores = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--request-bytes" => request_bytes = value.parse()?,
            "--answer-bytes" => answer_bytes = value.parse()?,
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    Ok((Task { address, request_bytes, answer: vec![7; answer_bytes].into() }, cores))
}
