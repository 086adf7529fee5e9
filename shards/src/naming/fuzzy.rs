//! Patterns of fuzzy watches.

use crate::key::ServiceKey;

/// `namespace>>groupPattern>>servicePattern`, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    namespace: Box<str>,
}

impl Pattern {
    /// `None` with fewer than three parts.
    pub fn parse(_text: &str) -> Option<Self> {
        todo!()
    }

    /// Exact namespace of the pattern.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether a service's name matches.
    pub fn matches(&self, _service: &ServiceKey) -> bool {
        todo!()
    }
}
