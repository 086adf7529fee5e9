//! The Raft group on its core: opened, tended, closed.

use crate::boot::settings::Settings;
use crate::pump::clock::{Clock, Epoch};
use crate::pump::replica::{Durable, Replica};
use crate::raft::{self, Disk, Fault, Folder, Group};
use glommio::timer;
use nacre_shards::durable::command::Command;
use nacre_shards::durable::history::SWEPT_MAX;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often history beyond its age is looked for, as in the reference.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

const DAY_MS: u64 = 86_400_000;

/// Starts the storage threads. On the main thread, before the cores: a thread inherits the CPUs of
/// who makes it.
///
/// # Errors
/// The folder cannot be made, or no thread is to be had.
pub fn start(data: &Path) -> io::Result<Disk> {
    let folder = data.join(raft::FOLDER);
    raft::place::ballast::settle(&folder)?;
    Disk::start(Arc::new(Folder::new(&folder)?))
}

/// Opens the group and replays its log; readers see the state when this returns. On the Raft core.
///
/// # Errors
/// What is wrong with the files, in a sentence.
pub async fn open(disk: Disk, settings: &Settings, durable: &Durable) -> Result<(), Fault> {
    let address = settings.grpc.first().or(settings.http.first());
    let store = raft::Settings {
        address: address.map(ToString::to_string).unwrap_or_default(),
        reserve_bytes: settings.config.reserve_bytes,
    };
    durable.serve(Group::open(disk, store, durable.replica()).await?);
    durable.tables.set_ready();
    Ok(())
}

/// Drops history beyond its age, for as long as the node lives. Whoever does not lead is refused,
/// which does no harm.
pub async fn sweep(durable: Rc<Durable>, epoch: Epoch, retention_days: u32) {
    let mut clock = Clock::new(epoch);
    loop {
        timer::sleep(SWEEP_EVERY).await;
        let Some(group) = durable.group() else { continue };
        let before_ms = clock.tick().now.unix_ms.saturating_sub(DAY_MS * u64::from(retention_days));
        let is_old = |replica: &mut Replica| {
            replica.state().history().oldest_ms().is_some_and(|oldest_ms| oldest_ms < before_ms)
        };
        let command = Command::SweepHistory { before_ms }.encode();
        while group.with(is_old) && group.put(command.clone()).await.is_ok() {
            tracing::debug!("dropped up to {SWEPT_MAX} rows of history");
        }
    }
}

/// Everything that was acknowledged is on disk already; this makes the next start quick.
pub async fn stop(durable: &Durable) {
    if let Some(group) = durable.group() {
        group.stop().await;
    }
}
