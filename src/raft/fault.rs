//! What can be wrong with the disk, and what follows from it.

use std::fmt;
use std::io;

/// Why storage did not do what it was asked to. Each is a sentence for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No space is left: writes are refused until there is, then everything goes on by itself.
    Full(String),
    /// The disk lost something or may have: no write is taken until a restart, because a second
    /// try may falsely succeed.
    Latched(String),
    /// What is on the disk cannot be right, or is not ours: refuse to start.
    Damaged(String),
    /// The disk is fine, what was asked of it was not.
    Refused(String),
}

impl Fault {
    /// The sentence.
    pub fn text(&self) -> &str {
        match self {
            Fault::Full(text)
            | Fault::Latched(text)
            | Fault::Damaged(text)
            | Fault::Refused(text) => text,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        io::Error::other(fault)
    }
}

/// Whether an error says that there is no room, on the file system or for this user.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
