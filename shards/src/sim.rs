//! A whole node from one seed: its shards, the lanes between them, its clients, and what goes
//! wrong.
//!
//! [`run`] lets clients do what clients do while lanes are slow and narrow, cores stall, clients do
//! not read, do not answer, vanish and come back. Then everything heals, and the [`oracle`]
//! compares what every client was told with what the [`shadow`] says is true. The same seed is the
//! same run.
//!
//! Later the same world holds several nodes: a [`net::Place`] names node and core, everything that
//! travels between places goes through [`net::Net`], and a disk will stand beside it.

pub mod client;
pub mod clock;
pub mod configs;
pub mod ending;
pub mod faults;
pub mod net;
pub mod oracle;
pub mod people;
pub mod random;
pub mod reading;
pub mod server;
pub mod shadow;
pub mod workload;
pub mod world;

use crate::settings::PlantedBug;
use std::fmt;
use world::World;

/// Why a run is not as it should be.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub text: String,
    /// What happened, if the run was a replay.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.text)?;
        write!(
            f,
            "replay: NACRE_SIM_SEED={} cargo test -p nacre-shards --test sim replay -- --nocapture",
            self.seed
        )
    }
}

/// What a run did, to see that runs are not idle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub calls: u64,
    pub refused: u64,
    pub pushes: u64,
    pub fuzzy_pushes: u64,
    pub failed_pushes: u64,
    pub coalesced: u64,
    /// Batches of the log; notifications of configs, those held back, proposals not decided.
    pub commits: u64,
    pub notified: u64,
    pub held: u64,
    pub unready: u64,
    pub detections: u64,
    pub closes: u64,
    pub crossings: u64,
    pub blocked_changes: u64,
    pub stalls: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.pushes += other.pushes;
        self.fuzzy_pushes += other.fuzzy_pushes;
        self.failed_pushes += other.failed_pushes;
        self.coalesced += other.coalesced;
        self.commits += other.commits;
        self.notified += other.notified;
        self.held += other.held;
        self.unready += other.unready;
        self.detections += other.detections;
        self.closes += other.closes;
        self.crossings += other.crossings;
        self.blocked_changes += other.blocked_changes;
        self.stalls += other.stalls;
    }
}

/// One run. With `verbose` a failure carries everything that happened.
pub fn run(seed: u64, bug: Option<PlantedBug>, verbose: bool) -> Result<Summary, Box<Failure>> {
    let mut world = World::new(seed, bug, verbose);
    let outcome = world.run();
    let trace = std::mem::take(&mut world.trace);
    outcome.map(|()| world.summary()).map_err(|text| Box::new(Failure { seed, text, trace }))
}
