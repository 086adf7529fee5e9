//! `nacre restore`: a new node of a new cluster that begins with a backup's state. Everything is
//! compared with the manifest before anything is written, and the store gets its name when it is
//! whole.

use super::backup::{FORMAT, LENGTH_BYTES, MANIFEST, Manifest, STATE, hex};
use super::wire::{PIECE_BYTES_MAX, Refusal};
use crate::raft::encoding::{Totals, record_checksum, take_chunk};
use crate::raft::plant::{Seed, plant};
use crate::raft::{FOLDER, Folder};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a manifest, at most.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What may be in a data directory that is restored into: what an operator puts there before the
/// first start, and what locking leaves.
const MAY_BE_THERE: [&str; 2] = ["conf", crate::boot::data::LOCK_FILE];

/// The store until it is whole.
const DRAFT: &str = "raft.new";

/// Whether a backup is whole: its manifest, once every sum was compared.
///
/// # Errors
/// What is wrong with it; it cannot be read.
pub fn verify(backup: &Path) -> Result<Manifest, Refusal> {
    let unseen = |error: io::Error| {
        Refusal::unseen(format!("{} is no backup: {error}", backup.join(MANIFEST).display()))
    };
    let mut text = String::new();
    let file = File::open(backup.join(MANIFEST)).map_err(unseen)?;
    file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text).map_err(unseen)?;
    let wrong = |why: String| Refusal::no(format!("WRONG {}: {why}", backup.display()));
    let manifest = Manifest::unseal(&text).map_err(wrong)?;
    debug_assert_eq!(manifest.format, FORMAT);
    let said = manifest.totals().map_err(|why| wrong(format!("{MANIFEST}: {why}")))?;
    let mut found = Totals::default();
    let mut pieces = Pieces::open(backup).map_err(|error| wrong(format!("{STATE}: {error}")))?;
    for piece in pieces.by_ref() {
        let piece = piece.map_err(|error| wrong(format!("{STATE}: {error}")))?;
        for record in take_chunk(piece).map_err(|why| wrong(format!("{STATE}: {why}")))? {
            let value = record.value.unwrap_or_default();
            let checksum = record_checksum(record.table, &record.key, &value);
            found.add(record.table as u8, checksum, value.len());
        }
    }
    let sum = hex(&pieces.sum.finalize());
    if (pieces.count, pieces.bytes, &sum) != (manifest.pieces, manifest.bytes, &manifest.sha256) {
        return Err(wrong(format!(
            "{STATE} has {} bytes in {} pieces and sum {sum}; {MANIFEST} says {} in {} and {}",
            pieces.bytes, pieces.count, manifest.bytes, manifest.pieces, manifest.sha256
        )));
    }
    if found != said {
        return Err(wrong(format!("{STATE} holds other records than {MANIFEST} says")));
    }
    Ok(manifest)
}

/// Makes the store of a new node in a data directory whose lock the caller holds.
///
/// # Errors
/// The directory is in use; the disk's.
pub fn restore(
    backup: &Path,
    manifest: &Manifest,
    data: &Path,
    address: String,
) -> Result<(), Refusal> {
    let shown = data.display();
    let cannot = |error: io::Error| Refusal::unseen(format!("{shown} cannot be written: {error}"));
    for entry in fs::read_dir(data).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        if name != DRAFT && !MAY_BE_THERE.iter().any(|known| name == *known) {
            let name = name.to_string_lossy();
            return Err(Refusal::no(format!(
                "{shown} is not empty: there is {name}; restore into a directory of its own"
            )));
        }
    }
    let draft = data.join(DRAFT);
    // What an earlier try left.
    match fs::remove_dir_all(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
        _ => {}
    }
    let totals = manifest.totals().map_err(Refusal::no)?;
    let seed = Seed { term: manifest.term, index: manifest.index, totals, address };
    let folder = Arc::new(Folder::new(&draft).map_err(cannot)?);
    let pieces = Pieces::open(backup).map_err(cannot)?;
    plant(folder, seed, pieces).map_err(|fault| Refusal::unseen(fault.text()))?;
    let named = (|| {
        fs::rename(&draft, data.join(FOLDER))?;
        File::open(data)?.sync_all()
    })();
    named.map_err(cannot)
}

/// A backup's pieces, summed up as they are read.
struct Pieces {
    file: BufReader<File>,
    sum: Sha256,
    count: u64,
    bytes: u64,
}

impl Pieces {
    fn open(backup: &Path) -> io::Result<Self> {
        let file = BufReader::new(File::open(backup.join(STATE))?);
        Ok(Self { file, sum: Sha256::new(), count: 0, bytes: 0 })
    }

    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let mut length = [0; LENGTH_BYTES];
        let mut there = 0;
        while there < LENGTH_BYTES {
            match self.file.read(&mut length[there..])? {
                0 if there == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => there += read,
            }
        }
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > PIECE_BYTES_MAX {
            return Err(io::Error::other(format!("a piece of {bytes} bytes")));
        }
        let mut piece = vec![0; bytes];
        self.file.read_exact(&mut piece)?;
        self.sum.update(length);
        self.sum.update(&piece);
        self.count += 1;
        self.bytes += (LENGTH_BYTES + bytes) as u64;
        Ok(Some(piece.into()))
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
