use super::*;
use proptest::prelude::*;

fn config<'a>(namespace: &'a str, group: &'a str, name: &'a str) -> Resource<'a> {
    Resource::Of { namespace, group, kind: Kind::Config, name }
}

fn naming<'a>(namespace: &'a str, group: &'a str, name: &'a str) -> Resource<'a> {
    Resource::Of { namespace, group, kind: Kind::Naming, name }
}

fn covers(stored: &str, resource: Resource<'_>) -> bool {
    Pattern::new(stored).covers(&resource)
}

#[test]
fn patterns_operators_write() {
    for (stored, resource, expected) in [
        ("public:*:*", config("", "G", "a"), true),
        ("public:*:*", config("public", "G", "a"), true),
        ("public:*:*", config("dev", "G", "a"), false),
        ("public:*:*", naming("public", "G", "s"), true),
        (":*:*", config("public", "G", "a"), true),
        (":*:*", config("dev", "G", "a"), false),
        ("dev:G:config/app.yaml", config("dev", "G", "app.yaml"), true),
        ("dev:G:config/app.yaml", config("dev", "G", "appxyaml"), false),
        ("dev:G:config/app.yaml", naming("dev", "G", "app.yaml"), false),
        ("dev:G:config/app*", config("dev", "G", "app-1"), true),
        ("dev:G:config/app*", config("dev", "H", "app-1"), false),
        ("dev:G:config/*.yaml", config("dev", "G", "a.b.yaml"), true),
        ("dev:G:config/*.yaml", config("dev", "G", "a.yaml.bak"), false),
        ("dev:G:*", naming("dev", "G", "s"), true),
        ("dev:*:naming/*", config("dev", "G", "s"), false),
        ("*", config("any", "G", "s"), true),
        ("*:*:*", naming("any", "G", "s"), true),
        ("dev:*", config("dev", "G", "s"), true),
        ("dev:*", config("dev2", "G", "s"), false),
        ("dev*", config("dev2", "G", "s"), true),
        ("*:config/*", config("dev", "G", "s"), true),
        ("", config("dev", "G", "s"), false),
        ("dev:G:config/com.a:b", config("dev", "G", "com.a:b"), true),
    ] {
        assert_eq!(covers(stored, resource), expected, "{stored} of {resource:?}");
    }
}

/// `auth.md` 3.3: a list of a namespace needs a permission that covers the literal star.
#[test]
fn all_of_a_group_or_namespace_needs_a_star() {
    assert!(covers("ns:*:*", config("ns", "", "")));
    assert!(!covers("ns:G:config/*", config("ns", "", "")));
    assert!(covers("ns:G:config/*", config("ns", "G", "")));
    assert!(!covers("ns:G:config/a*", config("ns", "G", " ")));
}

/// Names that hold what patterns are made of reach over no border.
#[test]
fn names_do_not_leave_their_part() {
    assert!(!covers("dev:*:*", config("dev:x", "G", "a")), "a namespace with a colon");
    assert!(!covers("dev:*", config("dev:x", "G", "a")));
    assert!(!covers("dev:A:*", config("dev", "A:config/x", "a")), "a group with a colon");
    assert!(!covers("dev:*:config/a*", naming("dev", "G", "q:config/ab")), "another module");
    assert!(!covers("dev:G:config/a", config("*", "*", "*")));
    assert!(!covers("dev:G:config/a", config("dev", "*", "a")));
    assert!(covers("*", config("dev:x", "G:h", "a:b")));
}

#[test]
fn named_resources_are_compared_as_they_are() {
    assert!(covers("/v1/cs/ops", Resource::Named("/v1/cs/ops")));
    assert!(covers("/v1/*", Resource::Named("/v1/cs/ops")));
    assert!(covers("*", Resource::Named("grpc/lock")));
    assert!(!covers("*:*:*", Resource::Named("grpc/lock")));
    assert!(Resource::Named("console/users").is_for_administrators());
    assert!(!config("console", "G", "a").is_for_administrators());
}

#[test]
fn what_was_stored_is_shown() {
    for stored in ["", ":*:*", "dev:G:config/a", "*", "::", ":"] {
        assert_eq!(Pattern::new(stored).stored(), stored);
    }
}

/// The plain meaning, by recursion.
fn oracle(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            oracle(rest, text) || (!text.is_empty() && oracle(pattern, &text[1..]))
        }
        ([wanted, rest @ ..], [byte, others @ ..]) if wanted == byte => oracle(rest, others),
        _ => false,
    }
}

proptest! {
    #[test]
    fn globs_mean_what_they_say(pattern in "[ab*]{0,8}", first in "[ab]{0,6}", second in "[ab]{0,6}") {
        let whole = format!("{first}{second}");
        let found = glob(pattern.as_bytes(), &Text::of(&[&first, &second]));
        prop_assert_eq!(found, oracle(pattern.as_bytes(), whole.as_bytes()));
    }

    /// Whatever the rest of a permission and of a request: a permission of one namespace covers
    /// nothing of another.
    #[test]
    fn no_namespace_reaches_another(
        mine in "[a-c]{1,2}",
        theirs in "[a-c:/]{1,4}",
        rest in "[a-c:*/]{0,8}",
        group in "[a-c:/*]{0,4}",
        name in "[a-c:/*]{0,6}",
        is_config: bool,
    ) {
        prop_assume!(mine != theirs);
        let kind = if is_config { Kind::Config } else { Kind::Naming };
        let resource = Resource::Of { namespace: &theirs, group: &group, kind, name: &name };
        let stored = format!("{mine}:{rest}");
        prop_assert!(!Pattern::new(&stored).covers(&resource), "{} of {:?}", stored, resource);
    }

    #[test]
    fn any_text_is_a_pattern(stored in ".{0,40}", a in ".{0,20}", b in ".{0,20}", c in ".{0,20}") {
        let _ = Pattern::new(&stored).covers(&config(&a, &b, &c));
        let _ = Pattern::new(&stored).covers(&Resource::Named(&a));
    }
}
