//! `kill -9` at any moment loses nothing that was acknowledged, shows nothing by halves, and no
//! client ever sees time go back.

use crate::configs::{Outcome, connect, metric, query, until};
use crate::history::{self, Operation, What};
use crate::instances::{self, METADATA};
use crate::random::Random;
use crate::round::{Field, Fresh, KEYS, Round, Seen, key_name, look, put};
use crate::server::{Server, binary};
use nacre_loadgen::client::Client;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Kills when `NACRE_KILLS` does not say otherwise: what fits into a minute on a busy machine.
const KILLS: u64 = 25;
/// Kills of one directory where there are more of them: what a run keeps grows with each (3 MiB on
/// a quick machine), and so do its starts. Any remainder is spread over the directories.
const KILLS_PER_DIRECTORY: u64 = 50;
const _: () = assert!(KILLS_PER_DIRECTORY >= KILLS);
/// Work before a kill lasts less than this, so that the first checkpoint often meets it.
const WORK_MS_MAX: u64 = 800;
/// A kill after SIGTERM comes within this; an orderly stop of the debug build takes about as long.
const STOPPING_MS_MAX: u64 = 60;
/// A kill of a starting server comes within this; a start takes about twice as long.
const STARTING_MS_MAX: u64 = 120;
/// Starts killed in a row at most.
const STARTS_MAX: u64 = 3;
/// Keys of earlier rounds looked at again after each kill; after the last, all.
const LOOK_BACK: u64 = 20;
/// New keys remembered; beyond it every second one is forgotten.
const SETTLED_MAX: usize = 100_000;
/// Every so many kills, one comes when a checkpoint was just written and the log is being purged.
const AFTER_CHECKPOINT: u64 = 12;
const CHECKPOINTS: &str = "nacre_store_checkpoints_total";
/// So little history that its dropping, too, is under way when the server is killed.
const SETTINGS: [&str; 6] = [
    "-D",
    "nacre.config.history.max-bytes=16777216",
    "-D",
    "nacre.config.history.max-entries=50",
    "-D",
    "nacre.store.reserve-bytes=1000000",
];

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Says how to have the same again when a test ends badly.
struct Repeat {
    seed: u64,
    kills: u64,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, kills } = self;
            eprintln!(
                "seed {seed}; the same draws again (the machine's timing is its own):\n    \
                 NACRE_SEED={seed} NACRE_KILLS={kills} cargo test --test crash -- killed::"
            );
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let kills = from_environment("NACRE_KILLS").unwrap_or(KILLS);
    let drawn = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(7, |now| now.as_nanos());
    let seed = from_environment("NACRE_SEED").unwrap_or_else(|| drawn() as u64);
    let _repeat = Repeat { seed, kills };
    let mut random = Random::new(seed);
    let mut left = kills;
    for directories in (1..=(kills / KILLS_PER_DIRECTORY).max(1)).rev() {
        let these = left / directories;
        left -= these;
        let (began, mut trial) = (Instant::now(), Trial::new(Random::new(random.next())));
        for round in 0..these {
            trial.round(round);
        }
        trial.finish(these);
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{these} kills in {seconds:.0} s, {left} to come");
    }
}

/// One server, killed again and again, and what must be found on it.
struct Trial {
    random: Random,
    server: Server,
    field: &'static Field,
    /// What each lasting key held when nobody wrote.
    bases: Vec<u64>,
    /// New keys and what they held when nobody wrote, for ever.
    settled: Vec<(String, Option<u64>)>,
    told: Told,
}

/// What a run was made of.
#[derive(Default, Debug)]
struct Told {
    operations: usize,
    acknowledged: usize,
    unknown: usize,
    unknown_and_there: usize,
    checkpoints: f64,
    killed_starting: u64,
    killed_stopping: u64,
    start_ms_max: u128,
}

impl Trial {
    fn new(random: Random) -> Self {
        let server = Server::start_with(&SETTINGS);
        // Clients' threads outlive no test, but the compiler cannot know.
        let field: &'static Field = Box::leak(Box::new(Field::new(server.grpc_address())));
        let client = connect(field.address).expect("connect");
        let bases = (0..KEYS).map(|key| {
            let number = field.number();
            let name = key_name(key);
            if name.starts_with(METADATA) {
                assert_eq!(instances::register(&client, &name, 0), Outcome::Done);
            }
            assert_eq!(put(field, &client, &name, number), Outcome::Done);
            number
        });
        let bases = bases.collect();
        let told = Told::default();
        Self { random, server, field, bases, settled: Vec::new(), told }
    }

    fn round(&mut self, number: u64) {
        let round = Round::begin(self.field, number, &mut self.random);
        // The moment of the kill is the point: nothing is waited for.
        std::thread::sleep(Duration::from_millis(self.random.below(WORK_MS_MAX)));
        let checkpoints = || metric(&self.server, CHECKPOINTS);
        if number.is_multiple_of(AFTER_CHECKPOINT) {
            until("a checkpoint", || checkpoints() > 0.0);
        }
        self.told.checkpoints += checkpoints();
        if self.random.below(6) == 0 {
            self.server.ask_to_stop();
            std::thread::sleep(Duration::from_millis(self.random.below(STOPPING_MS_MAX)));
            self.told.killed_stopping += 1;
        }
        self.server.kill();
        let seen = round.end();
        if self.random.below(4) == 0 {
            for _ in 0..=self.random.below(STARTS_MAX) {
                self.server.begin_again();
                std::thread::sleep(Duration::from_millis(self.random.below(STARTING_MS_MAX)));
                self.server.kill();
                self.told.killed_starting += 1;
            }
        }
        let began = Instant::now();
        self.server.start_again();
        self.told.start_ms_max = self.told.start_ms_max.max(began.elapsed().as_millis());
        let client = connect(self.field.address).expect("connect");
        self.compare(number, &client, seen);
        self.look_back(&client, LOOK_BACK);
    }

    fn compare(&mut self, round: u64, client: &Client, seen: Seen) {
        let mut operations = seen.operations;
        for key in 0..KEYS {
            let (found, _) = look(self.field, client, key).expect("a server that serves answers");
            operations.push(found);
        }
        for key in 0..KEYS {
            let of_key = operations.iter().filter(|operation| operation.key == key);
            let of_key: Vec<_> = of_key.cloned().collect();
            let last = history::check(self.bases[key], &of_key);
            let name = key_name(key);
            self.bases[key] = last.unwrap_or_else(|why| panic!("round {round}, {name}: {why}"));
            self.told.note(&of_key);
        }
        for fresh in seen.fresh {
            let found = found(client, &fresh.key);
            assert!(fresh.allows(found), "round {round}: {fresh:?} is found as {found:?}");
            self.told.note_fresh(&fresh, found);
            self.settled.push((fresh.key, found));
        }
        if self.settled.len() > SETTLED_MAX {
            let mut keep = false;
            self.settled.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// Some of the keys nobody touches any more.
    fn look_back(&mut self, client: &Client, keys: u64) {
        for _ in 0..keys.min(self.settled.len() as u64) {
            let at = self.random.below(self.settled.len() as u64) as usize;
            let (key, wanted) = &self.settled[at];
            assert_eq!(found(client, key), *wanted, "{key}, settled long ago");
        }
    }

    fn finish(&mut self, kills: u64) {
        let client = connect(self.field.address).expect("connect");
        for (key, wanted) in &self.settled {
            assert_eq!(found(&client, key), *wanted, "{key}, settled long ago");
        }
        self.server.kill();
        let data = self.server.home().join("data");
        let verified = Command::new(binary()).arg("verify").arg("--data").arg(data).output();
        let verified = verified.expect("run nacre verify");
        let text = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success(), "{text}");
        eprintln!("{kills} kills, {} new keys: {:?}", self.settled.len(), self.told);
        assert!(self.told.acknowledged as u64 > kills, "the clients had work to lose");
    }
}

fn found(client: &Client, key: &str) -> Option<u64> {
    let found = query(client, key).expect("a server that serves answers");
    found.map(|found| found.number)
}

impl Told {
    fn note(&mut self, operations: &[Operation]) {
        let reads = operations.iter().filter_map(|operation| match operation.what {
            What::Read(number) => Some(number),
            What::Write { .. } => None,
        });
        let reads: std::collections::HashSet<u64> = reads.collect();
        self.operations += operations.len();
        for operation in operations {
            match operation.what {
                What::Write { ended: history::Ended::Done, .. } => self.acknowledged += 1,
                What::Write { ended: history::Ended::Unknown, number, .. } => {
                    self.unknown += 1;
                    self.unknown_and_there += usize::from(reads.contains(&number));
                }
                _ => {}
            }
        }
    }

    fn note_fresh(&mut self, fresh: &Fresh, found: Option<u64>) {
        self.operations += 1 + usize::from(fresh.removed.is_some());
        if fresh.published == Outcome::Done {
            self.acknowledged += 1;
        } else {
            self.unknown += 1;
            self.unknown_and_there += usize::from(found.is_some());
        }
    }
}
