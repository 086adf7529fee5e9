//! The group on a simulated disk, with a toy for a state.

mod cuts;
mod early;
mod faults;
mod flips;
mod formats;
mod life;
mod plant;
mod suite;
mod toy;

use crate::raft::place::sim::SimPlace;
use crate::raft::runtime::Glommio;
use crate::raft::{Disk, Fault, Group, Place, ProposeError, Settings};
use bytes::Bytes;
use openraft::AsyncRuntime;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use toy::{Toy, set};

/// Runs something on an executor of its own.
fn on_a_core<T>(work: impl Future<Output = T>) -> T {
    Glommio::new(1).block_on(work)
}

/// How long anything may take before a test gives up. Far above what is needed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(work: impl Future<Output = T>) -> T {
    Glommio::timeout(PATIENCE, work).await.expect("in time")
}

fn disk(place: &SimPlace) -> Disk {
    Disk::start(Arc::new(place.clone()) as Arc<dyn Place>).unwrap()
}

async fn open(place: &SimPlace) -> Result<Group<Toy>, Fault> {
    open_with(place, Settings { reserve_bytes: 0, ..Settings::default() }).await
}

async fn open_with(place: &SimPlace, settings: Settings) -> Result<Group<Toy>, Fault> {
    within(Group::open(disk(place), settings, Toy::default())).await
}

async fn put(group: &Group<Toy>, pairs: &[(&str, &str)]) -> Result<u64, ProposeError> {
    within(group.put(set(pairs))).await
}

fn get(group: &Group<Toy>, key: &str) -> Option<String> {
    let text = |value: &Bytes| String::from_utf8(value.to_vec()).unwrap();
    group.with(|toy| toy.values.get(key.as_bytes()).map(text))
}

/// What the next process finds after a kill: all that was written, synced or not. A copy, because
/// the threads of the one that was not stopped are still there.
fn after_a_kill(place: &SimPlace) -> SimPlace {
    place.copy()
}

/// Waits until something is so.
async fn until(mut so: impl FnMut() -> bool) {
    within(async {
        while !so() {
            Glommio::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
