//! A service as it stood at one revision, immutable and shared between cores.

use crate::key::ServiceKey;
use bytes::Bytes;

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
    service: ServiceKey,
}

impl View {
    /// Whose instances these are.
    pub fn service(&self) -> &ServiceKey {
        &self.service
    }

    /// The `ServiceInfo` JSON under a filter; shared when the filter selects everything, else built.
    pub fn body(&self, _filter: &Filter) -> Bytes {
        todo!()
    }
}

/// Filtered bodies of one service at one revision, kept by whoever answers with them often
/// (at most [`crate::limits::FILTERED_BODIES_MAX`]).
#[derive(Debug, Default)]
pub struct Bodies {
    _kept: Vec<(Filter, Bytes)>,
}

impl Bodies {
    /// `view.body(filter)`, built once per revision and filter.
    pub fn get(&mut self, view: &View, filter: &Filter) -> Bytes {
        view.body(filter)
    }
}
