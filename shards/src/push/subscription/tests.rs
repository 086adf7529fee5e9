use crate::effect::Effect;
use crate::home::fixture::{Bench, asks, pushes, reply, service, subscribe, text, view};
use crate::message::{Ask, Message, QueryPurpose, Tell, Waiter};
use crate::naming::view::Filter;
use crate::settings::Settings;
use nacre_proto::naming::ServiceQueryRequest;
use nacre_proto::request::Request;

#[test]
fn the_answer_is_written_before_the_first_push() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    let effects = bench.subscribe(conn, &service(0), true);
    assert!(matches!(asks(&effects)[..], [Ask::Subscribe { .. }]));
    let effects = bench.subscribed(conn, &service(0), 5);
    let [Effect::Reply { body, stream: 9, .. }, Effect::Push { body: push, .. }] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(body.kind, "SubscribeServiceResponse");
    assert_eq!(push.kind, "NotifySubscriberRequest");
    assert!(text(push).contains("\"lastRefTime\":5"));
}

#[test]
fn a_second_subscription_replaces_the_first_and_is_owed_no_push() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.call(conn, 9, subscribe(&service(0), true, "east"));
    let waiter = Waiter { conn, stream: 9 };
    let filter = Filter { clusters: Some("east".into()), healthy_only: false };
    let view_2 = view(&service(0), 2);
    let effects = bench.tell(Tell::Subscribed {
        waiter,
        service: service(0),
        filter: Box::new(filter),
        view: view_2,
    });
    reply(&effects);
    assert_eq!(bench.drain(), [], "what was just answered is not pushed");
    let mut effects = bench.changed(&service(0), 3);
    effects.extend(bench.drain());
    let [Effect::Push { body, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(text(body).contains("\"clusters\":\"east\""));
    assert_eq!(bench.home.subscriptions.filters.len(), 1);
    assert_eq!(bench.home.subscriptions.records.len(), 1);
}

#[test]
fn unsubscribing_ends_interest_and_answers_with_data() {
    let mut bench = Bench::new(Settings::default());
    let first = bench.follower(1, &service(0));
    let second = bench.follower(2, &service(0));
    let effects = bench.subscribe(first, &service(0), false);
    let [Ask::Query { purpose: QueryPurpose::Unsubscribe, .. }] = asks(&effects)[..] else {
        panic!("{effects:?}")
    };
    let effects = bench.subscribe(second, &service(0), false);
    let [Ask::Uninterested { .. }, Ask::Query { .. }] = asks(&effects)[..] else {
        panic!("{effects:?}")
    };
    let mut effects = bench.changed(&service(0), 9);
    effects.extend(bench.drain());
    assert_eq!(effects, []);
    let effects = bench.subscribe(second, &service(0), false);
    assert_eq!(asks(&effects).len(), 1, "nothing to end, still answered");
}

#[test]
fn unsubscribing_before_the_answer_counts() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.subscribe(conn, &service(0), true);
    let effects = bench.subscribe(conn, &service(0), false);
    assert!(matches!(asks(&effects)[0], Ask::Uninterested { .. }));
    reply(&bench.subscribed(conn, &service(0), 1));
    assert!(bench.home.subscriptions.records.is_empty());

    // Once more: the first answer serves, the second brings nothing new.
    bench.subscribe(conn, &service(0), true);
    bench.subscribe(conn, &service(0), false);
    bench.subscribe(conn, &service(0), true);
    assert_eq!(pushes(&bench.subscribed(conn, &service(0), 2)).len(), 1);
    assert_eq!(pushes(&bench.subscribed(conn, &service(0), 2)).len(), 0);
}

#[test]
fn a_client_that_left_before_the_answer_leaves_nothing() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.subscribe(conn, &service(0), true);
    let effects = bench.handle(Message::Disconnected { conn });
    assert!(matches!(asks(&effects)[..], [Ask::Uninterested { .. }]));
    assert_eq!(bench.subscribed(conn, &service(0), 1), []);
    assert!(bench.home.subscriptions.services.is_empty());
}

#[test]
fn another_subscribers_answer_also_brings_news() {
    let mut bench = Bench::new(Settings::default());
    let first = bench.follower(1, &service(0));
    let second = bench.client(2);
    bench.subscribe(second, &service(0), true);
    let mut effects = bench.subscribed(second, &service(0), 4);
    effects.extend(bench.drain());
    let pushed: Vec<_> = pushes(&effects).iter().map(|(_, conn, r)| (*conn, *r)).collect();
    assert_eq!(pushed, [(second, 4), (first, 4)]);
    let mut effects = bench.changed(&service(0), 4);
    effects.extend(bench.drain());
    assert_eq!(effects, [], "known already");
}

#[test]
fn the_number_of_subscriptions_is_bounded() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.client(1);
    bench.home.table.get_mut(conn).unwrap().subscription_count =
        crate::limits::SUBSCRIPTIONS_PER_CONNECTION_MAX;
    let (kind, text, delay) = reply(&bench.subscribe(conn, &service(0), true));
    assert_eq!((kind, delay), ("SubscribeServiceResponse", 1_000));
    assert!(text.contains("\"errorCode\":503"), "{text}");
    assert_eq!(bench.home.counters.refusals.subscriptions, 1);
    bench.home.table.get_mut(conn).unwrap().subscription_count = 0;
}

#[test]
fn a_query_answer_outdates_older_pushes_but_not_its_own() {
    let mut bench = Bench::new(Settings::default());
    let conn = bench.follower(1, &service(0));
    bench.changed(&service(0), 2);
    let id = pushes(&bench.drain())[0].0;
    bench.changed(&service(0), 3);
    assert_eq!(bench.drain(), []);
    let query = ServiceQueryRequest {
        service_name: Some(service(0).service().to_owned().into()),
        ..Default::default()
    };
    assert_eq!(asks(&bench.call(conn, 3, Request::ServiceQuery(query))).len(), 1);
    let body = crate::naming::answer::query(view(&service(0), 4).body(&Filter::all()));
    let waiter = Waiter { conn, stream: 3 };
    reply(&bench.tell(Tell::Queried { waiter, service: service(0), revision: 4, body }));
    assert_eq!(bench.ack(conn, id, true), [], "3 is outdated");
    bench.changed(&service(0), 4);
    assert_eq!(pushes(&bench.drain())[0].2, 4);
}
