//! Sleep and wake without a lost message: the sleeper raises a flag, looks at its lanes again, and
//! only then sleeps; a sender enqueues first and then looks at the flag. The fences make sure that at
//! least one of them sees the other.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// How other cores wake one core. The descriptor is an eventfd; its core's rings write it, too.
#[derive(Debug)]
pub struct Wake {
    sleeping: AtomicBool,
    descriptor: OwnedFd,
}

impl Wake {
    /// Wakes whoever waits on this eventfd.
    pub fn new(descriptor: OwnedFd) -> Self {
        Self { sleeping: AtomicBool::new(false), descriptor }
    }

    /// The eventfd.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Says that this core is about to sleep. It must look at its lanes after this and before it
    /// sleeps.
    pub fn fall_asleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that this core is awake: nobody needs to write the descriptor.
    pub fn rise(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Wakes the core if it sleeps; call it after enqueuing. True if it had to be woken.
    pub fn after_send(&self) -> bool {
        fence(Ordering::SeqCst);
        if !self.sleeping.load(Ordering::Relaxed) {
            return false;
        }
        self.ring();
        true
    }

    /// Makes the descriptor readable whatever the flag says.
    pub fn ring(&self) {
        // Fails only when the counter is full, and then it is readable already.
        let _ = write(&self.descriptor);
    }
}

fn write(descriptor: &OwnedFd) -> io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::from(descriptor.try_clone()?);
    debug_assert!(file.as_raw_fd() >= 0);
    file.write_all(&1u64.to_ne_bytes())
}
