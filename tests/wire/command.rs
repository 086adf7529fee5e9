//! The command: what it refuses to start with, and the words it has for it (issue 4, "The
//! command"). Help, exit codes, files and signals are in `tests/command.rs`.

use crate::server::{Directory, Server, binary};
use std::process::{Command, Output};

/// Exit codes as `nacre --help` lists them.
const EXIT_USAGE: i32 = 2;
const EXIT_SETTING: i32 = 3;
const EXIT_DATA: i32 = 5;

fn run(arguments: &[&str]) -> Output {
    let home = Directory::new("command");
    let mut command = Command::new(binary());
    command.env_clear().arg("--data").arg(home.path().join("data")).args(arguments);
    command.output().expect("run the command")
}

fn refused(arguments: &[&str], exit: i32, parts: &[&str]) {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{arguments:?} should say {part:?}: {said}");
    }
}

#[test]
fn keys_that_ask_for_what_is_not_built_stop_the_start() {
    for (key, value) in [
        ("spring.sql.init.platform", "mysql"),
        ("spring.datasource.platform", "postgresql"),
        ("nacos.core.auth.system.type", "oidc"),
        ("nacos.remote.server.rpc.tls.enableTls", "true"),
        ("nacos.member.list", "10.0.0.1:8848,10.0.0.2:8848"),
        ("nacos.core.member.lookup.type", "address-server"),
        ("nacos.functionMode", "config"),
        ("nacos.deployment.type", "console"),
    ] {
        refused(&["-D", &format!("{key}={value}")], EXIT_SETTING, &[key, "not built yet"]);
    }
}

#[test]
fn a_bad_value_is_told_with_key_value_and_what_is_allowed() {
    for (key, value, allowed) in [
        ("nacre.connection.idle-ms", "soon", "milliseconds, 1000 to"),
        ("nacre.connection.max", "0", "a whole number, 1 to"),
        ("nacre.log.format", "xml", "one of text, json"),
        ("nacos.core.param.check.enabled", "perhaps", "true or false"),
        ("nacos.remote.server.grpc.sdk.max-inbound-message-size", "1", "bytes, 1024 to"),
        ("nacre.cores", "0,999", "999"),
    ] {
        refused(&["-D", &format!("{key}={value}")], EXIT_SETTING, &[key, value, allowed]);
    }
}

#[test]
fn a_key_that_cannot_sign_stops_the_start_and_is_not_shown() {
    const KEY: &str = "nacos.core.auth.plugin.nacos.token.secret.key";
    for (value, why) in [
        ("c2hvcnQ=", "shorter than 32 bytes"),
        ("SecretKey012345678901234567890123456789012345678901234567890123456789", "published"),
        ("%%%", "not Base64"),
    ] {
        let define = format!("{KEY}={value}");
        refused(&["-D", &define], EXIT_SETTING, &[KEY, why]);
        let said = run(&["-D", &define]).stderr;
        assert!(!String::from_utf8_lossy(&said).contains(value), "{value}");
    }
}

#[test]
fn unknown_flags_are_a_usage_error() {
    refused(&["--hots", "x"], EXIT_USAGE, &["--hots"]);
    refused(&["serve"], EXIT_USAGE, &["serve"]);
    refused(&["-D", "no-equals-sign"], EXIT_USAGE, &["no-equals-sign"]);
}

#[test]
fn a_second_process_on_one_data_directory_is_refused() {
    let server = Server::start();
    let data = server.home().join("data");
    let output = Command::new(binary())
        .env_clear()
        .arg("--data")
        .arg(&data)
        .args(["--port", "64000"])
        .output()
        .expect("run the command");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(EXIT_DATA), "{said}");
    assert!(said.contains(&server.pid().to_string()), "who has it: {said}");
}
