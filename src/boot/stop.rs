//! The order to stop, seen by every core, and the news that a core has ended, seen by the main thread.
//!
//! One of the few things cores share: a flag that is written twice in the life of a process.

use crate::boot::signals::{Heard, Signals};
use glommio::io::PollableFd;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Nobody asked.
    Running = 0,
    /// Stop accepting, tell clients, wait for them a bounded time.
    Drain = 1,
    /// End at once.
    Now = 2,
}

/// Cheap to clone; every core and the main thread hold one.
#[derive(Debug, Clone)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    phase: AtomicU8,
    /// Cores that have not ended.
    running: AtomicUsize,
    /// One per core, readable for ever once the stop was asked for: nobody reads it empty.
    asked: Box<[OwnedFd]>,
    /// Readable whenever a core has ended since it was last read.
    ended: OwnedFd,
}

impl Stop {
    /// For a node of this many cores.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new(cores: usize) -> io::Result<Stop> {
        let asked = (0..cores).map(|_| event_fd()).collect::<io::Result<_>>()?;
        let shared = Shared {
            phase: AtomicU8::new(Phase::Running as u8),
            running: AtomicUsize::new(cores),
            asked,
            ended: event_fd()?,
        };
        Ok(Stop { shared: Arc::new(shared) })
    }

    /// Cheap enough to be looked at once a turn: one load of a line that hardly ever changes.
    pub fn phase(&self) -> Phase {
        match self.shared.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Drain,
            _ => Phase::Now,
        }
    }

    /// Asks all cores to come to `phase`; never back.
    pub fn ask(&self, phase: Phase) {
        self.shared.phase.fetch_max(phase as u8, Ordering::AcqRel);
        for fd in &self.shared.asked {
            signal(fd);
        }
    }

    /// Resolves on this core once a stop was asked for. Any number of tasks may wait.
    ///
    /// # Errors
    /// The executor is ending.
    pub async fn asked(&self, core: usize) -> io::Result<()> {
        let fd = self.shared.asked[core].try_clone()?;
        let pollable = PollableFd::new(fd).map_err(io::Error::other)?;
        while self.phase() == Phase::Running {
            pollable.readable().await.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Held by a core while it runs; dropping it tells the main thread.
    pub fn running(&self) -> RunningCore {
        RunningCore { stop: self.clone() }
    }

    /// Readable when a core has ended.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.shared.ended.as_fd()
    }

    /// The main thread's whole life: waits for signals and for cores, until no core runs. The first
    /// signal asks for an orderly stop, the second for an end at once; so does a core that ended
    /// unasked, since a node with a core missing would answer for only some services.
    ///
    /// # Errors
    /// Signals cannot be waited for.
    pub fn watch(&self, signals: &Signals) -> io::Result<Ending> {
        let mut ending = Ending::Asked;
        if self.shared.running.load(Ordering::Acquire) == 0 && self.phase() == Phase::Running {
            ending = Ending::CoreLost;
        }
        while self.shared.running.load(Ordering::Acquire) > 0 {
            match signals.wait(self.ended())? {
                Heard::Signal(_) if self.phase() == Phase::Running => self.ask(Phase::Drain),
                Heard::Signal(_) => self.ask(Phase::Now),
                Heard::Other => {
                    clear(&self.shared.ended);
                    if self.phase() == Phase::Running {
                        ending = Ending::CoreLost;
                        self.ask(Phase::Drain);
                    }
                }
            }
        }
        Ok(ending)
    }
}

/// Why all cores have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked.
    Asked,
    /// A core ended by itself; its own error says why.
    CoreLost,
}

/// See [`Stop::running`].
#[derive(Debug)]
pub struct RunningCore {
    stop: Stop,
}

impl Drop for RunningCore {
    fn drop(&mut self) {
        self.stop.shared.running.fetch_sub(1, Ordering::AcqRel);
        signal(&self.stop.shared.ended);
    }
}

fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed; the result is checked before it is used.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: eventfd returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn signal(fd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight bytes of `one` are read. It fails only when the counter is full, and a full counter
    // is readable, which is all that is wanted.
    unsafe { libc::write(fd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

fn clear(fd: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: eight bytes are written to `count`. An empty counter fails and changes nothing.
    unsafe { libc::read(fd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};

    #[test]
    fn phases_go_forward_only() {
        let stop = Stop::new(2).unwrap();
        assert_eq!(stop.phase(), Phase::Running);
        stop.ask(Phase::Now);
        stop.ask(Phase::Drain);
        assert_eq!(stop.phase(), Phase::Now);
    }

    #[test]
    fn every_core_hears_it_and_the_main_thread_hears_the_cores() {
        let signals = Signals::take().unwrap();
        let stop = Stop::new(2).unwrap();
        let cores: Vec<_> = (0..2)
            .map(|core| {
                let stop = stop.clone();
                LocalExecutorBuilder::new(Placement::Unbound)
                    .spawn(move || async move {
                        let _running = stop.running();
                        stop.asked(core).await.unwrap();
                        // A second wait on the same core resolves as well.
                        stop.asked(core).await.unwrap();
                    })
                    .unwrap()
            })
            .collect();
        // SAFETY: the signal is blocked in this thread and waits for `watch` to read it.
        assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
        assert_eq!(stop.watch(&signals).unwrap(), Ending::Asked);
        assert_eq!(stop.phase(), Phase::Drain);
        for core in cores {
            core.join().unwrap();
        }
    }

    #[test]
    fn a_lost_core_stops_the_others() {
        let signals = Signals::take().unwrap();
        let stop = Stop::new(1).unwrap();
        drop(stop.running());
        // Gone before the watch began: nothing is left to wait for.
        assert_eq!(stop.watch(&signals).unwrap(), Ending::CoreLost);
        let stop = Stop::new(2).unwrap();
        let second = stop.clone();
        drop(stop.running());
        let other = LocalExecutorBuilder::new(Placement::Unbound)
            .spawn(move || async move {
                let _running = second.running();
                second.asked(1).await.unwrap();
            })
            .unwrap();
        assert_eq!(stop.watch(&signals).unwrap(), Ending::CoreLost);
        other.join().unwrap();
    }
}
