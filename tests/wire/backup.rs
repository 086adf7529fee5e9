//! A backup is one moment of a node that goes on working, and a node restored from it is another
//! one with the same contents.

use crate::server::{Directory, Server};
use crate::support::*;
use crate::tool::*;
use nacre_loadgen::client::{Client, Profile};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Writers beside each other; each writes its numbers in order, and its last one under one name.
const WRITERS: usize = 3;

fn config_client(server: &Server) -> Client {
    client_as(server, Profile::module("config"))
}

fn publish(client: &Client, data_id: &str, content: &str) {
    let body = json!({"dataId": data_id, "group": "G", "tenant": "", "content": content});
    let done = call(client, "ConfigPublishRequest", &body).json().expect("JSON");
    assert_eq!(done["resultCode"], 200, "{done}");
}

fn content(client: &Client, data_id: &str) -> Option<String> {
    let body = json!({"dataId": data_id, "group": "G", "tenant": ""});
    let found = call(client, "ConfigQueryRequest", &body).json().expect("JSON");
    found["content"].as_str().map(str::to_owned)
}

fn text(writer: usize, number: usize) -> String {
    format!("{writer}-{number}-{}", "x".repeat(500))
}

/// Writes until told to stop; `done` counts what was acknowledged.
fn write(server: &Server, writer: usize, done: &AtomicUsize, stop: &AtomicBool) {
    let client = config_client(server);
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        publish(&client, &format!("w{writer}-{number}"), &text(writer, number));
        publish(&client, &format!("last-{writer}"), &number.to_string());
        done.store(number + 1, Ordering::SeqCst);
    }
}

#[test]
fn a_backup_during_a_load_is_one_moment_and_lacks_nothing_before_it() {
    let server = Server::start();
    let scratch = scratch("backup");
    let backup = scratch.path().join("backup");
    fs::create_dir(&backup).expect("an empty directory is as good as none");
    let done: [AtomicUsize; WRITERS] = Default::default();
    let stop = AtomicBool::new(false);
    let before = std::thread::scope(|scope| {
        for (writer, done) in done.iter().enumerate() {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || write(server, writer, done, stop));
        }
        until("some are written", || done.iter().all(|done| done.load(Ordering::SeqCst) >= 20));
        let before = done.each_ref().map(|done| done.load(Ordering::SeqCst));
        let said = tool(&data(&server), &["backup", backup.to_str().expect("text")]);
        // Writers go on behind the moment of the backup.
        let after = done.each_ref().map(|done| done.load(Ordering::SeqCst));
        until("more are written", || {
            done.iter().zip(after).all(|(done, after)| done.load(Ordering::SeqCst) > after)
        });
        stop.store(true, Ordering::SeqCst);
        assert!(said.fine().contains("everything up to log entry"));
        before
    });
    let home = Directory::new("restored");
    restore(&backup, &home.path().join("data")).fine();
    let mut other = Server::start_in(home, &[], &[]);
    let client = config_client(&other);
    for (writer, before) in before.into_iter().enumerate() {
        let there = (0..).take_while(|number| {
            let found = content(&client, &format!("w{writer}-{number}"));
            found.inspect(|found| assert_eq!(*found, text(writer, *number))).is_some()
        });
        let there = there.count();
        assert!(there >= before, "writer {writer}: {there} of {before} acknowledged before");
        // One moment: the last number that is there, or the one before it, whose mark was on its
        // way; and nothing later.
        let last = content(&client, &format!("last-{writer}")).expect("a mark");
        let last: usize = last.parse().expect("a number");
        assert!(last + 1 == there || last + 2 == there, "writer {writer}: {last} of {there}");
        for number in there + 1..there + 50 {
            assert_eq!(content(&client, &format!("w{writer}-{number}")), None);
        }
    }
    // Another node, which writes on and keeps what it writes.
    let ids = |server: &Server| {
        let store = tool(&data(server), &["inspect", "--json"]).json();
        (store["node"].clone(), store["cluster"].clone())
    };
    let (node, cluster) = ids(&server);
    assert!(ids(&other).0 != node && ids(&other).1 != cluster);
    publish(&client, "new", "of the new node");
    other.kill();
    other.start_again();
    assert_eq!(content(&config_client(&other), "new").as_deref(), Some("of the new node"));
}

fn restore(backup: &Path, data: &Path) -> Said {
    tool(data, &["restore", backup.to_str().expect("text")])
}

#[test]
fn a_stopped_node_is_backed_up_from_its_files_and_damage_is_seen() {
    let mut server = Server::start_with(&["--cores", "0"]);
    let client = config_client(&server);
    for number in 0..30 {
        publish(&client, &format!("c{number}"), &number.to_string());
    }
    // What a kill leaves is in the log alone.
    server.kill();
    let (data, scratch) = (data(&server), scratch("stopped"));
    let read = || ["log.wal", "state.redb"].map(|name| fs::read(data.join("raft").join(name)));
    let files = read().map(Result::unwrap);
    let backup = scratch.path().join("backup");
    let to = backup.to_str().expect("text");
    let manifest = tool(&data, &["backup", to, "--json"]).json();
    assert_eq!(manifest["families"]["1"]["records"], 30, "{manifest}");
    assert_eq!(read().map(Result::unwrap), files, "looking changes nothing");
    assert_eq!(rows(&data, "configs", &["--name", "c29"]).len(), 1);
    tool(&data, &["backup", to]).says(1, "is not empty");

    let restored = scratch.path().join("restored");
    for name in ["state.nacre", "manifest.json"] {
        let path = backup.join(name);
        let whole = fs::read(&path).expect("a file");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for wrong in [&flipped[..], &whole[..whole.len() / 2], b""] {
            fs::write(&path, wrong).expect("written");
            let said = restore(&backup, &restored);
            assert_eq!(said.exit, 1, "{name}: {}", said.text);
            assert!(!restored.join("raft").exists(), "nothing is made of it");
        }
        fs::write(&path, whole).expect("written");
    }
    restore(scratch.path(), &restored).says(2, "is no backup");
    restore(&backup, &data).says(1, "is not empty");
    // What an operator prepared may be there.
    fs::create_dir_all(restored.join("conf")).expect("a folder");
    // And what a restore left that was killed.
    fs::create_dir_all(restored.join("raft.new")).expect("a folder");
    fs::write(restored.join("raft.new/log.wal"), "half").expect("written");
    restore(&backup, &restored).fine();
    tool(&restored, &["verify"]).says(0, "fine");
    let all: Vec<Value> = rows(&restored, "configs", &[]);
    assert_eq!(all.len(), 30);
    restore(&backup, &restored).says(1, "there is raft");
}
