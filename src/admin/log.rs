//! The log: one line at the start, warnings, and at most one line a minute per class of refusal.
//!
//! Lines go to standard error, written by whoever logs: a core that logged much would wait for a
//! slow reader of it. That is why nothing is logged per request.

use crate::admin::counter::Counter;
use crate::boot::settings::{LogSettings, Settings};
use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_subscriber::EnvFilter;

/// Without a setting: warnings of everything, and the line at the start.
const QUIET: &str = "warn,nacre::start=info";

/// Milliseconds for which a class of refusal stays silent after a line.
pub const REFUSAL_SILENCE_MS: u64 = 60_000;

/// Sets the log up for the whole process; the first call counts.
///
/// # Errors
/// The filter is malformed, or a log is set up already.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let filter = settings.filter.as_deref().unwrap_or(QUIET);
    let filter = EnvFilter::builder().parse(filter).map_err(|error| error.to_string())?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let done = if settings.json { lines.json().try_init() } else { lines.try_init() };
    done.map_err(|error| error.to_string())
}

/// The line at the start: what runs, where, on what, with what, guarded by what.
pub fn started(settings: &Settings, has_console: bool) {
    let console = settings.console.as_ref().filter(|_| has_console);
    tracing::info!(
        target: "nacre::start",
        version = env!("CARGO_PKG_VERSION"),
        http = %joined(&settings.http),
        grpc = %joined(&settings.grpc),
        console = %console.map_or("none".into(), |console| joined(&console.addresses)),
        cores = ?settings.cores,
        data = %settings.data.display(),
        config = %settings.file.as_ref().map_or("none".into(), |path| path.display().to_string()),
        auth = if settings.auth.clients { "on" } else { "off" },
        "nacre serves"
    );
}

fn joined(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
}

/// When each class last spoke, for all cores. Only refusals come here, and most only read.
#[derive(Debug)]
pub struct Refusals([AtomicU64; Counter::COUNT]);

impl Default for Refusals {
    fn default() -> Self {
        Self::new()
    }
}

impl Refusals {
    pub const fn new() -> Refusals {
        Refusals([const { AtomicU64::new(0) }; Counter::COUNT])
    }

    /// Whether this class may speak now; then it stays silent for [`REFUSAL_SILENCE_MS`].
    pub fn may_speak(&self, class: Counter, tick_ms: u64) -> bool {
        let cell = &self.0[class as usize];
        let silent_until = cell.load(Ordering::Relaxed);
        if tick_ms < silent_until {
            return false;
        }
        let next = tick_ms + REFUSAL_SILENCE_MS;
        // Of two cores that come at once, one speaks.
        cell.compare_exchange(silent_until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

static REFUSALS: Refusals = Refusals::new();

/// Logs a refusal unless its class spoke within the last minute. Counting is the caller's:
/// `metrics.inc(class)` for every one.
pub fn refusal(class: Counter, tick_ms: u64, detail: fmt::Arguments<'_>) {
    if REFUSALS.may_speak(class, tick_ms) {
        let entry = class.entry();
        let label = entry.labels.first().map_or("", |(_, value)| value);
        tracing::warn!(
            target: "nacre::refusal",
            counter = entry.family,
            class = label,
            "{detail}; more of this class are only counted for a minute"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_speaks_once_a_minute() {
        let refusals = Refusals::new();
        let speaks = |class, tick_ms| refusals.may_speak(class, tick_ms);
        assert!(speaks(Counter::LimitStreams, 0));
        assert!(!speaks(Counter::LimitStreams, 0));
        assert!(speaks(Counter::LimitAsks, 5));
        assert!(!speaks(Counter::LimitStreams, REFUSAL_SILENCE_MS - 1));
        assert!(speaks(Counter::LimitStreams, REFUSAL_SILENCE_MS));
        assert!(!speaks(Counter::LimitStreams, REFUSAL_SILENCE_MS + 1));
    }

    #[test]
    fn the_quiet_filter_is_well_formed() {
        assert!(EnvFilter::builder().parse(QUIET).is_ok());
    }
}
