//! Kept results: printed, drawn, compared.

use super::say;
use clap::Args;
use nacre_loadgen::report::compare::compare;
use nacre_loadgen::report::curve::svg;
use nacre_loadgen::report::file::Run;
use nacre_loadgen::report::{Report, human_bytes, human_ns};
use std::path::PathBuf;
use std::{fs, io};

/// Parts the two sides of a comparison.
const VERSUS: &str = "vs";

#[derive(Args)]
pub(super) struct ReportFiles {
    /// Result files, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Draw the curves into this file
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Only these series, such as change_each
    #[arg(long)]
    series: Vec<String>,
}

impl ReportFiles {
    pub(super) fn run(self) -> io::Result<bool> {
        let mut runs = Run::read_all(&self.files)?;
        for run in &mut runs {
            say(&run.text())?;
            if !self.series.is_empty() {
                run.series.retain(|(name, _)| self.series.contains(name));
            }
        }
        if let Some(path) = &self.svg {
            fs::write(path, svg(&runs))?;
            say(&format!("{}\n", path.display()))?;
        }
        Ok(true)
    }
}

#[derive(Args)]
pub(super) struct CompareFiles {
    /// OLD NEW, each a result file or a folder of them; or OLD... vs NEW...
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Exit with 1 when a figure is worse by more than this ratio, and by more than its spread
    #[arg(long, default_value_t = 1.10)]
    fail_over: f64,
}

impl CompareFiles {
    pub(super) fn run(self) -> io::Result<bool> {
        let (old, new) = sides(&self.files)?;
        let verdict = compare(&Run::read_all(old)?, &Run::read_all(new)?, self.fail_over)?;
        say(&verdict.text)?;
        if verdict.worse > 0 {
            let text =
                format!("{} figures are worse by more than {}\n", verdict.worse, self.fail_over);
            say(&text)?;
        }
        Ok(verdict.worse == 0)
    }
}

/// What stands before and after `vs`; without it, exactly one thing each.
fn sides(files: &[PathBuf]) -> io::Result<(&[PathBuf], &[PathBuf])> {
    let parted = match files.iter().position(|file| file.as_os_str() == VERSUS) {
        Some(at) => (&files[..at], &files[at + 1..]),
        None if files.len() == 2 => files.split_at(1),
        None => (files, &[][..]),
    };
    if parted.0.is_empty() || parted.1.is_empty() {
        return Err(io::Error::other("write OLD NEW, or OLD... vs NEW..."));
    }
    Ok(parted)
}

/// The figures of several targets beside each other, medians over the rounds, as Markdown.
pub(super) fn side_by_side(reports: &[Vec<Report>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in reports.iter().flatten().flat_map(Report::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let targets = reports.iter().map(|of| of.first().map_or("-", Report::target).to_owned());
    let mut text = line("median", targets);
    text += &line("---", reports.iter().map(|_| "---:".to_owned()));
    for name in names {
        text += &line(name, reports.iter().map(|of| median(of, name)));
    }
    let faults = reports.iter().map(|of| of.iter().filter(|report| !report.is_clean()).count());
    text + &line("runs with faults", faults.map(|count| count.to_string()))
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
    format!("| {name} |{cells}\n")
}

fn median(reports: &[Report], name: &str) -> String {
    let mut values: Vec<f64> = reports.iter().filter_map(|report| report.get(name)).collect();
    values.sort_by(f64::total_cmp);
    match values.get(values.len() / 2) {
        None => "-".to_owned(),
        Some(value) if name.contains("_ns_") => human_ns(*value as u64),
        Some(value) if name.contains("bytes") => human_bytes(*value),
        Some(value) => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_things_or_a_word_between() {
        let paths = |text: &str| -> Vec<PathBuf> { text.split(' ').map(PathBuf::from).collect() };
        let lengths =
            |text: &str| sides(&paths(text)).map(|(old, new)| (old.len(), new.len())).ok();
        assert_eq!(lengths("a b"), Some((1, 1)));
        assert_eq!(lengths("a b vs c"), Some((2, 1)));
        assert_eq!(lengths("a"), None);
        assert_eq!(lengths("a b c"), None);
        assert_eq!(lengths("vs c"), None);
    }

    #[test]
    fn medians_stand_side_by_side() {
        let report = |target: &str, value: f64| {
            let mut report = Report::new(target, "test", String::new());
            report.silent_figure("x", value);
            report
        };
        let reports =
            [vec![report("a", 1.0), report("a", 9.0), report("a", 2.0)], vec![report("b", 5.0)]];
        let text = side_by_side(&reports);
        assert!(text.starts_with("| median | a | b |\n| --- | ---: | ---: |\n"), "{text}");
        assert!(text.contains("| x | 2.000 | 5.000 |"), "{text}");
        assert!(text.contains("| runs with faults | 0 | 0 |"), "{text}");
    }
}
