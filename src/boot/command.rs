//! The command line: a few flags, each the short form of a key, and `-D` for all others.

use crate::boot::keys;
use crate::operator::wire::ROWS;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// What may be typed. See [`crate::boot::start::settings`] for what becomes of it.
#[derive(Debug, Parser)]
#[command(
    name = "nacre",
    version,
    about = "A service registry that speaks the Nacos wire.",
    long_about = "A service registry that speaks the Nacos wire.\n\n\
        Without arguments: one node for this machine alone, HTTP on 127.0.0.1:8848, gRPC on \
        127.0.0.1:9848, data in ./data, all CPUs.",
    after_help = "--help tells more: examples, every key, exit codes.",
    after_long_help = long_help(),
    args_conflicts_with_subcommands = true
)]
pub struct Command {
    /// Something else than serving
    #[command(subcommand)]
    pub instead: Option<Instead>,

    /// Address to listen on, or several separated by commas (server.address)
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,

    /// HTTP port; gRPC listens on this + 1000 (nacos.server.main.port)
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,

    /// Directory where everything is kept (nacre.data)
    #[arg(long, value_name = "DIRECTORY", global = true)]
    pub data: Option<String>,

    /// CPUs to run on, one thread each, such as 0,1 or 0-3 (nacre.cores)
    #[arg(long, value_name = "CPUS")]
    pub cores: Option<String>,

    /// Properties file; DATA/conf/application.properties when absent and there is one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Any key; wins over environment and file
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = key_value)]
    pub define: Vec<(String, String)>,
}

/// Operators' tools. They find the node by its data directory: one that runs answers on the socket
/// there, of a stopped one the files are read.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Instead {
    /// How a running node is: what it serves, its store, its limits; exit code 0 fine, 1 somebody
    /// must look, 2 no node answers
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Show services, clients or configs; without a word what the store's files hold: log, vote,
    /// members, sizes, ids
    Inspect {
        #[command(subcommand)]
        what: Option<Inspect>,
        /// For programs
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show who was told what when, and who acknowledged it
    Trace {
        #[command(subcommand)]
        what: Trace,
        /// For programs
        #[arg(long, global = true)]
        json: bool,
    },
    /// Make users, give them passwords, remove them
    User {
        #[command(subcommand)]
        what: User,
    },
    /// Copy everything that is kept to a new directory, whole and as of one moment; the node may
    /// run
    Backup {
        /// Where to; must not be there yet, or be empty
        directory: PathBuf,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Begin a new node, of a new cluster, with a backup: into --data, which must be empty but for
    /// conf
    Restore {
        /// The backup
        directory: PathBuf,
    },
    /// Check every page and checksum of a stopped node's files; exit code 0 fine, 1 wrong, 2
    /// could not look
    Verify,
    /// Print what this host is set to, what so many clients want, why, and how to change it; exit
    /// code 1 when something should be changed
    Tuning {
        /// Clients connected at the same time
        #[arg(long, default_value_t = 10_000)]
        clients: u64,
        /// Cores the node runs on [default: all this process may use]
        #[arg(long)]
        cores: Option<u64>,
    },
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Inspect {
    /// Services, with their instances and subscribers (running node)
    Services(Rows),
    /// Connected clients (running node)
    Clients(Rows),
    /// Configs
    Configs(Rows),
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Rows {
    /// Of this namespace only
    #[arg(long)]
    pub namespace: Option<String>,
    /// With this text in the name only (a client's: id, address, application)
    #[arg(long, default_value = "")]
    pub name: String,
    /// At most so many
    #[arg(long, default_value_t = ROWS)]
    pub limit: usize,
    /// Go on where the last list said it ended
    #[arg(long)]
    pub from: Option<String>,
}

/// Whose pushes.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Trace {
    /// Of a service, to its subscribers
    Service {
        name: String,
        #[arg(long, default_value = "DEFAULT_GROUP")]
        group: String,
        #[arg(long, default_value = "public")]
        namespace: String,
    },
    /// Of a config, to its listeners
    Config {
        data_id: String,
        #[arg(long, default_value = "DEFAULT_GROUP")]
        group: String,
        #[arg(long, default_value = "public")]
        namespace: String,
    },
}

/// What to do with users. Passwords come from the terminal, unseen, or as a line of standard input;
/// never from the command line, which everybody on the machine can read.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum User {
    /// Make the first administrator, `nacos`
    Admin(Chosen),
    /// Add a user, without rights yet
    Add {
        name: String,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Give a user another password
    Password {
        name: String,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Remove a user and his roles; an administrator stays
    Remove { name: String },
    /// All users and their roles
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Chosen {
    /// Make one up and print it
    #[arg(long)]
    pub generate: bool,
}

impl Command {
    /// Key, value and how it was typed. `-D` comes first, so that within this source the flag with
    /// a name of its own wins.
    pub fn flags(&self) -> Vec<(String, String, String)> {
        let mut flags: Vec<_> = self
            .define
            .iter()
            .map(|(key, value)| (key.clone(), value.clone(), format!("-D {key}")))
            .collect();
        for (value, key, text) in [
            (&self.host, &keys::ADDRESS, "--host"),
            (&self.port, &keys::PORT, "--port"),
            (&self.data, &keys::DATA, "--data"),
            (&self.cores, &keys::CORES, "--cores"),
        ] {
            if let Some(value) = value {
                flags.push((key.name.to_owned(), value.clone(), text.to_owned()));
            }
        }
        flags
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write KEY=VALUE, such as -D nacre.connection.idle-ms=30000".to_owned()),
    }
}

/// Written from the table of keys, so it tells of nothing that does not work.
fn long_help() -> String {
    let mut help = String::from(EXAMPLES);
    help.push_str("\nKeys (file, then environment, then command line; later wins):\n");
    for key in keys::USED {
        help.push_str("  ");
        help.push_str(key.name);
        if !key.default.is_empty() {
            help.push_str(" = ");
            help.push_str(key.default);
        }
        help.push_str("\n      ");
        help.push_str(key.help);
        help.push_str(" (");
        help.push_str(&key.shape.allowed());
        help.push_str(")\n");
    }
    help.push_str(SOURCES);
    help.push_str(EXIT_CODES);
    help
}

const EXAMPLES: &str = "\
Examples:
  nacre
      Try it: clients of this machine connect to 127.0.0.1:8848.
  nacre --host 0.0.0.0
      Serve other machines; clients must log in. The first administrator is made on this machine:
      nacre user admin
  nacre --host 0.0.0.0 -D nacos.core.auth.enabled=false
      Serve other machines without logins, where the network itself keeps strangers out.
  nacre --cores 0,1 --data /var/lib/nacre
      Two cores, a data directory of its own.
  nacre --config /opt/nacos/conf/application.properties
      Start with the file of an existing Nacos. What it asks for and is not built yet is told.
  nacre status --data /var/lib/nacre
      How that node is. Likewise: inspect, trace, user, backup.
  NACOS_SERVER_MAIN_PORT=8849 nacre -D nacre.log=info
      Any key from the environment, any key from the command line.
";

const SOURCES: &str = "
In the environment a key may be written exactly, or in upper case with underscores for dots and
dashes: nacos.server.main.port is NACOS_SERVER_MAIN_PORT. Values may hold ${NAME:default}.
Other keys of Nacos are understood and ignored while the module they belong to is not built;
keys nobody knows are listed in one warning.
";

const EXIT_CODES: &str = "
Exit codes:
  0  stopped in order
  1  failed while running; the log says why
  2  the command line is not understood
  3  a setting cannot work: key, value, where it came from and what is allowed are printed
  4  the machine lacks something (kernel, io_uring, limits): what, and the remedy, are printed
  5  the data directory cannot be used, or another process uses it
  6  an address cannot be listened on, or another process listens there

Exit codes of the tools (status, inspect, trace, user, backup, restore, verify, tuning):
  0  done, or fine
  1  the answer is no: damage was found, a limit or the store needs somebody, there is such a user
  2  could not ask or look: no such directory, no node where one is needed, another process
     holds the directory, a command line that is not understood
  3  a setting cannot work

SIGTERM or SIGINT (Ctrl-C) stops in order: clients are told to go, at most nacre.stop.drain-ms
passes, exit code 0. A second one stops at once.
";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn flags(arguments: &[&str]) -> Vec<(String, String, String)> {
        let all = std::iter::once(&"nacre").chain(arguments);
        Command::try_parse_from(all).unwrap().flags()
    }

    fn flag(key: &str, value: &str, text: &str) -> (String, String, String) {
        (key.to_owned(), value.to_owned(), text.to_owned())
    }

    #[test]
    fn flags_are_keys() {
        assert_eq!(flags(&[]), []);
        assert_eq!(
            flags(&["--port", "1", "-D", "a=b=c", "-Dx=", "--host", "::1", "--cores", "0,1"]),
            [
                flag("a", "b=c", "-D a"),
                flag("x", "", "-D x"),
                flag("server.address", "::1", "--host"),
                flag("nacos.server.main.port", "1", "--port"),
                flag("nacre.cores", "0,1", "--cores"),
            ]
        );
    }

    #[test]
    fn what_is_not_understood() {
        for arguments in [&["-D", "novalue"][..], &["-D", "=x"], &["--prot", "1"], &["serve"]] {
            let all = std::iter::once(&"nacre").chain(arguments);
            assert!(Command::try_parse_from(all).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn help_names_every_key_and_every_exit_code() {
        Command::command().debug_assert();
        let help = Command::command().render_long_help().to_string();
        for key in keys::USED {
            assert!(help.contains(key.name), "{}", key.name);
        }
        for part in ["Examples:", "Exit codes:", "0.0.0.0 -D nacos.core.auth.enabled=false"] {
            assert!(help.contains(part), "{part}");
        }
    }
}
