//! Where the files are: a folder of a real disk, or what tests put in its stead.

pub mod ballast;
mod guard;
mod overlay;
#[cfg(test)]
pub mod sim;

pub use guard::{Guard, Health, now};
pub use overlay::Overlay;

use redb::StorageBackend;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Only the server's own user may look in.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Bytes nobody else knows.
///
/// # Errors
/// The system gives none.
pub fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A folder that holds the files of one node. Used on the storage threads alone, where it may
/// block.
pub trait Place: fmt::Debug + Send + Sync {
    /// Whether there is such a file.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// It is not, or may not be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// Makes an empty file; what had this name is gone.
    ///
    /// # Errors
    /// It cannot be made.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// Gives a finished file its name, durably and at once.
    ///
    /// # Errors
    /// The folder cannot be changed or synced.
    fn publish(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file nobody needs any more.
    ///
    /// # Errors
    /// The folder cannot be changed or synced.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Bytes that may still be written here by this user.
    ///
    /// # Errors
    /// The file system does not say.
    fn free_bytes(&self) -> io::Result<u64>;

    /// How a file is named to an operator.
    fn shown(&self, name: &str) -> String;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_read_only: bool,
}

impl Folder {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), is_read_only: false })
    }

    /// A folder that is only read.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), is_read_only: true }
    }

    /// The same, to be written.
    pub fn to_write(self) -> Self {
        Self { is_read_only: false, ..self }
    }
}

impl Place for Folder {
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let file =
            OpenOptions::new().read(true).write(!self.is_read_only).open(self.path.join(name))?;
        Ok(Box::new(Plain(file)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE);
        Ok(Box::new(Plain(options.open(self.path.join(name))?)))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))?;
        File::open(&self.path)?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.path)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn shown(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// A place under glass: what is written stays in memory and is forgotten.
#[derive(Debug)]
pub struct Glass(Folder);

impl Glass {
    /// Over files that are there and are only read.
    pub fn new(folder: Folder) -> Self {
        Self(folder)
    }
}

impl Place for Glass {
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.0.exists(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(Overlay::new(self.0.open(name)?)?))
    }

    /// A checkpoint a short life never wrote.
    fn create(&self, _: &str) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(redb::backends::InMemoryBackend::new()))
    }

    fn publish(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn shown(&self, name: &str) -> String {
        self.0.shown(name)
    }
}

/// A file, read and written at positions: no lock, no shared cursor. That no second process has
/// it open is the data directory's lock's business.
#[derive(Debug)]
pub struct Plain(pub File);

impl StorageBackend for Plain {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
