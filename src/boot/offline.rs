//! Operators' tools instead of a node. Those about a node ask the one that runs on the data
//! directory; when none does, they look at its files, under its lock.

use crate::admin::{inspect, tuning, verify};
use crate::auth::password::{self, Password};
use crate::boot::command::{Chosen, Command, Inspect, Instead, Rows, Trace, User};
use crate::boot::data::DataDirectory;
use crate::boot::prompt;
use crate::boot::start::{self, Failure};
use crate::operator::wire::{Hash, Listing, Refusal, Request, Sink, Traced, UserChange};
use crate::operator::{backup, client, lists, offline, restore, status, trace, users};
use crate::pump::clock;
use crate::raft::{FOLDER, check};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// What a tool has to say, and its exit code.
type Said = Result<(String, u8), Refusal>;

/// Everything as it should be.
const FINE: u8 = verify::FINE;

/// Runs one tool and prints what it says.
///
/// # Errors
/// The node's refusal, or it could not be asked or looked at.
pub fn run(
    instead: &Instead,
    command: &Command,
    environment: Vec<(String, String)>,
) -> Result<ExitCode, Failure> {
    if let Instead::Tuning { clients, cores } = instead {
        let aim = tuning::Aim { clients: *clients, cores: *cores };
        let (page, settled) = tuning::page(&tuning::Facts::of_this_host(), &aim);
        print!("{page}");
        return Ok(ExitCode::from(u8::from(!settled)));
    }
    say_what_panics();
    let path = start::data_directory(command, environment.clone())?;
    let said = match instead {
        Instead::Restore { directory } => {
            let settings = start::settings(command, environment).ok();
            let grpc = settings.and_then(|settings| settings.grpc.first().copied());
            let address = grpc.map(|address| address.to_string()).unwrap_or_default();
            restored(directory, &path, address)
        }
        about => there(&path).and_then(|()| of_a_node(about, &path)),
    };
    let (text, exit) = said.map_err(|refusal| Failure::new(refusal.exit, refusal.text))?;
    print!("{text}");
    Ok(ExitCode::from(exit))
}

fn there(path: &Path) -> Result<(), Refusal> {
    if path.is_dir() {
        return Ok(());
    }
    Err(Refusal::unseen(format!("data directory {}: there is none", path.display())))
}

fn of_a_node(instead: &Instead, path: &Path) -> Said {
    match instead {
        Instead::Status { json } => {
            let (_, status) = asked(path, &Request::Status)?;
            let exit = if status["fine"] == true { FINE } else { verify::WRONG };
            Ok((shown(*json, &status, || status::text(&status)), exit))
        }
        Instead::Inspect { what: None, json } => stored(path, *json),
        Instead::Inspect { what: Some(what), json } => listed(path, what, *json),
        Instead::Trace { what, json } => {
            let (parts, head) = asked(path, &Request::Trace(traced(what)))?;
            let exit = if head["exists"] == true { FINE } else { verify::WRONG };
            let told = trace::json(&parts, &head);
            Ok((shown(*json, &told, || trace::text(&parts, &head)), exit))
        }
        Instead::User { what } => managed(path, what),
        Instead::Backup { directory, json } => backed_up(path, directory, *json),
        Instead::Verify => {
            let data = locked(path)?;
            Ok(verify::verify(&data.path().join(FOLDER)))
        }
        // Those have returned in `run`.
        Instead::Restore { .. } | Instead::Tuning { .. } => Ok((String::new(), FINE)),
    }
}

fn shown(as_json: bool, value: &Value, text: impl FnOnce() -> String) -> String {
    if as_json { format!("{value:#}\n") } else { text() }
}

/// Held while looking: a node that runs would change what is looked at.
fn locked(path: &Path) -> Result<DataDirectory, Refusal> {
    DataDirectory::open(path).map_err(|unusable| Refusal::unseen(unusable.0))
}

/// Asks the node that runs on a directory, or else its files.
fn ask(path: &Path, request: &Request, sink: &mut dyn Sink) -> Result<Value, Refusal> {
    let cannot = |error: std::io::Error| {
        let shown = path.display();
        Refusal::unseen(format!("the node on {shown} cannot be asked: {error}"))
    };
    if let Some(stream) = client::connect(path).map_err(cannot)? {
        return client::ask(stream, request, sink);
    }
    let data = locked(path).map_err(|refusal| {
        let text = format!("{}; it does not answer: it is starting or stopping", refusal.text);
        Refusal { text, ..refusal }
    })?;
    offline::answer(data.path(), request, sink)
}

fn asked(path: &Path, request: &Request) -> Result<(Vec<Value>, Value), Refusal> {
    let mut parts = Vec::new();
    let done = ask(path, request, &mut parts)?;
    Ok((parts, done))
}

/// The store: of a running node as it knows it, of a stopped one from its files.
fn stored(path: &Path, as_json: bool) -> Said {
    let running = client::connect(path).ok().flatten();
    let Some(stream) = running else {
        let data = locked(path)?;
        return Ok(inspect::inspect(&data.path().join(FOLDER), as_json));
    };
    let store = client::ask(stream, &Request::Store, &mut Vec::new())?;
    Ok((shown(as_json, &store, || inspect::plain(&store)), FINE))
}

fn listed(path: &Path, what: &Inspect, as_json: bool) -> Said {
    let (name, request) = match what {
        Inspect::Services(rows) => ("services", Request::Services(listing(rows))),
        Inspect::Clients(rows) => ("clients", Request::Clients(listing(rows))),
        Inspect::Configs(rows) => ("configs", Request::Configs(listing(rows))),
    };
    let (parts, done) = asked(path, &request)?;
    let text = match as_json {
        true => format!("{:#}\n", lists::json(name, parts, &done)),
        false => lists::text(name, &parts, &done),
    };
    Ok((text, FINE))
}

fn listing(rows: &Rows) -> Listing {
    let Rows { namespace, name, limit, from } = rows.clone();
    Listing { namespace, name, limit, from }
}

fn traced(what: &Trace) -> Traced {
    match what.clone() {
        Trace::Service { name, group, namespace } => Traced::Service { namespace, group, name },
        Trace::Config { data_id, group, namespace } => Traced::Config { namespace, group, data_id },
    }
}

fn managed(path: &Path, what: &User) -> Said {
    let (change, made) = match what {
        User::List { json } => {
            let (parts, _) = asked(path, &Request::Users)?;
            let all: Value = parts.iter().filter_map(Value::as_array).flatten().cloned().collect();
            let all = serde_json::json!({ "users": all });
            return Ok((shown(*json, &all, || users::text(&parts)), FINE));
        }
        User::Remove { name } => (UserChange::Remove { name: name.clone() }, None),
        User::Admin(chosen) => {
            let (hash, made) = chosen_password(*chosen)?;
            (UserChange::Admin { hash }, made)
        }
        User::Add { name, chosen } => {
            let (hash, made) = chosen_password(*chosen)?;
            (UserChange::Add { name: name.clone(), hash }, made)
        }
        User::Password { name, chosen } => {
            let (hash, made) = chosen_password(*chosen)?;
            (UserChange::Password { name: name.clone(), hash }, made)
        }
    };
    let (_, done) = asked(path, &Request::User(change))?;
    let mut text = format!(
        "{}: {}\n",
        done["user"].as_str().unwrap_or_default(),
        done["done"].as_str().unwrap_or_default()
    );
    if let Some(Password(made)) = made {
        text.push_str(&format!("password: {made}\n"));
    }
    Ok((text, FINE))
}

/// The hash to keep, and the password where we made it.
fn chosen_password(chosen: Chosen) -> Result<(Hash, Option<Password>), Refusal> {
    let unseen = |error: std::io::Error| Refusal::unseen(format!("no password: {error}"));
    let password = match chosen.generate {
        true => password::random(),
        false => Password(prompt::password().map_err(unseen)?),
    };
    password::check(&password.0).map_err(Refusal::no)?;
    let hash = password::hash(&password.0).ok_or_else(|| Refusal::no("password is illegal"))?;
    Ok((Hash(hash), chosen.generate.then_some(password)))
}

fn backed_up(path: &Path, directory: &Path, as_json: bool) -> Said {
    let mut keeper = backup::Keeper::new(directory)?;
    let done = ask(path, &Request::Backup, &mut keeper)?;
    let manifest = keeper.finish(&done, clock::unix_ms())?;
    let value = serde_json::to_value(&manifest).unwrap_or_default();
    Ok((shown(as_json, &value, || backup::text(&manifest, directory)), FINE))
}

fn restored(backup: &Path, path: &Path, address: String) -> Said {
    let manifest = restore::verify(backup)?;
    let data = locked(path)?;
    restore::restore(backup, &manifest, data.path(), address)?;
    let text = format!(
        "{}: a new node of a new cluster, with everything up to log entry {} of the backup; start \
         it with `nacre --data {}`\n",
        data.path().display(),
        manifest.index,
        data.path().display()
    );
    Ok((text, FINE))
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
