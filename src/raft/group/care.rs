//! What is looked after once a second: space, storage that may come back, checkpoints that are
//! due by time, entries that are not needed any more.

use super::{Inner, State};
use crate::boot::memory;
use crate::raft::fault::Fault;
use crate::raft::limits::{
    CHECKPOINT_EVERY, GIVE_BACK_COMMANDS, LOG_KEEP_ALONE_BYTES, LOG_KEEP_BYTES, LOOK_EVERY,
    REOPEN_FREE_BYTES_MIN,
};
use crate::raft::machine::Machine;
use crate::raft::runtime::Glommio;
use openraft::LogIdOptionExt;
use openraft::async_runtime::{AsyncRuntime, WatchReceiver};
use std::rc::Rc;

impl<M: Machine> Inner<M> {
    /// Runs until the group stops.
    pub(super) async fn care(self: Rc<Self>) {
        let looks_per_checkpoint = CHECKPOINT_EVERY.as_millis() / LOOK_EVERY.as_millis();
        let mut looks = 0;
        let mut given_back = 0;
        loop {
            Glommio::sleep(LOOK_EVERY).await;
            if *self.state.borrow() == State::Stopped {
                return;
            }
            self.judge();
            if self.must_reopen.get() {
                self.recover().await;
                continue;
            }
            looks += 1;
            if looks >= looks_per_checkpoint {
                looks = 0;
                if self.applied.is_ahead() && self.store.trouble().is_none() {
                    // What went wrong is judged at the next look.
                    let _ = self.applied.checkpoint_now().await;
                }
            }
            self.trim().await;
            self.give_back(&mut given_back);
        }
    }

    /// After a burst of commands whose checkpoint is written, what it took of memory and what the
    /// storage threads freed of it goes back to the host. `given_back`: commands up to the last
    /// time.
    fn give_back(&self, given_back: &mut u64) {
        let commands = self.store.shared.counters.commands.get();
        if commands - *given_back >= GIVE_BACK_COMMANDS && !self.applied.is_ahead() {
            *given_back = commands;
            memory::give_back();
        }
    }

    /// Decides whether writes are taken, from what the disk did and how much is free.
    pub(super) fn judge(&self) {
        let state = self.state.borrow().clone();
        if matches!(state, State::Stopped | State::Latched(_)) {
            return;
        }
        let free = self.store.shared.counters.free_bytes.get();
        let reserve = self.settings.reserve_bytes;
        match self.store.trouble().or_else(|| self.stopped_raft()) {
            Some(Fault::Full(why)) => {
                self.must_reopen.set(true);
                self.set_state(State::ReadOnly(why.into()));
            }
            Some(fault) => self.set_state(State::Latched(fault.text().into())),
            None if state == State::Starting || self.must_reopen.get() => {}
            None if free < reserve => {
                let why = format!(
                    "{free} bytes are free, less than the reserve of {reserve} \
                     (nacre.store.reserve-bytes)"
                );
                self.set_state(State::ReadOnly(why.into()));
            }
            None if free >= reserve + reserve / 4 => self.set_state(State::Ok),
            None => {}
        }
    }

    /// Openraft ends by itself only when something is wrong that nobody here has seen.
    fn stopped_raft(&self) -> Option<Fault> {
        let raft = self.raft.borrow();
        let metrics = raft.as_ref()?.metrics();
        let running = metrics.borrow_watched().running_state.clone();
        let fatal = running.err()?;
        Some(Fault::Latched(format!("the replicated log has stopped: {fatal}; restart nacre")))
    }

    /// Opens the files again and starts anew, when there is space; the state in memory stays.
    async fn recover(&self) {
        let reserve = self.settings.reserve_bytes;
        let enough = (reserve + reserve / 4).max(REOPEN_FREE_BYTES_MIN);
        let is_read_only = matches!(*self.state.borrow(), State::ReadOnly(_));
        if !is_read_only || self.store.shared.counters.free_bytes.get() < enough {
            return;
        }
        match self.reopen().await {
            Ok(()) => {
                self.store.shared.counters.reopened.add(1);
                self.must_reopen.set(false);
                if *self.state.borrow() != State::Stopped {
                    self.set_state(State::Ok);
                }
            }
            Err(Fault::Full(why)) => self.set_state(State::ReadOnly(why.into())),
            Err(fault) => self.set_state(State::Latched(fault.text().into())),
        }
    }

    async fn reopen(&self) -> Result<(), Fault> {
        self.told.set(None);
        let raft = self.raft.borrow_mut().take();
        if let Some(raft) = raft {
            // It has ended by itself, or ends now.
            let _ = raft.shutdown().await;
        }
        let opened = self.applied.while_held(async {
            self.store.forget_trouble();
            let head = self.store.state(|file| file.reopen()).await?;
            let opened = self.store.log(|file| file.reopen()).await?;
            self.applied.reopened(head.applied);
            Ok(opened)
        });
        self.log.reload(opened.await?, self.applied.last())?;
        self.start_raft().await
    }

    /// Tells openraft of a new checkpoint, and has it purge what is beyond what we keep.
    pub(super) async fn trim(&self) {
        let raft = self.raft.borrow().clone();
        let Some(raft) = raft.filter(|_| !self.trimming.replace(true)) else { return };
        let checkpointed = self.applied.checkpointed();
        if checkpointed > self.told.get() && raft.trigger().snapshot().await.is_ok() {
            self.told.set(checkpointed);
            let wait = raft.wait(Some(LOOK_EVERY));
            let knows = wait.metrics(
                |metrics| metrics.snapshot >= checkpointed || metrics.running_state.is_err(),
                "know the checkpoint",
            );
            // If not now, then at the next look.
            let _ = knows.await;
        }
        let (known, alone) = {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            let members = metrics.membership_config.membership();
            (metrics.snapshot.index(), members.nodes().count() == 1)
        };
        let keep = if alone { LOG_KEEP_ALONE_BYTES } else { LOG_KEEP_BYTES };
        if let Some((known, beyond)) = known.zip(self.log.purge_for_bytes(keep)) {
            // A log that has ended is judged at the next look.
            let _ = raft.trigger().purge_log(beyond.min(known)).await;
        }
        self.trimming.set(false);
    }
}
