//! The bytes of `log.wal`. All numbers are little-endian; nothing here panics on what it reads.
//!
//! A block with the file's head, then slots of equal size. A slot is a block with its head, then
//! commits. A commit begins at a block: its head, its records, zeros up to the next block. Only
//! one commit is ever written and not yet synced, and a head fits a sector: so a cut of the power
//! can break the last commit and nothing before it.
//!
//! Checksums begin with a number of the file's own that nobody else knows: what a client writes
//! can never look like a head.

use crate::raft::encoding::{put_log_id, put_vote, take_log_id, take_vote};
use crate::raft::store::book::Identity;
use crate::raft::types::{LogId, Vote};
use bytes::{Buf, BufMut, Bytes};

/// What is written whole or in parts of sectors; a page of the system's, so that no write has to
/// read what surrounds it.
pub const BLOCK_BYTES: usize = 4_096;

/// Bytes of a slot that are not for commits.
pub const SLOT_HEAD_BYTES: usize = BLOCK_BYTES;

/// Bytes of a commit before its records.
pub const COMMIT_HEAD_BYTES: usize = 32;

/// Bytes of a record before what it holds: kind, key, length.
pub const RECORD_HEAD_BYTES: usize = 13;

const FILE_MAGIC: &[u8; 8] = b"nacrelog";
const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"slot");
const COMMIT_MAGIC: u32 = u32::from_le_bytes(*b"comm");

/// The version of these bytes. Another one is refused.
const FORMAT_VERSION: u32 = 1;

/// Bytes of a slot: many commits share the one sync more that a new slot costs.
pub const SLOT_BYTES_MAX: usize = 2 << 20;

/// Where space is scarce a slot is smaller, and never less than holds the longest record.
pub const SLOT_BYTES_MIN: usize = 64 << 10;

/// A slot is at most this part of what was free when the file was made.
const SLOT_OF_FREE: u64 = 256;

const _: () = assert!(SLOT_BYTES_MIN.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(SLOT_BYTES_MAX.is_multiple_of(BLOCK_BYTES));

/// Bytes of a slot for a disk with so much room.
pub fn slot_bytes_for(free_bytes: u64) -> usize {
    let part = usize::try_from(free_bytes / SLOT_OF_FREE).unwrap_or(SLOT_BYTES_MAX);
    (part / BLOCK_BYTES * BLOCK_BYTES).clamp(SLOT_BYTES_MIN, SLOT_BYTES_MAX)
}

/// What the file says of itself, once and for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHead {
    pub identity: Identity,
    /// Every checksum of the file begins with it.
    pub salt: u64,
    pub slot_bytes: usize,
}

impl FileHead {
    /// The first block.
    pub fn put(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        block.put_slice(FILE_MAGIC);
        block.put_u32_le(0);
        block.put_u32_le(FORMAT_VERSION);
        block.put_u64_le(self.identity.node);
        block.put_u128_le(self.identity.cluster);
        block.put_u64_le(self.salt);
        block.put_u32_le(self.slot_bytes as u32);
        let checksum = crc32c::crc32c(&block[12..]);
        block[8..12].copy_from_slice(&checksum.to_le_bytes());
        block.resize(BLOCK_BYTES, 0);
        block
    }

    /// Read back.
    ///
    /// # Errors
    /// It is none, or a newer program's.
    pub fn take(block: &[u8; BLOCK_BYTES]) -> Result<Self, String> {
        let mut rest = &block[..];
        let mut magic = [0; 8];
        rest.copy_to_slice(&mut magic);
        let checksum = rest.get_u32_le();
        // Magic, checksum, then 40 bytes it is over.
        if &magic != FILE_MAGIC || checksum != crc32c::crc32c(&rest[..40]) {
            return Err("its head is not that of a log".to_owned());
        }
        match rest.get_u32_le() {
            FORMAT_VERSION => {}
            newer if newer > FORMAT_VERSION => {
                return Err(format!(
                    "its format is {newer}, written by a newer nacre; this one knows \
                     {FORMAT_VERSION}"
                ));
            }
            older => return Err(format!("its format is {older}, which never was")),
        }
        let identity = Identity { node: rest.get_u64_le(), cluster: rest.get_u128_le() };
        let head =
            Self { identity, salt: rest.get_u64_le(), slot_bytes: rest.get_u32_le() as usize };
        let sizes = SLOT_BYTES_MIN..=SLOT_BYTES_MAX;
        if !sizes.contains(&head.slot_bytes) || !head.slot_bytes.is_multiple_of(BLOCK_BYTES) {
            return Err(format!("its slots have {} bytes, which cannot be", head.slot_bytes));
        }
        Ok(head)
    }

    /// Where a slot begins.
    pub fn slot_at(&self, slot: u32) -> u64 {
        BLOCK_BYTES as u64 + u64::from(slot) * self.slot_bytes as u64
    }

    /// Whole slots in a file of so many bytes: the rest is one whose making was interrupted.
    pub fn slots_in(&self, file_bytes: u64) -> u32 {
        let slots = file_bytes.saturating_sub(BLOCK_BYTES as u64) / self.slot_bytes as u64;
        u32::try_from(slots).unwrap_or(u32::MAX)
    }

    fn checksum(&self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.salt.to_le_bytes()), bytes)
    }
}

/// What was true when a slot was begun: what is before it may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotHead {
    /// Grows by one from slot to slot, wherever in the file they are.
    pub number: u64,
    /// The number of its first commit.
    pub first_commit: u64,
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
}

impl SlotHead {
    /// Its block.
    pub fn put(&self, file: &FileHead) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        block.put_u32_le(SLOT_MAGIC);
        block.put_u32_le(0);
        block.put_u64_le(self.number);
        block.put_u64_le(self.first_commit);
        put_log_id(&mut block, self.purged.as_ref());
        block.put_u8(u8::from(self.vote.is_some()));
        if let Some(vote) = &self.vote {
            block.put_slice(&put_vote(vote));
        }
        let bytes = block.len();
        block.resize(SECTOR_BYTES, 0);
        debug_assert!(bytes < SECTOR_BYTES);
        let checksum = file.checksum(&block[8..]);
        block[4..8].copy_from_slice(&checksum.to_le_bytes());
        block.resize(BLOCK_BYTES, 0);
        block
    }

    /// Read back; `None`: the slot was never begun.
    ///
    /// # Errors
    /// It is none.
    pub fn take(file: &FileHead, sector: &[u8; SECTOR_BYTES]) -> Result<Option<Self>, String> {
        if sector.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut rest = Bytes::copy_from_slice(sector);
        let is_slot = rest.get_u32_le() == SLOT_MAGIC;
        if !is_slot || rest.get_u32_le() != file.checksum(&rest) {
            return Err("a slot's head cannot be read".to_owned());
        }
        let (number, first_commit) = (rest.get_u64_le(), rest.get_u64_le());
        let purged = take_log_id(&mut rest)?;
        let vote = match rest.get_u8() {
            0 => None,
            _ => Some(take_vote(&mut rest.split_to(VOTE_BYTES))?),
        };
        Ok(Some(Self { number, first_commit, vote, purged }))
    }
}

/// What a disk writes whole or not at all, at the least.
pub const SECTOR_BYTES: usize = 512;

const VOTE_BYTES: usize = 17;

/// What comes before the records of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitHead {
    /// The slot it is in, so that what an earlier use of the place left is not taken for it.
    pub slot: u64,
    /// Grows by one from commit to commit.
    pub number: u64,
    /// Bytes of its records, and their checksum.
    pub bytes: u32,
    pub checksum: u32,
}

impl CommitHead {
    /// Finishes a commit: `whole` begins with room for the head.
    pub fn put(file: &FileHead, slot: u64, number: u64, whole: &mut [u8]) {
        let (mut head, body) = whole.split_at_mut(COMMIT_HEAD_BYTES);
        let checksum = file.checksum(body);
        let bytes = body.len() as u32;
        let mut rest = &mut head[8..];
        rest.put_u64_le(slot);
        rest.put_u64_le(number);
        rest.put_u32_le(bytes);
        rest.put_u32_le(checksum);
        let own = file.checksum(&head[8..32]);
        head.put_u32_le(COMMIT_MAGIC);
        head.put_u32_le(own);
    }

    /// The head of a commit that was begun at this place; `None`: none was, or it was torn.
    pub fn take(file: &FileHead, bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(..COMMIT_HEAD_BYTES)?;
        let is_commit = rest.get_u32_le() == COMMIT_MAGIC;
        if !is_commit || rest.get_u32_le() != file.checksum(&rest[..24]) {
            return None;
        }
        Some(Self {
            slot: rest.get_u64_le(),
            number: rest.get_u64_le(),
            bytes: rest.get_u32_le(),
            checksum: rest.get_u32_le(),
        })
    }

    /// Its records, when they are what was written.
    pub fn body<'a>(&self, file: &FileHead, commit: &'a [u8]) -> Option<&'a [u8]> {
        let end = COMMIT_HEAD_BYTES.checked_add(self.bytes as usize)?;
        let body = commit.get(COMMIT_HEAD_BYTES..end)?;
        (file.checksum(body) == self.checksum).then_some(body)
    }

    /// Bytes it takes in the file.
    pub fn taken_bytes(&self) -> usize {
        (COMMIT_HEAD_BYTES + self.bytes as usize).next_multiple_of(BLOCK_BYTES)
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A part of an entry ([`Stored::write`](crate::raft::encoding::Stored::write)); its key.
    Row = 1,
    Vote = 2,
    /// Entries from the key on are not.
    Truncate = 3,
    /// Entries up to this one are not needed any more.
    Purge = 4,
    /// The log was closed in order: before this, all is there.
    Closed = 5,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: Kind,
    pub key: u64,
    pub bytes: &'a [u8],
}

/// Puts a record with room for so many bytes; they are returned to be filled.
pub fn put_record(into: &mut Vec<u8>, kind: Kind, key: u64, bytes: usize) -> &mut [u8] {
    into.put_u8(kind as u8);
    into.put_u64_le(key);
    into.put_u32_le(bytes as u32);
    let begin = into.len();
    into.resize(begin + bytes, 0);
    &mut into[begin..]
}

/// The next record of a commit whose checksum was right.
///
/// # Errors
/// A newer program wrote it, or a wrong one.
pub fn take_record<'a>(body: &mut &'a [u8]) -> Result<Record<'a>, String> {
    let cut = || "a record is cut off".to_owned();
    if body.len() < RECORD_HEAD_BYTES {
        return Err(cut());
    }
    let kind = match body.get_u8() {
        1 => Kind::Row,
        2 => Kind::Vote,
        3 => Kind::Truncate,
        4 => Kind::Purge,
        5 => Kind::Closed,
        unknown => return Err(format!("a record of unknown kind {unknown}")),
    };
    let key = body.get_u64_le();
    let length = body.get_u32_le() as usize;
    let (bytes, rest) = body.split_at_checked(length).ok_or_else(cut)?;
    *body = rest;
    Ok(Record { kind, key, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::log_id;

    fn file() -> FileHead {
        let identity = Identity { node: 7, cluster: 8 };
        FileHead { identity, salt: 9, slot_bytes: SLOT_BYTES_MIN }
    }

    fn sector(block: &[u8]) -> &[u8; SECTOR_BYTES] {
        block.first_chunk().unwrap()
    }

    #[test]
    fn heads_are_read_back_and_any_flipped_bit_of_them_is_seen() {
        let block: [u8; BLOCK_BYTES] = file().put().try_into().unwrap();
        assert_eq!(FileHead::take(&block), Ok(file()));
        for bit in 0..52 * 8 {
            let mut flipped = block;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHead::take(&flipped).is_err(), "bit {bit}");
        }
        for purged in [None, Some(log_id(3, 99))] {
            let slot = SlotHead { number: 5, first_commit: 17, vote: None, purged };
            let block = slot.put(&file());
            assert_eq!(SlotHead::take(&file(), sector(&block)), Ok(Some(slot)));
            for bit in 0..SECTOR_BYTES * 8 {
                let mut flipped = block.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(SlotHead::take(&file(), sector(&flipped)).is_err(), "bit {bit}");
            }
        }
        assert_eq!(SlotHead::take(&file(), &[0; SECTOR_BYTES]), Ok(None));
    }

    #[test]
    fn a_commit_is_read_back_or_is_none() {
        let mut whole = vec![0; COMMIT_HEAD_BYTES];
        put_record(&mut whole, Kind::Row, 42, 3).copy_from_slice(b"abc");
        put_record(&mut whole, Kind::Closed, 0, 0);
        CommitHead::put(&file(), 5, 17, &mut whole);
        let head = CommitHead::take(&file(), &whole).unwrap();
        assert_eq!((head.slot, head.number, head.taken_bytes()), (5, 17, BLOCK_BYTES));
        let mut body = head.body(&file(), &whole).unwrap();
        let row = Record { kind: Kind::Row, key: 42, bytes: b"abc" };
        assert_eq!(take_record(&mut body), Ok(row));
        assert_eq!(take_record(&mut body).unwrap().kind, Kind::Closed);
        assert!(body.is_empty() && take_record(&mut body).is_err());
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = CommitHead::take(&file(), &flipped);
            let read = read.and_then(|head| head.body(&file(), &flipped).map(<[u8]>::to_vec));
            assert_eq!(read, None, "bit {bit}");
        }
        let other = FileHead { salt: 10, ..file() };
        assert_eq!(CommitHead::take(&other, &whole), None, "another file's");
    }

    #[test]
    fn slots_fit_the_disk() {
        for (free, bytes) in [(0, 64 << 10), (64 << 20, 256 << 10), (u64::MAX, 2 << 20)] {
            assert_eq!(slot_bytes_for(free), bytes);
        }
    }
}
