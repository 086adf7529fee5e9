//! No client is told an empty list because the server went away or came back.

use crate::server::Server;
use crate::support::*;
use nacre_loadgen::client::{addresses, instance};
use nacre_proto::client::push::NotifySubscriberRequest;

#[test]
fn no_emptied_list_is_pushed_because_the_server_stopped() {
    let mut server = Server::start();
    let service = service("restart");
    let (publisher, subscriber) = (client(&server), client(&server));
    subscriber.subscribe(&service, "").unwrap();
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    assert_eq!(server.terminate().code(), Some(0));
    while let Ok(push) = subscriber.next_push(WAIT) {
        assert!(push.parse::<NotifySubscriberRequest>().is_err(), "{push:?}");
    }
    server.start_again();
    // As an SDK redoes: subscriptions first (Go), then registrations.
    let (publisher, subscriber) = (client(&server), client(&server));
    assert!(subscriber.subscribe(&service, "").unwrap().hosts.is_empty());
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let (_, info) = subscriber.wait_service(WAIT, |info| !info.hosts.is_empty()).unwrap();
    assert_eq!(addresses(&info), ["10.0.0.1:1"]);
}

#[test]
fn a_killed_server_pushes_nothing_and_starts_again_on_its_data() {
    let mut server = Server::start();
    let service = service("killed");
    let (publisher, subscriber) = (client(&server), client(&server));
    subscriber.subscribe(&service, "").unwrap();
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).unwrap();
    let (_, before) = subscriber.wait_service(WAIT, |info| info.hosts.len() == 1).unwrap();
    server.kill();
    while let Ok(push) = subscriber.next_push(WAIT) {
        assert!(push.parse::<NotifySubscriberRequest>().is_err(), "{push:?}");
    }
    server.start_again();
    let (publisher, subscriber) = (client(&server), client(&server));
    publisher.register(&service, &instance("10.0.0.2", 2, &[])).unwrap();
    let after = subscriber.subscribe(&service, "").unwrap();
    assert_eq!(addresses(&after), ["10.0.0.2:2"], "ephemeral instances do not survive");
    assert!(after.last_ref_time > before.last_ref_time, "or listeners stay silent (15)");
}
