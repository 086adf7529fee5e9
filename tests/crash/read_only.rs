//! A file system that the kernel has made read-only: something below is broken, so nothing is
//! written until an operator has looked and started the server again.

use crate::configs::{FAILED, Outcome, connect, metric, until};
use crate::mount::Mount;
use crate::server::Server;
use crate::store::{Published, all_but_writes_go_on};

const DISK_BYTES: u64 = 64 << 20;

#[test]
fn a_file_system_turned_read_only_latches_until_a_restart() {
    let Some(mount) = Mount::disk(DISK_BYTES) else { return };
    let settings = ["-D", "nacre.store.reserve-bytes=1000000"];
    let mut server = Server::start_in(mount.home(), &settings, &[]);
    let client = connect(server.grpc_address()).expect("connect");
    let mut published = Published::default();
    for _ in 0..20 {
        assert_eq!(published.one_more(&client), Outcome::Done);
    }
    mount.break_disk();
    assert_eq!(published.until_refused(&client, 20), FAILED);
    until("the gauge", || metric(&server, "nacre_store_latched") == 1.0);
    assert_eq!(metric(&server, "nacre_store_read_only"), 0.0);
    all_but_writes_go_on(&server, &published);
    assert_eq!(published.one_more(&client), Outcome::Refused(FAILED.to_owned()));
    server.kill();
    mount.repair_disk();
    server.start_again();
    all_but_writes_go_on(&server, &published);
    let client = connect(server.grpc_address()).expect("connect");
    assert_eq!(published.one_more(&client), Outcome::Done);
}
