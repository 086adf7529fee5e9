//! `nacre backup`: everything that is replicated, as of one position of the log, in a directory
//! with a manifest of its sums.
//!
//! The node only reads: its storage thread hands out a checkpoint's pieces, which later checkpoints
//! do not change, one at a time as they are taken. The files are written by the tool, under another
//! name until they are whole and on the disk; so neither a slow disk nor a full one is the node's
//! business, and a directory of the wanted name is a whole backup.

use super::shown;
use super::wire::{Answered, Out, Refusal, Sink};
use crate::pump::replica::Replica;
use crate::raft::encoding::{Totals, table};
use crate::raft::{Fault, Group};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file of the sums.
pub const MANIFEST: &str = "manifest.json";

/// The file of the records: pieces with their lengths before them, each with its own checksum.
pub const STATE: &str = "state.nacre";

/// Version of both; another one is refused.
pub const FORMAT: u32 = 1;

/// Bytes before each piece: its length.
pub const LENGTH_BYTES: usize = 4;

/// It holds hashes of passwords and the key of tokens.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The program that made it.
    pub version: String,
    pub made_ms: u64,
    /// Whose state it was.
    pub node: String,
    pub cluster: String,
    /// The last log entry it holds.
    pub term: u64,
    pub index: u64,
    /// By number.
    pub families: BTreeMap<u8, Family>,
    pub pieces: u64,
    pub bytes: u64,
    /// Of [`STATE`].
    pub sha256: String,
}

/// What there is of one family of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Family {
    pub name: String,
    pub records: u64,
    /// A sum over the records' checksums.
    pub digest: String,
}

impl Manifest {
    /// The families as the store knows them.
    ///
    /// # Errors
    /// A digest that is none.
    pub fn totals(&self) -> Result<Totals, String> {
        let mut totals = Totals::default();
        for (number, family) in &self.families {
            let digest = u64::from_str_radix(&family.digest, 16);
            let digest = digest.map_err(|_| format!("digest of {}", family.name))?;
            let total = crate::raft::encoding::Total { count: family.records, digest };
            totals.0.insert(*number, total);
        }
        Ok(totals)
    }

    /// The file's text: the manifest with its own sum beside it.
    fn sealed(&self) -> Result<String, serde_json::Error> {
        let manifest = serde_json::to_value(self)?;
        let sealed = json!({ "manifest": manifest, "sha256": sum(self)? });
        Ok(format!("{sealed:#}\n"))
    }

    /// Reads what [`Manifest::sealed`] wrote.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn unseal(text: &str) -> Result<Self, String> {
        let broken = |error: serde_json::Error| format!("{MANIFEST} cannot be read: {error}");
        let mut sealed: Value = serde_json::from_str(text).map_err(broken)?;
        let format = &sealed["manifest"]["format"];
        if format.as_u64() != Some(u64::from(FORMAT)) {
            return Err(format!("{MANIFEST} is of format {format}; this nacre knows {FORMAT}"));
        }
        let manifest: Self = serde_json::from_value(sealed["manifest"].take()).map_err(broken)?;
        if sealed["sha256"] != sum(&manifest).map_err(broken)? {
            return Err(format!("{MANIFEST} was changed: its own sum is wrong"));
        }
        Ok(manifest)
    }
}

fn sum(manifest: &Manifest) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(serde_json::to_vec(manifest)?)))
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The node's half: what the backup will be, then its pieces.
///
/// # Errors
/// The disk's: a checkpoint has to be written first.
pub async fn write(group: &Group<Replica>, out: &mut impl Out) -> Answered {
    let refused = |fault: Fault| Refusal::no(format!("no backup was made: {fault}"));
    let status = group.status();
    let mut copied = group.copy().await.map_err(refused)?;
    let families = copied.totals.0.iter().map(|(number, total)| {
        let name = table(*number).map_or("unknown".to_owned(), |table| format!("{table:?}"));
        let digest = format!("{:016x}", total.digest);
        (*number, Family { name: name.to_lowercase(), records: total.count, digest })
    });
    out.part(json!({
        "node": format!("{:016x}", status.node),
        "cluster": format!("{:032x}", status.cluster),
        "term": copied.term,
        "index": copied.index,
        "families": families.collect::<BTreeMap<_, _>>(),
    }))
    .await?;
    let mut pieces = 0_u64;
    while let Some(piece) = copied.pieces.next().await.map_err(refused)? {
        pieces += 1;
        out.bytes(piece).await?;
    }
    Ok(json!({ "pieces": pieces }))
}

/// The tool's half: a directory being filled.
#[derive(Debug)]
pub struct Keeper {
    target: PathBuf,
    draft: PathBuf,
    file: File,
    sum: Sha256,
    head: Option<Value>,
    pieces: u64,
    bytes: u64,
    is_done: bool,
}

impl Keeper {
    /// Begins beside the directory that will be the backup.
    ///
    /// # Errors
    /// The directory is there and not empty, or cannot be made here.
    pub fn new(target: &Path) -> Result<Self, Refusal> {
        let shown = target.display();
        if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
            let text = format!("{shown} is not empty; name a directory that is not there yet");
            return Err(Refusal::no(text));
        }
        let cannot = |error: io::Error| Refusal::unseen(format!("{shown} cannot be made: {error}"));
        let name = target.file_name().ok_or_else(|| cannot(io::ErrorKind::InvalidInput.into()))?;
        let mut draft = name.to_owned();
        draft.push(format!(".partial-{}", std::process::id()));
        let draft = target.with_file_name(draft);
        // A dead process of our number may have left one.
        let _ = fs::remove_dir_all(&draft);
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&draft).map_err(cannot)?;
        let file = new_file(&draft.join(STATE)).map_err(cannot)?;
        let (sum, target) = (Sha256::new(), target.to_owned());
        let (head, pieces, bytes, is_done) = (None, 0, 0, false);
        Ok(Self { target, draft, file, sum, head, pieces, bytes, is_done })
    }

    /// The answer has ended: makes it a backup, durably and at once.
    ///
    /// # Errors
    /// It is not whole, or the disk's.
    pub fn finish(mut self, done: &Value, made_ms: u64) -> Result<Manifest, Refusal> {
        let target = self.target.display().to_string();
        let manifest = self
            .manifest(done, made_ms)
            .ok_or_else(|| Refusal::unseen("the node's answer is not whole; no backup was made"))?;
        let kept = (|| {
            self.file.sync_all()?;
            let mut file = new_file(&self.draft.join(MANIFEST))?;
            file.write_all(manifest.sealed()?.as_bytes())?;
            file.sync_all()?;
            File::open(&self.draft)?.sync_all()?;
            fs::rename(&self.draft, &self.target)?;
            self.is_done = true;
            match self.target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => File::open(".")?.sync_all(),
            }
        })();
        kept.map_err(|error: io::Error| {
            Refusal::unseen(format!("{target} cannot be written: {error}; no backup was made"))
        })?;
        Ok(manifest)
    }

    fn manifest(&mut self, done: &Value, made_ms: u64) -> Option<Manifest> {
        let head = self.head.take()?;
        if done["pieces"].as_u64() != Some(self.pieces) {
            return None;
        }
        Some(Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_ms,
            node: head["node"].as_str()?.to_owned(),
            cluster: head["cluster"].as_str()?.to_owned(),
            term: head["term"].as_u64()?,
            index: head["index"].as_u64()?,
            families: serde_json::from_value(head["families"].clone()).ok()?,
            pieces: self.pieces,
            bytes: self.bytes,
            sha256: hex(&std::mem::take(&mut self.sum).finalize()),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        let shown = self.draft.join(STATE).display().to_string();
        self.file.write_all(bytes).map_err(|error| io::Error::other(format!("{shown}: {error}")))
    }
}

impl Sink for Keeper {
    fn part(&mut self, part: Value) -> io::Result<()> {
        self.head = Some(part);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.append(&length.to_le_bytes())?;
        self.append(bytes)?;
        self.pieces += 1;
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_dir_all(&self.draft);
        }
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// What was made, for a person.
pub fn text(manifest: &Manifest, target: &Path) -> String {
    let families = manifest.families.values();
    let families: Vec<String> =
        families.map(|family| format!("{} {}", family.records, family.name)).collect();
    format!(
        "{}: everything up to log entry {} of term {}, {}; {}\n\
         keep it safe: it holds the hashes of passwords and the key of tokens\n",
        target.display(),
        manifest.index,
        manifest.term,
        shown::bytes(&manifest.bytes.into()),
        families.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let family = Family { name: "config".to_owned(), records: 3, digest: "00ff".to_owned() };
        Manifest {
            format: FORMAT,
            version: "0".to_owned(),
            made_ms: 1,
            node: "n".to_owned(),
            cluster: "c".to_owned(),
            term: 2,
            index: 9,
            families: BTreeMap::from([(1, family)]),
            pieces: 1,
            bytes: 10,
            sha256: "x".to_owned(),
        }
    }

    #[test]
    fn a_manifest_is_read_back_and_any_change_is_seen() {
        let sealed = manifest().sealed().unwrap();
        assert_eq!(Manifest::unseal(&sealed).unwrap(), manifest());
        assert_eq!(manifest().totals().unwrap().0[&1].digest, 0xff);
        for (what, by) in [("\"index\": 9", "\"index\": 8"), ("config", "gonfig")] {
            assert!(sealed.contains(what));
            let why = Manifest::unseal(&sealed.replace(what, by)).unwrap_err();
            assert!(why.contains("was changed"), "{why}");
        }
        let newer = sealed.replace("\"format\": 1", "\"format\": 2");
        assert!(Manifest::unseal(&newer).unwrap_err().contains("of format 2"));
        for text in ["", "{", "[]", "null"] {
            assert!(Manifest::unseal(text).is_err(), "{text}");
        }
    }
}
