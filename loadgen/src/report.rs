//! What a run found: a table for people, JSON and whole histograms for comparison.

use crate::clock;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// The longest latency a histogram tells apart: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Significant digits kept.
const DIGITS: u8 = 3;

/// Largest value in the log's fourth column, which is in milliseconds by convention.
const NS_PER_MS: f64 = 1e6;

/// A histogram of nanoseconds.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("constant bounds")
}

/// Records a latency; beyond a minute counts as a minute.
pub fn record(histogram: &mut Histogram<u64>, ns: u64) {
    histogram.saturating_record(ns.max(1));
}

/// The figures of one run against one target.
#[derive(Debug)]
pub struct Report {
    title: String,
    lines: Vec<(String, String)>,
    figures: Map<String, Value>,
    histograms: Vec<(&'static str, Histogram<u64>, Duration)>,
    faults: Vec<String>,
}

impl Report {
    /// A report with nothing in it. The title names target, scenario and settings.
    pub fn new(title: String) -> Self {
        let (lines, histograms, faults) = (Vec::new(), Vec::new(), Vec::new());
        Self { title, lines, figures: Map::new(), histograms, faults }
    }

    /// A figure under its JSON name, and how people read it.
    pub fn figure(&mut self, name: &str, value: f64, label: &str, text: String) {
        self.figures.insert(name.to_owned(), json!(value));
        self.lines.push((label.to_owned(), text));
    }

    /// A figure for the file alone.
    pub fn silent_figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), json!(value));
    }

    /// A histogram of nanoseconds over a stretch of time; its percentiles become a line.
    pub fn histogram(
        &mut self,
        name: &'static str,
        label: &str,
        histogram: Histogram<u64>,
        time: Duration,
    ) {
        let at = |quantile| histogram.value_at_quantile(quantile);
        let points = [
            ("p50", at(0.5)),
            ("p90", at(0.9)),
            ("p99", at(0.99)),
            ("p99.9", at(0.999)),
            ("max", histogram.max()),
        ];
        let text: Vec<_> =
            points.iter().map(|(name, ns)| format!("{name} {}", human_ns(*ns))).collect();
        let figures: Map<_, _> =
            points.iter().map(|(name, ns)| ((*name).to_owned(), json!(ns))).collect();
        self.figures.insert(format!("{name}_ns"), figures.into());
        self.lines.push((label.to_owned(), text.join("  ")));
        self.histograms.push((name, histogram, time));
    }

    /// Something that must not be: the run is not a success.
    pub fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// A figure by its JSON name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.get(name)?.as_f64()
    }

    /// The table.
    pub fn text(&self) -> String {
        let width = self.lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let mut text = format!("{}\n", self.title);
        for (label, value) in &self.lines {
            text += &format!("  {label:width$}  {value}\n");
        }
        for fault in &self.faults {
            text += &format!("  FAULT: {fault}\n");
        }
        text
    }

    /// Writes `NAME.json` and, with histograms, `NAME.hlog` (HdrHistogram log, V2).
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let document = json!({
            "title": self.title, "context": context(), "figures": self.figures,
            "faults": self.faults,
        });
        let text = serde_json::to_vec_pretty(&document)?;
        fs::write(folder.join(format!("{name}.json")), text)?;
        if !self.histograms.is_empty() {
            fs::write(folder.join(format!("{name}.hlog")), self.log()?)?;
        }
        Ok(())
    }

    fn log(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut writer = IntervalLogWriterBuilder::new()
            .add_comment(&format!("[{}; values in nanoseconds]", self.title))
            .with_start_time(clock::calendar())
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut bytes, &mut serializer)?;
        for (name, histogram, time) in &self.histograms {
            writer
                .write_histogram(histogram, Duration::ZERO, *time, Tag::new(name))
                .map_err(|error| io::Error::other(format!("{error:?}")))?;
        }
        Ok(bytes)
    }
}

/// Where and how a run was made.
fn context() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let command: Vec<_> = std::env::args().collect();
    let since_epoch = clock::calendar().duration_since(std::time::UNIX_EPOCH);
    json!({
        "loadgen": env!("CARGO_PKG_VERSION"),
        "host": read("/proc/sys/kernel/hostname"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "cores_usable": cores,
        "cpu": read("/proc/cpuinfo").lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map(|(_, name)| name.to_owned()),
        "command": command.join(" "),
        "unix_seconds": since_epoch.map_or(0, |time| time.as_secs()),
    })
}

/// Nanoseconds as people read them.
pub fn human_ns(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// Bytes as people read them.
pub fn human_bytes(bytes: f64) -> String {
    if bytes.abs() < 10_240.0 {
        format!("{bytes:.0} B")
    } else if bytes.abs() < 10_485_760.0 {
        format!("{:.1} KiB", bytes / 1024.0)
    } else {
        format!("{:.1} MiB", bytes / 1_048_576.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn histograms_survive_the_file() {
        let mut histogram = latencies();
        for ns in [900, 1_500, 2_000_000, u64::MAX] {
            record(&mut histogram, ns);
        }
        let mut report = Report::new("test".into());
        report.histogram("latency", "latency", histogram.clone(), Duration::from_secs(1));
        let log = report.log().unwrap();
        let mut found = 0;
        for entry in IntervalLogIterator::new(&log) {
            if let LogEntry::Interval(interval) = entry.unwrap() {
                use base64_of::decode;
                let bytes = decode(interval.encoded_histogram());
                let read: Histogram<u64> =
                    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                assert_eq!(read, histogram);
                assert_eq!(interval.tag().unwrap().as_str(), "latency");
                found += 1;
            }
        }
        assert_eq!(found, 1);
    }

    #[test]
    fn a_fault_makes_a_run_unclean() {
        let mut report = Report::new("test".into());
        assert!(report.is_clean());
        report.figure("x", 1.5, "an x", "1.5".into());
        report.fault("lost 1".into());
        assert!(!report.is_clean() && report.text().contains("FAULT: lost 1"));
        assert_eq!(report.get("x"), Some(1.5));
    }

    /// Base64 by hand: the library's own decoder is not exported by hdrhistogram.
    mod base64_of {
        pub fn decode(text: &str) -> Vec<u8> {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
            for byte in text.bytes().filter(|byte| *byte != b'=') {
                let digit = alphabet.iter().position(|known| *known == byte).unwrap();
                bits = bits << 6 | digit as u32;
                count += 6;
                if count >= 8 {
                    count -= 8;
                    out.push((bits >> count) as u8);
                }
            }
            out
        }
    }
}
