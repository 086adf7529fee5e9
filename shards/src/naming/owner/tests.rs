use super::*;
use crate::effect::Body;
use crate::key::ConnKey;
use crate::naming::host::{Host, Ids};
use nacre_proto::naming::Instance;
use serde_json::Value;

pub const CORES: u16 = 3;
const MAP: Map = Map { cores: CORES };

fn state() -> OwnerState {
    OwnerState::new(Core(0), MAP, 7, Rules::default())
}

fn at(tick_ms: u64) -> Now {
    Now { tick_ms, unix_ms: 1_795_264_929_000 + tick_ms }
}

/// A name that core 0 owns.
fn service(number: usize) -> ServiceKey {
    let names = (0..).map(|salt| ServiceKey::new("public", "G", &format!("s{number:05}-{salt}")));
    names.into_iter().find(|key| MAP.owner(key).0 == Core(0)).unwrap()
}

fn conn(home: u16, slot: u32) -> ConnKey {
    ConnKey { home: Home(Core(home)), slot, generation: 0 }
}

fn waiter(home: u16, slot: u32) -> Waiter {
    Waiter { conn: conn(home, slot), stream: 5 }
}

fn one(key: &ServiceKey, ip: &str) -> Box<Publication> {
    let instance = Instance { ip: Some(ip.into()), port: 80, ..Instance::default() };
    Box::new(Publication::One(Host::new(&instance, key, &mut Ids::new(Core(0)), at(0))))
}

fn batch(key: &ServiceKey, ips: &[&str]) -> Box<Publication> {
    let host = |ip: &&str| {
        let instance = Instance { ip: Some((*ip).into()), ..Instance::default() };
        Host::new(&instance, key, &mut Ids::new(Core(0)), at(0))
    };
    Box::new(Publication::Batch(ips.iter().map(host).collect()))
}

fn publish(waiter: Waiter, service: &ServiceKey, publication: Box<Publication>) -> Ask {
    Ask::Publish { waiter, service: service.clone(), publication }
}

fn withdraw(waiter: Waiter, service: &ServiceKey) -> Ask {
    Ask::Withdraw { waiter, service: service.clone() }
}

fn subscribe(waiter: Waiter, service: &ServiceKey) -> Ask {
    Ask::Subscribe { waiter, service: service.clone(), filter: Box::new(Filter::all()) }
}

fn body_of(tell: Tell) -> Body {
    match tell {
        Tell::Answer { body, .. } | Tell::Queried { body, .. } => body,
        other => panic!("an answer was expected, not {other:?}"),
    }
}

fn ips(json: &Value) -> Vec<&str> {
    json["hosts"].as_array().unwrap().iter().map(|host| host["ip"].as_str().unwrap()).collect()
}

fn view_ips(view: &View) -> Vec<String> {
    let json: Value = serde_json::from_slice(&view.body(&Filter::all())).unwrap();
    ips(&json).into_iter().map(str::to_owned).collect()
}

/// What a query shows: ips and `lastRefTime`.
fn queried(state: &mut OwnerState, now: Now, service: &ServiceKey) -> (Vec<String>, u64) {
    let ask = Ask::Query {
        waiter: waiter(1, 9),
        service: service.clone(),
        filter: Box::new(Filter::all()),
        purpose: QueryPurpose::Query,
    };
    let body = body_of(state.handle(now, Core(1), ask));
    assert_eq!(body.kind, "QueryServiceResponse");
    let json: Value = serde_json::from_slice(&body.json.pieces().concat()).unwrap();
    let info = &json["serviceInfo"];
    let shown = ips(info).into_iter().map(str::to_owned).collect();
    (shown, info["lastRefTime"].as_u64().unwrap())
}

fn subscribed(tell: Tell) -> Arc<View> {
    match tell {
        Tell::Subscribed { view, .. } => view,
        other => panic!("a subscription was expected, not {other:?}"),
    }
}

/// (core, service, view)
type Change = (u16, String, Arc<View>);

/// Everything that is due: changes, and the names told.
fn drained(state: &mut OwnerState, now: Now, room: &mut Room) -> (Vec<Change>, Vec<Ask>) {
    let (mut changes, mut asks, mut out) = (vec![], vec![], vec![]);
    state.drain(now, room, &mut out);
    for effect in out {
        match effect {
            Effect::Tell { to, tell: Tell::Changed { service, view } } => {
                assert_eq!(view.service(), &service);
                changes.push((to.0.0, service.service().to_owned(), view));
            }
            Effect::Ask { to, ask } => {
                assert_eq!(to, MAP.directory("public"));
                asks.push(ask);
            }
            other => panic!("{other:?}"),
        }
    }
    (changes, asks)
}

fn all() -> Room {
    Room::unbounded(usize::from(CORES))
}

#[test]
fn answers_are_those_of_the_request() {
    let mut state = state();
    let key = service(1);
    let mut kind_and_type = |ask| {
        let body = body_of(state.handle(at(1), Core(1), ask));
        let json: Value = serde_json::from_slice(&body.json.pieces().concat()).unwrap();
        (body.kind, json["type"].as_str().map(str::to_owned))
    };
    let me = waiter(1, 1);
    let expected = ("InstanceResponse", Some("registerInstance".to_owned()));
    assert_eq!(kind_and_type(publish(me, &key, one(&key, "1"))), expected);
    assert_eq!(kind_and_type(publish(me, &key, one(&key, "1"))), expected, "again, unchanged");
    let expected = ("BatchInstanceResponse", Some("batchRegisterInstance".to_owned()));
    assert_eq!(kind_and_type(publish(me, &key, batch(&key, &["1", "2"]))), expected);
    let expected = ("InstanceResponse", Some("deregisterInstance".to_owned()));
    assert_eq!(kind_and_type(withdraw(me, &key)), expected);
    assert_eq!(kind_and_type(withdraw(me, &key)), expected, "nothing to withdraw");
    assert_eq!(kind_and_type(withdraw(me, &service(2))), expected, "no such service");

    let nobody = Waiter { conn: me.conn, stream: 0 };
    assert_eq!(state.handle(at(2), Core(1), withdraw(nobody, &key)), Tell::Confirmed);
    let ask = publish(nobody, &key, one(&key, "1"));
    assert_eq!(state.handle(at(2), Core(1), ask), Tell::Confirmed);
    let ask = Ask::Uninterested { service: key };
    assert_eq!(state.handle(at(2), Core(1), ask), Tell::Confirmed);
}

/// `naming.md` 17: one entry a connection, whatever it names; a batch replaces a batch.
#[test]
fn a_connection_has_one_entry_per_service() {
    let mut state = state();
    let key = service(1);
    let (a, b) = (waiter(1, 1), waiter(2, 1));
    state.handle(at(1), Core(1), publish(a, &key, one(&key, "a1")));
    state.handle(at(2), Core(2), publish(b, &key, one(&key, "b1")));
    assert_eq!(queried(&mut state, at(3), &key).0, ["a1", "b1"]);
    state.handle(at(3), Core(1), publish(a, &key, one(&key, "a2")));
    assert_eq!(queried(&mut state, at(3), &key).0, ["a2", "b1"]);
    state.handle(at(4), Core(1), publish(a, &key, batch(&key, &["x", "y", "z"])));
    assert_eq!(queried(&mut state, at(4), &key).0, ["x", "y", "z", "b1"]);
    state.handle(at(5), Core(1), publish(a, &key, batch(&key, &["x", "z"])));
    assert_eq!(queried(&mut state, at(5), &key).0, ["x", "z", "b1"]);
    state.handle(at(6), Core(1), withdraw(a, &key));
    assert_eq!(queried(&mut state, at(6), &key).0, ["b1"]);
    assert_eq!(state.census().publications, 1);
}

#[test]
fn revisions_rise_whatever_the_clock_does() {
    let mut state = state();
    let key = service(1);
    let (_, absent) = queried(&mut state, at(100), &key);
    assert_eq!(absent, at(100).unix_ms);
    let view = subscribed(state.handle(at(100), Core(1), subscribe(waiter(1, 1), &key)));
    assert!(view.revision > absent);
    let mut last = view.revision;
    for round in 0..10 {
        let ask = publish(waiter(1, 2), &key, one(&key, &round.to_string()));
        state.handle(at(100), Core(1), ask);
        let (_, revision) = queried(&mut state, at(100), &key);
        assert!(revision > last, "same millisecond, another revision");
        last = revision;
    }
    state.handle(at(5_000), Core(1), publish(waiter(1, 2), &key, one(&key, "late")));
    assert_eq!(queried(&mut state, at(6_000), &key).1, at(5_000).unix_ms);
}

#[test]
fn a_change_goes_once_to_each_interested_core() {
    let mut state = state();
    let (key, other) = (service(1), service(2));
    for home in [1, 2] {
        let view = subscribed(state.handle(at(1), Core(home), subscribe(waiter(home, 1), &key)));
        assert!(view.is_empty());
    }
    state.handle(at(1), Core(1), publish(waiter(1, 2), &other, one(&other, "o")));
    assert!(drained(&mut state, at(1), &mut all()).0.is_empty(), "nobody follows that one");
    for round in 0..3 {
        let ask = publish(waiter(1, 2), &key, one(&key, &round.to_string()));
        state.handle(at(2), Core(1), ask);
    }
    let (changes, _) = drained(&mut state, at(2), &mut all());
    assert_eq!(changes.iter().map(|change| change.0).collect::<Vec<_>>(), [1, 2]);
    assert!(Arc::ptr_eq(&changes[0].2, &changes[1].2), "encoded once");
    assert_eq!(view_ips(&changes[0].2), ["2"]);
    assert!(!state.pending());

    state.handle(at(3), Core(1), publish(waiter(1, 2), &key, one(&key, "2")));
    assert!(!state.pending(), "no change, no bytes");

    state.handle(at(4), Core(1), Ask::Uninterested { service: key.clone() });
    state.handle(at(4), Core(1), withdraw(waiter(1, 2), &key));
    let (changes, _) = drained(&mut state, at(4), &mut all());
    assert_eq!(changes.iter().map(|change| change.0).collect::<Vec<_>>(), [2]);
    assert!(changes[0].2.is_empty(), "an empty list is told too");
}

#[test]
fn without_room_the_latest_state_waits() {
    let mut state = state();
    let keys: Vec<ServiceKey> = (0..5).map(service).collect();
    for key in &keys {
        for home in [1, 2] {
            state.handle(at(1), Core(home), subscribe(waiter(home, 1), key));
        }
    }
    let change = |state: &mut OwnerState, ip: &str| {
        for key in &keys {
            state.handle(at(2), Core(1), publish(waiter(1, 2), key, one(key, ip)));
        }
    };
    change(&mut state, "a");
    let mut room = Room { tells: vec![9, 2, 0], asks: vec![0; 3] };
    let mut out = vec![];
    assert!(state.drain(at(2), &mut room, &mut out), "blocked");
    assert_eq!((out.len(), &room.tells), (2, &vec![9, 0, 0]));
    change(&mut state, "b");
    let (changes, names) = drained(&mut state, at(3), &mut all());
    assert_eq!(names.len(), 5);
    let to = |home| changes.iter().filter(|change| change.0 == home).collect::<Vec<_>>();
    assert_eq!((to(1).len(), to(2).len()), (5, 5), "one each, though some changed twice");
    assert!(changes.iter().all(|change| view_ips(&change.2) == ["b"]));
    assert!(!state.pending());
}

#[test]
fn a_turn_is_bounded_also_with_room() {
    let mut state = state();
    let mut keys = vec![];
    for number in 0..CHANGES_PER_TURN_MAX + 10 {
        let key = service(number);
        state.handle(at(1), Core(1), subscribe(waiter(1, 1), &key));
        state.handle(at(1), Core(1), publish(waiter(1, 2), &key, one(&key, "1")));
        keys.push(key);
    }
    let mut out = vec![];
    assert!(!state.drain(at(1), &mut all(), &mut out), "there was room");
    assert_eq!(out.len(), 2 * CHANGES_PER_TURN_MAX);
    assert!(state.pending());
    state.drain(at(1), &mut all(), &mut out);
    assert_eq!(out.len(), 2 * keys.len());
    assert!(!state.pending());
}

/// However often a large service changes, its list is not built for every change.
#[test]
fn large_lists_are_paced() {
    let mut state = state();
    let (large, small) = (service(1), service(2));
    for key in [&large, &small] {
        for home in [1, 2] {
            state.handle(at(1), Core(home), subscribe(waiter(home, 1), key));
        }
    }
    let ips: Vec<String> =
        (0..3 * crate::limits::CHANGE_PACE_INSTANCES).map(|n| n.to_string()).collect();
    let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
    state.handle(at(1), Core(1), publish(waiter(1, 2), &large, batch(&large, &ips)));
    assert_eq!(drained(&mut state, at(1), &mut all()).0.len(), 2, "the first leaves at once");
    for tick in [1, 3] {
        for (key, slot) in [(&large, 3), (&small, 3)] {
            let ask = publish(waiter(1, slot), key, one(key, &format!("new-{tick}")));
            state.handle(at(tick), Core(1), ask);
        }
        let (changes, _) = drained(&mut state, at(tick), &mut all());
        let names: Vec<&str> = changes.iter().map(|change| &*change.1).collect();
        assert_eq!(names, [small.service(), small.service()], "a small one need not wait");
        assert!(state.drain(at(tick), &mut all(), &mut vec![]), "it says that it waits");
    }
    let (changes, _) = drained(&mut state, at(4), &mut all());
    assert_eq!(changes.len(), 2);
    assert!(view_ips(&changes[0].2).contains(&"new-3".to_owned()), "the latest state");
    assert!(!state.pending());
    // A list somebody asked for is there anyway.
    state.handle(at(4), Core(1), publish(waiter(1, 3), &large, one(&large, "newer")));
    assert!(queried(&mut state, at(4), &large).0.contains(&"newer".to_owned()));
    assert_eq!(drained(&mut state, at(4), &mut all()).0.len(), 2);
}

#[test]
fn interest_that_ended_and_began_again_is_served() {
    let mut state = state();
    let key = service(1);
    state.handle(at(1), Core(1), subscribe(waiter(1, 1), &key));
    state.handle(at(2), Core(1), publish(waiter(1, 2), &key, one(&key, "a")));
    state.handle(at(2), Core(1), Ask::Uninterested { service: key.clone() });
    state.handle(at(2), Core(1), subscribe(waiter(1, 1), &key));
    state.handle(at(3), Core(1), publish(waiter(1, 2), &key, one(&key, "b")));
    let (changes, _) = drained(&mut state, at(3), &mut all());
    assert_eq!(changes.len(), 1);
    assert_eq!(view_ips(&changes[0].2), ["b"]);
}

#[test]
fn the_directory_hears_of_first_and_last_publishers() {
    let mut state = state();
    let key = service(1);
    let named = |listed, published| Ask::Named { service: key.clone(), listed, published };
    state.handle(at(1), Core(1), subscribe(waiter(1, 1), &key));
    assert!(!state.pending(), "to subscribe lists nothing");
    state.handle(at(1), Core(1), publish(waiter(1, 2), &key, one(&key, "a")));
    assert_eq!(drained(&mut state, at(1), &mut all()).1, [named(true, true)]);
    state.handle(at(2), Core(1), publish(waiter(1, 3), &key, one(&key, "b")));
    state.handle(at(2), Core(1), withdraw(waiter(1, 2), &key));
    assert_eq!(drained(&mut state, at(2), &mut all()).1, []);
    state.handle(at(3), Core(1), withdraw(waiter(1, 3), &key));
    assert_eq!(drained(&mut state, at(3), &mut all()).1, [named(true, false)]);
    // Gone and back before anybody was told: only the end counts.
    state.handle(at(4), Core(1), publish(waiter(1, 3), &key, one(&key, "b")));
    state.handle(at(4), Core(1), withdraw(waiter(1, 3), &key));
    state.handle(at(4), Core(1), publish(waiter(1, 3), &key, one(&key, "b")));
    assert_eq!(drained(&mut state, at(4), &mut all()).1, [named(true, true)]);
}

/// `naming.md` 12: first scan at 30 s, then every 60 s; empty for at least 60 s.
#[test]
fn the_cleaner_takes_services_empty_for_a_minute() {
    let mut state = state();
    let (old, young, back, followed) = (service(1), service(2), service(3), service(4));
    for key in [&old, &young, &back, &followed] {
        state.handle(at(1), Core(1), publish(waiter(1, 2), key, one(key, "a")));
    }
    state.handle(at(1), Core(2), subscribe(waiter(2, 2), &followed));
    for (key, tick) in [(&old, 5_000), (&back, 5_000), (&followed, 5_000), (&young, 31_000)] {
        state.handle(at(tick), Core(1), withdraw(waiter(1, 2), key));
    }
    state.handle(at(32_000), Core(1), publish(waiter(1, 2), &back, one(&back, "b")));
    drained(&mut state, at(32_000), &mut all());
    let gone = |state: &mut OwnerState, tick| {
        state.tick(at(tick));
        let names = drained(state, at(tick), &mut all()).1;
        let names = names.into_iter().map(|ask| match ask {
            Ask::Named { service, listed: false, published: false } => service,
            other => panic!("{other:?}"),
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(gone(&mut state, 29_999), []);
    assert_eq!(gone(&mut state, 33_000), [], "the first scan: none is old enough");
    assert_eq!(gone(&mut state, 90_000), [], "no scan yet");
    let mut first = gone(&mut state, 93_000);
    first.sort();
    let mut expected = vec![old.clone(), followed.clone()];
    expected.sort();
    // `young` was 62 s empty as well.
    expected.push(young.clone());
    expected.sort();
    assert_eq!(first, expected);
    assert_eq!(
        state.census(),
        Census { services: 2, publications: 1, instances: 1, ..Census::default() }
    );
    // The follower hears of the service when it comes back, with a higher revision.
    let before = queried(&mut state, at(93_000), &followed).1;
    state.handle(at(93_000), Core(1), publish(waiter(1, 5), &followed, one(&followed, "new")));
    let (changes, _) = drained(&mut state, at(93_000), &mut all());
    assert_eq!((changes[0].0, view_ips(&changes[0].2)), (2, vec!["new".to_owned()]));
    assert!(changes[0].2.revision > before);
}

#[test]
fn a_service_made_again_goes_on_counting() {
    let mut state = state();
    let key = service(1);
    let mut last = 0;
    for round in 0..4u64 {
        let now = at(round * 200_000);
        // Far more changes than milliseconds: the revision runs ahead of the clock.
        for ip in 0..50 {
            let ip = ip.to_string();
            state.handle(now, Core(1), publish(waiter(1, 2), &key, one(&key, &ip)));
        }
        let (_, revision) = queried(&mut state, now, &key);
        assert!(revision > last);
        state.handle(now, Core(1), withdraw(waiter(1, 2), &key));
        let (_, empty) = queried(&mut state, now, &key);
        state.tick(at(round * 200_000 + 100_000));
        drained(&mut state, now, &mut all());
        state.tick(at(round * 200_000 + 199_000));
        drained(&mut state, now, &mut all());
        assert_eq!(state.census().services, 0);
        last = queried(&mut state, at(round), &key).1;
        assert!(last >= empty, "a list of nothing is not older than what was shown");
    }
}

#[test]
fn services_nobody_holds_leave_no_trace() {
    let mut state = state();
    for number in 0..50 {
        let key = service(number);
        queried(&mut state, at(1), &key);
        state.handle(at(1), Core(1), subscribe(waiter(1, 1), &key));
        state.handle(at(1), Core(1), Ask::Uninterested { service: key.clone() });
        state.handle(at(1), Core(1), withdraw(waiter(1, 1), &key));
    }
    assert_eq!(state.census(), Census::default());
    assert!(!state.pending());
}
