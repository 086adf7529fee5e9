//! `nacre verify` and `nacre inspect` as an operator meets them: the real process on the files of
//! a stopped node.

use bytes::Bytes;
use nacre::raft::runtime::Glommio;
use nacre::raft::{Disk, FOLDER, Folder, Group, Machine, Settings};
use nacre_shards::durable::{Record, Table};
use openraft::AsyncRuntime;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

/// A state that is a list of commands.
#[derive(Default)]
struct List(Vec<Bytes>);

impl Machine for List {
    type Answer = usize;

    fn apply(&mut self, position: u64, command: &Bytes, records: &mut Vec<Record>) -> usize {
        let key = Bytes::copy_from_slice(&position.to_be_bytes());
        records.push(Record { table: Table::Config, key, value: Some(command.clone()) });
        self.0.push(command.clone());
        self.0.len()
    }

    fn settle(&mut self) {}

    fn clear(&mut self) {
        self.0.clear();
    }

    fn load(&mut self, record: Record) -> Result<(), String> {
        self.0.push(record.value.ok_or("a removed record")?);
        Ok(())
    }

    fn loaded(&mut self) {}
}

/// A data directory, gone with the value.
struct Data(PathBuf);

impl Data {
    fn new(name: &str) -> Data {
        let path = std::env::temp_dir().join(format!("nacre-verify-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Data(path)
    }

    /// Runs a node's group on it, and stops it.
    fn run_node(&self) {
        let disk = Disk::start(Arc::new(Folder::new(&self.0.join(FOLDER)).unwrap())).unwrap();
        Glommio::new(1).block_on(async {
            let group = Group::open(disk, Settings::default(), List::default()).await.unwrap();
            for number in 0..100 {
                group.put(Bytes::from(vec![number; 2_000])).await.unwrap();
            }
            group.stop().await;
        });
    }

    fn tool(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nacre"));
        command.env_clear().args(arguments).arg("--data").arg(&self.0);
        command.output().expect("the command runs")
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_whole_directory_is_fine_and_stays_as_it_is() {
    let data = Data::new("whole");
    data.run_node();
    let read = || ["log.wal", "state.redb"].map(|name| fs::read(data.0.join(FOLDER).join(name)));
    let before = read().map(Result::unwrap);
    let verified = data.tool(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert!(text(&verified).contains("100 records"), "{}", text(&verified));
    let inspected = data.tool(&["inspect", "--json"]);
    assert_eq!(inspected.status.code(), Some(0), "{}", text(&inspected));
    let told: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(told["log"]["commands"], 100);
    assert_eq!(told["state"]["families"]["config"]["records"], 100);
    assert_eq!(told["state"]["applied"], told["log"]["last"]);
    assert!(text(&data.tool(&["inspect"])).contains("commands: 100"));
    assert_eq!(read().map(Result::unwrap), before, "looking changes nothing");
}

#[test]
fn a_flipped_byte_of_a_value_is_named() {
    let data = Data::new("flipped");
    data.run_node();
    for name in ["log.wal", "state.redb"] {
        let path = data.0.join(FOLDER).join(name);
        let whole = fs::read(&path).unwrap();
        // The middle of the 78th command, in both files.
        let run = [77_u8; 500];
        let at = whole.windows(run.len()).position(|window| window == run).unwrap();
        let mut flipped = whole.clone();
        flipped[at + 100] ^= 4;
        fs::write(&path, &flipped).unwrap();
        let verified = data.tool(&["verify"]);
        assert_eq!(verified.status.code(), Some(1), "{}", text(&verified));
        assert!(text(&verified).contains(name), "{}", text(&verified));
        assert!(text(&verified).contains("What to do"), "{}", text(&verified));
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(data.tool(&["verify"]).status.code(), Some(0));
}

#[test]
fn nonsense_is_reported_and_not_a_crash() {
    let data = Data::new("nonsense");
    data.run_node();
    let path = data.0.join(FOLDER).join("state.redb");
    let whole = fs::read(&path).unwrap();
    let noise: Vec<u8> = (0..whole.len()).map(|at| (at * 31 % 251) as u8).collect();
    let mut half = whole.clone();
    half[4_096..].copy_from_slice(&noise[4_096..]);
    for bytes in [&noise[..], &half, &whole[..whole.len() / 2], &whole[..100], b""] {
        fs::write(&path, bytes).unwrap();
        let verified = data.tool(&["verify"]);
        assert_eq!(verified.status.code(), Some(1), "{}", text(&verified));
        assert!(text(&verified).contains("state.redb"), "{}", text(&verified));
    }
}

#[test]
fn what_cannot_be_looked_at() {
    let data = Data::new("none");
    assert_eq!(data.tool(&["verify"]).status.code(), Some(2), "no directory");
    assert!(!data.0.exists(), "and none is made");
    fs::create_dir_all(&data.0).unwrap();
    assert_eq!(data.tool(&["verify"]).status.code(), Some(2), "no files");
    data.run_node();
    let held = nacre::boot::data::DataDirectory::open(&data.0).unwrap();
    let refused = data.tool(&["inspect"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("in use"), "{}", text(&refused));
    drop(held);
    assert_eq!(data.tool(&["inspect"]).status.code(), Some(0));
}
