//! Reads a file and keeps what is written beside it in memory, so that looking never changes.

use redb::StorageBackend;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Granularity of what is kept: redb's page.
const BLOCK_BYTES: u64 = 4_096;

/// A file under glass. Memory grows with what redb writes while it repairs: its free lists, not
/// its contents.
#[derive(Debug)]
pub struct Overlay {
    base: Box<dyn StorageBackend>,
    base_bytes: u64,
    len: AtomicU64,
    // One thread opens, reads and drops it; the trait asks for what can be shared.
    #[allow(clippy::disallowed_types)]
    written: std::sync::Mutex<BTreeMap<u64, Box<[u8]>>>,
}

impl Overlay {
    /// Over a file that is only read.
    ///
    /// # Errors
    /// Its length is unknown.
    pub fn new(base: Box<dyn StorageBackend>) -> io::Result<Self> {
        let base_bytes = base.len()?;
        Ok(Self { base, base_bytes, len: AtomicU64::new(base_bytes), written: Default::default() })
    }

    /// What the file holds there; zeros behind its end.
    fn read_base(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.base_bytes.saturating_sub(offset).min(out.len() as u64) as usize;
        if there > 0 {
            self.base.read(offset, &mut out[..there])?;
        }
        out[there..].fill(0);
        Ok(())
    }
}

/// The parts of a range by block: (block's start, offset in it, bytes).
fn blocks(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + bytes as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let start = at - at % BLOCK_BYTES;
        let part = (start + BLOCK_BYTES).min(end) - at;
        let found = (start, (at - start) as usize, part as usize);
        at += part;
        Some(found)
    })
}

fn poisoned<T>(_: T) -> io::Error {
    io::Error::other("a reader of this file has failed")
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len.load(Ordering::Acquire))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset.saturating_add(out.len() as u64) > self.len()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let written = self.written.lock().map_err(poisoned)?;
        let mut done = 0;
        for (start, within, bytes) in blocks(offset, out.len()) {
            let part = &mut out[done..done + bytes];
            match written.get(&start) {
                Some(block) => part.copy_from_slice(&block[within..within + bytes]),
                None => self.read_base(start + within as u64, part)?,
            }
            done += bytes;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.lock().map_err(poisoned)?;
        let old = self.len.swap(len, Ordering::AcqRel);
        // What is cut off and comes back later is zero.
        for (start, within, bytes) in blocks(len, old.saturating_sub(len) as usize) {
            let mut block = vec![0; BLOCK_BYTES as usize].into_boxed_slice();
            match written.get(&start) {
                Some(old) => block.copy_from_slice(old),
                None => self.read_base(start, &mut block)?,
            }
            block[within..within + bytes].fill(0);
            written.insert(start, block);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock().map_err(poisoned)?;
        let mut done = 0;
        for (start, within, bytes) in blocks(offset, data.len()) {
            let block = match written.entry(start) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(place) => {
                    let mut block = vec![0; BLOCK_BYTES as usize].into_boxed_slice();
                    self.read_base(start, &mut block)?;
                    place.insert(block)
                }
            };
            block[within..within + bytes].copy_from_slice(&data[done..done + bytes]);
            done += bytes;
        }
        self.len.fetch_max(offset + data.len() as u64, Ordering::AcqRel);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    #[test]
    fn it_reads_through_and_writes_beside() {
        let base = InMemoryBackend::new();
        base.set_len(10_000).unwrap();
        base.write(4_000, &[7; 200]).unwrap();
        let overlay = Overlay::new(Box::new(base)).unwrap();
        let mut bytes = [0; 300];
        overlay.read(3_950, &mut bytes).unwrap();
        assert_eq!((bytes[49], bytes[50], bytes[249], bytes[250]), (0, 7, 7, 0));
        overlay.write(4_090, &[9; 10]).unwrap();
        overlay.read(3_950, &mut bytes).unwrap();
        assert_eq!((bytes[139], bytes[140], bytes[149], bytes[150]), (7, 9, 9, 7));
        let mut before = [0; 200];
        overlay.base.read(4_000, &mut before).unwrap();
        assert_eq!(before, [7; 200], "the file is as it was");
        assert!(overlay.read(9_900, &mut [0; 200]).is_err(), "behind its end");
    }

    #[test]
    fn what_is_cut_off_comes_back_as_zeros() {
        let base = InMemoryBackend::new();
        base.set_len(9_000).unwrap();
        base.write(0, &[1; 9_000]).unwrap();
        let overlay = Overlay::new(Box::new(base)).unwrap();
        overlay.set_len(100).unwrap();
        overlay.set_len(20_000).unwrap();
        let mut bytes = [9; 20_000];
        overlay.read(0, &mut bytes).unwrap();
        assert!(bytes[..100].iter().all(|byte| *byte == 1));
        assert!(bytes[100..].iter().all(|byte| *byte == 0));
    }
}
