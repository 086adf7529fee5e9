//! The one place of this crate that reads the clock.

use std::time::Instant;

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "a client has no turns: this is its one clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The calendar, for reports.
#[allow(clippy::disallowed_methods, reason = "reports say when they were made")]
pub fn calendar() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
