//! From the command line to running cores, and back: settings, what the host offers, data, signals.
//!
//! Runs on the main thread, before any core exists and after the last one ended.

#![allow(unsafe_code)]

pub mod command;
pub mod core;
pub mod cores;
pub mod data;
pub mod durable;
pub mod host;
pub mod keys;
pub mod listen;
pub mod memory;
pub mod offline;
pub mod passwords;
pub mod placeholder;
pub mod probe;
pub mod prompt;
pub mod properties;
pub mod run;
pub mod settings;
pub mod signals;
pub mod source;
pub mod start;
pub mod stop;
pub mod token_key;
