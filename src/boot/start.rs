//! From the command line to everything a node needs before its cores exist, or to the reason why
//! not.

use crate::admin::{log, process};
use crate::boot::command::Command;
use crate::boot::data::DataDirectory;
use crate::boot::host::{self, Host};
use crate::boot::listen;
use crate::boot::probe;
use crate::boot::properties::FILE_BYTES_MAX;
use crate::boot::settings::{self, Settings, Sources};
use crate::boot::signals::Signals;
use crate::boot::source::Refusal;
use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Exit codes; `--help` lists them. 2 is the command line's own.
pub mod exit {
    pub const FAILED: u8 = 1;
    pub const SETTINGS: u8 = 3;
    pub const MACHINE: u8 = 4;
    pub const DATA: u8 = 5;
    pub const ADDRESS: u8 = 6;
}

/// Why the server does not start: the exit code, and sentences for the operator.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: u8,
    pub text: String,
}

impl Failure {
    pub fn new(exit: u8, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into() }
    }

    fn refused(refusals: &[Refusal]) -> Failure {
        let lines: Vec<_> = refusals.iter().map(Refusal::to_string).collect();
        Failure::new(exit::SETTINGS, lines.join("\n"))
    }
}

/// All a node needs before its first core.
#[derive(Debug)]
pub struct Ready {
    pub settings: Settings,
    /// Held for as long as the node runs.
    pub data: DataDirectory,
    pub signals: Signals,
    /// The console's own port on each host; none when it was left out.
    pub console: Vec<TcpListener>,
}

/// The file in the data directory that is read when none is named.
const DEFAULT_FILE: &str = "conf/application.properties";

/// The reference's list of members, beside its properties file.
const MEMBERS_FILE: &str = "cluster.conf";

/// Reads and judges settings: command line, environment, file.
///
/// # Errors
/// A value that cannot work, or a file that cannot be read.
pub fn settings(
    command: &Command,
    environment: Vec<(String, String)>,
) -> Result<Settings, Failure> {
    let mut sources =
        Sources { flags: command.flags(), environment, cpus: host::cpus(), ..Sources::default() };
    let refused = |refusals: Vec<Refusal>| Failure::refused(&refusals);
    let data = Settings::data_directory(&sources).map_err(refused)?;
    let found = data.join(DEFAULT_FILE);
    let file = match &command.config {
        Some(named) => Some(named.clone()),
        None => found.exists().then_some(found),
    };
    let mut directories = vec![data.join("conf")];
    if let Some(path) = file {
        let bytes = read_bounded(&path)
            .map_err(|error| Failure::refused(&[settings::bad_file(&path, &error.to_string())]))?;
        directories.extend(path.parent().map(Path::to_owned));
        sources.file = Some((path, bytes));
    }
    sources.member_files = member_files(directories)?;
    let settings = Settings::read(&sources).map_err(refused)?;
    if command.config.is_none() && settings.data != data {
        let text = format!(
            "nacre.data = \"{}\": a file found through the data directory {} cannot move it; \
             name the file with --config, or the directory with --data",
            settings.data.display(),
            data.display()
        );
        return Err(Failure::new(exit::SETTINGS, text));
    }
    Ok(settings)
}

/// Where a node's data is, from the command line and the environment.
///
/// # Errors
/// It is named in a way that cannot work.
pub fn data_directory(
    command: &Command,
    environment: Vec<(String, String)>,
) -> Result<PathBuf, Failure> {
    let sources =
        Sources { flags: command.flags(), environment, cpus: host::cpus(), ..Sources::default() };
    Settings::data_directory(&sources).map_err(|refusals| Failure::refused(&refusals))
}

/// Takes what a node needs: judges the machine, locks the data directory, takes signals, opens the
/// log.
///
/// # Errors
/// The first thing that is missing, with its remedy.
pub fn prepare(settings: Settings) -> Result<Ready, Failure> {
    process::program_begins();
    let verdict = probe::judge(&Host::ask(), settings.cores.len());
    if !verdict.lacks.is_empty() {
        let lines: Vec<_> = verdict.lacks.iter().map(ToString::to_string).collect();
        return Err(Failure::new(exit::MACHINE, lines.join("\n")));
    }
    let data = DataDirectory::open(&settings.data)
        .map_err(|unusable| Failure::new(exit::DATA, unusable.0))?;
    log::init(&settings.log).map_err(|error| Failure::new(exit::FAILED, error))?;
    for address in settings.http.iter().chain(&settings.grpc) {
        listen::check_free(*address, data.found_killed())
            .map_err(|error| taken(*address, &error))?;
    }
    let (console, left_out) = console_port(&settings)?;
    let signals = Signals::take()
        .map_err(|error| Failure::new(exit::FAILED, format!("signals cannot be read: {error}")))?;
    for warning in settings.warnings.iter().chain(&verdict.warnings).chain(&left_out) {
        tracing::warn!(target: "nacre::start", "{warning}");
    }
    Ok(Ready { settings, data, signals, console })
}

/// How long the console's port may seem taken when nobody asked for it: a restart finds it again,
/// and a start beside somebody else's web server is not late for it.
const CONSOLE_PATIENCE: Duration = Duration::from_millis(200);

/// The console's own port, or why it was left out.
///
/// # Errors
/// It was asked for and is taken.
fn console_port(settings: &Settings) -> Result<(Vec<TcpListener>, Option<String>), Failure> {
    let Some(console) = &settings.console else { return Ok((Vec::new(), None)) };
    let patience = if console.is_asked { listen::RELEASE } else { CONSOLE_PATIENCE };
    let mut taken = Vec::new();
    for address in &console.addresses {
        match listen::take(*address, patience) {
            Ok(listener) => taken.push(listener),
            Err(error) if console.is_asked => {
                let text = format!(
                    "{address}, the console's port, cannot be listened on: {error}; choose another \
                     nacos.console.port, or leave it out with nacos.deployment.type=server"
                );
                return Err(Failure::new(exit::ADDRESS, text));
            }
            Err(error) => {
                let text = format!(
                    "no port of its own for the console: {address} cannot be listened on: {error}; \
                     its API answers on the HTTP port; nacos.console.port chooses another, \
                     nacos.deployment.type=server none"
                );
                return Ok((Vec::new(), Some(text)));
            }
        }
    }
    Ok((taken, None))
}

fn taken(address: SocketAddr, error: &io::Error) -> Failure {
    let hint = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            "another process listens there, or the port is in use for an outgoing connection \
             (sysctl net.ipv4.ip_local_reserved_ports keeps it free); choose another with --port"
        }
        Some(libc::EADDRNOTAVAIL) => "no interface of this machine has it; see ip address",
        Some(libc::EACCES) => "ports below 1024 need CAP_NET_BIND_SERVICE; choose one with --port",
        _ => "choose another with --host and --port",
    };
    Failure::new(exit::ADDRESS, format!("{address} cannot be listened on: {error}; {hint}"))
}

pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES_MAX {
        let text = format!("longer than {FILE_BYTES_MAX} bytes, which no properties file is");
        return Err(io::Error::other(text));
    }
    Ok(bytes)
}

fn absent(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn member_files(directories: Vec<PathBuf>) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut files = Vec::new();
    for directory in directories {
        let path = directory.join(MEMBERS_FILE);
        match read_bounded(&path) {
            Ok(bytes) => files.push((path, String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if absent(error.kind()) => {}
            Err(error) => {
                let text = format!("{} cannot be read: {error}", path.display());
                return Err(Failure::new(exit::SETTINGS, text));
            }
        }
    }
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// A directory of its own, gone with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let name = format!("nacre-start-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(path.join("data/conf")).unwrap();
            Scratch(path)
        }

        fn write(&self, path: &str, text: &str) {
            std::fs::write(self.0.join(path), text).unwrap();
        }

        fn read(&self, arguments: &[&str]) -> Result<Settings, Failure> {
            let data = self.0.join("data");
            let all = ["nacre", "--data", data.to_str().unwrap()];
            let all = all.iter().chain(arguments);
            settings(&Command::try_parse_from(all).unwrap(), Vec::new())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_in_the_data_directory_unless_one_is_named() {
        let scratch = Scratch::new("file");
        assert_eq!(scratch.read(&[]).unwrap().http[0].port(), 8848);
        scratch.write("data/conf/application.properties", "server.port=1000");
        assert_eq!(scratch.read(&[]).unwrap().http[0].port(), 1000);
        assert_eq!(scratch.read(&["--port", "3000"]).unwrap().http[0].port(), 3000);
        scratch.write("other.properties", "server.port=2000");
        let other = scratch.0.join("other.properties");
        let named = scratch.read(&["--config", other.to_str().unwrap()]).unwrap();
        assert_eq!((named.http[0].port(), named.file), (2000, Some(other)));
    }

    #[test]
    fn files_that_cannot_be_read() {
        let scratch = Scratch::new("unreadable");
        let failure = scratch.read(&["--config", "/does/not/exist"]).unwrap_err();
        assert_eq!(failure.exit, exit::SETTINGS);
        assert!(failure.text.contains("/does/not/exist"), "{}", failure.text);
        scratch.write("data/conf/application.properties", &"#".repeat(FILE_BYTES_MAX + 1));
        assert!(scratch.read(&[]).unwrap_err().text.contains("longer than"));
    }

    #[test]
    fn members_beside_either_file() {
        let scratch = Scratch::new("members");
        scratch.write("data/conf/cluster.conf", "10.0.0.1\n10.0.0.2\n");
        let failure = scratch.read(&[]).unwrap_err();
        assert!(failure.text.contains("more than one member"), "{}", failure.text);
        assert!(scratch.read(&["-D", "nacos.standalone=true"]).is_ok());
        std::fs::remove_file(scratch.0.join("data/conf/cluster.conf")).unwrap();
        scratch.write("cluster.conf", "10.0.0.1\n10.0.0.2\n");
        scratch.write("app.properties", "");
        let config = scratch.0.join("app.properties");
        assert!(scratch.read(&[]).is_ok());
        assert!(scratch.read(&["--config", config.to_str().unwrap()]).is_err());
    }

    #[test]
    fn a_file_found_through_the_directory_cannot_move_it() {
        let scratch = Scratch::new("moves");
        let text = "nacre.data=/elsewhere";
        scratch.write("data/conf/application.properties", text);
        // The flag wins over the file, so nothing moves.
        assert!(scratch.read(&[]).is_ok());
        let path = scratch.0.join("data/conf/application.properties");
        let named = Command::try_parse_from(["nacre", "--config", path.to_str().unwrap()]).unwrap();
        assert_eq!(settings(&named, Vec::new()).unwrap().data, PathBuf::from("/elsewhere"));
    }

    #[test]
    fn an_address_that_is_taken() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let failure = taken(address, &listen::check_free(address, false).unwrap_err());
        assert_eq!(failure.exit, exit::ADDRESS);
        assert!(failure.text.contains("another process listens there"), "{}", failure.text);
        drop(held);
        assert!(listen::check_free(address, false).is_ok());
    }
}
