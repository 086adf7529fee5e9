//! What a run found: a table for people, one file with figures and whole histograms for later.

pub mod compare;
pub mod curve;
pub mod file;

use crate::series::{Series, Stretch, latencies};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The percentiles every table shows.
pub const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// The figures of one run against one target.
#[derive(Debug)]
pub struct Report {
    target: String,
    scenario: String,
    workload: String,
    lines: Vec<(String, String)>,
    figures: Map<String, Value>,
    histograms: Vec<(&'static str, Vec<Stretch>)>,
    notes: Vec<String>,
    faults: Vec<String>,
}

impl Report {
    /// A report with nothing in it. Runs of one scenario with the same workload are comparable.
    pub fn new(target: &str, scenario: &str, workload: String) -> Self {
        Self {
            target: target.to_owned(),
            scenario: scenario.to_owned(),
            workload,
            lines: Vec::new(),
            figures: Map::new(),
            histograms: Vec::new(),
            notes: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Target, scenario and workload in a line.
    pub fn title(&self) -> String {
        format!("{} {}: {}", self.target, self.scenario, self.workload)
    }

    /// A figure under its JSON name, and how people read it.
    pub fn figure(&mut self, name: &str, value: f64, label: &str, text: String) {
        self.figures.insert(name.to_owned(), json!(value));
        self.line(label, text);
    }

    /// A figure that is a count.
    pub fn count(&mut self, name: &str, value: u64, label: &str) {
        self.figure(name, value as f64, label, value.to_string());
    }

    /// A figure for the file alone.
    pub fn silent_figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), json!(value));
    }

    /// A line for people alone.
    pub fn line(&mut self, label: &str, text: String) {
        self.lines.push((label.to_owned(), text));
    }

    /// Latencies over time; their percentiles become a line. Nothing when there are none.
    pub fn series(&mut self, name: &'static str, label: &str, series: &Series) {
        self.stretches(name, label, series.total(), series.stretches());
    }

    /// A histogram of nanoseconds over one stretch of time.
    pub fn histogram(
        &mut self,
        name: &'static str,
        label: &str,
        histogram: &Histogram<u64>,
        time: Duration,
    ) {
        self.stretches(name, label, histogram, vec![Stretch::new(Duration::ZERO, time, histogram)]);
    }

    fn stretches(
        &mut self,
        name: &'static str,
        label: &str,
        total: &Histogram<u64>,
        stretches: Vec<Stretch>,
    ) {
        if total.is_empty() {
            return;
        }
        let points = QUANTILES.map(|(name, quantile)| (name, total.value_at_quantile(quantile)));
        for (point, ns) in &points {
            self.figures.insert(format!("{name}_ns_{}", point.replace('.', "_")), json!(ns));
        }
        let text = points.map(|(name, ns)| format!("{name} {}", human_ns(ns))).join("  ");
        self.line(label, text);
        self.histograms.push((name, stretches));
    }

    /// Something the reader of the figures should know; not a fault.
    pub fn note(&mut self, what: String) {
        self.notes.push(what);
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

    /// Who was measured.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Every figure, percentiles too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.figures.iter().filter(|(_, value)| value.is_number()).map(|(name, _)| name.as_str())
    }

    /// The table.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.title());
        text += &table(&self.lines);
        for note in &self.notes {
            text += &format!("  NOTE: {note}\n");
        }
        for fault in &self.faults {
            text += &format!("  FAULT: {fault}\n");
        }
        text
    }
}

/// Labels and values in two columns.
fn table(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    lines.iter().map(|(label, value)| format!("  {label:width$}  {value}\n")).collect()
}

/// All stretches in one histogram.
pub(crate) fn sum(stretches: &[Stretch]) -> Histogram<u64> {
    let mut total = latencies();
    for stretch in stretches {
        total.add(stretch.histogram()).expect("one set of bounds");
    }
    total
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

    #[test]
    fn a_fault_makes_a_run_unclean_and_a_note_does_not() {
        let mut report = Report::new("nacre", "test", "one thing".into());
        report.figure("x", 1.5, "an x", "1.5".into());
        report.note("look here".into());
        assert!(report.is_clean());
        report.fault("lost 1".into());
        assert!(!report.is_clean() && report.text().contains("FAULT: lost 1"));
        assert!(report.text().starts_with("nacre test: one thing\n  an x  1.5\n  NOTE: look"));
        assert_eq!(report.get("x"), Some(1.5));
    }
}
