//! A disk that forgets: what was not fsynced is lost or torn when the power is cut, and every
//! call can be made to fail.

// A disk is shared by the threads that use it.
#![allow(clippy::disallowed_types)]

use super::Place;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A folder on such a disk. Clones are the same folder.
#[derive(Debug, Clone, Default)]
pub struct SimPlace(Arc<Mutex<Sim>>);

#[derive(Debug, Default)]
struct Sim {
    files: BTreeMap<String, Arc<Mutex<SimFile>>>,
    faults: Faults,
}

/// What goes wrong from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Calls that change something until the power is cut; `None`: never.
    pub calls_left: Option<u64>,
    /// Writes that would make a file longer than it is and than this many bytes meet a full disk.
    pub file_bytes_max: Option<u64>,
    /// Writes until the disk is full, even for what is in a file already; `None`: never.
    pub writes_left: Option<u64>,
    /// Fsync fails with this.
    pub sync: Option<io::ErrorKind>,
    /// Writes fail with this.
    pub write: Option<io::ErrorKind>,
    /// What the file system says is free; `None`: plenty.
    pub free_bytes: Option<u64>,
    /// Fsync says it is done and does nothing.
    pub sync_lies: bool,
    /// Each fsync takes so many milliseconds.
    pub sync_ms: u64,
    /// Calls that changed something so far.
    pub calls: u64,
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

#[derive(Debug, Default)]
struct SimFile {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Op>,
}

#[derive(Debug)]
struct Handle {
    place: SimPlace,
    file: Arc<Mutex<SimFile>>,
}

/// A small generator (SplitMix64): the same seed, the same disk.
#[derive(Debug, Clone)]
pub struct Seed(pub u64);

impl Seed {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }
}

impl SimPlace {
    /// Changes what goes wrong.
    pub fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.0.lock().unwrap().faults)
    }

    /// Whether the power has been cut.
    pub fn is_off(&self) -> bool {
        self.faults(|faults| faults.calls_left == Some(0))
    }

    /// One call that changes something.
    fn call(&self) -> io::Result<()> {
        self.faults(|faults| {
            match &mut faults.calls_left {
                Some(0) => return Err(io::Error::other("the power is off")),
                Some(left) => *left -= 1,
                None => {}
            }
            faults.calls += 1;
            Ok(())
        })
    }

    /// The disk after the power came back: each sector that was not fsynced is there or not.
    pub fn after_the_cut(&self, seed: &mut Seed) -> SimPlace {
        let sim = self.0.lock().unwrap();
        // Some cuts lose nearly nothing, some nearly everything.
        let odds = [0, 5, 50, 95, 100][seed.below(5) as usize];
        let mut files = BTreeMap::new();
        for (name, file) in &sim.files {
            let file = file.lock().unwrap();
            let mut bytes = file.durable.clone();
            for op in &file.pending {
                tear(&mut bytes, op, odds, seed);
            }
            let file = SimFile { current: bytes.clone(), durable: bytes, pending: Vec::new() };
            files.insert(name.clone(), Arc::new(Mutex::new(file)));
        }
        SimPlace(Arc::new(Mutex::new(Sim { files, faults: Faults::default() })))
    }

    /// Names and lengths of the files.
    pub fn files(&self) -> Vec<(String, usize)> {
        let sim = self.0.lock().unwrap();
        let entry = |(name, file): (&String, &Arc<Mutex<SimFile>>)| {
            (name.clone(), file.lock().unwrap().current.len())
        };
        sim.files.iter().map(entry).collect()
    }

    /// Changes one byte of a file behind everybody's back.
    pub fn flip(&self, name: &str, at: usize, mask: u8) {
        let file = self.file(name).expect("a file of that name");
        let mut file = file.lock().unwrap();
        file.current[at] ^= mask;
        file.durable[at] ^= mask;
    }

    /// Sets one byte likewise.
    pub fn set(&self, name: &str, at: usize, to: u8) {
        let file = self.file(name).expect("a file of that name");
        let mut file = file.lock().unwrap();
        file.current[at] = to;
        file.durable[at] = to;
    }

    /// Puts another disk's file in the place of ours.
    pub fn take_from(&self, other: &SimPlace, name: &str) {
        let file = other.file(name).expect("a file of that name");
        self.0.lock().unwrap().files.insert(name.to_owned(), file);
    }

    /// Another disk with the same files.
    pub fn copy(&self) -> SimPlace {
        let sim = self.0.lock().unwrap();
        let copied = |(name, file): (&String, &Arc<Mutex<SimFile>>)| {
            let bytes = file.lock().unwrap().current.clone();
            let file = SimFile { current: bytes.clone(), durable: bytes, pending: Vec::new() };
            (name.clone(), Arc::new(Mutex::new(file)))
        };
        let files = sim.files.iter().map(copied).collect();
        SimPlace(Arc::new(Mutex::new(Sim { files, faults: Faults::default() })))
    }

    /// Removes a file behind everybody's back.
    pub fn lose(&self, name: &str) {
        self.0.lock().unwrap().files.remove(name);
    }

    fn file(&self, name: &str) -> io::Result<Arc<Mutex<SimFile>>> {
        let sim = self.0.lock().unwrap();
        sim.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn tear(bytes: &mut Vec<u8>, op: &Op, odds: u64, seed: &mut Seed) {
    match op {
        Op::SetLen(len) => {
            if seed.below(100) < odds {
                bytes.resize(*len, 0);
            }
        }
        Op::Write(offset, data) => {
            let mut at = 0;
            while at < data.len() {
                let sector_end = (offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES;
                let part = (sector_end - offset - at).min(data.len() - at);
                if seed.below(100) < odds {
                    let end = offset + at + part;
                    if bytes.len() < end {
                        bytes.resize(end, 0);
                    }
                    bytes[offset + at..end].copy_from_slice(&data[at..at + part]);
                }
                at += part;
            }
        }
    }
}

impl Place for SimPlace {
    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.file(name).is_ok())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(Handle { place: self.clone(), file: self.file(name)? }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        self.call()?;
        let file = Arc::new(Mutex::new(SimFile::default()));
        self.0.lock().unwrap().files.insert(name.to_owned(), file.clone());
        Ok(Box::new(Handle { place: self.clone(), file }))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.call()?;
        let mut sim = self.0.lock().unwrap();
        let file = sim.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        sim.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call()?;
        self.lose(name);
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.faults(|faults| faults.free_bytes).unwrap_or(1 << 40))
    }

    fn shown(&self, name: &str) -> String {
        format!("sim/{name}")
    }
}

impl Handle {
    fn check_write(&self, end: u64) -> io::Result<()> {
        self.place.call()?;
        let faults = self.place.faults(|faults| faults.clone());
        if let Some(kind) = faults.write {
            return Err(kind.into());
        }
        let there = self.len()?;
        self.place.faults(|faults| match &mut faults.writes_left {
            Some(0) => Err(io::ErrorKind::StorageFull),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        })?;
        if end > there && faults.file_bytes_max.is_some_and(|max| end > max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let file = self.file.lock().unwrap();
        let at = offset as usize;
        let there = file.current.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(there);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.len()?;
        self.check_write(if grows { len } else { 0 })?;
        let mut file = self.file.lock().unwrap();
        file.current.resize(len as usize, 0);
        file.pending.push(Op::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.place.call()?;
        let faults = self.place.faults(|faults| faults.clone());
        if faults.sync_ms > 0 {
            // A slow disk, not a wait for a race.
            std::thread::sleep(std::time::Duration::from_millis(faults.sync_ms));
        }
        if let Some(kind) = faults.sync {
            return Err(kind.into());
        }
        if faults.sync_lies {
            return Ok(());
        }
        let mut file = self.file.lock().unwrap();
        let ops = std::mem::take(&mut file.pending);
        for op in ops {
            tear(&mut file.durable, &op, 100, &mut Seed(0));
        }
        debug_assert!(file.durable == file.current);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        self.check_write(if end > self.len()? { end } else { 0 })?;
        let mut file = self.file.lock().unwrap();
        if file.current.len() < end as usize {
            file.current.resize(end as usize, 0);
        }
        file.current[offset as usize..end as usize].copy_from_slice(data);
        file.pending.push(Op::Write(offset as usize, data.to_vec()));
        Ok(())
    }
}
