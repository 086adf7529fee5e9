//! Measures one thing: CPU time of this thread and allocations each, beside a budget.
//!
//! CPU time rather than the clock, so that a busy machine disturbs less; the median of repeats
//! with the least and the most, so that the disturbance shows. The hosts this was written on have
//! no performance counters; valgrind counts instructions where [`TIMES`] fixes what is run.

use crate::alloc::allocations;
use std::fs;

/// Repeats of each measurement.
const REPEATS: usize = 9;

/// CPU time of a repeat: the kernel counts it by ticks of 4 ms.
const REPEAT_NS: u64 = 200_000_000;

/// Names how often each is to be run, once and without a look at the time: the difference of two
/// such runs under `valgrind --tool=callgrind` is the instructions of as many.
const TIMES: &str = "NACRE_BENCH_TIMES";

/// Nanoseconds this thread has run.
pub fn cpu_ns() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ran = stat.split(' ').next().expect("three numbers");
    ran.parse().expect("a number")
}

/// Only what is named on the command line is run; everything without a name.
pub struct Gauge {
    filters: Vec<String>,
    over: usize,
}

impl Gauge {
    /// From the command line, where `cargo bench -- hpack` leaves its words.
    pub fn from_arguments() -> Self {
        let words = std::env::args().skip(1);
        let gauge =
            Self { filters: words.filter(|word| !word.starts_with('-')).collect(), over: 0 };
        println!("{:34} {:>9} {:>19} {:>8} {:>7}", "", "ns", "least-most", "allocs", "budget");
        gauge
    }

    /// Runs `run` so many times and as often as a repeat takes, with ever new numbers, and prints:
    /// nanoseconds and allocations each, budget, verdict.
    pub fn measure(
        &mut self,
        what: &str,
        budget_ns: u64,
        times: usize,
        mut run: impl FnMut(usize),
    ) {
        if !self.filters.is_empty() && !self.filters.iter().any(|word| what.contains(word)) {
            return;
        }
        if let Some(fixed) = std::env::var(TIMES).ok().and_then(|times| times.parse().ok()) {
            (0..fixed).for_each(&mut run);
            return println!("{what:34} run {fixed} times");
        }
        let mut each = Vec::with_capacity(REPEATS);
        let (mut counted, mut done) = (Vec::new(), 0);
        for repeat in 0..=REPEATS {
            let (before, began, from) = (allocations(), cpu_ns(), done);
            while cpu_ns() - began < REPEAT_NS {
                (done..done + times).for_each(&mut run);
                done += times;
            }
            // The first repeat warms tables and caches.
            if repeat > 0 {
                let count = (done - from) as f64;
                each.push((cpu_ns() - began) as f64 / count);
                counted.push((allocations() - before) as f64 / count);
            }
        }
        each.sort_by(f64::total_cmp);
        let (least, median, most) = (each[0], each[REPEATS / 2], each[REPEATS - 1]);
        let spread = format!("{least:.1}-{most:.1}");
        // Reading the time allocates, too little to show.
        let allocs = counted.iter().sum::<f64>() / REPEATS as f64;
        let is_over = median > budget_ns as f64;
        self.over += usize::from(is_over);
        let verdict = if is_over { "OVER" } else { "ok" };
        println!("{what:34} {median:9.1} {spread:>19} {allocs:8.2} {budget_ns:7} {verdict}");
    }

    /// The last line.
    pub fn verdict(&self) {
        match self.over {
            0 => println!("all within their budgets"),
            over => println!("{over} over budget"),
        }
    }
}
