//! An fsync that fails: the page it was for may be lost, and a second try may falsely succeed, so
//! nothing is written until a restart.

use crate::configs::{FAILED, Outcome, connect, metric, until};
use crate::server::{Directory, Server};
use crate::store::{Published, all_but_writes_go_on, skipped};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that lets fsync fail; `None`, said, where there is no C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/sync_fault.c");
    let library = folder.join("sync_fault.so");
    let mut compiler = Command::new("gcc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    match compiler.arg(&library).arg(source).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(library)
        }
        Err(error) => {
            skipped(&format!("gcc: {error}"));
            None
        }
    }
}

#[test]
fn a_failed_fsync_latches_until_a_restart() {
    let home = Directory::new("sync");
    let Some(library) = shim(home.path()) else { return };
    let fault = home.path().join("fault");
    let text = |path: &Path| path.to_str().expect("paths of the build are text").to_owned();
    let (library, named) = (text(&library), text(&fault));
    let environment = [("LD_PRELOAD", library.as_str()), ("NACRE_SYNC_FAULT", &named)];
    let mut server = Server::start_in(home, &[], &environment);
    let client = connect(server.grpc_address()).expect("connect");
    let mut published = Published::default();
    for _ in 0..20 {
        assert_eq!(published.one_more(&client), Outcome::Done);
    }
    fs::write(&fault, "").expect("break fsync");
    // It was on its way when its fsync failed.
    assert!(matches!(published.one_more(&client), Outcome::Unknown(_)));
    assert_eq!(published.until_refused(&client, 20), FAILED);
    until("the gauge", || metric(&server, "nacre_store_latched") == 1.0);
    assert_eq!(metric(&server, "nacre_store_read_only"), 0.0);
    all_but_writes_go_on(&server, &published);
    // The disk says that it is fine again; nobody believes it.
    fs::remove_file(&fault).expect("mend fsync");
    assert_eq!(published.one_more(&client), Outcome::Refused(FAILED.to_owned()));
    assert_eq!(metric(&server, "nacre_store_latched"), 1.0);
    server.kill();
    server.start_again();
    all_but_writes_go_on(&server, &published);
    let client = connect(server.grpc_address()).expect("connect");
    assert_eq!(published.one_more(&client), Outcome::Done);
}
