//! `state.redb`: the last checkpoint of the applied state. Lives on the state's thread.

mod install;

use super::Shared;
use super::book::{Book, Broken, Identity, META, get_meta, put_meta};
use super::early::Verified;
use super::worker::Keeper;
use crate::boot::memory;
use crate::raft::encoding::{
    Totals, put_chunk, put_log_id, put_stored_membership, record_checksum, table, take_log_id,
    take_stored_membership,
};
use crate::raft::fault::Fault;
use crate::raft::limits::{CHUNK_BYTES, LOOK_EVERY, READERS_MAX};
use crate::raft::place::now;
use crate::raft::types::{LogId, StoredMembership};
use bytes::Bytes;
use install::Install;
use nacre_shards::durable::{Record, Table};
use redb::{ReadTransaction, ReadableTable, TableDefinition};
use std::collections::HashMap;
use std::time::Instant;

/// Records: family byte and key, to checksum and value.
pub const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// The file's name.
pub const NAME: &str = "state.redb";

const APPLIED: &str = "applied";
const MEMBERSHIP: &str = "membership";
const TOTALS: &str = "totals";

/// Bytes of a stored record before its value: the checksum.
const RECORD_HEAD_BYTES: usize = 4;

/// Up to where a checkpoint reaches, and what it says it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub applied: Option<LogId>,
    pub membership: StoredMembership,
    pub totals: Totals,
}

/// Where a walk through the records goes on: behind this key.
pub type Cursor = Vec<u8>;

/// The file, on its thread.
#[derive(Debug)]
pub struct StateFile {
    book: Book,
    looked: Option<Instant>,
    install: Option<Install>,
    readers: HashMap<u64, ReadTransaction>,
    next_reader: u64,
    /// Much was read or written: what that took of memory is not needed any more.
    to_give_back: bool,
}

impl StateFile {
    /// Not open yet.
    pub fn new(shared: &Shared) -> Self {
        Self {
            book: Book::new(shared, NAME, |counters| &counters.state_file_bytes),
            looked: None,
            install: None,
            readers: HashMap::new(),
            next_reader: 0,
            to_give_back: false,
        }
    }

    /// Whether there is a checkpoint file.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn exists(&self) -> Result<bool, Fault> {
        self.book.exists()
    }

    /// Opens the file, or makes it with this identity where there is none and none is missed.
    /// `verified` is told when the pages of a file that was there are known to be right.
    ///
    /// # Errors
    /// As [`Book::open`].
    pub fn open(
        &mut self,
        fresh: Identity,
        may_make: bool,
        verified: Option<Verified>,
    ) -> Result<(Identity, Head), Fault> {
        self.look_at_space();
        let is_new = !self.book.exists()?;
        if is_new && !may_make {
            return Err(Fault::Damaged(
                "there is no state.redb, and log.wal does not begin at the beginning: the \
                 checkpoint is missing; restore the data directory from a backup"
                    .to_owned(),
            ));
        }
        if is_new {
            self.book.create(fresh, |txn| {
                txn.open_table(RECORDS)?;
                write_head(&mut txn.open_table(META)?, &Head::default())
            })?;
            return Ok((fresh, Head::default()));
        }
        let identity = self.book.open(verified)?;
        let head = self.book.read("read", |txn| read_head(&txn.open_table(META)?))?;
        Ok((identity, head))
    }

    /// Closes the file and opens it again, after it had met a full disk.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&mut self) -> Result<Head, Fault> {
        self.install = None;
        self.readers.clear();
        // What it says at its end was said before.
        let _ = self.book.close();
        if !self.book.exists()? {
            return Err(Fault::Damaged("state.redb has been removed while nacre ran".to_owned()));
        }
        self.open(Identity { node: 0, cluster: 0 }, false, None).map(|(_, head)| head)
    }

    /// Writes what has changed since the last checkpoint, all or nothing, durably.
    ///
    /// # Errors
    /// The disk's.
    pub fn checkpoint(
        &mut self,
        records: &mut [Record],
        applied: Option<LogId>,
        membership: StoredMembership,
    ) -> Result<(), Fault> {
        self.install = None;
        let start = now();
        // Neighbours in the tree one after the other.
        records.sort_unstable_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
        self.book.write("write a checkpoint", true, |txn| {
            let mut meta = txn.open_table(META)?;
            let mut head = Head { applied, membership, totals: read_head(&meta)?.totals };
            let mut table = txn.open_table(RECORDS)?;
            let mut key = Vec::new();
            for record in records.iter() {
                write_record(&mut table, &mut head.totals, &mut key, record)?;
            }
            drop(table);
            write_head(&mut meta, &head)
        })?;
        self.to_give_back = true;
        let micros = start.elapsed().as_micros() as u64;
        let counters = self.book.counters();
        counters.checkpoints.add(1);
        counters.checkpoint_records.add(records.len() as u64);
        counters.checkpoint_us.add(micros);
        counters.checkpoint_last_us.set(micros);
        Ok(())
    }

    /// Some records behind the cursor of families that are loaded, as many as make a piece, and
    /// where to go on; `found` is what was found so far. At the end it must be what the checkpoint
    /// says.
    ///
    /// # Errors
    /// The disk's; a wrong checksum; more or less records than there should be.
    pub fn load(&mut self, cursor: Option<Cursor>, found: Totals) -> Result<Piece, Fault> {
        self.to_give_back = true;
        self.book.read("load", |txn| piece(txn, cursor, found))
    }

    /// Some records of one family as the last checkpoint has them, handed to `read` in order.
    ///
    /// # Errors
    /// The disk's; a wrong checksum; what `read` says.
    pub fn records<T>(
        &mut self,
        family: Table,
        keys: &[Bytes],
        mut read: impl FnMut(usize, Option<&[u8]>) -> Result<T, String>,
    ) -> Result<Vec<T>, Fault> {
        self.book.read("read records", |txn| {
            let table = txn.open_table(RECORDS)?;
            let mut all = Vec::with_capacity(keys.len());
            let mut full = Vec::new();
            for (at, key) in keys.iter().enumerate() {
                full.clear();
                full.push(family as u8);
                full.extend_from_slice(key);
                let stored = table.get(full.as_slice())?;
                let value = match &stored {
                    Some(stored) => Some(check_record(&full, stored.value())?.value),
                    None => None,
                };
                all.push(read(at, value)?);
            }
            Ok(all)
        })
    }

    /// Opens a look at the checkpoint that later ones do not change.
    ///
    /// # Errors
    /// The disk's; too many are open.
    pub fn open_reader(&mut self) -> Result<(u64, Head), Fault> {
        if self.readers.len() >= READERS_MAX {
            return Err(Fault::Refused(format!("{READERS_MAX} snapshots are being read already")));
        }
        let txn = self.book.look("read a snapshot")?;
        let read = || read_head(&txn.open_table(META)?);
        let head = read().map_err(|broken| self.book.note("read a snapshot", broken))?;
        let id = self.next_reader;
        self.next_reader += 1;
        self.readers.insert(id, txn);
        Ok((id, head))
    }

    /// The next piece of what a reader looks at, checked and packed, and where to go on.
    ///
    /// # Errors
    /// The disk's; a wrong checksum; the reader is closed.
    pub fn read_piece(
        &mut self,
        reader: u64,
        cursor: Option<Cursor>,
    ) -> Result<(Bytes, Option<Cursor>), Fault> {
        let closed = || Fault::Refused("the snapshot has been closed".to_owned());
        let txn = self.readers.get(&reader).ok_or_else(closed)?;
        let (rows, cursor) = rows(txn, cursor, Part::All)
            .map_err(|broken| self.book.note("read a snapshot", broken))?;
        let records = rows.iter().map(|row| (row.key[0], &row.key[1..], &row.value[..]));
        Ok((put_chunk(records), cursor))
    }

    /// The reader is not needed any more.
    pub fn close_reader(&mut self, reader: u64) {
        self.readers.remove(&reader);
    }

    /// Closes the file in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.install = None;
        self.readers.clear();
        self.book.close()
    }

    fn look_at_space(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now());
        // Who cannot say how much is free does not stop us: a write will.
        let free = self.book.free_bytes().unwrap_or(u64::MAX);
        self.book.counters().free_bytes.set(free);
    }
}

impl Keeper for StateFile {
    fn look_around(&mut self, is_idle: bool) {
        self.look_at_space();
        if is_idle && std::mem::take(&mut self.to_give_back) {
            memory::give_back();
        }
    }
}

/// A record as it is read; both parts share the bytes of their piece.
#[derive(Debug)]
struct Row {
    /// Family byte and key.
    key: Bytes,
    checksum: u32,
    value: Bytes,
}

impl Row {
    fn into_record(self) -> Record {
        let family = table(self.key[0]).expect("checked when it was read");
        Record { table: family, key: self.key.slice(1..), value: Some(self.value) }
    }
}

/// A stored record, taken apart.
#[derive(Debug)]
pub struct Checked<'a> {
    pub table: Table,
    pub checksum: u32,
    pub value: &'a [u8],
}

/// Takes a stored record apart and checks it.
///
/// # Errors
/// It is cut off, its checksum is wrong, or its family is unknown.
pub fn check_record<'a>(key: &[u8], stored: &'a [u8]) -> Result<Checked<'a>, String> {
    let (family, rest) = key.split_first().ok_or("a record without a family")?;
    let family =
        table(*family).ok_or_else(|| format!("record {} is of unknown family", shown(key)))?;
    let cut = || format!("record {} is cut off", shown(key));
    let (checksum, value) = stored.split_at_checked(RECORD_HEAD_BYTES).ok_or_else(cut)?;
    let checksum = u32::from_le_bytes(checksum.try_into().map_err(|_| cut())?);
    if checksum != record_checksum(family, rest, value) {
        return Err(format!("record {} has a wrong checksum", shown(key)));
    }
    Ok(Checked { table: family, checksum, value })
}

fn shown(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

/// Some records of families that are loaded, where to go on, and what was found so far.
pub type Piece = (Vec<Record>, Option<Cursor>, Totals);

/// What [`StateFile::load`] says, of any look at the file.
pub fn piece(
    txn: &ReadTransaction,
    cursor: Option<Cursor>,
    mut found: Totals,
) -> Result<Piece, Broken> {
    let (rows, cursor) = rows(txn, cursor, Part::Loaded)?;
    for row in &rows {
        found.add(row.key[0], row.checksum, row.value.len());
    }
    if cursor.is_none() {
        let said = read_head(&txn.open_table(META)?)?.totals.loaded();
        same_totals(&said, &found)?;
    }
    Ok((rows.into_iter().map(Row::into_record).collect(), cursor, found))
}

/// Of which families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// What a start loads.
    Loaded,
}

/// Reads records behind a cursor until they make a piece.
fn rows(
    txn: &ReadTransaction,
    cursor: Option<Cursor>,
    part: Part,
) -> Result<(Vec<Row>, Option<Cursor>), Broken> {
    use std::ops::Bound::{Excluded, Unbounded};
    const BELOW: &[u8] = &[Table::LOADED_BELOW];
    let table = txn.open_table(RECORDS)?;
    // One allocation a piece instead of two a record, which another thread would free one by one.
    let mut piece: Vec<u8> = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
    let mut places: Vec<(usize, u32, usize)> = Vec::new();
    let mut next = None;
    let from = cursor.as_deref().map_or(Unbounded, Excluded);
    let upto = if part == Part::All { Unbounded } else { Excluded(BELOW) };
    for row in table.range::<&[u8]>((from, upto))? {
        let (key, stored) = row?;
        let (key, stored) = (key.value(), stored.value());
        if piece.len() > CHUNK_BYTES {
            next = places.last().map(|last| last_key(&piece, last).to_vec());
            break;
        }
        let Checked { checksum, value, .. } = check_record(key, stored)?;
        if places.last().is_some_and(|last| last_key(&piece, last) >= key) {
            return Err(Broken::Wrong(format!("record {} is out of order", shown(key))));
        }
        piece.extend_from_slice(key);
        piece.extend_from_slice(value);
        places.push((key.len(), checksum, value.len()));
    }
    let mut piece = Bytes::from(piece);
    let row = |(key_bytes, checksum, value_bytes)| {
        let (key, value) = (piece.split_to(key_bytes), piece.split_to(value_bytes));
        Row { key, checksum, value }
    };
    Ok((places.into_iter().map(row).collect(), next))
}

/// The key of the last record of a piece.
fn last_key<'a>(piece: &'a [u8], (key_bytes, _, value_bytes): &(usize, u32, usize)) -> &'a [u8] {
    let at = piece.len() - value_bytes - key_bytes;
    &piece[at..at + key_bytes]
}

/// What a checkpoint says against what is found.
///
/// # Errors
/// They differ; the families are named.
pub fn same_totals(said: &Totals, found: &Totals) -> Result<(), String> {
    let families = said.0.keys().chain(found.0.keys());
    for family in families {
        let (said, found) = (said.0.get(family), found.0.get(family));
        if said == found {
            continue;
        }
        let count = |total: Option<&crate::raft::encoding::Total>| total.map_or(0, |t| t.count);
        let name = table(*family).map_or("unknown".to_owned(), |table| format!("{table:?}"));
        return Err(format!(
            "the checkpoint says {} records of family {name}; {} were found, or others than those",
            count(said),
            count(found)
        ));
    }
    Ok(())
}

/// Writes or removes one record and keeps the totals.
fn write_record(
    table: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    totals: &mut Totals,
    key: &mut Vec<u8>,
    record: &Record,
) -> Result<(), Broken> {
    let family = record.table as u8;
    key.clear();
    key.push(family);
    key.extend_from_slice(&record.key);
    let forget = |totals: &mut Totals, old: &[u8]| {
        if let Some((checksum, value)) = old.split_first_chunk() {
            totals.remove(family, u32::from_le_bytes(*checksum), value.len());
        }
    };
    let Some(value) = &record.value else {
        if let Some(old) = table.remove(key.as_slice())? {
            forget(totals, old.value());
        }
        return Ok(());
    };
    let checksum = record_checksum(record.table, &record.key, value);
    totals.add(family, checksum, value.len());
    // One way down the tree, for a copy of the value: the other way round costs more.
    let at = key.len();
    key.extend_from_slice(&checksum.to_le_bytes());
    key.extend_from_slice(value);
    let (key, stored) = key.split_at(at);
    if let Some(old) = table.insert(key, stored)? {
        forget(totals, old.value());
    }
    Ok(())
}

/// Up to where a checkpoint reaches.
pub fn read_head(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Head, Broken> {
    let missing = |key: &str| format!("it has no \"{key}\"");
    let mut applied = get_meta(meta, APPLIED)?.ok_or_else(|| missing(APPLIED))?;
    let membership = get_meta(meta, MEMBERSHIP)?.ok_or_else(|| missing(MEMBERSHIP))?;
    let totals = get_meta(meta, TOTALS)?.ok_or_else(|| missing(TOTALS))?;
    Ok(Head {
        applied: take_log_id(&mut applied)?,
        membership: take_stored_membership(membership)?,
        totals: Totals::take(totals)?,
    })
}

fn write_head(
    meta: &mut redb::Table<'_, &'static str, &'static [u8]>,
    head: &Head,
) -> Result<(), Broken> {
    let mut applied = Vec::new();
    put_log_id(&mut applied, head.applied.as_ref());
    put_meta(meta, APPLIED, &applied)?;
    put_meta(meta, MEMBERSHIP, &put_stored_membership(&head.membership))?;
    put_meta(meta, TOTALS, &head.totals.put())
}
