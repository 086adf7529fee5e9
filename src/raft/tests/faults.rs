//! A disk that fails has a named behaviour.

use super::*;
use crate::raft::State;
use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;

#[test]
fn a_failed_fsync_latches_until_a_restart() {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        put(&group, &[("a", "1")]).await.unwrap();
        place.faults(|faults| faults.sync = Some(ErrorKind::Other));
        let answer = put(&group, &[("a", "2")]).await;
        assert!(matches!(answer, Err(ProposeError::Interrupted(_))), "{answer:?}");
        place.faults(|faults| faults.sync = None);
        // The disk says it is fine again; nobody believes it.
        for _ in 0..3 {
            let answer = put(&group, &[("a", "3")]).await;
            assert!(matches!(answer, Err(ProposeError::Latched(_))), "{answer:?}");
            Glommio::sleep(Duration::from_millis(600)).await;
        }
        let status = group.status();
        assert!(matches!(status.state, State::Latched(_)), "{status:?}");
        assert_eq!((status.counters.latched, status.counters.read_only), (1, 0));
        assert_eq!(get(&group, "a").as_deref(), Some("1"), "reads go on");
        within(group.stop()).await;
    });
    on_a_core(async {
        let group = open(&place).await.unwrap();
        let value = get(&group, "a").unwrap();
        assert!(value == "1" || value == "2", "acknowledged, or interrupted: {value}");
        put(&group, &[("a", "4")]).await.unwrap();
        within(group.stop()).await;
    });
}

#[test]
fn a_write_that_fails_otherwise_latches_too() {
    for kind in [ErrorKind::Other, ErrorKind::ReadOnlyFilesystem] {
        on_a_core(async {
            let place = SimPlace::default();
            let group = open(&place).await.unwrap();
            place.faults(|faults| faults.write = Some(kind));
            assert!(put(&group, &[("a", "1")]).await.is_err());
            place.faults(|faults| faults.write = None);
            let answer = put(&group, &[("a", "2")]).await;
            assert!(matches!(answer, Err(ProposeError::Latched(_))), "{answer:?}");
            within(group.stop()).await;
        });
    }
}

#[test]
fn a_full_disk_is_read_only_and_recovers_by_itself() {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        let value = "x".repeat(100_000);
        place.faults(|faults| faults.file_bytes_max = Some(3 << 20));
        let mut acknowledged = 0;
        let stopped_by = loop {
            match put(&group, &[(&format!("key{acknowledged}"), &value)]).await {
                Ok(_) => acknowledged += 1,
                Err(why) => break why,
            }
        };
        assert!(acknowledged > 3, "{stopped_by}");
        until(|| matches!(group.status().state, State::ReadOnly(_))).await;
        let answer = put(&group, &[("b", "1")]).await;
        assert!(matches!(answer, Err(ProposeError::ReadOnly(_))), "{answer:?}");
        assert_eq!(group.status().counters.read_only, 1);
        assert!(get(&group, "key0").is_some(), "reads go on");
        place.faults(|faults| faults.file_bytes_max = None);
        until(|| group.status().state == State::Ok).await;
        put(&group, &[("b", "1")]).await.unwrap();
        let counted = group.status().counters;
        assert_eq!(counted.read_only, 0);
        assert!(counted.reopened >= 1);
        for key in 0..acknowledged {
            assert!(get(&group, &format!("key{key}")).is_some());
        }
        group.with(|toy| assert_eq!(toy.loaded, 1, "the state in memory was never lost"));
    });
    let place = after_a_kill(&place);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "b").as_deref(), Some("1"));
        assert!(get(&group, "key0").is_some());
        within(group.stop()).await;
    });
}

/// The disk is full at any write of a start: either nothing could be opened and the error says so,
/// or everything can be read, and writes come back with the space.
#[test]
fn a_start_on_a_full_disk_reads_and_waits_for_space() {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        for key in 0..20 {
            put(&group, &[(&format!("key{key}"), &"x".repeat(10_000))]).await.unwrap();
        }
    });
    let mut read_only = 0;
    for writes_left in 0.. {
        let place = after_a_kill(&place);
        place.faults(|faults| faults.writes_left = Some(writes_left));
        let was_enough = on_a_core(async {
            let group = match open(&place).await {
                Ok(group) => group,
                Err(fault) => {
                    assert!(matches!(fault, Fault::Full(_)), "{fault:?}");
                    return false;
                }
            };
            for key in 0..20 {
                assert!(get(&group, &format!("key{key}")).is_some(), "{writes_left}: reads go on");
            }
            if group.status().state == State::Ok {
                return true;
            }
            let answer = put(&group, &[("b", "1")]).await;
            assert!(matches!(answer, Err(ProposeError::ReadOnly(_))), "{writes_left}: {answer:?}");
            place.faults(|faults| faults.writes_left = None);
            if read_only == 0 {
                until(|| group.status().state == State::Ok).await;
                put(&group, &[("b", "1")]).await.unwrap();
            }
            read_only += 1;
            false
        });
        if was_enough {
            break;
        }
    }
    assert!(read_only > 2, "{read_only}");
}

#[test]
fn a_checkpoint_that_meets_a_full_disk_is_written_later() {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        for key in 0..20 {
            put(&group, &[(&format!("key{key}"), &"x".repeat(50_000))]).await.unwrap();
        }
        let (_, state_bytes) =
            place.files().into_iter().find(|(name, _)| name == "state.redb").unwrap();
        place.faults(|faults| faults.file_bytes_max = Some(state_bytes as u64));
        assert!(matches!(group.checkpoint().await, Err(Fault::Full(_))));
        until(|| matches!(group.status().state, State::ReadOnly(_))).await;
        place.faults(|faults| faults.file_bytes_max = None);
        until(|| group.status().state == State::Ok).await;
        group.checkpoint().await.unwrap();
        assert_eq!(group.status().checkpointed, group.status().applied);
    });
    let place = after_a_kill(&place);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        group.with(|toy| {
            assert_eq!((toy.values.len(), toy.positions.len()), (20, 0));
        });
        within(group.stop()).await;
    });
}

#[test]
fn below_the_reserve_writes_are_refused_before_the_log_sees_them() {
    on_a_core(async {
        let place = SimPlace::default();
        let settings = Settings { reserve_bytes: 1_000_000, ..Settings::default() };
        let group = open_with(&place, settings).await.unwrap();
        put(&group, &[("a", "1")]).await.unwrap();
        place.faults(|faults| faults.free_bytes = Some(999_999));
        until(|| matches!(group.status().state, State::ReadOnly(_))).await;
        let last = group.status().last_log;
        let answer = put(&group, &[("a", "2")]).await;
        assert!(matches!(answer, Err(ProposeError::ReadOnly(_))), "{answer:?}");
        assert_eq!(group.status().last_log, last);
        // A little more is not enough: the state does not flicker.
        place.faults(|faults| faults.free_bytes = Some(1_100_000));
        Glommio::sleep(Duration::from_millis(2_500)).await;
        assert!(matches!(group.status().state, State::ReadOnly(_)));
        place.faults(|faults| faults.free_bytes = Some(1_250_000));
        until(|| group.status().state == State::Ok).await;
        put(&group, &[("a", "3")]).await.unwrap();
        assert_eq!(group.status().counters.reopened, 0);
        within(group.stop()).await;
    });
}

#[test]
fn a_slow_disk_fills_the_queue_and_not_the_memory() {
    on_a_core(async {
        let place = SimPlace::default();
        let group = open(&place).await.unwrap();
        place.faults(|faults| faults.sync_ms = 200);
        let value = "x".repeat(1 << 20);
        let refused = Rc::new(Cell::new(0));
        for _ in 0..100 {
            let refused = refused.clone();
            group.propose(set(&[("a", &value)]), move |answer| {
                refused.set(refused.get() + u32::from(answer == Err(ProposeError::Full)));
            });
        }
        // Nothing has been waited for: refusals come at once.
        let refused = refused.get();
        assert!(refused >= 30, "{refused}");
        assert!(group.status().counters.queue_bytes <= 64 << 20);
        place.faults(|faults| faults.sync_ms = 0);
        within(group.stop()).await;
    });
}
