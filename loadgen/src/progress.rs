//! How far long work is: a bar with rate and estimate on a terminal, plain lines otherwise.

use std::io::{self, IsTerminal, Write};

/// How often a terminal is redrawn.
const REDRAW_NS: u64 = 200_000_000;

/// How often a plain line is written, and how long work may take before the first.
const LINE_NS: u64 = 5_000_000_000;

/// Characters of the bar.
const BAR_COLUMNS: u64 = 30;

/// Work of so many steps, shown on standard error.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: u64,
    began: (u64, u64),
    told: (u64, u64),
    terminal: bool,
    drawn: bool,
}

impl Progress {
    /// Work that begins now with `done` of `total` steps behind it.
    pub fn new(what: &'static str, done: u64, total: u64, now_ns: u64) -> Self {
        let terminal = io::stderr().is_terminal();
        let (began, told) = ((now_ns, done), (now_ns, done));
        Self { what, total, began, told, terminal, drawn: false }
    }

    /// Says how far it is, when it is time to.
    pub fn at(&mut self, done: u64, now_ns: u64) {
        let every_ns = if self.terminal { REDRAW_NS } else { LINE_NS };
        if now_ns.saturating_sub(self.told.0) < every_ns {
            return;
        }
        let line = self.line(done, now_ns);
        self.told = (now_ns, done);
        self.drawn = true;
        let mut out = io::stderr().lock();
        // Nobody to read it is no reason to stop.
        let _ = if self.terminal {
            write!(out, "\r\x1b[K{} {line}", self.bar(done)).and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }

    fn bar(&self, done: u64) -> String {
        let full = done.min(self.total) * BAR_COLUMNS / self.total.max(1);
        (0..BAR_COLUMNS).map(|at| if at < full { '#' } else { '.' }).collect()
    }

    fn line(&self, done: u64, now_ns: u64) -> String {
        let rate = |(then_ns, then): (u64, u64)| {
            let seconds = now_ns.saturating_sub(then_ns).max(1) as f64 / 1e9;
            done.saturating_sub(then) as f64 / seconds
        };
        let percent = done.min(self.total) * 100 / self.total.max(1);
        let mut line = format!(
            "{percent:3} %  {done} of {} {}, {:.0}/s",
            self.total,
            self.what,
            rate(self.told)
        );
        let mean = rate(self.began);
        if mean > 0.0 && done < self.total {
            line += &format!(", {:.0} s left", (self.total - done) as f64 / mean);
        }
        line
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_of_late_and_the_estimate_of_all() {
        let mut progress = Progress::new("clients", 0, 1_000, 0);
        progress.told = (1_000_000_000, 100);
        let line = progress.line(500, 2_000_000_000);
        assert_eq!(line, " 50 %  500 of 1000 clients, 400/s, 2 s left");
        assert_eq!(progress.bar(500), format!("{}{}", "#".repeat(15), ".".repeat(15)));
        assert_eq!(progress.line(1_000, 3_000_000_000), "100 %  1000 of 1000 clients, 450/s");
    }
}
