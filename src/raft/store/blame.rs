//! What follows from what went wrong with a file.

use super::Shared;
use super::book::Broken;
use crate::raft::fault::{Fault, is_full};

/// One file's troubles, the first of which is remembered: what is said afterwards only tells that
/// something was before.
#[derive(Debug)]
pub struct Blame {
    shared: Shared,
    name: &'static str,
    first: Option<Fault>,
}

impl Blame {
    /// Nothing is wrong yet.
    pub fn new(shared: &Shared, name: &'static str) -> Self {
        Self { shared: shared.clone(), name, first: None }
    }

    /// The file was opened again.
    pub fn forget(&mut self) {
        self.first = None;
    }

    /// What follows from this.
    pub fn note(&mut self, what: &str, broken: Broken) -> Fault {
        let after =
            matches!(broken, Broken::Redb(redb::Error::PreviousIo | redb::Error::DatabaseClosed));
        if after && let Some(first) = &self.first {
            return first.clone();
        }
        let shown = self.shown();
        let fault = match broken {
            Broken::Redb(redb::Error::Io(error)) => self.io(what, &error),
            Broken::Redb(redb::Error::Corrupted(why)) => damaged(&shown, &why),
            Broken::Redb(
                error @ (redb::Error::TableDoesNotExist(_)
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::TableIsMultimap(_)
                | redb::Error::TypeDefinitionChanged { .. }),
            ) => damaged(&shown, &error.to_string()),
            Broken::Redb(redb::Error::UpgradeRequired(version)) => {
                Fault::Damaged(format!("{shown}: redb format {version} is not known here"))
            }
            Broken::Redb(error) => Fault::Latched(format!(
                "{shown}: cannot {what}: {error}; nothing is written until a restart"
            )),
            Broken::Wrong(why) => damaged(&shown, &why),
        };
        self.first.get_or_insert_with(|| fault.clone());
        fault
    }

    /// What follows from an error of the disk.
    pub fn io(&self, what: &str, error: &std::io::Error) -> Fault {
        let shown = self.shown();
        if self.shared.health.is_latched() {
            Fault::Latched(format!(
                "{shown}: an fsync has failed ({error}): what was written may be lost, and trying \
                 again could hide it; look at the disk, then restart nacre"
            ))
        } else if is_full(error) {
            Fault::Full(format!("{shown}: cannot {what}: {error}; free some space"))
        } else {
            Fault::Latched(format!(
                "{shown}: cannot {what}: {error}; look at the disk, then restart nacre"
            ))
        }
    }

    fn shown(&self) -> String {
        self.shared.place.shown(self.name)
    }
}

fn damaged(shown: &str, why: &str) -> Fault {
    Fault::Damaged(format!(
        "{shown}: {why}; nothing was changed. Run `nacre verify` to see all of it; restore the \
         data directory from a backup, or let this node be filled again by its group"
    ))
}
