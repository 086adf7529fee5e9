//! A file that only takes room, so that a node whose disk was filled to the last byte can still
//! start: it lets go of it and has what a start must write.

use super::FOLDER_MODE;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The file in the store's folder.
const NAME: &str = "ballast";

/// Its size, in bytes: a vote, an entry and a checkpoint of a few configs.
const BYTES: u64 = 4 << 20;

/// Free bytes beyond which the room is taken.
const TAKEN_FROM_BYTES: u64 = 8 * BYTES;

/// Lets go of the ballast when nothing else is left, or takes it when there is plenty. Before the
/// store is opened, under the data directory's lock. A file system that cannot set room aside goes
/// without.
///
/// # Errors
/// The folder cannot be made, or its file system does not say what is free.
pub fn settle(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    let system = statvfs(folder)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let path = folder.join(NAME);
    let is_there = path.try_exists()?;
    if is_there && free < BYTES {
        return fs::remove_file(path);
    }
    if !is_there && free >= TAKEN_FROM_BYTES {
        let file = File::create(&path)?;
        if fallocate(&file, FallocateFlags::empty(), 0, BYTES).is_err() {
            return fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_once() {
        let folder = std::env::temp_dir().join(format!("nacre-ballast-{}", std::process::id()));
        settle(&folder).unwrap();
        let size = || fs::metadata(folder.join(NAME)).map(|file| file.len()).ok();
        let system = statvfs(&folder).unwrap();
        let is_roomy = system.f_bavail.saturating_mul(system.f_frsize) > 2 * TAKEN_FROM_BYTES;
        if is_roomy && let Some(size) = size() {
            assert_eq!(size, BYTES);
        }
        settle(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
