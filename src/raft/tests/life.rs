//! A group of one from its first start to its last.

use super::*;
use crate::raft::limits::{BATCH_COMMANDS_MAX, COMMAND_BYTES_MAX, QUEUE_ITEMS_MAX};
use crate::raft::{Role, State};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(put(&group, &[("a", "1"), ("b", "2")]).await, Ok(2));
        assert_eq!(put(&group, &[("a", ""), ("c", "3")]).await, Ok(2));
        let status = group.status();
        assert_eq!((status.state, status.role), (State::Ok, Role::Leader));
        assert_eq!(status.members.len(), 1);
        within(group.stop()).await;
        assert_eq!(put(&group, &[("d", "4")]).await, Err(ProposeError::Stopped));
    });
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "a"), None);
        assert_eq!(get(&group, "b").as_deref(), Some("2"));
        assert_eq!(get(&group, "c").as_deref(), Some("3"));
        group.with(|toy| {
            assert_eq!(toy.loaded, 1);
            assert!(toy.positions.is_empty(), "the stop wrote a checkpoint: nothing is replayed");
        });
        within(group.stop()).await;
    });
}

#[test]
fn without_a_checkpoint_the_log_is_replayed() {
    let place = SimPlace::default();
    let first = on_a_core(async {
        let group = open(&place).await.unwrap();
        put(&group, &[("a", "1")]).await.unwrap();
        group.checkpoint().await.unwrap();
        for round in 0..100 {
            put(&group, &[("a", &round.to_string())]).await.unwrap();
        }
        group.status()
    });
    let place = after_a_kill(&place);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "a").as_deref(), Some("99"));
        group.with(|toy| assert_eq!(toy.positions.len(), 100));
        let status = group.status();
        assert_eq!((status.node, status.cluster), (first.node, first.cluster));
        assert!(status.term > first.term);
        within(group.stop()).await;
    });
}

#[test]
fn commands_that_wait_share_an_entry() {
    on_a_core(async {
        let group = open(&SimPlace::default()).await.unwrap();
        let before = group.status().counters;
        let answers = Rc::new(RefCell::new(Vec::new()));
        let count = 3 * BATCH_COMMANDS_MAX;
        for number in 0..count {
            let answers = answers.clone();
            let command = set(&[(&format!("key{number}"), "x")]);
            group.propose(command, move |answer| answers.borrow_mut().push((number, answer)));
        }
        until(|| answers.borrow().len() == count).await;
        for (at, (number, answer)) in answers.borrow().iter().enumerate() {
            assert_eq!((at, answer), (*number, &Ok(at as u64 + 1)), "in order");
        }
        let after = group.status().counters;
        assert_eq!(after.commands - before.commands, count as u64);
        assert!(after.entries - before.entries <= 4, "{after:?}");
        assert!(after.commits - before.commits <= 4, "{after:?}");
        within(group.stop()).await;
    });
}

#[test]
fn a_full_queue_is_refused() {
    on_a_core(async {
        let group = open(&SimPlace::default()).await.unwrap();
        let refused = Rc::new(RefCell::new(0));
        let done = Rc::new(RefCell::new(0));
        for _ in 0..QUEUE_ITEMS_MAX + 10 {
            let (refused, done) = (refused.clone(), done.clone());
            group.propose(set(&[("a", "1")]), move |answer| match answer {
                Ok(_) => *done.borrow_mut() += 1,
                Err(ProposeError::Full) => *refused.borrow_mut() += 1,
                Err(other) => panic!("{other}"),
            });
        }
        assert_eq!(*refused.borrow(), 10, "at once");
        until(|| *done.borrow() == QUEUE_ITEMS_MAX).await;
        let counted = group.status().counters;
        assert_eq!((counted.refused_full, counted.queue_items, counted.queue_bytes), (10, 0, 0));
        within(group.stop()).await;
    });
}

#[test]
fn large_commands() {
    let place = SimPlace::default();
    let large = "x".repeat(COMMAND_BYTES_MAX - 2);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(put(&group, &[("a", &large)]).await, Ok(1));
        let too_large = put(&group, &[("ab", &large)]).await;
        assert_eq!(too_large, Err(ProposeError::TooLarge(COMMAND_BYTES_MAX + 1)));
    });
    let place = after_a_kill(&place);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "a"), Some(large));
        within(group.stop()).await;
    });
}

#[test]
fn the_log_is_purged_behind_the_checkpoint() {
    let place = SimPlace::default();
    on_a_core(async {
        let group = open(&place).await.unwrap();
        let value = "x".repeat(1 << 20);
        // 48 MiB of log, of which 32 may stay.
        for round in 0..48 {
            put(&group, &[(&format!("key{}", round % 4), &value)]).await.unwrap();
        }
        until(|| group.status().purged > Some(10)).await;
        let status = group.status();
        assert!(status.purged <= status.checkpointed, "{status:?}");
        // Entries leave the file when nothing else is to be done.
        Glommio::sleep(Duration::from_millis(300)).await;
        put(&group, &[("last", "1")]).await.unwrap();
    });
    let place = after_a_kill(&place);
    on_a_core(async {
        let group = open(&place).await.unwrap();
        assert_eq!(get(&group, "last").as_deref(), Some("1"));
        group.with(|toy| assert_eq!(toy.values.len(), 5));
        assert!(group.status().purged > Some(10));
        within(group.stop()).await;
    });
}

#[test]
fn files_of_different_nodes_are_refused() {
    let (one, other) = (SimPlace::default(), SimPlace::default());
    for place in [&one, &other] {
        on_a_core(async { open(place).await.unwrap().stop().await });
    }
    one.take_from(&other, "state.redb");
    let refused = on_a_core(async { open(&one).await.err().unwrap() });
    assert!(matches!(&refused, Fault::Damaged(text) if text.contains("one data directory")));
}

#[test]
fn a_missing_file_is_refused() {
    for name in ["log.wal", "state.redb"] {
        let place = SimPlace::default();
        on_a_core(async {
            let group = open(&place).await.unwrap();
            put(&group, &[("a", "1")]).await.unwrap();
            group.checkpoint().await.unwrap();
            group.purge_behind_the_checkpoint().await;
            within(group.stop()).await;
        });
        place.lose(name);
        let refused = on_a_core(async { open(&place).await.err().unwrap() });
        assert!(matches!(&refused, Fault::Damaged(text) if text.contains(name)), "{refused}");
    }
}
