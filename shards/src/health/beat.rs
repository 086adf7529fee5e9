//! Instances whose clients show by beats that they live (`naming.md` 9): one record per (service,
//! ip, port), on the core that owns the service.
//!
//! A beat stores a time and nothing else. The wheel comes round once per timeout and looks; so a
//! million beating instances are one table and one wheel. Time here is time the process lived
//! through.

use crate::health::wheel::{NO_TICK, Tick, Timer, Wheel};
use crate::index::Index;
use crate::key::ConnKey;
use crate::limits::BEATING_PER_CORE_MAX;
use crate::naming::host::Beats;
use crate::naming::services::ServiceId;
use crate::slab::Slab;
use ahash::RandomState;

/// Deadlines are rounded up to this, so that a core with beating instances wakes four times a
/// second for them. The reference looks every 5 s.
const ROUND_MS: u64 = 256;

/// How soon a silent instance is looked at again while health checks are switched off: the
/// reference's period.
const LATER_MS: u64 = 5_000;

/// The times of one instance, milliseconds, as records keep them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// What the client is told to wait between beats.
    pub interval: u32,
    /// Silence after which it is unhealthy.
    pub timeout: u32,
    /// Silence after which it is removed.
    pub delete: u32,
}

impl Times {
    /// From metadata; longer than 49 days is 49 days. Whatever metadata says, a client silent for
    /// `client_expired_ms` is gone (`naming.md` 12).
    pub fn of(beats: Beats, client_expired_ms: u32) -> Self {
        let ms = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
        Self {
            interval: ms(beats.interval_ms),
            timeout: ms(beats.timeout_ms),
            delete: ms(beats.delete_ms).min(client_expired_ms),
        }
    }

    /// For a node that never removes instances for want of beats alone.
    pub fn kept(self, client_expired_ms: u32) -> Self {
        Self { delete: client_expired_ms, ..self }
    }
}

/// What silence led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Unhealthy,
    /// Its record is gone already.
    Gone,
}

/// One instance that fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    pub service: ServiceId,
    /// Its key among the service's publishers.
    pub publisher: ConnKey,
    pub verdict: Verdict,
}

/// One instance.
#[derive(Debug)]
struct Record {
    service: ServiceId,
    ip: Box<str>,
    port: i32,
    /// Lived milliseconds of the last beat.
    last_ms: u64,
    times: Times,
    generation: u32,
    tick: Tick,
    healthy: bool,
}

// A million of them are the point; the address is 16 bytes more.
const _: () = assert!(size_of::<Record>() <= 72);

impl Record {
    fn key(&self) -> (ServiceId, &str, i32) {
        (self.service, &self.ip, self.port)
    }
}

/// What there is to see of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lodger<'a> {
    pub service: ServiceId,
    pub ip: &'a str,
    pub port: i32,
    /// Lived milliseconds of the last beat.
    pub last_ms: u64,
}

/// All beating instances of one owner core.
#[derive(Debug)]
pub struct Beating {
    records: Slab<Record>,
    /// By (service, ip, port).
    index: Index,
    generation: u32,
}

impl Beating {
    pub fn new(hasher: RandomState) -> Self {
        Self { records: Slab::default(), index: Index::new(hasher), generation: 0 }
    }

    /// Instances that beat.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The instance of this address, if it is known.
    pub fn find(&self, service: ServiceId, ip: &str, port: i32) -> Option<u32> {
        let key = (service, ip, port);
        self.index.find(&key, |at| self.records[at].key() == key)
    }

    /// Takes in an instance that [`Beating::find`] did not find; it has just shown life. `None`:
    /// there are [`BEATING_PER_CORE_MAX`] already.
    pub fn insert(
        &mut self,
        (service, ip, port): (ServiceId, &str, i32),
        healthy: bool,
        times: Times,
        now_ms: u64,
        wheel: &mut Wheel,
    ) -> Option<u32> {
        if self.records.len() >= BEATING_PER_CORE_MAX {
            return None;
        }
        self.generation = self.generation.wrapping_add(1);
        let at = self.records.insert(Record {
            service,
            ip: ip.into(),
            port,
            last_ms: now_ms,
            times,
            generation: self.generation,
            tick: NO_TICK,
            healthy,
        });
        self.index.insert(&(service, ip, port), at);
        self.arm(at, wheel);
        Some(at)
    }

    /// One beyond the highest record.
    pub fn end(&self) -> u32 {
        self.records.end()
    }

    /// A record, to look at.
    pub fn at(&self, at: u32) -> Option<Lodger<'_>> {
        let record = self.records.get(at)?;
        let Record { service, ref ip, port, last_ms, .. } = *record;
        Some(Lodger { service, ip, port, last_ms })
    }

    /// The key of a record among its service's publishers.
    pub fn publisher(&self, at: u32) -> ConnKey {
        ConnKey::of_beats(at, self.records[at].generation)
    }

    /// What its client is told to wait between beats, ms.
    pub fn interval_ms(&self, at: u32) -> u32 {
        self.records[at].times.interval
    }

    /// It was registered again: times and health as now given.
    pub fn renew(&mut self, at: u32, healthy: bool, times: Times, now_ms: u64, wheel: &mut Wheel) {
        let record = &mut self.records[at];
        record.last_ms = now_ms;
        record.times = times;
        record.healthy = healthy;
        self.arm(at, wheel);
    }

    /// Its metadata, and so its times, changed without it showing life.
    pub fn retime(&mut self, at: u32, times: Times, wheel: &mut Wheel) {
        self.records[at].times = times;
        self.arm(at, wheel);
    }

    /// A beat. True if it was unhealthy until now.
    pub fn beat(&mut self, at: u32, now_ms: u64, wheel: &mut Wheel) -> bool {
        let record = &mut self.records[at];
        record.last_ms = now_ms;
        if std::mem::replace(&mut record.healthy, true) {
            return false;
        }
        self.arm(at, wheel);
        true
    }

    /// Forgets it.
    pub fn remove(&mut self, at: u32) {
        let Some(record) = self.records.remove(at) else { return };
        self.index.remove(&record.key(), at);
    }

    /// When silence leads to something, lived ms: later than the time allows, as in the reference.
    fn deadline(record: &Record) -> u64 {
        let times = record.times;
        let allowed = if record.healthy { times.timeout.min(times.delete) } else { times.delete };
        (record.last_ms + u64::from(allowed) + 1).next_multiple_of(ROUND_MS)
    }

    fn arm(&mut self, at: u32, wheel: &mut Wheel) {
        let deadline = Self::deadline(&self.records[at]);
        let record = &mut self.records[at];
        if !wheel.covers(record.tick, deadline) {
            record.tick = wheel.insert(deadline, Timer::Beating(at));
        }
    }

    /// The wheel came round while nobody is to be judged.
    pub fn look_later(&mut self, at: u32, tick: Tick, now_ms: u64, wheel: &mut Wheel) {
        if let Some(record) = self.records.get_mut(at).filter(|record| record.tick == tick) {
            record.tick = wheel.insert(now_ms + LATER_MS, Timer::Beating(at));
        }
    }

    /// The wheel came round. `None`: nothing has to be done (any more, or yet).
    pub fn due(&mut self, at: u32, tick: Tick, now_ms: u64, wheel: &mut Wheel) -> Option<Silent> {
        let record = self.records.get_mut(at).filter(|record| record.tick == tick)?;
        record.tick = NO_TICK;
        if Self::deadline(record) > now_ms {
            self.arm(at, wheel);
            return None;
        }
        let (service, publisher) = (record.service, ConnKey::of_beats(at, record.generation));
        if now_ms.saturating_sub(record.last_ms) > u64::from(record.times.delete) {
            self.remove(at);
            return Some(Silent { service, publisher, verdict: Verdict::Gone });
        }
        record.healthy = false;
        self.arm(at, wheel);
        Some(Silent { service, publisher, verdict: Verdict::Unhealthy })
    }
}

#[cfg(test)]
mod tests;
