//! One redb file: opened, written and read with every error turned into what follows from it.

use super::Shared;
use super::blame::Blame;
use super::early::Verified;
use crate::raft::counters::{Count, Counters};
use crate::raft::encoding::{seal, unseal};
use crate::raft::fault::Fault;
use crate::raft::limits::STORE_CACHE_BYTES;
use crate::raft::place::{Guard, Place};
use bytes::Bytes;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};
use std::sync::Arc;

/// The small table of each file: who it belongs to, and what there is one of.
pub const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// Key of the version of everything in the file that is ours.
const FORMAT: &str = "format";

/// The version this program writes. A newer one is refused. An older one is read as it is, and
/// becomes this one with the first transaction that may write what it does not know.
///
/// 2: contents of history apart from its rows, and none of inserts.
pub const FORMAT_VERSION: u32 = 2;

/// The oldest version this program reads.
const FORMAT_OLDEST: u32 = 1;

/// Key of node and cluster id.
const IDENTITY: &str = "identity";

/// What is wrong with a file of no bytes: ours get their name when they are whole.
pub const EMPTY: &str = "it is empty, which it never was";

/// Who a data directory belongs to. Made at the first start, kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// This node among the members of its group; never 0.
    pub node: u64,
    /// The group. Members of another one are not ours.
    pub cluster: u128,
}

/// What went wrong inside a transaction.
#[derive(Debug)]
pub enum Broken {
    Redb(redb::Error),
    /// What was read cannot be right.
    Wrong(String),
}

impl From<String> for Broken {
    fn from(wrong: String) -> Self {
        Broken::Wrong(wrong)
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Broken::Redb(redb::Error::Io(error))
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Broken {
            fn from(error: redb::$error) -> Self {
                Broken::Redb(error.into())
            }
        })*
    };
}

from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

/// A file that is open, or was until something went wrong.
#[derive(Debug)]
pub struct Book {
    shared: Shared,
    name: &'static str,
    length: fn(&Counters) -> &Count,
    open: Option<Database>,
    /// Its format is an older one.
    is_older: bool,
    blame: Blame,
}

impl Book {
    /// Nothing is open yet. `length` names the gauge of the file's length.
    pub fn new(shared: &Shared, name: &'static str, length: fn(&Counters) -> &Count) -> Self {
        Self {
            shared: shared.clone(),
            name,
            length,
            open: None,
            is_older: false,
            blame: Blame::new(shared, name),
        }
    }

    fn place(&self) -> &Arc<dyn Place> {
        &self.shared.place
    }

    /// What the metrics are told.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The place.
    pub fn free_bytes(&self) -> std::io::Result<u64> {
        self.place().free_bytes()
    }

    /// Whether the file is there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn exists(&self) -> Result<bool, Fault> {
        self.place().exists(self.name).map_err(|error| self.blame.io("look for", &error))
    }

    /// Makes the file under another name, has it filled, and gives it its name: it is there whole
    /// or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(
        &mut self,
        identity: Identity,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), Broken>,
    ) -> Result<(), Fault> {
        let draft = format!("{}.new", self.name);
        let file = self.place().create(&draft).map_err(|error| self.blame.io("create", &error))?;
        self.open_with(file, None)?;
        self.write("create", false, |txn| {
            put_format(txn)?;
            let mut meta = txn.open_table(META)?;
            let mut bytes = identity.node.to_le_bytes().to_vec();
            bytes.extend_from_slice(&identity.cluster.to_le_bytes());
            put_meta(&mut meta, IDENTITY, &bytes)?;
            drop(meta);
            fill(txn)
        })?;
        self.place().publish(&draft, self.name).map_err(|error| self.blame.io("name", &error))
    }

    /// Opens the file, repairs what an abrupt end left, and checks whose it is. `verified` is told
    /// when its pages are known to be right.
    ///
    /// # Errors
    /// The disk's; a newer format; contents that cannot be right.
    pub fn open(&mut self, verified: Option<Verified>) -> Result<Identity, Fault> {
        self.blame.forget();
        let file = self.place().open(self.name).map_err(|error| self.blame.io("open", &error))?;
        if file.len().map_err(|error| self.blame.io("open", &error))? == 0 {
            // Redb would make a new store of it.
            return Err(self.note("open", Broken::Wrong(EMPTY.to_owned())));
        }
        self.open_with(file, Some(verified))?;
        self.identity()
    }

    /// `old`: it was there before, and who wants to know when it is found right.
    fn open_with(
        &mut self,
        file: Box<dyn StorageBackend>,
        old: Option<Option<Verified>>,
    ) -> Result<(), Fault> {
        let Shared { health, counters, .. } = self.shared.clone();
        let guard = Guard::new(file, health, counters, self.length);
        let mut builder = Builder::new();
        builder.set_cache_size(STORE_CACHE_BYTES);
        // Every page is read and its checksum checked: a plain open trusts a file that was closed
        // in order, and a bit flipped in its free list would let live pages be overwritten.
        builder.set_check_integrity_on_open(old.is_some());
        if let Some(verified) = old.flatten() {
            builder.set_repair_callback(move |session| verified.follow(session));
        }
        let opened = builder.create_with_backend(guard);
        self.open = Some(opened.map_err(|error| self.note("open", error.into()))?);
        Ok(())
    }

    /// Whose file it is.
    fn identity(&mut self) -> Result<Identity, Fault> {
        let (identity, format) = self.read("look at", |txn| {
            let meta = txn.open_table(META)?;
            Ok((read_identity(&meta)?, read_format(&meta)?))
        })?;
        self.is_older = format < FORMAT_VERSION;
        Ok(identity)
    }

    /// One transaction, durable when this returns. `quick` makes it slower and the next start
    /// after a crash faster (redb's quick repair).
    ///
    /// # Errors
    /// The disk's, or the work's; then nothing of it is there.
    pub fn write<T>(
        &mut self,
        what: &str,
        quick: bool,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Broken>,
    ) -> Result<T, Fault> {
        let result = (|| {
            let mut txn = self.database()?.begin_write()?;
            txn.set_quick_repair(quick);
            if self.is_older {
                put_format(&txn)?;
            }
            let done = work(&txn)?;
            txn.commit()?;
            Ok(done)
        })();
        self.is_older &= result.is_err();
        result.map_err(|broken| self.note(what, broken))
    }

    /// What follows from what went wrong.
    pub fn note(&mut self, what: &str, broken: Broken) -> Fault {
        self.blame.note(what, broken)
    }

    /// A transaction that is not finished yet.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin(&mut self, what: &str) -> Result<WriteTransaction, Fault> {
        let begun = self.database().and_then(|open| {
            let txn = open.begin_write()?;
            put_format(&txn)?;
            Ok(txn)
        });
        begun.map_err(|broken| self.note(what, broken))
    }

    /// A look that later writes do not change.
    ///
    /// # Errors
    /// The disk's.
    pub fn look(&mut self, what: &str) -> Result<ReadTransaction, Fault> {
        let begun = self.database().and_then(|open| Ok(open.begin_read()?));
        begun.map_err(|broken| self.note(what, broken))
    }

    /// Reads.
    ///
    /// # Errors
    /// The disk's, or what was read cannot be right.
    pub fn read<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Broken>,
    ) -> Result<T, Fault> {
        let txn = self.look(what)?;
        work(&txn).map_err(|broken| self.note(what, broken))
    }

    fn database(&self) -> Result<&Database, Broken> {
        let closed = || Broken::Redb(redb::Error::DatabaseClosed);
        self.open.as_ref().ok_or_else(closed)
    }

    /// Closes the file in order; after an error, as well as can be.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&mut self) -> Result<(), Fault> {
        match self.open.take() {
            Some(open) => open.close().map_err(|error| self.note("close", error.into())),
            None => Ok(()),
        }
    }
}

/// Its format, which this program knows.
fn read_format(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<u32, Broken> {
    let format = get_meta(meta, FORMAT)?.ok_or("it has no format version".to_owned())?;
    let format = format.as_ref().try_into().map(u32::from_le_bytes);
    match format.map_err(|_| "its format version is cut off".to_owned())? {
        known @ FORMAT_OLDEST..=FORMAT_VERSION => Ok(known),
        newer if newer > FORMAT_VERSION => Err(Broken::Wrong(format!(
            "its format is {newer}, written by a newer nacre; this one knows {FORMAT_VERSION}"
        ))),
        older => Err(Broken::Wrong(format!("its format is {older}, which never was"))),
    }
}

fn put_format(txn: &WriteTransaction) -> Result<(), Broken> {
    put_meta(&mut txn.open_table(META)?, FORMAT, &FORMAT_VERSION.to_le_bytes())
}

/// Whose file it is, and that this program knows its format.
pub fn read_identity(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Identity, Broken> {
    read_format(meta)?;
    let bytes = get_meta(meta, IDENTITY)?.ok_or("it does not say whose it is".to_owned())?;
    let cut = || Broken::Wrong("it does not say whole whose it is".to_owned());
    let (node, cluster) = bytes.split_at_checked(8).ok_or_else(cut)?;
    Ok(Identity {
        node: u64::from_le_bytes(node.try_into().map_err(|_| cut())?),
        cluster: u128::from_le_bytes(cluster.try_into().map_err(|_| cut())?),
    })
}

/// A value of the small table, checked.
pub fn get_meta(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Bytes>, Broken> {
    match meta.get(key)? {
        Some(sealed) => Ok(Some(unseal(key, sealed.value())?)),
        None => Ok(None),
    }
}

/// Puts a value into the small table.
pub fn put_meta(
    meta: &mut redb::Table<'_, &'static str, &'static [u8]>,
    key: &str,
    value: &[u8],
) -> Result<(), Broken> {
    meta.insert(key, seal(key, value).as_slice())?;
    Ok(())
}
