//! Old runs against new ones: ratios, and whether they are more than the runs' own spread.
//!
//! Runs of one scenario and workload are repeats of each other. A ratio is that of the geometric
//! means; its spread is a 99 % Student interval on the logarithms of the repeats, since a table
//! asks many questions at once. With a single run on a side its stretches of time stand in for
//! repeats, and the spread is never taken to be less than what repeats have been seen to differ.

use super::file::Run;
use super::{QUANTILES, human_ns, sum};
use crate::series::Stretch;
use std::io;

/// Values above a quantile that make it worth comparing.
const TAIL_VALUES_MIN: f64 = 10.0;

/// Spread nobody is below: three significant digits, a clock, a scheduler.
const SPREAD_MIN: f64 = 0.01;

/// The least spread where a side has one run: what repeats differ by on a machine of two cores
/// that server and generator share.
const SPREAD_SINGLE: f64 = 0.15;

/// Two-sided 99 % quantiles of Student's distribution, by degrees of freedom from 1.
const STUDENT: [f64; 30] = [
    63.66, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012,
    2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779,
    2.771, 2.763, 2.756, 2.750,
];

/// Beyond the table it hardly changes.
const STUDENT_MANY: f64 = 2.704;

/// Endings of figures that are compared: less is better, except for rates.
const FIGURES: [(&str, bool); 4] = [
    ("_per_s", true),
    ("_bytes_per_client", false),
    ("_us_per_request", false),
    ("_us_per_keepalive", false),
];

/// What a comparison found.
#[derive(Debug)]
pub struct Verdict {
    /// A table for people.
    pub text: String,
    /// Lines that are worse by more than allowed.
    pub worse: usize,
}

/// One figure of both sides.
#[derive(Debug)]
struct Line {
    label: String,
    old: f64,
    new: f64,
    /// How much worse the new side is: 1.1 is ten per cent worse, whatever the figure means.
    ratio: f64,
    /// The ratio is between `ratio / spread` and `ratio * spread`.
    spread: f64,
}

impl Line {
    /// From the samples of both sides; `None` when there is nothing to compare.
    fn new(label: String, old: &[f64], new: &[f64], single: bool, rising: bool) -> Option<Self> {
        let (old_mean, old_var) = logarithms(old)?;
        let (new_mean, new_var) = logarithms(new)?;
        let (old_n, new_n) = (old.len() as f64, new.len() as f64);
        let freedom = old.len() + new.len() - 2;
        let mut spread: f64 = 0.0;
        if freedom > 0 {
            let pooled = ((old_n - 1.0) * old_var + (new_n - 1.0) * new_var) / freedom as f64;
            let error = (pooled * (1.0 / old_n + 1.0 / new_n)).sqrt();
            spread = error * STUDENT.get(freedom - 1).copied().unwrap_or(STUDENT_MANY);
        }
        let least: f64 = if single { SPREAD_SINGLE } else { SPREAD_MIN };
        let change = new_mean - old_mean;
        Some(Self {
            label,
            old: old_mean.exp(),
            new: new_mean.exp(),
            ratio: if rising { (-change).exp() } else { change.exp() },
            spread: spread.max(least.ln_1p()).exp(),
        })
    }

    /// Whether the spread leaves room for no change at all.
    fn is_covered(&self) -> bool {
        (1.0 / self.spread..=self.spread).contains(&self.ratio)
    }

    fn text(&self, human: fn(f64) -> String, is_worse: bool) -> String {
        let verdict = match (self.is_covered(), is_worse, self.ratio > 1.0) {
            (true, ..) => "no difference seen",
            (_, true, _) => "WORSE",
            (.., true) => "worse, within what is allowed",
            _ => "better",
        };
        let (low, high) = (self.ratio / self.spread, self.ratio * self.spread);
        format!(
            "  {:36} {:>10} -> {:>10}  x {:.3} ({low:.3} to {high:.3})  {verdict}\n",
            self.label,
            human(self.old),
            human(self.new),
            self.ratio
        )
    }
}

/// Mean and variance of the logarithms; `None` without values or with one that has no logarithm.
fn logarithms(samples: &[f64]) -> Option<(f64, f64)> {
    if samples.is_empty() || samples.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let count = samples.len() as f64;
    let mean = samples.iter().map(|value| value.ln()).sum::<f64>() / count;
    let squares = samples.iter().map(|value| (value.ln() - mean).powi(2)).sum::<f64>();
    Some((mean, squares / (count - 1.0).max(1.0)))
}

/// Compares all workloads that both sides have run. `fail_over` is the ratio up to which worse is
/// accepted. An error when the sides have nothing in common.
pub fn compare(old: &[Run], new: &[Run], fail_over: f64) -> io::Result<Verdict> {
    let mut verdict = Verdict { text: String::new(), worse: 0 };
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for run in new {
        let key = (run.scenario.as_str(), run.workload.as_str());
        if !seen.contains(&key) {
            seen.push(key);
            let of = |runs| Vec::from_iter(same(runs, key));
            let sides = (of(old), of(new));
            if !sides.0.is_empty() {
                compare_workload(&sides.0, &sides.1, fail_over, &mut verdict);
            }
        }
    }
    if verdict.text.is_empty() {
        return Err(io::Error::other("the two sides have no scenario and workload in common"));
    }
    Ok(verdict)
}

fn same<'a>(runs: &'a [Run], key: (&str, &str)) -> impl Iterator<Item = &'a Run> {
    runs.iter().filter(move |run| (run.scenario.as_str(), run.workload.as_str()) == key)
}

fn compare_workload(old: &[&Run], new: &[&Run], fail_over: f64, verdict: &mut Verdict) {
    let (scenario, workload) = (&new[0].scenario, &new[0].workload);
    let counts = (old.len(), new.len());
    verdict.text += &format!("{scenario}: {workload} ({} old, {} new)\n", counts.0, counts.1);
    let mut tell = |line: Option<Line>, human: fn(f64) -> String| {
        let Some(line) = line else { return };
        let is_worse = !line.is_covered() && line.ratio > fail_over;
        verdict.worse += usize::from(is_worse);
        verdict.text += &line.text(human, is_worse);
    };
    let single = old.len() < 2 || new.len() < 2;
    for (name, _) in &new[0].series {
        let (old, new) = (Side::new(old, name, single), Side::new(new, name, single));
        for (label, quantile) in QUANTILES.iter().take(QUANTILES.len() - 1) {
            let label = format!("{name} {label}");
            let samples = (old.quantile(*quantile), new.quantile(*quantile));
            tell(Line::new(label, &samples.0, &samples.1, single, false), |ns| human_ns(ns as u64));
        }
    }
    for name in new[0].figures.keys() {
        let Some((_, rising)) = FIGURES.iter().find(|(end, _)| name.ends_with(end)) else {
            continue;
        };
        let of = |runs: &[&Run]| -> Vec<f64> {
            runs.iter().filter_map(|run| run.figures.get(name)?.as_f64()).collect()
        };
        let line = Line::new(name.clone(), &of(old), &of(new), single, *rising);
        tell(line, |value| format!("{value:.1}"));
    }
    for run in old.iter().chain(new) {
        for fault in &run.faults {
            verdict.text += &format!("  FAULT in {}: {fault}\n", run.path.display());
        }
    }
}

/// One series of one side, as repeats: a run each, or a stretch each.
struct Side(Vec<hdrhistogram::Histogram<u64>>);

impl Side {
    fn new(runs: &[&Run], name: &str, single: bool) -> Self {
        let of = |run: &&Run| -> Vec<Stretch> {
            let series = run.series.iter().find(|(known, _)| known == name);
            series.map(|(_, stretches)| stretches.clone()).unwrap_or_default()
        };
        let runs: Vec<Vec<Stretch>> = runs.iter().map(of).collect();
        if single {
            return Self(runs.concat().iter().map(Stretch::histogram).collect());
        }
        Self(runs.iter().map(|stretches| sum(stretches)).collect())
    }

    /// The quantile of each repeat that has values enough for it; the whole as one when none has.
    fn quantile(&self, quantile: f64) -> Vec<f64> {
        let values = TAIL_VALUES_MIN / (1.0 - quantile);
        let enough = |histogram: &&hdrhistogram::Histogram<u64>| histogram.len() as f64 >= values;
        let of =
            |histogram: &hdrhistogram::Histogram<u64>| histogram.value_at_quantile(quantile) as f64;
        let repeats: Vec<f64> = self.0.iter().filter(enough).map(of).collect();
        if !repeats.is_empty() {
            return repeats;
        }
        let mut all = crate::series::latencies();
        self.0.iter().for_each(|part| all.add(part).expect("one set of bounds"));
        Some(&all).filter(enough).map(of).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::series::Series;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A run of 10 s whose latencies are `ns` with some scatter, and one in `every` is stalled.
    fn run(seed: u64, ns: u64, every: u64) -> Run {
        let mut series = Series::default();
        let mut random = seed;
        for at in 0..20_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let scatter = (random >> 33) % (ns / 5);
            let stall = if at % every == 0 { 20 * ns } else { 0 };
            series.record(at * 500_000, ns + scatter + stall);
        }
        let mut report = Report::new("t", "unary", "w".into());
        report.series("latency", "latency", &series);
        report.figure("requests_per_s", 1e9 / ns as f64, "r", String::new());
        // Tests run side by side and make runs of equal parameters: each file has its own folder.
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("nacre-compare-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let run = Run::read(&report.write(&folder, "run").unwrap()).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        run
    }

    fn runs(seeds: std::ops::Range<u64>, ns: u64, every: u64) -> Vec<Run> {
        seeds.map(|seed| run(seed, ns, every)).collect()
    }

    #[test]
    fn the_same_is_the_same_and_slower_is_worse() {
        let old = runs(1..4, 100_000, u64::MAX);
        let same = compare(&old, &runs(4..7, 100_000, u64::MAX), 1.1).unwrap();
        assert_eq!(same.worse, 0, "{}", same.text);
        assert!(same.text.contains("no difference seen"), "{}", same.text);
        let slow = compare(&old, &runs(4..7, 130_000, u64::MAX), 1.1).unwrap();
        assert!(slow.worse >= 4, "{}", slow.text);
        let fast = compare(&old, &runs(4..7, 70_000, u64::MAX), 1.1).unwrap();
        assert!(fast.worse == 0 && fast.text.contains("better"), "{}", fast.text);
        let allowed = compare(&old, &runs(4..7, 130_000, u64::MAX), 1.5).unwrap();
        assert!(allowed.worse == 0 && allowed.text.contains("within"), "{}", allowed.text);
    }

    #[test]
    fn a_stall_shows_in_the_tail_alone() {
        let verdict =
            compare(&runs(1..4, 100_000, u64::MAX), &runs(4..7, 100_000, 60), 1.1).unwrap();
        assert_eq!(verdict.worse, 2, "{}", verdict.text);
        for line in verdict.text.lines().filter(|line| line.contains("latency p")) {
            assert_eq!(line.contains("WORSE"), line.contains("p99"), "{line}");
        }
    }

    #[test]
    fn single_runs_are_judged_with_care() {
        let old = runs(1..2, 100_000, u64::MAX);
        let verdict = compare(&old, &runs(2..3, 112_000, u64::MAX), 1.1).unwrap();
        assert_eq!(verdict.worse, 0, "{}", verdict.text);
        let verdict = compare(&old, &runs(2..3, 150_000, u64::MAX), 1.1).unwrap();
        assert!(verdict.worse >= 3, "{}", verdict.text);
    }

    #[test]
    fn nothing_in_common_is_an_error() {
        let mut other = run(1, 1_000, u64::MAX);
        other.workload = "else".into();
        assert!(compare(&[run(1, 1_000, u64::MAX)], &[other], 1.1).is_err());
    }
}
