//! A second pair of eyes on `state.redb` while it is opened: reads the checkpoint out while redb
//! still rebuilds its free list, on a thread of its own that ends with that.
//!
//! It begins when every page's checksum was found right ([`Verified`]), so redb meets no nonsense
//! here. What it hands out counts only if it got to the end, where records are compared with the
//! checkpoint's counts and digests, and if the file, once open, says the same of itself. Else, also
//! where this cannot begin at all, the load is done from the open file as if this had not been.

use super::Shared;
use super::book::{Broken, META};
use super::state_file::{self, Cursor, Head, Piece, read_head};
use super::worker::Keeper;
use crate::boot::memory;
use crate::raft::encoding::Totals;
use crate::raft::fault::Fault;
use crate::raft::limits::STORE_CACHE_BYTES;
use crate::raft::place::{Overlay, Place};
use redb::{Builder, Database, ReadTransaction, ReadableDatabase, RepairSession, StorageBackend};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{fmt, io};

/// Told once when every page of the file was read and is as its checksum says; dropped untold when
/// not, or when there was nothing to check.
#[derive(Debug)]
pub struct Verified {
    told: SyncSender<()>,
    opened: Receiver<()>,
    rolled_back: Cell<bool>,
}

/// Hears of [`Verified`], which goes on when this is dropped: until then nothing in the file
/// changes, its head neither.
#[derive(Debug)]
pub struct Hears {
    told: Receiver<()>,
    _opened: SyncSender<()>,
}

impl Verified {
    /// Redb's progress behind which every page was checked: it begins its second walk.
    const PAGES_CHECKED: f64 = 0.5;

    /// Both ends.
    pub fn new() -> (Self, Hears) {
        let ((told, hears), (opening, opened)) = (sync_channel(1), sync_channel(1));
        let verified = Self { told, opened, rolled_back: Cell::new(false) };
        (verified, Hears { told: hears, _opened: opening })
    }

    /// Follows what redb says of its check. Between beginning and end of the first walk it says
    /// something only if the last commit was torn, and is to be forgotten: then the file is not yet
    /// what it will be.
    pub fn follow(&self, session: &RepairSession) {
        let progress = session.progress();
        if progress > 0.0 && progress < Self::PAGES_CHECKED {
            self.rolled_back.set(true);
        }
        let is_right = progress >= Self::PAGES_CHECKED && !self.rolled_back.get();
        if is_right && self.told.try_send(()).is_ok() {
            // Until it was opened, a millisecond, or could not be.
            let _ = self.opened.recv();
        }
    }
}

/// The file under glass, on its thread: no byte of it is changed.
pub struct Early {
    place: Arc<dyn Place>,
    open: Option<Database>,
    shut: Arc<AtomicBool>,
}

impl fmt::Debug for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Early").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Early {
    /// Not open yet.
    pub fn new(shared: &Shared) -> Self {
        Self { place: shared.place.clone(), open: None, shut: Arc::default() }
    }

    /// Waits until the pages were checked, then opens the file if it can be read without a repair:
    /// the last commit was a checkpoint's.
    ///
    /// # Errors
    /// It cannot, or not yet. All errors here are [`Fault::Refused`]: nothing follows from them.
    pub fn open(&mut self, hears: Hears) -> Result<Head, Fault> {
        hears.told.recv().map_err(|_| refused("not every page was found right"))?;
        let file = self.place.open(state_file::NAME).map_err(refused)?;
        let glass = Overlay::new(file).map_err(refused)?;
        let mut builder = Builder::new();
        builder.set_cache_size(STORE_CACHE_BYTES);
        builder.set_repair_callback(RepairSession::abort);
        let pane = Pane { glass, shut: self.shut.clone() };
        self.open = Some(builder.create_with_backend(pane).map_err(refused)?);
        self.read(|txn| read_head(&txn.open_table(META)?))
    }

    /// As [`StateFile::load`](super::StateFile::load).
    ///
    /// # Errors
    /// Anything; see [`open`](Self::open).
    pub fn load(&mut self, cursor: Option<Cursor>, found: Totals) -> Result<Piece, Fault> {
        self.read(|txn| state_file::piece(txn, cursor, found))
    }

    /// Lets go of the file.
    pub fn close(&mut self) {
        // Redb would write a last commit, for nobody.
        self.shut.store(true, Ordering::Release);
        self.open = None;
        memory::give_back();
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Broken>,
    ) -> Result<T, Fault> {
        let open = self.open.as_ref().ok_or_else(|| refused("it is not open"))?;
        let txn = open.begin_read().map_err(refused)?;
        work(&txn).map_err(|broken| refused(format!("{broken:?}")))
    }
}

fn refused(why: impl ToString) -> Fault {
    Fault::Refused(why.to_string())
}

impl Keeper for Early {
    fn look_around(&mut self, _: bool) {}
}

/// A file under glass until it is shut; then every call fails.
#[derive(Debug)]
struct Pane {
    glass: Overlay,
    shut: Arc<AtomicBool>,
}

impl Pane {
    fn open(&self) -> io::Result<&Overlay> {
        let shut = self.shut.load(Ordering::Acquire);
        if shut { Err(io::Error::other("read to the end")) } else { Ok(&self.glass) }
    }
}

impl StorageBackend for Pane {
    fn len(&self) -> io::Result<u64> {
        self.open()?.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.open()?.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.open()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.open()?.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.open()?.write(offset, data)
    }
}
