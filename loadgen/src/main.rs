//! `nacre-loadgen`: offers load to a Nacos-compatible server, checks answers, reports.

mod command;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match command::Arguments::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("nacre-loadgen: {error}");
            ExitCode::from(2)
        }
    }
}
