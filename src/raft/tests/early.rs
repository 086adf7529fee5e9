//! A checkpoint that is read while its file is being opened.

use super::*;

const KEYS: usize = 300;

/// A node with some pieces of records and a log behind its checkpoint, killed.
async fn killed(place: &SimPlace) -> SimPlace {
    let group = open(place).await.unwrap();
    let long = "v".repeat(10_000);
    for key in 0..KEYS {
        put(&group, &[(&format!("key{key}"), &long)]).await.unwrap();
    }
    group.checkpoint().await.unwrap();
    put(&group, &[("key7", "behind"), ("key8", "")]).await.unwrap();
    after_a_kill(place)
}

async fn holds_all(place: &SimPlace) -> u64 {
    let group = open(place).await.unwrap();
    for key in (0..KEYS).filter(|key| !matches!(key, 7 | 8)) {
        assert_eq!(get(&group, &format!("key{key}")).map(|value| value.len()), Some(10_000));
    }
    assert_eq!(get(&group, "key7").as_deref(), Some("behind"));
    assert_eq!(get(&group, "key8"), None);
    assert_eq!(group.with(|toy| toy.loaded), 1, "shown once, whole");
    group.counters().loaded_early.get()
}

#[test]
fn a_start_after_a_kill_reads_while_it_opens() {
    let place = SimPlace::default();
    let place = on_a_core(async { killed(&place).await });
    on_a_core(async { assert_eq!(holds_all(&place).await, 1) });
}

/// What redb repaired at a start holds no free list: it has to be walked before anything is read.
#[test]
fn a_start_that_cannot_reads_afterwards() {
    let place = SimPlace::default();
    let place = on_a_core(async { killed(&place).await });
    let place = on_a_core(async {
        holds_all(&place).await;
        after_a_kill(&place)
    });
    on_a_core(async { assert_eq!(holds_all(&place).await, 0) });
}

#[test]
fn a_start_after_a_stop_reads_while_it_opens() {
    let place = SimPlace::default();
    let place = on_a_core(async { killed(&place).await });
    on_a_core(async {
        let group = open(&place).await.unwrap();
        within(group.stop()).await;
    });
    on_a_core(async { assert_eq!(holds_all(&place).await, 1) });
}
