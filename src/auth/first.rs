//! The one-time token of the first start: with it the first administrator can be made from another
//! machine. It lies in a file only the server's user can read; whoever can read that could as well
//! ask at the socket.
//!
//! It opens nothing but that one call, which the replicated state refuses once there is an
//! administrator; so it is used up durably, whatever becomes of the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file's name in the data directory.
pub const FILE: &str = "first-administrator.token";

/// Bytes of chance in it; twice as many characters.
const SECRET_BYTES: usize = 32;

/// The token of this data directory.
pub struct FirstToken {
    path: PathBuf,
    text: String,
}

impl std::fmt::Debug for FirstToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstToken").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FirstToken {
    /// The one an earlier start has left, or a new one, which is nowhere yet.
    pub fn of(data: &Path) -> Self {
        let path = data.join(FILE);
        let text = read(&path).unwrap_or_else(|| {
            let secret: [u8; SECRET_BYTES] = rand::random();
            secret.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        Self { path, text }
    }

    /// Where an operator finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is it. Takes as long for any other of its length.
    pub fn opens(&self, shown: &str) -> bool {
        let differences = shown.bytes().zip(self.text.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        shown.len() == self.text.len() && differences == 0
    }

    /// Puts it where an operator finds it.
    ///
    /// # Errors
    /// The disk's; then only this machine can make the first administrator.
    pub fn keep(&self) -> io::Result<()> {
        if read(&self.path).is_some_and(|kept| kept == self.text) {
            return Ok(());
        }
        self.forget();
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&self.path)?;
        writeln!(file, "{}", self.text)
    }

    /// It is used up.
    pub fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(2 * SECRET_BYTES as u64 + 1).read_to_string(&mut text).ok()?;
    let text = text.trim_end();
    let is_one =
        text.len() == 2 * SECRET_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_kept_for_the_server_s_user_and_found_again() {
        let data = std::env::temp_dir().join(format!("nacre-first-{}", std::process::id()));
        let _ = fs::remove_dir_all(&data);
        fs::create_dir(&data).unwrap();
        let first = FirstToken::of(&data);
        assert!(!first.path().exists(), "nobody needs it yet");
        first.keep().unwrap();
        let mode = fs::metadata(first.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(first.path()).unwrap();
        let again = FirstToken::of(&data);
        assert!(again.opens(text.trim()) && first.opens(text.trim()));
        for wrong in ["", "x", &text.trim()[1..], &text, &"0".repeat(64)] {
            assert!(!first.opens(wrong), "{wrong}");
        }
        assert!(!format!("{first:?}").contains(text.trim()));
        fs::write(first.path(), "cut").unwrap();
        assert!(!FirstToken::of(&data).opens("cut"), "what is no token is none");
        first.forget();
        assert!(!first.path().exists());
        fs::remove_dir_all(&data).unwrap();
    }
}
