//! The log: one line at the start, warnings, and at most one line a minute per class of refusal.
//!
//! Lines go to standard error, written by whoever logs: a core that logged much would wait for a
//! slow reader of it. That is why nothing is logged per request.

use crate::admin::counter::Counter;
use crate::boot::settings::{LogSettings, Settings};
use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_subscriber::filter::Directive;
use tracing_subscriber::{EnvFilter, reload};

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
    let done = if settings.json {
        let lines = lines.json().with_filter_reloading();
        keep(lines.reload_handle());
        lines.try_init()
    } else {
        let lines = lines.with_filter_reloading();
        keep(lines.reload_handle());
        lines.try_init()
    };
    done.map_err(|error| error.to_string())
}

type Change = dyn Fn(Directive) -> Result<(), String> + Send + Sync;

/// How the filter is changed while the process runs.
static FILTER: OnceLock<Box<Change>> = OnceLock::new();

fn keep<S: 'static>(handle: reload::Handle<EnvFilter, S>) {
    let change = move |directive: Directive| {
        let changed = handle.modify(|filter| {
            // One of the same target takes the place of the last, so there are never more than
            // there are parts.
            *filter = std::mem::take(filter).add_directive(directive);
        });
        changed.map_err(|error| error.to_string())
    };
    let _ = FILTER.set(Box::new(change));
}

/// Parts of the log, by the names the reference's loggers have (`ops.md` 11), and ours.
const PARTS: [(&str, &str); 16] = [
    ("naming-check", "nacre::health"),
    ("naming-raft", "nacre::raft"),
    ("naming", "nacre::pump"),
    ("core-auth", "nacre::auth"),
    ("core-raft", "nacre::raft"),
    ("protocol-raft", "nacre::raft"),
    ("core", "nacre::pump"),
    ("remote", "nacre::pump"),
    ("config", "nacre::front"),
    ("nacre::health", "nacre::health"),
    ("nacre::raft", "nacre::raft"),
    ("nacre::auth", "nacre::auth"),
    ("nacre::front", "nacre::front"),
    ("nacre::pump", "nacre::pump"),
    ("nacre::switches", "nacre::switches"),
    ("nacre", "nacre"),
];

/// Sets the level of a part of the log from now on, until the process ends.
///
/// # Errors
/// There is no such part or level.
pub fn set_level(name: &str, level: &str) -> Result<(), String> {
    let directive = directive(name, level)?;
    let directive = directive.parse().map_err(|error| format!("{directive}: {error}"))?;
    match FILTER.get() {
        Some(change) => change(directive),
        None => Err("this process writes no log".to_owned()),
    }
}

fn directive(name: &str, level: &str) -> Result<String, String> {
    const LEVELS: [&str; 7] = ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"];
    let is_it = |known: &&&str| known.eq_ignore_ascii_case(level);
    let level =
        LEVELS.iter().find(is_it).ok_or("logLevel: OFF, ERROR, WARN, INFO, DEBUG, TRACE")?;
    let level = if *level == "ALL" { "TRACE" } else { level };
    if name.eq_ignore_ascii_case("root") {
        return Ok(level.to_ascii_lowercase());
    }
    // `config-dump`, `naming-push` and the like: the part their name begins with.
    let part = PARTS.iter().find(|(known, _)| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    let (_, target) =
        part.ok_or("logName: ROOT, or a name that begins with naming, config, core")?;
    Ok(format!("{target}={}", level.to_ascii_lowercase()))
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
    fn the_references_loggers_are_parts_of_ours() {
        for (name, level, expected) in [
            ("naming-push", "debug", Ok("nacre::pump=debug")),
            ("naming-raft", "ALL", Ok("nacre::raft=trace")),
            ("config-dump", "OFF", Ok("nacre::front=off")),
            ("core-auth", "Info", Ok("nacre::auth=info")),
            ("nacre::raft", "WARN", Ok("nacre::raft=warn")),
            ("root", "ERROR", Ok("error")),
            ("hyper", "DEBUG", Err(())),
            ("namingpush", "DEBUG", Err(())),
            ("naming-push", "loud", Err(())),
        ] {
            let directive = directive(name, level);
            assert_eq!(directive.as_deref().map_err(|_| ()), expected, "{name} {level}");
            assert!(directive.is_err() || directive.unwrap().parse::<Directive>().is_ok());
        }
    }

    #[test]
    fn the_quiet_filter_is_well_formed() {
        assert!(EnvFilter::builder().parse(QUIET).is_ok());
    }
}
