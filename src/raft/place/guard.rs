//! Between redb and any file: fsyncs are measured, and after a failed one nothing is written any
//! more.

use crate::raft::counters::{Count, Counters};
use redb::StorageBackend;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Whether the store may still write. Shared by all files of a node: when the disk has lost a
/// page of one, none of them is to be trusted with more.
#[derive(Debug, Default)]
pub struct Health {
    sync_failed: AtomicBool,
}

impl Health {
    /// Whether an fsync has failed since the start.
    pub fn is_latched(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    /// Latches.
    pub fn latch(&self) {
        self.sync_failed.store(true, Ordering::Release);
    }
}

/// A file as redb sees it.
#[derive(Debug)]
pub struct Guard {
    inner: Box<dyn StorageBackend>,
    health: Arc<Health>,
    counters: Arc<Counters>,
    length: fn(&Counters) -> &Count,
}

impl Guard {
    /// `length` names the gauge that is told the file's length.
    pub fn new(
        inner: Box<dyn StorageBackend>,
        health: Arc<Health>,
        counters: Arc<Counters>,
        length: fn(&Counters) -> &Count,
    ) -> Self {
        if let Ok(bytes) = inner.len() {
            length(&counters).set(bytes);
        }
        Self { inner, health, counters, length }
    }

    fn check(&self) -> io::Result<()> {
        if self.health.is_latched() {
            return Err(io::Error::other(
                "an fsync has failed before; nothing is written until a restart",
            ));
        }
        Ok(())
    }
}

impl StorageBackend for Guard {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.inner.set_len(len)?;
        (self.length)(&self.counters).set(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        let start = now();
        let done = self.inner.sync_data();
        self.counters.note_fsync(start.elapsed().as_micros() as u64);
        if done.is_err() {
            self.health.latch();
        }
        done
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.counters.written_bytes.add(data.len() as u64);
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}

/// Durations of the disk are measured where they pass, on the storage threads; nothing is decided
/// by them.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Instant::now()
}
