//! Waking a sleeping core: a flag that says it sleeps, and the descriptor it sleeps on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// One core's bell. Shared by all cores; the core's own rings write the same descriptor.
#[derive(Debug)]
pub struct Bell {
    asleep: AtomicBool,
    fd: File,
}

impl Bell {
    /// `fd` is a non-blocking eventfd (`engine::event_fd`).
    pub fn new(fd: OwnedFd) -> Self {
        Self { asleep: AtomicBool::new(false), fd: File::from(fd) }
    }

    /// Says that this core is about to sleep. It must look at its lanes and rings after this and
    /// before it sleeps; whoever puts something there later rings.
    pub fn lie_down(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that this core is awake, and silences the bell. Whether it rang: often not, when the
    /// core did not sleep after all.
    pub fn get_up(&self) -> bool {
        self.asleep.store(false, Ordering::Relaxed);
        (&self.fd).read(&mut [0; 8]).is_ok()
    }

    /// Wakes the core if it sleeps. The caller has put a message before; the fence orders that
    /// before the look at the flag.
    pub fn ring_if_asleep(&self) {
        fence(Ordering::SeqCst);
        // Who rings first takes the flag down: one system call per sleep, not per sender.
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.ring();
        }
    }

    /// Wakes the core whatever it does. For signals and other strangers to the mesh.
    pub fn ring(&self) {
        // The counter cannot be full: it holds 2^64 - 1 rings, and one is enough to wake.
        let _ = (&self.fd).write(&1_u64.to_ne_bytes());
    }

    /// A second descriptor for the same bell, to wait on.
    ///
    /// Errors: the file limit.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.fd.as_fd().try_clone_to_owned()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
