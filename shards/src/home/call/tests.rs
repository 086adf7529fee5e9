use crate::effect::Effect;
use crate::home::fixture::{Bench, asks, key, register, reply, service, subscribe};
use crate::limits::LaneLimits;
use crate::message::{Ask, Message, QueryPurpose, Tell, Waiter};
use crate::naming::answer;
use crate::settings::Settings;
use nacre_proto::naming::ServiceQueryRequest;
use nacre_proto::request::Request;

#[test]
fn rows_of_the_pipeline_in_their_order() {
    let mut bench = Bench::starting(Settings::default());
    let conn = bench.connect(1);
    let malformed =
        || Message::Call { conn, stream: 3, app: None, tag: None, request: Err("bad".into()) };
    let null = || Message::Call { conn, stream: 3, app: None, tag: None, request: Ok(None) };
    let starting = "\"errorCode\":300,\"message\":\"Server is starting,please try later.\"";
    let (kind, text, _) = reply(&bench.handle(malformed()));
    assert!(kind == "ErrorResponse" && text.contains(starting), "{text}");
    let (kind, text, _) = reply(&bench.handle(Message::ServerCheck { conn, stream: 1 }));
    assert!(kind == "ErrorResponse" && text.contains(starting), "{text}");

    bench.handle(Message::Started);
    let (kind, text, _) = reply(&bench.handle(Message::ServerCheck { conn, stream: 1 }));
    assert!(kind == "ServerCheckResponse" && text.contains("42_10.0.0.7_5000"), "{text}");
    let (_, text, _) = reply(&bench.handle(malformed()));
    assert!(text.contains("\"errorCode\":301,\"message\":\"Connection is unregistered.\""));

    bench.set_up(conn, "naming", false);
    let (_, text, _) = reply(&bench.handle(malformed()));
    assert!(text.contains("\"errorCode\":502,\"message\":\"bad\""), "{text}");
    let (_, text, _) = reply(&bench.handle(null()));
    assert!(text.contains("\"errorCode\":502,\"message\":\"Invalid request\""), "{text}");
    let (kind, text, delay) = reply(&bench.call(conn, 3, Request::HealthCheck));
    assert_eq!((kind, delay), ("HealthCheckResponse", 0));
    assert!(text.contains("\"resultCode\":200"));
    let refusals = bench.home.counters.refusals;
    assert_eq!((refusals.starting, refusals.unregistered, refusals.malformed), (2, 1, 2));
}

#[test]
fn calls_of_a_connection_that_is_gone_are_dropped() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.handle(Message::Disconnected { conn });
    assert_eq!(bench.call(conn, 3, Request::HealthCheck), []);
    assert_eq!(bench.handle(Message::ServerCheck { conn, stream: 1 }), []);
}

#[test]
fn only_naming_clients_publish_and_subscribe() {
    for (module, allowed) in [("naming", true), ("ai", true), ("config", false), ("", false)] {
        let mut bench = Bench::new(Settings::default());
        let conn = bench.connect(1);
        bench.set_up(conn, module, false);
        for request in [register(&service(0), "registerInstance"), subscribe(&service(0), true, "")]
        {
            let effects = bench.call(conn, 3, request);
            if allowed {
                assert_eq!(asks(&effects).len(), 1, "{module}");
                continue;
            }
            let (kind, text, _) = reply(&effects);
            assert_eq!(kind, "ErrorResponse");
            let expected = "errCode: -401, errMsg: Client [42_10.0.0.7_5000] connection already \
                            disconnect, can't register ephemeral instance. ";
            assert!(text.contains(expected) && text.contains("\"resultCode\":-401"), "{text}");
        }
    }
}

#[test]
fn requests_go_to_their_owner_and_answers_come_back() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    let waiter = Waiter { conn, stream: 7 };
    let effects = bench.register(conn, &service(0), "registerInstance");
    let [Ask::Publish { waiter: asked, service: key, .. }] = asks(&effects)[..] else { panic!() };
    assert_eq!((asked, key), (&waiter, &service(0)));
    let effects = bench.tell(Tell::Answer { waiter, body: answer::registered() });
    assert_eq!(reply(&effects).0, "InstanceResponse");

    let effects = bench.register(conn, &service(0), "deregisterInstance");
    let [Ask::Withdraw { waiter: asked, .. }] = asks(&effects)[..] else { panic!() };
    assert_eq!(asked, &waiter);

    let query = ServiceQueryRequest {
        service_name: Some(service(0).service().to_owned().into()),
        ..Default::default()
    };
    let effects = bench.call(conn, 7, Request::ServiceQuery(query));
    let [Ask::Query { purpose, service: key, .. }] = asks(&effects)[..] else { panic!() };
    assert_eq!((*purpose, key), (QueryPurpose::Query, &service(0)));
}

#[test]
fn refusals_of_the_rules_are_typed_answers() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    let service = crate::key::ServiceKey::new("public", "bad group!", "s");
    let (kind, text, delay) = reply(&bench.register(conn, &service, "registerInstance"));
    assert_eq!((kind, delay), ("InstanceResponse", 0));
    assert!(text.contains("Param check invalid"), "{text}");
    assert_eq!(bench.home.counters.refusals.invalid, 1);
}

#[test]
fn a_full_lane_refuses_late_and_takes_again_after_an_answer() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    let limits = LaneLimits::for_cores(2);
    let share = limits.asks_max - limits.asks_reserved;
    for n in 0..2 * share {
        let effects = bench.register(conn, &service(0), "registerInstance");
        assert_eq!(asks(&effects).len(), usize::from(n < share), "as many more wait");
    }
    let (kind, text, delay) = reply(&bench.register(conn, &service(1), "registerInstance"));
    assert_eq!((kind, delay), ("InstanceResponse", 1_000));
    assert!(text.contains("\"errorCode\":503"), "{text}");
    let (kind, _, _) = reply(&bench.subscribe(conn, &service(1), true));
    assert_eq!(kind, "SubscribeServiceResponse");
    assert_eq!(bench.home.subscriptions.records.len(), 0, "refused before anything was kept");
    assert_eq!(bench.home.counters.refusals.lane_full, 2);

    let effects = bench.handle(Message::Disconnected { conn });
    assert_eq!(asks(&effects).len(), 0, "what is withdrawn was published before");
    let gone = Waiter { conn: key(1), stream: 0 };
    let answer = || Tell::Answer { waiter: gone, body: answer::registered() };
    let mut sent = Vec::new();
    for _ in 0..2 * share {
        bench.tell(answer());
        sent.extend(bench.drain());
    }
    let withdraw = Ask::Withdraw { waiter: gone, service: service(0) };
    assert_eq!(asks(&sent).len(), share + 1);
    assert_eq!(asks(&sent).last(), Some(&&withdraw), "it is never refused");

    let conn = bench.client(2);
    bench.tell(answer());
    let effects = bench.register(conn, &service(1), "registerInstance");
    assert!(matches!(effects[..], [Effect::Ask { .. }]));
}
