//! `nacre verify`: is what a stopped node left on the disk whole?

use crate::raft::Folder;
use crate::raft::check::{Care, Look, look};
use std::fmt::Write;
use std::path::Path;

/// Everything is as it was written.
pub const FINE: u8 = 0;
/// Something is wrong; it was printed.
pub const WRONG: u8 = 1;
/// It could not be looked at.
pub const UNSEEN: u8 = 2;

/// What to do about anything that is found.
const REMEDY: &str = "\
What to do: nothing was changed by looking. If the group has other members, stop this node, move
its data directory away and let it be filled again; else restore the directory from a backup. Keep
the damaged files, and look at disk and memory: files do not change by themselves.
";

/// Reads every page and every checksum of the files in a folder and says what is wrong; text for
/// the operator and an exit code.
pub fn verify(folder: &Path) -> (String, u8) {
    match look(&Folder::existing(folder), Care::Thorough) {
        Ok(seen) => report(&seen),
        Err(error) => (format!("{}: {error}\n", folder.display()), UNSEEN),
    }
}

fn report(seen: &Look) -> (String, u8) {
    let mut text = String::new();
    for finding in &seen.findings {
        let _ = writeln!(text, "WRONG {finding}");
    }
    if let Some(log) = &seen.log {
        let _ = writeln!(
            text,
            "log.wal: {} bytes, {} entries with {} commands",
            log.bytes, log.entries, log.commands
        );
    }
    if let Some(state) = &seen.state {
        let records: u64 = state.found.0.values().map(|total| total.count).sum();
        let _ = writeln!(text, "state.redb: {} bytes, {records} records", state.bytes);
    }
    if seen.findings.is_empty() {
        let _ = writeln!(text, "fine: every checksum holds, digest {:016x}", seen.digest);
        return (text, FINE);
    }
    text.push_str(REMEDY);
    (text, WRONG)
}

/// What is printed when reading a file fails so badly that nothing else can be said.
pub fn broken(file: &str, why: &str) -> String {
    format!("WRONG {file}: its pages make no sense ({why})\n{REMEDY}")
}
