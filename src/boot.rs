//! From the command line to running cores, and back: settings, what the host offers, data, signals.
//!
//! Runs on the main thread, before any core exists and after the last one ended.

pub mod keys;
pub mod placeholder;
pub mod properties;
pub mod settings;
pub mod source;
