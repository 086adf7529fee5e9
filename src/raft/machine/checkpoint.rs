//! What was changed since the last checkpoint, and how the next one is written.

use super::{Applied, Machine};
use crate::raft::fault::Fault;
use crate::raft::limits::{CHECKPOINT_BYTES, CHECKPOINT_COMMANDS, CHECKPOINT_WAITING_BYTES_MAX};
use bytes::Bytes;
use nacre_shards::durable::{Record, Table};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Changed records, the latest of each key.
#[derive(Debug, Default)]
pub struct Waiting {
    records: HashMap<(Table, Bytes), Option<Bytes>, ahash::RandomState>,
    bytes: usize,
    /// Commands applied since the last checkpoint was taken.
    pub commands: u64,
}

fn weight(key: &Bytes, value: Option<&Bytes>) -> usize {
    key.len() + value.map_or(0, Bytes::len)
}

impl Waiting {
    /// Takes changed records in; a later one replaces what waits.
    pub fn add(&mut self, records: &mut Vec<Record>) {
        for Record { table, key, value } in records.drain(..) {
            self.bytes += weight(&key, value.as_ref());
            let key_bytes = key.len();
            if let Some(old) = self.records.insert((table, key), value) {
                self.bytes -= key_bytes + old.as_ref().map_or(0, Bytes::len);
            }
        }
    }

    /// A record that waits, or that it is gone; `None`: nothing waits.
    pub fn get(&self, table: Table, key: &Bytes) -> Option<Option<Bytes>> {
        self.records.get(&(table, key.clone())).cloned()
    }

    /// Takes back what could not be written, unless it was changed again.
    fn give_back(&mut self, records: Vec<Record>, commands: u64) {
        for Record { table, key, value } in records {
            if let std::collections::hash_map::Entry::Vacant(place) =
                self.records.entry((table, key))
            {
                self.bytes += weight(&place.key().1, value.as_ref());
                place.insert(value);
            }
        }
        self.commands += commands;
    }

    fn take(&mut self) -> (Vec<Record>, u64) {
        let records = self.records.drain();
        let records = records.map(|((table, key), value)| Record { table, key, value }).collect();
        self.bytes = 0;
        // A burst's memory is not kept for ever.
        self.records.shrink_to(CHECKPOINT_COMMANDS as usize);
        (records, std::mem::take(&mut self.commands))
    }

    /// Forgets all: a snapshot has replaced it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl<M: Machine> Applied<M> {
    /// Whether enough has changed for a checkpoint.
    pub(super) fn is_due(&self) -> bool {
        let waiting = self.waiting.borrow();
        waiting.commands >= CHECKPOINT_COMMANDS || waiting.bytes >= CHECKPOINT_BYTES
    }

    /// Whether anything was applied that is not in the checkpoint.
    pub fn is_ahead(&self) -> bool {
        self.last.get() > self.checkpointed.get()
    }

    /// Starts a checkpoint beside what is going on; while one is being written, waits only when
    /// too much has gathered behind it.
    pub(super) async fn checkpoint_or_wait(this: &Rc<Self>) {
        if !this.writing.get() {
            this.writing.set(true);
            let applied = this.clone();
            glommio::spawn_local(async move {
                // What went wrong is known to the store, which the group asks every second; the
                // records wait for the next checkpoint.
                if applied.write_checkpoint().await.is_ok()
                    && let Some(then) = &*applied.then.borrow()
                {
                    then();
                }
            })
            .detach();
            return;
        }
        let too_much =
            || this.waiting.borrow().bytes >= CHECKPOINT_WAITING_BYTES_MAX && this.writing.get();
        poll_fn(|cx| {
            if !too_much() {
                return Poll::Ready(());
            }
            this.written.borrow_mut().add(cx);
            Poll::Pending
        })
        .await;
    }

    /// Writes a checkpoint of everything that was applied, after the one that may be under way.
    ///
    /// # Errors
    /// The disk's.
    pub async fn checkpoint_now(&self) -> Result<(), Fault> {
        self.hold().await;
        self.write_checkpoint().await
    }

    /// Waits until nothing is being written, and marks that something is.
    pub(super) async fn hold(&self) {
        poll_fn(|cx| {
            if !self.writing.replace(true) {
                return Poll::Ready(());
            }
            self.written.borrow_mut().add(cx);
            Poll::Pending
        })
        .await;
    }

    /// Does something while no checkpoint is being written.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> T {
        self.hold().await;
        let done = work.await;
        self.let_go();
        done
    }

    /// Nothing is being written any more.
    pub(super) fn let_go(&self) {
        self.writing.set(false);
        self.written.borrow_mut().wake();
    }

    async fn write_checkpoint(&self) -> Result<(), Fault> {
        let (mut records, commands) = self.waiting.borrow_mut().take();
        let last = self.last.get();
        let membership = self.membership.borrow().clone();
        let job = move |file: &mut crate::raft::store::StateFile| {
            let done = file.checkpoint(&mut records, last, membership);
            Ok((done, records))
        };
        // A thread that has gone loses the records; it is never written to again either.
        let (done, records) = self.store.state(job).await.unwrap_or_else(|f| (Err(f), Vec::new()));
        match &done {
            Ok(()) => self.checkpointed.set(last),
            Err(fault) => {
                self.store.note(fault);
                self.waiting.borrow_mut().give_back(records, commands);
            }
        }
        self.let_go();
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &'static str, value: Option<&'static str>) -> Record {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        Record { table: Table::Config, key: Bytes::from_static(key.as_bytes()), value }
    }

    #[test]
    fn later_records_replace_earlier_ones() {
        let mut waiting = Waiting::default();
        waiting.add(&mut vec![record("a", Some("1")), record("a", Some("22")), record("b", None)]);
        assert_eq!(waiting.bytes, 4);
        let (mut records, _) = waiting.take();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(records, [record("a", Some("22")), record("b", None)]);
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn what_is_given_back_never_replaces_what_is_newer() {
        let mut waiting = Waiting::default();
        waiting.add(&mut vec![record("a", Some("new"))]);
        waiting.give_back(vec![record("a", Some("old")), record("b", Some("kept"))], 2);
        assert_eq!((waiting.bytes, waiting.commands), (9, 2));
        let (mut records, _) = waiting.take();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(records, [record("a", Some("new")), record("b", Some("kept"))]);
    }
}
