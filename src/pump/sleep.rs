//! How the pump rests inside the executor: it gives way while busy, and sleeps when nothing is
//! left.
//!
//! One descriptor wakes it: its rings write it when a completion is due, other cores when they have
//! put a letter, the engine's timer when a deadline comes. The executor waits for it beside its own
//! timers and tasks.
//!
//! Giving way is not `yield_if_needed`: the executor looks at its own events only when no task can
//! run or when its preemption timer has fired, and glommio 0.12 has a flaw there: if that timer
//! fires between arming and the first task (this thread lost its CPU for so long), it parks
//! although tasks can run, and a core whose pump is among them never wakes. So the timer is long
//! (`boot::cores`), and once a millisecond the pump waits for a descriptor that is always readable:
//! then no task can run, and the executor takes one look at everything.

use crate::engine::{Engine, event_fd};
use crate::mesh::Bell;
use glommio::io::PollableFd;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Rounds without an event before the pump lies down. One more look is cheaper than a sleep and a
/// wake-up (40 µs), and answers often come within it.
pub const EMPTY_ROUNDS_MAX: u32 = 2;

/// While busy, the executor's own events wait this long at most, in milliseconds: its timers,
/// HTTP/1 and cluster links.
pub const BREATH_EVERY_MS: u64 = 1;

/// One core's way to sleep. Belongs to the executor it was made on.
pub struct Bed {
    bell: Arc<Bell>,
    ear: PollableFd<OwnedFd>,
    /// Always readable.
    open_door: PollableFd<OwnedFd>,
    /// When the executor last had its look; `None` after a sleep, which was one.
    breathed_ms: Option<u64>,
    empty_rounds: u32,
}

impl Bed {
    /// Must be called on the core's executor.
    ///
    /// Errors: the file limit, or an executor that is shutting down.
    pub fn new(bell: Arc<Bell>) -> io::Result<Self> {
        let ear = PollableFd::new(bell.descriptor()?).map_err(io::Error::from)?;
        let door = File::from(event_fd()?);
        (&door).write_all(&1_u64.to_ne_bytes())?;
        let open_door = PollableFd::new(OwnedFd::from(door)).map_err(io::Error::from)?;
        Ok(Self { bell, ear, open_door, breathed_ms: None, empty_rounds: 0 })
    }

    /// Ends a turn that handled so many events. Busy: lets the executor's other tasks run once
    /// every [`BREATH_EVERY_MS`], returns at once otherwise. Idle for [`EMPTY_ROUNDS_MAX`] turns:
    /// sleeps until something happens, at the latest until `wake_at_ms`. Returns whether it slept.
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
        self.empty_rounds = if events > 0 { 0 } else { self.empty_rounds + 1 };
        if self.empty_rounds < EMPTY_ROUNDS_MAX {
            let breathed_ms = *self.breathed_ms.get_or_insert(now_ms);
            if now_ms >= breathed_ms + BREATH_EVERY_MS {
                self.breathed_ms = Some(now_ms);
                self.breathe().await;
            }
            return false;
        }
        self.empty_rounds = 0;
        self.bell.lie_down();
        let sleeps = is_quiet() && engine.prepare_sleep(now_ms, wake_at_ms);
        if sleeps {
            Self::until_readable(&self.ear).await;
            self.breathed_ms = None;
        }
        self.bell.get_up();
        sleeps
    }

    /// Lets the executor look once at its own events and run its other tasks.
    async fn breathe(&self) {
        Self::until_readable(&self.open_door).await;
    }

    async fn until_readable(fd: &PollableFd<OwnedFd>) {
        if fd.readable().await.is_err() {
            // The executor is going down: its other tasks get their turn, ours ends with it.
            glommio::executor().yield_task_queue_now().await;
        }
    }
}

#[cfg(test)]
mod tests;
