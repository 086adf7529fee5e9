use super::*;
use crate::auth::identities::{Rights, Secret};
use crate::config::fixture::{Centre, id, pushes};
use crate::durable::command::Command;
use crate::durable::identity::change::Change;
use crate::effect::Effect;
use crate::home::fixture::{asks, service};
use crate::message::{Ask, Message, Tell};
use crate::settings::Settings;
use nacre_proto::request::Kind as RequestKind;

const ROW: &str = "public:*:*";

/// Somebody who may read `public`, and somebody who may nothing.
fn centre() -> Centre {
    let mut centre = Centre::new(Settings::default());
    for name in ["bob", "eve"] {
        change(&mut centre, Change::CreateUser { name, hash: Secret("x") });
    }
    change(&mut centre, Change::AddRole { role: "reader", user: "bob" });
    may(&mut centre, true);
    centre
}

/// Has a change applied and told; what the home side does then.
fn change(centre: &mut Centre, change: Change<'_>) -> Vec<Effect> {
    centre.state.apply(1, &Command::Identity(change).encode(), &mut Vec::new());
    centre.carry_out(&[])
}

fn md5(content: &str) -> String {
    String::from_utf8(config::md5::Md5::of(content).hex().to_vec()).unwrap()
}

/// Gives the readers their right, or takes it.
fn may(centre: &mut Centre, may: bool) -> Vec<Effect> {
    let (role, resource, rights) = ("reader", ROW, Rights::Read);
    change(
        centre,
        match may {
            true => Change::AddPermission { role, resource, rights },
            false => Change::RemovePermission { role, resource, rights },
        },
    )
}

fn known(centre: &mut Centre, conn: ConnKey, user: &str) {
    assert_eq!(centre.bench.handle(Message::Known { conn, user }), []);
}

/// A listener as `user`, who has what there is.
fn listener(centre: &mut Centre, slot: u32, user: &str) -> ConnKey {
    let conn = centre.client(slot);
    known(centre, conn, user);
    let md5 = md5("one");
    centre.listen(conn, "d", "null", &md5);
    conn
}

fn acknowledge(centre: &mut Centre, effects: &[Effect]) {
    for push in pushes(effects) {
        assert_eq!(centre.bench.ack(push.0, id(&push), true), []);
    }
}

#[test]
fn a_listener_is_told_while_he_may_and_catches_up_when_he_may_again() {
    let mut centre = centre();
    centre.publish("d", "one");
    let conn = listener(&mut centre, 1, "bob");
    let told = centre.publish("d", "two");
    assert_eq!(pushes(&told).len(), 1);
    acknowledge(&mut centre, &told);

    assert_eq!(pushes(&may(&mut centre, false)), []);
    assert_eq!(pushes(&centre.publish("d", "three")), []);
    assert_eq!(pushes(&centre.publish("d", "four")), []);
    assert_eq!(centre.bench.home.counters.withheld, 1, "looked at once, then left alone");
    // A change of something else.
    assert_eq!(pushes(&change(&mut centre, Change::DeleteUser { name: "eve" })), []);
    assert_eq!(pushes(&centre.bench.pass(15_000)), [], "time alone gives no right");

    let told = may(&mut centre, true);
    assert_eq!(pushes(&told).iter().map(|push| push.0).collect::<Vec<_>>(), [conn]);
    acknowledge(&mut centre, &told);
    assert_eq!(pushes(&may(&mut centre, true)), [], "and once only");
}

#[test]
fn whoever_has_no_user_is_told_everything() {
    let mut centre = centre();
    centre.publish("d", "one");
    let conn = centre.client(1);
    let md5 = md5("one");
    centre.listen(conn, "d", "null", &md5);
    may(&mut centre, false);
    assert_eq!(pushes(&centre.publish("d", "two")).len(), 1);
}

#[test]
fn a_connection_is_its_last_users() {
    let mut centre = centre();
    centre.publish("d", "one");
    let conn = listener(&mut centre, 1, "bob");
    known(&mut centre, conn, "eve");
    assert_eq!(pushes(&centre.publish("d", "two")), []);
    // Asked for again by somebody who may: let in anew.
    known(&mut centre, conn, "bob");
    let md5 = md5("two");
    centre.listen(conn, "d", "null", &md5);
    centre.bench.drain();
    assert_eq!(
        pushes(&centre.publish("d", "three")).len(),
        0,
        "the one that was owed is under way"
    );
    centre.bench.handle(Message::Disconnected { conn });
    assert!(centre.bench.home.standing.users.is_empty(), "users go with their connections");
}

#[test]
fn a_subscriber_is_pushed_the_latest_state_when_he_may_again() {
    let mut centre = centre();
    let service = service(0);
    let conn = centre.bench.client(1);
    known(&mut centre, conn, "bob");
    centre.bench.subscribe(conn, &service, true);
    let first = centre.bench.subscribed(conn, &service, 1);
    acknowledge(&mut centre, &first);
    may(&mut centre, false);
    for revision in 2..5 {
        centre.bench.changed(&service, revision);
        assert_eq!(pushes(&centre.bench.drain()), []);
    }
    assert_eq!(pushes(&centre.bench.pass(15_000)), []);
    let told = may(&mut centre, true);
    let told = crate::home::fixture::pushes(&told);
    assert_eq!(
        told.iter().map(|(_, to, revision)| (*to, *revision)).collect::<Vec<_>>(),
        [(conn, 4)]
    );
}

#[test]
fn a_subscription_withheld_is_let_in_anew_by_its_request() {
    let mut centre = centre();
    let service = service(0);
    let conn = centre.bench.client(1);
    known(&mut centre, conn, "eve");
    centre.bench.subscribe(conn, &service, true);
    let first = centre.bench.subscribed(conn, &service, 1);
    assert_eq!(pushes(&first), [], "the right went while the owner was asked");
    known(&mut centre, conn, "bob");
    centre.bench.subscribe(conn, &service, true);
    let mut effects = centre.bench.subscribed(conn, &service, 1);
    effects.extend(centre.bench.drain());
    assert_eq!(pushes(&effects).len(), 1, "the first push is still owed");
}

#[test]
fn fuzzy_watches_end_on_both_sides() {
    let mut centre = centre();
    let conn = centre.client(1);
    known(&mut centre, conn, "bob");
    let watch = r#"{"groupKeyPattern":"public>>g>>*","watchType":"WATCH","initializing":true}"#;
    centre.call(conn, RequestKind::ConfigFuzzyWatch, watch);
    let done = centre.bench.pass(1_000);
    acknowledge(&mut centre, &done);
    let done = centre.bench.pass(1_000);
    acknowledge(&mut centre, &done);
    assert_eq!(pushes(&centre.publish("a", "x")).len(), 1);
    may(&mut centre, false);
    assert_eq!(pushes(&centre.publish("b", "x")), []);
    assert_eq!(centre.bench.home.config_patterns.len(), 0, "ended");

    let naming = centre.bench.client(2);
    known(&mut centre, naming, "eve");
    let watch = r#"{"groupKeyPattern":"public>>*>>*","watchType":"WATCH","initializing":true}"#;
    let asked = centre.call(naming, RequestKind::NamingFuzzyWatch, watch);
    let [Ask::Watch { waiter, watch }] = asks(&asked)[..] else { panic!("{asked:?}") };
    let body = crate::naming::answer::health();
    let (waiter, watch, differences) = (*waiter, watch.clone(), Vec::new());
    centre.bench.tell(Tell::Watched { waiter, watch, body, differences });
    let effects = centre.bench.pass(2_000);
    assert_eq!(pushes(&effects), []);
    assert!(matches!(asks(&effects)[..], [Ask::Unwatch { .. }]), "{effects:?}");
}

#[test]
fn what_is_withheld_costs_no_more_than_there_is() {
    let mut listed = Vec::new();
    for round in 0..10_000 {
        list(&mut listed, round % 3, 3, |index| *index != 2);
        assert!(listed.len() <= LISTED_MIN);
    }
    assert!(listed.contains(&0) && listed.contains(&1));
}
