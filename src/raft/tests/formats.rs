//! What is read when: families that are not loaded, files of an older format.

use super::*;
use crate::raft::check::{Care, look};
use crate::raft::counters::{Count, Counters};
use crate::raft::encoding::{put_log_id, put_vote};
use crate::raft::place::Guard;
use crate::raft::place::sim::Seed;
use crate::raft::store::book::{FORMAT_VERSION, Identity, META, get_meta, put_meta};
use crate::raft::store::log_file::{self, older};
use crate::raft::store::{LogFile, Shared};
use nacre_shards::durable::Table;
use redb::{Database, ReadableDatabase};

/// So that most of the checkpoint is not loaded.
const LONG: &str = match str::from_utf8(&[b'p'; 1_500]) {
    Ok(text) => text,
    Err(_) => "",
};

/// A file of a stopped node, opened by hand.
fn file(place: &SimPlace, name: &str) -> Database {
    let inner = place.open(name).unwrap();
    let length: fn(&Counters) -> &Count = |counters| &counters.state_file_bytes;
    let guard = Guard::new(inner, Arc::default(), Arc::default(), length);
    redb::Builder::new().create_with_backend(guard).unwrap()
}

fn format_of(place: &SimPlace, name: &str) -> u32 {
    let open = file(place, name);
    let meta = open.begin_read().unwrap().open_table(META).unwrap();
    let bytes = get_meta(&meta, "format").unwrap().unwrap();
    u32::from_le_bytes(bytes.as_ref().try_into().unwrap())
}

fn set_format(place: &SimPlace, name: &str, format: u32) {
    let open = file(place, name);
    let txn = open.begin_write().unwrap();
    put_meta(&mut txn.open_table(META).unwrap(), "format", &format.to_le_bytes()).unwrap();
    txn.commit().unwrap();
}

async fn past(group: &Group<Toy>, key: &'static str) -> Result<Option<Bytes>, Fault> {
    let keys = vec![Bytes::from_static(key.as_bytes())];
    let read = |_, value: Option<&[u8]>| Ok(value.map(Bytes::copy_from_slice));
    let mut read = within(group.records(Table::Past, keys, read)).await?;
    Ok(read.pop().flatten())
}

fn stopped_node() -> SimPlace {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        for number in 0..300 {
            let pairs = [(format!("key{number}"), "v"), (format!("past.{number}"), LONG)];
            let pairs = pairs.each_ref().map(|(key, value)| (key.as_str(), *value));
            put(&group, &pairs).await.unwrap();
        }
        within(group.stop()).await;
    });
    place
}

/// The toy refuses to load what is not loaded.
#[test]
fn what_is_not_loaded_is_there_when_asked_for() {
    let place = stopped_node();
    for place in [place.clone(), after_a_kill(&place)] {
        on_a_core(async {
            let group = open(&place).await.unwrap();
            assert_eq!(group.with(|toy| toy.values.len()), 300);
            assert_eq!(past(&group, "past.7").await, Ok(Some(Bytes::from_static(LONG.as_bytes()))));
            assert_eq!(past(&group, "past.300").await, Ok(None));
            put(&group, &[("past.7", "")]).await.unwrap();
            assert_eq!(past(&group, "past.7").await, Ok(None), "waiting for the checkpoint");
            group.checkpoint().await.unwrap();
            assert_eq!(past(&group, "past.7").await, Ok(None));
            within(group.stop()).await;
        });
        assert_eq!(look(&place, Care::Thorough).unwrap().findings, []);
    }
}

/// Puts the log into the file earlier versions kept it in.
fn make_log_older(place: &SimPlace) {
    let shared =
        Shared { place: Arc::new(place.clone()), health: Arc::default(), counters: Arc::default() };
    let mut log = LogFile::new(&shared);
    let opened = log.open(Identity { node: 0, cluster: 0 }, true).unwrap();
    place.create(older::NAME).unwrap();
    let open = file(place, older::NAME);
    let txn = open.begin_write().unwrap();
    let mut meta = txn.open_table(META).unwrap();
    put_meta(&mut meta, "format", &FORMAT_VERSION.to_le_bytes()).unwrap();
    let Identity { node, cluster } = opened.identity;
    let whose = [&node.to_le_bytes()[..], &cluster.to_le_bytes()].concat();
    put_meta(&mut meta, "identity", &whose).unwrap();
    put_meta(&mut meta, "vote", &put_vote(&opened.vote.unwrap())).unwrap();
    let mut purged = Vec::new();
    put_log_id(&mut purged, opened.purged.as_ref());
    put_meta(&mut meta, "purged", &purged).unwrap();
    let mut rows = txn.open_table(older::LOG).unwrap();
    for entry in &opened.entries {
        let row = |key, bytes, fill: &mut dyn FnMut(&mut [u8])| {
            fill(rows.insert_reserve(key, bytes)?.as_mut());
            Ok::<_, redb::StorageError>(())
        };
        entry.write(row).unwrap();
    }
    drop((meta, rows));
    txn.commit().unwrap();
    place.lose(log_file::NAME);
}

#[test]
fn the_log_of_earlier_versions_is_kept_as_it_is_now() {
    let place = stopped_node();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        group.checkpoint().await.unwrap();
        group.purge_behind_the_checkpoint().await;
        put(&group, &[("behind", &"v".repeat(100_000))]).await.unwrap();
        within(group.stop()).await;
    });
    let before = look(&place, Care::Thorough).unwrap();
    make_log_older(&place);
    let refused = look(&place, Care::Thorough).unwrap_err().to_string();
    assert!(refused.contains("start nacre once"), "{refused}");
    // The power is cut while it is copied, at any call: it is in one file or in the other.
    for calls in 1.. {
        let copy = place.copy();
        copy.faults(|faults| faults.calls_left = Some(calls));
        let stopped = on_a_core(async {
            let group = open(&copy).await;
            let is_off = copy.is_off();
            if let Ok(group) = group {
                within(group.stop()).await;
            }
            is_off
        });
        let copy = copy.after_the_cut(&mut Seed(calls));
        on_a_core(async {
            let group = open(&copy).await.unwrap();
            assert_eq!(get(&group, "behind").map(|value| value.len()), Some(100_000));
            assert_eq!(group.with(|toy| toy.values.len()), 301);
            within(group.stop()).await;
        });
        let after = look(&copy, Care::Thorough).unwrap();
        assert_eq!(after.findings, []);
        assert_eq!(after.log.unwrap().identity, before.log.as_ref().unwrap().identity);
        assert!(!copy.exists(older::NAME).unwrap());
        if !stopped {
            break;
        }
    }
}

#[test]
fn an_older_format_is_read_and_becomes_this_one_with_the_first_write() {
    let place = stopped_node();
    set_format(&place, "state.redb", FORMAT_VERSION - 1);
    assert_eq!(look(&place, Care::Thorough).unwrap().findings, []);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "key299").as_deref(), Some("v"));
        put(&group, &[("a", "1")]).await.unwrap();
        within(group.stop()).await;
    });
    assert_eq!(format_of(&place, "state.redb"), FORMAT_VERSION);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(group.with(|toy| toy.values.len()), 301);
        within(group.stop()).await;
    });
}

fn log_format_of(place: &SimPlace) -> u32 {
    let mut format = [0; 4];
    place.open(log_file::NAME).unwrap().read(12, &mut format).unwrap();
    u32::from_le_bytes(format)
}

#[test]
fn a_format_nobody_knows_is_refused() {
    let set_log_format = |place: &SimPlace, format: u32| {
        let log = place.open(log_file::NAME).unwrap();
        let mut head = [0; 52];
        log.read(0, &mut head).unwrap();
        head[12..16].copy_from_slice(&format.to_le_bytes());
        let checksum = crc32c::crc32c(&head[12..]);
        head[8..12].copy_from_slice(&checksum.to_le_bytes());
        log.write(0, &head).unwrap();
    };
    for (name, newer) in [("log.wal", 2), ("state.redb", FORMAT_VERSION + 1)] {
        for (format, sentence) in [(0, "which never was"), (newer, "a newer nacre")] {
            let place = stopped_node();
            match name {
                "log.wal" => set_log_format(&place, format),
                name => set_format(&place, name, format),
            }
            let Err(Fault::Damaged(why)) = on_a_core(open(&place)) else { panic!("{name}") };
            assert!(why.contains(name) && why.contains(sentence), "{why}");
            let kept = match name {
                "log.wal" => log_format_of(&place),
                name => format_of(&place, name),
            };
            assert_eq!(kept, format, "{name}");
        }
    }
}
