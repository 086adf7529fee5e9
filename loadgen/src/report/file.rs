//! One file per run: an HdrHistogram log (V2) that other tools read too, with everything else in
//! one comment line of JSON.
//!
//! Values are nanoseconds; each entry's tag names its series, each entry is one stretch of time,
//! and all entries of a tag together are the run.

use super::{Report, human_ns, sum, table};
use crate::clock;
use crate::series::Stretch;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What the comment line begins with.
const MARK: &str = "#nacre-loadgen ";

/// Largest value in the log's fourth column, which is in milliseconds by convention.
const NS_PER_MS: f64 = 1e6;

/// The ending of result files.
pub const EXTENSION: &str = "hlog";

/// Folders in folders that are looked into: a release, its lines.
const DEPTH_MAX: usize = 3;

/// A result file is not longer than this.
const FILE_BYTES_MAX: u64 = 256 << 20;

impl Report {
    /// Writes `FOLDER/NAME.hlog`.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{name}.{EXTENSION}"));
        fs::write(&path, self.log()?)?;
        Ok(path)
    }

    fn log(&self) -> io::Result<Vec<u8>> {
        let document = json!({
            "target": self.target, "scenario": self.scenario, "workload": self.workload,
            "context": context(), "figures": self.figures, "notes": self.notes,
            "faults": self.faults,
        });
        let mut bytes = format!("{MARK}{document}\n").into_bytes();
        let mut serializer = V2DeflateSerializer::new();
        let mut writer = IntervalLogWriterBuilder::new()
            .add_comment("[values in nanoseconds]")
            .with_start_time(clock::calendar())
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut bytes, &mut serializer)?;
        for (name, stretches) in &self.histograms {
            for stretch in stretches {
                let histogram = stretch.histogram();
                writer
                    .write_histogram(&histogram, stretch.start, stretch.length, Tag::new(name))
                    .map_err(|error| io::Error::other(format!("{error:?}")))?;
            }
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
        "commit": env!("NACRE_COMMIT"),
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

/// A result file as read.
#[derive(Debug)]
pub struct Run {
    pub path: PathBuf,
    pub target: String,
    /// Scenario and workload: runs where both are equal are comparable.
    pub scenario: String,
    pub workload: String,
    pub context: Map<String, Value>,
    pub figures: Map<String, Value>,
    pub notes: Vec<String>,
    pub faults: Vec<String>,
    /// Series by name, in the order of the file.
    pub series: Vec<(String, Vec<Stretch>)>,
}

impl Run {
    /// Reads one file. The error says which file and what is wrong with it.
    pub fn read(path: &Path) -> io::Result<Self> {
        let wrong = |what: String| io::Error::other(format!("{}: {what}", path.display()));
        let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(wrong(format!("{length} bytes are too many")));
        }
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(path, &bytes).map_err(wrong)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let document = text.lines().find_map(|line| line.strip_prefix(MARK));
        let document = document.ok_or("not a result of nacre-loadgen")?;
        let mut document: Map<String, Value> =
            serde_json::from_str(document).map_err(|error| error.to_string())?;
        let mut take = |name: &str| document.remove(name).unwrap_or_default();
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let words = |value: Value| match value {
            Value::Array(values) => values.into_iter().map(word).collect(),
            _ => Vec::new(),
        };
        let object = |value: Value| match value {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        Ok(Self {
            path: path.to_owned(),
            target: word(take("target")),
            scenario: word(take("scenario")),
            workload: word(take("workload")),
            context: object(take("context")),
            figures: object(take("figures")),
            notes: words(take("notes")),
            faults: words(take("faults")),
            series: series(bytes)?,
        })
    }

    /// Every result under the given files and folders, in the order of their names.
    pub fn read_all(paths: &[PathBuf]) -> io::Result<Vec<Self>> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                collect(path, DEPTH_MAX, &mut files)?;
            } else {
                files.push(path.clone());
            }
        }
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// Target, scenario and workload in a line.
    pub fn title(&self) -> String {
        format!("{} {}: {}", self.target, self.scenario, self.workload)
    }

    /// Everything but the histograms' shape, as a table.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for (name, value) in &self.figures {
            let value = value.as_f64().unwrap_or(0.0);
            let text = match name.contains("_ns_") {
                true => human_ns(value as u64),
                false => format!("{value:.3}"),
            };
            lines.push((name.clone(), text));
        }
        for (name, stretches) in &self.series {
            let count = sum(stretches).len();
            lines.push((format!("{name} values"), format!("{count} in {}", stretches.len())));
        }
        for name in ["host", "kernel", "cpu", "cores_usable", "loadgen", "commit", "command"] {
            let value = self.context.get(name).cloned().unwrap_or_default();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push((name.to_owned(), text));
        }
        let mut text = format!("{}\n{}", self.title(), table(&lines));
        for note in &self.notes {
            text += &format!("  NOTE: {note}\n");
        }
        for fault in &self.faults {
            text += &format!("  FAULT: {fault}\n");
        }
        text
    }
}

/// The result files of a folder and of those in it, sorted.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        } else if depth > 0 && path.is_dir() {
            collect(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

/// The histograms of a log, by tag.
fn series(bytes: &[u8]) -> Result<Vec<(String, Vec<Stretch>)>, String> {
    let mut all: Vec<(String, Vec<Stretch>)> = Vec::new();
    for entry in IntervalLogIterator::new(bytes) {
        let LogEntry::Interval(entry) = entry.map_err(|error| format!("{error:?}"))? else {
            continue;
        };
        let tag = entry.tag().map_or("", |tag| tag.as_str());
        let stretch = stretch(&entry)?;
        match all.iter_mut().find(|(name, _)| name == tag) {
            Some((_, stretches)) => stretches.push(stretch),
            None => all.push((tag.to_owned(), vec![stretch])),
        }
    }
    Ok(all)
}

fn stretch(entry: &IntervalLogHistogram<'_>) -> Result<Stretch, String> {
    let bytes = from_base64(entry.encoded_histogram()).ok_or("a histogram is not Base64")?;
    let read: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| format!("{error:?}"))?;
    // Into bounds of our own, whatever the file's are.
    let mut histogram = crate::series::latencies();
    match histogram.add(&read) {
        Ok(()) => Ok(Stretch::new(entry.start_timestamp(), entry.duration(), &histogram)),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// RFC 4648, 4; `None` for anything else.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0u32, 0);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Series, latencies, record};
    use std::time::Duration;

    #[test]
    fn a_run_survives_its_file() {
        let mut series = Series::default();
        series.begin(0, Duration::from_secs(4));
        for (now_s, ns) in [(0, 900), (1, 1_500), (2, 2_000_000), (3, u64::MAX)] {
            series.record(now_s * 1_000_000_000, ns);
        }
        let mut report = Report::new("nacre", "test", "x".into());
        report.series("latency", "latency", &series);
        report.figure("requests_per_s", 4.25, "requests/s", "4".into());
        report.fault("something".into());
        let run = Run::parse(Path::new("f"), &report.log().unwrap()).unwrap();
        assert_eq!(run.title(), report.title());
        assert_eq!(run.faults, ["something"]);
        assert_eq!(run.figures["requests_per_s"], 4.25);
        let (name, stretches) = &run.series[0];
        assert_eq!((name.as_str(), stretches.len()), ("latency", 4));
        assert_eq!(stretches[3].start, Duration::from_secs(3));
        assert_eq!(&sum(stretches), series.total());
        let text = run.text();
        assert!(text.contains("FAULT: something") && text.contains("4.250"), "{text}");
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let mut report = Report::new("nacre", "test", "x".into());
        let mut histogram = latencies();
        record(&mut histogram, 5);
        report.histogram("a", "a", &histogram, Duration::from_secs(1));
        let good = String::from_utf8(report.log().unwrap()).unwrap();
        let parse = |text: &str| Run::parse(Path::new("f"), text.as_bytes());
        assert!(parse(&good).is_ok());
        assert!(parse("").is_err());
        assert!(parse(&good.replace("#nacre-loadgen {", "#nacre-loadgen [")).is_err());
        let entry = good.lines().last().unwrap();
        let (head, histogram) = entry.rsplit_once(',').unwrap();
        for bad in ["", "!!!!", "HISTFAAA", &histogram[..histogram.len() / 2]] {
            assert!(parse(&good.replace(entry, &format!("{head},{bad}"))).is_err(), "{bad}");
        }
        assert!(Run::read(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn base64_of_the_rfc() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(from_base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(from_base64("Zm 9"), None);
    }
}
