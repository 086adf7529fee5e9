use super::*;
use crate::config::listen::Has;
use crate::effect::Effect;
use crate::home::fixture::Bench;
use crate::key::{ConfigName, ConnKey, Core, Map};
use crate::limits::{LOOK_ROWS_MAX, TRACE_RING_EVENTS};
use crate::message::Message;
use crate::settings::Settings;

/// A service that the bench's other core owns.
fn service(name: &str) -> ServiceKey {
    let names = (0..).map(|number| ServiceKey::new("public", "G", &format!("{name}{number}")));
    let mut others = names.into_iter().filter(|key| Map { cores: 2 }.owner(key).0 == Core(1));
    others.next().expect("there is no end of names")
}

fn pushed(effects: &[Effect]) -> Vec<u64> {
    let mut ids = Vec::new();
    for effect in effects {
        if let Effect::Push { body, .. } = effect {
            let text: Vec<u8> = body.json.pieces().concat();
            let text = String::from_utf8(text).unwrap();
            let (_, rest) = text.split_once("\"requestId\":\"").unwrap();
            ids.push(rest.split('"').next().unwrap().parse().unwrap());
        }
    }
    ids
}

fn told(bench: &Bench, topic: &Topic) -> ToldOf {
    let now = Now { tick_ms: bench.now_ms, unix_ms: 1_700_000_000_000 + bench.now_ms };
    let clock = Clock { now, lived_ms: bench.now_ms - bench.stalled_ms };
    match bench.home.look_at_told(clock, topic, 0) {
        Seen::Told(told) => *told,
        other => panic!("{other:?}"),
    }
}

/// A client that follows a service and has acknowledged the push that is owed to a newcomer.
fn follower(bench: &mut Bench, slot: u32, key: &ServiceKey) -> ConnKey {
    let conn = bench.client(slot);
    bench.subscribe(conn, key, true);
    let effects = bench.subscribed(conn, key, 5);
    let id = *pushed(&effects).first().expect("the first push");
    bench.now_ms += 3;
    bench.ack(conn, id, true);
    conn
}

#[test]
fn who_was_told_what_and_what_came_of_it() {
    let mut bench = Bench::new(Settings::default());
    let key = service("s");
    let topic = Topic::Service(key.clone());
    assert_eq!(told(&bench, &topic), ToldOf::default());
    let conn = follower(&mut bench, 1, &key);
    let (first, second) = (bench.now_ms, bench.now_ms + 40);
    bench.now_ms = second;
    bench.changed(&key, 6);
    let ids = pushed(&bench.drain());
    let seen = told(&bench, &topic);
    assert_eq!((seen.revision, seen.subscribers.len()), (6, 1));
    let one = &seen.subscribers[0];
    assert_eq!((one.revision, one.held), (6, false));
    let timeout_ms = u64::from(Settings::default().push_timeout_ms);
    let until_ms = 1_700_000_000_000 + second + timeout_ms;
    assert_eq!(one.stage, Stage::Waiting { until_ms });
    let outcomes: Vec<_> = one.tellings.iter().map(|t| (t.revision, t.outcome)).collect();
    assert_eq!(outcomes, [(5, Outcome::Answer), (5, Outcome::Acknowledged), (6, Outcome::None)]);
    assert_eq!(one.tellings[1].after_ms, 3);
    assert_eq!(one.tellings[1].unix_ms, 1_700_000_000_000 + first - 3);
    bench.ack(conn, ids[0], false);
    let one = told(&bench, &topic).subscribers.remove(0);
    assert!(matches!(one.stage, Stage::Repeats { .. }), "{:?}", one.stage);
    assert_eq!(one.tellings.last().unwrap().outcome, Outcome::Refused);
    // It comes again, and nothing is heard of it.
    bench.pass(20_000);
    let one = told(&bench, &topic).subscribers.remove(0);
    let unanswered = one.tellings.iter().filter(|t| t.outcome == Outcome::Unanswered);
    assert!(unanswered.count() > 0, "{:?}", one.tellings);
}

#[test]
fn only_the_last_few_are_shown_and_what_was_lost_is_counted() {
    let mut bench = Bench::new(Settings::default());
    let key = service("loud");
    let topic = Topic::Service(key.clone());
    let conn = follower(&mut bench, 1, &key);
    for revision in 6..6 + TRACE_RING_EVENTS as u64 {
        bench.now_ms += 1;
        bench.changed(&key, revision);
        let ids = pushed(&bench.drain());
        bench.ack(conn, ids[0], true);
    }
    let seen = told(&bench, &topic);
    let one = &seen.subscribers[0];
    assert_eq!(one.stage, Stage::Settled);
    assert_eq!(one.tellings.len(), TELLINGS_SHOWN_MAX);
    assert!(one.tellings.iter().all(|t| t.outcome == Outcome::Acknowledged));
    assert_eq!(one.tellings.last().unwrap().revision, 5 + TRACE_RING_EVENTS as u64);
    assert!(seen.overwritten >= TRACE_RING_EVENTS as u64, "{}", seen.overwritten);
}

#[test]
fn who_has_left_is_still_told_of() {
    let mut bench = Bench::new(Settings::default());
    let key = service("s");
    let topic = Topic::Service(key.clone());
    let conn = follower(&mut bench, 1, &key);
    bench.handle(Message::Disconnected { conn });
    let seen = told(&bench, &topic);
    assert_eq!((seen.subscribers.len(), seen.gone.len()), (0, 2));
    // The bench gives each the same id; a server does not.
    assert!(seen.gone.iter().all(|(id_ms, _)| *id_ms == 42));
}

#[test]
fn listeners_and_what_they_said_they_have() {
    let mut bench = Bench::new(Settings::default());
    let key = ConfigKey::new(ConfigName { data_id: "d", group: "G", namespace: "public" });
    let topic = Topic::Config(key.clone());
    let conn = bench.client(1);
    let md5 = Some(Md5::of("x"));
    bench.home.listen(conn, key.clone(), Has { md5, blank_tenant: false });
    let change = crate::durable::state::Change { key: key.clone(), told: true, presence: None };
    bench.home.configs_changed(&[change]);
    let ids = pushed(&bench.drain());
    bench.now_ms += 7;
    bench.ack(conn, ids[0], true);
    let seen = told(&bench, &topic);
    let one = &seen.subscribers[0];
    assert_eq!((one.has, one.stage), (md5, Stage::Settled));
    assert_eq!((one.tellings[0].outcome, one.tellings[0].after_ms), (Outcome::Acknowledged, 7));
    assert_eq!(bench.home.count_listeners(&[key]), Seen::Numbers(vec![1]));
}

#[test]
fn clients_are_listed_in_bounded_steps() {
    let mut bench = Bench::new(Settings::default());
    let key = service("s");
    for slot in 0..LOOK_ROWS_MAX as u32 + 10 {
        let conn = bench.client(slot * 3);
        if slot < 2 {
            bench.subscribe(conn, &key, true);
        }
    }
    let wanted = Wanted { rows: usize::MAX, ..Wanted::default() };
    let mut all = Vec::new();
    let mut from = Some(0);
    let mut steps = 0;
    while let Some(slot) = from {
        let seen = bench.home.look_at_clients(bench.now_ms, slot, &wanted);
        let Seen::Clients { rows, next } = seen else { panic!() };
        assert!(rows.len() <= LOOK_ROWS_MAX);
        all.extend(rows);
        (from, steps) = (next, steps + 1);
    }
    assert_eq!((all.len(), steps), (LOOK_ROWS_MAX + 10, 2));
    assert_eq!((all[0].module, all[0].subscribes, all[2].subscribes), ("naming", 1, 0));
    assert_eq!(&*all[0].ip, "192.0.2.2");
    // One that was never set up, and is told to go for that.
    bench.connect(10_000);
    let stranger = bench.home.look_at_clients(bench.now_ms, 10_000, &wanted);
    let Seen::Clients { rows, .. } = stranger else { panic!() };
    assert_eq!((rows.len(), &*rows[0].version, rows[0].module), (1, "", ""));
    let nobody = Wanted { text: "no such".to_owned(), ..wanted.clone() };
    let seen = bench.home.look_at_clients(bench.now_ms, 0, &nobody);
    assert!(matches!(seen, Seen::Clients { rows, .. } if rows.is_empty()));
    assert_eq!(bench.home.count_subscribers(&[key, service("t")]), Seen::Numbers(vec![2, 0]));
}

#[test]
fn services_are_listed_with_what_they_hold() {
    use crate::effect::Effects;
    use crate::naming::open::{Address, Answer, Call, Name};
    use crate::shard::Shard;
    let mut shard = Shard::new(Core(0), Map { cores: 1 }, Settings::default(), 7);
    let mut effects = Effects::default();
    let now = Now { tick_ms: 1_000, unix_ms: 1_700_000_000_000 };
    shard.handle(now, Message::Started, &mut effects);
    for (number, healthy) in [(1, true), (2, false), (3, true)] {
        let name = Name { service: "s".to_owned(), ..Name::default() };
        let instance = nacre_proto::naming::Instance {
            ip: Some(format!("10.0.0.{number}").into()),
            port: 80,
            healthy,
            ..Default::default()
        };
        shard.handle(
            now,
            Message::Open { ticket: number, call: Call::Register { name, instance } },
            &mut effects,
        );
    }
    let name = Name { service: "s".to_owned(), ..Name::default() };
    let address = Address { ip: "10.0.0.9".to_owned(), port: 1, cluster: String::new() };
    let call = Call::Deregister { name, address, ephemeral: true };
    shard.handle(now, Message::Open { ticket: 4, call }, &mut effects);
    effects.list.clear();
    let mut look = |look| {
        let call = Call::Look { core: Core(0), look: Box::new(look) };
        shard.handle(now, Message::Open { ticket: 9, call }, &mut effects);
        match effects.list.pop() {
            Some(Effect::Answer { ticket: 9, answer: Answer::Seen(seen) }) => *seen,
            other => panic!("{other:?}"),
        }
    };
    let wanted = Wanted { rows: 10, ..Wanted::default() };
    let Seen::Services { rows, next } = look(Look::Services { from: 0, wanted }) else { panic!() };
    assert_eq!((rows.len(), next), (1, None));
    let row = &rows[0];
    assert_eq!((row.service.service(), row.instances, row.healthy), ("s", 3, 2));
    assert_eq!((row.publishers, row.persistent), (3, false));
    let elsewhere = Wanted { namespace: Some("dev".to_owned()), rows: 10, ..Wanted::default() };
    let none = Seen::Services { rows: Vec::new(), next: None };
    assert_eq!(look(Look::Services { from: 0, wanted: elsewhere }), none);
    assert_eq!(look(Look::Service { service: service("absent") }), none);
    let Seen::Counts(counts) = look(Look::Counts) else { panic!() };
    assert_eq!(counts.owner.instances, 3);
}

#[test]
fn instances_come_in_parts_and_each_once() {
    use crate::effect::Effects;
    use crate::naming::open::{Answer, Call, Name};
    use crate::shard::Shard;
    let mut shard = Shard::new(Core(0), Map { cores: 1 }, Settings::default(), 7);
    let mut effects = Effects::default();
    let now = Now { tick_ms: 1_000, unix_ms: 1_700_000_000_000 };
    shard.handle(now, Message::Started, &mut effects);
    let many = 2 * LOOK_ROWS_MAX + 7;
    for (namespace, service, count) in [("a", "many", many), ("a", "one", 1), ("b", "many", 2)] {
        for number in 0..count {
            let (namespace, service) = (namespace.to_owned(), service.to_owned());
            let name = Name { namespace, group: String::new(), service };
            let ip = Some(format!("10.0.{}.{}", number / 250, number % 250).into());
            let instance = nacre_proto::naming::Instance { ip, port: 80, ..Default::default() };
            let call = Call::Register { name, instance };
            shard.handle(now, Message::Open { ticket: 1, call }, &mut effects);
        }
    }
    let mut walk = |namespace: Option<&str>, service: Option<&str>| {
        let of = TargetsOf {
            namespace: namespace.map(str::to_owned),
            service: service.map(str::to_owned),
        };
        let (mut from, mut found, mut looks) = (Some((0, 0)), Vec::new(), 0);
        while let Some(place) = from {
            effects.list.clear();
            let look = Box::new(Look::Targets { from: place, of: of.clone() });
            let call = Call::Look { core: Core(0), look };
            shard.handle(now, Message::Open { ticket: 9, call }, &mut effects);
            let Some(Effect::Answer { answer: Answer::Seen(seen), .. }) = effects.list.pop() else {
                panic!("an answer")
            };
            let Seen::Targets { rows, next } = *seen else { panic!("of this kind") };
            assert!(rows.iter().map(|(_, hosts)| hosts.len()).sum::<usize>() <= LOOK_ROWS_MAX);
            for (key, hosts) in rows {
                let places = hosts.iter().map(|host| host.ip().to_owned());
                found.extend(places.map(|ip| (key.grouped().to_owned(), ip)));
            }
            (from, looks) = (next, looks + 1);
        }
        let count = found.len();
        found.sort();
        found.dedup();
        (count, found.len(), looks)
    };
    let (count, distinct, looks) = walk(None, None);
    assert_eq!((count, distinct), (many + 3, many + 1), "two services share a name");
    assert!(looks >= 3);
    assert_eq!(walk(Some("a"), None).0, many + 1);
    assert_eq!(walk(Some("a"), Some("one")).0, 1);
    assert_eq!(walk(None, Some("many")).0, many + 2);
    assert_eq!(walk(Some("absent"), None), (0, 0, 1));
}

/// What one shard of a node of one core answers.
fn looked(shard: &mut crate::shard::Shard, now: Now, look: Look) -> Seen {
    use crate::naming::open::{Answer, Call};
    let mut effects = crate::effect::Effects::default();
    let call = Call::Look { core: Core(0), look: Box::new(look) };
    shard.handle(now, Message::Open { ticket: 9, call }, &mut effects);
    match effects.list.pop() {
        Some(Effect::Answer { ticket: 9, answer: Answer::Seen(seen) }) => *seen,
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_publishers_and_pollers_are_shown_in_pieces_each_once() {
    use super::clients::{Client, Cursor, Which};
    use crate::effect::Effects;
    use crate::naming::open::{Call, Name, Poller, Shape};
    use crate::shard::Shard;
    let mut shard = Shard::new(Core(0), Map { cores: 1 }, Settings::default(), 7);
    let mut effects = Effects::default();
    let now = Now { tick_ms: 1_000, unix_ms: 1_700_000_000_000 };
    shard.handle(now, Message::Started, &mut effects);
    let name = || Name { service: "s".to_owned(), ..Name::default() };
    let count = LOOK_ROWS_MAX as u32 * 2 + 10;
    for number in 0..count {
        let instance = nacre_proto::naming::Instance {
            ip: Some(format!("10.0.{}.{}", number / 250, number % 250).into()),
            port: 80,
            ..Default::default()
        };
        let call = Call::Register { name: name(), instance };
        shard.handle(now, Message::Open { ticket: number, call }, &mut effects);
        let to = format!("192.0.2.1:{}", 1_000 + number).parse().unwrap();
        let poller = Some(Poller { to, user: None, agent: "a".into() });
        let clusters = String::new();
        let shape = Shape::Info;
        let call = Call::List { name: name(), clusters, healthy_only: false, shape, poller };
        shard.handle(now, Message::Open { ticket: number, call }, &mut effects);
    }
    let service = ServiceKey::new("public", "DEFAULT_GROUP", "s");
    let (mut ips, mut steps) = (Vec::new(), 0);
    let mut at = Some(Cursor::default());
    while let Some(cursor) = at {
        let look = Look::Publishers { service: service.clone(), at: cursor };
        let Seen::Publishers { rows, next } = looked(&mut shard, now, look) else { panic!() };
        assert!(rows.len() <= LOOK_ROWS_MAX && rows.iter().all(|r| r.client == Client::Beats));
        ips.extend(rows.into_iter().map(|row| row.ip));
        (at, steps) = (next, steps + 1);
    }
    let distinct: std::collections::HashSet<_> = ips.iter().collect();
    assert_eq!((ips.len(), distinct.len(), steps), (count as usize, count as usize, 3));
    // What each of them publishes and polls, in pieces too.
    let (mut all, mut at) = (0, Some(Cursor::default()));
    while let Some(cursor) = at {
        let look = Look::Addresses { of: None, at: cursor };
        let Seen::Addresses { rows, next } = looked(&mut shard, now, look) else { panic!() };
        all += rows.len();
        at = next;
    }
    assert_eq!(all, 2 * count as usize);
    // A page in the middle, of one service or of those with such a name.
    let like = |service: &str| Which::Like {
        namespace: "public".into(),
        group: "DEFAULT".into(),
        service: service.into(),
    };
    for (which, expected) in
        [(Which::One(service.clone()), count), (like("s"), count), (like("x"), 0)]
    {
        let look = Look::CountFollowers { which: which.clone(), at: Cursor::default() };
        let seen = looked(&mut shard, now, look);
        assert_eq!(seen, Seen::Count { count: expected.into(), next: None });
        let at = Cursor::past(300);
        let Seen::Followers { rows, .. } =
            looked(&mut shard, now, Look::Followers { which, at, rows: 5 })
        else {
            panic!()
        };
        let ports: Vec<u16> = rows.iter().map(|row| row.port).collect();
        let wanted: Vec<u16> = if expected == 0 { Vec::new() } else { (1_300..1_305).collect() };
        assert_eq!(ports, wanted);
    }
}

#[test]
fn one_connection_is_found_by_its_whole_id() {
    let mut bench = Bench::new(Settings::default());
    let key = service("s");
    let conn = bench.client(5_000);
    bench.subscribe(conn, &key, true);
    bench.connect(5_001);
    let now = Now { tick_ms: bench.now_ms, unix_ms: 1_700_000_000_000 };
    let clock = Clock { now, lived_ms: bench.now_ms };
    let id = bench.home.table.get(conn).expect("it is there").id();
    let Seen::Connections { rows, next: None } =
        bench.home.look_at_connections(clock, Some(&id), 0)
    else {
        panic!()
    };
    assert_eq!((rows.len(), rows[0].conn, &rows[0].id), (1, conn, &id));
    assert_eq!(rows[0].active_ms, 1_700_000_000_000);
    for nobody in ["", "x", "42", &id[..id.len() - 1], "43_192.0.2.2_5000"] {
        let seen = bench.home.look_at_connections(clock, Some(nobody), 0);
        assert!(matches!(seen, Seen::Connections { rows, .. } if rows.is_empty()), "{nobody}");
    }
    let Seen::Followers { rows, next: None } = bench.home.look_at_subscribed(conn, None) else {
        panic!()
    };
    assert_eq!((rows.len(), &rows[0].service), (1, &key));
    assert_eq!(bench.home.look_at_ids(&[conn]), Seen::Ids(vec![id]));
    // Whoever sits there next is somebody else.
    bench.handle(Message::Disconnected { conn });
    assert_eq!(bench.home.look_at_ids(&[conn]), Seen::Ids(vec![String::new()]));
}
