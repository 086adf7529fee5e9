//! Tools that look at the data directory of a stopped node, under its lock.

use crate::admin::{inspect, verify};
use crate::boot::command::{Command, Instead};
use crate::boot::data::DataDirectory;
use crate::boot::start::{self, Failure};
use crate::raft::{FOLDER, check};
use std::process::ExitCode;

/// Runs one tool and prints what it says.
///
/// # Errors
/// The directory is missing or in use; exit code 2 ([`verify::UNSEEN`]).
pub fn run(
    instead: Instead,
    command: &Command,
    environment: Vec<(String, String)>,
) -> Result<ExitCode, Failure> {
    let path = start::data_directory(command, environment)?;
    let unseen = |text: String| Failure::new(verify::UNSEEN, text);
    if !path.exists() {
        return Err(unseen(format!("data directory {}: there is none", path.display())));
    }
    // Held while looking: a node that runs would change what is looked at.
    let data = DataDirectory::open(&path).map_err(|unusable| unseen(unusable.0))?;
    let folder = data.path().join(FOLDER);
    say_what_panics();
    let (text, code) = match instead {
        Instead::Verify => verify::verify(&folder),
        Instead::Inspect { json } => inspect::inspect(&folder, json),
    };
    print!("{text}");
    Ok(ExitCode::from(code))
}

/// A file can be so wrong that reading it panics, which ends this process where panics abort: then
/// that is what is said about the file.
fn say_what_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match check::reading() {
        Some(file) if cfg!(panic = "abort") => {
            print!("{}", verify::broken(file, &panic.to_string().replace('\n', " ")));
            std::process::exit(i32::from(verify::WRONG));
        }
        Some(_) => {}
        None => before(panic),
    }));
}
