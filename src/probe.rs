//! Asks instances whether they live: a connection, or a connection and one GET. One prober a core.
//!
//! A probe is a task that ends by itself, within [`limits::CONNECT_MS`] and, for a GET, as much
//! again; it holds one socket and a small buffer. How many are under way at once is bounded by
//! who asks for them (`shards::health::checks`). Whom it may ask was decided there, too: addresses
//! come as numbers, names are never looked up, and no answer leads it anywhere else.

use crate::mesh::Bell;
use nacre_shards::health::checks::{Check, Outcome, Ticket};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

mod get;
pub mod limits;
mod peer;

#[cfg(test)]
mod tests;

/// One core's prober; cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    bell: Arc<Bell>,
    /// What came of probes, for the pump: at most one for each that was started.
    ended: RefCell<VecDeque<(Ticket, Outcome)>>,
}

impl Prober {
    /// `bell` wakes the core's pump.
    pub fn new(bell: Arc<Bell>) -> Self {
        Self(Rc::new(Shared { bell, ended: RefCell::default() }))
    }

    /// Starts a probe. Its one outcome comes through [`Prober::take`]. To be called on the core's
    /// executor.
    pub fn start(&self, check: Check) {
        let shared = self.0.clone();
        glommio::spawn_local(async move {
            let outcome = peer::ask(check.to, &check.probe).await;
            shared.ended.borrow_mut().push_back((check.ticket, outcome));
            shared.bell.ring_if_asleep();
        })
        .detach();
    }

    /// The next outcome.
    pub fn take(&self) -> Option<(Ticket, Outcome)> {
        self.0.ended.borrow_mut().pop_front()
    }

    /// Whether none waits to be taken.
    pub fn is_quiet(&self) -> bool {
        self.0.ended.borrow().is_empty()
    }
}
