//! One flipped byte in the files of a stopped node: verify tells, or it does not matter; and a
//! start never serves anything wrong.

use super::*;
use crate::raft::check::{Care, look};
use crate::raft::place::sim::Seed;

/// Places that are tried; more with `NACRE_FLIPS`.
const FLIPS: u64 = 2_000;

/// A stopped node with something of everything, and files small enough to look at often.
fn stopped_node() -> SimPlace {
    let place = SimPlace::default();
    place.faults(|faults| faults.free_bytes = Some(1 << 20));
    on_a_core(async {
        let group = open(&place).await.unwrap();
        for key in 0..200 {
            let pad = "v".repeat(key % 50 * 20);
            let other = key % 7;
            let pairs = [
                (format!("key{key}"), format!("{key}{pad}")),
                (format!("past.{key}"), pad.clone()),
                (format!("o{other}"), pad),
            ];
            let pairs = pairs.each_ref().map(|(key, value)| (key.as_str(), value.as_str()));
            put(&group, &pairs).await.unwrap();
            if key == 100 {
                group.checkpoint().await.unwrap();
                group.purge_behind_the_checkpoint().await;
            }
        }
        within(group.stop()).await;
    });
    place
}

#[test]
fn verify_sees_any_flipped_byte_that_matters() {
    let place = stopped_node();
    let whole = look(&place, Care::Thorough).unwrap();
    assert_eq!(whole.findings, []);
    assert_eq!(
        look(&place, Care::Thorough).unwrap().digest,
        whole.digest,
        "looking changes nothing"
    );
    let flips = std::env::var("NACRE_FLIPS").map_or(FLIPS, |text| text.parse().unwrap());
    let files = place.files();
    let bytes: usize = files.iter().map(|(_, bytes)| bytes).sum();
    let mut seed = Seed(7);
    let mut seen = 0;
    // What panics on nonsense is a finding; its noise is not.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for _ in 0..flips {
        let mut at = seed.below(bytes as u64) as usize;
        let file = files.iter().find(|(_, bytes)| {
            let here = at < *bytes;
            at -= if here { 0 } else { *bytes };
            here
        });
        let (name, _) = file.unwrap();
        let mask = 1 << seed.below(8);
        place.flip(name, at, mask);
        let after = look(&place, Care::Thorough).unwrap();
        seen += usize::from(!after.findings.is_empty());
        if after.findings.is_empty() && after.digest != whole.digest {
            missed.push(format!("{name} byte {at} mask {mask:#x}"));
        }
        place.flip(name, at, mask);
    }
    std::panic::set_hook(before);
    assert_eq!(missed, Vec::<String>::new());
    assert!(seen > flips as usize / 50, "only {seen} of {flips} flips were in what is used");
}

#[test]
fn a_start_on_a_flipped_byte_refuses_or_serves_what_was_there() {
    let place = stopped_node();
    let values = |group: &Group<Toy>| group.with(|toy| toy.values.clone());
    let whole = on_a_core(async {
        let group = open(&place).await.unwrap();
        let whole = values(&group);
        within(group.stop()).await;
        whole
    });
    let files = place.files();
    let mut seed = Seed(11);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut refused, mut wrong) = (0, Vec::new());
    for _ in 0..150 {
        let (name, bytes) = &files[seed.below(files.len() as u64) as usize];
        let (at, mask) = (seed.below(*bytes as u64) as usize, 1 << seed.below(8));
        let copy = place.copy();
        copy.flip(name, at, mask);
        let served = on_a_core(async {
            match open(&copy).await {
                Ok(group) => {
                    let served = values(&group);
                    within(group.stop()).await;
                    Some(served)
                }
                Err(_) => None,
            }
        });
        match served {
            None => refused += 1,
            Some(served) if served != whole => wrong.push(format!("{name} byte {at} {mask:#x}")),
            Some(_) => {}
        }
    }
    std::panic::set_hook(before);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(refused > 0);
}

#[test]
fn what_verify_and_inspect_say() {
    let place = stopped_node();
    let seen = look(&place, Care::Quick).unwrap();
    let (log, state) = (seen.log.unwrap(), seen.state.unwrap());
    assert!(log.purged.is_some() && log.entries > 90 && log.commands == log.entries);
    assert_eq!(state.head.applied.map(|id| id.index()), log.last.map(|id| id.index()));
    assert_eq!(log.identity, state.identity);
    place.lose("state.redb");
    let seen = look(&place, Care::Thorough).unwrap();
    assert!(seen.findings[0].what.contains("missing"), "{:?}", seen.findings);
    place.lose("log.wal");
    assert!(look(&place, Care::Thorough).is_err());
}
