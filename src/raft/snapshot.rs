//! A snapshot on its way: pieces, each with its checksum, read from a checkpoint while later ones
//! are written, or received from another member.

use super::encoding::Totals;
use super::fault::Fault;
use super::store::Store;
use super::store::state_file::Cursor;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// A piece, or that there is none left.
pub type Piece = Result<Option<Bytes>, Fault>;

/// Where pieces come from. Two exist: a checkpoint of ours, and what a link receives.
pub trait Pieces {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Piece> + '_>>;
}

/// A snapshot's contents and what their sender says they add up to.
pub struct Parcel {
    /// Compared with what arrived before it replaces anything.
    pub totals: Option<Totals>,
    pub pieces: Box<dyn Pieces>,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("totals", &self.totals).finish_non_exhaustive()
    }
}

/// Everything as of one position of the log, for who keeps it elsewhere.
pub struct Copied {
    /// Of the last entry it holds.
    pub term: u64,
    pub index: u64,
    /// What the pieces hold.
    pub totals: Totals,
    pub pieces: Box<dyn Pieces>,
}

/// A checkpoint being read, piece by piece, on the state's thread.
pub struct Reading {
    store: Rc<Store>,
    reader: u64,
    cursor: Option<Cursor>,
    ended: bool,
}

impl Reading {
    /// Of a reader that has been opened; closed with this.
    pub fn new(store: Rc<Store>, reader: u64) -> Self {
        Self { store, reader, cursor: None, ended: false }
    }

    async fn piece(&mut self) -> Piece {
        if self.ended {
            return Ok(None);
        }
        let (reader, cursor) = (self.reader, self.cursor.take());
        let (piece, cursor) = self.store.state(move |file| file.read_piece(reader, cursor)).await?;
        self.ended = cursor.is_none();
        self.cursor = cursor;
        Ok(Some(piece))
    }
}

impl Pieces for Reading {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Piece> + '_>> {
        Box::pin(self.piece())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let reader = self.reader;
        self.store.state_later(move |file| file.close_reader(reader));
    }
}
