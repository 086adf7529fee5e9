//! Keys of tokens and their files: the properties file is looked at for another key, and the
//! replicated key is kept in a file of the node's own.
//!
//! On the password thread, which no core waits for: a slow file system stalls logins at worst.

use crate::auth::keys::Keys;
use crate::boot::settings::{self, Settings};
use crate::pump::clock::{Clock, Epoch};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nacre_shards::auth::identities::SigningKey;
use nacre_shards::config::table::Tables;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often files are looked at: a key may count so long after it was replaced.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Name of the node's own file in its data directory.
const FILE: &str = "token.key";

/// Only the user the node runs as may read it.
const FILE_MODE: u32 = 0o600;

/// What a file looks like from outside; editors replace a file or write into it.
type Stamp = (u64, u64, i64, i64);

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some((about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}

/// Reads the replicated key as this node kept it; `None` if there is none that can sign.
pub fn kept(data: &Path) -> Option<Vec<u8>> {
    let text = fs::read_to_string(data.join(FILE)).ok()?;
    STANDARD.decode(text.trim()).ok().filter(|key| key.len() >= crate::auth::limits::KEY_BYTES_MIN)
}

/// Looks after the files of keys.
pub struct KeyFiles {
    keys: Arc<Keys>,
    tables: Arc<Tables>,
    /// The properties file, if the key may be in it, and how it was when it was read last.
    properties: Option<(PathBuf, Option<Stamp>)>,
    /// The node's own file, and what is in it.
    own: PathBuf,
    written: Option<SigningKey>,
    clock: Clock,
    next_ms: u64,
}

impl KeyFiles {
    pub fn new(settings: &Settings, keys: &Arc<Keys>, tables: &Arc<Tables>, epoch: Epoch) -> Self {
        let (keys, tables) = (keys.clone(), tables.clone());
        let file = settings.file.clone().filter(|_| settings.auth.key_in_file);
        let properties = file.map(|path| {
            let stamp = stamp(&path);
            (path, stamp)
        });
        let written = kept(&settings.data).map(|key| SigningKey(key.into()));
        let own = settings.data.join(FILE);
        Self { keys, tables, properties, own, written, clock: Clock::new(epoch), next_ms: 0 }
    }

    /// Looks, if it is time.
    pub fn look(&mut self) {
        let now_ms = self.clock.tick().now.tick_ms;
        if now_ms < self.next_ms {
            return;
        }
        self.next_ms = now_ms + LOOK_EVERY.as_millis() as u64;
        self.follow_setting();
        self.keep_replicated();
    }

    fn follow_setting(&mut self) {
        let Some((path, known)) = &mut self.properties else { return };
        let now = stamp(path);
        // A file that is being replaced is looked at when it is there again.
        if now.is_none() || now == *known {
            return;
        }
        *known = now;
        let environment = std::env::vars().collect();
        match settings::key_of_file(path, environment) {
            Ok(Some(signer)) => {
                let token = |signer: &crate::auth::token::Signer| signer.issue("", 0);
                if self.keys.named().is_none_or(|known| token(&known) != token(&signer)) {
                    self.keys.name(signer);
                    tracing::info!(target: "nacre::auth", "tokens are signed with another key");
                }
            }
            Ok(None) if !self.keys.is_named() => {}
            Ok(None) => self.refused(
                "the key of tokens is gone from the settings; it counts until the next start",
            ),
            Err(why) => self.refused(&format!("the key of tokens stays as it was: {why}")),
        }
    }

    fn refused(&self, why: &str) {
        self.keys.refuse();
        tracing::warn!(target: "nacre::auth", "{why}");
    }

    /// A copy for the operator's backups, and for a state that was lost: tokens outlive it.
    fn keep_replicated(&mut self) {
        let key = self.tables.identities().now().signing_key().cloned();
        if key.is_none() || key == self.written {
            return;
        }
        let text = STANDARD.encode(&key.as_ref().expect("looked at above").0);
        match write(&self.own, &text) {
            Ok(()) => self.written = key,
            Err(error) => {
                tracing::warn!(target: "nacre::auth", "keep {}: {error}", self.own.display());
            }
        }
    }
}

/// Replaces a file whole, readable for its owner alone from its first byte on.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("key.new");
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(FILE_MODE).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_own_file_is_the_owners_alone_and_is_read_back() {
        let folder = std::env::temp_dir().join(format!("nacre-token-key-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(kept(&folder), None);
        for key in [[7; 64], [8; 64]] {
            write(&folder.join(FILE), &STANDARD.encode(key)).unwrap();
            assert_eq!(kept(&folder), Some(key.to_vec()));
        }
        let mode = fs::metadata(folder.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
        fs::write(folder.join(FILE), "c2hvcnQ=").unwrap();
        assert_eq!(kept(&folder), None, "too short to sign with");
        fs::remove_dir_all(&folder).unwrap();
    }
}
