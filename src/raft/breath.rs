//! How long work on the Raft core lets the core's other tasks run, its sockets included.

use crate::engine::event_fd;
use glommio::io::PollableFd;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// A descriptor that is always readable. Waiting for it lets the executor run everything else and
/// look at its rings once; merely giving way would not (`pump::sleep` says why).
pub struct Breath(PollableFd<OwnedFd>);

impl Breath {
    /// On the Raft core.
    ///
    /// # Errors
    /// The file limit.
    pub fn new() -> io::Result<Self> {
        let door = File::from(event_fd()?);
        (&door).write_all(&1_u64.to_ne_bytes())?;
        Ok(Self(PollableFd::new(OwnedFd::from(door)).map_err(io::Error::from)?))
    }

    /// Lets others run.
    pub async fn take(&self) {
        // An executor that is going down runs nothing more; this task ends with it.
        let _ = self.0.readable().await;
    }
}
