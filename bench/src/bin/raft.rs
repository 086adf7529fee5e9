//! What a write costs on the disk alone: log, apply, checkpoint; no network, no wire.
//!
//! Budget (CPU of the whole process): 64 in flight, 1 KiB each, 64,000 keys with a config and a
//! history record per command: 20,000 commands/s and at most 30 µs a command. One in flight: its
//! p50 beside that of a plain fdatasync of the same disk, before and after.
//!
//! `cargo run --release -p nacre-bench --bin raft -- FOLDER [SECONDS]`

use bytes::Bytes;
use glommio::{LocalExecutorBuilder, Placement};
use hdrhistogram::Histogram;
use nacre::boot::cores::{EXECUTOR_RING_ENTRIES, PREEMPT_EVERY, STORAGE_MEMORY_BYTES};
use nacre::raft::{Disk, Folder, Group, Machine, Settings};
use nacre_shards::durable::{Record, Table};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u64 = 64_000;
const CONTENT_BYTES: usize = 1_024;
const IN_FLIGHT: usize = 64;
const FSYNCS: usize = 500;
const FSYNC_BYTES: usize = 4_096;

/// Syncs with a pause before each: what a disk takes that is asked 50 times a second.
const PACED_FSYNCS: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Configs by number, and a bounded history, as heavy for the disk as the real thing.
#[derive(Default)]
struct Configs {
    contents: HashMap<u64, Bytes, ahash::RandomState>,
}

impl Machine for Configs {
    type Answer = u64;

    fn apply(&mut self, position: u64, command: &Bytes, records: &mut Vec<Record>) -> u64 {
        let Some((key, _)) = command.split_first_chunk() else { return 0 };
        let number = u64::from_le_bytes(*key);
        // As real content does, it outlives the log entry it came in.
        let value = Bytes::copy_from_slice(&command[8..]);
        let key = |number: u64| Bytes::copy_from_slice(&number.to_be_bytes());
        let value_of = |table, key| Record { table, key, value: Some(value.clone()) };
        records.push(value_of(Table::Config, key(number)));
        records.push(value_of(Table::History, key(position)));
        self.contents.insert(number, value.clone());
        position
    }

    fn settle(&mut self) {}

    fn clear(&mut self) {
        self.contents.clear();
    }

    fn load(&mut self, record: Record) -> Result<(), String> {
        if record.table == Table::Config {
            let number = record.key.as_ref().try_into().map_err(|_| "a key of other length")?;
            self.contents.insert(u64::from_be_bytes(number), record.value.unwrap_or_default());
        }
        Ok(())
    }

    fn loaded(&mut self) {}
}

fn command(number: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(8 + CONTENT_BYTES);
    bytes.extend_from_slice(&(number % KEYS).to_le_bytes());
    // Not the same byte again and again: no layer may find it easy.
    let mut mixed = number;
    while bytes.len() < 8 + CONTENT_BYTES {
        mixed = mixed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        bytes.extend_from_slice(&mixed.to_le_bytes());
    }
    Bytes::from(bytes)
}

#[allow(clippy::disallowed_methods)] // A bench measures time.
fn now() -> Instant {
    Instant::now()
}

fn cpu() -> Duration {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let stat = read("/proc/self/stat");
    let fields: Vec<&str> =
        stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // User and system time, in hundredths of a second on every Linux there is.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn fdatasync_us(folder: &Path, times: usize, pause: Duration) -> Histogram<u64> {
    let path = folder.join("fsync.probe");
    let file = File::create(&path).expect("a file to sync");
    let mut took = Histogram::new(3).expect("three digits");
    for at in 0..times {
        thread::sleep(pause);
        let start = now();
        file.write_all_at(&[at as u8; FSYNC_BYTES], (at % 64 * FSYNC_BYTES) as u64).expect("write");
        file.sync_data().expect("fsync");
        took.record(start.elapsed().as_micros() as u64).expect("in range");
    }
    let _ = fs::remove_file(&path);
    took
}

async fn many_in_flight(group: &Group<Configs>, seconds: u64) {
    let until = now() + Duration::from_secs(seconds);
    let next = Rc::new(Cell::new(0));
    let latencies = Rc::new(RefCell::new(Histogram::<u64>::new(3).expect("three digits")));
    let before = group.status().counters;
    let (start, start_cpu) = (now(), cpu());
    let mut clients = Vec::new();
    for _ in 0..IN_FLIGHT {
        let (group, next, latencies) = (group.clone(), next.clone(), latencies.clone());
        clients.push(glommio::spawn_local(async move {
            while now() < until {
                let number = next.replace(next.get() + 1);
                let sent = now();
                group.put(command(number)).await.expect("a healthy disk");
                let micros = sent.elapsed().as_micros() as u64;
                latencies.borrow_mut().record(micros).expect("in range");
            }
        }));
    }
    for client in clients {
        client.await;
    }
    let (took, used) = (start.elapsed(), cpu() - start_cpu);
    let after = group.status().counters;
    let commands = after.commands - before.commands;
    let checkpoints = after.checkpoints - before.checkpoints;
    let latencies = latencies.borrow();
    println!(
        "{IN_FLIGHT} in flight: {:.0} commands/s, {:.1} us CPU each, latency p50 {} p99 {} max {} us",
        commands as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / commands as f64,
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
        latencies.max(),
    );
    println!(
        "  {:.1} commands an entry, {} entries, {} checkpoints of {} ms, {:.1} MB/s to the files, \
         {:.1} us in fsync each commit",
        commands as f64 / (after.entries - before.entries) as f64,
        after.entries - before.entries,
        checkpoints,
        (after.checkpoint_us - before.checkpoint_us) / 1_000 / checkpoints.max(1),
        (after.written_bytes - before.written_bytes) as f64 / 1e6 / took.as_secs_f64(),
        (after.fsync_us - before.fsync_us) as f64 / (after.commits - before.commits) as f64,
    );
}

async fn one_in_flight(group: &Group<Configs>, seconds: u64) -> Histogram<u64> {
    let until = now() + Duration::from_secs(seconds);
    let mut took = Histogram::new(3).expect("three digits");
    let mut number = 0;
    while now() < until {
        number += 1;
        let sent = now();
        group.put(command(number)).await.expect("a healthy disk");
        took.record(sent.elapsed().as_micros() as u64).expect("in range");
    }
    took
}

fn start(folder: &Path) -> Disk {
    Disk::start(Arc::new(Folder::new(folder).expect("a folder"))).expect("threads")
}

fn on_a_core<T: Send + 'static, F: Future<Output = T> + 'static>(
    work: impl FnOnce() -> F + Send + 'static,
) -> T {
    LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(PREEMPT_EVERY)
        .io_memory(STORAGE_MEMORY_BYTES)
        .ring_depth(EXECUTOR_RING_ENTRIES)
        .spawn(work)
        .expect("an executor")
        .join()
        .expect("an executor that ends")
}

fn show(what: &str, took: &Histogram<u64>) {
    println!(
        "{what}: p50 {} us, p99 {} us, {} times",
        took.value_at_quantile(0.5),
        took.value_at_quantile(0.99),
        took.len()
    );
}

fn show_fdatasync(folder: &Path, when: &str) {
    let took = fdatasync_us(folder, FSYNCS, Duration::ZERO);
    show(&format!("fdatasync of 4 KiB, {when}"), &took);
    let took = fdatasync_us(folder, PACED_FSYNCS, PAUSE);
    show(&format!("fdatasync of 4 KiB, 50/s, {when}"), &took);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("raft FOLDER [SECONDS]: measures in FOLDER/raft-bench, which is removed after");
        std::process::exit(2);
    };
    let seconds = arguments.next().map_or(10, |text| text.parse().expect("whole seconds"));
    if arguments.next().is_some() {
        write(Path::new(&folder), seconds);
    }
    let folder = Path::new(&folder).join("raft-bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    show_fdatasync(&folder, "before");
    // A process of its own: it ends without a stop, and nothing of it is left but its files.
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.arg(&folder).arg(seconds.to_string()).arg("write");
    assert!(child.status().expect("it runs").success());
    show_fdatasync(&folder, "after");
    restart(&folder);
    let _ = fs::remove_dir_all(&folder);
}

/// Writes, and ends as a kill would.
fn write(folder: &Path, seconds: u64) -> ! {
    let begun = now();
    let disk = start(folder);
    on_a_core(move || async move {
        let group = Group::open(disk, Settings::default(), Configs::default()).await;
        let group = group.expect("a fresh group");
        println!("start on an empty folder: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
        show("one in flight", &one_in_flight(&group, seconds.min(5)).await);
        many_in_flight(&group, seconds).await;
        let counted = group.status().counters;
        let (log, state) = (counted.log_file_bytes >> 20, counted.state_file_bytes >> 20);
        println!("files: log.wal {log} MiB, state.redb {state} MiB");
    });
    std::process::exit(0)
}

fn restart(folder: &Path) {
    let (begun, begun_cpu) = (now(), cpu());
    let disk = start(folder);
    on_a_core(move || async move {
        let group = Group::open(disk, Settings::default(), Configs::default()).await;
        let group = group.expect("what a kill leaves");
        println!(
            "start after a kill, {} configs: {:.0} ms, {} ms of CPU",
            group.with(|configs| configs.contents.len()),
            begun.elapsed().as_secs_f64() * 1e3,
            (cpu() - begun_cpu).as_millis(),
        );
        group.stop().await;
    });
}
