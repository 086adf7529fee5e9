//! The simulation, over many seeds. See `src/sim.rs`.

use nacre_shards::settings::PlantedBug;
use nacre_shards::sim::{self, Summary};

/// Seeds of one test run; `NACRE_SIM_SEEDS` asks for another number.
const SEEDS: u64 = 1_000;

/// Seeds within which a planted mistake has to be found.
const BUG_SEEDS: u64 = 1_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs a quarter of the seeds; four tests share the machine's cores.
fn quarter(which: u64) {
    let seeds = number("NACRE_SIM_SEEDS").unwrap_or(SEEDS);
    let mut total = Summary::default();
    for seed in (which..seeds).step_by(4) {
        match sim::run(seed, None, false) {
            Ok(summary) => total += summary,
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{total:?}");
    if seeds >= SEEDS {
        let idle = [
            total.calls < 50_000,
            total.refused == 0,
            total.pushes < 5_000,
            total.fuzzy_pushes == 0,
            total.failed_pushes == 0,
            total.coalesced == 0,
            total.detections == 0,
            total.closes == 0,
            total.crossings < 50_000,
            total.blocked_changes == 0,
            total.stalls == 0,
            total.commits < 5_000,
            total.notified < 5_000,
            total.held == 0,
            total.unready == 0,
        ];
        assert!(!idle.contains(&true), "these runs prove little: {total:?}");
    }
}

#[test]
fn seeds_0_mod_4() {
    quarter(0);
}

#[test]
fn seeds_1_mod_4() {
    quarter(1);
}

#[test]
fn seeds_2_mod_4() {
    quarter(2);
}

#[test]
fn seeds_3_mod_4() {
    quarter(3);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        let first = sim::run(seed, None, false).expect("seeds of the other tests");
        let second = sim::run(seed, None, false).expect("seeds of the other tests");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// One seed, told in full: `NACRE_SIM_SEED=7 cargo test -p nacre-shards --test sim replay --
/// --nocapture`.
#[test]
fn replay() {
    let Some(seed) = number("NACRE_SIM_SEED") else { return };
    let bug = std::env::var("NACRE_SIM_BUG").ok();
    let bug = bug.map(|name| {
        let all = PlantedBug::ALL.into_iter();
        all.clone().find(|bug| format!("{bug:?}") == name).expect("a planted bug's name")
    });
    match sim::run(seed, bug, true) {
        Ok(summary) => println!("seed {seed} holds: {summary:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

fn is_found(bug: PlantedBug) {
    for seed in 0..BUG_SEEDS {
        if let Err(failure) = sim::run(seed, Some(bug), false) {
            println!("{bug:?} is found by seed {seed}: {}", failure.text);
            return;
        }
    }
    panic!("{bug:?} is not found by {BUG_SEEDS} seeds");
}

#[test]
fn an_ack_that_forgets_a_newer_state_is_found() {
    is_found(PlantedBug::AckForgetsHeld);
}

#[test]
fn a_cursor_moved_by_leaving_is_found() {
    is_found(PlantedBug::LeavingMovesCursor);
}

#[test]
fn a_withdrawal_that_may_be_refused_is_found() {
    is_found(PlantedBug::WithdrawIsRefusable);
}

#[test]
fn an_overtaken_ask_is_found() {
    is_found(PlantedBug::WaitingIsOvertaken);
}

#[test]
fn a_late_answer_that_subscribes_is_found() {
    is_found(PlantedBug::LateAnswerSubscribes);
}

#[test]
fn a_notification_taken_to_cover_later_changes_is_found() {
    is_found(PlantedBug::NotifyInFlightCovers);
}
