//! Openraft's own suite for log stores and state machines.

use super::{SimPlace, Toy, disk, on_a_core};
use crate::raft::log::Log;
use crate::raft::machine::{Applied, Applier};
use crate::raft::place::Folder;
use crate::raft::store::book::Identity;
use crate::raft::store::{Disk, Store};
use crate::raft::types::Types;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn build(disk: Disk) -> (Log, Applier<Toy>) {
    let store = Store::new(disk).unwrap();
    let identity = Identity { node: 1, cluster: 2 };
    let opened = store.log(move |file| file.open(identity, false)).await.unwrap();
    let (_, head) = store.state(move |file| file.open(identity, true, None)).await.unwrap();
    let log = Log::new(store.clone(), opened, head.applied).unwrap();
    let toy = Toy::default();
    let applied = Applied::new(store, log.clone(), toy, head.applied, head.membership).unwrap();
    (log, applied.applier().await)
}

struct Simulated;

impl StoreBuilder<Types, Log, Applier<Toy>> for Simulated {
    async fn build(&self) -> Result<((), Log, Applier<Toy>), StorageError<Types>> {
        let (log, applier) = build(disk(&SimPlace::default())).await;
        Ok(((), log, applier))
    }
}

#[test]
fn openrafts_storage_suite() {
    on_a_core(Suite::test_all(Simulated)).unwrap();
}

/// A folder of its own, gone with the value.
pub struct Temporary(pub PathBuf);

impl Temporary {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nacre-raft-{name}-{}-{next}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct OnDisk;

impl StoreBuilder<Types, Log, Applier<Toy>, Temporary> for OnDisk {
    async fn build(&self) -> Result<(Temporary, Log, Applier<Toy>), StorageError<Types>> {
        let folder = Temporary::new("suite");
        let disk = Disk::start(Arc::new(Folder::new(&folder.0).unwrap())).unwrap();
        let (log, applier) = build(disk).await;
        Ok((folder, log, applier))
    }
}

#[test]
fn openrafts_storage_suite_on_a_real_disk() {
    on_a_core(Suite::test_all(OnDisk)).unwrap();
}
