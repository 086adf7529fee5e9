//! The `nacre` command. All it does is in `boot`; see `nacre --help`.

use clap::Parser;
use nacre::boot::command::Command;
use nacre::boot::start::Failure;
use nacre::boot::{offline, run, start};
use std::process::ExitCode;

/// Small heaps per core, and memory given back when clients leave.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match serve() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("nacre: {}", failure.text);
            ExitCode::from(failure.exit)
        }
    }
}

fn serve() -> Result<ExitCode, Failure> {
    let command = Command::parse();
    // A name or value that is not UTF-8 cannot be a key of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(instead) = &command.instead {
        return offline::run(instead, &command, environment);
    }
    let settings = start::settings(&command, environment)?;
    run::run(start::prepare(settings)?)?;
    Ok(ExitCode::SUCCESS)
}
