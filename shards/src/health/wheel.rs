//! A hashed timer wheel: one per core, for everything that waits (`architecture.md`, "Time in
//! wheels").
//!
//! A record keeps its deadline; the wheel only keeps which record to look at when. Activity moves
//! the deadline in the record and costs the wheel nothing: when the old entry comes round, the
//! record is looked at, found not due, and put back. An entry is live if its tick equals the one
//! its record remembers; others are leftovers of deadlines that were moved forward, and are
//! dropped. So a leftover of a record whose number was used again does no harm either.

use std::mem;
use std::vec;

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// The connection in this slot: setup, silence, detection, congestion, stop.
    Connection(u32),
    /// The subscription of this number: ack, coalescing, retry.
    Subscription(u32),
    /// The service of this number: its fan-out waited for the push delay.
    Service(u32),
    /// Fuzzy watch deliveries of the connection in this slot.
    Fuzzy(u32),
    /// The beating instance of this number, on its owner core.
    Beating(u32),
    /// The checked instance of this number, on its owner core.
    Check(u32),
    /// The poller of this number, on the owner core of its service.
    Poller(u32),
    /// The listener of this number: ack, coalescing, retry.
    Listener(u32),
    /// The held long poll of this number.
    Poll(u32),
    /// Deliveries of config fuzzy watches of the connection in this slot.
    ConfigFuzzy(u32),
    /// Inquiries of operators: those whose time is over.
    Inquiries,
}

/// A tick of the wheel, the low bits; compared for equality only.
pub type Tick = u32;

/// No live entry. (The real tick of this value, 2 years of ticks in, is moved by one.)
pub const NO_TICK: Tick = u32::MAX;

/// Milliseconds a bucket spans: how late a deadline may be noticed. Coalescing (500 ms) is the
/// finest use.
pub const BUCKET_MS: u64 = 16;

/// Buckets of the wheel: 32.8 s, beyond the usual 20 s of silence. Later deadlines are looked at on
/// the way.
const BUCKETS: usize = 2_048;

const _: () = assert!(BUCKETS.is_multiple_of(64), "the bitmap has whole words");
const _: () = assert!(size_of::<Timer>() == 8, "a million connections keep a million of these");

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    buckets: Box<[Vec<Timer>]>,
    /// One bit per bucket that holds something.
    occupied: [u64; BUCKETS / 64],
    /// The first tick that is still in the buckets.
    position: u64,
    /// What is left of the tick that is being handed out, and that tick.
    open: vec::IntoIter<Timer>,
    open_tick: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            occupied: [0; BUCKETS / 64],
            position: 0,
            open: Vec::new().into_iter(),
            open_tick: 0,
        }
    }
}

impl Wheel {
    /// Remembers to look at `timer` once `deadline_ms` has come, or earlier if that is far away.
    /// Returns the tick its record has to keep.
    pub fn insert(&mut self, deadline_ms: u64, timer: Timer) -> Tick {
        let wanted = deadline_ms.div_ceil(BUCKET_MS);
        let mut tick = wanted.clamp(self.position, self.position + BUCKETS as u64 - 2);
        if tick as Tick == NO_TICK {
            tick += 1;
        }
        let bucket = tick as usize % BUCKETS;
        self.buckets[bucket].push(timer);
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        tick as Tick
    }

    /// Whether an entry at `tick` would come to be looked at in time for `deadline_ms`.
    pub fn covers(&self, tick: Tick, deadline_ms: u64) -> bool {
        let ahead = tick.wrapping_sub(self.position as Tick);
        tick != NO_TICK
            && (ahead as usize) < BUCKETS
            && self.position + u64::from(ahead) <= deadline_ms.div_ceil(BUCKET_MS)
    }

    /// The next timer that has come due, oldest tick first, with its tick. What is inserted
    /// meanwhile comes after all others of that tick, however late it is.
    pub fn next_due(&mut self, now_ms: u64) -> Option<(Timer, Tick)> {
        loop {
            if let Some(timer) = self.open.next() {
                return Some((timer, self.open_tick as Tick));
            }
            // Its room is given back: kept, the buckets would fill up with it over hours.
            self.open = Vec::new().into_iter();
            let last = now_ms / BUCKET_MS;
            let Some(tick) = self.next_occupied().filter(|tick| *tick <= last) else {
                self.position = self.position.max(last + 1);
                return None;
            };
            let bucket = tick as usize % BUCKETS;
            self.open = mem::take(&mut self.buckets[bucket]).into_iter();
            self.open_tick = tick;
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            self.position = tick + 1;
        }
    }

    /// When [`Wheel::next_due`] has something to hand out.
    pub fn next_ms(&self) -> Option<u64> {
        let open = (!self.open.as_slice().is_empty()).then_some(self.open_tick);
        open.or_else(|| self.next_occupied()).map(|tick| tick * BUCKET_MS)
    }

    /// Whether [`Wheel::next_due`] would hand out something now.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.next_ms().is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// The first occupied tick at or after the position.
    fn next_occupied(&self) -> Option<u64> {
        let start = self.position as usize % BUCKETS;
        let words = self.occupied.len();
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= !0 << (start % 64);
            } else if step == words {
                bits &= !(!0 << (start % 64));
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - start) % BUCKETS;
                return Some(self.position + ahead as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, now_ms: u64) -> Vec<Timer> {
        let due = std::iter::from_fn(|| wheel.next_due(now_ms));
        due.map(|(timer, _)| timer).collect()
    }

    #[test]
    fn nothing_comes_early_and_at_most_a_bucket_late() {
        let mut wheel = Wheel::default();
        wheel.insert(500, Timer::Subscription(1));
        assert_eq!(wheel.next_ms(), Some(512));
        assert_eq!(due(&mut wheel, 511), []);
        assert_eq!(due(&mut wheel, 512), [Timer::Subscription(1)]);
        assert_eq!(wheel.next_ms(), None);
    }

    #[test]
    fn far_deadlines_are_looked_at_on_the_way() {
        let mut wheel = Wheel::default();
        wheel.insert(3_600_000, Timer::Connection(9));
        let first = wheel.next_ms().unwrap();
        assert!(first < BUCKETS as u64 * BUCKET_MS);
        assert_eq!(due(&mut wheel, first), [Timer::Connection(9)]);
    }

    #[test]
    fn a_past_deadline_is_due_at_the_next_tick_and_a_long_gap_loses_nothing() {
        let mut wheel = Wheel::default();
        assert_eq!(due(&mut wheel, 1_000_000), []);
        wheel.insert(5, Timer::Fuzzy(1));
        wheel.insert(1_010_000, Timer::Fuzzy(2));
        wheel.insert(1_000_100, Timer::Fuzzy(3));
        let all = due(&mut wheel, 9_000_000);
        assert_eq!(all, [Timer::Fuzzy(1), Timer::Fuzzy(3), Timer::Fuzzy(2)]);
    }

    #[test]
    fn covers_knows_whether_an_entry_comes_in_time() {
        let mut wheel = Wheel::default();
        let tick = wheel.insert(5_000, Timer::Subscription(0));
        assert!(wheel.covers(tick, 5_000));
        assert!(wheel.covers(tick, 9_000));
        assert!(!wheel.covers(tick, 500));
        assert!(!wheel.covers(NO_TICK, 500));
        due(&mut wheel, 6_000);
        assert!(!wheel.covers(tick, 9_000), "handed out already");
    }

    #[test]
    fn every_deadline_comes_once_in_order() {
        let mut wheel = Wheel::default();
        let mut expected = Vec::new();
        for number in 0..500u32 {
            let deadline = u64::from(number * 7_919 % 30_000);
            wheel.insert(deadline, Timer::Connection(number));
            expected.push(deadline.div_ceil(BUCKET_MS));
        }
        expected.sort_unstable();
        let mut seen = Vec::new();
        let mut now = 0;
        while let Some(next) = wheel.next_ms() {
            assert!(next >= now);
            now = next;
            let due = std::iter::from_fn(|| wheel.next_due(now));
            let before = seen.len();
            seen.extend(due.map(|(_, tick)| u64::from(tick)));
            assert!(seen.len() > before);
        }
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_comes_in_late_waits_for_the_others_of_the_tick() {
        let mut wheel = Wheel::default();
        for number in 0..100 {
            wheel.insert(if number < 70 { 1_000 } else { 1_010 }, Timer::Connection(number));
        }
        let (first, _) = wheel.next_due(1_024).unwrap();
        assert_eq!((first, wheel.next_ms()), (Timer::Connection(0), Some(1_008)));
        for round in 1..5 {
            // Armed anew in the past by each that is handed out: those of the next tick have their
            // turn all the same.
            wheel.insert(500, Timer::Connection(100));
            let (timer, tick) = wheel.next_due(1_024).unwrap();
            assert_eq!((timer, tick), (Timer::Connection(round), 63));
            assert!(!wheel.covers(tick, 9_000), "its entry is out of the wheel");
        }
        let rest = due(&mut wheel, 1_024);
        assert!(!wheel.is_due(1_024));
        let late = [Timer::Connection(100); 4];
        assert!(rest.into_iter().eq((5..100).map(Timer::Connection).chain(late)));
        assert!(wheel.buckets.iter().all(|bucket| bucket.capacity() == 0));
        assert_eq!((wheel.next_ms(), wheel.open.as_slice().len()), (None, 0));
    }

    #[test]
    fn what_came_due_leaves_no_room_behind() {
        let mut wheel = Wheel::default();
        for number in 0..10 * BUCKETS as u32 {
            wheel.insert(u64::from(number) * BUCKET_MS / 10, Timer::Connection(number));
        }
        assert_eq!(due(&mut wheel, BUCKETS as u64 * BUCKET_MS).len(), 10 * BUCKETS);
        assert!(wheel.buckets.iter().all(|bucket| bucket.capacity() == 0));
    }
}
