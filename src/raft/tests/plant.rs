//! A planted group: what a restore makes.

use super::toy::{Toy, set};
use super::{on_a_core, within};
use crate::raft::place::sim::SimPlace;
use crate::raft::plant::{Seed, plant};
use crate::raft::{Disk, Group, Settings};
use bytes::Bytes;
use std::sync::Arc;

/// A group with some keys, as a copy and what it adds up to.
async fn copied() -> (Seed, Vec<Bytes>) {
    let disk = Disk::start(Arc::new(SimPlace::default())).unwrap();
    let group = Group::open(disk, Settings::default(), Toy::default()).await.unwrap();
    let long = "v".repeat(20_000);
    for number in 0..200 {
        group.put(set(&[(&format!("k{number}"), &long)])).await.unwrap();
    }
    let mut copied = group.copy().await.unwrap();
    // What comes later is not in the copy.
    group.put(set(&[("later", "x")])).await.unwrap();
    group.checkpoint().await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = copied.pieces.next().await.unwrap() {
        pieces.push(piece);
    }
    let seed = Seed {
        term: copied.term,
        index: copied.index,
        totals: copied.totals.clone(),
        address: "127.0.0.1:1".to_owned(),
    };
    drop(copied);
    group.stop().await;
    (seed, pieces)
}

#[test]
fn a_planted_group_holds_the_copy_and_goes_on() {
    on_a_core(within(async {
        let (seed, pieces) = copied().await;
        assert!(pieces.len() > 2, "more than one piece");
        let place = SimPlace::default();
        let whole = pieces.iter().cloned().map(Ok);
        let identity = plant(Arc::new(place.clone()), seed.clone(), whole).unwrap();
        for round in 0..2 {
            let disk = Disk::start(Arc::new(place.clone())).unwrap();
            let group = Group::open(disk, Settings::default(), Toy::default()).await.unwrap();
            let status = group.status();
            assert_eq!((status.node, status.members.len()), (identity.node, 1));
            assert!(status.term > seed.term && status.applied > Some(seed.index));
            group.with(|toy| {
                assert_eq!(toy.values.get(&b"k199"[..]).map(Bytes::len), Some(20_000));
                assert_eq!(toy.values.get(&b"later"[..]), None);
                assert_eq!(toy.values.contains_key(&b"new"[..]), round == 1);
            });
            group.put(set(&[("new", "y")])).await.unwrap();
            group.stop().await;
        }
    }));
}

#[test]
fn what_is_not_the_copy_is_refused() {
    on_a_core(within(async {
        let (seed, pieces) = copied().await;
        let mut bent = pieces.clone();
        let mut bytes = bent[1].to_vec();
        bytes[100] ^= 1;
        bent[1] = bytes.into();
        for wrong in [pieces[1..].to_vec(), bent] {
            let place = Arc::new(SimPlace::default());
            assert!(plant(place, seed.clone(), wrong.into_iter().map(Ok)).is_err());
        }
        let cut = [Err(std::io::ErrorKind::UnexpectedEof.into())].into_iter();
        assert!(plant(Arc::new(SimPlace::default()), seed, cut).is_err());
    }));
}
