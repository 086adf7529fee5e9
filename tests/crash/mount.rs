//! File systems that a test may fill and break, mounted where a server keeps its data.

use crate::configs::until;
use crate::server::Directory;
use crate::store::{said, skipped};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own at `data` in a server's directory, gone with the value. It must be
/// made before the server, so that it goes after it.
pub struct Mount {
    home: Directory,
}

/// Why there is none.
enum Missing {
    /// Only root may mount, and not in every container.
    Right(String),
    /// A tool is not installed, or something else is wrong.
    Other(String),
}

impl Mount {
    /// A file system in memory of so many bytes; `None` is said and, but for want of the right,
    /// a failure where `CI=true`.
    pub fn memory(bytes: u64) -> Option<Self> {
        Self::new(|data| {
            let size = format!("size={bytes},mode=700");
            mount(&["-t", "tmpfs", "-o", &size, "nacre-test"], data)
        })
    }

    /// An ext4 in a file of so many bytes, which turns read-only at its first error.
    pub fn disk(bytes: u64) -> Option<Self> {
        Self::new(|data| {
            let image = image(data);
            let file = fs::File::create(&image).expect("create an image");
            file.set_len(bytes).expect("size an image");
            run(Command::new("mkfs.ext4").arg("-q").arg(&image)).map_err(Missing::Other)?;
            mount_image(data)
        })
    }

    fn new(make: impl FnOnce(&Path) -> Result<(), Missing>) -> Option<Self> {
        let mount = Self { home: Directory::new("mounted") };
        fs::create_dir(mount.data()).expect("make a mount point");
        let user = fs::metadata("/proc/self").expect("Linux").uid();
        let made = match user {
            0 => make(&mount.data()),
            _ => Err(Missing::Right("only root may mount a disk to fill or break".to_owned())),
        };
        match made {
            Ok(()) => return Some(mount),
            Err(Missing::Right(why)) => said(&why),
            Err(Missing::Other(why)) => skipped(&why),
        }
        None
    }

    /// What a server is started in.
    pub fn home(&self) -> Directory {
        self.home.clone()
    }

    /// The mounted folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Has the kernel find an error in it, as a broken disk would: it is read-only from now on.
    pub fn break_disk(&self) {
        let source = run(Command::new("findmnt").args(["-no", "SOURCE"]).arg(self.data()));
        let source = source.expect("findmnt tells the device of a mount");
        let device = source.trim().trim_start_matches("/dev/");
        // Told as an error of writing on some kernels, since that is what it makes.
        let _ = fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "broken by a test");
        assert!(fs::write(self.data().join("probe"), "x").is_err(), "it is read-only");
    }

    /// What an operator does: takes it away, has it repaired, mounts it again.
    pub fn repair_disk(&self) {
        // A ring outlives its process by a moment, and with it the socket in the data directory.
        until("nobody uses the disk", || run(Command::new("umount").arg(self.data())).is_ok());
        // 1: errors were found and corrected, as they should be.
        let checked = Command::new("e2fsck").arg("-fp").arg(image(&self.data())).output();
        let checked = checked.expect("run e2fsck");
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        assert!(mount_image(&self.data()).is_ok(), "mounted again");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let data = self.data();
        if run(Command::new("umount").arg(&data)).is_err() {
            let _ = run(Command::new("umount").arg("--lazy").arg(&data));
        }
    }
}

fn image(data: &Path) -> PathBuf {
    data.with_file_name("image")
}

fn mount_image(data: &Path) -> Result<(), Missing> {
    let image = image(data);
    let image = image.to_str().expect("paths of the build are text");
    mount(&["-t", "ext4", "-o", "loop,errors=remount-ro", image], data)
}

fn mount(arguments: &[&str], at: &Path) -> Result<(), Missing> {
    let done = run(Command::new("mount").args(arguments).arg(at));
    done.map(drop).map_err(|why| {
        let rights = ["must be superuser", "permission denied", "failed to setup loop device"];
        match rights.iter().any(|right| why.contains(right)) {
            true => Missing::Right(why),
            false => Missing::Other(why),
        }
    })
}

fn run(command: &mut Command) -> Result<String, String> {
    let named = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{named}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{named}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
