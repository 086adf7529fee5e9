//! Keys of tokens (`auth.md` 1, 4, 15.9): given, generated, kept, changed while running, refused.

use crate::auth::{FORBIDDEN, Town, logged_in, post};
use crate::auth_attacks::{ADMINISTRATOR, HS256, forged};
use crate::http_client::{Answer, Http};
use crate::server::{Directory, Server, binary};
use crate::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const KEY: &str = "nacos.core.auth.plugin.nacos.token.secret.key";
const LIST: &str = "/nacos/v1/ns/instance/list?serviceName=s";

/// The properties file of a data directory, replaced whole as editors do.
fn write(home: &Directory, key: &str) {
    let conf = home.path().join("data/conf");
    fs::create_dir_all(&conf).expect("make the folder");
    let text = format!("nacos.core.auth.enabled=true\n{KEY}={key}\n");
    fs::write(conf.join("new"), text).expect("write the settings");
    fs::rename(conf.join("new"), conf.join("application.properties")).expect("replace them");
}

fn list(server: &Server, token: &str) -> Answer {
    let line = format!("accessToken: {token}\r\n");
    Http::connect(server).ask_with("GET", LIST, &line, b"")
}

/// Its token is none of ours. (That of somebody unknown is, without a right.)
fn is_unknown(answer: &Answer) -> bool {
    answer.status == 403 && answer.text().contains("Code: 401")
}

#[test]
fn a_key_is_changed_while_the_node_runs() {
    let keys = [b"the first key, of some 32 bytes!!", b"a second key, of the same length!"];
    let tokens = keys.map(|key| forged(HS256, ADMINISTRATOR, key));
    let home = Directory::new("token-keys");
    write(&home, &STANDARD.encode(keys[0]));
    let server = Server::start_in(home.clone(), &[], &[]);
    let made = post(&server, "/nacos/v3/auth/user/admin", "password=first-secret", "");
    assert_eq!(made.status, 200, "{}", made.text());
    // Whoever has the key is believed, as among nodes of the reference.
    assert_eq!(list(&server, &tokens[0]).status, 200);
    assert!(is_unknown(&list(&server, &tokens[1])));
    let own = logged_in(&server, "nacos", "first-secret");

    write(&home, &STANDARD.encode(keys[1]));
    until("another key", || list(&server, &tokens[1]).status == 200);
    // On every core, and for tokens that were known already.
    for _ in 0..8 {
        assert!(is_unknown(&list(&server, &tokens[0])) && is_unknown(&list(&server, &own)));
        assert_eq!(list(&server, &tokens[1]).status, 200);
    }
    until_metric(&server, r#"nacre_token_keys_total{outcome="taken"}"#, 1.0);

    for (refused, bad) in ["c2hvcnQ=", "no Base64 at all!", ""].into_iter().enumerate() {
        write(&home, bad);
        let series = r#"nacre_token_keys_total{outcome="refused"}"#;
        until_metric(&server, series, refused as f64 + 1.0);
        assert_eq!(list(&server, &tokens[1]).status, 200, "the key before it counts on");
    }
    let log = fs::read_to_string(home.path().join("log")).expect("a log");
    assert!(log.contains("the key of tokens stays as it was"), "{log}");
    assert!(!log.contains("c2hvcnQ") && !log.contains(&STANDARD.encode(keys[1])), "{log}");
}

#[test]
fn a_generated_key_is_kept_for_its_owner_alone() {
    let mut town = Town::guarded();
    let data = town.server.home().join("data");
    let file = data.join("token.key");
    until("the key's file", || file.exists());
    let mode = fs::metadata(&file).expect("the key's file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&file).expect("the key");
    let key = STANDARD.decode(text.trim()).expect("Base64");
    assert!(key.len() >= 64 && key.iter().any(|byte| *byte != key[0]));
    // The log was lost: nobody is left, but whoever holds a token is still who he was.
    let status = town.server.terminate();
    assert!(status.success(), "{status}");
    remove(&data.join("raft"));
    town.server.start_again();
    until("a key", || !is_unknown(&list(&town.server, &town.admin)));
    let answer = list(&town.server, &town.admin);
    assert_eq!((answer.status, &answer.json()["message"]), (403, &FORBIDDEN.into()));
}

fn remove(folder: &Path) {
    fs::remove_dir_all(folder).expect("remove the log");
}

/// QVD-2023-6271: with a key that is short or known to everybody no node starts; an empty one is no
/// key.
#[test]
fn keys_that_are_no_secret_start_nothing() {
    let home = Directory::new("bad-keys");
    for key in [
        "SecretKey012345678901234567890123456789012345678901234567890123456789",
        "VGhpc0lzTXlDdXN0b21TZWNyZXRLZXkwMTIzNDU2Nzg=",
        "c2hvcnQ=",
        "not Base64!",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let mut command = Command::new(binary());
        command.args(["--host", "127.0.0.1", "--port", "1", "--data"]).arg(home.path());
        let output = command.arg("-D").arg(format!("{KEY}={key}")).output().expect("run it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{key}: {said}");
        assert!(said.contains(KEY) && !said.contains(key), "{key}: {said}");
    }
}

/// One token a user for most of its life, whichever core he asks.
#[test]
fn a_token_is_the_same_for_a_while_where_that_is_wanted() {
    let cached = "nacos.core.auth.plugin.nacos.token.cache.enable=true";
    let town = Town::guarded_with(&["-D", cached]);
    let login = || {
        let form = "username=nacos&password=first-secret";
        let answer = post(&town.server, "/nacos/v1/auth/login", form, "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        let ttl_s = json["tokenTtl"].as_u64().expect("a number");
        assert!((1_800..=18_000).contains(&ttl_s), "{ttl_s}");
        json["accessToken"].as_str().expect("a token").to_owned()
    };
    // The turn from one to the next may come in between, once.
    let mut tokens: Vec<String> = (0..8).map(|_| login()).collect();
    tokens.dedup();
    assert!(tokens.len() <= 2, "{tokens:?}");
    assert_eq!(list(&town.server, tokens.last().expect("one")).status, 200);
}
