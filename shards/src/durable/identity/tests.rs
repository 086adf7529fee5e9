use super::*;
use crate::auth::identities::Secret;
use crate::durable::answer::Refused;
use crate::durable::command::Command;
use std::collections::BTreeMap;

/// A state with the disk it writes to.
struct Bench {
    state: State,
    disk: BTreeMap<Bytes, Bytes>,
}

impl Bench {
    fn new() -> Self {
        Self { state: State::new(Arc::default()), disk: BTreeMap::new() }
    }

    fn apply(&mut self, change: Change<'_>) -> Answer {
        let mut records = Vec::new();
        let answer = self.state.apply(1, &Command::Identity(change).encode(), &mut records);
        for Record { table, key, value } in records {
            match (table, value) {
                (Table::Identity, Some(value)) => _ = self.disk.insert(key, value),
                (Table::Identity, None) => _ = self.disk.remove(&key),
                _ => {}
            }
        }
        self.state.settle();
        answer
    }

    fn done(&mut self, change: Change<'_>) {
        let answer = self.apply(change);
        assert!(matches!(answer, Answer::Done { .. }), "{change:?}: {answer:?}");
    }

    fn refused(&mut self, change: Change<'_>) -> (i32, String) {
        let before = self.disk.clone();
        match self.apply(change) {
            Answer::Refused(Refused { code, text }) => {
                assert_eq!(self.disk, before, "what is refused changes nothing");
                (code.number(), text.into_owned())
            }
            done @ Answer::Done { .. } => panic!("{change:?}: {done:?}"),
        }
    }

    fn roles(&self, user: &str) -> Vec<String> {
        let shown = self.state.tables().identities().kept();
        let user = shown.user(user).expect("a user");
        user.roles.iter().map(|role| role.to_string()).collect()
    }
}

const HASH: Secret<'static> = Secret("$2a$10$hash");
const FIRST: Change<'static> = Change::FirstAdministrator { hash: HASH };
const BOB: Change<'static> = Change::CreateUser { name: "bob", hash: HASH };
const DEV: Change<'static> = Change::AddRole { role: "dev", user: "bob" };
const ROW: Change<'static> =
    Change::AddPermission { role: "dev", resource: "dev:*:*", rights: Rights::Both };

#[test]
fn the_first_administrator_is_made_once() {
    let mut bench = Bench::new();
    bench.done(FIRST);
    assert_eq!(bench.roles(FIRST_ADMINISTRATOR), [ROLE_ADMIN]);
    assert_eq!(bench.refused(FIRST), (409, "have admin user cannot use it.".to_owned()));
    let gone = Change::DeleteUser { name: FIRST_ADMINISTRATOR };
    assert_eq!(bench.refused(gone), (400, "cannot delete admin: nacos".to_owned()));
}

#[test]
fn a_user_of_that_name_becomes_the_administrator_and_keeps_his_roles() {
    let mut bench = Bench::new();
    bench.done(Change::CreateUser { name: "nacos", hash: Secret("old") });
    bench.done(Change::AddRole { role: "zeta", user: "nacos" });
    bench.done(FIRST);
    assert_eq!(bench.roles("nacos"), [ROLE_ADMIN, "zeta"]);
    let shown = bench.state.tables().identities().kept();
    assert_eq!(&*shown.user("nacos").unwrap().hash, HASH.0);
}

#[test]
fn changes_and_what_refuses_them() {
    let mut bench = Bench::new();
    bench.done(BOB);
    assert_eq!(bench.refused(BOB), (400, "user 'bob' already exist!".to_owned()));
    bench.done(Change::SetPassword { name: "bob", hash: Secret("new") });
    let absent = Change::SetPassword { name: "eve", hash: HASH };
    assert_eq!(bench.refused(absent), (400, "user eve not exist!".to_owned()));
    assert_eq!(bench.refused(ROW), (400, "role dev not found!".to_owned()));
    bench.done(DEV);
    let again = "user 'bob' already bound to the role 'dev'!";
    assert_eq!(bench.refused(DEV), (400, again.to_owned()));
    let eve = Change::AddRole { role: "dev", user: "eve" };
    assert_eq!(bench.refused(eve), (400, "user 'eve' not found!".to_owned()));
    bench.done(ROW);
    bench.done(ROW);
    assert_eq!(bench.state.identities().permissions().count(), 1, "the same row is one row");
    for change in [
        Change::AddRole { role: ROLE_ADMIN, user: "bob" },
        Change::RemoveRole { role: ROLE_ADMIN, user: "" },
        Change::RemoveRole { role: ROLE_ADMIN, user: "bob" },
    ] {
        let (code, text) = bench.refused(change);
        assert!(code == 400 && text.contains("is not permitted to"), "{text}");
    }
    bench.done(Change::RemovePermission { role: "dev", resource: "dev:*:*", rights: Rights::Read });
    assert_eq!(bench.state.identities().permissions().count(), 1, "of other rights");
    bench.done(Change::RemovePermission { role: "dev", resource: "dev:*:*", rights: Rights::Both });
    assert_eq!(bench.state.identities().permissions().count(), 0);
}

#[test]
fn roles_go_from_one_or_all_and_with_the_user() {
    let mut bench = Bench::new();
    bench.done(BOB);
    bench.done(Change::CreateUser { name: "eve", hash: HASH });
    for user in ["bob", "eve"] {
        bench.done(Change::AddRole { role: "dev", user });
        bench.done(Change::AddRole { role: "ops", user });
    }
    bench.done(Change::RemoveRole { role: "ops", user: "eve" });
    assert_eq!((bench.roles("bob").len(), bench.roles("eve").len()), (2, 1));
    bench.done(Change::RemoveRole { role: "dev", user: "" });
    assert_eq!((bench.roles("bob").len(), bench.roles("eve").len()), (1, 0));
    bench.done(Change::DeleteUser { name: "bob" });
    bench.done(Change::DeleteUser { name: "bob" });
    bench.done(BOB);
    assert_eq!(bench.roles("bob"), [""; 0], "nobody inherits");
}

#[test]
fn bounds_are_kept() {
    let mut bench = Bench::new();
    bench.done(BOB);
    let names: Vec<_> = (0..=ROLES_PER_USER_MAX).map(|at| format!("r{at}")).collect();
    for role in &names[1..] {
        bench.done(Change::AddRole { role, user: "bob" });
    }
    let (code, _) = bench.refused(Change::AddRole { role: &names[0], user: "bob" });
    assert_eq!(code, 400);
    let resources: Vec<_> = (0..=PERMISSIONS_PER_ROLE_MAX).map(|at| format!("n{at}:*:*")).collect();
    let row = |resource| Change::AddPermission { role: "r1", resource, rights: Rights::Read };
    for resource in &resources[1..] {
        bench.done(row(resource));
    }
    assert_eq!(bench.refused(row(&resources[0])).0, 400);
}

#[test]
fn the_first_offered_key_counts() {
    let mut bench = Bench::new();
    bench.done(Change::OfferKey { key: b"first" });
    bench.done(Change::OfferKey { key: b"second" });
    let shown = bench.state.tables().identities().kept();
    assert_eq!(&*shown.signing_key().unwrap().0, b"first");
}

#[test]
fn a_restart_finds_everybody() {
    let mut bench = Bench::new();
    for change in [FIRST, BOB, DEV, ROW, Change::OfferKey { key: &[7; 32] }] {
        bench.done(change);
    }
    let mut state = State::new(Arc::default());
    for (key, value) in &bench.disk {
        let record =
            Record { table: Table::Identity, key: key.clone(), value: Some(value.clone()) };
        state.load(record).unwrap();
    }
    state.loaded();
    assert_eq!(state.identities(), bench.state.identities());
    let shown = state.tables().identities().kept();
    assert!(shown.user("bob").is_some() && shown.epoch() > 0);
    state.clear();
    assert!(state.tables().identities().now().user("bob").is_some(), "readers go on");
    state.loaded();
    assert!(state.tables().identities().now().user("bob").is_none());
}

#[test]
fn texts_are_checked_before() {
    let long = "x".repeat(NAME_UNITS);
    for (change, expected) in [
        (Change::CreateUser { name: " ", hash: HASH }, "username is blank"),
        (Change::CreateUser { name: &long, hash: HASH }, "username is illegal"),
        (Change::CreateUser { name: "a\nb", hash: HASH }, "username is illegal"),
        (Change::AddRole { role: "", user: "u" }, "role is blank"),
        (Change::AddRole { role: "r", user: "" }, "username is blank"),
        (
            Change::AddPermission { role: "r", resource: "", rights: Rights::Read },
            "resource is blank",
        ),
        (
            Change::RemovePermission { role: "r", resource: "a\0", rights: Rights::Read },
            "resource is illegal",
        ),
    ] {
        let unfit = change.check().unwrap_err();
        assert!(unfit.starts_with(expected), "{change:?}: {unfit}");
    }
    for change in [FIRST, BOB, DEV, ROW, Change::RemoveRole { role: "r", user: "" }] {
        assert_eq!(change.check(), Ok(()));
    }
}

/// One more than a name may have.
const NAME_UNITS: usize = change::NAME_UNITS_MAX + 1;
