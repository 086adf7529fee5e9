//! The disk as the Raft core sees it: jobs go to the storage threads, results come back through a
//! bell.
//!
//! Two threads, one per file: an append to the log must never wait behind a checkpoint's fsync. A
//! third reads the checkpoint while it is opened, and ends.
//! Jobs of one thread are done in order. Nothing here blocks the core; nothing on the threads
//! touches what belongs to the core.

mod blame;
pub mod book;
pub mod early;
pub mod log_file;
pub mod state_file;
mod worker;

pub use early::Early;
pub use log_file::LogFile;
pub use state_file::StateFile;

use super::counters::Counters;
use super::fault::Fault;
use super::limits::STORAGE_JOBS_MAX;
use super::place::{Health, Place};
use super::runtime::{OnceReceiver, once};
use crate::engine::event_fd;
use crate::mesh::Bell;
use glommio::io::PollableFd;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use worker::{Job, Message, Results, Thread, Worker};

/// What both threads and the core share.
#[derive(Debug, Clone)]
pub struct Shared {
    pub place: Arc<dyn Place>,
    pub health: Arc<Health>,
    pub counters: Arc<Counters>,
}

/// The storage threads, started but with nothing open yet. Made where threads are made, before
/// the cores start (a thread inherits the CPUs of who makes it), and sent to the Raft core.
#[derive(Debug)]
pub struct Disk {
    shared: Shared,
    log: Thread<LogFile>,
    state: Thread<StateFile>,
    /// Where there is a checkpoint.
    early: Option<Thread<Early>>,
    results: Receiver<Message>,
    bell: Arc<Bell>,
}

impl Disk {
    /// Starts the threads.
    ///
    /// # Errors
    /// No thread or descriptor is to be had.
    pub fn start(place: Arc<dyn Place>) -> io::Result<Self> {
        let bell = Arc::new(Bell::new(event_fd()?));
        // A result never waits for room: there is some for every job that can be under way.
        let (sender, results) = sync_channel(2 * STORAGE_JOBS_MAX);
        let shared =
            Shared { place, health: Arc::default(), counters: Arc::new(Counters::default()) };
        let answers = Results { sender, bell: bell.clone() };
        let log = Thread::start("raft-log", LogFile::new(&shared), answers.clone())?;
        let state = Thread::start("raft-state", StateFile::new(&shared), answers.clone())?;
        // Who cannot say whether there is one says so again when it is opened.
        let has_state = shared.place.exists(state_file::NAME).unwrap_or(false);
        let early = has_state.then(|| Thread::start("raft-early", Early::new(&shared), answers));
        Ok(Self { shared, log, state, early: early.transpose()?, results, bell })
    }

    /// What the metrics read, on any core.
    pub fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }
}

type Then = Box<dyn FnOnce(Result<Box<dyn Any + Send>, Fault>)>;

/// The core's hand on the storage threads.
pub struct Store {
    pub shared: Shared,
    log: Worker<LogFile>,
    state: Worker<StateFile>,
    early: RefCell<Option<Rc<Worker<Early>>>>,
    results: Receiver<Message>,
    bell: Arc<Bell>,
    ear: PollableFd<OwnedFd>,
    under_way: RefCell<HashMap<u64, Then>>,
    next: Cell<u64>,
    closed: Cell<bool>,
    /// The first thing the disk did wrong since the files were opened.
    trouble: RefCell<Option<Fault>>,
}

impl Store {
    /// Takes the threads over, on the Raft core, and listens to them.
    ///
    /// # Errors
    /// The file limit.
    pub fn new(disk: Disk) -> io::Result<Rc<Self>> {
        let Disk { shared, log, state, early, results, bell } = disk;
        let ear = PollableFd::new(bell.descriptor()?).map_err(io::Error::from)?;
        let store = Rc::new(Self {
            shared,
            log: Worker::new(log),
            state: Worker::new(state),
            early: RefCell::new(early.map(|early| Rc::new(Worker::new(early)))),
            results,
            bell,
            ear,
            under_way: RefCell::default(),
            next: Cell::new(0),
            closed: Cell::new(false),
            trouble: RefCell::default(),
        });
        glommio::spawn_local(store.clone().listen()).detach();
        Ok(store)
    }

    /// Hands results out until the store is closed and everything has come back.
    async fn listen(self: Rc<Self>) {
        while !(self.closed.get() && self.under_way.borrow().is_empty()) {
            if self.drain() > 0 {
                continue;
            }
            self.bell.lie_down();
            if self.drain() == 0 && self.ear.readable().await.is_err() {
                // The executor is going down, and this task with it.
                return;
            }
            self.bell.get_up();
        }
    }

    /// Hands out what has come back.
    fn drain(&self) -> usize {
        let mut handed_out = 0;
        while let Ok((ticket, result)) = self.results.try_recv() {
            let then = self.under_way.borrow_mut().remove(&ticket);
            if let Err(fault) = &result {
                self.note(fault);
            }
            then.expect("each job answers once")(result);
            handed_out += 1;
        }
        handed_out
    }

    /// Remembers what the disk did wrong.
    pub fn note(&self, fault: &Fault) {
        if !matches!(fault, Fault::Refused(_)) {
            self.trouble.borrow_mut().get_or_insert_with(|| fault.clone());
        }
    }

    /// The first thing the disk did wrong since the files were opened, if anything. A latch wins.
    pub fn trouble(&self) -> Option<Fault> {
        let trouble = self.trouble.borrow().clone();
        if self.shared.health.is_latched() && !matches!(trouble, Some(Fault::Latched(_))) {
            return Some(Fault::Latched("an fsync has failed; restart nacre".to_owned()));
        }
        trouble
    }

    /// The files were opened again.
    pub fn forget_trouble(&self) {
        self.trouble.borrow_mut().take();
    }

    /// Has the log's thread do something; `then` is called on this core with what came of it.
    pub async fn log_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut LogFile) -> Result<T, Fault> + Send + 'static,
        then: impl FnOnce(Result<T, Fault>) + 'static,
    ) {
        self.hand_over(&self.log, work, then).await;
    }

    /// Has the log's thread do something and waits for it.
    ///
    /// # Errors
    /// What the job met.
    pub async fn log<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut LogFile) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(&self.log, work).await
    }

    /// Has the state's thread do something and waits for it.
    ///
    /// # Errors
    /// What the job met.
    pub async fn state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut StateFile) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(&self.state, work).await
    }

    /// Whether the thread that reads while the state is opened is there.
    pub fn has_early(&self) -> bool {
        self.early.borrow().is_some()
    }

    /// Has that thread do something and waits for it.
    ///
    /// # Errors
    /// What the job met; the thread has ended.
    pub async fn early<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Early) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let early = self.early.borrow().clone();
        let early = early.ok_or_else(|| Fault::Refused("it has ended".to_owned()))?;
        self.ask(&early, work).await
    }

    /// Lets it end, with the file closed: before anything is written to it.
    pub async fn end_early(&self) {
        let closed = self.early(|file| {
            file.close();
            Ok(())
        });
        // Without it there is nothing to close.
        let _ = closed.await;
        self.early.borrow_mut().take();
    }

    /// The same without waiting, for what nobody needs an answer of.
    pub fn state_later(self: &Rc<Self>, work: impl FnOnce(&mut StateFile) + Send + 'static) {
        let store = self.clone();
        glommio::spawn_local(async move {
            let work = move |file: &mut StateFile| {
                work(file);
                Ok(())
            };
            let _ = store.state(work).await;
        })
        .detach();
    }

    async fn ask<F, T: Send + 'static>(
        &self,
        worker: &Worker<F>,
        work: impl FnOnce(&mut F) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (done, outcome): (_, OnceReceiver<Result<T, Fault>>) = once();
        let then = move |result| {
            // Who asked may have stopped waiting.
            let _ = done.put(result);
        };
        self.hand_over(worker, work, then).await;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn hand_over<F, T: Send + 'static>(
        &self,
        worker: &Worker<F>,
        work: impl FnOnce(&mut F) -> Result<T, Fault> + Send + 'static,
        then: impl FnOnce(Result<T, Fault>) + 'static,
    ) {
        let taken = worker.room().await;
        let ticket = self.next.get();
        self.next.set(ticket + 1);
        let job: Job<F> =
            Box::new(move |file| work(file).map(|done| Box::new(done) as Box<dyn Any + Send>));
        let then: Then = Box::new(move |result| {
            drop(taken);
            let typed = |done: Box<dyn Any + Send>| {
                *done.downcast().expect("a job answers with its own type")
            };
            then(result.map(typed));
        });
        self.under_way.borrow_mut().insert(ticket, then);
        if !worker.send(ticket, job) {
            let then = self.under_way.borrow_mut().remove(&ticket);
            then.expect("put there above")(Err(gone()));
        }
    }

    /// Lets the threads end when they have done what they were handed. The files must have been
    /// closed before.
    pub fn close(&self) {
        self.closed.set(true);
        self.log.close();
        self.state.close();
        self.early.borrow_mut().take();
        self.bell.ring();
    }
}

fn gone() -> Fault {
    Fault::Latched("the storage thread has ended; restart nacre".to_owned())
}
