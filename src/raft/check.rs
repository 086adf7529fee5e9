//! Looks at the files of a stopped node without changing a byte of them: what they hold, and what
//! is wrong with it.

use super::encoding::{Stored, Totals, put_log_id, put_stored_membership, unpack};
use super::limits::STORE_CACHE_BYTES;
use super::place::{Overlay, Place};
use super::store::book::{Broken, EMPTY, Identity, META, read_identity};
use super::store::log_file::{self, older, replay};
use super::store::state_file::{self, RECORDS, check_record, same_totals};
use super::types::{LogId, Membership, Payload, Vote, term_of};
use openraft::LogIdOptionExt;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, StorageBackend};
use std::cell::Cell;
use std::fmt;
use std::hash::Hasher;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Findings of one file before the search in it ends: one bad page is many bad records.
const FINDINGS_MAX: usize = 20;

thread_local! {
    static READING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The file this thread is looking at. What panics on its contents is a finding, too.
pub fn reading() -> Option<&'static str> {
    READING.get()
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub file: String,
    /// What, as a sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// What `log.wal` holds.
#[derive(Debug, Default)]
pub struct LogLook {
    pub bytes: u64,
    pub identity: Option<Identity>,
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    pub first: Option<LogId>,
    pub last: Option<LogId>,
    pub entries: u64,
    pub commands: u64,
    pub entry_bytes: u64,
    /// The last one in the log, and where.
    pub membership: Option<(LogId, Membership)>,
    /// Index and term of each entry, to compare with the checkpoint.
    terms: Vec<(u64, u64)>,
}

/// What `state.redb` holds.
#[derive(Debug, Default)]
pub struct StateLook {
    pub bytes: u64,
    pub identity: Option<Identity>,
    pub head: state_file::Head,
    /// What was found; the head says what should be.
    pub found: Totals,
}

/// What a data directory holds.
#[derive(Debug, Default)]
pub struct Look {
    pub log: Option<LogLook>,
    pub state: Option<StateLook>,
    pub findings: Vec<Finding>,
    /// Over everything that counts, in order: two looks with one digest saw the same.
    pub digest: u64,
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Every page and every checksum.
    Thorough,
    /// What can be told without that.
    Quick,
}

/// Looks at both files. Nothing is written, not even what redb would repair.
///
/// # Errors
/// There are no such files, or they cannot be read.
pub fn look(place: &dyn Place, care: Care) -> std::io::Result<Look> {
    let mut look = Look::default();
    let mut digest = Digest::default();
    let names = [log_file::NAME, state_file::NAME];
    let there = [place.exists(names[0])?, place.exists(names[1])?];
    if !there[0] && place.exists(older::NAME)? {
        return Err(std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            format!(
                "{} is of an earlier version; start nacre once, which keeps it as {}",
                place.shown(older::NAME),
                log_file::NAME
            ),
        ));
    }
    if there == [false, false] {
        return Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            format!("neither {} nor {} is there", place.shown(names[0]), place.shown(names[1])),
        ));
    }
    if there[0] {
        let file = place.open(names[0])?;
        let mut log = LogLook { bytes: file.len()?, ..LogLook::default() };
        guarded(place, names[0], &mut look.findings, |found| {
            search_log(&*file, &mut log, found, &mut digest)
        });
        look.log = Some(log);
    }
    if there[1] {
        let file = place.open(names[1])?;
        let mut state = StateLook { bytes: file.len()?, ..StateLook::default() };
        let overlay = Overlay::new(file)?;
        guarded(place, names[1], &mut look.findings, |found| {
            let open = open_state(overlay, state.bytes, care)?;
            search_state(&open, &mut state, care, found, &mut digest)
        });
        look.state = Some(state);
    }
    compare(place, &mut look);
    look.digest = digest.0.finish();
    Ok(look)
}

/// Searches one file; what cannot be opened, or panics, is a finding.
fn guarded(
    place: &dyn Place,
    name: &'static str,
    findings: &mut Vec<Finding>,
    search: impl FnOnce(&mut Vec<String>) -> Result<(), Broken>,
) {
    let mut found = Vec::new();
    READING.set(Some(name));
    let searched = catch_unwind(AssertUnwindSafe(|| search(&mut found)));
    READING.set(None);
    match searched {
        Ok(Ok(())) => {}
        Ok(Err(Broken::Redb(error))) => found.push(format!("it cannot be read: {error}")),
        Ok(Err(Broken::Wrong(what))) => found.push(what),
        Err(_) => found.push("its pages make no sense".to_owned()),
    }
    let file = place.shown(name);
    findings.extend(found.into_iter().map(|what| Finding { file: file.clone(), what }));
}

fn open_state(overlay: Overlay, bytes: u64, care: Care) -> Result<Database, Broken> {
    if bytes == 0 {
        // Redb would make a new store of it.
        return Err(Broken::Wrong(EMPTY.to_owned()));
    }
    let mut builder = Builder::new();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder.set_check_integrity_on_open(care == Care::Thorough);
    Ok(builder.create_with_backend(overlay)?)
}

fn note(found: &mut Vec<String>, what: String) -> Result<(), Broken> {
    found.push(what);
    if found.len() < FINDINGS_MAX {
        return Ok(());
    }
    Err(Broken::Wrong("more is wrong than is worth listing".to_owned()))
}

fn search_log(
    file: &dyn StorageBackend,
    log: &mut LogLook,
    found: &mut Vec<String>,
    digest: &mut Digest,
) -> Result<(), Broken> {
    let head = replay::read_head(file)?;
    log.identity = Some(head.identity);
    let read = replay::read(file, &head, &mut |what| note(found, what))?;
    (log.vote, log.purged) = (read.vote, read.purged);
    digest.identity(head.identity);
    digest.text(&format!("{:?}", read.vote));
    digest.id(read.purged);
    for entry in &read.entries {
        entry.write(|key, bytes, fill| {
            let mut row = vec![0; bytes];
            fill(&mut row);
            digest.number(key);
            digest.bytes(&row);
            Ok::<_, Broken>(())
        })?;
        if let Err(what) = count(log, entry) {
            note(found, what)?;
        }
    }
    Ok(())
}

fn count(log: &mut LogLook, entry: &Stored) -> Result<(), String> {
    log.first.get_or_insert(entry.id());
    log.last = Some(entry.id());
    log.entries += 1;
    log.entry_bytes += entry.len() as u64;
    log.terms.push((entry.index, entry.term));
    match entry.payload()? {
        Payload::Blank => {}
        Payload::Normal(batch) => log.commands += unpack(&batch)?.len() as u64,
        Payload::Membership(membership) => log.membership = Some((entry.id(), membership)),
    }
    Ok(())
}

fn search_state(
    open: &Database,
    state: &mut StateLook,
    care: Care,
    found: &mut Vec<String>,
    digest: &mut Digest,
) -> Result<(), Broken> {
    let txn = open.begin_read()?;
    let meta = txn.open_table(META)?;
    let identity = read_identity(&meta)?;
    state.identity = Some(identity);
    state.head = state_file::read_head(&meta)?;
    digest.identity(identity);
    digest.id(state.head.applied);
    digest.bytes(&put_stored_membership(&state.head.membership));
    digest.bytes(&state.head.totals.put());
    let records = txn.open_table(RECORDS)?;
    if care == Care::Quick {
        state.found = state.head.totals.clone();
        return Ok(());
    }
    for row in records.iter()? {
        let (key, stored) = row?;
        digest.bytes(key.value());
        digest.bytes(stored.value());
        match check_record(key.value(), stored.value()) {
            Ok(row) => state.found.add(row.table as u8, row.checksum, row.value.len()),
            Err(what) => note(found, what)?,
        }
    }
    if found.is_empty() {
        same_totals(&state.head.totals, &state.found)?;
    }
    Ok(())
}

/// What one file says against the other.
fn compare(place: &dyn Place, look: &mut Look) {
    let wrong = |what: String| Finding { file: place.shown(state_file::NAME), what };
    let (Some(log), Some(state)) = (&look.log, &look.state) else {
        let alone = match &look.log {
            Some(log) if log.purged.is_none() => return,
            Some(_) => "it is missing, and the log does not begin at the beginning",
            None => "there is a checkpoint but no log: vote and log are missing",
        };
        look.findings.push(wrong(alone.to_owned()));
        return;
    };
    let (Some(ours), Some(theirs)) = (log.identity, state.identity) else { return };
    if ours != theirs {
        look.findings.push(wrong("log.wal and it are of different nodes".to_owned()));
    }
    let applied = state.head.applied;
    if log.purged.index() > applied.index() {
        let (from, to) = (applied.next_index(), log.purged.index().unwrap_or(0));
        look.findings.push(wrong(format!("entries {from} to {to} are in neither file")));
    }
    let same = |id: &LogId| log.terms.iter().find(|(index, _)| *index == id.index());
    if let Some(id) = &applied
        && let Some((index, term)) = same(id)
        && *term != term_of(id)
    {
        look.findings.push(wrong(format!(
            "its last entry {index} is of term {}, in log.wal of term {term}",
            term_of(id)
        )));
    }
}

/// Two looks at the same contents must agree on any machine and in any build.
#[derive(Default)]
struct Digest(Fnv);

impl Digest {
    fn number(&mut self, number: u64) {
        self.0.write(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        // Eight times as fast as byte by byte, and as sure to see a changed bit.
        self.number(u64::from(crc32c::crc32c(bytes)));
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn id(&mut self, id: Option<LogId>) {
        let mut bytes = Vec::new();
        put_log_id(&mut bytes, id.as_ref());
        self.bytes(&bytes);
    }

    fn identity(&mut self, identity: Identity) {
        self.number(identity.node);
        self.0.write(&identity.cluster.to_le_bytes());
    }
}

/// FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
