//! Lanes between each ordered pair of cores, and one core's end of all of them.

use super::wake::Wake;
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Entries of each lane of an ordered pair.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub asks: usize,
    pub tells: usize,
}

/// What flows from one core to another.
#[derive(Debug)]
struct Pair<A, T> {
    asks: ArrayQueue<A>,
    tells: ArrayQueue<T>,
}

#[derive(Debug)]
struct Lanes<A, T> {
    cores: usize,
    /// By from × cores + to; `None` from a core to itself.
    pairs: Box<[Option<Pair<A, T>>]>,
    wakes: Box<[Arc<Wake>]>,
}

/// One core's end of the lanes. Used by that core only.
#[derive(Debug)]
pub struct Port<A, T> {
    core: usize,
    lanes: Arc<Lanes<A, T>>,
    /// Cores that were sent something since the last [`Port::wake_receivers`].
    sent: Box<[bool]>,
    /// Which core's lanes are looked at first.
    first: usize,
}

/// The ports of a node, one per waker.
pub fn ports<A, T>(sizes: Sizes, wakes: &[Arc<Wake>]) -> Vec<Port<A, T>> {
    let cores = wakes.len();
    let pair = |at: usize| {
        (at / cores != at % cores).then(|| Pair {
            asks: ArrayQueue::new(sizes.asks),
            tells: ArrayQueue::new(sizes.tells),
        })
    };
    let pairs = (0..cores * cores).map(pair).collect();
    let lanes = Arc::new(Lanes { cores, pairs, wakes: wakes.into() });
    let port = |core| Port {
        core,
        lanes: Arc::clone(&lanes),
        sent: vec![false; cores].into(),
        first: 0,
    };
    (0..cores).map(port).collect()
}

impl<A, T> Lanes<A, T> {
    fn pair(&self, from: usize, to: usize) -> Option<&Pair<A, T>> {
        self.pairs[from * self.cores + to].as_ref()
    }
}

impl<A, T> Port<A, T> {
    /// Sends on the ask lane, or gives the entry back when it is full.
    pub fn send_ask(&mut self, to: usize, ask: A) -> Result<(), A> {
        self.sent[to] = true;
        match self.lanes.pair(self.core, to) {
            Some(pair) => pair.asks.push(ask),
            None => Err(ask),
        }
    }

    /// Sends on the tell lane, or gives the entry back when it is full.
    pub fn send_tell(&mut self, to: usize, tell: T) -> Result<(), T> {
        self.sent[to] = true;
        match self.lanes.pair(self.core, to) {
            Some(pair) => pair.tells.push(tell),
            None => Err(tell),
        }
    }

    /// Entries the tell lane to a core has room for. Only this core adds to it, so it can only grow.
    pub fn tell_room(&self, to: usize) -> usize {
        let pair = self.lanes.pair(self.core, to);
        pair.map_or(usize::MAX, |pair| pair.tells.capacity() - pair.tells.len())
    }

    /// Wakes the cores that were sent something and sleep. Returns how many.
    pub fn wake_receivers(&mut self) -> usize {
        let mut woken = 0;
        for (to, sent) in self.sent.iter_mut().enumerate() {
            if std::mem::take(sent) && self.lanes.wakes[to].after_send() {
                woken += 1;
            }
        }
        woken
    }

    /// The next core whose lanes to us hold something, in turn. `None`: all are empty.
    pub fn next_sender(&mut self) -> Option<usize> {
        for step in 0..self.lanes.cores {
            let from = (self.first + step) % self.lanes.cores;
            let waits = self
                .lanes
                .pair(from, self.core)
                .is_some_and(|pair| !pair.asks.is_empty() || !pair.tells.is_empty());
            if waits {
                self.first = from + 1;
                return Some(from);
            }
        }
        None
    }

    /// The oldest ask of a core.
    pub fn take_ask(&self, from: usize) -> Option<A> {
        self.lanes.pair(from, self.core)?.asks.pop()
    }

    /// The oldest tell of a core.
    pub fn take_tell(&self, from: usize) -> Option<T> {
        self.lanes.pair(from, self.core)?.tells.pop()
    }

    /// Whether nothing waits for this core.
    pub fn is_empty(&self) -> bool {
        (0..self.lanes.cores).all(|from| {
            self.lanes
                .pair(from, self.core)
                .is_none_or(|pair| pair.asks.is_empty() && pair.tells.is_empty())
        })
    }

    /// How this core is woken.
    pub fn wake(&self) -> &Arc<Wake> {
        &self.lanes.wakes[self.core]
    }
}
