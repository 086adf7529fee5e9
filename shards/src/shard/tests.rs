use super::*;
use crate::effect::CloseReason;
use crate::home::fixture::{key, pushes, register, setup, subscribe, text};
use crate::key::{ConnKey, Owner, ServiceKey};
use crate::limits::PUSHES_PER_TURN_MAX;
use crate::message::Tell;
use nacre_proto::request::Request;

fn now(tick_ms: u64) -> Now {
    Now { tick_ms, unix_ms: 1_700_000_000_000 + tick_ms }
}

fn handle(shard: &mut Shard, at: u64, message: Message<'_>) -> Vec<Effect> {
    let mut effects = Effects::default();
    shard.handle(now(at), message, &mut effects);
    effects.list
}

fn drain(shard: &mut Shard, at: u64) -> Vec<Effect> {
    let mut effects = Effects::default();
    let room = Room { changes: &[100, 100], pushes: PUSHES_PER_TURN_MAX };
    shard.drain(now(at), room, &mut effects);
    effects.list
}

fn client(shard: &mut Shard, slot: u32) -> ConnKey {
    let conn = key(slot);
    let peer = "10.0.0.7:5000".parse().unwrap();
    handle(shard, 0, Message::Connected { conn, peer, id_ms: u64::from(slot) });
    let setup = setup("sdk", "naming", false);
    handle(shard, 0, Message::Setup { conn, client_ip: "", setup });
    conn
}

fn call(shard: &mut Shard, at: u64, conn: ConnKey, request: Request<'_>) -> Vec<Effect> {
    let request = Ok(Some(request));
    handle(shard, at, Message::Call { conn, stream: 5, app: None, tag: None, request })
}

#[test]
fn on_one_core_everything_happens_within_the_call() {
    let mut shard = Shard::new(Core(0), Map { cores: 1 }, Settings::default(), 7);
    assert!(!shard.started());
    handle(&mut shard, 0, Message::Started);
    let (provider, consumer) = (client(&mut shard, 1), client(&mut shard, 2));
    let service = ServiceKey::new("public", "DEFAULT_GROUP", "orders");

    let effects = call(&mut shard, 1, consumer, subscribe(&service, true, ""));
    let [Effect::Reply { body, .. }, Effect::Push { .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(text(body).contains("\"hosts\":[]"));
    let id = pushes(&effects)[0].0;
    handle(&mut shard, 2, Message::Ack { conn: consumer, request_id: id, accepted: true });

    let effects = call(&mut shard, 3, provider, register(&service, "registerInstance"));
    assert!(matches!(&effects[..], [Effect::Reply { .. }]));
    assert!(shard.has_work());
    let effects = drain(&mut shard, 3);
    let [Effect::Push { conn, body }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*conn, consumer);
    assert!(text(body).contains("\"ip\":\"192.0.2.10\""), "{}", text(body));
    assert!(!shard.has_work());

    handle(
        &mut shard,
        4,
        Message::Ack { conn: consumer, request_id: pushes(&effects)[0].0, accepted: true },
    );
    assert_eq!(handle(&mut shard, 5, Message::Disconnected { conn: provider }), []);
    let effects = drain(&mut shard, 5);
    let [Effect::Push { body, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(text(body).contains("\"hosts\":[]"));
    let counts = shard.counts();
    assert_eq!((counts.connections, counts.subscriptions, counts.home.pushes), (1, 1, 3));
    assert_eq!(counts.home.modules[0], 1);
}

#[test]
fn changes_wait_for_room_and_are_tried_again_soon() {
    let map = Map { cores: 2 };
    let mut shard = Shard::new(Core(0), map, Settings::default(), 7);
    handle(&mut shard, 0, Message::Started);
    let provider = client(&mut shard, 1);
    shard.tick(now(1), &mut Effects::default());
    let service = (0..)
        .map(|n| ServiceKey::new("public", "G", &format!("s{n}")))
        .find(|service| map.owner(service) == Owner(Core(0)))
        .unwrap();
    let waiter = crate::message::Waiter { conn: key(9), stream: 3 };
    let ask = Ask::Subscribe {
        waiter,
        service: service.clone(),
        filter: Box::new(crate::naming::view::Filter::all()),
    };
    let effects = handle(&mut shard, 1, Message::Ask { from: Core(1), ask });
    let [Effect::Tell { to, tell: Tell::Subscribed { .. } }] = &effects[..] else { panic!() };
    assert_eq!(*to, Home(Core(1)));

    call(&mut shard, 2, provider, register(&service, "registerInstance"));
    let mut effects = Effects::default();
    let full = Room { changes: &[0, 0], pushes: PUSHES_PER_TURN_MAX };
    shard.drain(now(2), full, &mut effects);
    let changed =
        |effect: &Effect| matches!(effect, Effect::Tell { tell: Tell::Changed { .. }, .. });
    assert!(!effects.list.iter().any(changed));
    assert!(!shard.has_work(), "nothing to do before there is room");
    assert_eq!(shard.next_wake(), Some(3));
    let effects = drain(&mut shard, 3);
    assert_eq!(effects.iter().filter(|effect| changed(effect)).count(), 1);
    assert!(shard.next_wake().unwrap() > 4);
}

#[test]
fn a_stall_moves_what_clients_are_judged_by() {
    let mut shard = Shard::new(Core(0), Map { cores: 1 }, Settings::default(), 7);
    handle(&mut shard, 0, Message::Started);
    let peer = "10.0.0.7:5000".parse().unwrap();
    handle(&mut shard, 0, Message::Connected { conn: key(1), peer, id_ms: 1 });
    shard.stalled(30_000);
    let mut effects = Effects::default();
    shard.tick(now(40_000), &mut effects);
    assert_eq!(effects.list, []);
    shard.tick(now(50_300), &mut effects);
    let close = Effect::Close { conn: key(1), reason: CloseReason::NeverSetUp };
    assert_eq!(effects.list, [close]);
}
