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
//!
//! A sleep through the executor costs ten system calls and a barrier across all cores, 40 µs where
//! the request itself takes 50, most of it to wake its client's core. So where one rest after the
//! other is short and nobody waits for the executor, the pump naps: it waits for its descriptor and
//! for those that were named to it alone (HTTP/1), and the executor's other events wait, as they do
//! while it is busy.

use super::clock::Epoch;
use crate::engine::{Engine, event_fd, wait_readable};
use crate::mesh::Bell;
use futures_lite::future;
use glommio::io::PollableFd;
use rustix::event::epoll;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Rounds without an event before the pump lies down. One more look is cheaper than a sleep and a
/// wake-up (40 µs), and answers often come within it.
pub const EMPTY_ROUNDS_MAX: u32 = 2;

/// While busy or between naps, the executor's own events wait this long at most, in microseconds:
/// its timers, files and cluster links, HTTP/1 while busy. A nap begun just before adds [`NAP_MS`].
pub const BREATH_EVERY_US: u64 = 1_000;

/// A nap is over after so many milliseconds at most.
pub const NAP_MS: u64 = 1;

/// A rest shorter than this, in microseconds, and the next one is a nap: each millisecond of naps
/// costs a timer and a look of the executor, so there should be more than one in it.
pub const SHORT_REST_US: u64 = 500;

/// Tasks that wake each other one after the other before a nap: HTTP/1's ears a connection, that
/// one perhaps another.
const TASKS_IN_A_ROW: usize = 3;

/// What a rest was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There is something to do, or may be.
    Not,
    /// The executor was left aside.
    Nap,
    /// The executor slept as well.
    Sleep,
}

/// One core's way to sleep. Belongs to the executor it was made on.
pub struct Bed {
    bell: Arc<Bell>,
    ear: PollableFd<OwnedFd>,
    /// Of the bell, and of what else ends a nap.
    stir: OwnedFd,
    /// Always readable.
    open_door: PollableFd<OwnedFd>,
    epoch: Epoch,
    /// When the executor last had its look; `None` after a sleep, which was one.
    breathed_us: Option<u64>,
    /// The last rest was a short one, so the next one is a nap.
    naps: bool,
    empty_rounds: u32,
}

impl Bed {
    /// Must be called on the core's executor.
    ///
    /// Errors: the file limit, or an executor that is shutting down.
    pub fn new(bell: Arc<Bell>, epoch: Epoch) -> io::Result<Self> {
        let ear = PollableFd::new(bell.descriptor()?).map_err(io::Error::from)?;
        let stir = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        add(&stir, &*bell)?;
        let door = File::from(event_fd()?);
        (&door).write_all(&1_u64.to_ne_bytes())?;
        let open_door = PollableFd::new(OwnedFd::from(door)).map_err(io::Error::from)?;
        let (breathed_us, naps, empty_rounds) = (None, false, 0);
        Ok(Self { bell, ear, stir, open_door, epoch, breathed_us, naps, empty_rounds })
    }

    /// From now on this descriptor ends naps, too, so that the executor hears of it at once. Who
    /// reads it must do so until it is silent: otherwise no nap lasts.
    ///
    /// Errors: the file limit.
    pub fn hears(&self, descriptor: impl AsFd) -> io::Result<()> {
        add(&self.stir, descriptor)
    }

    /// Ends a turn that handled so many events. Busy: lets the executor's other tasks run once
    /// every [`BREATH_EVERY_US`], returns at once otherwise. Idle for [`EMPTY_ROUNDS_MAX`] turns:
    /// sleeps until something happens, at the latest until `wake_at_ms`.
    ///
    /// `is_awaited` says that somebody waits for what another task of this core has to do first.
    /// `is_quiet` looks at the lanes from other cores, after the flag says that this core sleeps.
    /// Whatever was sent to other cores must have been announced before
    /// ([`Port::wake_written`](crate::mesh::Port::wake_written)).
    pub async fn rest(
        &mut self,
        engine: &mut Engine,
        events: usize,
        now_ms: u64,
        wake_at_ms: Option<u64>,
        is_awaited: bool,
        is_quiet: impl FnOnce() -> bool,
    ) -> Rest {
        let now_us = self.epoch.elapsed_us();
        let breathed_us = *self.breathed_us.get_or_insert(now_us);
        let naps = self.naps && !is_awaited;
        self.empty_rounds = if events > 0 { 0 } else { self.empty_rounds + 1 };
        let is_busy = self.empty_rounds < EMPTY_ROUNDS_MAX;
        if (is_busy || naps) && now_us >= breathed_us + BREATH_EVERY_US {
            self.breathe().await;
            return Rest::Not;
        }
        if is_busy {
            return Rest::Not;
        }
        self.empty_rounds = 0;
        if naps {
            // In a sleep they would run; and they may have something for us.
            for _ in 0..TASKS_IN_A_ROW {
                future::yield_now().await;
            }
        }
        self.bell.lie_down();
        let may_rest = is_quiet()
            && match naps {
                true => engine.prepare_nap(now_ms, wake_at_ms, now_ms + NAP_MS),
                false => engine.prepare_sleep(now_ms, wake_at_ms),
            };
        let rest = match (may_rest, naps) {
            (false, _) => Rest::Not,
            (true, true) => {
                wait_readable(&self.stir, None);
                Rest::Nap
            }
            (true, false) => {
                Self::until_readable(&self.ear).await;
                self.breathed_us = None;
                Rest::Sleep
            }
        };
        let rang = self.bell.get_up();
        if may_rest {
            self.naps = self.epoch.elapsed_us() - now_us < SHORT_REST_US;
        }
        if rest == Rest::Nap && !rang {
            self.breathe().await;
        }
        rest
    }

    /// Lets the executor look once at its own events and run its other tasks.
    async fn breathe(&mut self) {
        self.breathed_us = Some(self.epoch.elapsed_us());
        Self::until_readable(&self.open_door).await;
    }

    async fn until_readable(fd: &PollableFd<OwnedFd>) {
        if fd.readable().await.is_err() {
            // The executor is going down: its other tasks get their turn, ours ends with it.
            glommio::executor().yield_task_queue_now().await;
        }
    }
}

fn add(epoll: &OwnedFd, descriptor: impl AsFd) -> io::Result<()> {
    Ok(epoll::add(epoll, descriptor, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?)
}

#[cfg(test)]
mod tests;
