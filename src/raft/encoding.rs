//! Our own bytes for what openraft hands us to keep, so that an upgrade of it never changes the
//! disk. All numbers are little-endian. Everything read is checked; nothing here panics on it.

use super::limits::{ADDRESS_BYTES_MAX, BATCH_COMMANDS_MAX};
use super::types::{Batch, LogId, Membership, Payload, StoredMembership, Vote, log_id, term_of};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use nacre_shards::durable::{Record, Table};
use openraft::impls::{BasicNode, leader_id_std};
use openraft::vote::RaftVote;
use std::collections::{BTreeMap, BTreeSet};

/// Version of a batch's encoding; another one is refused.
const BATCH_VERSION: u8 = 1;

/// Bytes of a packed batch before its first command: version and count.
const BATCH_HEAD_BYTES: usize = 5;

/// Bytes before each command: its length.
const COMMAND_HEAD_BYTES: usize = 4;

/// Packs commands into one entry. At most [`BATCH_COMMANDS_MAX`].
pub fn pack(commands: &[Bytes]) -> Batch {
    debug_assert!(commands.len() <= BATCH_COMMANDS_MAX);
    let bytes: usize = commands.iter().map(|command| COMMAND_HEAD_BYTES + command.len()).sum();
    let mut packed = BytesMut::with_capacity(BATCH_HEAD_BYTES + bytes);
    packed.put_u8(BATCH_VERSION);
    packed.put_u32_le(commands.len() as u32);
    for command in commands {
        packed.put_u32_le(command.len() as u32);
        packed.put_slice(command);
    }
    Batch(packed.freeze())
}

/// The commands of an entry, sharing its bytes.
///
/// # Errors
/// It is not a batch, or a newer one.
pub fn unpack(batch: &Batch) -> Result<Vec<Bytes>, String> {
    let mut rest = batch.0.clone();
    if rest.len() < BATCH_HEAD_BYTES {
        return Err(format!("a batch of {} bytes", rest.len()));
    }
    let version = rest.get_u8();
    if version != BATCH_VERSION {
        return Err(format!("a batch of version {version}; this program knows {BATCH_VERSION}"));
    }
    let count = rest.get_u32_le() as usize;
    if count > BATCH_COMMANDS_MAX {
        return Err(format!("a batch of {count} commands"));
    }
    let mut commands = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = take_length(&mut rest)?;
        commands.push(rest.split_to(bytes));
    }
    ended(&rest)?;
    Ok(commands)
}

/// A length that what follows can hold.
fn take_length(rest: &mut Bytes) -> Result<usize, String> {
    let length = rest.try_get_u32_le().map_err(|_| "a length is cut off".to_owned())? as usize;
    if length > rest.len() {
        return Err(format!("{length} bytes announced, {} there", rest.len()));
    }
    Ok(length)
}

fn ended(rest: &Bytes) -> Result<(), String> {
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes too many", rest.len())) }
}

/// What an entry holds, as the disk and other members know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Blank = 0,
    Batch = 1,
    Membership = 2,
}

/// One log entry on its way to or from the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub index: u64,
    pub term: u64,
    kind: u8,
    body: Bytes,
}

/// Bytes of a stored entry before its body: checksum, term, kind, bytes of the body.
const ENTRY_HEAD_BYTES: usize = 17;

/// Bits of a row's key that say which part of its entry it is.
const PART_BITS: u32 = 10;

/// Bytes of one part, the last one excepted: what fills a page of 32 KiB. As one value an entry
/// would take a page of the next power of two, which is half empty on average and zeroed, hashed
/// and written all the same.
const PART_BYTES: usize = 32_000;

const _: () = assert!(
    PART_BYTES << PART_BITS > super::limits::COMMAND_BYTES_MAX + (1 << 20),
    "the largest entry has parts enough"
);

/// Key of an entry's first row; all of its rows come before the next entry's.
pub fn first_key(index: u64) -> u64 {
    index << PART_BITS
}

/// The entry a row belongs to.
pub fn index_of(key: u64) -> u64 {
    key >> PART_BITS
}

impl Stored {
    /// An entry as it will be kept; a batch shares its bytes.
    pub fn new(id: &LogId, payload: &Payload) -> Self {
        let (kind, body) = match payload {
            Payload::Blank => (Kind::Blank, Bytes::new()),
            Payload::Normal(batch) => (Kind::Batch, batch.0.clone()),
            Payload::Membership(membership) => (Kind::Membership, put_membership(membership)),
        };
        Self { index: id.index(), term: term_of(id), kind: kind as u8, body }
    }

    /// Bytes of it on the disk.
    pub fn len(&self) -> usize {
        ENTRY_HEAD_BYTES + self.body.len()
    }

    /// Rows it is kept in.
    pub fn rows(&self) -> usize {
        self.len().div_ceil(PART_BYTES)
    }

    /// Never: an entry has a head.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn head(&self) -> [u8; ENTRY_HEAD_BYTES] {
        let mut head = [0; ENTRY_HEAD_BYTES];
        let mut place = &mut head[..];
        place.put_u32_le(self.checksum());
        place.put_u64_le(self.term);
        place.put_u8(self.kind);
        place.put_u32_le(self.body.len() as u32);
        head
    }

    /// The rows it is kept in: hands each one's key and length to `row`, which makes the place,
    /// and fills it.
    ///
    /// # Errors
    /// What `row` returns.
    pub fn write<E>(
        &self,
        mut row: impl FnMut(u64, usize, &mut dyn FnMut(&mut [u8])) -> Result<(), E>,
    ) -> Result<(), E> {
        let head = self.head();
        let mut key = first_key(self.index);
        let first = self.body.len().min(PART_BYTES - ENTRY_HEAD_BYTES);
        let (start, rest) = self.body.split_at(first);
        row(key, ENTRY_HEAD_BYTES + start.len(), &mut |mut place| {
            place.put_slice(&head);
            place.put_slice(start);
        })?;
        for part in rest.chunks(PART_BYTES) {
            key += 1;
            row(key, part.len(), &mut |place| place.copy_from_slice(part))?;
        }
        Ok(())
    }

    /// Reads it back from its parts put together.
    fn read(index: u64, bytes: Vec<u8>) -> Result<Self, String> {
        let mut body = Bytes::from(bytes);
        if body.len() < ENTRY_HEAD_BYTES {
            return Err(format!("log entry {index} has only {} bytes", body.len()));
        }
        let checksum = body.get_u32_le();
        let term = body.get_u64_le();
        let kind = body.get_u8();
        body.advance(4);
        let stored = Self { index, term, kind, body };
        if stored.checksum() == checksum {
            Ok(stored)
        } else {
            Err(format!("log entry {index} has a wrong checksum"))
        }
    }

    /// Over index, term, kind and body: an entry in another's place is found as well.
    fn checksum(&self) -> u32 {
        let mut head = [0; 17];
        head[..8].copy_from_slice(&self.index.to_le_bytes());
        head[8..16].copy_from_slice(&self.term.to_le_bytes());
        head[16] = self.kind;
        crc32c::crc32c_append(crc32c::crc32c(&head), &self.body)
    }

    /// Where it stands.
    pub fn id(&self) -> LogId {
        log_id(self.term, self.index)
    }

    /// What it holds, for openraft.
    ///
    /// # Errors
    /// A newer program wrote it.
    pub fn payload(&self) -> Result<Payload, String> {
        match self.kind {
            kind if kind == Kind::Blank as u8 => Ok(Payload::Blank),
            kind if kind == Kind::Batch as u8 => Ok(Payload::Normal(Batch(self.body.clone()))),
            kind if kind == Kind::Membership as u8 => {
                Ok(Payload::Membership(take_membership(&mut self.body.clone())?))
            }
            kind => Err(format!("log entry {} is of unknown kind {kind}", self.index)),
        }
    }
}

/// Puts entries together from their rows.
#[derive(Debug, Default)]
pub struct Assembly {
    bytes: Vec<u8>,
    /// Key of the row that must come next, unless a new entry begins.
    next: u64,
}

impl Assembly {
    /// Takes the next row; the entry, when it was its last.
    ///
    /// # Errors
    /// Parts are missing or too many, or the checksum is not that of what the entry holds at its
    /// index. The next entry can be read all the same.
    pub fn row(&mut self, key: u64, part: &[u8]) -> Result<Option<Stored>, String> {
        let index = index_of(key);
        let begins = self.bytes.is_empty();
        if key != if begins { first_key(index) } else { self.next } {
            let broken = if begins { index } else { index_of(self.next) };
            self.bytes.clear();
            if !begins && key == first_key(index) {
                // Reported for the entry before; this one begins here.
                self.bytes.extend_from_slice(part);
                self.next = key + 1;
            }
            return Err(format!("log entry {broken} is not whole"));
        }
        self.bytes.extend_from_slice(part);
        self.next = key + 1;
        let length = self.bytes.get(ENTRY_HEAD_BYTES - 4..ENTRY_HEAD_BYTES);
        let length = length.and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        match length {
            Some(length) if self.bytes.len() < ENTRY_HEAD_BYTES + length as usize => Ok(None),
            Some(length) if self.bytes.len() == ENTRY_HEAD_BYTES + length as usize => {
                Stored::read(index, std::mem::take(&mut self.bytes)).map(Some)
            }
            _ => {
                self.bytes.clear();
                Err(format!("log entry {index} is not whole"))
            }
        }
    }

    /// The entry whose end is still to come.
    pub fn pending(&self) -> Option<u64> {
        // The key that must come next is one of the same entry's.
        (!self.bytes.is_empty()).then(|| index_of(self.next))
    }

    /// That no entry is left without its end.
    ///
    /// # Errors
    /// One is.
    pub fn ended(&self) -> Result<(), String> {
        match self.pending() {
            None => Ok(()),
            Some(index) => Err(format!("log entry {index} is not whole")),
        }
    }
}

/// A value of the small tables, with the checksum that guards it and its key.
pub fn seal(key: &str, value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + value.len());
    sealed.put_u32_le(seal_checksum(key, value));
    sealed.put_slice(value);
    sealed
}

/// What was sealed.
///
/// # Errors
/// The checksum is wrong.
pub fn unseal(key: &str, mut sealed: &[u8]) -> Result<Bytes, String> {
    let checksum = sealed.try_get_u32_le().map_err(|_| format!("\"{key}\" is cut off"))?;
    if checksum == seal_checksum(key, sealed) {
        Ok(Bytes::copy_from_slice(sealed))
    } else {
        Err(format!("\"{key}\" has a wrong checksum"))
    }
}

fn seal_checksum(key: &str, value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), value)
}

/// A vote: term, for whom, whether a quorum agreed.
pub fn put_vote(vote: &Vote) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(17);
    bytes.put_u64_le(vote.leader_id().term);
    bytes.put_u64_le(vote.leader_id().voted_for);
    bytes.put_u8(u8::from(vote.is_committed()));
    bytes
}

/// A vote, read back.
///
/// # Errors
/// It is none.
pub fn take_vote(bytes: &mut Bytes) -> Result<Vote, String> {
    let cut = |_| "a vote is cut off".to_owned();
    let term = bytes.try_get_u64_le().map_err(cut)?;
    let node = bytes.try_get_u64_le().map_err(cut)?;
    let committed = bytes.try_get_u8().map_err(cut)? != 0;
    ended(bytes)?;
    Ok(Vote::from_leader_id(leader_id_std::LeaderId { term, voted_for: node }, committed))
}

/// A log id, or that there is none.
pub fn put_log_id(into: &mut Vec<u8>, id: Option<&LogId>) {
    into.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        into.put_u64_le(term_of(id));
        into.put_u64_le(id.index());
    }
}

/// A log id, read back.
///
/// # Errors
/// It is cut off.
pub fn take_log_id(bytes: &mut Bytes) -> Result<Option<LogId>, String> {
    let cut = |_| "a log id is cut off".to_owned();
    if bytes.try_get_u8().map_err(cut)? == 0 {
        return Ok(None);
    }
    let term = bytes.try_get_u64_le().map_err(cut)?;
    Ok(Some(log_id(term, bytes.try_get_u64_le().map_err(cut)?)))
}

/// Members: the voters of each configuration, then everybody's address.
pub fn put_membership(membership: &Membership) -> Bytes {
    let mut bytes = BytesMut::new();
    let configs = membership.get_joint_config();
    bytes.put_u32_le(configs.len() as u32);
    for config in configs {
        bytes.put_u32_le(config.len() as u32);
        for node in config {
            bytes.put_u64_le(*node);
        }
    }
    let nodes: Vec<_> = membership.nodes().collect();
    bytes.put_u32_le(nodes.len() as u32);
    for (id, node) in nodes {
        bytes.put_u64_le(*id);
        bytes.put_u32_le(node.addr.len() as u32);
        bytes.put_slice(node.addr.as_bytes());
    }
    bytes.freeze()
}

/// Members, read back.
///
/// # Errors
/// It is cut off, or a voter has no address.
pub fn take_membership(bytes: &mut Bytes) -> Result<Membership, String> {
    let cut = |_| "a membership is cut off".to_owned();
    let mut configs = Vec::new();
    for _ in 0..bytes.try_get_u32_le().map_err(cut)? {
        let mut config = BTreeSet::new();
        for _ in 0..bytes.try_get_u32_le().map_err(cut)? {
            config.insert(bytes.try_get_u64_le().map_err(cut)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..bytes.try_get_u32_le().map_err(cut)? {
        let id = bytes.try_get_u64_le().map_err(cut)?;
        let length = take_length(bytes)?;
        if length > ADDRESS_BYTES_MAX {
            return Err(format!("an address of {length} bytes"));
        }
        let addr = String::from_utf8(bytes.split_to(length).to_vec());
        nodes.insert(id, BasicNode { addr: addr.map_err(|_| "an address is no text")? });
    }
    ended(bytes)?;
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| format!("a membership is impossible: {error}"))
}

/// Members and since when, as a checkpoint keeps them.
pub fn put_stored_membership(membership: &StoredMembership) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_log_id(&mut bytes, membership.log_id().as_ref());
    bytes.put_slice(&put_membership(membership.membership()));
    bytes
}

/// Members and since when, read back.
///
/// # Errors
/// As [`take_membership`].
pub fn take_stored_membership(mut bytes: Bytes) -> Result<StoredMembership, String> {
    let id = take_log_id(&mut bytes)?;
    Ok(StoredMembership::new(id, take_membership(&mut bytes)?))
}

/// The checksum of a record: over its family, its key with its length, and its value.
pub fn record_checksum(table: Table, key: &[u8], value: &[u8]) -> u32 {
    let mut head = [0; 5];
    head[0] = table as u8;
    head[1..].copy_from_slice(&(key.len() as u32).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), key);
    crc32c::crc32c_append(crc, value)
}

/// The family a first byte stands for.
pub fn table(byte: u8) -> Option<Table> {
    const ALL: [Table; 10] = [
        Table::Config,
        Table::Gray,
        Table::History,
        Table::Namespace,
        Table::Capacity,
        Table::Instance,
        Table::Metadata,
        Table::Identity,
        Table::Global,
        Table::Past,
    ];
    ALL.into_iter().find(|table| *table as u8 == byte)
}

/// How many records each family has, and a sum over them that does not depend on their order.
/// What a checkpoint says it holds is compared with what is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(pub BTreeMap<u8, Total>);

/// Of one family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    pub count: u64,
    pub digest: u64,
}

impl Totals {
    /// One record more.
    pub fn add(&mut self, table: u8, checksum: u32, value_bytes: usize) {
        let total = self.0.entry(table).or_default();
        total.count += 1;
        total.digest = total.digest.wrapping_add(spread(checksum, value_bytes));
    }

    /// One record less.
    pub fn remove(&mut self, table: u8, checksum: u32, value_bytes: usize) {
        let total = self.0.entry(table).or_default();
        total.count = total.count.wrapping_sub(1);
        total.digest = total.digest.wrapping_sub(spread(checksum, value_bytes));
        if *total == Total::default() {
            self.0.remove(&table);
        }
    }

    /// Of the families a start loads.
    pub fn loaded(&self) -> Self {
        Self(self.0.range(..Table::LOADED_BELOW).map(|(table, total)| (*table, *total)).collect())
    }

    /// Records of all families.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, total| sum.saturating_add(total.count))
    }

    /// As a checkpoint keeps it.
    pub fn put(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 17);
        for (table, total) in &self.0 {
            bytes.put_u8(*table);
            bytes.put_u64_le(total.count);
            bytes.put_u64_le(total.digest);
        }
        bytes
    }

    /// Read back.
    ///
    /// # Errors
    /// It is cut off.
    pub fn take(mut bytes: Bytes) -> Result<Self, String> {
        let cut = |_| "totals are cut off".to_owned();
        let mut totals = BTreeMap::new();
        while !bytes.is_empty() {
            let table = bytes.try_get_u8().map_err(cut)?;
            let count = bytes.try_get_u64_le().map_err(cut)?;
            let digest = bytes.try_get_u64_le().map_err(cut)?;
            totals.insert(table, Total { count, digest });
        }
        Ok(Self(totals))
    }
}

/// Spreads a checksum and a length over 64 bits, so that sums of them seldom meet (the finisher
/// of SplitMix64).
fn spread(checksum: u32, value_bytes: usize) -> u64 {
    let mut mixed = (u64::from(checksum) << 32) ^ value_bytes as u64;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One piece of a snapshot: a checksum, then records with their lengths.
pub fn put_chunk<'a>(records: impl Iterator<Item = (u8, &'a [u8], &'a [u8])>) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u32_le(0);
    for (table, key, value) in records {
        bytes.put_u8(table);
        bytes.put_u32_le(key.len() as u32);
        bytes.put_u32_le(value.len() as u32);
        bytes.put_slice(key);
        bytes.put_slice(value);
    }
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    bytes.freeze()
}

/// The records of one piece, sharing its bytes.
///
/// # Errors
/// The checksum is wrong, or a family is unknown.
pub fn take_chunk(mut bytes: Bytes) -> Result<Vec<Record>, String> {
    let cut = |_| "a piece of a snapshot is cut off".to_owned();
    let checksum = bytes.try_get_u32_le().map_err(cut)?;
    if checksum != crc32c::crc32c(&bytes) {
        return Err("a piece of a snapshot has a wrong checksum".to_owned());
    }
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let family = bytes.try_get_u8().map_err(cut)?;
        let table = table(family).ok_or_else(|| format!("records of unknown family {family}"))?;
        let key = bytes.try_get_u32_le().map_err(cut)? as usize;
        let value = bytes.try_get_u32_le().map_err(cut)? as usize;
        if key.saturating_add(value) > bytes.len() {
            return Err("a record of a snapshot is cut off".to_owned());
        }
        let key = bytes.split_to(key);
        records.push(Record { table, key, value: Some(bytes.split_to(value)) });
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
