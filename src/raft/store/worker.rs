//! One storage thread: jobs in, one result each.

use crate::mesh::Bell;
use crate::raft::fault::Fault;
use crate::raft::limits::{STORAGE_IDLE, STORAGE_JOBS_MAX};
use crate::raft::place::now;
use crate::raft::runtime::Sleepers;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::task::Poll;
use std::thread;

/// What a thread does with the file it keeps.
pub type Job<F> = Box<dyn FnOnce(&mut F) -> Result<Box<dyn Any + Send>, Fault> + Send>;

type Jobs<F> = SyncSender<(u64, Job<F>)>;

/// The result of the job with that ticket.
pub type Message = (u64, Result<Box<dyn Any + Send>, Fault>);

/// What a thread keeps.
pub trait Keeper: Send + 'static {
    /// Called between jobs: when none has come for [`STORAGE_IDLE`], and about as often while they
    /// keep coming.
    fn look_around(&mut self, is_idle: bool);
}

/// Where results go.
#[derive(Clone)]
pub struct Results {
    pub sender: SyncSender<Message>,
    pub bell: Arc<Bell>,
}

/// A thread that has been started, on its way to the core that will use it.
pub struct Thread<F> {
    jobs: Jobs<F>,
}

impl<F> fmt::Debug for Thread<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thread")
    }
}

impl<F: Keeper> Thread<F> {
    /// Starts it. It ends when its other end is dropped, and closes the file.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(name: &str, keeper: F, results: Results) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel(STORAGE_JOBS_MAX);
        // Made while the process starts; it has nothing to be pinned to.
        thread::Builder::new().name(name.to_owned()).spawn(|| run(keeper, inbox, results))?;
        Ok(Self { jobs })
    }
}

fn run<F: Keeper>(mut keeper: F, inbox: Receiver<(u64, Job<F>)>, results: Results) {
    let mut looked = now();
    // A panic here is a file that redb cannot make sense of. In release it ends the process; where
    // it does not, nothing is done with that file any more.
    let mut has_failed = false;
    loop {
        match inbox.recv_timeout(STORAGE_IDLE) {
            Ok((ticket, _)) if has_failed => {
                if results.sender.send((ticket, Err(failed()))).is_err() {
                    return;
                }
                results.bell.ring_if_asleep();
            }
            Ok((ticket, job)) => {
                let done = catch_unwind(AssertUnwindSafe(|| job(&mut keeper)));
                has_failed = done.is_err();
                let result = done.unwrap_or_else(|_| Err(failed()));
                if results.sender.send((ticket, result)).is_err() {
                    return;
                }
                results.bell.ring_if_asleep();
                if looked.elapsed() > STORAGE_IDLE && !has_failed {
                    has_failed = looks_badly(&mut keeper, false);
                    looked = now();
                }
            }
            Err(RecvTimeoutError::Timeout) if has_failed => {}
            Err(RecvTimeoutError::Timeout) => {
                has_failed = looks_badly(&mut keeper, true);
                looked = now();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn looks_badly<F: Keeper>(keeper: &mut F, is_idle: bool) -> bool {
    catch_unwind(AssertUnwindSafe(|| keeper.look_around(is_idle))).is_err()
}

fn failed() -> Fault {
    Fault::Latched("a storage thread has failed; restart nacre".to_owned())
}

/// The core's end of one thread.
pub struct Worker<F> {
    jobs: RefCell<Option<Jobs<F>>>,
    room: Rc<Room>,
}

/// Jobs under way, and who waits to hand over one more.
#[derive(Debug, Default)]
struct Room {
    taken: Cell<usize>,
    waiting: RefCell<Sleepers>,
}

/// One job's share of the room, until its result has come.
#[derive(Debug)]
pub struct Taken(Rc<Room>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.waiting.borrow_mut().wake();
    }
}

impl<F> Worker<F> {
    /// Takes a thread over.
    pub fn new(thread: Thread<F>) -> Self {
        Self { jobs: RefCell::new(Some(thread.jobs)), room: Rc::default() }
    }

    /// Waits until fewer than [`STORAGE_JOBS_MAX`] jobs are under way, and counts one more.
    pub async fn room(&self) -> Taken {
        poll_fn(|cx| {
            if self.room.taken.get() < STORAGE_JOBS_MAX {
                return Poll::Ready(());
            }
            self.room.waiting.borrow_mut().add(cx);
            Poll::Pending
        })
        .await;
        self.room.taken.set(self.room.taken.get() + 1);
        Taken(self.room.clone())
    }

    /// Hands a job over; there is room for it. False when the thread has ended.
    pub fn send(&self, ticket: u64, job: Job<F>) -> bool {
        self.jobs.borrow().as_ref().is_some_and(|jobs| jobs.try_send((ticket, job)).is_ok())
    }

    /// Lets the thread end when it has done what it was handed.
    pub fn close(&self) {
        self.jobs.borrow_mut().take();
    }
}
