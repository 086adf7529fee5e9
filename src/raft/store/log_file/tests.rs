//! The file alone, on a disk whose power is cut: what was confirmed is there, in order.

use super::layout::SLOT_BYTES_MIN;
use super::*;
use crate::raft::place::sim::{Seed, SimPlace};
use crate::raft::types::{Batch, Payload, log_id};
use bytes::Bytes;
use openraft::impls::leader_id_std;
use openraft::vote::RaftVote;
use std::sync::Arc;

/// Lives of the model test, of five cuts each; more with `NACRE_LOG_LIVES`.
const LIVES: u64 = 600;

const IDENTITY: Identity = Identity { node: 1, cluster: 2 };

/// A disk on which slots are small.
fn disk() -> SimPlace {
    let place = SimPlace::default();
    place.faults(|faults| faults.free_bytes = Some(1 << 20));
    place
}

fn opened(place: &SimPlace) -> Result<(LogFile, Opened), Fault> {
    let shared =
        Shared { place: Arc::new(place.clone()), health: Arc::default(), counters: Arc::default() };
    let mut log = LogFile::new(&shared);
    let opened = log.open(IDENTITY, false)?;
    Ok((log, opened))
}

fn entry(term: u64, index: u64, bytes: usize) -> Stored {
    let body = vec![index as u8 ^ term as u8; bytes];
    Stored::new(&log_id(term, index), &Payload::Normal(Batch(Bytes::from(body))))
}

fn entries(range: std::ops::Range<u64>, bytes: usize) -> Vec<Stored> {
    range.map(|index| entry(1, index, bytes)).collect()
}

fn bytes_of(place: &SimPlace) -> usize {
    place.files().iter().find(|(name, _)| name == NAME).unwrap().1
}

#[test]
fn slots_are_used_again_and_a_burst_gives_its_room_back() {
    let place = disk();
    let (mut log, _) = opened(&place).unwrap();
    for round in 0..100 {
        log.append(&entries(round * 10..round * 10 + 10, 3_000)).unwrap();
        if round > 2 {
            log.purge(log_id(1, round * 10 - 20));
        }
    }
    assert!(bytes_of(&place) <= BLOCK_BYTES + 4 * SLOT_BYTES_MIN, "{}", bytes_of(&place));
    assert_eq!(log.read(971, 2_000).unwrap(), entries(971..1_000, 3_000));
    // A burst.
    log.append(&entries(1_000..1_400, 3_000)).unwrap();
    let burst = bytes_of(&place);
    log.purge(log_id(1, 1_399));
    // What is written next is behind the burst, until that slot is full, too.
    log.append(&entries(1_400..1_430, 3_000)).unwrap();
    log.purge(log_id(1, 1_429));
    log.append(&entries(1_430..1_460, 3_000)).unwrap();
    log.look_around(true);
    assert!(bytes_of(&place) < burst, "{}", bytes_of(&place));
    log.close().unwrap();
    let (_, opened) = opened(&place).unwrap();
    assert_eq!(opened.entries, entries(1_430..1_460, 3_000));
    assert_eq!(opened.purged, Some(log_id(1, 1_429)));
}

#[test]
fn an_entry_may_be_larger_than_a_slot() {
    let place = disk();
    let (mut log, _) = opened(&place).unwrap();
    let large = entry(1, 1, 10 * SLOT_BYTES_MIN);
    log.append(&[entry(1, 0, 5), large.clone(), entry(1, 2, 5)]).unwrap();
    assert_eq!(log.read(1, 2).unwrap(), std::slice::from_ref(&large));
    let (_, again) = opened(&place).unwrap();
    assert_eq!(again.entries[1], large);
    // Its last parts are lost with the power: it goes as a whole, and the log goes on.
    let at = bytes_of(&place) - SLOT_BYTES_MIN;
    let torn = place.copy();
    for byte in at..at + SLOT_BYTES_MIN {
        torn.set(NAME, byte, 0);
    }
    let (mut log, cut) = opened(&torn).unwrap();
    assert_eq!(cut.entries, [entry(1, 0, 5)]);
    log.append(&[entry(2, 1, 7)]).unwrap();
    let (_, again) = opened(&torn).unwrap();
    assert_eq!(again.entries, [entry(1, 0, 5), entry(2, 1, 7)]);
}

#[test]
fn what_is_broken_in_the_middle_is_named_and_at_the_end_dropped() {
    let place = disk();
    let (mut log, _) = opened(&place).unwrap();
    for index in 0..30 {
        log.append(&[entry(1, index, 5_000)]).unwrap();
    }
    // Each is a commit of two blocks; the first slot has seven of them.
    let commit_at = |slot: usize, commit: usize| {
        BLOCK_BYTES + slot * SLOT_BYTES_MIN + SLOT_HEAD_BYTES + commit * 2 * BLOCK_BYTES
    };
    for (at, sentence) in [
        (commit_at(0, 3) + 100, "commits 3 to 3 at byte 32768 cannot be read"),
        (commit_at(0, 6), "commits 6 to 6 are missing"),
        (commit_at(1, 0) - SLOT_HEAD_BYTES + 9, "a slot's head cannot be read"),
        (commit_at(4, 0) + 5_000, "commits 28 to 28"),
        (9, "its head is not that of a log"),
    ] {
        let bent = place.copy();
        bent.flip(NAME, at, 4);
        let Err(Fault::Damaged(why)) = opened(&bent) else { panic!("{sentence}") };
        assert!(why.contains(sentence), "{why}");
    }
    let torn = place.copy();
    torn.flip(NAME, commit_at(4, 1) + 5_000, 4);
    assert_eq!(opened(&torn).unwrap().1.entries, entries(0..29, 5_000));
    // In a log that was closed, the same is damage.
    log.close().unwrap();
    place.flip(NAME, commit_at(4, 1) + 5_000, 4);
    let Err(Fault::Damaged(why)) = opened(&place) else { panic!("dropped") };
    assert!(why.contains("commits 29 to 29"), "{why}");
}

/// What a log must hold.
#[derive(Debug, Default, Clone)]
struct Model {
    entries: Vec<Stored>,
    purged: Option<LogId>,
    vote: Option<Vote>,
}

impl Model {
    fn next(&self) -> u64 {
        self.entries.last().map_or(self.purged.next_index(), |entry| entry.index + 1)
    }

    fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        self.entries.retain(|entry| entry.index > upto.index());
    }
}

/// Does something to both; an error is the power's.
fn step(log: &mut LogFile, model: &mut Model, term: u64, seed: &mut Seed) -> Result<(), Fault> {
    match seed.below(12) {
        0 => {
            let leader = leader_id_std::LeaderId { term, voted_for: seed.below(5) };
            model.vote = Some(Vote::from_leader_id(leader, seed.below(2) == 0));
            log.save_vote(&model.vote.unwrap())
        }
        1 if !model.entries.is_empty() => {
            let from = model.entries[seed.below(model.entries.len() as u64) as usize].index;
            model.entries.retain(|entry| entry.index < from);
            log.truncate(from)
        }
        2 | 3 if !model.entries.is_empty() => {
            let upto = model.entries[seed.below(model.entries.len() as u64) as usize].id();
            model.purge(upto);
            log.purge(upto);
            if seed.below(2) == 0 {
                log.look_around(true);
            }
            Ok(())
        }
        4 if seed.below(8) == 0 => {
            let upto = log_id(term, model.next() + seed.below(10));
            model.purge(upto);
            log.purge_now(upto)
        }
        5 => {
            log.look_around(true);
            Ok(())
        }
        6 => {
            let (from, to) = (model.purged.next_index(), model.next());
            let from = from + seed.below(to - from + 1);
            let wanted = model.entries.iter().filter(|entry| entry.index >= from);
            assert_eq!(log.read(from, to)?, wanted.cloned().collect::<Vec<_>>());
            Ok(())
        }
        _ => {
            let most = [10, 3_000, 90_000][seed.below(3) as usize];
            let new: Vec<_> = (model.next()..model.next() + 1 + seed.below(4))
                .map(|index| entry(term, index, seed.below(most) as usize))
                .collect();
            model.entries.extend(new.iter().cloned());
            log.append(&new)
        }
    }
}

/// That what is there is what was before or after the step that was interrupted, or between: some
/// of the entries it appended. Purging may be forgotten.
fn settle(opened: &Opened, before: &Model, after: &Model) -> Model {
    assert!([before.vote, after.vote].contains(&opened.vote));
    assert!(opened.purged <= after.purged);
    let now = Model { entries: opened.entries.clone(), purged: opened.purged, vote: opened.vote };
    let seen: Vec<_> =
        now.entries.iter().filter(|entry| entry.index >= after.purged.next_index()).collect();
    let is = |model: &Model| {
        let mut model = model.clone();
        if let Some(purged) = after.purged {
            model.purge(purged);
        }
        seen.iter().copied().eq(&model.entries)
    };
    let is_between = seen.len() > before.entries.len()
        && seen.iter().copied().eq(&after.entries[..seen.len().min(after.entries.len())]);
    assert!(is(before) || is(after) || is_between, "{opened:?}\n{before:?}\n{after:?}");
    now
}

/// Until the power is cut or the log is closed.
fn live(mut log: LogFile, before: &mut Model, after: &mut Model, term: u64, seed: &mut Seed) {
    loop {
        before.clone_from(after);
        let is_closed = seed.below(60) == 0;
        let done = if is_closed { log.close() } else { step(&mut log, after, term, seed) };
        if is_closed || done.is_err() {
            return;
        }
    }
}

#[test]
fn whatever_is_done_and_cut_the_log_holds_what_was_confirmed() {
    let lives = std::env::var("NACRE_LOG_LIVES").map_or(LIVES, |text| text.parse().unwrap());
    for life in 0..lives {
        let mut seed = Seed(life);
        let mut place = disk();
        let (mut before, mut after) = (Model::default(), Model::default());
        for term in 1..6 {
            place.faults(|faults| faults.calls_left = Some(1 + seed.below(120)));
            match opened(&place) {
                Ok((log, opened)) => {
                    after = settle(&opened, &before, &after);
                    live(log, &mut before, &mut after, term, &mut seed);
                }
                Err(fault) => assert!(place.is_off(), "life {life}: {fault}"),
            }
            place = place.after_the_cut(&mut seed);
        }
        let opened = opened(&place).unwrap_or_else(|fault| panic!("life {life}: {fault}")).1;
        settle(&opened, &before, &after);
    }
}
