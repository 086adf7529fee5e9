//! Calls that wait until a password was compared: their bytes, kept, and what came of it.

use super::limits::{HELD_BYTES_MAX, HELD_CALLS_MAX};
use crate::auth::Door;
use crate::mesh::Bell;
use nacre_shards::auth::Denial;
use nacre_shards::key::ConnKey;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// One call.
#[derive(Debug)]
pub struct Held {
    pub conn: ConnKey,
    pub stream: u32,
    pub bytes: Vec<u8>,
    /// What the comparison came to; before it, nothing.
    pub outcome: Result<(), Denial>,
}

/// Those of one core; cheap to clone.
#[derive(Debug, Clone)]
pub struct HeldCalls(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    bell: Arc<Bell>,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<Held>,
    calls: usize,
    bytes: usize,
}

impl HeldCalls {
    /// `bell` wakes the core's pump.
    pub fn new(bell: Arc<Bell>) -> Self {
        Self(Rc::new(Shared { bell, inner: RefCell::default() }))
    }

    /// Keeps a call and has its password compared. False when it cannot be kept: too many are.
    pub fn compare(
        &self,
        door: &Door,
        (user, password): (String, String),
        from: IpAddr,
        mut held: Held,
    ) -> bool {
        let bytes = held.bytes.len();
        {
            let mut inner = self.0.inner.borrow_mut();
            if inner.calls >= HELD_CALLS_MAX || inner.bytes + bytes > HELD_BYTES_MAX {
                return false;
            }
            inner.calls += 1;
            inner.bytes += bytes;
        }
        let (door, calls) = (door.clone(), self.clone());
        glommio::spawn_local(async move {
            held.outcome = door.compare(&user, &password, from).await.map(drop);
            calls.0.inner.borrow_mut().ready.push_back(held);
            calls.0.bell.ring_if_asleep();
        })
        .detach();
        true
    }

    /// The next call whose password was compared.
    pub fn take(&self) -> Option<Held> {
        let mut inner = self.0.inner.borrow_mut();
        let held = inner.ready.pop_front()?;
        inner.calls -= 1;
        inner.bytes -= held.bytes.len();
        Some(held)
    }

    /// Calls that are kept.
    pub fn under_way(&self) -> usize {
        self.0.inner.borrow().calls
    }

    /// Whether none is ready.
    pub fn is_quiet(&self) -> bool {
        self.0.inner.borrow().ready.is_empty()
    }
}
