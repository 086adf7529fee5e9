//! What openraft needs of an executor, given by glommio: tasks, sleep, and channels that never
//! leave their thread.
//!
//! Everything here belongs to one executor and holds no lock and no atomic; what comes from other
//! threads comes through [`store`](crate::raft::store). Passes openraft's own runtime suite.

mod channel;
mod lock;
mod once;
mod watch;

pub use channel::{Channel, ChannelReceiver, ChannelSender, ChannelWeak};
pub use lock::{LocalGuard, LocalMutex};
pub use once::{Once, OnceReceiver, OnceSender, Unanswered, once};
pub use watch::{Watched, WatchedReceiver, WatchedSender};

use crate::boot::cores;
use glommio::timer::Timer;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use openraft::async_runtime::AsyncRuntime;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

/// The executor of the core that Raft runs on. Made by itself only in tests; the server's cores
/// are made in `boot`, and openraft finds the one it is running on.
pub struct Glommio {
    executor: LocalExecutor,
}

impl fmt::Debug for Glommio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Glommio")
    }
}

/// Starts a task that nobody cancels: dropping what is returned lets it run on.
pub fn spawn<F>(future: F) -> Spawned<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (done, outcome) = once();
    glommio::spawn_local(async move {
        // Nobody may be waiting any more.
        let _ = done.put(future.await);
    })
    .detach();
    Spawned(outcome)
}

impl AsyncRuntime for Glommio {
    type JoinError = Unanswered;
    type JoinHandle<T: 'static> = Spawned<T>;
    type Sleep = Sleep;
    type Instant = Instant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R>> = Timeout<T>;
    type ThreadLocalRng = rand::rngs::ThreadRng;
    type Mpsc = Channel;
    type Watch = Watched;
    type Oneshot = Once;
    type Mutex<T: 'static> = LocalMutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + 'static,
        T::Output: 'static,
    {
        spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Sleep(Timer::new(duration))
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Self::sleep(deadline.saturating_duration_since(super::place::now()))
    }

    fn timeout<R, F: Future<Output = R>>(duration: Duration, future: F) -> Timeout<F> {
        Timeout { future: Box::pin(future), sleep: Self::sleep(duration) }
    }

    fn timeout_at<R, F: Future<Output = R>>(deadline: Self::Instant, future: F) -> Timeout<F> {
        Timeout { future: Box::pin(future), sleep: Self::sleep_until(deadline) }
    }

    /// A task that panics ends the process (or, in tests, its thread), so nobody is told of one.
    fn is_panic(_: &Self::JoinError) -> bool {
        false
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        rand::rng()
    }

    fn new(_: usize) -> Self {
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .preempt_timer(cores::PREEMPT_EVERY)
            .io_memory(cores::STORAGE_MEMORY_BYTES)
            .ring_depth(cores::EXECUTOR_RING_ENTRIES)
            .make()
            .expect("an executor for a test");
        Self { executor }
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.executor.run(future)
    }
}

/// The outcome of a task, for who wants to wait for it.
#[derive(Debug)]
pub struct Spawned<T>(OnceReceiver<T>);

impl<T> Future for Spawned<T> {
    type Output = Result<T, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Ends after a time.
#[derive(Debug)]
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _ = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(())
    }
}

/// The time is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

/// A future that must end in time.
#[derive(Debug)]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        ready!(Pin::new(&mut self.sleep).poll(cx));
        Poll::Ready(Err(Elapsed))
    }
}

/// Tasks that wait for one thing. All are woken: who was cancelled meanwhile must not swallow the
/// wake-up of another.
#[derive(Debug, Default)]
pub struct Sleepers(Vec<Waker>);

impl Sleepers {
    pub fn add(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    pub fn wake(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openrafts_runtime_suite() {
        openraft::testing::runtime::Suite::<Glommio>::test_all();
    }

    #[test]
    fn a_dropped_handle_does_not_cancel() {
        Glommio::new(1).block_on(async {
            let (done, outcome) = once();
            drop(spawn(async move {
                Glommio::sleep(Duration::from_millis(1)).await;
                done.put(7).expect("somebody waits");
            }));
            assert_eq!(outcome.await, Ok(7));
        });
    }
}
