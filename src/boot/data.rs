//! The data directory and the lock that keeps a second process out of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Only the server's own user may look in: what is registered is nobody else's business.
const DIRECTORY_MODE: u32 = 0o700;

/// The lock's file in the data directory.
pub const LOCK_FILE: &str = "nacre.lock";

/// Characters of a process id in the lock file, filled up with blanks.
const HOLDER_WIDTH: usize = 20;

/// Bytes of the lock file that are read: a process id.
const HOLDER_BYTES_MAX: u64 = 32;

/// The data directory, held by this process until dropped or until the process ends, however it
/// ends.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    // The kernel drops the lock with the last descriptor, also after kill -9.
    lock: File,
    found_killed: bool,
}

/// Why the directory cannot be used, as a sentence with its remedy.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl DataDirectory {
    /// Creates the directory where it is missing and takes its lock.
    ///
    /// # Errors
    /// It cannot be created or written, or another process holds it; then its id is named.
    pub fn open(path: &Path) -> Result<DataDirectory, Unusable> {
        let unusable = |what: &str, error: io::Error| {
            let shown = path.display();
            Unusable(format!("data directory {shown}: {what}: {error}; choose another with --data"))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map_err(|error| unusable("cannot be created", error))?;
        let path = path.canonicalize().map_err(|error| unusable("cannot be read", error))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(|error| unusable("cannot be written", error))?;
        match take_lock(&lock) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Unusable(in_use(&path, &lock)));
            }
            Err(error) => return Err(unusable("cannot be locked", error)),
        }
        let found_killed = holder(&lock).is_some();
        write_holder(&lock, &std::process::id().to_string())
            .map_err(|error| unusable("cannot be written", error))?;
        Ok(DataDirectory { path, lock, found_killed })
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether who held it last was killed: he did not take his name out.
    pub fn found_killed(&self) -> bool {
        self.found_killed
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        // A name that stays makes the next start more patient than it need be, no more.
        let _ = write_holder(&self.lock, "");
    }
}

fn take_lock(file: &File) -> io::Result<()> {
    // SAFETY: flock only looks at the descriptor, which `file` keeps open for the whole call.
    let done = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Over what is there, in a fixed width: giving bytes back before writing others would lose the
/// right to start to a disk that is full by then. Who cannot be named is locked all the same.
fn write_holder(lock: &File, name: &str) -> io::Result<()> {
    let holder = format!("{name:<HOLDER_WIDTH$}\n");
    match lock.write_all_at(holder.as_bytes(), 0) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
        written => written?,
    }
    let is_longer = lock.metadata()?.len() > holder.len() as u64;
    if is_longer { lock.set_len(holder.len() as u64) } else { Ok(()) }
}

/// The process named in the file.
fn holder(lock: &File) -> Option<u32> {
    let mut name = String::new();
    lock.take(HOLDER_BYTES_MAX).read_to_string(&mut name).ok()?;
    name.trim().parse().ok()
}

fn in_use(path: &Path, lock: &File) -> String {
    let holder = match holder(lock) {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    };
    let shown = path.display();
    format!("data directory {shown}: in use by {holder}; stop it, or choose another with --data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of its own, gone with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let name = format!("nacre-data-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn creates_holds_and_gives_back() {
        let scratch = Scratch::new("holds");
        let path = scratch.0.join("a/b");
        let held = DataDirectory::open(&path).unwrap();
        let mode = std::fs::metadata(held.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, DIRECTORY_MODE);
        assert!(held.path().is_absolute());
        // flock counts per open file, so a second open in one process is a second holder.
        let Unusable(refusal) = DataDirectory::open(&path).unwrap_err();
        let own = format!("in use by process {};", std::process::id());
        assert!(refusal.contains(&own), "{refusal}");
        drop(held);
        assert!(!DataDirectory::open(&path).unwrap().found_killed());
        // A killed process gives the lock back, its name stays.
        std::fs::write(path.join(LOCK_FILE), "4711\n").unwrap();
        assert!(DataDirectory::open(&path).unwrap().found_killed());
        assert!(!DataDirectory::open(&path).unwrap().found_killed());
    }

    #[test]
    fn a_stale_longer_id_is_overwritten() {
        let scratch = Scratch::new("stale");
        let read = || std::fs::read_to_string(scratch.0.join(LOCK_FILE)).unwrap();
        for stale in ["99999999999999\n".to_owned(), "9".repeat(99), "1\n".to_owned()] {
            std::fs::write(scratch.0.join(LOCK_FILE), stale).unwrap();
            let held = DataDirectory::open(&scratch.0).unwrap();
            assert_eq!(read().trim_end(), std::process::id().to_string());
            let Unusable(refusal) = DataDirectory::open(&scratch.0).unwrap_err();
            assert!(refusal.contains(&format!("process {};", std::process::id())), "{refusal}");
            drop(held);
        }
        assert_eq!(read().len(), HOLDER_WIDTH + 1, "a start writes over what is there");
    }

    #[test]
    fn a_file_in_the_way() {
        let scratch = Scratch::new("file");
        let path = scratch.0.join("data");
        std::fs::write(&path, "").unwrap();
        let Unusable(refusal) = DataDirectory::open(&path).unwrap_err();
        assert!(refusal.contains("cannot be created"), "{refusal}");
        assert!(refusal.contains("--data"), "{refusal}");
    }
}
