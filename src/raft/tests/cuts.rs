//! The power is cut at any call; whatever was acknowledged is there afterwards, whole.

use super::*;
use crate::raft::place::sim::Seed;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Cuts of one run; more with `NACRE_POWER_CUTS`.
const CUTS: u64 = 500;

/// The power is cut this often on one disk before the next disk.
const CUTS_PER_DISK: u64 = 5;

const WRITERS: usize = 4;

/// What each writer's two keys may hold: the last acknowledged number, and the last proposed.
type Promises = Rc<RefCell<BTreeMap<usize, (u64, u64)>>>;

/// Writes until the power is off: two keys together, always the same number in both.
async fn write(group: Group<Toy>, writer: usize, mut seed: Seed, promises: Promises) {
    loop {
        let number = {
            let mut promises = promises.borrow_mut();
            let (_, proposed) = promises.entry(writer).or_default();
            *proposed += 1;
            *proposed
        };
        let padding = "p".repeat(seed.below(3_000) as usize);
        let text = format!("{number}:{padding}");
        let keys = [format!("{writer}/a"), format!("{writer}/b")];
        let command = set(&[(&keys[0], &text), (&keys[1], &text)]);
        match group.put(command).await {
            Ok(_) => promises.borrow_mut().get_mut(&writer).unwrap().0 = number,
            Err(_) => return,
        }
    }
}

async fn keep_house(group: Group<Toy>, place: SimPlace, mut seed: Seed) {
    while !place.is_off() {
        for _ in 0..seed.below(20) {
            Glommio::sleep(Duration::from_micros(50)).await;
        }
        if group.checkpoint().await.is_ok() && seed.below(2) == 0 {
            group.purge_behind_the_checkpoint().await;
        }
    }
}

fn check(group: &Group<Toy>, promises: &Promises) {
    for (writer, (acknowledged, proposed)) in &mut *promises.borrow_mut() {
        let number = |key: &str| {
            get(group, &format!("{writer}/{key}"))
                .map_or(0, |text| text.split_once(':').unwrap().0.parse::<u64>().unwrap())
        };
        let (a, b) = (number("a"), number("b"));
        assert_eq!(a, b, "half a command of writer {writer} is visible");
        assert!(a >= *acknowledged, "writer {writer}: {acknowledged} acknowledged, {a} found");
        assert!(a <= *proposed, "writer {writer}: {a} was never written");
        // What was interrupted and is there now stays.
        *acknowledged = a;
    }
}

/// One disk's life: some work, a cut, a look, and again.
async fn life(seed: &mut Seed, sync_lies: bool) {
    let mut place = SimPlace::default();
    // So that the log's slots are small and used again.
    place.faults(|faults| faults.free_bytes = Some(1 << 20));
    let promises = Promises::default();
    for cut in 0..CUTS_PER_DISK {
        // The first cuts of a disk hit its creation, too.
        let most = if seed.below(4) == 0 { 60 } else { 600 };
        place.faults(|faults| {
            faults.calls_left = Some(1 + seed.below(most));
            faults.sync_lies = sync_lies;
        });
        match open(&place).await {
            Ok(group) => {
                check(&group, &promises);
                let mut tasks = Vec::new();
                for writer in 0..WRITERS {
                    let seed = Seed(seed.number());
                    let work = write(group.clone(), writer, seed, promises.clone());
                    tasks.push(crate::raft::runtime::spawn(work));
                }
                let house = keep_house(group.clone(), place.clone(), Seed(seed.number()));
                let house = crate::raft::runtime::spawn(house);
                for task in tasks {
                    within(task).await.unwrap();
                }
                within(house).await.unwrap();
                within(group.stop()).await;
            }
            Err(fault) => {
                assert!(place.is_off(), "cut {cut}: refused to start: {fault}");
            }
        }
        place = place.after_the_cut(seed);
    }
    let group = match open(&place).await {
        Ok(group) => group,
        Err(fault) => panic!("after the last cut: {fault}"),
    };
    check(&group, &promises);
    within(group.stop()).await;
}

#[test]
fn acknowledged_writes_survive_power_cuts() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let one = number("NACRE_POWER_SEED");
    let cuts = number("NACRE_POWER_CUTS").unwrap_or(CUTS);
    let seeds = one.map_or(0..cuts.div_ceil(CUTS_PER_DISK), |seed| seed..seed + 1);
    // One core for all of them: an executor keeps its descriptors when it ends.
    let current = Cell::new(0);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        on_a_core(async {
            for seed in seeds {
                current.set(seed);
                life(&mut Seed(seed), false).await;
            }
        });
    }));
    if let Err(panic) = lived {
        let seed = current.get();
        eprintln!(
            "again with: NACRE_POWER_SEED={seed} cargo test -p nacre --lib \
             acknowledged_writes_survive_power_cuts"
        );
        resume_unwind(panic);
    }
}

/// The test of the test: on a disk that only says it has synced, something is lost soon.
#[test]
fn a_disk_that_lies_is_noticed() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let noticed =
        (0..50).any(|seed| catch_unwind(|| on_a_core(life(&mut Seed(seed), true))).is_err());
    std::panic::set_hook(before);
    assert!(noticed);
}
