//! How a core's pump waits inside its executor: on the eventfd that the rings and other cores write.

use glommio::io::PollableFd;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The eventfd of one core, awaitable on its executor.
pub struct Sleeper {
    pollable: PollableFd<std::fs::File>,
}

impl Sleeper {
    /// Waits on a duplicate of the eventfd.
    ///
    /// # Errors
    /// No descriptor is left, or it cannot be polled.
    pub fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let file = std::fs::File::from(descriptor.try_clone_to_owned()?);
        Ok(Self { pollable: PollableFd::new(file).map_err(io::Error::other)? })
    }

    /// Returns once somebody wrote the eventfd, and empties it.
    ///
    /// # Errors
    /// The executor is ending.
    pub async fn sleep(&self) -> io::Result<()> {
        self.pollable.readable().await.map_err(io::Error::other)?;
        let mut count = [0; 8];
        match io::Read::read(&mut self.pollable.get_ref(), &mut count) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// The descriptor.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.pollable.get_ref().as_fd()
    }
}
