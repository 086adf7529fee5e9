//! The same questions to a stopped directory, whose lock the caller holds: its store is opened as a
//! node would, for as long as the answer takes. What only looks does so under glass: not a byte of
//! the files changes. What lives in a node's memory is not there, and that is said.

use super::wire::{Answered, Here, Refusal, Request, Sink};
use super::{backup, lists, status, users};
use crate::boot::cores;
use crate::engine::event_fd;
use crate::mesh::Bell;
use crate::pump::replica::{Durable, Replica};
use crate::raft::check::{self, Care};
use crate::raft::place::Glass;
use crate::raft::store::LogFile;
use crate::raft::{Disk, FOLDER, Fault, Folder, Group, Place, Settings};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Answers from the files.
///
/// # Errors
/// As a node would refuse; damage; what no file can know.
pub fn answer(data: &Path, request: &Request, sink: &mut dyn Sink) -> Answered {
    let only_running = |what: &str| {
        Err(Refusal::unseen(format!(
            "no node runs on {}: {what}; start it, then ask again",
            data.display()
        )))
    };
    match request {
        Request::Status => only_running("there is no status (`nacre inspect` shows files)"),
        Request::Services(_) => only_running("services are in its memory"),
        Request::Clients(_) => only_running("clients are where it runs"),
        Request::Trace(_) => only_running("it told nobody anything"),
        Request::Configs(listing) => under_glass(data, async |group| {
            let tables = group.with(|replica| replica.state().tables().clone());
            lists::configs(&tables, None, listing, &mut Here(sink)).await
        }),
        Request::Users => {
            under_glass(data, async |group| users::list(group, &mut Here(sink)).await)
        }
        Request::Backup => {
            under_glass(data, async |group| backup::write(group, &mut Here(sink)).await)
        }
        Request::Store => under_glass(data, async |group| Ok(status::of_store(&group.status()))),
        Request::User(change) => {
            let folder = Folder::existing(&data.join(FOLDER)).to_write();
            on_the_store(data, Arc::new(folder), async |group| users::change(group, change).await)
        }
    }
}

fn under_glass(data: &Path, work: impl AsyncFnOnce(&Group<Replica>) -> Answered) -> Answered {
    let place = Glass::new(Folder::existing(&data.join(FOLDER)));
    on_the_store(data, Arc::new(place), work)
}

fn lacking(error: io::Error) -> Refusal {
    Refusal::unseen(format!("the store cannot be opened: {error}"))
}

/// Opens the store, does something with it, and closes it in order.
fn on_the_store(
    data: &Path,
    place: Arc<dyn Place>,
    work: impl AsyncFnOnce(&Group<Replica>) -> Answered,
) -> Answered {
    if !LogFile::exists(&*place).map_err(lacking)? {
        let text = format!("{}: no node has run here yet", data.display());
        return Err(Refusal::unseen(text));
    }
    let looked = check::look(&Folder::existing(&data.join(FOLDER)), Care::Thorough);
    if let Some(finding) = looked.map_err(lacking)?.findings.first() {
        let text = format!("WRONG {finding}\n`nacre verify` shows all of it, and what to do");
        return Err(Refusal::no(text));
    }
    let bell = Arc::new(Bell::new(event_fd().map_err(lacking)?));
    let disk = Disk::start(place).map_err(lacking)?;
    let answered = cores::run_here(async {
        let durable: Rc<Durable> = Durable::new(bell, Arc::default());
        let replica = durable.replica();
        // What a full disk leaves may be used: nothing is served.
        let settings = Settings { reserve_bytes: 0, ..Settings::default() };
        let opened = Group::open(disk, settings, replica).await;
        let group = opened.map_err(|fault| match fault {
            Fault::Damaged(_) => Refusal::no(fault.text()),
            other => Refusal::unseen(other.text()),
        })?;
        let answered = work(&group).await;
        group.stop().await;
        answered
    });
    answered.map_err(lacking)?
}
