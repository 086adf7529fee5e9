//! What clients do between two kills: each writer has keys of its own (a config, a persistent
//! instance, what an administrator lays over another), all of them swap the values of shared keys,
//! and new keys come and go; readers look at all but the new ones.

use crate::configs::{HEAVY, Outcome, connect, publish, query, remove};
use crate::history::{Ended, Moment, Operation, What};
use crate::instances::{self, INSTANCE, METADATA};
use crate::random::Random;
use nacre_loadgen::client::Client;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

pub const WRITERS: usize = 4;
const READERS: usize = 2;
/// Keys whose value every writer swaps.
const SHARED: usize = 2;
/// Configs that live through all rounds: first the writers' own, then the shared ones.
const CONFIGS: usize = WRITERS + SHARED;
/// Keys that do: those, then an instance and an overlay of each writer.
pub const KEYS: usize = CONFIGS + 2 * WRITERS;

pub fn key_name(key: usize) -> String {
    match key {
        0..WRITERS => format!("own-{key}"),
        WRITERS..CONFIGS => format!("shared-{}", key - WRITERS),
        _ if key < CONFIGS + WRITERS => format!("{INSTANCE}-{}", key - CONFIGS),
        _ => format!("{METADATA}-{}", key - CONFIGS - WRITERS),
    }
}

/// Writes a key's value of this number, whatever the key is of.
pub fn put(field: &Field, client: &Client, key: &str, number: u64) -> Outcome {
    if key.starts_with(INSTANCE) {
        instances::register(client, key, number)
    } else if key.starts_with(METADATA) {
        instances::overlay(field.address, key, number)
    } else {
        publish(client, key, number, None)
    }
}

/// A key that was made in one round, and perhaps removed in the same.
#[derive(Debug, Clone)]
pub struct Fresh {
    pub key: String,
    pub number: u64,
    pub published: Outcome,
    pub removed: Option<Outcome>,
}

impl Fresh {
    /// Whether this may be found once nobody writes any more.
    pub fn allows(&self, found: Option<u64>) -> bool {
        let may_be_removed = matches!(self.removed, Some(Outcome::Done | Outcome::Unknown(_)));
        match found {
            None => self.published != Outcome::Done || may_be_removed,
            Some(number) => {
                number == self.number
                    && matches!(self.published, Outcome::Done | Outcome::Unknown(_))
                    && self.removed != Some(Outcome::Done)
            }
        }
    }
}

/// What all clients share.
pub struct Field {
    pub address: SocketAddr,
    pub started: Instant,
    /// The last number given to any value.
    pub numbers: AtomicU64,
    over: AtomicBool,
}

impl Field {
    pub fn new(address: SocketAddr) -> Self {
        let over = AtomicBool::new(false);
        Self { address, started: Instant::now(), numbers: AtomicU64::new(0), over }
    }

    pub fn now(&self) -> Moment {
        self.started.elapsed().as_nanos() as Moment
    }

    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What the clients of one round did.
#[derive(Default)]
pub struct Seen {
    pub operations: Vec<Operation>,
    pub fresh: Vec<Fresh>,
}

/// The clients of one round, at work until the server does not answer them any more.
pub struct Round {
    field: &'static Field,
    threads: Vec<JoinHandle<Seen>>,
}

impl Round {
    /// `number` names the round's new keys.
    pub fn begin(field: &'static Field, number: u64, random: &mut Random) -> Self {
        field.over.store(false, Ordering::Release);
        let mut threads = Vec::new();
        for writer in 0..WRITERS {
            let random = Random::new(random.next());
            let prefix = format!("{HEAVY}-{number}-{writer}");
            let client = connect(field.address).expect("a server that serves is connected to");
            let writer = Writer { field, client, random, own: writer, prefix };
            threads.push(thread::spawn(move || writer.run()));
        }
        for _ in 0..READERS {
            let random = Random::new(random.next());
            let client = connect(field.address).expect("a server that serves is connected to");
            threads.push(thread::spawn(move || read(field, &client, random)));
        }
        Self { field, threads }
    }

    /// The server is gone: no client begins anything more.
    pub fn end(self) -> Seen {
        self.field.over.store(true, Ordering::Release);
        let mut all = Seen::default();
        for thread in self.threads {
            // Its own message has been printed.
            let seen = thread.join().unwrap_or_else(|_| panic!("a client has failed"));
            all.operations.extend(seen.operations);
            all.fresh.extend(seen.fresh);
        }
        all
    }
}

/// Reads a key and says when.
pub fn look(field: &Field, client: &Client, key: usize) -> Option<(Operation, String)> {
    let name = key_name(key);
    let begin = field.now();
    if key >= CONFIGS {
        let found = instances::query(client, &name).ok()?;
        let end = Some(field.now());
        let number = found.unwrap_or_else(|| panic!("{name} is gone"));
        return Some((Operation { key, what: What::Read(number), begin, end }, String::new()));
    }
    let found = query(client, &name).ok()?;
    let end = Some(field.now());
    let found = found.unwrap_or_else(|| panic!("{name} is gone"));
    Some((Operation { key, what: What::Read(found.number), begin, end }, found.md5))
}

fn read(field: &Field, client: &Client, mut random: Random) -> Seen {
    let mut seen = Seen::default();
    while !field.over.load(Ordering::Acquire) {
        let key = random.below(KEYS as u64) as usize;
        let Some((operation, _)) = look(field, client, key) else { break };
        seen.operations.push(operation);
    }
    seen
}

struct Writer {
    field: &'static Field,
    client: Client,
    random: Random,
    own: usize,
    prefix: String,
}

impl Writer {
    fn run(mut self) -> Seen {
        let mut seen = Seen::default();
        while !self.field.over.load(Ordering::Acquire) {
            let goes_on = match self.random.below(12) {
                0..=3 => self.write(&mut seen, self.own, None),
                8..=9 => self.write(&mut seen, CONFIGS + self.own, None),
                10..=11 => self.write(&mut seen, CONFIGS + WRITERS + self.own, None),
                4..=5 => self.swap(&mut seen),
                _ => self.make(&mut seen),
            };
            if !goes_on {
                break;
            }
        }
        seen
    }

    /// Whether the server still answers.
    fn write(&self, seen: &mut Seen, key: usize, condition: Option<(u64, &str)>) -> bool {
        let number = self.field.number();
        let begin = self.field.now();
        let outcome = match condition {
            Some((_, md5)) => publish(&self.client, &key_name(key), number, Some(md5)),
            None => put(self.field, &self.client, &key_name(key), number),
        };
        let answered = self.field.now();
        let (ended, end) = match &outcome {
            Outcome::Done => (Ended::Done, Some(answered)),
            Outcome::Lost => (Ended::Lost, Some(answered)),
            Outcome::Refused(_) => (Ended::Refused, Some(answered)),
            Outcome::Unknown(_) => (Ended::Unknown, None),
        };
        let replaces = condition.map(|(number, _)| number);
        let what = What::Write { number, replaces, ended };
        seen.operations.push(Operation { key, what, begin, end });
        matches!(outcome, Outcome::Done | Outcome::Lost)
    }

    fn swap(&mut self, seen: &mut Seen) -> bool {
        let key = WRITERS + self.random.below(SHARED as u64) as usize;
        let Some((operation, md5)) = look(self.field, &self.client, key) else { return false };
        let What::Read(number) = operation.what else { return false };
        seen.operations.push(operation);
        self.write(seen, key, Some((number, &md5)))
    }

    fn make(&mut self, seen: &mut Seen) -> bool {
        let key = format!("{}-{}", self.prefix, seen.fresh.len());
        let number = self.field.number();
        let published = publish(&self.client, &key, number, None);
        let mut goes_on = published == Outcome::Done;
        let mut removed = None;
        if goes_on && self.random.below(2) == 0 {
            let outcome = remove(&self.client, &key);
            goes_on = outcome == Outcome::Done;
            removed = Some(outcome);
        }
        seen.fresh.push(Fresh { key, number, published, removed });
        goes_on
    }
}
