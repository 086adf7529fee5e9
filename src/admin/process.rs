//! What the kernel says of this process and this machine, read when somebody scrapes.
//!
//! A handful of small files of /proc, some 50 µs in all; they never block on a disk.

use std::fs;
use std::sync::OnceLock;

/// Seconds from the machine's start to this program's.
static BEGAN: OnceLock<f64> = OnceLock::new();

/// Says that this program begins now. A process may be older: `cargo run` builds for minutes and
/// then becomes the server.
pub fn program_begins() {
    let since_boot = fs::read_to_string("/proc/uptime").unwrap_or_default();
    BEGAN.get_or_init(|| first_number(&since_boot));
}

/// One reading. What could not be read is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub threads: u64,
    pub open_files: u64,
    pub open_files_max: u64,
    /// Unix time.
    pub start_seconds: f64,
    pub uptime_seconds: f64,
    pub cpus: u64,
    pub load_average_1m: f64,
    /// Share of all CPUs' time since the machine started that was not idle, 0 to 1. A rate over a
    /// shorter time is the scraper's to make, from `process_cpu_seconds_total` and its like.
    pub system_cpu_usage: f64,
    /// Share of one CPU this process has used since it started.
    pub cpu_usage: f64,
}

/// Clock ticks a second, fixed in the kernel's interface to user space (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Bytes of a page on the platforms this server is built for.
const PAGE_BYTES: u64 = 4_096;

impl Process {
    /// Reads all of it.
    pub fn read() -> Process {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let mut process = parse(
            &file("/proc/self/stat"),
            &file("/proc/self/limits"),
            &file("/proc/stat"),
            &file("/proc/uptime"),
            &file("/proc/loadavg"),
            BEGAN.get().copied().unwrap_or(0.0),
        );
        process.open_files =
            fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        process
    }
}

/// Share of the machine's memory that is in use, 0 to 1; 0 where it cannot be read.
pub fn memory_share() -> f64 {
    used(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

fn used(meminfo: &str) -> f64 {
    let (all, free) = (line(meminfo, "MemTotal:"), line(meminfo, "MemAvailable:"));
    match (all.map(first_number), free.map(first_number)) {
        (Some(all), Some(free)) if all > 0.0 => (all - free) / all,
        _ => 0.0,
    }
}

fn parse(
    own: &str,
    limits: &str,
    system: &str,
    uptime: &str,
    load: &str,
    program_began: f64,
) -> Process {
    // The second field is the program's name in parentheses and may hold anything.
    let after_name = own.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split(' ').collect();
    // Numbered from 1 in proc(5); the state is field 3.
    let field =
        |number: usize| fields.get(number - 3).and_then(|text| text.parse().ok()).unwrap_or(0);
    let cpu_seconds = (field(14) + field(15)) as f64 / TICKS;
    let since_boot = first_number(uptime);
    let process_began = field(22) as f64 / TICKS;
    let began = program_began.max(process_began);
    let age_seconds = since_boot - process_began;
    let boot_time = line(system, "btime ").and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let busy: Vec<f64> = line(system, "cpu ")
        .map(|text| text.split_whitespace().filter_map(|number| number.parse().ok()).collect())
        .unwrap_or_default();
    // user nice system idle iowait irq softirq steal; guest time is within user.
    let all: f64 = busy.iter().take(8).sum();
    let idle: f64 = busy.iter().skip(3).take(2).sum();
    let per_cpu = |text: &&str| text.starts_with("cpu") && !text.starts_with("cpu ");
    Process {
        cpu_seconds,
        resident_bytes: field(24) * PAGE_BYTES,
        virtual_bytes: field(23),
        threads: field(20),
        open_files: 0,
        open_files_max: line(limits, "Max open files").map_or(0, |text| first_number(text) as u64),
        start_seconds: boot_time + began,
        uptime_seconds: (since_boot - began).max(0.0),
        cpus: system.lines().filter(per_cpu).count() as u64,
        load_average_1m: first_number(load),
        system_cpu_usage: if all > 0.0 { (all - idle) / all } else { 0.0 },
        cpu_usage: if age_seconds > 0.0 { cpu_seconds / age_seconds } else { 0.0 },
    }
}

fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim)
}

fn first_number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let own = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 250 150 0 0 20 0 5 0 1000 8192000 300 0";
        let limits = "Limit  Soft\nMax open files            20000                1048576  files\n";
        let system = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\ncpu1 1\nbtime 1700000000\n";
        let process = parse(own, limits, system, "110.00 5\n", "0.50 0.1 0.1\n", 0.0);
        let expected = Process {
            cpu_seconds: 4.0,
            resident_bytes: 300 * 4_096,
            virtual_bytes: 8_192_000,
            threads: 5,
            open_files: 0,
            open_files_max: 20_000,
            start_seconds: 1_700_000_010.0,
            uptime_seconds: 100.0,
            cpus: 2,
            load_average_1m: 0.5,
            system_cpu_usage: 0.2,
            cpu_usage: 0.04,
        };
        assert_eq!(process, expected);
        let became = parse(own, limits, system, "110.00 5\n", "0.50 0.1 0.1\n", 90.0);
        assert_eq!((became.uptime_seconds, became.start_seconds), (20.0, 1_700_000_090.0));
    }

    #[test]
    fn this_process() {
        let process = Process::read();
        assert!(process.resident_bytes > 0 && process.open_files > 0 && process.cpus > 0);
        assert!(process.start_seconds > 1.6e9 && process.open_files_max > 0, "{process:?}");
    }

    #[test]
    fn unreadable_files_are_zeros() {
        assert_eq!(parse("", "", "", "", "", 0.0), Process::default());
        assert_eq!((used(""), used("MemTotal: 8 kB\nMemAvailable: 6 kB\n")), (0.0, 0.25));
        parse("1 (x", "Max open files", "cpu x\nbtime", "x", "", 0.0);
    }
}
