//! The recorded messages in `testdata/`.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// One recorded message; `body` as it stood on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    #[serde(rename = "type")]
    pub kind: String,
    pub client_ip: String,
    pub type_url: String,
    pub headers: BTreeMap<String, String>,
    pub body: Box<RawValue>,
    /// File name without its ending.
    #[serde(skip)]
    pub source: String,
}

/// Everything clients sent.
pub fn requests() -> Vec<Sample> {
    messages("requests")
}

/// Everything the reference server sent.
pub fn answers() -> Vec<Sample> {
    messages("answers")
}

/// Whole payloads: whether the client sent it, its type, its bytes.
pub fn payloads() -> Vec<(bool, String, Vec<u8>)> {
    let mut payloads = vec![];
    for (source, text) in files("payloads") {
        for line in text.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("short line in {source}"));
            let (direction, kind, hex) = (word(), word(), word());
            payloads.push((direction == "CS", kind.to_string(), unhex(hex)));
        }
    }
    assert!(payloads.len() > 40, "testdata/payloads is incomplete");
    payloads
}

fn messages(folder: &str) -> Vec<Sample> {
    let mut samples = vec![];
    for (source, text) in files(folder) {
        for line in text.lines() {
            let mut sample: Sample = serde_json::from_str(line).expect(&source);
            sample.source.clone_from(&source);
            samples.push(sample);
        }
    }
    assert!(samples.len() > 60, "testdata/{folder} is incomplete");
    samples
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of samples")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a sample file"))
        })
        .collect();
    files.sort();
    files
}

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}
