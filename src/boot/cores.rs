//! One executor per core, pinned, with the settings that keep it small and prompt.

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::time::Duration;

/// After how long the executor interrupts tasks that never stop being runnable. Long on purpose:
/// glommio 0.12 may park for good with runnable tasks if this fires while the thread has lost its
/// CPU in the wrong microsecond (seen about once in ten test runs at 1 ms on a crowded machine).
/// The pump lets it look at its events every millisecond instead (`pump::sleep`).
pub const PREEMPT_EVERY: Duration = Duration::from_secs(10);

/// Registered memory for the executor's own storage I/O, in bytes. Its default pins 10 MiB per core
/// for direct I/O, which this server does not use; 64 KiB is the least it accepts.
pub const STORAGE_MEMORY_BYTES: usize = 64 * 1_024;

/// Submission entries of the executor's own rings: they carry timers, HTTP/1 and cluster links, not
/// client connections.
pub const EXECUTOR_RING_ENTRIES: usize = 128;

/// Runs a future on this thread until it ends: for a tool, which has no cores.
///
/// # Errors
/// The executor's rings could not be made (io_uring, locked memory).
pub fn run_here<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(PREEMPT_EVERY)
        .io_memory(STORAGE_MEMORY_BYTES)
        .ring_depth(EXECUTOR_RING_ENTRIES)
        .make()
        .map_err(io::Error::from)?;
    Ok(executor.run(work))
}

/// Runs `make()` and then its future on a new thread pinned to `cpu`, until the future ends.
///
/// Errors: the executor's rings could not be made (locked memory), or there is no such cpu.
pub fn spawn_core<G, F, T>(cpu: usize, make: G) -> io::Result<ExecutorJoinHandle<T>>
where
    G: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name(&format!("core-{cpu}"))
        .preempt_timer(PREEMPT_EVERY)
        .io_memory(STORAGE_MEMORY_BYTES)
        .ring_depth(EXECUTOR_RING_ENTRIES)
        .spin_before_park(Duration::ZERO)
        .spawn(make)
        .map_err(io::Error::from)
}
