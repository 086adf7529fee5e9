//! What is read when: families that are not loaded, files of an older format.

use super::*;
use crate::raft::check::{Care, look};
use crate::raft::counters::{Count, Counters};
use crate::raft::place::Guard;
use crate::raft::store::book::{FORMAT_VERSION, META, get_meta, put_meta};
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

#[test]
fn an_older_format_is_read_and_becomes_this_one_with_the_first_write() {
    let place = stopped_node();
    let files = ["log.redb", "state.redb"];
    files.iter().for_each(|name| set_format(&place, name, FORMAT_VERSION - 1));
    assert_eq!(look(&place, Care::Thorough).unwrap().findings, []);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "key299").as_deref(), Some("v"));
        put(&group, &[("a", "1")]).await.unwrap();
        within(group.stop()).await;
    });
    for name in files {
        assert_eq!(format_of(&place, name), FORMAT_VERSION, "{name}");
    }
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(group.with(|toy| toy.values.len()), 301);
        within(group.stop()).await;
    });
}

#[test]
fn a_format_nobody_knows_is_refused() {
    for (format, sentence) in [(0, "which never was"), (FORMAT_VERSION + 1, "a newer nacre")] {
        for name in ["log.redb", "state.redb"] {
            let place = stopped_node();
            set_format(&place, name, format);
            let Err(Fault::Damaged(why)) = on_a_core(open(&place)) else { panic!("{name}") };
            assert!(why.contains(name) && why.contains(sentence), "{why}");
            assert_eq!(format_of(&place, name), format);
        }
    }
}
