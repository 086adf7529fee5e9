//! A full disk: writes are refused in words, everything else goes on, and space brings them back.

use crate::configs::{FULL, Outcome, connect, metric, until};
use crate::mount::Mount;
use crate::server::Server;
use crate::store::{Published, all_but_writes_go_on};
use std::fs;

const DISK_BYTES: u64 = 64 << 20;
/// What another program fills, and later gives back.
const BALLAST_BYTES: usize = 36 << 20;
/// More publishes than fit beside it.
const PUBLISHES_MAX: usize = 1_000;

/// A disk that another program fills more than half.
fn crowded() -> Option<Mount> {
    let mount = Mount::memory(DISK_BYTES)?;
    fs::write(mount.data().join("ballast"), vec![1; BALLAST_BYTES]).expect("ballast");
    Some(mount)
}

fn free(mount: &Mount) {
    fs::remove_file(mount.data().join("ballast")).expect("remove the ballast");
}

fn start(mount: &Mount, reserve_bytes: u64) -> Server {
    let reserve = format!("nacre.store.reserve-bytes={reserve_bytes}");
    Server::start_in(mount.home(), &["-D", &reserve], &[])
}

fn refuses_until_there_is_space(mount: &Mount, reserve_bytes: u64) -> Server {
    let mut server = start(mount, reserve_bytes);
    let client = connect(server.grpc_address()).expect("connect");
    let mut published = Published::default();
    assert_eq!(published.until_refused(&client, PUBLISHES_MAX), FULL);
    assert!(published.acknowledged() > 10, "there was some space");
    until("the gauge", || metric(&server, "nacre_store_read_only") == 1.0);
    assert_eq!(metric(&server, "nacre_store_latched"), 0.0);
    all_but_writes_go_on(&server, &published);
    assert_eq!(published.one_more(&client), Outcome::Refused(FULL.to_owned()));
    free(mount);
    until("writes come back", || published.one_more(&client) == Outcome::Done);
    until("the gauge", || metric(&server, "nacre_store_read_only") == 0.0);
    all_but_writes_go_on(&server, &published);
    server.kill();
    server.start_again();
    all_but_writes_go_on(&server, &published);
    server
}

#[test]
fn a_disk_that_is_filled_up_refuses_writes_until_there_is_space() {
    let Some(mount) = crowded() else { return };
    let server = refuses_until_there_is_space(&mount, 0);
    drop(server);
}

#[test]
fn below_the_reserve_writes_are_refused_until_there_is_space() {
    let Some(mount) = crowded() else { return };
    let server = refuses_until_there_is_space(&mount, 8 << 20);
    drop(server);
}

/// The worst moment to die: nothing can be written, so nothing may have to be.
#[test]
fn killed_on_a_full_disk_it_starts_again_and_reads() {
    let Some(mount) = crowded() else { return };
    let mut server = start(&mount, 0);
    let mut published = Published::default();
    let client = connect(server.grpc_address()).expect("connect");
    assert_eq!(published.until_refused(&client, PUBLISHES_MAX), FULL);
    // Not a byte is left.
    let _ = fs::write(mount.data().join("more"), vec![1; DISK_BYTES as usize]);
    server.kill();
    server.start_again();
    all_but_writes_go_on(&server, &published);
    free(&mount);
    let client = connect(server.grpc_address()).expect("connect");
    until("writes come back", || published.one_more(&client) == Outcome::Done);
    all_but_writes_go_on(&server, &published);
}
