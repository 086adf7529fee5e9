use super::*;
use crate::auth::worker;
use nacre_proto::request::Kind;
use nacre_shards::auth::identities::{Rights, Secret};
use nacre_shards::durable::command::Command;
use nacre_shards::durable::identity::change::Change;
use nacre_shards::durable::state;

const NOW: Now = Now { tick_ms: 5, unix_ms: 1_000_000 };
const CONFIG: &str = r#"{"tenant":"dev","group":"G","dataId":"d"}"#;
const LISTEN: &str = r#"{"configListenContexts":[{"tenant":"dev","group":"G","dataId":"d"},
    {"tenant":"prod","group":"G","dataId":"e"}]}"#;

struct Town {
    door: Door,
    state: state::State,
    _inbox: worker::Inbox,
}

/// A guarded door; the replicated key signs.
fn town() -> Town {
    let tables: Arc<Tables> = Arc::default();
    let mut state = state::State::new(tables.clone());
    let hash = Secret("$2a$10$EuWPZHzz32dJN7jexM34MOeYirDdFAZm2kuWj7VEOJhhZkDrxfvUu");
    let dev = |rights| Change::AddPermission { role: "dev", resource: "dev:*:*", rights };
    for change in [
        Change::OfferKey { key: &[7; 64] },
        Change::FirstAdministrator { hash },
        Change::CreateUser { name: "bob", hash },
        Change::AddRole { role: "dev", user: "bob" },
        dev(Rights::Read),
    ] {
        state.apply(1, &Command::Identity(change).encode(), &mut Vec::new());
    }
    state.settle();
    let policy = Policy { clients: true, admin: true, token_ttl_s: 60, ..Policy::default() };
    let (counter, inbox) = worker::pair();
    let bell = Arc::new(Bell::new(crate::engine::event_fd().unwrap()));
    let door = Door::new(Arc::new(policy), tables, counter, bell, Epoch::now());
    Town { door, state, _inbox: inbox }
}

impl Town {
    fn change(&mut self, change: Change<'_>) {
        self.state.apply(1, &Command::Identity(change).encode(), &mut Vec::new());
        self.state.settle();
    }

    fn token(&self, user: &str) -> String {
        let signer = Signer::new(&self.door.identities().now().signing_key().unwrap().0).unwrap();
        signer.issue(user, 1_060)
    }

    fn judge(
        &self,
        headers: &[(&str, &str)],
        kind: Kind,
        body: &str,
    ) -> Result<(), Option<Denial>> {
        let mut request = Request::parse(kind, body.as_bytes()).unwrap().unwrap();
        self.door.judge(headers.iter().copied(), &mut request, NOW).map(drop)
    }

    fn query(&self, token: &str) -> Result<(), Option<Denial>> {
        self.judge(&[("accessToken", token)], Kind::ConfigQuery, CONFIG)
    }
}

/// Every type of request × nobody, the wrong namespace, read-only, the right one, administrator.
#[test]
fn the_matrix_of_requests() {
    let mut town = town();
    town.change(Change::CreateUser { name: "eve", hash: Secret("x") });
    town.change(Change::AddRole { role: "other", user: "eve" });
    town.change(Change::AddPermission {
        role: "other",
        resource: "prod:*:*",
        rights: Rights::Both,
    });
    town.change(Change::CreateUser { name: "amy", hash: Secret("x") });
    town.change(Change::AddRole { role: "full", user: "amy" });
    town.change(Change::AddPermission { role: "full", resource: "dev:*:*", rights: Rights::Both });
    let naming = r#"{"namespace":"dev","groupName":"G","serviceName":"s"}"#;
    let watch = r#"{"groupKeyPattern":"dev>>*>>*"}"#;
    let listen = r#"{"configListenContexts":[{"tenant":"dev","group":"G","dataId":"d"}]}"#;
    let mut rows = 0;
    for (kind, body, writes) in [
        (Kind::Instance, naming, true),
        (Kind::PersistentInstance, naming, true),
        (Kind::BatchInstance, naming, true),
        (Kind::ServiceQuery, naming, false),
        (Kind::SubscribeService, naming, false),
        (Kind::ServiceList, naming, false),
        (Kind::NamingFuzzyWatch, watch, false),
        (Kind::ConfigPublish, CONFIG, true),
        (Kind::ConfigQuery, CONFIG, false),
        (Kind::ConfigRemove, CONFIG, true),
        (Kind::ConfigBatchListen, listen, false),
        (Kind::ConfigFuzzyWatch, watch, false),
    ] {
        rows += 1;
        let as_user = |user| town.judge(&[("accessToken", &town.token(user))], kind, body);
        let forbidden = Err(Some(Denial::Forbidden));
        assert_eq!(town.judge(&[], kind, body), Err(Some(Denial::Unknown)), "{kind:?}");
        assert_eq!(as_user("eve"), forbidden, "{kind:?}");
        assert_eq!(as_user("deleted"), forbidden, "{kind:?}");
        assert_eq!(as_user("bob"), if writes { forbidden } else { Ok(()) }, "{kind:?}");
        assert_eq!(as_user("amy"), Ok(()), "{kind:?}");
        assert_eq!(as_user("nacos"), Ok(()), "{kind:?}");
    }
    assert_eq!(rows + 1, Kind::ALL.iter().filter(|kind| kind.has_request()).count());
    assert_eq!(town.judge(&[], Kind::HealthCheck, "{}"), Ok(()), "the one that is free");
}

#[test]
fn no_header_but_a_token_or_a_password_opens() {
    let town = town();
    let token = town.token("bob");
    let bearer = format!("Bearer {token}");
    assert_eq!(town.judge(&[("Authorization", &bearer)], Kind::ConfigQuery, CONFIG), Ok(()));
    for header in [
        ("User-Agent", "Nacos-Server"),
        ("serverIdentity", "security"),
        ("identityKey", "identityValue"),
        ("username", "nacos"),
        ("accessToken", ""),
        ("X-Real-IP", "127.0.0.1"),
    ] {
        let denied = Err(Some(Denial::Unknown));
        assert_eq!(town.judge(&[header], Kind::ConfigQuery, CONFIG), denied, "{header:?}");
    }
    let password = [("username", "nacos"), ("password", "nacos")];
    assert_eq!(town.judge(&password, Kind::ConfigQuery, CONFIG), Err(None), "to be compared");
}

#[test]
fn tokens_are_known_until_their_time_and_by_one_key() {
    let town = town();
    let token = town.token("bob");
    assert_eq!(town.query(&token), Ok(()));
    assert_eq!(town.query(&token), Ok(()), "from the cache");
    let late = Now { unix_ms: 1_061_000, ..NOW };
    let mut request = Request::parse(Kind::ConfigQuery, CONFIG.as_bytes()).unwrap().unwrap();
    let headers = [("accessToken", &*token)].into_iter();
    let expired = Err(Some(Denial::Expired));
    assert_eq!(
        town.door.judge(headers, &mut request, late).map(drop),
        expired,
        "also a cached one"
    );
    let published =
        Signer::new(b"SecretKey012345678901234567890123456789012345678901234567890123456789");
    let forged = published.unwrap().issue("nacos", 9_999_999_999);
    assert_eq!(town.query(&forged), Err(Some(Denial::Invalid)));
}

#[test]
fn rights_go_with_the_change_that_takes_them() {
    let mut town = town();
    let token = town.token("bob");
    assert_eq!(town.query(&token), Ok(()));
    town.change(Change::RemoveRole { role: "dev", user: "bob" });
    assert_eq!(town.query(&token), Err(Some(Denial::Forbidden)));
    town.change(Change::AddRole { role: "dev", user: "bob" });
    assert_eq!(town.query(&token), Ok(()));
    town.change(Change::DeleteUser { name: "bob" });
    assert_eq!(town.query(&token), Err(Some(Denial::Forbidden)));
}

/// What a token may is kept beside it: each kind of change must void that.
#[test]
fn a_known_token_follows_every_change_of_rights() {
    let mut town = town();
    town.change(Change::CreateUser { name: "eve", hash: Secret("x") });
    let (bob, eve) = (town.token("bob"), town.token("eve"));
    let may = |town: &Town, token: &str| {
        let as_token = [("accessToken", token)];
        [Kind::ConfigQuery, Kind::ConfigPublish]
            .map(|kind| town.judge(&as_token, kind, CONFIG).is_ok())
    };
    let row = |rights| Change::AddPermission { role: "dev", resource: "dev:*:*", rights };
    let gone = |rights| Change::RemovePermission { role: "dev", resource: "dev:*:*", rights };
    let other = Change::AddPermission { role: "other", resource: "dev:*:*", rights: Rights::Both };
    assert_eq!((may(&town, &bob), may(&town, &eve)), ([true, false], [false, false]));
    for (change, bob_may, eve_may) in [
        (row(Rights::Write), [true, true], [false, false]),
        (gone(Rights::Read), [false, true], [false, false]),
        (Change::AddRole { role: "dev", user: "eve" }, [false, true], [false, true]),
        (gone(Rights::Write), [false, false], [false, false]),
        (Change::AddRole { role: "other", user: "eve" }, [false, false], [false, false]),
        (other, [false, false], [true, true]),
        (Change::RemoveRole { role: "other", user: "eve" }, [false, false], [false, false]),
        (row(Rights::Both), [true, true], [true, true]),
        (Change::DeleteUser { name: "bob" }, [false, false], [true, true]),
        (Change::CreateUser { name: "bob", hash: Secret("x") }, [false, false], [true, true]),
    ] {
        let what = format!("{change:?}");
        town.change(change);
        assert_eq!((may(&town, &bob), may(&town, &eve)), (bob_may, eve_may), "after {what}");
        assert_eq!((may(&town, &bob), may(&town, &eve)), (bob_may, eve_may), "once more, {what}");
    }
}

#[test]
fn a_listen_keeps_its_own_namespace_only() {
    let town = town();
    let mut request = Request::parse(Kind::ConfigBatchListen, LISTEN.as_bytes()).unwrap().unwrap();
    let token = town.token("bob");
    let headers = [("accessToken", &*token)].into_iter();
    assert!(town.door.judge(headers, &mut request, NOW).is_ok());
    let Request::ConfigBatchListen(listen) = request else { panic!("it stays a listen") };
    let left: Vec<_> = listen.contexts.iter().flatten().map(|c| c.tenant.as_deref()).collect();
    assert_eq!(left, [Some("dev")]);
}

#[test]
fn right_passwords_are_remembered_for_their_hash_and_time() {
    let mut remembered = Remembered::new();
    let shown = |user: &str, until_ms| Shown { hash: "hash".into(), until_ms, user: user.into() };
    remembered.add("u", "p", shown("LDAP_u", 100), 0);
    assert_eq!(remembered.who("u", "p", "hash", 1).as_deref(), Some("LDAP_u"));
    assert_eq!(remembered.who("u", "p", "another hash", 1), None, "a changed password");
    assert_eq!(remembered.who("u", "q", "hash", 1), None);
    assert_eq!(remembered.who("v", "p", "hash", 1), None);
    assert_eq!(remembered.who("u", "p", "hash", 100), None);
    for number in 0..3 * PASSWORDS_REMEMBERED_MAX {
        remembered.add(&number.to_string(), "p", shown("u", 100), 0);
        assert!(remembered.known.len() <= PASSWORDS_REMEMBERED_MAX);
    }
}

#[test]
fn an_open_door_looks_at_nothing() {
    let town = town();
    let (counter, _inbox) = worker::pair();
    let bell = Arc::new(Bell::new(crate::engine::event_fd().unwrap()));
    let policy = Arc::new(Policy::default());
    let open = Door::new(policy, town.door.0.tables.clone(), counter, bell, Epoch::now());
    let mut request = Request::parse(Kind::ConfigPublish, CONFIG.as_bytes()).unwrap().unwrap();
    let headers = [("accessToken", "forged")].into_iter();
    assert_eq!(open.judge(headers, &mut request, NOW), Ok(None));
}
