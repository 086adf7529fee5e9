use super::*;
use crate::auth::resource::Kind;

fn role(identities: &mut Identities, name: &str, rows: &[(&str, Rights)]) {
    let rows = rows
        .iter()
        .map(|(resource, action)| Permission { pattern: Pattern::new(resource), action: *action });
    identities.permissions.insert(name.into(), Arc::new(rows.collect()));
}

fn user(identities: &mut Identities, name: &str, roles: &[&str]) {
    let roles = roles.iter().map(|role| Arc::from(*role)).collect();
    let user = User { hash: "h".into(), roles };
    identities.users.insert(name.into(), Arc::new(user));
}

fn town() -> Identities {
    let mut all = Identities::default();
    role(&mut all, "reader", &[("dev:*:*", Rights::Read)]);
    role(&mut all, "writer", &[("dev:*:*", Rights::Write)]);
    role(&mut all, "both", &[("dev:*:*", Rights::Both)]);
    role(&mut all, "legacy", &[(":*:*", Rights::Both)]);
    role(&mut all, "proud", &[("*", Rights::Both), ("console/*", Rights::Both)]);
    for name in ["reader", "writer", "both", "legacy", "proud"] {
        user(&mut all, name, &[name]);
    }
    user(&mut all, "root", &[ROLE_ADMIN]);
    user(&mut all, "nobody", &[]);
    user(&mut all, "ghost", &["no such role"]);
    user(&mut all, "two", &["reader", "writer"]);
    all
}

/// User × resource × action: may he.
#[test]
fn the_matrix() {
    let all = town();
    let dev = Resource::Of { namespace: "dev", group: "G", kind: Kind::Config, name: "a" };
    let public = Resource::Of { namespace: "", group: "G", kind: Kind::Naming, name: "s" };
    let ops = Resource::Named("/v1/cs/ops");
    let console = Resource::Named("console/users");
    let cases = [dev, public, ops, console];
    // Read and write of each of these.
    for (name, expected) in [
        ("reader", [true, false, false, false, false, false, false, false]),
        ("writer", [false, true, false, false, false, false, false, false]),
        ("both", [true, true, false, false, false, false, false, false]),
        ("two", [true, true, false, false, false, false, false, false]),
        ("legacy", [false, false, true, true, false, false, false, false]),
        ("proud", [true, true, true, true, true, true, false, false]),
        ("root", [true; 8]),
        ("nobody", [false; 8]),
        ("ghost", [false; 8]),
        ("deleted", [false; 8]),
        ("", [false; 8]),
        ("ROLE_ADMIN", [false; 8]),
        ("Root", [false; 8]),
    ] {
        let found = cases.iter().flat_map(|resource| {
            [Action::Read, Action::Write].map(|action| all.decide(name, action, resource).is_ok())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{name}");
        let granted = all.granted(name);
        let found = cases.iter().flat_map(|resource| {
            [Action::Read, Action::Write].map(|action| granted.decide(action, resource).is_ok())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{name}, found before");
    }
}

#[test]
fn questions_of_the_operators() {
    let all = town();
    assert!(all.has_administrator() && !Identities::default().has_administrator());
    assert!(all.has_role("reader") && !all.has_role("nothing"));
    assert!(all.has_permission("reader", "dev:*:*", Rights::Read));
    assert!(!all.has_permission("reader", "dev:*:*", Rights::Both));
    assert!(all.has_permission("both", "dev:*:*", Rights::Read), "rw holds r");
    assert!(!all.has_permission("both", "dev:G:*", Rights::Read), "patterns are not looked at");
    assert_eq!(all.roles().filter(|(_, user)| *user == "two").count(), 2);
    assert!(all.permissions().any(|row| row == ("legacy", ":*:*", Rights::Both)));
    for text in ["r", "w", "rw"] {
        assert_eq!(Rights::parse(text).map(Rights::text), Some(text));
    }
    for text in ["", "wr", "R", "rwx"] {
        assert_eq!(Rights::parse(text), None);
    }
}

#[test]
fn secrets_are_not_shown() {
    let mut all = town();
    all.signing_key = Some(SigningKey(Arc::from(*b"signing-bytes")));
    user(&mut all, "u", &[]);
    let shown = format!("{all:?} {:?}", Secret("$2a$10$hash"));
    assert!(!shown.contains("\"h\"") && !shown.contains("$2a$") && !shown.contains("115"));
}

#[test]
fn each_table_that_is_shown_is_a_new_epoch() {
    let shared = Shared::default();
    let before = shared.now().epoch();
    shared.show(&town());
    let kept = shared.kept();
    assert!(kept.epoch() > before && kept.user("root").is_some());
    assert_eq!(kept.granted("root").epoch(), kept.epoch());
    shared.show(&town());
    assert!(shared.now().epoch() > kept.epoch(), "also one of the same content");
}
