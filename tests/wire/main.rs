//! The real server judged on the wire: each module is a property, each test one line of a
//! checklist. See README.md beside this file.

// A test is no core: it waits, reads the time and has threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod abuse;
mod address_server;
mod auth;
mod auth_attacks;
mod auth_directory;
mod auth_directory_tls;
mod auth_keys;
mod auth_matrix;
mod auth_standing;
mod backup;
mod bad_heads;
mod bad_input;
mod client_queries;
mod command;
mod config;
mod config_admin;
mod config_files;
mod config_http;
mod conformance;
mod curl;
mod datagrams;
mod described;
mod fuzzy_watch;
mod graceful_stop;
mod health_checks;
mod http;
mod http_abuse;
mod http_admin;
mod http_client;
mod http_naming;
mod limits;
mod liveness;
mod naming;
mod node_queries;
mod one_slow_reader;
mod operator;
mod persistent;
#[path = "../process/port.rs"]
mod port;
mod prometheus;
mod push;
mod restart;
#[path = "../process/server.rs"]
mod server;
mod starting;
mod support;
mod switches;
mod tool;
mod walk;
