use crate::conns::profile::Module;
use crate::effect::{CloseReason, Effect};
use crate::home::fixture::{Bench, asks, key, reply, service, setup, text};
use crate::message::{Ask, Message, Waiter};
use crate::settings::Settings;
use nacre_proto::request::Request;

#[test]
fn setup_is_acknowledged_only_to_those_that_sent_abilities() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.connect(1);
    let effects = bench.set_up(conn, "naming", true);
    let [Effect::Push { body, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(body.kind, "SetupAckRequest");
    let text = text(body);
    let abilities = r#""abilityTable":{"supportPersistentInstanceByGrpc":true,"fuzzyWatch":true}"#;
    assert!(text.contains(abilities), "{text}");
    assert!(!text.contains("requestId"), "{text}");
    assert_eq!(bench.set_up(conn, "naming", true).len(), 1, "a second setup is acknowledged too");

    let old = bench.connect(2);
    assert_eq!(bench.set_up(old, "naming", false), []);
    assert_eq!(bench.home.counters.modules[0], 2);
}

#[test]
fn while_starting_an_sdk_is_closed_and_others_are_not() {
    for (source, closed) in [("sdk", true), ("cluster", false), ("", false)] {
        let mut bench = Bench::starting(Settings::default());
        let conn = bench.connect(1);
        let setup = setup(source, "naming", false);
        let effects = bench.handle(Message::Setup { conn, client_ip: "", setup });
        let close = Effect::Close { conn, reason: CloseReason::Starting };
        assert_eq!(effects, if closed { vec![close] } else { vec![] }, "{source}");
    }
}

#[test]
fn a_closed_connection_answers_301_until_its_transport_is_gone() {
    let mut bench = Bench::starting(Settings::default());
    let conn = bench.connect(1);
    bench.set_up(conn, "naming", false);
    bench.handle(Message::Started);
    assert_eq!(bench.set_up(conn, "naming", true), []);
    let (_, text, _) = reply(&bench.call(conn, 1, Request::HealthCheck));
    assert!(text.contains("301"), "{text}");
    assert_eq!(bench.handle(Message::Disconnected { conn }), []);
    assert_eq!(bench.home.table.len(), 0);
}

#[test]
fn leaving_takes_everything_back() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    for n in 0..3 {
        bench.register(conn, &service(n), "registerInstance");
    }
    bench.register(conn, &service(1), "deregisterInstance");
    bench.subscribe(conn, &service(5), true);
    bench.subscribed(conn, &service(5), 1);
    let effects = bench.handle(Message::Disconnected { conn });
    let waiter = Waiter { conn, stream: 0 };
    let expected = [
        Ask::Uninterested { service: service(5) },
        Ask::Withdraw { waiter, service: service(0) },
        Ask::Withdraw { waiter, service: service(2) },
    ];
    assert_eq!(asks(&effects), expected.iter().collect::<Vec<_>>());
    assert_eq!(bench.home.counters.modules, [0; Module::ALL.len()]);
    assert!(bench.home.profiles.is_empty() && bench.home.table.is_empty());
    assert!(bench.home.subscriptions.services.is_empty());
    assert_eq!(bench.handle(Message::Disconnected { conn }), [], "twice changes nothing");
}

#[test]
fn the_next_tenant_of_a_slot_inherits_nothing() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.register(conn, &service(0), "registerInstance");
    bench.handle(Message::Disconnected { conn });
    let next = crate::key::ConnKey { generation: 2, ..key(1) };
    let peer = "10.0.0.8:1".parse().unwrap();
    bench.handle(Message::Connected { conn: next, peer, id_ms: 43 });
    assert_eq!(bench.register(conn, &service(0), "registerInstance"), []);
    assert_eq!(bench.handle(Message::Disconnected { conn }), []);
    assert_eq!(bench.handle(Message::Disconnected { conn: next }), []);
}

#[test]
fn after_stopping_leaving_changes_nothing() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.register(conn, &service(1), "registerInstance");
    bench.handle(Message::Stopping);
    assert_eq!(bench.handle(Message::Disconnected { conn }), []);
    assert!(bench.home.subscriptions.records.is_empty() && bench.home.table.is_empty());
}
