//! A service as it stood at one revision, immutable and shared between cores.

/// What part of a service somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Comma-separated; `None` (absent or null) and blank mean all.
    pub clusters: Option<Box<str>>,
    pub healthy_only: bool,
}

/// All published instances of a service at one revision.
#[derive(Debug, PartialEq)]
pub struct View {
    /// Strictly increasing per service; also its `lastRefTime` (Go clients drop an equal one).
    pub revision: u64,
}
