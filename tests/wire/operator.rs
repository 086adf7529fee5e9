//! An operator asks a running node, a stopped one, and directories that are neither.

use crate::http_client::Http;
use crate::server::Server;
use crate::support::*;
use crate::tool::*;
use nacre_loadgen::client::{AckMode, Profile, instance};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

fn publish(server: &Server, data_id: &str, content: &str) {
    let client = client_as(server, Profile::module("config"));
    let body = json!({"dataId": data_id, "group": "G", "tenant": "", "content": content});
    let done = call(&client, "ConfigPublishRequest", &body).json().expect("JSON");
    assert_eq!(done["resultCode"], 200, "{done}");
}

fn status(data: &Path) -> Value {
    let said = tool(data, &["status", "--json"]);
    assert_eq!(said.exit, 0, "{}", said.text);
    said.json()
}

#[test]
fn a_running_node_says_what_it_serves() {
    let server = Server::start();
    let data = data(&server);
    let publisher = client(&server);
    let orders = service("operator-orders");
    publisher.register(&orders, &instance("10.0.0.1", 80, &[])).expect("registered");
    let subscriber = client(&server);
    subscriber.subscribe(&orders, "").expect("subscribed");
    publish(&server, "app.yaml", "a: 1");
    let listener = client_as(&server, Profile::module("config"));
    let contexts = json!([{"dataId": "app.yaml", "group": "G", "tenant": "", "md5": ""}]);
    call(
        &listener,
        "ConfigBatchListenRequest",
        &json!({"listen": true, "configListenContexts": contexts}),
    );
    until("the directory has heard of it", || status(&data)["services"] == 1);
    let seen = status(&data);
    assert_eq!(seen["state"], "up");
    assert_eq!((&seen["instances"], &seen["subscriptions"]), (&json!(1), &json!(1)));
    assert_eq!((&seen["configs"], &seen["listeners"]), (&json!(1), &json!(1)));
    assert_eq!((&seen["store"]["role"], &seen["store"]["lag"]), (&json!("leader"), &json!(0)));
    assert_eq!(seen["pid"], server.pid());
    let text = tool(&data, &["status"]).fine();
    for part in ["nacre ", "up", "1 subscriptions", "leader of term", "no limit is near"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let services = rows(&data, "services", &[]);
    assert_eq!(services.len(), 1);
    let row = &services[0];
    assert_eq!((&row["service"], &row["healthy"]), (&json!("operator-orders"), &json!(1)));
    assert_eq!((&row["publishers"], &row["subscribers"]), (&json!(1), &json!(1)));
    assert!(rows(&data, "services", &["--namespace", "dev"]).is_empty());
    assert!(rows(&data, "services", &["--name", "no such"]).is_empty());
    let text = tool(&data, &["inspect", "services"]).fine();
    assert!(text.starts_with("NAMESPACE  GROUP"), "{text}");

    let id = subscriber.connection_id().expect("an id").to_owned();
    let found = rows(&data, "clients", &["--name", &id]);
    assert_eq!((found.len(), &found[0]["subscribes"]), (1, &json!(1)), "{found:?}");
    assert_eq!(found[0]["module"], "naming");
    let configs = rows(&data, "configs", &[]);
    assert_eq!((&configs[0]["data_id"], &configs[0]["bytes"]), (&json!("app.yaml"), &json!(4)));
    assert_eq!(configs[0]["listeners"], 1);
    let store = tool(&data, &["inspect", "--json"]).json();
    assert_eq!(store["members"][0]["votes"], true, "{store}");
    tool(&data, &["verify"]).says(2, "in use by process");
}

#[test]
fn long_lists_go_on_where_they_ended() {
    let server = Server::start_with(&["--cores", "0"]);
    let data = data(&server);
    let publisher = client(&server);
    for number in 0..25 {
        let service = service(&format!("paged-{number}"));
        publisher.register(&service, &instance("10.0.0.1", 80, &[])).expect("registered");
    }
    let mut names = Vec::new();
    let mut from = "0.0".to_owned();
    loop {
        let page = ["inspect", "services", "--limit", "10", "--from", &from, "--json"];
        let page = tool(&data, &page).json();
        let services = page["services"].as_array().expect("rows").clone();
        assert!(services.len() <= 10);
        names.extend(services.iter().map(|row| row["service"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => from = next.to_owned(),
            None => break,
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 25);
    tool(&data, &["inspect", "services", "--from", "x"]).says(2, "not where a list ended");
}

/// One question, as raw bytes.
fn asked(data: &Path, question: &[u8]) -> String {
    let mut stream = UnixStream::connect(data.join("nacre.sock")).expect("it listens");
    stream.set_read_timeout(Some(WAIT)).expect("a timeout");
    let _ = stream.write_all(question);
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    line
}

#[test]
fn the_socket_is_the_server_s_users_and_bears_strangers() {
    let mut server = Server::start_with(&["--cores", "0"]);
    let data = data(&server);
    let path = data.join("nacre.sock");
    let mode = fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for nonsense in [&b"\n"[..], b"{}\n", b"\"dance\"\n", b"\xff\xfe\n", b"{\"services\":{}}\n"] {
        let answer = asked(&data, nonsense);
        assert!(answer.contains("refused"), "{answer}");
    }
    let answer = asked(&data, &vec![b'x'; 80 * 1_024]);
    assert!(answer.is_empty() || answer.contains("more than 65536 bytes"), "{answer}");
    // Eight who ask nothing take all places for a while; who comes then is told so.
    let connect = || UnixStream::connect(&path).expect("the backlog takes it");
    let silent: Vec<_> = (0..8).map(|_| connect()).collect();
    let answer = asked(&data, b"\"status\"\n");
    assert!(answer.contains("are asking already"), "{answer}");
    let refused = "nacre_limit_reached_total{limit=\"operators_at_a_time\"}";
    until_metric(&server, refused, 1.0);
    drop(silent);
    until("room again", || asked(&data, b"\"status\"\n").contains("\"done\""));
    client(&server).health_check().expect("the core serves on");
    server.kill();
    tool(&data, &["status"]).says(2, "no node runs");
    server.start_again();
    assert_eq!(status(&data)["state"], "up", "a dead node's socket is replaced");
    assert!(server.terminate().success());
    assert!(!path.exists(), "an orderly stop takes it away");
}

fn login(server: &Server, user: &str, password: &str) -> u16 {
    let form = format!("username={user}&password={password}");
    post(server, "/nacos/v3/auth/user/login", &form, "")
}

fn post(server: &Server, target: &str, form: &str, more: &str) -> u16 {
    let lines = format!("content-type: application/x-www-form-urlencoded\r\n{more}");
    Http::connect(server).ask_with("POST", target, &lines, form.as_bytes()).status
}

#[test]
fn users_are_managed_on_a_running_and_on_a_stopped_node() {
    let mut server = Server::start_with(&["-D", "nacos.core.auth.enabled=true", "--cores", "0"]);
    let data = data(&server);
    let user =
        |arguments: &[&str], typed: &str| tool_with(&data, &[&["user"], arguments].concat(), typed);
    let text = user(&["list"], "").fine();
    assert!(text.contains("nacre user admin"), "{text}");
    user(&["admin"], "").says(2, "no password");
    user(&["admin"], " \n").says(1, "blank");
    user(&["admin"], "first-secret\n").fine();
    user(&["admin"], "second-secret\n").says(1, "there is an administrator already");
    until("a key for tokens", || login(&server, "nacos", "first-secret") == 200);
    let made = user(&["add", "dev", "--generate"], "").fine();
    let password = made.lines().find_map(|line| line.strip_prefix("password: "));
    let encoded = |byte: u8| format!("%{byte:02x}");
    let password: String = password.expect("it is printed").bytes().map(encoded).collect();
    assert_eq!(login(&server, "dev", &password), 200, "{made}");
    user(&["add", "dev"], "x\n").says(1, "already exist");
    user(&["password", "dev"], "second\n").fine();
    assert_eq!(login(&server, "dev", "second"), 200, "at once, whatever was remembered");
    assert_ne!(login(&server, "dev", &password), 200);
    user(&["password", "nobody"], "x\n").says(1, "not exist");
    user(&["remove", "nacos"], "").says(1, "cannot delete admin");
    user(&["add", "gone"], "x\n").fine();
    user(&["remove", "gone"], "").fine();
    user(&["remove", "gone"], "").says(1, "not exist");
    let list = user(&["list", "--json"], "").json();
    assert_eq!(list["users"][1]["roles"][0], "ROLE_ADMIN", "{list}");
    assert!(server.terminate().success());
    // The files know them, and take changes.
    let text = user(&["list"], "").fine();
    assert!(text.contains("dev") && text.contains("nacos  ROLE_ADMIN"), "{text}");
    user(&["password", "nacos"], "third-secret\n").fine();
    server.start_again();
    until("a login", || login(&server, "nacos", "third-secret") == 200);
}

#[test]
fn the_first_administrator_is_made_from_elsewhere_with_the_token_once() {
    let mut server = Server::start_with(&["-D", "nacos.core.auth.enabled=true", "--cores", "0"]);
    let file = data(&server).join("first-administrator.token");
    until("the token is there", || file.exists());
    let token = fs::read_to_string(&file).expect("a token").trim().to_owned();
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    server.kill();
    assert!(!server.log_tail().contains(&token), "no secret in the log");
    server.start_again();
    assert_eq!(fs::read_to_string(&file).expect("a token").trim(), token, "it outlives a restart");
    // Passed on by somebody: not this machine.
    let admin = |form: &str| {
        post(&server, "/nacos/v3/auth/user/admin", form, "X-Forwarded-For: 192.0.2.7\r\n")
    };
    let wrong = token.replace(|digit: char| digit.is_ascii_digit(), "x");
    assert_eq!(admin("password=one"), 403);
    assert_eq!(admin(&format!("password=one&token={wrong}")), 403);
    assert_eq!(admin(&format!("password=one-secret&token={token}")), 200);
    until("a login", || login(&server, "nacos", "one-secret") == 200);
    assert_eq!(admin(&format!("password=two&token={token}")), 200, "the reference's 409 inside");
    assert_ne!(login(&server, "nacos", "two"), 200);
    until("it is used up", || !file.exists());
}

#[test]
fn who_was_told_what_and_acknowledged_it() {
    let server = Server::start();
    let data = data(&server);
    let (publisher, good, deaf) = (client(&server), client(&server), client(&server));
    let orders = service("traced");
    deaf.set_ack_mode(AckMode::Manual);
    for subscriber in [&good, &deaf] {
        subscriber.subscribe(&orders, "").expect("subscribed");
    }
    publisher.register(&orders, &instance("10.0.0.1", 80, &[])).expect("registered");
    for subscriber in [&good, &deaf] {
        subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).expect("told");
    }
    let trace = ["trace", "service", "traced", "--json"];
    let told = |id: &str, seen: &Value| {
        let all = seen["told"].as_array().expect("subscribers").clone();
        all.into_iter().find(|one| one["id"] == id).expect("the subscriber")
    };
    let (good_id, deaf_id) = (good.connection_id().unwrap(), deaf.connection_id().unwrap());
    let mut seen = Value::Null;
    until("the acknowledgement is seen", || {
        seen = tool(&data, &trace).json();
        told(good_id, &seen)["state"] == "settled"
    });
    assert_eq!((&seen["subscribers"], &seen["instances"]), (&json!(2), &json!(1)), "{seen}");
    let one = told(good_id, &seen);
    assert_eq!(one["revision"], seen["revision"], "it has the latest");
    let last = one["tellings"].as_array().expect("tellings").last().expect("one").clone();
    assert_eq!((&last["what"], &last["outcome"]), (&json!("pushed"), &json!("acknowledged")));
    let other = told(deaf_id, &seen);
    // Its push has failed meanwhile, if this took long.
    let is_open = other["state"] == "waiting" || other["state"] == "repeats";
    assert!(is_open, "{other}");
    let tellings = other["tellings"].as_array().expect("tellings");
    assert!(tellings.iter().all(|telling| telling["outcome"] != "acknowledged"), "{other}");
    let text = tool(&data, &["trace", "service", "traced"]).fine();
    assert!(text.contains("has the latest"), "{text}");
    assert!(text.contains(", acknowledged after"), "{text}");
    drop(good);
    until("who has left is told of", || {
        !tool(&data, &trace).json()["gone"].as_array().expect("a list").is_empty()
    });
    tool(&data, &["trace", "service", "nobody"]).says(1, "there is none now");
}

#[test]
fn listeners_of_a_config_and_what_they_had() {
    let server = Server::start();
    let data = data(&server);
    publish(&server, "traced.yaml", "1");
    let listener = client_as(&server, Profile::module("config"));
    let contexts = json!([{"dataId": "traced.yaml", "group": "G", "tenant": "",
        "md5": "c4ca4238a0b923820dcc509a6f75849b"}]);
    let listen = json!({"listen": true, "configListenContexts": contexts});
    call(&listener, "ConfigBatchListenRequest", &listen);
    publish(&server, "traced.yaml", "2");
    listener.next_push(WAIT).expect("told of the change");
    let trace = ["trace", "config", "traced.yaml", "--group", "G", "--json"];
    until("the listener's acknowledgement", || {
        let seen = tool(&data, &trace).json();
        let tellings = &seen["told"][0]["tellings"];
        tellings[0]["outcome"] == "acknowledged" && seen["told"][0]["md5"] != seen["md5"]
    });
    // A 1.x client that waits for the next change.
    let probe = "Listening-Configs=traced.yaml%02G%02c81e728d9d4c2f636f067f89cc14862c%01";
    let head = format!(
        "POST /nacos/v1/cs/configs/listener HTTP/1.1\r\nhost: x\r\nlong-pulling-timeout: 30000\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{probe}",
        probe.len()
    );
    let mut waiting = Http::connect(&server);
    waiting.send(head.as_bytes());
    until("the long poll is held", || tool(&data, &trace).json()["long_polls"] == 1);
    assert_eq!(rows(&data, "configs", &["--name", "traced.yaml"])[0]["listeners"], 2);
    tool(&data, &["trace", "config", "nothing"]).says(1, "there is none now");
}

/// What is said of a directory that is missing, empty, damaged, stopped.
type Sayings = [(i32, &'static str); 4];

const NEEDS_A_NODE: Sayings =
    [(2, "there is none"), (2, "start it"), (2, "start it"), (2, "start it")];

const fn of_files(damaged: (i32, &'static str), stopped: (i32, &'static str)) -> Sayings {
    [(2, "there is none"), (2, "no node has run"), damaged, stopped]
}

const WRONG: (i32, &str) = (1, "WRONG");

/// Each command: what is typed, and what is said.
const COMMANDS: [(&[&str], &str, Sayings); 10] = [
    (&["status"], "", NEEDS_A_NODE),
    (&["inspect", "services"], "", NEEDS_A_NODE),
    (&["inspect", "clients"], "", NEEDS_A_NODE),
    (&["trace", "service", "s"], "", NEEDS_A_NODE),
    (&["trace", "config", "c"], "", NEEDS_A_NODE),
    (&["inspect", "configs"], "", of_files(WRONG, (0, "kept"))),
    (&["user", "list"], "", of_files(WRONG, (0, "no users"))),
    (&["user", "add", "u"], "p\n", of_files(WRONG, (0, "u: added"))),
    (&["inspect"], "", [(2, "there is none"), (2, "neither"), (1, "log.wal"), (0, "commands: ")]),
    (&["verify"], "", [(2, "there is none"), (2, "neither"), WRONG, (0, "fine")]),
];

/// Exit code and a word of each command on each kind of directory.
#[test]
fn every_command_on_every_kind_of_directory() {
    let (missing, empty, damaged) = (scratch("missing"), scratch("empty"), scratch("damaged"));
    let missing = missing.path().join("nowhere");
    let mut server = Server::start_with(&["--cores", "0"]);
    publish(&server, "kept", "content");
    let stopped = data(&server);
    assert!(server.terminate().success());
    let broken = damaged.path().join("raft");
    fs::create_dir_all(&broken).expect("a folder");
    fs::write(broken.join("log.wal"), "noise").expect("a file");
    fs::copy(stopped.join("raft/state.redb"), broken.join("state.redb")).expect("a copy");
    let directories = [missing.as_path(), empty.path(), damaged.path(), &stopped];
    for (arguments, typed, expected) in COMMANDS {
        for (directory, (exit, part)) in directories.iter().zip(expected) {
            tool_with(directory, arguments, typed).says(exit, part);
        }
    }
    let elsewhere = scratch("backups");
    let expected = of_files(WRONG, (0, "1 config"));
    for (number, (directory, (exit, part))) in directories.iter().zip(expected).enumerate() {
        let to = elsewhere.path().join(number.to_string());
        tool(directory, &["backup", to.to_str().expect("text")]).says(exit, part);
        assert_eq!(to.exists(), exit == 0, "{number}");
    }
    assert!(!missing.exists(), "looking makes nothing");
    // Another process holds the directory, and no socket answers.
    let held = nacre::boot::data::DataDirectory::open(&stopped).expect("held");
    for arguments in [&["inspect"][..], &["verify"], &["user", "list"], &["inspect", "configs"]] {
        tool(&stopped, arguments).says(2, "in use by process");
    }
    drop(held);
    tool(&stopped, &["user", "add"]).says(2, "NAME");
    tool(&stopped, &["inspect", "everything"]).says(2, "everything");
    assert!(tool(&stopped, &["--help"]).fine().contains("Exit codes of the tools"));
}
