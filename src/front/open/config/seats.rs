//! How many do long work on one core at a time; whoever finds no seat is told so at once, counted.

use crate::admin::counter::Counter;
use crate::admin::metrics;
use nacre_shards::naming::open::Refused;
use std::cell::Cell;
use std::rc::Rc;

/// Searches of one core at a time, and unpacking: beyond, work beside the core would only queue.
const SEARCHES_MAX: usize = 4;

/// Exports of one core at a time. Each lasts as long as its reader takes, a minute without a piece
/// at most, and keeps the configs it found and some 280 bytes for each: four of 100,000 configs are
/// 110 MiB.
const EXPORTS_MAX: usize = 4;

/// What the one too many is told, with 503.
const SEARCHES_FULL: &str = "Too many searches at once, please try again later.";
const EXPORTS_FULL: &str = "Too many exports at once, please try again later.";

/// The seats of one kind of work on one core; cheap to clone.
#[derive(Debug, Clone)]
pub struct Seats {
    taken: Rc<Cell<usize>>,
    max: usize,
    full: (&'static str, Counter),
    counted: metrics::Core,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Seat(Rc<Cell<usize>>);

impl Seats {
    /// For looking at many configs.
    pub fn of_searches(counted: metrics::Core) -> Self {
        Self::new(SEARCHES_MAX, (SEARCHES_FULL, Counter::LimitSearches), counted)
    }

    /// For files that are made while they are read.
    pub fn of_exports(counted: metrics::Core) -> Self {
        Self::new(EXPORTS_MAX, (EXPORTS_FULL, Counter::LimitExports), counted)
    }

    fn new(max: usize, full: (&'static str, Counter), counted: metrics::Core) -> Self {
        Self { taken: Rc::default(), max, full, counted }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    /// Takes one more.
    ///
    /// # Errors
    /// 503: there is none.
    pub fn enter(&self) -> Result<Seat, Refused> {
        let taken = self.taken.get();
        if taken >= self.max {
            let (sentence, counter) = self.full;
            self.counted.inc(counter);
            return Err(Refused::busy(sentence));
        }
        self.taken.set(taken + 1);
        Ok(Seat(self.taken.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::metrics::Metrics;

    #[test]
    fn exports_and_searches_do_not_wait_for_each_other() {
        let metrics = Metrics::new(1, &[]);
        let (searches, exports) =
            (Seats::of_searches(metrics.core(0)), Seats::of_exports(metrics.core(0)));
        let mut held: Vec<Seat> = (0..EXPORTS_MAX).map(|_| exports.enter().unwrap()).collect();
        let refused = exports.clone().enter().unwrap_err();
        assert_eq!((refused.status, &*refused.text), (503, EXPORTS_FULL));
        let counted = |counter| metrics.counter(counter);
        assert_eq!((counted(Counter::LimitExports), counted(Counter::LimitSearches)), (1, 0));
        held.extend((0..SEARCHES_MAX).map(|_| searches.enter().unwrap()));
        assert_eq!(searches.enter().unwrap_err().text, SEARCHES_FULL);
        assert_eq!((counted(Counter::LimitExports), counted(Counter::LimitSearches)), (1, 1));
        held.clear();
        assert_eq!((exports.taken(), searches.taken()), (0, 0));
        assert!(exports.enter().is_ok() && searches.enter().is_ok());
    }
}
