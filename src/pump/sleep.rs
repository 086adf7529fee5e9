//! How the pump rests inside the executor: it gives way while busy, and sleeps when nothing is left.
//!
//! One descriptor wakes it: its rings write it when a completion is due, other cores when they have
//! put a letter, the engine's timer when a deadline comes. The executor waits for it beside its own
//! timers and tasks.

use crate::engine::Engine;
use crate::mesh::Bell;
use glommio::io::PollableFd;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Rounds without an event before the pump lies down. One more look is cheaper than a sleep and a
/// wake-up (40 µs), and answers often come within it.
pub const EMPTY_ROUNDS_MAX: u32 = 2;

/// One core's way to sleep. Belongs to the executor it was made on.
pub struct Bed {
    bell: Arc<Bell>,
    ear: PollableFd<OwnedFd>,
    empty_rounds: u32,
}

impl Bed {
    /// Must be called on the core's executor.
    ///
    /// Errors: the file limit, or an executor that is shutting down.
    pub fn new(bell: Arc<Bell>) -> io::Result<Self> {
        let ear = PollableFd::new(bell.descriptor()?).map_err(io::Error::from)?;
        Ok(Self { bell, ear, empty_rounds: 0 })
    }

    /// Ends a turn that handled so many events. Busy: lets the executor's other tasks run if it is
    /// their time, at once otherwise. Idle for [`EMPTY_ROUNDS_MAX`] turns: sleeps until something
    /// happens, at the latest until `wake_at_ms`. Returns whether it slept.
    ///
    /// `is_quiet` looks at the lanes from other cores, after the flag says that this core sleeps.
    /// Whatever was sent to other cores must have been announced before
    /// ([`Port::wake_written`](crate::mesh::Port::wake_written)).
    pub async fn rest(
        &mut self,
        engine: &mut Engine,
        events: usize,
        now_ms: u64,
        wake_at_ms: Option<u64>,
        is_quiet: impl FnOnce() -> bool,
    ) -> bool {
        if events > 0 {
            self.empty_rounds = 0;
            glommio::yield_if_needed().await;
            return false;
        }
        self.empty_rounds += 1;
        if self.empty_rounds < EMPTY_ROUNDS_MAX {
            glommio::yield_if_needed().await;
            return false;
        }
        self.empty_rounds = 0;
        self.bell.lie_down();
        let sleeps = is_quiet() && engine.prepare_sleep(now_ms, wake_at_ms);
        if sleeps && self.ear.readable().await.is_err() {
            // The executor is going down; its other tasks get their turn, and ours ends with it.
            glommio::yield_if_needed().await;
        }
        self.bell.get_up();
        sleeps
    }
}

#[cfg(test)]
mod tests;
