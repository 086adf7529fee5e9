//! The wire, judged: recorded messages, two oracles, and fuzzing with a time budget.
//!
//! One binary, so that the samples and the judge are compiled once and nothing of them can rot
//! unused.

mod fuzz;
mod golden;
mod judge;
mod oracle;
mod samples;
